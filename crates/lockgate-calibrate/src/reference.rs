//! Independent implementations on the same streams: the Python packages `confseq` and `ville`.
//!
//! The streams are drawn here and handed over as a file; a script plays both packages over them and writes down when each
//! stops, and what evidence a mixture of fixed bets has gathered in `confseq`'s own words. Where the method is the same the
//! numbers must be; where it is not, ours may not be later.

use std::path::Path;
use std::process::Command;

use lockgate_core::estimate::draw::Draw;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::rate::RateTest;
use lockgate_stats::wealth::Wealth;
use lockgate_stats::{Count, LEVELS};
use serde_json::{Value, json};

use crate::{CalibrateError, Effort, Finding};

const ALPHA: f64 = 0.01;
const LIMIT: f64 = 0.005;

/// Runs the script with the interpreter of an environment in which both packages are.
pub fn findings(
    effort: Effort,
    python: &Path,
    script: &Path,
    scratch: &Path,
) -> Result<Vec<Finding>, CalibrateError> {
    let streams = effort.runs(200, 10);
    let rates: Vec<Vec<u8>> = (0..streams).map(|seed| coins(seed, 0.02, 4000)).collect();
    let scores: Vec<Vec<u8>> = (0..streams).map(|seed| marks(seed, 3000)).collect();
    let handed = json!({ "alpha": ALPHA, "limit": LIMIT, "rates": rates, "scores": scores, "floor": 0.76,
        "rate_bets": bets(), "score_stakes": stakes() });
    let (given, told) = (scratch.join("streams.json"), scratch.join("told.json"));
    write(&given, &handed.to_string())?;
    let status = Command::new(python)
        .arg(script)
        .args([&given, &told])
        .status()
        .map_err(|error| CalibrateError::File { path: python.display().to_string(), error })?;
    if !status.success() {
        return Err(CalibrateError::Program(format!("{} ended with {status}", script.display())));
    }
    let text = std::fs::read_to_string(&told)
        .map_err(|error| CalibrateError::File { path: told.display().to_string(), error })?;
    let told: Value =
        serde_json::from_str(&text).map_err(|error| CalibrateError::Program(error.to_string()))?;
    let mut findings = Vec::new();
    let ours: Vec<f64> = rates.iter().map(|stream| stop_rate(stream)).collect();
    findings.extend(later(
        &told["ville_bernoulli"],
        &ours,
        "errors 2 %, limit 0.5 %, calls until shown: ours, ville.BernoulliTest",
    ));
    findings.extend(later(&told["ville_betting_rate"], &ours, "the same: ours, ville.BettingTest"));
    findings.extend(later(&told["confseq_rate"], &ours, "the same: ours, confseq beta-binomial mixture"));
    let ours: Vec<f64> = scores.iter().map(|stream| stop_scores(stream)).collect();
    findings.extend(later(
        &told["ville_betting_scores"],
        &ours,
        "scores 0.72, floor 0.76, answers until shown: ours, ville.BettingTest",
    ));
    findings.extend(later(
        &told["confseq_scores"],
        &ours,
        "the same: ours, confseq betting (predictable bets)",
    ));
    let evidence: Vec<f64> = rates.iter().map(|stream| evidence_rate(&stream[..500])).collect();
    findings.push(equal(&told["mixture_rates"], &evidence, "evidence of 500 calls, same bets in confseq"));
    let evidence: Vec<f64> = scores.iter().map(|stream| evidence_scores(&stream[..200])).collect();
    findings.push(equal(&told["mixture_scores"], &evidence, "evidence of 200 scores, same bets in confseq"));
    Ok(findings)
}

fn write(path: &Path, text: &str) -> Result<(), CalibrateError> {
    std::fs::write(path, text)
        .map_err(|error| CalibrateError::File { path: path.display().to_string(), error })
}

fn coins(seed: u64, truth: f64, n: usize) -> Vec<u8> {
    let mut draw = Draw::of_item(seed, 1);
    (0..n).map(|_| u8::from(draw.fraction() < truth)).collect()
}

/// Scores in hundredths, mean about 0.72.
fn marks(seed: u64, n: usize) -> Vec<u8> {
    let mut draw = Draw::of_item(seed, 2);
    (0..n).map(|_| ((0.72 + 0.2 * draw.normal()) * 100.0).round().clamp(0.0, 100.0) as u8).collect()
}

fn rate_wealth(stream: &[u8]) -> Wealth {
    let hits = stream.iter().map(|hit| u64::from(*hit)).sum();
    RateTest::under(LIMIT).fail(Count { n: stream.len() as u64, hits })
}

fn score_wealth(stream: &[u8]) -> Wealth {
    let mut scores = [0; LEVELS];
    for score in stream {
        scores[usize::from(*score)] += 1;
    }
    MeanTest::over(0.76).fail_step(&scores)
}

fn evidence_rate(stream: &[u8]) -> f64 {
    rate_wealth(stream).log_e()
}

fn evidence_scores(stream: &[u8]) -> f64 {
    score_wealth(stream).log_e()
}

fn stop_rate(stream: &[u8]) -> f64 {
    first(stream.len(), |n| rate_wealth(&stream[..n]).reaches(-ALPHA.ln()))
}

fn stop_scores(stream: &[u8]) -> f64 {
    first(stream.len(), |n| score_wealth(&stream[..n]).reaches(-ALPHA.ln()))
}

/// The first length at which something holds, or the whole.
fn first(len: usize, holds: impl Fn(usize) -> bool) -> f64 {
    (1..=len).find(|n| holds(*n)).unwrap_or(len) as f64
}

/// The bets of the rate test, as stakes on a coin's mean: a hit multiplies by 1 + stake (1 - limit), a miss by 1 - stake limit.
fn bets() -> Value {
    let one = |hits: u64| RateTest::under(LIMIT).fail(Count { n: 1, hits });
    let (hit, parts) = (one(1), one(1).parts());
    let stakes: Vec<f64> = hit.logs().iter().map(|log| (log.exp() - 1.0) / (1.0 - LIMIT)).collect();
    json!({ "stakes": stakes, "parts": parts })
}

/// The bets of the mean test on 1 - x against 1 - floor.
fn stakes() -> Value {
    let mut lowest = [0; LEVELS];
    lowest[0] = 1;
    // A score of 0 pays 1 / (1 - floor): the factor is 1 + stake (1 / (1 - floor) - 1).
    let wealth = MeanTest::over(0.76).fail_step(&lowest);
    let gain = 1.0 / (1.0 - 0.76) - 1.0;
    let stakes: Vec<f64> = wealth.logs().iter().map(|log| (log.exp() - 1.0) / gain).collect();
    json!({ "stakes": stakes, "parts": wealth.parts() })
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn later(theirs: &Value, ours: &[f64], what: &str) -> Option<Finding> {
    let theirs = numbers(theirs);
    if theirs.len() != ours.len() {
        return None;
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len().max(1) as f64;
    let (ours, theirs) = (mean(ours), mean(&theirs));
    Some(Finding::held(
        "reference",
        what,
        format!("{ours:.0}, {theirs:.0}"),
        "not later by more than 10 %",
        ours <= 1.1 * theirs,
    ))
}

fn equal(theirs: &Value, ours: &[f64], what: &str) -> Finding {
    let theirs = numbers(theirs);
    let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max);
    Finding::held(
        "reference",
        what,
        format!("{} streams, largest difference {apart:.1e}", theirs.len()),
        "1e-9",
        apart <= 1e-9 && theirs.len() == ours.len() && !theirs.is_empty(),
    )
}
