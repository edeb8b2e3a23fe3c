//! Says whether the process lives and whether it takes calls.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use crate::gateway::Gateway;

/// Alive: it can say so.
pub(crate) fn live() -> Response<Bytes> {
    told(StatusCode::OK, r#"{"status":"live"}"#)
}

/// Ready from the start of serving until it is told to stop. A store that is away does not make it unready: calls go on
/// with the table in force, and taking every replica out of service would turn a small failure into an outage.
pub(crate) fn ready(gateway: &Gateway) -> Response<Bytes> {
    if gateway.is_ready() {
        told(StatusCode::OK, r#"{"status":"ready"}"#)
    } else {
        told(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#)
    }
}

fn told(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
