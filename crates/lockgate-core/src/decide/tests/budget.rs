//! The error budget: shared out whole, never more, and spent where it finds most.

use super::scene::*;
use crate::evidence::{Check, Lane};
use crate::plan::{Action, Mode, Plan};
use crate::signal::Signal;
use crate::sums::BucketSums;

/// Twenty slices and one more, each with all that the standard plan looks at.
fn labelled_traffic() -> BucketSums {
    let one = |number: u32| {
        let mut sums = calls((20, 0), (180, 1));
        for signal in [Signal::TaskSuccess, Signal::ThumbsDown, Signal::Degraded, Signal::Fallback] {
            sums.insert(key(crate::signal::Arm::Candidate, signal), rate(20, 1));
        }
        labelled(sums, &[("tier", &format!("t{number:02}"))])
    };
    together((0..21).map(one))
}

fn moves(check: &&Check) -> bool {
    check.action != Some(Action::Alert)
}

#[test]
fn all_parts_together_are_at_most_alpha_with_every_slice_there_may_be() {
    let plan = Plan::standard();
    let (alpha, part) = (plan.alpha, plan.slices.part);
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene.pass_time(1, &labelled_traffic());
    let evidence = scene.evidence();
    let sum = |of: &dyn Fn(&&Check) -> bool| -> f64 {
        evidence.checks.iter().filter(moves).filter(|check| of(check)).map(|check| check.verdict.alpha).sum()
    };
    let (whole, slices) = (sum(&|check| check.slice.is_none()), sum(&|check| check.slice.is_some()));
    assert!(whole <= alpha * (1.0 - part) && whole > 0.95 * alpha * (1.0 - part), "{whole}");
    assert!(slices <= alpha * part && slices > 0.8 * alpha * part, "{slices}");
    let judged: std::collections::BTreeSet<_> =
        evidence.checks.iter().filter_map(|check| check.slice.clone()).collect();
    assert_eq!((judged.len(), evidence.slices_beyond), (20, 1), "the rest is not judged alone, and said");
}

#[test]
fn without_slices_the_whole_gets_their_part() {
    let mut plan = Plan::standard();
    plan.slices.part = 0.0;
    let mut scene = Scene::new(plan);
    scene.happen(entered(1));
    scene.pass_time(1, &labelled_traffic());
    let evidence = scene.evidence();
    assert!(evidence.checks.iter().all(|check| check.slice.is_none()));
    let sum: f64 = evidence.checks.iter().filter(moves).map(|check| check.verdict.alpha).sum();
    assert!(sum <= 0.01 && sum > 0.0095, "{sum}");
}

#[test]
fn what_cannot_be_wrong_by_chance_or_promises_nothing_uses_no_alpha() {
    let mut plan = Plan::standard();
    plan.triggers[0].mode = Mode::Literal;
    let scene = Scene::new(plan);
    for check in scene.evidence().checks {
        let name = check.verdict.name.as_str();
        let is_free = name.contains("never") || name.contains("per session") || name == "error < 2 %";
        let is_alert = check.action == Some(Action::Alert);
        match (is_free || name == "coverage > 80 %", is_alert) {
            (true, _) => assert_eq!(check.verdict.alpha, 0.0, "{name}"),
            // Held to beta over all lanes that it watches.
            (false, true) => assert!((0.05 / 3.0 - check.verdict.alpha).abs() < 1e-12, "{name}"),
            (false, false) => assert!(check.verdict.alpha > 0.0, "{name}"),
        }
    }
}

#[test]
fn every_trigger_watches_copies_users_and_the_warm_days() {
    let evidence = Scene::new(Plan::standard()).evidence();
    for lane in [Lane::Shadow, Lane::Candidate, Lane::Warm] {
        let of_lane = evidence.checks.iter().filter(|check| check.lane == lane && check.action.is_some());
        assert_eq!(of_lane.count(), Plan::standard().triggers.len());
    }
}

#[test]
fn a_rollout_that_is_lengthened_beyond_its_plan_asks_more_of_its_detectors() {
    let mut scene = Scene::in_canary();
    let needed = |scene: &Scene| {
        let evidence = scene.evidence();
        let is_it = |check: &&Check| check.lane == Lane::Candidate && check.verdict.name == "error < 5 %";
        evidence.checks.iter().find(is_it).unwrap().verdict.log_e_fail_needed.unwrap()
    };
    let good = calls((20, 0), (180, 1));
    // Four hours at the longest.
    scene.pass_time(1_440, &good);
    let planned = needed(&scene);
    for (buckets, times) in [(1, 4.0_f64), (1_439, 4.0), (1, 16.0)] {
        scene.pass_time(buckets, &good);
        assert!((needed(&scene) - planned - times.ln()).abs() < 1e-9, "{buckets}");
    }
}

#[test]
fn no_two_checks_share_a_key() {
    let mut plan = Plan::standard();
    let error = plan.triggers[0].clone();
    let with = |change: &dyn Fn(&mut crate::plan::Trigger)| {
        let mut other = error.clone();
        change(&mut other);
        other
    };
    plan.triggers.extend([
        with(&|trigger| trigger.action = Action::Alert),
        with(&|trigger| trigger.over *= 2),
        with(&|trigger| trigger.mode = Mode::Literal),
        with(&|trigger| {
            trigger.rule = crate::plan::Rule::RateUnder { limit: 0.02, blame: crate::plan::Blame::Always }
        }),
        error.clone(),
    ]);
    plan.phases[2].gates[4].rule = crate::plan::Rule::RatioUnder { fail: 1.4, pass: 1.5 };
    let evidence = Scene::new(plan).evidence();
    let keys: std::collections::BTreeSet<String> =
        evidence.checks.iter().map(|check| check.verdict.key()).collect();
    assert_eq!(keys.len(), evidence.checks.len(), "{keys:#?}");
}

/// The bar of the whole design: what silently fails four times as often is found within hundreds of calls.
#[test]
fn four_times_the_allowed_errors_are_found_within_538_calls_on_average() {
    let runs = 300;
    let mut total = 0;
    for seed in 0..runs {
        let mut random = Random(seed);
        let mut scene = Scene::new(Plan::standard());
        scene.happen(entered(1));
        let mut given = 0;
        while scene.step().is_empty() {
            let errors = random.hits(10, 0.02);
            scene.pass_time(1, &calls((10, errors), (990, random.hits(990, 0.004))));
            given += 10;
        }
        total += given;
    }
    let mean = total as f64 / runs as f64;
    println!("found after {mean:.0} calls");
    assert!(mean <= 538.0, "{mean}");
}
