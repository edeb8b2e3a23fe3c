//! After completion: the triggers go on while the old version is warm, against what stable was like.

use super::scene::*;
use crate::event::{Cause, Event};
use crate::name::Revision;
use crate::plan::{Action, Rule};
use crate::signal::{Arm, Signal};
use crate::state::Stage;
use crate::sums::{BucketSums, SumKey};

/// Calls of everybody, answered by what was the candidate.
fn of_all(n: u64, errors: u64) -> BucketSums {
    let mine = |signal| SumKey { revision: Revision::of(b"v2"), ..key(Arm::Stable, signal) };
    BucketSums::from([(mine(Signal::Assigned), amount(n, 0)), (mine(Signal::Error), rate(n, errors))])
}

/// A rollout that went through with stable at this many errors in 2 000 calls.
fn completed(stable_errors: u64) -> Scene {
    let mut plan = plan();
    plan.triggers.push(trigger(Signal::Incident, Rule::Never, 300, Action::RollBack));
    plan.triggers.push(trigger(
        Signal::ThumbsDown,
        Rule::RatioUnder { fail: 2.0, pass: 2.0 },
        300,
        Action::Freeze,
    ));
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    let mut sums = calls((200, 0), (2_000, stable_errors));
    sums.insert(key(Arm::Stable, Signal::ThumbsDown), rate(100, 5));
    sums.insert(key(Arm::Candidate, Signal::ThumbsDown), rate(10, 0));
    scene.pass_time(360, &sums);
    assert_eq!(scene.step(), ["phase_entered", "completed"]);
    scene
}

#[test]
fn a_healthy_version_stays_and_what_turns_bad_in_the_warm_days_goes_back_by_one_event() {
    let mut scene = completed(10);
    scene.pass_time(1_000, &of_all(200, 1));
    assert_eq!(scene.step(), [""; 0]);
    let standing = scene.decide().standing;
    assert!(standing.iter().any(|verdict| verdict.name == "error < 5 %" && verdict.n == 200_000));
    scene.pass_time(3, &of_all(200, 40));
    let decision = scene.decide();
    let [Event::RollbackStarted { cause: Cause::Trigger, why, .. }] = &decision.events[..] else {
        panic!("{decision:?}")
    };
    assert!(why.starts_with("error < 5 %: shown to be over 5 %"), "{why}");
    assert_eq!(scene.step(), ["rollback_started"]);
    assert_eq!(scene.state.stable, version("v1"));
    assert!(scene.state.rejected.contains(&version("v2").revision));
    scene.pass_time(2, &calls((0, 0), (200, 1)));
    assert_eq!(scene.step(), ["rolled_back"]);
}

#[test]
fn what_stable_was_like_too_is_not_held_against_its_successor() {
    // Stable had 6 % itself; 6.5 % now is no more than a quarter over it.
    let mut scene = completed(120);
    scene.pass_time(1_000, &of_all(200, 13));
    assert!(!scene.step().contains(&"rollback_started"));
    scene.pass_time(300, &of_all(200, 24));
    assert_eq!(scene.step(), ["rollback_started"], "twice as much is");
}

#[test]
fn what_would_have_frozen_a_candidate_calls_for_a_person() {
    let mut scene = completed(10);
    let mut sums = of_all(200, 1);
    let thumbs = SumKey { revision: Revision::of(b"v2"), ..key(Arm::Stable, Signal::ThumbsDown) };
    sums.insert(thumbs, rate(20, 8));
    scene.pass_time(100, &sums);
    assert_eq!(scene.step(), ["alerted"]);
    scene.pass_time(100, &sums);
    assert_eq!(scene.step(), [""; 0], "once");
    assert!(matches!(scene.state.rollout.as_ref().unwrap().stage, Stage::Completed { .. }));
}

#[test]
fn what_is_reported_late_of_the_candidates_calls_still_counts() {
    let mut scene = completed(10);
    scene.pass_time(10, &of_all(200, 1));
    scene.pass_time(1, &BucketSums::from([(key(Arm::Candidate, Signal::Incident), rate(1, 1))]));
    assert_eq!(scene.step(), ["rollback_started"]);
}

#[test]
fn after_the_warm_days_and_after_a_third_version_nothing_is_taken_back() {
    let mut scene = completed(10);
    let bad = of_all(200, 40);
    scene.pass_time(10, &bad);
    let mut flipped = Scene { state: scene.state.clone(), ledger: scene.ledger.clone(), next: scene.next };
    flipped.happen(Event::Flipped {
        from: version("v2"),
        to: version("v3"),
        why: "a test".into(),
        warm_until: flipped.now(),
    });
    assert_eq!(flipped.step(), [""; 0]);
    scene.next += 25 * 3_600_000;
    assert_eq!(scene.decide().events, []);
}
