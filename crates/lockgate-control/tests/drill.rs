//! Rehearsals, on the log's side.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::time::Duration;

use lockgate_control::{CommandError, Rehearsal, Request};
use lockgate_core::drill::{Fault, LABEL, ON};
use lockgate_core::event::{Cause, Event};
use lockgate_core::name::{LabelName, PlanName, Revision};
use lockgate_core::segment::Segment;
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::row::Writer;

use story::{BUCKET, GOOD, Lab, config, feature, kill, promote, roll_back, start};

fn rehearsal() -> Rehearsal {
    Rehearsal {
        fault: Fault::Errors(0.4),
        share: Share::from_fraction(0.5).unwrap(),
        within: Duration::from_secs(300),
        plan: Some(PlanName::new("quick").unwrap()),
        why: "test".into(),
    }
}

async fn begin(lab: &Lab) -> Revision {
    lab.controller.start_drill("ada", &feature(), rehearsal()).await.unwrap();
    lab.route().trial.unwrap().candidate.revision
}

fn marked() -> Segment {
    Segment::from_labels(&[(LabelName::new(LABEL).unwrap(), ON.to_owned())].into())
}

/// One bucket of marked calls passes and is looked at.
async fn step(lab: &Lab, candidate: Revision, errors: u64) {
    let bucket = BucketStart::containing(lab.clock.now(), BUCKET.as_millis() as i64);
    let stable = lab.route().stable.revision;
    let on_trial = lab.route().trial.is_some();
    let arms = [(stable, Arm::Stable, 0), (candidate, Arm::Candidate, errors)];
    let mut rows = Vec::new();
    for (revision, arm, hits) in arms.into_iter().filter(|(_, arm, _)| *arm == Arm::Stable || on_trial) {
        let key = |signal| SumKey { feature: feature(), revision, arm, segment: marked(), signal };
        rows.push((bucket, key(Signal::Assigned), Sum::Amount { n: 100, total: 100, squares: 100 }));
        rows.push((bucket, key(Signal::Error), Sum::Rate { n: 100, hits }));
    }
    lab.store.put_sums(&Writer { replica: "test".into(), incarnation: 1 }, rows).await.unwrap();
    lab.pass(BUCKET);
    lab.controller.tick().await.unwrap();
}

#[tokio::test]
async fn a_drill_is_found_by_the_real_rules_and_leaves_users_as_they_were() {
    let lab = Lab::new().await;
    let before = lab.route();
    let candidate = begin(&lab).await;
    let during = lab.route();
    assert_eq!(during.stable, before.stable);
    let trial = during.trial.clone().unwrap();
    assert_eq!((trial.drill, trial.candidate.name.as_str()), (Some(Fault::Errors(0.4)), "drill"));
    for user in 0..500 {
        let arm = |segment: &Segment| during.assign(&format!("u{user}"), segment).arm;
        assert_eq!(arm(&Segment::none()), Arm::Stable, "nobody who is not marked takes part");
    }
    let part = (0..500).filter(|user| during.assign(&format!("u{user}"), &marked()).arm == Arm::Candidate);
    assert!((150..350).contains(&part.count()));

    for _ in 0..40 {
        step(&lab, candidate, 40).await;
    }
    let drill = lab.controller.last_drill(&feature()).await.unwrap().unwrap();
    assert_eq!((drill.state, drill.found, drill.fault.as_str()), ("over", Some(true), "errors=40%"));
    assert!(drill.found_by.iter().any(|name| name.contains("error")), "{drill:#?}");
    assert!(drill.seconds_to_back.unwrap() < 120.0 && drill.seconds_to_zero.unwrap() < 60.0, "{drill:#?}");
    assert_eq!(drill.log.len(), 4, "started, entered, sent back, measured: {:?}", lab.kinds().await);
    assert_eq!(lab.route(), before, "as before it");
    let view = lab.controller.feature(&feature()).await.unwrap();
    assert!(view.versions.iter().all(|version| !version.is_rejected) && view.warm.is_none());
    lab.ask(start("v2")).await;
}

#[tokio::test]
async fn a_drill_that_finds_nothing_is_rolled_back_at_its_end_and_never_promoted() {
    let lab = Lab::new().await;
    let candidate = begin(&lab).await;
    for _ in 0..40 {
        step(&lab, candidate, 0).await;
    }
    let drill = lab.controller.last_drill(&feature()).await.unwrap().unwrap();
    assert_eq!((drill.state, drill.found, drill.cause), ("over", Some(false), Some(Cause::Deadline)));
    assert!(!drill.standing.is_empty(), "it says how each rule stood");
    assert_eq!((lab.count("completed").await, lab.count("phase_entered").await), (0, 1));
    assert_eq!(lab.route().stable.name.as_str(), "v1");
}

