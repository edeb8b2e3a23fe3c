//! Decisions as a script: buckets in, time moved, events out.

mod budget;
mod hard;
mod phases;
mod properties;
mod rebuilt;
mod rings;
mod scene;
mod slices;
mod split;
mod warm;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use self::scene::*;
use super::{CandidateReach, Decision, decide};
use crate::event::{Cause, Event, Outcome};
use crate::evidence::Ledger;
use crate::name::{LabelName, Revision, RolloutId};
use crate::plan::{Action, Rule, Trigger};
use crate::route::KillTo;
use crate::segment::{Confine, Matcher, Segment};
use crate::signal::{Arm, Signal};
use crate::sums::{BucketStart, BucketSums, SumKey};

#[test]
fn a_good_candidate_goes_all_the_way_and_never_before_its_time() {
    let mut scene = Scene::new(plan());
    scene.pass_time(300, &copies(100));
    assert_eq!(scene.step(), [""; 0], "passed, but the dwell time has not");
    assert_eq!(scene.decide().waiting_for, ["10 min more in this phase"]);
    scene.pass_time(60, &copies(100));
    assert_eq!(scene.step(), ["phase_entered"]);
    scene.pass_time(359, &calls((20, 0), (180, 1)));
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(1, &calls((20, 0), (180, 1)));
    assert_eq!(scene.step(), ["phase_entered", "completed"]);
    assert_eq!(scene.state.stable, version("v2"));
    assert_eq!(scene.step(), [""; 0], "only the triggers go on");
}

#[test]
fn a_broken_gate_takes_the_rollout_back_and_the_way_back_ends_when_it_is_measured() {
    let mut scene = Scene::in_canary();
    scene.pass_time(30, &calls((20, 2), (180, 1)));
    let decision = scene.decide();
    let Event::RollbackStarted { cause, why, standing, .. } = &decision.events[0] else { panic!() };
    assert_eq!(*cause, Cause::Gate);
    assert!(why.starts_with("error < 2 %: shown to be over 2 % and over 1.25 x stable's 0.556 %: 60 of 600"));
    assert!(standing.iter().all(|verdict| verdict.outcome == Outcome::Fail));
    assert_eq!(scene.step(), ["rollback_started"]);

    // Calls that were still given out are seen; a bucket that began before does not count.
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(1, &calls((1, 0), (180, 1)));
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(1, &calls((0, 0), (180, 1)));
    let decision = scene.decide();
    let reach = CandidateReach { calls: 601, users: 33, last: None };
    let told = decide(&scene.state, &scene.evidence(), Some(reach), scene.now());
    assert!(matches!(told.events[0], Event::RolledBack { candidate_calls: 601, candidate_users: 33, .. }));
    assert!(matches!(decision.events[0], Event::RolledBack { candidate_calls: 601, .. }));
    assert_eq!(scene.step(), ["rolled_back"]);
    assert_eq!(scene.decide(), Decision::nothing());
}

#[test]
fn two_days_of_good_calls_need_not_be_paid_back_before_a_bad_hour_is_found() {
    let mut long = plan();
    long.phases[1].dwell = 72 * HOUR;
    long.phases[1].deadline = 100 * HOUR;
    let mut scene = Scene::new(long);
    scene.happen(entered(1));
    scene.pass_time(17_280, &calls((20, 0), (180, 0)));
    assert_eq!(scene.step(), [""; 0]);
    // 4 % instead of none: under the trigger's 5 %, over the gate's 2 %.
    let turned: BucketSums = calls((25, 1), (180, 1));
    scene.pass_time(150, &turned);
    assert_eq!(scene.step(), ["rollback_started"]);
}

#[test]
fn late_feedback_does_not_keep_a_way_back_from_ending() {
    let mut scene = Scene::in_canary();
    scene.pass_time(30, &calls((20, 2), (180, 1)));
    scene.step();
    let late = BTreeMap::from([(key(Arm::Candidate, Signal::ThumbsDown), rate(1, 1))]);
    scene.pass_time(1, &late);
    assert_eq!(scene.step(), ["rolled_back"]);
}

