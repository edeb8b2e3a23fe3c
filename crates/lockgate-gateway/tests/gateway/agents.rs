//! Plain agents: any JSON in, whatever comes out.

use lockgate_config::value::{Surface, TargetKind, Tier};
use lockgate_core::signal::{Arm, Signal};

use crate::target::TestTarget;
use crate::world::*;

fn agent(url: &http::Uri) -> Tier {
    tier("agent", TargetKind::Agent(endpoint(url)))
}

async fn world(url: &http::Uri) -> World {
    let chain = vec![agent(url), rules("desk")];
    World::start(config_of(vec![
        feature(FEATURE, Surface::Agent, vec![version("v1", chain)]),
        feature("talk", Surface::Model, vec![version("t1", vec![rules("desk")])]),
    ]))
    .await
}

#[tokio::test]
async fn any_json_passes_byte_for_byte_to_the_agents_own_address() {
    let mut target = TestTarget::start().await;
    let world = world(&target.url).await;
    for body in ["[ 1,2 , {\"stream\":\"later\"}]", "\"hello\"", r#"{ "stream" : "yes", "model":7 }"#] {
        let sending = world.sending(world.post("/agents/support-reply", body));
        let arrived = target.next().await;
        assert_eq!((arrived.text(), arrived.head.uri.path()), (body, "/v1"));
        arrived.say(201, r#"{ "done" : true }"#);
        let got = sending.await.unwrap();
        assert_eq!((got.status.as_u16(), got.body.as_ref()), (201, &br#"{ "done" : true }"#[..]));
    }
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 3)).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_json_is_refused_before_the_agent_sees_it() {
    let target = TestTarget::start().await;
    let world = world(&target.url).await;
    for body in ["[1,", "hello", ""] {
        let got = world.send(world.post("/agents/support-reply", body)).await;
        assert_eq!((got.status.as_u16(), got.error().1.as_str()), (400, "invalid_json"), "{body}");
    }
    assert!(target.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn a_feature_called_the_wrong_way_is_told_the_right_one() {
    let target = TestTarget::start().await;
    let world = world(&target.url).await;
    let got = world.send(world.post("/v1/chat/completions", CALL)).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (400, "wrong_endpoint"));
    assert!(got.error().0.contains("/agents/support-reply"));
    let got = world.send(world.post("/agents/talk", "{}")).await;
    assert!(got.status == 400 && got.error().0.contains("/v1/chat/completions"));
    let got = world.send(world.post("/agents/nobody", "{}")).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (404, "model_not_found"));
    world.stop().await;
}

#[tokio::test]
async fn an_agent_that_fails_is_replaced_by_its_rules() {
    let url = TestTarget::saying(500, "{}").await;
    let world = world(&url).await;
    let got = world.send(world.post("/agents/support-reply", r#"{"q":"I want a refund"}"#)).await;
    assert_eq!(got.json()["answer"], "A refund is on its way.");
    assert_eq!(got.json()["degraded"], true);
    world.stop().await;
}

#[tokio::test]
async fn an_agent_that_has_nothing_to_say_has_answered() {
    for status in [200, 204] {
        let url = TestTarget::saying(status, "").await;
        let world = world(&url).await;
        let got = world.send(world.post("/agents/support-reply", "{}")).await;
        assert_eq!((got.status.as_u16(), got.body.len()), (status, 0));
        world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
        assert_eq!(world.rate("v1", Arm::Stable, Signal::Cancelled).await, (0, 1));
        assert_eq!(world.sum("v1", Arm::Stable, Signal::Latency).await.unwrap().n(), 1);
        world.stop().await;
    }
}
