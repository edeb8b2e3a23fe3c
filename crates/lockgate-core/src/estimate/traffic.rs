//! Who calls, and how versions behave: what chance is drawn from on paper.
//!
//! Every signal has a [`Manner`]: how many observations of it a call brings, and how they come out. What nobody has measured
//! is assumed, and what was assumed is told with every estimate.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::duration_levels;
use crate::plan::{Plan, Rule};
use crate::segment::Slice;
use crate::signal::{Measure, Signal};
use crate::size_levels;
use crate::sums::{SCORE_STEPS, Sum};

/// Who calls, as an estimate needs to know it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traffic {
    /// Calls of users, both versions together.
    pub per_second: f64,
    /// How the version behaves that users have.
    pub stable: Behaviour,
    /// Slices of which the part of the traffic is known.
    pub slices: Vec<(Slice, f64)>,
}

impl Traffic {
    /// So many calls, nothing else known: behaviour is assumed to be well within the plan's limits.
    pub fn assumed(per_second: f64, plan: &Plan) -> Self {
        Self { per_second, stable: Behaviour::assumed(plan), slices: Vec::new() }
    }
}

/// How a version behaves. A signal that is not listed has the manner of [`Manner::usual`].
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Behaviour {
    manners: BTreeMap<Signal, Manner>,
}

/// How one signal of a version comes out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manner {
    /// Observations per call: 1 for what every call has, less for feedback, 0 for what nobody reports.
    pub per_call: f64,
    /// How they come out.
    pub values: Values,
    /// Whether somebody said or measured how they come out.
    pub known: bool,
    /// Whether somebody said or measured how many there are.
    pub counted: bool,
}

/// How observations come out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Yes with this probability.
    Rate(f64),
    /// On these levels of the signal's ladder, with these probabilities, which add up to 1.
    Levels(Vec<(u16, f64)>),
    /// Numbers with this mean and this standard deviation, both in the signal's own unit.
    Amount {
        /// Per observation.
        mean: f64,
        /// Of single observations.
        spread: f64,
    },
}

impl Behaviour {
    /// A version well within the standard plan's limits.
    pub fn healthy() -> Self {
        Self::default()
    }

    /// A version well within a plan's limits, where those are tighter than usual behaviour would meet.
    pub fn assumed(plan: &Plan) -> Self {
        let mut behaviour = Self::default();
        let gates = plan.phases.iter().flat_map(|phase| &phase.gates).map(|gate| (&gate.signal, gate.rule));
        let triggers = plan.triggers.iter().map(|trigger| (&trigger.signal, trigger.rule));
        for (signal, rule) in gates.chain(triggers) {
            let mut manner = behaviour.of(signal);
            if manner.move_within(rule) {
                behaviour.manners.insert(signal.clone(), manner);
            }
        }
        behaviour
    }

    /// How one signal comes out.
    pub fn of(&self, signal: &Signal) -> Manner {
        self.manners.get(signal).cloned().unwrap_or_else(|| Manner::usual(signal))
    }

    /// The same but for one signal.
    pub fn with(mut self, signal: Signal, manner: Manner) -> Self {
        self.manners.insert(signal, manner);
        self
    }

    /// The same, but this signal comes out at this rate or mean.
    pub fn at(self, signal: Signal, level: f64) -> Self {
        let mut manner = self.of(&signal);
        manner.set_level(level);
        manner.known = true;
        self.with(signal, manner)
    }

    /// The same, but this signal is observed so often per call.
    pub fn seen(self, signal: Signal, per_call: f64) -> Self {
        let mut manner = self.of(&signal);
        manner.per_call = per_call;
        manner.counted = true;
        self.with(signal, manner)
    }

    /// The same, but calls (or first contents) take longer than these times in these parts of all cases.
    pub fn slower(self, signal: Signal, than: &[(Duration, f64)]) -> Self {
        let manner = Manner { values: latency(than), known: true, ..self.of(&signal) };
        self.with(signal, manner)
    }

