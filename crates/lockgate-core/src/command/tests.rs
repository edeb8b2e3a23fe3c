//! Each rule of the commands, case by case. What holds over any sequence of them is in the crate's `tests/state.rs`.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::*;
use crate::event::Entry;
use crate::name::{FeatureName, Revision, VersionName};
use crate::state::Warm;

/// When the tests' stories begin.
pub(super) const AT: Timestamp = Timestamp::constant(1_790_000_000, 0);

pub(super) fn minutes(after: i64) -> Timestamp {
    AT.checked_add(SignedDuration::from_mins(after)).unwrap()
}

pub(super) fn version(name: &str, content: &str) -> VersionRef {
    VersionRef { name: VersionName::new(name).unwrap(), revision: Revision::of(content.as_bytes()) }
}

pub(super) fn entry(ts: Timestamp, event: Event) -> Entry {
    Entry { ts, feature: FeatureName::new("support-reply").unwrap(), author: "ada".into(), event }
}

pub(super) fn applied(mut state: FeatureState, events: Vec<Event>) -> FeatureState {
    events.into_iter().for_each(|event| state.apply(&entry(AT, event)));
    state
}

fn fresh() -> FeatureState {
    FeatureState::new(version("v1", "a"))
}

fn start_of(candidate: VersionRef) -> Command {
    Command::Start {
        candidate,
        plan: Box::new(Plan::standard()),
        owner: Some("support-platform".into()),
        confine: Confine::everyone(),
        again: false,
        undecidable: Vec::new(),
        drill: None,
        rollout: RolloutId(Uuid::from_u128(7)),
        salt: Salt::from_random(42),
    }
}

pub(super) fn started_events() -> Vec<Event> {
    command(&fresh(), &[], &start_of(version("v2", "b")), AT).unwrap()
}

/// A feature whose rollout of `v2` has just begun.
pub(super) fn started() -> FeatureState {
    applied(fresh(), started_events())
}

fn why() -> String {
    "because".into()
}

fn ask(state: &FeatureState, asked: Command) -> Result<Vec<Event>, Refusal> {
    command(state, &[], &asked, AT)
}

fn follow(state: FeatureState, asked: Command) -> FeatureState {
    let events = ask(&state, asked).unwrap();
    applied(state, events)
}

fn code(state: &FeatureState, asked: Command) -> Option<&'static str> {
    ask(state, asked).err().map(|refusal| refusal.code())
}

fn word(state: &FeatureState) -> &'static str {
    state.rollout.as_ref().map_or("none", Rollout::state_word)
}

/// As [`start_of`] `v2`, with one thing changed.
fn start_with(
    change: impl FnOnce(&mut Box<Plan>, &mut Option<String>, &mut VersionRef, &mut bool),
) -> Command {
    let mut asked = start_of(version("v2", "b"));
    if let Command::Start { plan, owner, candidate, again, .. } = &mut asked {
        change(plan, owner, candidate, again);
    }
    asked
}

#[test]
fn a_rollout_begins_in_its_first_phase_with_everything_it_is_judged_by() {
    let state = started();
    assert_eq!(word(&state), "shadow");
    let rollout = state.rollout.unwrap();
    assert_eq!((rollout.plan, rollout.started), (Plan::standard(), AT));
}

#[test]
fn a_rollout_without_owner_or_criteria_does_not_start() {
    assert_eq!(code(&fresh(), start_with(|_, owner, _, _| *owner = None)), Some("no_owner"));
    assert_eq!(code(&fresh(), start_with(|_, owner, _, _| *owner = Some(" ".into()))), Some("no_owner"));
    assert_eq!(code(&fresh(), start_with(|plan, _, _, _| plan.triggers.clear())), Some("no_criteria"));
    assert_eq!(code(&fresh(), start_with(|plan, _, _, _| plan.phases[1].gates.clear())), Some("no_criteria"));
    assert_eq!(code(&fresh(), start_with(|plan, _, _, _| plan.phases.clear())), Some("no_criteria"));
    assert_eq!(
        code(
            &fresh(),
            start_with(|plan, _, _, _| {
                plan.phases.drain(..4);
            })
        ),
        Some("no_criteria"),
        "a plan that only says `everybody, now` judges nothing"
    );
}

#[test]
fn one_rollout_at_a_time() {
    assert_eq!(code(&started(), start_of(version("v3", "c"))), Some("under_way"));
    let back = follow(started(), Command::RollBack { why: why() });
    assert_eq!(word(&back), "rolling_back");
    assert_eq!(code(&back, start_of(version("v3", "c"))), Some("under_way"));
}

