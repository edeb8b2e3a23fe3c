//! Rates against the concurrent stable arm.

use lockgate_stats::Count;
use lockgate_stats::rate::RateTest;
use lockgate_stats::ratio::{Gathering, RatioTest};

use super::Step;
use crate::evidence::proof::{Broken, Gathered};

/// A comparison of rates with the concurrent stable arm.
#[derive(Debug, Clone)]
pub(in crate::evidence) struct Relative {
    test: RatioTest,
    gathering: Gathering,
    pub(in crate::evidence) fail: Broken,
}

/// Empty buckets after which nothing waits any more in a [`Gathering`]; to take in more would change nothing.
const SKIPPED_MAX: u64 = 400;

impl Relative {
    pub(super) fn new(ratio: f64) -> Self {
        Self { test: RatioTest::new(ratio), gathering: Gathering::default(), fail: Broken::default() }
    }

    /// Takes in one bucket; the groups that it completes: one that had waited long enough in the empty buckets before it, and
    /// its own.
    pub(super) fn step(
        &mut self,
        step: &Step,
        candidate: Count,
        stable: Count,
    ) -> [Option<(Count, Count)>; 2] {
        let none = Count::default();
        let waited =
            (0..step.skipped.min(SKIPPED_MAX)).filter_map(|_| self.gathering.take(none, none)).last();
        let groups = [waited, self.gathering.take(candidate, stable)];
        for (candidate, stable) in groups.into_iter().flatten() {
            self.fail.step(&self.test.fail_step(candidate, stable));
        }
        groups
    }
}

/// What shows that a rate is under a multiple of stable's: that it is, or that it hardly ever happens. Of what happens in
/// neither arm a multiple could never be shown, and a rollout would wait for it for ever.
#[derive(Debug, Clone)]
pub(in crate::evidence) struct Kept {
    test: RatioTest,
    ratio: Gathered,
    rare_test: RateTest,
    rare: Gathered,
}

/// What happens less often than this is rare.
pub(in crate::evidence) const RARE: f64 = 0.001;
/// The part of the starting capital that is put on its being rare; the rest on the ratio, which is the common case.
const PART_OF_RARE: f64 = 0.2;

impl Kept {
    pub(super) fn new(ratio: f64) -> Self {
        Self {
            test: RatioTest::new(ratio),
            ratio: Gathered::default(),
            rare_test: RateTest::under(RARE),
            rare: Gathered::default(),
        }
    }

    /// Forgets what it has gathered.
    pub(super) fn begin_anew(&mut self) {
        (self.ratio, self.rare) = (Gathered::default(), Gathered::default());
    }

    /// Takes in one bucket of the candidate's, and the groups of both arms' that it completed.
    pub(super) fn step(&mut self, candidate: Count, groups: [Option<(Count, Count)>; 2]) {
        for (candidate, stable) in groups.into_iter().flatten() {
            self.ratio.step(&self.test.pass_step(candidate, stable));
        }
        if candidate.n > 0 {
            self.rare.step(&self.rare_test.pass(candidate));
        }
    }

    /// The evidence: a mixture of both. While neither holds each is a fair game, and so is any mixture.
    pub(in crate::evidence) fn log_e(&self) -> f64 {
        let ratio = self.ratio.log_e() + (1.0 - PART_OF_RARE).ln();
        let rare = self.rare.log_e() + PART_OF_RARE.ln();
        let larger = ratio.max(rare);
        larger + ((ratio - larger).exp() + (rare - larger).exp()).ln()
    }

    pub(super) fn reaches(&self, needed: f64) -> bool {
        // A mean of two is at most the larger; asking each first is cheap while both are far away.
        let ratio = needed - (1.0 - PART_OF_RARE).ln() - std::f64::consts::LN_2;
        let rare = needed - PART_OF_RARE.ln() - std::f64::consts::LN_2;
        let is_near = needed.is_finite() && (self.ratio.reaches(ratio) || self.rare.reaches(rare));
        is_near && self.log_e() >= needed
    }

    /// Whether it is its being rare that speaks for it, more than the ratio.
    pub(in crate::evidence) fn is_rare(&self) -> bool {
        self.rare.log_e() + PART_OF_RARE.ln() > self.ratio.log_e() + (1.0 - PART_OF_RARE).ln()
    }

    /// How many times the observations so far, more of the same, would be enough.
    pub(in crate::evidence) fn multiple_to(&self, needed: f64) -> Option<f64> {
        let ratio = self.ratio.multiple_to(needed - (1.0 - PART_OF_RARE).ln());
        let rare = self.rare.multiple_to(needed - PART_OF_RARE.ln());
        match (ratio, rare) {
            (Some(ratio), Some(rare)) => Some(ratio.min(rare)),
            (ratio, rare) => ratio.or(rare),
        }
    }
}
