//! Says where a check stands: the verdict with every number, and the sentence that people read first.

use lockgate_stats::interval;

use super::account::{Account, Judge};
use super::proof::{Gathered, nearest};
use super::tally::Tally;
use crate::event::{Outcome, Role, Verdict};
use crate::plan::{Blame, Rule};
use crate::share::percent;
use crate::signal::Measure;

/// Beyond this many further observations no number is told: nobody would wait for it.
const MORE_MAX: f64 = 1e8;

impl Account {
    /// Where it stands.
    pub(super) fn verdict(&self, alpha: f64) -> Verdict {
        let (candidate, stable) = match &self.judge {
            // What counts is the window's, not the whole rollout's.
            Judge::Amount(window) => (Tally::Spent(window.candidate), Tally::Spent(window.stable)),
            _ => (self.all.candidate.clone(), self.all.stable.clone()),
        };
        let (log_e_fail, log_e_fail_needed) = self.log_e_fail();
        let outcome = match (self.failed, self.passed) {
            (Some(_), _) => Outcome::Fail,
            (None, true) => Outcome::Pass,
            (None, false) => Outcome::Inconclusive,
        };
        Verdict {
            name: format!("{} {}", self.spec.signal, self.spec.rule),
            signal: self.spec.signal.clone(),
            arm: self.spec.lane.arm(),
            role: self.spec.role,
            outcome,
            why: self.why(outcome, &candidate, &stable),
            n: candidate.n(),
            estimate: candidate.estimate(),
            interval: match &candidate {
                Tally::Count(count) if count.n > 0 => Some(interval::of_rate(*count, alpha)),
                Tally::Scores(scores) if candidate.n() > 0 => Some(interval::of_mean(scores, alpha)),
                _ => None,
            },
            stable_n: stable.n(),
            stable_estimate: stable.estimate(),
            limit: self.limit(&stable),
            log_e_pass: self.pass().map_or(0.0, Gathered::log_e),
            log_e_pass_needed: self.spec.log_pass_needed,
            log_e_fail,
            log_e_fail_needed,
        }
    }

    /// The evidence that the rule is broken, and what it must reach.
    fn log_e_fail(&self) -> (f64, f64) {
        let bar = &self.spec.fail_bar;
        match &self.judge {
            Judge::Rate { fail, blame: Some(blame), .. } => nearest(&[fail, &blame.fail], bar),
            Judge::Rate { fail, .. }
            | Judge::Ratio { fail, .. }
            | Judge::Mean { fail, .. }
            | Judge::Drop { fail, .. } => nearest(&[fail], bar),
            Judge::Amount(_) | Judge::Nothing => (0.0, f64::MAX),
        }
    }

    /// The evidence that the rule is kept.
    fn pass(&self) -> Option<&Gathered> {
        match &self.judge {
            Judge::Rate { pass, .. }
            | Judge::Ratio { pass, .. }
            | Judge::Mean { pass, .. }
            | Judge::Drop { pass, .. } => Some(pass),
            Judge::Amount(_) | Judge::Nothing => None,
        }
    }

    /// The limit in the unit of the estimate. Where it hangs on stable and stable has no data, the one that excludes nothing.
    fn limit(&self, stable: &Tally) -> f64 {
        match self.spec.rule {
            Rule::RateUnder { limit, .. } | Rule::MeanOver { limit } => limit,
            Rule::SlowUnder { part, .. } => part,
            Rule::RatioUnder { pass, .. } => stable.estimate().map_or(1.0, |rate| (rate * pass).min(1.0)),
            Rule::DropUnder { pass, .. } => stable.estimate().map_or(0.0, |mean| mean * (1.0 - pass)),
            Rule::AmountUnder { times } => stable.estimate().map_or(f64::MAX, |mean| mean * times),
        }
    }

    fn why(&self, outcome: Outcome, candidate: &Tally, stable: &Tally) -> String {
        let seen = self.seen(candidate);
        match (&self.judge, outcome) {
            (Judge::Nothing, _) => {
                format!("`{}` is not counted in a way that this rule can judge", self.spec.signal)
            }
            (Judge::Amount(window), outcome) => amount_why(window.allowed(), outcome, candidate, stable),
            (_, Outcome::Fail) => format!("shown to be {}: {seen}", self.broken(stable)),
            (_, Outcome::Pass) => format!("shown to be {}: {seen}", self.kept(stable)),
            (_, Outcome::Inconclusive) => self.not_yet(&seen, candidate, stable),
        }
    }

