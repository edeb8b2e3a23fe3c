//! Whatever is counted, however much of it: numbers stay numbers, and sums may come in any order.

use lockgate_stats::dropped::DropTest;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::pairing::{Pair, Pairing};
use lockgate_stats::rate::RateTest;
use lockgate_stats::ratio::{Gathering, RatioTest};
use lockgate_stats::rise::RiseTest;
use lockgate_stats::wealth::Wealth;
use lockgate_stats::{Count, Histogram, LEVELS, interval};
use proptest::prelude::*;

fn all_finite(wealth: &Wealth) -> bool {
    wealth.logs().iter().all(|log| log.is_finite()) && wealth.log_e().is_finite()
}

#[test]
fn evidence_stays_finite_for_counts_at_the_end_of_their_range() {
    let most = u64::MAX;
    let counts = [(0, 0), (1, 0), (1, 1), (most, 0), (most, most), (most, most / 2), (0, most)];
    for limit in [f64::NAN, -1.0, 0.0, 1e-12, 0.005, 0.5, 1.0, 7.0, f64::INFINITY] {
        let (under, over) = (RateTest::under(limit), RateTest::over(limit));
        let ratio = RatioTest::new(limit);
        for (n, hits) in counts {
            let count = Count { n, hits };
            for wealth in [under.fail(count), under.pass(count), over.fail(count), over.pass(count)] {
                assert!(all_finite(&wealth), "limit {limit}, {count:?}");
            }
            for (n, hits) in counts {
                let stable = Count { n, hits };
                assert!(all_finite(&ratio.fail_step(count, stable)), "{limit} {count:?} {stable:?}");
                assert!(all_finite(&ratio.pass_step(count, stable)), "{limit} {count:?} {stable:?}");
            }
        }
        let mut scores: Histogram = [0; LEVELS];
        (scores[0], scores[100]) = (most, most);
        let mean = MeanTest::over(limit);
        assert!(all_finite(&mean.fail_step(&scores)) && all_finite(&mean.pass_step(&scores)), "{limit}");
        let beyond = [f64::NAN, f64::NEG_INFINITY, -3.0, 0.0, 1.0, 1e300, f64::INFINITY];
        let pairs = beyond.map(|candidate| beyond.map(|stable| Pair { candidate, stable })).concat();
        let drop = DropTest::under(limit);
        assert!(all_finite(&drop.fail_step(&pairs)) && all_finite(&drop.pass_step(&pairs)), "{limit}");
        let rise = RiseTest::under(limit);
        assert!(all_finite(&rise.fail_step(&pairs)) && all_finite(&rise.pass_step(&pairs)), "{limit}");
    }
}

#[test]
fn an_interval_lies_in_0_to_1_around_the_estimate_for_every_count() {
    let most = u64::MAX;
    assert_eq!(interval::of_rate(Count::default(), 0.01), (0.0, 1.0));
    assert_eq!(interval::of_mean(&[0; LEVELS], 0.01), (0.0, 1.0));
    for (n, hits) in [(1, 0), (1, 1), (1000, 4), (most, 0), (most, most), (most, most / 3), (3, most)] {
        let count = Count { n, hits };
        let (low, high) = interval::of_rate(count, 0.01);
        let rate = count.rate().unwrap();
        assert!(0.0 <= low && low <= rate && rate <= high && high <= 1.0, "{count:?}: {low} {high}");
    }
    let mut scores: Histogram = [0; LEVELS];
    for count in [1, 1000, most] {
        scores[90] = count;
        let (low, high) = interval::of_mean(&scores, 0.01);
        assert!((0.0..=0.9 + 1e-9).contains(&low) && (0.9 - 1e-9..=1.0).contains(&high), "{low} {high}");
    }
}

#[test]
fn known_intervals_come_out() {
    // Upper end after no hit in n: (1-p)^n = alpha / (2 sqrt n), so 1 - (0.01 / (2 sqrt 100))^(1/100) =
    // 0.0732.
    let (low, high) = interval::of_rate(Count { n: 100, hits: 0 }, 0.01);
    assert_eq!(low, 0.0);
    assert!((high - 0.073_2).abs() < 1e-4, "{high}");
}

#[test]
fn known_evidence_comes_out() {
    // By hand: the gambler with odds p/p0 = 4 for a hit and 0.98/0.995 for a miss has 0.16 of the capital.
    let wealth = RateTest::under(0.005).fail(Count { n: 100, hits: 5 });
    let fourfold = 5.0 * 4f64.ln() + 95.0 * (0.98f64 / 0.995).ln();
    assert!((wealth.logs()[7] - fourfold).abs() < 1e-9);
    assert!(wealth.log_e() <= wealth.logs().iter().copied().fold(f64::MIN, f64::max));
    assert!(wealth.log_e() >= fourfold + 0.16f64.ln());
}

fn count() -> impl Strategy<Value = Count> {
    (0u64..2000).prop_flat_map(|n| (Just(n), 0..=n)).prop_map(|(n, hits)| Count { n, hits })
}

fn scores() -> impl Strategy<Value = Histogram> {
    proptest::collection::vec((0usize..LEVELS, 0u64..40), 0..8).prop_map(|some| {
        let mut scores = [0; LEVELS];
        some.into_iter().for_each(|(level, count)| scores[level] += count);
        scores
    })
}

