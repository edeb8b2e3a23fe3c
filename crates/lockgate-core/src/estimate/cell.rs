//! One figure of an estimate: a question about one check, asked of many drawn courses.
//!
//! How long a check takes varies by half of its mean or more, because luck does. Most of that luck is known: it is by how
//! much more, or less, was seen than was to be expected, and that is zero on average whenever one stops (Wald). Taking it
//! out again (a control variate) leaves a mean that some dozens of draws settle.

use std::time::Duration;

use super::Expected;
use super::course::{BUCKET, Question, Scene};
use super::draw::Draw;
use super::schedule::Schedule;

/// How many looks the expected time is cut into. A rule that needs long is one whose evidence wavers, and what it would have
/// shown between two looks is missed: at 40 looks that is a tenth of the time, at these some hundredths.
const LOOKS: f64 = 200.0;
/// The same for evidence that a rule is kept, which wavers more: the truth is then close to the limit.
const LOOKS_TO_PASS: f64 = 400.0;
/// For whether something is shown at all by a moment, fewer do.
const LOOKS_WITHIN: f64 = 40.0;
/// Evidence that a rule is kept does not hang on the buckets' width, so they grow with the time that has passed: what an
/// earlier phase has nearly shown takes a minute, or a week.
const GROWTH: f64 = 1.0 / LOOKS_TO_PASS;
/// After so many times the expected time a course is given up, and counts as that long.
const PATIENCE: f64 = 8.0;

/// What the draws say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    pub(super) expected: Expected,
    /// Calls until anything on this signal took the candidate back.
    pub(super) reached: f64,
}

/// How one drawn course went.
#[derive(Debug, Clone, Copy)]
struct Sample {
    observations: f64,
    seconds: f64,
    /// By how much of its last bucket.
    late: f64,
    is_answered: bool,
    surprise: [f64; 2],
    taken_back: f64,
}

/// Asks many drawn courses; `None` when what is asked is not expected ever to be shown.
pub(super) fn ask(
    scene: &Scene<'_>,
    schedule: &Schedule,
    question: &Question,
    runs: u32,
    seed: u64,
) -> Option<Figure> {
    let typical = scene.expected(schedule, question, None)?;
    let looks = if question.is_about_failing() { LOOKS } else { LOOKS_TO_PASS };
    let bucket = (typical / looks).max(BUCKET.as_secs_f64());
    let phase = &scene.plan.phases[question.phase];
    let patience = match question.is_about_failing() {
        true => (PATIENCE * typical).max(50.0 * bucket),
        false => (PATIENCE * typical).max(phase.deadline.as_secs_f64()),
    };
    let growth = if question.is_about_failing() { 0.0 } else { GROWTH };
    let pace = Pace { bucket, growth, patience };
    let samples: Vec<Sample> = (0..runs.max(2))
        .map(|run| sample(scene, schedule, question, pace, &mut Draw::of_item(seed, u64::from(run))))
        .collect();
    let part = match (&question.slice, question.of_slice) {
        (Some((_, part)), true) => *part,
        _ => 1.0,
    };
    let calls_per_second = scene.candidate_calls(phase) * part;
    let per_second = calls_per_second * scene.per_call(phase, &question.signal);
    let (mean, error) = mean_without_luck(&samples, per_second);
    let observations = mean.max(0.0);
    let deadline = phase.deadline.as_secs_f64();
    let in_time = samples.iter().filter(|sample| sample.is_answered && sample.seconds <= deadline);
    let seconds = observations / per_second;
    let sum = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>();
    let sooner = sum(|sample| sample.taken_back) / sum(|sample| sample.seconds).max(1e-9);
    let expected = Expected {
        observations,
        calls: seconds * calls_per_second,
        seconds,
        in_time: in_time.count() as f64 / samples.len() as f64,
        standard_error: if mean > 0.0 { error / mean } else { 0.0 },
    };
    Some(Figure { expected, reached: seconds * calls_per_second * sooner.min(1.0) })
}

/// In which part of drawn courses it is shown within so many seconds of the phase.
pub(super) fn chance_within(
    scene: &Scene<'_>,
    schedule: &Schedule,
    question: &Question,
    within: f64,
    runs: u32,
    seed: u64,
) -> f64 {
    let pace =
        Pace { bucket: (within / LOOKS_WITHIN).max(BUCKET.as_secs_f64()), growth: 0.0, patience: within };
    let shown = (0..runs).filter(|run| {
        let draw = &mut Draw::of_item(seed, u64::from(*run));
        sample(scene, schedule, question, pace, draw).is_answered
    });
    shown.count() as f64 / f64::from(runs.max(1))
}

/// How finely a course is looked at, and how long.
#[derive(Debug, Clone, Copy)]
struct Pace {
    bucket: f64,
    growth: f64,
    patience: f64,
}

fn sample(
    scene: &Scene<'_>,
    schedule: &Schedule,
    question: &Question,
    pace: Pace,
    draw: &mut Draw,
) -> Sample {
    let mut walk = scene.walk(schedule, question, Duration::from_secs_f64(pace.bucket), Some(draw));
    let mut taken_back = None;
    let mut width = 0.0;
    loop {
        walk.look();
        // What is shown in a bucket was shown on average in its middle; live, a bucket is ten seconds wide.
        let late = 0.5 * (width - BUCKET.as_secs_f64()).max(0.0);
        if walk.is_taken_back && taken_back.is_none() {
            taken_back = Some(walk.seconds - late);
        }
        let next = (walk.seconds * pace.growth).max(pace.bucket);
        // A last bucket that would end after the patience does is not begun.
        if walk.is_answered || walk.seconds + next > pace.patience * (1.0 + 1e-9) {
            return Sample {
                observations: walk.seen.observations,
                seconds: walk.seconds - late,
                late,
                is_answered: walk.is_answered,
                surprise: walk.seen.surprise,
                taken_back: taken_back.unwrap_or(walk.seconds - late),
            };
        }
        width = next;
        walk.step(width, Some(draw));
    }
}

/// The mean of the observations and its standard error, after what is explained by the two surprises is taken out.
fn mean_without_luck(samples: &[Sample], per_second: f64) -> (f64, f64) {
    let n = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / n;
    let y = mean(&|s| s.observations);
    let c = [mean(&|s| s.surprise[0]), mean(&|s| s.surprise[1])];
    let with_y = |i: usize| mean(&|s| (s.surprise[i] - c[i]) * (s.observations - y));
    let between = |i: usize, j: usize| mean(&|s| (s.surprise[i] - c[i]) * (s.surprise[j] - c[j]));
    let (a, b, d) = (between(0, 0), between(0, 1), between(1, 1));
    let (u, v) = (with_y(0), with_y(1));
    let determinant = a * d - b * b;
    let slopes = if determinant > 1e-9 * a * d && determinant > 0.0 {
        [(u * d - v * b) / determinant, (v * a - u * b) / determinant]
    } else if a > 0.0 {
        [u / a, 0.0]
    } else {
        [0.0, 0.0]
    };
    let left = |s: &Sample| {
        s.observations - y - slopes[0] * (s.surprise[0] - c[0]) - slopes[1] * (s.surprise[1] - c[1])
    };
    let spread = mean(&|s| left(s).powi(2));
    // Two slopes were fitted, so two fewer draws bear witness to the spread.
    let late = per_second * mean(&|s| s.late);
    (y - slopes[0] * c[0] - slopes[1] * c[1] - late, (spread / (n - 3.0).max(1.0)).sqrt())
}
