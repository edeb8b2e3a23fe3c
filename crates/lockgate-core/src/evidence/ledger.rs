//! The running account of one rollout: where each sum goes, and what a closed bucket changes.
//!
//! Only what a bucket touches costs anything in it. Sums find their accounts by signal and lane; accounts that got nothing are
//! not stepped, but for the few windows that move on by themselves.

mod force;
mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::route::Part;
use super::account::{Account, Closing};
use super::budget::{REPLICAS_MAX, RETREAT_PART};
use super::course::{self, Spec};
use super::judge::Judge;
use super::places::Places;
use super::rise::Cap;
use super::say::Telling;
use super::spend::Per;
use super::tally::Side;
use super::visitors::Visitors;
use super::{Check, Evidence, Lane, LastSeen};
use crate::name::Revision;
use crate::plan::{Mode, Plan, Rule};
use crate::segment::{Confine, Slice};
use crate::signal::{Measure, Signal};
use crate::state::{Move, Rollout, Withdrawn};
use crate::sums::{BucketStart, BucketSums};

/// The running account of one rollout.
#[derive(Debug, Clone)]
pub struct Ledger {
    bucket: Duration,
    started: Timestamp,
    plan: Plan,
    confine: Confine,
    candidate: Revision,
    stable: Revision,
    specs: Vec<Arc<Spec>>,
    /// Which checks want the sums of a signal, per lane.
    wants: BTreeMap<Signal, [Vec<(usize, Use)>; 3]>,
    /// Of the whole traffic, one per check.
    whole: Vec<Account>,
    /// Of each slice, per check; only those for which something was counted.
    slices: Vec<Vec<Option<Box<Account>>>>,
    /// Checks with windows that move on by themselves.
    moving: Vec<usize>,
    places: Places,
    caps: BTreeMap<Signal, Cap>,
    visitors: Visitors,
    moves: Vec<Move>,
    /// How many of the moves were before the last bucket.
    moved: usize,
    /// How many of the moves were looked at for what a person has seen.
    looked_over: usize,
    /// Whether all whom the candidate may touch have it, before the rollout is over.
    is_alone: bool,
    /// Whom each phase may touch.
    confines: Vec<Confine>,
    withdrawn: Vec<Withdrawn>,
    last_closed: Option<BucketStart>,
    last_assigned: Option<BucketStart>,
    last_seen: LastSeen,
    candidate_calls: u64,
    writers: u64,
    changes: u64,
    /// Kept between buckets for its memory only: which accounts the bucket touched, by slice and check.
    touched: Vec<(Option<usize>, usize)>,
}

/// What a check wants a sum for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is what is judged.
    Judged,
    /// It is what spending is divided by.
    Traffic(Per),
}

impl Ledger {
    /// An empty account for a rollout whose sums come in buckets of this width.
    pub fn new(rollout: &Rollout, bucket: Duration) -> Self {
        let specs: Vec<Arc<Spec>> = course::specs(rollout, bucket).into_iter().map(Arc::new).collect();
        let mut wants: BTreeMap<Signal, [Vec<(usize, Use)>; 3]> = BTreeMap::new();
        let mut want = |signal: &Signal, lane: Lane, check: usize, what: Use| {
            wants.entry(signal.clone()).or_default()[lane as usize].push((check, what));
        };
        for (check, spec) in specs.iter().enumerate() {
            want(&spec.signal, spec.lane, check, Use::Judged);
            if matches!(spec.rule, Rule::SpendUnder { .. }) {
                want(&Signal::Sessions, spec.lane, check, Use::Traffic(Per::Session));
                want(&Signal::Assigned, spec.lane, check, Use::Traffic(Per::Call));
            }
        }
        let caps = (specs.iter())
            .filter(|spec| matches!(spec.rule, Rule::RiseUnder { .. }))
            .map(|spec| (spec.signal.clone(), Cap::default()))
            .collect();
        let whole: Vec<Account> = specs.iter().map(|spec| Account::new(Arc::clone(spec), bucket)).collect();
        let moves_by_itself =
            |account: &Account| account.literal.is_some() || matches!(account.judge, Judge::Spend(_));
        Self {
            bucket,
            started: rollout.started,
            plan: rollout.plan.clone(),
            confine: rollout.confine.clone(),
            candidate: rollout.candidate.revision,
            stable: rollout.stable.revision,
            moving: (0..whole.len()).filter(|check| moves_by_itself(&whole[*check])).collect(),
            specs,
            wants,
            whole,
            slices: Vec::new(),
            places: Places::default(),
            caps,
            visitors: Visitors::default(),
            moves: Vec::new(),
            moved: 0,
            looked_over: 0,
            is_alone: false,
            confines: rollout.plan.phases.iter().map(|phase| rollout.confine_of(phase)).collect(),
            withdrawn: Vec::new(),
            last_closed: None,
            last_assigned: None,
            last_seen: LastSeen::default(),
            candidate_calls: 0,
            writers: 1,
            changes: 0,
            touched: Vec::new(),
        }
    }

