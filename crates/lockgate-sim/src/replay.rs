//! An upstream that answers with recorded exchanges, byte for byte.
//!
//! Invented answers show that a gateway copes with what its authors thought of. Recorded ones show that it copes with what
//! providers send: odd headers, error bodies with line breaks, streams with fields that no document names. Where the network
//! cut a recorded stream is not known, so it is cut here at seeded random places, inside characters and line ends too: a
//! relay must not care.
//!
//! A call says which exchange it wants with its body's `user` member, which a gateway passes through; a call without one gets
//! the exchange that was queued first ([`Replay::queue`]). What arrived, and whether the answer was taken to its end, is kept
//! and can be asked for ([`Replay::seen`]).

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;

/// Largest request that is taken: far above any recording, far below what would hurt a test machine.
const REQUEST_BYTES_MAX: usize = 32 << 20;
/// Calls that are remembered; the oldest are forgotten first.
const SEEN_MAX: usize = 4_096;
/// Exchanges that may be offered or queued at once.
const EXCHANGES_MAX: usize = 4_096;
/// Longest piece of a cut body: a few events of a stream, so that most events are cut somewhere.
const PIECE_BYTES_MAX: u64 = 700;

/// An answer to give.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// How a call asks for it.
    pub id: String,
    /// The status.
    pub status: StatusCode,
    /// The headers, as recorded. Those about one connection (`transfer-encoding` and the like) are left out when it is sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How the body is sent.
    pub pace: Pace,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// In one piece, with its length.
    Whole,
    /// In pieces of random length, each as soon as the one before has been taken.
    Cut,
    /// In pieces of random length with this much time between two: a stream that can be left while it runs.
    Slow(Duration),
}

/// A recorded call with its answer.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Which API was called, such as `openai.chat`.
    pub api: String,
    /// The request body as JSON text.
    pub request: String,
    /// Whether a stream was asked for.
    pub is_stream: bool,
    /// The answer.
    pub exchange: Exchange,
}

/// One line of a file of recordings.
#[derive(Deserialize)]
struct RecordedLine<'l> {
    id: String,
    api: String,
    stream: bool,
    status: u16,
    #[serde(borrow)]
    request: &'l RawValue,
    response_headers: HashMap<String, String>,
    response_body: String,
}

/// Why a line is not a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is not JSON, or members are missing.
    #[error("the line is not a recorded exchange")]
    Shape(#[from] serde_json::Error),
    /// No such HTTP status.
    #[error("{0} is not an HTTP status")]
    Status(u16),
}

impl Recording {
    /// Reads one line of a file of recordings.
    pub fn from_line(line: &str) -> Result<Self, RecordingError> {
        let line: RecordedLine<'_> = serde_json::from_str(line)?;
        let status = StatusCode::from_u16(line.status).map_err(|_| RecordingError::Status(line.status))?;
        let mut headers: Vec<(String, String)> = line.response_headers.into_iter().collect();
        headers.sort();
        if headers.is_empty() {
            // Whoever recorded it kept none, but without this one no client would read a stream as one.
            let kind = if line.stream { "text/event-stream; charset=utf-8" } else { "application/json" };
            headers.push((CONTENT_TYPE.to_string(), kind.to_owned()));
        }
        Ok(Self {
            api: line.api,
            request: line.request.get().to_owned(),
            is_stream: line.stream,
            exchange: Exchange {
                id: line.id,
                status,
                headers,
                body: line.response_body.into(),
                pace: if line.stream { Pace::Cut } else { Pace::Whole },
            },
        })
    }
}

/// A call that arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The exchange it was answered with; empty when there was none for it.
    pub id: String,
    /// Method and path.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What became of the answer.
    pub ended: Ended,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is being sent.
    NotYet,
    /// The caller took all of it.
    Whole,
    /// The caller left before its end.
    CutOff,
}

/// A running upstream; it stops when this is dropped.
#[derive(Debug)]
pub struct Replay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Holds the accepting task, which holds the connections' tasks.
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    offered: HashMap<String, Exchange>,
    queued: VecDeque<Exchange>,
    seen: VecDeque<Seen>,
    forgotten: u64,
    cuts: Cuts,
}

