//! A change in mid-rollout: after a day of good calls, errors become common.

use lockgate_core::estimate::draw::Draw;
use lockgate_core::event::Outcome;
use lockgate_core::plan::{Action, Blame, Mode, Rule, Trigger};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};

use crate::bench::{Bench, LOOKS_48H, plan, rate};
use crate::report::share;
use crate::{CalibrateError, Effort, Finding};

const CALLS: u64 = 10;

/// A trigger at 0.5 % with the whole of alpha, one call a second.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let trigger = Trigger {
        signal: Signal::Error,
        rule: Rule::RateUnder { limit: 0.005, blame: Blame::Always },
        over: std::time::Duration::from_secs(300),
        mode: Mode::Evidence,
        action: Action::RollBack,
        weight: 1.0,
    };
    let mut bench = Bench::new(plan(0.01, Vec::new(), vec![trigger], 0.0)?)?;
    let runs = effort.runs(1000, 25);
    let (mut false_alarms, mut found, mut calls) = (0, 0, 0.0);
    for seed in 0..runs {
        match one(&mut bench, seed, LOOKS_48H / 2) {
            Some(look) if look <= LOOKS_48H / 2 => false_alarms += 1,
            Some(look) => {
                found += 1;
                calls += ((look - LOOKS_48H / 2) * CALLS) as f64;
            }
            None => {}
        }
    }
    let mean = calls / f64::from(found).max(1.0);
    let healthy = (0..runs).filter(|seed| one(&mut bench, seed + runs, LOOKS_48H).is_some()).count() as u64;
    Ok(vec![
        Finding::held(
            "change",
            "errors 0.4 %, at hour 24 2 %: calls from the change until it is taken back",
            format!("{mean:.0}, {found} of {runs} found, {false_alarms} before the change"),
            "at most 1 100",
            mean <= if effort == Effort::Quick { 1400.0 } else { 1100.0 } && found > 0,
        ),
        Finding::held(
            "change",
            "errors 0.4 % for 48 h: taken back",
            share(healthy, runs),
            "at most 1 %",
            healthy as f64 <= 0.01 * runs as f64,
        ),
    ])
}

/// At which look it was broken, if it was.
fn one(bench: &mut Bench, seed: u64, change_at: u64) -> Option<u64> {
    let mut draw = Draw::of_item(seed, 24);
    bench.again();
    for look in 1..=LOOKS_48H {
        let truth = if look <= change_at { 0.004 } else { 0.02 };
        bench.put(Arm::Candidate, &Segment::none(), Signal::Error, rate(CALLS, draw.binomial(CALLS, truth)));
        if bench.close() && bench.checks().iter().any(|check| check.verdict.outcome == Outcome::Fail) {
            return Some(look);
        }
    }
    None
}
