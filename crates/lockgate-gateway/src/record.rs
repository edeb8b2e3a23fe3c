//! Counts behaviour: plain sums per bucket, kept here and written to the store by [`Recorder::flush`].
//!
//! A call looks its [`Slot`] up once (no allocation when the slot is known) and then only adds to dense counters under a lock
//! that is held for nanoseconds. A flush takes what was counted since the last one and adds it up per bucket ([`outbox`]);
//! those sums are cumulative and belong to this writer alone, so writing them again after a failure does no harm. Nothing
//! here reads a clock: the caller says when.

mod counters;
mod outbox;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::mishap::Mishaps;
use lockgate_core::name::{FeatureName, LabelName, Revision};
use lockgate_core::segment::{OTHER, Segment};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::row::Writer;
use lockgate_store::{Retry, Store, StoreError};

pub(crate) use self::counters::Observed;

use self::counters::Counters;
use self::outbox::{Fate, Outbox};
use crate::counts::Counter;
use crate::hashed::HashFast;

/// Most kinds of callers counted at once (feature, version, arm, labels). Each has up to five level tables, 15 to 45 KiB of
/// them, so this keeps the recorder under some 50 MiB at its fullest.
const SLOTS_MAX: usize = 1024;
/// Most finished buckets that one slot holds before a flush takes them; more than one only when flushes are late.
const CLOSED_MAX: usize = 8;
/// Most rows that wait to be judged here; beyond it the oldest are not judged.
const OWN_ROWS_MAX: usize = 100_000;
/// Rows per write. The store writes so many in one transaction, so that of one write all is in the store or nothing.
const BATCH: usize = 1000;

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
    /// What was counted since the last flush.
    counters: Counters,
    is_dirty: bool,
}

/// The start of the earliest bucket that may still be open, which only moves forwards. Those before it were given to the store
/// whole: if one were opened again, by a call that looked at the clock just before the flush or by a clock that was set back,
/// it would begin from nothing, and of two sums of one bucket the store keeps the greater.
#[derive(Debug)]
struct GivenUntil(AtomicI64);

/// A row as the store takes it.
pub(crate) type Row = (BucketStart, SumKey, Sum);

/// All slots, and the rows that wait for the store.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    slots: RwLock<HashMap<Subject, Arc<Slot>, HashFast>>,
    outbox: Mutex<Outbox>,
    /// What was counted here and [`Recorder::closed_rows`] has not given out yet.
    own: Mutex<BTreeMap<(BucketStart, SumKey), Sum>>,
    /// Here and not in the slots alone, because a slot may be forgotten and made again.
    given_until: Arc<GivenUntil>,
    pub(crate) segments_folded: Counter,
    pub(crate) sums_dropped: Counter,
    pub(crate) sums_moved: Counter,
}

/// What a flush has to know of the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlushTime {
    /// The bucket of now.
    present: BucketStart,
    /// Buckets before this one may have been read by whoever decides.
    read_until: BucketStart,
}

impl FlushTime {
    /// `watermark` is how long after its end a bucket is read.
    pub(crate) fn new(now: Timestamp, width: Duration, watermark: Duration) -> Self {
        let settled = now.checked_sub(watermark).unwrap_or(Timestamp::MIN);
        Self { present: bucket_at(now, width), read_until: bucket_at(settled, width) }
    }
}

