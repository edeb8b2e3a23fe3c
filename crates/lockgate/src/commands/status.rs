//! How everything does, for whoever has just been woken up.

use std::process::ExitCode;

use serde_json::json;

use super::{server, show};
use crate::cli::General;
use crate::complaint::Complaint;
use crate::output::status;

/// Shows the targets and the features of one server.
pub async fn run(general: &General) -> Result<ExitCode, Complaint> {
    let server = server(general)?;
    let targets = server.get("/api/v1/targets").await?;
    let features = server.get("/api/v1/features").await?;
    let answer =
        json!({ "at": targets["at"], "targets": targets["targets"], "features": features["features"] });
    Ok(show(general, &answer, status::text))
}
