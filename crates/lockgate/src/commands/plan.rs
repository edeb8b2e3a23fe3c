//! Shows what rollouts are judged by. Needs no server: plans are in the configuration, and one is built in.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use lockgate_core::name::PlanName;
use lockgate_core::plan::Plan;
use serde_json::json;

use crate::cli::PlanCommand;
use crate::complaint::Complaint;
use crate::{environment, output};

/// Prints a plan.
pub fn run(command: &PlanCommand, as_json: bool) -> Result<ExitCode, Complaint> {
    let PlanCommand::Show { name, config } = command;
    let plan = find(name, config.as_deref())?;
    if as_json {
        output::json(&json!(*plan));
    } else {
        output::say(&output::plan::text(&plan));
    }
    Ok(ExitCode::SUCCESS)
}

fn find(name: &PlanName, file: Option<&Path>) -> Result<Arc<Plan>, Complaint> {
    let Some(file) = file else {
        let standard = Plan::standard();
        return if *name == standard.name {
            Ok(Arc::new(standard))
        } else {
            Err(Complaint::new(
                format!("`{name}` is not built in; `standard` is"),
                "name the configuration file that it is written in with `-c FILE`",
            ))
        };
    };
    let config = lockgate_config::load(file, &environment::variable)?.config;
    let known: Vec<String> = config.plans.keys().map(|name| format!("`{name}`")).collect();
    config.plans.get(name).cloned().ok_or_else(|| {
        Complaint::new(
            format!("{} has no plan `{name}`", file.display()),
            format!("it has {}", known.join(", ")),
        )
    })
}
