//! Reading a plain answer.

use serde_json::{Value, json};

use super::*;
use crate::answer::{LABEL_BYTES_MAX, TOOL_CALLS_MAX, Usage};

fn read_bytes(body: &[u8]) -> AnswerSummary {
    crate::reader::read_plain(crate::api::Api::Chat, body)
}

fn read(answer: &Value) -> AnswerSummary {
    read_bytes(answer.to_string().as_bytes())
}

fn message(message: &Value) -> AnswerSummary {
    read(&json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] }))
}

#[test]
fn an_answer_is_read_whole() {
    let summary = read(&json!({
        "id": "chatcmpl-1", "model": "gpt-4o-2024", "system_fingerprint": "fp_1", "unknown": [{}],
        "choices": [
            { "index": 1, "message": { "content": "other" }, "finish_reason": "length" },
            { "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" },
        ],
        "usage": {
            "prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11,
            "prompt_tokens_details": { "cached_tokens": 4 },
        },
    }));
    let expected = AnswerSummary {
        id: Some("chatcmpl-1".to_owned()),
        model: Some("gpt-4o-2024".to_owned()),
        system_fingerprint: Some("fp_1".to_owned()),
        text: "hi".to_owned(),
        finish_reason: Some("stop".to_owned()),
        usage: Some(Usage { prompt_tokens: 9, completion_tokens: 2, cached_tokens: 4, ..Usage::default() }),
        has_content: true,
        ..AnswerSummary::default()
    };
    assert_eq!(summary, expected);
}

#[test]
fn content_is_what_a_user_or_a_program_would_notice() {
    for (said, expected) in [
        (json!({ "role": "assistant" }), false),
        (json!({ "role": "assistant", "content": "", "refusal": null, "tool_calls": null }), false),
        (json!({ "content": null, "reasoning": "", "reasoning_details": [] }), false),
        (
            json!({ "content": null, "reasoning_details": [{ "type": "reasoning.encrypted", "data": "x" }] }),
            true,
        ),
        (
            json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }] }),
            true,
        ),
        (json!({ "content": [{ "type": "thinking" }] }), false),
        (json!({ "content": " " }), true),
        (json!({ "content": [{ "type": "text", "text": "a" }] }), true),
        (json!({ "refusal": "no" }), true),
        (json!({ "reasoning_content": "hm" }), true),
        (json!({ "tool_calls": [{ "index": 0 }] }), true),
        (json!({ "function_call": { "name": "f" } }), true),
        (json!({ "audio": { "id": "a" } }), true),
    ] {
        assert_eq!(message(&said).has_content, expected, "{said}");
    }
}

#[test]
fn a_model_declines_by_the_refusal_or_by_the_filter_that_ended_it() {
    let ended = |message: Value, reason: Value| {
        let choice = json!({ "index": 0, "message": message, "finish_reason": reason });
        read(&json!({ "choices": [choice] })).is_refusal()
    };
    for (said, reason, expected) in [
        (json!({ "content": "hi", "refusal": null }), json!("stop"), Some(false)),
        (json!({ "content": "hi", "refusal": "" }), json!("stop"), Some(false)),
        (json!({ "content": null, "refusal": "I cannot." }), json!("stop"), Some(true)),
        (json!({ "content": "As to th" }), json!("content_filter"), Some(true)),
        (json!({ "content": null }), json!("content_filter"), Some(true)),
        (json!({ "content": "" }), json!("length"), Some(false)),
        (json!({}), json!(null), None),
    ] {
        assert_eq!(ended(said.clone(), reason), expected, "{said}");
    }
    assert_eq!(read_bytes(b"<html>").is_refusal(), None);
}

#[test]
fn a_value_of_another_type_is_read_as_absent() {
    let summary = read(&json!({
        "id": 7, "model": ["x"], "choices": [null, 3, { "index": "0", "message": { "content": { "a": 1 }, "tool_calls": "x" } }],
        "usage": { "prompt_tokens": "9", "completion_tokens": 2.0, "prompt_tokens_details": [] },
        "error": null,
    }));
    let usage = Usage { prompt_tokens: 0, completion_tokens: 2, cached_tokens: 0, ..Usage::default() };
    let expected = AnswerSummary { id: Some("7".to_owned()), usage: Some(usage), ..AnswerSummary::default() };
    assert_eq!(summary, expected);
}

