//! Reading messages, plain and streamed.

use serde_json::{Value, json};

use crate::answer::{AnswerSummary, LABEL_BYTES_MAX, TOOL_CALLS_MAX, Usage};
use crate::api::Api;
use crate::reader::{StreamReader, StreamSummary, read_plain};

fn read(answer: &Value) -> AnswerSummary {
    read_plain(Api::Messages, answer.to_string().as_bytes())
}

fn message(blocks: &Value) -> AnswerSummary {
    read(&json!({ "type": "message", "content": blocks, "stop_reason": "end_turn" }))
}

/// An event under its name.
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn stream(events: &[Value]) -> StreamSummary {
    let mut reader = StreamReader::new(Api::Messages, 10_000);
    events.iter().for_each(|data| reader.push(event(data).as_bytes()));
    reader.finish()
}

fn block(index: u64, block: &Value) -> Value {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn delta(index: u64, delta: &Value) -> Value {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn calls(summary: &AnswerSummary) -> Vec<(&str, &str, &str)> {
    summary.tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect()
}

#[test]
fn a_message_is_read_whole() {
    let summary = read(&json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "unknown": [{}],
        "content": [
            { "type": "thinking", "thinking": "hm", "signature": "s" },
            { "type": "text", "text": "It is ", "citations": null },
            { "type": "text", "text": "cold." },
        ],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {
            "input_tokens": 9, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 1000, "output_tokens": 20,
            "output_tokens_details": { "thinking_tokens": 7 },
        },
    }));
    let expected = AnswerSummary {
        id: Some("msg_1".to_owned()),
        model: Some("claude".to_owned()),
        text: "It is cold.".to_owned(),
        finish_reason: Some("end_turn".to_owned()),
        usage: Some(Usage {
            prompt_tokens: 1109,
            completion_tokens: 20,
            cached_tokens: 1000,
            cache_written_tokens: 100,
            reasoning_tokens: 7,
        }),
        has_content: true,
        ..AnswerSummary::default()
    };
    assert_eq!(summary, expected);
}

