//! Every number is a function of the merged buckets and of what was in force: no order, no writer and no restart changes a bit.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::scene::*;
use crate::event::Event;
use crate::evidence::{Evidence, Ledger};
use crate::name::RolloutId;
use crate::plan::{Action, Need, Plan, Rule, SliceAction};
use crate::signal::{Arm, Measure, Signal};
use crate::sums::{BucketStart, BucketSums, Sum};

/// One of everything.
fn plan_of_everything() -> Plan {
    let mut plan = plan();
    plan.slices.action = SliceAction::Withdraw;
    let relative = Rule::RatioUnder { fail: 1.25, pass: 1.5 };
    plan.phases[1].gates.extend([
        gate(Signal::Escalated, relative, Need::IfReported),
        gate(Signal::SessionCost, Rule::RiseUnder { fail: 0.2, pass: 0.2 }, Need::IfReported),
        gate(Signal::OutputLength, Rule::ShiftUnder { ratio: 2.0 }, Need::IfReported),
        gate(Signal::PiiLeak, Rule::Never, Need::Always),
    ]);
    plan.triggers.push(trigger(Signal::Rejected, relative, 60, Action::Freeze));
    plan
}

const SIGNALS: [Signal; 10] = [
    Signal::Assigned,
    Signal::Error,
    Signal::Csat,
    Signal::Escalated,
    Signal::SessionCost,
    Signal::OutputLength,
    Signal::Rejected,
    Signal::TokensOut,
    Signal::Sessions,
    Signal::Visitors,
];

/// One writer's counts of one bucket, drawn.
fn written(seed: u64) -> BucketSums {
    let mut random = Random(seed);
    let mut sums = BucketSums::new();
    for tier in ["free", "premium"] {
        let mut some = BucketSums::new();
        for (arm, n) in [(Arm::Candidate, 1 + random.next() % 6), (Arm::Stable, 9 + random.next() % 60)] {
            for signal in &SIGNALS {
                let n = if *signal == Signal::SessionCost { n * 4 } else { n };
                let sum = match signal.measure() {
                    Measure::Rate => rate(n, random.hits(n, 0.03)),
                    Measure::Amount => amount(n, n * (200 + random.next() % 300)),
                    Measure::Score => score(60 + (random.next() % 40) as u16, n),
                    _ => sizes(&[
                        (1_000 + random.next() % 5_000, n / 2),
                        (200 + random.next() % 90, n - n / 2),
                    ]),
                };
                some.insert(key(arm, signal.clone()), sum);
            }
        }
        sums.extend(labelled(some, &[("tier", tier)]));
    }
    sums
}

/// A writer's earlier word about the same bucket: no counter is larger.
fn earlier(sum: &Sum) -> Sum {
    match sum {
        Sum::Rate { n, hits } => Sum::Rate { n: n / 2, hits: hits / 2 },
        Sum::Amount { n, total, squares } => Sum::Amount { n: n / 2, total: total / 2, squares: squares / 2 },
        Sum::Levels(levels) => Sum::Levels(levels.iter().map(|(level, n)| (*level, n / 2)).collect()),
    }
}

/// The merged bucket as a store has it that was told by these writers, in this order, with resent and older words between.
fn merged(writers: &[BucketSums], order: &[usize], with_resends: bool) -> BucketSums {
    let mut known: BTreeMap<usize, BucketSums> = BTreeMap::new();
    let mut tell = |writer: usize, word: &dyn Fn(&Sum) -> Sum| {
        let mine = known.entry(writer).or_default();
        for (key, sum) in &writers[writer] {
            mine.entry(key.clone()).or_insert_with(|| Sum::zero(key.signal.measure())).join(&word(sum));
        }
    };
    for writer in order {
        if with_resends {
            tell(*writer, &earlier);
        }
        tell(*writer, &Sum::clone);
    }
    if with_resends {
        order.iter().rev().for_each(|writer| tell(*writer, &earlier));
        order.iter().for_each(|writer| tell(*writer, &Sum::clone));
    }
    together(known.into_values())
}

