//! The official `OpenAI` SDKs with what the provider really answered.
//!
//! A script compares what the SDK gives with the recording (`python/recorded.py`, `node/recorded.mjs`); what the upstream saw of
//! the calls is checked here.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use lockgate_sim::replay::{Ended, Exchange, Pace, Replay};
use serde_json::{Value, json};

use crate::raw::{ASKING, QUIET, configuration};
use crate::recordings;
use crate::script::Script;
use crate::server::{CLIENT_KEY, MODEL, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_works_by_its_base_url_alone() {
    check(Script::python("python", "python/recorded.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_sdk_works_by_its_base_url_alone() {
    check(Script::node("node/recorded.mjs")).await;
}

/// Runs a script against a server, then looks at what the upstream saw.
async fn check(script: Script) {
    let upstream = Replay::start(7).await.unwrap();
    for recording in recordings::kept() {
        assert!(upstream.offer(recording.exchange));
    }
    for exchange in [refused(400), refused(401), refused(429), slow()] {
        assert!(upstream.offer(exchange));
    }
    let server = Server::start(&configuration(&upstream)).await;
    let script = script.told("BASE_URL", server.url("/v1")).told("API_KEY", CLIENT_KEY);
    let script = script.told("RECORDED", recordings::kept_file());
    script.told("FEATURE", ASKING).told("QUIET_FEATURE", QUIET).run().await;
    check_seen(&upstream).await;
}

/// What the scripts' calls must have looked like at the provider.
async fn check_seen(upstream: &Replay) {
    let body = |id: &str| -> Value {
        let seen = upstream.seen(id).unwrap_or_else(|| panic!("no call for {id} arrived"));
        serde_json::from_slice(&seen.body).unwrap()
    };
    let image = body("df967da4efcb");
    assert_eq!(image["model"], MODEL);
    assert_eq!(image["messages"][0]["content"][1]["image_url"]["url"], "data:image/png;base64,iVBORw0KGgo=");
    assert_eq!(body("37ab7eb47874")["a_field_of_tomorrow"], json!({"keep": [1, 2.5, null, "é"]}));
    assert_eq!(body("f3265d4426bd")["tools"][0]["function"]["name"], "get_weather");
    assert_eq!(body("ccbda242f7de")["stream_options"], json!({"include_usage": true}));

    let noticed = async {
        while upstream.seen("slow").is_none_or(|seen| seen.ended != Ended::CutOff) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed)
        .await
        .expect("the upstream was not told that the client left");
}

/// A provider's refusal, as OpenAI words it.
fn refused(status: u16) -> Exchange {
    let (kind, code, message) = match status {
        400 => (
            "invalid_request_error",
            "invalid_value",
            "Invalid value: 'robot'. Supported values are: 'system', 'user'.",
        ),
        401 => ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-pr*****4711."),
        _ => ("tokens", "rate_limit_exceeded", "Rate limit reached. Please try again in 644ms."),
    };
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    let mut headers = vec![
        ("content-type".to_owned(), "application/json; charset=utf-8".to_owned()),
        ("x-request-id".to_owned(), format!("req_{status}")),
    ];
    if status == 429 {
        headers.push(("retry-after".to_owned(), "7".to_owned()));
    }
    Exchange {
        id: format!("refused-{status}"),
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: serde_json::to_vec_pretty(&body).unwrap().into(),
        pace: Pace::Whole,
    }
}

/// A stream that goes on for longer than anybody waits for it.
fn slow() -> Exchange {
    let event = json!({
        "id": "chatcmpl-slow", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "delta": {"content": "and so on "}, "finish_reason": null}]
    });
    Exchange {
        id: "slow".into(),
        status: StatusCode::OK,
        headers: vec![("content-type".into(), "text/event-stream; charset=utf-8".into())],
        body: Bytes::from(format!("data: {event}\n\n").repeat(20_000)),
        pace: Pace::Slow(Duration::from_millis(10)),
    }
}
