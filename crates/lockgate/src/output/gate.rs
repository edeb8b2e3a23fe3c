//! Whether a rollout's gates pass, for the log of a pipeline.

use serde_json::Value;

use super::words::text as word;

/// The answer in the first line, then its reasons, a line each.
pub fn text(gate: &Value) -> String {
    let answer = match word(gate, "outcome") {
        "pass" => "PASS",
        "fail" => "FAIL",
        _ => "INCONCLUSIVE",
    };
    let place = match (word(gate, "phase"), word(gate, "state")) {
        ("", "") => String::new(),
        ("", state) => format!(" ({})", state.replace('_', " ")),
        (phase, state) => format!(" ({state}, phase `{phase}`)"),
    };
    let reasons =
        gate.get("reasons").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let lines = std::iter::once(format!("{}: {answer}{place}", word(gate, "feature")));
    lines.chain(reasons.map(str::to_owned)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_answer_comes_first_and_each_reason_has_a_line() {
        let shown = super::text(&json!({
            "feature": "f", "outcome": "inconclusive", "state": "canary", "phase": "1 %",
            "reasons": ["error < 0.5 %: not enough evidence", "csat within 2 %: no data yet"],
        }));
        assert_eq!(
            shown,
            "f: INCONCLUSIVE (canary, phase `1 %`)\nerror < 0.5 %: not enough evidence\ncsat within 2 %: no data yet"
        );
        let over =
            super::text(&json!({ "feature": "f", "outcome": "fail", "state": "rolled_back", "reasons": [] }));
        assert_eq!(over, "f: FAIL (rolled back)");
    }
}