impl Replay {
    /// Listens on a free port of the loopback address. The seed decides where bodies are cut.
    pub async fn start(seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            offered: HashMap::new(),
            queued: VecDeque::new(),
            seen: VecDeque::new(),
            forgotten: 0,
            cuts: Cuts(seed),
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, _tasks: tasks })
    }

    /// Where an OpenAI client would point its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Keeps an exchange for every call that names it. One too many replaces nothing and is refused with `false`.
    pub fn offer(&self, exchange: Exchange) -> bool {
        let offered = &mut lock(&self.state).offered;
        let fits = offered.len() < EXCHANGES_MAX;
        if fits {
            offered.insert(exchange.id.clone(), exchange);
        }
        fits
    }

    /// Keeps an exchange for the next call that names none. One too many is refused with `false`.
    pub fn queue(&self, exchange: Exchange) -> bool {
        let queued = &mut lock(&self.state).queued;
        let fits = queued.len() < EXCHANGES_MAX;
        if fits {
            queued.push_back(exchange);
        }
        fits
    }

    /// The latest call that was answered with this exchange.
    pub fn seen(&self, id: &str) -> Option<Seen> {
        lock(&self.state).seen.iter().rev().find(|seen| seen.id == id).cloned()
    }

    /// How many calls have arrived.
    pub fn calls(&self) -> u64 {
        let state = lock(&self.state);
        state.forgotten + state.seen.len() as u64
    }
}

/// A poisoned lock only means that some test has failed while it held the state; the state itself is whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&state)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    // Without this a piece would wait for the acknowledgement of the one before it, and cuts would be smoothed away.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, Arc::clone(&state)));
    // A caller that leaves is what some tests are about; it is recorded where the body is dropped.
    let _ =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Response<Either<Full<Bytes>, Pieces>>;

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large or was cut off"));
        }
    };
    let line = format!("{} {}", parts.method, parts.uri);
    let mut locked = lock(&state);
    let exchange = locked.exchange_for(&body);
    let call = locked.remember(Seen {
        id: exchange.as_ref().map_or_else(String::new, |exchange| exchange.id.clone()),
        line,
        headers: parts.headers,
        body,
        ended: Ended::NotYet,
    });
    let Some(exchange) = exchange else {
        locked.ended(call, Ended::Whole);
        return Ok(refusal(StatusCode::NOT_IMPLEMENTED, "nothing was recorded for this call"));
    };
    let pieces = match exchange.pace {
        Pace::Whole => VecDeque::from([exchange.body.clone()]),
        Pace::Cut | Pace::Slow(_) => locked.cuts.cut(exchange.body.clone()),
    };
    drop(locked);

    let pieces = Pieces { left: pieces, pause: Pause::new(exchange.pace), call, state };
    let mut response = Response::new(Either::Right(pieces));
    *response.status_mut() = exchange.status;
    *response.headers_mut() = sendable(&exchange.headers);
    if exchange.pace == Pace::Whole {
        response.headers_mut().insert(CONTENT_LENGTH, exchange.body.len().into());
    }
    Ok(response)
}

/// Recorded headers without those that describe the recorded connection, and without what no header can hold.
fn sendable(recorded: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in recorded {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) else {
            continue;
        };
        if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            headers.append(name, value);
        }
    }
    headers
}

