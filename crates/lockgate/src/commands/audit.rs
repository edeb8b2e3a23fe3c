//! Reads the log of decisions.

use std::path::Path;
use std::process::ExitCode;

use lockgate_store::Store;
use serde_json::{Value, json};

use super::{server, show};
use crate::cli::{AuditCommand, General};
use crate::complaint::Complaint;
use crate::output::audit;

/// Runs one of the audit's questions.
pub async fn run(general: &General, command: &AuditCommand) -> Result<ExitCode, Complaint> {
    match command {
        AuditCommand::Log { feature, after, limit } => {
            let mut path = format!("/api/v1/audit/log?after={after}&limit={limit}");
            if let Some(feature) = feature {
                path.push_str(&format!("&feature={feature}"));
            }
            let answer = server(general)?.get(&path).await?;
            Ok(show(general, &answer, audit::log))
        }
        AuditCommand::At { feature, ts } => {
            let path = format!("/api/v1/audit/at?feature={feature}&ts={ts}");
            let answer = server(general)?.get(&path).await?;
            Ok(show(general, &answer, audit::at_moment))
        }
        AuditCommand::Request { id } => {
            let answer = server(general)?.get(&format!("/api/v1/audit/request/{id}")).await?;
            Ok(show(general, &answer, audit::request))
        }
        AuditCommand::Verify { store } => {
            let found = match store {
                Some(file) => verify_file(file).await?,
                None => server(general)?.get("/api/v1/audit/verify").await?,
            };
            let is_sound = found.get("broken").is_none_or(Value::is_null);
            show(general, &found, audit::verification);
            Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Works while no server runs, and beside one that does.
async fn verify_file(file: &Path) -> Result<Value, Complaint> {
    Ok(json!(open(file).await?.verify().await?))
}

/// A store that is there already, to be read.
pub(super) async fn open(file: &Path) -> Result<Store, Complaint> {
    // Opening makes a store that is missing, and an empty one verifies: better to say that it is not there.
    // Neither may a log that was cut off to nothing pass for a sound one.
    let is_empty = std::fs::metadata(file).is_ok_and(|metadata| metadata.len() == 0);
    if is_empty {
        return Err(Complaint::new(
            format!("there is no log in {}: the file is empty", file.display()),
            "a store that has been used is never empty; look for a copy of it",
        ));
    }
    if !file.is_file() {
        return Err(Complaint::new(
            format!("there is no store at {}", file.display()),
            "name the file that `store: sqlite://FILE` names in the configuration",
        ));
    }
    Ok(Store::open(file).await?)
}
