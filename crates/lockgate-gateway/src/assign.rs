//! Gives a call its version, and holds the table that says so until the call is on its way.
//!
//! Whoever swaps the table waits until nobody holds the old one and may then say that no call starts on the old version any
//! more. So the table is held while a request is being sent and no longer ([`Held::start`]); a later tier takes hold of it
//! again, and where it is gone by then, the version has been withdrawn meanwhile.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::live::Table;
use lockgate_config::value::{Feature, TargetKind, Version};
use lockgate_core::assign::point;
use lockgate_core::drill::Fault;
use lockgate_core::name::{FeatureName, RequestId, RolloutId, TargetName, VersionRef};
use lockgate_core::route::{KillTo, Mode, Route};
use lockgate_core::signal::Arm;
use lockgate_store::row::Answer;
use lockgate_wire::error::Failure;

use crate::caller::Caller;
use crate::record::Subject;

/// The version that a call was given, and by which table.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) feature: Arc<Feature>,
    pub(crate) version: Arc<Version>,
    pub(crate) arm: Arm,
    /// The running trial, if the caller is one whom it may touch.
    pub(crate) rollout: Option<RolloutId>,
    /// Where the caller lies on the trial's line of points.
    pub(crate) point: Option<u32>,
    /// The candidate to mirror this call to, after the answer.
    pub(crate) shadow: Option<VersionRef>,
    /// The tier to begin with: 0 but for a feature whose kill switch points at its deterministic tier.
    pub(crate) first_tier: usize,
    /// The only target that can go on with the call's conversation.
    pub(crate) pinned: Option<TargetName>,
    pub(crate) held: Held,
    /// The fault that a rehearsal puts in front of this version's answers.
    pub(crate) drill: Option<Fault>,
    /// Since when the canary trial that touches this caller has been as it is; `None` where there is none.
    pub(crate) trial_since: Option<Timestamp>,
    /// How wide the buckets are in which the call is counted.
    pub(crate) bucket: Duration,
    /// After how long without a call the caller's session has ended.
    pub(crate) session_idle: Duration,
}

impl Assigned {
    /// What a call of this caller's is counted under.
    pub(crate) fn subject(&self, caller: &Caller) -> Subject {
        Subject {
            feature: self.feature.name.clone(),
            revision: self.version.id.revision,
            arm: self.arm,
            segment: caller.segment.clone(),
        }
    }

    /// What the audit knows of a call when it has been assigned.
    pub(crate) fn row(&self, caller: &Caller, id: RequestId, ts: Timestamp, status: u16) -> Answer {
        Answer {
            request_id: id,
            answer_id: None,
            session: caller.session.clone(),
            ts,
            feature: self.feature.name.clone(),
            version: self.version.id.clone(),
            arm: self.arm,
            rollout: self.rollout,
            segment: caller.segment.clone(),
            point: self.point,
            target: None,
            tier: None,
            status,
        }
    }
}

/// A hold on the table that can be let go and, while the table is in force, taken again.
#[derive(Debug)]
pub(crate) struct Held {
    /// Present until the first request is on its way.
    firm: Option<Arc<Table>>,
    loose: Weak<Table>,
}

impl Held {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self { loose: Arc::downgrade(&table), firm: Some(table) }
    }

    /// The table, to be dropped when a request has been sent; `None` when another one is in force and everybody who waited
    /// for this one to be gone has been told so.
    pub(crate) fn start(&mut self) -> Option<Arc<Table>> {
        self.firm.take().or_else(|| self.loose.upgrade())
    }
}

/// Decides for one caller. `call` is what the assignment sticks to when the caller names nothing.
pub(crate) fn version(
    table: Arc<Table>,
    feature: &FeatureName,
    caller: &Caller,
    call: &str,
) -> Result<Assigned, Failure> {
    // A table is made so that every feature has a route and every version named in it exists.
    let unserved = || {
        tracing::error!(%feature, "the table in force does not know how to serve a feature of its configuration");
        Failure::Internal
    };
    let feature_config = Arc::clone(table.config.features.get(feature).ok_or_else(unserved)?);
    let route = table.routes.get(feature).ok_or_else(unserved)?;
    let key = caller.sticky_key.as_deref().unwrap_or(call);
    let assignment = route.assign(key, &caller.segment);
    let version = match (assignment.arm, &route.trial) {
        (Arm::Candidate, Some(trial)) => table.candidate(&feature_config, trial),
        (Arm::Candidate | Arm::Shadow, _) => feature_config.version_of(assignment.version.revision),
        (Arm::Stable, _) => feature_config.versions.get(&assignment.version.name),
    };
    let version = Arc::clone(version.ok_or_else(unserved)?);
    Ok(Assigned {
        first_tier: first_tier(route, &version),
        pinned: None,
        point: assignment.rollout.and(route.trial.as_ref()).map(|trial| match &trial.mode {
            Mode::Shadow { salt, .. } | Mode::Canary { salt, .. } => point(salt, key),
        }),
        arm: assignment.arm,
        rollout: assignment.rollout,
        shadow: assignment.shadow.cloned(),
        feature: feature_config,
        version,
        drill: match assignment.arm {
            Arm::Candidate => route.trial.as_ref().and_then(|trial| trial.drill),
            Arm::Stable | Arm::Shadow => None,
        },
        trial_since: assignment
            .rollout
            .and(route.trial.as_ref())
            .filter(|trial| matches!(trial.mode, Mode::Canary { .. }))
            .map(|trial| trial.since),
        bucket: table.config.signals.bucket,
        session_idle: table.config.signals.session_idle,
        held: Held::new(table),
    })
}

/// Whether a feature's trial is a rehearsal, so that callers may ask to be part of it.
pub(crate) fn is_drilled(table: &Table, feature: &FeatureName) -> bool {
    let trial = table.routes.get(feature).and_then(|route| route.trial.as_ref());
    trial.is_some_and(|trial| trial.drill.is_some())
}

/// Where the chain begins. A feature killed to its rules whose stable version has none is served by the whole chain: an
/// answer is better than none.
fn first_tier(route: &Route, version: &Version) -> usize {
    let is_rules = |kind: &TargetKind| matches!(kind, TargetKind::Rules(_));
    match route.killed {
        Some(KillTo::Rules) => {
            version.chain.iter().position(|tier| is_rules(&tier.target.kind)).unwrap_or_default()
        }
        Some(KillTo::Stable) | None => 0,
    }
}
