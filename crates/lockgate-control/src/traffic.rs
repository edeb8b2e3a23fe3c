//! What the traffic of a feature has been like: how much of it, and how stable behaved.
//!
//! A start asks whether the plan's gates could decide on such traffic in time, and is refused when they could not: a rollout
//! that can only wait is no rollout. A day is long enough to hold the night; it is read through a sample of its buckets, so
//! that asking takes no longer than a person waits for a command.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::value::Feature;
use lockgate_core::command::Command;
use lockgate_core::drill;
use lockgate_core::estimate::{Behaviour, Traffic, Undecidable, undecidable};
use lockgate_core::name::LabelName;
use lockgate_core::plan::{Plan, Rule};
use lockgate_core::segment::{Confine, Segment, Slice};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};
use lockgate_store::row::Totals;

use crate::controller::Controller;
use crate::order::{CommandError, Request};

/// How far back is looked.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Buckets that are read at first, spread evenly over the day: with a hundred sums each, some tenths of a second.
const SAMPLED: i64 = 720;
/// Fewer calls than this in the sample, and more buckets are read: where there are few calls, there are few sums.
const ENOUGH_CALLS: u64 = 20_000;
/// Buckets that are read then at most: a whole day of ten-second ones.
const SAMPLED_MAX: i64 = 8640;
/// Less history than this says nothing about a day.
const HISTORY_MIN: Duration = Duration::from_secs(3600);
/// Fewer calls than this say nothing about rates.
const CALLS_MIN: u64 = 1000;
/// Slices whose part of the traffic is told, the largest: a plan has hardly budget for more.
const SLICES_MAX: usize = 32;

/// What is known of the traffic.
#[derive(Debug, Clone, PartialEq)]
enum Known {
    Traffic(Traffic),
    /// Too little has been seen, and what was.
    TooLittle(String),
}

impl Controller {
    /// Asks, before a rollout begins, whether the plan's gates could decide at the present traffic. What cannot be decided is
    /// refused, or noted in the order when it was asked for knowingly. Returns what the person ought to be told.
    pub(crate) async fn foresee(
        &self,
        feature: &Feature,
        request: &Request,
        order: &mut Command,
    ) -> Result<Option<String>, CommandError> {
        let Request::Start { undecidable: knowingly, .. } = request else { return Ok(None) };
        let Command::Start { plan, confine, undecidable: noted, .. } = order else { return Ok(None) };
        let traffic = match self.traffic(feature, plan, confine).await? {
            Known::Traffic(traffic) => traffic,
            Known::TooLittle(why) => {
                return Ok(Some(format!("whether its gates can decide in time was not judged: {why}")));
            }
        };
        let gates = undecidable(plan, &traffic);
        if gates.is_empty() {
            return Ok(None);
        }
        let said: Vec<String> = (gates.iter())
            .map(|Undecidable { phase, gate, why, hint }| format!("`{phase}`, {gate}: {why}; {hint}"))
            .collect();
        if !knowingly {
            let (plan, feature) = (plan.name.clone(), feature.name.clone());
            return Err(CommandError::Undecidable { plan, feature, gates: said.join("; ") });
        }
        *noted = gates.iter().map(|gate| format!("{}: {}", gate.phase, gate.gate)).collect();
        Ok(Some(format!(
            "at the present traffic some of its gates cannot decide in time: {}",
            said.join("; ")
        )))
    }

    async fn traffic(
        &self,
        feature: &Feature,
        plan: &Plan,
        confine: &Confine,
    ) -> Result<Known, CommandError> {
        let now = self.clock.now();
        let bucket = self.config().signals.bucket;
        let signals = judged_by(plan);
        let wanted = {
            let (signals, confine) = (signals.clone(), confine.clone());
            move |key: &SumKey| {
                key.arm == Arm::Stable
                    && (key.signal == Signal::Assigned || signals.contains(&key.signal))
                    && confine.admits(&key.segment)
                    && !is_rehearsal(&key.segment)
            }
        };
        let mut sampled = sample(now, bucket, SAMPLED);
        let read = async |buckets: &[BucketStart]| {
            let totals = self.store.totals(&feature.name, buckets.to_vec(), wanted.clone()).await;
            totals.map_err(CommandError::Store)
        };
        let mut totals = read(&sampled).await?;
        if calls(&totals.sums) < ENOUGH_CALLS {
            sampled = sample(now, bucket, SAMPLED_MAX);
            totals = read(&sampled).await?;
        }
        Ok(known(&totals, &sampled, bucket, plan, &signals))
    }
}

