//! What a plan asks of the evidence: its distinct gates and triggers, and of which calls.
//!
//! The same gate in several canary phases is one check with one account, carried on from phase to phase; a trigger is one
//! check per lane. How much each must show is [`super::budget`]'s.

use std::sync::Arc;
use std::time::Duration;

use lockgate_stats::rate::RateTest;

use super::Lane;
use super::budget;
use super::proof::Bar;
use crate::event::Role;
use crate::plan::{Action, Blame, Mode, Phase, PhaseKind, Rule, Trigger};
use crate::segment::{Confine, Segment};
use crate::share::percent;
use crate::signal::{Measure, Signal};
use crate::state::Rollout;

/// One distinct gate or trigger in one lane.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) lane: Lane,
    pub(super) role: Role,
    pub(super) signal: Signal,
    pub(super) rule: Rule,
    /// For people: `error < 0.5 %`. No two checks of a lane and role share it.
    pub(super) name: String,
    /// Of a trigger.
    pub(super) watch: Option<Watch>,
    /// Its part of the error budget, relative to the other checks'.
    pub(super) weight: f64,
    /// What the whole of the traffic must show.
    pub(super) whole: Part,
    /// What each slice of it must show; `None` where slices are not judged by this check.
    pub(super) each_slice: Option<Part>,
    /// What evidence must reach for the rule to count as kept.
    pub(super) log_pass_needed: f64,
    /// The test of a rate against the rule's own limit; shared, because it is the largest part of an account.
    pub(super) rate_test: Option<Arc<RateTest>>,
    confines: Confines,
}

/// What a trigger does, over which window, and whether the window is taken at its word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) action: Action,
    pub(super) over: Duration,
    pub(super) mode: Mode,
}

/// A part of the error budget, and what evidence must reach because of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) alpha: f64,
    pub(super) bar: Bar,
}

impl Part {
    /// None: nothing is ever shown to be broken by statistics.
    pub(super) const NONE: Self = Self { alpha: 0.0, bar: Bar::NEVER };
}

/// Whom a check may look at: what the rollout admits, and any of the phases that hold it.
#[derive(Debug)]
struct Confines {
    rollout: Confine,
    phases: Vec<Confine>,
}

impl Spec {
    /// Whether calls of this segment count.
    pub(super) fn admits(&self, segment: &Segment) -> bool {
        self.confines.rollout.admits(segment)
            && self.confines.phases.iter().any(|confine| confine.admits(segment))
    }

    /// What a trigger does.
    pub(super) fn action(&self) -> Option<Action> {
        self.watch.map(|watch| watch.action)
    }

    /// Whether its window is all that counts.
    pub(super) fn is_literal(&self) -> bool {
        self.watch.is_some_and(|watch| watch.mode == Mode::Literal)
    }

    /// Whether it is judged by evidence against an error budget: not a hard rule on sums, not a window taken at its word,
    /// and not a rule that the signal cannot be judged by.
    pub(super) fn is_statistical(&self) -> bool {
        let is_hard = matches!(self.rule, Rule::SpendUnder { .. } | Rule::Never);
        !is_hard && !self.is_literal() && why_not(&self.rule, &self.signal, self.role).is_none()
    }
}

/// Why a rule cannot judge a signal, if it cannot.
pub(super) fn why_not(rule: &Rule, signal: &Signal, role: Role) -> Option<&'static str> {
    let fits = match (rule, signal.measure()) {
        (Rule::SpendUnder { .. }, Measure::Amount) if role == Role::Gate => {
            return Some("spending is watched in a trigger's window; a gate has none");
        }
        (Rule::RateUnder { .. } | Rule::RatioUnder { .. } | Rule::Never, Measure::Rate) => true,
        (Rule::MeanOver { .. } | Rule::DropUnder { .. }, Measure::Rate | Measure::Score) => true,
        (Rule::SlowUnder { .. }, Measure::Durations) => true,
        (Rule::RiseUnder { .. } | Rule::ShiftUnder { .. }, Measure::Sizes) => true,
        (Rule::SpendUnder { .. }, Measure::Amount) => true,
        _ => false,
    };
    (!fits).then_some(match (rule, signal.measure()) {
        (Rule::RiseUnder { .. }, Measure::Amount) => {
            "only its sum is kept, and a rise is judged on single sessions: use session_cost"
        }
        (_, Measure::Rate) => "it is counted as so many of so many, which this rule cannot judge",
        (_, Measure::Score) => "it is counted as scores between 0 and 1, which this rule cannot judge",
        (_, Measure::Durations) => "it is counted as times, which only `slow` can judge",
        (_, Measure::Amount) => "only its sum is kept, which this rule cannot judge",
        (_, Measure::Sizes) => "it is counted as sizes, which this rule cannot judge",
    })
}

/// The lane of a phase.
pub(crate) fn lane_of(phase: &Phase) -> Lane {
    match phase.kind {
        PhaseKind::Shadow { .. } => Lane::Shadow,
        PhaseKind::Canary { .. } => Lane::Candidate,
    }
}

