//! The chain: when the next tier is asked, what is told when none can help, and whose fault it was.

use std::time::Duration;

use lockgate_config::value::TargetKind;
use lockgate_core::name::FeatureName;
use lockgate_core::route::KillTo;
use lockgate_core::signal::{Arm, Signal};
use tokio::net::TcpListener;

use crate::target::TestTarget;
use crate::world::*;

const LIGHT: &str = r#"{"id":"l","choices":[{"index":0,"message":{"role":"assistant","content":"light"},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn a_failing_tier_is_replaced_by_the_next_and_the_answer_says_so() {
    for status in [500, 503, 429, 408, 401, 404] {
        let big = TestTarget::saying(status, r#"{"error":{"message":"no"}}"#).await;
        let light = TestTarget::saying(200, LIGHT).await;
        let chain = vec![chat("big", &big), chat("light", &light)];
        let world = World::start(config(vec![version("v1", chain)])).await;
        let got = world.call().await;
        assert_eq!((got.status.as_u16(), got.body.as_ref()), (200, LIGHT.as_bytes()), "{status}");
        for (name, value) in [("target", "light"), ("tier", "1"), ("attempts", "2"), ("degraded", "true")] {
            assert_eq!(got.header(&format!("x-lockgate-{name}")), Some(value));
        }
        world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
        assert_eq!(world.rate("v1", Arm::Stable, Signal::Fallback).await, (1, 1));
        assert_eq!(world.rate("v1", Arm::Stable, Signal::Timeout).await, (0, 1));
        world.stop().await;
    }
}

#[tokio::test]
async fn the_callers_own_mistake_is_passed_through_and_counted_apart_from_errors() {
    for status in [400, 413, 422] {
        let body = r#"{ "error":{"message":"too many tokens","code":"context_length_exceeded"} }"#;
        let big = TestTarget::saying(status, body).await;
        let light = TestTarget::start().await;
        let chain = vec![chat("big", &big), chat("light", &light.url)];
        let world = World::start(config(vec![version("v1", chain)])).await;
        let got = world.call().await;
        assert_eq!((got.status.as_u16(), got.body.as_ref()), (status, body.as_bytes()));
        assert!(light.is_idle());
        world.until_rate("v1", Arm::Stable, Signal::Rejected, (1, 1)).await;
        assert_eq!(world.rate("v1", Arm::Stable, Signal::Error).await, (0, 0));
        assert_eq!(world.sum("v1", Arm::Stable, Signal::Assigned).await.unwrap().n(), 1);
        world.stop().await;
    }
}

#[tokio::test]
async fn the_last_error_that_a_target_told_passes_through_when_all_fail() {
    let body = r#"{"error":{"message":"slow down","type":"rate_limit","code":"x"}}"#;
    let big = TestTarget::saying(429, body).await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big)])])).await;
    let got = world.call().await;
    assert_eq!((got.status.as_u16(), got.body.as_ref()), (429, body.as_bytes()));
    assert_eq!(got.header("x-should-retry"), Some("false"));
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_target_that_refuses_our_key_is_not_quoted_to_the_client() {
    let big = TestTarget::saying(401, r#"{"error":{"message":"Incorrect API key: target-key"}}"#).await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big)])])).await;
    let got = world.call().await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (502, "chain_exhausted"));
    assert!(!got.error().0.contains("target-key"));
    assert_eq!(got.header("x-lockgate-version"), Some("v1"));
    world.stop().await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_told_without_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gone = format!("http://{address}").parse().unwrap();
    let world = World::start(config(vec![version("v1", vec![chat("big", &gone)])])).await;
    let got = world.call().await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (502, "chain_exhausted"));
    assert!(!got.error().0.contains(&address.to_string()));
    assert_eq!(got.header("x-should-retry"), Some("false"));
    world.stop().await;
}

