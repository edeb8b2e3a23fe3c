//! Answers that are none: another tier is asked, and nobody is led astray.

use lockgate_config::value::Tier;
use lockgate_core::signal::{Arm, Signal};

use crate::target::TestTarget;
use crate::world::*;

const STREAM: &str =
    r#"{"model":"support-reply","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
const HI: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// What comes of a call when the first tier says this: the second one answers, and the version has an error.
async fn check_replaced(call: &'static str, status: u16, kind: &'static str, said: String, good: String) {
    let (mut first, mut second) = (TestTarget::start().await, TestTarget::start().await);
    let chain = vec![chat("big", &first.url), chat("light", &second.url)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let sending = world.sending(world.post("/v1/chat/completions", call));
    first.next().await.say_as(status, kind, said.clone());
    let good_kind = if call == STREAM { "text/event-stream" } else { "application/json" };
    second.next().await.say_as(200, good_kind, good.clone());
    let got = sending.await.unwrap();
    assert_eq!((got.status.as_u16(), got.body.as_ref()), (200, good.as_bytes()), "{said}");
    assert_eq!(got.header("x-lockgate-degraded"), Some("true"), "{said}");
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_plain_answer_without_a_choice_is_none() {
    for said in ["{}", "{\"choices\":[]}", "{\"choices\":null}", "<html>", ""] {
        check_replaced(CALL, 200, "application/json", said.into(), ANSWER.into()).await;
    }
}

#[tokio::test]
async fn events_for_a_plain_call_and_a_plain_answer_for_a_stream_are_none() {
    check_replaced(CALL, 200, "text/event-stream", [HI, DONE].concat(), ANSWER.into()).await;
    check_replaced(STREAM, 200, "application/json", ANSWER.into(), [HI, DONE].concat()).await;
}

#[tokio::test]
async fn a_stream_that_begins_with_nonsense_or_with_its_end_is_none() {
    for said in [DONE, "data: {\"choices\":[{\"del\n\n", "data: {\"error\":{\"message\":\"no\"}}\n\n"] {
        check_replaced(STREAM, 200, "text/event-stream", said.into(), [HI, DONE].concat()).await;
    }
}

#[tokio::test]
async fn an_empty_text_that_was_meant_is_an_answer() {
    let empty = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#;
    let world =
        World::start(config(vec![version("v1", vec![chat("big", &TestTarget::saying(200, empty).await)])]));
    let world = world.await;
    assert_eq!(world.call().await.body.as_ref(), empty.as_bytes());
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_redirect_does_not_lead_the_client_past_the_gateway() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    target.next().await.say_with(302, &[("location", "http://127.0.0.1:9/evil")], "");
    let got = sending.await.unwrap();
    assert_eq!((got.status.as_u16(), got.header("location")), (502, None));
    assert_eq!(got.error().1, "chain_exhausted");
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_closes_before_any_answer_is_made_anew_once() {
    let mut target = TestTarget::start().await;
    let big = Tier { retries: 1, ..chat("big", &target.url) };
    let world = World::start(config(vec![version("v1", vec![big])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    drop(target.next().await);
    target.next().await.say(200, ANSWER);
    let got = sending.await.unwrap();
    assert_eq!((got.status.as_u16(), got.header("x-lockgate-attempts")), (200, Some("2")));
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;

    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    drop(target.next().await);
    drop(target.next().await);
    assert_eq!(sending.await.unwrap().status.as_u16(), 502);
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 2)).await;
    world.stop().await;
}

#[tokio::test]
async fn events_are_relayed_whatever_the_target_calls_them() {
    for kind in ["", "text/plain", "application/json"] {
        let mut target = TestTarget::start().await;
        let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
        let sending = world.sending(world.post("/v1/chat/completions", STREAM));
        target.next().await.say_as(200, kind, [HI, DONE].concat());
        let got = sending.await.unwrap();
        assert_eq!((got.status.as_u16(), got.body.as_ref()), (200, [HI, DONE].concat().as_bytes()), "{kind}");
        world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
        world.stop().await;
    }
}
