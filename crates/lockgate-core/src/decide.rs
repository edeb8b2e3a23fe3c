//! What follows from the evidence: whether a rollout goes on, waits, stops or goes back.
//!
//! [`decide`] is a pure function. The same state, evidence and moment give the same answer, so a stored log can be decided
//! again and must agree. It appends nothing and starts nothing: the controller appends the events, if the log has not moved
//! on in the meantime, and carries them out.
//!
//! Backwards needs little, forwards needs everything: a broken gate or trigger takes the rollout back from wherever it
//! stands; a phase is left forwards only when its time has passed, all its gates have passed, and the candidate is still
//! seen. What is missing is always said.

mod forwards;

use std::time::Duration;

use jiff::Timestamp;

use crate::event::{Cause, Event, Outcome, Role, Verdict};
use crate::evidence::course::lane_of;
use crate::evidence::{Check, Evidence, Lane};
use crate::plan::{Action, Rule};
use crate::state::{FeatureState, InPhase, Rollout, Stage};

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What is to be appended, in this order; empty when everything stays as it is.
    pub events: Vec<Event>,
    /// How the present phase's gates and the triggers stand.
    pub standing: Vec<Verdict>,
    /// For people: what the rollout waits for; empty when there is nothing to wait for.
    pub waiting_for: Vec<String>,
    /// When to decide again if nothing new comes in before.
    pub look_again_at: Option<Timestamp>,
}

/// Whom the candidate reached, as the store counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateReach {
    /// Calls of users it was given.
    pub calls: u64,
    /// Different users among them.
    pub users: u64,
    /// When it was last given one.
    pub last: Option<Timestamp>,
}

/// Says what should happen next. `reach` is only used when a way back is complete; without it the evidence's own count stands
/// in.
pub fn decide(
    state: &FeatureState,
    evidence: &Evidence,
    reach: Option<CandidateReach>,
    now: Timestamp,
) -> Decision {
    let Some(rollout) = &state.rollout else { return Decision::nothing() };
    match &rollout.stage {
        Stage::RolledBack { .. } | Stage::Completed { .. } => Decision::nothing(),
        // Also while the feature is killed: that the share is 0 is then only measured, nothing moves.
        Stage::RollingBack { since, .. } => going_back(rollout, *since, evidence, reach, now),
        _ if state.killed.is_some() => Decision {
            waiting_for: vec!["the kill switch is on: a person must release it".into()],
            ..Decision::nothing()
        },
        Stage::Running(at) | Stage::Paused { at, .. } | Stage::Frozen { at, .. } => {
            in_phase(rollout, *at, evidence, now)
        }
    }
}

impl Decision {
    fn nothing() -> Self {
        Self { events: Vec::new(), standing: Vec::new(), waiting_for: Vec::new(), look_again_at: None }
    }
}

/// The way back is over once a whole bucket that began after it has shown no call given to the candidate.
fn going_back(
    rollout: &Rollout,
    since: Timestamp,
    evidence: &Evidence,
    reach: Option<CandidateReach>,
    now: Timestamp,
) -> Decision {
    let measured = evidence.last_closed.filter(|closed| closed.timestamp() >= since);
    let is_zero = measured.is_some_and(|closed| evidence.last_assigned.is_none_or(|last| last < closed));
    if !is_zero {
        let waiting_for = match measured {
            Some(_) => "the candidate was still given calls in the last closed bucket",
            None => "a whole closed bucket since the way back began, to measure that the share is 0",
        };
        return Decision {
            waiting_for: vec![waiting_for.into()],
            look_again_at: Some(later(now, evidence.bucket)),
            ..Decision::nothing()
        };
    }
    let reach = reach.unwrap_or(CandidateReach {
        calls: evidence.candidate_calls,
        users: 0,
        last: evidence.last_assigned.map(|bucket| bucket.timestamp()),
    });
    let over = Event::RolledBack {
        rollout: rollout.id,
        last_candidate_call: reach.last,
        candidate_calls: reach.calls,
        candidate_users: reach.users,
    };
    Decision { events: vec![over], ..Decision::nothing() }
}

