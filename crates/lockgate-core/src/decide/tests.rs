//! Decisions as a script: buckets in, time moved, events out.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{CandidateReach, Decision, decide};
use crate::assign::Salt;
use crate::event::{Cause, Entry, Event, Outcome};
use crate::evidence::{Evidence, Ledger};
use crate::name::{FeatureName, LabelName, PlanName, Revision, RolloutId, VersionName, VersionRef};
use crate::plan::{Action, Blame, Gate, Need, Phase, PhaseKind, Plan, Rule, Trigger};
use crate::route::KillTo;
use crate::segment::{Confine, Matcher, Segment};
use crate::share::Share;
use crate::signal::{Arm, Signal};
use crate::state::{FeatureState, Stage};
use crate::sums::{BucketStart, BucketSums, Sum, SumKey};

const BUCKET: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);
const BLAME: Blame = Blame::OverStable { ratio: 1.25 };

fn version(name: &str) -> VersionRef {
    VersionRef { name: VersionName::new(name).unwrap(), revision: Revision::of(name.as_bytes()) }
}

fn gate(signal: Signal, rule: Rule, need: Need) -> Gate {
    Gate { signal, rule, need, weight: 1.0 }
}

fn error_under(limit: f64) -> Gate {
    gate(Signal::Error, Rule::RateUnder { limit, blame: BLAME }, Need::Always)
}

fn phase(name: &str, kind: PhaseKind, gates: Vec<Gate>) -> Phase {
    Phase { name: name.into(), kind, dwell: HOUR, deadline: 4 * HOUR, confine: Confine::everyone(), gates }
}

/// Copies, a tenth, everybody.
fn plan() -> Plan {
    let canary = |share| PhaseKind::Canary { share: Share::from_fraction(share).unwrap() };
    let csat = gate(Signal::Csat, Rule::DropUnder { fail: 0.02, pass: 0.10 }, Need::IfReported);
    Plan {
        name: PlanName::new("short").unwrap(),
        phases: vec![
            phase(
                "shadow",
                PhaseKind::Shadow { sample: Share::FULL },
                vec![gate(Signal::Agreement, Rule::MeanOver { limit: 0.9 }, Need::Always)],
            ),
            phase("10 %", canary(0.1), vec![error_under(0.02), csat]),
            Phase {
                dwell: Duration::ZERO,
                deadline: Duration::ZERO,
                ..phase("100 %", canary(1.0), Vec::new())
            },
        ],
        triggers: vec![
            Trigger {
                signal: Signal::Error,
                rule: Rule::RateUnder { limit: 0.05, blame: BLAME },
                over: Duration::from_secs(300),
                action: Action::RollBack,
                weight: 1.0,
            },
            Trigger {
                signal: Signal::TokensOut,
                rule: Rule::AmountUnder { times: 3.0 },
                over: HOUR,
                action: Action::Freeze,
                weight: 0.0,
            },
        ],
        alpha: 0.01,
        beta: 0.05,
        warm_for: 24 * HOUR,
    }
}

/// A rollout, its account and its clock.
struct Scene {
    state: FeatureState,
    ledger: Ledger,
    next: i64,
}

impl Scene {
    fn new(plan: Plan) -> Self {
        let mut state = FeatureState::new(version("v1"));
        let started = Event::RolloutStarted {
            rollout: RolloutId(Default::default()),
            stable: version("v1"),
            candidate: version("v2"),
            plan: Box::new(plan),
            owner: "team".into(),
            salt: Salt::from_random(1),
            confine: Confine::everyone(),
        };
        state.apply(&entry(Timestamp::UNIX_EPOCH, started));
        let ledger = Ledger::new(state.rollout.as_ref().unwrap(), BUCKET);
        Self { state, ledger, next: 0 }
    }

    /// In the canary phase, entered at the start.
    fn in_canary() -> Self {
        let mut scene = Self::new(plan());
        scene.happen(entered(1));
        scene
    }

    fn now(&self) -> Timestamp {
        BucketStart(self.next).timestamp()
    }

    fn happen(&mut self, event: Event) {
        let now = self.now();
        self.state.apply(&entry(now, event));
    }

    /// The same bucket so many times.
    fn pass_time(&mut self, buckets: u64, sums: &BucketSums) {
        for _ in 0..buckets {
            self.ledger.take(BucketStart(self.next), sums);
            self.next += 10_000;
        }
    }

