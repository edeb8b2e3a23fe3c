//! Estimates against what is known of their figures from elsewhere: exact sums, and simulations too large to run here.

use std::time::Duration;

use super::*;
use crate::name::LabelName;
use crate::plan::{Action, Blame, Gate, Rule, Trigger};
use crate::share::Share;

const HOUR: Duration = Duration::from_secs(3600);

/// One canary phase of 1 % with an error gate, the same in every respect as the standard plan's.
fn errors_only() -> Plan {
    let mut plan = Plan::standard();
    plan.phases.retain(|phase| phase.name == "1 %");
    plan.phases[0].gates.retain(|gate| gate.signal == Signal::Error);
    plan.triggers.clear();
    plan
}

fn window(signal: Signal, rule: Rule, seconds: u64) -> Trigger {
    let over = Duration::from_secs(seconds);
    Trigger { signal, rule, over, mode: Mode::Literal, action: Action::RollBack, weight: 1.0 }
}

/// The chance that a window at its word is crossed within 48 hours of a healthy candidate.
fn false_alarm(trigger: Trigger, per_second: f64, behaviour: Behaviour) -> f64 {
    let mut plan = errors_only();
    plan.phases[0].gates.clear();
    plan.triggers = vec![trigger];
    let traffic = Traffic { per_second: 100.0 * per_second, stable: behaviour, slices: Vec::new() };
    let effort = Effort { runs: 2, rollouts: 1, seed: 3 };
    estimate(&plan, &traffic, effort).triggers[0].false_alarms[0].probability
}

#[test]
fn a_gate_close_to_its_limit_takes_as_long_as_call_by_call_simulation_says() {
    // 1,200 runs that looked every ten to hundred calls: 37,100 calls to pass at 0.4 % against 0.5 %, with beta 5 %.
    let plan = errors_only();
    let estimate = estimate(&plan, &Traffic::assumed(100.0, &plan), Effort { rollouts: 1, ..Effort::FULL });
    let pass = estimate.phases[0].gates[0].pass.unwrap();
    assert!((pass.observations / 37_100.0 - 1.0).abs() < 0.1, "{pass:?}");
    assert!((pass.seconds - pass.observations).abs() < 1.0, "one candidate call a second: {pass:?}");
    assert!(pass.standard_error < 0.07 && pass.in_time > 0.9, "{pass:?}");
}

#[test]
fn detection_is_close_to_what_no_method_can_beat() {
    let mut plan = errors_only();
    plan.slices.part = 0.0;
    let estimate = estimate(&plan, &Traffic::assumed(100.0, &plan), Effort { rollouts: 1, ..Effort::FULL });
    let fails = &estimate.phases[0].gates[0].fail;
    // ln(100) / KL for 1 % and for 2 % against 0.5 %.
    for (regression, bound) in fails.iter().zip([2_369.0, 359.0]) {
        let until = regression.until.unwrap().observations;
        assert!(until > bound && until < 1.8 * bound, "{until} for {bound}");
        assert_eq!(regression.calls_reached.map(|calls| (calls / until - 1.0).abs() < 0.01), Some(true));
    }
    let gate = &estimate.phases[0].gates[0];
    let (dwell, deadline) = (gate.seen_in_dwell.unwrap(), gate.seen_in_deadline.unwrap());
    assert!(
        dwell.level > deadline.level && deadline.level > 0.005 && dwell.level < 0.0075,
        "{dwell:?} {deadline:?}"
    );
}

#[test]
fn windows_at_their_word_cross_by_chance_as_often_as_scans_of_them_do() {
    let errors = || window(Signal::Error, Rule::RateUnder { limit: 0.02, blame: Blame::Always }, 300);
    let healthy = Behaviour::healthy;
    // A scan of 1,200 times 48 hours, only full windows: 47.7 %. With windows that are not full yet, about 54 %.
    let once_a_second = false_alarm(errors(), 1.0, healthy());
    assert!((once_a_second - 0.477).abs() < 0.06, "{once_a_second}");
    assert!(false_alarm(errors(), 0.1, healthy()) > 0.999);
    assert!(false_alarm(errors(), 100.0, healthy()) < 1e-3);
    let slow = Rule::SlowUnder { limit: Duration::from_secs(10), part: 0.01, blame: Blame::Always };
    let half_a_percent = healthy().slower(Signal::Latency, &[(Duration::from_secs(10), 0.005)]);
    assert!(false_alarm(window(Signal::Latency, slow, 180), 1.0, half_a_percent) > 0.999);
}

