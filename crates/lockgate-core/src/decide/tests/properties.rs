//! Whatever is counted, a decision keeps its promises.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::scene::*;
use crate::event::{Cause, Event};
use crate::name::Revision;
use crate::signal::{Arm, Signal};
use crate::state::Stage;
use crate::sums::{BucketSums, Sum, SumKey};

/// Buckets in which the candidate shows nothing.
fn nothing_shown() -> impl Strategy<Value = BucketSums> {
    let foreign = SumKey { revision: Revision::of(b"v0"), ..key(Arm::Candidate, Signal::Error) };
    let only_stable =
        (1u64..1000).prop_map(|n| BTreeMap::from([(key(Arm::Stable, Signal::Error), rate(n, 0))]));
    prop_oneof![
        Just(BucketSums::new()),
        Just(calls((0, 0), (0, 0))),
        Just(copies(100).into_iter().map(|(key, sum)| (key, Sum::zero(measure(&sum)))).collect()),
        only_stable,
        Just(BTreeMap::from([(foreign, rate(1000, 0))])),
        // Sums of the wrong kind, as a damaged store might hold them.
        Just(BTreeMap::from([(key(Arm::Candidate, Signal::Error), amount(1000, 0))])),
        Just(BTreeMap::from([(key(Arm::Shadow, Signal::Agreement), rate(1000, 1000))])),
        Just(BTreeMap::from([(key(Arm::Candidate, Signal::Error), score(0, 1000))])),
    ]
}

fn measure(sum: &Sum) -> crate::signal::Measure {
    match sum {
        Sum::Rate { .. } => crate::signal::Measure::Rate,
        Sum::Amount { .. } => crate::signal::Measure::Amount,
        Sum::Levels(_) => crate::signal::Measure::Score,
    }
}

/// Any bucket of both arms, as several replicas would have written it.
fn anything() -> impl Strategy<Value = Vec<BucketSums>> {
    let arm = (0u64..40).prop_flat_map(|n| (Just(n), 0..=n));
    let replica = (arm.clone(), arm, 0u16..=100, 0u64..5, 0u64..5).prop_map(
        |(candidate, stable, level, scores, stable_scores)| {
            let mut sums = calls(candidate, stable);
            sums.insert(key(Arm::Candidate, Signal::Csat), score(level, scores));
            sums.insert(key(Arm::Stable, Signal::Csat), score(100 - level, stable_scores));
            sums.insert(key(Arm::Candidate, Signal::TokensOut), amount(candidate.0, candidate.0 * 900));
            sums.insert(key(Arm::Stable, Signal::TokensOut), amount(stable.0, stable.0 * 300));
            sums
        },
    );
    proptest::collection::vec(replica, 1..5)
}

fn merged<'s>(replicas: impl Iterator<Item = &'s BucketSums>) -> BucketSums {
    let mut all = BucketSums::new();
    for (key, sum) in replicas.flatten() {
        all.entry(key.clone()).or_insert_with(|| Sum::zero(key.signal.measure())).add(sum);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_data_in_any_form_never_promotes(
        phase in 0usize..2,
        buckets in proptest::collection::vec((nothing_shown(), 1u64..400), 1..8),
    ) {
        let mut scene = Scene::new(plan());
        scene.happen(entered(phase));
        for (sums, times) in buckets {
            scene.pass_time(times, &sums);
            for event in scene.decide().events {
                prop_assert!(matches!(event, Event::Paused { cause: Cause::Deadline, .. }), "{event:?}");
            }
        }
    }

    #[test]
    fn replicas_merged_in_any_order_and_decided_twice_give_the_same_decision(
        buckets in proptest::collection::vec(anything(), 1..40),
    ) {
        let (mut one, mut other) = (Scene::in_canary(), Scene::in_canary());
        for replicas in &buckets {
            one.pass_time(1, &merged(replicas.iter()));
            other.pass_time(1, &merged(replicas.iter().rev()));
            prop_assert_eq!(one.decide(), other.decide());
        }
        prop_assert_eq!(one.evidence(), other.evidence());
        let text = serde_json::to_string(&one.decide().standing).unwrap();
        let read: Vec<crate::event::Verdict> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.len(), one.decide().standing.len());
    }

    #[test]
    fn whatever_is_counted_a_decision_only_takes_steps_that_are_open(
        buckets in proptest::collection::vec(anything(), 1..60),
    ) {
        let mut scene = Scene::in_canary();
        for replicas in &buckets {
            scene.pass_time(8, &merged(replicas.iter()));
            let before = scene.state.rollout.as_ref().unwrap().stage.clone();
            for event in scene.decide().events {
                let is_open = match (&before, &event) {
                    (Stage::RolledBack { .. }, _) => false,
                    (Stage::Completed { .. }, event) => {
                        matches!(event, Event::RollbackStarted { .. } | Event::Alerted { .. })
                    }
                    (Stage::RollingBack { .. }, event) => matches!(event, Event::RolledBack { .. }),
                    (Stage::Running(_), event) => !matches!(event, Event::RolledBack { .. }),
                    (_, event) => matches!(
                        event,
                        Event::RollbackStarted { .. } | Event::Frozen { .. } | Event::Alerted { .. }
                    ),
                };
                prop_assert!(is_open, "{before:?} {event:?}");
                scene.happen(event);
            }
        }
    }
}
