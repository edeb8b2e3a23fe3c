//! Rules that are no statistics, and those about sizes: what never may happen, spending, session costs, distributions.

use super::scene::*;
use crate::event::{Cause, Event, Outcome};
use crate::evidence::Lane;
use crate::name::RolloutId;
use crate::plan::{Action, Need, Plan, Rule};
use crate::signal::{Arm, Signal};
use crate::sums::BucketSums;

fn with_trigger(signal: Signal, rule: Rule, action: Action) -> Scene {
    let mut plan = plan();
    plan.phases[1].dwell = 3 * HOUR;
    plan.triggers.push(trigger(signal, rule, 300, action));
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene
}

fn with_gate(signal: Signal, rule: Rule) -> Scene {
    let mut plan = plan();
    plan.phases[1].gates = vec![error_under(0.02), gate(signal, rule, Need::Always)];
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene
}

fn gate_of(scene: &Scene, signal: &Signal) -> crate::event::Verdict {
    let evidence = scene.evidence();
    let mut gates = evidence.checks.into_iter().filter(|check| check.action.is_none());
    gates.find(|check| check.verdict.signal == *signal).unwrap().verdict
}

#[test]
fn the_first_leak_freezes_at_once_and_what_a_person_has_seen_does_not_freeze_again() {
    let mut scene = with_trigger(Signal::PiiLeak, Rule::Never, Action::Freeze);
    let leak = |hits| {
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(key(Arm::Candidate, Signal::PiiLeak), rate(20, hits));
        sums
    };
    scene.pass_time(100, &leak(0));
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(1, &leak(1));
    let decision = scene.decide();
    let Event::Frozen { cause: Cause::Trigger, why, .. } = &decision.events[0] else {
        panic!("{decision:?}")
    };
    assert_eq!(why, "pii_leak never: it happened: 1 of 2020");
    assert_eq!(scene.step(), ["frozen"]);
    scene.happen(Event::Resumed { rollout: RolloutId(Default::default()), why: "a test account".into() });
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(50, &leak(0));
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(1, &leak(1));
    assert_eq!(scene.step(), ["frozen"], "but the next one does");
}

#[test]
fn what_happens_around_a_resumption_is_not_forgiven_unseen() {
    let leak = |hits| {
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(key(Arm::Candidate, Signal::PiiLeak), rate(20, hits));
        sums
    };
    let resumed = || Event::Resumed { rollout: RolloutId(Default::default()), why: "a test".into() };
    // Another one, between the freeze and the word of whoever had seen the first.
    let mut scene = with_trigger(Signal::PiiLeak, Rule::Never, Action::Freeze);
    scene.pass_time(1, &leak(1));
    assert_eq!(scene.step(), ["frozen"]);
    scene.pass_time(3, &leak(0));
    scene.pass_time(1, &leak(1));
    assert_eq!(scene.step(), [""; 0], "it stands still already");
    scene.happen(resumed());
    let mut before_the_next_bucket =
        Scene { state: scene.state.clone(), ledger: scene.ledger.clone(), ..scene };
    assert_eq!(before_the_next_bucket.step(), ["frozen"]);
    scene.pass_time(1, &leak(0));
    assert_eq!(scene.step(), ["frozen"]);
    scene.happen(resumed());
    scene.pass_time(1, &leak(0));
    assert_eq!(scene.step(), [""; 0], "now it was seen");

    // One during a pause, which nobody was told of.
    let mut scene = with_trigger(Signal::PiiLeak, Rule::Never, Action::Freeze);
    let rollout = RolloutId(Default::default());
    scene.happen(Event::Paused { rollout, cause: Cause::Person, why: "lunch".into(), standing: vec![] });
    scene.pass_time(1, &leak(1));
    scene.happen(resumed());
    scene.pass_time(1, &leak(0));
    assert_eq!(scene.step(), ["frozen"]);
}

#[test]
fn an_incident_takes_the_rollout_back_and_one_of_stables_does_not() {
    let mut scene = with_trigger(Signal::Incident, Rule::Never, Action::RollBack);
    let incident = |arm| {
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(key(arm, Signal::Incident), rate(1, 1));
        sums
    };
    scene.pass_time(1, &incident(Arm::Stable));
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(1, &incident(Arm::Candidate));
    assert_eq!(scene.step(), ["rollback_started"]);
}

