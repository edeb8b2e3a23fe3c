//! Every course that a short series can take, each with its chance: no promise is broken more often than it
//! says.

use lockgate_stats::dropped::DropTest;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::mismatch;
use lockgate_stats::pairing::Pair;
use lockgate_stats::ratio::RatioTest;
use lockgate_stats::rise::RiseTest;
use lockgate_stats::wealth::Wealth;
use lockgate_stats::{Count, Histogram, LEVELS};

/// What may happen next: each outcome's chance and what it does to the wealth.
type Step = Vec<(f64, Wealth)>;

/// The chance that the wealth ever reaches a threshold, over all courses through these steps.
fn chance_of_crossing(wealth: &Wealth, needed: f64, steps: &[Step]) -> f64 {
    if wealth.reaches(needed) {
        return 1.0;
    }
    let Some((next, later)) = steps.split_first() else { return 0.0 };
    let after = |(chance, factor): &(f64, Wealth)| {
        let mut wealth = *wealth;
        wealth.multiply_all(factor);
        chance * chance_of_crossing(&wealth, needed, later)
    };
    next.iter().map(after).sum()
}

/// At the limit itself each step is a fair game for every gambler, and over all courses the chance of ever
/// reaching 1/alpha is at most alpha.
fn check(what: &str, steps: &[Step]) {
    for step in steps {
        for bet in 0..step[0].1.logs().len() {
            let gain: f64 = step.iter().map(|(chance, factor)| chance * factor.logs()[bet].exp()).sum();
            assert!((gain - 1.0).abs() < 1e-9, "{what}: bet {bet} makes {gain} of 1");
        }
    }
    let start = Wealth::untouched(steps[0][0].1.parts());
    for alpha in [0.3f64, 0.05, 0.01] {
        let chance = chance_of_crossing(&start, -alpha.ln(), steps);
        assert!(chance <= alpha, "{what}, alpha {alpha}: {chance}");
    }
}

#[test]
fn whose_hit_it_is_at_every_share_and_while_shares_change() {
    let test = RatioTest::new(1.25);
    let step = |n: (u64, u64), side: &dyn Fn(Count, Count) -> Wealth| -> Step {
        let exposed = 1.25 * n.0 as f64;
        let own = exposed / (exposed + n.1 as f64);
        let hits = |c, s| side(Count { n: n.0, hits: c }, Count { n: n.1, hits: s });
        vec![(own, hits(1, 0)), (1.0 - own, hits(0, 1))]
    };
    let shares: [&[(u64, u64)]; 4] =
        [&[(1, 99)], &[(10, 90)], &[(50, 50)], &[(1, 99), (5, 95), (25, 75), (90, 10)]];
    for share in shares {
        let course = |side: &dyn Fn(Count, Count) -> Wealth| -> Vec<Step> {
            share.iter().cycle().take(12).map(|n| step(*n, side)).collect()
        };
        check(&format!("ratio, fail, {share:?}"), &course(&|c, s| test.fail_step(c, s)));
        check(&format!("ratio, pass, {share:?}"), &course(&|c, s| test.pass_step(c, s)));
    }
}

#[test]
fn scores_of_a_mean_at_the_limit() {
    let one = |level: usize| -> Histogram {
        let mut scores = [0; LEVELS];
        scores[level] = 1;
        scores
    };
    // Means of 0.9, of 0.5 and of 0.8.
    type Scores = &'static [(f64, usize)];
    let cases: [(f64, Scores, usize); 3] = [
        (0.9, &[(0.9, 100), (0.1, 0)], 12),
        (0.5, &[(0.5, 100), (0.5, 0)], 12),
        (0.8, &[(0.25, 100), (0.5, 90), (0.25, 40)], 7),
    ];
    for (limit, scores, length) in cases {
        let test = MeanTest::over(limit);
        let fail: Step = scores.iter().map(|(p, level)| (*p, test.fail_step(&one(*level)))).collect();
        let pass: Step = scores.iter().map(|(p, level)| (*p, test.pass_step(&one(*level)))).collect();
        check(&format!("mean, fail at {limit}"), &vec![fail; length]);
        check(&format!("mean, pass at {limit}"), &vec![pass; length]);
    }
}

