//! Invented things to store, and a place to store them that goes away.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lockgate_core::event::{Entry, Event};
use lockgate_core::name::{FeatureName, RequestId, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::route::KillTo;
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::SumKey;
use uuid::Uuid;

use crate::row::Answer;

/// A directory that is removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("lockgate-store-{}", Uuid::now_v7()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("lockgate.db")
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub fn feature() -> FeatureName {
    FeatureName::new("support-reply").unwrap()
}

pub fn version(name: &str) -> VersionRef {
    VersionRef { name: VersionName::new(name).unwrap(), revision: Revision::of(name.as_bytes()) }
}

pub fn request(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

pub fn rollout(number: u128) -> RolloutId {
    RolloutId(Uuid::from_u128(number))
}

/// Entries that differ from each other.
pub fn entry(number: usize) -> Entry {
    let event = match number % 3 {
        0 => Event::StableDeclared { declared: version("v1"), stable: version("v1") },
        1 => Event::Killed { to: KillTo::Stable, why: format!("drill {number}, with \"quotes\" and äöü") },
        _ => Event::Revived { why: format!("over {number}") },
    };
    Entry { ts: at(number as i64), feature: feature(), author: "ada".into(), event }
}

pub fn entries(count: usize) -> Vec<Entry> {
    (0..count).map(entry).collect()
}

pub fn key(signal: Signal) -> SumKey {
    SumKey {
        feature: feature(),
        revision: version("v2").revision,
        arm: Arm::Candidate,
        segment: Segment::none(),
        signal,
    }
}

/// An answer of the candidate, under way.
pub fn answer(number: u128) -> Answer {
    Answer {
        request_id: request(number),
        answer_id: None,
        session: None,
        ts: at(number as i64),
        feature: feature(),
        version: version("v2"),
        arm: Arm::Candidate,
        rollout: Some(rollout(1)),
        segment: Segment::none(),
        point: Some(number as u32),
        target: None,
        tier: None,
        status: 0,
    }
}
