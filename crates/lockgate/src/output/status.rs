//! How everything does, the worst first: one line that sums it up, a line for each target, a line for each feature.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::rollout;
use super::words::{columns, count, moment, number, part, round_part, span, text as word};

/// The whole picture.
pub fn text(status: &Value) -> String {
    let at = moment(status, "at");
    let mut targets = list(status, "targets");
    targets.sort_by_key(|target| Reverse(badness(target)));
    let mut features = list(status, "features");
    features.sort_by_key(|feature| Reverse(trouble(feature)));
    let mut rows = vec![["target", "breaker", "failed", ""].map(str::to_owned).to_vec()];
    rows.extend(targets.iter().map(|target| row(target, at)));
    let features = rollout::list(&json!(features));
    format!("{}\n\n{}\n\n{features}", headline(&targets), columns(&rows))
}

fn list<'v>(status: &'v Value, key: &str) -> Vec<&'v Value> {
    status.get(key).and_then(Value::as_array).into_iter().flatten().collect()
}

/// Says first what is wrong.
fn headline(targets: &[&Value]) -> String {
    let named = |states: &[&str]| {
        let found = targets.iter().filter(|target| states.contains(&word(target, "state")));
        found.map(|target| word(target, "target")).collect::<Vec<_>>().join(", ")
    };
    let parts = [("NOT ASKED", named(&["open"])), ("coming back", named(&["half_open", "recovering"]))];
    let said: Vec<_> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {names}"))
        .collect();
    match said.is_empty() {
        true => "all targets are asked".to_owned(),
        false => said.join("; "),
    }
}

/// By which targets are ordered: what the breaker does, then the part of the calls that failed, in thousandths.
fn badness(target: &Value) -> (u8, u64) {
    let state = match word(target, "state") {
        "open" => 4,
        "half_open" => 3,
        "recovering" => 2,
        _ if word(target, "kind") == "rules" => 0,
        _ => 1,
    };
    (state, (number(target, "failure_rate").unwrap_or(0.0) * 1e3) as u64)
}

/// By which features are ordered: what a person has done or has to do, then what moves by itself.
fn trouble(feature: &Value) -> u8 {
    let rollout = feature.get("rollout").filter(|rollout| rollout.is_object());
    let state = rollout.map(|rollout| word(rollout, "state")).unwrap_or_default();
    match state {
        _ if !word(feature, "killed").is_empty() => 5,
        "frozen" | "rolling_back" => 4,
        "paused" => 3,
        "canary" | "shadow" => 2,
        "rolled_back" => 1,
        _ => 0,
    }
}

fn row(target: &Value, at: Option<Timestamp>) -> Vec<String> {
    let calls = target.get("calls").and_then(Value::as_u64).unwrap_or(0);
    let failed = match number(target, "failure_rate") {
        Some(rate) => format!("{} of {}", part(rate), count(calls)),
        None => "-".to_owned(),
    };
    vec![word(target, "target").to_owned(), breaker(target, at), failed, told(target, at)]
}

fn breaker(target: &Value, at: Option<Timestamp>) -> String {
    let left = moment(target, "open_until").zip(at).map(|(until, at)| seconds(until, at));
    match (word(target, "state"), left) {
        ("open", Some(left)) => format!("OPEN {} more", span(left)),
        ("open", None) => "OPEN".to_owned(),
        ("recovering", _) => format!("recovering {}", round_part(number(target, "share").unwrap_or(0.0))),
        ("closed", _) if word(target, "kind") == "rules" => "-".to_owned(),
        (state, _) => state.replace('_', " "),
    }
}

