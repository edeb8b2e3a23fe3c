//! Judged answers: a gate on the mean score beside stable's.

use std::collections::BTreeMap;

use lockgate_core::estimate::draw::Draw;
use lockgate_core::plan::Rule;
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;

use crate::bench::{Bench, Runs, Told, gate, plan};
use crate::report::share;
use crate::{CalibrateError, Effort, Finding};

/// The margins: a fall of more than 5 % of stable's mean fails, one proven to be under 10 % passes.
const RULE: Rule = Rule::DropUnder { fail: 0.05, pass: 0.10 };
/// What judges give to a stable version.
const STABLE: f64 = 0.80;
const SPREAD: f64 = 0.20;

/// Scores between 0 and 1, in hundredths, spread like a Beta distribution.
struct Scores(Vec<f64>);

impl Scores {
    fn new(mean: f64) -> Self {
        let both = mean * (1.0 - mean) / (SPREAD * SPREAD) - 1.0;
        let (a, b) = (mean * both, (1.0 - mean) * both);
        // Midpoints of a hundred strips per hundredth: enough for a draw.
        let density = |x: f64| ((a - 1.0) * x.ln() + (b - 1.0) * (1.0 - x).ln()).exp();
        let mut cumulated: Vec<f64> = Vec::with_capacity(101);
        let mut sum = 0.0;
        for level in 0..=100_u32 {
            for strip in 0..100_u32 {
                let x = (f64::from(level) - 0.5 + (f64::from(strip) + 0.5) / 100.0) / 100.0;
                if x > 0.0 && x < 1.0 {
                    sum += density(x);
                }
            }
            cumulated.push(sum);
        }
        Self(cumulated.into_iter().map(|part| part / sum).collect())
    }

    fn draw(&self, draw: &mut Draw) -> u16 {
        let place = draw.fraction();
        self.0.partition_point(|part| *part <= place).min(100) as u16
    }
}

/// One judged answer of each arm per bucket, and with four of stable's.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let runs = effort.runs(2000, 50);
    let slack = if effort == Effort::Quick { 1.3 } else { 1.0 };
    let mut findings = Vec::new();
    for (stables, most) in [(1, 600.0), (4, 400.0)] {
        let told = many(runs, 0.72, stables, 6000)?;
        let (mean, found) = (told.mean_failed(), told.failed());
        findings.push(Finding::held(
            "scores",
            format!(
                "judge 0.80 against 0.72, spread 0.20, {stables} of stable's each: pairs until it is taken back"
            ),
            format!("{mean:.0}, {found} of {runs} found"),
            format!("at most {most}"),
            mean <= most * slack && found == runs,
        ));
        let is_earlier = |told: &&Told| told.passed.is_some_and(|at| told.failed.is_none_or(|f| at < f));
        let passes = told.0.iter().filter(is_earlier).count() as u64;
        findings.push(Finding::held(
            "scores",
            format!("the same, {stables} of stable's each: passed before that"),
            share(passes, runs),
            "at most 5 %",
            passes as f64 <= 0.05 * runs as f64 * if effort == Effort::Quick { 3.0 } else { 1.0 },
        ));
    }
    let alike = many(runs, STABLE, 1, 6000)?;
    findings.push(alike.seldom_taken_back("scores", "judge 0.80 against 0.80, 6 000 pairs"));
    findings.push(Finding::told(
        "scores",
        "judge 0.80 against 0.80: pairs until it passes (bound 78)",
        format!("{:.0}", alike.mean_passed()),
    ));
    Ok(findings)
}

fn many(runs: u64, mean: f64, stables: u64, most: u64) -> Result<Runs, CalibrateError> {
    let mut bench = Bench::new(plan(0.5, vec![gate(Signal::Quality, RULE)], Vec::new(), 0.0)?)?;
    let (stable, candidate) = (Scores::new(STABLE), Scores::new(mean));
    Ok(Runs((0..runs).map(|seed| one(&mut bench, seed, &stable, &candidate, stables, most)).collect()))
}

fn one(bench: &mut Bench, seed: u64, stable: &Scores, candidate: &Scores, stables: u64, most: u64) -> Told {
    let mut draw = Draw::of_item(seed, 80 + stables);
    bench.again();
    bench.play(most, |bench| {
        let mut levels = |scores: &Scores, n: u64| {
            let mut levels = BTreeMap::new();
            for _ in 0..n {
                *levels.entry(scores.draw(&mut draw)).or_insert(0) += 1;
            }
            Sum::Levels(levels)
        };
        let (theirs, ours) = (levels(stable, stables), levels(candidate, 1));
        bench.put(Arm::Stable, &Segment::none(), Signal::Quality, theirs);
        bench.put(Arm::Candidate, &Segment::none(), Signal::Quality, ours);
        bench.call();
    })
}
