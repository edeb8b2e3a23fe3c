//! A mean of scores between 0 and 1 against a limit, by betting.
//!
//! A gambler who bets that the mean is over m multiplies its wealth by 1 + l (x/m - 1) for a score x; one who bets that it is
//! under, by 1 + l ((1-x)/(1-m) - 1). At mean m the expected factor is 1 whatever the distribution, and the direction is
//! fixed, so each is evidence against a whole side (Waudby-Smith and Ramdas 2024, with fixed stakes instead of learned ones).

use crate::wealth::Wealth;
use crate::{Histogram, inside, score};

/// The stakes: parts of the wealth put at risk, geometric from cautious (small differences) to bold (large ones).
pub(crate) const STAKES: [f64; 8] = [0.02, 0.033_877, 0.057_383, 0.097_2, 0.164_645, 0.278_888, 0.472_4, 0.8];
pub(crate) const STAKES_PARTS: &[f64] = &[1.0 / 8.0; 8];
const LIMIT_MIN: f64 = 1e-6;

/// Tests of a mean against a limit, for both sides.
#[derive(Debug, Clone, Copy)]
pub struct MeanTest {
    limit: f64,
}

impl MeanTest {
    /// Of a mean that ought to be over the limit.
    pub fn over(limit: f64) -> Self {
        Self { limit: inside(limit, LIMIT_MIN, 1.0 - LIMIT_MIN) }
    }

    /// What these scores add to the evidence that the mean is under the limit.
    pub fn fail_step(&self, scores: &Histogram) -> Wealth {
        self.step(scores, |x| (1.0 - x) / (1.0 - self.limit))
    }

    /// What these scores add to the evidence that the mean is over the limit.
    pub fn pass_step(&self, scores: &Histogram) -> Wealth {
        self.step(scores, |x| x / self.limit)
    }

    /// `payout` is 1 on average at the limit.
    fn step(&self, scores: &Histogram, payout: impl Fn(f64) -> f64) -> Wealth {
        let mut wealth = Wealth::untouched(STAKES_PARTS);
        for (level, count) in scores.iter().enumerate().filter(|(_, count)| **count > 0) {
            let gain = payout(score(level)) - 1.0;
            for (bet, stake) in STAKES.iter().enumerate() {
                wealth.multiply(bet, *count as f64 * (stake * gain).ln_1p());
            }
        }
        wealth
    }
}
