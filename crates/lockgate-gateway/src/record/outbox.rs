//! Sums on their way to the store.
//!
//! What slots count between two flushes is added up here per bucket, and a row is what the store is to hold: the whole of one
//! sum in one bucket, which may be sent any number of times because the greater value wins there. A bucket is read once, some
//! time after its end, by whoever decides. What was not sent by then would be seen by nobody but one who reads the bucket
//! again later, after a restart say, and who would then decide otherwise. So it is counted in the present bucket instead.
//! What was sent and may have arrived cannot be moved, for it might count twice; it stays and is sent again. Callers who were
//! new cannot be moved either: in the present bucket another share may be in force, and whoever was new under the one before
//! would look like a split that is not the planned one. They are dropped.

use std::collections::BTreeMap;

use lockgate_core::signal::Signal;
use lockgate_core::sums::{BucketStart, Sum, SumKey};

use super::Row;

/// Most rows that wait for a store that is away: an hour of a dozen busy slots.
const ROWS_MAX: usize = 100_000;

/// Every row that the store does not surely hold, and those of buckets that still grow.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    buckets: BTreeMap<BucketStart, BTreeMap<SumKey, Waiting>>,
}

/// One sum of one bucket.
#[derive(Debug)]
struct Waiting {
    total: Sum,
    sent: Sent,
}

/// What of a sum has been sent.
#[derive(Debug, PartialEq)]
enum Sent {
    Nothing,
    /// So much, but nobody knows whether it arrived.
    Perhaps(Sum),
    /// So much is in the store.
    Surely(Sum),
}

/// What became of rows that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Written,
    /// It is certain that nothing was written.
    NotWritten,
    Unknown,
    /// They can never be written.
    Unfit,
}

/// How many rows came too late for their bucket, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Late {
    pub(super) moved: u64,
    pub(super) dropped: u64,
}

impl Outbox {
    /// Adds what was counted since the last flush.
    pub(super) fn add(&mut self, (start, key, more): Row) {
        match self.buckets.entry(start).or_default().entry(key) {
            std::collections::btree_map::Entry::Occupied(mut row) => row.get_mut().total.add(&more),
            std::collections::btree_map::Entry::Vacant(row) => {
                row.insert(Waiting { total: more, sent: Sent::Nothing });
            }
        }
    }

    /// Moves what was never sent of buckets before `read_until` into the present one, as far as it means the same there.
    pub(super) fn move_late(&mut self, read_until: BucketStart, present: BucketStart) -> Late {
        let mut moved = Vec::new();
        let mut late = Late::default();
        for rows in self.buckets.range_mut(..read_until).map(|(_, rows)| rows) {
            rows.retain(|key, row| {
                match row.take_unsent() {
                    Some(_) if key.signal == Signal::Visitors => late.dropped += 1,
                    more => moved.extend(more.map(|more| (present, key.clone(), more))),
                }
                matches!(row.sent, Sent::Perhaps(_))
            });
        }
        late.moved = moved.len() as u64;
        for row in moved {
            self.add(row);
        }
        late
    }

    /// Drops the oldest rows beyond the bound; returns how many.
    pub(super) fn shrink(&mut self) -> u64 {
        let mut dropped = 0;
        let mut rows: usize = self.buckets.values().map(BTreeMap::len).sum();
        while rows > ROWS_MAX
            && let Some(mut oldest) = self.buckets.first_entry()
        {
            if oldest.get_mut().pop_first().is_some() {
                rows -= 1;
                dropped += 1;
            } else {
                oldest.remove();
            }
        }
        dropped
    }

    /// What the store does not surely hold as it stands, oldest first.
    pub(super) fn unwritten(&self) -> Vec<Row> {
        let mut unwritten = Vec::new();
        for (start, rows) in &self.buckets {
            let open = rows.iter().filter(|(_, row)| !row.is_written());
            unwritten.extend(open.map(|(key, row)| (*start, key.clone(), row.total.clone())));
        }
        unwritten
    }

    /// Notes what became of rows that were sent as they stood.
    pub(super) fn note(&mut self, rows: &[Row], fate: Fate) {
        for (start, key, sum) in rows {
            let Some(bucket) = self.buckets.get_mut(start) else { continue };
            let Some(row) = bucket.get_mut(key) else { continue };
            match fate {
                Fate::Written => row.sent = Sent::Surely(sum.clone()),
                Fate::NotWritten => {}
                Fate::Unknown => row.sent = Sent::Perhaps(sum.clone()),
                Fate::Unfit => {
                    bucket.remove(key);
                }
            }
        }
    }

    /// Forgets rows that are written and cannot grow any more, because their buckets ended before the present one.
    pub(super) fn forget_written(&mut self, present: BucketStart) {
        for rows in self.buckets.range_mut(..present).map(|(_, rows)| rows) {
            rows.retain(|_, row| !row.is_written());
        }
        self.buckets.retain(|_, rows| !rows.is_empty());
    }
}

impl Waiting {
    fn is_written(&self) -> bool {
        matches!(&self.sent, Sent::Surely(sum) if *sum == self.total)
    }

    /// What was counted beyond what was sent, which then counts here no more.
    fn take_unsent(&mut self) -> Option<Sum> {
        match &self.sent {
            Sent::Nothing => Some(self.total.clone()),
            Sent::Perhaps(sent) | Sent::Surely(sent) => {
                let more = beyond(&self.total, sent);
                self.total = sent.clone();
                more
            }
        }
    }
}

/// What a sum has grown by since it was `before`; `None` if by nothing.
fn beyond(sum: &Sum, before: &Sum) -> Option<Sum> {
    match (sum, before) {
        (Sum::Rate { n, hits }, Sum::Rate { n: n2, hits: hits2 }) => {
            let n = n.saturating_sub(*n2);
            (n > 0).then(|| Sum::Rate { n, hits: hits.saturating_sub(*hits2) })
        }
        (Sum::Amount { n, total, squares }, Sum::Amount { n: n2, total: total2, squares: squares2 }) => {
            let n = n.saturating_sub(*n2);
            let (total, squares) = (total.saturating_sub(*total2), squares.saturating_sub(*squares2));
            (n > 0).then_some(Sum::Amount { n, total, squares })
        }
        (Sum::Levels(counts), Sum::Levels(counts2)) => {
            let grown = counts.iter().filter_map(|(level, count)| {
                let more = count.saturating_sub(counts2.get(level).copied().unwrap_or(0));
                (more > 0).then_some((*level, more))
            });
            let grown: BTreeMap<u16, u64> = grown.collect();
            (!grown.is_empty()).then_some(Sum::Levels(grown))
        }
        // One key has sums of one kind only.
        _ => None,
    }
}
