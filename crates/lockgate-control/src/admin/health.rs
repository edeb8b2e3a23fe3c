//! Whether the process lives, and whether rollouts can move.

use std::time::Duration;

use axum::Json;
use http::StatusCode;
use serde_json::{Value, json};

use super::Ask;

/// How long the store may take to answer: a probe's usual patience is one second.
const READY_WITHIN: Duration = Duration::from_millis(800);

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Ready is when the log can be read. Calls are carried without it, and their own port tells so.
pub(super) async fn ready(ask: Ask) -> (StatusCode, Json<Value>) {
    let why = match tokio::time::timeout(READY_WITHIN, ask.store().log_after(0, 1)).await {
        Ok(Ok(_)) => return (StatusCode::OK, Json(json!({ "status": "ready" }))),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the store is slow to answer".to_owned(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unready", "why": why })))
}