#[tokio::test]
async fn a_slow_tier_is_given_up_and_counts_as_a_time_out() {
    let mut slow = TestTarget::start().await;
    let mut impatient = endpoint(&slow.url);
    impatient.times.answer = Duration::from_millis(50);
    let chain = vec![tier("slow", TargetKind::OpenAi(impatient)), rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let mut arrived = slow.next().await;
    let got = sending.await.unwrap();
    assert_eq!(got.json()["choices"][0]["message"]["content"], "Please wait.");
    assert_eq!(got.header("x-lockgate-degraded"), Some("true"));
    within(arrived.answer.closed()).await;
    world.until_rate("v1", Arm::Stable, Signal::Timeout, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_before_its_first_content_is_replaced() {
    let mut big = TestTarget::start().await;
    let chain = vec![chat("big", &big.url), rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    // Whether its head gets through before it breaks off is up to the socket; without it the target is asked once more.
    tokio::spawn(async move {
        while let Some(arrived) = big.try_next().await {
            if arrived.text().contains("stream") {
                arrived.stream().break_off();
                continue;
            }
            let (writing, chunks) = crate::target::Chunks::open();
            let response = http::Response::builder().header("content-type", "application/json");
            arrived.reply(response.body(chunks).unwrap());
            writing.write("{\"id\":\"half");
            writing.break_off();
        }
    });
    assert_eq!(world.call().await.header("x-lockgate-target"), Some("desk"));

    let stream =
        r#"{"model":"support-reply","stream":true,"messages":[{"role":"user","content":"a refund"}]}"#;
    let got = world.send(world.post("/v1/chat/completions", stream)).await;
    let text = std::str::from_utf8(&got.body).unwrap();
    assert!(text.contains("A refund is on its way.") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(got.header("content-type"), Some("text/event-stream"));
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_answer_is_not_passed_on_as_one() {
    for nothing in ["<html>welcome</html>", r#"{"error":{"message":"upstream gone"}}"#] {
        let big = TestTarget::saying(200, nothing).await;
        let chain = vec![chat("big", &big), rules("desk")];
        let world = World::start(config(vec![version("v1", chain)])).await;
        assert_eq!(world.call().await.header("x-lockgate-target"), Some("desk"));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_deterministic_tier_answers_even_when_the_calls_time_has_run_out() {
    let mut slow = TestTarget::start().await;
    let never_asked = TestTarget::start().await;
    let chain = vec![chat("slow", &slow.url), chat("light", &never_asked.url), rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let mut request = world.post("/v1/chat/completions", CALL);
    request.headers_mut().insert("x-lockgate-deadline-ms", "60".parse().unwrap());
    let sending = world.sending(request);
    let _kept = slow.next().await;
    let got = sending.await.unwrap();
    assert_eq!(
        (got.header("x-lockgate-target"), got.header("x-lockgate-attempts")),
        (Some("desk"), Some("2"))
    );
    assert!(never_asked.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn a_feature_killed_to_its_rules_asks_no_target() {
    let big = TestTarget::start().await;
    let chain = vec![chat("big", &big.url), rules("desk")];
    let world = World::start_with(config(vec![version("v1", chain)]), |table| {
        table.routes.get_mut(&FeatureName::new(FEATURE).unwrap()).unwrap().killed = Some(KillTo::Rules);
    })
    .await;
    let got = world.call().await;
    assert_eq!((got.status.as_u16(), got.header("x-lockgate-target")), (200, Some("desk")));
    assert!(big.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn a_feature_without_rules_is_served_by_its_chain_when_killed_to_them() {
    let big = TestTarget::saying(200, ANSWER).await;
    let world = World::start_with(config(vec![version("v1", vec![chat("big", &big)])]), |table| {
        table.routes.get_mut(&FeatureName::new(FEATURE).unwrap()).unwrap().killed = Some(KillTo::Rules);
    })
    .await;
    assert_eq!(world.call().await.header("x-lockgate-target"), Some("big"));
    world.stop().await;
}

#[tokio::test]
async fn an_error_without_a_body_is_told_and_counted_as_one() {
    for status in [500, 503, 429] {
        let big = TestTarget::saying(status, "").await;
        let world = World::start(config(vec![version("v1", vec![chat("big", &big)])])).await;
        let got = world.call().await;
        assert_eq!((got.status.as_u16(), got.body.len()), (status, 0));
        world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
        assert_eq!(world.rate("v1", Arm::Stable, Signal::Cancelled).await, (0, 1));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_without_a_body_is_the_callers_mistake() {
    let big = TestTarget::saying(400, "").await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big)])])).await;
    assert_eq!(world.call().await.status, 400);
    world.until_rate("v1", Arm::Stable, Signal::Rejected, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Cancelled).await, (0, 0));
    world.stop().await;
}

#[tokio::test]
async fn fixed_answers_that_a_kill_asks_for_say_nothing_about_the_version() {
    let big = TestTarget::start().await;
    let chain = vec![chat("big", &big.url), rules("desk")];
    let world = World::start_with(config(vec![version("v1", chain)]), |table| {
        table.routes.get_mut(&FeatureName::new(FEATURE).unwrap()).unwrap().killed = Some(KillTo::Rules);
    })
    .await;
    let got = world.call().await;
    let id = got.header("x-lockgate-request-id").unwrap();
    let about = lockgate_store::row::About::Request(id.parse().unwrap());
    // The call's end is noted when its body has been taken, which is when it would be counted.
    within(async {
        while world.store.answer(&about).await.unwrap().is_none_or(|answer| answer.status != 200) {
            world.gateway.flush().await;
        }
    })
    .await;
    assert_eq!(world.sum("v1", Arm::Stable, Signal::Assigned).await.unwrap().n(), 1);
    for signal in [Signal::Error, Signal::Fallback, Signal::Cancelled, Signal::Latency] {
        assert_eq!(world.sum("v1", Arm::Stable, signal).await, None);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_lower_tiers_refusal_does_not_hide_that_the_first_one_failed() {
    let big = TestTarget::saying(500, "{}").await;
    let light = TestTarget::saying(400, "{}").await;
    let chain = vec![chat("big", &big), chat("light", &light)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    assert_eq!(world.call().await.status, 400);
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Rejected).await, (0, 1));
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_a_lower_tier_does_not_hide_that_the_first_one_failed() {
    let big = TestTarget::saying(500, "{}").await;
    let mut light = TestTarget::start().await;
    let chain = vec![chat("big", &big), chat("light", &light.url)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", CALL));
    let mut arrived = light.next().await;
    beginning.abort();
    within(arrived.answer.closed()).await;
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Cancelled).await, (0, 1));
    world.stop().await;
}
