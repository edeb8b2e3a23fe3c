//! What a plan asks of the evidence: its distinct gates and triggers, and how much each must show.
//!
//! The same gate in several canary phases is one check with one account, carried on from phase to phase; a trigger is one
//! check per lane. The chance of taking a harmless candidate back is shared out over all of them by weight, so that it holds
//! for the rollout as a whole.

use std::time::Duration;

use super::Lane;
use super::proof::Bar;
use crate::event::Role;
use crate::plan::{Action, Phase, PhaseKind, Plan, Rule};
use crate::segment::{Confine, Segment};
use crate::signal::Signal;
use crate::state::Rollout;

/// One distinct gate or trigger in one lane.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) lane: Lane,
    pub(super) role: Role,
    pub(super) signal: Signal,
    pub(super) rule: Rule,
    /// What a trigger does, and over which window.
    pub(super) trigger: Option<(Action, Duration)>,
    /// What evidence must reach for the rule to count as broken.
    pub(super) fail_bar: Bar,
    /// What evidence must reach for the rule to count as kept.
    pub(super) log_pass_needed: f64,
    weight: f64,
    confines: Confines,
}

/// Whom a check may look at: what the rollout admits, and any of the phases that hold it.
#[derive(Debug, Clone)]
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
                None => specs.push(Spec {
                    lane: lane_of(phase),
                    role: Role::Gate,
                    signal: gate.signal.clone(),
                    rule: gate.rule,
                    trigger: None,
                    fail_bar: Bar::NEVER,
                    log_pass_needed: -plan.beta.ln(),
                    weight: gate.weight,
                    confines: Confines {
                        rollout: rollout.confine.clone(),
                        phases: vec![phase.confine.clone()],
                    },
                }),
            }
        }
    }
    for lane in [Lane::Shadow, Lane::Candidate] {
        let phases: Vec<&Phase> = plan.phases.iter().filter(|phase| lane_of(phase) == lane).collect();
        if phases.is_empty() {
            continue;
        }
        specs.extend(plan.triggers.iter().map(|trigger| Spec {
            lane,
            role: Role::Trigger,
            signal: trigger.signal.clone(),
            rule: trigger.rule,
            trigger: Some((trigger.action, trigger.over)),
            fail_bar: Bar::NEVER,
            log_pass_needed: -plan.beta.ln(),
            weight: trigger.weight,
            confines: Confines {
                rollout: rollout.confine.clone(),
                phases: phases.iter().map(|phase| phase.confine.clone()).collect(),
            },
        }));
    }
    share_out(&mut specs, plan, bucket);
    specs
}

/// Gives each check its part of alpha, and from it what it must show.
fn share_out(specs: &mut [Spec], plan: &Plan, bucket: Duration) {
    let weight = |spec: &Spec| if can_fail(spec) { spec.weight } else { 0.0 };
    let whole: f64 = specs.iter().map(weight).sum();
    for spec in specs {
        if weight(spec) <= 0.0 {
            continue;
        }
        let alpha = plan.alpha * weight(spec) / whole;
        let looks = looks(plan, spec.lane, bucket);
        spec.fail_bar = match spec.role {
            Role::Gate => Bar::of_gate(alpha, looks),
            Role::Trigger => Bar::of_trigger(alpha, looks),
        };
    }
}

/// Whether a check fails by statistics at all: not at weight 0, and not a hard rule on sums.
fn can_fail(spec: &Spec) -> bool {
    spec.weight > 0.0 && !matches!(spec.rule, Rule::AmountUnder { .. })
}

/// How often a lane can be looked at over the longest course of a plan.
fn looks(plan: &Plan, lane: Lane, bucket: Duration) -> f64 {
    let longest: f64 = (plan.phases.iter())
        .filter(|phase| lane_of(phase) == lane)
        .map(|phase| phase.deadline.max(phase.dwell).as_secs_f64())
        .sum();
    (longest / bucket.as_secs_f64().max(1e-3)).max(1.0)
}
