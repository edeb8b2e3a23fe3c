//! The running account of one gate or trigger, over the whole of the traffic or over one slice of it.
//!
//! During a bucket it adds up what the sums hand it; when the bucket is closed, its tests step once. What has been shown once
//! stays shown: both sides are valid at every look, so the first look that reaches a threshold counts.

use std::sync::Arc;
use std::time::Duration;

use super::course::{Part, Spec};
use super::judge::{Judge, Step};
use super::literal::Literal;
use super::proof::Bar;
use super::spend::Per;
use super::tally::{Both, Side};
use super::window::Trailing;
use crate::duration_levels::{Level, first_slower};
use crate::event::Role;
use crate::plan::{Action, Rule};
use crate::sums::{BucketStart, Sum};

/// The rate at which observations come in is that of the last hour.
const RECENT: Duration = Duration::from_secs(3600);

/// The account of one check.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) spec: Arc<Spec>,
    /// Its part of the error budget: the whole traffic's, or one slice's.
    pub(super) part: Part,
    pub(super) judge: Judge,
    /// This bucket's.
    now: Both,
    /// Since the rollout began.
    pub(super) all: Both,
    /// Whether the signal was seen once, in either arm.
    pub(super) reported: bool,
    pub(super) passed: bool,
    /// The bucket in which the rule was shown to be broken.
    pub(super) failed: Option<BucketStart>,
    /// A trigger's window, taken at its word.
    pub(super) literal: Option<Box<Literal>>,
    /// The candidate's latest observations, of a gate that can pass.
    pub(super) recent: Option<Box<Trailing<1>>>,
    slow_from: Option<Level>,
    is_touched: bool,
    stepped: Option<BucketStart>,
    bucket: Duration,
    /// Buckets that brought something: how often its detectors may have been looked at.
    pub(super) looks: u64,
    /// Observations from before the passing side last began anew.
    pub(super) untested: u64,
    /// What came after that for which the rollout was frozen. It takes the place of the rest when a person lets it go on.
    since_seen: Option<Box<SinceSeen>>,
}

/// The tests of an account, begun anew at a freeze.
#[derive(Debug, Clone)]
struct SinceSeen {
    judge: Judge,
    literal: Option<Box<Literal>>,
    failed: Option<BucketStart>,
}

/// What all accounts that close a bucket have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closing {
    pub(super) start: BucketStart,
    /// Up to what a session counts, for a rule on rises.
    pub(super) cap: Option<f64>,
    /// Whether nobody is left to compare a candidate with.
    pub(super) is_alone: bool,
}

impl Account {
    /// Of the whole traffic.
    pub(super) fn new(spec: Arc<Spec>, bucket: Duration) -> Self {
        let literal = spec
            .watch
            .and_then(|watch| Literal::new(spec.rule, watch.over, bucket, watch.mode))
            .map(Box::new);
        let is_gate = spec.role == Role::Gate;
        let recent = is_gate.then(|| Box::new(Trailing::new(RECENT, bucket)));
        Self { literal, recent, part: spec.whole, ..Self::of(spec, bucket, is_gate) }
    }

    /// Of one slice: it fails as the whole does, and lets nothing pass.
    pub(super) fn of_slice(spec: Arc<Spec>, part: Part, bucket: Duration) -> Self {
        Self { part, ..Self::of(spec, bucket, false) }
    }

    fn of(spec: Arc<Spec>, bucket: Duration, has_pass: bool) -> Self {
        let none = Both::none(spec.signal.measure());
        Self {
            part: Part::NONE,
            judge: Judge::new(&spec, bucket, has_pass),
            now: none.clone(),
            all: none,
            reported: false,
            passed: false,
            failed: None,
            literal: None,
            recent: None,
            slow_from: match spec.rule {
                Rule::SlowUnder { limit, .. } => Some(first_slower(limit)),
                _ => None,
            },
            is_touched: false,
            stepped: None,
            bucket,
            looks: 0,
            untested: 0,
            since_seen: None,
            spec,
        }
    }

    /// The rollout is frozen for what was counted so far: whoever lets it go on has seen that and nothing later. So from here
    /// what comes is also judged by itself. A window of spending forgets without that.
    pub(super) fn note_seen(&mut self) {
        if matches!(self.judge, Judge::Spend(_)) {
            return;
        }
        let (mut judge, mut literal) = (self.judge.clone(), self.literal.clone());
        judge.begin_anew(&self.spec, self.bucket, &self.all);
        if let Some(literal) = &mut literal {
            literal.clear();
        }
        self.since_seen = Some(Box::new(SinceSeen { judge, literal, failed: None }));
    }

    /// A person has let the rollout go on: only what came after what was seen counts towards another freeze.
    pub(super) fn forgive(&mut self) {
        if let Some(since_seen) = self.since_seen.take() {
            (self.judge, self.literal, self.failed) =
                (since_seen.judge, since_seen.literal, since_seen.failed);
        }
    }

    /// The bucket in which it was shown to be broken; where that was seen and it was broken again since, the later one.
    pub(super) fn broken_since(&self) -> Option<BucketStart> {
        self.since_seen.as_ref().and_then(|since_seen| since_seen.failed).or(self.failed)
    }

