//! Bets that a fixed sum of two arms' means is under or over 0, on pairs of values between 0 and 1.
//!
//! How far one mean lies under or over another's part is linear in both, so W = u x + v s of a pair has mean
//! 0 at the limit and is bounded. Scaled so that it is at least -1, it is a fair gain: a gambler who risks
//! the part l of its wealth has the factor 1 + l W (betting: Waudby-Smith and Ramdas 2024, with fixed stakes
//! in place of learned ones).

use crate::inside;
use crate::pairing::Pair;
use crate::wealth::Wealth;

/// The parts of the wealth put at risk. Between scores that differ by a tenth, and between costs that differ
/// by half, the best single stake is about a half; for what differs more it is bolder, for small differences
/// among wide spreads smaller. A difference so small that even the smallest stake is too bold takes a hundred
/// thousand pairs in any case.
const STAKES: [f64; 8] = [0.04, 0.08, 0.16, 0.28, 0.45, 0.65, 0.85, 0.97];
const PARTS: &[f64] = &[0.03, 0.06, 0.12, 0.17, 0.20, 0.18, 0.14, 0.10];

/// Factors multiplied before a logarithm is taken: each is at least 0.03, and 0.03^64 is far from the end of
/// a float.
const PRODUCT_MAX: usize = 64;

/// What these pairs make of the wealth, by the gain from a candidate's and a stable value: at least -1, and 0
/// on average at the limit. Values beyond 0 and 1 count as these, and what is not a number as 0.
pub(crate) fn step(pairs: &[Pair], gain: impl Fn(f64, f64) -> f64) -> Wealth {
    let mut wealth = Wealth::untouched(PARTS);
    for some in pairs.chunks(PRODUCT_MAX) {
        let mut products = [1.0; STAKES.len()];
        for pair in some {
            let gain = gain(inside(pair.candidate, 0.0, 1.0), inside(pair.stable, 0.0, 1.0));
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
