//! What a start asks of the traffic before it lets a rollout begin.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::time::{Duration, Instant};

use lockgate_control::{CommandError, Request};
use lockgate_core::event::Event;
use lockgate_core::name::{LabelName, Revision, VersionName};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::row::Writer;

use story::{AT, BUCKET, Lab, feature, start};

/// Calls to stable in every bucket of some hours before the beginning.
async fn history(lab: &Lab, hours: u32, per_bucket: u64, segment: Segment) {
    let config = lab.controller.config();
    let revision: Revision =
        config.version(&feature(), &VersionName::new("v1").unwrap()).unwrap().id.revision;
    let key =
        |signal| SumKey { feature: feature(), revision, arm: Arm::Stable, segment: segment.clone(), signal };
    let width = BUCKET.as_millis() as i64;
    let last = BucketStart::containing(AT, width).0;
    let buckets = i64::from(hours) * 360;
    let n = per_bucket;
    let rows = (1..=buckets).flat_map(|back| {
        let bucket = BucketStart(last - back * width);
        [
            (bucket, key(Signal::Assigned), Sum::Amount { n, total: n, squares: u128::from(n) }),
            (bucket, key(Signal::Error), Sum::Rate { n, hits: u64::from(back % 300 == 0) }),
        ]
    });
    lab.store.put_sums(&Writer { replica: "then".into(), incarnation: 1 }, rows.collect()).await.unwrap();
}

async fn start_with(lab: &Lab, knowingly: bool) -> Result<lockgate_control::Receipt, CommandError> {
    let Request::Start { candidate, plan, owner, only, again, .. } = start("v2") else { unreachable!() };
    let request = Request::Start { candidate, plan, owner, only, again, undecidable: knowingly };
    lab.controller.command("ada", &feature(), request).await
}

#[tokio::test]
async fn a_plan_that_cannot_decide_at_the_traffic_is_refused_with_each_gate_and_what_would_help() {
    let lab = Lab::new().await;
    // A call in ten seconds: the 10 % phase sees six in its ten minutes.
    history(&lab, 24, 1, Segment::none()).await;
    let error = start_with(&lab, false).await.unwrap_err();
    let CommandError::Undecidable { gates, .. } = &error else { panic!("{error}") };
    assert!(gates.contains("`10 %`") && gates.contains("error < 5 %"), "{gates}");
    assert_eq!(lab.count("rollout_started").await, 0);

    let receipt = start_with(&lab, true).await.unwrap();
    assert!(receipt.sentence.contains("cannot decide in time"), "{}", receipt.sentence);
    let log = lab.log().await;
    let noted = log.iter().find_map(|logged| match &logged.entry.event {
        Event::RolloutStarted { undecidable, .. } => Some(undecidable.clone()),
        _ => None,
    });
    assert!(noted.unwrap().iter().any(|gate| gate.contains("error < 5 %")));
}

#[tokio::test]
async fn a_plan_that_can_decide_begins_without_a_word() {
    let lab = Lab::new().await;
    history(&lab, 24, 400, Segment::none()).await;
    let asked = Instant::now();
    let receipt = start_with(&lab, false).await.unwrap();
    assert!(!receipt.sentence.contains("decide in time"), "{}", receipt.sentence);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn the_standard_plan_is_judged_while_a_person_waits() {
    let lab = Lab::new().await;
    history(&lab, 24, 30, Segment::none()).await;
    let Request::Start { candidate, owner, only, again, .. } = start("v2") else { unreachable!() };
    let request = Request::Start { candidate, plan: None, owner, only, again, undecidable: true };
    let asked = Instant::now();
    let receipt = lab.controller.command("ada", &feature(), request).await.unwrap();
    // Nobody reports thumbs in this history, and the 1 % phase waits for them.
    assert!(receipt.sentence.contains("thumbs_down"), "{}", receipt.sentence);
    assert!(
        !receipt.sentence.contains("incident"),
        "what must never happen need not be reported: {}",
        receipt.sentence
    );
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn without_an_hour_of_history_nothing_is_refused_and_the_receipt_says_that_nothing_was_judged() {
    let lab = Lab::new().await;
    let receipt = start_with(&lab, false).await.unwrap();
    assert!(receipt.sentence.contains("was not judged: no calls"), "{}", receipt.sentence);
}

#[tokio::test]
async fn calls_of_a_rehearsal_are_no_traffic() {
    let lab = Lab::new().await;
    let label = LabelName::new(lockgate_core::drill::LABEL).unwrap();
    let marked = Segment::from_labels(&[(label, lockgate_core::drill::ON.to_owned())].into());
    history(&lab, 24, 400, marked).await;
    let receipt = start_with(&lab, false).await.unwrap();
    assert!(receipt.sentence.contains("was not judged: no calls"), "{}", receipt.sentence);
}

#[tokio::test]
async fn without_labels_no_part_of_the_error_budget_is_kept_for_slices() {
    let lab = Lab::new().await;
    let nobodys = lockgate_core::name::FeatureName::new("nobodys").unwrap();
    let Request::Start { candidate, plan, only, again, undecidable, .. } = start("v2") else {
        unreachable!()
    };
    let request = Request::Start { candidate, plan, owner: Some("ada".into()), only, again, undecidable };
    lab.controller.command("ada", &nobodys, request.clone()).await.unwrap();
    lab.controller.command("ada", &feature(), request).await.unwrap();
    let parts: Vec<f64> = (lab.log().await.iter())
        .filter_map(|logged| match &logged.entry.event {
            Event::RolloutStarted { plan, .. } => Some(plan.slices.part),
            _ => None,
        })
        .collect();
    assert_eq!(parts[0], 0.0);
    assert!(parts[1] > 0.0);
}
