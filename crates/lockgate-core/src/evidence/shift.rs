//! Is something distributed otherwise than stable's? Per octave: lengths of inputs and of answers.
//!
//! Each range of sizes is a rate of its own against stable's at the same time, and the evidence of the whole is the mean of
//! theirs: a mean of fair games is a fair game. To show the opposite, that nothing has moved, every range must be shown to be
//! rare or not to have grown; showing all needs no correction.

use std::collections::BTreeMap;

use lockgate_stats::Count;
use lockgate_stats::interval;
use lockgate_stats::rate::RateTest;
use lockgate_stats::ratio::RatioTest;

use super::proof::{Bar, Broken, Gathered};
use super::tally::Sizes;
use crate::size_levels;
use crate::sums::BucketStart;

/// The octaves of the ladder of sizes: 0, 1, 2-3, 4-7, up to 2^43 and over.
const BINS: usize = 45;
/// A range that holds less than this part of the candidate's is too rare to hold a gate.
const RARE: f64 = 0.05;
/// Counts further apart than this are not of the same time.
const TOGETHER_MS: i64 = 3_600_000;

/// Counts of one arm per octave.
#[derive(Debug, Clone, Default)]
struct Octaves {
    n: u64,
    bins: BTreeMap<u8, u64>,
}

impl Octaves {
    fn add(&mut self, sizes: &Sizes) {
        for (level, n) in &sizes.levels {
            let mine = self.bins.entry(octave(*level)).or_insert(0);
            *mine = mine.saturating_add(*n);
            self.n = self.n.saturating_add(*n);
        }
    }

    fn of(&self, bin: u8) -> Count {
        Count { n: self.n, hits: self.bins.get(&bin).copied().unwrap_or(0) }
    }
}

/// The tests of one distribution.
#[derive(Debug, Clone)]
pub(super) struct Shift {
    ratio: f64,
    /// What has not met the other arm's yet, and since when.
    waiting: (Octaves, Octaves),
    since: BucketStart,
    all: (Octaves, Octaves),
    /// The candidate's since the passing side began.
    tested: Octaves,
    ranges: BTreeMap<u8, Range>,
    has_pass: bool,
    /// In place of stable at the same time: the chance of being wrong about what it was like.
    past: Option<f64>,
}

/// The evidence of one octave.
#[derive(Debug, Clone, Default)]
struct Range {
    fail: Broken,
    pass: Gathered,
}

impl Shift {
    pub(super) fn new(ratio: f64, has_pass: bool) -> Self {
        Self {
            ratio,
            waiting: Default::default(),
            since: BucketStart(i64::MIN),
            all: Default::default(),
            tested: Octaves::default(),
            ranges: BTreeMap::new(),
            has_pass,
            past: None,
        }
    }

    /// The same against what stable was like before.
    pub(super) fn against_past(past: &Self, alpha: f64) -> Self {
        let all = (Octaves::default(), past.all.1.clone());
        Self { all, past: Some(alpha / BINS as f64), ..Self::new(past.ratio, false) }
    }

    /// Takes in one bucket.
    pub(super) fn step(&mut self, start: BucketStart, candidate: &Sizes, stable: &Sizes) {
        self.all.0.add(candidate);
        self.tested.add(candidate);
        if let Some(alpha) = self.past {
            let mut now = Octaves::default();
            now.add(candidate);
            if now.n > 0 {
                self.step_against_past(&now, alpha);
            }
            return;
        }
        self.all.1.add(stable);
        // Stable's alone do not wait: what it did while the candidate had nothing is of another time.
        if self.waiting.0.n == 0 || start.0.saturating_sub(self.since.0) > TOGETHER_MS {
            self.waiting = Default::default();
            self.since = start;
        }
        self.waiting.0.add(candidate);
        self.waiting.1.add(stable);
        if self.waiting.0.n == 0 || self.waiting.1.n == 0 {
            return;
        }
        let (candidate, stable) = std::mem::take(&mut self.waiting);
        let test = RatioTest::new(self.ratio);
        let seen: std::collections::BTreeSet<u8> =
            candidate.bins.keys().chain(stable.bins.keys()).copied().collect();
        for bin in seen {
            let range = self.ranges.entry(bin).or_default();
            range.fail.step(&test.fail_step(candidate.of(bin), stable.of(bin)));
            if self.has_pass {
                range.pass.step(&test.pass_step(candidate.of(bin), stable.of(bin)));
            }
        }
    }

