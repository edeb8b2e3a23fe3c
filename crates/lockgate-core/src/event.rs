//! What happened to a feature: the entries of the log, from which everything else follows.
//!
//! An event is a fact in the past tense with its reason and evidence. State is the fold of events ([`crate::state`]), the
//! audit is the log itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::assign::Salt;
use crate::drill::Fault;
use crate::name::{FeatureName, RolloutId, VersionRef};
use crate::plan::Plan;
use crate::route::KillTo;
use crate::segment::{Confine, Slice};
use crate::signal::{Arm, Signal};
use crate::sums::BucketStart;

/// An event as it is handed to the log: what, of which feature, when, by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided.
    pub ts: Timestamp,
    /// The feature it is about.
    pub feature: FeatureName,
    /// Who decided: `controller`, or the person as the command line or the API named them.
    pub author: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The configuration was loaded and says something new about the stable version: another name, or the same name with
    /// another content.
    StableDeclared {
        /// What the configuration names as stable.
        declared: VersionRef,
        /// The version that users get from now on. It differs from `declared` after a completed rollout or a flip, until the
        /// configuration names another one.
        stable: VersionRef,
    },
    /// A rollout began, with everything that it will be judged by.
    RolloutStarted {
        /// Its id.
        rollout: RolloutId,
        /// The version that users have.
        stable: VersionRef,
        /// The version being rolled out.
        candidate: VersionRef,
        /// The whole plan, frozen.
        plan: Box<Plan>,
        /// Who answers for it.
        owner: String,
        /// What the assignment is salted with.
        salt: Salt,
        /// Whom it may touch at all.
        confine: Confine,
        /// Gates of which the plan's estimate said that they could not decide in time, and which the author started with all
        /// the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undecidable: Vec<String>,
        /// Set for a rehearsal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drill: Option<Fault>,
    },
    /// A phase was entered.
    PhaseEntered {
        /// Of which rollout.
        rollout: RolloutId,
        /// Index into the plan's phases.
        phase: usize,
        /// For people: the phase's name.
        name: String,
        /// By what.
        cause: Cause,
        /// Why: what passed, or what the person said.
        why: String,
        /// How the gates of the phase that was left stood.
        standing: Vec<Verdict>,
    },
    /// The rollout stands still: shares stay, triggers watch, nothing is promoted.
    Paused {
        /// Of which rollout.
        rollout: RolloutId,
        /// By what.
        cause: Cause,
        /// Why.
        why: String,
        /// How the gates stood.
        standing: Vec<Verdict>,
    },
    /// The candidate gets no new calls until a person decides.
    Frozen {
        /// Of which rollout.
        rollout: RolloutId,
        /// By what.
        cause: Cause,
        /// Why.
        why: String,
        /// The trigger that fired.
        standing: Vec<Verdict>,
    },
    /// A person ought to look: something crossed a line that does not by itself move anything. Told once per check and phase.
    Alerted {
        /// Of which rollout.
        rollout: RolloutId,
        /// Why.
        why: String,
        /// What crossed its line.
        standing: Vec<Verdict>,
    },
    /// A slice of the traffic went back to stable; the rollout goes on without it.
    SliceWithdrawn {
        /// Of which rollout.
        rollout: RolloutId,
        /// Whom it may not touch any more.
        slice: Slice,
        /// Why.
        why: String,
        /// What was broken in it.
        standing: Vec<Verdict>,
    },
    /// A paused or frozen rollout goes on in its phase.
    Resumed {
        /// Of which rollout.
        rollout: RolloutId,
        /// Why.
        why: String,
    },
    /// All traffic goes to stable from now on.
    RollbackStarted {
        /// Of which rollout.
        rollout: RolloutId,
        /// By what.
        cause: Cause,
        /// Why.
        why: String,
        /// What was broken, with its evidence.
        standing: Vec<Verdict>,
    },
    /// The measured share of the candidate is 0.
    RolledBack {
        /// Of which rollout.
        rollout: RolloutId,
        /// When the candidate was last given a call, as far as was measured.
        last_candidate_call: Option<Timestamp>,
        /// How many calls of users it was given in all.
        candidate_calls: u64,
        /// How many different users those came from.
        candidate_users: u64,
    },
    /// The candidate serves everybody and is the stable version now; the old one stays warm.
    Completed {
        /// Of which rollout.
        rollout: RolloutId,
        /// Until when the old version stays ready.
        warm_until: Timestamp,
    },
    /// Blue-green: the whole feature went to another version at once.
    Flipped {
        /// The version that users had.
        from: VersionRef,
        /// The version that users have now.
        to: VersionRef,
        /// Why.
        why: String,
        /// Until when the old version stays ready.
        warm_until: Timestamp,
    },
    /// The kill switch was thrown.
    Killed {
        /// Where the traffic goes.
        to: KillTo,
        /// Why.
        why: String,
    },
    /// The kill switch was released. A rollout that was under way stays frozen until it is resumed.
    Revived {
        /// Why.
        why: String,
    },
}