#[test]
fn a_gate_on_what_never_happened_is_not_waited_for_and_promotes_nobody_by_itself() {
    let mut scene = with_gate(Signal::Incident, Rule::Never);
    assert_eq!(gate_of(&scene, &Signal::Incident).outcome, Outcome::Pass);
    scene.pass_time(400, &BucketSums::new());
    assert_eq!(scene.step(), [""; 0], "nothing was looked at");
    scene.pass_time(400, &calls((20, 0), (180, 1)));
    assert_eq!(scene.step(), ["phase_entered", "completed"]);
    let mut scene = with_gate(Signal::Incident, Rule::Never);
    let mut sums = calls((20, 0), (180, 1));
    sums.insert(key(Arm::Candidate, Signal::Incident), rate(20, 1));
    scene.pass_time(1, &sums);
    assert_eq!(scene.step(), ["rollback_started"], "and it happened");
}

/// Sessions of both arms: most cheap, some dear, one in a hundred very dear.
fn sessions(candidate: u64, stable: u64, times: f64) -> BucketSums {
    let cost = |n: u64, times: f64| {
        let of = |nanos: f64| (nanos * times) as u64;
        sizes(&[(of(1e6), n * 8), (of(3e6), n * 2), (of(12e6), n / 5)])
    };
    let mut sums = calls((20, 0), (180, 0));
    sums.insert(key(Arm::Stable, Signal::SessionCost), cost(stable, 1.0));
    if candidate > 0 {
        sums.insert(key(Arm::Candidate, Signal::SessionCost), cost(candidate, times));
    }
    sums
}

const WITHIN: Rule = Rule::RiseUnder { fail: 0.2, pass: 0.2 };

#[test]
fn equal_session_costs_pass_and_half_as_much_again_fails() {
    for (times, outcome) in [(1.0, Outcome::Pass), (1.5, Outcome::Fail), (1.2, Outcome::Inconclusive)] {
        let mut scene = with_gate(Signal::SessionCost, WITHIN);
        scene.pass_time(30, &sessions(0, 10, 1.0));
        scene.pass_time(60, &sessions(10, 10, times));
        let verdict = gate_of(&scene, &Signal::SessionCost);
        assert_eq!(verdict.outcome, outcome, "{times}: {verdict:?}");
        let mean = verdict.estimate.unwrap() / verdict.stable_estimate.unwrap();
        assert!((mean / times - 1.0).abs() < 0.2, "{times} {mean}");
    }
}

#[test]
fn nothing_is_paired_before_two_hundred_of_stables_sessions_have_set_the_cap() {
    let mut scene = with_gate(Signal::SessionCost, WITHIN);
    scene.pass_time(10, &sessions(5, 1, 50.0));
    let verdict = gate_of(&scene, &Signal::SessionCost);
    assert_eq!((verdict.log_e_fail, verdict.log_e_pass), (0.0, 0.0));
    assert!(verdict.why.starts_with("stable's sessions are still counted"), "{}", verdict.why);
    scene.pass_time(60, &sessions(5, 1, 50.0));
    assert_eq!(gate_of(&scene, &Signal::SessionCost).outcome, Outcome::Fail);
}

#[test]
fn lengths_that_move_to_another_octave_are_found_and_named() {
    let shift = Rule::ShiftUnder { ratio: 2.0 };
    let lengths = |candidate: &[(u64, u64)]| {
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(key(Arm::Candidate, Signal::OutputLength), sizes(candidate));
        sums.insert(key(Arm::Stable, Signal::OutputLength), sizes(&[(100, 90), (300, 70), (700, 20)]));
        sums
    };
    let mut scene = with_trigger(Signal::OutputLength, shift, Action::RollBack);
    scene.pass_time(300, &lengths(&[(100, 10), (300, 8), (700, 2)]));
    assert_eq!(scene.step(), [""; 0], "as stable");
    scene.pass_time(100, &lengths(&[(100, 4), (300, 6), (2_000, 10)]));
    let decision = scene.decide();
    let Event::RollbackStarted { why, .. } = &decision.events[0] else { panic!("{decision:?}") };
    assert!(why.contains("1024 to 2047 is"), "{why}");

    let mut scene = with_gate(Signal::OutputLength, shift);
    scene.pass_time(300, &lengths(&[(100, 10), (300, 8), (700, 2)]));
    assert_eq!(gate_of(&scene, &Signal::OutputLength).outcome, Outcome::Pass);
}

