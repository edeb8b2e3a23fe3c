//! What has been in force since when, and what follows for the accounts: a person who let the rollout go on, slices that were
//! sent back, completion, callers counted per share.
//!
//! All of it is applied when the first bucket from after it comes, so that a ledger that is built again from the log stands
//! where the one stood that lived through it.

use std::sync::Arc;

use super::{Ledger, Part};
use crate::event::Role;
use crate::evidence::Lane;
use crate::evidence::account::Account;
use crate::evidence::course::{Spec, lane_of};
use crate::evidence::judge::Judge;
use crate::evidence::tally::Side;
use crate::plan::{Action, Gate, Plan, Rule, SliceAction};
use crate::segment::Confine;
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
        self.look_over(start);
        while let Some(next) = self.moves.get(self.moved).copied()
            && next.at <= start.timestamp()
        {
            let before = self.present().copied();
            self.moved += 1;
            if before.is_none_or(|before| before.phase != next.phase) {
                self.visitors.forget();
                next.phase.into_iter().for_each(|phase| self.admit(phase));
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
        let is_alone = self.present().is_some_and(|present| self.is_left_alone(present));
        let was_alone = std::mem::replace(&mut self.is_alone, is_alone);
        if is_alone && !was_alone {
            let whole = self.whole.iter_mut().filter(|account| account.spec.lane == Lane::Candidate);
            let of_slices = self.slices.iter_mut().flatten().flatten().map(|account| &mut **account);
            whole.chain(of_slices).for_each(Account::begin_alone);
        }
    }

    /// Whether all whom the candidate may touch have it, and the rollout is not over: of these people stable has none. That
    /// is known from the plan before a call is counted, so what follows from it cannot favour a side.
    fn is_left_alone(&self, moved: &Move) -> bool {
        let phase = moved.phase.and_then(|at| self.plan.phases.get(at));
        phase.is_some_and(|phase| phase.kind.share() == Share::FULL)
    }

    /// Follows what a person has seen: what froze the rollout, up to its last bucket. What came later is kept apart from
    /// there on, and takes the place of the rest when the rollout is let go on.
    fn look_over(&mut self, start: BucketStart) {
        while let Some(next) = self.moves.get(self.looked_over).copied()
            && next.seen.map_or(next.at <= start.timestamp(), |seen| seen < start)
        {
            if next.seen.is_some() {
                self.of_freezes(Account::note_seen);
            } else if next.resumed {
                self.of_freezes(Account::forgive);
            }
            self.looked_over += 1;
        }
    }

    /// Everything that a freeze is called for by, and the gates that ask of a later phase what such a trigger asks at once: a
    /// person who has seen that it happened need not be stopped by it again.
    fn of_freezes(&mut self, each: impl Fn(&mut Account)) {
        let Self { whole, slices, specs, .. } = self;
        let is_named_by = |gate: &Spec| {
            let is_same = |other: &Spec| other.lane == gate.lane && other.signal == gate.signal;
            let is_never = |other: &Spec| other.rule == Rule::Never;
            is_never(gate)
                && specs
                    .iter()
                    .any(|other| other.action() == Some(Action::Freeze) && is_never(other) && is_same(other))
        };
        let whole = whole.iter_mut().filter(|account| {
            account.freezes() || account.spec.role == Role::Gate && is_named_by(&account.spec)
        });
        whole.for_each(&each);
        if self.plan.slices.action == SliceAction::Freeze {
            slices.iter_mut().flatten().flatten().for_each(|account| each(account));
        }
    }

    /// A phase begins. Where it lets in people whom no phase before it with the same gate did, what that gate has shown was
    /// shown of others, and it has to be shown again; what speaks against the candidate stays. A larger share of the same
    /// people needs no such thing: who of them comes first is drawn, so the first are like the rest.
    fn admit(&mut self, phase: usize) {
        let (plan, confines) = (&self.plan, &self.confines);
        let Some(of) = plan.phases.get(phase) else { return };
        let before: Vec<usize> = (self.moves[..self.moved].iter())
            .filter_map(|moved| moved.phase)
            .filter(|at| {
                *at < phase && plan.phases.get(*at).is_some_and(|other| lane_of(other) == lane_of(of))
            })
            .collect();
        for gate in &of.gates {
            if is_tested(plan, confines, &before, phase, gate) {
                continue;
            }
            let is_its_own = |account: &&mut Account| {
                let spec = &account.spec;
                spec.role == Role::Gate
                    && spec.lane == lane_of(of)
                    && spec.signal == gate.signal
                    && spec.rule == gate.rule
            };
            self.whole.iter_mut().filter(is_its_own).for_each(Account::begin_passing_anew);
            self.changes += 1;
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
            let (reported, looks) = (account.reported, account.looks);
            *account = Account::new(Arc::clone(&account.spec), self.bucket);
            (account.reported, account.looks) = (reported, looks);
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

/// Whether what a gate has shown by the time a phase begins was shown of people like those whom the phase lets in. `before`
/// are the phases on the same kind of calls that came before it; those with the same gate count, or all where none has it.
pub(crate) fn is_tested(
    plan: &Plan,
    confines: &[Confine],
    before: &[usize],
    phase: usize,
    gate: &Gate,
) -> bool {
    let holds = |at: &usize| {
        plan.phases[*at].gates.iter().any(|other| other.signal == gate.signal && other.rule == gate.rule)
    };
    let covers = |at: &usize| confines[*at].covers(&confines[phase]);
    match before.iter().any(holds) {
        true => before.iter().filter(|at| holds(at)).any(covers),
        false => before.is_empty() || before.iter().any(covers),
    }
}

/// Whether everybody has the candidate and the rollout is over.
pub(super) fn is_completed(moved: &Move) -> bool {
    moved.phase.is_none() && moved.share == Share::FULL
}
