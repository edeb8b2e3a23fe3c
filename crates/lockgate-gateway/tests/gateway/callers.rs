//! Who calls: keys, labels, and the version that sticks to them.

use std::collections::BTreeMap;

use lockgate_config::secret::Secret;
use lockgate_config::value::{Client, Config, Label, LabelSource};
use lockgate_core::assign::{Salt, is_candidate};
use lockgate_core::name::{FeatureName, LabelName};
use lockgate_core::share::Share;
use lockgate_core::signal::Arm;

use crate::target::TestTarget;
use crate::world::*;

const CHAT: &str = "/v1/chat/completions";

fn with(
    world: &World,
    headers: &[(&'static str, &str)],
) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = world.post(CHAT, CALL);
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn client(name: &str, key: &str, features: &[&str], segments: &[(&str, &str)]) -> Client {
    Client {
        name: name.into(),
        key: Secret::new(key.into()),
        segments: segments.iter().map(|(l, v)| (LabelName::new(l).unwrap(), (*v).to_owned())).collect(),
        features: features.iter().map(|name| FeatureName::new(name).unwrap()).collect(),
    }
}

fn labelled(mut config: Config, labels: Vec<(&str, Label)>) -> Config {
    let labels: BTreeMap<_, _> =
        labels.into_iter().map(|(name, label)| (LabelName::new(name).unwrap(), label)).collect();
    let name = FeatureName::new(FEATURE).unwrap();
    let feature = config.features.remove(&name).unwrap();
    let mut feature = std::sync::Arc::into_inner(feature).unwrap();
    feature.labels = labels;
    config.features.insert(name, feature.into());
    config
}

fn tier_and_geo() -> Vec<(&'static str, Label)> {
    let tier =
        Label { from: vec![], values: vec!["free".into(), "premium".into()], default: Some("free".into()) };
    let geo = Label {
        from: vec![LabelSource::Header("cf-ipcountry".into()), LabelSource::Metadata("geo".into())],
        values: vec!["eu".into(), "us".into()],
        default: None,
    };
    vec![("tier", tier), ("geo", geo)]
}

#[tokio::test]
async fn a_configured_key_is_needed_and_known_in_either_header() {
    let url = TestTarget::saying(200, ANSWER).await;
    let mut config = config(vec![version("v1", vec![chat("big", &url)])]);
    config.clients = vec![client("web", "k-web", &[], &[]), client("job", "k-job", &["other"], &[])];
    let world = World::start(config).await;
    let status =
        async |headers: &[(&'static str, &str)]| world.send(with(&world, headers)).await.status.as_u16();
    assert_eq!(status(&[]).await, 401);
    assert_eq!(status(&[("authorization", "Bearer wrong")]).await, 401);
    assert_eq!(status(&[("authorization", "Basic k-web")]).await, 401);
    assert_eq!(status(&[("authorization", "Bearer k-web")]).await, 200);
    assert_eq!(status(&[("x-api-key", "k-web")]).await, 200);
    assert_eq!(status(&[("x-api-key", "k-job")]).await, 403);
    let mut list = world.ask(http::Method::GET, "/v1/models", "");
    list.headers_mut().insert("x-api-key", "k-job".parse().unwrap());
    assert_eq!(world.send(list).await.json()["data"], serde_json::json!([]));
    world.stop().await;
}

/// The labels under which a call is counted.
async fn check_segment(headers: &[(&'static str, &str)], body: &str, expected: &str) {
    let url = TestTarget::saying(200, ANSWER).await;
    let mut config = labelled(config(vec![version("v1", vec![chat("big", &url)])]), tier_and_geo());
    config.clients = vec![client("a", "plain", &[], &[]), client("b", "fixed", &[], &[("tier", "premium")])];
    let world = World::start(config).await;
    let mut request = with(&world, headers);
    *request.body_mut() = http_body_util::Full::new(body.to_owned().into());
    request.headers_mut().entry("x-api-key").or_insert("plain".parse().unwrap());
    let got = world.send(request).await;
    assert_eq!(got.status, 200, "{:?}", got.body);
    world.gateway.flush().await;
    let id = got.header("x-lockgate-request-id").unwrap().parse().unwrap();
    assert_eq!(world.store.served(id).await.unwrap().unwrap().segment.as_str(), expected);
    world.stop().await;
}

#[tokio::test]
async fn labels_come_from_the_key_then_the_header_then_their_sources_then_their_default() {
    let in_metadata = r#"{"model":"support-reply","messages":[],"metadata":{"geo":"us"}}"#;
    check_segment(&[], CALL, "tier=free").await;
    check_segment(&[], in_metadata, "geo=us,tier=free").await;
    check_segment(&[("cf-ipcountry", "eu")], in_metadata, "geo=eu,tier=free").await;
    check_segment(
        &[("x-lockgate-segment", "geo=us, tier=premium"), ("cf-ipcountry", "eu")],
        CALL,
        "geo=us,tier=premium",
    )
    .await;
    check_segment(&[("x-api-key", "fixed"), ("x-lockgate-segment", "tier=free")], CALL, "tier=premium").await;
    // A source that was not written for us may say what it likes.
    check_segment(&[("cf-ipcountry", "TW")], CALL, "geo=other,tier=free").await;
}

#[tokio::test]
async fn a_label_or_value_that_does_not_exist_is_told_with_those_that_do() {
    let url = TestTarget::saying(200, ANSWER).await;
    let config = labelled(config(vec![version("v1", vec![chat("big", &url)])]), tier_and_geo());
    let world = World::start(config).await;
    for (wrong, says) in
        [("plan=gold", "`geo`, `tier`"), ("tier=gold", "`free`, `premium`"), ("tier", "label=value")]
    {
        let got = world.send(with(&world, &[("x-lockgate-segment", wrong)])).await;
        assert_eq!(got.status, 400);
        assert!(got.error().0.contains(says), "{:?}", got.error());
    }
    let long = "u".repeat(300);
    assert_eq!(world.send(with(&world, &[("x-lockgate-user", &long)])).await.status, 400);
    world.stop().await;
}

#[tokio::test]
async fn a_user_gets_the_version_that_anyone_can_compute() {
    let url = TestTarget::saying(200, ANSWER).await;
    let versions = vec![version("v1", vec![chat("big", &url)]), version("v2", vec![chat("big", &url)])];
    let world = World::start_with(config(versions), |table| canary(table, "v2", 0.5)).await;
    for i in 0..40 {
        let user = format!("user-{i}");
        let on_trial = is_candidate(&Salt::from_random(7), &user, Share::from_fraction(0.5).unwrap());
        let expected = if on_trial { ("v2", Arm::Candidate) } else { ("v1", Arm::Stable) };
        let by_header = world.send(with(&world, &[("x-lockgate-user", &user)])).await;
        assert_eq!(by_header.header("x-lockgate-version"), Some(expected.0));
        assert_eq!(by_header.header("x-lockgate-arm"), Some(expected.1.as_str()));
        for member in ["\"user\"", "\"safety_identifier\""] {
            let body = format!(r#"{{"model":"support-reply","messages":[],{member}:"{user}"}}"#);
            let by_body = world.send(world.post(CHAT, body)).await;
            assert_eq!(by_body.header("x-lockgate-version"), Some(expected.0), "{member}");
        }
        let body = format!(r#"{{"model":"support-reply","messages":[],"metadata":{{"user_id":"{user}"}}}}"#);
        let by_metadata = world.send(world.post(CHAT, body)).await;
        assert_eq!(by_metadata.header("x-lockgate-version"), Some(expected.0));
        let by_session = world.send(with(&world, &[("x-lockgate-session", &user)])).await;
        assert_eq!(by_session.header("x-lockgate-version"), Some(expected.0));
    }
    world.stop().await;
}
