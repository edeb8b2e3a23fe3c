//! Lines of outcomes, well and badly written.

use lockgate_core::plan::Plan;
use lockgate_core::signal::Signal;

use super::*;

fn reader() -> LineReader {
    LineReader::new(Signals::of(&Plan::standard()))
}

/// What a line says of each signal, by name.
fn seen(members: &str) -> Vec<(String, Seen)> {
    let mut reader = reader();
    reader.read(format!(r#"{{"ts":"2026-08-01T12:00:00Z","arm":"candidate"{members}}}"#).as_bytes()).unwrap();
    let all = reader.outcome.seen.iter();
    let mut all: Vec<_> = all.map(|(index, seen)| (reader.signals.get(*index).to_string(), *seen)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn fault(line: &str) -> ProblemKind {
    reader().read(line.as_bytes()).unwrap_err().kind
}

#[test]
fn a_line_without_observations_says_only_that_there_was_a_call() {
    assert!(seen("").is_empty());
    assert!(
        seen(r#", "latency_ms": null, "error": null, "judge": null, "segment": null, "user": null"#)
            .is_empty()
    );
}

#[test]
fn a_timeout_is_an_error_and_slower_than_everything() {
    let timed_out = seen(r#", "timeout": true, "latency_ms": 30000"#);
    assert!(timed_out.contains(&("error".into(), Seen::Was(true))));
    assert!(timed_out.contains(&("latency".into(), Seen::Level(never()))));
    assert_eq!(timed_out.len(), 4, "these, the time-out itself and that nothing was compared");
}

#[test]
fn tokens_read_and_written_make_tokens_unless_those_are_told() {
    let told = seen(r#", "tokens_in": 700, "tokens_out": 12"#);
    assert!(told.contains(&("tokens".into(), Seen::Amount(712))));
    assert!(told.contains(&("output_length".into(), Seen::Level(size_levels::level(12)))));
    let told = seen(r#", "tokens_in": 700, "tokens_out": 12, "tokens": 1"#);
    assert!(told.contains(&("tokens".into(), Seen::Amount(1))));
}

#[test]
fn a_copy_is_compared_if_an_agreement_is_told_and_not_if_it_failed() {
    let coverage =
        |members| seen(members).into_iter().find(|(name, _)| name == "coverage").map(|(_, seen)| seen);
    assert_eq!(coverage(r#", "agreement": 0.9"#), Some(Seen::Was(true)));
    assert_eq!(coverage(r#", "error": true"#), Some(Seen::Was(false)));
    assert_eq!(coverage(r#", "error": false"#), None);
    assert_eq!(coverage(r#", "error": true, "coverage": true"#), Some(Seen::Was(true)));
}

#[test]
fn escapes_are_read_as_what_they_stand_for() {
    let mut reader = reader();
    let line = r#"{"ts":"2026-08-01T12:00:00\u005a","\u0061rm":"st\u0061ble","user":"\u0075","segment":{"tier":"\u0070"}}"#;
    reader.read(line.as_bytes()).unwrap();
    assert_eq!(
        (reader.outcome.side, reader.segments.get(reader.outcome.segment).as_str()),
        (Side::Stable, "tier=p")
    );
    let escaped = reader.outcome.visitor;
    reader.read(br#"{"ts":"2026-08-01T12:00:00Z","arm":"stable","user":"u"}"#).unwrap();
    assert_eq!(reader.outcome.visitor, escaped);
}

#[test]
fn unknown_keys_are_counted_and_bounded() {
    let mut reader = reader();
    for key in 0..100 {
        let line =
            format!(r#"{{"ts":"2026-08-01T12:00:00Z","arm":"stable","k{key}":{{"a":[1,{{}}]}},"colour":1}}"#);
        reader.read(line.as_bytes()).unwrap();
    }
    assert_eq!(reader.ignored["colour"], 100);
    assert!(reader.ignored.len() <= IGNORED_MAX + 1);
}

#[test]
fn every_way_of_being_wrong_has_its_kind() {
    let with = |members: &str| format!(r#"{{"ts":"2026-08-01T12:00:00Z","arm":"stable",{members}}}"#);
    for (line, kind) in [
        ("{".to_owned(), ProblemKind::NotJson),
        ("[1]".into(), ProblemKind::NotJson),
        (with(r#""error":false} x"#), ProblemKind::NotJson),
        (with(r#""judge":NaN"#), ProblemKind::NotFinite),
        (with(r#""latency_ms":-Infinity"#), ProblemKind::NotFinite),
        (with(r#""latency_ms":1e999"#), ProblemKind::NotFinite),
        (r#"{"arm":"stable"}"#.into(), ProblemKind::BadTime),
        (r#"{"ts":1754049600,"arm":"stable"}"#.into(), ProblemKind::BadTime),
        (r#"{"ts":"2026-08-01T12:00:00","arm":"stable"}"#.into(), ProblemKind::BadTime),
        (r#"{"ts":"9998-08-01T12:00:00Z","arm":"stable"}"#.into(), ProblemKind::BadTime),
        (r#"{"ts":"2026-08-01T12:00:00Z"}"#.into(), ProblemKind::BadArm),
        (r#"{"ts":"2026-08-01T12:00:00Z","arm":"canary"}"#.into(), ProblemKind::BadArm),
        (with(r#""latency_ms":"812""#), ProblemKind::BadValue),
        (with(r#""error":"no""#), ProblemKind::BadValue),
        (with(r#""judge":true"#), ProblemKind::BadValue),
        (with(r#""user":{}"#), ProblemKind::BadValue),
        (with(r#""cost_usd":-0.01"#), ProblemKind::Negative),
        (with(r#""agreement":1.5"#), ProblemKind::ScoreOutside),
        (with(r#""segment":{"tier":"a b"}"#), ProblemKind::BadSegment),
    ] {
        assert_eq!(fault(&line), kind, "{line}");
    }
}

#[test]
fn a_declared_signal_is_told_by_its_name() {
    let mut plan = Plan::standard();
    plan.triggers[0].signal = "rate:resolved".parse::<Signal>().unwrap();
    let mut reader = LineReader::new(Signals::of(&plan));
    reader.read(br#"{"ts":"2026-08-01T12:00:00Z","arm":"stable","resolved":true}"#).unwrap();
    assert_eq!(reader.outcome.seen.len(), 1);
    assert!(reader.ignored.is_empty());
}

#[test]
fn no_line_is_a_reason_to_panic() {
    let sound =
        br#"{"ts":"2026-08-01T12:00:00Z","arm":"stable","segment":{"a":"b"},"judge":0.5,"cost_usd":1e-3}"#;
    let mut drawn = 1_u64;
    for _ in 0..20_000 {
        let mut line = sound.to_vec();
        for _ in 0..3 {
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (drawn >> 33) as usize % line.len();
            line[at] = (drawn >> 20) as u8;
        }
        _ = reader().read(&line);
    }
}

#[test]
fn no_number_is_a_reason_to_panic() {
    let keys = ["latency_ms", "cost_usd", "tokens", "judge", "error", "input_length", "tokens_in"];
    for key in keys {
        for number in
            ["0", "-0.0", "1e308", "-1e308", "5e-324", "18446744073709551615", "-9223372036854775808", "0.5"]
        {
            _ = reader().read(
                format!(r#"{{"ts":"2026-08-01T12:00:00Z","arm":"stable","{key}":{number}}}"#).as_bytes(),
            );
        }
    }
}
