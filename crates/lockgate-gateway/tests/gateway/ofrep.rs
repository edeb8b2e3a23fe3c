//! Who asks which version he has is told what a call of his would be given, and is counted as one caller.

use std::collections::BTreeMap;

use http::StatusCode;
use lockgate_config::secret::Secret;
use lockgate_config::value::{Client, Config, Feature, Label, LabelSource, Sticky, Surface};
use lockgate_core::duration_levels;
use lockgate_core::name::{FeatureName, LabelName};
use lockgate_core::route::{KillTo, Mode};
use lockgate_core::segment::{Confine, Matcher};
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::size_levels;
use lockgate_core::sums::Sum;
use serde_json::{Value, json};

use crate::target::TestTarget;
use crate::world::*;

const FLAG: &str = "/ofrep/v1/evaluate/flags/support-reply";
const FLAGS: &str = "/ofrep/v1/evaluate/flags";

/// A feature with two versions, as the test changes it.
async fn config_with(change: impl FnOnce(&mut Feature)) -> Config {
    let url = TestTarget::saying(200, ANSWER).await;
    let versions = vec![version("v1", vec![chat("big", &url)]), version("v2", vec![chat("big", &url)])];
    let mut feature = feature(FEATURE, Surface::Model, versions);
    change(&mut feature);
    config_of(vec![feature])
}

async fn in_canary(share: f64) -> World {
    World::start_with(config_with(|_| {}).await, |table| canary(table, "v2", share)).await
}

fn labels() -> BTreeMap<LabelName, Label> {
    let tier =
        Label { from: vec![], values: vec!["free".into(), "premium".into()], default: Some("free".into()) };
    let geo = Label {
        from: vec![LabelSource::Header("cf-ipcountry".into()), LabelSource::Metadata("country".into())],
        values: vec!["eu".into(), "us".into()],
        default: None,
    };
    BTreeMap::from([(LabelName::new("tier").unwrap(), tier), (LabelName::new("geo").unwrap(), geo)])
}

async fn ask(world: &World, context: Value) -> Got {
    world.send(world.post(FLAG, json!({ "context": context }).to_string())).await
}

/// The evaluation for a user.
async fn of_user(world: &World, user: &str) -> Value {
    let got = ask(world, json!({ "targetingKey": user })).await;
    assert_eq!(got.status, StatusCode::OK, "{:?}", got.body);
    got.json()
}

async fn report(world: &World, id: &Value, name: &str, value: Value) -> Got {
    let piece = json!({ "request_id": id, "name": name, "value": value });
    world.send(world.post("/v1/feedback", piece.to_string())).await
}

async fn status(world: &World, id: &Value, name: &str, value: Value) -> Value {
    let got = report(world, id, name, value).await;
    assert_eq!(got.status, StatusCode::OK, "{name}: {:?}", got.body);
    got.json()["status"].clone()
}

async fn count(world: &World, version: &str, arm: Arm, signal: Signal) -> u64 {
    world.sum(version, arm, signal).await.map_or(0, |sum| sum.n())
}

#[tokio::test]
async fn a_user_is_told_the_version_that_a_call_of_his_is_given() {
    let world = in_canary(0.4).await;
    let mut candidates = 0;
    for number in 0..60 {
        let user = format!("user-{number}");
        let told = of_user(&world, &user).await;
        let mut call = world.post("/v1/chat/completions", CALL);
        call.headers_mut().insert("x-lockgate-user", user.parse().unwrap());
        let called = world.send(call).await;
        assert_eq!(told["value"].as_str(), called.header("x-lockgate-version"), "{user}");
        assert_eq!(told["variant"], told["value"]);
        let metadata = &told["metadata"];
        assert_eq!(metadata["arm"].as_str(), called.header("x-lockgate-arm"));
        assert_eq!(metadata["revision"].as_str(), called.header("x-lockgate-revision"));
        assert_eq!((told["key"].as_str(), told["reason"].as_str()), (Some(FEATURE), Some("SPLIT")));
        assert!(metadata.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()));
        candidates += u32::from(metadata["arm"] == "candidate");
    }
    assert!((10..50).contains(&candidates), "{candidates}");
    world.stop().await;
}

