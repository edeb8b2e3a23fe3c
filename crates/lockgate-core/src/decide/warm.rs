//! After completion, while the old version is warm: the triggers go on, and the way back is still one event.

use jiff::Timestamp;

use super::{Decision, heeded, later, reasons};
use crate::event::{Cause, Event, Outcome, Verdict};
use crate::evidence::{Check, Evidence, Lane};
use crate::plan::Action;
use crate::state::{FeatureState, Rollout, Stage};

/// Decides for a completed rollout.
pub(super) fn decide(
    state: &FeatureState,
    rollout: &Rollout,
    evidence: &Evidence,
    now: Timestamp,
) -> Decision {
    let Stage::Completed { since, warm_until } = rollout.stage else { return Decision::nothing() };
    // Users may have gone on to a third version since; taking the candidate back would take that one from them.
    let is_theirs = state.stable.revision == rollout.candidate.revision;
    if !rollout.is_watched(now) || !is_theirs {
        return Decision::nothing();
    }
    let is_late = |check: &Check| check.broken_since.is_some_and(|broken| broken.timestamp() >= since);
    let is_mine = |check: &&Check| match check.lane {
        Lane::Warm => true,
        // What is reported late of the candidate's calls during the rollout.
        Lane::Candidate => check.slice.is_none() && check.action.is_some() && is_late(check),
        Lane::Shadow => false,
    };
    let mine = || evidence.checks.iter().filter(is_mine);
    let decision = Decision {
        standing: mine().map(|check| check.verdict.clone()).collect(),
        look_again_at: Some(later(now, evidence.bucket).min(warm_until)),
        ..Decision::nothing()
    };
    let broken: Vec<Verdict> = mine()
        .filter(|check| check.action == Some(Action::RollBack) && check.verdict.outcome == Outcome::Fail)
        .map(|check| check.verdict.clone())
        .collect();
    if !broken.is_empty() {
        let back = Event::RollbackStarted {
            rollout: rollout.id,
            cause: Cause::Trigger,
            why: reasons(&broken),
            standing: broken,
        };
        return Decision { events: vec![back], ..decision };
    }
    Decision { events: heeded::decide(rollout, evidence, Lane::Warm).into_iter().collect(), ..decision }
}
