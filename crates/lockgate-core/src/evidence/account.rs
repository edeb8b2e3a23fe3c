//! The running account of one gate or trigger.
//!
//! During a bucket it adds up what the sums hand it; when the bucket is closed, its tests step once. What has been shown once
//! stays shown: both sides are valid at every look, so the first look that reaches a threshold counts.

use lockgate_stats::dropped::DropTest;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::pairing::Pairing;
use lockgate_stats::rate::RateTest;
use lockgate_stats::ratio::{Gathering, RatioTest};
use lockgate_stats::{Count, LEVELS};

use super::course::Spec;
use super::proof::{Broken, Gathered, are_shown};
use super::tally::{Both, Side, Tally};
use super::window::{Spent, Window};
use crate::duration_levels::first_slower;
use crate::event::Role;
use crate::plan::{Action, Blame, Rule};
use crate::signal::Measure;
use crate::sums::{BucketStart, Sum};

/// The account of one check.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) spec: Spec,
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
}

/// The tests of one rule.
#[derive(Debug, Clone)]
pub(super) enum Judge {
    /// A rate against a limit and, before the candidate is blamed, against stable.
    Rate { test: Box<RateTest>, fail: Broken, pass: Gathered, blame: Option<Box<Relative>> },
    /// A rate against stable's only.
    Ratio { fail_test: RatioTest, pass_test: RatioTest, gathering: Gathering, fail: Broken, pass: Gathered },
    /// A mean against a limit.
    Mean { test: MeanTest, fail: Broken, pass: Gathered },
    /// A mean against stable's.
    Drop { fail_test: DropTest, pass_test: DropTest, pairing: Pairing, fail: Broken, pass: Gathered },
    /// Amounts in a window.
    Amount(Window),
    /// The rule does not fit how the signal is counted: nothing is ever shown.
    Nothing,
}

/// A comparison of rates with the concurrent stable arm, before the candidate is blamed.
#[derive(Debug, Clone)]
pub(super) struct Relative {
    test: RatioTest,
    gathering: Gathering,
    pub(super) fail: Broken,
}

impl Account {
    pub(super) fn new(spec: Spec) -> Self {
        let judge = judge(&spec);
        let none = match spec.signal.measure() {
            Measure::Score => Tally::Scores(Box::new([0; LEVELS])),
            Measure::Amount => Tally::Spent(Spent::default()),
            _ => Tally::Count(Count::default()),
        };
        let none = Both { candidate: none.clone(), stable: none };
        Self { spec, judge, now: none.clone(), all: none, reported: false, passed: false, failed: None }
    }

    /// A person has seen what a freeze was called for and let the rollout go on: only what comes later counts towards
    /// another one. A window forgets by itself.
    pub(super) fn forgive(&mut self) {
        let freezes = matches!(self.spec.trigger, Some((Action::Freeze, _)));
        if freezes && !matches!(self.judge, Judge::Amount(_)) {
            self.judge = judge(&self.spec);
            self.failed = None;
        }
    }

    /// Adds one sum of the bucket that is being read.
    pub(super) fn add(&mut self, side: Side, sum: &Sum) {
        let slow_from = match self.spec.rule {
            Rule::SlowUnder { limit, .. } => Some(first_slower(limit)),
            _ => None,
        };
        match side {
            Side::Candidate => self.now.candidate.add(sum, slow_from),
            Side::Stable => self.now.stable.add(sum, slow_from),
        }
    }

    /// Closes the bucket that was read. Whether that changed where the check stands.
    pub(super) fn close(&mut self, start: BucketStart) -> bool {
        let before = (self.passed, self.failed);
        self.step(start);
        let Both { candidate, stable } = &mut self.now;
        candidate.move_to(&mut self.all.candidate);
        stable.move_to(&mut self.all.stable);
        (self.passed, self.failed) != before
    }