/// The buckets of the last day, or about so many of them.
fn sample(now: Timestamp, bucket: Duration, most: i64) -> Vec<BucketStart> {
    let width_ms = i64::try_from(bucket.as_millis()).unwrap_or(i64::MAX).max(1);
    let last = BucketStart::containing(now, width_ms).0;
    let buckets = (DAY.as_millis() as i64 / width_ms).max(1);
    let step = width_ms.saturating_mul((buckets + most - 1).div_euclid(most));
    let count = (DAY.as_millis() as i64 / step).max(1);
    // The present bucket is still being written.
    (1..=count).rev().map(|back| BucketStart(last.saturating_sub(back.saturating_mul(step)))).collect()
}

/// The signals that a plan looks at. What only copies tell cannot be known before there are copies; and of what must never
/// happen, that nobody reports it is no lack.
fn judged_by(plan: &Plan) -> BTreeSet<Signal> {
    let gates = plan.phases.iter().flat_map(|phase| &phase.gates).map(|gate| (&gate.signal, gate.rule));
    let triggers = plan.triggers.iter().map(|trigger| (&trigger.signal, trigger.rule));
    let is_told = |(signal, rule): &(&Signal, Rule)| {
        !matches!(signal, Signal::Agreement | Signal::Coverage) && *rule != Rule::Never
    };
    gates.chain(triggers).filter(is_told).map(|(signal, _)| signal.clone()).collect()
}

fn is_rehearsal(segment: &Segment) -> bool {
    segment.get(drill::LABEL).is_some()
}

fn known(
    totals: &Totals,
    sampled: &[BucketStart],
    bucket: Duration,
    plan: &Plan,
    signals: &BTreeSet<Signal>,
) -> Known {
    let calls = calls(&totals.sums);
    let (Some(first), Some(last)) = (totals.first, totals.last) else {
        return Known::TooLittle("no calls of the last day are counted yet".into());
    };
    let history = last.timestamp().duration_since(first.timestamp()).unsigned_abs();
    if history < HISTORY_MIN {
        return Known::TooLittle(format!(
            "there is less than an hour of history ({} min)",
            history.as_secs() / 60
        ));
    }
    if calls < CALLS_MIN {
        return Known::TooLittle(format!("there were only {calls} calls in the last day"));
    }
    let covered = sampled.iter().filter(|at| **at >= first).count();
    let seconds = covered as f64 * bucket.as_secs_f64();
    let mut stable = Behaviour::assumed(plan);
    for signal in signals {
        let mut sum = Sum::zero(signal.measure());
        let of_signal = totals.sums.iter().filter(|(key, _)| key.signal == *signal);
        of_signal.for_each(|(_, of_key)| sum.add(of_key));
        stable = stable.measured(signal.clone(), &sum, calls);
    }
    Known::Traffic(Traffic {
        per_second: calls as f64 / seconds,
        stable,
        slices: slices(&totals.sums, calls),
    })
}

fn calls(sums: &BucketSums) -> u64 {
    sums.iter().filter(|(key, _)| key.signal == Signal::Assigned).map(|(_, sum)| sum.n()).sum()
}

/// Each slice's part of the calls, the largest first.
fn slices(sums: &BucketSums, calls: u64) -> Vec<(Slice, f64)> {
    let mut of_slice: BTreeMap<Slice, u64> = BTreeMap::new();
    for (key, sum) in sums.iter().filter(|(key, _)| key.signal == Signal::Assigned) {
        for (label, value) in key.segment.labels() {
            if let Ok(label) = LabelName::new(label) {
                *of_slice.entry(Slice { label, value: value.to_owned() }).or_default() += sum.n();
            }
        }
    }
    let mut slices: Vec<(Slice, u64)> = of_slice.into_iter().collect();
    slices.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    slices.truncate(SLICES_MAX);
    slices.into_iter().map(|(slice, n)| (slice, n as f64 / calls.max(1) as f64)).collect()
}

#[cfg(test)]
mod tests {
    use lockgate_core::name::{FeatureName, Revision};
    use lockgate_core::signal::Measure;

    use super::*;

    const AT: Timestamp = Timestamp::constant(1_790_000_000, 0);
    const BUCKET: Duration = Duration::from_secs(10);

