//! What happened at the bounds: every queue and map here is finite, and what did not fit is counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow, as they stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls refused because too many were under way.
    pub calls_refused: u64,
    /// Connections refused because too many were open.
    pub connections_refused: u64,
    /// Label values counted as `other` because the label had too many.
    pub labels_folded: u64,
    /// Calls counted under the label values `other` because too many kinds of callers were being counted.
    pub segments_folded: u64,
    /// Sums lost because the store was away for too long, for all of them or for those that mean nothing in a later bucket.
    pub sums_dropped: u64,
    /// Sums counted in a later bucket than their own, because the store could not be written before theirs was read.
    pub sums_moved: u64,
    /// Sessions whose end was not waited for, because too many were known.
    pub sessions_displaced: u64,
    /// Sessions whose cost was lost because nobody came to count it, or because a call of theirs was under way when room was
    /// made for others.
    pub sessions_lost: u64,
    /// Observations left out of a rate, because the session had had its first hit in it before. Not a loss: whoever fails
    /// twice in a session says the second time what is known.
    pub repeats_left_out: u64,
    /// Calls of a trial whose callers were not looked up any more, because too many had been seen.
    pub visitors_uncounted: u64,
    /// Answers lost to the audit because the store was away for too long.
    pub answers_dropped: u64,
    /// Copies not made because the feature's queue was full, in number or in bytes.
    pub shadows_crowded: u64,
    /// Copies not made because the day's money was spent.
    pub shadows_unpaid: u64,
    /// Copies that grew too old while they waited.
    pub shadows_late: u64,
    /// Copies not made because the trial had ended or the process was stopping.
    pub shadows_withdrawn: u64,
    /// Copies not made because the call goes on with a conversation that a provider keeps.
    pub shadows_stateful: u64,
    /// Pairs of answers that were not kept for people because there were too many.
    pub samples_dropped: u64,
    /// Trials that this gateway took out of its own table, because of what it saw in its own calls.
    pub retreats: u64,
}

/// One of the counters of [`Counts`].
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
