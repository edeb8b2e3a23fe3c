//! Rollouts on paper: the code that decides live, over traffic that is drawn instead of served.
//!
//! Weeks of a rollout pass in a second: per bucket, binomial draws stand in for calls, and time is the next bucket's. What
//! comes out is what the rules cost and find: how often a harmless candidate is taken back, how many users a bad one reaches.
//! It has no gateway, no store and no clock; those have tests of their own.

mod draw;
mod traffic;

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::assign::Salt;
use lockgate_core::decide::{CandidateReach, decide};
use lockgate_core::event::{Entry, Event};
use lockgate_core::evidence::Ledger;
use lockgate_core::name::{FeatureName, NameError, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::plan::Plan;
use lockgate_core::segment::Confine;
use lockgate_core::state::{FeatureState, Stage};
use lockgate_core::sums::BucketStart;

pub use self::traffic::{Behaviour, Incident, Traffic};
use self::{draw::Draw, traffic::Sums};

/// While no check has come to stand elsewhere, only time changes a decision: looking this often is enough.
const BUCKETS_PER_LOOK: u64 = 60;

/// What is to be played through.
#[derive(Debug, Clone)]
pub struct Paper {
    /// Another seed, other calls.
    pub seed: u64,
    /// The plan.
    pub plan: Plan,
    /// The width of a bucket.
    pub bucket: Duration,
    /// Who calls, and how both versions behave.
    pub traffic: Traffic,
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// Everything that the controller appended, with its time.
    pub entries: Vec<Entry>,
    /// How it ended.
    pub ending: Ending,
    /// Calls of users that the candidate had been given when it ended, or when the way back began.
    pub candidate_calls: u64,
    /// Buckets that were played.
    pub buckets: u64,
}

/// How a rollout on paper ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everybody has the candidate.
    Completed,
    /// It was taken back.
    RolledBack,
    /// It stands still and waits for a person.
    Stopped,
}

impl Story {
    /// Why it was taken back, if it was.
    pub fn rollback(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| match &entry.event {
            Event::RollbackStarted { why, .. } => Some(why.as_str()),
            _ => None,
        })
    }

    /// How long it took, from the start to the last entry.
    pub fn took(&self) -> Duration {
        let first = self.entries.first().map(|entry| entry.ts);
        let last = self.entries.last().map(|entry| entry.ts);
        first
            .zip(last)
            .and_then(|(first, last)| Duration::try_from(last.duration_since(first)).ok())
            .unwrap_or_default()
    }
}

/// Plays a rollout through. The same paper gives the same story.
pub fn run(paper: &Paper) -> Result<Story, NameError> {
    let mut draw = Draw::new(paper.seed);
    let feature = FeatureName::new("on-paper")?;
    let stable = version("stable")?;
    let candidate = version("candidate")?;
    let mut state = FeatureState::new(stable.clone());
    let mut story = Story { entries: Vec::new(), ending: Ending::Stopped, candidate_calls: 0, buckets: 0 };
    let started = Event::RolloutStarted {
        rollout: RolloutId(Default::default()),
        stable: stable.clone(),
        candidate: candidate.clone(),
        plan: Box::new(paper.plan.clone()),
        owner: "paper".into(),
        salt: Salt::from_random(u128::from(paper.seed)),
        confine: Confine::everyone(),
    };
    append(&mut story, &mut state, &feature, Timestamp::UNIX_EPOCH, started);
    let Some(mut ledger) = state.rollout.as_ref().map(|rollout| Ledger::new(rollout, paper.bucket)) else {
        return Ok(story);
    };
    let mut sums = Sums::new(&feature, &stable, &candidate);
    let width_ms = paper.bucket.as_millis() as i64;
    let mut seen_changes = u64::MAX;
    loop {
        let Some(rollout) = state.rollout.as_ref().filter(|rollout| rollout.is_under_way()) else {
            return Ok(story);
        };
        let start = BucketStart(story.buckets as i64 * width_ms);
        let is_mirrored = rollout.state_word() == "shadow";
        sums.draw(&mut draw, &paper.traffic, paper.bucket, start, rollout.share(), is_mirrored);
        ledger.take(start, sums.as_map());
        story.buckets += 1;
        let is_back = matches!(rollout.stage, Stage::RollingBack { .. });
        let look =
            ledger.changes() != seen_changes || story.buckets.is_multiple_of(BUCKETS_PER_LOOK) || is_back;
        if !look {
            continue;
        }
        seen_changes = ledger.changes();
        let now = BucketStart(story.buckets as i64 * width_ms).timestamp();
        let evidence = ledger.evidence();
        let reach = CandidateReach { calls: evidence.candidate_calls, users: 0, last: None };
        let decision = decide(&state, &evidence, Some(reach), now);
        for event in decision.events {
            story.candidate_calls = evidence.candidate_calls;
            match event {
                Event::Completed { .. } => story.ending = Ending::Completed,
                Event::RolledBack { .. } => story.ending = Ending::RolledBack,
                _ => {}
            }
            append(&mut story, &mut state, &feature, now, event);
        }
        if matches!(
            state.rollout.as_ref().map(|r| &r.stage),
            Some(Stage::Paused { .. } | Stage::Frozen { .. })
        ) {
            return Ok(story);
        }
    }
}

fn append(story: &mut Story, state: &mut FeatureState, feature: &FeatureName, ts: Timestamp, event: Event) {
    let entry = Entry { ts, feature: feature.clone(), author: "paper".into(), event };
    state.apply(&entry);
    story.entries.push(entry);
}

fn version(name: &str) -> Result<VersionRef, NameError> {
    Ok(VersionRef { name: VersionName::new(name)?, revision: Revision::of(name.as_bytes()) })
}