    /// The same, but times are log-normal with this median and, in this part of all cases, longer than that; laid down at
    /// these limits, where it matters.
    pub fn log_normal(
        self,
        signal: Signal,
        median: Duration,
        longer: (Duration, f64),
        limits: &[Duration],
    ) -> Self {
        let middle = median.as_secs_f64().max(1e-6).ln();
        let sigma = (longer.0.as_secs_f64().max(1e-6).ln() - middle) / normal_quantile(1.0 - longer.1);
        let beyond = |limit: &Duration| {
            let at = limit.as_secs_f64().max(1e-6).ln();
            (*limit, normal_tail((at - middle) / sigma.max(1e-3)))
        };
        let points: Vec<(Duration, f64)> = limits.iter().chain([&median]).map(beyond).collect();
        self.slower(signal, &points)
    }

    /// The same, with what a sum over so many calls says of a signal; a sum without observations says that none come.
    pub fn measured(self, signal: Signal, sum: &Sum, calls: u64) -> Self {
        let mut manner = self.of(&signal);
        manner.per_call = sum.n() as f64 / calls.max(1) as f64;
        (manner.known, manner.counted) = (sum.n() > 0, true);
        match sum {
            Sum::Rate { n, hits } if *n > 0 => manner.values = Values::Rate(*hits as f64 / *n as f64),
            Sum::Amount { n, total, squares } if *n > 0 => {
                let mean = *total as f64 / *n as f64;
                let spread = (*squares as f64 / *n as f64 - mean * mean).max(0.0).sqrt();
                manner.values = Values::Amount { mean, spread };
            }
            Sum::Levels(counts) if sum.n() > 0 => {
                let n = sum.n() as f64;
                let levels = counts.iter().filter(|(_, count)| **count > 0);
                manner.values =
                    Values::Levels(levels.map(|(level, count)| (*level, *count as f64 / n)).collect());
            }
            _ => {}
        }
        self.with(signal, manner)
    }
}

/// Of calls, how many bring a piece of each kind of feedback: one in a hundred users says something.
const FEEDBACK: f64 = 0.01;
/// How far single scores lie from their mean, as judges and users spread.
const SCORE_SPREAD: f64 = 0.2;

impl Manner {
    /// What is assumed of a signal that nobody has told or measured: a version in good health.
    pub fn usual(signal: &Signal) -> Self {
        let rate = Values::Rate;
        let seconds = Duration::from_secs_f64;
        let values = match signal {
            Signal::Error | Signal::Degraded | Signal::Fallback => rate(0.004),
            Signal::Timeout | Signal::Rejected | Signal::Injection => rate(0.002),
            Signal::Refusal | Signal::Cancelled | Signal::Hallucination => rate(0.01),
            Signal::Invalid | Signal::Filtered => rate(0.005),
            Signal::CacheHit => rate(0.3),
            Signal::Coverage => rate(0.95),
            Signal::ThumbsDown => rate(0.02),
            Signal::TaskSuccess => rate(0.85),
            Signal::Escalated | Signal::Retried | Signal::Abandoned => rate(0.05),
            Signal::PiiLeak | Signal::Incident => rate(0.0),
            Signal::DeclaredRate(_) => rate(0.1),
            Signal::Latency => latency(&[(seconds(1.0), 0.5), (seconds(5.0), 0.005), (seconds(10.0), 0.001)]),
            Signal::FirstToken => latency(&[(seconds(0.4), 0.5), (seconds(2.0), 0.005)]),
            Signal::Agreement => scores(0.96, 0.12),
            Signal::Csat => scores(0.85, 0.23),
            Signal::Quality | Signal::DeclaredScore(_) => scores(0.8, SCORE_SPREAD),
            Signal::Assigned | Signal::Sessions | Signal::Visitors => {
                Values::Amount { mean: 1.0, spread: 0.0 }
            }
            Signal::TokensIn => Values::Amount { mean: 900.0, spread: 900.0 },
            Signal::TokensOut => Values::Amount { mean: 300.0, spread: 250.0 },
            Signal::Tokens => Values::Amount { mean: 1_200.0, spread: 1_000.0 },
            Signal::Cost => Values::Amount { mean: 3e6, spread: 3e6 },
            Signal::InputLength => sizes(900.0, 1.0),
            Signal::OutputLength => sizes(300.0, 0.8),
            // A cent a session, with a spread of 1.8 times that.
            Signal::SessionCost => sizes(1e7, 1.2),
        };
        let per_call = match signal {
            signal if signal.is_feedback() => FEEDBACK,
            Signal::Sessions | Signal::SessionCost => 0.3,
            Signal::Visitors => 0.1,
            _ => 1.0,
        };
        Self { per_call, values, known: false, counted: per_call >= 1.0 }
    }

