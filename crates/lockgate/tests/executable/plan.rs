//! What `plan show` prints of plans by name, in files and in configurations, and how it says no.

use serde_json::Value;

use crate::support::{directory, lockgate, stderr, stdout};

const CONFIGURATION: &str = "
admin: { token: { env: NOT_SET_HERE } }
targets: { desk: { kind: rules, otherwise: later } }
features:
  reply:
    stable: v1
    versions: { v1: { kind: model, chain: [ { target: desk } ] } }
plans:
  careful: { based_on: standard, slices: { do: withdraw } }
  dear:
    based_on: standard
    phases: [ { share: 1%, dwell: 1h, gates: [ { signal: session_cost, within: 20% } ] } ]
";

async fn shown(args: &[&str]) -> Value {
    let output = lockgate(&[&["plan", "show", "--json"], args].concat(), &[]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn refused(args: &[&str]) -> String {
    let output = lockgate(&[&["plan", "show"], args].concat(), &[]).await;
    assert!(!output.status.success(), "{}", stdout(&output));
    stderr(&output)
}

#[tokio::test]
async fn the_parts_of_the_error_budget_add_up_to_alpha() {
    let plan = shown(&[]).await;
    assert_eq!(plan["name"], "standard");
    let budget = &plan["budget"];
    let parts = budget["checks"].as_array().unwrap().iter().filter(|check| check["is_apart"] == false);
    let parts: Vec<f64> = parts.map(|check| check["alpha"].as_f64().unwrap()).collect();
    let part = |key: &str| budget[key].as_f64().unwrap();
    let sum = parts.iter().sum::<f64>() + part("slices") + part("gateways");
    assert!((sum - 0.01).abs() < 1e-9, "{sum}: {budget:#}");
    assert!(part("gateways") < 0.05 * part("alpha"), "{budget:#}");
    assert!(parts.iter().filter(|part| **part > 0.0).count() >= 10, "{budget:#}");

    let output = lockgate(&["plan", "show"], &[]).await;
    let text = stdout(&output);
    for word in
        ["alpha for copies", "users", "afterwards", "at any moment", "pauses and calls for a person", "14 d"]
    {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

#[tokio::test]
async fn a_plan_is_found_by_name_in_a_file_of_its_own_and_in_a_configuration() {
    let directory = directory();
    let whole = directory.join("lockgate.yaml");
    std::fs::write(&whole, CONFIGURATION).unwrap();
    let whole = whole.to_str().unwrap();
    let careful = shown(&["careful", "-c", whole]).await;
    assert_eq!((&careful["name"], &careful["slices"]["action"]), (&"careful".into(), &"withdraw".into()));
    assert_eq!(careful["features"][0]["feature"], "reply");
    assert_eq!(careful["features"][0]["problems"], Value::Array(Vec::new()));
    let dear = shown(&["dear", "-c", whole]).await;
    let problem = dear["features"][0]["problems"][0]["message"].as_str().unwrap();
    assert!(problem.contains("no tier of version `v1` has a price"), "{problem}");

    let lone = directory.join("mine.yaml");
    std::fs::write(&lone, "based_on: standard\nbeta: 2%\n").unwrap();
    let mine = shown(&[lone.to_str().unwrap()]).await;
    assert_eq!((&mine["name"], mine["beta"].as_f64()), (&"mine".into(), Some(0.02)));

    let told = refused(&[whole]).await;
    assert!(told.contains("has more than one plan: `careful`, `dear`"), "{told}");
    assert!(refused(&["carefull", "-c", whole]).await.contains("it has `careful`, `dear`, `standard`"));
    assert!(refused(&["nowhere.yaml"]).await.contains("neither built in"));
}

#[tokio::test]
async fn every_mistake_of_a_plan_is_told_with_its_line_and_a_hint() {
    let file = directory().join("bad.yaml");
    std::fs::write(
        &file,
        "based_on: standard\nslices: { do: stop }\ntriggers: [ { signal: eror, above: 2% } ]\n",
    )
    .unwrap();
    let told = refused(&[file.to_str().unwrap()]).await;
    assert!(told.contains("bad.yaml:2: slices.do: `stop` is not known here"), "{told}");
    assert!(told.contains("bad.yaml:3: triggers[0].signal: `eror` is not a signal"), "{told}");
    assert!(told.contains("did you mean `error`?"), "{told}");
}
