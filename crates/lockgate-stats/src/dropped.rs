//! How far a mean lies under another arm's, on pairs.
//!
//! "At most the part d under stable" is linear in the two means: W = x - (1-d) s has mean 0 at the limit, and lies between
//! -(1-d) and 1. Mapped to 0..1 it is a bounded mean against a limit, and the bets of [`crate::mean`] become simple: a factor
//! of 1 - l W against "it has dropped by at most d", and of 1 + l W / (1-d) against "it has dropped by at least d".

use crate::inside;
use crate::mean::{STAKES, STAKES_PARTS};
use crate::pairing::Pair;
use crate::wealth::Wealth;

/// Factors multiplied before a logarithm is taken: each is at least 0.2, and 0.2^64 is far from the end of a float.
const PRODUCT_MAX: usize = 64;

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
        let mut wealth = Wealth::untouched(STAKES_PARTS);
        for some in pairs.chunks(PRODUCT_MAX) {
            let mut products = [1.0; STAKES.len()];
            for pair in some {
                let gain = (pair.candidate - self.kept * pair.stable) * scale;
                for (product, stake) in products.iter_mut().zip(STAKES) {
                    *product *= 1.0 + stake * gain;
                }
            }
            for (bet, product) in products.iter().enumerate() {
                wealth.multiply(bet, product.ln());
            }
        }
        wealth
    }
}
