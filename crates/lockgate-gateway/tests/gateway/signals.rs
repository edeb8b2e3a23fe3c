//! What is counted of a call beside its errors and its time: what the user got less of, what the model declined, what was used,
//! and which calls belong together.

use std::time::Duration;

use lockgate_config::value::{Config, Price, Tier, Version};
use lockgate_core::drill::Fault;
use lockgate_core::name::FeatureName;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::size_levels::level;
use lockgate_core::sums::Sum;

use crate::target::TestTarget;
use crate::world::*;

const STREAM: &str = r#"{"model":"support-reply","stream":true,"messages":[]}"#;
const REFUSED: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I cannot."},"finish_reason":"stop"}]}"#;
const FILTERED: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"As to th"},"finish_reason":"content_filter"}]}"#;
const CACHED: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":250,"completion_tokens":40,"prompt_tokens_details":{"cached_tokens":128}}}"#;
const SAID: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"he\"}}]}\n\n";
const DECLINES: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"I \"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
/// What [`ANSWER`] costs at [`PRICE`]: ten tokens read and five written.
const COST: u64 = 20_000;
const PRICE: Price = Price { input_per_million_usd: 1.0, output_per_million_usd: 2.0 };

/// A configuration of one version per chain, `v1` first.
fn chains(chains: Vec<Vec<Tier>>) -> Config {
    config((1..).zip(chains).map(|(number, chain)| version(&format!("v{number}"), chain)).collect())
}

async fn world(target: &TestTarget) -> World {
    World::start(chains(vec![vec![chat("big", &target.url)]])).await
}

/// A tier whose target always gives the plain answer, at a price.
async fn priced() -> Tier {
    Tier { price: Some(PRICE), ..chat("big", &TestTarget::saying(200, ANSWER).await) }
}

/// A call of somebody in a session, answered.
async fn call(world: &World, who: &str, session: Option<&str>) -> Got {
    let mut request = world.post("/v1/chat/completions", CALL);
    if !who.is_empty() {
        request.headers_mut().insert("x-lockgate-user", who.parse().unwrap());
    }
    if let Some(session) = session {
        request.headers_mut().insert("x-lockgate-session", session.parse().unwrap());
    }
    world.send(request).await
}

fn amount(values: &[u64]) -> Option<Sum> {
    let (n, total) = (values.len() as u64, values.iter().sum());
    Some(Sum::Amount { n, total, squares: values.iter().map(|value| u128::from(value * value)).sum() })
}

fn sizes(values: &[u64]) -> Option<Sum> {
    let mut levels = std::collections::BTreeMap::new();
    for value in values {
        *levels.entry(level(*value)).or_insert(0) += 1;
    }
    Some(Sum::Levels(levels))
}

#[tokio::test]
async fn an_answer_is_degraded_that_a_lower_tier_gave() {
    let (broken, sound) = (TestTarget::saying(500, "{}").await, TestTarget::saying(200, ANSWER).await);
    let chain = vec![chat("big", &broken), chat("small", &sound), rules("desk")];
    let world = World::start(chains(vec![chain])).await;
    world.call().await;
    world.until_rate("v1", Arm::Stable, Signal::Degraded, (1, 1)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Fallback).await, (1, 1));
    world.stop().await;
}

#[tokio::test]
async fn an_answer_is_degraded_that_did_not_come_or_broke_off_and_no_other() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    target.next().await.say(503, "{}");
    sending.await.unwrap();
    world.until_rate("v1", Arm::Stable, Signal::Degraded, (1, 1)).await;

    let beginning = world.beginning(world.post("/v1/chat/completions", STREAM));
    let writing = target.next().await.stream();
    writing.write(SAID);
    let mut body = beginning.await.unwrap().into_body();
    assert!(chunk(&mut body).await.is_some());
    writing.break_off();
    while chunk(&mut body).await.is_some() {}
    world.until_rate("v1", Arm::Stable, Signal::Degraded, (2, 2)).await;

    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    target.next().await.say(200, ANSWER);
    sending.await.unwrap();
    world.until_rate("v1", Arm::Stable, Signal::Degraded, (2, 3)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Fallback).await, (0, 3));
    world.stop().await;
}

