//! Calling for a person without moving anything: alerts, windows over their limit, callers split wrongly. Once per check and
//! phase.

use lockgate_stats::mismatch::LOG_NEEDED;

use super::{forwards, reasons};
use crate::event::{AsOf, Event, Outcome, Role, Verdict};
use crate::evidence::{Check, Evidence, Lane, Mismatch};
use crate::plan::Action;
use crate::signal::{Arm, Signal};
use crate::state::Rollout;

/// The call for a person, if there is something that was not told yet.
pub(super) fn decide(rollout: &Rollout, evidence: &Evidence, lane: Lane) -> Option<Event> {
    let calls = |check: &&Check| {
        let is_broken = check.verdict.outcome == Outcome::Fail;
        let warns = match check.action {
            Some(Action::Alert) => is_broken,
            // There is no candidate any more that could be frozen.
            Some(Action::Freeze) => is_broken && lane == Lane::Warm,
            Some(Action::RollBack) | None => false,
        };
        // An alert's own window says nothing by itself: it is held to beta, and a window keeps no promise.
        let is_over = check.verdict.crossed.is_some() && !is_broken && check.action != Some(Action::Alert);
        check.lane == lane && (warns || is_over)
    };
    let mut standing: Vec<Verdict> =
        evidence.checks.iter().filter(calls).map(|check| check.verdict.clone()).collect();
    standing.extend(evidence.mismatch.map(|mismatch| verdict_of(&mismatch, evidence)));
    standing.retain(|verdict| !rollout.alerted.contains(&verdict.key()));
    (!standing.is_empty()).then(|| Event::Alerted { rollout: rollout.id, why: reasons(&standing), standing })
}

/// A split that is not as the plan says, as a verdict: so that it is told once, with its numbers.
fn verdict_of(mismatch: &Mismatch, evidence: &Evidence) -> Verdict {
    let callers = mismatch.candidate.saturating_add(mismatch.stable);
    Verdict {
        name: "visitors split as the plan says".into(),
        signal: Signal::Visitors,
        arm: Arm::Candidate,
        slice: None,
        role: Role::Trigger,
        outcome: Outcome::Fail,
        why: forwards::mismatch_words(mismatch),
        n: callers,
        total: mismatch.candidate as f64,
        estimate: (callers > 0).then(|| mismatch.candidate as f64 / callers as f64),
        interval: None,
        stable_n: callers,
        stable_total: mismatch.stable as f64,
        stable_estimate: (callers > 0).then(|| mismatch.stable as f64 / callers as f64),
        limit: Some(mismatch.share.fraction()),
        log_e_pass: 0.0,
        log_e_pass_needed: None,
        log_e_fail: mismatch.log_e,
        log_e_fail_needed: Some(LOG_NEEDED),
        alpha: 0.0,
        missing: None,
        crossed: None,
        as_of: evidence.last_closed.map(|bucket| AsOf {
            bucket,
            width_ms: u64::try_from(evidence.bucket.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}
