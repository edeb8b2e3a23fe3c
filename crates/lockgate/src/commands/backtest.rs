//! Runs a plan over recorded outcomes.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

use lockgate_control::backtest::{self, What};
use serde_json::{Value, json};

use super::plan;
use crate::cli::BacktestArgs;
use crate::complaint::{Complaint, with_causes};
use crate::output;

/// Alerts come once per check and phase; more than these nobody reads.
const ALERTS_MAX: usize = 200;
/// What is read from the disk at once.
const READ_BYTES: usize = 1 << 18;

/// Decides as it would have been decided live, and prints every decision as it is taken. Exit status 1 when there is nothing
/// to decide by.
pub fn run(args: &BacktestArgs, as_json: bool) -> Result<ExitCode, Complaint> {
    let plan = plan::find(&args.plan, args.config.as_deref())?;
    let file = File::open(&args.outcomes).map_err(|error| unreadable(args, &error))?;
    let mut outcomes = BufReader::with_capacity(READ_BYTES, file);
    if !as_json {
        output::say(&output::backtest::heading(&plan.name, &args.outcomes));
    }
    // To programs, a line is something that moves the rollout or holds it; who was called meanwhile stands in the last line.
    let mut alerts: Vec<Value> = Vec::new();
    let end = backtest::run(plan, &mut outcomes, &mut |told| {
        let is_alert = told.event == What::Alerted;
        let told = json!(told);
        match as_json {
            true if is_alert => {
                if alerts.len() < ALERTS_MAX {
                    alerts.push(told);
                }
            }
            true => output::json_line(&told),
            false => output::say(&output::backtest::decision(&told)),
        }
    });
    let end = end.map_err(|error| unreadable(args, &error))?;
    let has_outcomes = end.outcomes > 0;
    let mut end = json!(end);
    if let (Value::Object(members), true) = (&mut end, as_json) {
        members.insert("alerts".into(), alerts.into());
    }
    match as_json {
        true => output::json_line(&end),
        false => output::say(&output::backtest::end(&end)),
    }
    Ok(if has_outcomes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn unreadable(args: &BacktestArgs, error: &dyn std::error::Error) -> Complaint {
    Complaint::new(
        format!("{}: {}", args.outcomes.display(), with_causes(error)),
        "name a file of outcomes, one JSON object a line, oldest first: docs/guide/backtest.md",
    )
}
