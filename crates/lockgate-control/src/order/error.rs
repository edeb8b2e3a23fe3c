//! Why a command was not followed, and what there is instead.

use lockgate_core::command::Refusal;
use lockgate_core::name::{FeatureName, PlanName, VersionName, VersionRef};
use lockgate_store::StoreError;

use crate::commit::CommitError;
use crate::only::OnlyError;
use crate::reload::ReloadRefused;

/// Why a command was not followed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Not in the configuration.
    #[error("there is no feature `{feature}`; there is {known}")]
    UnknownFeature {
        /// As it was asked for.
        feature: String,
        /// Those that there are.
        known: String,
    },
    /// Not in the configuration.
    #[error("{feature} has no version `{version}`; it has {known}")]
    UnknownVersion {
        /// The feature.
        feature: FeatureName,
        /// As it was asked for.
        version: VersionName,
        /// Those that there are.
        known: String,
    },
    /// Not in the configuration.
    #[error("there is no plan `{plan}`; there is {known}")]
    UnknownPlan {
        /// As it was asked for.
        plan: PlanName,
        /// Those that there are.
        known: String,
    },
    /// It looks at what the feature does not have.
    #[error("the plan `{plan}` cannot judge {feature}: {problems}")]
    PlanDoesNotFit {
        /// The plan.
        plan: PlanName,
        /// The feature.
        feature: FeatureName,
        /// Every reason.
        problems: String,
    },
    /// At the present traffic some of its gates would hold the rollout for ever.
    #[error("the plan `{plan}` could not decide on {feature} at the present traffic: {gates}")]
    Undecidable {
        /// The plan.
        plan: PlanName,
        /// The feature.
        feature: FeatureName,
        /// Each gate, why, and what would help.
        gates: String,
    },
    /// It was taken back before, and a flip asks for no evidence.
    #[error("{version} was taken back before; no flip leads there")]
    FlipToRejected {
        /// The version.
        version: VersionRef,
    },
    /// The version to go back to is gone from the configuration.
    #[error(
        "{version} is not in the configuration any more, so users cannot have it back; put it back there first"
    )]
    NoWayBack {
        /// The version.
        version: VersionRef,
    },
    /// What is rolled out is not what is configured.
    #[error(transparent)]
    Changed(ReloadRefused),
    /// Whom it may touch cannot be read.
    #[error(transparent)]
    Only(#[from] OnlyError),
    /// It is not legal now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It needs the store, which is away.
    #[error("this needs the store, which is away: {0}")]
    Store(StoreError),
    /// The store did not answer in time.
    #[error(
        "this needs the store, which did not answer in time; it may still come about: look before asking again"
    )]
    Slow,
    /// Somebody else went on appending to the log.
    #[error("others went on writing to the log meanwhile; try again")]
    Overtaken,
}

impl From<CommitError> for CommandError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Self::Store(error),
            CommitError::Overtaken => Self::Overtaken,
            CommitError::Slow => Self::Slow,
        }
    }
}
