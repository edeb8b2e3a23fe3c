//! What is in force, recorded or not.

use std::path::Path;

use lockgate_core::assign::Salt;
use lockgate_core::command::{Command, command};
use lockgate_core::plan::Plan;
use lockgate_core::route::KillTo;
use lockgate_core::segment::Confine;
use lockgate_store::row::Hash;

use super::*;
use crate::drawn;

const AT: Timestamp = Timestamp::constant(1_790_000_000, 0);

const CONFIG: &str = r#"
    targets: { desk: { kind: rules, otherwise: "Please try again." } }
    features:
      reply:
        stable: v1
        versions:
          v1: { kind: prompt, chain: [ { target: desk } ] }
          v2: { kind: prompt, chain: [ { target: desk }, { target: desk } ] }
          v3: { kind: prompt, chain: [ { target: desk }, { target: desk }, { target: desk } ] }
"#;

fn feature() -> FeatureName {
    FeatureName::new("reply").unwrap()
}

fn entry(event: Event) -> Entry {
    Entry { ts: AT, feature: feature(), author: "ada".into(), event }
}

/// Events as the log would hand them over after what is known.
fn logged(world: &World, events: Vec<Event>) -> Vec<Logged> {
    let numbered = (world.head().seq + 1..).zip(events);
    numbered.map(|(seq, event)| Logged { seq, hash: Hash([1; 32]), entry: entry(event) }).collect()
}

/// A world whose log has a rollout of `v2` under way.
fn world() -> World {
    let config = lockgate_config::parse(CONFIG, Path::new("."), &|_| None).unwrap().config;
    let id = |name: &str| {
        config.version(&feature(), &lockgate_core::name::VersionName::new(name).unwrap()).unwrap().id.clone()
    };
    let (v1, v2) = (id("v1"), id("v2"));
    let mut world = World::new(Arc::new(config));
    let declared = Event::StableDeclared { declared: v1.clone(), stable: v1 };
    world.take_in(&logged(&world, vec![declared]));
    let start = Command::Start {
        candidate: v2,
        plan: Box::new(Plan::standard()),
        owner: Some("ada".into()),
        confine: Confine::everyone(),
        again: false,
        undecidable: Vec::new(),
        drill: None,
        rollout: drawn::rollout_id(AT),
        salt: Salt::from_random(7),
    };
    world.take_in(&logged(&world, asked(&world, &start)));
    world
}

fn asked(world: &World, order: &Command) -> Vec<Event> {
    command(&world.state(&feature()).unwrap(), &[], order, AT).unwrap()
}

fn roll_back() -> Command {
    Command::RollBack { why: "test".into() }
}

fn kill(to: KillTo) -> Command {
    Command::Kill { to, why: "test".into() }
}

fn in_force(world: &mut World, order: &Command) {
    let events = asked(world, order);
    world.put_in_force(events.into_iter().map(entry).collect());
}

fn word(world: &World) -> &'static str {
    world.state(&feature()).unwrap().rollout.unwrap().state_word()
}

#[test]
fn what_is_in_force_holds_before_the_log_has_it_and_counts_once_after() {
    let mut world = world();
    in_force(&mut world, &roll_back());
    assert_eq!((word(&world), world.pending().len()), ("rolling_back", 1));
    let own: Vec<Event> = world.pending().iter().map(|entry| entry.event.clone()).collect();
    world.take_in(&logged(&world, own));
    assert_eq!((word(&world), world.pending().len()), ("rolling_back", 0));
}

#[test]
fn what_somebody_else_brought_about_meanwhile_is_not_recorded_again() {
    let mut world = world();
    in_force(&mut world, &roll_back());
    let others = command(&self::world().state(&feature()).unwrap(), &[], &roll_back(), AT).unwrap();
    let rollout = world.state(&feature()).unwrap().rollout.unwrap().id;
    let Event::RollbackStarted { cause, standing, .. } = others[0].clone() else { unreachable!() };
    let theirs = Event::RollbackStarted { rollout, cause, why: "another's".into(), standing };
    world.take_in(&logged(&world, vec![theirs]));
    assert!(world.pending().is_empty());
}

#[test]
fn entries_that_are_known_or_leave_a_gap_are_passed_over() {
    let mut world = world();
    let head = world.head();
    let killed = || vec![Event::Killed { to: KillTo::Stable, why: "test".into() }];
    let mut late = logged(&world, killed());
    late[0].seq += 1;
    world.take_in(&late);
    assert_eq!(world.head(), head);
    let mut known = logged(&world, killed());
    known[0].seq -= 1;
    world.take_in(&known);
    assert_eq!((world.head(), world.state(&feature()).unwrap().killed), (head, None));
}

#[test]
fn what_waits_for_the_store_is_bounded_and_never_loses_a_rollback() {
    let mut world = world();
    in_force(&mut world, &roll_back());
    for _ in 0..PENDING_MAX {
        in_force(&mut world, &kill(KillTo::Stable));
        in_force(&mut world, &kill(KillTo::Rules));
    }
    assert!(world.pending().len() <= PENDING_MAX, "{}", world.pending().len());
    assert_eq!(word(&world), "rolling_back");
    assert_eq!(world.state(&feature()).unwrap().killed, Some(KillTo::Rules));
}

#[test]
fn a_way_back_that_waits_for_the_store_does_not_take_a_third_version_from_users() {
    let mut world = world();
    let state = world.state(&feature()).unwrap();
    let rollout = state.rollout.as_ref().unwrap();
    let (id, v2) = (rollout.id, rollout.candidate.clone());
    let config = lockgate_config::parse(CONFIG, Path::new("."), &|_| None).unwrap().config;
    let v3 =
        config.version(&feature(), &lockgate_core::name::VersionName::new("v3").unwrap()).unwrap().id.clone();
    let back = Event::RollbackStarted {
        rollout: id,
        cause: lockgate_core::event::Cause::Trigger,
        why: "late".into(),
        standing: Vec::new(),
    };
    world.put_in_force(vec![entry(back.clone())]);
    let completed = Event::Completed { rollout: id, warm_until: AT };
    let flipped = Event::Flipped { from: v2, to: v3.clone(), why: "test".into(), warm_until: AT };
    world.take_in(&logged(&world, vec![completed, flipped]));
    assert_eq!(world.state(&feature()).unwrap().stable, v3);
    assert!(world.pending().is_empty());
    world.take_in(&logged(&world, vec![back]));
    assert_eq!(world.state(&feature()).unwrap().stable, v3, "not even from the log");
}
