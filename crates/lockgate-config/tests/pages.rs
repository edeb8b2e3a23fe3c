//! The pages and examples that say how a file is written, compared with what is read.
//!
//! With `UPDATE_PAGES=1` in the environment the written parts are written anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lockgate_config::{load, parse, parse_plan, reference, schema, write_plan};
use lockgate_core::name::PlanName;
use lockgate_core::plan::{Plan, standard_name};
use lockgate_core::signal::Signal;

const GENERATED: &str = "<!-- written by the program from here on -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every variable is set, each to a text of its own.
fn env(name: &str) -> Option<String> {
    Some(format!("secret-of-{name}"))
}

fn compare(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(path, expected).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    assert!(
        text_of(path) == expected,
        "{} is not what the tables say; run with UPDATE_PAGES=1",
        path.display()
    );
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn page() -> String {
    text_of(&root().join("docs/reference/configuration.md"))
}

fn snippets(page: &str) -> Vec<String> {
    page.split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// A snippet as a whole file: with a target and a feature, if it has none.
fn whole(snippet: &str) -> String {
    if snippet.contains("targets:\n") {
        return snippet.to_owned();
    }
    format!(
        "{snippet}\ntargets: {{ t: {{ kind: rules, otherwise: later }} }}\nfeatures: {{ f: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [ {{ target: t }} ] }} }} }} }}\n"
    )
}

/// The built-in plan as a snippet.
fn standard_snippet() -> String {
    let lines: String = write_plan(&Plan::standard()).lines().map(|line| format!("    {line}\n")).collect();
    format!("plans:\n  standard:\n{lines}")
}

#[test]
fn the_reference_page_is_what_the_tables_and_the_built_in_plan_say() {
    let page = page();
    let (prose, _) = page.split_once(GENERATED).unwrap();
    let written = snippets(&page).into_iter().find(|snippet| snippet.contains("  standard:\n")).unwrap();
    let prose = prose.replace(&written, &standard_snippet());
    let expected = format!("{prose}{GENERATED}\n{}", reference());
    compare(&root().join("docs/reference/configuration.md"), &expected);
}

#[test]
fn the_stored_schema_is_what_the_tables_say() {
    compare(&root().join("docs/reference/lockgate.schema.json"), &schema());
}

#[test]
fn every_snippet_of_the_reference_page_checks_clean() {
    let snippets = snippets(&page());
    assert!(snippets.len() >= 6);
    for snippet in snippets {
        let loaded = parse(&whole(&snippet), &root().join("examples"), &env);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}\n{snippet}"));
        assert_eq!(loaded.warnings, [], "{snippet}");
    }
}

#[test]
fn the_plan_of_the_guide_is_read_and_written_back() {
    let guide = text_of(&root().join("docs/guide/plans.md"));
    let written = snippets(&guide);
    assert_eq!(written.len(), 1);
    let name = PlanName::new("guide").unwrap();
    let plan = parse_plan(&written[0], name.clone()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(parse_plan(&write_plan(&plan), name).unwrap(), plan);
    // It says that it writes everything.
    let missing: Vec<&str> = ["alpha", "beta", "warm_for", "phases", "triggers", "slices", "on_deadline"]
        .into_iter()
        .filter(|key| !shows(&written[0], key))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    // And it checks clean beside a feature with labels.
    let indented: String = written[0].lines().map(|line| format!("    {line}\n")).collect();
    let loaded = parse(&whole(&format!("plans:\n  guide:\n{indented}")), Path::new(""), &env);
    assert_eq!(loaded.unwrap_or_else(|problems| panic!("{problems}")).warnings, []);
}

/// Every signal that is built in stands in the page's table, with the rules that its kind has.
#[test]
fn every_built_in_signal_is_in_the_table_of_signals() {
    let page = page();
    let table = page.split_once("| signal | counted as | rules |").unwrap().1;
    let table = table.split_once("\n\n").unwrap().0;
    let missing: Vec<String> = (Signal::built_in().iter().map(Signal::to_string))
        .filter(|signal| !table.contains(&format!("`{signal}`")))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_example_checks_clean() {
    let loaded =
        load(&root().join("examples/lockgate.yaml"), &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.features.len(), 2);
    assert!(loaded.config.plans.contains_key("careful"));
}

#[test]
fn the_standard_plan_written_out_is_the_built_in_one() {
    let loaded = parse(&whole(&standard_snippet()), Path::new(""), &env).unwrap();
    assert_eq!(*loaded.config.plans[&standard_name()], Plan::standard());
}

#[test]
fn an_empty_standard_plan_is_the_built_in_one() {
    let written = parse(&whole("plans: { standard: {} }"), Path::new(""), &env).unwrap();
    let unwritten = parse(&whole(""), Path::new(""), &env).unwrap();
    assert_eq!(*written.config.plans[&standard_name()], Plan::standard());
    assert_eq!(*unwritten.config.plans[&standard_name()], Plan::standard());
}

/// The keys that the schema knows, of all mappings together.
fn schema_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::Object(properties)) = members.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| schema_keys(member, keys));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| schema_keys(item, keys)),
        _ => {}
    }
}