    fn step(&mut self, start: BucketStart) {
        let bar = &self.spec.fail_bar;
        // A trigger has no passing side, and what was shown need not be shown again.
        let is_open = self.spec.role == Role::Gate && !self.passed;
        let pass_needed = if is_open { self.spec.log_pass_needed } else { f64::INFINITY };
        let (failed, passed) = match (&mut self.judge, &self.now.candidate, &self.now.stable) {
            (Judge::Rate { test, fail, pass, blame }, Tally::Count(candidate), Tally::Count(stable)) => {
                if candidate.n > 0 {
                    fail.step(&test.fail(*candidate));
                    pass.step(&test.pass(*candidate));
                }
                if let Some(blame) = blame
                    && let Some((candidate, stable)) = blame.gathering.take(*candidate, *stable)
                {
                    blame.fail.step(&blame.test.fail_step(candidate, stable));
                }
                let failed = match blame {
                    Some(blame) => are_shown(&[fail, &blame.fail], bar),
                    None => fail.is_shown(bar),
                };
                (failed, pass.reaches(pass_needed))
            }
            (
                Judge::Ratio { fail_test, pass_test, gathering, fail, pass },
                Tally::Count(candidate),
                Tally::Count(stable),
            ) => {
                if let Some((candidate, stable)) = gathering.take(*candidate, *stable) {
                    fail.step(&fail_test.fail_step(candidate, stable));
                    pass.step(&pass_test.pass_step(candidate, stable));
                }
                (fail.is_shown(bar), pass.reaches(pass_needed))
            }
            (Judge::Mean { test, fail, pass }, Tally::Scores(scores), _) => {
                if scores.iter().any(|count| *count > 0) {
                    fail.step(&test.fail_step(scores));
                    pass.step(&test.pass_step(scores));
                }
                (fail.is_shown(bar), pass.reaches(pass_needed))
            }
            (Judge::Drop { fail_test, pass_test, pairing, fail, pass }, candidate, stable) => {
                // The bucket is the seed: every controller, now and in a replay, draws the same pairs.
                let pairs = pairing.take(start.0 as u64, &candidate.scores(), &stable.scores());
                if !pairs.is_empty() {
                    fail.step(&fail_test.fail_step(pairs));
                    pass.step(&pass_test.pass_step(pairs));
                }
                (fail.is_shown(bar), pass.reaches(pass_needed))
            }
            (Judge::Amount(window), Tally::Spent(candidate), Tally::Spent(stable)) => {
                window.take(start, *candidate, *stable);
                // A window forgets, so this is not kept as the proofs are.
                self.failed = self.failed.filter(|_| window.is_exceeded());
                (window.is_exceeded(), false)
            }
            _ => (false, false),
        };
        self.failed = self.failed.or(failed.then_some(start));
        self.passed |= passed;
    }
}

fn judge(spec: &Spec) -> Judge {
    let rate = |test, blame| Judge::Rate {
        test: Box::new(test),
        fail: Broken::default(),
        pass: Gathered::default(),
        blame: match blame {
            Blame::Always => None,
            Blame::OverStable { ratio } => Some(Box::new(Relative {
                test: RatioTest::new(ratio),
                gathering: Gathering::default(),
                fail: Broken::default(),
            })),
        },
    };
    match (spec.rule, spec.signal.measure()) {
        (Rule::RateUnder { limit, blame }, Measure::Rate) => rate(RateTest::under(limit), blame),
        (Rule::SlowUnder { part, blame, .. }, Measure::Durations) => rate(RateTest::under(part), blame),
        (Rule::MeanOver { limit }, Measure::Rate) => rate(RateTest::over(limit), Blame::Always),
        (Rule::RatioUnder { fail, pass }, Measure::Rate) => Judge::Ratio {
            fail_test: RatioTest::new(fail),
            pass_test: RatioTest::new(pass),
            gathering: Gathering::default(),
            fail: Broken::default(),
            pass: Gathered::default(),
        },
        (Rule::MeanOver { limit }, Measure::Score) => {
            Judge::Mean { test: MeanTest::over(limit), fail: Broken::default(), pass: Gathered::default() }
        }
        (Rule::DropUnder { fail, pass }, Measure::Rate | Measure::Score) => Judge::Drop {
            fail_test: DropTest::under(fail),
            pass_test: DropTest::under(pass),
            pairing: Pairing::default(),
            fail: Broken::default(),
            pass: Gathered::default(),
        },
        (Rule::AmountUnder { times }, Measure::Amount) => {
            let over = spec.trigger.map_or(std::time::Duration::ZERO, |(_, over)| over);
            Judge::Amount(Window::new(over, times))
        }
        _ => Judge::Nothing,
    }
}
