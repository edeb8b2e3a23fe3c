//! Translated requests.

mod refused_messages;
mod to_chat;
mod to_messages;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{DROPPED_MAX, RequestSettings, Translated, Untranslatable, Way};
use super::request;

const SETTINGS: RequestSettings = RequestSettings { max_tokens: 512 };

/// A request that says `hi`, with other members beside or instead.
fn with(base: Value, members: Value) -> Value {
    let (Value::Object(mut base), Value::Object(members)) = (base, members) else { panic!("objects") };
    base.extend(members);
    Value::Object(base)
}

fn translated(way: Way, body: &Value) -> Result<(Value, Vec<String>), Untranslatable> {
    let Translated { body, dropped } = request(way, &body.to_string(), SETTINGS)?;
    Ok((serde_json::from_slice(&body).unwrap(), dropped))
}

#[track_caller]
fn check(way: Way, body: &Value, expected: &Value, dropped: &[&str]) {
    let (found, told) = translated(way, body).unwrap_or_else(|error| panic!("{error} in {body}"));
    assert_eq!(found, *expected, "for {body}");
    assert_eq!(told, dropped, "for {body}");
}

#[track_caller]
fn check_refused(way: Way, body: &Value, param: &str, problem: &str) {
    let error = translated(way, body).expect_err(&body.to_string());
    assert_eq!((error.param.as_str(), error.problem.as_str()), (param, problem), "for {body}");
}

#[test]
fn a_body_that_is_no_object_or_too_deep_is_refused() {
    for body in ["", "[]", "{\"messages\":", &format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200))] {
        for way in [Way::ChatToMessages, Way::MessagesToChat] {
            assert_eq!(request(way, body, SETTINGS).unwrap_err().param, "body");
        }
    }
}

#[test]
fn what_is_told_is_bounded_and_in_the_order_of_the_request() {
    let mut body = json!({ "logprobs": true, "model": "m" });
    for index in 0..100 {
        body[format!("m{index}")] = json!(1);
    }
    body["messages"] = json!([{ "role": "user", "content": "hi", "name": "anna" }]);
    let (_, told) = translated(Way::ChatToMessages, &body).unwrap();
    assert_eq!(told.len(), DROPPED_MAX);
    assert_eq!(told[..3], ["logprobs", "m0", "m1"]);
    assert_eq!(told[DROPPED_MAX - 1], "m30");

    let message = json!({ "role": "user", "content": "hi", "name": "anna" });
    let body = json!({ "messages": [message], "seed": 1, "logprobs": true });
    let (_, told) = translated(Way::ChatToMessages, &body).unwrap();
    assert_eq!(told, ["messages[0].name", "seed", "logprobs"]);
}

#[test]
fn names_that_the_caller_made_up_cannot_break_a_header() {
    let name = format!("a\r\nb: {}", "c".repeat(100));
    let body = json!({ "messages": [{ "role": "user", "content": "hi" }], name: 1 });
    let (_, told) = translated(Way::ChatToMessages, &body).unwrap();
    assert_eq!(told, [format!("a??b:?{}..", "c".repeat(42))]);
}

#[test]
fn a_conversation_of_tiny_turns_is_translated_in_the_time_of_its_size() {
    let turn = [
        json!({ "role": "assistant", "tool_calls": [
            { "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" }, "x": 1 }
        ] }),
        json!({ "role": "tool", "tool_call_id": "a", "content": "ok", "y": 1 }),
    ];
    let messages: Vec<_> = turn.iter().cycle().take(20_000).collect();
    let (body, told) = translated(Way::ChatToMessages, &json!({ "messages": messages })).unwrap();
    assert_eq!((body["messages"].as_array().unwrap().len(), told.len()), (20_000, DROPPED_MAX));

    let members = (0..50_000).map(|index| (format!("m{index}"), json!(1)));
    let mut body = Value::Object(members.collect());
    body["messages"] = json!([{ "role": "user", "content": "hi" }]);
    let (_, told) = translated(Way::ChatToMessages, &body).unwrap();
    assert_eq!(told.len(), DROPPED_MAX);
}

/// Words that mean something in either API, so that what is made of them gets far.
const WORDS: &[&str] = &[
    "adaptive",
    "any",
    "arguments",
    "array",
    "assistant",
    "auto",
    "base64",
    "budget_tokens",
    "caller",
    "citations",
    "content",
    "custom",
    "data",
    "data:application/pdf;base64,JVBERi0x",
    "data:image/png;base64,AAAA",
    "description",
    "detail",
    "developer",
    "disable_parallel_tool_use",
    "document",
    "effort",
    "enabled",
    "file",
    "file_data",
    "filename",
    "format",
    "function",
    "function_call",
    "functions",
    "high",
    "https://example.com/a.png",
    "id",
    "image",
    "image_url",
    "input",
    "input_schema",
    "is_error",
    "json_schema",
    "max_completion_tokens",
    "max_tokens",
    "media_type",
    "messages",
    "metadata",
    "mode",
    "model",
    "n",
    "name",
    "none",
    "object",
    "output_config",
    "parallel_tool_calls",
    "parameters",
    "properties",
    "reasoning_effort",
    "refusal",
    "required",
    "response_format",
    "role",
    "schema",
    "search_result",
    "service_tier",
    "source",
    "stop",
    "stop_sequences",
    "stream",
    "strict",
    "string",
    "system",
    "temperature",
    "text",
    "thinking",
    "title",
    "tool",
    "tool_call_id",
    "tool_calls",
    "tool_choice",
    "tool_result",
    "tool_use",
    "tool_use_id",
    "tools",
    "top_p",
    "type",
    "url",
    "user",
    "user_id",
    "{}",
    " ",
    "",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![9 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..5000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_json_makes_it_panic(body in any_json(), messages in any_json(), text in any::<String>()) {
        for way in [Way::ChatToMessages, Way::MessagesToChat] {
            let _ = request(way, &text, SETTINGS);
            let _ = request(way, &body.to_string(), SETTINGS);
            let message = json!({ "messages": messages, "max_tokens": 1, "tools": body });
            if let Ok(translated) = request(way, &message.to_string(), SETTINGS) {
                prop_assert!(translated.dropped.len() <= DROPPED_MAX);
                prop_assert!(serde_json::from_slice::<Value>(&translated.body).unwrap().is_object());
            }
        }
    }
}
