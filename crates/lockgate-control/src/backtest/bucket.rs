//! Outcomes added up per bucket, until the bucket is closed.
//!
//! A handful of buckets is open at any time, for lines may come a little out of order. What a bucket means (copies, calls of
//! users) depends on where the rollout stands when it is closed, so here only the two arms are told apart; and who called, and
//! what went wrong for him, is kept line by line up to a bound.

use std::collections::BTreeMap;

use lockgate_core::mishap::{Mishap, Mishaps};
use lockgate_core::name::{FeatureName, Revision};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketSums, Sum, SumKey};

use super::line::{Outcome, Side};
use super::segments::{SegmentIndex, Segments};
use super::signals::{Seen, SignalIndex, Signals};

/// Most calls of which the caller is kept until their buckets close, 64 MB: a million within forty seconds. Those beyond are
/// counted, but not as anybody's.
const CALLERS_MAX: usize = 1 << 20;

/// An arm of a segment.
pub(super) type SlotIndex = u32;

pub(super) fn slot_of(segment: SegmentIndex, side: Side) -> SlotIndex {
    segment * 2 + SlotIndex::from(side == Side::Candidate)
}

pub(super) fn segment_of(slot: SlotIndex) -> SegmentIndex {
    slot / 2
}

pub(super) fn side_of(slot: SlotIndex) -> Side {
    if slot.is_multiple_of(2) { Side::Stable } else { Side::Candidate }
}

/// Who made one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) visitor: Option<u64>,
    pub(super) session: Option<u64>,
    pub(super) cost_nano_usd: Option<u64>,
    pub(super) slot: SlotIndex,
    /// Milliseconds after the bucket's start.
    pub(super) after_ms: u32,
    pub(super) rates: Rates,
}

/// What a call's line tells of the rates in which a session counts up to its first hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rates {
    /// A bit each, in the order of [`Signals::mishaps`].
    told: u8,
    hits: u8,
}

/// One bucket's outcomes.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    slots: BTreeMap<SlotIndex, Counters>,
    pub(super) calls: Vec<Call>,
    /// Lines per arm, stable's first.
    pub(super) lines: [u64; 2],
}

/// One slot's sums, made as they are needed.
#[derive(Debug, Default)]
pub(super) struct Counters {
    sums: Vec<Option<Sum>>,
    touched: u128,
}

/// As what the outcomes of a side count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) arm: Arm,
    pub(super) revision: Revision,
}

impl Counters {
    pub(super) fn add(&mut self, signals: &Signals, index: SignalIndex, seen: Seen) {
        if self.sums.is_empty() {
            self.sums.resize_with(signals.count(), || None);
        }
        signals.add(&mut self.sums[usize::from(index)], index, seen);
        self.touched |= 1 << index;
    }

    fn add_rates(&mut self, signals: &Signals, rates: Rates, before: Mishaps) -> bool {
        let mut has_left_out = false;
        for (index, mishap, was) in rates.each(signals) {
            if before.has(mishap) {
                has_left_out = true;
            } else {
                self.add(signals, index, Seen::Was(was));
            }
        }
        has_left_out
    }

    /// Hands over every sum and is empty again.
    fn drain(&mut self, mut put: impl FnMut(SignalIndex, Sum)) {
        while self.touched != 0 {
            let index = self.touched.trailing_zeros();
            self.touched &= self.touched - 1;
            if let Some(sum) = self.sums[index as usize].take() {
                put(index as SignalIndex, sum);
            }
        }
    }
}

impl Rates {
    /// Takes in what is seen of one signal, if it is one of those.
    fn take(&mut self, signals: &Signals, index: SignalIndex, seen: Seen) -> bool {
        let nth = signals.mishaps.iter().position(|(limited, _)| *limited == index);
        let (Some(nth), Seen::Was(was)) = (nth, seen) else { return false };
        self.told |= 1 << nth;
        self.hits |= u8::from(was) << nth;
        true
    }

    /// What is told of each.
    fn each(self, signals: &Signals) -> impl Iterator<Item = (SignalIndex, Mishap, bool)> {
        let told = signals.mishaps.iter().enumerate().filter(move |(nth, _)| self.told & (1 << nth) != 0);
        told.map(move |(nth, (index, mishap))| (*index, *mishap, self.hits & (1 << nth) != 0))
    }

    pub(super) fn mishaps(self, signals: &Signals) -> Mishaps {
        self.each(signals).filter(|(_, _, was)| *was).map(|(_, mishap, _)| mishap).collect()
    }
}

