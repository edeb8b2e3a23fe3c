//! A target whose every answer is in the test's hands.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Longest that a test waits for anything; a loaded machine is slow, a hanging test is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestTarget {
    pub url: http::Uri,
    arrivals: mpsc::UnboundedReceiver<Arrived>,
}

/// A request that came in and waits for its answer.
pub struct Arrived {
    pub head: request::Parts,
    pub body: Bytes,
    pub answer: oneshot::Sender<Response<Chunks>>,
}

/// An answer's body, chunk by chunk; an error breaks it off.
pub struct Chunks(mpsc::UnboundedReceiver<Result<Bytes, BrokenOff>>);

#[derive(Debug)]
pub struct BrokenOff;

/// The writing end of a body.
pub struct Writing(mpsc::UnboundedSender<Result<Bytes, BrokenOff>>);

impl TestTarget {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap()).parse().unwrap();
        let (tell, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let tell = tell.clone();
                let service = service_fn(move |request| serve(request, tell.clone()));
                tokio::spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { url, arrivals }
    }

    /// A target that gives the same plain answer to every call.
    pub async fn saying(status: u16, body: &'static str) -> http::Uri {
        let mut target = Self::start().await;
        let url = target.url.clone();
        tokio::spawn(async move {
            while let Some(arrived) = target.arrivals.recv().await {
                arrived.say(status, body);
            }
        });
        url
    }

    /// The next request.
    pub async fn next(&mut self) -> Arrived {
        tokio::time::timeout(PATIENCE, self.arrivals.recv()).await.expect("a request in time").unwrap()
    }

    /// The next request, however long it takes.
    pub async fn try_next(&mut self) -> Option<Arrived> {
        self.arrivals.recv().await
    }

    /// Whether no request is waiting to be looked at.
    pub fn is_idle(&self) -> bool {
        self.arrivals.is_empty()
    }
}

impl Arrived {
    /// Answers at once with JSON.
    pub fn say(self, status: u16, body: impl Into<Bytes>) {
        let response = Response::builder().status(status).header("content-type", "application/json");
        self.reply(response.body(Chunks::whole(body.into())).unwrap());
    }

    /// Answers at once with something of a kind; of no kind when that is empty.
    pub fn say_as(self, status: u16, kind: &str, body: impl Into<Bytes>) {
        let kind: &[_] = if kind.is_empty() { &[] } else { &[("content-type", kind)] };
        self.say_with(status, kind, body);
    }

    /// Answers at once with these headers.
    pub fn say_with(self, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        self.reply(response.body(Chunks::whole(body.into())).unwrap());
    }

    pub fn reply(self, response: Response<Chunks>) {
        // Nobody listens when the gateway has left, which some tests are about.
        let _ = self.answer.send(response);
    }

    /// Begins a stream.
    pub fn stream(self) -> Writing {
        let (writing, chunks) = Chunks::open();
        let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
        self.reply(response.body(chunks).unwrap());
        writing
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Chunks {
    pub fn open() -> (Writing, Self) {
        let (writing, chunks) = mpsc::unbounded_channel();
        (Writing(writing), Self(chunks))
    }

    pub fn whole(bytes: Bytes) -> Self {
        let (writing, chunks) = Self::open();
        writing.write(bytes);
        chunks
    }
}

impl Writing {
    pub fn write(&self, chunk: impl Into<Bytes>) {
        let _ = self.0.send(Ok(chunk.into()));
    }

    /// Cuts the connection in the middle of the body.
    pub fn break_off(self) {
        let _ = self.0.send(Err(BrokenOff));
    }

    /// Until the other side has closed the connection.
    pub async fn closed(&self) {
        tokio::time::timeout(PATIENCE, self.0.closed()).await.expect("the connection is closed");
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for BrokenOff {}

async fn serve(
    request: Request<Incoming>,
    tell: mpsc::UnboundedSender<Arrived>,
) -> Result<Response<Chunks>, BrokenOff> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let (answer, answered) = oneshot::channel();
    let _: Result<(), _> = tell.send(Arrived { head, body, answer });
    answered.await.map_err(|_| BrokenOff)
}