#[test]
fn spending_is_counted_per_session_so_that_a_larger_share_is_no_larger_spending() {
    let spend = Rule::SpendUnder { times: 3.0 };
    let spending = |candidate: u64, tokens: u64| {
        let mut sums = calls((candidate * 4, 0), (400, 0));
        for (arm, sessions, tokens) in [(Arm::Candidate, candidate, tokens), (Arm::Stable, 100, 100 * 2_000)]
        {
            sums.insert(key(arm, Signal::Sessions), amount(sessions, 0));
            sums.insert(key(arm, Signal::Tokens), amount(sessions * 4, tokens));
        }
        sums
    };
    let mut scene = with_trigger(Signal::Tokens, spend, Action::Freeze);
    scene.pass_time(30, &spending(1, 2_000));
    scene.pass_time(30, &spending(100, 200_000));
    assert_eq!(scene.step(), [""; 0], "a hundred times the share");
    scene.pass_time(30, &spending(100, 900_000));
    assert_eq!(scene.step(), ["frozen"]);
    let Some(crate::state::Stage::Frozen { why, .. }) = scene.state.rollout.map(|rollout| rollout.stage)
    else {
        panic!()
    };
    assert!(why.starts_with("tokens < 3 x stable per session: over 6000 per session: "), "{why}");
}

#[test]
fn what_a_signal_cannot_be_judged_by_is_said_and_shows_nothing() {
    for (signal, rule) in [
        (Signal::Tokens, Rule::RateUnder { limit: 0.1, blame: BLAME }),
        (Signal::Cost, WITHIN),
        (Signal::Escalated, Rule::ShiftUnder { ratio: 2.0 }),
        (Signal::Csat, Rule::Never),
        (Signal::Tokens, Rule::SpendUnder { times: 3.0 }),
    ] {
        let scene = with_gate(signal.clone(), rule);
        let verdict = gate_of(&scene, &signal);
        assert!(verdict.why.starts_with(&format!("`{signal}` cannot be judged so: ")), "{}", verdict.why);
        assert_eq!((verdict.outcome, verdict.alpha), (Outcome::Inconclusive, 0.0));
    }
}

#[test]
fn what_happens_in_neither_arm_does_not_hold_a_relative_gate_for_ever() {
    let mut scene = with_gate(Signal::Degraded, Rule::RatioUnder { fail: 1.25, pass: 1.5 });
    let mut sums = calls((20, 0), (180, 0));
    sums.insert(key(Arm::Candidate, Signal::Degraded), rate(20, 0));
    sums.insert(key(Arm::Stable, Signal::Degraded), rate(180, 0));
    scene.pass_time(100, &sums);
    assert_eq!(gate_of(&scene, &Signal::Degraded).outcome, Outcome::Inconclusive);
    scene.pass_time(300, &sums);
    let verdict = gate_of(&scene, &Signal::Degraded);
    assert_eq!(verdict.outcome, Outcome::Pass);
    assert!(verdict.why.starts_with("shown to be rarer than 0.1 %"), "{}", verdict.why);
}

#[test]
fn the_standard_plan_freezes_on_a_leak_in_every_lane() {
    for (lane, arm, phase) in [(Lane::Shadow, Arm::Shadow, 0), (Lane::Candidate, Arm::Candidate, 2)] {
        let mut scene = Scene::new(Plan::standard());
        scene.happen(entered(phase));
        scene.pass_time(1, &BucketSums::from([(key(arm, Signal::PiiLeak), rate(5, 1))]));
        assert_eq!(scene.step(), ["frozen"], "{lane:?}");
    }
}
