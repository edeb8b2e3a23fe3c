//! Counts of both arms, in the form that a rule needs.

use lockgate_stats::{Count, Histogram, LEVELS};

use super::window::Spent;
use crate::duration_levels::Level;
use crate::sums::{SCORE_STEPS, Sum};

/// Both arms' counts.
#[derive(Debug, Clone)]
pub(super) struct Both {
    pub(super) candidate: Tally,
    pub(super) stable: Tally,
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
            Self::Spent(_) => {}
        }
        scores
    }

    /// How many observations.
    pub(super) fn n(&self) -> u64 {
        match self {
            Self::Count(count) => count.n,
            Self::Scores(scores) => scores.iter().fold(0, |sum: u64, n| sum.saturating_add(*n)),
            Self::Spent(spent) => spent.calls,
        }
    }

    /// The rate or mean.
    pub(super) fn estimate(&self) -> Option<f64> {
        match self {
            Self::Count(count) => count.rate(),
            Self::Scores(scores) => lockgate_stats::mean_of(scores),
            Self::Spent(spent) => spent.mean(),
        }
    }
}
