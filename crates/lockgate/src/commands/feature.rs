//! What is done to a whole feature at once: flip, kill, revive.

use std::process::ExitCode;

use serde_json::json;

use super::{said, server, show};
use crate::cli::{FlipArgs, General, KillArgs, KillTo, ReviveArgs};
use crate::complaint::Complaint;
use crate::output::receipt;

/// Sends a feature to another version.
pub async fn flip(general: &General, args: &FlipArgs) -> Result<ExitCode, Complaint> {
    let path = format!("/api/v1/features/{}/flip", args.feature);
    let body = said(json!({ "to": args.to.as_ref().map(ToString::to_string), "why": args.why }));
    let answer = server(general)?.post(&path, &body).await?;
    Ok(show(general, &answer, receipt::text))
}

/// Throws the kill switch. When this returns, no call begins any more on what was killed.
pub async fn kill(general: &General, args: &KillArgs) -> Result<ExitCode, Complaint> {
    let path = format!("/api/v1/features/{}/kill", args.feature);
    let to = match args.to {
        KillTo::Stable => "stable",
        KillTo::Rules => "rules",
    };
    let answer = server(general)?.post(&path, &said(json!({ "to": to, "why": args.why }))).await?;
    Ok(show(general, &answer, receipt::text))
}

/// Releases the kill switch.
pub async fn revive(general: &General, args: &ReviveArgs) -> Result<ExitCode, Complaint> {
    let path = format!("/api/v1/features/{}/revive", args.feature);
    let answer = server(general)?.post(&path, &said(json!({ "why": args.why }))).await?;
    Ok(show(general, &answer, receipt::text))
}
