//! One gate on errors: how often it is wrong, and how soon it is right.

use lockgate_core::estimate::draw::Draw;
use lockgate_core::event::Outcome;
use lockgate_core::plan::{Blame, Rule};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};

use crate::bench::{self, Bench, LOOKS_48H, gate, plan, rate};
use crate::report::share;
use crate::{CalibrateError, Effort, Finding, upper_bound};

/// Calls in a bucket: one a second.
const CALLS: u64 = 10;
/// The gate's limit.
const LIMIT: f64 = 0.005;
/// What no test of the limit can beat on average, in calls: ln(100) over the divergence of the truth from the limit (Wald).
const BOUNDS: [(f64, f64, f64); 2] = [(0.02, 359.0, 1.5), (0.008, 6023.0, 1.6)];

/// When a gate failed and passed, in calls.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    failed: Option<u64>,
    passed: Option<u64>,
    /// When more than 2 % of a five-minute window's calls first were errors.
    literal: Option<u64>,
}

/// The gate alone, with the whole of alpha, for 48 hours at one call a second.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let mut findings = Vec::new();
    let runs = effort.runs(5000, 40);
    let healthy = many(runs, LOOKS_48H, 0.004, false)?;
    let failed = count(&healthy, |told| told.failed);
    findings.push(Finding::held(
        "gate",
        "errors 0.4 %, limit 0.5 %, 172 800 calls, 17 280 looks: taken back",
        share(failed, runs),
        "at most 1 %, upper bound 1.5 %",
        failed as f64 <= 0.01 * runs as f64
            && (effort == Effort::Quick || upper_bound(failed, runs) <= 0.015),
    ));
    findings.push(Finding::told(
        "gate",
        "the same calls, more than 2 % in five minutes taken at its word: taken back",
        share(count(&healthy, |told| told.literal), runs),
    ));
    findings.push(Finding::told(
        "gate",
        "the same calls: calls until it passes (bound 27 757 for a fixed truth)",
        format!(
            "{:.0}, {} of {runs} passed",
            mean(&healthy, |told| told.passed),
            count(&healthy, |told| told.passed)
        ),
    ));
    let edge = many(runs, LOOKS_48H, LIMIT, false)?;
    let passed = count(&edge, |told| told.passed);
    findings.push(Finding::held(
        "gate",
        "errors 0.5 %, the limit itself: promoted",
        share(passed, runs),
        "at most 5 %",
        passed as f64
            <= 0.05 * runs as f64
                + 2.0 * (0.0475 * runs as f64).sqrt() * f64::from(u8::from(effort == Effort::Quick)),
    ));
    findings.push(Finding::told(
        "gate",
        "errors 0.5 %, the limit itself: taken back",
        share(count(&edge, |told| told.failed), runs),
    ));
    for (truth, bound, times) in BOUNDS {
        let runs = effort.runs(2000, 60);
        let told = many(runs, 30 * LOOKS_48H, truth, true)?;
        let calls = mean(&told, |told| told.failed);
        let slack = if effort == Effort::Quick { 1.25 } else { 1.0 };
        findings.push(Finding::held(
            "gate",
            format!("errors {} %, limit 0.5 %: calls until it is taken back", truth * 100.0),
            format!(
                "{calls:.0} = {:.2} x the bound of {bound}, {} of {runs} found",
                calls / bound,
                count(&told, |told| told.failed)
            ),
            format!("at most {times} x"),
            calls <= times * bound * slack && count(&told, |told| told.failed) == runs,
        ));
    }
    Ok(findings)
}

/// Calls until the gate fails, or passes, on average.
pub(crate) fn mean_until(runs: u64, truth: f64, limit: f64, fails: bool) -> Result<f64, CalibrateError> {
    let told = against(limit, runs, 30 * LOOKS_48H, truth, true)?;
    Ok(mean(&told, |told| if fails { told.failed } else { told.passed }))
}

fn many(runs: u64, looks: u64, truth: f64, stop: bool) -> Result<Vec<Told>, CalibrateError> {
    against(LIMIT, runs, looks, truth, stop)
}

fn against(limit: f64, runs: u64, looks: u64, truth: f64, stop: bool) -> Result<Vec<Told>, CalibrateError> {
    let rule = Rule::RateUnder { limit, blame: Blame::Always };
    let mut bench = Bench::new(plan(0.01, vec![gate(Signal::Error, rule)], Vec::new(), 0.0)?)?;
    Ok((0..runs).map(|seed| one(&mut bench, seed, looks, truth, limit, stop)).collect())
}

fn one(bench: &mut Bench, seed: u64, looks: u64, truth: f64, limit: f64, stop: bool) -> Told {
    let mut draw = Draw::of_item(seed, (truth * 1e6) as u64);
    let mut told = Told::default();
    let mut window = [0_u64; 30];
    bench.again();
    for look in 1..=looks {
        let hits = draw.binomial(CALLS, truth);
        window[(look % 30) as usize] = hits;
        if told.literal.is_none()
            && look >= 30
            && window.iter().sum::<u64>() as f64 > 0.02 * 30.0 * CALLS as f64
        {
            told.literal = Some(look * CALLS);
        }
        bench.put(Arm::Candidate, &Segment::none(), Signal::Error, rate(CALLS, hits));
        if !bench.close() {
            continue;
        }
        for check in bench.checks() {
            let at = Some(look * CALLS);
            match check.verdict.outcome {
                Outcome::Fail => told.failed = told.failed.or(at),
                Outcome::Pass => told.passed = told.passed.or(at),
                Outcome::Inconclusive => {}
            }
        }
        // A candidate that is to be taken back may have passed by chance before; its failing side goes on.
        let is_told = told.failed.is_some() || (stop && truth < limit && told.passed.is_some());
        if is_told && (stop || told.literal.is_some()) {
            break;
        }
    }
    told
}

fn count(all: &[Told], of: impl Fn(&Told) -> Option<u64>) -> u64 {
    all.iter().filter_map(of).count() as u64
}

fn mean(all: &[Told], of: impl Fn(&Told) -> Option<u64>) -> f64 {
    bench::mean(all.iter().filter_map(of))
}
