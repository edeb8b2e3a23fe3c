//! Reading a stream: any cutting gives the same facts.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sse::tests::cut;

const KEPT: usize = 10_000;

fn read(stream: &str) -> StreamSummary {
    read_pieces(&[stream.as_bytes()])
}

fn read_pieces(pieces: &[&[u8]]) -> StreamSummary {
    read_api(Api::Chat, pieces)
}

fn read_api(api: Api, pieces: &[&[u8]]) -> StreamSummary {
    let mut reader = StreamReader::new(api, KEPT);
    pieces.iter().for_each(|piece| reader.push(piece));
    reader.finish()
}

fn stream(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn delta(delta: &Value) -> Value {
    json!({ "id": "c", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn end(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

#[test]
fn a_stream_is_complete_only_with_its_terminal_event() {
    let said = stream(&[delta(&json!({ "content": "a" })), end("stop")]);
    for (stream, is_done, is_finished) in [
        (format!("{said}data: [DONE]\n\n"), true, true),
        (format!("{said}data: [DONE]"), true, true),
        (format!("{said}data:[DONE] \r\n\r\n"), true, true),
        (said.clone(), false, true),
        (stream(&[delta(&json!({ "content": "a" }))]), false, false),
        (format!("{}data: [DONE]\n\n", stream(&[delta(&json!({ "content": "a" }))])), true, false),
        (String::new(), false, false),
    ] {
        let summary = read(&stream);
        assert_eq!((summary.is_done, summary.is_finished), (is_done, is_finished), "{stream}");
    }
}

#[test]
fn a_terminal_event_without_its_blank_line_is_seen_when_the_stream_closes() {
    let mut reader = StreamReader::new(Api::Chat, KEPT);
    reader.push(b"data: [DONE]\n");
    assert!(!reader.is_done());
    reader.close();
    assert!(reader.is_done());
    assert_eq!(reader.finish().events, 1);
}

#[test]
fn a_message_beside_the_delta_does_not_hide_it() {
    let both = json!({ "choices": [{ "index": 0, "message": {}, "delta": { "content": "a" } }] });
    assert_eq!(read(&stream(&[both])).answer.text, "a");
}

#[test]
fn every_choice_must_end() {
    let two = json!({ "choices": [{ "index": 0, "finish_reason": "stop" }, { "index": 1, "delta": { "content": "b" } }] });
    let second_ends = json!({ "choices": [{ "index": 1, "finish_reason": "length" }] });
    assert!(!read(&stream(std::slice::from_ref(&two))).is_finished);
    let summary = read(&stream(&[two, second_ends]));
    assert!(summary.is_finished);
    assert_eq!((summary.answer.text.as_str(), summary.answer.finish_reason.as_deref()), ("", Some("stop")));
}

#[test]
fn content_is_seen_as_soon_as_it_passes_and_preambles_are_none() {
    let mut reader = StreamReader::new(Api::Chat, KEPT);
    let mut seen = Vec::new();
    for piece in [
        ": ping\n\n",
        "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n",
        "\n",
    ] {
        reader.push(piece.as_bytes());
        seen.push(reader.has_content());
    }
    assert_eq!(seen, [false, false, false, false, true]);
}

#[test]
fn tool_calls_are_put_together_by_index_and_id() {
    let call = |index: Value, id: Value, name: Value, arguments: &str| {
        let mut call = json!({ "id": id, "function": { "name": name, "arguments": arguments } });
        if !index.is_null() {
            call["index"] = index;
        }
        delta(&json!({ "tool_calls": [call] }))
    };
    for (what, chunks) in [
        (
            "by index",
            vec![
                call(json!(0), json!("a"), json!("f"), ""),
                call(json!(1), json!("b"), json!("g"), "{"),
                call(json!(0), json!(null), json!(null), "{}"),
                call(json!(1), json!(null), json!(""), "}"),
            ],
        ),
        (
            "all at index 0",
            vec![call(json!(0), json!("a"), json!("f"), "{}"), call(json!(0), json!("b"), json!("g"), "{}")],
        ),
        (
            "without an index",
            vec![
                call(json!(null), json!("a"), json!("f"), "{"),
                call(json!(null), json!(null), json!(null), "}"),
                call(json!(null), json!("b"), json!("g"), "{}"),
            ],
        ),
    ] {
        let calls = read(&stream(&chunks)).answer.tool_calls;
        let calls: Vec<_> = calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
        assert_eq!(calls, [("a", "f", "{}"), ("b", "g", "{}")], "{what}");
    }
}

#[test]
fn usage_is_the_last_that_was_told_wherever_it_stands() {
    for (chunks, expected) in [
        (
            vec![
                json!({ "usage": { "prompt_tokens": 1, "completion_tokens": 1 }, "choices": [] }),
                json!({ "usage": null }),
            ],
            1,
        ),
        (
            vec![
                json!({ "usage": { "prompt_tokens": 1, "completion_tokens": 1 } }),
                json!({ "usage": { "prompt_tokens": 1, "completion_tokens": 7 } }),
            ],
            7,
        ),
        (vec![json!({ "x_groq": { "usage": { "prompt_tokens": 1, "completion_tokens": 3 } } })], 3),
    ] {
        assert_eq!(read(&stream(&chunks)).answer.usage.unwrap().completion_tokens, expected, "{chunks:?}");
    }
}

#[test]
fn a_model_that_declines_in_a_stream_is_told_from_one_that_answers() {
    let refusal = |text: &str| delta(&json!({ "refusal": text }));
    for (chunks, expected) in [
        (vec![delta(&json!({ "content": "a", "refusal": null })), end("stop")], Some(false)),
        (
            vec![delta(&json!({ "role": "assistant", "content": "", "refusal": "" })), end("stop")],
            Some(false),
        ),
        (vec![refusal("I "), refusal("cannot."), end("stop")], Some(true)),
        (vec![delta(&json!({ "content": "As to th" })), end("content_filter")], Some(true)),
        (vec![delta(&json!({ "role": "assistant" }))], None),
    ] {
        let answer = read(&stream(&chunks)).answer;
        assert_eq!(answer.is_refusal(), expected, "{chunks:?}");
    }
    // Also where nothing is kept of what was said.
    let mut reader = StreamReader::new(Api::Chat, 0);
    reader.push(stream(&[refusal("no")]).as_bytes());
    assert_eq!(reader.answer().is_refusal(), Some(true));
}

#[test]
fn an_error_in_the_stream_is_seen_at_once() {
    for (told, message) in [
        ("data: {\"error\":{\"message\":\"m\"}}\n\n", "m"),
        ("event: error\ndata: {\"detail\":1}\n\n", "{\"detail\":1}"),
        ("event: error\ndata: gone\n\n", "gone"),
        ("data: {\"object\":\"error\",\"message\":\"m\",\"code\":500}\n\n", "m"),
    ] {
        let mut reader = StreamReader::new(Api::Chat, KEPT);
        reader.push(told.as_bytes());
        assert_eq!(reader.error().map(|error| error.message.as_str()), Some(message));
        assert!(!reader.is_done());
    }
}

#[test]
fn an_event_that_is_no_json_is_a_fact_and_does_not_hide_the_next() {
    let summary =
        read(&format!("data: oops\n\n{}data: [DONE]\n\n", stream(&[delta(&json!({ "content": "a" }))])));
    assert!(summary.answer.is_unreadable && summary.is_done);
    assert_eq!(summary.answer.text, "a");
    let cut_off = read("data: {\"choices\":[{\"del");
    assert!(!cut_off.answer.is_unreadable && !cut_off.is_done);
}

#[test]
fn no_more_is_kept_than_asked_and_the_end_is_seen_all_the_same() {
    let mut reader = StreamReader::new(Api::Chat, 5);
    reader
        .push(stream(&[delta(&json!({ "content": "abc" })), delta(&json!({ "content": "dé€" }))]).as_bytes());
    reader.push(b"data: [DONE]\n\n");
    let summary = reader.finish();
    assert_eq!((summary.answer.text.as_str(), summary.answer.is_cut, summary.is_done), ("abcd", true, true));
}

#[test]
fn a_million_chunks_of_one_byte_are_read_in_linear_time() {
    let events: String = std::iter::repeat_n(delta(&json!({ "content": "word " })), 12_000)
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    let mut reader = StreamReader::new(Api::Chat, 1 << 20);
    events.as_bytes().chunks(1).for_each(|byte| reader.push(byte));
    assert!(events.len() > 1_000_000);
    assert_eq!(reader.finish().answer.text.len(), 60_000);
}

fn any_chunk() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z€😀]{0,4}".prop_map(|text| format!("data: {}", delta(&json!({ "content": text })))),
        any::<String>().prop_map(|text| format!("data: {}", delta(&json!({ "content": text })))),
        Just(format!(
            "data: {}",
            delta(&json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "x" } }] }))
        )),
        Just(format!("data: {}", end("stop"))),
        Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}".to_owned()),
        Just("data: {\"error\":{\"message\":\"m\"}}".to_owned()),
        Just("data: [DONE]".to_owned()),
        Just(": ping".to_owned()),
        any::<String>(),
    ]
}

