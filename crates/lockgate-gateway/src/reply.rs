//! Reads what a target answers, as far as it must be known before anything of it is told: a plain answer to its end, up to a
//! bound, so that a target which breaks off can still be replaced by another; a stream to its first chunk.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lockgate_core::name::TargetName;

use crate::trouble::TargetError;

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

/// Reads until it is known how the answer comes. With `wants_events`, what looks like events is taken for them, whatever the
/// target calls it.
pub(crate) async fn read(
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

#[cfg(test)]
mod tests {
    use super::*;

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
