//! Why something was decided: the sentence, then every number of every gate and trigger, then whether they come out the same
//! when they are taken again.

use serde_json::Value;

use super::rollout::{figure, limit};
use super::words::{at, columns, count, moment, number, one_in, roughly, span, text as word};

/// The whole explanation.
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
    let standing = explanation.get("standing").and_then(Value::as_array).into_iter().flatten();
    lines.extend(standing.map(|verdict| format!("\n{}", check(verdict))));
    if let Some(said) = reproduced(explanation) {
        lines.push(format!("\n{said}"));
    }
    lines.join("\n")
}

/// One gate or trigger with all that is known of it.
fn check(verdict: &Value) -> String {
    let slice = verdict.get("slice").filter(|slice| slice.is_object());
    let slice = slice.map(|slice| format!("{}={}: ", word(slice, "label"), word(slice, "value")));
    let title = format!(
        "{} {}{}: {}",
        word(verdict, "role"),
        slice.unwrap_or_default(),
        word(verdict, "name"),
        word(verdict, "outcome").to_uppercase(),
    );
    let rows = [
        ("why", Some(word(verdict, "why").to_owned())),
        ("candidate", Some(candidate(verdict))),
        ("stable", Some(seen(verdict, "stable_n", "stable_total", "stable_estimate"))),
        ("limit", number(verdict, "limit").map(|_| limit(verdict))),
        ("to pass", evidence(verdict, "log_e_pass")),
        ("to fail", evidence(verdict, "log_e_fail")),
        ("budget", budget(verdict)),
        ("missing", missing(verdict)),
        ("window", crossed(verdict)),
        ("data", as_of(verdict)),
    ];
    let rows = rows.into_iter().filter_map(|(name, text)| Some(vec![format!("  {name}"), text?]));
    format!("{title}\n{}", columns(&rows.collect::<Vec<_>>()))
}

fn candidate(verdict: &Value) -> String {
    let mut said = seen(verdict, "n", "total", "estimate");
    let ends = verdict.get("interval").and_then(Value::as_array);
    let end = |i: usize| ends.and_then(|ends| ends.get(i)).and_then(Value::as_f64);
    if let (Some(low), Some(high)) = (end(0), end(1)) {
        said.push_str(&format!(", in {} .. {}", figure(verdict, low), figure(verdict, high)));
    }
    if word(verdict, "arm") == "shadow" {
        said.push_str(" (copies)");
    }
    said
}

/// `0.25 % of 4,711, total 12`.
fn seen(verdict: &Value, n: &str, total: &str, estimate: &str) -> String {
    let Some(value) = number(verdict, estimate) else { return "no data".into() };
    let n = verdict.get(n).and_then(Value::as_u64).unwrap_or(0);
    let total = match number(verdict, total).unwrap_or(0.0) {
        total if total.fract() == 0.0 && total >= 0.0 => count(total as u64),
        total => format!("{total:.2}"),
    };
    format!("{} of {}, total {total}", figure(verdict, value), count(n))
}

/// Evidence as a logarithm and as a chance, with what it must reach. What is not judged by it has none.
fn evidence(verdict: &Value, key: &str) -> Option<String> {
    let has = number(verdict, key)?;
    let needed = number(verdict, &format!("{key}_needed"))?;
    Some(format!("ln e = {has:.2} of {needed:.2} ({} of {})", one_in(has), one_in(needed)))
}

/// How often this check may be wrong about a harmless candidate, over the whole rollout.
fn budget(verdict: &Value) -> Option<String> {
    let alpha = number(verdict, "alpha").filter(|alpha| *alpha > 0.0)?;
    Some(format!("{} harmless candidates", one_in(-alpha.ln())))
}

fn missing(verdict: &Value) -> Option<String> {
    let missing = verdict.get("missing").filter(|missing| missing.is_object())?;
    let more = count(missing.get("observations").and_then(Value::as_u64)?);
    Some(match number(missing, "seconds") {
        Some(seconds) => format!("{more} more, about {} at the present rate", roughly(seconds)),
        None => format!("{more} more, and none come in"),
    })
}

