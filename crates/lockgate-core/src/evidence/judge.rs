//! The tests of one rule, and what they have gathered.

mod relative;

use std::sync::Arc;
use std::time::Duration;

use lockgate_stats::Histogram;
use lockgate_stats::dropped::DropTest;
use lockgate_stats::interval;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::pairing::Pairing;
use lockgate_stats::rate::RateTest;

pub(super) use self::relative::RARE;
use self::relative::{Kept, Relative};

use super::course::{Spec, why_not};
use super::proof::{Bar, Broken, Gathered, are_shown};
use super::rise::Rise;
use super::shift::Shift;
use super::spend::Spend;
use super::tally::{Both, Tally};
use crate::plan::{Blame, Rule};
use crate::sums::BucketStart;

/// The tests of one rule. Those that have no passing side have no `pass`.
#[derive(Debug, Clone)]
pub(super) enum Judge {
    /// A rate against a limit and, before the candidate is blamed, against stable.
    Rate { test: Arc<RateTest>, fail: Broken, pass: Option<Gathered>, blame: Option<Box<Relative>> },
    /// A rate against stable's only.
    Ratio(Box<Relative>, Option<Box<Kept>>),
    /// A mean against a limit.
    Mean { test: MeanTest, fail: Broken, pass: Option<Gathered> },
    /// A mean against stable's.
    Drop { test: DropTest, pairing: Pairing, fail: Broken, pass: Option<(DropTest, Gathered)> },
    /// What sessions take against stable's.
    Rise(Box<Rise>),
    /// A distribution against stable's.
    Shift(Box<Shift>),
    /// Amounts in a window.
    Spend(Box<Spend>),
    /// It never happens; what a person has already seen does not count again.
    Never {
        /// Hits that were seen by whoever let the rollout go on.
        seen: u64,
    },
    /// The rule does not fit how the signal is counted: nothing is ever shown.
    Nothing {
        /// Why.
        why: &'static str,
    },
}

/// One bucket that is closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) start: BucketStart,
    pub(super) cap: Option<f64>,
    /// Buckets before it that brought nothing.
    pub(super) skipped: u64,
    pub(super) bar: Bar,
    pub(super) pass_needed: f64,
    /// Whether nobody is left to compare with.
    pub(super) is_alone: bool,
}

impl Judge {
    pub(super) fn new(spec: &Spec, bucket: Duration, has_pass: bool) -> Self {
        if let Some(why) = why_not(&spec.rule, &spec.signal, spec.role) {
            return Self::Nothing { why };
        }
        if spec.is_literal() && matches!(spec.rule, Rule::ShiftUnder { .. }) {
            return Self::Nothing { why: "a distribution has no window that could be taken at its word" };
        }
        let gathered = || has_pass.then(Gathered::default);
        let fail = Broken::default();
        match (spec.rule, &spec.rate_test) {
            (Rule::RateUnder { blame, .. } | Rule::SlowUnder { blame, .. }, Some(test)) => Self::Rate {
                test: Arc::clone(test),
                fail,
                pass: gathered(),
                blame: match blame {
                    Blame::Always => None,
                    Blame::OverStable { ratio } => Some(Box::new(Relative::new(ratio))),
                },
            },
            (Rule::MeanOver { .. }, Some(test)) => {
                Self::Rate { test: Arc::clone(test), fail, pass: gathered(), blame: None }
            }
            (Rule::MeanOver { limit }, None) => {
                Self::Mean { test: MeanTest::over(limit), fail, pass: gathered() }
            }
            (Rule::RatioUnder { fail, pass }, _) => {
                Self::Ratio(Box::new(Relative::new(fail)), has_pass.then(|| Box::new(Kept::new(pass))))
            }
            (Rule::DropUnder { fail: dropped, pass }, _) => Self::Drop {
                test: DropTest::under(dropped),
                pairing: Pairing::default(),
                fail,
                pass: gathered().map(|gathered| (DropTest::under(pass), gathered)),
            },
            (Rule::RiseUnder { fail, pass }, _) => Self::Rise(Box::new(Rise::new(fail, pass, has_pass))),
            (Rule::ShiftUnder { ratio }, _) => Self::Shift(Box::new(Shift::new(ratio, has_pass))),
            (Rule::SpendUnder { times }, _) => {
                let over = spec.watch.map_or(Duration::ZERO, |watch| watch.over);
                Self::Spend(Box::new(Spend::new(times, over, bucket)))
            }
            (Rule::Never, _) => Self::Never { seen: 0 },
            _ => Self::Nothing { why: "it is not counted in a way that this rule can judge" },
        }
    }

