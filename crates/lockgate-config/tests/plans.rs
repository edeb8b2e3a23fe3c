//! Plans as files, and whether they can judge a feature.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot go on is to fail")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockgate_config::value::{Config, Feature, Version};
use lockgate_config::{check_plan_for, fit_plan, fit_rollout, load_plans, parse, parse_plan};
use lockgate_core::name::PlanName;
use lockgate_core::plan::{Mode, OnDeadline, Plan, Rule, SliceAction, standard_name};

/// Two versions, of which `new` alone has a price; one has a single tier.
const CHAT: &str = "
targets:
  t: { kind: openai, base_url: 'https://x.example/v1' }
  quiet: { kind: openai, base_url: 'https://y.example/v1', asks_usage: false }
  desk: { kind: rules, otherwise: later }
features:
  reply:
    stable: old
    versions:
      old: { kind: model, chain: [ { target: t, model: m }, { target: desk } ] }
      new: { kind: model, chain: [ { target: t, model: n } ] }
      still: { kind: model, chain: [ { target: quiet, model: n } ] }
prices: { n: { input_per_million: 1, output_per_million: 2 } }
";

const AGENT: &str = "
targets: { bot: { kind: agent, base_url: 'http://bot.example/ask' } }
features:
  reply:
    stable: v1
    versions: { v1: { kind: pipeline, chain: [ { target: bot } ] } }
";

fn read(text: &str) -> Config {
    let loaded = parse(text, Path::new(""), &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.config
}

fn plan(gates: &str, triggers: &str) -> Plan {
    let text = format!(
        "triggers: [ {{ signal: error, above: 2% }} {triggers} ]\nphases: [ {{ share: 1%, dwell: 1h, gates: [ {gates} ] }} ]\n"
    );
    parse_plan(&text, PlanName::new("p").unwrap()).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn said(problems: Vec<lockgate_config::Problem>) -> Vec<String> {
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "{problems:?}");
    problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

const NOTHING: [&str; 0] = [];
const FIRST: &str = "plans.p.phases[0].gates[0].signal: ";

#[test]
fn the_standard_plan_judges_a_plain_chat_without_labels_or_prices() {
    let bare = CHAT.replace("prices: { n: { input_per_million: 1, output_per_million: 2 } }", "");
    assert_eq!(check_plan_for(&read(&bare).features["reply"], &Plan::standard()), []);
    assert_eq!(check_plan_for(&read(AGENT).features["reply"], &Plan::standard()), []);
}

#[test]
fn a_gate_on_money_needs_a_price_on_both_sides() {
    let config = read(CHAT);
    let feature = &config.features["reply"];
    let judged = plan("{ signal: session_cost, within: 20% }, { signal: error, below: 1% }", "");
    let versions = |names: [&str; 2]| -> Vec<Arc<Version>> {
        names.iter().map(|name| Arc::clone(&feature.versions[*name])).collect()
    };
    let fit = |names: [&str; 2]| {
        let versions = versions(names);
        let refs: Vec<&Version> = versions.iter().map(|version| &**version).collect();
        said(fit_rollout(feature, &refs, &judged).problems)
    };
    assert_eq!(
        fit(["old", "new"]),
        [format!(
            "{FIRST}`session_cost` is not counted in feature `reply`: no tier of version `old` has a price"
        )]
    );
    assert_eq!(fit(["new", "still"]), NOTHING);
    // Which versions will be compared is not known yet, and two of them can be.
    assert_eq!(said(check_plan_for(feature, &judged)), NOTHING);
    let bare = read(&CHAT.replace("{ n: ", "{ other: "));
    assert_eq!(said(check_plan_for(&bare.features["reply"], &judged)).len(), 1);
}

#[test]
fn a_gate_that_stands_aside_and_a_trigger_are_told_of_and_not_refused() {
    let bare = read(&CHAT.replace("{ n: ", "{ other: "));
    let judged = plan(
        "{ signal: session_cost, within: 20%, need: if_reported }, { signal: error, below: 1% }",
        ", { signal: cost, times_stable: 3 }",
    );
    let fit = fit_plan(&bare.features["reply"], &judged);
    assert_eq!(said(fit.problems), NOTHING);
    let warned = said(fit.warnings);
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned[0].ends_with("so that this gate stands aside"), "{warned:?}");
    assert!(warned[1].ends_with("so that this trigger never fires"), "{warned:?}");
}

#[test]
fn plain_agents_say_neither_tokens_nor_refusals_and_a_phase_of_nothing_else_is_refused() {
    let config = read(AGENT);
    let refused = |gate: &str| said(check_plan_for(&config.features["reply"], &plan(gate, "")));
    let says = "the answers of plain agents do not say";
    assert_eq!(
        refused("{ signal: output_length, shift_below: 1.5 }"),
        [format!(
            "{FIRST}`output_length` is not counted in feature `reply`: {says} how many tokens they took"
        )]
    );
    assert_eq!(
        refused("{ signal: refusal, below: 5% }"),
        [format!("{FIRST}`refusal` is not counted in feature `reply`: {says} whether they decline")]
    );
    for fed in ["{ signal: first_token, p95_below: 2s }", "{ signal: hallucination, below: 3% }"] {
        assert_eq!(refused(fed), NOTHING, "{fed}");
    }
    assert_eq!(
        refused("{ signal: cache_hit, above: 5%, need: if_reported }"),
        ["plans.p.phases[0].gates: nothing that its gates look at is counted in feature `reply`"]
    );
}

#[test]
fn what_is_counted_but_says_little_is_a_warning() {
    let config = read(CHAT);
    let feature: &Feature = &config.features["reply"];
    let warned = |version: &str, gate: &str| {
        let version = &feature.versions[version];
        let fit = fit_rollout(feature, &[version], &plan(gate, ""));
        assert_eq!(fit.problems, []);
        said(fit.warnings)
    };
    let fallback = "{ signal: fallback, below: 5% }";
    assert_eq!(
        warned("new", fallback),
        [format!("{FIRST}version `new` has one tier and nothing to fall back to: this always passes")]
    );
    assert_eq!(warned("old", fallback), NOTHING);
    assert_eq!(
        warned("still", "{ signal: cache_hit, above: 5% }"),
        [format!(
            "{FIRST}target `quiet` is not asked for the usage of streams: calls that stream are not counted"
        )]
    );
    let mut withdrawing = plan("{ signal: error, below: 1% }", "");
    withdrawing.slices.action = SliceAction::Withdraw;
    assert_eq!(
        said(fit_plan(feature, &withdrawing).warnings),
        ["plans.p.slices: feature `reply` has no label by which its traffic could be sliced"]
    );
}

/// A directory of its own, gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lockgate-plans-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_may_be_a_plan_or_a_configuration_with_plans() {
    let directory = Directory::new("kinds");
    let lone = load_plans(&directory.file("my plan.yaml", "based_on: standard\nbeta: 2%\n")).unwrap();
    assert_eq!(lone.written, [PlanName::new("my-plan").unwrap()]);
    assert_eq!(lone.plans[&lone.written[0]].beta, 0.02);
    assert!(lone.plans.contains_key(&standard_name()));

    // Secrets and prompts are not asked for: only plans are.
    let text = format!(
        "admin: {{ token: {{ env: NOT_SET }} }}\n{CHAT}plans:\n  b: {{ based_on: a }}\n  a: {{ based_on: standard, on_deadline: roll_back }}\n"
    );
    let whole = load_plans(&directory.file("lockgate.yaml", &text)).unwrap();
    let names: Vec<&str> = whole.written.iter().map(PlanName::as_str).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(whole.plans["b"].on_deadline, OnDeadline::RollBack);

    let none = load_plans(&directory.file("none.yaml", CHAT)).unwrap();
    assert!(none.written.is_empty() && none.plans.len() == 1);
    let standard = load_plans(&directory.file("standard.yaml", "based_on: standard\n")).unwrap();
    assert_eq!(*standard.plans[&standard_name()], Plan::standard());
}

