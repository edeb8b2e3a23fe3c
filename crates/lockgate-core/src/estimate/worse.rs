//! What "twice as bad" means for each rule.

use super::Yardstick;
use super::traffic::Manner;
use crate::plan::Rule;
use crate::signal::Measure;

/// A candidate that is worse than stable.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Worse {
    pub(super) times: f64,
    pub(super) of: Yardstick,
    /// The rate or mean; of times, the part of slow calls.
    pub(super) level: f64,
    pub(super) manner: Manner,
}

/// What must never happen, happens this often per "time".
const THOUSANDTH: f64 = 0.001;
/// The largest regression that is looked for.
const TIMES_MAX: f64 = 64.0;

/// Stable, but so many times what the rule speaks of; `None` where there is no such thing.
pub(super) fn worse(rule: Rule, measure: Measure, stable: &Manner, times: f64) -> Option<Worse> {
    let mut manner = stable.clone();
    let now = stable.level(measure);
    let (of, level) = match rule {
        Rule::RateUnder { limit, .. } => (Yardstick::Limit, times * limit),
        Rule::SlowUnder { limit, part, .. } => {
            let to = times * part;
            if to > 1.0 {
                return None;
            }
            manner.set_slower(limit, to);
            return Some(Worse { times, of: Yardstick::Limit, level: to, manner });
        }
        Rule::MeanOver { limit } => (Yardstick::Limit, 1.0 - times * (1.0 - limit)),
        Rule::RatioUnder { .. } => (Yardstick::Stable, times * now),
        Rule::DropUnder { pass, .. } => (Yardstick::Limit, now * (1.0 - times * pass)),
        Rule::RiseUnder { pass, .. } => (Yardstick::Limit, now * (1.0 + times * pass)),
        Rule::SpendUnder { times: allowed } => (Yardstick::Limit, now * times * allowed),
        Rule::Never => (Yardstick::Thousandth, times * THOUSANDTH),
        Rule::ShiftUnder { .. } => (Yardstick::Stable, times * now),
    };
    match measure {
        Measure::Rate | Measure::Score if !(0.0..=1.0).contains(&level) => return None,
        Measure::Sizes => manner.scale(level / now.max(f64::MIN_POSITIVE)),
        _ => manner.set_level(level),
    }
    Some(Worse { times, of, level, manner })
}

/// Between which multiples regressions of a rule lie: from where it can be shown at all to where it is as bad as can be.
pub(super) fn bounds(rule: Rule, measure: Measure, stable: &Manner) -> (f64, f64) {
    let from = match rule {
        Rule::DropUnder { fail, pass } | Rule::RiseUnder { fail, pass } => fail / pass,
        Rule::RatioUnder { fail, .. } => fail,
        Rule::Never => 0.0,
        _ => 1.0,
    };
    let mut to = TIMES_MAX;
    while to > from + 1e-3 && worse(rule, measure, stable, to).is_none() {
        to = from + 0.9 * (to - from);
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::estimate::traffic::Behaviour;
    use crate::plan::Blame;
    use crate::signal::Signal;

    #[test]
    fn twice_as_bad_is_what_people_would_say_it_is() {
        let healthy = Behaviour::healthy();
        let level = |rule, signal: Signal, times| {
            let stable = healthy.of(&signal);
            worse(rule, signal.measure(), &stable, times)
                .map(|worse| (worse.of, (worse.level * 1e4).round() / 1e4))
        };
        let errors = Rule::RateUnder { limit: 0.005, blame: Blame::Always };
        assert_eq!(level(errors, Signal::Error, 4.0), Some((Yardstick::Limit, 0.02)));
        let agreement = Rule::MeanOver { limit: 0.9 };
        assert_eq!(level(agreement, Signal::Agreement, 2.0), Some((Yardstick::Limit, 0.8)));
        assert_eq!(level(agreement, Signal::Agreement, 40.0), None);
        let escalated = Rule::RatioUnder { fail: 1.25, pass: 1.5 };
        assert_eq!(level(escalated, Signal::Escalated, 2.0), Some((Yardstick::Stable, 0.1)));
        let slow = Rule::SlowUnder { limit: Duration::from_secs(5), part: 0.01, blame: Blame::Always };
        assert_eq!(level(slow, Signal::Latency, 2.0), Some((Yardstick::Limit, 0.02)));
        let done = Rule::DropUnder { fail: 0.02, pass: 0.05 };
        assert_eq!(level(done, Signal::TaskSuccess, 2.0), Some((Yardstick::Limit, 0.765)));
    }

    #[test]
    fn regressions_are_looked_for_only_where_there_are_any() {
        let stable = Behaviour::healthy().of(&Signal::ThumbsDown);
        let rule = Rule::RateUnder { limit: 0.05, blame: Blame::Always };
        let (from, to) = bounds(rule, Measure::Rate, &stable);
        assert!(from == 1.0 && to > 15.0 && to <= 20.0, "{from} {to}");
    }
}