fn in_phase(rollout: &Rollout, at: InPhase, evidence: &Evidence, now: Timestamp) -> Decision {
    let Some(phase) = rollout.plan.phases.get(at.phase) else { return Decision::nothing() };
    let lane = lane_of(phase);
    let triggers = || evidence.checks.iter().filter(move |check| is_trigger_of(check, lane));
    let gates = forwards::standing_of(phase, evidence);

    let mut standing = gates.clone();
    standing.extend(triggers().map(|check| check.verdict.clone()));
    let decision =
        Decision { standing, look_again_at: Some(later(now, evidence.bucket)), ..Decision::nothing() };

    if let Some(event) = backwards(rollout, at, evidence, lane, now) {
        return Decision { events: vec![event], ..decision };
    }
    match &rollout.stage {
        Stage::Running(_) => forwards::decide(rollout, at, phase, gates, evidence, now, decision),
        Stage::Paused { why, .. } => {
            Decision { waiting_for: vec![format!("a person: paused, {why}")], ..decision }
        }
        Stage::Frozen { why, .. } => {
            Decision { waiting_for: vec![format!("a person: frozen, {why}")], ..decision }
        }
        _ => decision,
    }
}

/// What is broken and what follows: triggers first, a way back before a freeze.
fn backwards(
    rollout: &Rollout,
    at: InPhase,
    evidence: &Evidence,
    lane: Lane,
    now: Timestamp,
) -> Option<Event> {
    let broken = |action: Option<Action>| -> Vec<Verdict> {
        (evidence.checks.iter())
            .filter(|check| check.action == action && check.lane == lane)
            .filter(|check| check.verdict.outcome == Outcome::Fail)
            .filter(|check| check.action.is_some() || is_gate_so_far(check, rollout, at))
            .filter(|check| action != Some(Action::Freeze) || !is_forgiven(check, rollout, at, now))
            .map(|check| check.verdict.clone())
            .collect()
    };
    let roll_back = |cause, standing: Vec<Verdict>| Event::RollbackStarted {
        rollout: rollout.id,
        cause,
        why: reasons(&standing),
        standing,
    };
    let triggers = broken(Some(Action::RollBack));
    if !triggers.is_empty() {
        return Some(roll_back(Cause::Trigger, triggers));
    }
    let gates = broken(None);
    if !gates.is_empty() {
        return Some(roll_back(Cause::Gate, gates));
    }
    let freezing = broken(Some(Action::Freeze));
    let is_frozen = matches!(rollout.stage, Stage::Frozen { .. });
    (!freezing.is_empty() && !is_frozen).then(|| Event::Frozen {
        rollout: rollout.id,
        cause: Cause::Trigger,
        why: reasons(&freezing),
        standing: freezing,
    })
}

fn is_trigger_of(check: &Check, lane: Lane) -> bool {
    check.verdict.role == Role::Trigger && check.lane == lane
}

/// Whether a check is a gate of the present phase or of one before it: a stricter limit that only a later phase sets does not
/// count yet.
fn is_gate_so_far(check: &Check, rollout: &Rollout, at: InPhase) -> bool {
    let so_far = &rollout.plan.phases[..=at.phase.min(rollout.plan.phases.len() - 1)];
    so_far.iter().any(|phase| forwards::holds(phase, check))
}

/// Whether a person has let the rollout go on since this freeze was called for: a proof from before then does not freeze
/// again, and a window counts again when it holds only what came later.
fn is_forgiven(check: &Check, rollout: &Rollout, at: InPhase, now: Timestamp) -> bool {
    let Some(resumed) = at.resumed else { return false };
    match check.rule {
        Rule::AmountUnder { .. } => {
            let over = (rollout.plan.triggers.iter())
                .filter(|trigger| trigger.action == Action::Freeze && trigger.signal == check.verdict.signal)
                .map(|trigger| trigger.over)
                .max();
            over.is_some_and(|over| now < later(resumed, over))
        }
        _ => check.broken_since.is_some_and(|bucket| bucket.timestamp() < resumed),
    }
}

fn reasons(verdicts: &[Verdict]) -> String {
    let each: Vec<String> =
        verdicts.iter().map(|verdict| format!("{}: {}", verdict.name, verdict.why)).collect();
    each.join("; ")
}

/// A moment so much later; the end of time instead of beyond it.
fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