    /// From now on nobody is left to compare the candidate with.
    pub(super) fn begin_alone(&mut self) {
        self.judge.begin_alone();
        if let Some(since_seen) = &mut self.since_seen {
            since_seen.judge.begin_alone();
        }
    }

    /// People whom it was never tested on get the candidate: it has to be shown again that the rule is kept.
    pub(super) fn begin_passing_anew(&mut self) {
        self.judge.begin_passing_anew();
        self.passed = false;
        self.untested = self.n();
    }

    /// Whether a broken rule of this check freezes.
    pub(super) fn freezes(&self) -> bool {
        self.spec.action() == Some(Action::Freeze)
    }

    /// Puts another judge in the place of the present one.
    pub(super) fn judged_by(&mut self, judge: Judge) {
        self.judge = judge;
        // What stable was like may itself have been read wrong, with half of the chance.
        self.part.bar = self.part.bar.halved();
    }

    /// Adds one sum of the bucket that is being read. Whether it is the first.
    pub(super) fn add(&mut self, side: Side, sum: &Sum) -> bool {
        match side {
            Side::Candidate => self.now.candidate.add(sum, self.slow_from),
            Side::Stable => self.now.stable.add(sum, self.slow_from),
        }
        !std::mem::replace(&mut self.is_touched, true)
    }

    /// Adds traffic that spending is divided by. Whether it is the first of this bucket.
    pub(super) fn count(&mut self, side: Side, per: Per, n: u64) -> bool {
        if let Judge::Spend(spend) = &mut self.judge {
            spend.count(side == Side::Candidate, per, n);
        }
        !std::mem::replace(&mut self.is_touched, true)
    }

    /// Whether it moves on even in a bucket that brings nothing.
    pub(super) fn is_moving(&self) -> bool {
        self.literal.as_ref().is_some_and(|literal| literal.is_moving())
            || matches!(&self.judge, Judge::Spend(spend) if spend.is_moving())
    }

    /// Closes the bucket that was read. Whether that changed where the check stands.
    pub(super) fn close(&mut self, closing: Closing) -> bool {
        let stands = |account: &Self| {
            let crossed = account.literal.as_ref().is_some_and(|literal| literal.crossed.is_some());
            (account.passed, account.failed, crossed)
        };
        let before = stands(self);
        self.step(closing);
        self.is_touched = false;
        let n = self.now.candidate.n();
        if let Some(recent) = &mut self.recent
            && n > 0
        {
            recent.move_on(closing.start);
            recent.add(closing.start, [n.into()]);
        }
        let Both { candidate, stable } = &mut self.now;
        candidate.move_to(&mut self.all.candidate);
        stable.move_to(&mut self.all.stable);
        stands(self) != before
    }

    fn step(&mut self, closing: Closing) {
        let Closing { start, cap, is_alone } = closing;
        if let Some(literal) = &mut self.literal {
            literal.step(start, &self.now);
        }
        self.looks += u64::from(self.now.candidate.n() > 0 || self.now.stable.n() > 0);
        // What was shown need not be shown again.
        let is_open = self.recent.is_some() && !self.passed;
        let step = Step {
            start,
            cap,
            skipped: self.skipped(start),
            bar: self.bar(),
            is_alone,
            pass_needed: if is_open { self.spec.log_pass_needed } else { f64::INFINITY },
        };
        self.stepped = Some(start);
        let is_literal = self.spec.is_literal();
        let acts = |literal: &Literal| literal.crossed.is_some() && literal.is_blamed();
        let (failed, passed) = self.judge.step(&self.now, &step);
        let failed = match &self.literal {
            Some(literal) if is_literal => acts(literal),
            _ => failed,
        };
        if let Some(since_seen) = &mut self.since_seen {
            let SinceSeen { judge, literal, failed } = &mut **since_seen;
            let (mut fails, _) = judge.step(&self.now, &step);
            if let Some(literal) = literal {
                literal.step(start, &self.now);
                fails = if is_literal { acts(literal) } else { fails };
            }
            *failed = failed.or(fails.then_some(start));
        }
        match self.judge {
            // A window forgets, and so this is not kept as the proofs are.
            Judge::Spend(_) => self.failed = failed.then(|| self.failed.unwrap_or(start)),
            _ => self.failed = self.failed.or(failed.then_some(start)),
        }
        self.passed |= passed;
    }

    /// What must be shown for the rule to count as broken, after so many looks.
    pub(super) fn bar(&self) -> Bar {
        self.part.bar.after(self.looks)
    }

    /// Whether this bucket was already closed.
    pub(super) fn is_closed_at(&self, start: BucketStart) -> bool {
        self.stepped == Some(start)
    }

    /// How many buckets brought nothing since the last that did.
    fn skipped(&self, start: BucketStart) -> u64 {
        let width_ms = (self.bucket.as_millis() as i64).max(1);
        self.stepped.map_or(0, |last| ((start.0 - last.0) / width_ms - 1).max(0) as u64)
    }
}
