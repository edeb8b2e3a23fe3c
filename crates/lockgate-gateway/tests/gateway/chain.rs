//! The way through a chain: breakers, retries, what is held back, what is gone on with, and what keeps a waiting client's
//! connection alive.

use std::sync::Arc;
use std::time::Duration;

use lockgate_config::value::{Price, TargetKind, Tier};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;

use crate::target::TestTarget;
use crate::world::*;

const STREAM: &str = r#"{"model":"support-reply","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const ROLE: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const STOP: &str =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn says(text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!("data: {{\"id\":\"c1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}}}}]}}\n\n")
}

/// What a chat stream says, event after event.
fn text_of(body: &[u8]) -> String {
    let mut reader = lockgate_wire::reader::StreamReader::new(lockgate_wire::api::Api::Chat, 1 << 20);
    reader.push(body);
    let summary = reader.finish();
    assert!(summary.is_done, "{}", String::from_utf8_lossy(body));
    summary.answer.text
}

/// What is left of a body.
async fn rest(mut body: hyper::body::Incoming) -> Vec<u8> {
    let mut text = String::new();
    while let Some(more) = chunk(&mut body).await {
        text.push_str(&more);
    }
    text.into_bytes()
}

fn changed(mut tier: Tier, change: impl FnOnce(&mut lockgate_config::value::Endpoint)) -> Tier {
    if let TargetKind::OpenAi(endpoint) = &mut Arc::get_mut(&mut tier.target).unwrap().kind {
        change(endpoint);
    }
    tier
}

#[tokio::test]
async fn a_target_that_keeps_failing_is_not_asked_until_its_breaker_lets_a_probe_pass() {
    let mut big = TestTarget::start().await;
    let chain = vec![chat("big", &big.url), rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    for _ in 0..5 {
        let sending = world.sending(world.post("/v1/chat/completions", CALL));
        big.next().await.say(500, "{}");
        let got = sending.await.unwrap();
        assert_eq!(got.header("x-lockgate-fallback"), Some("big=error"));
    }
    let got = world.call().await;
    assert_eq!(got.header("x-lockgate-fallback"), Some("big=circuit_open"));
    assert_eq!(
        (got.header("x-lockgate-target"), got.header("x-lockgate-attempts")),
        (Some("desk"), Some("1"))
    );
    assert!(big.is_idle(), "an open breaker lets nothing pass");
    // Its fault it is all the same that the user got less.
    world.until_rate("v1", Arm::Stable, Signal::Error, (6, 6)).await;

    world.clock.advance(Duration::from_secs(60));
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    big.next().await.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().header("x-lockgate-target"), Some("big"));
    world.stop().await;
}

#[tokio::test]
async fn a_lone_target_fails_fast_while_its_breaker_is_open() {
    let mut big = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big.url)])])).await;
    for _ in 0..5 {
        let sending = world.sending(world.post("/v1/chat/completions", CALL));
        big.next().await.say(500, "{}");
        assert_eq!(sending.await.unwrap().status.as_u16(), 500);
    }
    let got = world.call().await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (502, "chain_exhausted"));
    assert_eq!(got.header("x-should-retry"), Some("false"));
    assert!(got.error().0.contains("circuit breaker"), "{:?}", got.error());
    world.stop().await;
}

#[tokio::test]
async fn the_callers_own_mistakes_never_open_a_breaker() {
    let mut big = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big.url)])])).await;
    for _ in 0..40 {
        let sending = world.sending(world.post("/v1/chat/completions", CALL));
        big.next().await.say(400, r#"{"error":{"message":"no","type":"invalid_request_error","code":null}}"#);
        assert_eq!(sending.await.unwrap().status.as_u16(), 400);
    }
    world.stop().await;
}

