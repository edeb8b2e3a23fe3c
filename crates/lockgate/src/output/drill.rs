//! How a rehearsal went.

use std::fmt::Write as _;

use serde_json::Value;

use super::words::{columns, count, number, span, text as word};

/// Longest line of a rule that did not find the fault.
const CHARS_MAX: usize = 160;

/// While it goes on.
pub fn progress(drill: &Value, calls: &Value) -> String {
    format!(
        "{}: drill {} ({}): {} marked calls to the rehearsal, {} to stable; ctrl-c ends it",
        word(drill, "feature"),
        word(drill, "fault"),
        word(drill, "state").replace('_', " "),
        many(calls, "candidate"),
        many(calls, "stable"),
    )
}

/// When it is over.
pub fn text(report: &Value) -> String {
    let (feature, fault) = (word(report, "feature"), word(report, "fault"));
    let found = report["found"] == true;
    let mut out = match number(report, "seconds_to_detection") {
        Some(seconds) => format!("{feature}: drill {fault}: FOUND after {}", span(seconds)),
        None => format!("{feature}: drill {fault}: NOT FOUND ({})", word(report, "why")),
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![format!("  {name}"), value]);
    if found {
        row("found by", word(report, "why").to_owned());
        let from = match word(report, "counted_from") {
            "first_faulty_call" => "after the first call that the fault touched",
            _ => "after the beginning; calls of others were not followed",
        };
        row("detection", format!("{} {from}", span(number(report, "seconds_to_detection").unwrap_or(0.0))));
    }
    if let Some(seconds) = number(report, "seconds_to_zero_share") {
        row(
            "way back",
            format!("the candidate's share was measured to be 0 after another {}", span(seconds)),
        );
    }
    let calls = &report["calls"];
    row(
        "touched",
        format!(
            "{} calls of {} users were behind the fault, {} of them failed or degraded; {} marked calls had stable",
            many(report, "candidate_calls"),
            many(report, "users_touched"),
            many(calls, "candidate_failed"),
            many(calls, "stable"),
        ),
    );
    for (name, key) in
        [("unanswered", "unanswered"), ("not made", "skipped"), ("not reported", "reports_refused")]
    {
        if calls[key].as_u64().unwrap_or(0) > 0 {
            row(name, format!("{} calls", many(calls, key)));
        }
    }
    row("recorded", recorded(report, feature));
    let _ = write!(out, "\n{}", columns(&rows));
    if !found {
        let _ = write!(out, "\n{}", what_looked(report));
    }
    out
}

fn many(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_u64).map_or_else(|| "0".to_owned(), count)
}

fn recorded(report: &Value, feature: &str) -> String {
    let entries: Vec<u64> =
        report["log"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let listed: Vec<String> = entries.iter().map(u64::to_string).collect();
    // The way back is the last but one: what comes after it is that the share is 0.
    let back = entries.iter().rev().nth(1).or(entries.last()).copied().unwrap_or(0);
    format!("log entries {}; `lockgate rollout explain {feature} {back}` has every number", listed.join(", "))
}

/// What each rule that could have found it would have needed.
fn what_looked(report: &Value) -> String {
    let rules: Vec<&Value> = report["looked_at"].as_array().into_iter().flatten().collect();
    if rules.is_empty() {
        return format!(
            "  nothing found it because nothing looks: no gate or trigger of the plan `{}` is about what this fault changes",
            word(report, "plan")
        );
    }
    let each = |rule: &&Value| {
        let needed = match (number(rule, "log_e_fail"), number(rule, "log_e_fail_needed")) {
            (Some(has), Some(needed)) => format!("; evidence {has:.1} of {needed:.1}"),
            _ => String::new(),
        };
        let n = rule.get("n").and_then(Value::as_u64).unwrap_or(0);
        let line = format!("    {}: {}, n={}{needed}", word(rule, "name"), word(rule, "why"), count(n));
        super::words::cut(&line, CHARS_MAX)
    };
    format!(
        "  these looked, and would have needed more:\n{}",
        rules.iter().map(each).collect::<Vec<_>>().join("\n")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "feature": "support-reply", "fault": "errors=5%", "plan": "standard", "found": true,
            "why": "error < 0.5 %: 9 of 130", "seconds_to_detection": 14.2, "seconds_to_zero_share": 2.0,
            "counted_from": "first_faulty_call", "candidate_calls": 1234, "users_touched": 1230,
            "calls": { "stable": 1200, "skipped": 0 }, "log": [3, 4, 5, 6], "looked_at": [],
        })
    }

    #[test]
    fn what_was_found_is_told_with_its_seconds_its_users_and_its_log() {
        let told = text(&report());
        for words in [
            "FOUND after",
            "error < 0.5 %",
            "1,234 calls of 1,230 users",
            "log entries 3, 4, 5, 6",
            "explain support-reply 5",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("not made"), "{told}");
    }

    #[test]
    fn what_was_not_found_is_told_with_what_would_have_been_needed() {
        let mut report = report();
        report["found"] = json!(false);
        report["seconds_to_detection"] = Value::Null;
        report["why"] = json!("nothing was found within 10m");
        assert!(text(&report).contains("nothing looks"), "{}", text(&report));
        report["looked_at"] = json!([{
            "name": "quality within 10 %", "why": "not shown", "n": 40, "log_e_fail": 1.25, "log_e_fail_needed": 6.9,
        }]);
        let told = text(&report);
        assert!(
            told.contains("NOT FOUND (nothing was found within 10m)") && told.contains("evidence 1.2 of 6.9"),
            "{told}"
        );
    }
}