    /// The judge of a trigger after completion, when there is no stable arm any more: against what stable was like during the
    /// rollout, read with a chance `alpha` of being wrong. `past` is the account of the same trigger during the rollout.
    pub(super) fn against_past(
        spec: &Spec,
        bucket: Duration,
        past: &Self,
        counted: &Tally,
        alpha: f64,
    ) -> Self {
        let (worst, least) = bounds(counted, alpha);
        let rate =
            |test| Self::Rate { test: Arc::new(test), fail: Broken::default(), pass: None, blame: None };
        let with_blame = |limit: f64, blame| match blame {
            Blame::Always => limit,
            Blame::OverStable { ratio } => limit.max(ratio * worst),
        };
        match (spec.rule, past) {
            (_, Self::Nothing { why }) => Self::Nothing { why },
            (Rule::RateUnder { limit, blame }, _) => rate(RateTest::under(with_blame(limit, blame))),
            (Rule::SlowUnder { part, blame, .. }, _) => rate(RateTest::under(with_blame(part, blame))),
            (Rule::RatioUnder { fail, .. }, _) => rate(RateTest::under(fail * worst)),
            (Rule::DropUnder { fail, .. }, _) => match counted {
                Tally::Scores(_) => Self::Mean {
                    test: MeanTest::over((1.0 - fail) * least),
                    fail: Broken::default(),
                    pass: None,
                },
                _ => rate(RateTest::over((1.0 - fail) * least)),
            },
            (Rule::RiseUnder { fail, .. }, Self::Rise(past)) => {
                Self::Rise(Box::new(Rise::against_past(fail, past, alpha)))
            }
            (Rule::ShiftUnder { .. }, Self::Shift(past)) => {
                Self::Shift(Box::new(Shift::against_past(past, alpha)))
            }
            (Rule::SpendUnder { times }, Self::Spend(past)) => {
                let over = spec.watch.map_or(Duration::ZERO, |watch| watch.over);
                Self::Spend(Box::new(Spend::against_past(times, over, bucket, past)))
            }
            _ => Self::new(spec, bucket, false),
        }
    }

    /// Forgets what it has gathered. What never may happen and has happened was seen.
    pub(super) fn begin_anew(&mut self, spec: &Spec, bucket: Duration, all: &Both) {
        *self = match (&*self, &all.candidate) {
            (Self::Never { .. }, Tally::Count(count)) => Self::Never { seen: count.hits },
            (Self::Rise(rise), _) => {
                let mut anew = Self::new(spec, bucket, rise.pass.is_some());
                if let Self::Rise(anew) = &mut anew {
                    anew.cap = rise.cap;
                }
                anew
            }
            _ => Self::new(spec, bucket, self.has_pass()),
        };
    }

    /// From now on nobody is left to compare with.
    pub(super) fn begin_alone(&mut self) {
        if let Self::Rate { fail, blame: Some(_), .. } = self {
            fail.begin_alone();
        }
    }

    /// Forgets what speaks for its being kept: it was shown of other people. What speaks against it stays.
    pub(super) fn begin_passing_anew(&mut self) {
        match self {
            Self::Rate { pass, .. } | Self::Mean { pass, .. } => {
                *pass = pass.take().map(|_| Gathered::default())
            }
            Self::Ratio(_, pass) => pass.iter_mut().for_each(|pass| pass.begin_anew()),
            Self::Drop { pass, .. } => pass.iter_mut().for_each(|(_, pass)| *pass = Gathered::default()),
            Self::Rise(rise) => rise.pass = rise.pass.take().map(|_| Gathered::default()),
            Self::Shift(shift) => shift.begin_passing_anew(),
            Self::Spend(_) | Self::Never { .. } | Self::Nothing { .. } => {}
        }
    }

    fn has_pass(&self) -> bool {
        match self {
            Self::Rate { pass, .. } | Self::Mean { pass, .. } => pass.is_some(),
            Self::Ratio(_, pass) => pass.is_some(),
            Self::Drop { pass, .. } => pass.is_some(),
            Self::Shift(shift) => shift.has_pass(),
            Self::Rise(rise) => rise.pass.is_some(),
            Self::Spend(_) | Self::Never { .. } | Self::Nothing { .. } => false,
        }
    }

