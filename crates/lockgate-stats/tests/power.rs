//! How soon scores speak: seeded draws in the shape of a judge's marks, against figures known for these methods.

use lockgate_stats::dropped::DropTest;
use lockgate_stats::pairing::Pairing;
use lockgate_stats::wealth::Wealth;
use lockgate_stats::{Histogram, LEVELS};

struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A mark with this mean and a spread of about 0.2, cut to 0..1.
    fn mark(&mut self, mean: f64) -> usize {
        let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        ((mean + 0.2 * normal).clamp(0.0, 1.0) * 100.0).round() as usize
    }
}

/// Pairs until a threshold is reached, one candidate and four stable marks per bucket; `None` within 3000.
fn pairs_to(
    seed: u64,
    candidate: f64,
    needed: f64,
    step: impl Fn(&[lockgate_stats::pairing::Pair]) -> Wealth,
) -> Option<u32> {
    let mut draw = Draw(seed);
    let mut pairing = Pairing::default();
    let mut wealth: Option<Wealth> = None;
    for bucket in 1..=3000 {
        let (mut own, mut other): (Histogram, Histogram) = ([0; LEVELS], [0; LEVELS]);
        own[draw.mark(candidate)] += 1;
        (0..4).for_each(|_| other[draw.mark(0.8)] += 1);
        let factor = step(pairing.take(bucket.into(), &own, &other));
        wealth.get_or_insert(Wealth::untouched(factor.parts())).multiply_all(&factor);
        if wealth.is_some_and(|wealth| wealth.reaches(needed)) {
            return Some(bucket);
        }
    }
    None
}

#[test]
fn a_drop_of_a_tenth_is_found_within_some_hundred_pairs_and_an_equal_version_passes_sooner() {
    let (fail, pass) = (DropTest::under(0.05), DropTest::under(0.10));
    let mean = |found: Vec<Option<u32>>| {
        assert!(found.iter().all(Option::is_some));
        let pairs: Vec<f64> = found.into_iter().flatten().map(f64::from).collect();
        pairs.iter().sum::<f64>() / pairs.len() as f64
    };
    let seeds = 0..60u64;
    let failed = mean(seeds.clone().map(|s| pairs_to(s, 0.72, 100f64.ln(), |p| fail.fail_step(p))).collect());
    let passed = mean(seeds.clone().map(|s| pairs_to(s, 0.80, 20f64.ln(), |p| pass.pass_step(p))).collect());
    assert!(failed < 500.0, "{failed}");
    assert!(passed < 150.0, "{passed}");
    let false_alarms = seeds.filter_map(|s| pairs_to(s, 0.80, 100f64.ln(), |p| fail.fail_step(p))).count();
    assert_eq!(false_alarms, 0);
}
