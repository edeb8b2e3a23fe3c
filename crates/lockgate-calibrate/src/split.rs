//! How callers are split: sound routing is left alone, broken routing is noticed.

use lockgate_core::estimate::draw::Draw;
use lockgate_core::plan::{Blame, Rule};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;

use crate::bench::{Bench, gate, plan, rate};
use crate::report::share;
use crate::{CalibrateError, Effort, Finding};

/// A phase at 10 %, two new callers a second.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let rule = Rule::RateUnder { limit: 0.005, blame: Blame::Always };
    let mut bench = Bench::new(plan(0.10, vec![gate(Signal::Error, rule)], Vec::new(), 0.0)?)?;
    let runs = effort.runs(20_000, 30);
    let sound = (0..runs).filter(|seed| one(&mut bench, *seed, 0.10, 4000).is_some()).count() as u64;
    let mut findings = vec![Finding::held(
        "split",
        "10 % of callers as planned, 80 000 callers: called broken",
        share(sound, runs),
        "at most 0.1 %",
        sound as f64 <= 0.001 * runs as f64 + f64::from(u8::from(effort == Effort::Quick)),
    )];
    for truth in [0.12, 0.5] {
        let runs = effort.runs(200, 10);
        let looks: Vec<f64> =
            (0..runs).filter_map(|seed| one(&mut bench, seed, truth, 40_000)).map(|n| n as f64).collect();
        findings.push(Finding::held(
            "split",
            format!("{} % of callers instead of 10 %: callers until it is noticed", truth * 100.0),
            format!(
                "{:.0}, {} of {runs}",
                looks.iter().sum::<f64>() * 20.0 / looks.len().max(1) as f64,
                looks.len()
            ),
            "always",
            looks.len() as u64 == runs,
        ));
    }
    Ok(findings)
}

/// At which look routing was called broken.
fn one(bench: &mut Bench, seed: u64, truth: f64, looks: u64) -> Option<u64> {
    let mut draw = Draw::of_item(seed, (truth * 1000.0) as u64);
    bench.again();
    for look in 1..=looks {
        let candidates = draw.binomial(20, truth);
        let visitors = |n: u64| Sum::Amount { n, total: n, squares: u128::from(n) };
        bench.put(Arm::Candidate, &Segment::none(), Signal::Visitors, visitors(candidates));
        bench.put(Arm::Stable, &Segment::none(), Signal::Visitors, visitors(20 - candidates));
        bench.put(Arm::Candidate, &Segment::none(), Signal::Error, rate(candidates, 0));
        bench.put(Arm::Stable, &Segment::none(), Signal::Error, rate(20 - candidates, 0));
        bench.close();
        if look % 10 == 0 && bench.evidence().mismatch.is_some() {
            return Some(look);
        }
    }
    None
}