#[tokio::test]
async fn retries_stay_within_their_part_of_the_traffic() {
    let mut big = TestTarget::start().await;
    let eager = changed(chat("big", &big.url), |endpoint| {
        endpoint.retries.base = Duration::ZERO;
        endpoint.breaker.consecutive = 1_000;
        endpoint.breaker.calls_min = 1_000;
    });
    let chain = vec![Tier { retries: 3, ..eager }, rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let asked = tokio::spawn(async move {
        let mut asked = 0;
        while let Ok(Some(arrived)) = tokio::time::timeout(Duration::from_millis(500), big.try_next()).await {
            asked += 1;
            arrived.say(503, "{}");
        }
        asked
    });
    for _ in 0..100 {
        assert_eq!(world.call().await.header("x-lockgate-target"), Some("desk"));
    }
    let asked = asked.await.unwrap();
    assert!((101..=120).contains(&asked), "100 calls, {asked} asked");
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_worth_a_retry_is_not_retried() {
    for body in [
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
    ] {
        let mut big = TestTarget::start().await;
        let chain = vec![Tier { retries: 3, ..chat("big", &big.url) }, rules("desk")];
        let world = World::start(config(vec![version("v1", chain)])).await;
        let sending = world.sending(world.post("/v1/chat/completions", CALL));
        big.next().await.say(if body.contains("quota") { 429 } else { 401 }, body);
        let got = sending.await.unwrap();
        assert_eq!(
            (got.header("x-lockgate-target"), got.header("x-lockgate-attempts")),
            (Some("desk"), Some("2"))
        );
        world.stop().await;
    }
}

#[tokio::test]
async fn a_stream_is_not_begun_by_an_empty_preamble() {
    let (mut big, mut light) = (TestTarget::start().await, TestTarget::start().await);
    let chain = vec![chat("big", &big.url), chat("light", &light.url)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let sending = world.sending(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    writing.write(ROLE);
    drop(writing);
    light.next().await.stream().write([ROLE, &says("hello"), STOP, DONE].concat());
    let got = sending.await.unwrap();
    assert_eq!((text_of(&got.body).as_str(), got.header("x-lockgate-target")), ("hello", Some("light")));
    assert_eq!(got.header("x-lockgate-fallback"), Some("big=cut_off"));
    world.stop().await;
}

#[tokio::test]
async fn tokens_that_are_held_back_leave_time_for_a_clean_switch() {
    let (mut big, mut light) = (TestTarget::start().await, TestTarget::start().await);
    let chain = vec![Tier { hold_back: 10, ..chat("big", &big.url) }, chat("light", &light.url)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let sending = world.sending(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    writing.write([ROLE, &says("I wi"), &says("ll")].concat());
    drop(writing);
    light.next().await.stream().write([ROLE, &says("hello"), STOP, DONE].concat());
    assert_eq!(text_of(&sending.await.unwrap().body), "hello");
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_broke_off_goes_on_where_a_target_declares_that_it_can() {
    let (mut big, mut light) = (TestTarget::start().await, TestTarget::start().await);
    let able = changed(chat("light", &light.url), |endpoint| endpoint.resumes = true);
    let chain = vec![chat("big", &big.url), able];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    writing.write([ROLE, &says("one "), &says("two ")].concat());
    let body = beginning.await.unwrap().into_body();
    writing.break_off();
    let arrived = light.next().await;
    let call: serde_json::Value = serde_json::from_str(arrived.text()).unwrap();
    assert_eq!(call["messages"][1], serde_json::json!({ "role": "assistant", "content": "one two " }));
    arrived.stream().write([ROLE, &says("three"), STOP, DONE].concat());
    assert_eq!(text_of(&rest(body).await), "one two three");
    // The user has the whole answer, and the version failed all the same.
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Fallback).await, (1, 1));
    world.stop().await;
}

#[tokio::test]
async fn nothing_goes_on_inside_a_tool_call() {
    let (mut big, light) = (TestTarget::start().await, TestTarget::start().await);
    let able = changed(chat("light", &light.url), |endpoint| endpoint.resumes = true);
    let world = World::start(config(vec![version("v1", vec![chat("big", &big.url), able])])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    let call = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\"}}]}}]}\n\n";
    writing.write([ROLE, &says("I call "), call].concat());
    let body = beginning.await.unwrap().into_body();
    writing.break_off();
    let body = rest(body).await;
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("answer_cut_off") && !text.contains("[DONE]"), "{text}");
    assert!(light.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_is_sent_comments_before_the_first_word_and_in_silence() {
    let mut big = TestTarget::start().await;
    let mut config = config(vec![version("v1", vec![chat("big", &big.url), rules("desk")])]);
    config.bounds.ping = Duration::from_millis(20);
    let world = World::start(config).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let arrived = big.next().await;
    let response = beginning.await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-lockgate-version"], "v1");
    let mut body = response.into_body();
    assert_eq!(chunk(&mut body).await.as_deref(), Some(": ping\n\n"));
    let writing = arrived.stream();
    writing.write([ROLE, &says("one")].concat());
    let mut text = String::new();
    while !text.ends_with(&[&says("one"), ": ping\n\n"].concat()) {
        text.push_str(&chunk(&mut body).await.unwrap());
    }
    assert!(text.contains(": target=big tier=0 attempts=1"), "{text}");
    writing.write([STOP, DONE].concat());
    drop(writing);
    while let Some(more) = chunk(&mut body).await {
        text.push_str(&more);
    }
    assert_eq!(text_of(text.as_bytes()), "one");
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;

    // When all fails after the first comment, the fixed answer comes as the stream that was begun.
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let arrived = big.next().await;
    let mut body = beginning.await.unwrap().into_body();
    let mut text = chunk(&mut body).await.unwrap();
    arrived.say(500, "{}");
    while let Some(more) = chunk(&mut body).await {
        text.push_str(&more);
    }
    assert_eq!(text_of(text.as_bytes()), "Please wait.");
    world.stop().await;
}

#[tokio::test]
async fn a_failure_after_a_comment_is_told_in_the_stream() {
    let mut big = TestTarget::start().await;
    let mut config = config(vec![version("v1", vec![chat("big", &big.url)])]);
    config.bounds.ping = Duration::from_millis(20);
    let world = World::start(config).await;
    for (status, said) in [
        (500, r#"{"error":{"message":"on fire","type":"server_error","code":null,"param":null}}"#),
        (
            400,
            r#"{"error":{"message":"no such tool","type":"invalid_request_error","code":null,"param":null}}"#,
        ),
    ] {
        let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
        let arrived = big.next().await;
        let mut body = beginning.await.unwrap().into_body();
        let mut text = chunk(&mut body).await.unwrap();
        arrived.say(status, said);
        while let Some(more) = chunk(&mut body).await {
            text.push_str(&more);
        }
        let message = if status == 500 { "on fire" } else { "no such tool" };
        assert!(text.contains(message) && !text.contains("[DONE]"), "{text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_stream_that_crawls_or_lasts_too_long_is_ended() {
    let mut big = TestTarget::start().await;
    let mut slow = chat("big", &big.url);
    slow.times.stream = Some(Duration::from_millis(80));
    let world = World::start(config(vec![version("v1", vec![slow])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    writing.write([ROLE, &says("one")].concat());
    writing.closed().await;
    let body = sending.await.unwrap().body;
    assert!(String::from_utf8_lossy(&body).contains("longer than a stream may"));
    world.until_rate("v1", Arm::Stable, Signal::Timeout, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn what_a_client_that_leaves_has_cost_is_estimated() {
    let mut big = TestTarget::start().await;
    let price = Price { input_per_million_usd: 1_000.0, output_per_million_usd: 1_000.0 };
    let priced = Tier { price: Some(price), ..chat("big", &big.url) };
    let world = World::start(config(vec![version("v1", vec![priced])])).await;
    let mut request = world.post("/v1/chat/completions", STREAM);
    request.headers_mut().insert("x-lockgate-session", "s1".parse().unwrap());
    let beginning = world.beginning(request);
    let writing = big.next().await.stream();
    writing.write([ROLE, &says("one two three four five six seven eight nine ten")].concat());
    let mut body = beginning.await.unwrap().into_body();
    assert!(chunk(&mut body).await.is_some());
    drop(body);
    writing.closed().await;
    world.until_rate("v1", Arm::Stable, Signal::Cancelled, (1, 1)).await;
    world.clock.advance(Duration::from_secs(3_600));
    let cost = world.sum("v1", Arm::Stable, Signal::SessionCost).await;
    assert!(matches!(&cost, Some(Sum::Levels(levels)) if levels.len() == 1), "{cost:?}");
    world.stop().await;
}
