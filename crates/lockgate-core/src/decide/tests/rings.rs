//! Phases for some people only: a ring that all of them are in, and the step from them to others.

use std::collections::BTreeMap;

use super::scene::*;
use crate::event::{Event, Outcome, Verdict};
use crate::evidence::{Check, Lane};
use crate::name::LabelName;
use crate::plan::{Action, Need, PhaseKind, Plan, Rule};
use crate::segment::{Confine, Matcher};
use crate::share::Share;
use crate::signal::{Arm, Signal};
use crate::sums::BucketSums;

const INTERNAL: [(&str, &str); 1] = [("tier", "internal")];
const FREE: [(&str, &str); 1] = [("tier", "free")];

fn only_internal() -> Confine {
    let tier = LabelName::new("tier").unwrap();
    Confine(vec![Matcher(BTreeMap::from([(tier, ["internal".to_owned()].into())]))])
}

/// Everybody of the ring, then a tenth of all, then all.
fn ring(share: f64) -> Plan {
    let mut plan = plan();
    let mut ring = plan.phases[1].clone();
    ring.name = "ring".into();
    ring.kind = PhaseKind::Canary { share: Share::from_fraction(share).unwrap() };
    ring.confine = only_internal();
    plan.phases.insert(1, ring);
    plan
}

fn in_ring(plan: Plan) -> Scene {
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene
}

/// The ring's calls go to the candidate, everybody else's to stable.
fn of_ring(n: u64, errors: u64) -> BucketSums {
    let mut candidate = calls((n, errors), (0, 0));
    candidate.retain(|key, _| key.arm == Arm::Candidate);
    let mut stable = calls((0, 0), (180, 1));
    stable.retain(|key, _| key.arm == Arm::Stable);
    together([labelled(candidate, &INTERNAL), labelled(stable, &FREE)])
}

fn gate_named(scene: &Scene, name: &str) -> Verdict {
    let is_it = |check: &Check| {
        check.lane == Lane::Candidate
            && check.action.is_none()
            && check.slice.is_none()
            && check.verdict.name == name
    };
    scene.evidence().checks.into_iter().find(is_it).unwrap().verdict
}

#[test]
fn in_a_ring_that_all_are_in_a_broken_limit_is_enough_to_go_back() {
    let mut scene = in_ring(ring(1.0));
    scene.pass_time(60, &of_ring(20, 4));
    let decision = scene.decide();
    let [Event::RollbackStarted { why, .. }] = &decision.events[..] else { panic!("{decision:?}") };
    assert!(why.contains("over 5 %, with nobody left to compare with: 240 of 1200"), "{why}");
    // While some of the ring have stable, it is asked whether they fare better.
    let mut scene = in_ring(ring(0.5));
    scene.pass_time(60, &of_ring(20, 4));
    assert!(!scene.step().contains(&"rollback_started"));
}

#[test]
fn what_hit_both_arms_before_is_not_held_against_the_candidate_when_it_is_alone() {
    let mut plan = plan();
    plan.phases[2].gates = vec![error_under(0.02)];
    plan.phases[2].dwell = HOUR;
    plan.phases[2].deadline = 4 * HOUR;
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene.pass_time(60, &calls((20, 4), (180, 36)));
    assert_eq!(scene.step(), ["alerted"]);
    scene.happen(entered(2));
    let mut alone = calls((200, 0), (0, 0));
    alone.retain(|key, _| key.arm == Arm::Candidate);
    scene.pass_time(1, &alone);
    assert!(!scene.step().contains(&"rollback_started"), "the incident is over");
    alone.insert(key(Arm::Candidate, Signal::Error), rate(200, 10));
    scene.pass_time(20, &alone);
    assert_eq!(scene.step(), ["rollback_started"], "and this is the candidate's own");
}

