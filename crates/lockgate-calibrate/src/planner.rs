//! The planner's word against the simulation's: the same gate, estimated before and played through at full resolution.

use lockgate_core::estimate::{Behaviour, Effort as Work, Traffic, estimate};
use lockgate_core::plan::{Blame, Rule};
use lockgate_core::signal::Signal;

use crate::bench::{gate, plan};
use crate::gate::mean_until;
use crate::{CalibrateError, Effort, Finding};

/// Calls of users; at 1 % the candidate has one a second.
const PER_SECOND: f64 = 100.0;

/// Errors of 0.4 % against two limits, and regressions.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let runs = effort.runs(600, 30);
    let mut findings = Vec::new();
    for limit in [0.005, 0.006, 0.008] {
        let rule = Rule::RateUnder { limit, blame: Blame::Always };
        let plan = plan(0.01, vec![gate(Signal::Error, rule)], Vec::new(), 0.0)?;
        let stable = Behaviour::default().at(Signal::Error, 0.004);
        let told =
            estimate(&plan, &Traffic { per_second: PER_SECOND, stable, slices: Vec::new() }, Work::FULL);
        let Some(of_gate) = told.phases.first().and_then(|phase| phase.gates.first()) else { continue };
        let mut compare = |what: String, foretold: f64, played: f64| {
            let apart = (foretold / played - 1.0).abs();
            let most = if effort == Effort::Quick { 0.35 } else { 0.10 };
            findings.push(Finding::held(
                "planner",
                what,
                format!("{foretold:.0} foretold, {played:.0} played, {:.1} % apart", apart * 100.0),
                "within 10 %",
                apart <= most,
            ));
        };
        if let Some(pass) = &of_gate.pass {
            let played = mean_until(runs, 0.004, limit, false)?;
            compare(
                format!("errors 0.4 %, limit {} %: calls until it passes", limit * 100.0),
                pass.calls,
                played,
            );
        }
        for worse in &of_gate.fail {
            let Some(until) = &worse.until else { continue };
            let played = mean_until(runs, worse.level, limit, true)?;
            let (level, limit) = (worse.level * 100.0, limit * 100.0);
            compare(
                format!("errors {level:.2} %, limit {limit} %: calls until it fails"),
                until.calls,
                played,
            );
        }
    }
    Ok(findings)
}
