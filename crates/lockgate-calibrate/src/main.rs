//! `lockgate-calibrate [--quick] [--only CASE] [--data DIR] [--python PYTHON --script FILE --scratch DIR] [--write FILE]`:
//! measures, prints a table, and fails when a bar is missed.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing a table is what this program is for"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use lockgate_calibrate::report::table;
use lockgate_calibrate::{
    CalibrateError, Effort, Finding, change, cost, gate, incident, peeking, planner, reference, scores,
    segments, series, split, whole,
};

const USAGE: &str = "usage: lockgate-calibrate [--quick] [--only CASE] [--data DIR] [--python PYTHON --script FILE \
                     --scratch DIR] [--write FILE]";

/// What stands above the table in the written page.
const HEAD: &str = include_str!("page.md");

#[derive(Default)]
struct Asked {
    quick: bool,
    only: Option<String>,
    data: Option<PathBuf>,
    python: Option<PathBuf>,
    script: Option<PathBuf>,
    scratch: Option<PathBuf>,
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Some(asked) = read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Option<Asked> {
    let mut asked = Asked::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => asked.quick = true,
            "--only" => asked.only = Some(arguments.next()?),
            "--data" => asked.data = Some(arguments.next()?.into()),
            "--python" => asked.python = Some(arguments.next()?.into()),
            "--script" => asked.script = Some(arguments.next()?.into()),
            "--scratch" => asked.scratch = Some(arguments.next()?.into()),
            "--write" => asked.write = Some(arguments.next()?.into()),
            _ => return None,
        }
    }
    Some(asked)
}

/// Whether all bars hold.
fn run(asked: &Asked) -> Result<bool, CalibrateError> {
    let effort = if asked.quick { Effort::Quick } else { Effort::Full };
    let mut findings: Vec<Finding> = Vec::new();
    let mut measure = |case: &str, measured: &dyn Fn() -> Result<Vec<Finding>, CalibrateError>| {
        if asked.only.as_deref().is_some_and(|only| only != case) {
            return Ok(());
        }
        let began = Instant::now();
        let found = measured()?;
        println!("{case}: {:.0} s", began.elapsed().as_secs_f64());
        print!("{}", table(&found));
        findings.extend(found);
        Ok::<(), CalibrateError>(())
    };
    measure("gate", &|| gate::findings(effort))?;
    measure("change", &|| change::findings(effort))?;
    measure("scores", &|| scores::findings(effort))?;
    measure("cost", &|| cost::findings(effort))?;
    measure("incident", &|| incident::findings(effort))?;
    measure("segments", &|| segments::findings(effort))?;
    measure("split", &|| split::findings(effort))?;
    measure("planner", &|| planner::findings(effort))?;
    measure("whole", &|| whole::findings(effort))?;
    if let Some(data) = &asked.data {
        measure("peeking", &|| peeking::findings(data))?;
        measure("series", &|| series::findings(data))?;
    }
    if let (Some(python), Some(script), Some(scratch)) = (&asked.python, &asked.script, &asked.scratch) {
        measure("reference", &|| reference::findings(effort, python, script, scratch))?;
    }
    if let Some(page) = &asked.write {
        let text = format!("{HEAD}\n{}", table(&findings));
        std::fs::write(page, text)
            .map_err(|error| CalibrateError::File { path: page.display().to_string(), error })?;
    }
    let missed: Vec<&Finding> = findings.iter().filter(|finding| finding.holds == Some(false)).collect();
    for finding in &missed {
        println!("missed: {}: {}: {} ({})", finding.case, finding.what, finding.figure, finding.bar);
    }
    Ok(missed.is_empty())
}