    fn key(signal: Signal, segment: &[(&str, &str)]) -> SumKey {
        let labels =
            segment.iter().map(|(label, value)| (LabelName::new(label).unwrap(), (*value).to_owned()));
        SumKey {
            feature: FeatureName::new("reply").unwrap(),
            revision: Revision::of(b"v1"),
            arm: Arm::Stable,
            segment: Segment::from_labels(&labels.collect()),
            signal,
        }
    }

    fn totals(sums: Vec<(SumKey, Sum)>, history: Duration) -> Totals {
        let last = *sample(AT, BUCKET, SAMPLED).last().unwrap();
        let first = BucketStart(last.0 - history.as_millis() as i64);
        Totals { sums: sums.into_iter().collect(), first: Some(first), last: Some(last) }
    }

    fn assigned(n: u64) -> Sum {
        Sum::Amount { n, total: n, squares: 0 }
    }

    fn of(totals: &Totals) -> Known {
        let plan = Plan::standard();
        known(totals, &sample(AT, BUCKET, SAMPLED), BUCKET, &plan, &judged_by(&plan))
    }

    #[test]
    fn a_day_is_sampled_evenly_and_bounded_and_never_in_the_present_bucket() {
        let widths = [Duration::from_millis(100), BUCKET, Duration::from_secs(3600)];
        for (width, most) in widths.into_iter().flat_map(|width| [(width, SAMPLED), (width, SAMPLED_MAX)]) {
            let sampled = sample(AT, width, most);
            let width_ms = width.as_millis() as i64;
            assert!(sampled.len() <= most as usize && !sampled.is_empty());
            assert!(sampled.iter().all(|at| at.0 % width_ms == 0), "buckets as they are written");
            assert!(sampled.is_sorted() && *sampled.last().unwrap() < BucketStart::containing(AT, width_ms));
            let span = sampled.last().unwrap().0 - sampled[0].0;
            assert!(span > 22 * 3_600_000 && span < 25 * 3_600_000, "{span}");
        }
    }

    #[test]
    fn what_was_measured_is_told_per_call_and_per_second() {
        let premium = [("tier", "premium")];
        let sums = vec![
            (key(Signal::Assigned, &[]), assigned(6000)),
            (key(Signal::Assigned, &premium), assigned(1200)),
            (key(Signal::Error, &[]), Sum::Rate { n: 6000, hits: 30 }),
            (key(Signal::Error, &premium), Sum::Rate { n: 1200, hits: 42 }),
            (key(Signal::ThumbsDown, &[]), Sum::Rate { n: 72, hits: 9 }),
        ];
        let Known::Traffic(traffic) = of(&totals(sums, DAY)) else { panic!("this is enough to know it") };
        assert!((traffic.per_second - 1.0).abs() < 0.01, "{}", traffic.per_second);
        let manner = |signal| traffic.stable.of(&signal);
        assert!((manner(Signal::Error).level(Measure::Rate) - 0.01).abs() < 1e-12);
        assert!((manner(Signal::ThumbsDown).per_call - 0.01).abs() < 1e-12);
        assert_eq!(manner(Signal::Csat).per_call, 0.0, "nobody reports it");
        assert!(!manner(Signal::Agreement).known, "there are no copies yet");
        assert_eq!(traffic.slices.len(), 1);
        assert!((traffic.slices[0].1 - 1.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn the_night_counts_and_the_time_before_the_first_call_does_not() {
        let sums = vec![(key(Signal::Assigned, &[]), assigned(3600))];
        let Known::Traffic(traffic) = of(&totals(sums, 2 * HISTORY_MIN)) else { panic!() };
        // Two hours are sixty sampled buckets of ten seconds.
        assert!((traffic.per_second - 6.0).abs() < 0.2, "{}", traffic.per_second);
    }

    #[test]
    fn too_little_history_is_not_judged() {
        let few = vec![(key(Signal::Assigned, &[]), assigned(CALLS_MIN - 1))];
        let young = vec![(key(Signal::Assigned, &[]), assigned(50_000))];
        for (totals, says) in [
            (Totals::default(), "no calls"),
            (totals(few, DAY), "999 calls"),
            (totals(young, HISTORY_MIN / 2), "30 min"),
        ] {
            assert!(matches!(of(&totals), Known::TooLittle(why) if why.contains(says)), "{says}");
        }
    }
}