proptest! {
    #[test]
    fn evidence_on_a_rate_hangs_on_sums_alone(counts in proptest::collection::vec(count(), 1..8)) {
        let test = RateTest::under(0.01);
        let sum = |counts: &mut dyn Iterator<Item = &Count>| {
            counts.fold(Count::default(), |sum, count| sum.plus(*count))
        };
        let forwards = test.fail(sum(&mut counts.iter()));
        prop_assert_eq!(forwards, test.fail(sum(&mut counts.iter().rev())));
        // Bucket by bucket it is the same number, but for rounding.
        let mut steps = test.fail(Count::default());
        counts.iter().for_each(|count| steps.multiply_all(&test.fail(*count)));
        prop_assert!((steps.log_e() - forwards.log_e()).abs() <= 1e-9 * forwards.log_e().abs().max(1.0));
    }

    #[test]
    fn scores_may_be_handed_over_in_any_portions(a in scores(), b in scores()) {
        let test = MeanTest::over(0.8);
        let mut both = a;
        both.iter_mut().zip(&b).for_each(|(mine, theirs)| *mine += theirs);
        let mut steps = test.pass_step(&a);
        steps.multiply_all(&test.pass_step(&b));
        let whole = test.pass_step(&both);
        prop_assert!((steps.log_e() - whole.log_e()).abs() <= 1e-9 * whole.log_e().abs().max(1.0));
    }

    #[test]
    fn pairs_follow_from_the_counts_and_use_no_score_twice(
        buckets in proptest::collection::vec((scores(), scores()), 1..6),
    ) {
        let (mut one, mut other) = (Pairing::default(), Pairing::default());
        let (mut candidates, mut stables, mut paired) = (0u64, 0u64, 0u64);
        for (seed, (candidate, stable)) in buckets.iter().enumerate() {
            let pairs = one.take(seed as u64, candidate, stable);
            prop_assert_eq!(pairs, other.take(seed as u64, candidate, stable));
            candidates += candidate.iter().sum::<u64>();
            stables += stable.iter().sum::<u64>();
            paired += pairs.len() as u64;
            prop_assert!(paired <= candidates.min(stables));
            prop_assert!(pairs.iter().all(|pair| (0.0..=1.0).contains(&pair.stable)));
        }
    }

    #[test]
    fn an_interval_narrows_with_more_of_the_same(count in count()) {
        let (low, high) = interval::of_rate(count, 0.05);
        let more = Count { n: count.n * 10, hits: count.hits * 10 };
        let (low_of_more, high_of_more) = interval::of_rate(more, 0.05);
        prop_assert!(high_of_more - low_of_more <= high - low + 1e-9);
    }
}

#[test]
fn sparse_arms_are_gathered_until_both_have_calls() {
    let mut gathering = Gathering::default();
    let (none, hit, miss) = (Count::default(), Count { n: 1, hits: 1 }, Count { n: 1, hits: 0 });
    assert_eq!(gathering.take(hit, none), None);
    assert_eq!(gathering.take(none, none), None);
    let ten = Count { n: 10, hits: 0 };
    assert_eq!(gathering.take(none, miss), None, "one of each does not say how the traffic is split");
    assert_eq!(gathering.take(none, ten), Some((hit, ten.plus(miss))));
    // Where it is split evenly, forty together are enough; and half an hour is, whatever there is.
    let twenty = Count { n: 20, hits: 1 };
    assert_eq!(gathering.take(twenty, none), None);
    assert_eq!(gathering.take(none, twenty), Some((twenty, twenty)));
    assert_eq!(gathering.take(hit, miss), None);
    let later = (0..400).find_map(|_| gathering.take(none, none));
    assert_eq!(later, Some((hit, miss)));
    // Calls that found nothing to be compared with for too long are let go.
    assert_eq!(gathering.take(hit, none), None);
    for _ in 0..400 {
        assert_eq!(gathering.take(none, none), None);
    }
    assert_eq!(gathering.take(miss, none), None);
    let (candidate, _) = gathering.take(none, Count { n: 40, hits: 0 }).unwrap();
    assert!(candidate.n <= 2, "{candidate:?}");
}

#[test]
fn what_happened_while_the_candidate_had_no_calls_is_not_laid_at_its_door() {
    let mut gathering = Gathering::default();
    let (none, sound, incident) = (Count::default(), Count { n: 90, hits: 0 }, Count { n: 90, hits: 45 });
    for _ in 0..180 {
        assert_eq!(gathering.take(none, sound), None);
    }
    // Both arms meet the incident at the same time; only stable's calls of that time are compared with.
    let candidate = Count { n: 10, hits: 5 };
    assert_eq!(gathering.take(candidate, incident), Some((candidate, incident)));
}

#[test]
fn scores_without_a_partner_wait_for_one() {
    let mut pairing = Pairing::default();
    let mut candidate: Histogram = [0; LEVELS];
    candidate[90] = 3;
    let none: Histogram = [0; LEVELS];
    assert!(pairing.take(1, &candidate, &none).is_empty());
    let mut stable: Histogram = [0; LEVELS];
    stable[50] = 6;
    let pairs = pairing.take(2, &none, &stable).to_vec();
    assert_eq!(pairs, vec![Pair { candidate: 0.9, stable: 0.5 }; 3]);
    // Nothing is left of the candidate's; crowds on one side stay bounded and harm nothing.
    stable[50] = 1_000_000;
    assert!(pairing.take(3, &none, &stable).is_empty());
    candidate[90] = 1_000_000;
    assert_eq!(pairing.take(4, &candidate, &stable).len(), 1024);
}
