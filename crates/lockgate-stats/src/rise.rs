//! How far a mean lies over another arm's, on pairs of bounded values: what a session costs.
//!
//! "At most the part r over stable" is linear in the two means: W = (1+r) s - x has mean 0 at the limit, and
//! with x and s between 0 and 1 it lies between -1 and 1+r. So nothing needs to be known of the distribution
//! but that the values are capped, which a budget per session makes a fact; callers divide by that cap. A
//! gambler who risks the part l of its wealth has a factor of 1 - l W / (1+r) against "it has risen by at
//! most r", and of 1 + l W against "by at least r".
//!
//! What lies above the cap counts as the cap, and what is not a number as 0. How often the cap is met is a
//! rate, and for a test of its own.
//!
//! How long it takes hangs on the cap: the nearer to the mean, the sooner. With lognormal costs spread by 1.8
//! times their mean, a cap of 20 means, a rise of 20 % allowed and one stable session per pair, 1.5-fold
//! costs break it after some 1 250 pairs at 1 %, threefold ones after 130, and equal ones keep it after 1 200
//! at 5 %; four stable sessions per pair take a third off the first.

use crate::pairing::Pair;
use crate::wealth::Wealth;
use crate::{inside, linear};

/// Rises tested for lie under this: a hundredfold.
const RISE_MAX: f64 = 99.0;

/// Tests of a relative rise against a limit, for both sides.
#[derive(Debug, Clone, Copy)]
pub struct RiseTest {
    times: f64,
}

impl RiseTest {
    /// Of a mean that ought to lie less than the part `rise` over the other arm's.
    pub fn under(rise: f64) -> Self {
        Self { times: 1.0 + inside(rise, 0.0, RISE_MAX) }
    }

    /// What these pairs, in parts of the cap, add to the evidence that the mean has risen by more.
    pub fn fail_step(&self, pairs: &[Pair]) -> Wealth {
        self.step(pairs, -1.0 / self.times)
    }

    /// What these pairs, in parts of the cap, add to the evidence that the mean has risen by less.
    pub fn pass_step(&self, pairs: &[Pair]) -> Wealth {
        self.step(pairs, 1.0)
    }

    fn step(&self, pairs: &[Pair], scale: f64) -> Wealth {
        linear::step(pairs, |candidate, stable| (self.times * stable - candidate) * scale)
    }
}
