//! Decisions explained: every number, and the same numbers again from the log and the sums alone.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::time::Duration;

use lockgate_control::{AuditError, Explanation, Request, explain_stored};
use lockgate_core::event::{Entry, Event};
use lockgate_core::name::LabelName;
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::row::Writer;

use story::{BAD, BUCKET, GOOD, Lab, feature, kill, promote, start};

/// The number of the last entry of a kind.
async fn last(lab: &Lab, kind: &str) -> u64 {
    let log = lab.log().await;
    log.iter().rfind(|logged| logged.entry.event.kind() == kind).unwrap().seq
}

async fn explained(lab: &Lab, kind: &str) -> Explanation {
    lab.controller.explain(&feature(), Some(last(lab, kind).await)).await.unwrap()
}

async fn rolled_back() -> Lab {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.until("canary", GOOD).await;
    lab.until("rolling_back", BAD).await;
    lab
}

#[tokio::test]
async fn the_numbers_of_a_rollback_come_out_again_and_the_same_for_whoever_has_the_store() {
    let lab = rolled_back().await;
    let told = explained(&lab, "rollback_started").await;
    assert_eq!((told.reproduced, &told.reproduced_why), (Some(true), &None), "{:?}", told.differences);
    let verdict = &told.standing[0];
    assert!(verdict.as_of.is_some() && verdict.alpha > 0.0 && verdict.total > 0.0, "{verdict:?}");

    let stored = explain_stored(&lab.store, Some(&feature()), told.seq).await.unwrap();
    assert_eq!(stored, told);
    let by_number = explain_stored(&lab.store, None, told.seq).await.unwrap();
    assert_eq!(by_number, told);
    assert_eq!(lab.replica().await.controller.explain_event(told.seq.unwrap()).await.unwrap(), told);
}

#[tokio::test]
async fn promotions_pauses_and_acts_by_hand_come_out_again_too() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.until("canary", GOOD).await;
    lab.step(GOOD).await;
    lab.ask(Request::Pause { why: "lunch".into() }).await;
    lab.step(GOOD).await;
    lab.ask(Request::Resume { why: "back".into() }).await;
    for _ in 0..3 {
        lab.step(GOOD).await;
    }
    lab.ask(promote()).await;
    for _ in 0..3 {
        lab.step(GOOD).await;
    }
    lab.ask(kill()).await;
    lab.ask(Request::Revive { why: "fixed".into() }).await;
    lab.ask(Request::Resume { why: "go on".into() }).await;
    lab.until("completed", GOOD).await;
    let mut judged = 0;
    for logged in lab.log().await.iter().filter(|logged| !logged.entry.event.standing().is_empty()) {
        let told = lab.controller.explain(&feature(), Some(logged.seq)).await.unwrap();
        assert_eq!(told.reproduced, Some(true), "{}: {:?}", told.sentence, told.differences);
        judged += 1;
    }
    assert!(judged >= 4, "{judged}");
}

#[tokio::test]
async fn sums_that_were_changed_since_are_found_and_the_numbers_named() {
    let lab = rolled_back().await;
    let key = |revision| SumKey {
        feature: feature(),
        revision,
        arm: Arm::Candidate,
        segment: Segment::none(),
        signal: Signal::Error,
    };
    let candidate = lab.controller.rollout(&feature()).await.unwrap().candidate_revision;
    let first = lab.log().await.iter().find(|l| l.entry.event.kind() == "rollout_started").unwrap().entry.ts;
    let bucket = BucketStart::containing(first, BUCKET.as_millis() as i64);
    let late = vec![(bucket, key(candidate), Sum::Rate { n: 7, hits: 7 })];
    lab.store.put_sums(&Writer { replica: "late".into(), incarnation: 1 }, late).await.unwrap();
    let told = explained(&lab, "rollback_started").await;
    assert_eq!(told.reproduced, Some(false));
    assert!(told.differences.iter().any(|line| line.contains(": n was ")), "{:?}", told.differences);
}

