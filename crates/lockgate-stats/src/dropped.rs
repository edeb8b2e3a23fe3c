//! How far a mean lies under another arm's, on pairs.
//!
//! "At most the part d under stable" is linear in the two means: W = x - (1-d) s has mean 0 at the limit, and
//! lies between -(1-d) and 1. So a gambler who risks the part l of its wealth has a factor of 1 - l W against
//! "it has dropped by at most d", and of 1 + l W / (1-d) against "it has dropped by at least d".

use crate::pairing::Pair;
use crate::wealth::Wealth;
use crate::{inside, linear};

/// Tests of a relative drop against a limit, for both sides.
#[derive(Debug, Clone, Copy)]
pub struct DropTest {
    kept: f64,
}

impl DropTest {
    /// Of a mean that ought to lie less than the part `drop` under the other arm's.
    pub fn under(drop: f64) -> Self {
        Self { kept: 1.0 - inside(drop, 0.0, 1.0 - 1e-6) }
    }

    /// What these pairs add to the evidence that the mean has dropped by more.
    pub fn fail_step(&self, pairs: &[Pair]) -> Wealth {
        self.step(pairs, -1.0)
    }

    /// What these pairs add to the evidence that the mean has dropped by less.
    pub fn pass_step(&self, pairs: &[Pair]) -> Wealth {
        self.step(pairs, 1.0 / self.kept)
    }

    fn step(&self, pairs: &[Pair], scale: f64) -> Wealth {
        linear::step(pairs, |candidate, stable| (candidate - self.kept * stable) * scale)
    }
}
