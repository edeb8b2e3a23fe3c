//! Why an admin request was not answered, in the one shape that all such answers have.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lockgate_store::StoreError;
use serde_json::json;

use crate::audit::AuditError;
use crate::order::CommandError;

/// `{"error": {"message", "hint", "code"}}` and a status.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), hint: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "message": self.message, "hint": self.hint, "code": self.code } });
        (self.status, Json(body)).into_response()
    }
}

/// The cause behind a store's error is for the operator; the log of this process has it.
const STORE_HINT: &str =
    "the store's disk, file or rights are at fault; kill, rollback and flip work all the same";

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_away", error.to_string()).hint(STORE_HINT)
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::NoSuchEntry { .. } | AuditError::NoEntry { .. } => {
                Self::not_found(error.to_string()).hint("`lockgate audit log` shows the numbers")
            }
            AuditError::NothingDecided { .. } => Self::not_found(error.to_string())
                .hint("`lockgate rollout start` starts a rollout, or POST /api/v1/rollouts"),
        }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let message = error.to_string();
        match error {
            CommandError::Refused(refusal) => {
                Self::new(StatusCode::CONFLICT, refusal.code(), message).hint(refusal.hint())
            }
            CommandError::UnknownFeature { .. } => {
                Self::new(StatusCode::NOT_FOUND, "unknown_feature", message)
                    .hint("features are named in the configuration")
            }
            CommandError::UnknownVersion { .. } => {
                Self::new(StatusCode::NOT_FOUND, "unknown_version", message)
                    .hint("add the version to the configuration and reload it")
            }
            CommandError::UnknownPlan { .. } => Self::new(StatusCode::NOT_FOUND, "unknown_plan", message)
                .hint("add the plan under `plans` in the configuration and reload it"),
            CommandError::PlanDoesNotFit { .. } => {
                Self::new(StatusCode::CONFLICT, "plan_does_not_fit", message)
                    .hint("declare what is missing on the feature, or name another plan")
            }
            CommandError::Undecidable { .. } => Self::new(StatusCode::CONFLICT, "undecidable", message).hint(
                "`lockgate plan estimate` tries other limits and shares; a start with `undecidable` begins all the same",
            ),
            CommandError::FlipToRejected { .. } => Self::new(StatusCode::CONFLICT, "rejected", message)
                .hint("`lockgate rollout start --again` lets it show by evidence that it is better now"),
            CommandError::NoWayBack { .. } => Self::new(StatusCode::CONFLICT, "no_way_back", message)
                .hint("until then, `lockgate kill --to rules` takes users off the candidate"),
            CommandError::Changed(_) => Self::new(StatusCode::CONFLICT, "changed", message)
                .hint("put the version back as it was, and give the changed one another name"),
            CommandError::Only(_) => Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
                .hint("write `tier=internal|free,geo=eu`; several such texts are alternatives"),
            CommandError::Store(_) | CommandError::Slow => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_away", message).hint(STORE_HINT)
            }
            CommandError::Overtaken => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overtaken", message).hint("ask again in a moment")
            }
        }
    }
}
