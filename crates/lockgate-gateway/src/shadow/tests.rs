//! What a queue holds.

use std::collections::BTreeMap;
use std::time::Duration;

use lockgate_config::value::{Sticky, Surface};
use lockgate_core::name::{Revision, VersionName};
use lockgate_wire::answer::ToolCall;
use uuid::Uuid;

use super::*;
use crate::record::Recorder;

fn feature() -> Arc<Feature> {
    Arc::new(Feature {
        name: FeatureName::new("f").unwrap(),
        owner: None,
        surface: Surface::Model,
        stable: VersionName::new("v1").unwrap(),
        versions: BTreeMap::new(),
        labels: BTreeMap::new(),
        sticky: Sticky::User,
        shadow: ShadowBounds {
            concurrency: 1,
            queue: 100,
            deadline: Duration::from_secs(60),
            daily_usd: 1.0,
        },
        feedback: BTreeMap::new(),
        csat_range: (1.0, 5.0),
        strict_translation: false,
    })
}

/// A copy of a short call that stable answered so.
fn waiting(stable: AnswerSummary) -> Waiting {
    let feature = feature();
    let candidate = VersionRef { name: VersionName::new("v2").unwrap(), revision: Revision::of(b"v2") };
    let subject = Subject {
        feature: feature.name.clone(),
        revision: candidate.revision,
        arm: Arm::Shadow,
        segment: Segment::from_labels(&BTreeMap::new()),
    };
    let planned = Planned {
        feature,
        candidate,
        segment: subject.segment.clone(),
        request_id: RequestId(Uuid::now_v7()),
        api: Some(lockgate_wire::api::Api::Chat),
        headers: HeaderMap::new(),
        bytes: Bytes::from_static(b"{}"),
        wants_stream: false,
        kept_bytes_max: usize::MAX,
        copied_from: None,
        stable: Some(Box::new(stable)),
    };
    Waiting {
        planned: Box::new(planned),
        deadline: Instant::now() + Duration::from_secs(60),
        slot: Recorder::default().slot(&subject),
    }
}

#[test]
fn what_stable_answered_takes_room_in_the_queue_too() {
    let long = || "x".repeat(WAITING_BYTES_MAX / 2);
    check_room(|| AnswerSummary { text: long(), ..AnswerSummary::default() });
    check_room(|| AnswerSummary { refusal: Some(long()), ..AnswerSummary::default() });
    let call = || {
        let mut call = ToolCall::default();
        call.arguments = long();
        call
    };
    check_room(|| AnswerSummary { tool_calls: vec![call()], ..AnswerSummary::default() });
}

/// Half a queue's room, with the call itself, fits once and not twice, and again when the first has gone.
fn check_room(answer: impl Fn() -> AnswerSummary) {
    let (shadows, bounds) = (Shadows::default(), feature().shadow.clone());
    let enqueue = || shadows.enqueue(waiting(answer()), &bounds);
    assert!(enqueue().is_none());
    assert!(enqueue().is_some());
    assert_eq!(shadows.startable().len(), 1);
    assert!(enqueue().is_none());
}