impl Recorder {
    /// The slot of a subject. When there are too many, callers that were not seen before share one slot per version and arm in
    /// which every label reads `other`.
    pub(crate) fn slot(&self, subject: &Subject) -> Arc<Slot> {
        if let Some(slot) = self.known_slot(subject) {
            return slot;
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let subject = if slots.len() < SLOTS_MAX || slots.contains_key(subject) {
            subject.clone()
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

    /// The slot of a subject that has one already, of its own or shared. Nobody waits here for anybody but a writer.
    fn known_slot(&self, subject: &Subject) -> Option<Arc<Slot>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(subject) {
            return Some(Arc::clone(slot));
        }
        let shared = (slots.len() >= SLOTS_MAX).then(|| slots.get(&folded(subject)))??;
        self.segments_folded.add(1);
        Some(Arc::clone(shared))
    }

    /// Writes what changed since the last flush. What the store does not take stays for the next one, up to a bound.
    pub(crate) async fn flush(
        &self,
        store: &Store,
        writer: &Writer,
        time: FlushTime,
    ) -> Result<(), StoreError> {
        let mut result = Ok(());
        for batch in self.gather(time).chunks(BATCH) {
            let put = store.put_sums(writer, batch.to_vec()).await;
            let fate = fate(&put);
            self.outbox().note(batch, fate);
            if fate == Fate::Unfit {
                // What can never be written must not stand in the way of what comes after it.
                self.sums_dropped.add(batch.len() as u64);
            }
            result = result.and(put);
            if matches!(fate, Fate::NotWritten | Fate::Unknown) {
                break;
            }
        }
        self.outbox().forget_written(time.present);
        result
    }

    /// What was counted here in buckets that ended before `until`, the present one, since this was last asked. It has nothing
    /// to do with what the store has taken.
    pub(crate) fn closed_rows(&self, until: BucketStart) -> VecDeque<Row> {
        let until = self.take_in(until);
        let own = &mut *self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = own.extract_if(.., |(start, _), _| *start < until);
        closed.map(|((start, key), sum)| (start, key, sum)).collect()
    }

    /// Takes what slots have counted, and says what is to be written.
    fn gather(&self, time: FlushTime) -> Vec<Row> {
        let present = self.take_in(time.present);
        let mut outbox = self.outbox();
        let late = outbox.move_late(time.read_until, present);
        self.sums_moved.add(late.moved);
        self.sums_dropped.add(late.dropped + outbox.shrink());
        outbox.unwritten()
    }

    /// Takes what slots have counted. Returns the earliest bucket that may be counted in from now on.
    fn take_in(&self, present: BucketStart) -> BucketStart {
        let present = self.given_until.advance(present);
        let held: Vec<Arc<Slot>> =
            self.slots.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        {
            let mut outbox = self.outbox();
            let own = &mut *self.own.lock().unwrap_or_else(PoisonError::into_inner);
            for slot in held {
                let lost = slot.drain(present, |(start, key, more)| {
                    add(own, (start, key.clone()), &more);
                    outbox.add((start, key, more));
                });
                self.sums_dropped.add(lost);
            }
            while own.len() > OWN_ROWS_MAX {
                own.pop_first();
            }
        }
        // No call holds it and nothing is being counted: it is made again when it is needed.
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, slot| Arc::strong_count(slot) > 1 || !slot.is_idle());
        present
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to what is there under a key.
fn add<K: Ord>(sums: &mut BTreeMap<K, Sum>, key: K, more: &Sum) {
    match sums.get_mut(&key) {
        Some(sum) => sum.add(more),
        None => {
            sums.insert(key, more.clone());
        }
    }
}

/// What became of rows that were put in one transaction. One that found the file locked, full or read-only was undone.
fn fate(put: &Result<(), StoreError>) -> Fate {
    match put {
        Ok(()) => Fate::Written,
        Err(error) if error.retry() == Retry::Never => Fate::Unfit,
        Err(
            StoreError::Busy { .. }
            | StoreError::Full { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Replaced { .. },
        ) => Fate::NotWritten,
        Err(_) => Fate::Unknown,
    }
}

fn folded(subject: &Subject) -> Subject {
    let labels = subject.segment.labels().filter_map(|(label, _)| LabelName::new(label).ok());
    let others: BTreeMap<LabelName, String> = labels.map(|label| (label, OTHER.to_owned())).collect();
    Subject { segment: Segment::from_labels(&others), ..subject.clone() }
}

impl Slot {
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Counts what happened at a moment, in the bucket of that moment or, if that was given away, in the earliest after it.
    pub(crate) fn observe(
        &self,
        moment: Timestamp,
        width: Duration,
        observed: impl IntoIterator<Item = Observed>,
    ) {
        self.observe_after(Mishaps::default(), moment, width, observed);
    }

    /// The same of a call in whose session there were such mishaps before: in their rates it is not counted again.
    pub(crate) fn observe_after(
        &self,
        before: Mishaps,
        moment: Timestamp,
        width: Duration,
        observed: impl IntoIterator<Item = Observed>,
    ) {
        let start = bucket_at(moment, width);
        let mut buckets = self.lock();
        // Read under the lock, which a flush takes after it has moved it.
        let open = buckets.open_at(start.max(self.given_until.start()));
        open.is_dirty = true;
        for one in observed {
            open.counters.add(one, before);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self) -> bool {
        let buckets = self.lock();
        buckets.open.is_none() && buckets.closed.is_empty()
    }

    /// Hands over what was counted since it was last asked; returns how many buckets were lost before.
    fn drain(&self, present: BucketStart, mut put: impl FnMut(Row)) -> u64 {
        let Buckets { open, closed, lost } = &mut *self.lock();
        for mut ended in closed.drain(..) {
            ended.counters.drain(&self.subject, ended.start, &mut put);
        }
        if let Some(open) = open.as_mut().filter(|open| open.is_dirty) {
            open.is_dirty = false;
            open.counters.drain(&self.subject, open.start, &mut put);
        }
        open.take_if(|open| open.start < present);
        std::mem::take(lost)
    }
}

impl GivenUntil {
    /// Moves it to a bucket, unless it is further already; returns where it is now.
    fn advance(&self, start: BucketStart) -> BucketStart {
        BucketStart(self.0.fetch_max(start.0, Ordering::Relaxed).max(start.0))
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
        if let Some(ended) = self.open.take_if(|open| open.start < start).filter(|ended| ended.is_dirty) {
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