    /// The account that a single gateway keeps of its own calls, to go back alone when it must. It has a small part of alpha
    /// to itself, shared by as many gateways as there may be.
    pub fn of_replica(rollout: &Rollout, bucket: Duration) -> Self {
        let mut own = rollout.clone();
        own.plan.alpha *= RETREAT_PART / REPLICAS_MAX;
        own.plan.slices.part = 0.0;
        // Only proof counts: what a plan asks of a window or of money, it asks of the whole of the traffic.
        own.plan.triggers.retain(|trigger| {
            trigger.mode == Mode::Evidence && !matches!(trigger.rule, Rule::SpendUnder { .. })
        });
        Self::new(&own, bucket)
    }

    /// Tells how many writers (replicas, restarts) the sums come from: a caller may have been counted as new by each.
    pub fn written_by(&mut self, writers: u64) {
        self.writers = self.writers.max(writers);
    }

    /// Tells what has been in force since when ([`Rollout::moves`], withdrawn slices), before buckets from after the latest
    /// of it are taken in. Told again, and with more, it changes nothing about buckets from before; so where what was taken
    /// would have been read otherwise, it says yes, and whoever can should begin again with an empty account.
    pub fn follow(&mut self, rollout: &Rollout) -> bool {
        let Rollout { moves, withdrawn, .. } = rollout;
        if self.moves == *moves && self.withdrawn == *withdrawn {
            return false;
        }
        let is_other = self.last_closed.is_some_and(|last| {
            let by_then =
                |moved: &&Move| moved.at <= last.timestamp() || moved.seen.is_some_and(|seen| seen < last);
            let left_out = |withdrawn: &&Withdrawn| withdrawn.since <= last.timestamp();
            !self.moves.iter().filter(by_then).eq(moves.iter().filter(by_then))
                || !self.withdrawn.iter().filter(left_out).eq(withdrawn.iter().filter(left_out))
        });
        self.moves.clone_from(moves);
        self.withdrawn.clone_from(withdrawn);
        is_other
    }

