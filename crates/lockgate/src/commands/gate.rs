//! A rollout's gates as an exit status.
//!
//! A pipeline goes on at 0 and stops at 1. Everything that is neither is 3, also a server that cannot be asked: an outage of
//! Lockgate must look neither like a passed gate nor like a bad candidate. A feature that does not exist is wrong usage.

use std::process::ExitCode;

use http::StatusCode;
use lockgate_core::name::FeatureName;
use serde_json::{Value, json};

use super::{server, show};
use crate::cli::General;
use crate::client::ClientError;
use crate::complaint::Complaint;
use crate::output::{self, gate};

/// It cannot be said.
const INCONCLUSIVE: u8 = 3;
/// Wrong usage, as for every command.
const USAGE: u8 = 2;

/// 0 when all gates of the present phase pass, 1 when one fails, 3 when it cannot be said, each with its reasons.
pub async fn run(general: &General, feature: &FeatureName) -> Result<ExitCode, Complaint> {
    let server = match server(general) {
        Ok(server) => server,
        Err(complaint) => {
            output::complain(&complaint);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let answer = match server.get(&format!("/api/v1/rollouts/{feature}/gate")).await {
        Ok(answer) => answer,
        Err(error @ ClientError::Refused { status: StatusCode::NOT_FOUND, .. }) => {
            output::complain(&error.into());
            return Ok(ExitCode::from(USAGE));
        }
        Err(error) => unknown(feature, error.into()),
    };
    let status = match answer.get("outcome").and_then(Value::as_str) {
        Some("pass") => ExitCode::SUCCESS,
        Some("fail") => ExitCode::FAILURE,
        _ => ExitCode::from(INCONCLUSIVE),
    };
    show(general, &answer, gate::text);
    Ok(status)
}

/// What is said in a server's place when it cannot be asked.
fn unknown(feature: &FeatureName, complaint: Complaint) -> Value {
    let reasons = std::iter::once(complaint.sentence).chain(complaint.hint);
    json!({
        "feature": feature.as_str(),
        "outcome": "inconclusive",
        "reasons": reasons.collect::<Vec<_>>(),
        "state": null,
        "phase": null,
        "looked_at": null,
    })
}
