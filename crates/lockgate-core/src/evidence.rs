//! What the sums say of a rollout's gates and triggers.
//!
//! A [`Ledger`] is fed the merged sums of closed buckets, oldest first, and keeps for every distinct gate and trigger what is
//! needed to judge it: counts, and evidence that may be looked at after every bucket without raising the chance of a false
//! alarm. It is a pure fold: the same buckets give the same bits, so a controller that restarts reads the buckets again and
//! stands where it stood.
//!
//! After completion there is no stable arm at the same time. What stable was like during the rollout stands in, and that knows
//! nothing of a provider's incident since: it can take a completed candidate back.
//!
//! What follows from the evidence is [`crate::decide`]'s; which buckets are closed is the controller's.

pub(crate) mod course;

mod budget;

mod account;
mod judge;
mod literal;
mod places;
mod proof;
mod rise;
mod shift;
mod spend;
mod tally;
mod visitors;
mod window;

mod ledger;
pub(crate) mod say;

use std::time::Duration;

use serde::Serialize;

pub use self::ledger::Ledger;
use crate::event::Verdict;
use crate::plan::{Action, Rule};
use crate::segment::Slice;
use crate::share::Share;
use crate::signal::Arm;
use crate::sums::BucketStart;

/// Which of the candidate's calls a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Copies, in shadow phases.
    Shadow,
    /// Calls of users, in canary phases.
    Candidate,
    /// Calls of users after everybody had it, while the old version is warm. There is nobody to compare with any more; what
    /// stable was like during the rollout stands in.
    Warm,
}

impl Lane {
    /// As what the candidate's calls of this lane are counted.
    pub fn arm(self) -> Arm {
        match self {
            Self::Shadow => Arm::Shadow,
            Self::Candidate => Arm::Candidate,
            Self::Warm => Arm::Stable,
        }
    }
}

/// Everything that a decision rests on, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// How wide the buckets are.
    pub bucket: Duration,
    /// The last bucket that was taken in.
    pub last_closed: Option<BucketStart>,
    /// The last bucket in which the candidate was given a user's call.
    pub last_assigned: Option<BucketStart>,
    /// Per lane, the last bucket in which calls of the candidate's were counted.
    pub last_seen: LastSeen,
    /// Calls of users that the candidate was given since the rollout began.
    pub candidate_calls: u64,
    /// Set once callers are shown to be split otherwise than the present phase says.
    pub mismatch: Option<Mismatch>,
    /// How many slices of the traffic are not judged by themselves, because there are more than are judged at the most.
    pub slices_beyond: usize,
    /// One per distinct gate and trigger and lane: gates in the plan's order, then triggers; then those of single slices of
    /// the traffic, in the order in which the slices appeared, as far as anything was counted for them.
    pub checks: Vec<Check>,
}

/// Callers are not split as the plan says: routing, or counting, is broken, and nothing compared can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mismatch {
    /// The candidate's part as it should be.
    pub share: Share,
    /// Callers that were first seen with the candidate.
    pub candidate: u64,
    /// With stable.
    pub stable: u64,
    /// Natural logarithm of the evidence.
    pub log_e: f64,
}

/// When calls of the candidate's were last counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LastSeen {
    /// Copies.
    pub shadow: Option<BucketStart>,
    /// Calls of users.
    pub candidate: Option<BucketStart>,
}

impl LastSeen {
    /// In one lane.
    pub fn of(&self, lane: Lane) -> Option<BucketStart> {
        match lane {
            Lane::Shadow => self.shadow,
            Lane::Candidate | Lane::Warm => self.candidate,
        }
    }
}

/// Where one gate or trigger stands in one lane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// On which of the candidate's calls.
    pub lane: Lane,
    /// On which slice of them; `None` for the whole.
    pub slice: Option<Slice>,
    /// What must hold.
    pub rule: Rule,
    /// For a trigger, what it does.
    pub action: Option<Action>,
    /// Whether the signal was seen once, in either arm, since the rollout began.
    pub reported: bool,
    /// Whether a trigger's window, taken at its word, is over its limit in stable too: what hits both arms is nobody's fault,
    /// and no time to go on.
    pub of_both: bool,
    /// The bucket in which the rule was shown to be broken.
    pub broken_since: Option<BucketStart>,
    /// Where it stands.
    pub verdict: Verdict,
}
