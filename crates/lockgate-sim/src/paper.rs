//! Rollouts on paper: the code that decides live, over traffic that is drawn instead of served.
//!
//! Weeks of a rollout pass in a second: per bucket, binomial draws stand in for calls, and time is the next bucket's. What
//! comes out is what the rules cost and find: how often a harmless candidate is taken back, how many users a bad one reaches.
//! It has no gateway, no store and no clock; those have tests of their own. What is drawn and how is
//! [`lockgate_core::estimate`]'s, which estimates from the same sums what is played through here.

mod traffic;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::decide::CandidateReach;
use lockgate_core::estimate::draw::Draw;
use lockgate_core::estimate::sums::{Drawn, InForce, Parties};
use lockgate_core::event::{Entry, Event};
use lockgate_core::plan::{Plan, Rule};
use lockgate_core::playback::{Begin, Playback};
use lockgate_core::signal::Signal;
use lockgate_core::state::{Rollout, Stage};
use lockgate_core::sums::BucketStart;

pub use self::traffic::{Incident, Part, Traffic};
pub use lockgate_core::estimate::traffic::{Behaviour, Manner, Values};

/// While no check has come to stand elsewhere, only time changes a decision: looking this often is enough.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// What is to be played through.
#[derive(Debug, Clone)]
pub struct Paper {
    /// Another seed, other calls.
    pub seed: u64,
    /// The plan.
    pub plan: Plan,
    /// The width of a bucket; a wider one is quicker, and later by half of it.
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

    /// Why it stands still, if it does.
    pub fn stop(&self) -> Option<&str> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Paused { why, .. } | Event::Frozen { why, .. } => Some(why.as_str()),
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
pub fn run(paper: &Paper) -> Story {
    let parties = Parties::default();
    let mut draw = Draw::new(paper.seed);
    let mut drawn = Drawn::new(parties.clone(), counted(&paper.plan), paper.traffic.groups());
    let (mut playback, begun) = Playback::begin(Begin {
        feature: parties.feature,
        stable: parties.stable,
        candidate: parties.candidate,
        plan: paper.plan.clone(),
        at: Timestamp::UNIX_EPOCH,
        bucket: paper.bucket,
    });
    let mut story = Story { entries: vec![begun], ending: Ending::Stopped, candidate_calls: 0, buckets: 0 };
    let width_ms = (paper.bucket.as_millis() as i64).max(1);
    let expected = paper.traffic.calls_per_second * paper.bucket.as_secs_f64();
    let buckets_per_look = (LOOK_EVERY.as_millis() as u64 / width_ms as u64).max(1);
    let mut confine = None;
    let mut calls = 0;
    loop {
        let Some(rollout) = playback.rollout().filter(|rollout| rollout.is_under_way()) else {
            return story;
        };
        let start = BucketStart(story.buckets as i64 * width_ms);
        let is_back = matches!(rollout.stage, Stage::RollingBack { .. });
        if story.entries.len() != confine.unwrap_or(0) {
            confine = Some(story.entries.len());
            drawn.confine(&rollout.present_confine());
        }
        drawn.draw(&mut draw, expected, in_force(rollout, paper.traffic.incident_at(start)));
        calls += drawn.assigned();
        playback.take(start, drawn.as_map());
        story.buckets += 1;
        if !playback.has_news() && !story.buckets.is_multiple_of(buckets_per_look) && !is_back {
            continue;
        }
        let now = BucketStart(story.buckets as i64 * width_ms).timestamp();
        let (entries, _) = playback.look(Some(CandidateReach { calls, users: 0, last: None }), now);
        for entry in entries {
            story.candidate_calls = calls;
            match entry.event {
                Event::Completed { .. } => story.ending = Ending::Completed,
                Event::RolledBack { .. } => story.ending = Ending::RolledBack,
                _ => {}
            }
            story.entries.push(entry);
        }
        let stage = playback.rollout().map(|rollout| &rollout.stage);
        if matches!(stage, Some(Stage::Paused { .. } | Stage::Frozen { .. })) {
            return story;
        }
    }
}

/// Every signal that the plan names, and what its rules divide by.
fn counted(plan: &Plan) -> BTreeSet<Signal> {
    let gates = plan.phases.iter().flat_map(|phase| &phase.gates).map(|gate| gate.signal.clone());
    let triggers = plan.triggers.iter().map(|trigger| trigger.signal.clone());
    let mut signals: BTreeSet<Signal> = gates.chain(triggers).collect();
    signals.insert(Signal::Visitors);
    if plan.triggers.iter().any(|trigger| matches!(trigger.rule, Rule::SpendUnder { .. })) {
        signals.insert(Signal::Sessions);
    }
    signals
}

fn in_force(rollout: &Rollout, incident: Option<f64>) -> InForce {
    let share = rollout.share();
    let kind = rollout.phase().map(|phase| InForce::of(phase.kind));
    // Frozen, or on its way back, the candidate has nothing although its phase says so.
    let is_moving = matches!(rollout.stage, Stage::Running(_) | Stage::Paused { .. });
    match kind.filter(|_| is_moving) {
        Some(now) => InForce { share, incident, ..now },
        None => InForce { share, incident, ..InForce::NOTHING },
    }
}
