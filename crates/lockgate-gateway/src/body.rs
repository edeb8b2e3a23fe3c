//! Reads a request body within its bound and its time.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lockgate_wire::error::Failure;
use tokio::time::{Duration, Instant, timeout_at};

/// Longest piece of an unknown encoding's name that is told back.
const ECHO_CHARS_MAX: usize = 80;
/// How much of a refused body is read and thrown away, and for how long, so that a client which writes first and reads later
/// sees the refusal instead of a broken connection.
const DISCARD_BYTES_MAX: usize = 8 << 20;
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

/// The whole body, of at most `bytes_max`.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    bytes_max: usize,
    deadline: Instant,
) -> Result<Bytes, Failure> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        return Err(Failure::UnsupportedEncoding {
            encoding: String::from_utf8_lossy(encoding.as_bytes()).chars().take(ECHO_CHARS_MAX).collect(),
        });
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        // A client that asks before it sends has sent nothing.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(Failure::BodyTooLarge { bytes_max });
    }
    match timeout_at(deadline, collect(body, bytes_max)).await {
        Err(_) => Err(Failure::BodyNotReceived {
            problem: "the call's time ran out while it was being sent".to_owned(),
        }),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(TooLarge(rest))) => {
            discard(rest).await;
            Err(Failure::BodyTooLarge { bytes_max })
        }
    }
}

/// A body that went over its bound, with what was not read.
struct TooLarge(Incoming);

async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Bytes, TooLarge> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // A connection that breaks here takes the answer with it, so what is read of the body no longer matters.
        let Some(data) = frame.ok().and_then(|frame| frame.into_data().ok()) else { break };
        if first.len() + more.len() + data.len() > bytes_max {
            return Err(TooLarge(body));
        }
        if first.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + more.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&more);
    Ok(whole.freeze())
}

async fn discard(mut body: Incoming) {
    let reading = async {
        let mut bytes = 0;
        while bytes < DISCARD_BYTES_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // However it ends, the refusal is told next.
    let _ = tokio::time::timeout(DISCARD_TIME_MAX, reading).await;
}
