//! What holds after any sequence of commands and of events that a controller may append.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use jiff::Timestamp;
use lockgate_core::command::{Command, command, serving};
use lockgate_core::event::{Cause, Entry, Event};
use lockgate_core::route::KillTo;
use lockgate_core::segment::Confine;
use lockgate_core::state::{FeatureState, Rollout, Stage};
use proptest::prelude::*;

use story::{after, declared, entry, start, version};

/// One step of a random story.
#[derive(Debug, Clone)]
enum Step {
    /// What a person asks; refusals are part of the story.
    Asks(Ask),
    /// What a controller may append, whether it fits or not: a log is a fact.
    Happens(Happening),
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    Start(u8),
    Promote,
    Pause,
    Resume,
    RollBack,
    Flip(Option<u8>),
    Kill(KillTo),
    Revive,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    PhaseEntered(usize),
    Paused,
    Frozen,
    RollbackStarted,
    RolledBack,
    Completed,
    Declared(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let ask = prop_oneof![
        4 => (2..5u8).prop_map(Ask::Start),
        4 => Just(Ask::Promote),
        1 => Just(Ask::Pause),
        1 => Just(Ask::Resume),
        1 => Just(Ask::RollBack),
        1 => proptest::option::of(1..5u8).prop_map(Ask::Flip),
        1 => Just(Ask::Kill(KillTo::Stable)),
        1 => Just(Ask::Kill(KillTo::Rules)),
        2 => Just(Ask::Revive),
    ];
    let happening = prop_oneof![
        3 => (0..7usize).prop_map(Happening::PhaseEntered),
        1 => Just(Happening::Paused),
        1 => Just(Happening::Frozen),
        1 => Just(Happening::RollbackStarted),
        2 => Just(Happening::RolledBack),
        1 => Just(Happening::Completed),
        1 => (1..5u8).prop_map(Happening::Declared),
    ];
    prop_oneof![2 => ask.prop_map(Step::Asks), 1 => happening.prop_map(Step::Happens)]
}

fn named(number: u8) -> lockgate_core::name::VersionRef {
    version(&format!("v{number}"))
}

fn order(ask: Ask, moment: usize) -> Command {
    let why = || "test".to_owned();
    match ask {
        Ask::Start(number) => start(&format!("v{number}"), moment as u128 + 1, Confine::everyone()),
        Ask::Promote => Command::Promote { why: why() },
        Ask::Pause => Command::Pause { why: why() },
        Ask::Resume => Command::Resume { why: why() },
        Ask::RollBack => Command::RollBack { why: why() },
        Ask::Flip(to) => Command::Flip { to: to.map(named), why: why() },
        Ask::Kill(to) => Command::Kill { to, why: why() },
        Ask::Revive => Command::Revive { why: why() },
    }
}

fn happened(state: &FeatureState, happening: Happening, now: Timestamp) -> Option<Event> {
    if let Happening::Declared(number) = happening {
        return Some(Event::StableDeclared { declared: named(number), stable: named(number) });
    }
    let rollout = state.rollout.as_ref()?.id;
    let (cause, why, standing) = (Cause::Trigger, "test".to_owned(), vec![]);
    Some(match happening {
        Happening::PhaseEntered(phase) => {
            Event::PhaseEntered { rollout, phase, name: "a phase".into(), cause, why, standing }
        }
        Happening::Paused => Event::Paused { rollout, cause, why, standing },
        Happening::Frozen => Event::Frozen { rollout, cause, why, standing },
        Happening::RollbackStarted => Event::RollbackStarted { rollout, cause, why, standing },
        Happening::RolledBack => {
            Event::RolledBack { rollout, last_candidate_call: None, candidate_calls: 0, candidate_users: 0 }
        }
        Happening::Completed => Event::Completed { rollout, warm_until: now },
        Happening::Declared(_) => return None,
    })
}

/// Plays a story and hands every state on the way, with the log so far, to a check.
fn play(steps: &[Step], mut check: impl FnMut(&FeatureState, &[Entry], Timestamp)) {
    let mut log = vec![entry(after(0), declared())];
    let mut state = FeatureState::fold(&log).unwrap();
    for (moment, step) in steps.iter().enumerate() {
        let now = after(moment as i64 * 3600);
        let events = match step {
            Step::Asks(ask) => command(&state, &[], &order(*ask, moment), now).unwrap_or_default(),
            Step::Happens(happening) => happened(&state, *happening, now).into_iter().collect(),
        };
        for event in events {
            let entry = entry(now, event);
            state.apply(&entry);
            log.push(entry);
        }
        check(&state, &log, now);
    }
}

fn any_story() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any_step(), 0..25)
}

