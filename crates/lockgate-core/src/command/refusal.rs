//! Why a command is not followed.

use jiff::Timestamp;

use crate::name::{PlanName, VersionRef};

/// Why a command is not followed, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A rollout must have somebody who answers for it.
    #[error("the rollout has no owner; say who answers for it")]
    NoOwner,
    /// A rollout must say beforehand what it is judged by.
    #[error(
        "the plan `{plan}` could not judge a rollout; give it triggers, and gates in every phase but the last"
    )]
    NoCriteria {
        /// The plan.
        plan: PlanName,
    },
    /// One at a time, so that what is seen can be laid at one version's door.
    #[error("{candidate} is under way ({state}); finish it or roll it back first")]
    UnderWay {
        /// Its candidate.
        candidate: VersionRef,
        /// Where it is.
        state: &'static str,
    },
    /// A rehearsal is under way.
    #[error("a drill ({fault}) is under way; wait for its end, or end it, and ask again")]
    Drilled {
        /// What is rehearsed.
        fault: String,
    },
    /// Nothing would change.
    #[error("users have {version} already; name another version")]
    AlreadyStable {
        /// The version.
        version: VersionRef,
    },
    /// It was taken back before.
    #[error("{version} was taken back before; change it, or start it again knowingly")]
    Rejected {
        /// The version.
        version: VersionRef,
    },
    /// Nothing moves forwards while the kill switch is on.
    #[error("the kill switch is on; revive the feature first")]
    Killed,
    /// There is nothing to release.
    #[error("the kill switch is not on; there is nothing to revive")]
    NotKilled,
    /// There is no rollout at all.
    #[error("the feature has no rollout; start one first")]
    NoRollout,
    /// There is no rollout at all, and so no harm done.
    #[error("nothing to roll back: the feature has had no rollout, and users have the stable version")]
    NothingToRollBack,
    /// It ended, or is on its way back.
    #[error("the rollout of {candidate} is over ({state}); start another one")]
    Over {
        /// Its candidate.
        candidate: VersionRef,
        /// Where it is.
        state: &'static str,
    },
    /// A trigger took its traffic away; a person must first look at why.
    #[error("the rollout is frozen ({why}); resume it first, or roll it back")]
    Frozen {
        /// What froze it.
        why: String,
    },
    /// An override stands in the audit in place of evidence.
    #[error("a promotion by hand needs a reason; say why the evidence need not be waited for")]
    NoReason,
    /// No earlier version is known.
    #[error("no earlier version is kept ready; name the version to flip to")]
    NothingToFlipTo,
    /// The earlier version was kept ready, but not for ever.
    #[error("{version} was kept ready until {until}; name it to flip to it all the same")]
    NoLongerWarm {
        /// The version.
        version: VersionRef,
        /// Until when.
        until: Timestamp,
    },
}

impl Refusal {
    /// The word by which programs tell refusals apart.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoOwner => "no_owner",
            Self::NoCriteria { .. } => "no_criteria",
            Self::UnderWay { .. } => "under_way",
            Self::Drilled { .. } => "drill_under_way",
            Self::AlreadyStable { .. } => "already_stable",
            Self::Rejected { .. } => "rejected",
            Self::Killed => "killed",
            Self::NotKilled => "not_killed",
            Self::NoRollout => "no_rollout",
            Self::NothingToRollBack => "nothing_to_roll_back",
            Self::Over { .. } => "over",
            Self::Frozen { .. } => "frozen",
            Self::NoReason => "no_reason",
            Self::NothingToFlipTo => "nothing_to_flip_to",
            Self::NoLongerWarm { .. } => "no_longer_warm",
        }
    }

    /// How to do what the sentence says.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoOwner => {
                "set `owner` on the feature in the configuration, or pass an owner with the start"
            }
            Self::NoCriteria { .. } => "the built-in plan `standard` has all of them",
            Self::UnderWay { .. } => {
                "`lockgate rollout status` shows it; `lockgate rollout rollback` takes it back"
            }
            Self::Drilled { .. } => "it ends by itself; `lockgate rollout rollback` ends it now",
            Self::AlreadyStable { .. } => {
                "the feature's `versions` in the configuration are what can be named"
            }
            Self::Rejected { .. } => "`lockgate audit log` shows why; a start with `again` overrides it",
            Self::Killed => "`lockgate revive` releases the switch",
            Self::NotKilled => "`lockgate kill` throws the switch",
            Self::NoRollout | Self::NothingToRollBack | Self::Over { .. } => {
                "`lockgate rollout start FEATURE --candidate VERSION` starts one"
            }
            Self::Frozen { .. } => "`lockgate rollout explain` shows what fired",
            Self::NoReason => "pass `--why`, or `why` in the body",
            Self::NothingToFlipTo | Self::NoLongerWarm { .. } => "pass `--to`, or `to` in the body",
        }
    }
}
