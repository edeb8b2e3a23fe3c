//! Chance for rollouts on paper: how many of many, at the same cost for ten calls and for ten million.
//!
//! Small numbers are drawn by inversion, large ones by transformed rejection (Hörmann, "The generation of binomial random
//! variates", 1993, and "The transformed rejection method for generating Poisson random variables", 1993). All are exact to a
//! float's precision, and the same seed draws the same numbers on every machine.

/// Above this expectation rejection is quicker than inversion; its constants hold from here on.
const REJECTION_FROM: f64 = 10.0;

/// A stream of chance: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ mix(GOLDEN)))
    }

    /// The stream of one item of many, unrelated to its neighbours' streams.
    pub fn of_item(seed: u64, item: u64) -> Self {
        Self(mix(seed ^ mix(item.wrapping_add(GOLDEN))))
    }

    /// A number in 0..1, 1 excluded.
    pub fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        (mix(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A draw from the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// How many of `n` happen, each with this probability.
    pub fn binomial(&mut self, n: u64, probability: f64) -> u64 {
        if n == 0 || probability.is_nan() || probability <= 0.0 {
            return 0;
        }
        if probability >= 1.0 {
            return n;
        }
        if probability > 0.5 {
            return n - self.binomial(n, 1.0 - probability);
        }
        if n as f64 * probability < REJECTION_FROM {
            return self.few_of(n, probability);
        }
        self.many_of(n, probability)
    }

    /// How many calls arrive when so many are expected (Poisson).
    pub fn arrivals(&mut self, expected: f64) -> u64 {
        if expected.is_nan() || expected <= 0.0 {
            return 0;
        }
        if expected >= REJECTION_FROM {
            return self.many_arrivals(expected);
        }
        let mut chance = (-expected).exp();
        let mut place = self.fraction();
        let mut arrived = 0;
        while place > chance && arrived < 200 {
            place -= chance;
            arrived += 1;
            chance *= expected / arrived as f64;
        }
        arrived
    }

    /// Inversion: walks up the distribution until the lot is reached.
    fn few_of(&mut self, n: u64, probability: f64) -> u64 {
        let odds = probability / (1.0 - probability);
        let mut chance = (n as f64 * (-probability).ln_1p()).exp();
        let mut place = self.fraction();
        let mut hits = 0;
        while place > chance && hits < n {
            place -= chance;
            hits += 1;
            chance *= odds * (n - hits + 1) as f64 / hits as f64;
        }
        hits
    }

    /// Hörmann's BTRS; the names are the paper's.
    fn many_of(&mut self, n: u64, p: f64) -> u64 {
        let n = n as f64;
        let spq = (n * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * spq;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let c = n * p + 0.5;
        let v_r = 0.92 - 4.2 / b;
        let r = p / (1.0 - p);
        let alpha = (2.83 + 5.1 / b) * spq;
        let m = ((n + 1.0) * p).floor();
        loop {
            let u = self.fraction() - 0.5;
            let v = self.fraction();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + c).floor();
            if us >= 0.07 && v <= v_r {
                return k as u64;
            }
            if k < 0.0 || k > n {
                continue;
            }
            let height = (v * alpha / (a / (us * us) + b)).ln();
            let bound = (m + 0.5) * ((m + 1.0) / (r * (n - m + 1.0))).ln()
                + (n + 1.0) * ((n - m + 1.0) / (n - k + 1.0)).ln()
                + (k + 0.5) * (r * (n - k + 1.0) / (k + 1.0)).ln()
                + stirling_tail(m)
                + stirling_tail(n - m)
                - stirling_tail(k)
                - stirling_tail(n - k);
            if height <= bound {
                return k as u64;
            }
        }
    }

    /// Hörmann's PTRS; the names are the paper's.
    fn many_arrivals(&mut self, mu: f64) -> u64 {
        let b = 0.931 + 2.53 * mu.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.fraction() - 0.5;
            let v = self.fraction();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mu + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let height = (v * inverse_alpha / (a / (us * us) + b)).ln();
            if height <= k * mu.ln() - mu - log_factorial(k) {
                return k as u64;
            }
        }
    }
}

/// The generator's increment: the golden ratio in 64 bits, as published.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What Stirling's formula for ln k! leaves over.
fn stirling_tail(k: f64) -> f64 {
    // The series is good to eight digits from ten on; below, exact.
    if k < 10.0 {
        let exact: f64 = (2..=k as u32).map(|i| f64::from(i).ln()).sum();
        return exact - ((k + 0.5) * (k + 1.0).ln() - (k + 1.0) + HALF_LN_TAU);
    }
    let next = k + 1.0;
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / (next * next)) / (next * next)) / next
}

/// ln(2 pi) / 2.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

fn log_factorial(k: f64) -> f64 {
    (k + 0.5) * (k + 1.0).ln() - (k + 1.0) + HALF_LN_TAU + stirling_tail(k)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of many draws, in standard errors away from what they should be.
    fn check(name: &str, mean: f64, variance: f64, mut draw: impl FnMut() -> u64) {
        let rounds = 20_000;
        let drawn: Vec<f64> = (0..rounds).map(|_| draw() as f64).collect();
        let seen = drawn.iter().sum::<f64>() / f64::from(rounds);
        let spread = drawn.iter().map(|x| (x - seen).powi(2)).sum::<f64>() / f64::from(rounds);
        assert!(
            (seen - mean).abs() < 5.0 * (variance / f64::from(rounds)).sqrt(),
            "{name}: {seen}, not {mean}"
        );
        assert!((spread / variance - 1.0).abs() < 0.08, "{name}: {spread}, not {variance}");
    }

    #[test]
    fn draws_have_the_mean_and_spread_they_should() {
        let mut draw = Draw::new(7);
        let cases =
            [(1u64, 0.3), (10, 0.9), (1000, 0.004), (5000, 0.02), (800, 0.5), (20_000_000, 0.31), (40, 0.7)];
        for (n, p) in cases {
            let (mean, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
            check(&format!("{n} {p}"), mean, variance, || draw.binomial(n, p));
        }
        for expected in [0.3, 9.0, 11.0, 250.0, 3e6] {
            check(&format!("{expected}"), expected, expected, || draw.arrivals(expected));
        }
    }

    #[test]
    fn large_draws_have_the_tails_they_should() {
        // P(Binomial(1000, 0.02) >= 30) = 0.0220 by summation.
        let mut draw = Draw::new(3);
        let rounds = 100_000;
        let seen = (0..rounds).filter(|_| draw.binomial(1000, 0.02) >= 30).count() as f64 / f64::from(rounds);
        let mut exact = 0.0;
        for k in 30..=200_u32 {
            let k = f64::from(k);
            let log = log_factorial(1000.0) - log_factorial(k) - log_factorial(1000.0 - k)
                + k * 0.02_f64.ln()
                + (1000.0 - k) * 0.98_f64.ln();
            exact += log.exp();
        }
        assert!((seen - exact).abs() < 5.0 * (exact / f64::from(rounds)).sqrt(), "{seen} {exact}");
    }

    #[test]
    fn what_cannot_happen_and_what_must_happen_are_exact() {
        let mut draw = Draw::new(7);
        assert_eq!((draw.binomial(50, 0.0), draw.binomial(50, 1.0), draw.binomial(0, 0.5)), (0, 50, 0));
        assert_eq!((draw.arrivals(0.0), draw.arrivals(f64::NAN), draw.binomial(9, f64::NAN)), (0, 0, 0));
    }
}
