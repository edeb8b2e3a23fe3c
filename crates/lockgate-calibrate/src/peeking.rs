//! Recorded experiments, looked at again and again.
//!
//! Every stream is two arms' conversions at checkpoints. A look at each checkpoint by an ordinary test flags streams that end
//! with nothing to show; evidence that may be looked at all the time does so no more often than its budget.

use std::io::BufRead as _;
use std::path::Path;

use lockgate_stats::Count;
use lockgate_stats::ratio::RatioTest;
use lockgate_stats::wealth::Wealth;
use serde_json::Value;

use crate::report::share;
use crate::{CalibrateError, Finding};

/// The budget of each of both directions.
const ALPHA: f64 = 0.005;
/// Two sides at 5 %, by an ordinary test.
const Z: f64 = 1.96;

/// One arm at one checkpoint.
#[derive(Debug, Clone, Copy)]
struct Arm {
    n: f64,
    mean: f64,
    variance: f64,
}

/// The streams of conversions in `ab_tests_checkpoints.jsonl`.
pub fn findings(data: &Path) -> Result<Vec<Finding>, CalibrateError> {
    let path = data.join("ab_tests_checkpoints.jsonl");
    let shown = path.display().to_string();
    let file =
        std::fs::File::open(&path).map_err(|error| CalibrateError::File { path: shown.clone(), error })?;
    let (mut streams, mut quiet, mut ours, mut naive, mut found) = (0, 0, 0, 0, 0);
    for (line, text) in std::io::BufReader::new(file).lines().enumerate() {
        let wrong = |what: String| CalibrateError::Content { path: shown.clone(), line: line + 1, what };
        let text = text.map_err(|error| CalibrateError::File { path: shown.clone(), error })?;
        let stream: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let checkpoints = read(&stream);
        let Some((control, treatment)) = checkpoints.last().copied().filter(|(arm, _)| is_conversion(arm))
        else {
            continue;
        };
        streams += 1;
        let has_effect = z(control, treatment).abs() > Z;
        let flagged = is_flagged(&checkpoints);
        if has_effect {
            found += u64::from(flagged);
            continue;
        }
        quiet += 1;
        ours += u64::from(flagged);
        naive += u64::from(checkpoints.iter().any(|(control, treatment)| z(*control, *treatment).abs() > Z));
    }
    Ok(vec![
        Finding::held(
            "peeking",
            format!(
                "{streams} recorded streams of conversions, those without a final effect: flagged at some look"
            ),
            share(ours, quiet),
            "at most 1 % (5 % of the streams with both arms' budget is none of them)",
            ours as f64 <= 0.01 * quiet as f64,
        ),
        Finding::told(
            "peeking",
            "the same by an ordinary test at 5 % at every checkpoint",
            share(naive, quiet),
        ),
        Finding::told(
            "peeking",
            "those with a final effect (ordinary test at 5 %): flagged by evidence",
            share(found, streams - quiet),
        ),
    ])
}

fn read(stream: &Value) -> Vec<(Arm, Arm)> {
    let rows = stream["checkpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter()
        .filter_map(|row| {
            let at = |i: usize| row.get(i)?.as_f64();
            let arm = |n, mean, variance| Some(Arm { n: at(n)?, mean: at(mean)?, variance: at(variance)? });
            Some((arm(1, 3, 5)?, arm(2, 4, 6)?))
        })
        .collect()
}

/// Whether the numbers are shares of callers: only then is the variance that of a coin.
fn is_conversion(arm: &Arm) -> bool {
    let coin = arm.mean * (1.0 - arm.mean);
    coin > 0.0 && (arm.variance / coin - 1.0).abs() < 0.02
}

fn z(control: Arm, treatment: Arm) -> f64 {
    let error = (control.variance / control.n + treatment.variance / treatment.n).sqrt();
    (treatment.mean - control.mean) / error
}

/// Whether either arm was shown to convert more often than the other.
fn is_flagged(checkpoints: &[(Arm, Arm)]) -> bool {
    let test = RatioTest::new(1.0);
    let (mut more, mut less): (Option<Wealth>, Option<Wealth>) = (None, None);
    let mut before = (0, 0);
    for (control, treatment) in checkpoints {
        let hits = |arm: &Arm| (arm.n * arm.mean).round() as u64;
        let now = (hits(control), hits(treatment));
        // Whoever converts now came at any time before; all who came so far are exposed.
        let count =
            |arm: &Arm, now: u64, before: u64| Count { n: arm.n as u64, hits: now.saturating_sub(before) };
        let (theirs, ours) = (count(control, now.0, before.0), count(treatment, now.1, before.1));
        before = now;
        add(&mut more, test.fail_step(ours, theirs));
        add(&mut less, test.fail_step(theirs, ours));
        let is_shown = |wealth: &Option<Wealth>| wealth.is_some_and(|wealth| wealth.reaches(-ALPHA.ln()));
        if is_shown(&more) || is_shown(&less) {
            return true;
        }
    }
    false
}

fn add(wealth: &mut Option<Wealth>, step: Wealth) {
    match wealth {
        Some(wealth) => wealth.multiply_all(&step),
        None => *wealth = Some(step),
    }
}
