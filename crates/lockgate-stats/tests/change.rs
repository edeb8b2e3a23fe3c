//! A change for the worse after good days: what a detector finds that evidence from the beginning cannot.

use lockgate_stats::Count;
use lockgate_stats::detector::{Detector, log_threshold};
use lockgate_stats::rate::RateTest;

struct Draw(u64);

impl Draw {
    fn hits(&mut self, calls: u64, rate: f64) -> Count {
        let mut hits = 0;
        for _ in 0..calls {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            hits += u64::from(((self.0 >> 11) as f64 / (1u64 << 53) as f64) < rate);
        }
        Count { n: calls, hits }
    }
}

/// Looks in two days, one every ten seconds; a call a second.
const LOOKS: u32 = 17_280;
const CALLS: u64 = 10;

/// Looks after the change at which an alarm is raised; `Some(0)` if there was one before it.
fn alarm(seed: u64, good: u32, bad: u32) -> Option<u32> {
    let (mut draw, mut detector) = (Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), Detector::default());
    let test = RateTest::under(0.005);
    let needed = log_threshold(LOOKS.into(), 0.01);
    let mut looks = |count: u32, rate: f64| {
        (1..=count).find(|_| {
            detector.step(&test.fail(draw.hits(CALLS, rate)));
            detector.reaches(needed)
        })
    };
    if looks(good, 0.004).is_some() {
        return Some(0);
    }
    looks(bad, 0.02)
}

#[test]
fn a_rise_from_0_4_to_2_percent_after_a_day_is_found_within_1100_calls() {
    let found: Vec<u32> = (0..24).filter_map(|seed| alarm(seed, LOOKS / 2, 1_000)).collect();
    assert_eq!(found.len(), 24);
    assert!(found.iter().all(|looks| *looks > 0), "an alarm before the change");
    let calls = found.iter().map(|looks| f64::from(*looks) * CALLS as f64).sum::<f64>() / 24.0;
    assert!(calls <= 1_100.0, "{calls}");
}