#[test]
fn every_mistake_in_a_file_of_plans_is_told_with_the_file_and_its_line() {
    let directory = Directory::new("mistakes");
    let told = |name: &str, text: &str| load_plans(&directory.file(name, text)).map(|_| ()).unwrap_err();
    let lone = told(
        "lone.yaml",
        "based_on: standard\nslices: { part: 2 }\ntriggers: [ { signal: eror, above: 2% } ]\n",
    );
    assert_eq!(lone.list.len(), 2, "{lone}");
    let shown = lone.to_string();
    assert!(shown.contains("lone.yaml:2: slices.part: 2 is not a share"), "{shown}");
    assert!(shown.contains("lone.yaml:3: triggers[0].signal: `eror` is not a signal"), "{shown}");
    assert!(shown.contains("did you mean `error`?"), "{shown}");
    let whole = told("whole.yaml", "plans: { p: { based_on: standart } }\n").to_string();
    assert!(whole.contains("whole.yaml:1: plans.p.based_on: there is no plan `standart`"), "{whole}");
    let missing = load_plans(&directory.0.join("nowhere.yaml")).map(|_| ()).unwrap_err().to_string();
    assert!(missing.contains("nowhere.yaml: there is no such file"), "{missing}");
}

#[test]
fn what_a_plan_writes_of_slices_and_deadlines_is_taken_from_its_base_piece_by_piece() {
    let plans = "
plans:
  a: { based_on: b, slices: { part: 10% } }
  b: { based_on: standard, slices: { do: withdraw, part: 50% }, on_deadline: roll_back }
";
    let config = read(&format!("{CHAT}{plans}"));
    let a = &config.plans["a"];
    assert_eq!((a.slices.action, a.slices.part), (SliceAction::Withdraw, 0.1));
    assert_eq!(a.on_deadline, OnDeadline::RollBack);
}

#[test]
fn what_does_not_spend_alpha_has_no_weight_unless_one_is_written() {
    let judged = plan(
        "{ signal: incident, never: true }, { signal: session_cost, within: 20%, fail_beyond: 5% }",
        ", { signal: error, above: 5%, mode: literal }, { signal: session_cost, rises: 20%, do: alert }, { signal: error, above: 3% }",
    );
    let weights: Vec<f64> = judged.triggers.iter().map(|trigger| trigger.weight).collect();
    assert_eq!(weights, [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(judged.triggers[1].mode, Mode::Literal);
    let gates = &judged.phases[0].gates;
    assert_eq!((gates[0].rule, gates[0].weight), (Rule::Never, 0.0));
    assert_eq!(gates[1].rule, Rule::RiseUnder { fail: 0.05, pass: 0.20 });
}