#[test]
fn a_way_back_is_open_from_every_state() {
    let rollout = RolloutId(Default::default());
    let why = || "a test".to_owned();
    let paused = Event::Paused { rollout, cause: Cause::Person, why: why(), standing: Vec::new() };
    let frozen = Event::Frozen { rollout, cause: Cause::Person, why: why(), standing: Vec::new() };
    let resumed = Event::Resumed { rollout, why: why() };
    let bad_copies: BucketSums = BTreeMap::from([
        (key(Arm::Shadow, Signal::Error), rate(20, 10)),
        (key(Arm::Stable, Signal::Error), rate(20, 0)),
    ]);
    let ways = [
        vec![],
        vec![paused.clone()],
        vec![frozen.clone()],
        vec![paused.clone(), resumed],
        vec![paused, frozen],
    ];
    for way in ways {
        for (phase, sums) in [(0, &bad_copies), (1, &calls((20, 10), (180, 1)))] {
            let mut scene = Scene::new(plan());
            scene.happen(entered(phase));
            way.iter().for_each(|event| scene.happen(event.clone()));
            scene.pass_time(20, sums);
            assert_eq!(scene.step(), ["rollback_started"], "{phase} {way:?}");
        }
    }
}

#[test]
fn while_the_kill_switch_is_on_nothing_moves() {
    let mut scene = Scene::in_canary();
    scene.pass_time(20, &calls((20, 10), (180, 1)));
    scene.happen(Event::Killed { to: KillTo::Stable, why: "smoke".into() });
    assert_eq!(scene.decide().events, []);
    scene.happen(Event::Revived { why: "clear".into() });
    assert_eq!(scene.step(), ["rollback_started"]);
}

#[test]
fn what_hits_both_arms_is_not_held_against_the_candidate() {
    let mut scene = Scene::in_canary();
    scene.pass_time(120, &calls((20, 4), (180, 36)));
    let decision = scene.decide();
    // A window is over its limit, and that alone calls for a person and moves nothing.
    assert!(matches!(decision.events[..], [Event::Alerted { .. }]), "{decision:?}");
    assert!(
        decision.waiting_for.iter().any(|why| why.contains("both arms are over the limit")),
        "{decision:?}"
    );
}

#[test]
fn a_deadline_pauses_and_a_person_who_resumes_gets_it_anew() {
    let mut scene = Scene::in_canary();
    scene.pass_time(1440, &calls((1, 0), (9, 0)).into_iter().take(1).collect());
    let decision = scene.decide();
    let Event::Paused { cause, why, .. } = &decision.events[0] else { panic!("{decision:?}") };
    assert_eq!(*cause, Cause::Deadline);
    assert!(why.contains("error < 2 %: no data yet"), "{why}");
    assert_eq!(scene.step(), ["paused"]);
    assert_eq!(scene.step(), [""; 0]);
    scene.happen(Event::Resumed { rollout: RolloutId(Default::default()), why: "more traffic soon".into() });
    scene.pass_time(1439, &BucketSums::new());
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(1, &BucketSums::new());
    assert_eq!(scene.step(), ["paused"]);
}

#[test]
fn gates_that_passed_long_ago_do_not_promote_a_candidate_that_nobody_sees() {
    let mut scene = Scene::new(plan());
    scene.pass_time(300, &copies(100));
    scene.pass_time(400, &BucketSums::new());
    let decision = scene.decide();
    assert_eq!(decision.events, []);
    assert!(decision.waiting_for[0].starts_with("a call of the candidate's: the last was counted at"));
    scene.pass_time(1, &copies(100));
    assert_eq!(scene.step(), ["phase_entered"]);
}

#[test]
fn an_optional_gate_stands_aside_until_somebody_reports_it_and_then_waits() {
    let mut scene = Scene::in_canary();
    scene.pass_time(370, &calls((20, 0), (180, 1)));
    let standing = scene.decide().standing;
    assert_eq!(standing[1].why, "nobody has reported it; not waited for");
    let mut with_csat = calls((20, 0), (180, 1));
    with_csat.insert(key(Arm::Stable, Signal::Csat), score(80, 1));
    scene.pass_time(1, &with_csat);
    let decision = scene.decide();
    assert_eq!(decision.events, []);
    assert_eq!(decision.waiting_for, ["csat within 10 % of stable: no data yet"]);
}

