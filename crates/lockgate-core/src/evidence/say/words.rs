//! The sentence of a verdict: what was shown, or what is missing and how long it takes.

use super::super::Lane;
use super::super::account::Account;
use super::super::judge::{Judge, RARE};
use super::super::spend::Per;
use super::{NANO, Numbers};
use crate::event::{Missing, Outcome};
use crate::plan::{Blame, Rule};
use crate::share::percent;
use crate::signal::{Measure, Signal};

impl Account {
    pub(super) fn why(
        &self,
        outcome: Outcome,
        candidate: Numbers,
        stable: Numbers,
        missing: Option<Missing>,
        is_alone: bool,
    ) -> String {
        match (&self.judge, outcome) {
            (Judge::Nothing { why }, _) => format!("`{}` cannot be judged so: {why}", self.spec.signal),
            (Judge::Spend(_), outcome) => self.spend_why(outcome, candidate, stable),
            (Judge::Never { seen }, _) => never_why(outcome, candidate, *seen),
            (_, Outcome::Fail) if self.spec.is_literal() => {
                format!("the window is over its limit: {}", self.seen(candidate))
            }
            (_, Outcome::Fail) => {
                format!(
                    "shown to be {}: {}{}{}",
                    self.broken(stable, is_alone),
                    self.seen(candidate),
                    self.times(candidate, stable),
                    self.lately()
                )
            }
            (_, Outcome::Pass) => format!("shown to be {}: {}", self.kept(stable), self.seen(candidate)),
            (_, Outcome::Inconclusive) => self.not_yet(candidate, stable, missing, is_alone),
        }
    }

    fn not_yet(
        &self,
        candidate: Numbers,
        stable: Numbers,
        missing: Option<Missing>,
        is_alone: bool,
    ) -> String {
        if candidate.n == 0 {
            return "no data yet".into();
        }
        if let Judge::Rise(rise) = &self.judge
            && rise.cap.is_none()
        {
            return "stable's sessions are still counted, to know up to what one may count; 200 are needed"
                .into();
        }
        let seen = self.seen(candidate);
        if self.is_relative() && is_alone {
            return format!(
                "all whom this phase admits have the candidate, nobody is left to compare with: {seen}"
            );
        }
        if self.is_relative() && stable.n == 0 {
            return format!("no data of stable's to compare with yet: {seen}");
        }
        if !is_alone && let Some(why) = self.blamed_on_both(&seen, stable) {
            return why;
        }
        if self.literal.as_ref().is_some_and(|literal| literal.crossed.is_some()) {
            return format!("its window is over the limit, by chance or not; nothing is shown yet: {seen}");
        }
        if self.recent.is_none() {
            return format!("quiet: {seen}");
        }
        match missing {
            Some(Missing { observations, seconds }) => {
                let noun = self.noun();
                let time = match seconds {
                    Some(seconds) => format!(", {} at the present rate", in_words(seconds)),
                    None => ", and none came in lately".into(),
                };
                format!("not enough evidence: {seen}; about {} more {noun}{time}", spaced(observations))
            }
            None => format!("not enough evidence: {seen}; more of the same would not show it"),
        }
    }

    /// The limit is broken, but that is not, or not yet, the candidate's doing.
    fn blamed_on_both(&self, seen: &str, stable: Numbers) -> Option<String> {
        let Judge::Rate { fail, blame: Some(blame), .. } = &self.judge else { return None };
        let is_over = match &self.literal {
            Some(literal) => literal.is_of_both(),
            None => false,
        };
        if !fail.is_shown(&self.bar()) && !is_over {
            return None;
        }
        let ratio = blame_ratio(&self.spec.rule);
        let stable = stable.estimate.map_or_else(|| "unknown".into(), short_percent);
        Some(match blame.fail.is_likely() && !is_over {
            true => format!(
                "over the limit, but not yet shown to be over {ratio} x stable's: {seen}, stable {stable}"
            ),
            false => format!("both arms are over the limit, stable is as bad: {seen}, stable {stable}"),
        })
    }

    fn is_relative(&self) -> bool {
        matches!(self.judge, Judge::Ratio(..) | Judge::Drop { .. } | Judge::Rise(_) | Judge::Shift(_))
    }

