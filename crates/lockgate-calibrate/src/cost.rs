//! What sessions cost: a gate on their mean, each counted up to a cap.

use std::collections::BTreeMap;

use lockgate_core::estimate::draw::Draw;
use lockgate_core::plan::Rule;
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::size_levels::level;
use lockgate_core::sums::Sum;

use crate::bench::{Bench, gate, plan};
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
        let fails: Vec<f64> = told.iter().filter_map(|(failed, _)| failed.map(|at| at as f64)).collect();
        let mean = fails.iter().sum::<f64>() / fails.len().max(1) as f64;
        findings.push(Finding::held(
            "cost",
            format!("{times} x stable's cost per session, limit 1.2 x: pairs until it is taken back"),
            format!("{mean:.0}, {} of {runs} found", fails.len()),
            format!("at most {most}"),
            mean <= most * slack && fails.len() as u64 == runs,
        ));
    }
    let alike = many(runs, 1.0, 6000)?;
    let failed = alike.iter().filter(|(failed, _)| failed.is_some()).count() as u64;
    let passed: Vec<f64> = alike.iter().filter_map(|(_, passed)| passed.map(|at| at as f64)).collect();
    let mean = passed.iter().sum::<f64>() / passed.len().max(1) as f64;
    findings.push(Finding::held(
        "cost",
        "the same cost per session, 6 000 pairs: taken back",
        share(failed, runs),
        "at most 1 %",
        failed as f64 <= 0.01 * runs as f64,
    ));
    findings.push(Finding::held(
        "cost",
        "the same cost per session: pairs until it passes",
        format!("{mean:.0}, {} of {runs} passed", passed.len()),
        "at most 1 500",
        mean <= 1500.0 * slack,
    ));
    let edge = many(runs, at_limit(), 6000)?;
    let failed = edge.iter().filter(|(failed, _)| failed.is_some()).count() as u64;
    let passed = edge.iter().filter(|(_, passed)| passed.is_some()).count() as u64;
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

type Told = (Option<u64>, Option<u64>);

fn many(runs: u64, times: f64, most: u64) -> Result<Vec<Told>, CalibrateError> {
    let rule = Rule::RiseUnder { fail: 0.2, pass: 0.2 };
    let mut bench = Bench::new(plan(0.5, vec![gate(Signal::SessionCost, rule)], Vec::new(), 0.0)?)?;
    Ok((0..runs).map(|seed| one(&mut bench, seed, times, most)).collect())
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
