//! Exact cases, one per rule, and what holds for any events.

mod bounds;
mod calls;
mod whole;

use serde_json::{Value, json};

use super::*;

const CREATED: i64 = 1_700_000_000;

fn wanted(usage_chunk: bool) -> Wanted {
    Wanted { usage_chunk, thinking: true }
}

fn translate(way: Way, include_usage: bool, events: &[String]) -> Result<String, BadAnswer> {
    let mut translator = StreamTranslator::new(way, CREATED, wanted(include_usage));
    let mut out = Vec::new();
    events.iter().try_for_each(|event| translator.push(event.as_bytes(), &mut out))?;
    Ok(String::from_utf8(out).unwrap())
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
    format!("data: {}\n\n", json!({ "id": "c1", "model": "m", "choices": [choice] }))
}

fn call(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    json!({ "tool_calls": [
        { "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } },
    ] })
}

fn arguments(index: u64, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] })
}

fn done() -> String {
    "data: [DONE]\n\n".to_owned()
}

/// What chunks say, as a message's events, told as `thinking(..)`, `text(..)`, `id:name(..)` or `end(..)`; a piece is a `+`.
fn as_message(chunks: &[String]) -> Result<String, BadAnswer> {
    let events = translate(Way::MessagesToChat, false, chunks)?;
    let mut told = Vec::new();
    for event in events.split("\n\n").filter(|event| !event.is_empty()) {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        let (block, delta) = (&data["content_block"], &data["delta"]);
        told.push(match (name, block["type"].as_str(), delta["type"].as_str()) {
            ("event: content_block_start", Some("tool_use"), _) => {
                format!("{}:{}(", block["id"].as_str().unwrap(), block["name"].as_str().unwrap())
            }
            ("event: content_block_start", Some(kind), _) => format!("{kind}("),
            (_, _, Some("text_delta")) => format!("+{}", delta["text"].as_str().unwrap()),
            (_, _, Some("thinking_delta")) => format!("+{}", delta["thinking"].as_str().unwrap()),
            (_, _, Some("input_json_delta")) => format!("+{}", delta["partial_json"].as_str().unwrap()),
            ("event: content_block_stop", ..) => ") ".to_owned(),
            ("event: message_delta", ..) => delta["stop_reason"].as_str().unwrap().to_owned(),
            ("event: message_start" | "event: message_stop", ..) => String::new(),
            other => unreachable!("{other:?}"),
        });
    }
    Ok(told.concat())
}

#[test]
fn an_empty_preamble_looks_like_no_content() {
    let events =
        translate(Way::MessagesToChat, false, &[chunk(&json!({ "role": "assistant", "content": "" }), None)])
            .unwrap();
    assert!(
        events.starts_with("event: message_start\n") && events.matches("event: ").count() == 1,
        "{events}"
    );
    let started = json!({ "type": "message_start", "message": { "id": "msg_1", "model": "m" } });
    let block =
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } });
    let chunks = translate(Way::ChatToMessages, false, &[event(&started), event(&block)]).unwrap();
    assert!(
        chunks.matches("data: ").count() == 1
            && chunks.contains(r#""delta":{"role":"assistant","content":""}"#),
        "{chunks}"
    );
}

#[test]
fn an_error_inside_a_stream_is_told_and_ends_it_without_a_terminal_event() {
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let events = [event(&error), event(&json!({ "type": "message_stop" }))];
    let told = translate(Way::ChatToMessages, true, &events).unwrap();
    assert_eq!(
        told,
        "data: {\"error\":{\"message\":\"Overloaded\",\"type\":\"overloaded_error\",\"param\":null,\"code\":\"overloaded\"}}\n\n"
    );
    let told = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"Broken\"}}\n\n";
    for error in [
        "data: {\"error\":{\"message\":\"Broken\",\"type\":\"server_error\"}}\n\n",
        "event: error\ndata: Broken\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}],\"error\":{\"code\":502,\"message\":\"Broken\"}}\n\n",
    ] {
        assert_eq!(translate(Way::MessagesToChat, true, &[error.to_owned(), done()]).unwrap(), told);
    }
}

#[test]
fn a_stream_that_does_not_tell_how_it_ended_has_no_terminal_event() {
    assert_eq!(as_message(&[done()]), Err(BadAnswer));
    assert_eq!(as_message(&[chunk(&json!({ "content": "Yes." }), None), done()]), Err(BadAnswer));
    assert_eq!(as_message(&[chunk(&json!({ "content": "Yes." }), Some("error")), done()]), Err(BadAnswer));
    let start = event(&json!({ "type": "message_start", "message": { "id": "msg_1" } }));
    let stop = event(&json!({ "type": "message_stop" }));
    assert_eq!(translate(Way::ChatToMessages, false, &[start, stop.clone()]), Err(BadAnswer));
    assert_eq!(translate(Way::ChatToMessages, false, &[stop]), Err(BadAnswer));
}

#[test]
fn nothing_is_told_after_the_end() {
    let chunks = [
        chunk(&json!({ "content": "Yes." }), Some("stop")),
        done(),
        done(),
        chunk(&json!({ "content": "No." }), None),
    ];
    assert_eq!(as_message(&chunks).unwrap(), "text(+Yes.) end_turn");
}

