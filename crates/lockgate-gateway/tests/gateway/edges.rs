//! What must not spill over: a rehearsal onto the targets of others, a caller's own mistake onto a version, a target's word onto our
//! address.

use std::time::Duration;

use lockgate_config::value::{Tier, Times};
use lockgate_core::breaker::State;
use lockgate_core::drill::Fault;
use lockgate_core::signal::{Arm, Signal};

use crate::drill::{marked, rehearsing};
use crate::target::TestTarget;
use crate::world::*;

/// Twice the failures in a row that open a breaker.
const MANY: usize = 10;

/// Rehearses a fault many times; ordinary calls are still answered by the target, whose breaker has seen nothing.
async fn check_rehearsal(first: Tier, fault: Fault, tier_of_rehearsed: &str) {
    let chain = vec![first, rules("desk")];
    let world = rehearsing(config(vec![version("v1", chain)]), fault).await;
    for _ in 0..MANY {
        let got = world.send(marked(&world)).await;
        assert_eq!(got.header("x-lockgate-tier"), Some(tier_of_rehearsed), "{got:?}");
    }
    let health = world.live.health().list(world.clock.now());
    assert_eq!((health.len(), health[0].state, health[0].failures), (1, State::Closed, 0));
    let got = world.call().await;
    assert_eq!((got.header("x-lockgate-target"), got.header("x-lockgate-degraded")), (Some("model"), None));
    world.stop().await;
}

#[tokio::test]
async fn rehearsed_errors_open_no_breaker() {
    let target = TestTarget::saying(200, ANSWER).await;
    check_rehearsal(chat("model", &target), Fault::Errors(1.0), "1").await;
}

#[tokio::test]
async fn a_rehearsed_delay_opens_no_breaker_that_minds_slowness() {
    let target = TestTarget::saying(200, ANSWER).await;
    let sla = Duration::from_millis(5);
    let first = Tier { times: Times { sla: Some(sla), ..endpoint(&target).times }, ..chat("model", &target) };
    check_rehearsal(first, Fault::Latency(sla * 2), "0").await;
}

#[tokio::test]
async fn a_call_that_no_target_can_be_told_is_its_callers_mistake() {
    let target = TestTarget::saying(200, ANSWER).await;
    let world = World::start(config(vec![version("v1", vec![messages("claude", &target)])])).await;
    let call = r#"{"model":"support-reply","input":"a"}"#;
    assert_eq!(world.send(world.post("/v1/embeddings", call)).await.status.as_u16(), 400);
    world.until_rate("v1", Arm::Stable, Signal::Rejected, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Error).await, (0, 0));
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Degraded).await, (0, 0));
    world.stop().await;
}

#[tokio::test]
async fn a_target_sets_no_rules_for_our_address() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("model", &target.url)])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let said = [
        ("strict-transport-security", "max-age=31536000"),
        ("access-control-allow-origin", "*"),
        ("openai-organization", "the-operator"),
        ("server", "cloudflare"),
        ("openai-processing-ms", "12"),
        ("x-request-id", "req_1"),
    ];
    target.next().await.say_with(200, &said, ANSWER);
    let got = sending.await.unwrap();
    let passed: Vec<bool> = said.iter().map(|(name, _)| got.header(name).is_some()).collect();
    assert_eq!(passed, [false, false, false, false, true, true]);
    world.stop().await;
}
