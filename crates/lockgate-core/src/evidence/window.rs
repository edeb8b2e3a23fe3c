//! Amounts per call in a trailing window: the one hard rule on sums, without statistics.
//!
//! For runaway spending: an agent that loops is to be stopped within minutes, and by a sum that anybody can add up again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sums::BucketStart;

/// Fewer calls than this, in either arm, say nothing about a mean: a handful of long answers must not freeze a rollout.
const CALLS_MIN: u64 = 30;
/// And the candidate must have spent at least this much more than it was allowed, in the signal's own unit.
const EXCESS_MIN: f64 = 50_000.0;
/// Longest window that is kept, whatever the plan says: one entry per bucket must stay a bounded amount of memory.
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// Calls and what they took, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spent {
    pub(super) calls: u64,
    pub(super) total: u64,
}

impl Spent {
    pub(super) fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.total = self.total.saturating_add(other.total);
    }

    fn remove(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.total = self.total.saturating_sub(other.total);
    }

    pub(super) fn mean(self) -> Option<f64> {
        (self.calls > 0).then(|| self.total as f64 / self.calls as f64)
    }
}

/// The trailing window of both arms.
#[derive(Debug, Clone)]
pub(super) struct Window {
    over_ms: i64,
    times: f64,
    buckets: VecDeque<(BucketStart, Spent, Spent)>,
    pub(super) candidate: Spent,
    pub(super) stable: Spent,
}

impl Window {
    pub(super) fn new(over: Duration, times: f64) -> Self {
        Self {
            over_ms: over.min(WINDOW_MAX).as_millis() as i64,
            times,
            buckets: VecDeque::new(),
            candidate: Spent::default(),
            stable: Spent::default(),
        }
    }

    /// Takes in one bucket and lets go of those that are older than the window.
    pub(super) fn take(&mut self, start: BucketStart, candidate: Spent, stable: Spent) {
        while let Some((oldest, candidate, stable)) = self.buckets.front().copied()
            && oldest.0 <= start.0.saturating_sub(self.over_ms)
        {
            self.candidate.remove(candidate);
            self.stable.remove(stable);
            self.buckets.pop_front();
        }
        if candidate != Spent::default() || stable != Spent::default() {
            self.candidate.add(candidate);
            self.stable.add(stable);
            self.buckets.push_back((start, candidate, stable));
        }
    }

    /// What the candidate's calls might have taken.
    pub(super) fn allowed(&self) -> Option<f64> {
        self.stable.mean().map(|mean| mean * self.times)
    }

    /// Whether the candidate took more than it was allowed, by more than chance and rounding.
    pub(super) fn is_exceeded(&self) -> bool {
        let enough = self.candidate.calls >= CALLS_MIN && self.stable.calls >= CALLS_MIN;
        let excess = |allowed: f64| self.candidate.total as f64 - allowed * self.candidate.calls as f64;
        enough && self.allowed().is_some_and(|allowed| excess(allowed) > EXCESS_MIN)
    }
}
