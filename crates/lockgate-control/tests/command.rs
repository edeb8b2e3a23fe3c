//! Commands, and what holds once they have returned.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_config::clock::Clock;
use lockgate_control::{CommandError, Request};
use lockgate_core::name::{FeatureName, PlanName, VersionName};
use lockgate_core::route::KillTo;
use lockgate_store::Store;

use story::{AT, BAD, BUCKET, GOOD, Lab, eventually, feature, kill, promote, roll_back, start};

#[tokio::test]
async fn a_kill_is_in_force_and_recorded_when_it_returns_and_harmless_when_repeated() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    assert!(lab.route().trial.is_some());

    let receipt = lab.ask(kill()).await;
    assert!(receipt.recorded && receipt.settled && receipt.seconds < 1.0, "{receipt:?}");
    assert_eq!((lab.route().trial, lab.route().killed), (None, Some(KillTo::Stable)));

    let again = lab.ask(kill()).await;
    assert!(again.events.is_empty() && again.sentence.contains("on already"), "{again:?}");
    assert_eq!(lab.count("killed").await, 1);

    lab.ask(Request::Revive { why: "fixed".into() }).await;
    assert_eq!((lab.route().killed, lab.word().await), (None, "frozen"));
}

#[tokio::test]
async fn a_way_back_returns_once_no_call_can_start_on_the_old_version() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    // A call that has read the table and not sent its upstream call yet; another look publishes in between.
    let held = lab.controller.live().table();
    lab.ask(promote()).await;

    let controller = Arc::clone(&lab.controller);
    let command =
        tokio::spawn(async move { controller.command("ada", &feature(), roll_back()).await.unwrap() });
    eventually("the table is swapped", || lab.route().trial.is_none()).await;
    while lab.count("rollback_started").await == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(!command.is_finished(), "a call under the old table can still start");
    drop(held);
    assert!(command.await.unwrap().settled);
}

#[tokio::test]
async fn a_call_that_never_lets_go_does_not_hold_a_command_for_more_than_a_second() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    let held = lab.controller.live().table();
    let asked = Instant::now();
    let receipt = lab.ask(kill()).await;
    assert!(!receipt.settled && receipt.recorded, "{receipt:?}");
    assert!(asked.elapsed() >= Duration::from_millis(800), "{:?}", asked.elapsed());
    drop(held);
}

/// A store in a file, and another process that holds it.
struct Held {
    lab: Lab,
    file: std::path::PathBuf,
}

impl Held {
    async fn new(name: &str) -> Self {
        let file = std::env::temp_dir().join(format!("lockgate-control-{name}-{}.db", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let store = Store::open(&file).await.unwrap();
        Self { lab: Lab::on(store, Clock::manual(AT)).await, file }
    }

    fn hold(&self) -> rusqlite::Connection {
        let other = rusqlite::Connection::open(&self.file).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.file.display()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kill_switch_works_while_the_store_is_away_and_is_recorded_when_it_is_back() {
    let held = Held::new("kill").await;
    let lab = &held.lab;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;

    let other = held.hold();
    let receipt = lab.ask(kill()).await;
    assert!(!receipt.recorded && receipt.settled && !receipt.events.is_empty(), "{receipt:?}");
    assert!(receipt.seconds < 3.0, "{receipt:?}");
    assert_eq!((lab.route().trial, lab.route().killed), (None, Some(KillTo::Stable)));

    drop(other);
    lab.controller.tick().await.unwrap();
    assert_eq!(lab.count("killed").await, 1, "once, although it was tried more than once");
    assert_eq!(lab.route().killed, Some(KillTo::Stable));
    lab.controller.tick().await.unwrap();
    assert_eq!(lab.count("killed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_by_evidence_does_not_wait_for_the_store() {
    let held = Held::new("evidence").await;
    let lab = &held.lab;
    lab.ask(start("v2")).await;
    lab.until("canary", GOOD).await;
    lab.traffic(BAD).await;
    lab.pass(BUCKET * 2);

    let other = held.hold();
    let controller = Arc::clone(&lab.controller);
    let look = tokio::spawn(async move { controller.tick().await });
    eventually("the candidate gets no calls", || lab.route().trial.is_none()).await;
    assert_eq!(lab.count("rollback_started").await, 0);
    drop(other);
    look.await.unwrap().unwrap();
    assert_eq!((lab.count("rollback_started").await, lab.word().await), (1, "rolling_back"));
}

#[tokio::test]
async fn a_flip_goes_there_and_back() {
    let lab = Lab::new().await;
    let flip = |to: Option<&str>| Request::Flip {
        to: to.map(|name| VersionName::new(name).unwrap()),
        why: "blue-green".into(),
    };
    let receipt = lab.ask(flip(Some("v2"))).await;
    assert!(receipt.settled && receipt.recorded);
    assert_eq!(lab.route().stable.name.as_str(), "v2");
    lab.ask(flip(None)).await;
    assert_eq!(lab.route().stable.name.as_str(), "v1");
    let after = lab.replica().await;
    assert_eq!(after.route().stable.name.as_str(), "v1");
}

#[tokio::test]
async fn what_cannot_be_asked_is_answered_with_what_can() {
    let lab = Lab::new().await;
    let ask = async |feature: &str, request| {
        let feature = FeatureName::new(feature).unwrap();
        lab.controller.command("ada", &feature, request).await.unwrap_err()
    };
    let with = |candidate: &str, plan: &str, only: &[&str]| Request::Start {
        candidate: VersionName::new(candidate).unwrap(),
        plan: Some(PlanName::new(plan).unwrap()),
        owner: None,
        only: only.iter().map(|text| (*text).to_owned()).collect(),
        again: false,
        undecidable: false,
    };
    let cases = [
        (ask("reply", kill()).await, "`nobodys`, `support-reply`"),
        (ask("support-reply", with("v9", "quick", &[])).await, "`v1`, `v2`, `v3`"),
        (ask("support-reply", with("v2", "slow", &[])).await, "`quick`"),
        (ask("support-reply", with("v2", "resolved", &[])).await, "resolved"),
        (ask("support-reply", with("v2", "quick", &["tier"])).await, "label=value"),
        (ask("support-reply", with("v2", "quick", &["tear=free"])).await, "`geo`, `tier`"),
        (ask("support-reply", with("v2", "quick", &["tier=gold"])).await, "`internal`"),
        (ask("support-reply", with("v2", "quick", &["tier=free,tier=internal"])).await, "label=value"),
        (ask("nobodys", with("v2", "quick", &[])).await, "owner"),
        (ask("support-reply", roll_back()).await, "nothing to roll back"),
    ];
    for (error, says) in cases {
        assert!(error.to_string().contains(says), "{error}");
    }
    let many = vec!["tier=free"; 17];
    let error = ask("support-reply", with("v2", "quick", &many)).await;
    assert!(matches!(error, CommandError::Only(_)), "{error}");
    assert_eq!(lab.kinds().await, ["stable_declared"], "nothing of all this reached the log");
}

#[tokio::test]
async fn a_rollout_is_confined_to_what_was_named() {
    let lab = Lab::new().await;
    let only = vec!["tier=internal|free,geo=eu".to_owned(), "tier=internal".to_owned()];
    let Request::Start { candidate, plan, owner, again, undecidable, .. } = start("v2") else {
        unreachable!()
    };
    lab.ask(Request::Start { candidate, plan, owner, only, again, undecidable }).await;
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert_eq!(view.confine, "geo=eu,tier=free|internal or tier=internal");
}