/// Pairs of independent values, each 0 or 1 with these means.
fn pairs(candidate: f64, stable: f64, side: impl Fn(&[Pair]) -> Wealth) -> Step {
    let of = |mean: f64| [(mean, 1.0), (1.0 - mean, 0.0)];
    let mut step = Vec::new();
    for (p, candidate) in of(candidate) {
        for (q, stable) in of(stable) {
            step.push((p * q, side(&[Pair { candidate, stable }])));
        }
    }
    step
}

/// Pairs with a sure stable value.
fn beside(stable: f64, candidate: f64, side: impl Fn(&[Pair]) -> Wealth) -> Step {
    let of = [(candidate, 1.0), (1.0 - candidate, 0.0)];
    of.into_iter().map(|(p, candidate)| (p, side(&[Pair { candidate, stable }]))).collect()
}

#[test]
fn pairs_of_a_mean_that_has_dropped_by_exactly_the_limit() {
    let test = DropTest::under(0.1);
    check("drop, fail", &vec![pairs(0.72, 0.8, |pairs| test.fail_step(pairs)); 6]);
    check("drop, pass", &vec![pairs(0.72, 0.8, |pairs| test.pass_step(pairs)); 6]);
    check("drop, fail, sure stable", &vec![beside(0.5, 0.45, |pairs| test.fail_step(pairs)); 12]);
    check("drop, pass, sure stable", &vec![beside(0.5, 0.45, |pairs| test.pass_step(pairs)); 12]);
}

#[test]
fn pairs_of_a_mean_that_has_risen_by_exactly_the_limit() {
    let test = RiseTest::under(0.2);
    check("rise, fail", &vec![pairs(0.06, 0.05, |pairs| test.fail_step(pairs)); 6]);
    check("rise, pass", &vec![pairs(0.06, 0.05, |pairs| test.pass_step(pairs)); 6]);
    check("rise, fail, sure stable", &vec![beside(0.5, 0.6, |pairs| test.fail_step(pairs)); 12]);
    check("rise, pass, sure stable", &vec![beside(0.5, 0.6, |pairs| test.pass_step(pairs)); 12]);
}

/// The chance that the evidence of a mismatch ever reaches a threshold while all is well. Callers come in
/// turn; each is counted so many times, the later times right before the next caller or after all others.
fn chance_of_mismatch(share: f64, callers: u32, times: u64, at_once: bool, needed: f64) -> f64 {
    let mut chance = 0.0;
    for course in 0..1u32 << callers {
        let arms = (0..callers).map(|i| course >> i & 1 == 1);
        let counted: Vec<bool> = if at_once {
            arms.flat_map(|own| (0..times).map(move |_| own)).collect()
        } else {
            (0..times).flat_map(|_| arms.clone()).collect()
        };
        let (mut candidate, mut stable) = (0, 0);
        let crosses = counted.into_iter().any(|own| {
            if own {
                candidate += 1
            } else {
                stable += 1
            }
            mismatch::log_e(candidate, stable, share, times) >= needed
        });
        if crosses {
            let own = course.count_ones() as i32;
            chance += share.powi(own) * (1.0 - share).powi(callers as i32 - own);
        }
    }
    chance
}

#[test]
fn callers_split_as_planned_however_often_each_is_counted() {
    for share in [0.01, 0.1, 0.5, 0.9] {
        for alpha in [0.3f64, 0.05, 0.01] {
            let chance = chance_of_mismatch(share, 12, 1, true, -alpha.ln());
            assert!(chance <= alpha, "share {share}, alpha {alpha}: {chance}");
            for (times, at_once) in [(2, true), (2, false), (3, true), (3, false)] {
                let chance = chance_of_mismatch(share, 9, times, at_once, -alpha.ln());
                assert!(chance <= alpha, "share {share}, alpha {alpha}, {times} times: {chance}");
            }
        }
    }
}

#[test]
fn the_evidence_of_a_mismatch_is_fair_after_any_number_of_callers() {
    for share in [0.01f64, 0.2, 0.5, 0.97] {
        for callers in [1u64, 5, 40] {
            let of = |own: u64| {
                let ways: f64 = (0..own).map(|i| (callers - i) as f64 / (i + 1) as f64).product();
                let chance = ways * share.powi(own as i32) * (1.0 - share).powi((callers - own) as i32);
                chance * mismatch::log_e(own, callers - own, share, 1).exp()
            };
            let expected: f64 = (0..=callers).map(of).sum();
            assert!((expected - 1.0).abs() < 1e-10, "share {share}, {callers} callers: {expected}");
        }
    }
}
