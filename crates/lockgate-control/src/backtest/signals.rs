//! Which key of an outcome feeds which signal, and what its value says.
//!
//! Every built-in signal can be told under its own name, and under the names that logs commonly use. What is counted from
//! the lines themselves (calls, sessions, visitors) cannot be told, only derived. A signal that the plan declares is told as
//! `rate:NAME`, `score:NAME` or `NAME`.

use std::collections::HashMap;
use std::time::Duration;

use lockgate_core::mishap::Mishap;
use lockgate_core::plan::Plan;
use lockgate_core::signal::{Measure, Signal};
use lockgate_core::sums::{Sum, score_step};
use lockgate_core::{duration_levels, size_levels};

use super::problem::{Fault, ProblemKind};

/// Other names of built-in signals. The unit is in the name where it is not plain.
const ALIASES: [(&str, Signal); 9] = [
    ("latency_ms", Signal::Latency),
    ("first_token_ms", Signal::FirstToken),
    ("ttft_ms", Signal::FirstToken),
    ("cost_usd", Signal::Cost),
    ("judge", Signal::Quality),
    ("escalation", Signal::Escalated),
    ("retry", Signal::Retried),
    ("abandonment", Signal::Abandoned),
    ("refused", Signal::Refusal),
];
/// Counted from the lines, not told by them.
pub(super) const DERIVED: [Signal; 4] =
    [Signal::Assigned, Signal::Sessions, Signal::Visitors, Signal::SessionCost];
/// Most signals, declared ones included: what was touched in a bucket is kept as bits.
const SIGNALS_MAX: usize = u128::BITS as usize;
/// Milliseconds above this are slower than every limit, and far from where a duration overflows.
const LATENCY_MS_MAX: f64 = 4e6;
/// Nano-dollars in a dollar.
const NANO: f64 = 1e9;
/// More tokens or dollars than this in one call are a mistake of writing; below it, no sum can overflow.
const AMOUNT_MAX: f64 = 1e9;

/// The number of a signal.
pub(super) type SignalIndex = u8;

/// What one key of one line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Was(bool),
    /// Of a score, a duration or a size.
    Level(u16),
    Amount(u64),
}

/// All signals that outcomes can tell or that are derived from them.
#[derive(Debug)]
pub(super) struct Signals {
    signals: Vec<Signal>,
    keys: HashMap<String, SignalIndex>,
    pub(super) at: Places,
    /// The rates that a session closes to itself by its first hit, and what such a hit is. A handful: they are kept as bits.
    pub(super) mishaps: Vec<(SignalIndex, Mishap)>,
}

/// Where the signals are that others are derived from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) assigned: SignalIndex,
    pub(super) error: SignalIndex,
    pub(super) timeout: SignalIndex,
    pub(super) latency: SignalIndex,
    pub(super) tokens: SignalIndex,
    pub(super) tokens_in: SignalIndex,
    pub(super) tokens_out: SignalIndex,
    pub(super) input_length: SignalIndex,
    pub(super) output_length: SignalIndex,
    pub(super) cost: SignalIndex,
    pub(super) agreement: SignalIndex,
    pub(super) coverage: SignalIndex,
    pub(super) sessions: SignalIndex,
    pub(super) session_cost: SignalIndex,
    pub(super) visitors: SignalIndex,
}