#[test]
fn counts_that_no_call_can_have_are_not_believed() {
    for (usage, expected) in [
        (json!({ "prompt_tokens": u64::MAX, "completion_tokens": 3 }), Some((0, 3, 0))),
        (json!({ "prompt_tokens": -1, "completion_tokens": 1.5 }), None),
        (
            json!({ "prompt_tokens": 5, "completion_tokens": 1, "prompt_cache_hit_tokens": 3 }),
            Some((5, 1, 3)),
        ),
        (json!({ "prompt_tokens": 5, "prompt_tokens_details": { "cached_tokens": 9 } }), Some((5, 0, 5))),
        (json!({}), None),
        (json!(null), None),
    ] {
        let read = read(&json!({ "usage": usage })).usage;
        let counts = read.map(|usage| (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens));
        assert_eq!(counts, expected, "{usage}");
    }
}

#[test]
fn errors_are_read_in_every_shape_they_come_in() {
    for (error, message, kind, code) in [
        (json!({ "message": "m", "type": "t", "param": null, "code": "c" }), "m", Some("t"), Some("c")),
        (json!({ "message": "m", "code": 502 }), "m", None, Some("502")),
        (json!("overloaded"), "overloaded", None, None),
        (json!({ "detail": "x" }), r#"{"detail":"x"}"#, None, None),
        (json!(["x"]), r#"["x"]"#, None, None),
    ] {
        let read = read(&json!({ "error": error })).error.unwrap();
        assert_eq!(
            (read.message.as_str(), read.kind.as_deref(), read.code.as_deref()),
            (message, kind, code),
            "{error}"
        );
    }
}

#[test]
fn what_was_thought_and_what_was_put_into_a_cache_are_read_under_every_name() {
    for (usage, cached, written, reasoning) in [
        (json!({ "prompt_tokens_details": { "cached_tokens": 4, "cache_write_tokens": 3 } }), 4, 3, 0),
        (json!({ "prompt_tokens_details": { "cached_tokens": 4, "cache_creation_tokens": 3 } }), 4, 3, 0),
        (json!({ "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3 }), 4, 3, 0),
        (json!({ "prompt_tokens_details": { "cached_tokens": 4, "cache_write_tokens": 99 } }), 4, 6, 0),
        (json!({ "completion_tokens_details": { "reasoning_tokens": 5 } }), 0, 0, 5),
        (json!({ "completion_tokens_details": { "reasoning_tokens": 99 } }), 0, 0, 7),
        (json!({ "completion_tokens_details": null, "prompt_tokens_details": null }), 0, 0, 0),
    ] {
        let mut told = usage.clone();
        told["prompt_tokens"] = json!(10);
        told["completion_tokens"] = json!(7);
        let read = read(&json!({ "usage": told })).usage.unwrap();
        let counts = (read.cached_tokens, read.cache_written_tokens, read.reasoning_tokens);
        assert_eq!(counts, (cached, written, reasoning), "{usage}");
    }
}

#[test]
fn a_filter_is_known_by_the_words_of_every_provider() {
    for (reason, expected) in [
        ("content_filter", true),
        ("content_filter: PROHIBITED_CONTENT", true),
        ("SAFETY", true),
        ("IMAGE_SAFETY", true),
        ("stop", false),
        ("length", false),
        ("tool_calls", false),
        ("MAX_TOKENS", false),
    ] {
        let summary = read(&json!({ "choices": [{ "message": {}, "finish_reason": reason }] }));
        assert_eq!(summary.is_filtered, expected, "{reason}");
    }
}

#[test]
fn calls_without_an_index_or_an_id_are_told_apart_by_their_names() {
    let call = |name: &str| json!({ "id": "", "function": { "name": name, "arguments": "{}" } });
    let summary = message(&json!({ "tool_calls": [call("f"), call("f"), call("g")] }));
    let names: Vec<_> = summary.tool_calls.iter().map(|call| (&*call.name, &*call.arguments)).collect();
    assert_eq!(names, [("f", "{}"), ("f", "{}"), ("g", "{}")]);
}

#[test]
fn arguments_that_are_json_and_not_a_text_of_it_are_kept_as_they_are() {
    let call = json!({ "id": "c", "function": { "name": "f", "arguments": { "a": [1] } } });
    assert_eq!(message(&json!({ "tool_calls": [call] })).tool_calls[0].arguments, r#"{"a":[1]}"#);
}

#[test]
fn an_error_that_stands_by_itself_is_one() {
    for (body, message, kind, code) in [
        (
            r#"{"object":"error","message":"m","type":"invalid_model","param":null,"code":"1500"}"#,
            "m",
            Some("invalid_model"),
            Some("1500"),
        ),
        (r#"{"object":"error","message":{"detail":[]},"type":"t"}"#, "{\"object\"", Some("t"), None),
        (r#"{"message":"Unauthorized","request_id":"r"}"#, "Unauthorized", None, None),
        (r#"{"detail":"Not Found"}"#, "Not Found", None, None),
        (r#"{"detail":[{"loc":["body"]}]}"#, "[{", None, None),
        (
            r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#,
            "m",
            Some("INVALID_ARGUMENT"),
            Some("400"),
        ),
    ] {
        let summary = read_bytes(body.as_bytes());
        let error = summary.error.unwrap();
        assert!(error.message.starts_with(message) && !summary.is_unreadable, "{body}");
        assert_eq!((error.kind.as_deref(), error.code.as_deref()), (kind, code), "{body}");
    }
    for body in [r#"{"message":{"role":"assistant"}}"#, r#"{"choices":[]}"#, "{}", r#"[{"error":null}]"#] {
        assert_eq!(read_bytes(body.as_bytes()).error, None, "{body}");
    }
    let answered = json!({ "message": "m", "choices": [{ "message": { "content": "a" } }] });
    assert_eq!(read(&answered).error, None);
}

#[test]
fn a_choice_can_tell_that_the_provider_behind_the_server_failed() {
    let choice = json!({ "index": 0, "message": {}, "error": { "code": 502, "message": "m" }, "finish_reason": "error" });
    assert_eq!(read(&json!({ "choices": [choice] })).error.unwrap().code.as_deref(), Some("502"));
    let groq = read(&json!({ "choices": [], "x_groq": { "id": "r", "error": "over capacity" } }));
    assert_eq!(groq.error.unwrap().message, "over capacity");
}

#[test]
fn what_is_no_json_is_said_to_be_unreadable() {
    for body in [&b""[..], b"<html>", b"\xff", b"[1]", b"{\"id\":", b"7"] {
        let expected = AnswerSummary { is_unreadable: true, ..AnswerSummary::default() };
        assert_eq!(read_bytes(body), expected, "{body:?}");
    }
}

#[test]
fn nothing_kept_grows_beyond_its_bound() {
    let calls: Vec<Value> =
        (0..TOOL_CALLS_MAX + 9).map(|index| json!({ "index": index, "id": "i" })).collect();
    let summary = message(&json!({ "tool_calls": calls }));
    assert_eq!((summary.tool_calls.len(), summary.is_cut), (TOOL_CALLS_MAX, true));

    let long = "é".repeat(LABEL_BYTES_MAX);
    let summary = read(&json!({ "id": long, "error": { "message": long } }));
    assert_eq!(summary.id.map(|id| id.len()), Some(LABEL_BYTES_MAX));
    assert_eq!(summary.error.map(|error| error.message.len()), Some(LABEL_BYTES_MAX));

    let many = format!(r#"{{"choices":[{}{{}}]}}"#, "{},".repeat(1_000_000));
    assert!(!read_bytes(many.as_bytes()).has_content);
}
