//! A server that is told to stop under load: everybody who was let in gets a whole answer, and then it ends.
//!
//! Load is 100 streams that are under way and plain calls at a steady rate, some each on a connection of its own, some on
//! connections that are kept. Callers go on until they are refused, as they would behind a balancer that has not noticed yet.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{LONG_ENOUGH, Server, directory};
use crate::upstream::{Reply, Upstream, yaml};

const ROUNDS: usize = 3;
const STREAMS: usize = 100;
/// Events of a stream, one each tenth of a second: longer than the listener stays open.
const EVENTS: usize = 20;
/// Connections that are kept, each with a call every few milliseconds.
const KEPT_CONNECTIONS: usize = 4;
const BETWEEN_CALLS: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_under_load_it_cuts_and_loses_no_call() {
    let upstream = Upstream::start(|body| match body.contains(r#""stream":true"#) {
        true => Reply::Stream { events: EVENTS, bytes: 40, pause: Duration::from_millis(100) },
        false => Reply::Plain { after: Duration::from_millis(30) },
    })
    .await;
    for round in 1..=ROUNDS {
        let server = Server::start(&directory(), &yaml(&upstream, "", "")).await;
        let told = stop_under_load(server).await;
        println!("round {round}: {told}");
    }
}

async fn stop_under_load(server: Server) -> String {
    let address = server.clients;
    let counts = Arc::new(Counts::default());
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        streams.spawn(stream(address, Arc::clone(&counts)));
    }
    let mut plain = JoinSet::new();
    plain.spawn(on_new_connections(address, Arc::clone(&counts)));
    for _ in 0..KEPT_CONNECTIONS {
        plain.spawn(on_a_kept_connection(address, Arc::clone(&counts)));
    }
    until("all streams have begun", || counts.begun.load(Ordering::Relaxed) >= STREAMS as u64).await;
    until("plain calls are answered", || counts.answered.load(Ordering::Relaxed) >= 20).await;
    assert_eq!(ready(address).await, Some(StatusCode::OK));

    let stopped = Instant::now();
    let ending = tokio::spawn(server.terminate());
    let unready = async {
        while ready(address).await == Some(StatusCode::OK) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ready(address).await
    };
    let said = tokio::time::timeout(LONG_ENOUGH, unready).await.unwrap();
    assert_eq!(
        said,
        Some(StatusCode::SERVICE_UNAVAILABLE),
        "it says that it is unready while it still listens"
    );
    let unready_after = stopped.elapsed();

    let mut problems = Vec::new();
    for mut calls in [streams, plain] {
        while let Some(ended) = tokio::time::timeout(LONG_ENOUGH, calls.join_next()).await.unwrap() {
            problems.extend(ended.unwrap());
        }
    }
    let status = ending.await.unwrap();
    assert_eq!(problems, Vec::<String>::new());
    assert!(status.success(), "{status}");
    let [whole, answered, closing] =
        [&counts.whole, &counts.answered, &counts.told_to_close].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(whole, STREAMS as u64);
    assert!(closing > 0, "nobody was told that the connection closes");
    format!(
        "{whole} streams and {answered} plain calls whole, {closing} told to close; unready after {unready_after:?}, ended after {:?}",
        stopped.elapsed()
    )
}

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    whole: AtomicU64,
    answered: AtomicU64,
    told_to_close: AtomicU64,
}

impl Counts {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// One stream to its end; whatever is wrong with it.
async fn stream(address: SocketAddr, counts: Arc<Counts>) -> Vec<String> {
    let mut problems = Vec::new();
    let reading = async {
        let mut connection = connect(address).await.map_err(|error| error.to_string())?;
        let response = connection.send_request(call(true)).await.map_err(|error| format!("{error:?}"))?;
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("cut after {} bytes: {error:?}", text.len()))?;
            if text.is_empty() {
                Counts::add(&counts.begun);
            }
            text.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        }
        let text = String::from_utf8_lossy(&text);
        match (text.matches("word").count(), text.ends_with("data: [DONE]\n\n")) {
            (words, true) if words == EVENTS * 8 => {
                Counts::add(&counts.whole);
                Ok(())
            }
            (words, _) => Err(format!("a stream with {words} words: {text}")),
        }
    };
    problems.extend(reading.await.err());
    problems
}

/// Calls at a steady rate, each on a connection of its own, until connections are refused.
async fn on_new_connections(address: SocketAddr, counts: Arc<Counts>) -> Vec<String> {
    let mut calls = JoinSet::new();
    let mut ticks = tokio::time::interval(BETWEEN_CALLS / 2);
    loop {
        ticks.tick().await;
        match connect(address).await {
            Ok(mut connection) => {
                let counts = Arc::clone(&counts);
                calls.spawn(async move { plain(&mut connection, &counts).await });
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
            Err(error) => return vec![error.to_string()],
        }
    }
    calls.join_all().await.into_iter().filter_map(Result::err).collect()
}

/// Calls on one connection, and on another when it is told to be closed, until connections are refused.
async fn on_a_kept_connection(address: SocketAddr, counts: Arc<Counts>) -> Vec<String> {
    loop {
        let mut connection = match connect(address).await {
            Ok(connection) => connection,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Vec::new(),
            Err(error) => return vec![error.to_string()],
        };
        loop {
            match plain(&mut connection, &counts).await {
                Ok(Connection::Stays) => tokio::time::sleep(BETWEEN_CALLS).await,
                Ok(Connection::Closes) => break,
                Err(problem) => return vec![problem],
            }
        }
    }
}

/// What an answer says of the connection that it came by.
enum Connection {
    Stays,
    Closes,
}

async fn plain(connection: &mut SendRequest<Full<Bytes>>, counts: &Counts) -> Result<Connection, String> {
    let response =
        connection.send_request(call(false)).await.map_err(|error| format!("no answer: {error:?}"))?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| format!("half an answer: {error:?}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    if head.status != StatusCode::OK || !text.contains("on its way") {
        return Err(format!("{}: {text}", head.status));
    }
    Counts::add(&counts.answered);
    if head.headers.get("connection").is_some_and(|value| value == "close") {
        Counts::add(&counts.told_to_close);
        return Ok(Connection::Closes);
    }
    Ok(Connection::Stays)
}

async fn connect(address: SocketAddr) -> std::io::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

fn call(is_stream: bool) -> Request<Full<Bytes>> {
    let body = format!(
        r#"{{"model":"support-reply","stream":{is_stream},"messages":[{{"role":"user","content":"Where is my order?"}}]}}"#
    );
    Request::post("/v1/chat/completions")
        .header("host", "lockgate")
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap()
}

/// What the readiness check says; `None` when nobody answers.
async fn ready(address: SocketAddr) -> Option<StatusCode> {
    let mut connection = connect(address).await.ok()?;
    let request = Request::get("/health/ready").header("host", "lockgate").body(Full::default()).unwrap();
    Some(connection.send_request(request).await.ok()?.status())
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG_ENOUGH, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