proptest! {
    #[test]
    fn a_rollback_is_legal_from_every_state_and_leads_to_stable(steps in any_story()) {
        play(&steps, |state, _, now| {
            let back = Command::RollBack { why: "enough".into() };
            let answer = command(state, &[], &back, now);
            // Where users have gone on to a third version since, there is nothing of the candidate's to take back.
            let is_history = |rollout: &Rollout| {
                matches!(rollout.stage, Stage::Completed { .. })
                    && state.stable.revision != rollout.candidate.revision
            };
            let Some(rollout) = state.rollout.as_ref().filter(|rollout| !is_history(rollout)) else {
                assert_eq!(answer.unwrap_err().code(), "nothing_to_roll_back");
                return;
            };
            let mut state = state.clone();
            answer.unwrap().into_iter().for_each(|event| state.apply(&entry(now, event)));
            let stage = &state.rollout.as_ref().unwrap().stage;
            assert!(matches!(stage, Stage::RollingBack { .. } | Stage::RolledBack { .. }), "{stage:?}");
            assert_eq!(state.route().trial, None);
            assert!(state.rejected.contains(&rollout.candidate.revision));
            assert_eq!(command(&state, &[], &back, now), Ok(vec![]), "asked twice");
        });
    }

    #[test]
    fn the_kill_switch_is_legal_from_every_state_and_tries_nothing(steps in any_story()) {
        play(&steps, |state, _, now| {
            let kill = Command::Kill { to: KillTo::Rules, why: "enough".into() };
            let mut state = state.clone();
            let was_frozen = matches!(state.rollout.as_ref().map(|r| &r.stage), Some(Stage::Frozen { .. }));
            let events = command(&state, &[], &kill, now).unwrap();
            events.into_iter().for_each(|event| state.apply(&entry(now, event)));
            let route = state.route();
            assert_eq!((route.trial.as_ref(), route.killed), (None, Some(KillTo::Rules)));
            assert_eq!(command(&state, &[], &kill, now), Ok(vec![]), "asked twice");
            let is_frozen = matches!(state.rollout.as_ref().map(|r| &r.stage), Some(Stage::Frozen { .. }));
            assert!(is_frozen || !was_frozen, "the switch must not thaw a rollout");
        });
    }

    #[test]
    fn a_killed_feature_has_no_trial_whatever_happened_before(steps in any_story()) {
        play(&steps, |state, _, _| {
            let route = state.route();
            assert!(state.killed.is_none() || route.trial.is_none());
            assert_eq!(route.killed, state.killed);
        });
    }

    #[test]
    fn folding_the_stored_log_is_applying_event_by_event(steps in any_story()) {
        let mut last = None;
        play(&steps, |state, log, _| last = Some((state.clone(), log.to_vec())));
        if let Some((state, log)) = last {
            assert_eq!(FeatureState::fold(&log), Some(state.clone()));
            let text = serde_json::to_string(&log).unwrap();
            let read: Vec<Entry> = serde_json::from_str(&text).unwrap();
            assert_eq!(FeatureState::fold(&read), Some(state));
        }
    }

    #[test]
    fn commands_alone_never_try_what_users_have_or_what_was_rejected_unasked(
        asks in proptest::collection::vec(any_step(), 0..25),
    ) {
        let asks: Vec<Step> = asks.into_iter().filter(|step| matches!(step, Step::Asks(_))).collect();
        play(&asks, |state, _, _| {
            if let Some(trial) = state.route().trial {
                assert_ne!(trial.candidate, state.stable);
                assert!(!state.rejected.contains(&trial.candidate.revision));
            }
            let shares = serving(state).versions;
            assert!(!shares.is_empty() && shares.len() <= 2);
        });
    }

    #[test]
    fn an_event_of_another_rollout_changes_nothing(steps in any_story()) {
        let stranger = lockgate_core::name::RolloutId(uuid::Uuid::from_u128(u128::MAX));
        play(&steps, |state, _, now| {
            let mut touched = state.clone();
            let why = || "another's".to_owned();
            for event in [
                Event::RollbackStarted { rollout: stranger, cause: Cause::Person, why: why(), standing: vec![] },
                Event::Completed { rollout: stranger, warm_until: now },
                Event::Resumed { rollout: stranger, why: why() },
            ] {
                touched.apply(&entry(now, event));
            }
            assert_eq!(&touched, state);
        });
    }
}