#[test]
fn a_broken_slice_is_found_much_sooner_by_its_own_check() {
    let plan = errors_only();
    let mut traffic = Traffic::assumed(100.0, &plan);
    traffic.slices = vec![(Slice { label: LabelName::new("tier").unwrap(), value: "premium".into() }, 0.1)];
    let effort = Effort { runs: 16, rollouts: 1, seed: 1 };
    let slices = slices::slices(
        &course::Scene::new(&plan, &traffic),
        &schedule::Schedule::of(&course::Scene::new(&plan, &traffic)),
        effort,
    );
    assert!(slices[0].sooner.unwrap() > 10.0, "{:?}", slices[0]);
    assert!(slices[0].alone.unwrap().observations < 1_500.0, "{:?}", slices[0]);
}

#[test]
fn gates_without_hope_are_named_with_what_would_help() {
    let plan = Plan::standard();
    let late = undecidable(&plan, &Traffic::assumed(3.0, &plan));
    let error = late.iter().find(|gate| gate.phase == "1 %" && gate.gate.starts_with("error")).unwrap();
    assert!(error.why.contains("observations") && error.hint.contains("a share of"), "{error:?}");
    assert!(undecidable(&errors_only(), &Traffic::assumed(100.0, &errors_only())).is_empty());
}

#[test]
fn a_gate_that_waits_only_for_what_is_reported_does_not_wait_for_what_is_not() {
    let mut plan = errors_only();
    let rule = Rule::DropUnder { fail: 0.02, pass: 0.05 };
    let gate = |need| Gate { signal: Signal::TaskSuccess, rule, need, weight: 1.0 };
    plan.phases[0].gates = vec![gate(Need::IfReported)];
    let traffic = Traffic {
        per_second: 100.0,
        stable: Behaviour::healthy().seen(Signal::TaskSuccess, 0.0),
        slices: Vec::new(),
    };
    assert!(undecidable(&plan, &traffic).is_empty());
    plan.phases[0].gates = vec![gate(Need::Always)];
    let late = undecidable(&plan, &traffic);
    assert!(late[0].why.contains("nobody reports"), "{late:?}");
}

#[test]
fn a_limit_that_stable_does_not_keep_is_never_passed() {
    let plan = errors_only();
    let stable = Behaviour::healthy().at(Signal::Error, 0.006);
    let late = undecidable(&plan, &Traffic { per_second: 1000.0, stable, slices: Vec::new() });
    assert!(late[0].why.contains("0.6 %") && late[0].why.contains("does not pass"), "{late:?}");
}

#[test]
fn traffic_that_makes_no_sense_decides_nothing_and_breaks_nothing() {
    let plan = errors_only();
    for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let effort = Effort { runs: 2, rollouts: 1, seed: 1 };
        let estimate = estimate(&plan, &Traffic::assumed(per_second, &plan), effort);
        assert_eq!(estimate.undecidable.len(), 1, "{per_second}");
        assert_eq!(estimate.phases[0].seconds, None);
        assert_eq!(estimate.whole.completed, 0.0);
    }
}

#[test]
fn the_same_arguments_give_the_same_estimate_and_a_person_can_read_it_from_json() {
    let mut plan = errors_only();
    plan.phases[0].dwell = HOUR;
    plan.phases[0].kind = crate::plan::PhaseKind::Canary { share: Share::from_fraction(0.5).unwrap() };
    let traffic = Traffic::assumed(20.0, &plan);
    let effort = Effort { runs: 4, rollouts: 1, seed: 5 };
    let once = serde_json::to_value(estimate(&plan, &traffic, effort)).unwrap();
    assert_eq!(once, serde_json::to_value(estimate(&plan, &traffic, effort)).unwrap());
    assert_eq!(once["phases"][0]["gates"][0]["fail"][1]["of"], "limit");
    assert_eq!(once["behaviour"][0]["assumed"], true);
}