#[tokio::test]
async fn labels_of_a_context_decide_as_those_of_a_call_do() {
    let config = config_with(|feature| feature.labels = labels()).await;
    let only_premium = |table: &mut lockgate_config::live::Table| {
        canary(table, "v2", 0.5);
        let route = table.routes.get_mut(&FeatureName::new(FEATURE).unwrap()).unwrap();
        let tier = (LabelName::new("tier").unwrap(), ["premium".to_owned()].into());
        route.trial.as_mut().unwrap().confine = Confine(vec![Matcher([tier].into())]);
    };
    let world = World::start_with(config, only_premium).await;
    for number in 0..30 {
        let user = format!("user-{number}");
        let premium = ask(&world, json!({ "targetingKey": user, "tier": "premium" })).await.json();
        let mut call = world.post("/v1/chat/completions", CALL);
        call.headers_mut().insert("x-lockgate-user", user.parse().unwrap());
        call.headers_mut().insert("x-lockgate-segment", "tier=premium".parse().unwrap());
        assert_eq!(premium["value"].as_str(), world.send(call).await.header("x-lockgate-version"));
        assert_eq!(premium["reason"], "SPLIT");
        let free = ask(&world, json!({ "targetingKey": user })).await.json();
        assert_eq!((free["value"].as_str(), free["reason"].as_str()), (Some("v1"), Some("TARGETING_MATCH")));
        assert_eq!(free["metadata"].get("rollout"), None);
    }
    world.stop().await;
}

