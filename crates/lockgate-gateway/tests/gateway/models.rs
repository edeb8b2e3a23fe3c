//! The list of models, in the shape of whoever asks for it.

use http::{Method, StatusCode};
use lockgate_config::secret::Secret;
use lockgate_config::value::{Client, Config, Surface};
use lockgate_core::name::FeatureName;
use serde_json::{Value, json};

use crate::target::TestTarget;
use crate::world::*;

/// Features `a` to `e` that are models, and an agent.
async fn world() -> World {
    let url = TestTarget::saying(200, ANSWER).await;
    let models = ["a", "b", "c", "d", "e"]
        .map(|name| feature(name, Surface::Model, vec![version("v1", vec![chat("big", &url)])]));
    let agent = feature("robot", Surface::Agent, vec![version("v1", vec![rules("desk")])]);
    let mut config: Config = config_of(models.into_iter().chain([agent]).collect());
    let client = |name: &str, features: &[&str]| Client {
        name: name.into(),
        key: Secret::new(format!("k-{name}")),
        segments: Default::default(),
        features: features.iter().map(|name| FeatureName::new(name).unwrap()).collect(),
    };
    config.clients = vec![client("all", &[]), client("some", &["b", "d", "robot"])];
    World::start(config).await
}

async fn ask(world: &World, path: &str, headers: &[(&'static str, &str)]) -> Got {
    let mut request = world.ask(Method::GET, path, "");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    world.send(request).await
}

const ALL: (&str, &str) = ("x-api-key", "k-all");
const SOME: (&str, &str) = ("x-api-key", "k-some");
const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");

fn ids(got: &Got) -> Vec<String> {
    got.json()["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().into()).collect()
}

#[tokio::test]
async fn a_client_is_told_the_models_that_it_may_call_and_no_agents() {
    let world = world().await;
    let got = ask(&world, "/v1/models", &[ALL]).await;
    assert_eq!(
        (got.status, ids(&got)),
        (StatusCode::OK, ["a", "b", "c", "d", "e"].map(String::from).to_vec())
    );
    assert_eq!(got.json()["object"], "list");
    assert_eq!(ids(&ask(&world, "/v1/models", &[SOME]).await), ["b", "d"]);
    assert_eq!(ids(&ask(&world, "/v1/models", &[SOME, ANTHROPIC]).await), ["b", "d"]);
    let one = ask(&world, "/v1/models/d", &[SOME]).await;
    assert_eq!(one.json(), json!({"id": "d", "object": "model", "created": 0, "owned_by": "lockgate"}));
    world.stop().await;
}

#[tokio::test]
async fn an_anthropic_client_walks_the_pages_of_its_own_shape() {
    let world = world().await;
    let mut seen = Vec::new();
    let mut path = "/v1/models?limit=2".to_owned();
    let pages = loop {
        let got = ask(&world, &path, &[ALL, ANTHROPIC]).await;
        let page = got.json();
        seen.extend(ids(&got));
        assert_eq!(page["last_id"].as_str(), seen.last().map(String::as_str));
        if page["has_more"] == false {
            break seen.len().div_ceil(2);
        }
        path = format!("/v1/models?limit=2&after_id={}", page["last_id"].as_str().unwrap());
    };
    assert_eq!((seen.join(""), pages), ("abcde".to_owned(), 3));
    let one = ask(&world, "/v1/models/a", &[ALL, ANTHROPIC]).await;
    let expected =
        json!({"type": "model", "id": "a", "display_name": "a", "created_at": "1970-01-01T00:00:00Z"});
    assert_eq!(one.json(), expected);
    world.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_the_shape_that_was_asked_in() {
    let world = world().await;
    let wrong = [
        ("/v1/models", vec![], 401, "authentication_error"),
        ("/v1/models/never", vec![ALL], 404, "not_found_error"),
        ("/v1/models/a", vec![SOME], 404, "not_found_error"),
        ("/v1/models/robot", vec![ALL], 404, "not_found_error"),
        ("/v1/models?limit=0", vec![ALL], 400, "invalid_request_error"),
        ("/v1/models?after_id=never", vec![ALL], 400, "invalid_request_error"),
    ];
    for (path, mut headers, status, kind) in wrong {
        headers.push(ANTHROPIC);
        let got = ask(&world, path, &headers).await;
        let told = got.json();
        assert_eq!((got.status.as_u16(), told["error"]["type"].as_str()), (status, Some(kind)), "{path}");
        assert_eq!(told["type"], "error");
        assert_eq!(told["request_id"].as_str(), got.header("x-lockgate-request-id"));
        assert_eq!(got.header("request-id"), got.header("x-lockgate-request-id"));
    }
    let got = ask(&world, "/v1/models/never", &[ALL]).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (404, "model_not_found"));
    assert_eq!((got.json().get("request_id"), got.header("request-id")), (None::<&Value>, None));
    world.stop().await;
}