    fn decide(&self) -> Decision {
        decide(&self.state, &self.ledger.evidence(), None, self.now())
    }

    fn evidence(&self) -> Evidence {
        self.ledger.evidence()
    }

    /// Decides and carries out; the words of what was decided.
    fn step(&mut self) -> Vec<&'static str> {
        let events = self.decide().events;
        let words = events.iter().map(Event::kind).collect();
        events.into_iter().for_each(|event| self.happen(event));
        words
    }

    fn word(&self) -> &'static str {
        self.state.rollout.as_ref().unwrap().state_word()
    }
}

fn entry(ts: Timestamp, event: Event) -> Entry {
    Entry { ts, feature: FeatureName::new("f").unwrap(), author: "test".into(), event }
}

fn entered(phase: usize) -> Event {
    Event::PhaseEntered {
        rollout: RolloutId(Default::default()),
        phase,
        name: "by hand".into(),
        cause: Cause::Person,
        why: "a test".into(),
        standing: Vec::new(),
    }
}

fn key(arm: Arm, signal: Signal) -> SumKey {
    let of = if arm == Arm::Stable { "v1" } else { "v2" };
    let feature = FeatureName::new("f").unwrap();
    SumKey { feature, revision: Revision::of(of.as_bytes()), arm, segment: Segment::none(), signal }
}

fn rate(n: u64, hits: u64) -> Sum {
    Sum::Rate { n, hits }
}

fn amount(n: u64, total: u64) -> Sum {
    Sum::Amount { n, total, squares: 0 }
}

fn score(level: u16, n: u64) -> Sum {
    Sum::Levels(BTreeMap::from([(level, n)]))
}

/// A bucket of user calls: the candidate's and stable's calls and errors.
fn calls(candidate: (u64, u64), stable: (u64, u64)) -> BucketSums {
    BTreeMap::from([
        (key(Arm::Candidate, Signal::Assigned), amount(candidate.0, 0)),
        (key(Arm::Candidate, Signal::Error), rate(candidate.0, candidate.1)),
        (key(Arm::Stable, Signal::Assigned), amount(stable.0, 0)),
        (key(Arm::Stable, Signal::Error), rate(stable.0, stable.1)),
    ])
}

/// A bucket of copies that agree so far.
fn copies(agreement: u16) -> BucketSums {
    BTreeMap::from([
        (key(Arm::Shadow, Signal::Error), rate(20, 0)),
        (key(Arm::Shadow, Signal::Agreement), score(agreement, 20)),
        (key(Arm::Stable, Signal::Error), rate(20, 0)),
    ])
}

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
    assert_eq!(scene.decide(), Decision::nothing());
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
    assert_eq!(decision.events, []);
    assert!(decision.waiting_for.iter().any(|why| why.contains("stable is as bad")), "{decision:?}");
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
        "not enough evidence: 0 of 100; about 110 more at this rate"
    );
    assert_eq!(why(&calls((20, 0), (180, 0)), 50), "shown to be under 2 %: 0 of 1000");
    assert_eq!(
        why(&calls((20, 1), (180, 9)), 5),
        "not enough evidence: 5 of 100; more of the same would not show it"
    );
}

#[test]
fn alpha_is_shared_out_over_all_checks_and_no_more() {
    let scene = Scene::new(Plan::standard());
    let evidence = scene.evidence();
    let gates = evidence.checks.iter().filter(|check| check.action.is_none());
    let of_gates: f64 = gates.map(|check| (-check.verdict.log_e_fail_needed).exp()).sum();
    assert!(of_gates < 0.01 && of_gates > 0.005, "{of_gates}");
    // Canary phases share their gates; triggers watch in both lanes.
    assert_eq!(evidence.checks.len(), 3 + 7 + 2 * 4);
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
    assert!(decision.waiting_for[0].starts_with("tokens_out < 3 x stable per call: over 900 per call"));
}

