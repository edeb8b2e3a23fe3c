//! Changes of a series are found, whatever it looks like, and a series that stays as it is raises few alarms.

use lockgate_stats::detector::log_threshold;
use lockgate_stats::drift::Drift;

struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// About normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Makes a series out of normal values.
type Shape<'a> = &'a dyn Fn(f64) -> f64;

const VALUES: u32 = 500;

/// At which value after the change an alarm is raised.
fn alarm(seed: u64, baseline: usize, sound: Shape<'_>, then: Shape<'_>) -> Option<u32> {
    let mut draw = Draw(seed.wrapping_mul(7919) + 1);
    let values: Vec<f64> = (0..baseline).map(|_| sound(draw.normal())).collect();
    let mut drift = Drift::new(&values, seed);
    (1..=VALUES).find(|_| {
        drift.step(then(draw.normal()));
        drift.reaches(log_threshold(VALUES.into(), 0.05))
    })
}

#[test]
fn shifts_either_way_and_a_changed_spread_are_found_within_some_dozens_of_values() {
    let changes: [(&str, Shape<'_>, f64); 6] = [
        ("up by one spread", &|x| x + 1.0, 40.0),
        ("down by one spread", &|x| x - 1.0, 40.0),
        ("up by four", &|x| x + 4.0, 8.0),
        ("down by four", &|x| x - 4.0, 8.0),
        ("twice the spread", &|x| x * 2.0, 50.0),
        ("half the spread", &|x| x * 0.5, 60.0),
    ];
    for (what, change, most) in changes {
        let found: Vec<u32> = (0..40).filter_map(|seed| alarm(seed, 200, &|x| x, change)).collect();
        assert!(found.len() >= 39, "{what}: {} of 40", found.len());
        let mean = found.iter().map(|values| f64::from(*values)).sum::<f64>() / found.len() as f64;
        assert!(mean < most, "{what}: {mean}");
    }
}

#[test]
fn a_series_that_stays_as_it_is_raises_no_more_alarms_than_promised() {
    let shapes: [Shape<'_>; 4] = [&|x| x, &|x| x.exp(), &|x| x.round(), &|x| x.max(0.0)];
    for (which, shape) in shapes.into_iter().enumerate() {
        for baseline in [0, 5, 50, 300] {
            let alarms = (0..100).filter(|seed| alarm(*seed, baseline, shape, shape).is_some()).count();
            // Promised are at most 5 in 100; twelve or more of them would be met once in a few hundred times.
            assert!(alarms < 12, "shape {which}, baseline {baseline}: {alarms}");
        }
    }
}

#[test]
fn the_same_values_give_the_same_bits_and_what_is_not_a_number_is_left_out() {
    let with = [3.0, f64::NAN, 1.0, 2.0, f64::INFINITY, f64::NEG_INFINITY];
    let without = [3.0, 1.0, 2.0, f64::INFINITY, f64::NEG_INFINITY];
    let (mut one, mut other) = (Drift::new(&with, 7), Drift::new(&without, 7));
    assert_eq!(one.log_e(), f64::NEG_INFINITY);
    for x in [2.5, f64::INFINITY, 1e308, 0.0, -0.0, f64::NEG_INFINITY, f64::MIN_POSITIVE] {
        one.step(x);
        one.step(f64::NAN);
        other.step(x);
        assert_eq!(one.log_e().to_bits(), other.log_e().to_bits());
        assert!(one.log_e().is_finite());
    }
    assert_eq!((one.left_out(), other.left_out()), (8, 0));
}

#[test]
fn a_baseline_of_any_length_keeps_its_memory_bounded_and_its_evidence_finite() {
    let many: Vec<f64> = (0..100_000).map(f64::from).collect();
    let mut drift = Drift::new(&many, 1);
    for _ in 0..2_000 {
        drift.step(1e9);
        assert!(drift.log_e().is_finite());
    }
    assert!(drift.log_e() > 100.0, "a series that jumped away is an alarm: {}", drift.log_e());
}