#[test]
fn a_bad_event_adds_nothing_and_spoils_the_rest() {
    let good = chunk(&json!({ "content": "Yes." }), None);
    for bad in [
        "data: {\n\n",
        "data: 7\n\n",
        "data: []\n\n",
        "data: {\"choices\":7}\n\n",
        "data: {\"choices\":[7]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":[7]}}]}\n\n",
        "data: \u{0}\n\n",
    ] {
        let mut translator = StreamTranslator::new(Way::MessagesToChat, CREATED, wanted(false));
        let mut out = Vec::new();
        translator.push(good.as_bytes(), &mut out).unwrap();
        let told = out.clone();
        assert_eq!(translator.push(bad.as_bytes(), &mut out), Err(BadAnswer), "{bad}");
        assert_eq!(translator.push(done().as_bytes(), &mut out), Err(BadAnswer), "{bad}");
        assert_eq!(out, told);
    }
    for bad in [
        json!({ "type": "message_start" }),
        json!({ "type": "message_start", "message": { "id": "again" } }),
        json!({ "type": "content_block_start", "index": 0 }),
        json!({ "type": "content_block_start", "index": 0, "content_block": {} }),
        json!({ "type": "content_block_delta", "index": 7, "delta": { "type": "text_delta", "text": "a" } }),
        json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": "a" } }),
        json!({ "type": "content_block_stop", "index": 7 }),
    ] {
        let start = event(&json!({ "type": "message_start", "message": { "id": "msg_1" } }));
        assert_eq!(translate(Way::ChatToMessages, false, &[start, event(&bad)]), Err(BadAnswer), "{bad}");
    }
}

#[test]
fn lines_may_end_in_any_way_and_data_may_have_many() {
    let expected = as_message(&[chunk(&json!({ "content": "Yes." }), Some("stop")), done()]).unwrap();
    for event in [
        "\u{feff}data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"Yes.\"},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "id: 7\rdata:{\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"Yes.\"},\"finish_reason\":\"stop\"}]}\r\r",
        ": hm\ndata: {\"id\":\"c1\",\ndata: \"choices\":[{\"delta\":{\"content\":\"Yes.\"},\ndata: \"finish_reason\":\"stop\"}]}\n\n",
    ] {
        let blank = ["\r\n\r\n", ": ping\r\n\r\n", "data:\n\n"].map(str::to_owned);
        let chunks =
            [vec![event.to_owned()], blank.to_vec(), vec!["data: [DONE]\r\n\r\n".to_owned()]].concat();
        assert_eq!(as_message(&chunks).unwrap(), expected, "{event:?}");
    }
}

#[test]
fn a_block_that_begins_with_all_of_its_input_tells_it_once() {
    let begin = json!({ "type": "tool_use", "id": "t", "name": "f", "input": { "a": 1 } });
    let again = json!({ "type": "input_json_delta", "partial_json": "{\"a\":1}" });
    let events = [
        event(&json!({ "type": "message_start", "message": { "id": "msg_1" } })),
        event(&json!({ "type": "content_block_start", "index": 0, "content_block": begin })),
        event(&json!({ "type": "content_block_delta", "index": 0, "delta": again })),
        event(&json!({ "type": "content_block_stop", "index": 0 })),
    ];
    let chunks = translate(Way::ChatToMessages, false, &events).unwrap();
    assert_eq!(chunks.matches(r#""arguments":"{\"a\":1}""#).count(), 1, "{chunks}");
    assert_eq!(chunks.matches("data: ").count(), 3, "{chunks}");
}

#[test]
fn thinking_that_was_not_asked_for_is_left_out_and_takes_no_place() {
    let chunks = [
        chunk(&json!({ "reasoning_content": "Hm." }), None),
        chunk(&json!({ "content": "Yes." }), Some("stop")),
        done(),
    ];
    let mut translator = StreamTranslator::new(Way::MessagesToChat, CREATED, Wanted::default());
    let mut out = Vec::new();
    chunks.iter().for_each(|chunk| translator.push(chunk.as_bytes(), &mut out).unwrap());
    let told = String::from_utf8(out).unwrap();
    let first = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    assert!(!told.contains("Hm.") && told.contains(first) && told.contains("message_stop"), "{told}");
}

#[test]
fn a_member_that_is_written_twice_is_its_last_value() {
    let chunk = r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"No.","role":"assistant","content":"Yes."},"finish_reason":"stop"}]}"#;
    assert_eq!(as_message(&[format!("data: {chunk}\n\n"), done()]).unwrap(), "text(+Yes.) end_turn");
}

#[test]
fn pings_and_the_end_of_another_api_say_nothing() {
    let delta =
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "a" } });
    let ping = format!("event: ping\ndata: {delta}\n\n");
    assert_eq!(translate(Way::ChatToMessages, false, &[ping, done()]).unwrap(), "");
}

#[test]
fn bytes_that_are_no_text_are_read_as_the_standard_says() {
    let mut translator = StreamTranslator::new(Way::MessagesToChat, CREATED, wanted(false));
    let mut out = Vec::new();
    let event = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\"}}],\"unknown\":\"\xff\"}\n\n";
    translator.push(event, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("a\u{fffd}"));
}
