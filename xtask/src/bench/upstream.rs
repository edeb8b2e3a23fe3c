//! The answering side of the benchmark: it gives every call the same answer at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::Context as _;

/// Events of a streamed answer before its end.
const EVENTS: usize = 20;

/// An upstream that listens as long as the process lives.
pub struct Upstream {
    address: SocketAddr,
}

impl Upstream {
    /// Listens on a free port, with a thread per connection: the gateway keeps a few open, no more.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A caller that goes away ends its own thread only.
                std::thread::spawn(move || serve(stream).ok());
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn serve(stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (plain, events) = (plain(), events());
    let mut stream = BufReader::new(stream);
    let mut body = Vec::new();
    while let Some(length) = request_head(&mut stream)? {
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
        let asks_stream = body.windows(13).any(|window| window == br#""stream":true"#);
        if asks_stream {
            for piece in &events {
                stream.get_mut().write_all(piece)?;
            }
        } else {
            stream.get_mut().write_all(&plain)?;
        }
    }
    Ok(())
}

/// Reads a request up to its body; gives the body's length, `None` at the end of the connection.
fn request_head(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Option<usize>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim_end().is_empty() {
            return Ok(Some(length));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
}

fn plain() -> Vec<u8> {
    let body = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Your parcel is on its way and should arrive tomorrow before noon."},"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":14,"total_tokens":134}}"#;
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Head and events as pieces that are sent one by one.
fn events() -> Vec<Vec<u8>> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len()).into_bytes();
    let event = |delta: &str, finish: &str| {
        chunk(&format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        ))
    };
    let mut pieces = vec![head.into()];
    pieces.extend((0..EVENTS).map(|_| event(r#"{"content":" word"}"#, "null")));
    pieces.push(event("{}", "\"stop\""));
    pieces.push([chunk("data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat());
    pieces
}
