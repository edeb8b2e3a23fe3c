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
    /// Probability, over the whole rollout and everything of it that is judged by evidence, of taking a harmless candidate back
    /// or freezing it. It says nothing of what is not: windows taken at their word, spending, and what must never happen.
    pub alpha: f64,
    /// Probability, per gate, of passing a candidate whose truth is at or past the limit.
    pub beta: f64,
    /// How long the old version stays ready after completion. So long the triggers go on watching, and nobody is left to compare
    /// with at the same time: what a provider's incident does to everybody can then take a completed candidate back.
    pub warm_for: Duration,
    /// How single slices of the traffic are judged.
    #[serde(default)]
    pub slices: Slices,
    /// What becomes of a phase that was not left by its deadline.
    #[serde(default)]
    pub on_deadline: OnDeadline,
}

/// How single slices of the traffic (`tier=premium`) are judged beside the whole: by the same gates and triggers, each with
/// evidence of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slices {
    /// What follows when a gate or a trigger that takes back is broken in one slice.
    pub action: SliceAction,
    /// The part of alpha that all slices together may use; at 0 they are not judged.
    pub part: f64,
}

impl Default for Slices {
    fn default() -> Self {
        Self { action: SliceAction::RollBack, part: 0.3 }
    }
}

/// What follows when a rule is broken in one slice of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceAction {
    /// All traffic to stable.
    RollBack,
    /// The slice goes back to stable; the rollout goes on without it.
    Withdraw,
    /// The candidate gets no new calls and the rollout waits for a person.
    Freeze,
}

/// What becomes of a phase that was not left by its deadline. Going on is not among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDeadline {
    /// It stands still and calls for a person.
    #[default]
    Pause,
    /// All traffic to stable.
    RollBack,
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
    /// Whether the window is taken at its word.
    #[serde(default)]
    pub mode: Mode,
    /// What it does.
    pub action: Action,
    /// Its part of the plan's alpha, relative to the other checks'.
    pub weight: f64,
}

/// How a trigger reads its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It acts on evidence that holds however often it is looked at. A window over its limit alone warns and pages, once.
    #[default]
    Evidence,
    /// It acts as it is written, as soon as the window is over its limit, by chance or not.
    Literal,
}

/// What a trigger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// All traffic to stable, and the candidate's digest is rejected.
    RollBack,
    /// The candidate gets no new calls and the rollout waits for a person.
    Freeze,
    /// It warns and pages, once; nothing moves. Its chance of a false alarm is beta, apart from the plan's alpha; on spending,
    /// or on what must never happen, it is held to nothing, because those are no statistics.
    Alert,
}

/// Whether a gate waits for a signal that nobody has reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It waits: no data holds. Only a gate on what must never happen passes without data, as long as nothing was reported.
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
    /// What is proven to happen less than once in a thousand passes too: of what hardly ever happens in either arm no
    /// multiple can be told.
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
    /// What sessions take on average is less than this part over stable's at the same time: proven less than `pass` over it to
    /// pass, more than `fail` over it to fail. Each session counts up to a cap, the 99.9th percentile of stable's sessions,
    /// so that the mean is one of bounded numbers. It is read once: when the candidate's first sessions come, or later, as
    /// soon as there are 200 of stable's; no session is compared before.
    RiseUnder {
        /// At most `pass`.
        fail: f64,
        /// More than 0.
        pass: f64,
    },
    /// What is spent in the trigger's window per session that began in it is under a multiple of stable's. A hard rule on
    /// sums, without statistics; for triggers only.
    SpendUnder {
        /// More than 1.
        times: f64,
    },
    /// It never happens: the first confirmed time breaks it, without statistics. As a gate it passes while nothing happened.
    Never,
    /// No range of sizes (octaves: 1, 2-3, 4-7, ..) is more than this many times as common as stable's at the same time.
    ShiftUnder {
        /// More than 1.
        ratio: f64,
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
            // Whether the task was done is what the rest stands for; where it is told, it comes first.
            gate(Signal::TaskSuccess, Rule::DropUnder { fail: 0.02, pass: 0.05 }, Need::IfReported, 3.0),
            // Errors are the commonest way to be worse and the cheapest to prove: they get the largest part of the budget.
            error(0.005, 28.0),
            gate(
                Signal::Latency,
                Rule::SlowUnder { limit: Duration::from_secs(5), part: 0.01, blame: BLAME },
                Need::Always,
                1.0,
            ),
            gate(Signal::ThumbsDown, Rule::RateUnder { limit: 0.05, blame: BLAME }, Need::Always, 1.0),
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
        // The same line on both sides: equal costs are far from it, and a fifth more is shown as quickly either way.
        let within = Rule::RiseUnder { fail: 0.2, pass: 0.2 };
        later.push(gate(Signal::SessionCost, within, Need::IfReported, 1.0));
        let mut half = later.clone();
        half.push(gate(Signal::Incident, Rule::Never, Need::Always, 0.0));
        half.push(gate(Signal::PiiLeak, Rule::Never, Need::Always, 0.0));
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
                canary("50 %", 0.50, 5 * DAY, 14 * DAY, half),
                canary("100 %", 1.0, Duration::ZERO, Duration::ZERO, Vec::new()),
            ],
            triggers: triggers(),
            alpha: 0.01,
            beta: 0.05,
            warm_for: 14 * DAY,
            slices: Slices::default(),
            on_deadline: OnDeadline::Pause,
        }
    }

    /// Whether it can judge: gates in every phase but the last, and triggers.
    pub fn has_criteria(&self) -> bool {
        let all_but_last = self.phases.len().saturating_sub(1);
        !self.triggers.is_empty()
            && self.phases.iter().take(all_but_last).all(|phase| !phase.gates.is_empty())
    }
}

