//! What the tests' stories are made of.

#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its own part of it")]

use jiff::{SignedDuration, Timestamp};
use lockgate_core::assign::Salt;
use lockgate_core::command::Command;
use lockgate_core::event::{Entry, Event};
use lockgate_core::name::{FeatureName, LabelName, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::plan::Plan;
use lockgate_core::segment::{Confine, Matcher, Segment};
use lockgate_core::state::FeatureState;
use uuid::Uuid;

pub const AT: Timestamp = Timestamp::constant(1_790_000_000, 0);

pub fn after(seconds: i64) -> Timestamp {
    AT.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

pub fn version(name: &str) -> VersionRef {
    VersionRef { name: VersionName::new(name).unwrap(), revision: Revision::of(name.as_bytes()) }
}

pub fn entry(ts: Timestamp, event: Event) -> Entry {
    Entry { ts, feature: FeatureName::new("support-reply").unwrap(), author: "ada".into(), event }
}

pub fn declared() -> Event {
    Event::StableDeclared { declared: version("v1"), stable: version("v1") }
}

pub fn start(candidate: &str, number: u128, confine: Confine) -> Command {
    Command::Start {
        candidate: version(candidate),
        plan: Box::new(Plan::standard()),
        owner: Some("support-platform".into()),
        confine,
        again: true,
        undecidable: Vec::new(),
        drill: None,
        rollout: RolloutId(Uuid::from_u128(number)),
        salt: Salt::from_random(number),
    }
}

pub fn follow(state: &mut FeatureState, command: &Command) -> Vec<Event> {
    let events = lockgate_core::command::command(state, &[], command, AT).unwrap();
    events.iter().for_each(|event| state.apply(&entry(AT, event.clone())));
    events
}

/// A feature whose rollout of `v2` has been taken to a phase by hand.
pub fn in_phase(phase: usize, confine: Confine) -> FeatureState {
    let mut state = FeatureState::new(version("v1"));
    follow(&mut state, &start("v2", 7, confine));
    (0..phase).for_each(|_| {
        follow(&mut state, &Command::Promote { why: "test".into() });
    });
    state
}

pub fn matcher(pairs: &[(&str, &[&str])]) -> Matcher {
    let pair = |(label, values): &(&str, &[&str])| {
        (LabelName::new(label).unwrap(), values.iter().map(|value| (*value).to_owned()).collect())
    };
    Matcher(pairs.iter().map(pair).collect())
}

pub fn segment(pairs: &[(&str, &str)]) -> Segment {
    let pair = |(label, value): &(&str, &str)| (LabelName::new(label).unwrap(), (*value).to_owned());
    Segment::from_labels(&pairs.iter().map(pair).collect())
}
