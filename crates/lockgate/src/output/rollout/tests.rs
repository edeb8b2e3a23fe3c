//! What people are told of a rollout.

use serde_json::json;

use super::*;

fn canary() -> Value {
    json!({
        "feature": "support-reply", "candidate": "v2", "stable": "v1", "state": "canary", "phase": "1 %",
        "phase_index": 1, "phases": [{ "name": "shadow" }, { "name": "1 %" }], "share": 0.01, "confine": "everyone",
        "waiting_for": ["error < 0.5 %: not enough evidence"], "owner": "support", "plan": "standard",
        "started": "2026-08-01T12:00:00Z", "phase_since": "2026-08-01T12:00:00Z",
        "reach": { "calls": 1200, "users": 900, "last": "2026-08-01T12:00:00Z" },
        "gates": [{
            "name": "error < 0.5 %", "signal": "error", "role": "gate", "outcome": "inconclusive", "n": 1200,
            "estimate": 0.001, "interval": [0.0001, 0.008], "stable_estimate": 0.001, "limit": 0.005,
            "log_e_pass": 1.5, "log_e_pass_needed": 3.0, "log_e_fail": 0.0, "log_e_fail_needed": 5.0
        }],
        "triggers": []
    })
}

#[test]
fn the_first_lines_say_where_it_stands_what_it_waits_for_and_how_to_stop_it() {
    let shown = text(&canary());
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "support-reply: CANARY: v2 answers 1 % of users");
    assert_eq!(lines[1], "waits for error < 0.5 %: not enough evidence");
    assert_eq!(lines[2], "to stop   lockgate rollout rollback support-reply");
    assert!(shown.contains("shadow > [1 %]") && shown.contains("900 users in 1,200 calls"), "{shown}");
}

#[test]
fn a_gate_that_waits_says_how_much_of_its_evidence_is_in() {
    let shown = text(&canary());
    let gate = shown.lines().find(|line| line.starts_with("error < 0.5 %")).unwrap();
    for part in ["waits 50 %", "1,200", "0.10 %", "0.01 % .. 0.80 %", "0.5 %"] {
        assert!(gate.contains(part), "{gate}");
    }
}

#[test]
fn what_a_person_ought_to_know_stands_above_the_numbers() {
    let mut rollout = canary();
    rollout["gates"][0]["missing"] = json!({ "observations": 1200, "seconds": 10_900 });
    rollout["alerts"] = json!([{ "ts": "2026-08-01T12:00:00Z", "why": "error < 2 % over 5 min crossed" }]);
    rollout["mismatch"] = json!({ "share": 0.01, "candidate": 90, "stable": 1000, "log_e": 12.0 });
    rollout["slices_judged"] = json!(4);
    rollout["both_arms"] = json!(["error < 2 %"]);
    rollout["slices"] = json!([{
        "name": "error < 0.5 %", "signal": "error", "role": "gate", "outcome": "fail", "n": 300, "estimate": 0.04,
        "slice": { "label": "tier", "value": "premium" }, "log_e_fail": 9.0, "log_e_fail_needed": 8.0
    }]);
    rollout["withdrawn"] =
        json!([{ "slice": { "label": "geo", "value": "eu" }, "since": "2026-08-01T12:00:00Z" }]);
    rollout["drill"] = json!("errors=5%");
    let shown = text(&rollout);
    for line in [
        "DRILL (errors=5%): CANARY",
        "WARNING   callers are not split at 1 %: 90 began with the candidate, 1,000 with stable",
        "alert     2026-08-01 12:00:00Z error < 2 % over 5 min crossed",
        "slices    4 judged; below",
        "both arms over the limit in both versions: error < 2 %",
        "withdrawn geo=eu has stable since 2026-08-01 12:00:00Z",
        "tier=premium: error < 0.5 %  FAIL",
        "waits 50 %, ~3 h",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn a_killed_rollout_is_revived_before_it_is_resumed() {
    let mut rollout = canary();
    rollout["state"] = json!("frozen");
    assert!(text(&rollout).contains("to go on  lockgate rollout resume support-reply"));
    rollout["killed"] = json!("stable");
    let says = "to go on  lockgate revive support-reply, then lockgate rollout resume support-reply";
    assert!(text(&rollout).contains(says), "{}", text(&rollout));
}

#[test]
fn a_completed_rollout_says_how_long_it_is_watched() {
    let mut rollout = canary();
    rollout["state"] = json!("completed");
    rollout["watched_until"] = json!("2026-08-15T12:00:00Z");
    assert!(text(&rollout).contains("watched   until 2026-08-15 12:00:00Z"), "{}", text(&rollout));
}

#[test]
fn money_is_shown_as_money_and_sizes_as_they_are() {
    let of = |signal: &str| json!({ "signal": signal });
    assert_eq!(figure(&of("session_cost"), 0.0123), "$0.0123");
    assert_eq!(figure(&of("tokens"), 812.5), "812.50");
    assert_eq!(figure(&of("rate:resolved"), 0.25), "25.0 %");
}

#[test]
fn a_feature_without_a_rollout_is_listed_too() {
    let shown = list(&json!([{ "feature": "f", "stable": "v1", "killed": null, "rollout": null }]));
    assert!(shown.lines().nth(1).is_some_and(|line| line.starts_with("f ")), "{shown}");
    let killed = list(&json!([{ "feature": "f", "stable": "v1", "killed": "rules", "rollout": null }]));
    assert!(killed.contains("killed: to rules"), "{killed}");
}