    /// The rate or the mean; of times, the mean in seconds.
    pub fn level(&self, measure: Measure) -> f64 {
        match &self.values {
            Values::Rate(rate) => *rate,
            Values::Amount { mean, .. } => *mean,
            Values::Levels(levels) => levels.iter().map(|(level, part)| part * value(*level, measure)).sum(),
        }
    }

    /// Of times, the part that counts as slower than a limit.
    pub fn slower_than(&self, limit: Duration) -> f64 {
        let from = duration_levels::first_slower(limit);
        match &self.values {
            Values::Levels(levels) => {
                levels.iter().filter(|(level, _)| *level >= from).map(|(_, part)| part).sum()
            }
            _ => 0.0,
        }
    }

    /// Brings the rate or mean there, and keeps the spread where it can.
    pub(super) fn set_level(&mut self, to: f64) {
        match &mut self.values {
            Values::Rate(rate) => *rate = to.clamp(0.0, 1.0),
            Values::Amount { mean, spread } => {
                *spread *= to / mean.max(f64::MIN_POSITIVE);
                *mean = to;
            }
            Values::Levels(levels) if levels.iter().all(|(level, _)| *level <= SCORE_STEPS) => {
                let spread = spread_of(levels);
                self.values = scores(to, spread);
            }
            Values::Levels(levels) => {
                let now: f64 = levels.iter().map(|(level, part)| part * size_levels::value(*level)).sum();
                scale(levels, to / now.max(f64::MIN_POSITIVE));
            }
        }
    }

    /// Multiplies sizes.
    pub(super) fn scale(&mut self, times: f64) {
        if let Values::Levels(levels) = &mut self.values {
            scale(levels, times);
        }
    }

    /// Brings the part of slower times there, by taking from both sides alike.
    pub(super) fn set_slower(&mut self, limit: Duration, to: f64) {
        let now = self.slower_than(limit);
        let from = duration_levels::first_slower(limit);
        let Values::Levels(levels) = &mut self.values else { return };
        for (level, part) in levels.iter_mut() {
            *part *= if *level >= from {
                to / now.max(f64::MIN_POSITIVE)
            } else {
                (1.0 - to) / (1.0 - now).max(1e-12)
            };
        }
        if now <= 0.0 {
            levels.push((from, to));
        }
    }

    /// Moves what is assumed to well within a rule; whether that was needed.
    fn move_within(&mut self, rule: Rule) -> bool {
        match (rule, &self.values) {
            (Rule::RateUnder { limit, .. }, Values::Rate(rate)) if *rate > 0.8 * limit => {
                self.set_level(0.6 * limit);
            }
            (Rule::MeanOver { limit }, Values::Rate(mean)) if 1.0 - mean > 0.8 * (1.0 - limit) => {
                self.set_level(1.0 - 0.5 * (1.0 - limit));
            }
            (Rule::MeanOver { limit }, Values::Levels(_))
                if 1.0 - self.level(Measure::Score) > 0.8 * (1.0 - limit) =>
            {
                self.set_level(1.0 - 0.5 * (1.0 - limit));
            }
            (Rule::SlowUnder { limit, part, .. }, Values::Levels(_))
                if self.slower_than(limit) > 0.8 * part =>
            {
                self.set_slower(limit, 0.5 * part);
            }
            _ => return false,
        }
        true
    }
}

/// What a level stands for.
fn value(level: u16, measure: Measure) -> f64 {
    match measure {
        Measure::Score => f64::from(level) / f64::from(SCORE_STEPS),
        Measure::Durations => {
            duration_levels::upper_edge(level).unwrap_or(Duration::from_secs(3600)).as_secs_f64()
        }
        _ => size_levels::value(level),
    }
}

