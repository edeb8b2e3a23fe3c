//! What sessions cost: a gate on their mean, each counted up to a cap.

use std::collections::BTreeMap;

use lockgate_core::estimate::draw::Draw;
use lockgate_core::plan::Rule;
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::size_levels::level;
use lockgate_core::sums::Sum;

use crate::bench::{Bench, Runs, Told, gate, plan};
use crate::report::share;
use crate::{CalibrateError, Effort, Finding};

/// Sessions of stable's before the candidate's first, from which the cap comes.
const BEFORE: u64 = 2000;
/// The mean in nano-dollars, and the spread as a part of it.
const MEAN: f64 = 2e7;
const VARIATION: f64 = 1.8;

/// One session of each arm per bucket; costs are lognormal.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let runs = effort.runs(500, 12);
    let slack = if effort == Effort::Quick { 1.4 } else { 1.0 };
    let mut findings = Vec::new();
    for (times, most) in [(1.5, 1500.0), (3.0, 165.0)] {
        let told = many(runs, times, 12_000)?;
        let (mean, found) = (told.mean_failed(), told.failed());
        findings.push(Finding::held(
            "cost",
            format!("{times} x stable's cost per session, limit 1.2 x: pairs until it is taken back"),
            format!("{mean:.0}, {found} of {runs} found"),
            format!("at most {most}"),
            mean <= most * slack && found == runs,
        ));
    }
    let alike = many(runs, 1.0, 6000)?;
    findings.push(alike.seldom_taken_back("cost", "the same cost per session, 6 000 pairs"));
    findings.push(Finding::held(
        "cost",
        "the same cost per session: pairs until it passes",
        format!("{:.0}, {} of {runs} passed", alike.mean_passed(), alike.passed()),
        "at most 1 500",
        alike.mean_passed() <= 1500.0 * slack,
    ));
    let edge = many(runs, at_limit(), 6000)?;
    let (failed, passed) = (edge.failed(), edge.passed());
    findings.push(Finding::held(
        "cost",
        "1.2 x after the cap, the limit itself, 6 000 pairs: taken back; passed",
        format!("{}; {}", share(failed, runs), share(passed, runs)),
        "at most 1 %; at most 5 %",
        failed as f64 <= 0.01 * runs as f64 && passed as f64 <= 0.05 * runs as f64 * slack * slack,
    ));
    Ok(findings)
}

/// How many times stable's cost a candidate has whose mean, each session counted up to the cap, is 1.2 times stable's: the cap
/// takes more from the dearer.
fn at_limit() -> f64 {
    let sigma = (1.0 + VARIATION * VARIATION).ln().sqrt();
    let cost = |z: f64| (sigma * z - 0.5 * sigma * sigma).exp();
    let cap = cost(3.090_232);
    let capped = |times: f64| -> f64 {
        let strip = |i: u32| -8.0 + f64::from(i) * 0.001;
        (0..16_000).map(strip).map(|z| (-0.5 * z * z).exp() * (times * cost(z)).min(cap)).sum()
    };
    let (mut low, mut high) = (1.0, 2.0);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if capped(middle) < 1.2 * capped(1.0) { low = middle } else { high = middle }
    }
    high
}

fn many(runs: u64, times: f64, most: u64) -> Result<Runs, CalibrateError> {
    let rule = Rule::RiseUnder { fail: 0.2, pass: 0.2 };
    let mut bench = Bench::new(plan(0.5, vec![gate(Signal::SessionCost, rule)], Vec::new(), 0.0)?)?;
    Ok(Runs((0..runs).map(|seed| one(&mut bench, seed, times, most)).collect()))
}

fn one(bench: &mut Bench, seed: u64, times: f64, most: u64) -> Told {
    let mut draw = Draw::of_item(seed, (times * 100.0) as u64);
    bench.again();
    bench.put(Arm::Candidate, &Segment::none(), Signal::SessionCost, Sum::Levels(BTreeMap::new()));
    for _ in 0..BEFORE / 100 {
        let levels = sessions(&mut draw, 1.0, 100);
        bench.put(Arm::Stable, &Segment::none(), Signal::SessionCost, levels);
        bench.close();
    }
    bench.play(most, |bench| {
        let (theirs, ours) = (sessions(&mut draw, 1.0, 1), sessions(&mut draw, times, 1));
        bench.put(Arm::Stable, &Segment::none(), Signal::SessionCost, theirs);
        bench.put(Arm::Candidate, &Segment::none(), Signal::SessionCost, ours);
        bench.call();
    })
}

fn sessions(draw: &mut Draw, times: f64, n: u64) -> Sum {
    let variance = (1.0 + VARIATION * VARIATION).ln();
    let mut levels = BTreeMap::new();
    for _ in 0..n {
        let cost = times * MEAN * (variance.sqrt() * draw.normal() - 0.5 * variance).exp();
        *levels.entry(level(cost as u64)).or_insert(0) += 1;
    }
    Sum::Levels(levels)
}
