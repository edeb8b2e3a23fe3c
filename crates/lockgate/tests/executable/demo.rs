//! The demo, in the story that is shortest: without optimisation it takes some twenty seconds, most of them waiting.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

/// The demo gives up on a story sooner.
const LONG_ENOUGH: Duration = Duration::from_secs(150);

#[tokio::test]
async fn a_slow_candidate_goes_back_and_the_summary_says_what_it_cost() {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lockgate"));
    command.args(["demo", "--scenario", "slow", "--seed", "7", "--json"]);
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LONG_ENOUGH, running).await.unwrap().unwrap();
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let path =
        ["rollout_started", "phase_entered", "phase_entered", "rollback_started", "rolled_back", "end"];
    assert_eq!(kinds, path);
    assert!(output.status.success());

    let end = lines.last().unwrap();
    let story = &end["stories"][0];
    assert_eq!((&end["ok"], &end["audit"]["broken"]), (&Value::Bool(true), &Value::Null), "{end:#}");
    assert_eq!(story["state"], "rolled_back");
    let number = |key: &str| story[key].as_f64().unwrap();
    assert!(number("users_reached") > 0.0 && number("users_reached") <= number("calls"), "{story:#}");
    assert!(number("slow") > 0.0 && number("seconds_from_evidence_to_zero") < 5.0, "{story:#}");
}
