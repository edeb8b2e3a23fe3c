//! Going back: what is broken, and what follows from it.
//!
//! Triggers first, then gates, then single slices; a way back before a freeze.

use jiff::Timestamp;

use super::{forwards, later, reasons};
use crate::event::{Cause, Event, Outcome, Role, Verdict};
use crate::evidence::{Check, Evidence, Lane};
use crate::plan::{Action, Rule, SliceAction};
use crate::segment::Slice;
use crate::state::{InPhase, Rollout, Stage};

/// How the triggers stand, and those slices whose evidence speaks against the candidate at all.
pub(super) fn standing_of(rollout: &Rollout, at: InPhase, lane: Lane, evidence: &Evidence) -> Vec<Verdict> {
    let is_shown = |check: &&Check| match check.slice {
        None => check.verdict.role == Role::Trigger,
        Some(_) => {
            let leans = check.verdict.outcome == Outcome::Fail || check.verdict.log_e_fail > 0.0;
            leans && (check.action.is_some() || is_gate_so_far(check, rollout, at))
        }
    };
    let mine = evidence.checks.iter().filter(|check| check.lane == lane);
    mine.filter(is_shown).map(|check| check.verdict.clone()).collect()
}

/// What is to be appended because something is broken.
pub(super) fn decide(
    rollout: &Rollout,
    at: InPhase,
    evidence: &Evidence,
    lane: Lane,
    now: Timestamp,
) -> Vec<Event> {
    let is_stale = predates_withdrawal(rollout, evidence);
    let broken: Vec<&Check> = (evidence.checks.iter())
        .filter(|check| check.lane == lane && check.verdict.outcome == Outcome::Fail)
        .filter(|check| check.action.is_some() || is_gate_so_far(check, rollout, at))
        .filter(|check| !is_stale || check.rule == Rule::Never)
        .collect();
    let whole = |action: Option<Action>| -> Vec<Verdict> {
        (broken.iter())
            .filter(|check| check.slice.is_none() && check.action == action)
            .filter(|check| action != Some(Action::Freeze) || !is_forgiven(check, rollout, at, now))
            .map(|check| check.verdict.clone())
            .collect()
    };
    for (cause, action) in [(Cause::Trigger, Some(Action::RollBack)), (Cause::Gate, None)] {
        let standing = whole(action);
        if !standing.is_empty() {
            return vec![roll_back(rollout, cause, standing)];
        }
    }
    let freezing = whole(Some(Action::Freeze));
    let of_slices = slices(rollout, at, &broken, &freezing, now);
    if !of_slices.is_empty() {
        return of_slices;
    }
    if freezing.is_empty() { Vec::new() } else { freeze(rollout, Cause::Trigger, freezing) }
}

/// What follows for slices in which something is broken, as the plan says. `freezing` is what freezes in the whole: where both
/// do, both are told, because whoever goes on from there is taken to have seen it.
fn slices(
    rollout: &Rollout,
    at: InPhase,
    broken: &[&Check],
    freezing: &[Verdict],
    now: Timestamp,
) -> Vec<Event> {
    let is_withdrawn = |slice: &Slice| rollout.withdrawn.iter().any(|withdrawn| withdrawn.slice == *slice);
    let action = rollout.plan.slices.action;
    let mut standing: Vec<(&Slice, Verdict)> = (broken.iter())
        .filter_map(|check| Some((check.slice.as_ref()?, check)))
        .filter(|(slice, _)| !is_withdrawn(slice))
        .filter(|(_, check)| action != SliceAction::Freeze || !is_forgiven(check, rollout, at, now))
        .map(|(slice, check)| (slice, check.verdict.clone()))
        .collect();
    let Some((first, verdict)) = standing.first() else { return Vec::new() };
    let cause = if verdict.role == Role::Gate { Cause::Gate } else { Cause::Trigger };
    let verdicts = |standing: &[(&Slice, Verdict)]| -> Vec<Verdict> {
        standing.iter().map(|(_, verdict)| verdict.clone()).collect()
    };
    match action {
        SliceAction::RollBack => vec![roll_back(rollout, cause, verdicts(&standing))],
        SliceAction::Freeze => freeze(rollout, cause, [verdicts(&standing), freezing.to_vec()].concat()),
        // One at a time: what is left is judged anew without it, and a caller of the first may be in the second too.
        SliceAction::Withdraw => {
            let slice = (*first).clone();
            standing.retain(|(other, _)| **other == slice);
            let standing = verdicts(&standing);
            vec![Event::SliceWithdrawn { rollout: rollout.id, slice, why: reasons(&standing), standing }]
        }
    }
}

fn roll_back(rollout: &Rollout, cause: Cause, standing: Vec<Verdict>) -> Event {
    Event::RollbackStarted { rollout: rollout.id, cause, why: reasons(&standing), standing }
}

fn freeze(rollout: &Rollout, cause: Cause, standing: Vec<Verdict>) -> Vec<Event> {
    if matches!(rollout.stage, Stage::Frozen { .. }) {
        return Vec::new();
    }
    vec![Event::Frozen { rollout: rollout.id, cause, why: reasons(&standing), standing }]
}

/// Whether the evidence still holds the calls of a slice that has been sent back since. The next bucket begins anew.
pub(super) fn predates_withdrawal(rollout: &Rollout, evidence: &Evidence) -> bool {
    let is_after =
        |moment: Timestamp| evidence.last_closed.is_some_and(|closed| closed.timestamp() >= moment);
    rollout.withdrawn.iter().any(|withdrawn| !is_after(withdrawn.since))
}

/// Whether a check is a gate of the present phase or of one before it: a stricter limit that only a later phase sets does not
/// count yet.
fn is_gate_so_far(check: &Check, rollout: &Rollout, at: InPhase) -> bool {
    let so_far = &rollout.plan.phases[..=at.phase.min(rollout.plan.phases.len() - 1)];
    so_far.iter().any(|phase| forwards::holds(phase, check))
}

/// Whether a person has let the rollout go on after it was frozen for this: a proof that was told then does not freeze again,
/// and a window counts again when it holds only what came later. What was shown after that was seen by nobody.
fn is_forgiven(check: &Check, rollout: &Rollout, at: InPhase, now: Timestamp) -> bool {
    let is_seen = at.seen.is_some_and(|seen| check.broken_since.is_some_and(|broken| broken <= seen));
    if !is_seen {
        return false;
    }
    match check.rule {
        Rule::SpendUnder { .. } => {
            let over = (rollout.plan.triggers.iter())
                .filter(|trigger| trigger.action == Action::Freeze && trigger.signal == check.verdict.signal)
                .map(|trigger| trigger.over)
                .max();
            over.is_some_and(|over| now < later(at.since, over))
        }
        _ => true,
    }
}
