//! What is shown of features and rollouts, to people and programs alike.

use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::value::Feature;
use lockgate_core::command::{Served, serving};
use lockgate_core::event::{Role, Verdict};
use lockgate_core::evidence::Mismatch;
use lockgate_core::name::{FeatureName, PlanName, Revision, RolloutId, VersionName};
use lockgate_core::route::KillTo;
use lockgate_core::share::Share;
use lockgate_core::state::{FeatureState, Rollout, Stage, Withdrawn};
use lockgate_store::row::Reach;
use serde::Serialize;

use crate::controller::Controller;
use crate::world::{Alert, Seen, Standing};

/// A rollout as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolloutView {
    /// Its id.
    pub id: RolloutId,
    /// The feature.
    pub feature: FeatureName,
    /// The version being rolled out.
    pub candidate: VersionName,
    /// Its digest.
    pub candidate_revision: Revision,
    /// The version that users had when it began.
    pub stable: VersionName,
    /// Its digest.
    pub stable_revision: Revision,
    /// `shadow`, `canary`, `paused`, `frozen`, `rolling_back`, `rolled_back` or `completed`.
    pub state: &'static str,
    /// Why it stands still or went back.
    pub why: Option<String>,
    /// The phase it is in; `None` when it is over or on its way back.
    pub phase: Option<String>,
    /// Index of that phase.
    pub phase_index: Option<usize>,
    /// All phases of the plan.
    pub phases: Vec<PhaseView>,
    /// The candidate's part of the users it may touch, as a fraction.
    pub share: Share,
    /// Whom it may touch now.
    pub confine: String,
    /// The present phase's gates at the last look.
    pub gates: Vec<Verdict>,
    /// The triggers at the last look.
    pub triggers: Vec<Verdict>,
    /// Checks on single slices of the traffic that are not quiet at the last look, the worst first.
    pub slices: Vec<Verdict>,
    /// How many slices were judged, the quiet ones among them.
    pub slices_judged: usize,
    /// How many were not, because there are more than are judged at the most.
    pub slices_beyond: usize,
    /// Triggers whose windows are over their limits in both arms: nobody goes on while that is so, and nobody is blamed.
    pub both_arms: Vec<String>,
    /// Slices that were sent back to stable.
    pub withdrawn: Vec<Withdrawn>,
    /// Set while callers are not split as the plan says: nothing compared can be trusted then.
    pub mismatch: Option<Mismatch>,
    /// The latest calls for a person, oldest first.
    pub alerts: Vec<Alert>,
    /// What it waits for, in sentences.
    pub waiting_for: Vec<String>,
    /// When it was last looked at.
    pub looked_at: Option<Timestamp>,
    /// Who answers for it.
    pub owner: String,
    /// Who started it.
    pub author: String,
    /// The plan it goes by.
    pub plan: PlanName,
    /// When it began.
    pub started: Timestamp,
    /// Since when it has been where it is.
    pub phase_since: Timestamp,
    /// The phase is not left forwards before.
    pub dwell_until: Option<Timestamp>,
    /// The phase pauses then, if it has not been left.
    pub deadline: Option<Timestamp>,
    /// After completion: so long the triggers go on watching, and the way back is one step.
    pub watched_until: Option<Timestamp>,
    /// For a rehearsal, what it makes worse.
    pub drill: Option<String>,
    /// Whom the candidate reached so far; `None` while the store is away.
    pub reach: Option<Reach>,
    /// Whether the kill switch is on.
    pub killed: Option<KillTo>,
}

/// One phase of a rollout's plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseView {
    /// For people.
    pub name: String,
    /// The candidate's part of the users.
    pub share: Share,
}

/// A feature as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureView {
    /// Its name.
    pub feature: FeatureName,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The version that users have.
    pub stable: VersionName,
    /// Its digest.
    pub stable_revision: Revision,
    /// What the configuration names as stable.
    pub declared: VersionName,
    /// Whether the kill switch is on.
    pub killed: Option<KillTo>,
    /// The version that users had before, while it is kept ready.
    pub warm: Option<WarmView>,
    /// Its versions.
    pub versions: Vec<VersionView>,
    /// Which versions serve at this moment.
    pub serving: Served,
    /// The present or last rollout.
    pub rollout: Option<RolloutView>,
}

/// A version kept ready for the way back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WarmView {
    /// Its name.
    pub version: VersionName,
    /// Until when.
    pub until: Timestamp,
}

/// One version of a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionView {
    /// Its name.
    pub version: VersionName,
    /// Its digest.
    pub revision: Revision,
    /// Whether it was taken back before.
    pub is_rejected: bool,
}

impl Controller {
    /// All features, in the order of their names.
    pub async fn features(&self) -> Vec<FeatureView> {
        let mut views = Vec::new();
        for name in self.config().features.keys() {
            views.extend(self.feature(name).await);
        }
        views
    }

    /// One feature; `None` when the configuration has none of that name.
    pub async fn feature(&self, name: &FeatureName) -> Option<FeatureView> {
        let config = self.config();
        let feature = config.features.get(name)?;
        let state = self.world().state(name)?;
        let rollout = self.rollout(name).await;
        Some(feature_view(feature, &state, rollout))
    }