    /// What is counted.
    fn noun(&self) -> &'static str {
        match (&self.spec.signal, self.spec.lane) {
            (Signal::SessionCost, _) => "sessions",
            (signal, _) if signal.is_feedback() => "reports",
            (_, Lane::Shadow) => "copies",
            _ => "calls",
        }
    }

    /// What was counted, in the words of its kind.
    fn seen(&self, candidate: Numbers) -> String {
        let Numbers { n, total, estimate } = candidate;
        match self.spec.signal.measure() {
            Measure::Durations => format!("{total} of {n} slower"),
            Measure::Rate => format!("{total} of {n}"),
            Measure::Score => format!("mean {:.3} of {n}", estimate.unwrap_or_default()),
            Measure::Amount => format!("{} in {n} calls", self.amount(total)),
            Measure::Sizes => {
                format!("mean {} of {n} {}", self.amount(estimate.unwrap_or_default()), self.noun())
            }
        }
    }

    /// How many times stable's it is.
    fn times(&self, candidate: Numbers, stable: Numbers) -> String {
        if let Judge::Shift(shift) = &self.judge {
            return match shift.worst() {
                Some((range, times)) => format!(", {range} is {times:.1} x as common"),
                None => String::new(),
            };
        }
        match (candidate.estimate, stable.estimate) {
            (Some(mine), Some(theirs)) if theirs > 0.0 => format!(", {:.1} x stable's", mine / theirs),
            _ => String::new(),
        }
    }

    fn kept(&self, stable: Numbers) -> String {
        let stable_says = self.stable_says(stable);
        if let Judge::Ratio(_, Some(kept)) = &self.judge
            && kept.is_rare()
        {
            return format!("rarer than {}", percent(RARE));
        }
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
            Rule::RiseUnder { pass, .. } => {
                format!("less than {} over stable's {stable_says}", percent(pass))
            }
            Rule::ShiftUnder { ratio } => {
                format!("in no range that matters more than {ratio} x as common as stable's")
            }
            Rule::SpendUnder { .. } | Rule::Never => String::new(),
        }
    }

    fn broken(&self, stable: Numbers, is_alone: bool) -> String {
        let stable_says = self.stable_says(stable);
        let and_stable = match &self.judge {
            Judge::Rate { blame: Some(_), .. } if is_alone => ", with nobody left to compare with".into(),
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
            Rule::RiseUnder { fail, .. } => {
                format!("more than {} over stable's {stable_says}", percent(fail))
            }
            Rule::ShiftUnder { ratio } => format!("more than {ratio} x as common as stable's in a range"),
            Rule::SpendUnder { .. } | Rule::Never => String::new(),
        }
    }

    fn stable_says(&self, stable: Numbers) -> String {
        match (self.spec.signal.measure(), stable.estimate) {
            (_, None) => String::new(),
            (Measure::Sizes | Measure::Amount, Some(mean)) => self.amount(mean),
            (_, Some(rate)) => short_percent(rate),
        }
    }

    /// An amount in the words of its kind: money in dollars.
    fn amount(&self, amount: f64) -> String {
        match self.spec.signal.is_money() {
            true => format!("${:.4}", amount * NANO),
            false => format!("{amount:.0}"),
        }
    }

    /// That it is a change that was found, and what lies in the window where there is one: what was counted since the
    /// beginning does not show it.
    fn lately(&self) -> String {
        if !self.judge.is_by_change(&self.bar()) {
            return String::new();
        }
        let rate = self.spec.signal.measure() == Measure::Rate;
        match self.literal.as_ref().map(|literal| literal.lately()) {
            Some((n, hits, over)) if n > 0 && rate => {
                format!("; found as a change: {hits} of {n} in the last {}", in_words(over.as_secs()))
            }
            _ => "; found as a change, by what came since it began".into(),
        }
    }

    fn spend_why(&self, outcome: Outcome, candidate: Numbers, stable: Numbers) -> String {
        let Judge::Spend(spend) = &self.judge else { return String::new() };
        let Some(spending) = spend.spending() else { return "no data yet".into() };
        let (one, many) = match spending.per {
            Per::Session => ("session", "sessions"),
            Per::Call => ("call", "calls"),
        };
        let word = if outcome == Outcome::Fail { "over" } else { "quiet, within" };
        let mean = |numbers: Numbers| numbers.estimate.unwrap_or_default();
        format!(
            "{word} {} per {one}: {} in {} {many}, stable {}",
            self.amount(spending.allowed),
            self.amount(mean(candidate)),
            candidate.n,
            self.amount(mean(stable)),
        )
    }
}

fn never_why(outcome: Outcome, candidate: Numbers, seen: u64) -> String {
    let Numbers { n, total, .. } = candidate;
    let but_seen = if seen > 0 { format!(", {seen} of them seen by a person") } else { String::new() };
    match outcome {
        Outcome::Fail => format!("it happened: {total} of {n}{but_seen}"),
        _ if n == 0 => "not reported so far".into(),
        _ => format!("has not happened: {total} of {n}{but_seen}"),
    }
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

/// A whole number with its thousands apart: `2 400`.
fn spaced(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time in the two largest units.
pub(crate) fn in_words(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds.max(1)),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!(
            (spaced(7), spaced(2_400), spaced(1_234_567)),
            ("7".into(), "2 400".into(), "1 234 567".into())
        );
        let told: Vec<String> = [5, 600, 46_800, 48_000, 90_000, 172_800].map(in_words).into();
        assert_eq!(told, ["5 s", "10 min", "13 h", "13 h 20 min", "1 d 1 h", "2 d"]);
    }
}
