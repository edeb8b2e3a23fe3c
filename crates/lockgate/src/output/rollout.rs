//! Where a rollout stands, to be read at three in the morning: the first line says it, the second what it waits for, the
//! third how to stop it; then every gate with its evidence.

use serde_json::Value;

use super::words::{at, columns, count, moment, number, part, round_part, text as word};

/// The word for where a rollout is.
pub fn state(rollout: &Value) -> Option<&str> {
    rollout.get("state").and_then(Value::as_str)
}

/// The whole picture.
pub fn text(rollout: &Value) -> String {
    let mut lines = vec![headline(rollout)];
    lines.extend(waiting(rollout));
    lines.extend(way_out(rollout));
    lines.push(String::new());
    lines.push(format!("phases    {}", path(rollout)));
    lines.push(format!("reached   {}", reached(rollout)));
    lines.push(format!("owner     {}; plan {}", word(rollout, "owner"), word(rollout, "plan")));
    lines.extend(when(rollout));
    for (title, key) in [("gate", "gates"), ("trigger", "triggers")] {
        if let Some(table) = checks(rollout, title, key) {
            lines.push(String::new());
            lines.push(table);
        }
    }
    lines.join("\n")
}

/// All features, a line each.
pub fn list(features: &Value) -> String {
    let features = features.get("features").unwrap_or(features);
    let mut rows =
        vec![["feature", "stable", "rollout", "state", "phase", "share"].map(str::to_owned).to_vec()];
    for feature in features.as_array().into_iter().flatten() {
        let rollout = feature.get("rollout").filter(|rollout| rollout.is_object());
        let of_rollout = |key: &str| rollout.map_or("-", |rollout| word(rollout, key)).to_owned();
        let state = match feature.get("killed").and_then(Value::as_str) {
            Some(to) => format!("killed: to {to}"),
            None => of_rollout("state"),
        };
        let phase = rollout.and_then(|rollout| rollout.get("phase")).and_then(Value::as_str);
        let share = rollout.and_then(|rollout| number(rollout, "share"));
        rows.push(vec![
            word(feature, "feature").to_owned(),
            word(feature, "stable").to_owned(),
            of_rollout("candidate"),
            state,
            phase.unwrap_or("-").to_owned(),
            share.map_or_else(|| "-".into(), round_part),
        ]);
    }
    columns(&rows)
}

/// `support-reply: v2 answers 10 % of users (phase `10 %`, for 3 min 2 s)`.
pub fn headline(rollout: &Value) -> String {
    let (feature, candidate, stable) =
        (word(rollout, "feature"), word(rollout, "candidate"), word(rollout, "stable"));
    let share = round_part(number(rollout, "share").unwrap_or(0.0));
    let why = word(rollout, "why");
    let says = match state(rollout).unwrap_or_default() {
        "shadow" => format!("SHADOW: {candidate} gets copies of calls, no user sees it"),
        "canary" => format!("CANARY: {candidate} answers {share} of {}", whom(rollout)),
        "paused" => format!("PAUSED: {candidate} stays at {share} of {}: {why}", whom(rollout)),
        "frozen" => format!("FROZEN: {candidate} gets no calls: {why}"),
        "rolling_back" => format!("ROLLING BACK: all new calls go to {stable}: {why}"),
        "rolled_back" => format!("ROLLED BACK: everybody has {stable}: {why}"),
        "completed" => format!("COMPLETED: everybody has {candidate}"),
        other => other.to_owned(),
    };
    match rollout.get("killed").and_then(Value::as_str) {
        Some(to) => format!("{feature}: KILLED: everybody goes to {to}; rollout {says}"),
        None => format!("{feature}: {says}"),
    }
}

fn whom(rollout: &Value) -> &str {
    match word(rollout, "confine") {
        "" | "everyone" => "users",
        confine => confine,
    }
}

fn waiting(rollout: &Value) -> Vec<String> {
    let reasons = rollout.get("waiting_for").and_then(Value::as_array);
    let reasons = reasons.into_iter().flatten().filter_map(Value::as_str);
    reasons
        .enumerate()
        .map(|(i, why)| format!("{} {why}", if i == 0 { "waits for" } else { "         " }))
        .collect()
}

fn way_out(rollout: &Value) -> Vec<String> {
    let feature = word(rollout, "feature");
    let to_stop = format!("to stop   lockgate rollout rollback {feature}");
    match state(rollout).unwrap_or_default() {
        "shadow" | "canary" => vec![to_stop],
        "paused" | "frozen" => vec![to_stop, format!("to go on  lockgate rollout resume {feature}")],
        "completed" => vec![format!("to undo   lockgate rollout rollback {feature}")],
        "rolled_back" => vec![format!("to learn  lockgate rollout explain {feature}")],
        _ => Vec::new(),
    }
}