/// Why it opened, how the last call failed, and whom it concerns.
fn told(target: &Value, at: Option<Timestamp>) -> String {
    let ago = |value: &Value, key: &str| {
        let then = moment(value, key).zip(at).map(|(then, at)| seconds(at, then));
        then.map_or_else(String::new, |seconds| format!(" {} ago", span(seconds)))
    };
    let is_closed = word(target, "state") == "closed";
    let mut told = Vec::new();
    if !is_closed {
        let opened = target.get("last_change").filter(|change| word(change, "to") == "open");
        let when = opened.map_or_else(String::new, |change| ago(change, "at"));
        told.push(format!("{}{when}", word(target, "why")));
    }
    if let Some(last) = target.get("last_failure").filter(|last| last.is_object()) {
        told.push(format!("last failure: {}{}", word(last, "why"), ago(last, "at")));
    }
    let refused = target.get("totals").and_then(|totals| totals.get("refused")).and_then(Value::as_u64);
    if let Some(refused) = refused.filter(|&refused| !is_closed && refused > 0) {
        told.push(format!("{} calls not let pass", count(refused)));
    }
    let used_by = list(target, "used_by");
    if !is_closed && !used_by.is_empty() {
        let names: Vec<_> = used_by.iter().filter_map(|name| name.as_str()).collect();
        told.push(format!("used by {}", names.join(", ")));
    }
    told.join("; ")
}

fn seconds(later: Timestamp, earlier: Timestamp) -> f64 {
    later.duration_since(earlier).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, state: &str) -> Value {
        json!({
            "target": name, "kind": "openai", "state": state, "why": null, "open_until": null, "share": null, "calls": 0,
            "failures": 0, "failure_rate": null, "last_failure": null, "last_change": null, "used_by": ["support-reply"],
            "totals": { "refused": 0 }
        })
    }

    fn status() -> Value {
        let mut open = target("big", "open");
        open["why"] = json!("5 calls in a row failed");
        open["open_until"] = json!("2026-08-01T12:00:40Z");
        open["last_change"] = json!({ "at": "2026-08-01T11:59:50Z", "from": "closed", "to": "open" });
        open["last_failure"] = json!({ "at": "2026-08-01T11:59:50Z", "why": "timeout" });
        open["totals"]["refused"] = json!(1204);
        let mut recovering = target("middle", "recovering");
        recovering["share"] = json!(0.55);
        recovering["why"] = json!("a probe failed");
        let mut failing = target("small", "closed");
        failing["calls"] = json!(50);
        failing["failure_rate"] = json!(0.12);
        let mut desk = target("desk", "closed");
        desk["kind"] = json!("rules");
        let feature = |name: &str, killed: Option<&str>, state: Option<&str>| {
            json!({
                "feature": name, "stable": "v1", "killed": killed,
                "rollout": state.map(|state| json!({ "candidate": "v2", "state": state, "share": 0.1, "phase": "10 %" }))
            })
        };
        json!({
            "at": "2026-08-01T12:00:00Z",
            "targets": [target("quiet", "closed"), desk, failing, recovering, open],
            "features": [feature("calm", None, None), feature("moving", None, Some("canary")), feature("dead", Some("rules"), None)],
        })
    }

    #[test]
    fn the_worst_comes_first() {
        let shown = text(&status());
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "NOT ASKED: big; coming back: middle");
        let first = |line: &&str| line.split(' ').next().unwrap_or_default().to_owned();
        let names: Vec<_> = lines[3..8].iter().map(first).collect();
        assert_eq!(names, ["big", "middle", "small", "quiet", "desk"], "{shown}");
        let names: Vec<_> = lines[10..].iter().map(first).collect();
        assert_eq!(names, ["dead", "moving", "calm"], "{shown}");
    }

    #[test]
    fn an_open_target_says_why_until_when_and_whom_it_concerns() {
        let shown = text(&status());
        let line = shown.lines().find(|line| line.starts_with("big ")).unwrap();
        for told in [
            "OPEN 40.0 s more",
            "5 calls in a row failed 10.0 s ago",
            "last failure: timeout 10.0 s ago",
            "1,204 calls not let pass",
            "used by support-reply",
        ] {
            assert!(line.contains(told), "{told}\n{line}");
        }
        assert!(shown.contains("recovering 55 %") && shown.contains("12.0 % of 50"), "{shown}");
    }

    #[test]
    fn where_nothing_is_wrong_it_is_said_in_a_line() {
        let shown = text(&json!({ "at": null, "targets": [target("big", "closed")], "features": [] }));
        assert!(shown.starts_with("all targets are asked\n"), "{shown}");
    }
}
