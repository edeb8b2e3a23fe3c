//! Where calls come from: segments that were seen, the slices of the traffic that are judged, and those that were sent back.
//!
//! Looked up once per sum, so everything about a segment is worked out when it is first seen.

use std::collections::{BTreeMap, BTreeSet};

use super::Lane;
use super::budget::SLICES_MAX;
use super::course::Spec;
use crate::drill;
use crate::segment::{Confine, Segment, Slice};

/// Most segments that are told apart. Labels have at most 64 values, so two labels fit whole; callers of further segments are
/// left out of every account, in both arms alike.
const SEGMENTS_MAX: usize = 16_384;
/// Most slices beyond those that are judged of which it is known that they are there.
const BEYOND_MAX: usize = 1024;

/// Everything that is known of segments.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    by_segment: BTreeMap<Segment, usize>,
    places: Vec<Place>,
    /// Those that are judged by themselves, in the order in which the candidate's calls brought them.
    pub(super) slices: Vec<Slice>,
    beyond: BTreeSet<Slice>,
    withdrawn: Vec<Slice>,
    last: usize,
}

/// One segment.
#[derive(Debug, Clone)]
pub(super) struct Place {
    segment: Segment,
    /// Where the candidate has been seen, per lane. Stable's calls count only there: where the candidate is not let in yet,
    /// they are of other people.
    pub(super) entered: [bool; 3],
    /// The judged slices that hold it.
    pub(super) slices: Vec<usize>,
    /// Whether it is in a slice that was sent back.
    pub(super) is_withdrawn: bool,
    /// Whether the rollout admits it at all.
    pub(super) is_admitted: bool,
    /// Which checks may look at it; empty when all may.
    admits: Vec<bool>,
}

impl Place {
    /// Whether a check may look at it.
    pub(super) fn admits(&self, check: usize) -> bool {
        self.admits.get(check).copied().unwrap_or(true)
    }
}

impl Places {
    /// The place of a segment; `None` for one too many.
    pub(super) fn find<'s>(
        &mut self,
        segment: &Segment,
        confine: &Confine,
        specs: impl Iterator<Item = &'s Spec>,
    ) -> Option<usize> {
        if self.places.get(self.last).is_some_and(|place| place.segment == *segment) {
            return Some(self.last);
        }
        if let Some(at) = self.by_segment.get(segment) {
            self.last = *at;
            return Some(*at);
        }
        if self.places.len() >= SEGMENTS_MAX {
            return None;
        }
        let mut admits: Vec<bool> = specs.map(|spec| spec.admits(segment)).collect();
        if admits.iter().all(|admits| *admits) {
            admits = Vec::new();
        }
        self.places.push(Place {
            segment: segment.clone(),
            entered: [false; 3],
            slices: self.slices_of(segment),
            is_withdrawn: self.withdrawn.iter().any(|slice| slice.holds(segment)),
            is_admitted: confine.admits(segment),
            admits,
        });
        self.last = self.places.len() - 1;
        self.by_segment.insert(segment.clone(), self.last);
        Some(self.last)
    }

    pub(super) fn get(&self, at: usize) -> &Place {
        &self.places[at]
    }

    /// Notes that the candidate was seen there. The slices that it brought, not yet judged, are handed over to `new`.
    pub(super) fn enter(&mut self, at: usize, lane: Lane, new: &mut BTreeSet<Slice>) {
        let place = &mut self.places[at];
        if std::mem::replace(&mut place.entered[lane as usize], true) || lane != Lane::Candidate {
            return;
        }
        let labels = place.segment.labels().filter(|(label, _)| *label != drill::LABEL);
        let slices = labels.filter_map(|(label, value)| {
            Some(Slice { label: crate::name::LabelName::new(label).ok()?, value: value.to_owned() })
        });
        new.extend(slices.filter(|slice| !self.slices.contains(slice)));
    }

    /// Judges these slices too, as long as there is room.
    pub(super) fn judge(&mut self, new: BTreeSet<Slice>) {
        for slice in new {
            if self.slices.len() < SLICES_MAX {
                self.slices.push(slice);
            } else if self.beyond.len() < BEYOND_MAX {
                self.beyond.insert(slice);
            }
        }
        for at in 0..self.places.len() {
            self.places[at].slices = self.slices_of(&self.places[at].segment);
        }
    }

    /// How many slices are not judged by themselves because there are too many.
    pub(super) fn beyond(&self) -> usize {
        self.beyond.len()
    }

    /// Leaves a slice out from now on. Whether it was not left out already.
    pub(super) fn withdraw(&mut self, slice: &Slice) -> bool {
        if self.withdrawn.contains(slice) {
            return false;
        }
        self.withdrawn.push(slice.clone());
        for place in &mut self.places {
            place.is_withdrawn |= slice.holds(&place.segment);
        }
        true
    }

    fn slices_of(&self, segment: &Segment) -> Vec<usize> {
        (self.slices.iter().enumerate()).filter(|(_, slice)| slice.holds(segment)).map(|(at, _)| at).collect()
    }
}
