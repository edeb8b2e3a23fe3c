//! The path of a rollout, declared before it starts: phases, gates, triggers, and how often the whole may be wrong.
//!
//! A plan is stored whole in the event that starts a rollout, so that a later edit of the configuration cannot move the
//! goalposts of a rollout that is under way.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::PlanName;
use crate::segment::Confine;
use crate::share::{Share, percent};
use crate::signal::Signal;

/// A whole path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name in the configuration.
    pub name: PlanName,
    /// In order; never empty; the last one is a canary at [`Share::FULL`].
    pub phases: Vec<Phase>,
    /// Watched in every phase.
    pub triggers: Vec<Trigger>,
    /// Probability, over the whole rollout and all its gates and triggers, of taking a harmless candidate back.
    pub alpha: f64,
    /// Probability, per gate, of passing a candidate whose truth is at or past the limit.
    pub beta: f64,
    /// How long the old version stays ready after completion.
    pub warm_for: Duration,
}

/// One stretch of the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// For people: `shadow`, `1 %`.
    pub name: String,
    /// What the candidate gets.
    pub kind: PhaseKind,
    /// Not left forwards before this has passed.
    pub dwell: Duration,
    /// A phase that has not been left by then pauses and calls for a person; it never promotes.
    pub deadline: Duration,
    /// Whom it may touch, within what the rollout as a whole is confined to.
    pub confine: Confine,
    /// All must pass for the phase to be left forwards.
    pub gates: Vec<Gate>,
}

/// What a candidate gets in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// Copies of calls.
    Shadow {
        /// The part of the calls that is copied.
        sample: Share,
    },
    /// Users.
    Canary {
        /// Its part of them.
        share: Share,
    },
}

impl PhaseKind {
    /// The part of the users that the candidate answers.
    pub fn share(self) -> Share {
        match self {
            Self::Shadow { .. } => Share::NONE,
            Self::Canary { share } => share,
        }
    }
}

/// What must be shown for a phase to be left forwards. Its failing side takes the rollout back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// What is looked at.
    pub signal: Signal,
    /// What must hold.
    pub rule: Rule,
    /// Whether it is waited for when nobody reports the signal.
    pub need: Need,
    /// Its part of the plan's alpha, relative to the other checks'.
    pub weight: f64,
}

/// What, at any moment, sends the traffic back or freezes the rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// What is looked at.
    pub signal: Signal,
    /// It fires when this is broken.
    pub rule: Rule,
    /// The window in which a person would look; the evidence does not need one.
    pub over: Duration,
    /// What it does.
    pub action: Action,
    /// Its part of the plan's alpha, relative to the other checks'.
    pub weight: f64,
}

/// What a trigger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// All traffic to stable, and the candidate's digest is rejected.
    RollBack,
    /// The candidate gets no new calls and the rollout waits for a person.
    Freeze,
}

/// Whether a gate waits for a signal that nobody has reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It waits: no data holds.
    Always,
    /// It stands aside until the signal has been seen once, in either arm, since the rollout began; from then on it waits.
    IfReported,
}

/// What must hold of a signal. Each has a side that passes and a side that fails, each with its own proof; between the two is
/// "not enough evidence".
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A rate is under a limit.
    RateUnder {
        /// Between 0 and 1.
        limit: f64,
        /// When breaking it is held against the candidate.
        blame: Blame,
    },
    /// The part of the calls that take longer than `limit` is under `part`: P99 under 5 s is `limit` 5 s, `part` 0.01.
    SlowUnder {
        /// How long a call may take.
        limit: Duration,
        /// The part that may take longer.
        part: f64,
        /// When breaking it is held against the candidate.
        blame: Blame,
    },
    /// A rate is under a multiple of stable's at the same time: proven under `pass` times to pass, over `fail` times to fail.
    RatioUnder {
        /// At least 1 and at most `pass`.
        fail: f64,
        /// More than 1.
        pass: f64,
    },
    /// A mean score, or a rate of which more is better, is over a limit.
    MeanOver {
        /// Between 0 and 1.
        limit: f64,
    },
    /// A mean score, or a rate of which more is better, is less than this part under stable's at the same time: proven less
    /// than `pass` under it to pass, more than `fail` under it to fail.
    DropUnder {
        /// At most `pass`.
        fail: f64,
        /// Between 0 and 1.
        pass: f64,
    },
    /// An amount per call is under a multiple of stable's in the trigger's window. A hard rule on sums, without statistics; for
    /// triggers only.
    AmountUnder {
        /// More than 1.
        times: f64,
    },
}

/// When a broken limit is the candidate's doing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// Always.
    Always,
    /// Only when it is also shown to be more than this many times stable's at the same time: a provider's incident hits both.
    OverStable {
        /// At least 1.
        ratio: f64,
    },
}

