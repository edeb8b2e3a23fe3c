//! A plan that is written reads back the same, whatever it holds.

use lockgate_core::name::{LabelName, PlanName};
use lockgate_core::plan::Slices;
use lockgate_core::signal::Signal;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const EVERYTHING: &str = "
alpha: 0.0123
slices: { do: withdraw, part: 12.5% }
on_deadline: roll_back
phases:
  - { name: 'a: \"b\" # c', shadow: 33.3%, dwell: 90m, gates: [ { signal: agreement, above: 90% }, { signal: error, below: 1.23456% } ] }
  - { share: 0.1%, dwell: 1d, only: [ { tier: [ a, b ], geo: eu }, { tier: '1.0' } ], gates: [ { signal: 'rate:ok', within: 5%, fail_beyond: 2% } ] }
  - share: 7%
    only: [ { tier: [ a, b ] }, { tier: '1.0' } ]
    dwell: 1d
    gates:
      - { signal: latency, p999_below: 5s, blame: 1.5 }
      - { signal: latency, p50_below: 1500ms, blame: always }
      - { signal: escalated, ratio_below: 1.5, weight: 0.25 }
      - { signal: 'score:nps', above: 50%, need: if_reported }
      - { signal: session_cost, within: 20%, fail_beyond: 5% }
      - { signal: pii_leak, never: true }
      - { signal: output_length, shift_below: 1.5 }
      - { signal: cache_hit, above: 10% }
  - { share: 100%, only: [ { tier: [ a, b, '1.0' ] }, { geo: eu } ], dwell: 2d, gates: [ { signal: degraded, below: 2% } ] }
triggers:
  - { signal: error, above: 2% }
  - { signal: escalated, ratio_above: 2 }
  - { signal: task_success, below: 50% }
  - { signal: csat, drops: 10%, do: freeze }
  - { signal: cost, times_stable: 3.5, over: 1h30m }
  - { signal: first_token, p95_above: 10s, mode: literal }
  - { signal: session_cost, rises: 20%, do: alert }
  - { signal: incident, never: true }
  - { signal: input_length, shift_above: 1.5, weight: 0.5 }
";

fn read(text: &str, name: &PlanName) -> Plan {
    crate::parse_plan(text, name.clone()).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

#[test]
fn a_written_plan_reads_back_the_same() {
    let name = PlanName::new("everything").unwrap();
    let everything = read(EVERYTHING, &name);
    let standard = Plan { name: name.clone(), ..Plan::standard() };
    for plan in [everything, standard] {
        let text = write_plan(&plan);
        assert_eq!(read(&text, &name), plan, "\n{text}");
    }
}

/// A part strictly between nothing and everything.
fn parts() -> impl Strategy<Value = f64> {
    prop_oneof![1e-6..0.999, (1_u32..1000).prop_map(|n| f64::from(n) / 1000.0)]
}

fn times() -> impl Strategy<Value = f64> {
    prop_oneof![1.001..100.0, (11_u32..1000).prop_map(|n| f64::from(n) / 10.0)]
}

fn spans() -> impl Strategy<Value = std::time::Duration> {
    (1_u64..3_600_000).prop_map(std::time::Duration::from_millis)
}

fn blames() -> impl Strategy<Value = Blame> {
    prop_oneof![Just(Blame::Always), times().prop_map(|ratio| Blame::OverStable { ratio })]
}

fn signals(names: &'static [&'static str]) -> impl Strategy<Value = Signal> {
    select(names).prop_map(|name| name.parse().unwrap())
}

fn slow() -> impl Strategy<Value = (Signal, Rule)> {
    let parts = select(vec![0.5, 0.1, 0.05, 0.01, 0.001]);
    (signals(&["latency", "first_token"]), spans(), parts, blames())
        .prop_map(|(signal, limit, part, blame)| (signal, Rule::SlowUnder { limit, part, blame }))
}

const BAD: &[&str] = &["error", "timeout", "refusal"];
const REPORTED: &[&str] = &["escalated", "hallucination", "pii_leak", "incident", "rate:bad"];
const GOOD: &[&str] = &["csat", "quality", "task_success", "rate:good", "score:nps"];
const SIZES: &[&str] = &["input_length", "output_length"];

/// What both copies and users show: a rule of two margins comes with the second at most the first.
fn of_any_phase() -> BoxedStrategy<(Signal, Rule)> {
    prop_oneof![
        (signals(BAD), parts(), blames())
            .prop_map(|(signal, limit, blame)| (signal, Rule::RateUnder { limit, blame })),
        slow(),
        (signals(SIZES), times()).prop_map(|(signal, ratio)| (signal, Rule::ShiftUnder { ratio })),
        signals(BAD).prop_map(|signal| (signal, Rule::Never)),
    ]
    .boxed()
}

fn of_users() -> BoxedStrategy<(Signal, Rule)> {
    let margins = || (parts(), parts()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        of_any_phase(),
        (signals(REPORTED), times(), times()).prop_map(|(signal, a, b)| {
            (signal, Rule::RatioUnder { fail: f64::min(a, b), pass: f64::max(a, b) })
        }),
        (signals(GOOD), parts()).prop_map(|(signal, limit)| (signal, Rule::MeanOver { limit })),
        (signals(GOOD), margins())
            .prop_map(|(signal, (fail, pass))| (signal, Rule::DropUnder { fail, pass })),
        margins().prop_map(|(fail, pass)| (Signal::SessionCost, Rule::RiseUnder { fail, pass })),
    ]
    .boxed()
}