fn any_message_event() -> impl Strategy<Value = String> {
    let usage = json!({ "input_tokens": 3, "output_tokens": 4 });
    let start = json!({ "type": "message_start", "message": { "id": "m", "model": "c", "usage": usage } });
    let tool = json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} });
    let fixed = [
        start,
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_start", "index": 1, "content_block": tool }),
        json!({ "type": "content_block_delta", "index": 1, "delta": { "partial_json": "{\"é€\":" } }),
        json!({ "type": "content_block_delta", "index": 1, "delta": { "partial_json": "1}" } }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 9 } }),
        json!({ "type": "error", "error": { "type": "overloaded_error", "message": "m" } }),
        json!({ "type": "message_stop" }),
        json!({ "type": "ping" }),
    ];
    let text = any::<String>()
        .prop_map(|text| json!({ "type": "content_block_delta", "index": 0, "delta": { "text": text } }));
    any_named(fixed.to_vec(), text.boxed())
}

fn any_response_event() -> impl Strategy<Value = String> {
    let call = json!({ "type": "function_call", "call_id": "t", "name": "f", "arguments": "" });
    let message = json!({ "type": "message", "content": [{ "type": "output_text", "text": "whole" }] });
    let whole =
        json!({ "id": "r", "status": "completed", "output": [message], "usage": { "input_tokens": 3 } });
    let fixed = [
        json!({ "type": "response.created", "response": { "id": "r", "model": "g", "status": "in_progress" } }),
        json!({ "type": "response.output_item.added", "output_index": 1, "item": call }),
        json!({ "type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{\"é€\":1}" }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": message }),
        json!({ "type": "response.refusal.delta", "output_index": 0, "delta": "no" }),
        json!({ "type": "response.failed", "response": { "error": { "message": "m" } } }),
        json!({ "type": "error", "message": "m", "code": "c" }),
        json!({ "type": "response.completed", "response": whole }),
    ];
    let text = any::<String>()
        .prop_map(|text| json!({ "type": "response.output_text.delta", "output_index": 0, "delta": text }));
    any_named(fixed.to_vec(), text.boxed())
}

/// Events of an API that names them, and what does not belong there.
fn any_named(fixed: Vec<Value>, text: BoxedStrategy<Value>) -> impl Strategy<Value = String> {
    let event = prop_oneof![prop::sample::select(fixed), text];
    prop_oneof![
        6 => (event, any::<bool>()).prop_map(|(data, is_named)| match data["type"].as_str() {
            Some(name) if is_named => format!("event: {name}\ndata: {data}"),
            _ => format!("data: {data}"),
        }),
        1 => Just("data: [DONE]".to_owned()),
        1 => Just(": ping".to_owned()),
        1 => Just("event: message_stop\ndata: {}".to_owned()),
        1 => any::<String>(),
    ]
}

fn any_stream() -> impl Strategy<Value = (Api, String)> {
    let end = || prop::sample::select(vec!["\n\n", "\r\n\r\n", "\r\r"]);
    let join =
        |events: Vec<(String, &str)>| events.into_iter().map(|(event, end)| event + end).collect::<String>();
    prop_oneof![
        (Just(Api::Chat), vec((any_chunk(), end()), 0..12).prop_map(join)),
        (Just(Api::Messages), vec((any_message_event(), end()), 0..12).prop_map(join)),
        (Just(Api::Responses), vec((any_response_event(), end()), 0..12).prop_map(join)),
    ]
}

proptest! {
    #[test]
    fn any_cutting_of_a_stream_gives_the_same_summary(
        (api, stream) in any_stream(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = read_api(api, &[stream.as_bytes()]);
        prop_assert_eq!(&read_api(api, &cut(stream.as_bytes(), &cuts)), &whole);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        prop_assert_eq!(&read_api(api, &bytes), &whole);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..300)) {
        for api in Api::ALL {
            read_api(api, &[&bytes]);
            read_plain(api, &bytes);
        }
    }

    #[test]
    fn any_json_is_read_without_harm_and_never_called_unreadable(json in any_object()) {
        for api in Api::ALL {
            prop_assert!(!read_plain(api, json.as_bytes()).is_unreadable, "{}", json);
        }
        for api in [Api::Chat, Api::Messages, Api::Responses] {
            let event = format!("event: response.completed\ndata: {json}\n\n");
            prop_assert!(!read_api(api, &[event.as_bytes()]).answer.is_unreadable, "{}", json);
        }
    }
}

/// An object with the names that the readers know, holding anything.
fn any_object() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "id",
        "type",
        "model",
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "function",
        "arguments",
        "usage",
        "prompt_tokens",
        "input_tokens",
        "content_block",
        "input",
        "partial_json",
        "index",
        "output",
        "item",
        "response",
        "output_index",
        "summary",
        "error",
        "status",
        "incomplete_details",
        "data",
        "text",
        "code",
        "thinking",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "message",
            "tool_use",
            "function_call",
            "message_start",
            "response.completed"
        ])
        .prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(5, 40, 5, move |inner| {
        let members = prop::collection::btree_map(name.clone(), inner.clone(), 0..6);
        prop_oneof![
            3 => members.prop_map(|members| json!(members)),
            1 => vec(inner, 0..4).prop_map(Value::from),
        ]
    });
    value.prop_map(|value| {
        json!({ "choices": [value], "content": [value], "output": [value], "message": value,
        "delta": value, "response": value, "item": value, "usage": value, "error": value })
        .to_string()
    })
}