/// What takes the standard plan's rollouts back, freezes them, or calls for a person.
fn triggers() -> Vec<Trigger> {
    use Action::{Alert, Freeze, RollBack};
    let rate = |limit, blame| Rule::RateUnder { limit, blame };
    let p99 = |seconds, blame| Rule::SlowUnder { limit: Duration::from_secs(seconds), part: 0.01, blame };
    let hour = HOUR.as_secs();
    vec![
        trigger(Signal::Error, rate(0.02, BLAME), 300, RollBack, 1.0),
        trigger(Signal::Latency, p99(10, BLAME), 180, RollBack, 0.5),
        // What one version does more often than the other: an answer from a lower tier or none, a refusal of what the other
        // answers. Such things are too rare to be shown to be as rare, so they are watched and not waited for.
        trigger(Signal::Degraded, Rule::RatioUnder { fail: 1.5, pass: 1.5 }, hour, RollBack, 0.5),
        trigger(Signal::Fallback, Rule::RatioUnder { fail: 1.5, pass: 1.5 }, hour, RollBack, 0.5),
        trigger(Signal::Refusal, Rule::RatioUnder { fail: 1.5, pass: 1.5 }, hour, RollBack, 0.5),
        trigger(Signal::Quality, Rule::DropUnder { fail: 0.10, pass: 0.10 }, hour, RollBack, 0.5),
        // A parameter that the target refuses shows as callers' mistakes that stable's callers do not make. One client that
        // repeats its mistake can look like that too, so a person decides.
        trigger(Signal::Rejected, Rule::RatioUnder { fail: 2.0, pass: 2.0 }, 300, Freeze, 0.5),
        trigger(Signal::Tokens, Rule::SpendUnder { times: 3.0 }, hour, Freeze, 0.0),
        trigger(Signal::PiiLeak, Rule::Never, hour, Freeze, 0.0),
        trigger(Signal::Incident, Rule::Never, hour, RollBack, 0.0),
        // Alerts ask whether something is bad at all, whoever's fault it is.
        trigger(Signal::Error, rate(0.01, Blame::Always), 300, Alert, 0.0),
        trigger(Signal::Latency, p99(8, Blame::Always), 180, Alert, 0.0),
        trigger(Signal::Hallucination, rate(0.05, Blame::Always), hour, Alert, 0.0),
        trigger(Signal::ThumbsDown, rate(0.10, Blame::Always), hour, Alert, 0.0),
        trigger(Signal::Cost, Rule::SpendUnder { times: 1.2 }, 24 * hour, Alert, 0.0),
    ]
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
    Trigger { signal, rule, over: Duration::from_secs(over_seconds), mode: Mode::Evidence, action, weight }
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
            Self::RiseUnder { pass, .. } => write!(f, "within {} over stable", percent(*pass)),
            Self::SpendUnder { times } => write!(f, "< {times} x stable per session"),
            Self::Never => f.write_str("never"),
            Self::ShiftUnder { ratio } => write!(f, "distributed within {ratio} x stable"),
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
