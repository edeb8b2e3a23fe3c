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
    let mut reader = StreamReader::new(KEPT);
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
    for (stream, is_done, is_every_choice_finished) in [
        (format!("{said}data: [DONE]\n\n"), true, true),
        (format!("{said}data: [DONE]"), true, true),
        (format!("{said}data:[DONE] \r\n\r\n"), true, true),
        (said.clone(), false, true),
        (stream(&[delta(&json!({ "content": "a" }))]), false, false),
        (format!("{}data: [DONE]\n\n", stream(&[delta(&json!({ "content": "a" }))])), true, false),
        (String::new(), false, false),
    ] {
        let summary = read(&stream);
        assert_eq!(
            (summary.is_done, summary.is_every_choice_finished),
            (is_done, is_every_choice_finished),
            "{stream}"
        );
    }
}

#[test]
fn a_terminal_event_without_its_blank_line_is_seen_when_the_stream_closes() {
    let mut reader = StreamReader::new(KEPT);
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
    assert!(!read(&stream(std::slice::from_ref(&two))).is_every_choice_finished);
    let summary = read(&stream(&[two, second_ends]));
    assert!(summary.is_every_choice_finished);
    assert_eq!((summary.answer.text.as_str(), summary.answer.finish_reason.as_deref()), ("", Some("stop")));
}

#[test]
fn content_is_seen_as_soon_as_it_passes_and_preambles_are_none() {
    let mut reader = StreamReader::new(KEPT);
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
    let mut reader = StreamReader::new(0);
    reader.push(stream(&[refusal("no")]).as_bytes());
    assert_eq!(reader.answer().is_refusal(), Some(true));
}

#[test]
fn an_error_in_the_stream_is_seen_at_once() {
    for (told, message) in [
        ("data: {\"error\":{\"message\":\"m\"}}\n\n", "m"),
        ("event: error\ndata: {\"detail\":1}\n\n", "{\"detail\":1}"),
        ("event: error\ndata: gone\n\n", "gone"),
    ] {
        let mut reader = StreamReader::new(KEPT);
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
    let mut reader = StreamReader::new(5);
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
    let mut reader = StreamReader::new(1 << 20);
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

proptest! {
    #[test]
    fn any_cutting_of_a_stream_gives_the_same_summary(
        chunks in vec((any_chunk(), prop::sample::select(vec!["\n\n", "\r\n\r\n", "\r\r"])), 0..12),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream: String = chunks.into_iter().map(|(chunk, end)| chunk + end).collect();
        let whole = read(&stream);
        prop_assert_eq!(&read_pieces(&cut(stream.as_bytes(), &cuts)), &whole);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        prop_assert_eq!(&read_pieces(&bytes), &whole);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..300)) {
        read_pieces(&[&bytes]);
    }
}
