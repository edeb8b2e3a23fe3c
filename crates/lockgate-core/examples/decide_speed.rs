//! Prints how long one closed bucket costs: for the standard plan on the whole of the traffic, and for 100 gates on 20 slices.
//!
//! `cargo run --release -p lockgate-core --example decide_speed`

#![expect(clippy::print_stdout, reason = "printing figures is what this example is for")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockgate_core::duration_levels;
use lockgate_core::event::{Cause, Event};
use lockgate_core::name::{
    DeclaredSignal, FeatureName, LabelName, NameError, Revision, VersionName, VersionRef,
};
use lockgate_core::plan::{Blame, Gate, Need, Plan, Rule};
use lockgate_core::playback::{Begin, Playback};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Measure, Signal};
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};

const BUCKET: Duration = Duration::from_secs(10);
const ROUNDS: u32 = 50;

fn main() -> Result<(), NameError> {
    pooled()?;
    sliced()
}

/// The standard plan over traffic without labels: what a year of rollouts on paper consists of.
fn pooled() -> Result<(), NameError> {
    let mut playback = in_first_canary(Plan::standard())?;
    let feature = FeatureName::new("f")?;
    let mut sums = BucketSums::new();
    for (arm, n) in [(Arm::Candidate, 10), (Arm::Stable, 990)] {
        for signal in [Signal::Assigned, Signal::Error, Signal::Latency, Signal::ThumbsDown, Signal::Tokens] {
            let counted = sum(&signal, n, 0);
            sums.insert(key(&feature, arm, Segment::none(), signal), counted);
        }
    }
    let buckets = 100_000;
    let began = Instant::now();
    for bucket in 0..buckets {
        playback.take(BucketStart(bucket * 10_000), &sums);
    }
    let take = began.elapsed().as_secs_f64() * 1e6 / buckets as f64;
    let began = Instant::now();
    for _ in 0..1000 {
        std::hint::black_box(playback.evidence());
    }
    let evidence = began.elapsed().as_secs_f64() * 1e3;
    println!("standard plan, no labels: take {take:.2} us a bucket, evidence {evidence:.2} us");
    Ok(())
}

/// A hundred gates over twenty slices, every one of them touched in every bucket.
fn sliced() -> Result<(), NameError> {
    let mut plan = Plan::standard();
    let gates = hundred_gates()?;
    plan.phases[1].gates = gates.clone();
    let mut playback = in_first_canary(plan)?;
    let feature = FeatureName::new("f")?;
    let mut sums = BucketSums::new();
    for slice in 0..20 {
        let tier = LabelName::new("tier")?;
        let segment = Segment::from_labels(&BTreeMap::from([(tier, format!("t{slice}"))]));
        for (arm, n) in [(Arm::Candidate, 20), (Arm::Stable, 180)] {
            for signal in gates.iter().map(|gate| &gate.signal).chain([&Signal::Assigned]) {
                let key = key(&feature, arm, segment.clone(), signal.clone());
                sums.entry(key).or_insert_with(|| sum(signal, n, slice));
            }
        }
    }
    let (mut take, mut look) = (0.0, 0.0);
    for round in 0..ROUNDS {
        let start = BucketStart(i64::from(round) * 10_000);
        let began = Instant::now();
        playback.take(start, &sums);
        take += began.elapsed().as_secs_f64();
        let began = Instant::now();
        playback.look(None, BucketStart(start.0 + 10_000).timestamp());
        look += began.elapsed().as_secs_f64();
    }
    let ms = |seconds: f64| seconds * 1e3 / f64::from(ROUNDS);
    println!(
        "100 gates x 20 slices: {} checks, {} sums; take {:.2} ms, evidence and decision {:.2} ms, together {:.2} ms",
        playback.evidence().checks.len(),
        sums.len(),
        ms(take),
        ms(look),
        ms(take + look),
    );
    Ok(())
}

/// Rates with limits that hold, rates against stable's, times, scores: as plans have them, in a hundred.
fn hundred_gates() -> Result<Vec<Gate>, NameError> {
    let blame = Blame::OverStable { ratio: 1.25 };
    let mut gates = Vec::new();
    for number in 0..100_u64 {
        let rate = Signal::DeclaredRate(DeclaredSignal::new(&format!("r{}", number % 40))?);
        let score = Signal::DeclaredScore(DeclaredSignal::new(&format!("s{}", number % 10))?);
        let size = number as f64 * 1e-4;
        let (signal, rule) = match number % 10 {
            0..4 => (rate, Rule::RateUnder { limit: 0.4 + size, blame }),
            4..7 => (rate, Rule::RatioUnder { fail: 1.5 + size, pass: 2.0 }),
            7 => {
                let limit = Duration::from_secs(5 + number);
                (Signal::Latency, Rule::SlowUnder { limit, part: 0.01, blame })
            }
            8 => (score, Rule::DropUnder { fail: 0.1 + size, pass: 0.2 }),
            _ => (score, Rule::MeanOver { limit: 0.2 + size }),
        };
        gates.push(Gate { signal, rule, need: Need::IfReported, weight: 1.0 });
    }
    Ok(gates)
}

fn in_first_canary(plan: Plan) -> Result<Playback, NameError> {
    let version = |name: &str| -> Result<VersionRef, NameError> {
        Ok(VersionRef { name: VersionName::new(name)?, revision: Revision::of(name.as_bytes()) })
    };
    let (mut playback, _) = Playback::begin(Begin {
        feature: FeatureName::new("f")?,
        stable: version("v1")?,
        candidate: version("v2")?,
        plan,
        at: Timestamp::UNIX_EPOCH,
        bucket: BUCKET,
    });
    if let Some(rollout) = playback.rollout().map(|rollout| rollout.id) {
        let entered = Event::PhaseEntered {
            rollout,
            phase: 1,
            name: "1 %".into(),
            cause: Cause::Person,
            why: "to be measured".into(),
            standing: Vec::new(),
        };
        playback.happen(entered, Timestamp::UNIX_EPOCH);
    }
    Ok(playback)
}

fn key(feature: &FeatureName, arm: Arm, segment: Segment, signal: Signal) -> SumKey {
    let of = if arm == Arm::Stable { "v1" } else { "v2" };
    SumKey { feature: feature.clone(), revision: Revision::of(of.as_bytes()), arm, segment, signal }
}

fn sum(signal: &Signal, n: u64, seed: u64) -> Sum {
    match signal.measure() {
        Measure::Rate => Sum::Rate { n, hits: n * (1 + seed % 2) / 100 },
        Measure::Amount => Sum::Amount { n, total: n * 700, squares: 0 },
        Measure::Score => Sum::Levels((0..12).map(|level| (60 + 3 * level, 1 + n / 20)).collect()),
        Measure::Durations | Measure::Sizes => {
            let level = |ms| duration_levels::level(Duration::from_millis(ms));
            Sum::Levels((0..20).map(|at| (level(300 + 90 * at), 1 + n / 20)).collect())
        }
    }
}
