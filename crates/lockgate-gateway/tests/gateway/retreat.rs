//! The gateway's own way back: by its own calls, with nobody to ask.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use lockgate_config::live::Table;
use lockgate_config::value::Config;
use lockgate_core::event::Role;
use lockgate_core::name::{FeatureName, RolloutId};
use lockgate_core::plan::{Action, Blame, Gate, Mode, Need, Phase, PhaseKind, Plan, Rule, Trigger};
use lockgate_core::segment::Confine;
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::state::{FeatureState, Rollout};
use lockgate_store::Store;

use crate::target::TestTarget;
use crate::world::*;

const BUCKET: Duration = Duration::from_secs(10);
/// Calls of a test: plenty for what fails every time.
const CALLS: usize = 200;

fn feature_name() -> FeatureName {
    FeatureName::new(FEATURE).unwrap()
}

/// Half of the users on `v2`, judged by its errors.
fn plan() -> Plan {
    let blame = Blame::OverStable { ratio: 1.25 };
    let rule = Rule::RateUnder { limit: 0.02, blame };
    Plan {
        phases: vec![Phase {
            name: "half".into(),
            kind: PhaseKind::Canary { share: Share::from_fraction(0.5).unwrap() },
            dwell: Duration::from_secs(3600),
            deadline: Duration::from_secs(7200),
            confine: Confine::everyone(),
            gates: vec![Gate { signal: Signal::Error, rule, need: Need::Always, weight: 1.0 }],
        }],
        triggers: vec![Trigger {
            signal: Signal::Error,
            rule,
            over: Duration::from_secs(300),
            mode: Mode::Evidence,
            action: Action::RollBack,
            weight: 1.0,
        }],
        ..Plan::standard()
    }
}

fn states(id: RolloutId, plan: Plan) -> HashMap<FeatureName, FeatureState> {
    let (v1, v2) = (version_ref("v1"), version_ref("v2"));
    let began = jiff::Timestamp::from_second(1_799_999_990).unwrap();
    let rollout = Rollout::begin(id, v1.clone(), v2, plan, began);
    HashMap::from([(feature_name(), FeatureState { rollout: Some(rollout), ..FeatureState::new(v1) })])
}

/// A gateway with a trial of `v2`, and what its stable version and its candidate answer with.
async fn on_trial(store: Store, stable: u16, candidate: u16, plan: Plan) -> (World, RolloutId) {
    let targets = [TestTarget::saying(stable, ANSWER).await, TestTarget::saying(candidate, ANSWER).await];
    let [v1, v2] = targets;
    let config: Config =
        config(vec![version("v1", vec![chat("a", &v1)]), version("v2", vec![chat("b", &v2)])]);
    let id = RolloutId(uuid::Uuid::now_v7());
    let world = World::start_on(store, config, |table| {
        *table = Table::new(Arc::clone(&table.config), &states(id, plan));
    })
    .await;
    (world, id)
}

async fn calls(world: &World) {
    for _ in 0..CALLS {
        world.call().await;
    }
    world.clock.advance(BUCKET);
    world.gateway.look_at_own_calls();
}

fn is_on_trial(world: &World) -> bool {
    world.live.table().routes[&feature_name()].trial.is_some()
}

#[tokio::test]
async fn a_candidate_that_fails_here_is_taken_out_here_and_stays_out() {
    let store = Store::in_memory().await.unwrap();
    let (world, id) = on_trial(store, 200, 500, plan()).await;
    calls(&world).await;
    assert!(!is_on_trial(&world));
    for _ in 0..16 {
        assert_eq!(world.call().await.header("x-lockgate-arm"), Some("stable"));
    }
    let [retreat] = world.live.retreats().try_into().unwrap();
    assert_eq!(retreat.rollout, id);
    assert!(retreat.why.starts_with("gateway test saw in its own calls: error"), "{}", retreat.why);
    assert!(retreat.standing.iter().any(|v| v.role == Role::Trigger && v.arm == Arm::Candidate && v.n > 50));
    assert_eq!(world.gateway.counts().retreats, 1);

    let ready = world.send(world.ask(Method::GET, "/health/ready", "")).await;
    assert_eq!((ready.status.as_u16(), ready.json()["status"].as_str()), (200, Some("ready")));
    assert_eq!(ready.json()["retreats"][0]["feature"], FEATURE);

    // A controller that has not heard of it publishes what it knows.
    world.live.publish(Table::new(Arc::clone(&world.config), &states(id, plan())));
    assert!(!is_on_trial(&world));
    calls(&world).await;
    assert_eq!(world.gateway.counts().retreats, 1, "once is enough");
    // A later rollout is another one.
    let next = RolloutId(uuid::Uuid::now_v7());
    world.live.publish(Table::new(Arc::clone(&world.config), &states(next, plan())));
    assert!(is_on_trial(&world));
    world.stop().await;
}

#[tokio::test]
async fn it_works_while_the_store_is_away() {
    let file = std::env::temp_dir().join(format!("lockgate-retreat-{}.db", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let (world, _) = on_trial(Store::open(&file).await.unwrap(), 200, 500, plan()).await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    calls(&world).await;
    assert!(!is_on_trial(&world));
    world.stop().await;
}

#[tokio::test]
async fn a_flush_in_between_takes_nothing_away_from_the_judgement() {
    let (world, _) = on_trial(Store::in_memory().await.unwrap(), 200, 500, plan()).await;
    for _ in 0..CALLS {
        world.call().await;
    }
    world.clock.advance(BUCKET);
    world.gateway.flush().await;
    world.gateway.look_at_own_calls();
    assert!(!is_on_trial(&world));
    let errors = world.rate("v2", Arm::Candidate, Signal::Error).await;
    assert!(errors.0 > 50 && errors.0 == errors.1, "nor from the store: {errors:?}");
    world.stop().await;
}

#[tokio::test]
async fn what_is_sound_and_what_fails_on_both_sides_stays_on_trial() {
    for (stable, candidate) in [(200, 200), (500, 500)] {
        let store = Store::in_memory().await.unwrap();
        let (world, _) = on_trial(store, stable, candidate, plan()).await;
        for _ in 0..3 {
            calls(&world).await;
        }
        assert!(is_on_trial(&world) && world.live.retreats().is_empty(), "{stable} and {candidate}");
        world.stop().await;
    }
}

#[tokio::test]
async fn windows_taken_at_their_word_are_left_to_whoever_sees_all_calls() {
    let mut literal = plan();
    literal.phases[0].gates.clear();
    literal.triggers[0].mode = Mode::Literal;
    let (world, _) = on_trial(Store::in_memory().await.unwrap(), 200, 500, literal).await;
    calls(&world).await;
    assert!(is_on_trial(&world));
    world.stop().await;
}

#[tokio::test]
async fn time_in_which_nothing_is_counted_costs_nothing() {
    let (world, _) = on_trial(Store::in_memory().await.unwrap(), 200, 500, plan()).await;
    world.gateway.look_at_own_calls();
    world.clock.advance(Duration::from_secs(30 * 86_400));
    let asked = std::time::Instant::now();
    world.gateway.look_at_own_calls();
    assert!(asked.elapsed() < Duration::from_secs(5) && is_on_trial(&world));
    calls(&world).await;
    assert!(!is_on_trial(&world));
    world.stop().await;
}
