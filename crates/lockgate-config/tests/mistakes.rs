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
    target("kind: gemini", "targets.other.kind: `gemini` is not a known kind");
    target("kind: anthropic", "targets.other: `base_url` is missing");
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

/// An openai target with one line more.
fn endpoint(more: &str, expected: &str) {
    target(
        &format!("kind: openai\nbase_url: https://x.example/v1\napi_key: {{ env: KEY }}\n{more}"),
        expected,
    );
}

#[test]
fn mistakes_in_what_every_call_carries_are_told() {
    endpoint("auth_header: 'x y'", "targets.other.auth_header: `x y` is not a header's name");
    endpoint(
        "auth_header: host",
        "targets.other.auth_header: `host` is set by Lockgate or belongs to the connection",
    );
    for reserved in
        ["Content-Length", "connection", "X-Lockgate-User", "transfer-encoding", "Proxy-Authorization"]
    {
        let lower = reserved.to_lowercase();
        endpoint(
            &format!("headers: {{ {reserved}: x }}"),
            &format!(
                "targets.other.headers.{reserved}: `{lower}` is set by Lockgate or belongs to the connection"
            ),
        );
    }
    endpoint(
        "headers: { Authorization: x }",
        "targets.other.headers.Authorization: `authorization` carries the key",
    );
    endpoint(
        "auth_header: api-key\nheaders: { api-key: { env: OTHER_KEY } }",
        "targets.other.headers.api-key: `api-key` carries the key",
    );
    endpoint(
        "headers: { x-api-key: sk-private }",
        "targets.other.headers.x-api-key: `x-api-key` carries a secret",
    );
    endpoint("headers: { a b: x }", "targets.other.headers.a b: `a b` is not a header's name");
    endpoint("headers: { x-a: 1, X-A: y }", "targets.other.headers.x-a: 1 is not a text");
    endpoint("headers: { x-a: x, X-A: y }", "targets.other.headers.X-A: `x-a` is there twice");
    endpoint("headers: { x-a: \"a\\nb\" }", "targets.other.headers.x-a: `a...` cannot be sent in a header");
    endpoint("headers: { x-a: { env: } }", "targets.other.headers.x-a: this is not a reference to a secret");
    endpoint(
        "headers: { x-a: { env: NOPE } }",
        "targets.other.headers.x-a: no secret can be had from environment variable `NOPE`: it is not set",
    );
    endpoint("query: { Key: sk-private }", "targets.other.query.Key: a key in a URL ends up in logs");
    endpoint("query: { v: 1 }", "targets.other.query.v: 1 is not a text");
    endpoint("query: v=1", "targets.other.query: `v=1` is not a mapping");
    endpoint(
        "ca_file: nowhere.pem",
        "targets.other.ca_file: no certificates can be had from `nowhere.pem`: there is no such file",
    );
    endpoint(
        "ca_file: ten.yaml",
        "targets.other.ca_file: no certificates can be had from `ten.yaml`: there is none in it",
    );
    endpoint(
        "ca_file: broken.pem",
        "targets.other.ca_file: no certificates can be had from `broken.pem`: the certificate number 1 in it cannot be read",
    );
}

#[test]
fn mistakes_in_what_a_target_speaks_are_told() {
    endpoint("speaks: []", "targets.other.speaks: a target that speaks nothing cannot be asked");
    endpoint("speaks: [ chatt ]", "targets.other.speaks[0]: `chatt` is not known here");
    endpoint("speaks: [ chat, { api: chat, path: /c } ]", "targets.other.speaks[1]: `chat` is there twice");
    endpoint("speaks: [ { api: chat } ]", "targets.other.speaks[0]: `path` is missing");
    for path in ["chat", "/a?b=c", "/a b", "/../admin", "https://y.example/chat", "/a#b"] {
        endpoint(
            &format!("speaks: [ {{ api: chat, path: '{path}' }} ]"),
            &format!("targets.other.speaks[0].path: `{path}` is not a path"),
        );
    }
    target(
        "kind: anthropic\nbase_url: https://x.example\nspeaks: [ chat ]",
        "targets.other.speaks[0]: `chat` is not known here",
    );
    target(
        "kind: anthropic\nbase_url: https://x.example/v1/messages",
        "targets.other.base_url: `/v1/messages` is put behind the base URL for every call",
    );
    target(
        "kind: agent\nbase_url: https://x.example\nspeaks: [ chat ]",
        "targets.other.speaks: there is no such key",
    );
}

