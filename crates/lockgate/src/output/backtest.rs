//! What would have been decided, for people: a line per decision with the checks it rests on below it.

use std::path::Path;

use lockgate_core::name::PlanName;
use serde_json::Value;

use super::rollout::figure;
use super::words::{at, columns, count, moment, number, text as word};

/// Most checks shown below one decision; `--json` has them all.
const CHECKS_MAX: usize = 12;

/// What is being done.
pub fn heading(plan: &PlanName, outcomes: &Path) -> String {
    format!("plan `{plan}` over {}", outcomes.display())
}

/// One decision.
pub fn decision(told: &Value) -> String {
    let when = moment(told, "ts").map_or_else(|| "never".into(), at);
    let evidence = told.get("evidence").unwrap_or(&Value::Null);
    let phase = word(told, "phase");
    let rule = told.get("rule").and_then(Value::as_str);
    let what = match word(told, "event") {
        "phase_entered" => format!("phase `{phase}` begins"),
        "promoted" => format!("phase `{phase}` passed"),
        "rolled_back" => "ROLLED BACK".into(),
        "frozen" => "FROZEN".into(),
        "held" => format!("held in `{phase}`"),
        "completed" => "COMPLETED".into(),
        "alerted" => "a person is called".into(),
        "slice_withdrawn" => "a slice goes back to stable".into(),
        other => other.to_owned(),
    };
    let mut lines = vec![match rule {
        Some(rule) if matches!(word(told, "event"), "rolled_back" | "frozen") => {
            format!("{when}  {what}, broken: {rule}")
        }
        Some(rule) if word(told, "event") != "phase_entered" => format!("{when}  {what}: {rule}"),
        _ => format!("{when}  {what}"),
    }];
    let is_plain = matches!(word(told, "event"), "phase_entered" | "promoted" | "completed");
    if !is_plain {
        lines.extend(word(evidence, "why").split("; ").map(|why| format!("    {why}")));
    }
    lines.extend(checks(evidence));
    lines.join("\n")
}

fn checks(evidence: &Value) -> Option<String> {
    let all = evidence.get("checks").and_then(Value::as_array).filter(|all| !all.is_empty())?;
    let rows: Vec<Vec<String>> = all.iter().take(CHECKS_MAX).map(row).collect();
    let mut table: Vec<String> = columns(&rows).lines().map(|line| format!("    {line}")).collect();
    if let Some(more) = all.len().checked_sub(CHECKS_MAX).filter(|more| *more > 0) {
        table.push(format!("    and {more} more"));
    }
    Some(table.join("\n"))
}

/// A check: where it stands, and the evidence of that side against what it must reach.
fn row(check: &Value) -> Vec<String> {
    let outcome = word(check, "outcome");
    let name = match check.get("slice").filter(|slice| slice.is_object()) {
        Some(slice) => format!("{}={}: {}", word(slice, "label"), word(slice, "value"), word(check, "name")),
        None => word(check, "name").to_owned(),
    };
    let shown = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| figure(check, value));
    let side = |evidence: &str, needed: &str| {
        let needed = number(check, needed)?;
        number(check, evidence).map(|log_e| format!("ln e {log_e:.2} of {needed:.2}"))
    };
    let proof = match outcome {
        "fail" => side("log_e_fail", "log_e_fail_needed"),
        _ => side("log_e_pass", "log_e_pass_needed"),
    };
    let n = |key: &str| count(check.get(key).and_then(Value::as_u64).unwrap_or(0));
    vec![
        outcome.to_owned(),
        name,
        format!("{} of {}", shown(number(check, "estimate")), n("n")),
        format!("stable {} of {}", shown(number(check, "stable_estimate")), n("stable_n")),
        proof.unwrap_or_default(),
    ]
}

/// How it ended.
pub fn end(end: &Value) -> String {
    let n = |key: &str| count(end.get(key).and_then(Value::as_u64).unwrap_or(0));
    let mut lines = vec![
        String::new(),
        format!("end: {} (`{}`)", word(end, "state").replace('_', " "), word(end, "phase")),
        format!(
            "the candidate answered {} calls of {} users and {} copies; stable answered {}; {} of {} lines were used",
            n("candidate_requests"),
            n("users_reached"),
            n("candidate_copies"),
            n("stable_requests"),
            n("outcomes"),
            n("lines"),
        ),
    ];
    for problem in end.get("problems").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("problem: {}", self::problem(problem)));
    }
    let ignored = end.get("ignored").and_then(Value::as_object).filter(|ignored| !ignored.is_empty());
    if let Some(ignored) = ignored {
        let keys = ignored
            .iter()
            .map(|(key, lines)| format!("{key} ({} lines)", count(lines.as_u64().unwrap_or(0))));
        lines.push(format!("ignored: {}", keys.collect::<Vec<_>>().join(", ")));
    }
    let notes = end.get("notes").and_then(Value::as_array).into_iter().flatten();
    lines.extend(notes.filter_map(Value::as_str).map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn problem(problem: &Value) -> String {
    let first = problem.get("first").and_then(Value::as_array).into_iter().flatten();
    let named = first.map(|named| match named.get("line").and_then(Value::as_u64) {
        Some(line) => format!("line {line}: {}", word(named, "why")),
        None => word(named, "why").to_owned(),
    });
    let named: Vec<String> = named.collect();
    let all = problem.get("count").and_then(Value::as_u64).unwrap_or(0);
    let more = match all.saturating_sub(named.len() as u64) {
        0 => String::new(),
        more => format!("; and {} more", count(more)),
    };
    format!("{}: {}{more}", word(problem, "kind").replace('_', " "), named.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_decision_reads_as_time_rule_and_numbers() {
        let told = decision(&json!({
            "ts": "2026-08-01T12:00:10Z", "event": "rolled_back", "phase": "1 %", "rule": "error < 0.5 %",
            "evidence": { "why": "shown to be over", "checks": [{
                "name": "error < 0.5 %", "outcome": "fail", "estimate": 0.021, "n": 412, "stable_estimate": 0.004,
                "stable_n": 41_200, "limit": 0.005, "log_e_fail": 6.1, "log_e_fail_needed": 5.9, "log_e_pass": 0.0,
            }] },
        }));
        assert_eq!(
            told,
            "2026-08-01 12:00:10Z  ROLLED BACK, broken: error < 0.5 %\n    shown to be over\n    fail  error < 0.5 %  2.10 % of 412  \
             stable 0.40 % of 41,200  ln e 6.10 of 5.90"
        );
    }

    #[test]
    fn the_end_names_what_is_wrong_and_what_was_ignored() {
        let told = end(&json!({
            "state": "paused", "phase": "shadow", "candidate_requests": 0, "users_reached": 0, "lines": 12, "outcomes": 5,
            "problems": [{ "kind": "negative", "count": 7, "first": [{ "line": 3, "why": "latency is -1" }] }],
            "ignored": { "colour": 12_000 }, "notes": [],
        }));
        assert!(told.contains("problem: negative: line 3: latency is -1; and 6 more"), "{told}");
        assert!(told.contains("ignored: colour (12,000 lines)"), "{told}");
    }
}
