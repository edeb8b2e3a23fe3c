//! Whole rollouts: traffic in, a log out.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::event::Event;
use lockgate_core::signal::Arm;
use lockgate_core::sums::BucketStart;
use tokio::sync::watch;

use story::{BAD, BUCKET, Calls, GOOD, Lab, feature, promote, start};

#[tokio::test]
async fn a_good_candidate_goes_all_the_way() {
    let lab = Lab::new().await;
    let receipt = lab.ask(start("v2")).await;
    assert!(receipt.recorded && receipt.sentence.contains("v2"), "{receipt:?}");
    lab.until("completed", GOOD).await;

    assert_eq!(
        lab.kinds().await,
        [
            "stable_declared",
            "rollout_started",
            "phase_entered",
            "phase_entered",
            "phase_entered",
            "phase_entered",
            "completed"
        ]
    );
    let route = lab.route();
    assert_eq!((route.stable.name.as_str(), route.trial), ("v2", None));
    assert_eq!(lab.store.verify().await.unwrap().broken, None);

    let log = lab.log().await;
    let phases: Vec<_> = log.iter().filter(|l| l.entry.event.kind() == "phase_entered").collect();
    let apart = phases[2].entry.ts.duration_since(phases[1].entry.ts);
    assert!(apart.as_secs() >= 60, "a phase is not left before its dwell time: {apart:?}");
    assert!(
        matches!(&phases[1].entry.event, Event::PhaseEntered { standing, .. } if !standing.is_empty()),
        "an automatic promotion names its evidence"
    );
}

#[tokio::test]
async fn a_bad_candidate_goes_back_and_the_rollback_ends_only_at_a_measured_zero() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.until("canary", GOOD).await;
    lab.until("rolling_back", BAD).await;
    assert_eq!(lab.route().trial, None, "nobody is sent there any more");

    // A replica that is behind goes on sending a few.
    for _ in 0..4 {
        lab.counted("v2", Arm::Candidate, Calls { n: 3, errors: 0 }).await;
        lab.step(GOOD).await;
        assert_eq!(lab.word().await, "rolling_back");
    }
    lab.until("rolled_back", GOOD).await;
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert_eq!((view.state, lab.route().stable.name.as_str()), ("rolled_back", "v1"));
    assert!(view.why.is_some_and(|why| why.contains("error")));

    let refused = lab.controller.command("ada", &feature(), start("v2")).await.unwrap_err();
    assert!(refused.to_string().contains("taken back before"), "{refused}");
}

#[tokio::test]
async fn no_data_holds_for_ever_and_pauses_at_the_deadline() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    for _ in 0..59 {
        lab.pass(BUCKET);
        lab.controller.tick().await.unwrap();
        assert_eq!(lab.word().await, "shadow");
    }
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert!(!view.waiting_for.is_empty(), "it says what it waits for");

    lab.pass(BUCKET);
    lab.controller.tick().await.unwrap();
    assert_eq!(lab.word().await, "paused");
    for _ in 0..30 {
        lab.pass(Duration::from_secs(3600));
        lab.controller.tick().await.unwrap();
    }
    assert_eq!((lab.word().await, lab.count("paused").await), ("paused", 1));
    assert_eq!(lab.count("phase_entered").await, 1, "time alone never promotes");
}

#[tokio::test]
async fn buckets_are_taken_in_only_once_they_are_closed() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    lab.counted("v1", Arm::Stable, GOOD).await;
    lab.counted("v2", Arm::Candidate, BAD).await;
    lab.pass(BUCKET);
    lab.controller.tick().await.unwrap();
    assert_eq!(lab.word().await, "canary", "gateways may still be writing this bucket");
    lab.pass(Duration::from_secs(2));
    lab.controller.tick().await.unwrap();
    assert_eq!(lab.word().await, "rolling_back");
}

#[tokio::test]
async fn what_stood_at_the_last_look_is_shown_with_every_number() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    for _ in 0..4 {
        lab.step(GOOD).await;
    }
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert_eq!((view.phase.as_deref(), view.phase_index), (Some("shadow"), Some(0)));
    assert!(view.gates.first().is_some_and(|gate| gate.n > 400), "{view:#?}");
    assert!(view.dwell_until.is_some() && view.deadline > view.dwell_until && view.reach.is_some());

    let explained = lab.controller.explain(&feature(), None).await.unwrap();
    assert!(explained.seq.is_none() && explained.sentence.contains("waits for"), "{explained:?}");
    assert!(explained.numbers.iter().any(|line| line.contains("evidence to pass")));

    lab.until("completed", GOOD).await;
    let explained = lab.controller.explain(&feature(), None).await.unwrap();
    // What completed it rests on nothing of its own; what is explained is the decision before it.
    assert_eq!(explained.event, Some("phase_entered"));
    assert!(!explained.standing.is_empty() && explained.reproduced == Some(true), "{explained:?}");
}

#[tokio::test]
async fn what_a_rollout_is_judged_by_outlives_its_retention() {
    let lab = Lab::new().await;
    let buckets = async || {
        let (from, to) = (BucketStart(0), BucketStart(i64::MAX));
        lab.store.sums(&feature(), from, to).await.unwrap().into_keys().collect::<Vec<_>>()
    };
    lab.counted("v1", Arm::Stable, GOOD).await;
    lab.pass(Duration::from_secs(40 * 24 * 3600));
    lab.ask(start("v2")).await;
    lab.counted("v1", Arm::Stable, GOOD).await;
    let [before, since] = buckets().await[..] else { panic!("two buckets were counted") };
    lab.pass(Duration::from_secs(40 * 24 * 3600));

    let (stop, stopped) = watch::channel(false);
    let controller = Arc::clone(&lab.controller);
    let run = tokio::spawn(async move { controller.run(stopped).await });
    let forgotten = async {
        while buckets().await.contains(&before) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), forgotten).await.unwrap();
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(20), run).await.unwrap().unwrap();
    assert_eq!(buckets().await, [since]);
    assert_eq!(lab.word().await, "paused", "and it was looked at meanwhile");
}