/// Scores with this mean and spread: on two levels, the simplest distribution that has both.
fn scores(mean: f64, spread: f64) -> Values {
    let mean = mean.clamp(0.0, 1.0);
    let variance = (spread * spread).min(mean * (1.0 - mean));
    let short = 1.0 - mean;
    // Symmetric where there is room for it; else the upper level is 1 and the lower one as far down as the spread asks.
    let (low, high) = match (mean - spread >= 0.0, mean + spread <= 1.0) {
        (true, true) => (mean - spread, mean + spread),
        (_, false) if short > 0.0 => ((1.0 - (variance + short * short) / short).max(0.0), 1.0),
        _ => (0.0, (mean + variance / mean.max(f64::MIN_POSITIVE)).min(1.0)),
    };
    let step = |score: f64| (score * f64::from(SCORE_STEPS)).round();
    let (low, high) = (step(low), step(high));
    let at = mean * f64::from(SCORE_STEPS);
    let part = if high > low { ((at - low) / (high - low)).clamp(0.0, 1.0) } else { 1.0 };
    Values::Levels(vec![(low as u16, 1.0 - part), (high as u16, part)])
}

fn spread_of(levels: &[(u16, f64)]) -> f64 {
    let score = |level: u16| f64::from(level) / f64::from(SCORE_STEPS);
    let mean: f64 = levels.iter().map(|(level, part)| part * score(*level)).sum();
    levels.iter().map(|(level, part)| part * (score(*level) - mean).powi(2)).sum::<f64>().sqrt()
}

/// Times that exceed each of these in this part of all cases; within a stretch they lie at its geometric middle.
fn latency(slower: &[(Duration, f64)]) -> Values {
    let mut points: Vec<(f64, f64)> = slower.iter().map(|(than, part)| (than.as_secs_f64(), *part)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut levels = Vec::new();
    let mut put = |seconds: f64, part: f64| {
        if part > 0.0 {
            let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            levels.push((duration_levels::level(duration), part));
        }
    };
    let mut below = 1.0;
    for (i, (seconds, part)) in points.iter().enumerate() {
        let part = part.clamp(0.0, below);
        let from = if i == 0 { 0.4 * seconds } else { points[i - 1].0 };
        put((from * seconds).sqrt(), below - part);
        below = part;
    }
    put(points.last().map_or(1.0, |(seconds, _)| 1.5 * seconds), below);
    Values::Levels(levels)
}

/// The cells by which a log-normal distribution is cut up: fine where it is rare and large, because that is what caps and
/// sums hang on.
const CELLS: [f64; 14] = [0.0, 0.05, 0.15, 0.3, 0.45, 0.6, 0.72, 0.82, 0.9, 0.95, 0.98, 0.993, 0.998, 0.9995];

/// Sizes, log-normal with this mean; `sigma` is the spread of their logarithm.
fn sizes(mean: f64, sigma: f64) -> Values {
    let ends = CELLS.iter().skip(1).copied().chain([1.0]);
    let cells: Vec<(f64, f64)> = (CELLS.iter().zip(ends))
        .map(|(from, to)| ((sigma * normal_quantile(0.5 * (from + to))).exp(), to - from))
        .collect();
    let whole: f64 = cells.iter().map(|(size, part)| size * part).sum();
    let level = |size: f64| size_levels::level((size * mean / whole).round() as u64);
    Values::Levels(cells.into_iter().map(|(size, part)| (level(size), part)).collect())
}

fn scale(levels: &mut [(u16, f64)], times: f64) {
    for (level, _) in levels {
        *level = size_levels::level((size_levels::value(*level) * times).round() as u64);
    }
}

/// The normal distribution's quantile, to three digits (Hastings' approximation, as in Abramowitz and Stegun 26.2.23).
pub(super) fn normal_quantile(p: f64) -> f64 {
    let tail = p.min(1.0 - p).max(1e-300);
    let t = (-2.0 * tail.ln()).sqrt();
    let up = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let down = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - up / down).copysign(p - 0.5)
}

