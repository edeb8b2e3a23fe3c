//! What a file without mistakes becomes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lockgate_config::value::{
    Config, Endpoint, KeyHeader, LabelSource, Price, Sticky, StoreUrl, Surface, TargetKind, Times,
};
use lockgate_config::{check_plan_for, parse, parse_plan};
use lockgate_core::name::PlanName;
use lockgate_core::plan::{Action, Blame, PhaseKind, Plan, Rule};
use lockgate_core::share::Share;
use lockgate_core::signal::Signal;
use lockgate_core::{breaker, retry};
use lockgate_wire::api::Api;

const SMALL: &str = "
targets: { t: { kind: openai, base_url: 'https://x.example/v1/' }, desk: { kind: rules, otherwise: later } }
features:
  reply:
    stable: v1
    versions:
      v1: { kind: model, chain: [ { target: t, model: m }, { target: desk } ] }
";

fn read(text: &str) -> Config {
    let env = |name: &str| Some(format!("private-{name}"));
    parse(text, Path::new("/etc/lockgate"), &env).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn revision(text: &str) -> String {
    read(text).features["reply"].versions["v1"].id.revision.to_string()
}

#[test]
fn what_is_not_written_has_its_default() {
    let config = read(SMALL);
    assert_eq!(config.listen.to_string(), "127.0.0.1:7080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:7081");
    assert_eq!(config.store, StoreUrl::Sqlite(PathBuf::from("/etc/lockgate/lockgate.db")));
    assert_eq!((config.bounds.body_bytes_max, config.bounds.header_bytes_max), (32 << 20, 64 << 10));
    assert_eq!((config.bounds.answer_bytes_kept_max, config.bounds.calls_max), (1 << 20, 4096));
    assert_eq!(
        (config.bounds.deadline, config.bounds.drain),
        (Duration::from_secs(600), Duration::from_secs(120))
    );
    assert_eq!(
        (config.signals.bucket, config.signals.flush),
        (Duration::from_secs(10), Duration::from_secs(1))
    );
    assert_eq!(
        (config.signals.watermark, config.signals.retention),
        (Duration::from_secs(2), Duration::from_secs(30 * 86_400))
    );
    let feature = &config.features["reply"];
    assert_eq!(
        (feature.surface, feature.sticky, feature.csat_range),
        (Surface::Model, Sticky::User, (1.0, 5.0))
    );
    assert_eq!((feature.shadow.concurrency, feature.shadow.queue, feature.shadow.daily_usd), (8, 256, 50.0));
    let TargetKind::OpenAi(endpoint) = &config.targets["t"].kind else { panic!("not an openai target") };
    assert_eq!(endpoint.base_url.to_string(), "https://x.example/v1");
    assert!(endpoint.asks_usage && endpoint.api_key.is_none());
    assert_eq!(
        (endpoint.times.connect, endpoint.times.answer, endpoint.times.first_content, endpoint.times.idle),
        (Duration::from_secs(5), Duration::from_secs(60), Duration::from_secs(60), Duration::from_secs(30))
    );
}

#[test]
fn stores_are_beside_the_file_absolute_or_in_memory() {
    let store = |url: &str| read(&format!("store: '{url}'\n{SMALL}")).store;
    assert_eq!(store("sqlite:///var/lib/x.db"), StoreUrl::Sqlite(PathBuf::from("/var/lib/x.db")));
    assert_eq!(store("sqlite://data/x.db"), StoreUrl::Sqlite(PathBuf::from("/etc/lockgate/data/x.db")));
    assert_eq!(store("sqlite::memory:"), StoreUrl::SqliteMemory);
}

#[test]
fn secrets_never_show_in_the_debug_output_of_a_configuration() {
    let text = SMALL.replace("v1/' }", "v1/', api_key: { env: A } }")
        + "clients: { app: { key: { env: B } } }\nadmin: { token: { env: C } }\n";
    let config = read(&text);
    assert!(!format!("{config:?} {config:#?}").contains("private"));
    assert_eq!(config.clients[0].key.expose(), "private-B");
    assert!(config.admin.token.is_some_and(|token| token.matches("private-C")));
}

#[test]
fn a_secret_file_loses_its_line_break_and_a_prompt_file_keeps_all() {
    let dir = std::env::temp_dir().join(format!("lockgate-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("key"), "sk-1\r\n").unwrap();
    std::fs::write(dir.join("prompt.md"), "Be brief.\n").unwrap();
    let text = SMALL
        .replace("v1/' }", "v1/', api_key: { file: key } }")
        .replace("model: m", "model: m, system: prompt.md");
    let loaded = parse(&text, &dir, &|_| None).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(loaded.files.iter().eq([&dir.join("key"), &dir.join("prompt.md")]));
    let config = loaded.config;
    let TargetKind::OpenAi(endpoint) = &config.targets["t"].kind else { panic!("not an openai target") };
    assert!(endpoint.api_key.as_ref().is_some_and(|key| key.matches("sk-1")));
    let feature = &config.features["reply"];
    assert_eq!(feature.versions["v1"].chain[0].system.as_deref(), Some("Be brief.\n"));
}

#[test]
fn a_revision_changes_with_what_answers_are_made_of_and_with_nothing_else() {
    let with = |tier: &str| SMALL.replace("model: m", tier);
    let same = revision(&with("model: m, parameters: { a: 1, b: { c: 2, d: 3 } }"));
    for equal in [
        with("parameters: { b: { d: 3, c: 2 }, a: 1 }, model: m"),
        with(
            "model: m, parameters: { a: 1, b: { c: 2, d: 3 } }, price: { input_per_million: 1, output_per_million: 2 }",
        ),
        with("model: m, parameters: { a: 1, b: { c: 2, d: 3 } }")
            .replace("v1/'", "v1', timeout: 9s, api_key: { env: K }"),
    ] {
        assert_eq!(revision(&equal), same, "{equal}");
    }
    let others = [
        with("model: n"),
        with("model: m, parameters: { a: 1 }"),
        with("model: m, system: { text: Be brief. }"),
        SMALL.replace("kind: model", "kind: prompt"),
        SMALL.replace("x.example", "y.example"),
        SMALL.replace("later", "never"),
        SMALL.replace("{ kind: model,", "{ kind: model, shadow_tools: true,"),
        SMALL.to_owned(),
    ];
    let mut revisions: Vec<String> = others.iter().map(|text| revision(text)).collect();
    revisions.push(same);
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), others.len() + 1);
}

#[test]
fn what_chooses_a_model_at_a_target_is_in_the_revision_and_patience_is_not() {
    let with = |more: &str| revision(&SMALL.replace("v1/' }", &format!("v1/', {more} }}")));
    let same = revision(SMALL);
    for equal in [
        "speaks: [ embeddings, responses, chat ]",
        "headers: { x-team: { env: TEAM } }",
        "breaker: { consecutive: 9 }",
        "retries: 0",
        "sla: 3s",
        "api_key: { env: K }, auth_header: api-key",
        "context_window: 9, resumes: true, min_tokens_per_second: 3",
    ] {
        assert_eq!(with(equal), same, "{equal}");
    }
    assert_eq!(revision(&SMALL.replace("model: m", "model: m, timeout: 3s, retries: 0, hold_back: 9")), same);
    let others = [
        "speaks: [ chat ]",
        "speaks: [ { api: chat, path: /c }, responses, embeddings ]",
        "headers: { openai-project: a }",
        "headers: { openai-project: b }",
        "query: { api-version: a }",
        "query: { api-version: b }",
    ];
    let revisions: std::collections::BTreeSet<String> =
        others.iter().map(|more| with(more)).chain([same]).collect();
    assert_eq!(revisions.len(), others.len() + 1);
    assert_eq!(with("query: { a: b, c: d }"), with("query: { c: d, a: b }"));
    let anthropic = |more: &str| {
        revision(&SMALL.replace(
            "kind: openai, base_url: 'https://x.example/v1/'",
            &format!("kind: anthropic, base_url: 'https://x.example'{more}"),
        ))
    };
    assert_eq!(anthropic(""), anthropic(", max_tokens: 4096"));
    assert_ne!(anthropic(""), anthropic(", max_tokens: 8192"));
}

fn endpoint(config: &Config) -> &Endpoint {
    config.targets["t"].kind.endpoint().unwrap_or_else(|| panic!("rules have no endpoint"))
}

#[test]
fn a_target_is_reached_by_what_is_written_of_it() {
    let with = |target: &str| {
        let text = format!(
            "targets: {{ t: {{ {target} }} }}\nfeatures: {{ f: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [ {{ target: t, model: m }} ] }} }} }} }}\n"
        );
        let env = |name: &str| Some(format!("private-{name}"));
        parse(&text, Path::new("tests/values"), &env).unwrap_or_else(|problems| panic!("{problems}"))
    };
    let azure = with(
        "kind: openai, base_url: 'https://c.example/openai/deployments/d', api_key: { env: K }, auth_header: API-Key, \
         query: { b: 'x y&z', api-version: 2024-10-21 }, speaks: [ chat, { api: embeddings, path: /e/v2 } ], \
         headers: { X-Team: blue, x-token: { env: T } }, ca_file: ca.pem, resumes: true, context_window: 9",
    );
    assert!(azure.files.contains(&PathBuf::from("tests/values/ca.pem")));
    let azure = endpoint(&azure.config);
    assert_eq!(azure.key_header, KeyHeader::Plain("api-key".parse().unwrap()));
    assert_eq!(azure.query, "api-version=2024-10-21&b=x%20y%26z");
    let paths: Vec<(Api, &str)> = azure.paths.iter().map(|(api, path)| (*api, path.as_str())).collect();
    assert_eq!(paths, [(Api::Chat, "/chat/completions"), (Api::Embeddings, "/e/v2")]);
    assert_eq!(azure.headers["x-team"], "blue");
    assert!(!azure.headers["x-team"].is_sensitive() && azure.headers["x-token"].is_sensitive());
    assert!(azure.ca.as_ref().is_some_and(|ca| ca.starts_with(b"An authority")));
    assert_eq!((azure.resumes, azure.context_window, azure.asks_usage), (true, Some(9), true));

    let anthropic = with("kind: anthropic, base_url: 'https://a.example'");
    let anthropic = endpoint(&anthropic.config);
    assert_eq!(anthropic.key_header, KeyHeader::Plain("x-api-key".parse().unwrap()));
    let paths: Vec<(Api, &str)> = anthropic.paths.iter().map(|(api, path)| (*api, path.as_str())).collect();
    assert_eq!(paths, [(Api::Messages, "/v1/messages"), (Api::CountTokens, "/v1/messages/count_tokens")]);
    assert_eq!(anthropic.max_tokens, 4096);

    let vllm =
        with("kind: openai, base_url: 'http://vllm:8000/v1', speaks: [ messages, count_tokens, chat ]");
    let vllm = endpoint(&vllm.config);
    assert_eq!(vllm.key_header, KeyHeader::Bearer);
    assert_eq!(vllm.paths[&Api::Messages], "/messages");
    assert_eq!(vllm.paths[&Api::CountTokens], "/messages/count_tokens");
}

#[test]
fn breakers_and_retries_are_the_built_in_ones_where_nothing_is_written() {
    let config = read(SMALL);
    assert_eq!(endpoint(&config).breaker, breaker::Settings::default());
    assert_eq!(endpoint(&config).retries, retry::Settings::default());
    let tier = &config.features["reply"].versions["v1"].chain[0];
    assert_eq!((tier.retries, tier.hold_back), (retry::Settings::default().retries, 0));
    let with = |more: &str| read(&SMALL.replace("v1/' }", &format!("v1/', {more} }}")));
    assert_eq!(
        endpoint(&with("retries: 0")).retries,
        retry::Settings { retries: 0, ..retry::Settings::default() }
    );
    let written = with(
        "retries: { retries: 4, base: 1s, max: 2s, budget: 5% }, breaker: { consecutive: 1, rate: 100%, calls_min: 2, \
         window: 1m, open: 1s, open_max: 3s, probes: 1, recovery: 0s }",
    );
    let seconds = Duration::from_secs;
    assert_eq!(
        endpoint(&written).retries,
        retry::Settings { retries: 4, base: seconds(1), max: seconds(2), budget: 0.05 }
    );
    let breaker = breaker::Settings {
        consecutive: 1,
        rate: 1.0,
        calls_min: 2,
        window: seconds(60),
        open: seconds(1),
        open_max: seconds(3),
        probes: 1,
        recovery: Duration::ZERO,
    };
    assert_eq!(endpoint(&written).breaker, breaker);
}

#[test]
fn a_tier_has_its_targets_times_but_for_what_it_says_itself() {
    let times = |target: &str, tier: &str| {
        let text = SMALL
            .replace("v1/' }", &format!("v1/'{target} }}"))
            .replace("model: m }", &format!("model: m{tier} }}"));
        let chain = read(&text).features["reply"].versions["v1"].chain.clone();
        let Times { answer, first_content, idle, stream, sla, .. } = chain[0].times.clone();
        assert_eq!(chain[1].times, Times::INSTANT);
        [Some(answer), Some(first_content), Some(idle), stream, sla]
            .map(|time| time.map(|time| time.as_secs()))
    };
    let none = [Some(60), Some(60), Some(30), None, None];
    assert_eq!(times("", ""), none);
    assert_eq!(times(", timeout: 20s", ""), [Some(20), Some(20), Some(30), None, None]);
    assert_eq!(times("", ", timeout: 20s"), [Some(20), Some(20), Some(30), None, None]);
    // What the target says of first content is not undone by what a tier says of the whole.
    assert_eq!(
        times(", first_content_timeout: 5s", ", timeout: 20s"),
        [Some(20), Some(5), Some(30), None, None]
    );
    assert_eq!(
        times(
            ", stream_timeout: 90s, sla: 9s",
            ", timeout: 40s, first_content_timeout: 4s, idle_timeout: 3s, stream_timeout: 50s, sla: 2s"
        ),
        [Some(40), Some(4), Some(3), Some(50), Some(2)]
    );
    let tier = read(&SMALL.replace("model: m", "model: m, retries: 1, hold_back: 20"));
    let tier = &tier.features["reply"].versions["v1"].chain[0];
    assert_eq!((tier.retries, tier.hold_back), (1, 20));
}

#[test]
fn the_revision_of_a_written_version_is_frozen() {
    // A rollout under way is found again by its revision after an update of Lockgate.
    assert_eq!(revision(SMALL), "0a689344259708b80bd838049fe680e2");
}

#[test]
fn a_price_at_the_tier_comes_before_the_table() {
    let prices = "prices: { m: { input_per_million: 1, output_per_million: 2 } }\n";
    let price = |text: &str| read(text).features["reply"].versions["v1"].chain[0].price;
    let listed = Price { input_per_million_usd: 1.0, output_per_million_usd: 2.0 };
    assert_eq!(price(SMALL), None);
    assert_eq!(price(&format!("{prices}{SMALL}")), Some(listed));
    let own = SMALL.replace("model: m", "model: m, price: { input_per_million: 3, output_per_million: 4 }");
    let written = Price { input_per_million_usd: 3.0, output_per_million_usd: 4.0 };
    assert_eq!(price(&format!("{prices}{own}")), Some(written));
}

#[test]
fn labels_are_read_with_their_sources_in_order() {
    let text = SMALL.to_owned()
        + "    segments: [ geo, { name: tier, from: [ { header: X-Tier }, { metadata: tier } ], values: [ no, se ], default: no } ]\n";
    let config = read(&text);
    let labels = &config.features["reply"].labels;
    assert!(labels["geo"].from.is_empty() && labels["geo"].values.is_empty());
    assert_eq!(
        labels["tier"].from,
        [LabelSource::Header("x-tier".into()), LabelSource::Metadata("tier".into())]
    );
    assert_eq!(
        (labels["tier"].values.as_slice(), labels["tier"].default.as_deref()),
        (&["no".into(), "se".into()][..], Some("no"))
    );
}

#[test]
fn an_agent_makes_its_feature_an_agent_and_rules_alone_a_chat() {
    let agent = SMALL.replace("kind: openai", "kind: agent").replace("t, model: m", "t");
    assert_eq!(read(&agent).features["reply"].surface, Surface::Agent);
    let rules = SMALL.replace("{ target: t, model: m }, ", "");
    assert_eq!(read(&rules).features["reply"].surface, Surface::Model);
}

#[test]
fn a_plan_takes_from_its_base_what_it_does_not_write() {
    let plans = "
plans:
  a: { based_on: b, warm_for: 1d }
  b: { based_on: standard, beta: 2%, triggers: [ { signal: nps, drops: 5%, do: freeze } ] }
";
    let config = read(&format!("{SMALL}    feedback: {{ nps: {{ score: [ 0, 10 ] }} }}\n{plans}"));
    let (a, standard) = (&config.plans["a"], Plan::standard());
    assert_eq!((a.phases.as_slice(), a.alpha, a.beta), (standard.phases.as_slice(), standard.alpha, 0.02));
    assert_eq!(a.warm_for, Duration::from_secs(86_400));
    assert_eq!((a.triggers[0].action, a.triggers[0].over), (Action::Freeze, Duration::from_secs(300)));
    assert_eq!(a.triggers[0].signal.to_string(), "score:nps");
}

const LONE: &str = "
triggers: [ { signal: error, above: 2%, blame: always }, { signal: latency, p999_above: 20s } ]
phases:
  - { shadow: 10%, dwell: 1h, gates: [ { signal: agreement, above: 90% } ] }
  - share: 5%
    dwell: 1h
    only: [ { tier: [ internal, free ] } ]
    gates: [ { signal: 'rate:resolved', within: 5% }, { signal: error, below: 1%, blame: 2 } ]
";

#[test]
fn a_plan_that_stands_alone_is_read_and_ends_with_everybody() {
    let plan = parse_plan(LONE, PlanName::new("mine").unwrap()).unwrap();
    let shares: Vec<Share> = plan.phases.iter().map(|phase| phase.kind.share()).collect();
    assert_eq!(shares, [Share::NONE, Share::from_fraction(0.05).unwrap(), Share::FULL]);
    assert_eq!(plan.phases[1].deadline, Duration::from_secs(3 * 3600));
    assert_eq!(plan.phases[0].kind, PhaseKind::Shadow { sample: Share::from_fraction(0.1).unwrap() });
    assert_eq!(plan.triggers[0].rule, Rule::RateUnder { limit: 0.02, blame: Blame::Always });
    assert!(matches!(plan.triggers[1].rule, Rule::SlowUnder { part: 0.001, .. }));
    assert_eq!(plan.phases[1].gates[0].signal, "rate:resolved".parse::<Signal>().unwrap());
    assert_eq!(
        plan.phases[1].gates[1].rule,
        Rule::RateUnder { limit: 0.01, blame: Blame::OverStable { ratio: 2.0 } }
    );
    assert!(parse_plan("based_on: quick", PlanName::new("mine").unwrap()).is_err());
}

#[test]
fn a_rollout_may_go_from_segment_to_segment_at_the_same_share() {
    let gates = "dwell: 1h, gates: [ { signal: error, below: 1% } ]";
    let text = format!(
        "phases:\n  - {{ share: 100%, only: [ {{ tier: internal }} ], {gates} }}\n  - {{ share: 100%, only: [ {{ tier: internal }}, \
         {{ tier: free, geo: eu }} ], {gates} }}\ntriggers: [ {{ signal: error, above: 2%, over: 5m, do: roll_back }} ]\n"
    );
    let plan = parse_plan(&text, PlanName::new("mine").unwrap()).unwrap();
    let confines: Vec<String> = plan.phases.iter().map(|phase| phase.confine.to_string()).collect();
    assert_eq!(confines, ["tier=internal", "tier=internal or geo=eu,tier=free", "everyone"]);
    assert!(plan.has_criteria());
}

#[test]
fn a_plan_is_compared_with_the_feature_that_it_is_to_judge() {
    let plan = parse_plan(LONE, PlanName::new("mine").unwrap()).unwrap();
    let told = |feature: &str| -> Vec<String> {
        let config = read(&format!("{SMALL}{feature}"));
        let problems = check_plan_for(&config.features["reply"], &plan);
        problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    };
    let label = "plans.mine.phases[1].only[0].tier: ";
    let signal =
        "plans.mine.phases[1].gates[0].signal: feature `reply` does not declare the signal `rate:resolved`";
    assert_eq!(told(""), [format!("{label}feature `reply` has no label `tier`"), signal.to_owned()]);
    assert_eq!(
        told(
            "    segments: [ { name: tier, values: [ free, premium ] } ]\n    feedback: { resolved: { score: [ 0, 1 ] } }\n"
        ),
        [format!("{label}`internal` is not a value of `tier` in feature `reply`"), signal.to_owned()]
    );
    assert_eq!(told("    segments: [ tier ]\n    feedback: { resolved: rate }\n"), Vec::<String>::new());
    assert_eq!(check_plan_for(&read(SMALL).features["reply"], &Plan::standard()), []);
}

#[test]
fn a_model_is_asked_again_and_an_agent_only_where_that_is_written() {
    let retries = |target: &str| {
        let file = format!(
            "targets:\n  t: {target}\nfeatures:\n  f: {{ owner: o, stable: v, versions: {{ v: {{ kind: model, chain: [{{ target: t }}] }} }} }}\n"
        );
        let file = if target.contains("openai") {
            file.replace("{ target: t }", "{ target: t, model: m }")
        } else {
            file
        };
        read(&file).features["f"].versions["v"].chain[0].retries
    };
    assert_eq!(retries("{ kind: openai, base_url: \"http://127.0.0.1:1/v1\" }"), 2);
    assert_eq!(retries("{ kind: agent, base_url: \"http://127.0.0.1:1/\" }"), 0);
    assert_eq!(retries("{ kind: agent, base_url: \"http://127.0.0.1:1/\", retries: 1 }"), 1);
}
