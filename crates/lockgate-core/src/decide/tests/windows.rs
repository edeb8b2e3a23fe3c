//! Windows taken at their word: what acts, what only calls for a person, and what is an incident of both arms.

use super::scene::*;
use crate::event::{Cause, Event};
use crate::plan::{Action, Blame, Mode, Plan, Rule, Trigger};
use crate::signal::{Arm, Signal};
use crate::sums::{BucketSums, Sum};

const ERRORS: Rule = Rule::RateUnder { limit: 0.02, blame: BLAME };

fn scene_with(trigger: Trigger) -> Scene {
    let mut plan: Plan = plan();
    plan.phases[1].gates.truncate(1);
    plan.phases[1].gates[0] = error_under(0.10);
    plan.triggers = vec![trigger];
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene
}

fn literal(signal: Signal, rule: Rule, over_seconds: u64, action: Action) -> Trigger {
    Trigger { mode: Mode::Literal, ..trigger(signal, rule, over_seconds, action) }
}

#[test]
fn a_literal_trigger_acts_when_its_window_is_full_and_over_and_not_before() {
    let mut scene = scene_with(literal(Signal::Error, ERRORS, 300, Action::RollBack));
    // One in thirty is over 2 %, whatever it proves.
    scene.pass_time(1, &calls((1, 1), (9, 0)));
    scene.pass_time(28, &calls((1, 0), (9, 0)));
    assert_eq!(scene.step(), [""; 0], "the window is not full");
    scene.pass_time(1, &calls((1, 0), (9, 0)));
    let decision = scene.decide();
    let Event::RollbackStarted { cause: Cause::Trigger, why, .. } = &decision.events[0] else {
        panic!("{decision:?}")
    };
    assert_eq!(why, "error < 2 %: the window is over its limit: 1 of 30");
}

#[test]
fn in_evidence_mode_the_same_window_calls_for_a_person_once_and_moves_nothing() {
    let mut scene = scene_with(trigger(Signal::Error, ERRORS, 300, Action::RollBack));
    scene.pass_time(1, &calls((1, 1), (9, 0)));
    scene.pass_time(29, &calls((1, 0), (9, 0)));
    let decision = scene.decide();
    let Event::Alerted { standing, why, .. } = &decision.events[0] else { panic!("{decision:?}") };
    assert_eq!(standing[0].crossed, Some(crate::sums::BucketStart(290_000)));
    assert!(why.contains("its window is over the limit, by chance or not"), "{why}");
    assert_eq!((scene.step(), scene.word()), (vec!["alerted"], "canary"));
    scene.pass_time(40, &calls((1, 0), (9, 0)));
    assert_eq!(scene.decide().standing.iter().filter(|verdict| verdict.crossed.is_some()).count(), 0);
    scene.pass_time(1, &calls((1, 1), (9, 0)));
    scene.pass_time(1, &calls((1, 0), (9, 0)));
    assert!(scene.decide().standing.iter().any(|verdict| verdict.crossed.is_some()));
    assert_eq!(scene.step(), [""; 0], "told once in a phase");
}

#[test]
fn three_minutes_in_a_row_means_each_of_them() {
    let slow = |n| {
        let level = |ms| crate::duration_levels::level(std::time::Duration::from_millis(ms));
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(
            key(Arm::Candidate, Signal::Latency),
            Sum::Levels([(level(500), 20 - n), (level(11_000), n)].into_iter().collect()),
        );
        sums
    };
    let rule =
        Rule::SlowUnder { limit: std::time::Duration::from_secs(10), part: 0.01, blame: Blame::Always };
    let mut scene = scene_with(literal(Signal::Latency, rule, 180, Action::RollBack));
    let minute = |scene: &mut Scene, n| {
        scene.pass_time(1, &slow(n));
        scene.pass_time(5, &slow(0));
    };
    for n in [2, 2, 0, 2, 2] {
        minute(&mut scene, n);
        assert_eq!(scene.step(), [""; 0]);
    }
    minute(&mut scene, 2);
    assert_eq!(scene.step(), ["rollback_started"]);
}

#[test]
fn an_alert_calls_once_when_its_evidence_says_so_and_moves_nothing() {
    let rule = Rule::RateUnder { limit: 0.01, blame: Blame::Always };
    let mut scene = scene_with(trigger(Signal::Error, rule, 300, Action::Alert));
    scene.pass_time(40, &calls((20, 1), (180, 9)));
    assert_eq!(scene.step(), ["alerted"]);
    scene.pass_time(40, &calls((20, 1), (180, 9)));
    assert_eq!((scene.step(), scene.word()), (vec![], "canary"));
}

#[test]
fn a_daily_cost_of_a_fifth_more_alerts() {
    let mut scene = scene_with(trigger(Signal::Cost, Rule::SpendUnder { times: 1.2 }, 86_400, Action::Alert));
    let spending = |nanos: u64| {
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(key(Arm::Candidate, Signal::Cost), amount(20, 20 * nanos));
        sums.insert(key(Arm::Stable, Signal::Cost), amount(180, 180 * 1_000_000));
        sums
    };
    scene.pass_time(100, &spending(1_150_000));
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(200, &spending(1_300_000));
    assert_eq!(scene.step(), ["alerted"]);
}

#[test]
fn an_incident_of_both_arms_holds_and_says_so() {
    let mut scene = scene_with(trigger(Signal::Error, ERRORS, 300, Action::RollBack));
    scene.pass_time(360, &calls((20, 0), (180, 0)));
    let incident: BucketSums = calls((20, 2), (180, 18));
    scene.pass_time(30, &incident);
    let events = scene.decide().events;
    assert!(matches!(&events[..], [Event::Alerted { .. }]), "{events:?}");
    let waiting_for = scene.decide().waiting_for;
    assert!(waiting_for.iter().any(|why| why.contains("an incident in both arms")), "{waiting_for:?}");
    scene.step();
    scene.pass_time(40, &calls((20, 0), (180, 0)));
    assert_eq!(scene.step(), ["phase_entered", "completed"], "and goes on when it is over");
}

#[test]
fn one_broken_call_is_one_reason_and_not_three() {
    let relative = Rule::RatioUnder { fail: 1.25, pass: 1.5 };
    let mut scene = scene_with(trigger(Signal::Error, ERRORS, 300, Action::RollBack));
    let mut plan = scene.state.rollout.unwrap().plan;
    plan.triggers.push(trigger(Signal::Fallback, relative, 300, Action::RollBack));
    plan.triggers.push(trigger(Signal::Degraded, relative, 300, Action::RollBack));
    scene = Scene::new(plan);
    scene.happen(entered(1));
    let mut sums = calls((20, 8), (180, 1));
    for signal in [Signal::Fallback, Signal::Degraded] {
        sums.insert(key(Arm::Candidate, signal.clone()), rate(20, 8));
        sums.insert(key(Arm::Stable, signal), rate(180, 1));
    }
    scene.pass_time(100, &sums);
    let decision = scene.decide();
    let Event::RollbackStarted { why, standing, .. } = &decision.events[0] else { panic!("{decision:?}") };
    assert_eq!((standing.len(), why.matches("shown to be").count()), (3, 1), "{why}");
}