fn refusal(status: StatusCode, why: &str) -> Answer {
    let body = format!(r#"{{"error":{{"message":"{why}","type":"replay_error","param":null,"code":null}}}}"#);
    let mut response = Response::new(Either::Left(Full::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The member by which a call names the exchange it wants.
#[derive(Deserialize)]
struct Named {
    user: Option<String>,
}

impl State {
    fn exchange_for(&mut self, body: &[u8]) -> Option<Exchange> {
        let named = serde_json::from_slice::<Named>(body).ok().and_then(|named| named.user);
        match named.and_then(|id| self.offered.get(&id)) {
            Some(exchange) => Some(exchange.clone()),
            None => self.queued.pop_front(),
        }
    }

    /// Keeps a call and says under which number.
    fn remember(&mut self, seen: Seen) -> u64 {
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
            self.forgotten += 1;
        }
        self.seen.push_back(seen);
        self.forgotten + self.seen.len() as u64 - 1
    }

    fn ended(&mut self, call: u64, ended: Ended) {
        let index = call.checked_sub(self.forgotten).and_then(|index| usize::try_from(index).ok());
        if let Some(seen) = index.and_then(|index| self.seen.get_mut(index))
            && seen.ended == Ended::NotYet
        {
            seen.ended = ended;
        }
    }
}

/// A body in pieces, which tells the state whether it was taken to its end.
struct Pieces {
    left: VecDeque<Bytes>,
    pause: Pause,
    call: u64,
    state: Arc<Mutex<State>>,
}

/// What happens between two pieces.
enum Pause {
    /// Nothing: there is one piece.
    Never,
    /// The connection gets a turn to send what it has, so that two pieces do not travel as one.
    Turn { has_had: bool },
    /// Time passes.
    Time { between: Duration, until: Pin<Box<Sleep>> },
}

impl Pause {
    fn new(pace: Pace) -> Self {
        match pace {
            Pace::Whole => Self::Never,
            Pace::Cut => Self::Turn { has_had: true },
            Pace::Slow(between) => {
                Self::Time { between, until: Box::pin(tokio::time::sleep(Duration::ZERO)) }
            }
        }
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Never => Poll::Ready(()),
            Self::Turn { has_had: true } => {
                *self = Self::Turn { has_had: false };
                Poll::Ready(())
            }
            Self::Turn { has_had: false } => {
                *self = Self::Turn { has_had: true };
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Time { between, until } => until.as_mut().poll(context).map(|()| {
                let between = *between;
                until.set(tokio::time::sleep(between));
            }),
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            lock(&self.state).ended(self.call, Ended::Whole);
            return Poll::Ready(None);
        }
        std::task::ready!(self.pause.poll_over(context));
        Poll::Ready(self.left.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        let ended = if self.left.is_empty() { Ended::Whole } else { Ended::CutOff };
        lock(&self.state).ended(self.call, ended);
    }
}

/// Where bodies are cut: a small generator of its own (SplitMix64), so that a seed means the same cuts for ever.
#[derive(Debug)]
struct Cuts(u64);

impl Cuts {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn cut(&mut self, mut body: Bytes) -> VecDeque<Bytes> {
        let mut pieces = VecDeque::new();
        while !body.is_empty() {
            // Every fourth piece is tiny, because the tiny ones split characters and line ends.
            let longest = if self.next().is_multiple_of(4) { 3 } else { PIECE_BYTES_MAX };
            let bytes = (1 + self.next() % longest) as usize;
            pieces.push_back(body.split_to(bytes.min(body.len())));
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    use super::*;

    const LINE: &str = r#"{"id": "r1", "api": "openai.chat", "stream": true, "status": 200, "request": {"model": "m",  "x": 1e2},
        "response_headers": {"content-type": "text/event-stream", "transfer-encoding": "chunked", "x-request-id": "req_1"},
        "response_body": "data: {\"a\":\"é\"}\n\ndata: [DONE]\n\n", "licence": "MIT"}"#;

    fn client<B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static>()
    -> Client<hyper_util::client::legacy::connect::HttpConnector, B> {
        Client::builder(TokioExecutor::new()).build_http()
    }

    fn call(replay: &Replay, body: &str) -> Request<Full<Bytes>> {
        Request::post(format!("{}/chat/completions", replay.base_url()))
            .body(Full::from(body.to_owned()))
            .unwrap()
    }

    #[test]
    fn a_recorded_line_keeps_the_request_text_as_it_was_written() {
        let recording = Recording::from_line(LINE).unwrap();
        assert_eq!(recording.request, r#"{"model": "m",  "x": 1e2}"#);
        assert_eq!(recording.exchange.pace, Pace::Cut);
        assert!(Recording::from_line("{}").is_err());
        assert!(Recording::from_line(&LINE.replace("200", "20")).is_err());
    }

    #[test]
    fn cuts_lose_nothing_and_depend_on_the_seed_alone() {
        let body = Bytes::from("data: {\"content\":\"Grüße\"}\r\n\r\n".repeat(100));
        let first = Cuts(7).cut(body.clone());
        assert_eq!(first.iter().flatten().copied().collect::<Vec<u8>>(), body);
        assert_eq!(Cuts(7).cut(body.clone()), first);
        assert_ne!(Cuts(8).cut(body), first);
    }

    #[tokio::test]
    async fn a_call_gets_the_exchange_it_names_and_otherwise_the_one_queued_first() {
        let replay = Replay::start(1).await.unwrap();
        let recording = Recording::from_line(LINE).unwrap();
        assert!(replay.offer(recording.exchange.clone()));
        let queued = Exchange { id: "q".into(), status: StatusCode::NOT_FOUND, ..recording.exchange.clone() };
        assert!(replay.queue(queued));

        let answer = client().request(call(&replay, r#"{"user":"r1"}"#)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-request-id"], "req_1");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), recording.exchange.body);
        assert_eq!(replay.seen("r1").unwrap().body, r#"{"user":"r1"}"#);

        assert_eq!(client().request(call(&replay, "{}")).await.unwrap().status(), 404);
        assert_eq!(client().request(call(&replay, "{}")).await.unwrap().status(), 501);
        assert_eq!(replay.calls(), 3);
    }

    #[tokio::test]
    async fn a_caller_that_leaves_is_noticed() {
        let replay = Replay::start(1).await.unwrap();
        let body = Bytes::from("data: {}\n\n".repeat(10_000));
        let pace = Pace::Slow(Duration::from_millis(5));
        let recording = Recording::from_line(LINE).unwrap();
        assert!(replay.queue(Exchange { id: "slow".into(), body, pace, ..recording.exchange }));

        let client = client::<Empty<Bytes>>();
        let request = Request::post(format!("{}/x", replay.base_url())).body(Empty::new()).unwrap();
        let mut answer = client.request(request).await.unwrap();
        assert!(answer.frame().await.is_some());
        assert_eq!(replay.seen("slow").unwrap().ended, Ended::NotYet);
        drop((answer, client));

        let noticed = async {
            while replay.seen("slow").unwrap().ended != Ended::CutOff {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), noticed).await.unwrap();
    }
}
