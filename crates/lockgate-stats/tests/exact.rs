//! The guarantees, computed exactly: no chance is drawn here, so nothing can be lucky.

use lockgate_stats::detector::{Detector, log_threshold};
use lockgate_stats::dropped::DropTest;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::pairing::Pair;
use lockgate_stats::rate::RateTest;
use lockgate_stats::ratio::RatioTest;
use lockgate_stats::wealth::Wealth;
use lockgate_stats::{Count, Histogram, LEVELS, interval};

/// Every gambler's expected factor over outcomes with their probabilities.
fn expected(outcomes: &[(f64, Wealth)]) -> Vec<f64> {
    let bets = outcomes[0].1.logs().len();
    let of = |bet: usize| {
        outcomes.iter().map(|(probability, wealth)| probability * wealth.logs()[bet].exp()).sum()
    };
    (0..bets).map(of).collect()
}

fn assert_fair(outcomes: &[(f64, Wealth)], what: &str) {
    for (bet, factor) in expected(outcomes).into_iter().enumerate() {
        assert!((factor - 1.0).abs() < 1e-9, "{what}: bet {bet} gains {factor}");
    }
}

fn assert_not_favourable(outcomes: &[(f64, Wealth)], what: &str) {
    for (bet, factor) in expected(outcomes).into_iter().enumerate() {
        assert!(factor <= 1.0 + 1e-9, "{what}: bet {bet} gains {factor}");
    }
}

fn one(hit: bool) -> Count {
    Count { n: 1, hits: u64::from(hit) }
}

#[test]
fn a_bet_on_a_rate_is_fair_at_the_limit_and_loses_on_the_near_side() {
    for limit in [0.001, 0.005, 0.05, 0.3, 0.6, 0.95] {
        let test = RateTest::under(limit);
        let at = |p: f64, side: &dyn Fn(Count) -> Wealth| [(p, side(one(true))), (1.0 - p, side(one(false)))];
        assert_fair(&at(limit, &|count| test.fail(count)), "fail");
        assert_fair(&at(limit, &|count| test.pass(count)), "pass");
        assert_not_favourable(&at(limit * 0.7, &|count| test.fail(count)), "fail, under the limit");
        assert_not_favourable(&at(limit * 1.04, &|count| test.pass(count)), "pass, over the limit");

        let over = RateTest::over(limit);
        assert_fair(&at(limit, &|count| over.fail(count)), "fail of over");
        assert_fair(&at(limit, &|count| over.pass(count)), "pass of over");
        assert_not_favourable(&at(limit * 1.04, &|count| over.fail(count)), "fail of over, over the limit");
    }
}

/// All outcomes of a bucket with few calls per arm, with their probabilities.
fn buckets(n: (u64, u64), p: (f64, f64)) -> Vec<(f64, Count, Count)> {
    let binomial = |n: u64, hits: u64, p: f64| {
        let ways: f64 = (0..hits).map(|i| (n - i) as f64 / (i + 1) as f64).product();
        ways * p.powi(hits as i32) * (1.0 - p).powi((n - hits) as i32)
    };
    let mut outcomes = Vec::new();
    for c in 0..=n.0 {
        for s in 0..=n.1 {
            let probability = binomial(n.0, c, p.0) * binomial(n.1, s, p.1);
            outcomes.push((probability, Count { n: n.0, hits: c }, Count { n: n.1, hits: s }));
        }
    }
    outcomes
}

#[test]
fn comparing_with_stable_never_favours_the_gambler_at_any_rate_or_exposure() {
    for ratio in [1.0, 1.25, 1.5] {
        let test = RatioTest::new(ratio);
        for n in [(1, 1), (1, 9), (6, 6), (9, 1), (3, 12)] {
            for stable in [0.001, 0.05, 0.3, 0.6] {
                let at = |times: f64, side: &dyn Fn(Count, Count) -> Wealth| -> Vec<(f64, Wealth)> {
                    let rates = ((stable * ratio * times).min(1.0), stable);
                    buckets(n, rates).into_iter().map(|(p, c, s)| (p, side(c, s))).collect()
                };
                assert_not_favourable(&at(1.0, &|c, s| test.fail_step(c, s)), "fail at the ratio");
                assert_not_favourable(&at(0.8, &|c, s| test.fail_step(c, s)), "fail under the ratio");
                if stable * ratio <= 1.0 {
                    assert_not_favourable(&at(1.0, &|c, s| test.pass_step(c, s)), "pass at the ratio");
                }
            }
        }
    }
}

#[test]
fn given_one_hit_the_bet_on_whose_it_is_is_fair_at_the_ratio() {
    let (ratio, n) = (1.25, (30u64, 970u64));
    let candidates = ratio * n.0 as f64 / (ratio * n.0 as f64 + n.1 as f64);
    let test = RatioTest::new(ratio);
    let hit = |c, s| (Count { n: n.0, hits: c }, Count { n: n.1, hits: s });
    let (own, other) = (hit(1, 0), hit(0, 1));
    let fail =
        [(candidates, test.fail_step(own.0, own.1)), (1.0 - candidates, test.fail_step(other.0, other.1))];
    assert_fair(&fail, "fail");
    let pass =
        [(candidates, test.pass_step(own.0, own.1)), (1.0 - candidates, test.pass_step(other.0, other.1))];
    assert_fair(&pass, "pass");
}

fn single(level: usize) -> Histogram {
    let mut scores = [0; LEVELS];
    scores[level] = 1;
    scores
}

