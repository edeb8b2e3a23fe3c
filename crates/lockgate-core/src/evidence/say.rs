//! Says where a check stands: the verdict with every number.
//!
//! The sentence that people read first is put together in [`words`].

mod words;

use std::time::Duration;

use jiff::Timestamp;
use lockgate_stats::interval;

use super::account::Account;
use super::judge::Judge;
use super::proof::nearest;
use super::tally::Tally;
use crate::event::{AsOf, Missing, Outcome, Role, Verdict};
use crate::plan::Rule;
use crate::segment::Slice;
use crate::sums::BucketStart;

pub(crate) use self::words::in_words;

/// Beyond this many further observations no number is told: nobody would wait for it.
const MORE_MAX: f64 = 1e8;
/// The rate at which observations come in is that of so long at the most.
const RECENT_MS: i64 = 3_600_000;

/// Money is counted in thousand-millionths of a dollar, and told in dollars.
pub(super) const NANO: f64 = 1e-9;

/// What all verdicts of one moment have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling<'l> {
    /// The whole plan's, for intervals.
    pub(super) alpha: f64,
    pub(super) bucket: Duration,
    pub(super) last_closed: Option<BucketStart>,
    /// Since when the present share is in force.
    pub(super) since: Timestamp,
    pub(super) slice: Option<&'l Slice>,
    /// Whether nobody is left to compare with.
    pub(super) is_alone: bool,
}

/// One arm's numbers as they are told.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Numbers {
    n: u64,
    total: f64,
    estimate: Option<f64>,
}