#[tokio::test]
async fn a_model_that_declines_is_told_from_one_that_answers() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    for (calls, (body, hits)) in (1..).zip([(ANSWER, 0), (REFUSED, 1), (FILTERED, 2)]) {
        let sending = world.sending(world.post("/v1/chat/completions", CALL));
        target.next().await.say(200, body);
        assert_eq!(sending.await.unwrap().body, body);
        world.until_rate("v1", Arm::Stable, Signal::Refusal, (hits, calls)).await;
    }
    for (calls, (said, hits)) in (4..).zip([(SAID, 2), (DECLINES, 3)]) {
        let sending = world.sending(world.post("/v1/chat/completions", STREAM));
        target.next().await.stream().write([said, STOP, DONE].concat());
        sending.await.unwrap();
        world.until_rate("v1", Arm::Stable, Signal::Refusal, (hits, calls)).await;
    }
    // No answer neither declines nor does not.
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    target.next().await.say(500, "{}");
    sending.await.unwrap();
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 6)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Refusal).await, (3, 5));
    world.stop().await;
}

#[tokio::test]
async fn tokens_lengths_and_cache_hits_are_counted_where_the_usage_is_told() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    for (calls, body) in (1..).zip([ANSWER, CACHED, REFUSED]) {
        let sending = world.sending(world.post("/v1/chat/completions", CALL));
        target.next().await.say(200, body);
        sending.await.unwrap();
        world.until_rate("v1", Arm::Stable, Signal::Error, (0, calls)).await;
    }
    let of = async |signal| world.sum("v1", Arm::Stable, signal).await;
    assert_eq!(of(Signal::Tokens).await, amount(&[15, 290]));
    assert_eq!(of(Signal::InputLength).await, sizes(&[10, 250]));
    assert_eq!(of(Signal::OutputLength).await, sizes(&[5, 40]));
    assert_eq!(world.rate("v1", Arm::Stable, Signal::CacheHit).await, (1, 2));
    world.stop().await;
}

#[tokio::test]
async fn a_copy_counts_like_a_users_call_and_has_no_session() {
    let stable = priced().await;
    let candidate = Tier { price: Some(PRICE), ..chat("b", &TestTarget::saying(200, CACHED).await) };
    let config = chains(vec![vec![stable], vec![candidate]]);
    let world = World::start_with(config, |table| shadow(table, "v2")).await;
    call(&world, "ann", Some("s")).await;
    world.until_rate("v2", Arm::Shadow, Signal::Coverage, (1, 1)).await;
    for (signal, expected) in
        [(Signal::Degraded, (0, 1)), (Signal::Refusal, (0, 1)), (Signal::CacheHit, (1, 1))]
    {
        assert_eq!(world.rate("v2", Arm::Shadow, signal).await, expected);
    }
    let of = async |signal| world.sum("v2", Arm::Shadow, signal).await;
    assert_eq!(of(Signal::Tokens).await, amount(&[290]));
    assert_eq!(of(Signal::InputLength).await, sizes(&[250]));
    assert_eq!(of(Signal::OutputLength).await, sizes(&[40]));
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!((of(Signal::Sessions).await, of(Signal::SessionCost).await), (None, None));
    assert_eq!(world.sum("v1", Arm::Stable, Signal::SessionCost).await, sizes(&[COST]));
    world.stop().await;
}

