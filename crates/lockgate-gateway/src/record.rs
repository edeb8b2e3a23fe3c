//! Counts behaviour: plain sums per bucket, kept here and written to the store by [`Recorder::flush`].
//!
//! A call looks its [`Slot`] up once (no allocation when the slot is known) and then only adds to dense counters under a lock
//! that is held for nanoseconds. Sums are cumulative per bucket and belong to this writer alone, so writing them again after a
//! failure does no harm. Nothing here reads a clock: the caller says when.

mod counters;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::name::{FeatureName, LabelName, Revision};
use lockgate_core::segment::{OTHER, Segment};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::row::Writer;
use lockgate_store::{Retry, Store, StoreError};

pub(crate) use self::counters::Observed;

use self::counters::Counters;
use crate::counts::Counter;

/// Most kinds of callers counted at once (feature, version, arm, labels). Each has up to two level tables of 7 KiB per open
/// bucket, so this keeps the recorder under some 30 MiB at its fullest.
const SLOTS_MAX: usize = 1024;
/// Most finished buckets that one slot holds before a flush takes them; more than one only when flushes are late.
const CLOSED_MAX: usize = 8;
/// Most rows that wait for a store that is away: an hour of a dozen busy slots.
const PENDING_ROWS_MAX: usize = 100_000;

/// Whose behaviour a slot counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) feature: FeatureName,
    /// Of the version *assigned*, also when a lower tier answered.
    pub(crate) revision: Revision,
    pub(crate) arm: Arm,
    pub(crate) segment: Segment,
}

/// The counters of one subject. Holding one keeps it from being forgotten.
#[derive(Debug)]
pub(crate) struct Slot {
    subject: Subject,
    given_until: Arc<GivenUntil>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    open: Option<Open>,
    closed: Vec<Open>,
    /// Finished buckets that no flush came for in time.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    start: BucketStart,
    counters: Counters,
    /// Whether anything was counted since the last flush that the store confirmed.
    is_dirty: bool,
}

/// The start of the earliest bucket that may still be open, which only moves forwards. Those before it were given to the store
/// whole: if one were opened again, by a call that looked at the clock just before the flush or by a clock that was set back,
/// it would begin from nothing, and of two sums of one bucket the store keeps the greater.
#[derive(Debug)]
struct GivenUntil(AtomicI64);

/// A row as the store takes it.
type Row = (BucketStart, SumKey, Sum);

/// All slots, and the rows that wait for the store.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    slots: RwLock<HashMap<Subject, Arc<Slot>>>,
    pending: Mutex<VecDeque<Row>>,
    /// Here and not in the slots alone, because a slot may be forgotten and made again.
    given_until: Arc<GivenUntil>,
    pub(crate) segments_folded: Counter,
    pub(crate) sums_dropped: Counter,
}

impl Recorder {
    /// The slot of a subject. When there are too many, callers that were not seen before share one slot per version and arm in
    /// which every label reads `other`.
    pub(crate) fn slot(&self, subject: Subject) -> Arc<Slot> {
        if let Some(slot) = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&subject) {
            return Arc::clone(slot);
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let subject = if slots.len() < SLOTS_MAX || slots.contains_key(&subject) {
            subject
        } else {
            self.segments_folded.add(1);
            folded(subject)
        };
        let slot = slots.entry(subject).or_insert_with_key(|subject| {
            let given_until = Arc::clone(&self.given_until);
            Arc::new(Slot { subject: subject.clone(), given_until, buckets: Mutex::default() })
        });
        Arc::clone(slot)
    }

    /// Writes what changed since the last flush. What the store does not take stays for the next one, up to a bound.
    pub(crate) async fn flush(
        &self,
        store: &Store,
        writer: &Writer,
        bucket: BucketStart,
    ) -> Result<(), StoreError> {
        let (rows, closed) = self.gather(bucket);
        if rows.is_empty() {
            return Ok(());
        }
        let result = store.put_sums(writer, rows).await;
        match &result {
            Ok(()) => self.forget(closed),
            // What can never be written must not stand in the way of what comes after it.
            Err(error) if error.retry() == Retry::Never => {
                self.forget(closed);
                self.sums_dropped.add(closed as u64);
            }
            Err(_) => self.mark_as_dirty(),
        }
        result
    }

