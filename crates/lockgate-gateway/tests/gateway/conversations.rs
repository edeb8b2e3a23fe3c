//! Conversations whose state a provider keeps: where they go on, how that is counted, and what a copy of them leaves behind.

use lockgate_core::signal::{Arm, Signal};
use serde_json::{Value, json};

use crate::target::TestTarget;
use crate::world::*;

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"message","id":"m1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}"#;
const FAILED: &str = r#"{"error":{"message":"away","type":"server_error","param":null,"code":null}}"#;
const UNKNOWN: &str = r#"{"error":{"message":"Previous response not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#;
const FIRST: &str = r#"{"model":"support-reply","input":"hi"}"#;

fn next(id: &str) -> String {
    json!({ "model": FEATURE, "input": "and", "previous_response_id": id }).to_string()
}

/// Sends a call by the responses API.
fn respond(world: &World, body: impl Into<bytes::Bytes>) -> tokio::task::JoinHandle<Got> {
    world.sending(world.post("/v1/responses", body))
}

#[tokio::test]
async fn a_fixed_answer_holds_no_conversation() {
    let mut model = TestTarget::start().await;
    let chain = vec![chat("model", &model.url), rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let sending = respond(&world, FIRST);
    model.next().await.say(500, FAILED);
    let fixed = sending.await.unwrap();
    assert_eq!((fixed.status.as_u16(), fixed.header("x-lockgate-target")), (200, Some("desk")));
    let id = fixed.json()["id"].as_str().unwrap().to_owned();

    // The provider is asked again as soon as it is back, and says itself that it has never heard of the answer.
    let sending = respond(&world, next(&id));
    let arrived = model.next().await;
    assert_eq!(serde_json::from_slice::<Value>(&arrived.body).unwrap()["previous_response_id"], id);
    arrived.say(400, UNKNOWN);
    let got = sending.await.unwrap();
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (400, "previous_response_not_found"));
    world.stop().await;
}

#[tokio::test]
async fn a_conversation_that_goes_on_at_its_lower_tier_is_neither_a_fallback_nor_degraded() {
    let (mut first, mut second) = (TestTarget::start().await, TestTarget::start().await);
    let chain = vec![chat("first", &first.url), chat("second", &second.url)];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let rate = async |signal| world.rate("v1", Arm::Stable, signal).await;
    let sending = respond(&world, FIRST);
    first.next().await.say(500, FAILED);
    second.next().await.say(200, RESPONSE);
    assert_eq!(sending.await.unwrap().header("x-lockgate-degraded"), Some("true"));
    world.until_rate("v1", Arm::Stable, Signal::Fallback, (1, 1)).await;

    let sending = respond(&world, next("resp_1"));
    second.next().await.say(200, RESPONSE);
    let got = sending.await.unwrap();
    assert_eq!((got.header("x-lockgate-tier"), got.header("x-lockgate-degraded")), (Some("1"), None));
    world.until_rate("v1", Arm::Stable, Signal::Fallback, (1, 2)).await;
    assert_eq!((rate(Signal::Degraded).await, rate(Signal::Error).await), ((1, 2), (1, 2)));

    // That target is the one that has to answer now, so its failure is the version's.
    let sending = respond(&world, next("resp_1"));
    second.next().await.say(500, FAILED);
    assert_eq!(sending.await.unwrap().status.as_u16(), 500);
    world.until_rate("v1", Arm::Stable, Signal::Error, (2, 3)).await;
    assert!(first.is_idle(), "it could only say that it does not know the conversation");
    world.stop().await;
}

#[tokio::test]
async fn a_copy_of_a_response_is_not_kept_by_its_provider() {
    let (mut stable, mut candidate) = (TestTarget::start().await, TestTarget::start().await);
    let versions =
        vec![version("v1", vec![chat("a", &stable.url)]), version("v2", vec![chat("b", &candidate.url)])];
    let world = World::start_with(config(versions), |table| shadow(table, "v2")).await;
    for call in [FIRST, r#"{"model":"support-reply","input":"hi","store":true}"#] {
        let sending = respond(&world, call);
        let arrived = stable.next().await;
        assert_eq!(arrived.text(), call);
        arrived.say(200, RESPONSE);
        sending.await.unwrap();
        let copy = candidate.next().await;
        assert_eq!(serde_json::from_slice::<Value>(&copy.body).unwrap()["store"], false);
        copy.say(200, RESPONSE);
    }
    // One that is answered later can be answered to its caller alone.
    let sending = respond(&world, r#"{"model":"support-reply","input":"hi","background":true}"#);
    stable.next().await.say(200, RESPONSE);
    sending.await.unwrap();
    world.until_rate("v2", Arm::Shadow, Signal::Coverage, (2, 2)).await;
    assert!(candidate.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn a_version_whose_copies_may_act_decides_itself_what_is_kept() {
    let (mut stable, mut candidate) = (TestTarget::start().await, TestTarget::start().await);
    let mut tried = std::sync::Arc::into_inner(version("v2", vec![chat("b", &candidate.url)])).unwrap();
    tried.shadow_tools = true;
    let versions = vec![version("v1", vec![chat("a", &stable.url)]), tried.into()];
    let world = World::start_with(config(versions), |table| shadow(table, "v2")).await;
    let sending = respond(&world, FIRST);
    stable.next().await.say(200, RESPONSE);
    sending.await.unwrap();
    let copy = candidate.next().await;
    assert_eq!(copy.text(), FIRST);
    copy.say(200, RESPONSE);
    world.stop().await;
}
