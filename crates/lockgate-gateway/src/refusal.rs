//! Tells a client why we, and not a target, answer it.
//!
//! What a [`Failure`] is and how it reads is the wire's business; here it becomes a response with the headers that go with it.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use lockgate_wire::error::Failure;

use crate::headers::SHOULD_RETRY;

/// The whole answer but for the headers that every answer carries.
pub(crate) fn response(failure: &Failure) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(failure.body()));
    *response.status_mut() = status(failure);
    let headers = response.headers_mut();
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
    response
}

pub(crate) fn status(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A header of ours that cannot be used.
pub(crate) fn invalid(name: &str, problem: impl Into<String>) -> Failure {
    Failure::InvalidValue { name: name.to_owned(), problem: problem.into() }
}