/// The labels under which an evaluation is counted.
async fn check_segment(headers: &[(&'static str, &str)], context: Value, expected: &str) {
    let world = World::start(config_with(|feature| feature.labels = labels()).await).await;
    let mut request = world.post(FLAG, json!({ "context": context }).to_string());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let got = world.send(request).await;
    assert_eq!(got.status, StatusCode::OK, "{:?}", got.body);
    world.gateway.flush().await;
    let id = got.json()["metadata"]["request_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.store.served(id).await.unwrap().unwrap().segment.as_str(), expected);
    world.stop().await;
}

#[tokio::test]
async fn labels_come_from_the_header_then_the_context_then_their_sources_then_their_default() {
    check_segment(&[], json!({ "targetingKey": "u" }), "tier=free").await;
    check_segment(&[], json!({ "targetingKey": "u", "tier": "premium", "geo": "eu" }), "geo=eu,tier=premium")
        .await;
    check_segment(
        &[("x-lockgate-segment", "tier=free"), ("cf-ipcountry", "us")],
        json!({ "targetingKey": "u", "tier": "premium", "country": "eu" }),
        "geo=us,tier=free",
    )
    .await;
    check_segment(&[], json!({ "targetingKey": "u", "country": "eu", "tier": ["x"] }), "geo=eu,tier=free")
        .await;
    // A context is an application's own; a value that is not the label's is no mistake.
    check_segment(&[], json!({ "targetingKey": "u", "tier": 7 }), "tier=other").await;
}

#[tokio::test]
async fn reasons_say_what_decided() {
    let world = World::start(config_with(|_| {}).await).await;
    let reason = async || of_user(&world, "ada").await["reason"].clone();
    assert_eq!(reason().await, "STATIC");
    world.publish(|table| shadow(table, "v2"));
    assert_eq!(reason().await, "STATIC");
    world.publish(|table| canary(table, "v2", 0.5));
    assert_eq!(reason().await, "SPLIT");
    world.publish(|table| trial(table, "v2", |salt| Mode::Canary { share: Share::FULL, salt }));
    assert_eq!(reason().await, "TARGETING_MATCH");
    for (to, word) in [(KillTo::Stable, "stable"), (KillTo::Rules, "rules")] {
        world.publish(|table| {
            table.routes.get_mut(&FeatureName::new(FEATURE).unwrap()).unwrap().killed = Some(to);
        });
        let told = of_user(&world, "ada").await;
        assert_eq!((told["reason"].as_str(), told["value"].as_str()), (Some("DISABLED"), Some("v1")));
        assert_eq!(told["metadata"]["killed"], word);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_feature_that_sticks_to_sessions_takes_the_key_for_one() {
    let config = config_with(|feature| feature.sticky = Sticky::Session).await;
    let world = World::start_with(config, |table| canary(table, "v2", 0.5)).await;
    for number in 0..20 {
        let session = format!("session-{number}");
        let told = of_user(&world, &session).await;
        let with_user = ask(&world, json!({ "targetingKey": "ada", "session": session })).await.json();
        assert_eq!(told["value"], with_user["value"]);
        let mut call = world.post("/v1/chat/completions", CALL);
        call.headers_mut().insert("x-lockgate-session", session.parse().unwrap());
        assert_eq!(told["value"].as_str(), world.send(call).await.header("x-lockgate-version"));
    }
    // Its feedback is found by the session then.
    let told = of_user(&world, "session-x").await;
    let piece = json!({ "session": "session-x", "name": "thumbs", "value": 1 });
    let got = world.send(world.post("/v1/feedback", piece.to_string())).await;
    assert_eq!(got.json()["request_id"], told["metadata"]["request_id"]);
    world.stop().await;
}

#[tokio::test]
async fn an_evaluation_is_an_assignment_and_no_call() {
    let world = in_canary(1.0).await;
    of_user(&world, "ada").await;
    for (signal, expected) in [
        (Signal::Assigned, 1),
        (Signal::Visitors, 1),
        (Signal::Sessions, 1),
        (Signal::Error, 0),
        (Signal::Latency, 0),
        (Signal::Cancelled, 0),
        (Signal::Rejected, 0),
    ] {
        assert_eq!(count(&world, "v2", Arm::Candidate, signal.clone()).await, expected, "{signal}");
    }
    world.stop().await;
}

#[tokio::test]
async fn whoever_asks_again_counts_once_in_a_session() {
    let world = in_canary(1.0).await;
    for _ in 0..20 {
        of_user(&world, "ada").await;
    }
    of_user(&world, "bob").await;
    let counted = async |signal| count(&world, "v2", Arm::Candidate, signal).await;
    assert_eq!((counted(Signal::Assigned).await, counted(Signal::Visitors).await), (2, 2));
    assert_eq!(counted(Signal::Sessions).await, 2);
    // A session later he is there again, and no visitor who is new.
    world.clock.advance(world.config.signals.session_idle * 2);
    of_user(&world, "ada").await;
    assert_eq!((counted(Signal::Assigned).await, counted(Signal::Visitors).await), (3, 2));
    world.stop().await;
}

#[tokio::test]
async fn a_feature_killed_to_its_rules_counts_nobody() {
    let world = World::start_with(config_with(|_| {}).await, |table| {
        table.routes.get_mut(&FeatureName::new(FEATURE).unwrap()).unwrap().killed = Some(KillTo::Rules);
    })
    .await;
    of_user(&world, "ada").await;
    assert_eq!(count(&world, "v1", Arm::Stable, Signal::Assigned).await, 0);
    world.stop().await;
}

#[tokio::test]
async fn what_came_of_it_is_counted_as_a_calls_outcome_would_be() {
    let world = in_canary(1.0).await;
    let id = of_user(&world, "ada").await["metadata"]["request_id"].clone();
    for (name, value) in [
        ("error", json!(false)),
        ("timeout", json!(0)),
        ("degraded", json!(true)),
        ("refusal", json!(false)),
        ("latency_ms", json!(1234.5)),
        ("first_token_ms", json!(200)),
        ("tokens", json!(712)),
        ("tokens_in", json!(700)),
        ("tokens_out", json!(12)),
        ("output_length", json!(12)),
        ("cost_usd", json!(0.0031)),
        ("thumbs", json!(-1)),
    ] {
        assert_eq!(status(&world, &id, name, value.clone()).await, "counted", "{name}");
        assert_eq!(
            status(&world, &id, name, value).await,
            if name == "degraded" { "left_out" } else { "duplicate" }
        );
    }
    let of = async |signal| world.sum("v2", Arm::Candidate, signal).await.unwrap();
    assert_eq!(of(Signal::Error).await, Sum::Rate { n: 1, hits: 0 });
    assert_eq!(of(Signal::Degraded).await, Sum::Rate { n: 1, hits: 1 });
    assert_eq!(of(Signal::ThumbsDown).await, Sum::Rate { n: 1, hits: 1 });
    let level = duration_levels::level(std::time::Duration::from_micros(1_234_500));
    assert_eq!(of(Signal::Latency).await, Sum::Levels([(level, 1)].into()));
    assert_eq!(of(Signal::OutputLength).await, Sum::Levels([(size_levels::level(12), 1)].into()));
    assert_eq!(of(Signal::Tokens).await, Sum::Amount { n: 1, total: 712, squares: 712 * 712 });
    assert_eq!(
        of(Signal::Cost).await,
        Sum::Amount { n: 1, total: 3_100_000, squares: 3_100_000 * 3_100_000 }
    );
    world.stop().await;
}

#[tokio::test]
async fn outcomes_are_reported_of_a_session_after_everything_is_in_the_store() {
    let world = in_canary(1.0).await;
    let told = ask(&world, json!({ "targetingKey": "ada", "session": "s-1" })).await.json();
    world.gateway.flush().await;
    let piece = json!({ "session": "s-1", "name": "error", "value": true });
    let got = world.send(world.post("/v1/feedback", piece.to_string())).await;
    assert_eq!(got.json()["request_id"], told["metadata"]["request_id"], "{:?}", got.body);
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::Error).await, (1, 1));
    world.stop().await;
}

#[tokio::test]
async fn what_failed_once_in_a_session_is_not_counted_again_in_it() {
    let world = in_canary(1.0).await;
    for (user, sends) in [("ada", 4), ("bob", 1)] {
        for number in 0..sends {
            let id = of_user(&world, user).await["metadata"]["request_id"].clone();
            let expected = if number == 0 { "counted" } else { "left_out" };
            // Each rate is closed by its own hit: that it was a time-out is heard after that it was an error.
            assert_eq!(status(&world, &id, "error", json!(true)).await, expected);
            assert_eq!(status(&world, &id, "timeout", json!(true)).await, expected);
            assert_eq!(status(&world, &id, "latency_ms", json!(9000)).await, "counted");
        }
    }
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::Error).await, (2, 2));
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::Timeout).await, (2, 2));
    assert_eq!(count(&world, "v2", Arm::Candidate, Signal::Latency).await, 5);
    world.clock.advance(world.config.signals.session_idle * 2);
    let id = of_user(&world, "ada").await["metadata"]["request_id"].clone();
    assert_eq!(status(&world, &id, "error", json!(true)).await, "counted");
    world.stop().await;
}

