//! What follows from the evidence: whether a rollout goes on, waits, stops or goes back.
//!
//! [`decide`] is a pure function. The same state, evidence and moment give the same answer, so a stored log can be decided
//! again and must agree. It appends nothing and starts nothing: the controller appends the events, if the log has not moved
//! on in the meantime, and carries them out.
//!
//! Backwards needs little, forwards needs everything: a broken gate or trigger takes the rollout back from wherever it
//! stands; a phase is left forwards only when its time has passed, all its gates have passed, and the candidate is still
//! seen. What is missing is always said. After completion the triggers go on as long as the old version is warm.

mod backwards;
mod forwards;
mod heeded;
mod warm;

use std::time::Duration;

use jiff::Timestamp;

use crate::event::{Event, Verdict};
use crate::evidence::Evidence;
use crate::evidence::course::lane_of;
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
        Stage::RolledBack { .. } => Decision::nothing(),
        // Also while the feature is killed: that the share is 0 is then only measured, nothing moves.
        Stage::RollingBack { since, .. } => going_back(rollout, *since, evidence, reach, now),
        _ if state.killed.is_some() => Decision {
            waiting_for: vec!["the kill switch is on: a person must release it".into()],
            ..Decision::nothing()
        },
        Stage::Completed { .. } => warm::decide(state, rollout, evidence, now),
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
    // The store knows whom the trial reached; what everybody was answered after completion, only the sums do.
    let counted = evidence.candidate_calls;
    let reach = reach.map(|reach| CandidateReach { calls: reach.calls.max(counted), ..reach });
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
    let gates = forwards::standing_of(phase, evidence);
    let mut standing = gates.clone();
    standing.extend(backwards::standing_of(rollout, at, lane, evidence));
    let decision =
        Decision { standing, look_again_at: Some(later(now, evidence.bucket)), ..Decision::nothing() };

    let back = backwards::decide(rollout, at, evidence, lane, now);
    if !back.is_empty() {
        return Decision { events: back, ..decision };
    }
    let heeded = heeded::decide(rollout, evidence, lane);
    let mut decision = match &rollout.stage {
        Stage::Running(_) => forwards::decide(rollout, at, phase, gates, evidence, now, decision),
        Stage::Paused { why, .. } => {
            Decision { waiting_for: vec![format!("a person: paused, {why}")], ..decision }
        }
        Stage::Frozen { why, .. } => {
            Decision { waiting_for: vec![format!("a person: frozen, {why}")], ..decision }
        }
        _ => decision,
    };
    decision.events.splice(0..0, heeded);
    decision
}

/// What is broken, in a sentence each. What a lower tier answered because of an error is the same call as the error, and one
/// reason, not three.
fn reasons(verdicts: &[Verdict]) -> String {
    use crate::signal::Signal;
    let has_errors = |of: &Verdict| {
        verdicts.iter().any(|verdict| verdict.signal == Signal::Error && verdict.slice == of.slice)
    };
    let follows = |verdict: &Verdict| {
        matches!(verdict.signal, Signal::Fallback | Signal::Degraded | Signal::Timeout) && has_errors(verdict)
    };
    let each = verdicts.iter().filter(|verdict| !follows(verdict)).map(|verdict| match &verdict.slice {
        Some(slice) => format!("{slice}: {}: {}", verdict.name, verdict.why),
        None => format!("{}: {}", verdict.name, verdict.why),
    });
    each.collect::<Vec<_>>().join("; ")
}

/// A moment so much later; the end of time instead of beyond it.
fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
