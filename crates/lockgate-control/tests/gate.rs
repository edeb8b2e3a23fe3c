//! A rollout's gates in one word.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::time::Duration;

use lockgate_control::{GateView, Request};
use lockgate_core::event::Outcome;
use lockgate_core::name::FeatureName;

use story::{BAD, BUCKET, Calls, GOOD, Lab, feature, kill, promote, start};

fn gate(lab: &Lab) -> GateView {
    lab.controller.gate(&feature()).unwrap()
}

fn check(lab: &Lab, outcome: Outcome, says: &str) {
    let told = gate(lab);
    assert_eq!(told.outcome, outcome, "{told:?}");
    assert!(told.reasons.iter().any(|reason| reason.contains(says)), "{told:?}");
}

#[tokio::test]
async fn a_good_candidate_is_unclear_until_its_gates_pass_and_passes_once_it_is_completed() {
    let lab = Lab::new().await;
    check(&lab, Outcome::Inconclusive, "no rollout");
    lab.ask(start("v2")).await;
    check(&lab, Outcome::Inconclusive, "not looked at yet");
    lab.step(Calls { n: 5, errors: 0 }).await;
    lab.step(Calls { n: 5, errors: 0 }).await;
    check(&lab, Outcome::Inconclusive, "error < 5 %: ");
    // The gate passes before the phase's time is over: the rollout stays, the gate says so.
    for _ in 0..3 {
        lab.step(GOOD).await;
    }
    assert_eq!(lab.word().await, "shadow");
    check(&lab, Outcome::Pass, "error < 5 %: shown to be");
    lab.until("completed", GOOD).await;
    check(&lab, Outcome::Pass, "everybody has v2");
}

#[tokio::test]
async fn a_bad_candidate_fails_on_its_way_back_and_ever_after() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    lab.until("rolling_back", BAD).await;
    check(&lab, Outcome::Fail, "rolling back: ");
    lab.until("rolled_back", GOOD).await;
    check(&lab, Outcome::Fail, "rolled back: ");
}

#[tokio::test]
async fn what_a_person_holds_and_what_nobody_looks_at_is_neither_passed_nor_failed() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    for _ in 0..4 {
        lab.step(GOOD).await;
    }
    check(&lab, Outcome::Pass, "error");
    lab.pass(Duration::from_secs(3600));
    check(&lab, Outcome::Inconclusive, "last looked at");
    lab.pass(BUCKET);
    lab.ask(Request::Pause { why: "lunch".into() }).await;
    check(&lab, Outcome::Inconclusive, "paused: lunch");
    lab.ask(kill()).await;
    check(&lab, Outcome::Inconclusive, "kill switch");
    assert!(lab.controller.gate(&FeatureName::new("reply").unwrap()).is_none());
}
