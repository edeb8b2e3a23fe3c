//! Where a feature's calls go at this moment: the small value that the gateway reads once per call.
//!
//! It is derived from the feature's state ([`crate::state`]) and holds nothing that the state does not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::assign::{Salt, is_candidate};
use crate::drill::Fault;
use crate::name::{RolloutId, VersionRef};
use crate::segment::{Confine, Segment, Slice};
use crate::share::Share;
use crate::signal::Arm;

/// Where a kill switch sends a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillTo {
    /// The stable version, through its whole chain.
    Stable,
    /// Straight to the stable version's deterministic tier.
    Rules,
}

/// Where one feature's calls go.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The version that users have.
    pub stable: VersionRef,
    /// What is being tried beside it; `None` too while the feature is killed.
    pub trial: Option<Trial>,
    /// Set while the kill switch is on.
    pub killed: Option<KillTo>,
}

/// A candidate on some of the traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The rollout it belongs to.
    pub rollout: RolloutId,
    /// The version being tried.
    pub candidate: VersionRef,
    /// Since when it has been as it is now: its phase, its share.
    pub since: Timestamp,
    /// Whom the trial may touch.
    pub confine: Confine,
    /// Whom it may not touch any more: slices that were sent back to stable.
    pub withdrawn: Vec<Slice>,
    /// Set for a rehearsal: the candidate is stable with this fault in front of its answers.
    pub drill: Option<Fault>,
    /// How.
    pub mode: Mode,
}

/// How a candidate is tried.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// It answers copies of calls, after the user's own answer; users never see it.
    Shadow {
        /// The part of the calls that is copied.
        sample: Share,
        /// Which calls are copied is decided by the same hash, so that a session is mirrored whole.
        salt: Salt,
    },
    /// It answers the users inside the share.
    Canary {
        /// The candidate's part.
        share: Share,
        /// The rollout's salt.
        salt: Salt,
    },
}

/// The version a caller was assigned, and whether a copy goes to a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment<'r> {
    /// The version that answers.
    pub version: &'r VersionRef,
    /// As which of the two it counts.
    pub arm: Arm,
    /// The candidate to mirror this call to, after the answer.
    pub shadow: Option<&'r VersionRef>,
    /// The running trial, if the caller is one whom it may touch.
    pub rollout: Option<RolloutId>,
}

impl Trial {
    /// Whether it may touch callers of this segment.
    pub fn admits(&self, segment: &Segment) -> bool {
        self.confine.admits(segment) && !self.withdrawn.iter().any(|slice| slice.holds(segment))
    }
}

impl Route {
    /// Decides for one caller. `key` is what the assignment sticks to: a user, a session, or the call itself.
    pub fn assign(&self, key: &str, segment: &Segment) -> Assignment<'_> {
        let stable = Assignment { version: &self.stable, arm: Arm::Stable, shadow: None, rollout: None };
        let Some(trial) = self.trial.as_ref().filter(|trial| trial.admits(segment)) else {
            return stable;
        };
        let rollout = Some(trial.rollout);
        match &trial.mode {
            Mode::Shadow { sample, salt } => {
                let shadow = is_candidate(salt, key, *sample).then_some(&trial.candidate);
                Assignment { shadow, rollout, ..stable }
            }
            Mode::Canary { share, salt } if is_candidate(salt, key, *share) => {
                Assignment { version: &trial.candidate, arm: Arm::Candidate, shadow: None, rollout }
            }
            Mode::Canary { .. } => Assignment { rollout, ..stable },
        }
    }
}
