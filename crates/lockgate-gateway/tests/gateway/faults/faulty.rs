//! A target that misbehaves on purpose, on raw sockets: what it does is what the network does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lockgate_wire::api::Api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Events of content in a whole stream.
pub const CHUNKS: usize = 60;

/// What it does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Good,
    /// An answer of this status, with further header lines and with an error of this class and code.
    Refuse {
        status: u16,
        headers: &'static str,
        kind: &'static str,
        code: &'static str,
        message: &'static str,
    },
    /// Takes the call and resets the connection.
    Reset,
    /// Takes the call and never says a word.
    Silent,
    /// Begins at once, and says its first word too late.
    SlowFirstWord,
    /// Breaks the connection in the middle of the answer.
    Cut,
    /// Stops in the middle of the answer and keeps the connection.
    Stall,
    /// Says what is no JSON in the middle of the answer.
    Malformed,
    /// Says what is no JSON before anything else.
    MalformedFirst,
    /// Closes the connection in good order, without the end of the answer.
    WithoutEnd,
}

/// A target that does what a test says.
pub struct Faulty {
    pub url: http::Uri,
    calls: Arc<AtomicUsize>,
}

impl Faulty {
    /// A target that does `acts` in turn, call by call, and the last of them from then on.
    pub async fn start(api: Api, acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acts, counted) = (acts.clone(), Arc::clone(&counted));
                tokio::spawn(async move { converse(socket, api, &acts, &counted).await });
            }
        });
        Self { url, calls }
    }

    /// How many calls have come.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn converse(mut socket: TcpStream, api: Api, acts: &[Act], counted: &AtomicUsize) {
    while let Some(call) = read_call(&mut socket).await {
        let index = counted.fetch_add(1, Ordering::SeqCst);
        let act = acts.get(index).or(acts.last()).copied().unwrap_or(Act::Good);
        if act == Act::Reset {
            // With no time to linger, closing sends a reset.
            let _ = socket.set_zero_linger();
            return;
        }
        if perform(&mut socket, api, act, &call).await.is_err() || act != Act::Good {
            return;
        }
    }
}

/// The next call's body; `None` when the connection is over.
async fn read_call(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|length| length.trim().parse().ok())
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Some(String::from_utf8_lossy(&bytes[end + 4..end + 4 + length]).into_owned());
            }
        }
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}

async fn perform(socket: &mut TcpStream, api: Api, act: Act, call: &str) -> std::io::Result<()> {
    let call: serde_json::Value = serde_json::from_str(call).unwrap_or_default();
    if act == Act::Silent {
        return wait_for_hang_up(socket).await;
    }
    if let Act::Refuse { status, headers, kind, code, message } = act {
        let body = refusal(api, kind, code, message);
        return say(socket, status, headers, &body).await;
    }
    if call["stream"] == true { stream(socket, api, act).await } else { plain(socket, api, act).await }
}

async fn wait_for_hang_up(socket: &mut TcpStream) -> std::io::Result<()> {
    // Longer than any test waits.
    let mut buffer = [0; 16];
    let _ = tokio::time::timeout(Duration::from_secs(60), socket.read(&mut buffer)).await;
    Ok(())
}

async fn say(socket: &mut TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await
}

async fn plain(socket: &mut TcpStream, api: Api, act: Act) -> std::io::Result<()> {
    let body = whole(api);
    let (first, _) = body.split_at(body.len() / 2);
    match act {
        Act::SlowFirstWord => wait_for_hang_up(socket).await,
        Act::Cut | Act::Stall => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
                body.len()
            );
            socket.write_all(head.as_bytes()).await?;
            if act == Act::Stall { wait_for_hang_up(socket).await } else { Ok(()) }
        }
        Act::Malformed | Act::MalformedFirst => say(socket, 200, "", "{\"oops\": tru").await,
        // Without a length, only the JSON tells that this is not all.
        Act::WithoutEnd => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{first}"
            );
            socket.write_all(head.as_bytes()).await
        }
        _ => say(socket, 200, "", &body).await,
    }
}

async fn stream(socket: &mut TcpStream, api: Api, act: Act) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    chunk(socket, &preamble(api)).await?;
    match act {
        Act::SlowFirstWord => return wait_for_hang_up(socket).await,
        Act::MalformedFirst => return chunk(socket, "data: {\"oops\": tru\n\n").await,
        _ => {}
    }
    for index in 0..CHUNKS {
        chunk(socket, &content(api, index)).await?;
        if index + 1 < 40 {
            continue;
        }
        match act {
            Act::Cut => return Ok(()),
            Act::Stall => return wait_for_hang_up(socket).await,
            Act::Malformed if index == 40 => chunk(socket, "data: {\"oops\": tru\n\n").await?,
            _ => {}
        }
    }
    if act != Act::WithoutEnd {
        chunk(socket, &end(api)).await?;
    }
    socket.write_all(b"0\r\n\r\n").await
}

async fn chunk(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    socket.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

/// What a whole answer says.
pub fn said() -> String {
    (0..CHUNKS).map(word).collect()
}

fn word(index: usize) -> String {
    format!("w{index} ")
}

fn whole(api: Api) -> String {
    let text = serde_json::Value::from(said());
    match api {
        Api::Messages => format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"small-1","content":[{{"type":"text","text":{text}}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":11,"output_tokens":60}}}}"#
        ),
        _ => format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"big-1","choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":11,"completion_tokens":60,"total_tokens":71}}}}"#
        ),
    }
}

fn preamble(api: Api) -> String {
    match api {
        Api::Messages => "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"small-1\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n".to_owned(),
        _ => "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"big-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n".to_owned(),
    }
}

fn content(api: Api, index: usize) -> String {
    let text = serde_json::Value::from(word(index));
    match api {
        Api::Messages => format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{text}}}}}\n\n"
        ),
        _ => format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"big-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}},\"finish_reason\":null}}]}}\n\n"
        ),
    }
}

fn end(api: Api) -> String {
    match api {
        Api::Messages => "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":60}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
        _ => "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"big-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"big-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":60,\"total_tokens\":71}}\n\ndata: [DONE]\n\n".to_owned(),
    }
}

fn refusal(api: Api, kind: &str, code: &str, message: &str) -> String {
    match api {
        Api::Messages => {
            serde_json::json!({ "type": "error", "error": { "type": kind, "message": message } })
        }
        _ => {
            serde_json::json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
        }
    }
    .to_string()
}