#[test]
fn what_users_have_already_is_not_rolled_out() {
    let same = start_with(|_, _, candidate, _| *candidate = version("v1-copy", "a"));
    assert_eq!(code(&fresh(), same), Some("already_stable"));
}

#[test]
fn a_rejected_digest_starts_again_only_knowingly_and_its_edit_starts_freely() {
    let mut state = fresh();
    state.rejected.insert(Revision::of(b"b"));
    assert_eq!(code(&state, start_of(version("v2", "b"))), Some("rejected"));
    assert!(ask(&state, start_with(|_, _, _, again| *again = true)).is_ok());
    assert!(ask(&state, start_of(version("v2", "edited"))).is_ok());
}

#[test]
fn nothing_goes_forwards_while_killed() {
    let kill = |state| follow(state, Command::Kill { to: KillTo::Stable, why: why() });
    assert_eq!(code(&kill(fresh()), start_of(version("v2", "b"))), Some("killed"));
    assert_eq!(code(&kill(started()), Command::Promote { why: why() }), Some("killed"));
    assert_eq!(code(&kill(started()), Command::Resume { why: why() }), Some("killed"));
}

#[test]
fn a_person_promotes_phase_by_phase_to_the_end_and_says_why() {
    assert_eq!(code(&started(), Command::Promote { why: "  ".into() }), Some("no_reason"));
    assert_eq!(code(&fresh(), Command::Promote { why: why() }), Some("no_rollout"));

    let mut state = started();
    for phase in 1..4 {
        state = follow(state, Command::Promote { why: why() });
        assert_eq!(state.rollout.as_ref().and_then(|r| r.stage.in_phase()).map(|at| at.phase), Some(phase));
    }
    let events = ask(&state, Command::Promote { why: why() }).unwrap();
    assert!(
        matches!(
            events.as_slice(),
            [Event::PhaseEntered { phase: 4, cause: Cause::Person, .. }, Event::Completed { .. }]
        ),
        "{events:?}"
    );
    let state = applied(state, events);
    assert_eq!((word(&state), state.stable.name.as_str()), ("completed", "v2"));
    assert_eq!(state.warm.as_ref().map(|warm| warm.until), Some(later(AT, Plan::standard().warm_for)));
    assert_eq!(code(&state, Command::Promote { why: why() }), Some("over"));
}

#[test]
fn promoting_out_of_a_pause_is_one_step_and_out_of_a_freeze_is_two() {
    let paused = follow(started(), Command::Pause { why: why() });
    assert_eq!(word(&follow(paused, Command::Promote { why: why() })), "canary");

    let frozen = freeze(started());
    assert_eq!(code(&frozen, Command::Promote { why: why() }), Some("frozen"));
    let resumed = follow(frozen, Command::Resume { why: why() });
    assert_eq!(word(&follow(resumed, Command::Promote { why: why() })), "canary");
}

fn freeze(state: FeatureState) -> FeatureState {
    let rollout = state.rollout.as_ref().unwrap().id;
    let frozen =
        Event::Frozen { rollout, cause: Cause::Trigger, why: "3 x the tokens".into(), standing: vec![] };
    applied(state, vec![frozen])
}

#[test]
fn pausing_or_killing_a_frozen_rollout_does_not_give_it_its_share_back() {
    let canary = follow(started(), Command::Promote { why: why() });
    let frozen = freeze(canary);
    assert_eq!(ask(&frozen, Command::Pause { why: why() }), Ok(vec![]));

    let killed = follow(frozen, Command::Kill { to: KillTo::Rules, why: why() });
    let revived = follow(killed, Command::Revive { why: why() });
    assert_eq!((word(&revived), revived.route().trial), ("frozen", None));
}

#[test]
fn pause_and_resume_keep_the_place_and_are_harmless_when_repeated() {
    let paused = follow(started(), Command::Pause { why: why() });
    assert_eq!(word(&paused), "paused");
    assert_eq!(ask(&paused, Command::Pause { why: why() }), Ok(vec![]));
    let place = |state: &FeatureState| {
        state.rollout.as_ref().and_then(|rollout| rollout.stage.in_phase()).map(|at| (at.phase, at.since))
    };
    let resumed = follow(paused.clone(), Command::Resume { why: why() });
    assert_eq!(place(&resumed), place(&paused));
    assert_eq!(ask(&resumed, Command::Resume { why: why() }), Ok(vec![]));
}

