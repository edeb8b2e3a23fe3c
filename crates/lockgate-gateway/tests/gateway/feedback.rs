//! Feedback: what it may be about, what it may say, and that it counts once and for the right version.

use http::StatusCode;
use lockgate_config::value::Feedback;
use lockgate_core::name::{DeclaredSignal, FeatureName};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;
use serde_json::{Value, json};

use crate::target::TestTarget;
use crate::world::*;

async fn world() -> World {
    let url = TestTarget::saying(200, ANSWER).await;
    let versions = vec![version("v1", vec![chat("big", &url)]), version("v2", vec![chat("big", &url)])];
    let mut config = config(versions);
    let name = FeatureName::new(FEATURE).unwrap();
    let mut feature = std::sync::Arc::into_inner(config.features.remove(&name).unwrap()).unwrap();
    let declare = |name: &str| DeclaredSignal::new(name).unwrap();
    let resolved = Feedback { signal: Signal::DeclaredRate(declare("resolved")), range: (0.0, 1.0) };
    let stars = Feedback { signal: Signal::DeclaredScore(declare("stars")), range: (0.0, 10.0) };
    feature.feedback = [(declare("resolved"), resolved), (declare("stars"), stars)].into();
    config.features.insert(name, feature.into());
    World::start_with(config, |table| canary(table, "v2", 1.0)).await
}

async fn tell(world: &World, body: Value) -> Got {
    world.send(world.post("/v1/feedback", body.to_string())).await
}

/// A call and its id.
async fn called(world: &World, session: &'static str) -> String {
    let mut request = world.post("/v1/chat/completions", CALL);
    request.headers_mut().insert("x-lockgate-session", session.parse().unwrap());
    world.send(request).await.header("x-lockgate-request-id").unwrap().to_owned()
}

#[tokio::test]
async fn feedback_counts_once_for_the_version_that_was_assigned() {
    let world = world().await;
    let id = called(&world, "s").await;
    let piece = json!({"request_id": id, "name": "thumbs", "value": -1});
    let first = tell(&world, piece.clone()).await;
    assert_eq!(first.status, 200);
    assert_eq!(
        first.json(),
        json!({"status": "counted", "request_id": id, "feature": FEATURE, "version": "v2", "arm": "candidate", "value": -1})
    );
    let again = tell(&world, json!({"request_id": id, "name": "thumbs", "value": 1})).await;
    assert_eq!(
        (again.json()["status"].as_str(), again.json()["value"].as_i64()),
        (Some("duplicate"), Some(-1))
    );
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::ThumbsDown).await, (1, 1));
    world.stop().await;
}

#[tokio::test]
async fn an_answer_is_named_by_call_by_the_providers_id_or_by_session() {
    let world = world().await;
    let id = called(&world, "s-1").await;
    let about = [
        json!({"request_id": id, "name": "escalated", "value": true}),
        json!({"answer_id": "chatcmpl-1", "name": "retried", "value": 1}),
        json!({"session": "s-1", "name": "abandoned", "value": 0}),
        json!({"session": "s-1", "feature": FEATURE, "name": "task_success", "value": true, "ts": "2026-01-31T12:00:00Z"}),
    ];
    for piece in about.clone() {
        let got = tell(&world, piece).await;
        assert_eq!(got.json()["request_id"], Value::String(id.clone()), "{:?}", got.body);
    }
    // The same after everything has gone to the store and is forgotten here.
    world.gateway.flush().await;
    for piece in about {
        let got = tell(&world, piece).await;
        assert_eq!(
            (got.json()["status"].as_str(), &got.json()["request_id"]),
            (Some("duplicate"), &json!(id))
        );
    }
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::Escalated).await, (1, 1));
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::Abandoned).await, (0, 1));
    world.stop().await;
}

#[tokio::test]
async fn a_sessions_feedback_is_about_its_latest_call() {
    let world = world().await;
    called(&world, "s-2").await;
    world.gateway.flush().await;
    let latest = called(&world, "s-2").await;
    let got = tell(&world, json!({"session": "s-2", "name": "thumbs", "value": true})).await;
    assert_eq!(got.json()["request_id"], json!(latest));
    world.stop().await;
}

#[tokio::test]
async fn what_others_checked_is_taken_as_yes_or_no() {
    let world = world().await;
    let checked = [
        ("invalid", Signal::Invalid),
        ("injection", Signal::Injection),
        ("filtered", Signal::Filtered),
        ("pii_leak", Signal::PiiLeak),
        ("incident", Signal::Incident),
    ];
    for (name, signal) in checked.clone() {
        for value in [json!(true), json!(0)] {
            let id = called(&world, "s").await;
            let got = tell(&world, json!({"request_id": id, "name": name, "value": value})).await;
            assert_eq!(got.json()["status"], "counted", "{:?}", got.body);
        }
        assert_eq!(world.rate("v2", Arm::Candidate, signal).await, (1, 2), "{name}");
        let id = called(&world, "s").await;
        let got = tell(&world, json!({"request_id": id, "name": name, "value": "yes"})).await;
        assert_eq!(got.status, 400, "{name}");
    }
    let id = called(&world, "s").await;
    let (problem, _) = tell(&world, json!({"request_id": id, "name": "mood", "value": 1})).await.error();
    assert!(checked.iter().all(|(name, _)| problem.contains(&format!("`{name}`"))), "{problem}");
    world.stop().await;
}

