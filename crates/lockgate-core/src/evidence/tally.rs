//! Counts of both arms, in the form that a rule needs.

use std::collections::BTreeMap;

use lockgate_stats::{Count, Histogram, LEVELS};

use crate::duration_levels::Level;
use crate::signal::Measure;
use crate::size_levels;
use crate::sums::{SCORE_STEPS, Sum};

/// Both arms' counts.
#[derive(Debug, Clone)]
pub(super) struct Both {
    pub(super) candidate: Tally,
    pub(super) stable: Tally,
}

impl Both {
    /// Nothing yet, in the form that this measure needs.
    pub(super) fn none(measure: Measure) -> Self {
        let none = match measure {
            Measure::Score => Tally::Scores(Box::new([0; LEVELS])),
            Measure::Amount => Tally::Spent(Spent::default()),
            Measure::Sizes => Tally::Sizes(Sizes::default()),
            Measure::Rate | Measure::Durations => Tally::Count(Count::default()),
        };
        Self { candidate: none.clone(), stable: none }
    }
}

/// Which of the two a sum belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Candidate,
    Stable,
}

/// Counts in the form that a rule needs.
#[derive(Debug, Clone)]
pub(super) enum Tally {
    /// So many of so many; for times, those slower than the limit.
    Count(Count),
    /// Scores per hundredth.
    Scores(Box<Histogram>),
    /// Amounts.
    Spent(Spent),
    /// Sizes.
    Sizes(Sizes),
}

/// Calls and what they took, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spent {
    pub(super) calls: u64,
    pub(super) total: u64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.total = self.total.saturating_add(other.total);
    }
}

/// Sizes of one bucket per level, or of all buckets together.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes {
    pub(super) n: u64,
    /// Twice their sum, so that the middle of a level is a whole number.
    pub(super) doubled: u128,
    /// This bucket's; empty for all together.
    pub(super) levels: BTreeMap<u16, u64>,
}

impl Sizes {
    /// As a list, in ascending order.
    pub(super) fn by_level(&self) -> Vec<(u16, u64)> {
        self.levels.iter().map(|(level, n)| (*level, *n)).collect()
    }
}

impl Tally {
    /// Adds one sum; of times, what lies at `slow_from` or above counts as slow. A sum of another kind, as
    /// only a damaged store holds it, changes nothing.
    pub(super) fn add(&mut self, sum: &Sum, slow_from: Option<Level>) {
        match (self, sum, slow_from) {
            (Self::Count(count), Sum::Rate { n, hits }, None) => {
                *count = count.plus(Count { n: *n, hits: *hits });
            }
            (Self::Count(count), Sum::Levels(levels), Some(slow_from)) => {
                let n = levels.values().fold(0, |sum: u64, n| sum.saturating_add(*n));
                let hits = levels.range(slow_from..).fold(0, |sum: u64, (_, n)| sum.saturating_add(*n));
                *count = count.plus(Count { n, hits });
            }
            (Self::Scores(scores), Sum::Levels(levels), None) => {
                for (level, n) in levels.range(..=SCORE_STEPS) {
                    let mine = &mut scores[usize::from(*level)];
                    *mine = mine.saturating_add(*n);
                }
            }
            (Self::Spent(spent), Sum::Amount { n, total, .. }, None) => {
                spent.add(Spent { calls: *n, total: *total });
            }
            (Self::Sizes(sizes), Sum::Levels(levels), None) => {
                for (level, n) in levels {
                    // More than a level's counter can hold is not counted at all, so that sums and levels agree.
                    let mine = sizes.levels.entry(*level).or_insert(0);
                    let n = (*n).min(u64::MAX - *mine).min(u64::MAX - sizes.n);
                    *mine += n;
                    sizes.n += n;
                    sizes.doubled = sizes.doubled.wrapping_add(u128::from(n) * doubled(*level));
                }
            }
            _ => {}
        }
    }

    /// Adds itself to another of its kind and starts anew.
    pub(super) fn move_to(&mut self, all: &mut Self) {
        match (self, all) {
            (Self::Count(now), Self::Count(all)) => *all = all.plus(std::mem::take(now)),
            (Self::Scores(now), Self::Scores(all)) => {
                for (now, all) in now.iter_mut().zip(all.iter_mut()) {
                    *all = all.saturating_add(std::mem::take(now));
                }
            }
            (Self::Spent(now), Self::Spent(all)) => all.add(std::mem::take(now)),
            (Self::Sizes(now), Self::Sizes(all)) => {
                all.n = all.n.saturating_add(now.n);
                all.doubled = all.doubled.wrapping_add(now.doubled);
                *now = Sizes::default();
            }
            _ => {}
        }
    }

    /// As scores: a yes is 1, a no is 0.
    pub(super) fn scores(&self) -> Histogram {
        let mut scores = [0; LEVELS];
        match self {
            Self::Count(count) => {
                scores[0] = count.misses();
                scores[LEVELS - 1] = count.hits.min(count.n);
            }
            Self::Scores(mine) => scores = **mine,
            Self::Spent(_) | Self::Sizes(_) => {}
        }
        scores
    }

    /// How many observations.
    pub(super) fn n(&self) -> u64 {
        match self {
            Self::Count(count) => count.n,
            Self::Scores(scores) => scores.iter().fold(0, |sum: u64, n| sum.saturating_add(*n)),
            Self::Spent(spent) => spent.calls,
            Self::Sizes(sizes) => sizes.n,
        }
    }

    /// How many, and what they add up to in whole numbers: hits, hundredths, units, half units.
    pub(super) fn sums(&self) -> (u64, u128) {
        let sum = match self {
            Self::Count(count) => u128::from(count.hits),
            Self::Scores(scores) => {
                (0u128..).zip(scores.iter()).fold(0, |sum, (level, n)| sum + level * u128::from(*n))
            }
            Self::Spent(spent) => u128::from(spent.total),
            Self::Sizes(sizes) => sizes.doubled,
        };
        (self.n(), sum)
    }

    /// What one unit of [`Self::sums`] is worth.
    pub(super) fn unit(&self) -> f64 {
        match self {
            Self::Count(_) | Self::Spent(_) => 1.0,
            Self::Scores(_) => 1.0 / f64::from(SCORE_STEPS),
            Self::Sizes(_) => 0.5,
        }
    }

    /// What they add up to: hits, the sum of scores, amounts or sizes.
    pub(super) fn total(&self) -> f64 {
        self.sums().1 as f64 * self.unit()
    }

    /// The rate or mean.
    pub(super) fn estimate(&self) -> Option<f64> {
        match self {
            Self::Count(count) => count.rate(),
            Self::Scores(scores) => lockgate_stats::mean_of(scores),
            Self::Spent(_) | Self::Sizes(_) => {
                let n = self.n();
                (n > 0).then(|| self.total() / n as f64)
            }
        }
    }
}

/// Twice the middle of a level of [`size_levels`].
fn doubled(level: u16) -> u128 {
    (2.0 * size_levels::value(level)) as u128
}
