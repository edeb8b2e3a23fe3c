//! Chance for rollouts on paper: how many of many, fast enough for millions of buckets.

use crate::random::Random;

/// Binomial draws of more than this are split: beyond, the first probability of the inversion would leave a float's range.
const SPLIT: u64 = 1000;

/// A stream of chance.
#[derive(Debug, Clone)]
pub(crate) struct Draw(Random);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::for_item(seed, 0))
    }

    /// How many of `n` happen, each with this probability: by inversion, exact to a float's precision.
    pub(crate) fn binomial(&mut self, n: u64, probability: f64) -> u64 {
        if probability > 0.5 {
            return n - self.binomial(n, 1.0 - probability);
        }
        if n == 0 || probability <= 0.0 {
            return 0;
        }
        let (mut left, mut hits) = (n, 0);
        while left > 0 {
            let some = left.min(SPLIT);
            hits += self.invert(some, probability);
            left -= some;
        }
        hits
    }

    fn invert(&mut self, n: u64, probability: f64) -> u64 {
        let odds = probability / (1.0 - probability);
        let mut chance = (1.0 - probability).powi(n as i32);
        let mut place = self.0.fraction();
        let mut hits = 0;
        while place > chance && hits < n {
            place -= chance;
            hits += 1;
            chance *= odds * (n - hits + 1) as f64 / hits as f64;
        }
        hits
    }

    /// How many calls arrive when so many are expected (Poisson), as a binomial of many unlikely callers.
    pub(crate) fn arrivals(&mut self, expected: f64) -> u64 {
        let callers = (expected.ceil() as u64).saturating_mul(64).max(64);
        self.binomial(callers, (expected / callers as f64).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_mean_and_spread_they_should() {
        let mut draw = Draw::new(7);
        for (n, probability) in [(1u64, 0.3), (10, 0.9), (1000, 0.004), (5000, 0.02), (800, 0.5)] {
            let rounds = 4000;
            let drawn: Vec<f64> = (0..rounds).map(|_| draw.binomial(n, probability) as f64).collect();
            let mean = drawn.iter().sum::<f64>() / f64::from(rounds);
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(rounds);
            let (expected, spread) = (n as f64 * probability, n as f64 * probability * (1.0 - probability));
            assert!((mean - expected).abs() < 5.0 * (spread / f64::from(rounds)).sqrt(), "{n} {probability}");
            assert!((variance / spread - 1.0).abs() < 0.15, "{n} {probability}: {variance} {spread}");
        }
    }

    #[test]
    fn what_cannot_happen_and_what_must_happen_are_exact() {
        let mut draw = Draw::new(7);
        assert_eq!((draw.binomial(50, 0.0), draw.binomial(50, 1.0), draw.binomial(0, 0.5)), (0, 50, 0));
        assert_eq!(draw.arrivals(0.0), 0);
    }
}