    /// Finished buckets move to `pending`; its rows and those of the open buckets are what is to be written. Returned beside
    /// them: how many of `pending` they include.
    fn gather(&self, bucket: BucketStart) -> (Vec<Row>, usize) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = Vec::new();
        self.given_until.advance(bucket);
        slots.retain(|_, slot| {
            self.sums_dropped.add(slot.take_closed(bucket, &mut pending));
            slot.copy_open(&mut open);
            // No call holds it and nothing is being counted: it is made again when it is needed.
            Arc::strong_count(slot) > 1 || !slot.is_idle()
        });
        let excess = pending.len().saturating_sub(PENDING_ROWS_MAX);
        pending.drain(..excess);
        self.sums_dropped.add(excess as u64);
        let rows: Vec<Row> = pending.iter().cloned().chain(open).collect();
        (rows, pending.len())
    }

    fn forget(&self, closed: usize) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).drain(..closed);
    }

    /// What was open when the store was asked may have ended since.
    fn mark_as_dirty(&self) {
        for slot in self.slots.read().unwrap_or_else(PoisonError::into_inner).values() {
            let mut buckets = slot.lock();
            let Buckets { open, closed, .. } = &mut *buckets;
            for bucket in closed.iter_mut().chain(open) {
                bucket.is_dirty = true;
            }
        }
    }
}

fn folded(subject: Subject) -> Subject {
    let labels = subject.segment.labels().filter_map(|(label, _)| LabelName::new(label).ok());
    let others: BTreeMap<LabelName, String> = labels.map(|label| (label, OTHER.to_owned())).collect();
    Subject { segment: Segment::from_labels(&others), ..subject }
}

impl Slot {
    /// Counts what happened at a moment, in the bucket of that moment or, if that was given away, in the earliest after it.
    pub(crate) fn observe(&self, moment: Timestamp, width: Duration, observed: &[Observed]) {
        let start = bucket_at(moment, width);
        let mut buckets = self.lock();
        // Read under the lock, which a flush takes after it has moved it.
        let open = buckets.open_at(start.max(self.given_until.start()));
        open.is_dirty = true;
        for one in observed {
            open.counters.add(*one);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self) -> bool {
        let buckets = self.lock();
        buckets.open.is_none() && buckets.closed.is_empty()
    }

    /// Moves finished buckets to `rows`; returns how many were lost before.
    fn take_closed(&self, now: BucketStart, rows: &mut VecDeque<Row>) -> u64 {
        let mut buckets = self.lock();
        if let Some(ended) = buckets.open.take_if(|open| open.start < now) {
            buckets.closed.push(ended);
        }
        for ended in buckets.closed.drain(..).filter(|ended| ended.is_dirty) {
            ended.counters.write(&self.subject, ended.start, |row| rows.push_back(row));
        }
        std::mem::take(&mut buckets.lost)
    }

    fn copy_open(&self, rows: &mut Vec<Row>) {
        if let Some(open) = self.lock().open.as_mut().filter(|open| open.is_dirty) {
            open.is_dirty = false;
            open.counters.write(&self.subject, open.start, |row| rows.push(row));
        }
    }
}

impl GivenUntil {
    fn advance(&self, start: BucketStart) {
        self.0.fetch_max(start.0, Ordering::Relaxed);
    }

    fn start(&self) -> BucketStart {
        BucketStart(self.0.load(Ordering::Relaxed))
    }
}

impl Default for GivenUntil {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

/// The bucket of a moment. A width of under a millisecond cannot be configured; it would count as one.
pub(crate) fn bucket_at(moment: Timestamp, width: Duration) -> BucketStart {
    let width_ms = i64::try_from(width.as_millis()).unwrap_or(i64::MAX).max(1);
    BucketStart::containing(moment, width_ms)
}

impl Buckets {
    /// The open bucket, which becomes the one that starts at `start` if that is later. A moment before the open bucket (the
    /// clock was set back) is counted in the open one.
    fn open_at(&mut self, start: BucketStart) -> &mut Open {
        if let Some(ended) = self.open.take_if(|open| open.start < start) {
            if self.closed.len() >= CLOSED_MAX {
                self.closed.remove(0);
                self.lost += 1;
            }
            self.closed.push(ended);
        }
        self.open.get_or_insert_with(|| Open { start, counters: Counters::default(), is_dirty: true })
    }
}

impl Subject {
    /// The key of one of its sums.
    pub(crate) fn key(&self, signal: Signal) -> SumKey {
        SumKey {
            feature: self.feature.clone(),
            revision: self.revision,
            arm: self.arm,
            segment: self.segment.clone(),
            signal,
        }
    }
}

#[cfg(test)]
mod tests;
