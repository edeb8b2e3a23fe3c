//! Swapping the table: from the moment that the old one is gone, nothing starts under it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lockgate_config::live::Table;
use lockgate_config::value::TargetKind;
use lockgate_core::signal::{Arm, Signal};

use crate::target::TestTarget;
use crate::world::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_is_sent_to_a_withdrawn_version_once_the_old_table_is_gone() {
    let stable = TestTarget::saying(200, ANSWER).await;
    let mut candidate = TestTarget::start().await;
    let candidate_url = candidate.url.clone();
    let arrived = Arc::new(AtomicU64::new(0));
    tokio::spawn({
        let arrived = arrived.clone();
        async move {
            while let Some(one) = candidate.try_next().await {
                arrived.fetch_add(1, Ordering::SeqCst);
                one.say(200, ANSWER);
            }
        }
    });
    let versions =
        vec![version("v1", vec![chat("a", &stable)]), version("v2", vec![chat("b", &candidate_url)])];
    let world = Arc::new(World::start_with(config(versions), |table| canary(table, "v2", 1.0)).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (world, is_over) = (world.clone(), is_over.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    assert_eq!(world.call().await.status, 200);
                }
            })
        })
        .collect();
    until(async || arrived.load(Ordering::SeqCst) >= 50).await;
    let retired = world.live.publish(Table::new(world.config.clone(), &HashMap::new()));
    until(async || retired.is_gone()).await;
    // Whatever was given to the candidate has been given by now, and counted; some of it may still be on its way through the
    // sockets of this machine.
    let given = world.sum("v2", Arm::Candidate, Signal::Assigned).await.map_or(0, |sum| sum.n());
    until(async || world.sum("v1", Arm::Stable, Signal::Assigned).await.is_some_and(|sum| sum.n() >= 50))
        .await;
    is_over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(arrived.load(Ordering::SeqCst), given);
    Arc::into_inner(world).unwrap().stop().await;
}

async fn until(reached: impl AsyncFn() -> bool) {
    within(async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_waiting_for_its_answer_does_not_hold_the_old_table() {
    let mut candidate = TestTarget::start().await;
    let versions = vec![version("v1", vec![rules("desk")]), version("v2", vec![chat("b", &candidate.url)])];
    let world = World::start_with(config(versions), |table| canary(table, "v2", 1.0)).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let arrived = candidate.next().await;
    let retired = world.live.publish(Table::new(world.config.clone(), &HashMap::new()));
    within(async {
        while !retired.is_gone() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    arrived.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().header("x-lockgate-version"), Some("v2"));
    world.stop().await;
}

#[tokio::test]
async fn a_version_withdrawn_between_two_tiers_is_replaced_by_the_one_in_force() {
    let mut candidate = TestTarget::start().await;
    let light = TestTarget::start().await;
    let chain = vec![chat("b", &candidate.url), chat("light", &light.url)];
    let versions = vec![version("v1", vec![rules("desk")]), version("v2", chain)];
    let world = World::start_with(config(versions), |table| canary(table, "v2", 1.0)).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let arrived = candidate.next().await;
    world.live.publish(Table::new(world.config.clone(), &HashMap::new()));
    arrived.say(500, "{}");
    let got = sending.await.unwrap();
    assert_eq!((got.status.as_u16(), got.header("x-lockgate-target")), (200, Some("desk")));
    assert!(light.is_idle());
    // The failure belongs to the version that was assigned.
    world.until_rate("v2", Arm::Candidate, Signal::Error, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn the_version_that_steps_in_does_not_leave_its_own_failures_with_the_one_withdrawn() {
    let mut candidate = TestTarget::start().await;
    let mut slow = TestTarget::start().await;
    let mut impatient = endpoint(&slow.url);
    impatient.times.answer = Duration::from_millis(50);
    let stable = vec![tier("slow", TargetKind::OpenAi(impatient)), rules("desk")];
    let withdrawn = vec![chat("b", &candidate.url), rules("desk")];
    let versions = vec![version("v1", stable), version("v2", withdrawn)];
    let world = World::start_with(config(versions), |table| canary(table, "v2", 1.0)).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let arrived = candidate.next().await;
    world.live.publish(Table::new(world.config.clone(), &HashMap::new()));
    arrived.say(500, "{}");
    let _never_answered = slow.next().await;
    assert_eq!(sending.await.unwrap().header("x-lockgate-target"), Some("desk"));
    world.until_rate("v2", Arm::Candidate, Signal::Error, (1, 1)).await;
    assert_eq!(world.rate("v2", Arm::Candidate, Signal::Timeout).await, (0, 1));
    world.stop().await;
}