/// Every bit of every number, as text: two floats that differ in the last place differ here.
fn bits(evidence: &Evidence) -> String {
    let mut text = format!("{evidence:?}");
    for check in &evidence.checks {
        let verdict = &check.verdict;
        for number in [verdict.log_e_pass, verdict.log_e_fail, verdict.total, verdict.stable_total] {
            text.push_str(&format!(" {:x}", number.to_bits()));
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn writers_orders_resends_and_restarts_change_no_bit(
        seed in any::<u64>(),
        writers in 1usize..64,
        buckets in 4u64..14,
        shuffle in any::<u64>(),
    ) {
        // Few writers write much; many write the same in total, split otherwise.
        let mut live = Scene::new(plan_of_everything());
        live.happen(entered(1));
        let mut stored = Vec::new();
        for bucket in 0..buckets {
            let each: Vec<BucketSums> =
                (0..writers).map(|writer| written(seed ^ (bucket << 32) ^ writer as u64)).collect();
            let order: Vec<usize> = (0..writers).collect();
            let mut other = order.clone();
            other.sort_by_key(|writer| Random(shuffle ^ *writer as u64).next());
            let one = merged(&each, &order, false);
            prop_assert_eq!(&one, &merged(&each, &other, true));
            live.pass_time(1, &one);
            live.step();
            if bucket == buckets / 2 {
                let rollout = RolloutId(Default::default());
                let slice = crate::segment::Slice {
                    label: crate::name::LabelName::new("tier").unwrap(),
                    value: "premium".into(),
                };
                let why = || "a test".to_owned();
                // It says up to which bucket the freeze was seen; what comes after is kept through the resumption.
                let standing = vec![live.evidence().checks[0].verdict.clone()];
                live.happen(Event::Frozen {
                    rollout, cause: crate::event::Cause::Person, why: why(), standing,
                });
                live.happen(Event::Resumed { rollout, why: why() });
                live.happen(Event::SliceWithdrawn { rollout, slice, why: why(), standing: vec![] });
            }
            stored.push((BucketStart(bucket as i64 * 10_000), one));
        }
        // A controller that lost its memory reads log and buckets again; another hands over empty buckets between.
        let rollout = live.state.rollout.clone().unwrap();
        let mut rebuilt = Ledger::new(&rollout, BUCKET);
        rebuilt.follow(&rollout);
        for (start, sums) in &stored {
            rebuilt.take(*start, sums);
            rebuilt.take(*start, sums);
        }
        live.ledger.follow(&rollout);
        prop_assert_eq!(bits(&rebuilt.evidence()), bits(&live.evidence()));
    }
}

#[test]
fn buckets_in_which_nothing_happened_may_be_left_out() {
    let mut scene = Scene::new(plan_of_everything());
    scene.happen(entered(1));
    let rollout = scene.state.rollout.clone().unwrap();
    let mut sparse = Ledger::new(&rollout, BUCKET);
    sparse.follow(&rollout);
    let mut last = 0;
    for bucket in 0..3_000_i64 {
        let start = BucketStart(bucket * 10_000);
        if bucket % 97 != 0 {
            scene.pass_time(1, &BucketSums::new());
            continue;
        }
        let sums = written(bucket as u64);
        // One arm's calls in every other bucket: what waits for the other must wait as long either way.
        let sums: BucketSums =
            sums.into_iter().filter(|(key, _)| (key.arm == Arm::Stable) == (bucket % 2 == 0)).collect();
        scene.pass_time(1, &sums);
        sparse.take(start, &sums);
        last = bucket;
    }
    sparse.take(BucketStart(2_999 * 10_000), &BucketSums::new());
    assert!(last < 2_999);
    assert_eq!(bits(&sparse.evidence()), bits(&scene.evidence()));
}

#[test]
fn a_ledger_that_hears_late_of_what_changes_what_it_took_says_so() {
    let mut scene = Scene::in_canary();
    scene.pass_time(5, &calls((20, 0), (180, 1)));
    let mut late = scene.state.rollout.clone().unwrap();
    assert!(!scene.ledger.follow(&late), "nothing new");
    scene.happen(entered(2));
    assert!(
        !scene.ledger.follow(scene.state.rollout.as_ref().unwrap()),
        "what comes into force from here on"
    );
    // As many moves as before, of another moment.
    late.moves[1].at = BucketStart(20_000).timestamp();
    assert!(scene.ledger.follow(&late));
    assert!(!scene.ledger.follow(&late), "told once");
}
