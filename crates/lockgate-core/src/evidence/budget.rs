//! Shares out the error budget: how often the whole rollout may be wrong, and how much of that each check may be.
//!
//! A rollout goes back when *any* of its checks is broken, so their chances of a false alarm add up (Bonferroni); the sum over
//! all of them is at most the plan's alpha. Slices get their part first, the same for each of [`SLICES_MAX`], seen or not: a
//! part that grew with what is seen would spend again what is spent. What is left goes by weight to the gates' failing sides
//! and the triggers, in every lane they watch. What is no statistics gets nothing and is promised nothing: what must never
//! happen, a window taken at its word, and a hard rule on sums, which chance alone can break where tails are heavy. What weighs
//! nothing gets nothing either. Alerts move no traffic; each that is judged by evidence is held to beta by itself.
//!
//! A part of alpha becomes a *threshold*: what evidence must reach for the rule to count as broken ([`super::proof`]).

use std::time::Duration;

use super::Lane;
use super::course::{Part, Spec, lane_of};
use super::proof::Bar;
use crate::event::Role;
use crate::plan::{Action, Plan};

/// Most slices of a rollout's traffic that are judged by themselves, in the order in which they appear. Enough for some labels
/// of a handful of values; each more would make all others slower to find.
pub(crate) const SLICES_MAX: usize = 20;

/// The part of a plan's alpha that gateways may spend, together, on going back alone. So little that the rest loses nothing.
pub(super) const RETREAT_PART: f64 = 0.02;
/// Most gateways that share it.
pub(super) const REPLICAS_MAX: f64 = 64.0;

/// Gives each check its part, and from it what it must show.
pub(super) fn share_out(specs: &mut [Spec], plan: &Plan, bucket: Duration) {
    let whole: f64 = specs.iter().filter(|spec| spends(spec)).map(|spec| spec.weight).sum();
    let sliced: f64 = specs.iter().filter(|spec| is_sliced(spec)).map(|spec| spec.weight).sum();
    let alpha = plan.alpha * (1.0 - RETREAT_PART);
    let of_slices = if sliced > 0.0 { alpha * plan.slices.part.clamp(0.0, 1.0) } else { 0.0 };
    let lanes = |spec: &Spec| {
        let same = |other: &&Spec| other.role == spec.role && other.name == spec.name;
        specs.iter().filter(same).count().max(1) as f64
    };
    let of_alerts: Vec<f64> = specs.iter().map(|spec| plan.beta / lanes(spec)).collect();
    for (spec, of_alert) in specs.iter_mut().zip(of_alerts) {
        let looks = looks(plan, spec.lane, bucket);
        let part = |alpha: f64, spec: &Spec| Part {
            alpha,
            bar: match spec.role {
                Role::Gate => Bar::of_gate(alpha, looks),
                Role::Trigger => Bar::of_trigger(alpha, looks),
            },
        };
        if spends(spec) {
            spec.whole = part((alpha - of_slices) * spec.weight / whole, spec);
        } else if spec.action() == Some(Action::Alert) && spec.is_statistical() {
            spec.whole = part(of_alert, spec);
        }
        if is_sliced(spec) && of_slices > 0.0 {
            spec.each_slice = Some(part(of_slices / SLICES_MAX as f64 * spec.weight / sliced, spec));
        }
    }
}

/// Whether a check uses some of alpha.
fn spends(spec: &Spec) -> bool {
    spec.weight > 0.0 && spec.is_statistical() && spec.action() != Some(Action::Alert)
}

/// Whether single slices are judged by a check: what can take users' traffic back.
fn is_sliced(spec: &Spec) -> bool {
    spends(spec) && spec.lane == Lane::Candidate && spec.action() != Some(Action::Freeze)
}

/// How often a lane can be looked at over the longest course of a plan.
fn looks(plan: &Plan, lane: Lane, bucket: Duration) -> f64 {
    let longest: f64 = match lane {
        Lane::Warm => plan.warm_for.as_secs_f64(),
        lane => (plan.phases.iter())
            .filter(|phase| lane_of(phase) == lane)
            .map(|phase| phase.deadline.max(phase.dwell).as_secs_f64())
            .sum(),
    };
    (longest / bucket.as_secs_f64().max(1e-3)).max(1.0)
}