    fn step_against_past(&mut self, now: &Octaves, alpha: f64) {
        for bin in 0..BINS as u8 {
            let limit = self.ratio * interval::of_rate(self.all.1.of(bin), alpha).1;
            if limit < 1.0 && self.all.1.n > 0 {
                let range = self.ranges.entry(bin).or_default();
                range.fail.step(&RateTest::under(limit).fail(now.of(bin)));
            }
        }
    }

    /// Whether it is shown that a range has grown, and that none has.
    pub(super) fn shown(&self, bar: &Bar, pass_needed: f64) -> (bool, bool) {
        let (from_start, of_change) = self.log_e_fail();
        let failed = from_start >= bar.from_start || of_change >= bar.of_change;
        (failed, pass_needed.is_finite() && self.log_e_pass() >= pass_needed)
    }

    /// The evidence that some range has grown, gathered from the beginning and of a change.
    pub(super) fn log_e_fail(&self) -> (f64, f64) {
        let untouched = BINS.saturating_sub(self.ranges.len()) as f64;
        let start = self.ranges.values().map(|range| range.fail.from_start.log_e());
        let change = self.ranges.values().map(|range| range.fail.of_change.log_e());
        (log_mean(start, untouched), log_mean(change, 0.0))
    }

    /// The evidence that none has: that of the range with the least.
    pub(super) fn log_e_pass(&self) -> f64 {
        if !self.has_pass || self.tested.n == 0 {
            return 0.0;
        }
        let rare = RateTest::under(RARE);
        let of = |bin: u8| {
            let grown = self.ranges.get(&bin).map_or(0.0, |range| range.pass.log_e());
            let rare = rare.pass(self.tested.of(bin)).log_e();
            let larger = grown.max(rare);
            larger + (0.5 * (grown - larger).exp() + 0.5 * (rare - larger).exp()).ln()
        };
        (0..BINS as u8).map(of).fold(f64::MAX, f64::min)
    }

    /// Forgets what speaks for its not having moved.
    pub(super) fn begin_passing_anew(&mut self) {
        self.tested = Octaves::default();
        self.ranges.values_mut().for_each(|range| range.pass = Gathered::default());
    }

    /// Whether it can be shown that none has.
    pub(super) fn has_pass(&self) -> bool {
        self.has_pass
    }

    /// The range that has grown most by the evidence, in words, with how many times as common it is as stable's.
    pub(super) fn worst(&self) -> Option<(String, f64)> {
        let strength = |range: &Range| range.fail.from_start.log_e().max(range.fail.of_change.log_e());
        let (bin, _) =
            self.ranges.iter().max_by(|(_, one), (_, other)| strength(one).total_cmp(&strength(other)))?;
        let candidate = self.all.0.of(*bin).rate()?;
        let stable = self.all.1.of(*bin).rate()?;
        Some((range_words(*bin), if stable > 0.0 { candidate / stable } else { f64::INFINITY }))
    }
}

/// ln of the mean over all octaves of exp(log), of which so many are exp(0).
fn log_mean(logs: impl Iterator<Item = f64> + Clone, ones: f64) -> f64 {
    let largest = logs.clone().fold(if ones > 0.0 { 0.0 } else { f64::NEG_INFINITY }, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = logs.map(|log| (log - largest).exp()).sum::<f64>() + ones * (-largest).exp();
    largest + (sum / BINS as f64).ln()
}

/// The octave of a level, by its upper edge: 0 for 0, 1 for 1, 2 for 2-3.
fn octave(level: u16) -> u8 {
    let bits = u64::BITS - size_levels::upper_edge(level).leading_zeros();
    (bits as u8).min(BINS as u8 - 1)
}

fn range_words(bin: u8) -> String {
    match bin {
        0 | 1 => bin.to_string(),
        bin => format!("{} to {}", 1u64 << (bin - 1), (1u64 << bin) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octaves_begin_at_powers_of_two() {
        let of = |size| octave(size_levels::level(size));
        assert_eq!((of(0), of(1), of(2), of(3), of(4), of(7), of(8), of(64)), (0, 1, 2, 2, 3, 3, 4, 7));
        assert!(usize::from(octave(u16::MAX)) < BINS);
        assert_eq!(range_words(octave(size_levels::level(5))), "4 to 7");
    }
}
