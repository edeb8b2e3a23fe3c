//! What a breaker keeps in each of its states, and what the calls of a state come to.

use std::time::Duration;

use jiff::Timestamp;

use super::{Cause, Outcome, SHARE_MIN, Settings, State};
use crate::rolling::Rolling;

const GOOD: usize = 0;
const FAILED: usize = 1;

#[derive(Debug, Clone)]
pub(super) enum Phase {
    Closed(Record),
    Open { until: Timestamp },
    HalfOpen(Probes),
    Recovering { since: Timestamp, record: Record },
}

/// How the calls of an epoch did.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) in_row: u32,
    window: Rolling<2>,
}

/// The probes of one half-open time.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    pub(super) good: u32,
    admitted: u64,
    /// Each with the moment after which it does not keep its place; never more than are let pass.
    pub(super) under_way: Vec<(u64, Timestamp)>,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed(Record::default())
    }
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Closed(_) => State::Closed,
            Self::Open { .. } => State::Open,
            Self::HalfOpen(_) => State::HalfOpen,
            Self::Recovering { .. } => State::Recovering,
        }
    }
}

impl Record {
    /// Calls in the window that said something, and those of them that failed.
    pub(super) fn calls(&self, settings: &Settings, now: Timestamp) -> (u64, u64) {
        let [good, failed] = self.window.within(settings.window, now);
        (good + failed, failed)
    }

    /// Counts a call. Why it opens, if it does.
    pub(super) fn cause(
        &mut self,
        settings: &Settings,
        calls_min: u32,
        now: Timestamp,
        outcome: Outcome,
    ) -> Option<Cause> {
        match outcome {
            Outcome::Unknown => return None,
            Outcome::Good => {
                self.in_row = 0;
                self.window.count(settings.window, now, GOOD);
                return None;
            }
            Outcome::Failed => {
                self.in_row = self.in_row.saturating_add(1);
                self.window.count(settings.window, now, FAILED);
            }
        }
        let (calls, failed) = self.calls(settings, now);
        let is_often = calls >= u64::from(calls_min) && failed as f64 >= settings.rate * calls as f64;
        if self.in_row >= settings.consecutive {
            Some(Cause::InARow(self.in_row))
        } else {
            is_often.then_some(Cause::Rate { failed, calls })
        }
    }
}

impl Probes {
    /// Takes away the places of probes that have not ended in time. None has more time than if it began now: only a clock that
    /// was set back can give it that.
    pub(super) fn expire(&mut self, settings: &Settings, now: Timestamp) {
        let latest = later(now, settings.open_max);
        for (_, expires) in &mut self.under_way {
            *expires = (*expires).min(latest);
        }
        self.under_way.retain(|(_, expires)| now < *expires);
    }

    /// A place for one more, if there is one: those that have succeeded keep theirs.
    pub(super) fn admit(&mut self, settings: &Settings, now: Timestamp) -> Option<u64> {
        let taken = self.under_way.len().saturating_add(self.good as usize);
        // One may always be under way: with none nobody could find out that the target is well, also when a reload has just
        // asked for fewer probes than have succeeded.
        if taken >= settings.probes as usize && !self.under_way.is_empty() {
            return None;
        }
        let probe = self.admitted;
        self.admitted += 1;
        self.under_way.push((probe, later(now, settings.open_max)));
        Some(probe)
    }

    /// Frees a place; whether the probe still had one.
    pub(super) fn end(&mut self, ended: u64) -> bool {
        let place = self.under_way.iter().position(|(probe, _)| *probe == ended);
        place.map(|place| self.under_way.swap_remove(place)).is_some()
    }
}

/// The part of the calls that passes: it grows evenly with time.
pub(super) fn share(settings: &Settings, since: Timestamp, now: Timestamp) -> f64 {
    let passed = now.duration_since(since).as_secs_f64().max(0.0);
    let whole = settings.recovery.as_secs_f64();
    if passed >= whole { 1.0 } else { SHARE_MIN + (1.0 - SHARE_MIN) * passed / whole }
}

/// A moment after another; the end of time where there is none.
pub(super) fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
