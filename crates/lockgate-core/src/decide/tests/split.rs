//! Callers that are not split as the plan says.

use super::scene::*;
use crate::event::Event;
use crate::signal::{Arm, Signal};
use crate::sums::BucketSums;

fn visitors(candidate: u64, stable: u64) -> BucketSums {
    let mut sums = calls((20, 0), (180, 0));
    sums.insert(key(Arm::Candidate, Signal::Visitors), amount(candidate, 0));
    sums.insert(key(Arm::Stable, Signal::Visitors), amount(stable, 0));
    sums
}

#[test]
fn a_broken_split_holds_calls_once_and_takes_nobody_back() {
    let mut scene = Scene::in_canary();
    scene.pass_time(400, &visitors(6, 94));
    let decision = scene.decide();
    assert!(matches!(&decision.events[..], [Event::Alerted { .. }]), "{:?}", decision.events);
    let said = decision.waiting_for.iter().find(|why| why.contains("routing is broken")).unwrap();
    assert!(said.contains("ought to have 10 % of the callers and has 6 %"), "{said}");
    assert_eq!(scene.step(), ["alerted"]);
    scene.pass_time(400, &visitors(10, 90));
    assert_eq!(scene.step(), [""; 0], "what was counted before is not mended by what comes later");
    assert_eq!(scene.word(), "canary");
}

#[test]
fn callers_split_as_the_plan_says_hold_nothing() {
    let mut scene = Scene::in_canary();
    scene.pass_time(400, &visitors(10, 90));
    assert_eq!(scene.evidence().mismatch, None);
    assert_eq!(scene.step(), ["phase_entered", "completed"]);
}

#[test]
fn the_first_buckets_after_a_move_do_not_count() {
    let mut scene = Scene::in_canary();
    scene.pass_time(2, &visitors(0, 100_000));
    scene.pass_time(300, &visitors(10, 90));
    assert_eq!(scene.evidence().mismatch, None);
}

#[test]
fn callers_that_many_writers_count_again_need_more_to_be_believed() {
    let few = |writers| {
        let mut scene = Scene::in_canary();
        scene.ledger.written_by(writers);
        scene.pass_time(12, &visitors(6, 94));
        scene.evidence().mismatch.is_some()
    };
    assert_eq!((few(1), few(64)), (true, false));
}
