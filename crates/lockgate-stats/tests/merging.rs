//! Buckets may be merged in any order and portions: sums of whole numbers are the same, and so is everything
//! said of them, to the last bit.

use std::collections::BTreeMap;

use lockgate_stats::interval;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::mismatch;
use lockgate_stats::pairing::Pairing;
use lockgate_stats::rate::RateTest;
use lockgate_stats::ratio::RatioTest;
use lockgate_stats::rise::RiseTest;
use lockgate_stats::{Count, Histogram, LEVELS};
use proptest::prelude::*;

/// One writer's part of a bucket.
#[derive(Debug, Clone)]
struct Part {
    candidate: Count,
    stable: Count,
    scores: Vec<(usize, u64)>,
    costs: Vec<(u16, u64)>,
}

fn part() -> impl Strategy<Value = Part> {
    let count = || (0u64..500, 0u64..20).prop_map(|(misses, hits)| Count { n: misses + hits, hits });
    let scores = proptest::collection::vec((0..LEVELS, 1u64..9), 0..5);
    let costs = proptest::collection::vec((0u16..3000, 1u64..9), 0..5);
    (count(), count(), scores, costs).prop_map(|(candidate, stable, scores, costs)| Part {
        candidate,
        stable,
        scores,
        costs,
    })
}

/// Everything that is said of a bucket, as bits.
fn said(parts: &[&Part]) -> Vec<u64> {
    let (mut candidate, mut stable) = (Count::default(), Count::default());
    let (mut scores, mut costs): (Histogram, BTreeMap<u16, u64>) = ([0; LEVELS], BTreeMap::new());
    for part in parts {
        (candidate, stable) = (candidate.plus(part.candidate), stable.plus(part.stable));
        part.scores.iter().for_each(|(level, count)| scores[*level] += count);
        part.costs.iter().for_each(|(level, count)| *costs.entry(*level).or_default() += count);
    }
    let costs: Vec<(u16, u64)> = costs.into_iter().collect();
    let mut pairing = Pairing::default();
    let pairs = pairing.take_levels(7, &costs, &costs, |level| f64::from(level) / 3000.0);
    let (low, high) = interval::of_quantile(&costs, 0.9, 0.05).unwrap_or_default();
    let (least, most) = interval::of_mean(&scores, 0.05);
    let mut said: Vec<f64> = vec![
        mismatch::log_e(candidate.n, stable.n, 0.1, 2),
        low.into(),
        high.into(),
        least,
        most,
        interval::of_rate(candidate, 0.05).1,
    ];
    for wealth in [
        RateTest::under(0.01).fail(candidate),
        RatioTest::new(1.25).fail_step(candidate, stable),
        MeanTest::over(0.8).pass_step(&scores),
        RiseTest::under(0.2).fail_step(pairs),
    ] {
        said.extend(wealth.logs());
        said.push(wealth.log_e());
    }
    said.into_iter().map(f64::to_bits).collect()
}

proptest! {
    #[test]
    fn the_order_of_writers_changes_no_bit(
        (parts, shuffled) in proptest::collection::vec(part(), 1..64)
            .prop_flat_map(|parts| (Just(parts.clone()), Just(parts).prop_shuffle())),
    ) {
        let (parts, shuffled): (Vec<&Part>, Vec<&Part>) = (parts.iter().collect(), shuffled.iter().collect());
        prop_assert_eq!(said(&parts), said(&shuffled));
    }
}
