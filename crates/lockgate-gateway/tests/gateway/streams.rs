//! Streamed answers: when chunks pass, what is taken out, how an end that is none is told.

use std::time::Duration;

use lockgate_config::value::TargetKind;
use lockgate_core::duration_levels::never;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;

use crate::target::TestTarget;
use crate::world::*;

const STREAM: &str =
    r#"{"model":"support-reply","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
const HE: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"he\"}}]}\n\n";
const LLO: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"}}]}\n\n";
const STOP: &str =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

async fn world(target: &TestTarget) -> World {
    World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await
}

#[tokio::test]
async fn a_chunk_passes_before_the_next_one_is_sent() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = target.next().await.stream();
    writing.write(HE);
    let response = beginning.await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(response.headers()["x-lockgate-version"], "v1");
    let mut body = response.into_body();
    assert_eq!(chunk(&mut body).await.as_deref(), Some(HE));
    writing.write(LLO);
    assert_eq!(chunk(&mut body).await.as_deref(), Some(LLO));
    writing.write(STOP);
    assert_eq!(chunk(&mut body).await.as_deref(), Some(STOP));
    writing.write(DONE);
    assert_eq!(chunk(&mut body).await.as_deref(), Some(DONE));
    drop(writing);
    assert_eq!(chunk(&mut body).await, None);
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    assert_eq!(world.sum("v1", Arm::Stable, Signal::FirstToken).await.unwrap().n(), 1);
    world.stop().await;
}

#[tokio::test]
async fn the_usage_is_asked_for_counted_and_taken_out_again() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let sending = world.sending(world.post("/v1/chat/completions", STREAM));
    let arrived = target.next().await;
    assert!(arrived.text().ends_with(r#","stream_options":{"include_usage":true}}"#), "{}", arrived.text());
    let writing = arrived.stream();
    // The network cuts where it likes.
    let whole = [HE, LLO, STOP, USAGE, DONE].concat();
    let (start, end) = whole.split_at(HE.len() + 30);
    writing.write(start.to_owned());
    writing.write(end.to_owned());
    drop(writing);
    assert_eq!(sending.await.unwrap().body, [HE, LLO, STOP, DONE].concat());
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    let read = world.sum("v1", Arm::Stable, Signal::TokensIn).await;
    assert_eq!(read, Some(Sum::Amount { n: 1, total: 7, squares: 49 }));
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_asked_for_the_usage_gets_it_and_its_call_is_not_changed() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let asked = r#"{"model":"support-reply","stream":true, "stream_options": {"include_usage" : true},"messages":[]}"#;
    let sending = world.sending(world.post("/v1/chat/completions", asked));
    let arrived = target.next().await;
    assert_eq!(arrived.text(), asked);
    let whole = [HE, STOP, USAGE, DONE].concat();
    arrived.stream().write(whole.clone());
    assert_eq!(sending.await.unwrap().body, whole);
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_closes_the_targets_connection() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = target.next().await.stream();
    writing.write(HE);
    let mut body = beginning.await.unwrap().into_body();
    assert!(chunk(&mut body).await.is_some());
    drop(body);
    writing.closed().await;
    world.until_rate("v1", Arm::Stable, Signal::Cancelled, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Error).await, (0, 0));
    assert_eq!(world.sum("v1", Arm::Stable, Signal::Latency).await, None);
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_any_answer_closes_the_targets_connection() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let mut arrived = target.next().await;
    beginning.abort();
    within(arrived.answer.closed()).await;
    world.until_rate("v1", Arm::Stable, Signal::Cancelled, (1, 1)).await;
    let latency = world.sum("v1", Arm::Stable, Signal::Latency).await;
    assert_eq!(latency, Some(Sum::Levels([(never(), 1)].into())));
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_at_the_terminal_event_was_served() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = target.next().await.stream();
    writing.write([HE, STOP, DONE].concat());
    let mut body = beginning.await.unwrap().into_body();
    assert!(chunk(&mut body).await.unwrap().ends_with(DONE));
    drop(body);
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Cancelled).await, (0, 1));
    world.stop().await;
}

#[tokio::test]
async fn a_terminal_event_without_its_blank_line_is_an_end_all_the_same() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let sending = world.sending(world.post("/v1/chat/completions", STREAM));
    let whole = [HE, STOP, DONE.trim_end()].concat();
    target.next().await.stream().write(whole.clone());
    assert_eq!(sending.await.unwrap().body, whole);
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    world.stop().await;
}

/// A client that reads a stream at the test's pace.
struct Reading {
    body: hyper::body::Incoming,
    text: String,
}

impl Reading {
    async fn until(&mut self, end: &str) {
        while !self.text.ends_with(end) {
            self.text.push_str(&chunk(&mut self.body).await.expect("more to come"));
        }
    }

    async fn finish(&mut self) {
        while let Some(chunk) = chunk(&mut self.body).await {
            self.text.push_str(&chunk);
        }
    }
}

/// Plays a stream that does not end well and checks how that is told and counted.
async fn check_told(
    play: impl AsyncFnOnce(crate::target::Writing, &mut Reading),
    passed: &str,
    patience: Duration,
    timeouts: u64,
) {
    let mut target = TestTarget::start().await;
    let mut settings = endpoint(&target.url);
    settings.times.idle = patience;
    let chain = vec![tier("big", TargetKind::OpenAi(settings))];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = target.next().await.stream();
    writing.write(HE);
    let mut reading = Reading { body: beginning.await.unwrap().into_body(), text: String::new() };
    reading.until(HE).await;
    play(writing, &mut reading).await;
    reading.finish().await;

    let text = reading.text;
    let event = text.strip_prefix(passed).and_then(|rest| rest.strip_prefix("data: "));
    let event = event.unwrap_or_else(|| panic!("{text}"));
    let error: serde_json::Value = serde_json::from_str(event.trim_end()).unwrap();
    assert!(error["error"]["message"].is_string(), "{error}");
    assert!(!text.contains("[DONE]"), "{text}");
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Timeout).await, (timeouts, 1));
    world.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_told_so_in_the_stream() {
    let play = async |writing: crate::target::Writing, reading: &mut Reading| {
        writing.write([LLO, "data: {\"id\":\"c1\",\"cho"].concat());
        // An unfinished event is held back: no client could use it.
        reading.until(LLO).await;
        writing.break_off();
    };
    check_told(play, &[HE, LLO].concat(), crate::target::PATIENCE, 0).await;
}

#[tokio::test]
async fn a_stream_that_ends_without_its_terminal_event_is_told_so() {
    let play = async |writing: crate::target::Writing, _: &mut Reading| writing.write(STOP);
    check_told(play, &[HE, STOP].concat(), crate::target::PATIENCE, 0).await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_told_so_and_counts_as_a_time_out() {
    // Kept open for as long as the gateway listens.
    let play = async |writing: crate::target::Writing, _: &mut Reading| writing.closed().await;
    check_told(play, HE, Duration::from_millis(50), 1).await;
}

#[tokio::test]
async fn an_error_told_in_the_stream_is_passed_on_and_counts_as_one() {
    let play = async |writing: crate::target::Writing, reading: &mut Reading| {
        let error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";
        writing.write(error);
        reading.until(error).await;
        writing.write(DONE);
    };
    check_told(play, HE, crate::target::PATIENCE, 0).await;
}
