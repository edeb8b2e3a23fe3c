//! Plans over recorded outcomes, from the command line.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{directory, lockgate, stderr, stdout};

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/outcomes");
    examples.join(name).to_str().unwrap().to_owned()
}

fn written(text: &str) -> PathBuf {
    let file = directory().join("outcomes.jsonl");
    std::fs::write(&file, text).unwrap();
    file
}

fn told(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_decision_is_one_object_a_line_and_the_end_is_the_last() {
    let (plan, outcomes) = (example("quick.yaml"), example("errors.jsonl"));
    let args = ["backtest", "--plan", &plan, "--outcomes", &outcomes, "--json"];
    let output = lockgate(&args, &[]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let told = told(&stdout(&output));
    let (end, decisions) = told.split_last().unwrap();
    for decision in decisions {
        assert!(["ts", "event", "phase", "rule", "evidence"].iter().all(|key| decision.get(key).is_some()));
        assert!(decision["evidence"].is_object());
    }
    let back = decisions.last().unwrap();
    assert_eq!((&back["event"], &back["phase"]), (&"rolled_back".into(), &"30 %".into()));
    assert!(back["rule"].as_str().unwrap().contains("error"));
    assert!(back["evidence"]["checks"][0]["n"].as_u64().unwrap() > 0);
    assert_eq!((&end["event"], &end["state"]), (&"end".into(), &"rolled_back".into()));
    assert!(end["candidate_requests"].as_u64().unwrap() >= end["users_reached"].as_u64().unwrap());

    let again = lockgate(&args, &[]).await;
    assert_eq!(output.stdout, again.stdout, "the same file, the same words");
}

#[tokio::test]
async fn people_are_told_the_rule_and_the_numbers() {
    let (plan, outcomes) = (example("quick.yaml"), example("good.jsonl"));
    let output = lockgate(&["backtest", "--plan", &plan, "--outcomes", &outcomes], &[]).await;
    let text = stdout(&output);
    assert!(
        output.status.success() && text.contains("COMPLETED") && text.contains("end: completed"),
        "{text}"
    );
    assert!(text.contains("error < 10 %"), "{text}");
}

#[tokio::test]
async fn the_built_in_plan_needs_no_file() {
    let output =
        lockgate(&["backtest", "--plan", "standard", "--outcomes", &example("good.jsonl"), "--json"], &[])
            .await;
    let told = told(&stdout(&output));
    let held = &told[told.len() - 2];
    assert_eq!((&held["event"], &told[told.len() - 1]["state"]), (&"held".into(), &"shadow".into()));
    assert!(!held["evidence"]["waiting_for"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_line_is_named_and_is_no_failure() {
    let good = std::fs::read_to_string(example("good.jsonl")).unwrap();
    let file = written(&good.replacen("\"latency_ms\":", "\"latency_ms\":-", 1));
    let plan = example("quick.yaml");
    let args = ["backtest", "--plan", &plan, "--outcomes", file.to_str().unwrap(), "--json"];
    let output = lockgate(&args, &[]).await;
    assert!(output.status.success());
    let told = told(&stdout(&output));
    let held = told.iter().find(|told| told["rule"] == "input").unwrap();
    assert_eq!(
        (&held["event"], &held["evidence"]["problems"][0]["first"][0]["line"]),
        (&"held".into(), &1.into())
    );
    assert!(!told.iter().any(|told| told["event"] == "promoted" || told["event"] == "completed"));
}

#[tokio::test]
async fn without_outcomes_it_fails_and_without_arguments_it_is_wrong_usage() {
    let nothing = written("");
    let output = lockgate(&["backtest", "--outcomes", nothing.to_str().unwrap(), "--json"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told(&stdout(&output))[0]["rule"], "input");

    let missing = directory().join("nowhere.jsonl");
    let output = lockgate(&["backtest", "--outcomes", missing.to_str().unwrap()], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere.jsonl"), "{}", stderr(&output));

    assert_eq!(lockgate(&["backtest"], &[]).await.status.code(), Some(2));
}