/// `shadow > [1 %] > 10 % > 50 % > 100 %`, the present one in brackets.
pub fn path(rollout: &Value) -> String {
    let present = rollout.get("phase_index").and_then(Value::as_u64);
    let phases = rollout.get("phases").and_then(Value::as_array);
    let names = phases.into_iter().flatten().enumerate().map(|(i, phase)| match present {
        Some(present) if present == i as u64 => format!("[{}]", word(phase, "name")),
        _ => word(phase, "name").to_owned(),
    });
    names.collect::<Vec<_>>().join(" > ")
}

fn reached(rollout: &Value) -> String {
    match rollout.get("reach").filter(|reach| reach.is_object()) {
        Some(reach) => {
            let whole = |key| count(reach.get(key).and_then(Value::as_u64).unwrap_or(0));
            let last = moment(reach, "last").map(|ts| format!(", last at {}", at(ts))).unwrap_or_default();
            format!("{} users in {} calls{last}", whole("users"), whole("calls"))
        }
        None => "unknown while the store is away".into(),
    }
}

fn when(rollout: &Value) -> Vec<String> {
    let shown = |key| moment(rollout, key).map(at);
    let since = shown("phase_since").unwrap_or_default();
    let mut lines = vec![format!("started   {}; here since {since}", shown("started").unwrap_or_default())];
    if let (Some(dwell), Some(deadline)) = (shown("dwell_until"), shown("deadline")) {
        lines.push(format!("leaves    not before {dwell}; pauses at {deadline}"));
    }
    lines
}

/// A table of verdicts; `None` when there are none.
pub fn checks(rollout: &Value, title: &str, key: &str) -> Option<String> {
    let verdicts = rollout.get(key).and_then(Value::as_array).filter(|verdicts| !verdicts.is_empty())?;
    Some(verdict_table(title, verdicts))
}

/// Verdicts with every number that people need.
pub fn verdict_table(title: &str, verdicts: &[Value]) -> String {
    let header = [title, "verdict", "n", "estimate", "interval", "limit", "stable"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(verdicts.iter().map(|verdict| {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| figure(verdict, value));
        let ends = verdict.get("interval").and_then(Value::as_array);
        let end = |i: usize| ends.and_then(|ends| ends.get(i)).and_then(Value::as_f64);
        let interval = match (end(0), end(1)) {
            (Some(low), Some(high)) => format!("{} .. {}", figure(verdict, low), figure(verdict, high)),
            _ => "-".into(),
        };
        vec![
            word(verdict, "name").to_owned(),
            outcome(verdict),
            count(verdict.get("n").and_then(Value::as_u64).unwrap_or(0)),
            shown(number(verdict, "estimate")),
            interval,
            limit(verdict),
            shown(number(verdict, "stable_estimate")),
        ]
    }));
    columns(&rows)
}

/// Whether anything was counted, in either arm.
pub fn has_data(verdict: &Value) -> bool {
    let n = |key: &str| verdict.get(key).and_then(Value::as_u64).unwrap_or(0);
    n("n") > 0 || n("stable_n") > 0
}

/// A limit that is relative to stable is not known before stable was seen.
fn limit(verdict: &Value) -> String {
    match number(verdict, "limit").filter(|_| has_data(verdict)) {
        Some(limit) if is_amount(verdict) => format!("{limit:.2}"),
        Some(limit) => round_part(limit),
        None => "-".into(),
    }
}

/// How far a gate that waits has come is told with it: the part of the evidence that it needs.
fn outcome(verdict: &Value) -> String {
    let is_gate = word(verdict, "role") == "gate";
    if !has_data(verdict) {
        return "no data".into();
    }
    match word(verdict, "outcome") {
        "pass" => "PASS".into(),
        "fail" => "FAIL".into(),
        _ => {
            let (key, needed) = if is_gate {
                ("log_e_pass", "log_e_pass_needed")
            } else {
                ("log_e_fail", "log_e_fail_needed")
            };
            match (number(verdict, key), number(verdict, needed)) {
                (Some(has), Some(needed)) if needed > 0.0 => {
                    let percent = (has / needed * 100.0).clamp(0.0, 99.0);
                    if is_gate { format!("waits {percent:.0} %") } else { format!("quiet {percent:.0} %") }
                }
                _ => "waits".into(),
            }
        }
    }
}

/// Amounts are plain numbers; everything else lies between 0 and 1.
fn figure(verdict: &Value, value: f64) -> String {
    if is_amount(verdict) { format!("{value:.2}") } else { part(value) }
}

fn is_amount(verdict: &Value) -> bool {
    matches!(word(verdict, "signal"), "assigned" | "tokens_in" | "tokens_out" | "cost")
}

#[cfg(test)]
mod tests {
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
    fn a_feature_without_a_rollout_is_listed_too() {
        let shown = list(&json!([{ "feature": "f", "stable": "v1", "killed": null, "rollout": null }]));
        assert!(shown.lines().nth(1).is_some_and(|line| line.starts_with("f ")), "{shown}");
        let killed = list(&json!([{ "feature": "f", "stable": "v1", "killed": "rules", "rollout": null }]));
        assert!(killed.contains("killed: to rules"), "{killed}");
    }
}
