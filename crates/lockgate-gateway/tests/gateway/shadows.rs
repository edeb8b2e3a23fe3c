//! Copies: when they are made, what they carry, what they never do.

use lockgate_config::value::{Config, ShadowBounds};
use lockgate_core::name::FeatureName;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;
use lockgate_store::Store;

use crate::target::{PATIENCE, TestTarget};
use crate::world::*;

const TOOLS: &str = r#"{"model":"support-reply","metadata":{"k":"v"},"messages":[{"role":"user","content":"x"}], "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"}"#;
const OTHER: &str = r#"{"id":"o","choices":[{"index":0,"message":{"role":"assistant","content":"something else"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

struct Pair {
    stable: TestTarget,
    candidate: TestTarget,
    world: World,
}

async fn pair(change: impl FnOnce(&mut ShadowBounds)) -> Pair {
    pair_on(Store::in_memory().await.unwrap(), change).await
}

async fn pair_on(store: Store, change: impl FnOnce(&mut ShadowBounds)) -> Pair {
    let (stable, candidate) = (TestTarget::start().await, TestTarget::start().await);
    let versions =
        vec![version("v1", vec![chat("a", &stable.url)]), version("v2", vec![chat("b", &candidate.url)])];
    let config = with_bounds(config(versions), change);
    let world = World::start_on(store, config, |table| shadow(table, "v2")).await;
    Pair { stable, candidate, world }
}

fn with_bounds(mut config: Config, change: impl FnOnce(&mut ShadowBounds)) -> Config {
    let name = FeatureName::new(FEATURE).unwrap();
    let mut feature = std::sync::Arc::into_inner(config.features.remove(&name).unwrap()).unwrap();
    change(&mut feature.shadow);
    config.features.insert(name, feature.into());
    config
}

impl Pair {
    /// One call, answered.
    async fn serve(&mut self, body: &'static str) {
        let sending = self.world.sending(self.world.post("/v1/chat/completions", body));
        self.stable.next().await.say(200, ANSWER);
        let got = sending.await.unwrap();
        assert_eq!((got.status.as_u16(), got.body.as_ref()), (200, ANSWER.as_bytes()));
        assert_eq!(got.header("x-lockgate-version"), Some("v1"));
    }
}

#[tokio::test]
async fn a_copy_comes_after_the_answer_says_that_it_is_one_and_carries_no_tools() {
    let mut pair = pair(|_| {}).await;
    let sending = pair.world.sending(pair.world.post("/v1/chat/completions", TOOLS));
    let arrived = pair.stable.next().await;
    assert_eq!(arrived.text(), TOOLS);
    assert_eq!(arrived.header("x-lockgate-shadow"), None);
    assert!(pair.candidate.is_idle(), "the candidate waits for the user's answer");
    arrived.say(200, ANSWER);
    sending.await.unwrap();

    let copy = pair.candidate.next().await;
    assert_eq!(copy.header("x-lockgate-shadow"), Some("true"));
    let body: serde_json::Value = serde_json::from_slice(&copy.body).unwrap();
    assert_eq!(body["metadata"], serde_json::json!({"k": "v", "lockgate_shadow": "true"}));
    assert!(body.get("tools").is_none() && body.get("tool_choice").is_none());
    copy.say(200, ANSWER);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 1)).await;
    assert_eq!(pair.world.rate("v2", Arm::Shadow, Signal::Error).await, (0, 1));
    let agreement = pair.world.sum("v2", Arm::Shadow, Signal::Agreement).await;
    assert_eq!(agreement, Some(Sum::Levels([(100, 1)].into())));
    pair.world.stop().await;
}

#[tokio::test]
async fn a_different_answer_is_scored_and_kept_for_a_person() {
    let mut pair = pair(|_| {}).await;
    pair.serve(CALL).await;
    pair.candidate.next().await.say(200, OTHER);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 1)).await;
    let agreement = pair.world.sum("v2", Arm::Shadow, Signal::Agreement).await;
    assert_eq!(agreement, Some(Sum::Levels([(0, 1)].into())));
    let tokens = pair.world.sum("v2", Arm::Shadow, Signal::TokensOut).await;
    assert_eq!(tokens, Some(Sum::Amount { n: 1, total: 4, squares: 16 }));
    let samples = pair.world.store.samples(&FeatureName::new(FEATURE).unwrap(), 10).await.unwrap();
    assert_eq!(samples.len(), 1);
    assert_eq!(
        (samples[0].stable_text.as_str(), samples[0].candidate_text.as_str()),
        ("hi", "something else")
    );
    // What the copy cost is billed apart.
    assert_eq!(pair.world.sum("v1", Arm::Stable, Signal::TokensOut).await.unwrap().n(), 1);
    pair.world.stop().await;
}

#[tokio::test]
async fn a_copy_that_fails_harms_nobody_and_is_the_candidates_error() {
    let mut pair = pair(|_| {}).await;
    for status in [500, 400] {
        pair.serve(CALL).await;
        pair.candidate.next().await.say(status, "{}");
    }
    pair.world.until_rate("v2", Arm::Shadow, Signal::Error, (2, 2)).await;
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (0, 2)).await;
    assert_eq!(pair.world.rate("v1", Arm::Stable, Signal::Error).await, (0, 2));
    pair.world.stop().await;
}

