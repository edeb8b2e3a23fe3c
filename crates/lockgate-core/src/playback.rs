//! A rollout played through from sums: the loop of the controller without its store, its clock and its log.
//!
//! Whoever has sums (drawn, recorded, or read from a store) hands them over bucket by bucket and says when to look; what
//! would have been appended comes back. Everything that asks "what would Lockgate have done?" goes through here, so that
//! there is one answer.

use std::time::Duration;

use jiff::Timestamp;

use crate::assign::Salt;
use crate::decide::{CandidateReach, Decision, decide};
use crate::event::{Cause, Entry, Event};
use crate::evidence::{Evidence, Ledger};
use crate::name::{FeatureName, RolloutId, VersionRef};
use crate::plan::Plan;
use crate::segment::Confine;
use crate::state::{FeatureState, Rollout};
use crate::sums::{BucketStart, BucketSums};

/// What is played through.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Of which feature.
    pub feature: FeatureName,
    /// The version that users have.
    pub stable: VersionRef,
    /// The version on trial.
    pub candidate: VersionRef,
    /// What it is judged by.
    pub plan: Plan,
    /// When it begins.
    pub at: Timestamp,
    /// How wide the buckets of the sums are.
    pub bucket: Duration,
}

/// A rollout under way on paper.
#[derive(Debug, Clone)]
pub struct Playback {
    feature: FeatureName,
    state: FeatureState,
    ledger: Ledger,
    width: Duration,
    seen_changes: u64,
}

/// Who decides on paper.
const AUTHOR: &str = "playback";

impl Playback {
    /// Begins, in the plan's first phase. The entry of the beginning comes back too.
    pub fn begin(begin: Begin) -> (Self, Entry) {
        let mut state = FeatureState::new(begin.stable.clone());
        let rollout = Rollout::begin(
            RolloutId(Default::default()),
            begin.stable.clone(),
            begin.candidate.clone(),
            begin.plan.clone(),
            begin.at,
        );
        let ledger = Ledger::new(&rollout, begin.bucket);
        let event = Event::RolloutStarted {
            rollout: rollout.id,
            stable: begin.stable,
            candidate: begin.candidate,
            plan: Box::new(begin.plan),
            owner: AUTHOR.into(),
            salt: Salt::from_random(0),
            confine: Confine::everyone(),
            undecidable: Vec::new(),
            drill: None,
        };
        let entry = Entry { ts: begin.at, feature: begin.feature.clone(), author: AUTHOR.into(), event };
        state.apply(&entry);
        let playback =
            Self { feature: begin.feature, state, ledger, width: begin.bucket, seen_changes: u64::MAX };
        (playback, entry)
    }

    /// What a controller appends after the beginning: that the plan's first phase was entered.
    pub fn enter_first(&mut self) -> Option<Entry> {
        let rollout = self.state.rollout.as_ref()?;
        let (id, at) = (rollout.id, rollout.started);
        let phase = rollout.plan.phases.first()?;
        let entered = Event::PhaseEntered {
            rollout: id,
            phase: 0,
            name: phase.name.clone(),
            cause: Cause::Start,
            why: format!("{} begins to replace {}", rollout.candidate, rollout.stable),
            standing: Vec::new(),
        };
        Some(self.happen(entered, at))
    }

    /// Tells how many writers the sums come from; one if nothing is told.
    pub fn written_by(&mut self, writers: u64) {
        self.ledger.written_by(writers);
    }

    /// Where it stands.
    pub fn state(&self) -> &FeatureState {
        &self.state
    }

    /// The rollout. There always is one; the option is the state's.
    pub fn rollout(&self) -> Option<&Rollout> {
        self.state.rollout.as_ref()
    }

    /// How wide the buckets are.
    pub fn bucket(&self) -> Duration {
        self.width
    }

    /// Takes in one closed bucket.
    pub fn take(&mut self, start: BucketStart, sums: &BucketSums) {
        if let Some(rollout) = &self.state.rollout {
            self.ledger.follow(rollout);
        }
        self.ledger.take(start, sums);
    }

    /// Whether a check has come to stand elsewhere since the last look. If not, only time can change a decision.
    pub fn has_news(&self) -> bool {
        self.ledger.changes() != self.seen_changes
    }

    /// What the evidence is.
    pub fn evidence(&self) -> Evidence {
        self.ledger.evidence()
    }

    /// Looks once, as the controller would at this moment, and applies what follows. Without `reach` the evidence's own count
    /// stands in.
    pub fn look(&mut self, reach: Option<CandidateReach>, now: Timestamp) -> (Vec<Entry>, Decision) {
        self.seen_changes = self.ledger.changes();
        let decision = decide(&self.state, &self.ledger.evidence(), reach, now);
        let entries: Vec<Entry> =
            decision.events.iter().cloned().map(|event| self.happen(event, now)).collect();
        (entries, decision)
    }

    /// Something happens that was decided elsewhere: by a person, by what is known of the data.
    pub fn happen(&mut self, event: Event, now: Timestamp) -> Entry {
        let entry = Entry { ts: now, feature: self.feature.clone(), author: AUTHOR.into(), event };
        self.state.apply(&entry);
        entry
    }
}
