//! Rehearsals: who takes part, and what the fault does to them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use lockgate_config::live::Table;
use lockgate_config::value::Config;
use lockgate_core::drill::{Fault, LABEL, ON};
use lockgate_core::name::{FeatureName, LabelName, RolloutId};
use lockgate_core::plan::{Phase, PhaseKind, Plan};
use lockgate_core::segment::{Confine, Matcher};
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::state::{FeatureState, Rollout};
use lockgate_core::sums::{BucketStart, Sum};

use crate::target::TestTarget;
use crate::world::*;

/// Puts a rehearsal in force in which every marked call goes to the candidate.
fn rehearse(table: &mut Table, fault: Fault) {
    let stable = table.config.features[&feature_name()].versions.values().next().unwrap().id.clone();
    let mut plan = Plan::standard();
    plan.phases = vec![Phase {
        name: "drill".into(),
        kind: PhaseKind::Canary { share: Share::FULL },
        dwell: Duration::from_secs(1200),
        deadline: Duration::from_secs(600),
        confine: Confine::everyone(),
        gates: Vec::new(),
    }];
    let id = RolloutId(uuid::Uuid::now_v7());
    let began = jiff::Timestamp::from_second(1_799_999_990).unwrap();
    let mut rollout = Rollout::begin(id, stable.clone(), version_ref("drill"), plan, began);
    rollout.drill = Some(fault);
    rollout.confine = Confine(vec![Matcher([(LabelName::new(LABEL).unwrap(), [ON.into()].into())].into())]);
    let state = FeatureState { rollout: Some(rollout), ..FeatureState::new(stable) };
    *table = Table::new(Arc::clone(&table.config), &HashMap::from([(feature_name(), state)]));
}

fn feature_name() -> FeatureName {
    FeatureName::new(FEATURE).unwrap()
}

pub async fn rehearsing(config: Config, fault: Fault) -> World {
    World::start_with(config, |table| rehearse(table, fault)).await
}

pub fn marked(world: &World) -> Request<Full<Bytes>> {
    let mut request = world.post("/v1/chat/completions", CALL);
    request.headers_mut().insert("x-lockgate-drill", ON.parse().unwrap());
    request
}

/// The labels under which anything was counted.
async fn segments(world: &World) -> BTreeSet<String> {
    world.gateway.flush().await;
    let all = world.store.sums(&feature_name(), BucketStart(0), BucketStart(i64::MAX / 2)).await.unwrap();
    all.values().flatten().map(|(key, _)| key.segment.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_mark_means_nothing_when_no_drill_runs() {
    let target = TestTarget::saying(200, ANSWER).await;
    let versions = vec![version("v1", vec![chat("a", &target)]), version("v2", vec![chat("b", &target)])];
    // Also beside a real rollout, to all of whose callers the mark is a header like any other.
    let world = World::start_with(config(versions), |table| canary(table, "v2", 0.5)).await;
    for _ in 0..8 {
        assert_eq!(world.send(marked(&world)).await.status, 200);
    }
    assert_eq!(segments(&world).await, BTreeSet::from([String::new()]));
    world.stop().await;
}

#[tokio::test]
async fn only_marked_calls_meet_the_fault_and_they_fall_back_as_in_life() {
    let mut target = TestTarget::start().await;
    let chain = vec![chat("a", &target.url), rules("desk")];
    let world = rehearsing(config(vec![version("v1", chain)]), Fault::Errors(1.0)).await;

    let got = world.send(marked(&world)).await;
    assert_eq!((got.status, got.header("x-lockgate-arm")), (StatusCode::OK, Some("candidate")));
    assert_eq!(
        (got.header("x-lockgate-version"), got.header("x-lockgate-degraded")),
        (Some("drill"), Some("true"))
    );
    assert!(target.is_idle(), "nobody would have read its answer");

    let users = world.sending(world.post("/v1/chat/completions", CALL));
    target.next().await.say(200, ANSWER);
    let users = users.await.unwrap();
    assert_eq!(
        (users.header("x-lockgate-arm"), users.header("x-lockgate-version")),
        (Some("stable"), Some("v1"))
    );

    assert_eq!(world.rate("drill", Arm::Candidate, Signal::Error).await, (1, 1));
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Error).await, (0, 1));
    assert_eq!(segments(&world).await, BTreeSet::from([String::new(), format!("{LABEL}={ON}")]));
    world.stop().await;
}

#[tokio::test]
async fn a_rehearsed_error_without_anything_behind_it_says_what_it_is() {
    let target = TestTarget::saying(200, ANSWER).await;
    let versions = vec![version("v1", vec![chat("a", &target)])];
    let world = rehearsing(config(versions), Fault::Errors(1.0)).await;
    let got = world.send(marked(&world)).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (500, "drill"));
    world.stop().await;
}

#[tokio::test]
async fn the_part_that_is_not_hit_is_answered_by_stables_own_chain() {
    let target = TestTarget::saying(200, ANSWER).await;
    let versions = vec![version("v1", vec![chat("a", &target)])];
    let world = rehearsing(config(versions), Fault::Errors(0.5)).await;
    let mut statuses = BTreeSet::new();
    for _ in 0..64 {
        statuses.insert(world.send(marked(&world)).await.status.as_u16());
    }
    assert_eq!(statuses, BTreeSet::from([200, 500]));
    world.stop().await;
}

#[tokio::test]
async fn a_held_back_answer_is_as_slow_as_it_looks_and_past_the_deadline_a_timeout() {
    const BY: Duration = Duration::from_millis(300);
    let target = TestTarget::saying(200, ANSWER).await;
    let chain = vec![chat("a", &target), rules("desk")];
    let world = rehearsing(config(vec![version("v1", chain)]), Fault::Latency(BY)).await;

    let asked = Instant::now();
    let got = world.send(marked(&world)).await;
    assert!(asked.elapsed() >= BY && got.header("x-lockgate-tier") == Some("0"), "{got:?}");
    let Some(Sum::Levels(levels)) = world.sum("drill", Arm::Candidate, Signal::Latency).await else {
        panic!("latency was counted")
    };
    let least = lockgate_core::duration_levels::level(BY);
    assert!(levels.keys().all(|level| *level >= least), "{levels:?}");

    let mut hurried = marked(&world);
    hurried.headers_mut().insert("x-lockgate-deadline-ms", "200".parse().unwrap());
    let got = world.send(hurried).await;
    assert_eq!((got.status.as_u16(), got.header("x-lockgate-degraded")), (200, Some("true")));
    assert_eq!(world.rate("drill", Arm::Candidate, Signal::Timeout).await, (1, 2));
    world.stop().await;
}

#[tokio::test]
async fn a_drill_whose_stable_version_is_another_one_now_is_not_rehearsed() {
    let target = TestTarget::saying(200, ANSWER).await;
    let world = rehearsing(config(vec![version("v1", vec![chat("a", &target)])]), Fault::Errors(1.0)).await;
    let other = Arc::new(config(vec![version("v9", vec![chat("a", &target)])]));
    let stale = world.live.table().rollouts[&feature_name()].as_ref().clone();
    let state = FeatureState { rollout: Some(stale), ..FeatureState::new(version_ref("v1")) };
    world.live.publish(Table::new(other, &HashMap::from([(feature_name(), state)])));
    let got = world.send(marked(&world)).await;
    assert_eq!((got.status.as_u16(), got.header("x-lockgate-version")), (200, Some("v9")));
    world.stop().await;
}
