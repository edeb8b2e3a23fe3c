//! A provider's incident: both versions fail alike for a while.

use lockgate_core::estimate::draw::Draw;
use lockgate_core::event::Outcome;
use lockgate_core::plan::{Action, Phase, PhaseKind, Plan};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};

use crate::bench::{Bench, LOOKS_48H, rate};
use crate::report::share;
use crate::{CalibrateError, Effort, Finding};

/// The standard plan's phase at 1 %, 100 calls a second, an incident of 20 minutes with 5 % errors at hour 12.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let standard = Plan::standard();
    let is_first = |phase: &&Phase| matches!(phase.kind, PhaseKind::Canary { .. });
    let first: Vec<Phase> = standard.phases.iter().find(is_first).cloned().into_iter().collect();
    let mut bench = Bench::new(Plan { phases: first, ..standard })?;
    let runs = effort.runs(1000, 6);
    let (mut back, mut literal) = (0, 0);
    for seed in 0..runs {
        let (is_back, is_literal) = one(&mut bench, seed);
        back += u64::from(is_back);
        literal += u64::from(is_literal);
    }
    Ok(vec![
        Finding::held(
            "incident",
            "both versions 5 % errors for 20 minutes, 1 % canary: taken back",
            share(back, runs),
            "at most 1 %",
            back as f64 <= 0.01 * runs as f64,
        ),
        Finding::told(
            "incident",
            "the same calls, more than 2 % in five minutes taken at its word: taken back",
            share(literal, runs),
        ),
    ])
}

fn one(bench: &mut Bench, seed: u64) -> (bool, bool) {
    let mut draw = Draw::of_item(seed, 5);
    let mut window = [0_u64; 30];
    let mut literal = false;
    bench.again();
    for look in 1..=LOOKS_48H {
        let is_hit = (4320..4440).contains(&look);
        let truth = if is_hit { 0.05 } else { 0.004 };
        let hits = draw.binomial(10, truth);
        window[(look % 30) as usize] = hits;
        literal |= look >= 30 && window.iter().sum::<u64>() > 6;
        bench.put(Arm::Candidate, &Segment::none(), Signal::Error, rate(10, hits));
        bench.put(Arm::Stable, &Segment::none(), Signal::Error, rate(990, draw.binomial(990, truth)));
        if bench.close()
            && bench.checks().iter().any(|check| {
                check.verdict.outcome == Outcome::Fail
                    && !matches!(check.action, Some(Action::Alert | Action::Freeze))
            })
        {
            return (true, literal);
        }
    }
    (false, literal)
}