    /// Takes in one closed bucket, its writers merged. Buckets come oldest first; one at or before the last taken, or that
    /// began before the rollout did, changes nothing. A bucket in which nothing happened is handed over too, empty: that
    /// nothing was counted is itself evidence.
    pub fn take(&mut self, start: BucketStart, sums: &BucketSums) {
        if start.timestamp() < self.started || self.last_closed.is_some_and(|last| start <= last) {
            return;
        }
        self.withdraw(start);
        self.move_on(start);
        self.last_closed = Some(start);
        let mut new = BTreeSet::new();
        for (key, sum) in sums {
            match self.part(key) {
                Some(Part::Candidate(Lane::Warm)) => {
                    self.note(Lane::Warm, start, key, sum, &mut new);
                    self.note_call(start, key, sum);
                }
                Some(Part::Candidate(lane)) => self.note(lane, start, key, sum, &mut new),
                Some(Part::Former) => self.note_call(start, key, sum),
                _ => {}
            }
        }
        if !new.is_empty() && self.specs.iter().any(|spec| spec.each_slice.is_some()) {
            self.places.judge(new);
        }
        let counts_visitors = self.counts_visitors(start);
        for (key, sum) in sums {
            match self.part(key) {
                Some(Part::Candidate(lane)) => self.add(lane, Side::Candidate, key, sum),
                Some(Part::Stable) => {
                    self.note_stable(key, sum);
                    self.add(Lane::Shadow, Side::Stable, key, sum);
                    self.add(Lane::Candidate, Side::Stable, key, sum);
                }
                Some(Part::Former) | None => {}
            }
            if counts_visitors && key.signal == Signal::Visitors {
                self.count_visitors(key, sum);
            }
        }
        self.close(start);
        if counts_visitors && let Some(present) = self.present() {
            self.changes += u64::from(self.visitors.judge(present.share, self.writers));
        }
    }

    /// Where everything stands.
    pub fn evidence(&self) -> Evidence {
        let check = |account: &Account, slice: Option<&Slice>| Check {
            lane: account.spec.lane,
            slice: slice.cloned(),
            rule: account.spec.rule,
            action: account.spec.action(),
            reported: account.reported,
            of_both: account.literal.as_ref().is_some_and(|literal| literal.is_of_both()),
            broken_since: account.broken_since(),
            verdict: account.verdict(&self.telling(account.spec.lane, slice)),
        };
        let mut checks = Vec::with_capacity(self.whole.len() * (1 + self.slices.len()));
        checks.extend(self.whole.iter().map(|account| check(account, None)));
        for (slice, accounts) in self.places.slices.iter().zip(&self.slices) {
            checks.extend(accounts.iter().flatten().map(|account| check(account, Some(slice))));
        }
        Evidence {
            bucket: self.bucket,
            last_closed: self.last_closed,
            last_assigned: self.last_assigned,
            last_seen: self.last_seen,
            candidate_calls: self.candidate_calls,
            mismatch: self.visitors.found,
            slices_beyond: self.places.beyond(),
            checks,
        }
    }

    /// How often a check has come to stand elsewhere. While this stays the same and the rollout is in a phase, only time
    /// changes a decision; whoever replays years of buckets need not decide after each.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn telling<'l>(&self, lane: Lane, slice: Option<&'l Slice>) -> Telling<'l> {
        Telling {
            alpha: self.plan.alpha,
            bucket: self.bucket,
            last_closed: self.last_closed,
            since: self.present().map_or(self.started, |present| present.at),
            slice,
            is_alone: self.is_alone && lane == Lane::Candidate,
        }
    }

    /// Closes the accounts that the bucket touched, and those that move on by themselves.
    fn close(&mut self, start: BucketStart) {
        let is_alone = self.is_alone;
        let mut touched = std::mem::take(&mut self.touched);
        for (slice, check) in touched.drain(..) {
            let account = match slice {
                None => Some(&mut self.whole[check]),
                Some(slice) => self.slices[slice][check].as_deref_mut(),
            };
            let cap = match &self.specs[check].signal {
                signal if signal.measure() == Measure::Sizes => self.caps.get(signal).and_then(Cap::fixed),
                _ => None,
            };
            if let Some(account) = account {
                let is_alone = is_alone && account.spec.lane == Lane::Candidate;
                self.changes += u64::from(account.close(Closing { start, cap, is_alone }));
            }
        }
        self.touched = touched;
        for check in &self.moving {
            let account = &mut self.whole[*check];
            if account.is_moving() && !account.is_closed_at(start) {
                let is_alone = is_alone && account.spec.lane == Lane::Candidate;
                self.changes += u64::from(account.close(Closing { start, cap: None, is_alone }));
            }
        }
    }
}