#[test]
fn the_deadline_runs_anew_from_a_resumption() {
    let paused = follow(started(), Command::Pause { why: why() });
    let mut resumed = paused;
    let events = ask(&resumed, Command::Resume { why: why() }).unwrap();
    events.into_iter().for_each(|event| resumed.apply(&entry(minutes(90), event)));
    let at = resumed.rollout.and_then(|rollout| rollout.stage.in_phase()).unwrap();
    assert_eq!((at.since, at.resumed), (AT, Some(minutes(90))));
}

#[test]
fn a_rollback_is_legal_in_every_state_with_a_rollout() {
    let roll_back = || Command::RollBack { why: why() };
    let completed = (0..4).fold(started(), |state, _| follow(state, Command::Promote { why: why() }));
    let killed = follow(started(), Command::Kill { to: KillTo::Stable, why: why() });
    let paused = follow(started(), Command::Pause { why: why() });
    for state in [started(), paused, freeze(started()), killed, completed] {
        let back = follow(state, roll_back());
        assert_eq!((word(&back), back.stable.name.as_str()), ("rolling_back", "v1"));
        assert!(back.rejected.contains(&Revision::of(b"b")));
        assert_eq!(ask(&back, roll_back()), Ok(vec![]), "asked twice");
    }
    let refusal = ask(&fresh(), roll_back()).unwrap_err();
    assert!(refusal.to_string().starts_with("nothing to roll back"), "{refusal}");
}

#[test]
fn a_flip_goes_to_the_other_version_and_back_to_the_warm_one() {
    let flip = |to: Option<VersionRef>| Command::Flip { to, why: why() };
    assert_eq!(code(&fresh(), flip(None)), Some("nothing_to_flip_to"));
    assert_eq!(code(&fresh(), flip(Some(version("v1", "a")))), Some("already_stable"));
    assert_eq!(code(&started(), flip(Some(version("v3", "c")))), Some("under_way"));

    let green = follow(fresh(), flip(Some(version("v2", "b"))));
    assert_eq!(green.stable, version("v2", "b"));
    let blue = follow(green, flip(None));
    assert_eq!(
        (blue.stable, blue.warm.map(|warm| warm.version)),
        (version("v1", "a"), Some(version("v2", "b")))
    );
}

#[test]
fn a_flip_asks_again_for_what_was_rejected_or_is_no_longer_warm() {
    let warm = Some(Warm { version: version("v0", "z"), until: minutes(-1) });
    let cold = FeatureState { warm, ..fresh() };
    assert_eq!(code(&cold, Command::Flip { to: None, why: why() }), Some("no_longer_warm"));
    assert!(ask(&cold, Command::Flip { to: Some(version("v0", "z")), why: why() }).is_ok());

    let mut rejected = fresh();
    rejected.rejected.insert(Revision::of(b"b"));
    let to = Some(version("v2", "b"));
    assert_eq!(code(&rejected, Command::Flip { to, why: why() }), Some("rejected"));
}

#[test]
fn the_kill_switch_is_always_legal_and_idempotent() {
    let kill = |to| Command::Kill { to, why: why() };
    let killed = follow(started(), kill(KillTo::Stable));
    assert_eq!(ask(&killed, kill(KillTo::Stable)), Ok(vec![]));
    let harder = follow(killed, kill(KillTo::Rules));
    assert_eq!(harder.killed, Some(KillTo::Rules));
    assert_eq!(code(&fresh(), Command::Revive { why: why() }), Some("not_killed"));
    let revived = follow(harder, Command::Revive { why: why() });
    assert_eq!((revived.killed, word(&revived)), (None, "frozen"));
}

#[test]
fn what_stood_at_the_last_look_is_recorded_with_an_override() {
    let standing = vec![Verdict {
        name: "error < 0.5 %".into(),
        signal: crate::signal::Signal::Error,
        arm: crate::signal::Arm::Shadow,
        role: crate::event::Role::Gate,
        outcome: crate::event::Outcome::Inconclusive,
        why: "12 calls of about 36000".into(),
        n: 12,
        estimate: None,
        interval: None,
        stable_n: 0,
        stable_estimate: None,
        limit: Some(0.005),
        log_e_pass: 0.1,
        log_e_pass_needed: Some(3.0),
        log_e_fail: 0.0,
        log_e_fail_needed: Some(6.0),
        alpha: 0.001,
        as_of: None,
        crossed: None,
        missing: None,
        slice: None,
        total: 0.0,
        stable_total: 0.0,
    }];
    let events = command(&started(), &standing, &Command::Promote { why: why() }, AT).unwrap();
    assert!(matches!(&events[0], Event::PhaseEntered { standing: stored, .. } if *stored == standing));
}
