//! What one recorded outcome and one look cost: prints nanoseconds per step of each test and detector.
//!
//! `cargo run --release -p lockgate-stats --example stats_speed`

#![expect(clippy::print_stdout, reason = "printing its measurements is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use lockgate_stats::detector::Detector;
use lockgate_stats::drift::Drift;
use lockgate_stats::dropped::DropTest;
use lockgate_stats::mean::MeanTest;
use lockgate_stats::pairing::{Pair, Pairing};
use lockgate_stats::rate::RateTest;
use lockgate_stats::ratio::RatioTest;
use lockgate_stats::rise::RiseTest;
use lockgate_stats::wealth::Wealth;
use lockgate_stats::{Count, Histogram, LEVELS, interval, mismatch};

/// Long enough to be told from the clock's own steps, short enough that nobody waits.
const MEASURED: Duration = Duration::from_millis(50);

/// Times something until enough time has passed; the best of a few rounds, because whatever disturbs only
/// adds.
fn measure(what: &str, mut step: impl FnMut(u64)) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let (began, mut steps) = (Instant::now(), 0u64);
        while began.elapsed() < MEASURED / 5 {
            for _ in 0..64 {
                step(black_box(steps));
                steps += 1;
            }
        }
        best = best.min(began.elapsed().as_nanos() as f64 / steps as f64);
    }
    println!("{what:<58}{best:>10.1} ns");
}

fn main() {
    println!("recording (what a call pays)");
    let mut count = Count::default();
    measure("an outcome added to a count", |i| {
        count = black_box(count.plus(Count { n: 1, hits: u64::from(i % 250 == 0) }));
    });
    rates();
    pairs();
    looks();
    displays();
}

/// A bucket of ten seconds: some hundred calls, an error or none.
fn bucket(i: u64) -> Count {
    Count { n: 100 + i % 7, hits: u64::from(i.is_multiple_of(3)) }
}

fn rates() {
    println!("a closed bucket (what a check pays)");
    let rate = RateTest::under(0.005);
    measure("rate, one side", |i| {
        black_box(rate.fail(bucket(i)));
    });
    let ratio = RatioTest::new(1.25);
    let stable = Count { n: 9_900, hits: 40 };
    measure("ratio, one side, with hits", |i| {
        black_box(ratio.fail_step(bucket(i), stable));
    });
    measure("ratio, one side, without hits", |i| {
        black_box(ratio.fail_step(Count { n: i, hits: 0 }, Count { n: 99, hits: 0 }));
    });
    let mut scores: Histogram = [0; LEVELS];
    (70..=90).step_by(5).for_each(|level| scores[level] = 2);
    let mean = MeanTest::over(0.8);
    measure("mean, one side, ten scores on five levels", |_| {
        black_box(mean.fail_step(black_box(&scores)));
    });
    let mut detector = Detector::default();
    let factor = rate.fail(Count { n: 100, hits: 0 });
    measure("detector of change", |_| detector.step(black_box(&factor)));
    let mut drift = Drift::new(&(0..200).map(f64::from).collect::<Vec<_>>(), 1);
    measure("drift, a value against a baseline of 200", |i| drift.step((i % 199) as f64));
}

fn pairs() {
    let pairs: Vec<Pair> =
        (0..64).map(|i| Pair { candidate: f64::from(i) / 64.0, stable: f64::from(63 - i) / 64.0 }).collect();
    let drop = DropTest::under(0.05);
    measure("drop, one side, 64 pairs", |_| {
        black_box(drop.fail_step(black_box(&pairs)));
    });
    let rise = RiseTest::under(0.2);
    measure("rise, one side, 64 pairs", |_| {
        black_box(rise.fail_step(black_box(&pairs)));
    });
    for (levels, each) in [(10u16, 1u64), (100, 1), (3_000, 4)] {
        let counts: Vec<(u16, u64)> = (0..levels).map(|level| (level, each)).collect();
        let mut pairing = Pairing::default();
        measure(&format!("pairing, {levels} levels of {each} in either arm"), |i| {
            black_box(pairing.take_levels(i, &counts, &counts, f64::from));
        });
    }
}

fn looks() {
    println!("a look");
    let rate = RateTest::under(0.005);
    let far = rate.fail(Count { n: 10_000, hits: 40 });
    measure("whether far evidence has reached a threshold", |_| {
        black_box(black_box(&far).reaches(black_box(4.6)));
    });
    let near = rate.fail(Count { n: 300, hits: 7 });
    measure("whether near evidence has reached a threshold", |_| {
        black_box(black_box(&near).reaches(black_box(4.6)));
    });
    measure("the evidence as a number", |_| {
        black_box(black_box(&near).log_e());
    });
    measure("how much more of the same it takes", |_| {
        black_box(black_box(&near).multiple_to(black_box(9.2)));
    });
    let mut sum = Wealth::untouched(near.parts());
    measure("evidence of a bucket added to the rest", |_| {
        sum.multiply_all(black_box(&far));
    });
    measure("mismatch of a split", |i| {
        black_box(mismatch::log_e(100 + i, 9_900, 0.01, 2));
    });
}

fn displays() {
    println!("an interval for people");
    measure("of a rate", |i| {
        black_box(interval::of_rate(Count { n: 10_000 + i, hits: 40 }, 0.05));
    });
    let mut scores: Histogram = [0; LEVELS];
    (50..100).for_each(|level| scores[level] = 20);
    measure("of a mean of scores on 50 levels", |_| {
        black_box(interval::of_mean(black_box(&scores), 0.05));
    });
    let levels: Vec<(u16, u64)> = (0..300).map(|level| (level, 30)).collect();
    measure("of a quantile of 300 levels", |_| {
        black_box(interval::of_quantile(black_box(&levels), 0.99, 0.05));
    });
}
