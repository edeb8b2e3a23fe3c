//! Reading responses, plain and streamed.

use serde_json::{Value, json};

use crate::answer::{AnswerSummary, TOOL_CALLS_MAX, Usage};
use crate::api::Api;
use crate::reader::{StreamReader, StreamSummary, read_plain};
use crate::sse::EVENT_BYTES_MAX;

fn read(answer: &Value) -> AnswerSummary {
    read_plain(Api::Responses, answer.to_string().as_bytes())
}

fn output(items: &Value) -> AnswerSummary {
    read(&json!({ "id": "resp_1", "status": "completed", "output": items }))
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn stream(events: &[Value]) -> StreamSummary {
    let mut reader = StreamReader::new(Api::Responses, 10_000);
    events.iter().for_each(|data| reader.push(event(data).as_bytes()));
    reader.finish()
}

fn said(text: &str) -> Value {
    json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": text }] })
}

fn added(index: u64, item: &Value) -> Value {
    json!({ "type": "response.output_item.added", "output_index": index, "item": item })
}

fn done(index: u64, item: &Value) -> Value {
    json!({ "type": "response.output_item.done", "output_index": index, "item": item })
}

fn delta(kind: &str, index: u64, delta: &str) -> Value {
    json!({ "type": format!("response.{kind}.delta"), "output_index": index, "item_id": "i", "delta": delta })
}

fn completed(items: &Value) -> Value {
    json!({ "type": "response.completed", "response": { "id": "resp_1", "status": "completed", "output": items } })
}

fn calls(summary: &AnswerSummary) -> Vec<(&str, &str, &str)> {
    summary.tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect()
}

#[test]
fn a_response_is_read_whole() {
    let summary = read(&json!({
        "id": "resp_1", "object": "response", "model": "gpt-5", "status": "completed", "error": null,
        "incomplete_details": null, "unknown": [{}],
        "output": [
            { "type": "reasoning", "id": "rs", "summary": [{ "type": "summary_text", "text": "hm" }] },
            { "type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": [
                { "type": "output_text", "text": "It is ", "annotations": [], "logprobs": [] },
                { "type": "output_text", "text": "cold." },
            ]},
            { "type": "function_call", "id": "fc", "call_id": "call", "name": "weather", "arguments": "{\"city\":\"Oslo\"}" },
            { "type": "custom_tool_call", "id": "ctc", "call_id": "custom", "name": "run", "input": "print(1)" },
            { "type": "web_search_call", "id": "ws", "status": "completed" },
        ],
        "usage": {
            "input_tokens": 90, "input_tokens_details": { "cached_tokens": 60, "cache_write_tokens": 20 },
            "output_tokens": 30, "output_tokens_details": { "reasoning_tokens": 10 }, "total_tokens": 120,
        },
    }));
    let expected = AnswerSummary {
        id: Some("resp_1".to_owned()),
        model: Some("gpt-5".to_owned()),
        text: "It is cold.".to_owned(),
        tool_calls: summary.tool_calls.clone(),
        finish_reason: Some("completed".to_owned()),
        usage: Some(Usage {
            prompt_tokens: 90,
            completion_tokens: 30,
            cached_tokens: 60,
            cache_written_tokens: 20,
            reasoning_tokens: 10,
        }),
        has_content: true,
        ..AnswerSummary::default()
    };
    assert_eq!(summary, expected);
    assert_eq!(calls(&summary), [("call", "weather", r#"{"city":"Oslo"}"#), ("custom", "run", "print(1)")]);
}

#[test]
fn content_is_what_a_user_or_a_program_would_notice() {
    for (items, expected) in [
        (json!([]), false),
        (json!(null), false),
        (json!([null, 7, {}]), false),
        (json!([{ "type": "message", "content": [] }]), false),
        (json!([said("")]), false),
        (json!([{ "type": "mcp_list_tools", "tools": [] }]), false),
        (json!([said("a")]), true),
        (json!([{ "type": "message", "content": [{ "type": "refusal", "refusal": "no" }] }]), true),
        (json!([{ "type": "reasoning", "summary": [] }]), true),
        (json!([{ "type": "function_call" }]), true),
        (json!([{ "type": "mcp_call" }]), true),
        (json!([{ "type": "image_generation_call", "result": "AAAA" }]), true),
    ] {
        assert_eq!(output(&items).has_content, expected, "{items}");
    }
}

#[test]
fn how_it_ended_is_why_it_is_incomplete_or_its_status() {
    for (status, details, reason, is_refusal) in [
        ("completed", json!(null), "completed", false),
        ("incomplete", json!({ "reason": "max_output_tokens" }), "max_output_tokens", false),
        ("incomplete", json!({ "reason": "content_filter" }), "content_filter", true),
        ("incomplete", json!({}), "incomplete", false),
        ("cancelled", json!(null), "cancelled", false),
    ] {
        let response = json!({ "status": status, "incomplete_details": details, "output": [] });
        let summary = read(&response);
        let told = (summary.finish_reason.as_deref(), summary.is_refusal());
        assert_eq!(told, (Some(reason), Some(is_refusal)), "{response}");
        let summary = stream(&[json!({ "type": format!("response.{status}"), "response": response })]);
        let told = (summary.answer.finish_reason.as_deref(), summary.answer.is_refusal(), summary.is_done);
        assert_eq!(told, (Some(reason), Some(is_refusal), true), "{response} in a stream");
    }
}

#[test]
fn a_refusal_is_told_from_an_answer() {
    let refused = json!([{ "type": "message", "content": [{ "type": "refusal", "refusal": "I cannot." }] }]);
    assert_eq!(output(&refused).refusal.as_deref(), Some("I cannot."));
    let summary = stream(&[delta("refusal", 0, "I "), delta("refusal", 0, "cannot."), completed(&refused)]);
    assert_eq!(summary.answer.refusal.as_deref(), Some("I cannot."));
}

#[test]
fn a_response_made_in_the_background_is_a_good_answer() {
    for status in ["queued", "in_progress"] {
        let summary = read(&json!({ "id": "resp_1", "status": status, "output": [], "background": true }));
        assert!(summary.has_content && summary.error.is_none(), "{status}");
        assert_eq!((summary.finish_reason.as_deref(), summary.id.as_deref()), (Some(status), Some("resp_1")));
    }
}

#[test]
fn a_failed_response_is_an_error() {
    let failed = |error: Value| json!({ "id": "r", "status": "failed", "error": error, "output": [] });
    for (error, message, code) in [
        (json!({ "code": "server_error", "message": "m" }), "m", Some("server_error")),
        (json!(null), "The response failed.", None),
    ] {
        let response = failed(error);
        let in_stream = stream(&[json!({ "type": "response.failed", "response": response })]);
        assert!(in_stream.is_done);
        for told in [read(&response).error.unwrap(), in_stream.answer.error.unwrap()] {
            assert_eq!((told.message.as_str(), told.code.as_deref()), (message, code), "{response}");
        }
    }
}

#[test]
fn a_value_of_another_type_is_read_as_absent() {
    let summary = read(&json!({
        "id": [], "model": 4, "status": {}, "output": [3, { "type": "message", "content": "x" }, { "type": [] }],
        "incomplete_details": "x", "error": false,
        "usage": { "input_tokens": 3, "input_tokens_details": 1, "output_tokens_details": { "reasoning_tokens": "1" } },
    }));
    let usage = Usage { prompt_tokens: 3, ..Usage::default() };
    let expected =
        AnswerSummary { model: Some("4".to_owned()), usage: Some(usage), ..AnswerSummary::default() };
    assert_eq!(summary, expected);
}

#[test]
fn nothing_kept_grows_beyond_its_bound() {
    let many: Vec<Value> = (0..TOOL_CALLS_MAX + 9).map(|_| json!({ "type": "function_call" })).collect();
    let summary = output(&json!(many));
    assert_eq!((summary.tool_calls.len(), summary.is_cut), (TOOL_CALLS_MAX, true));
}

#[test]
fn a_stream_is_put_together_and_nothing_in_it_counted_twice() {
    let call = |arguments: &str| json!({ "type": "function_call", "id": "fc", "call_id": "call", "name": "f", "arguments": arguments });
    let custom = |input: &str| json!({ "type": "custom_tool_call", "id": "ctc", "call_id": "custom", "name": "g", "input": input });
    let reasoning = json!({ "type": "reasoning", "id": "rs", "summary": [] });
    let whole = json!([reasoning, said("It is cold."), call("{\"a\":1}"), custom("x y")]);
    let mut last = completed(&whole);
    last["response"]["usage"] = json!({ "input_tokens": 9, "output_tokens": 4 });
    let summary = stream(&[
        json!({ "type": "response.created", "response": { "id": "resp_1", "model": "gpt-5", "status": "in_progress", "usage": null } }),
        json!({ "type": "response.in_progress", "response": { "id": "resp_1", "status": "in_progress" } }),
        added(0, &reasoning),
        done(0, &reasoning),
        added(1, &json!({ "type": "message", "content": [] })),
        json!({ "type": "response.content_part.added", "part": { "type": "output_text", "text": "" } }),
        delta("output_text", 1, "It is "),
        delta("output_text", 1, "cold."),
        json!({ "type": "response.output_text.done", "output_index": 1, "text": "It is cold." }),
        json!({ "type": "response.content_part.done", "part": { "type": "output_text", "text": "It is cold." } }),
        done(1, &said("It is cold.")),
        added(2, &call("")),
        delta("function_call_arguments", 2, "{\"a\""),
        delta("function_call_arguments", 2, ":1}"),
        json!({ "type": "response.function_call_arguments.done", "output_index": 2, "arguments": "{\"a\":1}" }),
        done(2, &call("{\"a\":1}")),
        added(3, &custom("")),
        delta("custom_tool_call_input", 3, "x y"),
        done(3, &custom("x y")),
        delta("mcp_call_arguments", 4, "{}"),
        json!({ "type": "response.of_tomorrow", "item": 3 }),
        last,
    ]);
    let expected = AnswerSummary {
        id: Some("resp_1".to_owned()),
        model: Some("gpt-5".to_owned()),
        text: "It is cold.".to_owned(),
        tool_calls: summary.answer.tool_calls.clone(),
        finish_reason: Some("completed".to_owned()),
        usage: Some(Usage { prompt_tokens: 9, completion_tokens: 4, ..Usage::default() }),
        has_content: true,
        ..AnswerSummary::default()
    };
    assert_eq!(summary.answer, expected);
    assert_eq!(calls(&summary.answer), [("call", "f", r#"{"a":1}"#), ("custom", "g", "x y")]);
    assert!(summary.is_done && summary.is_finished);
}

#[test]
fn what_was_not_told_in_pieces_is_read_from_whole_items_or_from_the_end() {
    let call = json!({ "type": "function_call", "call_id": "call", "name": "f", "arguments": "{}" });
    let whole = json!([said("hi"), call]);
    for events in [
        vec![done(0, &said("hi")), done(1, &call), completed(&whole)],
        vec![completed(&whole)],
        vec![delta("output_text", 0, "hi"), done(0, &said("hi")), added(1, &call), completed(&whole)],
    ] {
        let answer = stream(&events).answer;
        assert_eq!(answer.text, "hi", "{events:?}");
        assert_eq!(calls(&answer), [("call", "f", "{}")], "{events:?}");
    }
}

#[test]
fn content_is_seen_as_soon_as_it_passes_and_preambles_are_none() {
    for (last, expected) in [
        (delta("output_text", 1, "a"), true),
        (delta("output_text", 1, ""), false),
        (delta("reasoning_summary_text", 0, "hm"), true),
        (delta("of_tomorrow", 0, "x"), true),
        (added(1, &json!({ "type": "function_call", "name": "f", "arguments": "" })), true),
        (done(0, &json!({ "type": "reasoning", "summary": [{ "text": "hm" }] })), true),
        (json!({ "type": "response.image_generation_call.partial_image" }), true),
    ] {
        let mut reader = StreamReader::new(Api::Responses, 100);
        for data in [
            json!({ "type": "response.created", "response": { "id": "resp_1", "status": "in_progress", "output": [] } }),
            json!({ "type": "response.in_progress", "response": { "id": "resp_1", "status": "in_progress" } }),
            added(0, &json!({ "type": "mcp_list_tools" })),
            added(0, &json!({ "type": "reasoning", "summary": [], "encrypted_content": "gAAA" })),
            done(0, &json!({ "type": "reasoning", "summary": [] })),
            added(1, &json!({ "type": "message", "content": [] })),
        ] {
            reader.push(event(&data).as_bytes());
            assert!(!reader.has_content(), "{data}");
        }
        assert_eq!(reader.answer().id.as_deref(), Some("resp_1"));
        reader.push(event(&last).as_bytes());
        assert_eq!(reader.has_content(), expected, "{last}");
    }
}

#[test]
fn only_its_own_terminal_events_end_a_stream() {
    let read = |text: &str| {
        let mut reader = StreamReader::new(Api::Responses, 100);
        reader.push(text.as_bytes());
        reader.finish()
    };
    for (text, is_done) in [
        ("data: {\"type\":\"response.completed\",\"response\":{}}\n\n", true),
        ("event: response.incomplete\ndata: {}\n\n", true),
        ("data: {\"type\":\"response.cancelled\",\"response\":{}}", true),
        ("data: {\"type\":\"response.completed\",\"response\":{}}\n\ndata: [DONE]\n\n", true),
        ("data: [DONE]\n\n", false),
        ("data: {\"type\":\"response.output_text.done\",\"text\":\"a\"}\n\n", false),
        ("data: {\"type\":\"response.in_progress\",\"response\":{\"status\":\"completed\"}}\n\n", false),
    ] {
        let summary = read(text);
        assert_eq!((summary.is_done, summary.answer.is_unreadable), (is_done, false), "{text}");
    }
}

#[test]
fn an_end_that_is_too_long_to_be_read_is_an_end() {
    let image = "A".repeat(EVENT_BYTES_MAX);
    let last = event(&completed(&json!([{ "type": "image_generation_call", "result": image }])));
    let mut reader = StreamReader::new(Api::Responses, 100);
    reader.push(event(&added(0, &json!({ "type": "image_generation_call" }))).as_bytes());
    last.as_bytes().chunks(65_536).for_each(|chunk| reader.push(chunk));
    let summary = reader.finish();
    assert!(summary.is_done && summary.answer.is_cut && summary.answer.has_content);
    assert_eq!((summary.events_too_long, summary.answer.finish_reason.as_deref()), (1, Some("completed")));
}

#[test]
fn an_error_in_the_stream_is_seen_at_once_and_ends_nothing() {
    for (told, message, kind, code) in [
        (
            json!({ "type": "error", "code": "server_error", "message": "m", "param": null }),
            "m",
            None,
            Some("server_error"),
        ),
        (
            json!({ "type": "error", "error": { "type": "tokens", "code": "rate_limit_exceeded", "message": "m" } }),
            "m",
            Some("tokens"),
            Some("rate_limit_exceeded"),
        ),
    ] {
        let mut reader = StreamReader::new(Api::Responses, 100);
        reader.push(event(&told).as_bytes());
        let error = reader.error().unwrap();
        assert_eq!((&*error.message, error.kind.as_deref(), error.code.as_deref()), (message, kind, code));
        assert!(!reader.is_done());
    }
}
