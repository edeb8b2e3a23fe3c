//! Seeded randomness: small, fast, and the same on every machine.
//!
//! A simulation that is to be run again must draw the same numbers, also after a library's next version. Twenty lines of a
//! published generator keep that promise; nothing secret is ever drawn from it.

use std::f64::consts::TAU;

/// A stream of numbers that follows from its seed: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014). One word of state, so that a fresh stream per call costs nothing.
#[derive(Debug, Clone)]
pub struct Random(u64);

/// The generator's increment: the golden ratio in 64 bits, as published.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of one item of many, unrelated to its neighbours' streams.
    pub fn for_item(seed: u64, item: u64) -> Self {
        Self(mix(seed ^ mix(item.wrapping_add(GOLDEN))))
    }

    /// The seed of one part of a simulation, so that parts that share a seed do not draw the same numbers.
    pub fn seed_of(seed: u64, part: &str) -> u64 {
        mix(seed ^ digest(part.as_bytes()))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in 0..1, 1 excluded.
    pub fn fraction(&mut self) -> f64 {
        to_fraction(self.bits())
    }

    /// Whether something happens that happens with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A whole number in 0..`bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A draw from the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (TAU * self.fraction()).cos()
    }

    /// A draw from the log-normal distribution with this median; `sigma` is the spread of its logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }
}

/// A fixed number in 0..1 for a text and a purpose: two models that are asked the same draw the same lot.
pub fn lot(text: &[u8], purpose: u64) -> f64 {
    to_fraction(mix(digest(text) ^ mix(purpose.wrapping_add(GOLDEN))))
}

/// 64 bits of a text (FNV-1a, then mixed).
pub fn digest(text: &[u8]) -> u64 {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(hash)
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn to_fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // First outputs for seed 1234567, as in the reference implementation's test vectors.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn chances_and_medians_come_out_as_asked() {
        let mut random = Random::new(7);
        let hits = (0..100_000).filter(|_| random.chance(0.02)).count();
        assert!((1_800..2_200).contains(&hits), "{hits}");
        let above = (0..100_000).filter(|_| random.log_normal(15.0, 0.5) > 15.0).count();
        assert!((49_000..51_000).contains(&above), "{above}");
        assert!((0..10_000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn items_of_one_seed_are_unrelated_and_another_seed_changes_them() {
        let first = |seed, item| Random::for_item(seed, item).bits();
        assert_eq!(first(1, 1), first(1, 1));
        assert_ne!(first(1, 1), first(1, 2));
        assert_ne!(first(1, 1), first(2, 1));
        let mean: f64 = (0..10_000).map(|item| Random::for_item(1, item).fraction()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