#[test]
fn a_bet_on_a_mean_is_fair_at_the_limit_whatever_the_distribution() {
    // Distributions of mean 0.8: sure, two points, three points.
    let distributions: [&[(f64, usize)]; 3] =
        [&[(1.0, 80)], &[(0.8, 100), (0.2, 0)], &[(0.25, 100), (0.5, 90), (0.25, 40)]];
    let test = MeanTest::over(0.8);
    for distribution in distributions {
        let with = |side: &dyn Fn(&Histogram) -> Wealth| -> Vec<(f64, Wealth)> {
            distribution.iter().map(|(p, level)| (*p, side(&single(*level)))).collect()
        };
        assert_fair(&with(&|scores| test.fail_step(scores)), "fail");
        assert_fair(&with(&|scores| test.pass_step(scores)), "pass");
    }
}

#[test]
fn a_bet_on_a_drop_is_fair_at_the_limit_and_loses_on_the_near_side() {
    // Stable has mean 0.8. The candidate's mean is 0.72 at a drop of a tenth.
    let stable = [(0.8, 1.0), (0.2, 0.0)];
    let pairs = |mean: f64, side: &dyn Fn(&[Pair]) -> Wealth| -> Vec<(f64, Wealth)> {
        let mut outcomes = Vec::new();
        for (p, candidate) in [(mean, 1.0), (1.0 - mean, 0.0)] {
            for (q, stable) in stable {
                outcomes.push((p * q, side(&[Pair { candidate, stable }])));
            }
        }
        outcomes
    };
    let test = DropTest::under(0.10);
    assert_fair(&pairs(0.72, &|pairs| test.fail_step(pairs)), "fail");
    assert_fair(&pairs(0.72, &|pairs| test.pass_step(pairs)), "pass");
    assert_not_favourable(&pairs(0.80, &|pairs| test.fail_step(pairs)), "fail without a drop");
    assert_not_favourable(&pairs(0.60, &|pairs| test.pass_step(pairs)), "pass with a larger drop");
}

/// Over all sequences of `n` outcomes: the chance that a threshold is ever reached.
fn chance_of_crossing(n: u32, p: f64, crosses: impl Fn(&[bool]) -> bool) -> f64 {
    let mut chance = 0.0;
    for sequence in 0..1u32 << n {
        let outcomes: Vec<bool> = (0..n).map(|i| sequence >> i & 1 == 1).collect();
        if (1..=n as usize).any(|length| crosses(&outcomes[..length])) {
            let hits = sequence.count_ones() as i32;
            chance += p.powi(hits) * (1.0 - p).powi(n as i32 - hits);
        }
    }
    chance
}

fn count(outcomes: &[bool]) -> Count {
    Count { n: outcomes.len() as u64, hits: outcomes.iter().filter(|hit| **hit).count() as u64 }
}

#[test]
fn over_all_sequences_of_twelve_a_false_alarm_is_as_rare_as_promised() {
    for limit in [0.02, 0.1, 0.3] {
        let test = RateTest::under(limit);
        for alpha in [0.2f64, 0.05, 0.01] {
            let needed = -alpha.ln();
            let fail = chance_of_crossing(12, limit, |seen| test.fail(count(seen)).reaches(needed));
            let pass = chance_of_crossing(12, limit, |seen| test.pass(count(seen)).reaches(needed));
            assert!(fail <= alpha && pass <= alpha, "limit {limit}, alpha {alpha}: {fail} {pass}");
        }
    }
}

#[test]
fn over_all_sequences_of_ten_a_detector_keeps_its_promise() {
    for (limit, alpha) in [(0.02, 0.2), (0.1, 0.2), (0.1, 0.05), (0.3, 0.05)] {
        let test = RateTest::under(limit);
        let needed = log_threshold(10.0, alpha);
        let chance = chance_of_crossing(10, limit, |seen| {
            let mut detector = Detector::default();
            seen.iter().for_each(|hit| detector.step(&test.fail(one(*hit))));
            detector.reaches(needed)
        });
        assert!(chance <= alpha, "limit {limit}, alpha {alpha}: {chance}");
    }
}

/// The exact chance that evidence is ever reached within `n` calls at a true rate, and the mean number of
/// calls it takes where it is: by carrying the chance of every (calls, hits) that has not crossed yet.
fn crossing(n: usize, p: f64, reaches: impl Fn(Count) -> bool) -> (f64, f64) {
    let mut alive = vec![1.0];
    let (mut crossed, mut calls) = (0.0, 0.0);
    for step in 1..=n {
        let mut next = vec![0.0; alive.len() + 1];
        for (hits, chance) in alive.iter().enumerate().filter(|(_, chance)| **chance > 1e-300) {
            next[hits] += chance * (1.0 - p);
            next[hits + 1] += chance * p;
        }
        for (hits, chance) in next.iter_mut().enumerate().filter(|(_, chance)| **chance > 0.0) {
            if reaches(Count { n: step as u64, hits: hits as u64 }) {
                crossed += *chance;
                calls += *chance * step as f64;
                *chance = 0.0;
            }
        }
        while next.last() == Some(&0.0) {
            next.pop();
        }
        alive = next;
    }
    (crossed, calls / crossed)
}

#[test]
fn an_interval_looked_at_after_every_call_misses_the_truth_as_rarely_as_promised() {
    for p in [0.05, 0.3, 0.5, 0.9] {
        let misses = |(low, high): (f64, f64)| p < low || p > high;
        let (missed, _) = crossing(100, p, |count| misses(interval::of_rate(count, 0.1)));
        assert!(missed <= 0.1, "rate {p}: {missed}");
        let (missed, _) = crossing(60, p, |count| {
            let mut scores = [0; LEVELS];
            (scores[0], scores[100]) = (count.misses(), count.hits);
            misses(interval::of_mean(&scores, 0.1))
        });
        assert!(missed <= 0.1 && missed > 0.0, "mean {p}: {missed}");
    }
}
