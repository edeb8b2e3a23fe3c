//! One attempt at one HTTP target: sends a request, and returns as soon as it is known whether an answer comes.
//!
//! A plain answer is read to its end before it is passed on, up to the configured bound, so that a target which breaks off can
//! still be replaced by the next tier. A stream is passed on from its first chunk. Nothing is retried here; dropping the future
//! or the answer closes the connection, which is how a target learns that nobody waits any more.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lockgate_config::live::Table;
use lockgate_config::value::Endpoint;
use lockgate_core::name::TargetName;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::tier::TierAnswer;

/// Idle connections kept per target: what a burst of calls leaves behind, at some 10 KiB each.
const IDLE_CONNECTIONS_MAX: usize = 512;
/// How long an idle connection is kept: most servers and load balancers in between hang up after 60 s, and the side that
/// hangs up first must be ours, or a call is written into a connection that is being closed.
const IDLE_CONNECTION_TIME: Duration = Duration::from_secs(45);

/// Why a target gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("target `{target}` could not be reached")]
    Unreachable {
        target: TargetName,
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    #[error("target `{target}` closed the connection without an answer")]
    NoAnswer {
        target: TargetName,
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    #[error("target `{target}` could not be connected to within {} ms", within.as_millis())]
    ConnectTimeout { target: TargetName, within: Duration },
    #[error("target `{target}` did not answer within {} ms", within.as_millis())]
    Timeout { target: TargetName, within: Duration },
    #[error("target `{target}` broke off after {received_bytes} bytes of its answer")]
    CutOff {
        target: TargetName,
        received_bytes: usize,
        #[source]
        source: Option<hyper::Error>,
    },
    #[error("target `{target}` cannot be asked: its URL does not make a request")]
    Unaskable {
        target: TargetName,
        #[source]
        source: http::Error,
    },
    #[error("target `{target}` answered with status {status}")]
    Status { target: TargetName, status: StatusCode, answer: Box<TierAnswer> },
    #[error("target `{target}` answered with what is no answer")]
    Unusable { target: TargetName },
    #[error("target `{target}` sends callers on to another address; its `base_url` must be where it answers")]
    Redirect { target: TargetName },
}

impl TargetError {
    /// Whether the target was too slow, rather than wrong.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout { .. } | Self::Timeout { .. })
    }
}

/// What is asked of a target.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) target: &'a TargetName,
    pub(crate) endpoint: &'a Endpoint,
    /// What is added to the endpoint's URL.
    pub(crate) path: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Dropped when the request has been sent.
    pub(crate) table: Arc<Table>,
    /// The call's own, whatever the endpoint allows.
    pub(crate) deadline: Instant,
    /// Up to here a plain answer is read before it is passed on.
    pub(crate) kept_bytes_max: usize,
    /// Whether events were asked for. Then what looks like events is taken for them, whatever the target calls it.
    pub(crate) wants_events: bool,
}

/// A target's answer, of any status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Parts,
    pub(crate) content: Content,
}

/// How an answer comes.
#[derive(Debug)]
pub(crate) enum Content {
    /// All of it.
    Whole(Bytes),
    /// Too long to be kept: what was read so far, and the rest.
    Long { start: VecDeque<Bytes>, rest: Incoming },
    /// Events: the first chunk, and the rest.
    Stream { first: Bytes, rest: Incoming },
}

/// The connections to all targets.
#[derive(Debug, Clone)]
pub(crate) struct Upstream(Client<HttpsConnector<HttpConnector>, Outgoing>);

impl Upstream {
    pub(crate) fn new() -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(https);
        Self(client)
    }

    /// Asks once.
    pub(crate) async fn ask(&self, asking: Asking<'_>) -> Result<Reply, TargetError> {
        let Asking { target, endpoint, deadline, kept_bytes_max, wants_events, .. } = asking;
        let (request, mut sent) = request(asking)?;
        let mut responding = std::pin::pin!(self.0.request(request));
        let broken = |source: hyper_util::client::legacy::Error| {
            let target = target.clone();
            if source.is_connect() {
                TargetError::Unreachable { target, source }
            } else {
                TargetError::NoAnswer { target, source }
            }
        };

        // A request that has begun to be sent is one that has a connection; how it got it, name lookup and TLS included, is
        // what the time to connect bounds.
        let asked = Instant::now();
        let connect_by = deadline.min(asked + endpoint.connect_timeout);
        let early = tokio::select! {
            biased;
            response = responding.as_mut() => Some(response.map_err(broken)?),
            _ = &mut sent => None,
            () = sleep_until(connect_by) => {
                return Err(TargetError::ConnectTimeout { target: target.clone(), within: asked.elapsed() });
            }
        };
        let answer_by = deadline.min(Instant::now() + endpoint.timeout);
        let answering = async {
            let response = match early {
                Some(response) => response,
                None => responding.await.map_err(broken)?,
            };
            read(response, target, kept_bytes_max, wants_events).await
        };
        timeout_at(answer_by, answering)
            .await
            .map_err(|_| TargetError::Timeout { target: target.clone(), within: asked.elapsed() })?
    }
}