    /// Takes in one closed bucket. Whether the rule is shown to be broken now, and to be kept.
    pub(super) fn step(&mut self, now: &Both, step: &Step) -> (bool, bool) {
        let Step { start, cap, bar, pass_needed, is_alone, .. } = step;
        match (self, &now.candidate, &now.stable) {
            (Self::Rate { test, fail, pass, blame }, Tally::Count(candidate), Tally::Count(stable)) => {
                if candidate.n > 0 {
                    fail.step(&test.fail(*candidate));
                    step_pass(pass.as_mut(), || test.pass(*candidate));
                }
                let failed = match blame {
                    Some(blame) => {
                        blame.step(step, *candidate, *stable);
                        if *is_alone { fail.is_shown(bar) } else { are_shown(&[fail, &blame.fail], bar) }
                    }
                    None => fail.is_shown(bar),
                };
                (failed, reaches(pass.as_ref(), *pass_needed))
            }
            (Self::Ratio(relative, pass), Tally::Count(candidate), Tally::Count(stable)) => {
                let groups = relative.step(step, *candidate, *stable);
                if let Some(pass) = pass {
                    pass.step(*candidate, groups);
                }
                let passed = pass.as_ref().is_some_and(|pass| pass.reaches(*pass_needed));
                (relative.fail.is_shown(bar), passed)
            }
            (Self::Mean { test, fail, pass }, Tally::Scores(scores), _) => {
                if scores.iter().any(|count| *count > 0) {
                    fail.step(&test.fail_step(scores));
                    step_pass(pass.as_mut(), || test.pass_step(scores));
                }
                (fail.is_shown(bar), reaches(pass.as_ref(), *pass_needed))
            }
            (Self::Drop { test, pairing, fail, pass }, candidate, stable) => {
                let scores: (Histogram, Histogram) = (candidate.scores(), stable.scores());
                // The bucket is the seed: every controller, now and in a replay, draws the same pairs.
                let pairs = pairing.take(start.0 as u64, &scores.0, &scores.1);
                if !pairs.is_empty() {
                    fail.step(&test.fail_step(pairs));
                    if let Some((test, pass)) = pass {
                        pass.step(&test.pass_step(pairs));
                    }
                }
                let pass = pass.as_ref().map(|(_, pass)| pass);
                (fail.is_shown(bar), reaches(pass, *pass_needed))
            }
            (Self::Rise(rise), Tally::Sizes(candidate), Tally::Sizes(stable)) => {
                rise.step(*start, *cap, candidate, stable);
                rise.shown(bar, *pass_needed)
            }
            (Self::Shift(shift), Tally::Sizes(candidate), Tally::Sizes(stable)) => {
                shift.step(*start, candidate, stable);
                shift.shown(bar, *pass_needed)
            }
            (Self::Spend(spend), Tally::Spent(candidate), Tally::Spent(stable)) => {
                spend.step(*start, *candidate, *stable);
                (spend.spending().is_some_and(|spending| spending.is_exceeded), false)
            }
            (Self::Never { .. }, Tally::Count(candidate), _) => (candidate.hits > 0, false),
            _ => (false, false),
        }
    }

    /// Whether the rule is shown to be broken by a change alone, and not by all that was counted since the beginning.
    pub(super) fn is_by_change(&self, bar: &Bar) -> bool {
        match self {
            Self::Rate { fail, .. } | Self::Mean { fail, .. } | Self::Drop { fail, .. } => {
                fail.is_by_change(bar)
            }
            Self::Ratio(relative, _) => relative.fail.is_by_change(bar),
            Self::Rise(rise) => rise.fail.is_by_change(bar),
            Self::Shift(_) | Self::Spend(_) | Self::Never { .. } | Self::Nothing { .. } => false,
        }
    }

    /// The evidence that the rule is kept; 0 where there is none.
    pub(super) fn log_e_pass(&self) -> f64 {
        match self {
            Self::Ratio(_, pass) => pass.as_ref().map_or(0.0, |pass| pass.log_e()),
            Self::Shift(shift) => shift.log_e_pass(),
            judge => judge.gathered().map_or(0.0, Gathered::log_e),
        }
    }

    /// How many times the observations so far, more of the same, would let it pass.
    pub(super) fn multiple_to_pass(&self, needed: f64) -> Option<f64> {
        match self {
            Self::Ratio(_, pass) => pass.as_ref()?.multiple_to(needed),
            judge => judge.gathered()?.multiple_to(needed),
        }
    }

    fn gathered(&self) -> Option<&Gathered> {
        match self {
            Self::Rate { pass, .. } | Self::Mean { pass, .. } => pass.as_ref(),
            Self::Drop { pass, .. } => pass.as_ref().map(|(_, pass)| pass),
            Self::Rise(rise) => rise.pass.as_ref(),
            Self::Ratio(..) | Self::Shift(_) | Self::Spend(_) | Self::Never { .. } | Self::Nothing { .. } => {
                None
            }
        }
    }
}

fn step_pass(pass: Option<&mut Gathered>, factor: impl FnOnce() -> lockgate_stats::wealth::Wealth) {
    if let Some(pass) = pass {
        pass.step(&factor());
    }
}

fn reaches(pass: Option<&Gathered>, needed: f64) -> bool {
    needed.is_finite() && pass.is_some_and(|pass| pass.reaches(needed))
}

/// The largest and the smallest that a rate or a mean was, each wrong with a chance of at most `alpha`. Without observations
/// it may have been anything, and then nothing is held against whoever is compared with it.
fn bounds(counted: &Tally, alpha: f64) -> (f64, f64) {
    let (low, high) = match counted {
        Tally::Count(count) => interval::of_rate(*count, alpha),
        Tally::Scores(scores) => interval::of_mean(scores, alpha),
        Tally::Spent(_) | Tally::Sizes(_) => (0.0, 1.0),
    };
    (high, low)
}
