//! Says whether the process lives and whether it takes calls.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use lockgate_config::live::Retreat;
use serde_json::{Value, json};

use crate::gateway::Gateway;

/// Alive: it can say so.
pub(crate) fn live() -> Response<Bytes> {
    told(StatusCode::OK, r#"{"status":"live"}"#)
}

/// Ready from the start of serving until it is told to stop. A store that is away does not make it unready: calls go on
/// with the table in force, and taking every replica out of service would turn a small failure into an outage. Nor does it
/// make it unready to have gone back to stable alone; that is told beside it.
pub(crate) fn ready(gateway: &Gateway) -> Response<Bytes> {
    let retreats = gateway.live.retreats();
    match (gateway.is_ready(), retreats.is_empty()) {
        (true, true) => told(StatusCode::OK, r#"{"status":"ready"}"#),
        (true, false) => {
            let each = |Retreat { at, feature, rollout, why, .. }| json!({ "feature": feature, "rollout": rollout, "at": at, "why": why });
            let retreats: Vec<Value> = retreats.into_iter().map(each).collect();
            told(StatusCode::OK, json!({ "status": "ready", "retreats": retreats }).to_string())
        }
        (false, _) => told(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#),
    }
}

fn told(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
