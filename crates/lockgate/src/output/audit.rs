//! The log of decisions, and what follows from it.

use serde_json::Value;

use super::words::{at, columns, count, moment, number, round_part, text as word, version};

/// Entries, a line each.
pub fn log(page: &Value) -> String {
    let entries = page.get("entries").unwrap_or(page);
    let rows: Vec<Vec<String>> = entries.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return "the log has no such entries".into();
    }
    let mut shown = columns(&rows);
    if let Some(after) = page.get("next_after").and_then(Value::as_u64) {
        shown.push_str(&format!("\nthere may be more: --after {after}"));
    }
    shown
}

fn row(entry: &Value) -> Vec<String> {
    let seq = entry.get("seq").and_then(Value::as_u64).map(|seq| seq.to_string());
    vec![
        seq.unwrap_or_default(),
        moment(entry, "ts").map(at).unwrap_or_default(),
        word(entry, "feature").to_owned(),
        word(entry, "event").to_owned(),
        word(entry, "author").to_owned(),
        event(entry),
    ]
}

/// What an event says, in a few words.
pub fn event(entry: &Value) -> String {
    let why = word(entry, "why");
    match word(entry, "event") {
        "stable_declared" => format!("users have {}", version(entry, "stable")),
        "rollout_started" if !entry.get("drill").is_none_or(Value::is_null) => {
            format!("a rehearsal over {}, owner {}", version(entry, "stable"), word(entry, "owner"))
        }
        "rollout_started" => format!(
            "{} over {}, plan {}, owner {}",
            version(entry, "candidate"),
            version(entry, "stable"),
            entry.get("plan").map(|plan| word(plan, "name")).unwrap_or_default(),
            word(entry, "owner")
        ),
        "phase_entered" => format!("{}: {why}", word(entry, "name")),
        "rolled_back" => {
            let whole = |key| count(entry.get(key).and_then(Value::as_u64).unwrap_or(0));
            format!(
                "share 0; reached {} users in {} calls",
                whole("candidate_users"),
                whole("candidate_calls")
            )
        }
        "completed" => "everybody has the candidate".into(),
        "slice_withdrawn" => {
            let slice = entry.get("slice");
            let part = |key| slice.map(|slice| word(slice, key)).unwrap_or_default();
            format!("{}={} has stable again: {why}", part("label"), part("value"))
        }
        "rollback_started" if word(entry, "cause") == "retreat" => format!("by a gateway alone: {why}"),
        "flipped" => format!("{} to {}: {why}", version(entry, "from"), version(entry, "to")),
        "killed" => format!("everybody to {}: {why}", word(entry, "to")),
        _ => why.to_owned(),
    }
}

/// Which versions served at a moment.
pub fn at_moment(served: &Value) -> String {
    let served = served.get("served").filter(|served| served.is_object()).unwrap_or(served);
    let Some(versions) = served.get("versions").and_then(Value::as_array) else {
        return "the log knows nothing of the feature at that moment".into();
    };
    let killed = served.get("killed").and_then(Value::as_str);
    let rows = versions.iter().map(|serving| {
        let part = number(serving, "share").map(round_part).unwrap_or_default();
        vec![word(serving, "arm").to_owned(), version(serving, "version"), part, confine(serving)]
    });
    let table = columns(&rows.collect::<Vec<_>>());
    match killed {
        Some(to) => format!("the kill switch was on: everybody to {to}\n{table}"),
        None => table,
    }
}

fn confine(serving: &Value) -> String {
    let matchers = serving.get("confine").and_then(Value::as_array);
    let one = |matcher: &Value| {
        let labels = matcher.as_object().into_iter().flatten().map(|(label, values)| {
            let values = values.as_array().into_iter().flatten().filter_map(Value::as_str);
            format!("{label}={}", values.collect::<Vec<_>>().join("|"))
        });
        labels.collect::<Vec<_>>().join(",")
    };
    let texts: Vec<String> = matchers.into_iter().flatten().map(one).collect();
    if texts.is_empty() { "of everyone".into() } else { format!("of {}", texts.join(" or ")) }
}

/// Which version answered a call.
pub fn request(answer: &Value) -> String {
    let shown = |key: &str| match answer.get(key) {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut rows = vec![
        ["answered by".to_owned(), format!("{} as {}", version(answer, "version"), shown("arm"))].to_vec(),
        ["at".to_owned(), moment(answer, "ts").map(at).unwrap_or_default()].to_vec(),
    ];
    for (title, key) in [
        ("feature", "feature"),
        ("target", "target"),
        ("tier", "tier"),
        ("status", "status"),
        ("segment", "segment"),
        ("session", "session"),
        ("rollout", "rollout"),
        ("answer id", "answer_id"),
    ] {
        rows.push(vec![title.to_owned(), shown(key)]);
    }
    columns(&rows)
}

/// Whether the log is as it was written.
pub fn verification(found: &Value) -> String {
    let entries = count(found.get("entries").and_then(Value::as_u64).unwrap_or(0));
    match found.get("broken").and_then(Value::as_str) {
        Some(broken) => format!("BROKEN: {broken} ({entries} entries were read)"),
        None => format!("sound: {entries} entries, the last with hash {}", word(found, "head_hash")),
    }
}