#[tokio::test]
async fn a_sessions_cost_is_what_was_reported_of_it() {
    let world = in_canary(1.0).await;
    for (user, costs) in [("ada", vec![0.5, 0.25]), ("bob", vec![])] {
        for cost in &costs {
            let id = of_user(&world, user).await["metadata"]["request_id"].clone();
            assert_eq!(status(&world, &id, "cost_usd", json!(cost)).await, "counted");
        }
        of_user(&world, user).await;
    }
    world.clock.advance(world.config.signals.session_idle * 2);
    let level = size_levels::level(750_000_000);
    let expected = Some(Sum::Levels([(level, 1)].into()));
    assert_eq!(world.sum("v2", Arm::Candidate, Signal::SessionCost).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn what_is_measured_of_a_call_is_not_reported_of_it() {
    let world = in_canary(1.0).await;
    let called = world.call().await;
    let id = json!(called.header("x-lockgate-request-id").unwrap());
    for name in ["error", "timeout", "latency_ms", "first_token_ms", "cost_usd", "tokens"] {
        let got = report(&world, &id, name, json!(1)).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{name}");
        assert!(got.error().0.contains("is measured"), "{:?}", got.error());
    }
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::Error).await, (0, 1));
    world.stop().await;
}

#[tokio::test]
async fn an_outcome_that_cannot_be_is_told_what_can() {
    let world = in_canary(1.0).await;
    let id = of_user(&world, "ada").await["metadata"]["request_id"].clone();
    for (name, value, says) in [
        ("error", json!("yes"), "true, false"),
        ("latency_ms", json!(-1), "milliseconds"),
        ("latency_ms", json!(1e12), "86400000"),
        ("latency_ms", json!("fast"), "milliseconds"),
        ("tokens", json!(1.5), "whole number"),
        ("tokens", json!(u64::MAX), "whole number"),
        ("cost_usd", json!(1e6), "US dollars"),
        ("mood", json!(1), "`latency_ms`"),
    ] {
        let got = report(&world, &id, name, value).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{name}");
        assert!(got.error().0.contains(says), "{name}: {:?}", got.error());
    }
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_told_as_the_protocol_has_it() {
    let mut config = config_with(|feature| feature.labels = labels()).await;
    let client = |name: &str, features: &[&str]| Client {
        name: name.into(),
        key: Secret::new(format!("k-{name}")),
        segments: BTreeMap::new(),
        features: features.iter().map(|name| FeatureName::new(name).unwrap()).collect(),
    };
    config.clients = vec![client("all", &[]), client("other", &["other"])];
    let world = World::start(config).await;
    let ada = r#"{"context":{"targetingKey":"ada"}}"#;
    let long = format!(r#"{{"context":{{"targetingKey":"{}"}}}}"#, "a".repeat(70_000));
    let all = ("x-api-key", "k-all");
    let never = "/ofrep/v1/evaluate/flags/never";
    for (path, body, headers, status, code) in [
        (FLAG, "{", vec![all], 400, "PARSE_ERROR"),
        (FLAG, "", vec![all], 400, "PARSE_ERROR"),
        (FLAG, r#"{"context":7}"#, vec![all], 400, "INVALID_CONTEXT"),
        (FLAG, ada, vec![all, ("x-lockgate-segment", "tier=gold")], 400, "INVALID_CONTEXT"),
        (FLAG, "{}", vec![all], 400, "TARGETING_KEY_MISSING"),
        (FLAG, r#"{"context":{"tier":"free"}}"#, vec![all], 400, "TARGETING_KEY_MISSING"),
        (FLAG, ada, vec![], 401, "GENERAL"),
        (FLAG, ada, vec![("authorization", "Bearer wrong")], 401, "GENERAL"),
        (FLAG, ada, vec![("x-api-key", "k-other")], 403, "GENERAL"),
        (never, ada, vec![all], 404, "FLAG_NOT_FOUND"),
        (FLAG, &long, vec![all], 413, "GENERAL"),
        (FLAGS, "{}", vec![all], 400, "TARGETING_KEY_MISSING"),
        (FLAGS, "[]", vec![all], 400, "PARSE_ERROR"),
        (FLAGS, ada, vec![], 401, "GENERAL"),
    ] {
        let mut request = world.post(path, body.to_owned());
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let got = world.send(request).await;
        let told = got.json();
        let about = &body[..body.len().min(60)];
        assert_eq!((got.status.as_u16(), told["errorCode"].as_str()), (status, Some(code)), "{path} {about}");
        assert!(told["errorDetails"].as_str().is_some_and(|details| details.len() > 10));
        let key = path.strip_prefix(FLAGS).unwrap().trim_start_matches('/');
        assert_eq!(told["key"].as_str().unwrap_or_default(), key);
    }
    assert_eq!(count(&world, "v1", Arm::Stable, Signal::Assigned).await, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_full_house_says_when_to_come_again() {
    let mut target = TestTarget::start().await;
    let mut config = config(vec![version("v1", vec![chat("big", &target.url)])]);
    config.bounds.calls_max = 1;
    let world = World::start(config).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let arrived = target.next().await;
    for path in [FLAG, FLAGS] {
        let got = world.send(world.post(path, r#"{"context":{"targetingKey":"ada"}}"#)).await;
        assert_eq!((got.status.as_u16(), got.header("retry-after")), (503, Some("1")));
        assert_eq!(got.json()["errorCode"], "GENERAL");
    }
    arrived.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().status, StatusCode::OK);
    world.stop().await;
}

/// Two features, an agent among them, and a client that may ask for one only.
async fn two_features() -> World {
    let url = TestTarget::saying(200, ANSWER).await;
    let versions = || vec![version("v1", vec![chat("big", &url)]), version("v2", vec![chat("big", &url)])];
    let agent = feature("robot", Surface::Agent, vec![version("v1", vec![rules("desk")])]);
    let mut config = config_of(vec![feature(FEATURE, Surface::Model, versions()), agent]);
    let client = |key: &str, features: &[&str]| Client {
        name: key.into(),
        key: Secret::new(key.to_owned()),
        segments: BTreeMap::new(),
        features: features.iter().map(|name| FeatureName::new(name).unwrap()).collect(),
    };
    config.clients = vec![client("all", &[]), client("one", &["robot"])];
    World::start_with(config, |table| canary(table, "v2", 0.5)).await
}

async fn ask_all(world: &World, user: &str, headers: &[(&'static str, &str)]) -> Got {
    let mut request = world.post(FLAGS, json!({ "context": { "targetingKey": user } }).to_string());
    request.headers_mut().insert("x-api-key", "all".parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    world.send(request).await
}

#[tokio::test]
async fn everything_at_once_is_what_each_would_be_told_alone() {
    let world = two_features().await;
    for number in 0..20 {
        let user = format!("user-{number}");
        let got = ask_all(&world, &user, &[]).await;
        let flags = got.json()["flags"].as_array().unwrap().clone();
        let keys: Vec<_> = flags.iter().map(|flag| flag["key"].as_str().unwrap()).collect();
        assert_eq!(keys, ["robot", FEATURE]);
        let mut request = world.post(FLAG, json!({ "context": { "targetingKey": user } }).to_string());
        request.headers_mut().insert("x-api-key", "all".parse().unwrap());
        let alone = world.send(request).await.json();
        assert_eq!((&flags[1]["value"], &flags[1]["reason"]), (&alone["value"], &alone["reason"]));
        assert_ne!(flags[0]["metadata"]["request_id"], flags[1]["metadata"]["request_id"]);
    }
    let got = ask_all(&world, "ada", &[("x-api-key", "one")]).await;
    assert_eq!(got.json()["flags"].as_array().unwrap().len(), 1);
    // A label that only some features have is told of the others, and not of the whole.
    let got = ask_all(&world, "ada", &[("x-lockgate-segment", "tier=free")]).await;
    assert_eq!(
        (got.status.as_u16(), got.json()["flags"][0]["errorCode"].as_str()),
        (200, Some("INVALID_CONTEXT"))
    );
    world.stop().await;
}

#[tokio::test]
async fn what_has_not_changed_is_not_told_again_and_counts_nothing() {
    let world = two_features().await;
    let first = ask_all(&world, "ada", &[]).await;
    let tag = first.header("etag").unwrap().to_owned();
    let version = first.json()["flags"][1]["value"].as_str().unwrap().to_owned();
    let arm = if version == "v1" { Arm::Stable } else { Arm::Candidate };
    world.clock.advance(world.config.signals.session_idle * 2);
    let again = ask_all(&world, "ada", &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    assert_eq!(count(&world, &version, arm, Signal::Assigned).await, 1);
    // Another tag, and the whole is told and counted.
    assert_eq!(ask_all(&world, "ada", &[("if-none-match", "\"other\"")]).await.status, StatusCode::OK);
    assert_eq!(count(&world, &version, arm, Signal::Assigned).await, 2);
    // The same tag when something else is assigned.
    world.publish(|table| {
        table.routes.get_mut(&FeatureName::new(FEATURE).unwrap()).unwrap().killed = Some(KillTo::Stable);
    });
    let changed = ask_all(&world, "ada", &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    world.stop().await;
}