impl Account {
    /// Where it stands.
    pub(super) fn verdict(&self, telling: &Telling<'_>) -> Verdict {
        let outcome = self.outcome();
        let (candidate, stable) = self.numbers();
        let (log_e_fail, log_e_fail_needed) = self.log_e_fail(telling);
        let missing = self.missing(outcome, telling);
        let worth = if self.spec.signal.is_money() { NANO } else { 1.0 };
        Verdict {
            name: self.spec.name.clone(),
            signal: self.spec.signal.clone(),
            arm: self.spec.lane.arm(),
            slice: telling.slice.cloned(),
            role: self.spec.role,
            outcome,
            why: self.why(outcome, candidate, stable, missing, telling.is_alone),
            n: candidate.n,
            total: candidate.total * worth,
            estimate: candidate.estimate.map(|mean| mean * worth),
            interval: self.interval(outcome, telling),
            stable_n: stable.n,
            stable_total: stable.total * worth,
            stable_estimate: stable.estimate.map(|mean| mean * worth),
            limit: self.limit(stable.estimate).map(|limit| limit * worth),
            log_e_pass: self.judge.log_e_pass(),
            log_e_pass_needed: self.has_pass().then_some(self.spec.log_pass_needed),
            log_e_fail,
            log_e_fail_needed,
            alpha: self.part.alpha,
            missing,
            crossed: self.literal.as_ref().and_then(|literal| literal.crossed),
            as_of: telling.last_closed.map(|bucket| AsOf {
                bucket,
                width_ms: u64::try_from(telling.bucket.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    fn outcome(&self) -> Outcome {
        let never_happened = self.spec.role == Role::Gate && matches!(self.judge, Judge::Never { .. });
        match (self.failed, self.passed || never_happened) {
            (Some(_), _) => Outcome::Fail,
            (None, true) => Outcome::Pass,
            (None, false) => Outcome::Inconclusive,
        }
    }

    /// What counts: for spending the window's, for rises what lies under the cap, else all since the rollout began.
    fn numbers(&self) -> (Numbers, Numbers) {
        match &self.judge {
            Judge::Spend(spend) => spend.spending().map_or_else(Default::default, |spending| {
                let told =
                    |arm: super::spend::Arm| Numbers { n: arm.units, total: arm.total, estimate: arm.mean() };
                (told(spending.candidate), told(spending.stable))
            }),
            Judge::Rise(rise) if rise.cap.is_some() => {
                let told = |arm: &super::rise::Capped| Numbers {
                    n: arm.n,
                    total: arm.total(),
                    estimate: arm.estimate(),
                };
                (told(&rise.candidate), told(&rise.stable))
            }
            _ => {
                let told = |arm: &Tally| Numbers { n: arm.n(), total: arm.total(), estimate: arm.estimate() };
                (told(&self.all.candidate), told(&self.all.stable))
            }
        }
    }

    /// How many observations of the candidate count.
    pub(super) fn n(&self) -> u64 {
        self.numbers().0.n
    }

    /// For slices only once something is broken: there are many, and nobody looks at those that are well.
    fn interval(&self, outcome: Outcome, telling: &Telling<'_>) -> Option<(f64, f64)> {
        if telling.slice.is_some() && outcome != Outcome::Fail {
            return None;
        }
        match &self.all.candidate {
            Tally::Count(count) if count.n > 0 => Some(interval::of_rate(*count, telling.alpha)),
            Tally::Scores(scores) if self.all.candidate.n() > 0 => {
                Some(interval::of_mean(scores, telling.alpha))
            }
            _ => None,
        }
    }

    /// The evidence that the rule is broken, and what it must reach.
    fn log_e_fail(&self, telling: &Telling<'_>) -> (f64, Option<f64>) {
        let bar = &self.bar();
        let (log_e, needed) = match &self.judge {
            Judge::Rate { fail, blame: Some(blame), .. } if !telling.is_alone => {
                nearest(&[fail, &blame.fail], bar)
            }
            Judge::Ratio(relative, _) => nearest(&[&relative.fail], bar),
            Judge::Rate { fail, .. } | Judge::Mean { fail, .. } | Judge::Drop { fail, .. } => {
                nearest(&[fail], bar)
            }
            Judge::Rise(rise) => nearest(&[&rise.fail], bar),
            Judge::Shift(shift) => {
                let (from_start, of_change) = shift.log_e_fail();
                bar.nearer(from_start, of_change)
            }
            Judge::Spend(_) | Judge::Never { .. } | Judge::Nothing { .. } => (0.0, f64::MAX),
        };
        (log_e, (needed < f64::MAX).then_some(needed))
    }

    /// Whether it can pass by evidence.
    fn has_pass(&self) -> bool {
        let is_hard = matches!(self.judge, Judge::Never { .. } | Judge::Nothing { .. } | Judge::Spend(_));
        self.recent.is_some() && !is_hard
    }

    /// The limit in the unit of the estimate. Where it hangs on stable and stable has no data, the one that excludes nothing.
    fn limit(&self, stable: Option<f64>) -> Option<f64> {
        match self.spec.rule {
            Rule::RateUnder { limit, .. } | Rule::MeanOver { limit } => Some(limit),
            Rule::SlowUnder { part, .. } => Some(part),
            Rule::RatioUnder { pass, .. } => stable.map(|rate| (rate * pass).min(1.0)),
            Rule::DropUnder { pass, .. } => stable.map(|mean| mean * (1.0 - pass)),
            Rule::RiseUnder { pass, .. } => stable.map(|mean| mean * (1.0 + pass)),
            Rule::SpendUnder { times } => stable.map(|mean| mean * times),
            Rule::Never => Some(0.0),
            Rule::ShiftUnder { .. } => None,
        }
    }

    /// How many further observations of the same kind would let it pass, and how long they take.
    fn missing(&self, outcome: Outcome, telling: &Telling<'_>) -> Option<Missing> {
        if outcome != Outcome::Inconclusive || self.recent.is_none() {
            return None;
        }
        let multiple = self.judge.multiple_to_pass(self.spec.log_pass_needed)?;
        let n = self.n().saturating_sub(self.untested) as f64;
        let more = (n * (multiple - 1.0)).ceil().max(1.0);
        if more.is_nan() || more >= MORE_MAX {
            return None;
        }
        let observations = two_digits(more);
        let seconds = self.per_second(telling).map(|rate| two_digits((observations as f64 / rate).ceil()));
        Some(Missing { observations, seconds })
    }

    /// How many observations come in per second: over the last hour, or since the present share is in force.
    fn per_second(&self, telling: &Telling<'_>) -> Option<f64> {
        let width_ms = telling.bucket.as_millis() as i64;
        let ends = telling.last_closed?.0.saturating_add(width_ms);
        let begins = telling.since.as_millisecond().max(ends.saturating_sub(RECENT_MS));
        let recent: u128 = (self.recent.as_ref()?.pieces())
            .filter(|(at, _)| at.saturating_add(width_ms) > begins)
            .map(|(_, [n])| *n)
            .sum();
        let seconds = (ends - begins) as f64 / 1000.0;
        (recent > 0 && seconds > 0.0).then(|| recent as f64 / seconds)
    }
}

/// An estimate rounded to two digits, which is all that it is worth.
fn two_digits(x: f64) -> u64 {
    let scale = 10f64.powi((x.max(1.0).log10().floor() as i32 - 1).max(0));
    ((x / scale).round() * scale) as u64
}