/// The keys of a YAML text, taken from its lines: good enough to say that each has been shown once.
fn shows(text: &str, key: &str) -> bool {
    text.match_indices(&format!("{key}:"))
        .any(|(at, _)| text[..at].chars().next_back().is_none_or(|before| matches!(before, ' ' | '\n' | '{')))
}

#[test]
fn every_key_of_the_schema_is_shown_in_the_page_or_the_example_and_so_is_read() {
    let mut keys = BTreeSet::new();
    schema_keys(&serde_json::from_str(&schema()).unwrap(), &mut keys);
    assert!(keys.len() > 80, "{}", keys.len());
    let mut shown = snippets(&page()).join("\n");
    shown.push_str(&text_of(&root().join("examples/lockgate.yaml")));
    // Siblings of keys that are shown: other percentiles and the other directions.
    let siblings = [
        "below",
        "ratio_above",
        "p50_below",
        "p90_below",
        "p999_below",
        "p50_above",
        "p90_above",
        "p95_above",
        "p999_above",
        "file",
        // It names a file that must be there.
        "ca_file",
    ];
    let missing: Vec<&String> =
        keys.iter().filter(|key| !siblings.contains(&key.as_str()) && !shows(&shown, key)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

/// A block with targets alone, with a feature that uses each of them.
fn with_feature(snippet: &str) -> String {
    if snippet.contains("features:\n") {
        return snippet.to_owned();
    }
    let names = snippet.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let names: Vec<&str> = names.filter(|name| !name.starts_with(' ')).collect();
    assert_eq!(names.len(), 1, "{snippet}");
    let chain: String = names.iter().map(|name| format!("{{ target: {name}, model: m }}")).collect();
    format!(
        "{snippet}features: {{ f: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [ {chain} ] }} }} }} }}\n"
    )
}

#[test]
fn every_provider_of_the_guide_is_a_target_that_checks_clean() {
    let guide = text_of(&root().join("docs/guide/providers.md"));
    let snippets = snippets(&guide);
    let providers = guide.lines().filter(|line| line.starts_with("## ")).count() - 1;
    assert_eq!((snippets.len(), providers), (11, 10));
    for snippet in snippets {
        let loaded = parse(&with_feature(&snippet), Path::new(""), &env);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}\n{snippet}"));
        assert_eq!(loaded.warnings, [], "{snippet}");
    }
}

#[test]
fn the_chain_of_the_guide_checks_clean() {
    let guide = text_of(&root().join("docs/guide/chains.md"));
    let snippets = snippets(&guide);
    assert_eq!(snippets.len(), 1);
    let loaded = parse(&snippets[0], Path::new(""), &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
}