    fn not_yet(&self, seen: &str, candidate: &Tally, stable: &Tally) -> String {
        if candidate.n() == 0 {
            return "no data yet".into();
        }
        if self.is_relative() && stable.n() == 0 {
            return format!("no data of stable's to compare with yet: {seen}");
        }
        if let Judge::Rate { fail, blame: Some(blame), .. } = &self.judge
            && fail.is_shown(&self.spec.fail_bar)
        {
            let ratio = blame_ratio(&self.spec.rule);
            let stable = stable.estimate().map_or_else(|| "unknown".into(), short_percent);
            return match blame.fail.is_likely() {
                true => format!(
                    "over the limit, but not yet shown to be over {ratio} x stable's: {seen}, stable {stable}"
                ),
                false => format!("over the limit, but stable is as bad: {seen}, stable {stable}"),
            };
        }
        if self.spec.role == Role::Trigger {
            return format!("quiet: {seen}");
        }
        match self.more() {
            Some(more) => format!("not enough evidence: {seen}; about {more} more at this rate"),
            None => format!("not enough evidence: {seen}; more of the same would not show it"),
        }
    }

    /// How many further observations of the same kind would let it pass.
    fn more(&self) -> Option<u64> {
        let multiple = self.pass()?.multiple_to(self.spec.log_pass_needed)?;
        let more = (self.all.candidate.n() as f64 * (multiple - 1.0)).ceil().max(1.0);
        (more < MORE_MAX).then(|| two_digits(more))
    }

    fn is_relative(&self) -> bool {
        matches!(self.judge, Judge::Ratio { .. } | Judge::Drop { .. })
    }

    /// What was counted, in the words of its kind.
    fn seen(&self, candidate: &Tally) -> String {
        match candidate {
            Tally::Count(count) if self.spec.signal.measure() == Measure::Durations => {
                format!("{} of {} slower", count.hits, count.n)
            }
            Tally::Count(count) => format!("{} of {}", count.hits, count.n),
            Tally::Scores(_) => {
                let mean = candidate.estimate().unwrap_or_default();
                format!("mean {mean:.3} of {}", candidate.n())
            }
            Tally::Spent(spent) => format!("{} in {} calls", spent.total, spent.calls),
        }
    }

    fn kept(&self, stable: &Tally) -> String {
        let stable_says = stable.estimate().map(short_percent).unwrap_or_default();
        match self.spec.rule {
            Rule::RateUnder { limit, .. } => format!("under {}", percent(limit)),
            Rule::SlowUnder { limit, part, .. } => {
                format!("within {limit:?} but for less than {}", percent(part))
            }
            Rule::RatioUnder { pass, .. } => format!("under {pass} x stable's {stable_says}"),
            Rule::MeanOver { limit } => format!("over {}", percent(limit)),
            Rule::DropUnder { pass, .. } => {
                format!("less than {} under stable's {stable_says}", percent(pass))
            }
            Rule::AmountUnder { times } => format!("under {times} x stable's"),
        }
    }

    fn broken(&self, stable: &Tally) -> String {
        let stable_says = stable.estimate().map(short_percent).unwrap_or_default();
        let and_stable = match &self.judge {
            Judge::Rate { blame: Some(_), .. } => {
                format!(" and over {} x stable's {stable_says}", blame_ratio(&self.spec.rule))
            }
            _ => String::new(),
        };
        match self.spec.rule {
            Rule::RateUnder { limit, .. } => format!("over {}{and_stable}", percent(limit)),
            Rule::SlowUnder { limit, part, .. } => {
                format!("slower than {limit:?} in more than {}{and_stable}", percent(part))
            }
            Rule::RatioUnder { fail, .. } => format!("over {fail} x stable's {stable_says}"),
            Rule::MeanOver { limit } => format!("under {}", percent(limit)),
            Rule::DropUnder { fail, .. } => {
                format!("more than {} under stable's {stable_says}", percent(fail))
            }
            Rule::AmountUnder { times } => format!("over {times} x stable's"),
        }
    }
}

fn amount_why(allowed: Option<f64>, outcome: Outcome, candidate: &Tally, stable: &Tally) -> String {
    let (Some(mean), Some(allowed)) = (candidate.estimate(), allowed) else {
        return "no data yet".into();
    };
    let stable = stable.estimate().unwrap_or_default();
    let word = if outcome == Outcome::Fail { "over" } else { "quiet:" };
    format!("{word} {allowed:.0} per call: {mean:.0} in {} calls, stable {stable:.0}", candidate.n())
}

fn blame_ratio(rule: &Rule) -> f64 {
    match rule {
        Rule::RateUnder { blame: Blame::OverStable { ratio }, .. }
        | Rule::SlowUnder { blame: Blame::OverStable { ratio }, .. } => *ratio,
        _ => 1.0,
    }
}

/// A percentage with three digits that matter.
fn short_percent(fraction: f64) -> String {
    if fraction <= 0.0 || !fraction.is_finite() {
        return percent(0.0);
    }
    let scale = 10f64.powi(2 - fraction.log10().floor() as i32);
    percent((fraction * scale).round() / scale)
}

/// An estimate rounded to two digits, which is all that it is worth.
fn two_digits(x: f64) -> u64 {
    let scale = 10f64.powi((x.log10().floor() as i32 - 1).max(0));
    ((x / scale).round() * scale) as u64
}