#[tokio::test]
async fn what_cannot_be_taken_again_says_why() {
    let lab = rolled_back().await;
    lab.until("rolled_back", GOOD).await;
    let told = explained(&lab, "rolled_back").await;
    assert_eq!(told.reproduced, None);
    assert!(told.reproduced_why.unwrap().contains("no evidence"));

    lab.store.forget_before(lab.clock.now()).await.unwrap();
    let told = explained(&lab, "rollback_started").await;
    assert_eq!(told.reproduced, None, "{:?}", told.differences);
    assert!(told.reproduced_why.unwrap().contains("past their retention"));

    for (feature, event) in [(Some(feature()), 99), (None, 99), (None, 0)] {
        let error = explain_stored(&lab.store, feature.as_ref(), Some(event)).await.unwrap_err();
        assert!(matches!(error, AuditError::NoSuchEntry { .. } | AuditError::NoEntry { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_a_rollout_waits_for_is_told_with_its_numbers_and_how_long_it_will_take() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    for _ in 0..3 {
        lab.step(story::Calls { n: 20, errors: 0 }).await;
    }
    let told = lab.controller.explain(&feature(), None).await.unwrap();
    assert!(told.seq.is_none() && told.sentence.contains("it waits for"), "{told:?}");
    assert_eq!(told.reproduced, None);
    let gate = told.numbers.iter().find(|line| line.starts_with("gate error")).unwrap();
    for part in ["evidence to pass", "error budget", "missing", "at the present rate", "data up to"] {
        assert!(gate.contains(part), "{part}: {gate}");
    }
}

/// An event as somebody else would have appended it.
async fn append(lab: &Lab, event: Event) {
    let verification = lab.store.verify().await.unwrap();
    let head = lockgate_store::row::Head { seq: verification.head_seq, hash: verification.head_hash };
    let entry = Entry { ts: lab.clock.now(), feature: feature(), author: "controller".into(), event };
    lab.store.append(head, vec![entry]).await.unwrap();
}

#[tokio::test]
async fn a_call_for_a_person_is_shown_until_the_next_rollout() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    let view = lab.controller.rollout(&feature()).await.unwrap();
    append(&lab, Event::Alerted { rollout: view.id, why: "a line was crossed".into(), standing: vec![] })
        .await;
    lab.pass(BUCKET);
    lab.controller.tick().await.unwrap();
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert_eq!(
        view.alerts.iter().map(|alert| alert.why.as_str()).collect::<Vec<_>>(),
        ["a line was crossed"]
    );
    let told = explained(&lab, "alerted").await;
    assert!(told.sentence.contains("a person ought to look"), "{}", told.sentence);

    lab.ask(story::roll_back()).await;
    lab.pass(Duration::from_secs(60));
    lab.until("rolled_back", GOOD).await;
    lab.ask(start("v3")).await;
    assert!(lab.controller.rollout(&feature()).await.unwrap().alerts.is_empty());
}

#[tokio::test]
async fn after_a_promotion_by_hand_the_old_phases_gates_are_not_shown_any_more() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.step(GOOD).await;
    assert!(!lab.controller.rollout(&feature()).await.unwrap().gates.is_empty());
    lab.ask(promote()).await;
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert!(view.gates.is_empty() && view.triggers.is_empty(), "{view:#?}");
    lab.step(GOOD).await;
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert!(view.gates.iter().all(|gate| gate.arm == Arm::Candidate) && !view.gates.is_empty());
}

/// One bucket in which the candidate is as good as stable for everybody but premium users.
async fn only_premium_suffers(lab: &Lab) {
    let view = lab.controller.rollout(&feature()).await.unwrap();
    let bucket = BucketStart::containing(lab.clock.now(), BUCKET.as_millis() as i64);
    let mut rows = Vec::new();
    for (tier, n, errors) in [("free", 2000, 2), ("premium", 150, 12)] {
        for (arm, revision, hits) in
            [(Arm::Stable, view.stable_revision, n / 1000), (Arm::Candidate, view.candidate_revision, errors)]
        {
            let label = LabelName::new("tier").unwrap();
            let segment = Segment::from_labels(&[(label, tier.to_owned())].into());
            let key = |signal| SumKey { feature: feature(), revision, arm, segment: segment.clone(), signal };
            rows.push((bucket, key(Signal::Assigned), Sum::Amount { n, total: n, squares: u128::from(n) }));
            rows.push((bucket, key(Signal::Error), Sum::Rate { n, hits }));
        }
    }
    lab.store.put_sums(&Writer { replica: "test".into(), incarnation: 1 }, rows).await.unwrap();
    lab.pass(BUCKET);
    lab.controller.tick().await.unwrap();
}

#[tokio::test]
async fn a_slice_that_goes_bad_is_shown_as_it_stirs_and_explained_with_its_own_numbers() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    let mut stirred = false;
    for _ in 0..60 {
        only_premium_suffers(&lab).await;
        let view = lab.controller.rollout(&feature()).await.unwrap();
        if view.state != "canary" {
            break;
        }
        assert!(view.gates.iter().chain(&view.triggers).all(|verdict| verdict.slice.is_none()));
        stirred |= view.slices.iter().any(|verdict| verdict.slice.as_ref().unwrap().value == "premium");
        assert!(view.slices.iter().all(|verdict| verdict.slice.as_ref().unwrap().value == "premium"));
    }
    assert!(stirred, "it was seen coming");
    assert_eq!(lab.word().await, "rolling_back");
    let told = explained(&lab, "rollback_started").await;
    assert!(told.numbers.iter().any(|line| line.contains("tier=premium: error < 5 %")), "{:?}", told.numbers);
    assert_eq!(told.reproduced, Some(true), "{:?}", told.differences);
}

#[tokio::test]
async fn a_completed_rollout_is_watched_while_the_old_version_is_warm_and_explained_when_it_goes_back() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.until("completed", GOOD).await;
    let view = lab.controller.rollout(&feature()).await.unwrap();
    assert!(view.watched_until.is_some_and(|until| until > lab.clock.now()), "{view:#?}");
    for calls in [GOOD; 3].into_iter().chain([BAD; 12]) {
        lab.counted("v2", Arm::Stable, calls).await;
        lab.pass(BUCKET);
        lab.controller.tick().await.unwrap();
    }
    assert_eq!((lab.word().await, lab.route().stable.name.as_str()), ("rolling_back", "v1"));
    let told = explained(&lab, "rollback_started").await;
    assert_eq!(told.reproduced, Some(true), "{:?}", told.differences);
    assert_eq!(lab.controller.rollout(&feature()).await.unwrap().watched_until, None);
}