#[test]
fn a_member_that_is_written_twice_is_its_last_value() {
    let said = r#"{"role":"assistant","role":"assistant","content":"No.","content":"Yes."}"#;
    let event = format!("data: {{\"choices\":[{{\"delta\":{said}}}]}}\n\n");
    let summary = read(&event).answer;
    assert_eq!((summary.text.as_str(), summary.is_unreadable), ("Yes.", false));
    let plain = read_plain(Api::Chat, format!("{{\"choices\":[{{\"message\":{said}}}]}}").as_bytes());
    assert_eq!((plain.text.as_str(), plain.is_unreadable), ("Yes.", false));
    let event = r#"{"type":"content_block_delta","type":"content_block_delta","delta":{"text":"Yes."}}"#;
    let summary = read_api(Api::Messages, &[format!("data: {event}\n\n").as_bytes()]).answer;
    assert_eq!((summary.text.as_str(), summary.is_unreadable), ("Yes.", false));
}

#[test]
fn of_choices_that_are_numbered_alike_the_first_is_read() {
    let choice = |text: &str| json!({ "index": 0, "delta": { "content": text } });
    assert_eq!(read(&stream(&[json!({ "choices": [choice("a"), choice("b")] })])).answer.text, "a");
}

#[test]
fn bytes_that_are_no_text_are_read_as_the_standard_says() {
    let event =
        b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\"}}],\"system_fingerprint\":\"\xff\"}\n\n";
    let summary = read_pieces(&[event]).answer;
    assert_eq!((summary.text.as_str(), summary.is_unreadable), ("a\u{fffd}", false));
}