#[test]
fn a_rule_that_only_compares_stays_silent_in_a_ring_and_says_why() {
    let mut plan = ring(1.0);
    let relative = Rule::RatioUnder { fail: 1.25, pass: 1.5 };
    plan.phases[1].gates.push(gate(Signal::Escalated, relative, Need::Always));
    let mut scene = in_ring(plan);
    let mut sums = of_ring(20, 0);
    let escalated = BucketSums::from([(key(Arm::Candidate, Signal::Escalated), rate(20, 9))]);
    sums.extend(labelled(escalated, &INTERNAL));
    scene.pass_time(100, &sums);
    assert_eq!(scene.step(), [""; 0]);
    let verdict = gate_named(&scene, "escalated < 1.5 x stable");
    assert!(verdict.why.contains("nobody is left to compare with: 900 of 2000"), "{}", verdict.why);
}

#[test]
fn what_was_shown_of_a_ring_is_to_be_shown_again_of_everybody() {
    let mut scene = in_ring(ring(1.0));
    scene.pass_time(400, &of_ring(20, 0));
    assert_eq!(scene.step(), ["phase_entered"]);
    let of_all = labelled(calls((1, 0), (180, 1)), &FREE);
    scene.pass_time(1, &of_all);
    let verdict = gate_named(&scene, "error < 2 %");
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{}", verdict.why);
    assert!(verdict.log_e_pass < 0.1 && verdict.n == 8_001, "{verdict:?}");
    let missing = verdict.missing.unwrap().observations;
    assert!((100..400).contains(&missing), "counted from the new people: {missing}");
    scene.pass_time(359, &labelled(calls((20, 0), (180, 1)), &FREE));
    assert_eq!(scene.step(), ["phase_entered", "completed"]);
}

#[test]
fn what_speaks_against_a_candidate_in_a_ring_is_kept() {
    let mut scene = in_ring(ring(0.5));
    let both = |errors| labelled(calls((20, errors), (20, 0)), &INTERNAL);
    scene.pass_time(12, &both(1));
    let before = gate_named(&scene, "error < 2 %").log_e_fail;
    scene.happen(entered(2));
    scene.pass_time(1, &both(1));
    assert!(before > 0.5 && gate_named(&scene, "error < 2 %").log_e_fail > before);
}

#[test]
fn a_phase_is_not_entered_whose_own_limit_is_shown_to_be_broken() {
    let mut strict = plan();
    let mut later = strict.phases[1].clone();
    (later.name, later.gates) = ("strict".into(), vec![error_under(0.001)]);
    strict.phases.insert(2, later);
    strict.phases[1].gates = vec![error_under(0.2)];
    let mut scene = Scene::new(strict);
    scene.happen(entered(1));
    scene.pass_time(100, &calls((25, 1), (180, 0)));
    let is_said = |why: &String| why.starts_with("error < 0.1 %, which the next phase (`strict`) asks for: ");
    let decision = scene.decide();
    assert!(decision.events.is_empty() && decision.waiting_for.iter().any(is_said), "{decision:?}");
    // Nothing else is missing: to enter it only to go back would reach more people.
    scene.pass_time(300, &calls((25, 1), (180, 0)));
    assert_eq!(scene.step(), ["rollback_started"]);
}

#[test]
fn what_a_person_has_seen_happen_does_not_hold_the_phase_that_asks_that_it_never_does() {
    let mut plan = plan();
    plan.triggers.push(trigger(Signal::PiiLeak, Rule::Never, 300, Action::Freeze));
    let mut later = plan.phases[1].clone();
    later.gates.push(gate(Signal::PiiLeak, Rule::Never, Need::Always));
    plan.phases.insert(2, later);
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    let leak = |hits| {
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(key(Arm::Candidate, Signal::PiiLeak), rate(20, hits));
        sums
    };
    scene.pass_time(1, &leak(1));
    assert_eq!(scene.step(), ["frozen"]);
    let rollout = scene.state.rollout.as_ref().unwrap().id;
    scene.happen(Event::Resumed { rollout, why: "a test account".into() });
    scene.pass_time(400, &leak(0));
    assert_eq!(scene.step(), ["phase_entered"]);
    scene.pass_time(1, &leak(1));
    assert_eq!(scene.step(), ["rollback_started"], "and the next one is broken in earnest");
}
