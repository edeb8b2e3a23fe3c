//! Deadlines, what is missing and how long it takes, and evidence that is carried from phase to phase.

use std::time::Duration;

use super::scene::*;
use crate::event::{Cause, Event, Missing, Outcome};
use crate::plan::{OnDeadline, Plan};
use crate::signal::Signal;
use crate::sums::{BucketStart, BucketSums};

#[test]
fn a_deadline_takes_back_where_the_plan_says_so_and_never_goes_on() {
    let mut plan = plan();
    plan.on_deadline = OnDeadline::RollBack;
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene.pass_time(1440, &BucketSums::new());
    let decision = scene.decide();
    let [Event::RollbackStarted { cause: Cause::Deadline, why, .. }] = &decision.events[..] else {
        panic!("{decision:?}")
    };
    assert!(why.contains("error < 2 %: no data yet"), "{why}");
}

#[test]
fn a_verdict_says_how_much_is_missing_and_how_long_it_takes() {
    let mut scene = Scene::in_canary();
    scene.pass_time(5, &calls((20, 0), (180, 0)));
    let verdict = scene.evidence().checks[1].verdict.clone();
    assert_eq!(verdict.missing, Some(Missing { observations: 110, seconds: Some(55) }));
    assert_eq!((verdict.total, verdict.stable_n, verdict.stable_total), (0.0, 900, 0.0));
    assert_eq!(
        verdict.as_of.map(|as_of| (as_of.bucket, as_of.width_ms)),
        Some((BucketStart(40_000), 10_000))
    );
    // An hour later nothing came in, and nobody can say when it will.
    scene.pass_time(360, &BucketSums::new());
    let verdict = scene.evidence().checks[1].verdict.clone();
    assert_eq!(verdict.missing, Some(Missing { observations: 110, seconds: None }));
    assert!(verdict.why.ends_with("about 110 more calls, and none came in lately"), "{}", verdict.why);
}

#[test]
fn the_rate_is_that_of_the_present_share() {
    let mut scene = Scene::new(Plan::standard());
    scene.happen(entered(1));
    scene.pass_time(30, &calls((1, 0), (99, 0)));
    let seconds = |scene: &Scene| {
        let evidence = scene.evidence();
        let gate = evidence.checks.iter().find(|check| check.verdict.name == "error < 0.5 %").unwrap();
        (gate.verdict.missing.unwrap(), gate.verdict.n)
    };
    let (slow, _) = seconds(&scene);
    scene.happen(entered(2));
    scene.pass_time(10, &calls((10, 0), (90, 0)));
    let (fast, n) = seconds(&scene);
    assert_eq!(n, 130, "carried over");
    assert!(fast.seconds.unwrap() * 9 < slow.seconds.unwrap(), "{slow:?} {fast:?}");
}

#[test]
fn a_gate_that_passed_stays_passed_in_later_phases() {
    let mut plan = plan();
    plan.phases.insert(2, plan.phases[1].clone());
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene.pass_time(360, &calls((20, 0), (180, 1)));
    assert_eq!(scene.step(), ["phase_entered"]);
    scene.pass_time(1, &calls((1, 0), (9, 0)));
    let gate = scene.decide().standing[0].clone();
    assert_eq!((gate.signal, gate.outcome), (Signal::Error, Outcome::Pass));
}

#[test]
fn what_is_in_force_is_noted_when_it_changes_and_when_a_person_lets_it_go_on() {
    let mut scene = Scene::in_canary();
    let rollout = scene.state.rollout.as_ref().unwrap().id;
    scene.next = 10_000;
    scene.happen(Event::Killed { to: crate::route::KillTo::Stable, why: "smoke".into() });
    scene.next = 20_000;
    scene.happen(Event::Revived { why: "clear".into() });
    scene.happen(Event::Resumed { rollout, why: "clear".into() });
    scene.next = 30_000;
    scene.happen(Event::RollbackStarted {
        rollout,
        cause: Cause::Person,
        why: "enough".into(),
        standing: vec![],
    });
    let moves: Vec<_> = (scene.state.rollout.unwrap().moves.iter())
        .map(|moved| (moved.at.as_millisecond(), moved.phase, moved.share.fraction(), moved.resumed))
        .collect();
    let told = [
        (0, Some(0), 0.0, false),
        (0, Some(1), 0.1, false),
        (10_000, Some(1), 0.0, false),
        (20_000, Some(1), 0.1, true),
        (30_000, None, 0.0, false),
    ];
    assert!(moves.iter().zip(told).all(|(moved, told)| {
        (moved.0, moved.1, moved.3) == (told.0, told.1, told.3) && (moved.2 - told.2).abs() < 1e-9
    }));
    assert_eq!(moves.len(), told.len());
}

#[test]
fn a_completed_rollout_is_watched_as_long_as_the_old_version_is_warm() {
    let mut scene = Scene::in_canary();
    let rollout = scene.state.rollout.as_ref().unwrap().id;
    let warm_until = scene.now() + Duration::from_secs(60);
    scene.happen(Event::Completed { rollout, warm_until });
    let rollout = scene.state.rollout.unwrap();
    assert!(rollout.is_watched(warm_until - Duration::from_secs(1)) && !rollout.is_watched(warm_until));
}
