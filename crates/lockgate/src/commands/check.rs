//! Says everything that is wrong with a configuration file, and what may stand in one.

use std::path::Path;
use std::process::ExitCode;

use lockgate_config::problem::Problem;
use serde_json::{Value, json};

use crate::complaint::Complaint;
use crate::{environment, output};

/// Every mistake in the file, or that there is none. Exit status 1 when there is one.
pub fn check(file: &Path, as_json: bool) -> Result<ExitCode, Complaint> {
    let (problems, warnings, more) = match lockgate_config::load(file, &environment::variable) {
        Ok(loaded) => (Vec::new(), loaded.warnings, 0),
        Err(problems) => (problems.list, Vec::new(), problems.more),
    };
    if as_json {
        output::json(&json!({
            "ok": problems.is_empty(),
            "problems": problems.iter().map(as_value).collect::<Vec<_>>(),
            "more": more,
            "warnings": warnings.iter().map(as_value).collect::<Vec<_>>(),
        }));
    } else {
        for warning in &warnings {
            output::say(&format!("warning: {}", warning.display(Some(file))));
        }
        for problem in &problems {
            output::say(&problem.display(Some(file)).to_string());
        }
        let name = file.display();
        output::say(&match problems.len() + more {
            0 => format!("{name}: all is well"),
            1 => format!("{name}: 1 problem"),
            n => format!("{name}: {n} problems"),
        });
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The JSON Schema of the file.
pub fn schema() -> Result<ExitCode, Complaint> {
    output::say(lockgate_config::schema().trim_end());
    Ok(ExitCode::SUCCESS)
}

fn as_value(problem: &Problem) -> Value {
    json!({ "path": problem.path, "line": problem.line, "message": problem.message, "hint": problem.hint })
}