#[test]
fn an_error_event_is_one_that_the_official_clients_take_for_one() {
    for (api, event, expected) in [
        (Api::Chat, r#"data: {"error":{"message":"m"}}"#, true),
        (Api::Chat, r#"data: {"choices":[],"error":"m"}"#, true),
        (Api::Chat, "\u{feff}event: error\ndata: {\"error\":{\"message\":\"m\"}}", true),
        (Api::Chat, "event: error\ndata: m", false),
        (Api::Chat, r#"data: {"error":null}"#, false),
        (Api::Chat, r#"data: {"error":{ }}"#, false),
        (Api::Chat, r#"data: {"error":""}"#, false),
        (Api::Chat, r#"data: {"error":0}"#, false),
        (Api::Chat, r#"data: {"error":true}"#, true),
        (Api::Chat, r#"data: {"choices":[{"error":{"message":"m"}}]}"#, false),
        (Api::Chat, r#"data: {"x_groq":{"error":"m"}}"#, false),
        (Api::Chat, r#"data: {"object":"error","message":"m"}"#, false),
        (Api::Chat, "data: [DONE]", false),
        (Api::Chat, ": ping", false),
        (Api::Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{}}", true),
        (Api::Messages, "event: error\ndata: m", true),
        (Api::Messages, r#"data: {"type":"error","error":{"message":"m"}}"#, false),
        (Api::Messages, "event: message_delta\ndata: {\"error\":{\"message\":\"m\"}}", false),
        (Api::Responses, "event: error\ndata: {\"type\":\"error\",\"message\":\"m\"}", true),
        (Api::Responses, r#"data: {"type":"response.failed","response":{}}"#, true),
        (Api::Responses, r#"data: {"error":{"message":"m"}}"#, true),
        (Api::Responses, r#"data: {"type":"response.completed","response":{"error":null}}"#, false),
        (Api::Embeddings, r#"data: {"error":{"message":"m"}}"#, false),
    ] {
        assert_eq!(is_error_event(api, format!("{event}\n\n").as_bytes()), expected, "{api:?}: {event}");
    }
}