impl Event {
    /// The rollout it belongs to.
    pub fn rollout(&self) -> Option<RolloutId> {
        match self {
            Self::RolloutStarted { rollout, .. }
            | Self::PhaseEntered { rollout, .. }
            | Self::Paused { rollout, .. }
            | Self::Frozen { rollout, .. }
            | Self::Alerted { rollout, .. }
            | Self::SliceWithdrawn { rollout, .. }
            | Self::Resumed { rollout, .. }
            | Self::RollbackStarted { rollout, .. }
            | Self::RolledBack { rollout, .. }
            | Self::Completed { rollout, .. } => Some(*rollout),
            Self::StableDeclared { .. }
            | Self::Flipped { .. }
            | Self::Killed { .. }
            | Self::Revived { .. } => None,
        }
    }

    /// The gates and triggers that it rests on; none for what rests on a person's word.
    pub fn standing(&self) -> &[Verdict] {
        match self {
            Self::PhaseEntered { standing, .. }
            | Self::Paused { standing, .. }
            | Self::Frozen { standing, .. }
            | Self::Alerted { standing, .. }
            | Self::SliceWithdrawn { standing, .. }
            | Self::RollbackStarted { standing, .. } => standing,
            _ => &[],
        }
    }

    /// The word under which it is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StableDeclared { .. } => "stable_declared",
            Self::RolloutStarted { .. } => "rollout_started",
            Self::PhaseEntered { .. } => "phase_entered",
            Self::Paused { .. } => "paused",
            Self::Frozen { .. } => "frozen",
            Self::Alerted { .. } => "alerted",
            Self::SliceWithdrawn { .. } => "slice_withdrawn",
            Self::Resumed { .. } => "resumed",
            Self::RollbackStarted { .. } => "rollback_started",
            Self::RolledBack { .. } => "rolled_back",
            Self::Completed { .. } => "completed",
            Self::Flipped { .. } => "flipped",
            Self::Killed { .. } => "killed",
            Self::Revived { .. } => "revived",
        }
    }
}

/// By what something was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The rollout's own beginning.
    Start,
    /// Gates that passed or failed.
    Gate,
    /// A trigger.
    Trigger,
    /// A deadline that ran out.
    Deadline,
    /// A gateway that saw a trigger broken in its own calls and did not wait for anybody.
    Retreat,
    /// A person.
    Person,
    /// A configuration that was loaded.
    Configuration,
}

/// What evidence says of one gate or trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Shown to hold.
    Pass,
    /// Shown to be broken.
    Fail,
    /// Neither; it waits.
    Inconclusive,
}

/// A gate or trigger with where it stands and every number that says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// For people: `error < 0.5 %`.
    pub name: String,
    /// What was looked at.
    pub signal: Signal,
    /// On which of the candidate's calls.
    pub arm: Arm,
    /// On which slice of the traffic; absent for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
    /// Gate or trigger.
    pub role: Role,
    /// Where it stands.
    pub outcome: Outcome,
    /// Why, in a sentence: what was shown, or what is missing.
    pub why: String,
    /// Observations of the candidate.
    pub n: u64,
    /// What they add up to: hits of a rate, the sum of scores, amounts or sizes; money, here and below, in US dollars.
    #[serde(default)]
    pub total: f64,
    /// The candidate's rate or mean; absent without data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<f64>,
    /// Where the truth lies, valid however often it is looked at (confidence as in the plan's alpha).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Stable's observations at the same time.
    pub stable_n: u64,
    /// What they add up to.
    #[serde(default)]
    pub stable_total: f64,
    /// Stable's rate or mean at the same time; absent without data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_estimate: Option<f64>,
    /// The limit, in the unit of the estimate (for P99 the part of slow calls); absent where it hangs on stable and stable has
    /// no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Natural logarithm of the evidence that the rule holds.
    pub log_e_pass: f64,
    /// What that must reach, ln(1 / beta); absent for what has no passing side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_e_pass_needed: Option<f64>,
    /// Natural logarithm of the evidence that the rule is broken (the weaker of the two where both limit and stable must
    /// agree).
    pub log_e_fail: f64,
    /// What that must reach, from this check's part of alpha; absent for what is not judged by evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_e_fail_needed: Option<f64>,
    /// This check's part of the error budget: the chance that it ever calls a harmless candidate broken.
    #[serde(default)]
    pub alpha: f64,
    /// What is still missing for it to pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// Since when the trigger's window, taken at its word, is over its limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crossed: Option<BucketStart>,
    /// The data that it rests on: everything up to and with this bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
}

impl Verdict {
    /// What tells this check from the others of its rollout: `tier=premium: error < 0.5 %`. Where a signal is held to the same
    /// limit twice, the name says in what the two differ (what they do, their windows, when they fail).
    pub fn key(&self) -> String {
        match &self.slice {
            Some(slice) => format!("{slice}: {} ({}, {:?})", self.name, self.arm, self.role),
            None => format!("{} ({}, {:?})", self.name, self.arm, self.role),
        }
    }
}

/// What a gate still needs, if what is to come is like what has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Further observations of the candidate.
    pub observations: u64,
    /// How long they take at the rate of the present phase, in seconds; absent while none come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// Up to where the data reach that something rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsOf {
    /// The last bucket.
    pub bucket: BucketStart,
    /// How wide the buckets are, in milliseconds.
    pub width_ms: u64,
}

/// Whether a verdict is a gate's or a trigger's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Must pass for the phase to be left forwards.
    Gate,
    /// Acts when it fails.
    Trigger,
}