    /// The present or last rollout of every feature that had one.
    pub async fn rollouts(&self) -> Vec<RolloutView> {
        let mut views = Vec::new();
        for name in self.config().features.keys() {
            views.extend(self.rollout(name).await);
        }
        views
    }

    /// The present or last rollout of a feature.
    pub async fn rollout(&self, name: &FeatureName) -> Option<RolloutView> {
        let (state, look) = {
            let world = self.world();
            let look = Look {
                standing: world.standing(name).cloned(),
                seen: world.seen(name),
                alerts: world.alerts(name),
            };
            (world.state(name)?, look)
        };
        let rollout = state.rollout.as_ref()?;
        let reach = self.store.reach(rollout.id).await.ok();
        let mut view = rollout_view(name, &state, rollout, look, reach, self.clock.now());
        let config = self.config();
        let has_candidate = config
            .features
            .get(name)
            .is_some_and(|feature| feature.version_of(rollout.candidate.revision).is_some());
        if rollout.is_under_way() && !has_candidate && rollout.drill.is_none() {
            // A restart with another configuration can bring this about; the candidate then gets no calls.
            let missing =
                format!("the configuration has no version with the content of {}", rollout.candidate);
            view.waiting_for.insert(0, missing);
        }
        Some(view)
    }
}

fn feature_view(feature: &Feature, state: &FeatureState, rollout: Option<RolloutView>) -> FeatureView {
    let version = |version: &lockgate_config::value::Version| VersionView {
        version: version.id.name.clone(),
        revision: version.id.revision,
        is_rejected: state.rejected.contains(&version.id.revision),
    };
    FeatureView {
        feature: feature.name.clone(),
        owner: feature.owner.clone(),
        stable: state.stable.name.clone(),
        stable_revision: state.stable.revision,
        declared: state.declared.name.clone(),
        killed: state.killed,
        warm: state
            .warm
            .as_ref()
            .map(|warm| WarmView { version: warm.version.name.clone(), until: warm.until }),
        versions: feature.versions.values().map(|found| version(found)).collect(),
        serving: serving(state),
        rollout,
    }
}

/// What is known of a rollout from its last look, and from the log beside its state.
struct Look {
    standing: Option<Standing>,
    seen: Seen,
    alerts: Vec<Alert>,
}

fn rollout_view(
    feature: &FeatureName,
    state: &FeatureState,
    rollout: &Rollout,
    look: Look,
    reach: Option<Reach>,
    now: Timestamp,
) -> RolloutView {
    let Look { standing, seen, alerts } = look;
    let at = rollout.stage.in_phase();
    let phase = rollout.phase();
    let later = |since: Timestamp, span: Duration| since.checked_add(span).ok();
    let (why, since) = match &rollout.stage {
        Stage::Running(at) => (None, at.since),
        Stage::Paused { at, why } | Stage::Frozen { at, why } => (Some(why.clone()), at.since),
        Stage::RollingBack { since, why } | Stage::RolledBack { since, why } => (Some(why.clone()), *since),
        Stage::Completed { since, .. } => (None, *since),
    };
    let looked_at = standing.as_ref().map(|standing| standing.at);
    let (verdicts, waiting_for) =
        standing.map_or_else(Default::default, |standing| (standing.verdicts, standing.waiting_for));
    let of_the_whole = verdicts.into_iter().filter(|verdict| verdict.slice.is_none());
    let (gates, triggers) = of_the_whole.partition(|verdict| verdict.role == Role::Gate);
    let watched_until = match &rollout.stage {
        Stage::Completed { warm_until, .. } if rollout.is_watched(now) => Some(*warm_until),
        _ => None,
    };
    RolloutView {
        id: rollout.id,
        feature: feature.clone(),
        candidate: rollout.candidate.name.clone(),
        candidate_revision: rollout.candidate.revision,
        stable: rollout.stable.name.clone(),
        stable_revision: rollout.stable.revision,
        state: rollout.state_word(),
        why,
        phase: phase.map(|phase| phase.name.clone()),
        phase_index: at.map(|at| at.phase),
        phases: rollout
            .plan
            .phases
            .iter()
            .map(|phase| PhaseView { name: phase.name.clone(), share: phase.kind.share() })
            .collect(),
        share: if state.killed.is_some() { Share::NONE } else { rollout.share() },
        confine: rollout.present_confine().to_string(),
        gates,
        triggers,
        slices: seen.slices,
        slices_judged: seen.slices_judged,
        slices_beyond: seen.slices_beyond,
        both_arms: seen.both_arms,
        // With the rollout's completion everybody has the candidate, whoever had been sent back before.
        withdrawn: match rollout.stage {
            Stage::Completed { .. } => Vec::new(),
            _ => rollout.withdrawn.clone(),
        },
        mismatch: seen.mismatch,
        alerts,
        waiting_for: if rollout.is_under_way() { waiting_for } else { Vec::new() },
        looked_at,
        owner: rollout.owner.clone(),
        author: rollout.author.clone(),
        plan: rollout.plan.name.clone(),
        started: rollout.started,
        phase_since: since,
        dwell_until: at.zip(phase).and_then(|(at, phase)| later(at.since, phase.dwell)),
        deadline: at.zip(phase).and_then(|(at, phase)| later(at.resumed.unwrap_or(at.since), phase.deadline)),
        watched_until,
        drill: rollout.drill.map(|fault| fault.to_string()),
        reach,
        killed: state.killed,
    }
}
