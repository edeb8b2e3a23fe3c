//! What has been in force since when, and what follows for the accounts: a person who let the rollout go on, slices that were
//! sent back, completion, callers counted per share.
//!
//! All of it is applied when the first bucket from after it comes, so that a ledger that is built again from the log stands
//! where the one stood that lived through it.

use std::sync::Arc;

use super::{Ledger, Part};
use crate::evidence::Lane;
use crate::evidence::account::Account;
use crate::evidence::judge::Judge;
use crate::evidence::tally::Side;
use crate::plan::SliceAction;
use crate::share::Share;
use crate::state::Move;
use crate::sums::{BucketStart, Sum, SumKey};

/// Buckets after a move in which callers are not counted yet: a table takes a moment to reach every gateway.
const GRACE_BUCKETS: i64 = 2;

impl Ledger {
    /// What is in force in the last bucket.
    pub(super) fn present(&self) -> Option<&Move> {
        self.moved.checked_sub(1).and_then(|at| self.moves.get(at))
    }

    /// Follows what came into force before this bucket.
    pub(super) fn move_on(&mut self, start: BucketStart) {
        while let Some(next) = self.moves.get(self.moved).copied()
            && next.at <= start.timestamp()
        {
            let before = self.present().copied();
            self.moved += 1;
            if next.resumed {
                self.forgive();
            }
            if before.is_some_and(|before| before.phase != next.phase) {
                self.visitors.forget();
            }
            self.visitors.begin_anew();
            self.whole
                .iter_mut()
                .filter_map(|account| account.recent.as_mut())
                .for_each(|recent| recent.clear());
            if is_completed(&next) && !before.as_ref().is_some_and(is_completed) {
                self.open_warm();
            }
        }
    }

    /// A person has let the rollout go on: what froze it counts anew.
    fn forgive(&mut self) {
        self.whole.iter_mut().filter(|account| account.freezes()).for_each(Account::forgive);
        if self.plan.slices.action == SliceAction::Freeze {
            self.slices.clear();
        }
    }

    /// Leaves out, from this bucket on, the slices that were sent back before it, and begins anew with everything that their
    /// calls went into.
    ///
    /// The new accounts may spend alpha a second time. That happens only after a slice was found broken: by mistake with a
    /// chance of at most the slices' part of alpha, so that the whole promise grows from alpha to alpha times (1 + that
    /// part), some thousandths more. Rightly, and then what is left is another candidate in effect: one for other people.
    pub(super) fn withdraw(&mut self, start: BucketStart) {
        let mut is_new = false;
        for withdrawn in &self.withdrawn {
            if withdrawn.since <= start.timestamp() {
                is_new |= self.places.withdraw(&withdrawn.slice);
            }
        }
        if !is_new {
            return;
        }
        for account in self.whole.iter_mut().filter(|account| account.spec.lane == Lane::Candidate) {
            let reported = account.reported;
            *account = Account::new(Arc::clone(&account.spec), self.bucket);
            account.reported = reported;
        }
        self.slices.clear();
        self.visitors.begin_anew();
        self.changes += 1;
    }

    /// Everybody has the candidate: from now on the triggers compare it with what stable was like during the rollout.
    fn open_warm(&mut self) {
        for check in 0..self.specs.len() {
            let spec = Arc::clone(&self.specs[check]);
            if spec.lane != Lane::Warm {
                continue;
            }
            let same = |past: &&Account| {
                let other = &past.spec;
                let is_watch = other.watch.map(|watch| watch.over) == spec.watch.map(|watch| watch.over);
                other.lane == Lane::Candidate
                    && other.name == spec.name
                    && is_watch
                    && other.role == spec.role
            };
            if let Some(past) = self.whole.iter().find(same) {
                let alpha = 0.5 * self.whole[check].part.alpha;
                let alpha = if alpha > 0.0 { alpha } else { self.plan.alpha };
                let judge = Judge::against_past(&spec, self.bucket, &past.judge, &past.all.stable, alpha);
                let stable = past.all.stable.clone();
                self.whole[check].judged_by(judge);
                self.whole[check].all.stable = stable;
            }
        }
    }

    /// Whether callers first seen in this bucket fall under one share: not while a table may still be on its way, and not
    /// where nobody, or everybody, has the candidate.
    pub(super) fn counts_visitors(&self, start: BucketStart) -> bool {
        let Some(present) = self.present().filter(|present| present.phase.is_some()) else { return false };
        let width_ms = self.bucket.as_millis() as i64;
        let settled = present.at.as_millisecond().saturating_add(GRACE_BUCKETS * width_ms);
        let next = self.moves.get(self.moved).map(|next| next.at.as_millisecond());
        let is_split = (0.0..1.0).contains(&present.share.fraction()) && present.share.fraction() > 0.0;
        is_split && start.0 >= settled && next.is_none_or(|next| start.0 + width_ms <= next)
    }

    pub(super) fn count_visitors(&mut self, key: &SumKey, sum: &Sum) {
        let side = match self.part(key) {
            Some(Part::Candidate(Lane::Candidate)) => Side::Candidate,
            Some(Part::Stable) => Side::Stable,
            _ => return,
        };
        let Some(place) = self.place(key) else { return };
        let phase = self.present().and_then(|present| present.phase).and_then(|at| self.plan.phases.get(at));
        let is_admitted = phase.is_some_and(|phase| phase.confine.admits(&key.segment));
        let place = self.places.get(place);
        if place.is_admitted && !place.is_withdrawn && is_admitted {
            self.visitors.count(side, sum.n());
        }
    }
}

/// Whether everybody has the candidate and the rollout is over.
pub(super) fn is_completed(moved: &Move) -> bool {
    moved.phase.is_none() && moved.share == Share::FULL
}