#[tokio::test]
async fn scores_are_scaled_from_the_range_they_are_told_in() {
    let world = world().await;
    let id = called(&world, "s").await;
    for (name, value) in
        [("csat", json!(4)), ("quality", json!(0.25)), ("stars", json!(7)), ("resolved", json!(true))]
    {
        let got = tell(&world, json!({"request_id": id, "name": name, "value": value})).await;
        assert_eq!(got.status, 200, "{:?}", got.body);
    }
    let of = async |signal| world.sum("v2", Arm::Candidate, signal).await;
    assert_eq!(of(Signal::Csat).await, Some(Sum::Levels([(75, 1)].into())));
    assert_eq!(of(Signal::Quality).await, Some(Sum::Levels([(25, 1)].into())));
    let stars = Signal::DeclaredScore(DeclaredSignal::new("stars").unwrap());
    assert_eq!(of(stars).await, Some(Sum::Levels([(70, 1)].into())));
    world.stop().await;
}

#[tokio::test]
async fn feedback_that_cannot_be_used_is_told_what_would_be() {
    let world = world().await;
    let id = called(&world, "s").await;
    for (piece, says) in [
        (json!({"request_id": id, "name": "thumb", "value": 1}), "`thumbs`"),
        (json!({"request_id": id, "name": "thumb", "value": 1}), "`stars`"),
        (json!({"request_id": id, "name": "thumbs", "value": "up"}), "-1, 0 or false"),
        (json!({"request_id": id, "name": "thumbs", "value": 2}), "1 or true"),
        (json!({"request_id": id, "name": "csat", "value": 6}), "from 1 to 5"),
        (json!({"request_id": id, "name": "task_success", "value": 0.5}), "true, false"),
        (json!({"request_id": id, "value": 1}), "`name`"),
        (json!({"name": "thumbs", "value": 1}), "exactly one"),
        (json!({"request_id": id, "session": "s", "name": "thumbs", "value": 1}), "exactly one"),
        (json!({"request_id": "chatcmpl-1", "name": "thumbs", "value": 1}), "answer_id"),
        (json!({"request_id": id, "name": "thumbs", "value": 1, "ts": "yesterday"}), "RFC 3339"),
        (json!(7), "object"),
    ] {
        let got = tell(&world, piece.clone()).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{piece}");
        assert!(got.error().0.contains(says), "{piece}: {:?}", got.error());
    }
    assert_eq!(world.sum("v2", Arm::Candidate, Signal::ThumbsDown).await, None);
    world.stop().await;
}

#[tokio::test]
async fn feedback_about_nothing_known_is_told_why_that_may_be() {
    let world = world().await;
    for about in [
        json!({"request_id": uuid::Uuid::now_v7(), "name": "thumbs", "value": 1}),
        json!({"answer_id": "chatcmpl-never", "name": "thumbs", "value": 1}),
        json!({"session": "never", "name": "thumbs", "value": 1}),
    ] {
        let got = tell(&world, about).await;
        assert_eq!((got.status.as_u16(), got.error().1.as_str()), (404, "answer_not_found"));
        assert!(got.error().0.contains("not arrived here yet") && got.error().0.contains("30d"));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_list_is_taken_piece_by_piece() {
    let world = world().await;
    let id = called(&world, "s").await;
    let good = json!({"request_id": id, "name": "thumbs", "value": 1, "id": "mine-1"});
    let got = tell(&world, json!([good, good])).await;
    assert_eq!(got.status, 200);
    assert_eq!(
        (&got.json()[0]["status"], &got.json()[1]["status"]),
        (&json!("counted"), &json!("duplicate"))
    );
    let got = tell(&world, json!([{"request_id": id, "name": "nonsense", "value": 1}, good])).await;
    assert_eq!(got.status, 207);
    assert_eq!(
        (&got.json()[0]["status"], &got.json()[1]["status"]),
        (&json!("refused"), &json!("duplicate"))
    );
    assert!(got.json()[0]["error"]["message"].is_string());
    let many: Vec<Value> = (0..101).map(|_| good.clone()).collect();
    assert_eq!(tell(&world, Value::Array(many)).await.status, 400);
    world.stop().await;
}

#[tokio::test]
async fn feedback_counts_once_however_its_answer_is_named() {
    let world = world().await;
    let id = called(&world, "s-3").await;
    let named = [
        json!({"request_id": id, "name": "thumbs", "value": -1}),
        json!({"answer_id": "chatcmpl-1", "name": "thumbs", "value": -1}),
        json!({"session": "s-3", "name": "thumbs", "value": -1}),
        json!({"session": "s-3", "feature": FEATURE, "name": "thumbs", "value": -1}),
    ];
    let got = tell(&world, json!(named)).await;
    let statuses: Vec<_> = got.json().as_array().unwrap().iter().map(|told| told["status"].clone()).collect();
    assert_eq!(statuses, ["counted", "duplicate", "duplicate", "duplicate"]);
    // Another signal of the same answer is another matter, and so is the next answer of the session.
    let other = json!({"session": "s-3", "name": "retried", "value": 1});
    assert_eq!(tell(&world, other).await.json()["status"], "counted");
    called(&world, "s-3").await;
    assert_eq!(tell(&world, named[2].clone()).await.json()["status"], "counted");
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::ThumbsDown).await, (2, 2));
    world.stop().await;
}