fn crossed(verdict: &Value) -> Option<String> {
    let since = verdict.get("crossed").and_then(bucket)?;
    Some(format!("taken at its word, over the limit since {since}"))
}

fn as_of(verdict: &Value) -> Option<String> {
    let as_of = verdict.get("as_of").filter(|as_of| as_of.is_object())?;
    let width = number(as_of, "width_ms")? / 1e3;
    Some(format!("up to the bucket of {}, {} wide", as_of.get("bucket").and_then(bucket)?, span(width)))
}

/// The beginning of a bucket.
fn bucket(start: &Value) -> Option<String> {
    jiff::Timestamp::from_millisecond(start.as_i64()?).ok().map(at)
}

fn reproduced(explanation: &Value) -> Option<String> {
    let why = word(explanation, "reproduced_why");
    match explanation.get("reproduced").and_then(Value::as_bool) {
        Some(true) => Some("reproduced: the log and the stored sums alone give every number again".into()),
        Some(false) => {
            let differences = explanation.get("differences").and_then(Value::as_array);
            let each = differences.into_iter().flatten().filter_map(Value::as_str);
            let each: Vec<String> = each.map(|difference| format!("  {difference}")).collect();
            Some(format!(
                "NOT REPRODUCED: the log and the stored sums give other numbers; sums that came in late do that, and so \
                 does tampering\n{}",
                each.join("\n")
            ))
        }
        None if why.is_empty() => None,
        None => Some(format!("not reproduced: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn told() -> Value {
        json!({
            "feature": "f", "seq": 7, "ts": "2026-08-01T12:00:00Z", "author": "controller", "sentence": "went back",
            "standing": [{
                "name": "error < 0.5 %", "signal": "error", "arm": "candidate", "role": "gate", "outcome": "inconclusive",
                "slice": { "label": "tier", "value": "premium" }, "why": "not enough evidence", "n": 4711, "total": 12.0,
                "estimate": 0.0025, "interval": [0.001, 0.004], "stable_n": 471_000, "stable_total": 30.0,
                "stable_estimate": 0.00006, "limit": 0.005, "log_e_pass": 2.0, "log_e_pass_needed": 3.0,
                "log_e_fail": 0.0, "log_e_fail_needed": 9.21, "alpha": 0.0001,
                "missing": { "observations": 1200, "seconds": 10_800 }, "crossed": 1_785_585_590_000i64,
                "as_of": { "bucket": 1_785_585_600_000i64, "width_ms": 10_000 }
            }],
            "reproduced": true, "reproduced_why": null, "differences": []
        })
    }

    #[test]
    fn the_sentence_comes_first_and_every_number_after_it() {
        let shown = super::text(&told());
        assert!(
            shown.starts_with("went back\nentry 7 of the log, 2026-08-01 12:00:00Z, by controller"),
            "{shown}"
        );
        for line in [
            "gate tier=premium: error < 0.5 %: INCONCLUSIVE",
            "why        not enough evidence",
            "candidate  0.25 % of 4,711, total 12, in 0.10 % .. 0.40 %",
            "stable     0.01 % of 471,000, total 30",
            "limit      0.5 %",
            "to pass    ln e = 2.00 of 3.00 (1 in 7 of 1 in 20)",
            "to fail    ln e = 0.00 of 9.21 (1 in 1 of 1 in 10,000)",
            "budget     1 in 10,000 harmless candidates",
            "missing    1,200 more, about 3 h at the present rate",
            "data       up to the bucket of 2026-08-01 12:00:00Z, 10.0 s wide",
        ] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
        assert!(shown.ends_with("give every number again"), "{shown}");
    }

    #[test]
    fn numbers_that_come_out_otherwise_are_named() {
        let mut told = told();
        told["reproduced"] = json!(false);
        told["differences"] = json!(["error < 0.5 %: n was 4711 and comes out as 4712"]);
        let shown = super::text(&told);
        assert!(shown.contains("NOT REPRODUCED") && shown.ends_with("comes out as 4712"), "{shown}");
        told["reproduced"] = Value::Null;
        told["reproduced_why"] = json!("its sums are past their retention");
        assert!(super::text(&told).ends_with("not reproduced: its sums are past their retention"));
    }
}
