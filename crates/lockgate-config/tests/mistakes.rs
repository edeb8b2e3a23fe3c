//! What a file with mistakes is told.

#[path = "mistakes/plans.rs"]
mod plans;

use std::path::Path;

use lockgate_config::{Loaded, Problems, load, parse};
use proptest::prelude::*;

fn env(name: &str) -> Option<String> {
    match name {
        "KEY" => Some("sk-very-private".into()),
        "OTHER_KEY" => Some("sk-other-private".into()),
        "EMPTY" => Some(String::new()),
        "BROKEN" => Some("two words".into()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Loaded, Problems> {
    parse(text, Path::new("tests/mistakes"), &env)
}

/// A whole file around the parts that a case is about.
fn file(top: &str, target: &str, feature: &str, version: &str, plan: &str) -> String {
    let indented = |text: &str, by: usize| {
        text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect::<String>()
    };
    let version =
        if version.is_empty() { "kind: model\nchain: [ { target: t, model: m } ]" } else { version };
    let mut text = format!(
        "{top}\ntargets:\n  t: {{ kind: openai, base_url: \"https://x.example/v1\" }}\n  desk: {{ kind: rules, otherwise: later }}\n  bot: {{ kind: agent, base_url: \"http://bot.example/ask\" }}\n"
    );
    if !target.is_empty() {
        text.push_str(&format!("  other:\n{}", indented(target, 4)));
    }
    text.push_str(&format!(
        "features:\n  f:\n    stable: v1\n{}    versions:\n      v1:\n{}",
        indented(feature, 4),
        indented(version, 8)
    ));
    if !plan.is_empty() {
        text.push_str(&format!("plans:\n  p:\n{}", indented(plan, 4)));
    }
    text
}

/// Checks that a file has exactly one problem, and that it is this one.
fn check(text: &str, expected: &str) {
    let Err(problems) = read(text) else { panic!("nothing is told\n{text}") };
    let told: Vec<String> = problems
        .list
        .iter()
        .map(|problem| {
            assert!(problem.line.is_some(), "no line: {problem:?}\n{text}");
            assert!(
                problem.hint.as_ref().is_some_and(|hint| !hint.is_empty()),
                "no hint: {problem:?}\n{text}"
            );
            format!("{}: {}", problem.path, problem.message)
        })
        .collect();
    assert_eq!(told, [expected], "\n{text}");
    assert!(!problems.to_string().contains("private"), "{problems}");
}

fn top(text: &str, expected: &str) {
    check(&file(text, "", "", "", ""), expected);
}

fn target(text: &str, expected: &str) {
    check(&file("", text, "", "", ""), expected);
}

fn feature(text: &str, expected: &str) {
    check(&file("", "", text, "", ""), expected);
}

fn version(text: &str, expected: &str) {
    check(&file("", "", "", text, ""), expected);
}

fn plan(text: &str, expected: &str) {
    check(&file("", "", "feedback: { resolved: rate, nps: { score: [0, 10] } }", "", text), expected);
}

fn phases(text: &str, expected: &str) {
    plan(&format!("based_on: standard\nphases:\n{text}"), expected);
}

fn gate(text: &str, expected: &str) {
    phases(&format!("  - {{ share: 1%, dwell: 1h, gates: [ {text} ] }}"), expected);
}

fn trigger(text: &str, expected: &str) {
    plan(&format!("based_on: standard\ntriggers: [ {text} ]"), expected);
}

#[test]
fn every_mistake_of_a_file_is_told_at_once_with_line_and_hint() {
    let problems = load(Path::new("tests/mistakes/ten.yaml"), &env).map(|_| ()).unwrap_err();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write("tests/mistakes/ten.txt", format!("{problems}\n")).unwrap();
    }
    let expected = std::fs::read_to_string("tests/mistakes/ten.txt").unwrap();
    assert!(format!("{problems}\n") == expected, "\n{problems}");
}

#[test]
fn a_whole_file_without_mistakes_has_none() {
    let text = file("", "", "", "", "based_on: standard");
    assert!(read(&text).is_ok(), "{}", read(&text).unwrap_err());
}

#[test]
fn what_is_not_there_or_not_yaml_is_told() {
    let missing = load(Path::new("tests/mistakes/nowhere.yaml"), &env).map(|_| ()).unwrap_err();
    assert!(
        missing.to_string().starts_with("tests/mistakes/nowhere.yaml: there is no such file\n  hint: "),
        "{missing}"
    );
    let told = |text: &str| read(text).map(|_| ()).unwrap_err().list.remove(0);
    assert_eq!(told("").message, "there is nothing in it");
    assert_eq!(told("- a\n- b\n").message, "a list is not a mapping");
    let broken = told("targets: {}\nfeatures:\n  f: [ 1, 2\nlimits: memory\n");
    assert!(
        broken.message.starts_with("this is not YAML that can be read: ") && broken.line.is_some(),
        "{broken:?}"
    );
    let tab = told("targets:\n\tbig: {}\n");
    assert_eq!(tab.line, Some(2), "{tab:?}");
}

#[test]
fn mistakes_at_the_top_are_told() {
    top("lissten: 127.0.0.1:1", "lissten: there is no such key");
    top("listen: 7080", "listen: 7080 is not an address");
    top("listen: localhost:7080", "listen: `localhost:7080` is not an address");
    top("listen:", "listen: it has no value");
    top("limits: redis://user:sk-private@host", "limits: `redis://...` is not known here");
    top(
        "store: postgres://user:sk-private@host/db",
        "store: this version keeps its log in SQLite only, not in Postgres",
    );
    top("store: lockgate.db", "store: `lockgate.db` is not a store");
    top("store: sqlite://", "store: `sqlite://` is not a store");
    top("admin: { listen: 127.0.0.1:7080 }", "admin.listen: clients call 127.0.0.1:7080 already");
    top("listen: 127.0.0.1:7081", "admin: clients call 127.0.0.1:7081 already");
    top(
        "signals: { flush: 20s, watermark: 40s }",
        "signals: `bucket` is shorter than `flush`: sums would be read before they are written",
    );
    top(
        "admin: { listen: 0.0.0.0:7081 }",
        "admin.listen: 0.0.0.0:7081 can be reached from other machines, and there is no token",
    );
    top("admin: { token: sk-private }", "admin.token: a secret is written in plain text");
    top("admin: { token: { env: } }", "admin.token: this is not a reference to a secret");
    top(
        "admin: { token: { env: NOPE } }",
        "admin.token: no secret can be had from environment variable `NOPE`: it is not set",
    );
    top(
        "admin: { token: { env: EMPTY } }",
        "admin.token: no secret can be had from environment variable `EMPTY`: it is empty",
    );
    top(
        "admin: { token: { env: BROKEN } }",
        "admin.token: no secret can be had from environment variable `BROKEN`: it holds a space, a line break or a letter that no header can carry",
    );
    top(
        "admin: { token: { file: nowhere } }",
        "admin.token: no secret can be had from file `nowhere`: there is no such file",
    );
    top("bounds: { calls_max: 0 }", "bounds.calls_max: 0 is out of range");
    top("bounds: { body_bytes_max: 32MB }", "bounds.body_bytes_max: `32MB` is not a size");
    top("bounds: { drain: 2 minutes }", "bounds.drain: `2 minutes` is not a duration");
    top(
        "signals: { bucket: 500ms }",
        "signals.bucket: `bucket` is shorter than `flush`: sums would be read before they are written",
    );
    top(
        "signals: { watermark: 1s }",
        "signals.watermark: `watermark` is shorter than two times `flush`: a bucket would be read before all of it is written",
    );
    top("signals: { retention: 60s }", "signals.retention: `retention` is shorter than ten times `bucket`");
    top(
        "prices: { m: { input_per_million: -1, output_per_million: 1 } }",
        "prices.m.input_per_million: -1 is out of range",
    );
}

#[test]
fn mistakes_in_targets_are_told() {
    target("base_url: https://x.example", "targets.other: `kind` is missing");
    target("kind: anthropic", "targets.other.kind: `anthropic` is not a known kind");
    target("kind: rules", "targets.other: `otherwise` is missing");
    target(
        "kind: openai\nbase_url: x.example/v1",
        "targets.other.base_url: `x.example/v1` is not an http or https URL",
    );
    target(
        "kind: openai\nbase_url: ftp://x.example",
        "targets.other.base_url: `ftp://x.example` is not an http or https URL",
    );
    target(
        "kind: openai\nbase_url: https://user:sk-private@x.example",
        "targets.other.base_url: a URL with a name or password ends up in logs",
    );
    target(
        "kind: openai\nbase_url: https://x.example/v1?key=sk-private",
        "targets.other.base_url: a base URL has no query and no fragment",
    );
    target(
        "kind: openai\nbase_url: https://x.example/v1/chat/completions",
        "targets.other.base_url: `/chat/completions` is put behind the base URL for every call",
    );
    target(
        "kind: agent\nbase_url: http://x\nasks_usage: true",
        "targets.other.asks_usage: there is no such key",
    );
    target("kind: openai\nbase_url: http://x\ntimeout: 2h", "targets.other.timeout: `2h` is out of range");
    target(
        "kind: rules\notherwise: x\nrules: [ { when: '(a', answer: b } ]",
        "targets.other.rules[0].when: `(a` is not a regular expression: unclosed group",
    );
}

#[test]
fn mistakes_in_features_are_told() {
    feature("owner: 7", "features.f.owner: 7 is not a text");
    feature("sticky: cookie", "features.f.sticky: `cookie` is not known here");
    feature("segments: [ tier, tier ]", "features.f.segments[1]: the label `tier` is there twice");
    feature("segments: [ a b ]", "features.f.segments[0]: `a b` is not a name");
    feature(
        "segments: [ { name: tier, values: [ free ], default: fre } ]",
        "features.f.segments[0].default: `fre` is not among `values`",
    );
    feature(
        "segments: [ { name: tier, from: [ { header: Authorization } ] } ]",
        "features.f.segments[0].from[0].header: `authorization` carries a secret",
    );
    feature(
        "segments: [ { name: tier, from: [ { header: 'x y' } ] } ]",
        "features.f.segments[0].from[0].header: `x y` is not a header's name",
    );
    feature(
        "segments: [ { name: tier, from: [ {} ] } ]",
        "features.f.segments[0].from[0]: a label is read from a header or from metadata, one of the two",
    );
    let many: Vec<String> = (0..65).map(|i| format!("v{i}")).collect();
    feature(
        &format!("segments: [ {{ name: tier, values: [ {} ] }} ]", many.join(", ")),
        "features.f.segments[0].values: 65 values are more than the 64 that are counted apart",
    );
    feature("feedback: { csat: rate }", "features.f.feedback.csat: `csat` is built in");
    feature(
        "feedback: { nps: { score: [ 10, 0 ] } }",
        "features.f.feedback.nps.score: a list is not a range",
    );
    feature("csat: [ 1 ]", "features.f.csat: a list is not a range");
    feature("shadow: { concurrency: 0 }", "features.f.shadow.concurrency: 0 is out of range");
    let unknown_stable = file("", "", "", "", "").replace("stable: v1", "stable: v11");
    check(&unknown_stable, "features.f.stable: there is no version `v11`");
    let number = file("", "", "", "", "").replace("stable: v1", "stable: 1.10");
    check(&number, "features.f.stable: 1.1 is not a name");
    let mixed = "kind: model\nchain: [ { target: t, model: m }, { target: bot } ]";
    version(
        mixed,
        "features.f: its tiers are called in different ways: `t` is an openai target, `bot` an agent",
    );
}

#[test]
fn mistakes_in_versions_are_told() {
    let chain = |tier: &str| format!("kind: model\nchain: [ {tier} ]");
    version(
        "kind: modell\nchain: [ { target: desk } ]",
        "features.f.versions.v1.kind: `modell` is not known here",
    );
    version("kind: model", "features.f.versions.v1: `chain` is missing");
    version(
        "kind: model\nchain: []",
        "features.f.versions.v1.chain: a chain has 1 to 16 tiers, and this one has 0",
    );
    version(&chain("{ model: m }"), "features.f.versions.v1.chain[0]: `target` is missing");
    version(&chain("{ target: dekk }"), "features.f.versions.v1.chain[0].target: there is no target `dekk`");
    version(&chain("{ target: t }"), "features.f.versions.v1.chain[0]: an openai target needs a `model`");
    version(
        &chain("{ target: desk, model: m }"),
        "features.f.versions.v1.chain[0].model: a rules target has no use for it",
    );
    version(
        &chain("{ target: bot, model: m }"),
        "features.f.versions.v1.chain[0].model: an agent has no use for it",
    );
    version(
        &chain("{ target: t, model: m, system: no.md }"),
        "features.f.versions.v1.chain[0].system: `no.md` cannot be read: there is no such file",
    );
    version(
        &chain("{ target: t, model: m, system: { text: ' ' } }"),
        "features.f.versions.v1.chain[0].system.text: the prompt is empty",
    );
    version(
        &chain("{ target: t, model: m, parameters: { stream: true } }"),
        "features.f.versions.v1.chain[0].parameters.stream: `stream` is not a parameter: Lockgate or the client sets it",
    );
    version(
        &chain("{ target: t, model: m, parameters: { a: { b: 1, b: 2 } } }"),
        "features.f.versions.v1.chain[0].parameters.a.b: it is written twice, first on line 12",
    );
    version(
        &chain("{ target: t, model: m, price: { input_per_million: 1 } }"),
        "features.f.versions.v1.chain[0].price: `output_per_million` is missing",
    );
}

#[test]
fn mistakes_in_clients_are_told() {
    let labelled =
        |clients: &str| file(clients, "", "segments: [ { name: tier, values: [ free, internal ] } ]", "", "");
    let one = |more: &str| labelled(&format!("clients: {{ app: {{ key: {{ env: KEY }}, {more} }} }}"));
    check(&one("segments: { teir: free }"), "clients.app.segments.teir: no feature has this label");
    check(&one("segments: { tier: fre }"), "clients.app.segments.tier: `fre` is not a value of this label");
    check(&one("features: [ g ]"), "clients.app.features[0]: `g` is not a feature");
    check(&labelled("clients: { app: {} }"), "clients.app: `key` is missing");
    check(
        &labelled("clients: { a: { key: { env: KEY } }, b: { key: { env: KEY } } }"),
        "clients.b.key: it is the same key as that of client `a`",
    );
    assert!(read(&labelled("clients: { a: { key: { env: KEY } }, b: { key: { env: OTHER_KEY } } }")).is_ok());
}

#[test]
fn a_repeated_key_is_told_where_it_is_repeated() {
    top("limits: memory\nlimits: memory", "limits: it is written twice, first on line 1");
    let problems = read(&file("limits: memory\nlimits: memory", "", "", "", "")).map(|_| ()).unwrap_err();
    assert_eq!(problems.list[0].line, Some(2));
}

#[test]
fn what_is_meant_is_told_also_where_nothing_of_the_kind_is_declared() {
    let text = "clients: { app: { key: { env: KEY }, features: [ g ] } }";
    let problems = read(text).map(|_| ()).unwrap_err();
    let missing = problems.list.iter().find(|problem| problem.path == "clients.app.features[0]").unwrap();
    assert_eq!(missing.hint.as_deref(), Some("none is declared in this file"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_damaged_file_is_told_and_never_panics(at in 0usize..7000, len in 0usize..40, put in "[ -~\n]{0,12}") {
        let text = include_str!("../../../examples/lockgate.yaml");
        let whole: Vec<char> = text.chars().collect();
        let (at, end) = (at.min(whole.len()), (at + len).min(whole.len()));
        let damaged: String = whole[..at].iter().chain(&put.chars().collect::<Vec<_>>()).chain(&whole[end..]).collect();
        if let Err(problems) = read(&damaged) {
            prop_assert!(!problems.list.is_empty());
            for problem in &problems.list {
                prop_assert!(problem.hint.is_some() && !problem.message.is_empty(), "{:?}", problem);
                prop_assert!(problem.line.is_some() || problem.path.is_empty(), "{:?}", problem);
            }
        }
    }
}

#[test]
fn what_works_but_looks_wrong_is_a_warning() {
    let same = file("", "", "", "kind: model\nchain: [ { target: desk }, { target: desk } ]", "")
        + "      v2: { kind: model, chain: [ { target: desk }, { target: desk } ] }\n";
    let loaded = read(&same).unwrap();
    let told: Vec<&str> = loaded.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "it is never reached: the rules before it always answer",
            "it is never reached: the rules before it always answer",
            "it is made of the same as `v1`",
        ]
    );
}