/// How much worse than stable a provider-driven signal must be before the candidate is blamed.
const BLAME: Blame = Blame::OverStable { ratio: 1.25 };
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Plan {
    /// The built-in plan: shadow for 7 days, 1 % for 48 h, 10 % for 72 h, 50 % for 5 days, then everybody, with the old
    /// version warm for 14 days.
    pub fn standard() -> Self {
        let error = |limit, weight| {
            gate(Signal::Error, Rule::RateUnder { limit, blame: BLAME }, Need::Always, weight)
        };
        let shadow = Phase {
            name: "shadow".into(),
            kind: PhaseKind::Shadow { sample: Share::FULL },
            dwell: 7 * DAY,
            deadline: 14 * DAY,
            confine: Confine::everyone(),
            gates: vec![
                gate(Signal::Agreement, Rule::MeanOver { limit: 0.90 }, Need::Always, 1.0),
                error(0.01, 1.0),
                gate(Signal::Coverage, Rule::MeanOver { limit: 0.80 }, Need::Always, 0.0),
            ],
        };
        let first = vec![
            // Errors are the commonest way to be worse and the cheapest to prove: they get the largest part of the budget.
            error(0.005, 12.0),
            gate(
                Signal::Latency,
                Rule::SlowUnder { limit: Duration::from_secs(5), part: 0.01, blame: BLAME },
                Need::Always,
                1.0,
            ),
            gate(Signal::ThumbsDown, Rule::RateUnder { limit: 0.05, blame: BLAME }, Need::Always, 1.0),
            gate(Signal::TaskSuccess, Rule::DropUnder { fail: 0.02, pass: 0.05 }, Need::IfReported, 1.0),
            gate(Signal::Escalated, Rule::RatioUnder { fail: 1.25, pass: 1.5 }, Need::IfReported, 0.5),
        ];
        let mut later = first.clone();
        later.push(gate(Signal::Csat, Rule::DropUnder { fail: 0.02, pass: 0.02 }, Need::Always, 1.0));
        later.push(gate(
            Signal::Hallucination,
            Rule::RateUnder { limit: 0.03, blame: Blame::Always },
            Need::IfReported,
            0.5,
        ));
        let canary = |name: &str, share: f64, dwell, deadline, gates| Phase {
            name: name.into(),
            kind: PhaseKind::Canary { share: Share::from_fraction(share).unwrap_or(Share::NONE) },
            dwell,
            deadline,
            confine: Confine::everyone(),
            gates,
        };
        Self {
            name: standard_name(),
            phases: vec![
                shadow,
                canary("1 %", 0.01, 48 * HOUR, 7 * DAY, first),
                canary("10 %", 0.10, 72 * HOUR, 10 * DAY, later.clone()),
                canary("50 %", 0.50, 5 * DAY, 14 * DAY, later),
                canary("100 %", 1.0, Duration::ZERO, Duration::ZERO, Vec::new()),
            ],
            triggers: vec![
                trigger(
                    Signal::Error,
                    Rule::RateUnder { limit: 0.02, blame: BLAME },
                    300,
                    Action::RollBack,
                    1.0,
                ),
                trigger(
                    Signal::Latency,
                    Rule::SlowUnder { limit: Duration::from_secs(10), part: 0.01, blame: BLAME },
                    180,
                    Action::RollBack,
                    0.5,
                ),
                trigger(
                    Signal::Quality,
                    Rule::DropUnder { fail: 0.10, pass: 0.10 },
                    3600,
                    Action::RollBack,
                    0.5,
                ),
                // A parameter that the target refuses shows as callers' mistakes that stable's callers do not make. One client
                // that repeats its mistake can look like that too, so a person decides.
                trigger(
                    Signal::Rejected,
                    Rule::RatioUnder { fail: 2.0, pass: 2.0 },
                    300,
                    Action::Freeze,
                    0.5,
                ),
                trigger(Signal::TokensOut, Rule::AmountUnder { times: 3.0 }, 3600, Action::Freeze, 0.0),
            ],
            alpha: 0.01,
            beta: 0.05,
            warm_for: 14 * DAY,
        }
    }

    /// Whether it can judge: gates in every phase but the last, and triggers.
    pub fn has_criteria(&self) -> bool {
        let all_but_last = self.phases.len().saturating_sub(1);
        !self.triggers.is_empty()
            && self.phases.iter().take(all_but_last).all(|phase| !phase.gates.is_empty())
    }
}

/// The name of the built-in plan.
pub fn standard_name() -> PlanName {
    #[expect(clippy::expect_used, reason = "a literal that the tests cover")]
    PlanName::new("standard").expect("`standard` is a name")
}

fn gate(signal: Signal, rule: Rule, need: Need, weight: f64) -> Gate {
    Gate { signal, rule, need, weight }
}

fn trigger(signal: Signal, rule: Rule, over_seconds: u64, action: Action, weight: f64) -> Trigger {
    Trigger { signal, rule, over: Duration::from_secs(over_seconds), action, weight }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateUnder { limit, .. } => write!(f, "< {}", percent(*limit)),
            Self::SlowUnder { limit, part, .. } => {
                write!(f, "P{} < {:?}", ((1.0 - part) * 1e4).round() / 100.0, limit)
            }
            Self::RatioUnder { pass, .. } => write!(f, "< {pass} x stable"),
            Self::MeanOver { limit } => write!(f, "> {}", percent(*limit)),
            Self::DropUnder { pass, .. } => write!(f, "within {} of stable", percent(*pass)),
            Self::AmountUnder { times } => write!(f, "< {times} x stable per call"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_plan_only_raises_the_share_and_ends_with_everybody() {
        let plan = Plan::standard();
        let shares: Vec<Share> = plan.phases.iter().map(|phase| phase.kind.share()).collect();
        assert!(shares.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(shares.last(), Some(&Share::FULL));
        assert!(plan.has_criteria());
    }

    #[test]
    fn a_stored_plan_reads_back_the_same() {
        let plan = Plan::standard();
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
