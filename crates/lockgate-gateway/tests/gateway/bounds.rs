//! What is refused, and how that is told.

use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::target::TestTarget;
use crate::world::*;

const CHAT: &str = "/v1/chat/completions";

async fn world() -> World {
    let url = TestTarget::saying(200, ANSWER).await;
    World::start(config(vec![version("v1", vec![chat("big", &url)])])).await
}

/// Sends a body and checks status, code, and that the message says what helps.
async fn check_body(body: impl Into<bytes::Bytes>, status: u16, code: &str, says: &str) {
    let world = world().await;
    let got = world.send(world.post(CHAT, body)).await;
    let (message, told) = got.error();
    assert_eq!((got.status.as_u16(), told.as_str()), (status, code), "{message}");
    assert!(message.contains(says), "{message}");
    assert!(got.header("x-lockgate-request-id").is_some());
    assert!(got.header("server-timing").is_some());
    assert_eq!(world.call().await.status, 200, "it goes on");
    world.stop().await;
}

#[tokio::test]
async fn bodies_that_cannot_be_used_are_told_why() {
    check_body("", 400, "invalid_json", "empty").await;
    check_body("{\"model\":", 400, "invalid_json", "line 1").await;
    check_body("[1]", 400, "invalid_json", "object").await;
    check_body(&b"{\"model\":\"\xff\"}"[..], 400, "invalid_utf8", "offset 10").await;
    check_body(r#"{"messages":[]}"#, 400, "missing_required_parameter", "model").await;
    check_body(r#"{"model":"support-reply"}"#, 400, "missing_required_parameter", "messages").await;
    check_body(r#"{"model":1,"messages":[]}"#, 400, "invalid_type", "model").await;
    check_body(r#"{"model":"support-reply","messages":[],"stream":"yes"}"#, 400, "invalid_type", "stream")
        .await;
    check_body(r#"{"model":"nobody","messages":[]}"#, 404, "model_not_found", "nobody").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_the_limit() {
    check_body("x".repeat(100_001), 413, "request_too_large", "100000").await;
    check_body("x".repeat(3_000_000), 413, "request_too_large", "100000").await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_refused_when_it_grows_too_large() {
    let world = world().await;
    let address = world.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let piece = format!("{:x}\r\n{}\r\n", 60_000, "y".repeat(60_000));
    socket.write_all(piece.as_bytes()).await.unwrap();
    socket.write_all(piece.as_bytes()).await.unwrap();
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(said(&mut socket).await.starts_with("HTTP/1.1 413 "));
    world.stop().await;
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused_in_json_with_the_limit() {
    let world = world().await;
    let mut request = world.post(CHAT, CALL);
    request.headers_mut().insert("x-long", "z".repeat(9_000).parse().unwrap());
    let got = world.send(request).await;
    let (message, code) = got.error();
    assert_eq!((got.status.as_u16(), code.as_str()), (431, "headers_too_large"));
    assert!(message.contains("8000"), "{message}");

    let mut request = world.post(CHAT, CALL);
    request.headers_mut().insert("x-very-long", "z".repeat(90_000).parse().unwrap());
    assert_eq!(world.send(request).await.status, 431);
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused_at_the_calls_deadline() {
    let world = world().await;
    let address = world.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nx-lockgate-deadline-ms: 50\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    assert!(said(&mut socket).await.starts_with("HTTP/1.1 408 "));
    world.stop().await;
}

async fn said(socket: &mut TcpStream) -> String {
    let mut bytes = vec![0; 1_000];
    let read = within(socket.read(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_packed_bodies_are_told_so() {
    let world = world().await;
    let got = world.send(world.post("/v1/completion", "{}")).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (404, "unknown_url"));

    let got = world.send(world.ask(Method::GET, CHAT, "")).await;
    assert_eq!((got.status.as_u16(), got.header("allow")), (405, Some("POST")));
    let got = world.send(world.post("/v1/models", "")).await;
    assert_eq!((got.status.as_u16(), got.header("allow")), (405, Some("GET, HEAD")));

    let mut request = world.post(CHAT, CALL);
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let got = world.send(request).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (415, "unsupported_encoding"));

    for wrong in ["soon", "0", "-5", "1.5"] {
        let mut request = world.post(CHAT, CALL);
        request.headers_mut().insert("x-lockgate-deadline-ms", wrong.parse().unwrap());
        assert_eq!(world.send(request).await.status, 400, "{wrong}");
    }
    assert_eq!(world.send(world.ask(Method::GET, "/health/live", "")).await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn one_call_too_many_is_asked_to_come_back() {
    let mut target = TestTarget::start().await;
    let mut config = config(vec![version("v1", vec![chat("big", &target.url)])]);
    config.bounds.calls_max = 1;
    let world = World::start(config).await;
    let sending = world.sending(world.post(CHAT, CALL));
    let arrived = target.next().await;
    let refused = world.call().await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("1")));
    assert_eq!(world.gateway.counts().calls_refused, 1);
    arrived.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().status, 200);
    let sending = world.sending(world.post(CHAT, CALL));
    target.next().await.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_call_ends_at_its_own_deadline() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let mut request = world.post(CHAT, CALL);
    request.headers_mut().insert("x-lockgate-deadline-ms", "60".parse().unwrap());
    let started = std::time::Instant::now();
    let sending = world.sending(request);
    let mut arrived = target.next().await;
    let got = sending.await.unwrap();
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (504, "deadline_exceeded"));
    assert_eq!(got.header("x-should-retry"), Some("false"));
    assert!(started.elapsed() >= Duration::from_millis(60));
    within(arrived.answer.closed()).await;
    world.stop().await;
}
