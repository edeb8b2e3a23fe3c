//! The calling side of the benchmark: one connection, one call at a time, no more machinery than a socket.
//!
//! A client library would add its own time and its own noise to both ways.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// A call that takes longer is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// How an answer came.
pub struct Answered {
    /// When its first bytes beyond the head were there.
    pub first: Duration,
    /// When its last byte was.
    pub whole: Duration,
    /// How long its body is.
    pub bytes: usize,
}

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    /// Reused for every call.
    line: String,
    answer: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("nobody listens at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STUCK_AFTER))?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), answer: Vec::new() })
    }

    /// Posts a body as a chat completion and reads the whole answer.
    pub fn call(&mut self, body: &str) -> anyhow::Result<Answered> {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let start = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?.to_owned();
        let length = self.headers()?;
        self.answer.clear();
        // Of a stream whose head travels alone, the first chunk is waited for: a head is nothing that anybody reads.
        self.stream.fill_buf()?;
        let first = start.elapsed();
        match length {
            Some(length) => {
                self.answer.resize(length, 0);
                self.stream.read_exact(&mut self.answer)?;
            }
            None => self.chunks()?,
        }
        if !status.starts_with("HTTP/1.1 200") {
            bail!("{status}: {}", String::from_utf8_lossy(&self.answer));
        }
        Ok(Answered { first, whole: start.elapsed(), bytes: self.answer.len() })
    }

    /// Reads the headers; gives the body's length, `None` when it comes in chunks.
    fn headers(&mut self) -> anyhow::Result<Option<usize>> {
        let mut length = None;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(length);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn chunks(&mut self) -> anyhow::Result<()> {
        loop {
            let length = usize::from_str_radix(self.line()?, 16)?;
            let start = self.answer.len();
            self.answer.resize(start + length, 0);
            let Some(chunk) = self.answer.get_mut(start..) else { bail!("the answer is too long") };
            self.stream.read_exact(chunk)?;
            self.line()?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> anyhow::Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            bail!("the connection was closed in the middle of an answer");
        }
        Ok(self.line.trim_end())
    }
}