fn request(asking: Asking<'_>) -> Result<(Request<Outgoing>, oneshot::Receiver<()>), TargetError> {
    let unaskable = |source| TargetError::Unaskable { target: asking.target.clone(), source };
    let uri = uri(&asking.endpoint.base_url, asking.path).map_err(unaskable)?;
    let (tell_sent, sent) = oneshot::channel();
    let body = Outgoing {
        bytes: Some(asking.body),
        on_its_way: Some(OnItsWay { _table: asking.table, tell_sent: Some(tell_sent) }),
    };
    let mut request = Request::builder().method(Method::POST).uri(uri).body(body).map_err(unaskable)?;
    *request.headers_mut() = asking.headers;
    Ok((request, sent))
}

fn uri(base: &Uri, path: &str) -> Result<Uri, http::Error> {
    if path.is_empty() {
        return Ok(base.clone());
    }
    let (before, query) = match base.query() {
        Some(query) => (base.path(), format!("?{query}")),
        None => (base.path(), String::new()),
    };
    let path_and_query = format!("{}{path}{query}", before.trim_end_matches('/'));
    let mut builder = Uri::builder().path_and_query(path_and_query);
    if let Some(scheme) = base.scheme() {
        builder = builder.scheme(scheme.clone());
    }
    if let Some(authority) = base.authority() {
        builder = builder.authority(authority.clone());
    }
    builder.build()
}

async fn read(
    response: Response<Incoming>,
    target: &TargetName,
    kept_bytes_max: usize,
    wants_events: bool,
) -> Result<Reply, TargetError> {
    let (head, mut body) = response.into_parts();
    let is_success = head.status.is_success();
    let mut is_stream = is_success && is_stream(&head.headers);
    let mut chunks = VecDeque::new();
    let mut received_bytes = 0;
    loop {
        let cut_off = |source| TargetError::CutOff { target: target.clone(), received_bytes, source };
        let frame = match body.frame().await {
            Some(Ok(frame)) => frame,
            Some(Err(source)) => return Err(cut_off(Some(source))),
            None if is_stream => return Err(cut_off(None)),
            None => return Ok(Reply { head, content: Content::Whole(join(chunks, received_bytes)) }),
        };
        let Some(chunk) = frame.into_data().ok().filter(|chunk| !chunk.is_empty()) else { continue };
        let is_first = chunks.is_empty();
        is_stream |= is_first && is_success && wants_events && looks_like_events(&chunk);
        if is_stream {
            return Ok(Reply { head, content: Content::Stream { first: chunk, rest: body } });
        }
        received_bytes += chunk.len();
        chunks.push_back(chunk);
        if received_bytes > kept_bytes_max {
            return Ok(Reply { head, content: Content::Long { start: chunks, rest: body } });
        }
    }
}

/// Whether an answer comes in events of which each is worth passing on at once.
fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    ["text/event-stream", "application/x-ndjson"]
        .iter()
        .any(|stream| kind.get(..stream.len()).is_some_and(|start| start.eq_ignore_ascii_case(stream)))
}

/// Whether a body begins as a stream of events does. Some servers forget to say that it is one.
fn looks_like_events(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|field| start.starts_with(field))
}

fn join(mut chunks: VecDeque<Bytes>, bytes: usize) -> Bytes {
    if chunks.len() == 1 {
        return chunks.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(bytes);
    chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    whole.freeze()
}

/// A request body that knows when it leaves: hyper asks for it when the head has been written, and drops it when all of it
/// has been handed to the connection, or when there will be none.
#[derive(Debug)]
pub(crate) struct Outgoing {
    bytes: Option<Bytes>,
    on_its_way: Option<OnItsWay>,
}

#[derive(Debug)]
struct OnItsWay {
    _table: Arc<Table>,
    tell_sent: Option<oneshot::Sender<()>>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(tell_sent) = self.on_its_way.as_mut().and_then(|on_its_way| on_its_way.tell_sent.take()) {
            // Nobody listens any more when the call was given up in this moment.
            let _ = tell_sent.send(());
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_between_an_endpoints_own_path_and_its_query() {
        let check = |base: &'static str, path, expected| {
            assert_eq!(uri(&Uri::from_static(base), path).unwrap().to_string(), expected);
        };
        check("https://api.test/v1", "/chat/completions", "https://api.test/v1/chat/completions");
        check("http://127.0.0.1:8000", "/chat/completions", "http://127.0.0.1:8000/chat/completions");
        check(
            "https://a.test/d?api-version=1",
            "/chat/completions",
            "https://a.test/d/chat/completions?api-version=1",
        );
        check("https://agent.test/run?x=1", "", "https://agent.test/run?x=1");
    }

    #[test]
    fn streams_are_known_by_their_content_type() {
        let check = |kind: &'static str, expected| {
            let headers = [(CONTENT_TYPE, http::HeaderValue::from_static(kind))].into_iter().collect();
            assert_eq!(is_stream(&headers), expected, "{kind}");
        };
        check("text/event-stream", true);
        check("Text/Event-Stream; charset=utf-8", true);
        check("application/x-ndjson", true);
        check("application/json", false);
        check("text", false);
    }
}
