//! What sessions take, against stable's: pairs of capped values.
//!
//! A session's cost has no upper end, and a mean of numbers without one can be shown to be nothing. So each session counts up
//! to a cap: the 99.9th percentile of stable's sessions, read once, before the first pair, and never moved again. What was
//! fixed beforehand may be anything without harm to the promise; what followed the data would be a bet on what it has seen.

use std::collections::BTreeMap;

use lockgate_stats::pairing::{Pair, Pairing};
use lockgate_stats::rise::RiseTest;
use lockgate_stats::wealth::Wealth;
use lockgate_stats::{Histogram, LEVELS};

use super::proof::{Bar, Broken, Gathered};
use super::tally::Sizes;
use crate::size_levels;
use crate::sums::{BucketStart, Sum};

/// Stable's sessions that a cap is read from at the least. Fewer would put it so low that a dear tail hides above it.
const SESSIONS_MIN: u64 = 200;
/// The cap leaves one session in so many above it.
const ABOVE_CAP: u64 = 1000;

/// Finds the cap of one signal.
#[derive(Debug, Clone, Default)]
pub(super) struct Cap {
    /// Stable's so far; empty once the cap is fixed.
    levels: BTreeMap<u16, u64>,
    n: u64,
    fixed: Option<f64>,
}

impl Cap {
    /// Notes some of stable's sessions.
    pub(super) fn note(&mut self, sum: &Sum) {
        let (Sum::Levels(levels), None) = (sum, self.fixed) else { return };
        for (level, n) in levels {
            let mine = self.levels.entry(*level).or_insert(0);
            let n = (*n).min(u64::MAX - self.n);
            *mine += n;
            self.n += n;
        }
    }

    /// Fixes the cap, when there is enough to read it from: the candidate's first sessions are about to be paired.
    pub(super) fn fix(&mut self) {
        if self.fixed.is_some() || self.n < SESSIONS_MIN {
            return;
        }
        let mut above = self.n / ABOVE_CAP;
        let mut levels = self.levels.iter().rev();
        let at = levels.find(|(_, n)| {
            let is_here = **n > above;
            above = above.saturating_sub(**n);
            is_here
        });
        // At a cap of nothing every session that costs anything counts whole.
        self.fixed = at.map(|(level, _)| size_levels::upper_edge(*level).max(1) as f64);
        self.levels.clear();
    }

    /// The cap, once it is fixed.
    pub(super) fn fixed(&self) -> Option<f64> {
        self.fixed
    }
}

/// The tests of one rise.
#[derive(Debug, Clone)]
pub(super) struct Rise {
    fail_test: RiseTest,
    pass_test: RiseTest,
    pairing: Pairing,
    pub(super) fail: Broken,
    /// Absent for what has no passing side.
    pub(super) pass: Option<Gathered>,
    /// In place of stable at the same time: the part of the cap that its mean was at most.
    past: Option<f64>,
    pub(super) cap: Option<f64>,
    pub(super) candidate: Capped,
    pub(super) stable: Capped,
}

/// Sessions, each up to the cap.
#[derive(Debug, Clone)]
pub(super) struct Capped {
    pub(super) n: u64,
    /// Twice their sum.
    doubled: u128,
    /// In hundredths of the cap, rounded up.
    parts: Box<Histogram>,
}

impl Default for Capped {
    fn default() -> Self {
        Self { n: 0, doubled: 0, parts: Box::new([0; LEVELS]) }
    }
}

impl Capped {
    fn add(&mut self, sizes: &Sizes, cap: f64) {
        for (level, n) in &sizes.levels {
            let value = size_levels::value(*level).min(cap);
            self.n = self.n.saturating_add(*n);
            self.doubled = self.doubled.wrapping_add(u128::from(*n) * (2.0 * value) as u128);
            let part = (value / cap * (LEVELS - 1) as f64).ceil() as usize;
            let mine = &mut self.parts[part.min(LEVELS - 1)];
            *mine = mine.saturating_add(*n);
        }
    }

    /// What they add up to.
    pub(super) fn total(&self) -> f64 {
        0.5 * self.doubled as f64
    }

    /// The mean.
    pub(super) fn estimate(&self) -> Option<f64> {
        (self.n > 0).then(|| self.total() / self.n as f64)
    }

    /// The part of the cap that the mean is at most, wrong with a chance of at most `alpha`.
    pub(super) fn at_most(&self, alpha: f64) -> f64 {
        lockgate_stats::interval::of_mean(&self.parts, alpha).1
    }
}

impl Rise {
    pub(super) fn new(fail: f64, pass: f64, has_pass: bool) -> Self {
        Self {
            fail_test: RiseTest::under(fail),
            pass_test: RiseTest::under(pass),
            pairing: Pairing::default(),
            fail: Broken::default(),
            pass: has_pass.then(Gathered::default),
            past: None,
            cap: None,
            candidate: Capped::default(),
            stable: Capped::default(),
        }
    }

