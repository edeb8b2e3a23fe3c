//! Where a sum goes: whose it is, what is noted of it, and which accounts it is added to.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::force::is_completed;
use super::{Ledger, Use};
use crate::evidence::Lane;
use crate::evidence::account::Account;
use crate::evidence::tally::Side;
use crate::segment::Slice;
use crate::signal::{Arm, Signal};
use crate::sums::{BucketStart, Sum, SumKey};

/// What a sum is to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The candidate's, in one lane.
    Candidate(Lane),
    /// Stable's, which every lane is compared with.
    Stable,
    /// The candidate's as the stable version, while the rollout is not completed: left over from another one.
    Former,
}

impl Ledger {
    /// The arm tells candidate and stable apart, also when both have the same content; the revision keeps out what belongs
    /// to another rollout.
    pub(super) fn part(&self, key: &SumKey) -> Option<Part> {
        match key.arm {
            Arm::Shadow if key.revision == self.candidate => Some(Part::Candidate(Lane::Shadow)),
            Arm::Candidate if key.revision == self.candidate => Some(Part::Candidate(Lane::Candidate)),
            Arm::Stable if key.revision == self.stable => Some(Part::Stable),
            Arm::Stable if key.revision == self.candidate => match self.present() {
                Some(present) if is_completed(present) => Some(Part::Candidate(Lane::Warm)),
                _ => Some(Part::Former),
            },
            _ => None,
        }
    }

    pub(super) fn place(&mut self, key: &SumKey) -> Option<usize> {
        self.places.find(&key.segment, &self.confine, self.specs.iter().map(|spec| &**spec))
    }

    /// Notes where and when the candidate was seen.
    pub(super) fn note(
        &mut self,
        lane: Lane,
        start: BucketStart,
        key: &SumKey,
        sum: &Sum,
        new: &mut BTreeSet<Slice>,
    ) {
        if let Some(cap) = self.caps.get_mut(&key.signal)
            && sum.n() > 0
        {
            cap.fix();
        }
        let is_call = matches!(key.signal, Signal::Assigned | Signal::Error | Signal::Latency);
        if !is_call || sum.n() == 0 {
            return;
        }
        if let Some(place) = self.place(key) {
            self.places.enter(place, lane, new);
        }
        match lane {
            Lane::Shadow => self.last_seen.shadow = Some(start),
            Lane::Candidate | Lane::Warm => self.last_seen.candidate = Some(start),
        }
        if lane == Lane::Candidate {
            self.note_call(start, key, sum);
        }
    }

    /// Notes that the candidate was given calls of users.
    pub(super) fn note_call(&mut self, start: BucketStart, key: &SumKey, sum: &Sum) {
        if key.signal == Signal::Assigned && sum.n() > 0 {
            self.last_assigned = Some(start);
            self.candidate_calls = self.candidate_calls.saturating_add(sum.n());
        }
    }

    /// Notes what stable's sessions take, to read a cap from.
    pub(super) fn note_stable(&mut self, key: &SumKey, sum: &Sum) {
        if !self.caps.contains_key(&key.signal) {
            return;
        }
        let Some(place) = self.place(key) else { return };
        let place = self.places.get(place);
        if place.is_admitted
            && !place.is_withdrawn
            && let Some(cap) = self.caps.get_mut(&key.signal)
        {
            cap.note(sum);
        }
    }

    pub(super) fn add(&mut self, lane: Lane, side: Side, key: &SumKey, sum: &Sum) {
        let Some(at) = self.place(key) else { return };
        let Some(wants) = self.wants.get(&key.signal) else { return };
        let place = self.places.get(at);
        if place.is_withdrawn && lane != Lane::Warm {
            return;
        }
        let is_entered = side == Side::Candidate || place.entered[lane as usize];
        for &(check, what) in &wants[lane as usize] {
            if !place.admits(check) {
                continue;
            }
            let account = &mut self.whole[check];
            if what == Use::Judged && !account.reported && sum.n() > 0 {
                account.reported = true;
                self.changes += 1;
            }
            if !is_entered {
                continue;
            }
            let is_first = match what {
                Use::Judged => account.add(side, sum),
                Use::Traffic(per) => account.count(side, per, sum.n()),
            };
            if is_first {
                self.touched.push((None, check));
            }
            let Some(part) = self.specs[check].each_slice else { continue };
            for &slice in &place.slices {
                if self.slices.len() <= slice {
                    self.slices.resize_with(slice + 1, || vec![None; self.specs.len()]);
                }
                let account = self.slices[slice][check].get_or_insert_with(|| {
                    Box::new(Account::of_slice(Arc::clone(&self.specs[check]), part, self.bucket))
                });
                if account.add(side, sum) {
                    self.touched.push((Some(slice), check));
                }
            }
        }
    }
}
