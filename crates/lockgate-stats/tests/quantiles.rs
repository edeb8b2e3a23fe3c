//! Between which levels a quantile lies: never wrong more often than promised, and no wider than it must be.

use lockgate_stats::interval::of_quantile;
use proptest::prelude::*;

#[test]
fn without_values_there_is_no_answer_and_with_few_an_end_is_open() {
    assert_eq!(of_quantile(&[], 0.99, 0.05), None);
    assert_eq!(of_quantile(&[(3, 0)], 0.99, 0.05), None);
    assert_eq!(of_quantile(&[(7, 1)], 0.99, 0.05), Some((0, u16::MAX)));
    // One value in a hundred lies over the P99: as long as none of them can be missed, nothing bounds it from
    // above.
    assert_eq!(of_quantile(&[(7, 300)], 0.99, 0.05), Some((7, u16::MAX)));
    assert_eq!(of_quantile(&[(7, 900)], 0.99, 0.05), Some((7, 7)));
}

#[test]
fn known_intervals_come_out_on_even_values() {
    // Values even over 1000 levels: the P99 is level 989, with a standard error of 3.1 levels at 1000 values
    // and 1 at 10 000.
    let even = |each: u64| (0..1000).map(|level| (level, each)).collect::<Vec<_>>();
    let (low, high) = of_quantile(&even(10), 0.99, 0.05).unwrap();
    assert!((983..=987).contains(&low) && (991..=995).contains(&high), "{low} {high}");
    let (low, high) = of_quantile(&even(10), 0.5, 0.05).unwrap();
    assert!((475..=490).contains(&low) && (510..=525).contains(&high), "{low} {high}");
    let (low, high) = of_quantile(&even(100_000), 0.99, 0.05).unwrap();
    assert!((988..=989).contains(&low) && (989..=991).contains(&high), "{low} {high}");
}

/// Over all courses of `n` values on three levels: the chance that the interval ever misses the quantile's
/// level.
fn chance_of_a_miss(counts: [u64; 3], n: u64, chances: [f64; 3], q: f64, truth: u16, alpha: f64) -> f64 {
    let levels: Vec<(u16, u64)> = (0..3).zip(counts).collect();
    if let Some((low, high)) = of_quantile(&levels, q, alpha)
        && !(low..=high).contains(&truth)
    {
        return 1.0;
    }
    if n == 0 {
        return 0.0;
    }
    let after = |level: usize| {
        let mut counts = counts;
        counts[level] += 1;
        chances[level] * chance_of_a_miss(counts, n - 1, chances, q, truth, alpha)
    };
    (0..3).map(after).sum()
}

#[test]
fn over_all_courses_of_nine_values_it_misses_the_quantile_as_rarely_as_promised() {
    // (chances of the levels, q, the level that holds the quantile)
    let cases = [
        ([0.5, 0.3, 0.2], 0.5, 0),
        ([0.45, 0.1, 0.45], 0.5, 1),
        ([0.1, 0.2, 0.7], 0.3, 1),
        ([0.9, 0.08, 0.02], 0.9, 0),
        ([0.02, 0.08, 0.9], 0.02, 0),
    ];
    for (chances, q, truth) in cases {
        for alpha in [0.4, 0.1] {
            let missed = chance_of_a_miss([0; 3], 9, chances, q, truth, alpha);
            assert!(missed <= alpha, "{chances:?}, {q} of {alpha}: {missed}");
        }
    }
}

proptest! {
    #[test]
    fn it_holds_the_quantile_of_what_was_seen(
        counts in proptest::collection::btree_map(any::<u16>(), any::<u64>(), 1..20),
        q in 0.0..1.0f64,
        alpha in 0.001..0.5f64,
    ) {
        let levels: Vec<(u16, u64)> = counts.into_iter().collect();
        let n: f64 = levels.iter().map(|(_, count)| *count as f64).sum();
        prop_assume!(n > 0.0);
        let (low, high) = of_quantile(&levels, q, alpha).unwrap();
        let mut under = 0.0;
        let seen = levels.iter().find(|(_, count)| {
            under += *count as f64;
            under >= q * n
        });
        if let Some((seen, _)) = seen {
            prop_assert!(low <= *seen && *seen <= high, "{low} {seen} {high}");
        }
    }
}
