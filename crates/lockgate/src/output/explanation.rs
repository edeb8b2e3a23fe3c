//! Why something was decided.

use serde_json::Value;

use super::rollout::verdict_table;
use super::words::{at, moment, text as word};

/// The sentence, then every gate and trigger with its reason and its numbers.
pub fn text(explanation: &Value) -> String {
    let when = moment(explanation, "ts").map(at).unwrap_or_default();
    let entry = match explanation.get("seq").and_then(Value::as_u64) {
        Some(seq) => format!("entry {seq} of the log, "),
        None => "at the last look, ".to_owned(),
    };
    let mut lines = vec![
        word(explanation, "sentence").to_owned(),
        format!("{entry}{when}, by {}", word(explanation, "author")),
    ];
    let standing = explanation.get("standing").and_then(Value::as_array);
    if let Some(verdicts) = standing.filter(|verdicts| !verdicts.is_empty()) {
        lines.push(String::new());
        lines.push(verdict_table("evidence", verdicts));
        lines.push(String::new());
        let reasons =
            verdicts.iter().map(|verdict| format!("{}: {}", word(verdict, "name"), word(verdict, "why")));
        lines.extend(reasons);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_sentence_comes_first_and_every_reason_after_it() {
        let shown = super::text(&json!({
            "feature": "f", "seq": 7, "ts": "2026-08-01T12:00:00Z", "author": "controller", "sentence": "went back",
            "standing": [{ "name": "error < 2 %", "why": "shown to be over 2 %", "role": "trigger", "outcome": "fail" }]
        }));
        assert!(
            shown.starts_with("went back\nentry 7 of the log, 2026-08-01 12:00:00Z, by controller"),
            "{shown}"
        );
        assert!(shown.ends_with("error < 2 %: shown to be over 2 %"), "{shown}");
    }
}
