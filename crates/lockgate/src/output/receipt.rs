//! What became of a command.

use serde_json::Value;

use super::words::{number, span, text as word};

/// The server's sentence, and what did not come about.
pub fn text(receipt: &Value) -> String {
    let mut lines = vec![word(receipt, "sentence").to_owned()];
    let is_false = |key: &str| receipt.get(key).and_then(Value::as_bool) == Some(false);
    if let Some(seconds) = number(receipt, "seconds").filter(|_| !is_false("settled")) {
        lines.push(format!("in force after {}", span(seconds)));
    }
    if is_false("settled") {
        lines.push(
            "warning: calls that began before may still hold the old routes; look again in a moment".into(),
        );
    }
    if is_false("recorded") {
        lines.push(
            "warning: in force, but not in the log yet; it is recorded as soon as the store answers".into(),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn what_did_not_come_about_is_said() {
        let all_well = json!({ "sentence": "done", "recorded": true, "settled": true, "seconds": 0.004 });
        assert_eq!(super::text(&all_well), "done\nin force after 4 ms");
        let told =
            super::text(&json!({ "sentence": "done", "recorded": false, "settled": false, "seconds": 0.9 }));
        assert_eq!(told.matches("warning").count(), 2);
    }
}