/// How much of the normal distribution lies above (Abramowitz and Stegun 7.1.26, to seven digits).
fn normal_tail(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let above = 0.5 * series * (-z * z).exp();
    if x >= 0.0 { above } else { 1.0 - above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_have_the_mean_and_spread_that_were_asked_for() {
        for (mean, spread) in [(0.8, 0.2), (0.95, 0.15), (0.1, 0.2), (0.5, 0.1), (0.72, 0.2)] {
            let Values::Levels(levels) = scores(mean, spread) else { panic!("scores are levels") };
            let manner =
                Manner { per_call: 1.0, values: Values::Levels(levels.clone()), known: true, counted: true };
            assert!((manner.level(Measure::Score) - mean).abs() < 1e-9, "{mean} {spread}");
            assert!((spread_of(&levels) - spread).abs() < 0.01, "{mean} {spread}: {}", spread_of(&levels));
        }
    }

    #[test]
    fn times_exceed_what_they_are_said_to_exceed() {
        let behaviour = Behaviour::healthy();
        let latency = behaviour.of(&Signal::Latency);
        assert!((latency.slower_than(Duration::from_secs(5)) - 0.005).abs() < 1e-12);
        assert!((latency.slower_than(Duration::from_secs(10)) - 0.001).abs() < 1e-12);
        let mut slower = latency;
        slower.set_slower(Duration::from_secs(5), 0.05);
        assert!((slower.slower_than(Duration::from_secs(5)) - 0.05).abs() < 1e-12);
        assert!((slower.slower_than(Duration::from_secs(10)) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn two_quantiles_say_how_many_calls_are_slow() {
        let seconds = Duration::from_secs;
        let behaviour = Behaviour::healthy().log_normal(
            Signal::Latency,
            seconds(1),
            (seconds(4), 0.01),
            &[seconds(5), seconds(4)],
        );
        let latency = behaviour.of(&Signal::Latency);
        assert!((latency.slower_than(seconds(4)) - 0.01).abs() < 1e-4, "{}", latency.slower_than(seconds(4)));
        assert!(
            (latency.slower_than(seconds(5)) - 0.0035).abs() < 2e-4,
            "{}",
            latency.slower_than(seconds(5))
        );
    }

    #[test]
    fn sizes_have_the_mean_that_was_asked_for() {
        for signal in [Signal::SessionCost, Signal::InputLength] {
            let mut manner = Manner::usual(&signal);
            let before = manner.level(Measure::Sizes);
            manner.scale(2.0);
            assert!((manner.level(Measure::Sizes) / before - 2.0).abs() < 0.02);
        }
        assert!((Manner::usual(&Signal::SessionCost).level(Measure::Sizes) / 1e7 - 1.0).abs() < 0.01);
        assert!((normal_quantile(0.975) - 1.96).abs() < 1e-3 && normal_quantile(0.5).abs() < 1e-3);
    }

    #[test]
    fn what_is_assumed_lies_within_the_plan() {
        let mut plan = Plan::standard();
        for phase in &mut plan.phases {
            for gate in &mut phase.gates {
                if let Rule::RateUnder { limit, .. } = &mut gate.rule {
                    *limit /= 10.0;
                }
            }
        }
        let error = Behaviour::assumed(&plan).of(&Signal::Error).level(Measure::Rate);
        assert!(error < 0.0005 && error > 0.0002, "{error}");
        // The standard plan's own limits need no adjustment but where usual behaviour is too close to them.
        assert_eq!(Behaviour::assumed(&Plan::standard()).of(&Signal::Error).level(Measure::Rate), 0.004);
    }

    #[test]
    fn what_was_measured_replaces_what_is_assumed() {
        let sum = Sum::Rate { n: 50, hits: 3 };
        let manner = Behaviour::healthy().measured(Signal::ThumbsDown, &sum, 1000).of(&Signal::ThumbsDown);
        assert_eq!((manner.per_call, manner.level(Measure::Rate), manner.known), (0.05, 0.06, true));
        let none = Behaviour::healthy().measured(Signal::Csat, &Sum::zero(Measure::Score), 1000);
        assert_eq!(none.of(&Signal::Csat).per_call, 0.0);
    }
}