/// All checks of a rollout: gates in the plan's order, then triggers per lane.
pub(super) fn specs(rollout: &Rollout, bucket: Duration) -> Vec<Spec> {
    let plan = &rollout.plan;
    let mut specs: Vec<Spec> = Vec::new();
    for phase in &plan.phases {
        for gate in &phase.gates {
            let same = |spec: &&mut Spec| {
                spec.lane == lane_of(phase) && spec.signal == gate.signal && spec.rule == gate.rule
            };
            match specs.iter_mut().find(same) {
                Some(spec) => {
                    spec.weight = spec.weight.max(gate.weight);
                    spec.confines.phases.push(phase.confine.clone());
                }
                None => {
                    let of = Of { lane: lane_of(phase), signal: &gate.signal, rule: gate.rule, watch: None };
                    specs.push(spec(rollout, of, gate.weight, vec![phase.confine.clone()]));
                }
            }
        }
    }
    for lane in [Lane::Shadow, Lane::Candidate, Lane::Warm] {
        let confines: Vec<Confine> = match lane {
            // Everybody has it by then.
            Lane::Warm if rollout.drill.is_none() && !plan.warm_for.is_zero() => vec![Confine::everyone()],
            Lane::Warm => Vec::new(),
            lane => (plan.phases.iter())
                .filter(|phase| lane_of(phase) == lane)
                .map(|phase| phase.confine.clone())
                .collect(),
        };
        if confines.is_empty() {
            continue;
        }
        specs.extend(plan.triggers.iter().map(|trigger| {
            let Trigger { signal, rule, over, mode, action, weight } = trigger;
            let watch = Some(Watch { action: *action, over: *over, mode: *mode });
            spec(rollout, Of { lane, signal, rule: *rule, watch }, *weight, confines.clone())
        }));
    }
    tell_apart(&mut specs);
    budget::share_out(&mut specs, plan, bucket);
    specs
}

/// Gives checks of the same signal and limit names of their own, by what they differ in: what they do, their windows, when they
/// blame the candidate, and where they fail. People read them beside each other, and what was told of one is not told of all.
fn tell_apart(specs: &mut [Spec]) {
    let details: [fn(&Spec) -> String; 5] = [
        |spec| spec.action().map_or_else(String::new, |action| action_word(action).into()),
        |spec| spec.watch.map_or_else(String::new, |watch| format!("over {:?}", watch.over)),
        |spec| if spec.is_literal() { "literal".into() } else { "by evidence".into() },
        |spec| blame_words(&spec.rule),
        |spec| fail_words(&spec.rule),
    ];
    let is_like =
        |one: &Spec, other: &Spec| (one.lane, one.role, &one.name) == (other.lane, other.role, &other.name);
    let names: Vec<String> = (specs.iter().enumerate())
        .map(|(at, spec)| {
            let alike: Vec<usize> = (0..specs.len()).filter(|other| is_like(&specs[*other], spec)).collect();
            let differ = |of: &&fn(&Spec) -> String| alike.iter().any(|other| of(&specs[*other]) != of(spec));
            let words: Vec<String> = details.iter().filter(differ).map(|of| of(spec)).collect();
            let is_twin =
                |other: &&usize| **other < at && details.iter().all(|of| of(&specs[**other]) == of(spec));
            let twins = alike.iter().filter(is_twin).count();
            let number = (twins > 0).then(|| format!("no. {}", twins + 1));
            let words: Vec<String> = words.into_iter().chain(number).collect();
            if words.is_empty() { spec.name.clone() } else { format!("{} ({})", spec.name, words.join(", ")) }
        })
        .collect();
    specs.iter_mut().zip(names).for_each(|(spec, name)| spec.name = name);
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::RollBack => "roll back",
        Action::Freeze => "freeze",
        Action::Alert => "alert",
    }
}

fn blame_words(rule: &Rule) -> String {
    match rule {
        Rule::RateUnder { blame: Blame::OverStable { ratio }, .. }
        | Rule::SlowUnder { blame: Blame::OverStable { ratio }, .. } => {
            format!("blamed over {ratio} x stable")
        }
        _ => "blamed always".into(),
    }
}

fn fail_words(rule: &Rule) -> String {
    match rule {
        Rule::RatioUnder { fail, .. } => format!("fails over {fail} x"),
        Rule::DropUnder { fail, .. } | Rule::RiseUnder { fail, .. } => format!("fails at {}", percent(*fail)),
        // Limits that are written alike and are not: the name rounds them.
        Rule::RateUnder { limit, .. } | Rule::MeanOver { limit } => format!("{limit}"),
        Rule::SlowUnder { part, .. } => format!("{part}"),
        Rule::SpendUnder { .. } | Rule::Never | Rule::ShiftUnder { .. } => String::new(),
    }
}

/// What one check is of.
struct Of<'p> {
    lane: Lane,
    signal: &'p Signal,
    rule: Rule,
    watch: Option<Watch>,
}

fn spec(rollout: &Rollout, of: Of<'_>, weight: f64, phases: Vec<Confine>) -> Spec {
    let Of { lane, signal, rule, watch } = of;
    // After completion everybody has the candidate, whomever the rollout was confined to.
    let rollout_confine = if lane == Lane::Warm { Confine::everyone() } else { rollout.confine.clone() };
    Spec {
        lane,
        role: if watch.is_some() { Role::Trigger } else { Role::Gate },
        signal: signal.clone(),
        rule,
        name: format!("{signal} {rule}"),
        watch,
        weight,
        whole: Part::NONE,
        each_slice: None,
        log_pass_needed: -rollout.plan.beta.ln(),
        rate_test: match rule {
            Rule::RateUnder { limit, .. } => Some(Arc::new(RateTest::under(limit))),
            Rule::SlowUnder { part, .. } => Some(Arc::new(RateTest::under(part))),
            Rule::MeanOver { limit } if signal.measure() == Measure::Rate => {
                Some(Arc::new(RateTest::over(limit)))
            }
            _ => None,
        },
        confines: Confines { rollout: rollout_confine, phases },
    }
}
