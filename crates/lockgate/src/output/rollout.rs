//! Where a rollout stands, to be read at three in the morning: the first line says it, the second what it waits for, the
//! third how to stop it; then every gate with its evidence.

use lockgate_core::signal::{Measure, Signal};
use serde_json::Value;

use super::words::{at, columns, count, moment, number, part, roughly, round_part, text as word};

/// Calls for a person that are shown, the latest.
const ALERTS_SHOWN: usize = 3;

/// The word for where a rollout is.
pub fn state(rollout: &Value) -> Option<&str> {
    rollout.get("state").and_then(Value::as_str)
}

/// The whole picture.
pub fn text(rollout: &Value) -> String {
    let mut lines = vec![headline(rollout)];
    lines.extend(waiting(rollout));
    lines.extend(way_out(rollout));
    lines.extend(warnings(rollout));
    lines.push(String::new());
    lines.push(format!("phases    {}", path(rollout)));
    lines.push(format!("reached   {}", reached(rollout)));
    lines.push(format!("owner     {}; plan {}", word(rollout, "owner"), word(rollout, "plan")));
    lines.extend(when(rollout));
    lines.extend(slices(rollout));
    for (title, key) in [("gate", "gates"), ("trigger", "triggers"), ("slice", "slices")] {
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
        let has = |key: &str| rollout.is_some_and(|rollout| !word(rollout, key).is_empty());
        let state = match feature.get("killed").and_then(Value::as_str) {
            Some(to) => format!("killed: to {to}"),
            None if has("drill") => format!("{} (drill)", of_rollout("state")),
            None if has("watched_until") => format!("{} (watched)", of_rollout("state")),
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
    let says = match word(rollout, "drill") {
        "" => says,
        fault => format!("DRILL ({fault}): {says}"),
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
    let is_killed = !word(rollout, "killed").is_empty();
    match state(rollout).unwrap_or_default() {
        "shadow" | "canary" => vec![to_stop],
        "paused" | "frozen" if is_killed => {
            let first = format!("lockgate revive {feature}");
            vec![to_stop, format!("to go on  {first}, then lockgate rollout resume {feature}")]
        }
        "paused" | "frozen" => vec![to_stop, format!("to go on  lockgate rollout resume {feature}")],
        "completed" => vec![format!("to undo   lockgate rollout rollback {feature}")],
        "rolled_back" => vec![format!("to learn  lockgate rollout explain {feature}")],
        _ => Vec::new(),
    }
}

/// What nothing follows from by itself, and a person ought to know.
fn warnings(rollout: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(mismatch) = rollout.get("mismatch").filter(|mismatch| mismatch.is_object()) {
        let whole = |key| count(mismatch.get(key).and_then(Value::as_u64).unwrap_or(0));
        let share = round_part(number(mismatch, "share").unwrap_or(0.0));
        lines.push(format!(
            "WARNING   callers are not split at {share}: {} began with the candidate, {} with stable; nothing compared can \
             be trusted",
            whole("candidate"),
            whole("stable")
        ));
    }
    let both_arms = rollout.get("both_arms").and_then(Value::as_array).into_iter().flatten();
    let both_arms: Vec<&str> = both_arms.filter_map(Value::as_str).collect();
    if !both_arms.is_empty() {
        lines.push(format!(
            "both arms over the limit in both versions: {}; likely the provider, and nobody is blamed",
            both_arms.join(", ")
        ));
    }
    let alerts = rollout.get("alerts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let latest = alerts.get(alerts.len().saturating_sub(ALERTS_SHOWN)..).unwrap_or_default();
    lines.extend(latest.iter().map(|alert| {
        let when = moment(alert, "ts").map(at).unwrap_or_default();
        format!("alert     {when} {}", word(alert, "why"))
    }));
    lines
}

/// How the slices of the traffic fare, those that are quiet in one number.
fn slices(rollout: &Value) -> Vec<String> {
    let judged = rollout.get("slices_judged").and_then(Value::as_u64).unwrap_or(0);
    let stirring = rollout.get("slices").and_then(Value::as_array).map_or(0, Vec::len);
    let beyond = match rollout.get("slices_beyond").and_then(Value::as_u64).unwrap_or(0) {
        0 => String::new(),
        beyond => format!(" ({beyond} more are too many to judge)"),
    };
    let mut lines = match (judged, stirring) {
        (0, 0) => Vec::new(),
        (judged, 0) => vec![format!("slices    {judged} judged{beyond}, all quiet")],
        (judged, _) => {
            vec![format!(
                "slices    {judged} judged{beyond}; below are the checks that are not quiet, worst first"
            )]
        }
    };
    let withdrawn = rollout.get("withdrawn").and_then(Value::as_array);
    lines.extend(withdrawn.into_iter().flatten().map(|withdrawn| {
        let since = moment(withdrawn, "since").map(at).unwrap_or_default();
        format!(
            "withdrawn {} has stable since {since}",
            withdrawn.get("slice").map(slice).unwrap_or_default()
        )
    }));
    lines
}

fn slice(slice: &Value) -> String {
    format!("{}={}", word(slice, "label"), word(slice, "value"))
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
        lines.push(format!("leaves    not before {dwell}; its deadline is {deadline}"));
    }
    if let Some(until) = shown("watched_until") {
        lines.push(format!("watched   until {until}: triggers go on, and the way back is one step"));
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
        let of = verdict.get("slice").filter(|slice| slice.is_object());
        let of = of.map(|of| format!("{}: ", slice(of))).unwrap_or_default();
        vec![
            format!("{of}{}", word(verdict, "name")),
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
pub fn limit(verdict: &Value) -> String {
    match number(verdict, "limit").filter(|_| has_data(verdict)) {
        Some(limit) if is_part(verdict) => round_part(limit),
        Some(limit) => figure(verdict, limit),
        None => "-".into(),
    }
}

/// `, ~3 h`: what a gate still takes at the present rate.
fn time_left(verdict: &Value) -> String {
    let missing = verdict.get("missing").and_then(|missing| number(missing, "seconds"));
    missing.map_or_else(String::new, |seconds| format!(", ~{}", roughly(seconds)))
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
                    if is_gate {
                        format!("waits {percent:.0} %{}", time_left(verdict))
                    } else if !verdict.get("crossed").is_none_or(Value::is_null) {
                        format!("crossed {percent:.0} %")
                    } else {
                        format!("quiet {percent:.0} %")
                    }
                }
                _ => "waits".into(),
            }
        }
    }
}

/// A number in the unit of its signal: parts of calls and scores in percent, money in dollars, amounts and sizes plain.
pub fn figure(verdict: &Value, value: f64) -> String {
    match signal(verdict) {
        Some(Signal::Cost | Signal::SessionCost) => format!("${value:.4}"),
        _ if is_part(verdict) => part(value),
        _ => format!("{value:.2}"),
    }
}

fn is_part(verdict: &Value) -> bool {
    let measure = signal(verdict).map(|signal| signal.measure());
    !matches!(measure, Some(Measure::Amount | Measure::Sizes))
}

fn signal(verdict: &Value) -> Option<Signal> {
    word(verdict, "signal").parse().ok()
}

#[cfg(test)]
mod tests;
