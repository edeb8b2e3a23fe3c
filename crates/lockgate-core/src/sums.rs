//! What gateways write about behaviour: plain sums per time bucket, and nothing else.
//!
//! A sum only grows, and each writer (replica and incarnation) owns its own. So a sum that is sent twice, late or out of
//! order does no harm: per writer the larger value of every counter wins ([`Sum::join`]), then writers are added
//! ([`Sum::add`]). Everything is a whole number, so any order gives the same bits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{FeatureName, Revision};
use crate::segment::Segment;
use crate::signal::{Arm, Measure, Signal};

/// The start of a bucket, in milliseconds since 1970, a multiple of the bucket's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketStart(pub i64);

impl BucketStart {
    /// The bucket in which a moment lies.
    pub fn containing(moment: jiff::Timestamp, width_ms: i64) -> Self {
        Self(moment.as_millisecond().div_euclid(width_ms) * width_ms)
    }

    /// The moment at which this bucket begins.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

/// What a sum is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SumKey {
    /// The feature called.
    pub feature: FeatureName,
    /// The digest of the version it is attributed to: the one *assigned*, also when a lower tier answered.
    pub revision: Revision,
    /// As what the version took part.
    pub arm: Arm,
    /// The caller's labels.
    pub segment: Segment,
    /// The behaviour.
    pub signal: Signal,
}

/// The steps of a score: 0.00, 0.01, ... 1.00.
pub const SCORE_STEPS: u16 = 100;

/// The step of a score in 0..1, rounded to the nearest hundredth; `None` outside 0..1 or when not a number.
pub fn score_step(score: f64) -> Option<u16> {
    (0.0..=1.0).contains(&score).then(|| (score * f64::from(SCORE_STEPS)).round() as u16)
}

/// One signal's counters in one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sum {
    /// `hits` of `n`.
    Rate {
        /// How many were looked at.
        n: u64,
        /// How many of them had it.
        hits: u64,
    },
    /// Whole numbers, one per call.
    Amount {
        /// How many calls.
        n: u64,
        /// Their total.
        total: u64,
        /// The total of their squares.
        squares: u128,
    },
    /// Counts per level: hundredths for scores, [`crate::duration_levels`] for times, [`crate::size_levels`] for sizes.
    /// Sparse: absent is zero.
    Levels(BTreeMap<u16, u64>),
}

impl Sum {
    /// Nothing counted yet.
    pub fn zero(measure: Measure) -> Self {
        match measure {
            Measure::Rate => Self::Rate { n: 0, hits: 0 },
            Measure::Amount => Self::Amount { n: 0, total: 0, squares: 0 },
            Measure::Score | Measure::Durations | Measure::Sizes => Self::Levels(BTreeMap::new()),
        }
    }

    /// How many observations.
    pub fn n(&self) -> u64 {
        match self {
            Self::Rate { n, .. } | Self::Amount { n, .. } => *n,
            Self::Levels(counts) => counts.values().fold(0, |sum: u64, n| sum.saturating_add(*n)),
        }
    }

    /// Two states of the *same* writer's counters: the larger of each. Sums of different kinds cannot meet under one key; if
    /// a file was tampered with and they do, the first stays.
    pub fn join(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine.max(theirs), |mine, theirs| mine.max(theirs));
    }

    /// *Different* writers' counters, or different buckets': added, stopping at the top instead of wrapping.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, u64::saturating_add, u128::saturating_add);
    }

    fn combine(&mut self, other: &Self, small: fn(u64, u64) -> u64, large: fn(u128, u128) -> u128) {
        match (self, other) {
            (Self::Rate { n, hits }, Self::Rate { n: n2, hits: hits2 }) => {
                *n = small(*n, *n2);
                *hits = small(*hits, *hits2);
            }
            (
                Self::Amount { n, total, squares },
                Self::Amount { n: n2, total: total2, squares: squares2 },
            ) => {
                *n = small(*n, *n2);
                *total = small(*total, *total2);
                *squares = large(*squares, *squares2);
            }
            (Self::Levels(counts), Self::Levels(counts2)) => {
                for (level, count) in counts2 {
                    let mine = counts.entry(*level).or_insert(0);
                    *mine = small(*mine, *count);
                }
            }
            _ => {}
        }
    }
}

/// All sums of one feature in one bucket, writers already added.
pub type BucketSums = BTreeMap<SumKey, Sum>;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_sum() -> impl Strategy<Value = Sum> {
        proptest::collection::btree_map(0u16..20, 0u64..1000, 0..6).prop_map(Sum::Levels)
    }

    fn joined(mut a: Sum, b: &Sum) -> Sum {
        a.join(b);
        a
    }

    fn added(mut a: Sum, b: &Sum) -> Sum {
        a.add(b);
        a
    }

    proptest! {
        #[test]
        fn joining_is_idempotent_commutative_and_associative(a in any_sum(), b in any_sum(), c in any_sum()) {
            prop_assert_eq!(joined(a.clone(), &a), a.clone());
            prop_assert_eq!(joined(a.clone(), &b), joined(b.clone(), &a));
            prop_assert_eq!(joined(joined(a.clone(), &b), &c), joined(a.clone(), &joined(b.clone(), &c)));
        }

        #[test]
        fn adding_is_commutative_and_associative(a in any_sum(), b in any_sum(), c in any_sum()) {
            prop_assert_eq!(added(a.clone(), &b), added(b.clone(), &a));
            prop_assert_eq!(added(added(a.clone(), &b), &c), added(a.clone(), &added(b.clone(), &c)));
        }
    }

    #[test]
    fn buckets_start_at_multiples_of_their_width_also_before_1970() {
        let at = |ms| jiff::Timestamp::from_millisecond(ms).unwrap();
        assert_eq!(BucketStart::containing(at(12_345), 10_000), BucketStart(10_000));
        assert_eq!(BucketStart::containing(at(-1), 10_000), BucketStart(-10_000));
    }
}