#[test]
fn runaway_spending_freezes_and_is_forgiven_by_whoever_resumes() {
    let spending = |calls_of_candidate, total| {
        let mut sums = calls((calls_of_candidate, 0), (180, 0));
        sums.insert(key(Arm::Candidate, Signal::TokensOut), amount(calls_of_candidate, total));
        sums.insert(key(Arm::Stable, Signal::TokensOut), amount(180, 180 * 300));
        sums
    };
    let mut long = plan();
    long.phases[1].dwell = 3 * HOUR;
    let mut scene = Scene::new(long);
    scene.happen(entered(1));
    scene.pass_time(1, &spending(29, 1_000_000));
    assert_eq!(scene.step(), [""; 0], "a handful of calls");
    scene.pass_time(1, &spending(1, 300));
    let decision = scene.decide();
    assert!(
        matches!(&decision.events[0], Event::Frozen { why, .. } if why.contains("stable 300")),
        "{decision:?}"
    );
    scene.step();
    assert_eq!(scene.word(), "frozen");
    assert_eq!(scene.step(), [""; 0]);
    scene.happen(Event::Resumed { rollout: RolloutId(Default::default()), why: "a known batch".into() });
    assert_eq!(scene.step(), [""; 0]);
    scene.pass_time(361, &spending(20, 20 * 300));
    assert_eq!(scene.step(), [""; 0], "the window has moved on");
    scene.pass_time(10, &spending(20, 20 * 30_000));
    assert_eq!(scene.step(), ["frozen"]);
}

#[test]
fn a_proof_that_a_person_has_seen_does_not_freeze_again_and_a_later_one_does() {
    let refused = |candidate: (u64, u64)| {
        let mut sums = calls((20, 0), (180, 0));
        sums.insert(key(Arm::Candidate, Signal::Rejected), rate(candidate.0, candidate.1));
        sums.insert(key(Arm::Stable, Signal::Rejected), rate(180, 1));
        sums
    };
    let mut refusing = plan();
    refusing.phases[1].dwell = 3 * HOUR;
    let rule = Rule::RatioUnder { fail: 2.0, pass: 2.0 };
    let over = Duration::from_secs(300);
    refusing.triggers.push(Trigger {
        signal: Signal::Rejected,
        rule,
        over,
        mode: Default::default(),
        action: Action::Freeze,
        weight: 1.0,
    });
    let mut scene = Scene::new(refusing.clone());
    scene.happen(entered(1));
    scene.pass_time(60, &refused((20, 0)));
    scene.happen(Event::Resumed { rollout: RolloutId(Default::default()), why: "after a pause".into() });
    scene.pass_time(30, &refused((20, 10)));
    assert_eq!(scene.step(), ["frozen"], "an older resumption forgives nothing");
    scene.happen(Event::Resumed { rollout: RolloutId(Default::default()), why: "one known client".into() });
    assert_eq!(scene.step(), [""; 0], "what was shown before");
    scene.pass_time(90, &refused((20, 0)));
    assert_eq!(scene.step(), [""; 0], "and has stopped");
    assert_eq!(scene.word(), "canary");
    scene.pass_time(90, &refused((20, 10)));
    assert_eq!(scene.step(), ["frozen"], "but not what comes after");
}

#[test]
fn a_stricter_limit_of_a_later_phase_does_not_count_yet() {
    let mut strict = plan();
    let mut later = strict.phases[1].clone();
    later.gates = vec![error_under(0.001)];
    strict.phases.insert(2, later);
    strict.phases[1].gates = vec![error_under(0.2)];
    let mut scene = Scene::new(strict);
    scene.happen(entered(1));
    scene.pass_time(60, &calls((20, 1), (180, 0)));
    let fails = |scene: &Scene| {
        scene.evidence().checks.iter().filter(|check| check.verdict.outcome == Outcome::Fail).count()
    };
    assert_eq!((fails(&scene), scene.step()), (1, vec![]));
    scene.happen(entered(2));
    assert_eq!(scene.step(), ["rollback_started"]);
}