#[tokio::test]
async fn drills_and_rollouts_do_not_run_beside_each_other() {
    let lab = Lab::new().await;
    begin(&lab).await;
    let code = |error: CommandError| match error {
        CommandError::Refused(refusal) => refusal.code(),
        other => panic!("{other}"),
    };
    let command = async |request| lab.controller.command("ada", &feature(), request).await.unwrap_err();
    let drill = async || lab.controller.start_drill("ada", &feature(), rehearsal()).await.unwrap_err();
    assert_eq!(code(command(start("v2")).await), "drill_under_way");
    assert_eq!(code(command(promote()).await), "drill_under_way");
    assert_eq!(code(drill().await), "drill_under_way");
    lab.ask(roll_back()).await;
    lab.until("rolled_back", GOOD).await;

    lab.ask(start("v2")).await;
    assert_eq!(code(drill().await), "under_way");
    lab.ask(roll_back()).await;
    lab.until("rolled_back", GOOD).await;
    lab.ask(kill()).await;
    assert_eq!(code(drill().await), "killed");
}

#[tokio::test]
async fn a_drill_that_somebody_stops_is_over() {
    for stop in [kill(), Request::Pause { why: "enough".into() }] {
        let lab = Lab::new().await;
        let candidate = begin(&lab).await;
        lab.ask(stop).await;
        for _ in 0..4 {
            step(&lab, candidate, 0).await;
        }
        let drill = lab.controller.last_drill(&feature()).await.unwrap().unwrap();
        assert_eq!((drill.state, drill.found, drill.cause), ("over", Some(false), Some(Cause::Person)));
    }
}

#[tokio::test]
async fn ending_a_drill_ends_that_drill_only() {
    let lab = Lab::new().await;
    let begun = lab.controller.start_drill("ada", &feature(), rehearsal()).await.unwrap();
    let end = async || lab.controller.end_drill("ada", &feature(), begun.rollout, "ctrl-c").await.unwrap();
    assert!(end().await);
    assert_eq!(lab.route().trial, None);
    assert!(!end().await);
    lab.until("rolled_back", GOOD).await;
    lab.ask(start("v2")).await;
    assert!(!end().await, "a rollout is none of its business");
    assert_eq!(lab.word().await, "shadow");
}

#[tokio::test]
async fn a_restart_goes_on_with_a_drill_and_ends_one_whose_stable_version_changed() {
    let lab = Lab::new().await;
    let candidate = begin(&lab).await;
    let after = lab.replica().await;
    assert_eq!(after.route(), lab.route());
    step(&after, candidate, 0).await;

    let edited = story::CONFIG.replacen("shadow_tools: false", "shadow_tools: true", 1);
    let changed = lockgate_control::Controller::start(config(&edited), lab.store.clone(), lab.clock.clone())
        .await
        .unwrap();
    assert_eq!(changed.live().table().routes[&feature()].trial, None);
    changed.tick().await.unwrap();
    let drill = changed.last_drill(&feature()).await.unwrap().unwrap();
    assert_eq!((drill.state, drill.cause), ("rolling_back", Some(Cause::Configuration)));
}

#[tokio::test]
async fn what_is_watched_of_a_completed_rollout_stands_aside_for_a_drill_and_goes_on() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.until("completed", GOOD).await;
    let view = lab.controller.feature(&feature()).await.unwrap();
    let candidate = begin(&lab).await;
    for _ in 0..40 {
        step(&lab, candidate, 40).await;
    }
    let drill = lab.controller.last_drill(&feature()).await.unwrap().unwrap();
    assert_eq!((drill.state, drill.found), ("over", Some(true)));
    let after = lab.controller.feature(&feature()).await.unwrap();
    assert_eq!((after.stable, after.warm), (view.stable, view.warm));
    assert_eq!(lab.word().await, "completed");
    lab.ask(roll_back()).await;
    assert_eq!(lab.route().stable.name.as_str(), "v1", "still one event");
}

#[tokio::test]
async fn the_log_says_that_it_was_a_drill() {
    let lab = Lab::new().await;
    begin(&lab).await;
    let log = lab.log().await;
    let drills = log.iter().filter(|logged| {
        matches!(logged.entry.event, Event::RolloutStarted { drill: Some(Fault::Errors(_)), .. })
    });
    assert_eq!(drills.count(), 1);
}