    /// The same against what stable was like before.
    pub(super) fn against_past(fail: f64, past: &Self, alpha: f64) -> Self {
        Self {
            past: Some(past.stable.at_most(alpha)),
            cap: past.cap,
            stable: past.stable.clone(),
            ..Self::new(fail, fail, false)
        }
    }

    /// Takes in one bucket.
    pub(super) fn step(&mut self, start: BucketStart, cap: Option<f64>, candidate: &Sizes, stable: &Sizes) {
        let Some(cap) = self.cap.or(cap) else { return };
        self.cap = Some(cap);
        self.candidate.add(candidate, cap);
        let part = |level| (size_levels::value(level) / cap).min(1.0);
        if let Some(past) = self.past {
            let mut levels = candidate.levels.iter().filter(|(_, n)| **n > 0).map(|(level, n)| {
                let pair = Pair { candidate: part(*level), stable: past };
                so_many_times(self.fail_test.fail_step(&[pair]), *n)
            });
            // A bucket is one step: the cheap sessions of it pay for the dear ones before the detector looks.
            if let Some(mut all) = levels.next() {
                levels.for_each(|some| all.multiply_all(&some));
                self.fail.step(&all);
            }
            return;
        }
        self.stable.add(stable, cap);
        // The bucket is the seed: every controller, now and in a replay, draws the same pairs.
        let (candidate, stable) = (candidate.by_level(), stable.by_level());
        let pairs = self.pairing.take_levels(start.0 as u64, &candidate, &stable, part);
        if pairs.is_empty() {
            return;
        }
        self.fail.step(&self.fail_test.fail_step(pairs));
        if let Some(pass) = &mut self.pass {
            pass.step(&self.pass_test.pass_step(pairs));
        }
    }

    /// Whether it is shown that it has risen, and that it has not.
    pub(super) fn shown(&self, bar: &Bar, pass_needed: f64) -> (bool, bool) {
        (self.fail.is_shown(bar), self.pass.as_ref().is_some_and(|pass| pass.reaches(pass_needed)))
    }
}

/// What so many sessions of one level make, none left out: by doubling, as many steps as `n` has binary digits.
fn so_many_times(one: Wealth, n: u64) -> Wealth {
    let mut all = Wealth::untouched(one.parts());
    let (mut doubled, mut left) = (one, n);
    while left > 0 {
        if left % 2 == 1 {
            all.multiply_all(&doubled);
        }
        doubled.multiply_all(&doubled.clone());
        left /= 2;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(cost: u64, n: u64) -> Sum {
        Sum::Levels(BTreeMap::from([(size_levels::level(cost), n)]))
    }

    #[test]
    fn a_cap_is_read_once_from_at_least_200_sessions_and_does_not_move() {
        let mut cap = Cap::default();
        cap.note(&sessions(1_000, 199));
        cap.fix();
        assert_eq!(cap.fixed(), None);
        cap.note(&sessions(50_000, 1));
        cap.fix();
        let fixed = cap.fixed().unwrap();
        assert!((50_000.0..51_000.0).contains(&fixed), "{fixed}");
        cap.note(&sessions(9_000_000, 100));
        cap.fix();
        assert_eq!(cap.fixed(), Some(fixed));
    }

    /// Costs spread like a lognormal's with a standard deviation of 1.8 means.
    fn lognormal(n: u64, times: f64, seed: &mut u64) -> Sizes {
        let mut uniform = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((*seed >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let mut sizes = Sizes::default();
        for _ in 0..n {
            let normal = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
            let cost = 1e6 * times * (1.2 * normal).exp();
            *sizes.levels.entry(size_levels::level(cost as u64)).or_insert(0) += 1;
            sizes.n += 1;
        }
        sizes
    }

    #[test]
    fn after_completion_many_healthy_sessions_in_a_bucket_show_no_rise_and_dearer_ones_do() {
        let (bar, cap) = (Bar::of_trigger(0.001, 120_960.0), Some(3e7));
        let broken_after = |times: f64| {
            let mut seed = 7;
            let mut rise = Rise::new(0.2, 0.2, false);
            rise.step(BucketStart(0), cap, &Sizes::default(), &lognormal(20_000, 1.0, &mut seed));
            let mut warm = Rise::against_past(0.2, &rise, 0.001);
            (0..60).find(|bucket| {
                let now = lognormal(5_000, times, &mut seed);
                warm.step(BucketStart(bucket * 10_000), None, &now, &Sizes::default());
                warm.shown(&bar, f64::INFINITY).0
            })
        };
        assert_eq!(broken_after(1.0), None);
        assert!(broken_after(1.7).is_some_and(|bucket| bucket < 5));
    }

    #[test]
    fn a_cap_leaves_one_session_in_a_thousand_above_it() {
        let mut cap = Cap::default();
        cap.note(&sessions(1_000, 9_985));
        cap.note(&sessions(40_000, 10));
        cap.note(&sessions(900_000, 5));
        cap.fix();
        let fixed = cap.fixed().unwrap();
        assert!((40_000.0..41_000.0).contains(&fixed), "{fixed}");
    }
}