/// A trigger fires where it fails: its two margins are one.
fn one_margin((signal, rule): (Signal, Rule)) -> (Signal, Rule) {
    let rule = match rule {
        Rule::RatioUnder { fail, .. } => Rule::RatioUnder { fail, pass: fail },
        Rule::DropUnder { fail, .. } => Rule::DropUnder { fail, pass: fail },
        Rule::RiseUnder { fail, .. } => Rule::RiseUnder { fail, pass: fail },
        other => other,
    };
    (signal, rule)
}

fn gates(rules: BoxedStrategy<(Signal, Rule)>) -> impl Strategy<Value = Vec<Gate>> {
    let need = select(vec![Need::Always, Need::IfReported]);
    let gate = (rules, need, 0.0..1000.0).prop_map(|((signal, rule), need, weight)| Gate {
        signal,
        rule,
        need,
        weight,
    });
    vec(gate, 1..5)
}

fn triggers() -> impl Strategy<Value = Vec<Trigger>> {
    let spends = (signals(&["tokens", "tokens_in", "tokens_out", "cost"]), times())
        .prop_map(|(signal, times)| (signal, Rule::SpendUnder { times }));
    let rules = prop_oneof![4 => of_users().prop_map(one_margin), 1 => spends];
    let modes = select(vec![Mode::Evidence, Mode::Literal]);
    let actions = select(vec![Action::RollBack, Action::Freeze, Action::Alert]);
    let one = (rules, spans(), modes, actions, 0.001..1000.0).prop_map(
        |((signal, rule), over, mode, action, weight)| {
            let has_mode = !is_hard(&rule) && !matches!(rule, Rule::ShiftUnder { .. });
            let mode = if !has_mode { Mode::Evidence } else { mode };
            Trigger { signal, rule, over, mode, action, weight }
        },
    );
    let first = Trigger {
        signal: Signal::Error,
        rule: Rule::RateUnder { limit: 0.02, blame: Blame::Always },
        over: std::time::Duration::from_secs(300),
        mode: Mode::Evidence,
        action: Action::RollBack,
        weight: 1.0,
    };
    vec(one, 0..6).prop_map(move |mut triggers| {
        triggers.push(first.clone());
        triggers
    })
}

/// Whom a phase may touch, so that each of the list admits all whom the one before admits.
fn widening() -> Vec<Confine> {
    let matcher = |label: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Matcher([(LabelName::new(label).unwrap(), values)].into())
    };
    let (narrow, wide) = (matcher("tier", &["a"]), matcher("tier", &["a", "1.0"]));
    let home = matcher("geo", &["eu"]);
    vec![Confine(vec![narrow]), Confine(vec![wide.clone()]), Confine(vec![home, wide]), Confine::everyone()]
}

fn plans() -> impl Strategy<Value = Plan> {
    let phase = |rules| ("\\PC{0,12}", spans(), spans(), gates(rules));
    let canaries = vec((0.001_f64..0.9, phase(of_users())), 1..5);
    let slices = (select(vec![SliceAction::RollBack, SliceAction::Withdraw, SliceAction::Freeze]), 0.0..0.99)
        .prop_map(|(action, part)| Slices { action, part });
    let on_deadline = select(vec![OnDeadline::Pause, OnDeadline::RollBack]);
    let shadow = proptest::option::of((0.001_f64..=1.0, phase(of_any_phase())));
    let chances = (1e-6..0.499, 1e-6..0.499, spans());
    (shadow, canaries, triggers(), slices, on_deadline, chances).prop_map(
        |(shadow, mut canaries, triggers, slices, on_deadline, (alpha, beta, warm_for))| {
            let build = |kind, confine, (name, dwell, more, gates): (String, _, _, _)| Phase {
                name,
                kind,
                dwell,
                deadline: dwell + more,
                confine,
                gates,
            };
            let copies = shadow.map(|(sample, phase)| {
                let sample = Share::from_fraction(sample).unwrap();
                build(PhaseKind::Shadow { sample }, Confine::everyone(), phase)
            });
            canaries.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let users = canaries.into_iter().zip(widening()).map(|((share, phase), confine)| {
                let share = Share::from_fraction(share).unwrap();
                build(PhaseKind::Canary { share }, confine, phase)
            });
            let last = Phase {
                name: "all".into(),
                kind: PhaseKind::Canary { share: Share::FULL },
                dwell: std::time::Duration::ZERO,
                deadline: std::time::Duration::ZERO,
                confine: Confine::everyone(),
                gates: Vec::new(),
            };
            let phases = copies.into_iter().chain(users).chain([last]).collect();
            let name = PlanName::new("any").unwrap();
            Plan { name, phases, triggers, alpha, beta, warm_for, slices, on_deadline }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_valid_plan_is_read_back_as_it_was_written(plan in plans()) {
        let text = write_plan(&plan);
        let read = crate::parse_plan(&text, plan.name.clone());
        prop_assert!(read.is_ok(), "{}\n{}", read.unwrap_err(), text);
        prop_assert_eq!(read.unwrap(), plan, "\n{}", text);
    }
}
