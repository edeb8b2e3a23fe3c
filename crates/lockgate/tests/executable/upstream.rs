//! A target whose answers a test writes: calls are counted, and each is answered as the test's function says.
//!
//! It speaks plain sockets, so that an answer can be as slow, as long or as rude as a test wants it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How a call is answered.
pub enum Reply {
    /// Whole, after a while.
    Plain { after: Duration },
    /// As so many events with content, each of about so many bytes, with a pause before each, and the terminal event.
    Stream { events: usize, bytes: usize, pause: Duration },
    /// As an error, with further header lines, each with its line end.
    Error { status: u16, headers: &'static str },
}

/// A listening target; it goes when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: tokio::task::JoinHandle<()>,
}

/// What has happened so far.
#[derive(Default)]
pub struct Counts {
    /// Bytes of streams that the gateway took.
    pub streamed: AtomicU64,
}

impl Upstream {
    /// Answers each call as the function says of its body.
    pub async fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts: Arc<Counts> = Arc::default();
        let (script, counted) = (Arc::new(script), Arc::clone(&counts));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, counts) = (Arc::clone(&script), Arc::clone(&counted));
                // A gateway that leaves is what some tests are about.
                connections.spawn(async move { serve(stream, &*script, &counts).await.ok() });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, counts, accepting }
    }

    /// What a target's `base_url` is set to.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    stream: TcpStream,
    script: &(impl Fn(&str) -> Reply + Sync),
    counts: &Counts,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(body) = read_call(&mut stream).await? {
        match script(&body) {
            Reply::Plain { after } => {
                tokio::time::sleep(after).await;
                write_plain(&mut stream, "200 OK", "", &answer()).await?;
            }
            Reply::Error { status, headers } => {
                let body = r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#;
                write_plain(&mut stream, &format!("{status} No"), headers, body).await?;
            }
            Reply::Stream { events, bytes, pause } => {
                write_stream(&mut stream, events, bytes, pause, counts).await?;
            }
        }
    }
    Ok(())
}

/// The body of the next call; `None` when no more come.
async fn read_call(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let lower = line.trim_end().to_ascii_lowercase();
        if let Some(told) = lower.strip_prefix("content-length:") {
            length = told.trim().parse().map_err(io::Error::other)?;
        }
        if lower.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    String::from_utf8(body).map(Some).map_err(io::Error::other)
}

async fn write_plain(
    stream: &mut BufReader<TcpStream>,
    status: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

async fn write_stream(
    stream: &mut BufReader<TcpStream>,
    events: usize,
    bytes: usize,
    pause: Duration,
    counts: &Counts,
) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let content = chunk(&json!({ "content": "word ".repeat(bytes.div_ceil(5)) }), &json!(null));
    for _ in 0..events {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        stream.write_all(content.as_bytes()).await?;
        counts.streamed.fetch_add(content.len() as u64, Ordering::Relaxed);
    }
    let end = [chunk(&json!({}), &json!("stop")), framed("data: [DONE]\n\n"), "0\r\n\r\n".to_owned()];
    stream.write_all(end.concat().as_bytes()).await
}

fn chunk(delta: &serde_json::Value, finish_reason: &serde_json::Value) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
    let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice] });
    framed(&format!("data: {chunk}\n\n"))
}

fn framed(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn answer() -> String {
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "It is on its way." }, "finish_reason": "stop" });
    let usage = json!({ "prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10 });
    json!({ "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage })
        .to_string()
}

/// A configuration with this target before the rules, and further fields of the target and of the file.
pub fn yaml(upstream: &Upstream, of_target: &str, of_file: &str) -> String {
    format!(
        r#"
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0 }}
store: sqlite://lockgate.db
targets:
  provider: {{ kind: openai, base_url: "{}"{of_target} }}
  desk: {{ kind: rules, otherwise: "We are short of hands." }}
features:
  support-reply:
    owner: support-platform
    stable: v1
    versions:
      v1: {{ kind: model, chain: [{{ target: provider, model: model-1 }}, {{ target: desk }}] }}
{of_file}"#,
        upstream.base_url()
    )
}
