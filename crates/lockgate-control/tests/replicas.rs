//! Several controllers on one store, and one after another.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use lockgate_control::{CommandError, Request};
use lockgate_core::segment::Segment;
use lockgate_core::signal::Arm;

use story::{BUCKET, GOOD, Lab, feature, promote, roll_back, start};

fn start_again(version: &str) -> Request {
    match start(version) {
        Request::Start { candidate, plan, owner, only, undecidable, .. } => {
            Request::Start { candidate, plan, owner, only, again: true, undecidable }
        }
        other => other,
    }
}

fn on_candidate(lab: &Lab) -> Vec<usize> {
    let route = lab.route();
    let is_on = |user: &usize| route.assign(&format!("u{user}"), &Segment::none()).arm == Arm::Candidate;
    (0..2000).filter(is_on).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_start_a_rollout_at_once_one_wins() {
    let one = Lab::new().await;
    let two = one.replica().await;
    let name = feature();
    for round in 1..=5 {
        let (first, second) = tokio::join!(
            one.controller.command("ada", &name, start_again("v2")),
            two.controller.command("bob", &name, start_again("v3")),
        );
        let outcomes = [first, second];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        let lost = outcomes.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(lost, CommandError::Refused(_)), "{lost:?}");
        assert_eq!(one.count("rollout_started").await, round);

        one.ask(roll_back()).await;
        one.pass(BUCKET * 3);
        one.controller.tick().await.unwrap();
        two.controller.tick().await.unwrap();
        assert_eq!((one.word().await, two.word().await), ("rolled_back", "rolled_back"));
    }
    assert_eq!(one.store.verify().await.unwrap().broken, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_look_at_once_record_every_step_once_and_agree() {
    let one = Lab::new().await;
    let two = one.replica().await;
    one.ask(start("v2")).await;
    for _ in 0..120 {
        one.traffic(GOOD).await;
        one.pass(BUCKET);
        let (first, second) = tokio::join!(one.controller.tick(), two.controller.tick());
        first.unwrap();
        second.unwrap();
        if one.word().await == "completed" {
            break;
        }
    }
    two.controller.tick().await.unwrap();
    assert_eq!((one.word().await, two.word().await), ("completed", "completed"));
    assert_eq!((one.count("phase_entered").await, one.count("completed").await), (4, 1));
    assert_eq!(one.route(), two.route());
    assert_eq!(one.store.verify().await.unwrap().broken, None);
}

#[tokio::test]
async fn what_one_decides_the_other_follows_at_its_next_look() {
    let one = Lab::new().await;
    let two = one.replica().await;
    one.ask(start("v2")).await;
    one.ask(promote()).await;
    assert_eq!(two.route().trial, None);
    two.controller.tick().await.unwrap();
    assert_eq!(two.route(), one.route());
    assert_eq!(on_candidate(&one), on_candidate(&two));
    assert!(!on_candidate(&one).is_empty());
}

#[tokio::test]
async fn whoever_comes_too_late_follows_at_once() {
    let one = Lab::new().await;
    let two = one.replica().await;
    one.ask(start("v2")).await;
    one.ask(promote()).await;
    two.controller.command("bob", &feature(), start("v3")).await.unwrap_err();
    assert_eq!(two.route(), one.route());
}

#[tokio::test]
async fn a_rollback_asked_of_a_controller_that_is_behind_is_followed() {
    let one = Lab::new().await;
    let two = one.replica().await;
    one.ask(start("v2")).await;
    let receipt = two.ask(roll_back()).await;
    assert!(receipt.recorded && receipt.events.len() == 1, "{receipt:?}");
}

#[tokio::test]
async fn a_restart_lands_in_the_same_rollout_with_the_same_people() {
    let before = Lab::new().await;
    before.ask(start("v2")).await;
    before.until("canary", GOOD).await;
    before.step(GOOD).await;
    let (route, people, log) = (before.route(), on_candidate(&before), before.log().await);
    let view = before.controller.rollout(&feature()).await.unwrap();

    let after = before.replica().await;
    drop(before.controller);
    assert_eq!((after.route(), on_candidate(&after)), (route, people));
    assert_eq!(after.log().await, log, "a restart writes nothing new");

    after.controller.tick().await.unwrap();
    let again = after.controller.rollout(&feature()).await.unwrap();
    assert_eq!(again.gates, view.gates, "the evidence is counted again and comes out the same");
    after.until("completed", GOOD).await;
}
