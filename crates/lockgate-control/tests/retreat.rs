//! What becomes of a gateway's own way back.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use lockgate_config::clock::Clock;
use lockgate_config::live::Retreat;
use lockgate_core::event::{Cause, Event};
use lockgate_store::Store;

use story::{AT, BAD, GOOD, Lab, eventually, feature, promote, roll_back, start};

/// A lab whose rollout is at its canary.
async fn on_trial(lab: Lab) -> Lab {
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    lab
}

/// What a gateway does that has seen enough.
fn retreat(lab: &Lab) -> Retreat {
    let rollout = lab.route().trial.unwrap().rollout;
    let why = "gateway a saw in its own calls: error < 5 %: 9 of 20".to_owned();
    Retreat { at: lab.clock.now(), feature: feature(), rollout, why, standing: Vec::new() }
}

async fn causes(lab: &Lab) -> Vec<Cause> {
    let cause = |event: Event| match event {
        Event::RollbackStarted { cause, .. } => Some(cause),
        _ => None,
    };
    lab.log().await.into_iter().filter_map(|logged| cause(logged.entry.event)).collect()
}

#[tokio::test]
async fn one_gateways_retreat_is_everybodys_way_back_and_recorded_once() {
    let lab = on_trial(Lab::new().await).await;
    let other = lab.replica().await;
    let retreat = retreat(&lab);
    let live = lab.controller.live();
    assert!(live.retreat(retreat.clone()));
    assert_eq!(lab.route().trial, None, "at once, before anybody is asked");
    assert!(!live.retreat(retreat.clone()), "there is nothing left to take out");
    assert!(other.route().trial.is_some());

    for _ in 0..3 {
        lab.controller.tick().await.unwrap();
    }
    assert_eq!((lab.word().await, causes(&lab).await), ("rolling_back", vec![Cause::Retreat]));
    let log = lab.log().await;
    let said = log.iter().any(
        |logged| matches!(&logged.entry.event, Event::RollbackStarted { why, .. } if *why == retreat.why),
    );
    assert!(said, "{log:#?}");
    other.controller.tick().await.unwrap();
    assert_eq!(other.route().trial, None);

    assert_eq!(live.retreats(), [retreat]);
    lab.until("rolled_back", GOOD).await;
    lab.controller.tick().await.unwrap();
    assert_eq!(causes(&lab).await.len(), 1);
    assert!(live.retreats().is_empty(), "the log has it, and nothing is left to hold back");
}

#[tokio::test]
async fn what_was_retreated_from_stays_out_whatever_is_published() {
    let lab = on_trial(Lab::new().await).await;
    assert!(lab.controller.live().retreat(retreat(&lab)));
    // The controller knows nothing yet and puts its own table in force.
    lab.controller.reload(story::config(story::CONFIG)).await.unwrap();
    assert_eq!(lab.route().trial, None);
}

#[tokio::test]
async fn a_retreat_after_the_controller_has_decided_adds_nothing() {
    let lab = on_trial(Lab::new().await).await;
    let late = retreat(&lab);
    lab.ask(roll_back()).await;
    assert!(!lab.controller.live().retreat(late));
    lab.controller.tick().await.unwrap();
    assert_eq!(causes(&lab).await, [Cause::Person]);
}

#[tokio::test]
async fn another_rollout_of_the_feature_is_not_held_back_by_an_earlier_retreat() {
    let lab = on_trial(Lab::new().await).await;
    assert!(lab.controller.live().retreat(retreat(&lab)));
    lab.controller.tick().await.unwrap();
    lab.until("rolled_back", GOOD).await;
    lab.ask(start("v3")).await;
    lab.ask(promote()).await;
    assert!(lab.route().trial.is_some_and(|trial| trial.candidate.name.as_str() == "v3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retreat_is_recorded_when_the_store_is_back() {
    let file = std::env::temp_dir().join(format!("lockgate-control-retreat-{}.db", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let lab = on_trial(Lab::on(Store::open(&file).await.unwrap(), Clock::manual(AT)).await).await;
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    assert!(lab.controller.live().retreat(retreat(&lab)));
    let controller = std::sync::Arc::clone(&lab.controller);
    let look = tokio::spawn(async move { controller.tick().await });
    eventually("it is in force for everybody", || lab.route().trial.is_none()).await;
    assert!(causes(&lab).await.is_empty());
    drop(other);
    look.await.unwrap().unwrap();
    assert_eq!((causes(&lab).await, lab.word().await), (vec![Cause::Retreat], "rolling_back"));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
}

#[tokio::test]
async fn a_completed_rollout_is_watched_while_the_old_version_is_warm_and_comes_back_in_one_event() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.until("completed", GOOD).await;
    for _ in 0..30 {
        lab.counted("v2", lockgate_core::signal::Arm::Stable, GOOD).await;
        lab.pass(story::BUCKET);
        lab.controller.tick().await.unwrap();
    }
    assert_eq!(lab.word().await, "completed", "a good one stays");
    for _ in 0..30 {
        lab.counted("v2", lockgate_core::signal::Arm::Stable, BAD).await;
        lab.pass(story::BUCKET);
        lab.controller.tick().await.unwrap();
        if lab.word().await != "completed" {
            break;
        }
    }
    assert_eq!(causes(&lab).await, [Cause::Trigger]);
    assert_eq!(lab.route().stable.name.as_str(), "v1");
}