#[tokio::test]
async fn a_copy_without_an_answer_is_degraded() {
    let stable = chat("a", &TestTarget::saying(200, ANSWER).await);
    let candidate = chat("b", &TestTarget::saying(500, "{}").await);
    let config = chains(vec![vec![stable], vec![candidate]]);
    let world = World::start_with(config, |table| shadow(table, "v2")).await;
    world.call().await;
    world.until_rate("v2", Arm::Shadow, Signal::Degraded, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_session_begins_with_its_first_call_and_costs_what_its_calls_cost() {
    let world = World::start(chains(vec![vec![priced().await]])).await;
    let of = async |signal| world.sum("v1", Arm::Stable, signal).await;
    // Two calls of one session, one call of somebody without a session, one of nobody.
    for (who, session) in [("ann", Some("s")), ("bob", Some("s")), ("ann", None), ("", None)] {
        call(&world, who, session).await;
    }
    assert_eq!(of(Signal::Sessions).await, amount(&[1, 1, 1]));
    // Nobody's call is over with itself; the others' sessions may go on.
    world.until_sum("v1", Arm::Stable, Signal::SessionCost, sizes(&[COST])).await;
    world.clock.advance(Duration::from_secs(300));
    call(&world, "ann", Some("s")).await;
    world.clock.advance(Duration::from_secs(599));
    let ended = sizes(&[COST, COST]);
    world.until_sum("v1", Arm::Stable, Signal::SessionCost, ended).await;
    world.clock.advance(Duration::from_secs(1));
    let ended = sizes(&[COST, COST, 3 * COST]);
    world.until_sum("v1", Arm::Stable, Signal::SessionCost, ended).await;
    call(&world, "ann", Some("s")).await;
    assert_eq!(of(Signal::Sessions).await, amount(&[1, 1, 1, 1]));
    world.stop().await;
}

#[tokio::test]
async fn a_session_of_which_a_price_is_missing_has_no_cost_and_rules_cost_nothing() {
    let unpriced = chat("free", &TestTarget::saying(200, ANSWER).await);
    let world = World::start(chains(vec![vec![unpriced]])).await;
    call(&world, "ann", None).await;
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.sum("v1", Arm::Stable, Signal::SessionCost).await, None);
    world.stop().await;

    let world = World::start(chains(vec![vec![rules("desk")]])).await;
    call(&world, "", None).await;
    world.until_sum("v1", Arm::Stable, Signal::SessionCost, sizes(&[0])).await;
    world.stop().await;
}

#[tokio::test]
async fn under_a_canary_callers_count_once_and_only_sessions_that_began_under_it_have_a_cost() {
    let config = chains(vec![vec![priced().await], vec![priced().await]]);
    let world = World::start_with(config, |_| {}).await;
    call(&world, "ann", None).await;
    assert_eq!(world.sum("v1", Arm::Stable, Signal::Visitors).await, None, "there is no trial");
    world.publish(|table| canary(table, "v2", 0.5));
    for who in ["ann", "bob", "carol", "dave", "erin", "fred", "gina", "bob", "carol"] {
        call(&world, who, None).await;
    }
    for _ in 0..3 {
        call(&world, "", None).await;
    }
    let of = async |signal: Signal| {
        let stable = world.sum("v1", Arm::Stable, signal.clone()).await.map_or(0, |sum| sum.n());
        (stable, world.sum("v2", Arm::Candidate, signal).await.map_or(0, |sum| sum.n()))
    };
    let (stable, candidate) = of(Signal::Visitors).await;
    assert!(stable + candidate == 10 && stable > 0 && candidate > 0, "{stable} and {candidate}");
    // Whom the canary leaves with stable goes on with the session from before, which has no cost.
    let is_still_stable = of(Signal::Assigned).await;
    assert_eq!(is_still_stable.0 + is_still_stable.1, 13);
    world.clock.advance(Duration::from_secs(3600));
    let ended = of(Signal::SessionCost).await;
    let begun = of(Signal::Sessions).await;
    assert_eq!(ended.1, begun.1, "every one of the candidate's began under the trial");
    assert!(ended.0 < begun.0, "one of stable's did not");
    world.stop().await;
}

#[tokio::test]
async fn a_rehearsal_of_dearer_calls_counts_them_dearer_and_changes_no_answer() {
    let config = chains(vec![vec![priced().await]]);
    let world = World::start_with(config, |table| {
        canary(table, "drill", 1.0);
        let feature = FeatureName::new(FEATURE).unwrap();
        let stable = table.config.version(&feature, &version_ref("v1").name).unwrap();
        let rehearsed = Version { id: version_ref("drill"), ..Version::clone(stable) };
        table.routes.get_mut(&feature).unwrap().trial.as_mut().unwrap().drill = Some(Fault::Cost(2.5));
        table.rehearsed.insert(feature, rehearsed.into());
    })
    .await;
    let got = call(&world, "", None).await;
    assert_eq!(
        (got.body.as_ref(), got.header("x-lockgate-cost-usd")),
        (ANSWER.as_bytes(), Some("0.000020000"))
    );
    world.until_rate("drill", Arm::Candidate, Signal::Error, (0, 1)).await;
    let of = async |signal| world.sum("drill", Arm::Candidate, signal).await;
    assert_eq!(of(Signal::TokensIn).await, amount(&[25]));
    assert_eq!(of(Signal::Tokens).await, amount(&[25 + 13]));
    assert_eq!(of(Signal::OutputLength).await, sizes(&[13]));
    assert_eq!(of(Signal::Cost).await, amount(&[50_000]));
    world.until_sum("drill", Arm::Candidate, Signal::SessionCost, sizes(&[50_000])).await;
    world.stop().await;
}

/// Calls of one person that are over, whatever came of them: each finished call could have been one of a caller's mistakes.
async fn until_over(world: &World, calls: u64) {
    world.until_rate("v1", Arm::Stable, Signal::Rejected, (0, calls)).await;
}

#[tokio::test]
async fn who_fails_again_and_again_in_a_session_is_one_hit_of_one() {
    let world = World::start(chains(vec![vec![chat("a", &TestTarget::saying(500, "{}").await)]])).await;
    let of = async |signal| world.rate("v1", Arm::Stable, signal).await;
    for _ in 0..20 {
        call(&world, "ann", None).await;
    }
    until_over(&world, 20).await;
    assert_eq!((of(Signal::Error).await, of(Signal::Degraded).await), ((1, 1), (1, 1)));
    assert_eq!((of(Signal::Timeout).await, of(Signal::Fallback).await), ((0, 1), (0, 1)));
    assert_eq!(world.sum("v1", Arm::Stable, Signal::Assigned).await, amount(&[1; 20]), "each is a call");
    assert_eq!(world.gateway.counts().repeats_left_out, 19);

    world.clock.advance(Duration::from_secs(600));
    call(&world, "ann", None).await;
    call(&world, "ann", Some("of its own")).await;
    until_over(&world, 22).await;
    assert_eq!(of(Signal::Error).await, (3, 3), "in other sessions it is news");
    world.stop().await;
}

#[tokio::test]
async fn twenty_who_fail_are_twenty_hits_and_so_are_those_who_name_nothing() {
    let world = World::start(chains(vec![vec![chat("a", &TestTarget::saying(500, "{}").await)]])).await;
    for user in 0..20 {
        call(&world, &format!("user-{user}"), None).await;
        call(&world, "", None).await;
    }
    world.until_rate("v1", Arm::Stable, Signal::Error, (40, 40)).await;
    assert_eq!(world.gateway.counts().repeats_left_out, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_session_counts_up_to_and_with_its_first_failure_and_its_times_and_tokens_go_on() {
    let mut target = TestTarget::start().await;
    let world = world(&target).await;
    for status in [200, 200, 200, 500, 500, 200, 200] {
        let mut request = world.post("/v1/chat/completions", CALL);
        request.headers_mut().insert("x-lockgate-session", "s".parse().unwrap());
        let sending = world.sending(request);
        target.next().await.say(status, if status == 200 { ANSWER } else { "{}" });
        sending.await.unwrap();
    }
    until_over(&world, 7).await;
    let of = async |signal| world.rate("v1", Arm::Stable, signal).await;
    assert_eq!((of(Signal::Error).await, of(Signal::Degraded).await), ((1, 4), (1, 4)));
    assert_eq!(of(Signal::Refusal).await, (0, 5), "it refused nothing");
    assert_eq!(world.sum("v1", Arm::Stable, Signal::Latency).await.map(|sum| sum.n()), Some(5));
    assert_eq!(world.sum("v1", Arm::Stable, Signal::Tokens).await, amount(&[15; 5]));
    world.stop().await;
}

#[tokio::test]
async fn what_is_declined_or_turned_down_again_and_again_is_one_hit_too() {
    for (status, body, signal) in [(200, REFUSED, Signal::Refusal), (400, "{}", Signal::Rejected)] {
        let world =
            World::start(chains(vec![vec![chat("a", &TestTarget::saying(status, body).await)]])).await;
        for _ in 0..20 {
            call(&world, "ann", None).await;
        }
        call(&world, "bob", None).await;
        world.until_rate("v1", Arm::Stable, signal.clone(), (2, 2)).await;
        let errors = if status == 200 { (0, 21) } else { (0, 0) };
        assert_eq!(world.rate("v1", Arm::Stable, Signal::Error).await, errors, "{signal}");
        assert_eq!(world.gateway.counts().repeats_left_out, 19, "{signal}");
        world.stop().await;
    }
}

#[tokio::test]
async fn copies_that_fail_count_once_per_session_of_whom_they_are_copied_from() {
    let stable = chat("a", &TestTarget::saying(200, ANSWER).await);
    let candidate = chat("b", &TestTarget::saying(500, "{}").await);
    let world =
        World::start_with(chains(vec![vec![stable], vec![candidate]]), |table| shadow(table, "v2")).await;
    for who in ["ann", "ann", "ann", "bob", "bob", "", ""] {
        call(&world, who, None).await;
    }
    world.until_rate("v2", Arm::Shadow, Signal::Coverage, (0, 7)).await;
    assert_eq!(world.rate("v2", Arm::Shadow, Signal::Error).await, (4, 4));
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Error).await, (0, 7), "that is the candidate's affair");
    world.stop().await;
}