impl Signals {
    /// The built-in ones, and those that a plan declares.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut signals = Signal::built_in().to_vec();
        let told = signals.iter().enumerate().filter(|(_, signal)| !DERIVED.contains(signal));
        let mut keys: HashMap<String, SignalIndex> =
            told.map(|(index, signal)| (signal.to_string(), index as SignalIndex)).collect();
        let place = |wanted: &Signal| {
            signals.iter().position(|signal| signal == wanted).unwrap_or_default() as SignalIndex
        };
        keys.extend(ALIASES.iter().map(|(name, signal)| ((*name).to_owned(), place(signal))));
        let at = Places {
            assigned: place(&Signal::Assigned),
            error: place(&Signal::Error),
            timeout: place(&Signal::Timeout),
            latency: place(&Signal::Latency),
            tokens: place(&Signal::Tokens),
            tokens_in: place(&Signal::TokensIn),
            tokens_out: place(&Signal::TokensOut),
            input_length: place(&Signal::InputLength),
            output_length: place(&Signal::OutputLength),
            cost: place(&Signal::Cost),
            agreement: place(&Signal::Agreement),
            coverage: place(&Signal::Coverage),
            sessions: place(&Signal::Sessions),
            session_cost: place(&Signal::SessionCost),
            visitors: place(&Signal::Visitors),
        };
        let gates = plan.phases.iter().flat_map(|phase| phase.gates.iter().map(|gate| &gate.signal));
        for signal in gates.chain(plan.triggers.iter().map(|trigger| &trigger.signal)) {
            let (Signal::DeclaredRate(name) | Signal::DeclaredScore(name)) = signal else { continue };
            if signals.len() >= SIGNALS_MAX || signals.contains(signal) {
                continue;
            }
            let index = signals.len() as SignalIndex;
            signals.push(signal.clone());
            keys.insert(signal.to_string(), index);
            keys.entry(name.to_string()).or_insert(index);
        }
        let mishaps = signals.iter().enumerate();
        let mishaps = mishaps.filter_map(|(index, signal)| Some((index as SignalIndex, Mishap::of(signal)?)));
        let mishaps = mishaps.collect();
        Self { signals, keys, at, mishaps }
    }

    pub(super) fn count(&self) -> usize {
        self.signals.len()
    }

    pub(super) fn get(&self, index: SignalIndex) -> &Signal {
        &self.signals[usize::from(index)]
    }

    /// The signal that a key feeds.
    pub(super) fn find(&self, key: &str) -> Option<SignalIndex> {
        self.keys.get(key).copied()
    }

    /// What yes or no says of a signal.
    pub(super) fn was(&self, index: SignalIndex, was: bool) -> Result<Seen, Fault> {
        match self.get(index).measure() {
            Measure::Rate => Ok(Seen::Was(was)),
            _ => Err(self.misfit(index, "a number")),
        }
    }

    /// What a number says of a signal.
    pub(super) fn number(&self, index: SignalIndex, number: f64) -> Result<Seen, Fault> {
        let signal = self.get(index);
        if !number.is_finite() {
            return Err(Fault::new(ProblemKind::NotFinite, format!("{signal} is {number}")));
        }
        match signal.measure() {
            Measure::Rate if number == 0.0 => Ok(Seen::Was(false)),
            Measure::Rate if number == 1.0 => Ok(Seen::Was(true)),
            Measure::Rate => Err(self.misfit(index, "true, false, 1 or 0")),
            Measure::Score => score_step(number).map(Seen::Level).ok_or_else(|| {
                Fault::new(ProblemKind::ScoreOutside, format!("{signal} is {number}, a score is from 0 to 1"))
            }),
            _ if number < 0.0 => {
                Err(Fault::new(ProblemKind::Negative, format!("{signal} is {number}, less than nothing")))
            }
            Measure::Durations if number > LATENCY_MS_MAX => Ok(Seen::Level(duration_levels::never())),
            Measure::Durations => {
                Ok(Seen::Level(duration_levels::level(Duration::from_secs_f64(number / 1e3))))
            }
            _ if number > AMOUNT_MAX => {
                Err(Fault::new(ProblemKind::BadValue, format!("{signal} is {number}, which cannot be meant")))
            }
            Measure::Sizes => Ok(Seen::Level(size_levels::level(number.round() as u64))),
            Measure::Amount if index == self.at.cost => Ok(Seen::Amount((number * NANO).round() as u64)),
            Measure::Amount => Ok(Seen::Amount(number.round() as u64)),
        }
    }

    /// That a value is of the wrong kind.
    pub(super) fn misfit(&self, index: SignalIndex, expected: &str) -> Fault {
        Fault::new(ProblemKind::BadValue, format!("{} is told by {expected}", self.get(index)))
    }

    /// What a value has to be, for the complaint about one that is neither a number nor yes or no.
    pub(super) fn expected(&self, index: SignalIndex) -> &'static str {
        match self.get(index).measure() {
            Measure::Rate => "true, false, 1 or 0",
            _ => "a number",
        }
    }

    /// Adds to a signal's sum.
    pub(super) fn add(&self, sum: &mut Option<Sum>, index: SignalIndex, seen: Seen) {
        let sum = sum.get_or_insert_with(|| Sum::zero(self.get(index).measure()));
        match (sum, seen) {
            (Sum::Rate { n, hits }, Seen::Was(was)) => {
                *n += 1;
                *hits += u64::from(was);
            }
            (Sum::Levels(counts), Seen::Level(level)) => *counts.entry(level).or_insert(0) += 1,
            (Sum::Amount { n, total, squares }, Seen::Amount(amount)) => {
                *n += 1;
                *total = total.saturating_add(amount);
                *squares = squares.saturating_add(u128::from(amount) * u128::from(amount));
            }
            // What a key says was made from how its signal is counted.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(key: &str, number: f64) -> Result<Seen, ProblemKind> {
        let signals = Signals::of(&Plan::standard());
        signals.number(signals.find(key).unwrap(), number).map_err(|fault| fault.kind)
    }

    #[test]
    fn numbers_are_read_in_the_unit_of_their_key() {
        assert_eq!(seen("cost_usd", 0.0031), Ok(Seen::Amount(3_100_000)));
        assert_eq!(seen("tokens", 712.0), Ok(Seen::Amount(712)));
        assert_eq!(seen("judge", 0.834), Ok(Seen::Level(83)));
        assert_eq!(seen("latency_ms", 1e300), Ok(Seen::Level(duration_levels::never())));
        assert_eq!(seen("error", 1.0), Ok(Seen::Was(true)));
    }

    #[test]
    fn numbers_that_cannot_be_are_told_apart() {
        for (key, number, kind) in [
            ("latency_ms", -1.0, ProblemKind::Negative),
            ("cost_usd", -0.1, ProblemKind::Negative),
            ("tokens", -3.0, ProblemKind::Negative),
            ("tokens", 1e18, ProblemKind::BadValue),
            ("judge", 1.01, ProblemKind::ScoreOutside),
            ("csat", -0.2, ProblemKind::ScoreOutside),
            ("error", 0.5, ProblemKind::BadValue),
            ("latency_ms", f64::NAN, ProblemKind::NotFinite),
        ] {
            assert_eq!(seen(key, number), Err(kind), "{key} {number}");
        }
    }

    #[test]
    fn what_is_derived_cannot_be_told() {
        let signals = Signals::of(&Plan::standard());
        assert!(
            ["assigned", "sessions", "visitors", "session_cost"]
                .iter()
                .all(|key| signals.find(key).is_none())
        );
        assert!(
            ["csat", "tokens_in", "escalation", "pii_leak", "ttft_ms"]
                .iter()
                .all(|key| signals.find(key).is_some())
        );
    }
}