/// Buckets in which the candidate shows nothing.
fn nothing_shown() -> impl Strategy<Value = BucketSums> {
    let foreign = SumKey { revision: Revision::of(b"v0"), ..key(Arm::Candidate, Signal::Error) };
    let only_stable =
        (1u64..1000).prop_map(|n| BTreeMap::from([(key(Arm::Stable, Signal::Error), rate(n, 0))]));
    prop_oneof![
        Just(BucketSums::new()),
        Just(calls((0, 0), (0, 0))),
        Just(copies(100).into_iter().map(|(key, sum)| (key, Sum::zero(measure(&sum)))).collect()),
        only_stable,
        Just(BTreeMap::from([(foreign, rate(1000, 0))])),
        // Sums of the wrong kind, as a damaged store might hold them.
        Just(BTreeMap::from([(key(Arm::Candidate, Signal::Error), amount(1000, 0))])),
        Just(BTreeMap::from([(key(Arm::Shadow, Signal::Agreement), rate(1000, 1000))])),
        Just(BTreeMap::from([(key(Arm::Candidate, Signal::Error), score(0, 1000))])),
    ]
}

fn measure(sum: &Sum) -> crate::signal::Measure {
    match sum {
        Sum::Rate { .. } => crate::signal::Measure::Rate,
        Sum::Amount { .. } => crate::signal::Measure::Amount,
        Sum::Levels(_) => crate::signal::Measure::Score,
    }
}

/// Any bucket of both arms, as several replicas would have written it.
fn anything() -> impl Strategy<Value = Vec<BucketSums>> {
    let arm = (0u64..40).prop_flat_map(|n| (Just(n), 0..=n));
    let replica = (arm.clone(), arm, 0u16..=100, 0u64..5, 0u64..5).prop_map(
        |(candidate, stable, level, scores, stable_scores)| {
            let mut sums = calls(candidate, stable);
            sums.insert(key(Arm::Candidate, Signal::Csat), score(level, scores));
            sums.insert(key(Arm::Stable, Signal::Csat), score(100 - level, stable_scores));
            sums.insert(key(Arm::Candidate, Signal::TokensOut), amount(candidate.0, candidate.0 * 900));
            sums.insert(key(Arm::Stable, Signal::TokensOut), amount(stable.0, stable.0 * 300));
            sums
        },
    );
    proptest::collection::vec(replica, 1..5)
}

fn merged<'s>(replicas: impl Iterator<Item = &'s BucketSums>) -> BucketSums {
    let mut all = BucketSums::new();
    for (key, sum) in replicas.flatten() {
        all.entry(key.clone()).or_insert_with(|| Sum::zero(key.signal.measure())).add(sum);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_data_in_any_form_never_promotes(
        phase in 0usize..2,
        buckets in proptest::collection::vec((nothing_shown(), 1u64..400), 1..8),
    ) {
        let mut scene = Scene::new(plan());
        scene.happen(entered(phase));
        for (sums, times) in buckets {
            scene.pass_time(times, &sums);
            for event in scene.decide().events {
                prop_assert!(matches!(event, Event::Paused { cause: Cause::Deadline, .. }), "{event:?}");
            }
        }
    }

    #[test]
    fn replicas_merged_in_any_order_and_decided_twice_give_the_same_decision(
        buckets in proptest::collection::vec(anything(), 1..40),
    ) {
        let (mut one, mut other) = (Scene::in_canary(), Scene::in_canary());
        for replicas in &buckets {
            one.pass_time(1, &merged(replicas.iter()));
            other.pass_time(1, &merged(replicas.iter().rev()));
            prop_assert_eq!(one.decide(), other.decide());
        }
        prop_assert_eq!(one.evidence(), other.evidence());
        let text = serde_json::to_string(&one.decide().standing).unwrap();
        let read: Vec<crate::event::Verdict> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.len(), one.decide().standing.len());
    }

    #[test]
    fn whatever_is_counted_a_decision_only_takes_steps_that_are_open(
        buckets in proptest::collection::vec(anything(), 1..60),
    ) {
        let mut scene = Scene::in_canary();
        for replicas in &buckets {
            scene.pass_time(8, &merged(replicas.iter()));
            let before = scene.state.rollout.as_ref().unwrap().stage.clone();
            for event in scene.decide().events {
                let is_open = match (&before, &event) {
                    (Stage::RolledBack { .. } | Stage::Completed { .. }, _) => false,
                    (Stage::RollingBack { .. }, event) => matches!(event, Event::RolledBack { .. }),
                    (Stage::Running(_), event) => !matches!(event, Event::RolledBack { .. }),
                    (_, event) => matches!(event, Event::RollbackStarted { .. } | Event::Frozen { .. }),
                };
                prop_assert!(is_open, "{before:?} {event:?}");
                scene.happen(event);
            }
        }
    }
}