#[test]
fn mistakes_in_times_retries_and_breakers_are_told() {
    endpoint("idle_timeout: 0s", "targets.other.idle_timeout: `0s` is out of range");
    endpoint("min_tokens_per_second: 0", "targets.other.min_tokens_per_second: 0 is out of range");
    endpoint("context_window: 0", "targets.other.context_window: 0 is out of range");
    endpoint("max_tokens: 100", "targets.other.max_tokens: there is no such key");
    endpoint("retries: 11", "targets.other.retries: 11 is out of range");
    endpoint("retries: often", "targets.other.retries: `often` is not a whole number");
    endpoint("retries: { base: 9s }", "targets.other.retries: `max` is shorter than `base`");
    endpoint("retries: { base: 1s, max: 500ms }", "targets.other.retries.max: `max` is shorter than `base`");
    endpoint("retries: { budget: 10 }", "targets.other.retries.budget: 10 is not a share");
    endpoint("breaker: { rate: 0% }", "targets.other.breaker.rate: a rate of nothing is always reached");
    endpoint("breaker: { rate: 50 }", "targets.other.breaker.rate: 50 is not a share");
    endpoint("breaker: { probes: 0 }", "targets.other.breaker.probes: 0 is out of range");
    endpoint("breaker: { open: 10m }", "targets.other.breaker: `open_max` is shorter than `open`");
    endpoint("breaker: off", "targets.other.breaker: `off` is not a mapping");
    let chain = |tier: &str| format!("kind: model\nchain: [ {tier} ]");
    version(
        &chain("{ target: desk, timeout: 5s }"),
        "features.f.versions.v1.chain[0].timeout: a rules target has no use for it",
    );
    version(
        &chain("{ target: bot, hold_back: 5 }"),
        "features.f.versions.v1.chain[0].hold_back: an agent has no use for it",
    );
    version(
        &chain("{ target: t, model: m, retries: { retries: 1 } }"),
        "features.f.versions.v1.chain[0].retries: a mapping is not a whole number",
    );
    version(
        &chain("{ target: t, model: m, hold_back: 5000 }"),
        "features.f.versions.v1.chain[0].hold_back: 5000 is out of range",
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
        "features.f: its tiers are called in different ways: `t` is a model's target, `bot` an agent",
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
    version(&chain("{ target: t }"), "features.f.versions.v1.chain[0]: a model's target needs a `model`");
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

/// The warnings of a file, each with its path.
fn warned(text: &str) -> Vec<String> {
    let loaded = read(text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    loaded.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
}

#[test]
fn a_key_in_clear_text_is_a_warning_unless_it_stays_in_ones_own_network() {
    let with = |url: &str, more: &str| {
        warned(&file("", &format!("kind: openai\nbase_url: {url}\n{more}"), "", "", ""))
    };
    let told = ["targets.other.base_url: the key is sent in clear text over the network"];
    assert_eq!(with("http://api.x.example/v1", "api_key: { env: KEY }"), told);
    assert_eq!(with("http://8.8.8.8/v1", "headers: { x-token: { env: KEY } }"), told);
    for quiet in
        ["https://api.x.example/v1", "http://127.0.0.1:11434/v1", "http://vllm:8000/v1", "http://10.1.2.3/v1"]
    {
        assert_eq!(with(quiet, "api_key: { env: KEY }"), Vec::<String>::new(), "{quiet}");
    }
    assert_eq!(with("http://api.x.example/v1", "headers: { x-team: a }"), Vec::<String>::new());
}

#[test]
fn what_a_target_says_in_vain_is_a_warning() {
    let with = |text: &str| warned(&file("", text, "", "", ""));
    let openai = "kind: openai\nbase_url: https://x.example/v1\n";
    assert_eq!(
        with(&format!("{openai}auth_header: api-key")),
        ["targets.other.auth_header: there is no key that it could carry"]
    );
    assert_eq!(
        with(&format!("{openai}timeout: 10s\nsla: 10s")),
        ["targets.other.sla: no call lives to miss it: the time-outs are not longer"]
    );
    assert_eq!(
        with(&format!("{openai}timeout: 10s\nfirst_content_timeout: 20s\nsla: 10s")),
        Vec::<String>::new()
    );
    assert_eq!(
        with("kind: anthropic\nbase_url: https://x.example/v1"),
        ["targets.other.base_url: calls go to https://x.example/v1/v1/messages"]
    );
}

#[test]
fn a_version_that_answers_less_than_another_is_a_warning() {
    let anthropic = "kind: anthropic\nbase_url: https://x.example";
    let both = |first: &str, second: &str| {
        warned(
            &(file("", anthropic, "", first, "")
                + &format!("      v2: {{ kind: model, chain: [ {second} ] }}\n")),
        )
    };
    assert_eq!(
        both("kind: model\nchain: [ { target: t, model: m } ]", "{ target: other, model: n }"),
        [
            "features.f.versions.v2.chain: calls of responses and embeddings are answered by `v1` and not by this version"
        ]
    );
    let mixed = "{ target: other, model: n }, { target: t, model: m }";
    assert_eq!(both("kind: model\nchain: [ { target: t, model: m } ]", mixed), Vec::<String>::new());
    assert_eq!(
        both("kind: model\nchain: [ { target: t, model: m }, { target: desk } ]", mixed),
        ["features.f.versions.v2.chain: when its targets fail there is no answer; `v1` always has one"]
    );
}