#[test]
fn only_people_whom_the_candidate_may_touch_are_compared() {
    let internal = Confine(vec![Matcher(BTreeMap::from([(
        LabelName::new("tier").unwrap(),
        ["internal".to_owned()].into(),
    )]))]);
    let mut confined = plan();
    confined.phases[1].confine = internal;
    let mut scene = Scene::new(confined);
    scene.happen(entered(1));
    let tier = |value: &str| {
        Segment::from_labels(&BTreeMap::from([(LabelName::new("tier").unwrap(), value.to_owned())]))
    };
    let mut sums = BucketSums::new();
    for (arm, tier, n, errors) in [
        (Arm::Candidate, tier("internal"), 20, 0),
        (Arm::Stable, tier("internal"), 30, 3),
        (Arm::Stable, tier("free"), 500, 0),
        (Arm::Candidate, tier("free"), 7, 7),
    ] {
        sums.insert(SumKey { segment: tier, ..key(arm, Signal::Error) }, rate(n, errors));
    }
    scene.pass_time(1, &sums);
    let gate = &scene.evidence().checks[1].verdict;
    assert_eq!((gate.n, gate.estimate, gate.stable_n), (20, Some(0.0), 30));
}

#[test]
fn what_another_rollout_left_behind_does_not_count() {
    let mut scene = Scene::in_canary();
    let mut sums = calls((20, 0), (180, 1));
    let foreign = Revision::of(b"v0");
    for arm in [Arm::Candidate, Arm::Stable, Arm::Shadow] {
        sums.insert(SumKey { revision: foreign, ..key(arm, Signal::Error) }, rate(1000, 1000));
    }
    scene.pass_time(1, &sums);
    // The same bucket again, and one from before, change nothing.
    scene.ledger.take(BucketStart(0), &sums);
    scene.ledger.take(BucketStart(-10_000), &sums);
    let gate = &scene.evidence().checks[1].verdict;
    assert_eq!((gate.n, gate.stable_n), (20, 180));
}

#[test]
fn the_account_begins_with_the_first_bucket_after_the_start() {
    let mut scene = Scene::in_canary();
    let mut rollout = scene.state.rollout.clone().unwrap();
    rollout.started = Timestamp::from_second(5).unwrap();
    scene.ledger = Ledger::new(&rollout, BUCKET);
    scene.pass_time(3, &calls((20, 0), (180, 1)));
    assert_eq!(scene.evidence().checks[1].verdict.n, 40);
}

#[test]
fn a_verdict_says_what_was_shown_and_what_is_missing() {
    let why = |sums: &BucketSums, buckets| {
        let mut scene = Scene::in_canary();
        scene.pass_time(buckets, sums);
        scene.evidence().checks[1].verdict.why.clone()
    };
    assert_eq!(why(&BucketSums::new(), 5), "no data yet");
    assert_eq!(
        why(&calls((20, 0), (180, 0)), 5),
        "not enough evidence: 0 of 100; about 110 more calls, 55 s at the present rate"
    );
    assert_eq!(why(&calls((20, 0), (180, 0)), 50), "shown to be under 2 %: 0 of 1000");
    assert_eq!(
        why(&calls((20, 1), (180, 9)), 5),
        "not enough evidence: 5 of 100; more of the same would not show it"
    );
}

#[test]
fn a_phase_without_gates_is_not_left_by_itself() {
    let mut empty = plan();
    empty.phases[1].gates.clear();
    let mut scene = Scene::new(empty);
    scene.happen(entered(1));
    scene.pass_time(400, &calls((20, 0), (180, 1)));
    assert_eq!(scene.decide().events, []);
}

#[test]
fn nothing_is_promoted_while_a_trigger_is_broken_even_a_forgiven_one() {
    let mut sums = calls((20, 0), (180, 0));
    sums.insert(key(Arm::Candidate, Signal::TokensOut), amount(20, 20 * 30_000));
    sums.insert(key(Arm::Stable, Signal::TokensOut), amount(180, 180 * 300));
    let mut scene = Scene::in_canary();
    scene.pass_time(300, &sums);
    assert_eq!(scene.step(), ["frozen"]);
    scene.happen(Event::Resumed { rollout: RolloutId(Default::default()), why: "seen".into() });
    scene.pass_time(100, &sums);
    let decision = scene.decide();
    assert_eq!(decision.events, []);
    let is_said = |said: &String| said.starts_with("tokens_out < 3 x stable per session: over 900 per call");
    assert!(decision.waiting_for.iter().any(is_said), "{decision:?}");
}
