//! Tells a client why we, and not a target, answer it.
//!
//! What a [`Failure`] is and how it reads is the wire's business; here it becomes a response with the headers that go with it.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use lockgate_wire::api::Family;
use lockgate_wire::error::Failure;

use crate::headers::{self, SHOULD_RETRY};

/// Where Anthropic's SDKs look for the id of a call.
const ANTHROPIC_ID: HeaderName = HeaderName::from_static("request-id");

/// The whole answer but for the headers that every answer carries. `request_id` is ours.
pub(crate) fn response(failure: &Failure, family: Family, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(failure.body(family, request_id)));
    *response.status_mut() = status(failure);
    tell(response.headers_mut(), failure);
    if family == Family::Anthropic {
        headers::put(response.headers_mut(), ANTHROPIC_ID, request_id.to_owned());
    }
    response
}

/// The headers that go with a failure, in whatever shape its body is.
pub(crate) fn tell(headers: &mut HeaderMap, failure: &Failure) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match failure {
        Failure::MethodNotAllowed { allowed, .. } => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        Failure::TooManyCalls { .. } | Failure::StoreAway => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // The chain was tried to its end; an SDK that tries again would multiply the load of an outage.
        Failure::ChainExhausted { .. } | Failure::DeadlinePassed { .. } => {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        _ => {}
    }
}

pub(crate) fn status(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A header of ours that cannot be used.
pub(crate) fn invalid(name: &str, problem: impl Into<String>) -> Failure {
    Failure::InvalidValue { name: name.to_owned(), problem: problem.into() }
}