impl Bucket {
    /// Adds what a call's line tells of mishaps, as far as it is news after those that its session had before. Returns
    /// whether something was left out.
    pub(super) fn add_rates(
        &mut self,
        signals: &Signals,
        spare: &mut Vec<Counters>,
        call: &Call,
        before: Mishaps,
    ) -> bool {
        let counters = self.slots.entry(call.slot).or_insert_with(|| spare.pop().unwrap_or_default());
        counters.add_rates(signals, call.rates, before)
    }

    /// Adds to one signal of a slot.
    pub(super) fn add(
        &mut self,
        signals: &Signals,
        spare: &mut Vec<Counters>,
        slot: SlotIndex,
        index: SignalIndex,
        seen: Seen,
    ) {
        let counters = self.slots.entry(slot).or_insert_with(|| spare.pop().unwrap_or_default());
        counters.add(signals, index, seen);
    }

    /// The sums of the slots that count, which empties all of them.
    pub(super) fn sums(
        &mut self,
        signals: &Signals,
        segments: &Segments,
        spare: &mut Vec<Counters>,
        feature: &FeatureName,
        part: impl Fn(SlotIndex) -> Option<Part>,
    ) -> BucketSums {
        let mut slots: Vec<(Option<Part>, SlotIndex, Counters)> = (std::mem::take(&mut self.slots)
            .into_iter())
        .map(|(slot, counters)| (part(slot), slot, counters))
        .collect();
        // In the order of the keys, as far as slots say it: what is in order already costs the map next to nothing.
        slots.sort_by_cached_key(|(part, slot, _)| {
            (part.map(|part| (part.revision, part.arm)), segments.get(segment_of(*slot)).clone())
        });
        let mut rows: Vec<(SumKey, Sum)> = Vec::new();
        for (part, slot, mut counters) in slots {
            let segment = segments.get(segment_of(slot));
            counters.drain(|index, sum| {
                let Some(Part { arm, revision }) = part else { return };
                let signal: Signal = signals.get(index).clone();
                let key =
                    SumKey { feature: feature.clone(), revision, arm, segment: segment.clone(), signal };
                rows.push((key, sum));
            });
            spare.push(counters);
        }
        rows.into_iter().collect()
    }
}

/// The buckets that are open.
#[derive(Debug)]
pub(super) struct Open {
    width_ms: i64,
    buckets: BTreeMap<i64, Bucket>,
    /// Counters that were emptied, to be filled again.
    pub(super) spare: Vec<Counters>,
    callers: usize,
    /// Lines whose caller was not kept.
    pub(super) uncounted: u64,
}

impl Open {
    pub(super) fn new(width_ms: i64) -> Self {
        Self { width_ms, buckets: BTreeMap::new(), spare: Vec::new(), callers: 0, uncounted: 0 }
    }

    /// Puts an outcome into its bucket.
    pub(super) fn put(&mut self, signals: &Signals, outcome: &Outcome) {
        let ts_ms = outcome.ts.as_millisecond();
        let start = ts_ms.div_euclid(self.width_ms) * self.width_ms;
        let bucket = self.buckets.entry(start).or_default();
        bucket.lines[usize::from(outcome.side == Side::Candidate)] += 1;
        let slot = slot_of(outcome.segment, outcome.side);
        let counters = bucket.slots.entry(slot).or_insert_with(|| self.spare.pop().unwrap_or_default());
        counters.add(signals, signals.at.assigned, Seen::Amount(1));
        let mut rates = Rates::default();
        for (index, seen) in &outcome.seen {
            if !rates.take(signals, *index, *seen) {
                counters.add(signals, *index, *seen);
            }
        }
        if self.callers >= CALLERS_MAX {
            self.uncounted += 1;
            counters.add_rates(signals, rates, Mishaps::default());
            return;
        }
        self.callers += 1;
        bucket.calls.push(Call {
            visitor: outcome.visitor,
            session: outcome.session,
            cost_nano_usd: outcome.cost_nano_usd,
            slot,
            after_ms: (ts_ms - start) as u32,
            rates,
        });
    }

    /// The earliest bucket, if there is one that ended at or before a moment.
    pub(super) fn pop(&mut self, ended_by_ms: i64) -> Option<(i64, Bucket)> {
        let first = self.buckets.first_entry().filter(|first| first.key() + self.width_ms <= ended_by_ms)?;
        let (start, bucket) = first.remove_entry();
        self.callers -= bucket.calls.len();
        Some((start, bucket))
    }

    /// Whether the next one popped is the last.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}