#[test]
fn the_callers_tools_are_kept_and_the_providers_own_are_not() {
    let summary = message(&json!([
        { "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "q": "x" } },
        { "type": "web_search_tool_result", "tool_use_id": "s", "content": [] },
        { "type": "tool_use", "id": "t", "name": "weather", "input": { "city": "Oslo" } },
        { "type": "tool_use", "id": "u", "name": "now", "input": {} },
    ]));
    assert_eq!(calls(&summary), [("t", "weather", r#"{"city":"Oslo"}"#), ("u", "now", "{}")]);
}

#[test]
fn content_is_what_a_user_or_a_program_would_notice() {
    for (blocks, expected) in [
        (json!([]), false),
        (json!(null), false),
        (json!([{ "type": "text", "text": "" }]), false),
        (json!([{ "type": "thinking", "thinking": "", "signature": "" }]), false),
        (json!([{}, null, 7]), false),
        (json!([{ "type": "text", "text": "a" }]), true),
        (json!([{ "type": "thinking", "thinking": "hm" }]), true),
        (json!([{ "type": "thinking", "thinking": "", "signature": "s" }]), true),
        (json!([{ "type": "redacted_thinking", "data": "x" }]), true),
        (json!([{ "type": "tool_use" }]), true),
        (json!([{ "type": "server_tool_use" }]), true),
        (json!([{ "type": "of_tomorrow" }]), true),
    ] {
        assert_eq!(message(&blocks).has_content, expected, "{blocks}");
    }
}

#[test]
fn a_model_declines_by_its_stop_reason() {
    for (reason, expected) in [
        (json!("refusal"), Some(true)),
        (json!("end_turn"), Some(false)),
        (json!("max_tokens"), Some(false)),
        (json!("model_context_window_exceeded"), Some(false)),
        (json!(null), None),
    ] {
        let summary = read(&json!({ "content": [], "stop_reason": reason }));
        assert_eq!(summary.is_refusal(), expected, "{reason}");
        let summary =
            stream(&[json!({ "type": "message_delta", "delta": { "stop_reason": reason } })]).answer;
        assert_eq!(summary.is_refusal(), expected, "{reason} in a stream");
    }
}

#[test]
fn a_value_of_another_type_is_read_as_absent() {
    let summary = read(&json!({
        "id": 7, "model": ["x"], "stop_reason": {}, "error": null,
        "content": [null, 3, { "type": ["text"], "text": "x" }, { "type": "text", "text": 5 }, { "type": "tool_use", "input": 3 }],
        "usage": { "input_tokens": "9", "output_tokens": 2.0, "output_tokens_details": [] },
    }));
    assert_eq!((summary.id.as_deref(), summary.text.as_str()), (Some("7"), "5"));
    assert_eq!(summary.usage, Some(Usage { completion_tokens: 2, ..Usage::default() }));
    assert_eq!(calls(&summary), [("", "", "3")]);
    assert!(!summary.is_unreadable);
}

#[test]
fn errors_are_read_with_what_tells_them_apart() {
    let limit = json!({ "type": "error", "request_id": "r", "error": {
        "type": "rate_limit_error", "message": "m", "details": { "error_code": "enforced_spend_limit_reached" },
    }});
    let error = read(&limit).error.unwrap();
    let told = (error.message.as_str(), error.kind.as_deref(), error.code.as_deref());
    assert_eq!(told, ("m", Some("rate_limit_error"), Some("enforced_spend_limit_reached")));
    assert_eq!(stream(&[limit]).answer.error, Some(error));
    // A code of the error's own comes before the details.
    let both = json!({ "error": { "message": "m", "code": "c", "details": { "error_code": "d" } } });
    assert_eq!(read(&both).error.unwrap().code.as_deref(), Some("c"));
}

#[test]
fn what_is_no_json_is_said_to_be_unreadable() {
    for body in [&b""[..], b"<html>", b"\xff", b"[1]", b"{\"id\":", b"7"] {
        for api in [Api::Messages, Api::CountTokens, Api::Responses, Api::Embeddings] {
            let expected = AnswerSummary { is_unreadable: true, ..AnswerSummary::default() };
            assert_eq!(read_plain(api, body), expected, "{body:?}");
        }
    }
}

#[test]
fn nothing_kept_grows_beyond_its_bound() {
    let many: Vec<Value> =
        (0..TOOL_CALLS_MAX + 9).map(|_| json!({ "type": "tool_use", "name": "f" })).collect();
    let summary = message(&json!(many));
    assert_eq!((summary.tool_calls.len(), summary.is_cut), (TOOL_CALLS_MAX, true));
    let long = "é".repeat(LABEL_BYTES_MAX);
    assert_eq!(read(&json!({ "id": long })).id.map(|id| id.len()), Some(LABEL_BYTES_MAX));
    let many = format!(r#"{{"content":[{}{{}}]}}"#, "{},".repeat(1_000_000));
    assert!(read_plain(Api::Messages, many.as_bytes()).is_cut);
}

#[test]
fn a_count_is_an_answer_and_nothing_that_was_used() {
    let read = |answer: &Value| read_plain(Api::CountTokens, answer.to_string().as_bytes());
    let counted = read(&json!({ "input_tokens": 14 }));
    assert_eq!((counted.has_content, counted.usage), (true, None));
    let error = read(&json!({ "type": "error", "error": { "type": "not_found_error", "message": "m" } }));
    assert_eq!((error.has_content, error.error.unwrap().kind.as_deref()), (false, Some("not_found_error")));
    assert!(!read(&json!({ "input_tokens": "14" })).has_content);
}

#[test]
fn a_stream_is_put_together() {
    let summary = stream(&[
        json!({ "type": "message_start", "message": {
            "id": "msg_1", "model": "claude", "content": [], "stop_reason": null,
            "usage": { "input_tokens": 9, "cache_read_input_tokens": 90, "output_tokens": 1 },
        }}),
        block(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })),
        json!({ "type": "ping" }),
        delta(0, &json!({ "type": "thinking_delta", "thinking": "hm" })),
        delta(0, &json!({ "type": "signature_delta", "signature": "s" })),
        json!({ "type": "content_block_stop", "index": 0 }),
        block(1, &json!({ "type": "text", "text": "" })),
        delta(1, &json!({ "type": "text_delta", "text": "It is " })),
        delta(1, &json!({ "type": "text_delta", "text": "cold." })),
        delta(1, &json!({ "type": "citations_delta", "citation": { "cited_text": "x" } })),
        block(2, &json!({ "type": "server_tool_use", "id": "s", "name": "web_fetch", "input": {} })),
        delta(2, &json!({ "type": "input_json_delta", "partial_json": "{\"url\":1}" })),
        block(3, &json!({ "type": "tool_use", "id": "t", "name": "weather", "input": {} })),
        delta(3, &json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(3, &json!({ "type": "input_json_delta", "partial_json": "{\"city\":" })),
        delta(3, &json!({ "type": "input_json_delta", "partial_json": "\"Oslo\"}" })),
        block(4, &json!({ "type": "tool_use", "id": "u", "name": "now", "input": {} })),
        json!({ "type": "event_of_tomorrow", "delta": { "text": "not text" } }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 50 } }),
        json!({ "type": "message_stop" }),
        json!({ "type": "content_block_delta", "delta": { "text": "after the end" } }),
    ]);
    let expected = AnswerSummary {
        id: Some("msg_1".to_owned()),
        model: Some("claude".to_owned()),
        text: "It is cold.".to_owned(),
        tool_calls: summary.answer.tool_calls.clone(),
        finish_reason: Some("tool_use".to_owned()),
        usage: Some(Usage {
            prompt_tokens: 99,
            completion_tokens: 50,
            cached_tokens: 90,
            ..Usage::default()
        }),
        has_content: true,
        ..AnswerSummary::default()
    };
    assert_eq!(summary.answer, expected);
    assert_eq!(calls(&summary.answer), [("t", "weather", r#"{"city":"Oslo"}"#), ("u", "now", "{}")]);
    assert!(summary.is_done && summary.is_finished);
}

#[test]
fn of_each_count_the_later_number_wins() {
    let start = json!({ "type": "message_start", "message": {
        "usage": { "input_tokens": 9, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 1 },
    }});
    let told = |usage: Value| json!({ "type": "message_delta", "delta": {}, "usage": usage });
    for (later, expected) in [
        (json!({}), (17, 1)),
        (json!({ "output_tokens": 20 }), (17, 20)),
        (json!({ "input_tokens": 2000, "output_tokens": 20 }), (2008, 20)),
        (json!({ "input_tokens": null, "cache_read_input_tokens": 0, "output_tokens": 20 }), (12, 20)),
    ] {
        let usage = stream(&[start.clone(), told(later.clone())]).answer.usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), expected, "{later}");
    }
}

#[test]
fn content_is_seen_as_soon_as_it_passes_and_preambles_are_none() {
    let mut reader = StreamReader::new(Api::Messages, 100);
    let mut seen = Vec::new();
    for data in [
        json!({ "type": "message_start", "message": { "id": "m", "content": [] } }),
        json!({ "type": "ping" }),
        block(0, &json!({ "type": "text", "text": "" })),
        delta(0, &json!({ "type": "text_delta", "text": "" })),
        delta(0, &json!({ "type": "text_delta", "text": "a" })),
    ] {
        reader.push(event(&data).as_bytes());
        seen.push(reader.has_content());
    }
    assert_eq!(seen, [false, false, false, false, true]);
}

#[test]
fn only_its_own_terminal_event_ends_a_stream() {
    let read = |text: &str| {
        let mut reader = StreamReader::new(Api::Messages, 100);
        reader.push(text.as_bytes());
        reader.finish()
    };
    for (text, is_done) in [
        ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true),
        ("data: {\"type\":\"message_stop\"}\n\n", true),
        ("event: message_stop\ndata: {}\n\n", true),
        ("event: message_stop\ndata: {\"type\":\"message_stop\"}", true),
        ("data: [DONE]\n\n", false),
        (
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
            false,
        ),
        ("", false),
    ] {
        let summary = read(text);
        assert_eq!((summary.is_done, summary.answer.is_unreadable), (is_done, false), "{text}");
    }
}

#[test]
fn an_error_in_the_stream_is_seen_at_once_and_ends_nothing() {
    for (told, message) in [
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
            "m",
        ),
        ("data: {\"type\":\"error\",\"error\":{\"message\":\"m\"}}\n\n", "m"),
        ("event: error\ndata: {\"detail\":1}\n\n", "{\"detail\":1}"),
        ("event: error\ndata: gone\n\n", "gone"),
    ] {
        let mut reader = StreamReader::new(Api::Messages, 100);
        reader.push(told.as_bytes());
        assert_eq!(reader.error().map(|error| error.message.as_str()), Some(message));
        assert!(!reader.is_done());
    }
}

#[test]
fn an_event_that_is_no_json_is_a_fact_and_one_with_nothing_in_it_is_none() {
    let mut reader = StreamReader::new(Api::Messages, 100);
    reader.push(b"event: ping\ndata:\n\ndata: \n\n");
    assert!(!reader.answer().is_unreadable);
    reader.push(b"data: oops\n\n");
    assert!(reader.answer().is_unreadable);
    reader.push(event(&delta(0, &json!({ "type": "text_delta", "text": "a" }))).as_bytes());
    assert_eq!(reader.answer().text, "a");
}

#[test]
fn an_input_that_was_told_whole_gives_way_to_one_in_pieces() {
    let begin = block(0, &json!({ "type": "tool_use", "id": "t", "name": "f", "input": { "a": 1 } }));
    assert_eq!(stream(std::slice::from_ref(&begin)).answer.tool_calls[0].arguments, r#"{"a":1}"#);
    let pieces =
        [begin, delta(0, &json!({ "partial_json": "{\"a\"" })), delta(0, &json!({ "partial_json": ":2}" }))];
    assert_eq!(stream(&pieces).answer.tool_calls[0].arguments, r#"{"a":2}"#);
}
