//! What must not be walked around, put on the wrong account, or passed off as something else.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use lockgate_config::value::{TargetKind, Tier};
use lockgate_core::signal::{Arm, Signal};
use serde_json::json;

use crate::target::TestTarget;
use crate::world::*;

const STREAM: &str = r#"{"model":"support-reply","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const ONE: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"}}]}\n\n";
const FILTERED: &str = "data: {\"error\":{\"message\":\"blocked\",\"type\":\"invalid_request_error\",\"code\":\"content_filter\"}}\n\n";

fn resuming(mut tier: Tier) -> Tier {
    if let TargetKind::OpenAi(endpoint) = &mut Arc::get_mut(&mut tier.target).unwrap().kind {
        endpoint.resumes = true;
    }
    tier
}

async fn rest(mut body: hyper::body::Incoming) -> String {
    let mut text = String::new();
    while let Some(more) = chunk(&mut body).await {
        text.push_str(&more);
    }
    text
}

#[tokio::test]
async fn a_filter_that_speaks_in_the_middle_of_a_stream_is_not_walked_around() {
    let (mut big, light) = (TestTarget::start().await, TestTarget::start().await);
    let chain = vec![chat("big", &big.url), resuming(chat("light", &light.url))];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    writing.write(ONE);
    let body = beginning.await.unwrap().into_body();
    writing.write(FILTERED);
    let text = rest(body).await;
    assert!(text.contains("content_filter") && !text.contains("[DONE]"), "{text}");
    assert!(light.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn an_error_with_a_good_status_is_somebodys_fault_like_any_other() {
    for (code, is_told) in [("content_filter", true), ("server_error", false)] {
        let mut big = TestTarget::start().await;
        let world =
            World::start(config(vec![version("v1", vec![chat("big", &big.url), rules("desk")])])).await;
        let sending = world.sending(world.post("/v1/chat/completions", CALL));
        let error = json!({ "error": { "message": "no", "type": code, "code": code } });
        big.next().await.say(200, error.to_string());
        let got = sending.await.unwrap();
        if is_told {
            assert_eq!((got.status.as_u16(), got.error().1.as_str()), (400, "content_filter"));
            world.until_rate("v1", Arm::Stable, Signal::Rejected, (1, 1)).await;
        } else {
            assert_eq!(got.header("x-lockgate-target"), Some("desk"));
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn callers_in_a_hurry_open_no_breaker_and_fail_no_version() {
    let mut big = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big.url), rules("desk")])])).await;
    for _ in 0..8 {
        let mut request = world.post("/v1/chat/completions", CALL);
        request.headers_mut().insert("x-lockgate-deadline-ms", "40".parse().unwrap());
        let sending = world.sending(request);
        let _never_answered = big.next().await;
        let got = sending.await.unwrap();
        assert_eq!((got.status.as_u16(), got.header("x-lockgate-fallback")), (200, Some("big=out_of_time")));
    }
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    big.next().await.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().header("x-lockgate-target"), Some("big"));
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 9)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_target_that_asks_for_more_time_than_a_pause_may_take_makes_room_for_the_next() {
    let (mut big, mut light) = (TestTarget::start().await, TestTarget::start().await);
    let chain = vec![Tier { retries: 2, ..chat("big", &big.url) }, chat("light", &light.url)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    big.next().await.say_with(429, &[("retry-after", "15"), ("content-type", "application/json")], "{}");
    light.next().await.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().header("x-lockgate-fallback"), Some("big=rate_limited"));
    world.stop().await;
}

#[tokio::test]
async fn a_target_that_only_shows_that_it_lives_is_silent() {
    let mut big = TestTarget::start().await;
    let mut tier = chat("big", &big.url);
    tier.times.idle = Duration::from_millis(100);
    let world = World::start(config(vec![version("v1", vec![tier])])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    writing.write(ONE);
    let body = beginning.await.unwrap().into_body();
    let pinging = tokio::spawn(async move {
        for _ in 0..1_000 {
            writing.write(": still here\n\n");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let text = rest(body).await;
    assert!(text.contains("fell silent") && !text.contains("[DONE]"), "{text}");
    pinging.abort();
    world.stop().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_said_to_one_target_goes_on_to_one_that_can_take_it() {
    let (anthropic, mut open) = (TestTarget::start().await, TestTarget::start().await);
    let chain = vec![messages("anthropic", &anthropic.url), chat("open", &open.url)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let history = json!([
        { "role": "user", "content": "hi" },
        { "role": "assistant", "tool_calls": [{ "id": "t", "type": "function", "function": { "name": "f", "arguments": "{\"x\":" } }] },
        { "role": "tool", "tool_call_id": "t", "content": "?" },
    ]);
    let call = json!({ "model": FEATURE, "messages": history });
    let sending = world.sending(world.post("/v1/chat/completions", call.to_string()));
    open.next().await.say(200, ANSWER);
    let got = sending.await.unwrap();
    assert_eq!(
        (got.status.as_u16(), got.header("x-lockgate-fallback")),
        (200, Some("anthropic=not_translatable"))
    );
    assert!(anthropic.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn a_failure_after_a_comment_keeps_its_class() {
    let mut big = TestTarget::start().await;
    let mut config = config(vec![version("v1", vec![messages("big", &big.url)])]);
    config.bounds.ping = Duration::from_millis(20);
    let world = World::start(config).await;
    let beginning = world
        .beginning(world.post("/v1/messages", STREAM.replace("{\"model\"", "{\"max_tokens\":5,\"model\"")));
    let arrived = big.next().await;
    let mut body = beginning.await.unwrap().into_body();
    let mut text = chunk(&mut body).await.unwrap();
    arrived.say(
        529,
        "{\n \"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"Overloaded\"}}",
    );
    text.push_str(&rest(body).await);
    assert!(
        text.contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\""),
        "{text}"
    );
    assert!(text.contains(": attempts=1 target=big") || text.contains(": target=big"), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn an_error_in_a_translated_stream_is_told_in_the_callers_form() {
    let mut big = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![messages("big", &big.url)])])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = big.next().await.stream();
    writing.write(concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"one\"}}\n\n",
    ));
    let body = beginning.await.unwrap().into_body();
    writing.write("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n");
    let text = rest(body).await;
    assert!(
        text.contains("Overloaded") && text.contains("\"error\":{") && !text.contains("[DONE]"),
        "{text}"
    );
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_was_packed_unasked_is_unpacked_or_not_used() {
    let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packing.write_all(ANSWER.as_bytes()).unwrap();
    let whole = packing.finish().unwrap();
    let headers = [("content-encoding", "gzip"), ("content-type", "application/json")];
    let mut big = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big.url), rules("desk")])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    big.next().await.say_with(200, &headers, whole.clone());
    let got = sending.await.unwrap();
    assert_eq!((got.header("content-encoding"), &got.body[..]), (None, ANSWER.as_bytes()));
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    big.next().await.say_with(200, &headers, whole[..whole.len() - 9].to_vec());
    assert_eq!(sending.await.unwrap().header("x-lockgate-target"), Some("desk"));
    world.stop().await;
}

#[tokio::test]
async fn what_a_target_says_of_our_key_stays_here() {
    let mut big = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &big.url)])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let error = json!({ "error": { "message": "Incorrect API key provided: sk-abc", "type": "invalid_request_error", "code": "invalid_api_key" } });
    big.next().await.say(400, error.to_string());
    let got = sending.await.unwrap();
    assert_eq!(got.status.as_u16(), 502);
    assert!(!String::from_utf8_lossy(&got.body).contains("sk-abc"));
    world.stop().await;
}