#[tokio::test]
async fn a_streamed_call_is_mirrored_as_a_stream() {
    let mut pair = pair(|_| {}).await;
    let events = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let body = r#"{"model":"support-reply","stream":true,"messages":[]}"#;
    let sending = pair.world.sending(pair.world.post("/v1/chat/completions", body));
    pair.stable.next().await.stream().write(events);
    assert_eq!(sending.await.unwrap().body, events);
    let copy = pair.candidate.next().await;
    assert!(copy.text().contains("include_usage"));
    copy.stream().write(events);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 1)).await;
    assert_eq!(pair.world.sum("v2", Arm::Shadow, Signal::FirstToken).await.unwrap().n(), 1);
    pair.world.stop().await;
}

#[tokio::test]
async fn copies_beyond_the_queue_are_dropped_and_counted() {
    let mut pair = pair(|bounds| {
        bounds.concurrency = 1;
        bounds.queue = 2;
    })
    .await;
    pair.serve(CALL).await;
    let first = pair.candidate.next().await;
    for _ in 0..5 {
        pair.serve(CALL).await;
    }
    within(async {
        while pair.world.gateway.counts().shadows_crowded != 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(pair.candidate.is_idle(), "one at a time");
    first.say(200, ANSWER);
    for _ in 0..2 {
        pair.candidate.next().await.say(200, ANSWER);
    }
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (3, 6)).await;
    pair.world.stop().await;
}

#[tokio::test]
async fn copies_beyond_the_days_money_are_dropped_and_counted() {
    // One copy is expected to cost a little over 0.1 USD at the price of a model without one.
    let mut pair = pair(|bounds| bounds.daily_usd = 0.15).await;
    pair.serve(CALL).await;
    let first = pair.candidate.next().await;
    pair.serve(CALL).await;
    within(async {
        while pair.world.gateway.counts().shadows_unpaid != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The first cost less than was set aside, so there is room again.
    first.say(200, OTHER);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 2)).await;
    pair.serve(CALL).await;
    pair.candidate.next().await.say(200, OTHER);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (2, 3)).await;
    pair.world.stop().await;
}

#[tokio::test]
async fn a_copy_that_nobody_answered_costs_nothing() {
    let mut pair = pair(|bounds| bounds.daily_usd = 0.15).await;
    for copy in 1..4 {
        pair.serve(CALL).await;
        pair.candidate.next().await.say(503, "");
        pair.world.until_rate("v2", Arm::Shadow, Signal::Error, (copy, copy)).await;
    }
    assert_eq!(pair.world.gateway.counts().shadows_unpaid, 0);
    pair.world.stop().await;
}

#[tokio::test]
async fn a_restart_does_not_open_the_purse_anew() {
    // What is set aside for a copy fits, but not beside what the first one came to.
    let bounds = |bounds: &mut ShadowBounds| bounds.daily_usd = 0.1021;
    let dear = OTHER.replace("\"prompt_tokens\":3", "\"prompt_tokens\":1000");
    let store = Store::in_memory().await.unwrap();
    let mut pair = pair_on(store.clone(), bounds).await;
    pair.serve(CALL).await;
    pair.candidate.next().await.say(200, dear);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 1)).await;
    pair.world.stop().await;

    let mut pair = pair_on(store, bounds).await;
    pair.serve(CALL).await;
    within(async {
        while pair.world.gateway.counts().shadows_unpaid != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(pair.candidate.is_idle());
    pair.world.stop().await;
}

#[tokio::test]
async fn a_copy_whose_trial_has_ended_is_not_made() {
    let mut pair = pair(|bounds| bounds.concurrency = 1).await;
    pair.serve(CALL).await;
    let first = pair.candidate.next().await;
    pair.serve(CALL).await;
    let table = lockgate_config::live::Table::new(pair.world.config.clone(), &Default::default());
    pair.world.live.publish(table);
    first.say(200, ANSWER);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 2)).await;
    assert_eq!(pair.world.gateway.counts().shadows_withdrawn, 1);
    assert!(pair.candidate.is_idle());
    pair.world.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_copies() {
    let mut pair = pair(|_| {}).await;
    pair.serve(CALL).await;
    let _never_answered = pair.candidate.next().await;
    let started = std::time::Instant::now();
    pair.world.stop().await;
    assert!(started.elapsed() < PATIENCE / 2);
}

#[tokio::test]
async fn what_was_set_aside_yesterday_is_not_given_back_today() {
    let mut pair = pair(|bounds| bounds.daily_usd = 0.15).await;
    pair.serve(CALL).await;
    let of_yesterday = pair.candidate.next().await;
    pair.world.clock.advance(std::time::Duration::from_secs(86_400));
    pair.serve(CALL).await;
    let of_today = pair.candidate.next().await;
    of_yesterday.say(200, OTHER);
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 1)).await;
    // What today's copy set aside is still set aside, so there is no room for another.
    pair.serve(CALL).await;
    pair.world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 2)).await;
    assert_eq!(pair.world.gateway.counts().shadows_unpaid, 1);
    drop(of_today);
    pair.world.stop().await;
}
