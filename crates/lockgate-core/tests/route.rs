//! Where calls go in each stage, and that the stages agree about users.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use lockgate_core::command::Command;
use lockgate_core::event::{Cause, Event};
use lockgate_core::route::{KillTo, Route};
use lockgate_core::segment::{Confine, Segment};
use lockgate_core::signal::Arm;
use lockgate_core::state::FeatureState;

use story::{AT, entry, follow, in_phase, version};

fn why() -> String {
    "test".into()
}

fn candidates(route: &Route) -> Vec<usize> {
    let on = |user: &usize| {
        let assignment = route.assign(&format!("user-{user}"), &Segment::none());
        assert_eq!(assignment.arm == Arm::Candidate, assignment.version == &version("v2"));
        assignment.arm == Arm::Candidate
    };
    (0..5000).filter(on).collect()
}

#[test]
fn every_promotion_keeps_those_who_were_on_the_candidate() {
    let mut before = Vec::new();
    for phase in 0..4 {
        let now = candidates(&in_phase(phase, Confine::everyone()).route());
        assert!(before.iter().all(|user| now.contains(user)), "phase {phase}");
        before = now;
    }
    assert!((2500 - 4 * 36..=2500 + 4 * 36).contains(&before.len()), "{}", before.len());
}

#[test]
fn a_shadow_answers_nobody_and_mirrors_whole_sessions() {
    let route = in_phase(0, Confine::everyone()).route();
    assert_eq!(candidates(&route), Vec::<usize>::new());
    let assignment = route.assign("user-1", &Segment::none());
    assert_eq!((assignment.version, assignment.shadow), (&version("v1"), Some(&version("v2"))));
}

#[test]
fn a_pause_keeps_everybody_and_a_freeze_takes_everybody_back() {
    let mut state = in_phase(3, Confine::everyone());
    let running = candidates(&state.route());
    follow(&mut state, &Command::Pause { why: why() });
    assert_eq!(candidates(&state.route()), running);

    let rollout = state.rollout.as_ref().unwrap().id;
    let frozen = Event::Frozen { rollout, cause: Cause::Trigger, why: why(), standing: vec![] };
    state.apply(&entry(AT, frozen));
    assert_eq!(candidates(&state.route()), Vec::<usize>::new());
    follow(&mut state, &Command::Resume { why: why() });
    assert_eq!(candidates(&state.route()), running, "the same people come back");
}

#[test]
fn a_killed_feature_tries_nothing_in_any_phase() {
    for phase in 0..4 {
        for to in [KillTo::Stable, KillTo::Rules] {
            let mut state = in_phase(phase, Confine::everyone());
            follow(&mut state, &Command::Kill { to, why: why() });
            let route = state.route();
            assert_eq!((route.trial.as_ref(), route.killed), (None, Some(to)));
            assert_eq!(candidates(&route), Vec::<usize>::new());
        }
    }
}

#[test]
fn the_end_of_a_rollout_has_one_version_for_all() {
    let completed = in_phase(4, Confine::everyone());
    let route = completed.route();
    assert_eq!((route.stable, route.trial), (version("v2"), None));

    let mut back = completed;
    follow(&mut back, &Command::RollBack { why: why() });
    assert_eq!((back.route().stable, back.route().trial), (version("v1"), None));
}

#[test]
fn a_restart_keeps_everybody_where_they_are() {
    let mut log = vec![entry(AT, story::declared())];
    let mut state = FeatureState::fold(&log).unwrap();
    let orders = [
        story::start("v2", 7, Confine::everyone()),
        Command::Promote { why: why() },
        Command::Promote { why: why() },
        Command::Pause { why: why() },
        Command::Resume { why: why() },
    ];
    for order in orders {
        log.extend(follow(&mut state, &order).into_iter().map(|event| entry(AT, event)));
    }
    let stored: Vec<String> = log.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    let read: Vec<_> = stored.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let restarted = FeatureState::fold(&read).unwrap();
    assert_eq!(restarted, state);
    assert_eq!(candidates(&restarted.route()), candidates(&state.route()));
}
