//! How a target does, as it is told to people and programs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockgate_core::breaker::State;
use lockgate_core::name::TargetName;
use serde::Serialize;

/// Most kinds of failures that are counted apart: more than there are words for them. What is beyond counts as [`OTHER`].
pub(super) const KINDS_MAX: usize = 32;

/// Longest word for a failure that is kept.
const WORD_BYTES_MAX: usize = 64;

/// The kind of failures for which there is no room.
pub(super) const OTHER: &str = "other";

/// How a target does, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetHealth {
    /// Its name.
    pub target: TargetName,
    /// What its breaker does with calls.
    pub state: State,
    /// Since when; `None` for one that has never changed.
    pub since: Option<Timestamp>,
    /// Why it opened, until it is closed again.
    pub why: Option<String>,
    /// Until when it is open.
    pub open_until: Option<Timestamp>,
    /// The part of the calls that passes while it recovers.
    pub share: Option<f64>,
    /// Probes under way.
    pub probes_in_flight: usize,
    /// Calls in the breaker's window that ended and said something of the target.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// The part that failed; `None` without calls.
    pub failure_rate: Option<f64>,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Retries that its budget holds.
    pub retries_left: u64,
    /// Counts since the process began, or since the target points where it does.
    pub totals: Totals,
    /// The latest failure.
    pub last_failure: Option<LastFailure>,
    /// The latest change of the breaker.
    pub last_change: Option<LastChange>,
}

/// Counts of one target's calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Calls that were made, retries included.
    pub calls: u64,
    /// Those that failed, by the word for how.
    pub failures: BTreeMap<String, u64>,
    /// Those that say nothing of the target: the caller left, or the fault is ours.
    pub unknown: u64,
    /// Retries that the budget allowed.
    pub retries: u64,
    /// Retries that it did not.
    pub retries_refused: u64,
    /// Calls that the breaker did not let pass.
    pub refused: u64,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastFailure {
    /// When it ended.
    pub at: Timestamp,
    /// How, in a word.
    pub why: String,
}

/// A change of the breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastChange {
    /// When.
    pub at: Timestamp,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
}

impl TargetHealth {
    /// Of a target that was never asked.
    pub fn unasked(target: &TargetName) -> Self {
        Self {
            target: target.clone(),
            state: State::Closed,
            since: None,
            why: None,
            open_until: None,
            share: None,
            probes_in_flight: 0,
            calls: 0,
            failures: 0,
            failure_rate: None,
            consecutive_failures: 0,
            retries_left: 0,
            totals: Totals::default(),
            last_failure: None,
            last_change: None,
        }
    }
}

impl Totals {
    /// Counts a failure; the word that it is counted under.
    pub(super) fn fail(&mut self, why: &str) -> String {
        let has_room = self.failures.len() < KINDS_MAX && why.len() <= WORD_BYTES_MAX;
        let word = if has_room || self.failures.contains_key(why) { why } else { OTHER };
        *self.failures.entry(word.to_owned()).or_default() += 1;
        word.to_owned()
    }
}
