//! Whether a rollout's gates pass, in one word: for pipelines and cron jobs, which ask and go on, or do not.
//!
//! Three answers and no fourth. What cannot be said now (no data, nobody looked, a person stepped in) is neither a pass nor a
//! fail.

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::event::{Outcome, Role, Verdict};
use lockgate_core::name::FeatureName;
use lockgate_core::plan::{Need, Phase};
use lockgate_core::state::{FeatureState, Rollout, Stage};
use serde::Serialize;

use crate::controller::Controller;
use crate::world::{Seen, Standing};

/// A look that is older than so many buckets says nothing about now: several in a row were missed.
const STALE_BUCKETS: u32 = 6;
/// Nor is one ever called old before this: buckets may be short, and a busy machine slow.
const STALE_MIN: Duration = Duration::from_secs(60);

/// How a rollout's gates stand, in one word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateView {
    /// The feature.
    pub feature: FeatureName,
    /// `pass`, `fail` or `inconclusive`.
    pub outcome: Outcome,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
    /// Where the rollout is; `None` without one.
    pub state: Option<&'static str>,
    /// The phase whose gates these are.
    pub phase: Option<String>,
    /// When they were last looked at.
    pub looked_at: Option<Timestamp>,
}

impl Controller {
    /// How the gates of a feature's rollout stand; `None` when the configuration has no such feature.
    pub fn gate(&self, feature: &FeatureName) -> Option<GateView> {
        let (state, standing, seen, bucket) = {
            let world = self.world();
            let bucket = world.config().signals.bucket;
            (world.state(feature)?, world.standing(feature).cloned(), world.seen(feature), bucket)
        };
        let look = Look { standing: standing.as_ref(), seen: &seen };
        let stale_after = STALE_MIN.max(bucket * STALE_BUCKETS);
        let (outcome, reasons) =
            match (judge(&state, look, stale_after, self.clock.now()), self.live.unwritten_since()) {
                ((Outcome::Pass, _), Some(since))
                    if state.rollout.as_ref().is_some_and(Rollout::is_under_way) =>
                {
                    let why = format!(
                        "what was counted since {since} has not reached the store: its gates are of before"
                    );
                    (Outcome::Inconclusive, vec![why])
                }
                (judged, _) => judged,
            };
        let rollout = state.rollout.as_ref();
        Some(GateView {
            feature: feature.clone(),
            outcome,
            reasons,
            state: rollout.map(Rollout::state_word),
            phase: rollout.and_then(Rollout::phase).map(|phase| phase.name.clone()),
            looked_at: standing.map(|standing| standing.at),
        })
    }
}

/// What the last look found, if there was one.
#[derive(Clone, Copy)]
struct Look<'l> {
    standing: Option<&'l Standing>,
    seen: &'l Seen,
}

fn judge(
    state: &FeatureState,
    look: Look<'_>,
    stale_after: Duration,
    now: Timestamp,
) -> (Outcome, Vec<String>) {
    let unclear = |why: String| (Outcome::Inconclusive, vec![why]);
    let Some(rollout) = &state.rollout else {
        return unclear("no rollout: there is nothing to judge".into());
    };
    if rollout.drill.is_some() {
        return unclear("no rollout: a rehearsal is under way, or was the last one".into());
    }
    match &rollout.stage {
        Stage::Completed { .. } => {
            return (Outcome::Pass, vec![format!("completed: everybody has {}", rollout.candidate)]);
        }
        Stage::RollingBack { why, .. } => return (Outcome::Fail, vec![format!("rolling back: {why}")]),
        Stage::RolledBack { why, .. } => return (Outcome::Fail, vec![format!("rolled back: {why}")]),
        _ if state.killed.is_some() => return unclear("the kill switch is on".into()),
        Stage::Paused { why, .. } => return unclear(format!("paused: {why}")),
        Stage::Frozen { why, .. } => return unclear(format!("frozen: {why}")),
        Stage::Running(_) => {}
    }
    let (Some(phase), Some(standing)) = (rollout.phase(), look.standing) else {
        return unclear("no data: its gates were not looked at yet".into());
    };
    if now.duration_since(standing.at).unsigned_abs() > stale_after {
        return unclear(format!("its gates were last looked at {}; is the store away?", standing.at));
    }
    of_phase(phase, standing, look.seen)
}

fn of_phase(phase: &Phase, standing: &Standing, seen: &Seen) -> (Outcome, Vec<String>) {
    let gates = || standing.verdicts.iter().filter(|v| v.role == Role::Gate && v.slice.is_none());
    let with = |outcome| gates().filter(move |gate| gate.outcome == outcome).map(said);
    let failing: Vec<String> = with(Outcome::Fail).collect();
    if !failing.is_empty() {
        return (Outcome::Fail, failing);
    }
    let mut unclear: Vec<String> = gates()
        .filter(|gate| gate.outcome == Outcome::Inconclusive && !stands_aside(phase, gate, seen))
        .map(said)
        .collect();
    if let Some(mismatch) = &seen.mismatch {
        unclear.push(format!(
            "callers are not split as the plan says ({} of the candidate's, {} of stable's): routing or counting is broken",
            mismatch.candidate, mismatch.stable
        ));
    }
    let passing: Vec<String> = with(Outcome::Pass).collect();
    match (unclear.is_empty(), passing.is_empty()) {
        (true, false) => (Outcome::Pass, passing),
        (true, true) => (Outcome::Inconclusive, vec!["no gate of this phase has shown anything".into()]),
        (false, _) => (Outcome::Inconclusive, unclear),
    }
}

fn said(gate: &Verdict) -> String {
    format!("{}: {}", gate.name, gate.why)
}

/// Whether nobody waits for it, because nobody has reported its signal.
fn stands_aside(phase: &Phase, verdict: &Verdict, seen: &Seen) -> bool {
    let is_optional = |gate: &lockgate_core::plan::Gate| {
        gate.need == Need::IfReported && format!("{} {}", gate.signal, gate.rule) == verdict.name
    };
    seen.unreported.contains(&verdict.key()) && phase.gates.iter().any(is_optional)
}
