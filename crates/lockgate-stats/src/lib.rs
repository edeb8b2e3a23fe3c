//! Turns counts into evidence that may be looked at all the time (pure, numbers only).
//!
//! Evidence against a hypothesis is the wealth of a gambler who bets against it at fair odds: while the hypothesis holds, the
//! wealth is a non-negative supermartingale that starts at 1, so the chance that it *ever* reaches 1/alpha is at most alpha
//! (Ville 1939). Whoever waits for that may look after every observation, stop whenever it suits, and go on later.
//!
//! All gamblers here bet fixed stakes: a mixture of a few, decided before the first observation. So the wealth depends on sums
//! alone. Counts of many writers merge exactly, order within a bucket is nothing, and a controller that lost its memory gets
//! the same number from the same sums. Two kinds need more than the sums of everything: pairs are formed bucket by bucket, and
//! whatever looks for a change takes in the buckets, or values, in their order.
//!
//! | module | hypothesis | used for |
//! | --- | --- | --- |
//! | [`rate`] | a rate is at most, or at least, a limit | errors under 0.5 %, P99 as a part of slow calls |
//! | [`ratio`] | a rate is at most, or at least, so many times another arm's | errors against the concurrent stable version |
//! | [`mean`] | a mean of scores is at most, or at least, a limit | agreement over 90 % |
//! | [`dropped`] | a mean is at most, or at least, so far under another arm's | satisfaction within 2 % of stable |
//! | [`rise`] | a mean is at most, or at least, so far over another arm's | a session's cost within 20 % of stable's |
//! | [`detector`] | nothing *has changed* for the worse yet | triggers, after days of good data |
//! | [`drift`] | a series *has changed* in no way from what it was | numbers that have no limit: lengths, volumes |
//! | [`mismatch`] | callers fall to the candidate with the chance planned | broken routing or counting |
//! | [`interval`] | none: says where the truth lies | display |
//!
//! [`pairing`] forms the pairs that two of them need, and [`wealth`] keeps the gamblers' accounts.
//!
//! What counts as a failure and which limits hold is for others to say; here are only numbers.

pub mod wealth;

pub mod detector;
pub mod drift;
pub mod dropped;
pub mod mean;
pub mod mismatch;
pub mod pairing;
pub mod rate;
pub mod ratio;
pub mod rise;

pub mod interval;

mod linear;
mod random;

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many were looked at.
    pub n: u64,
    /// How many of them had it.
    pub hits: u64,
}

impl Count {
    /// Both counted together, stopping at the top instead of wrapping.
    pub fn plus(self, other: Self) -> Self {
        Self { n: self.n.saturating_add(other.n), hits: self.hits.saturating_add(other.hits) }
    }

    /// Those that did not have it; 0 for a count that contradicts itself.
    pub fn misses(self) -> u64 {
        self.n.saturating_sub(self.hits)
    }

    /// The part that had it; `None` without observations.
    pub fn rate(self) -> Option<f64> {
        (self.n > 0).then(|| (self.hits as f64 / self.n as f64).min(1.0))
    }
}

/// The number of steps in which scores are counted: 0.00, 0.01, ... 1.00.
pub const LEVELS: usize = 101;

/// Scores counted per hundredth.
pub type Histogram = [u64; LEVELS];

/// The score that a level stands for.
pub fn score(level: usize) -> f64 {
    level as f64 / (LEVELS - 1) as f64
}

/// Moved inside two bounds; what is not a number becomes the lower one.
fn inside(x: f64, low: f64, high: f64) -> f64 {
    if x > low { x.min(high) } else { low }
}

/// The mean of scores; `None` without any.
pub fn mean_of(scores: &Histogram) -> Option<f64> {
    let n: f64 = scores.iter().map(|count| *count as f64).sum();
    let total: f64 = scores.iter().enumerate().map(|(level, count)| score(level) * *count as f64).sum();
    (n > 0.0).then(|| total / n)
}
