//! Exact cases, one per rule.

use serde_json::{Value, json};

use super::*;

const CREATED: i64 = 1_700_000_000;
const WANTED: Wanted = Wanted { usage_chunk: true, thinking: true };

fn translated(way: Way, body: &Value) -> Option<Value> {
    let translated = answer(way, body.to_string().as_bytes(), CREATED, WANTED).ok()?;
    Some(serde_json::from_slice(&translated).unwrap())
}

/// A message with this content, and the choice that it becomes.
fn choice_of(content: &Value, stop_reason: &str) -> Option<Value> {
    let usage = json!({ "input_tokens": 3, "output_tokens": 4 });
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop_reason,
        "stop_sequence": null, "usage": usage,
    });
    Some(translated(Way::ChatToMessages, &message)?["choices"][0].take())
}

/// A chat completion with this message, and the message that it becomes.
fn message_of(said: &Value, finish_reason: &str) -> Option<Value> {
    let choice = json!({ "index": 0, "message": said, "logprobs": null, "finish_reason": finish_reason });
    translated(Way::MessagesToChat, &json!({ "id": "chatcmpl-1", "model": "m", "choices": [choice] }))
}

fn called(id: &str, name: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

#[test]
fn a_message_becomes_a_chat_completion() {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [
            { "type": "thinking", "thinking": "Hm.", "signature": "c2ln" },
            { "type": "text", "text": "Let me " },
            { "type": "text", "text": "see.", "citations": [] },
            { "type": "tool_use", "id": "toolu_1", "name": "weather", "input": { "city": "Oslo", "days": 2 } },
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {
            "input_tokens": 10, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 30, "output_tokens": 4,
            "service_tier": "standard",
        },
    });
    let completion = concat!(
        r#"{"id":"msg_1","object":"chat.completion","created":1700000000,"model":"claude","choices":[{"index":0,"message":"#,
        r#"{"role":"assistant","content":"Let me see.","reasoning_content":"Hm.","tool_calls":[{"id":"toolu_1","#,
        r#""type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\",\"days\":2}"}}],"refusal":null},"#,
        r#""logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":60,"completion_tokens":4,"#,
        r#""total_tokens":64,"prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":30}}}"#,
    );
    let translated = answer(Way::ChatToMessages, message.to_string().as_bytes(), CREATED, WANTED).unwrap();
    assert_eq!(String::from_utf8(translated).unwrap(), completion);
}

#[test]
fn a_chat_completion_becomes_a_message() {
    let completion = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "gpt",
        "choices": [
            { "index": 1, "message": { "content": "Not me." }, "finish_reason": "stop" },
            {
                "index": 0,
                "message": {
                    "role": "assistant", "reasoning_content": "Hm.", "content": "Let me see.", "refusal": null,
                    "tool_calls": [called("call_1", "weather", "{ \"city\": \"New  York\",\n \"days\": 2 }")],
                },
                "logprobs": null, "finish_reason": "tool_calls",
            },
        ],
        "usage": {
            "prompt_tokens": 60, "completion_tokens": 4, "total_tokens": 64,
            "prompt_tokens_details": { "cached_tokens": 20, "audio_tokens": 0 },
        },
        "system_fingerprint": "fp",
    });
    let message = concat!(
        r#"{"id":"chatcmpl-1","type":"message","role":"assistant","model":"gpt","content":[{"type":"thinking","#,
        r#""thinking":"Hm.","signature":""},{"type":"text","text":"Let me see."},{"type":"tool_use","id":"call_1","#,
        r#""name":"weather","input":{"city":"New  York","days":2}}],"stop_reason":"tool_use","stop_sequence":null,"#,
        r#""usage":{"input_tokens":40,"cache_creation_input_tokens":0,"cache_read_input_tokens":20,"output_tokens":4}}"#,
    );
    let translated = answer(Way::MessagesToChat, completion.to_string().as_bytes(), CREATED, WANTED).unwrap();
    assert_eq!(String::from_utf8(translated).unwrap(), message);
}

#[test]
fn every_stop_reason_has_its_finish_reason() {
    for (stop_reason, finish_reason) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("invented_tomorrow", "stop"),
    ] {
        let choice = choice_of(&json!([{ "type": "text", "text": "Yes." }]), stop_reason).unwrap();
        assert_eq!(choice["finish_reason"], finish_reason, "{stop_reason}");
    }
}

#[test]
fn every_finish_reason_has_its_stop_reason() {
    for (finish_reason, stop_reason) in [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("model_length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("content_filter", "refusal"),
        ("eos", "end_turn"),
    ] {
        let message = message_of(&json!({ "content": "Yes." }), finish_reason).unwrap();
        assert_eq!(message["stop_reason"], stop_reason, "{finish_reason}");
    }
}

#[test]
fn an_answer_that_failed_midway_or_does_not_tell_how_it_ended_is_a_bad_one() {
    for finish_reason in ["error", "abort", "insufficient_system_resource", ""] {
        assert_eq!(message_of(&json!({ "content": "Yes." }), finish_reason), None, "{finish_reason}");
    }
    assert_eq!(choice_of(&json!([]), ""), None);
}

#[test]
fn an_answer_that_stops_after_calling_a_tool_waits_for_the_tool() {
    let message = message_of(&json!({ "tool_calls": [called("c", "f", "{}")] }), "stop").unwrap();
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn a_refusal_is_a_text_and_a_reason() {
    let message = message_of(&json!({ "content": null, "refusal": "I can't." }), "stop").unwrap();
    assert_eq!(message["content"], json!([{ "type": "text", "text": "I can't." }]));
    assert_eq!(message["stop_reason"], "refusal");
}

#[test]
fn nothing_said_is_an_empty_list_and_an_empty_text() {
    for said in [json!({ "content": "" }), json!({ "content": null }), json!({ "content": [] }), json!({})] {
        assert_eq!(message_of(&said, "stop").unwrap()["content"], json!([]), "{said}");
    }
    let choice = choice_of(&json!([]), "end_turn").unwrap();
    assert_eq!(choice["message"], json!({ "role": "assistant", "content": "", "refusal": null }));
}

#[test]
fn a_call_without_words_has_no_content() {
    let choice =
        choice_of(&json!([{ "type": "tool_use", "id": "t", "name": "f", "input": {} }]), "tool_use").unwrap();
    let message = json!({ "role": "assistant", "content": null, "tool_calls": [called("t", "f", "{}")], "refusal": null });
    assert_eq!(choice["message"], message);
}

#[test]
fn what_chat_cannot_say_is_left_out() {
    let content = json!([
        { "type": "redacted_thinking", "data": "xyz" },
        { "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "q" } },
        { "type": "web_search_tool_result", "tool_use_id": "s", "content": [] },
        { "type": "text", "text": "Found.", "citations": [{ "type": "web_search_result_location", "url": "u" }] },
    ]);
    let choice = choice_of(&content, "end_turn").unwrap();
    assert_eq!(choice["message"], json!({ "role": "assistant", "content": "Found.", "refusal": null }));
}

#[test]
fn reasoning_is_found_under_each_of_its_names() {
    let thinking = json!([{ "type": "thinking", "thinking": "Hm.", "signature": "" }, { "type": "text", "text": "Yes." }]);
    for said in [
        json!({ "reasoning_content": "Hm.", "content": "Yes." }),
        json!({ "reasoning": "Hm.", "content": "Yes." }),
        json!({ "reasoning": "Hm.", "reasoning_content": "Hm.", "content": "Yes." }),
        json!({ "content": [
            { "type": "thinking", "thinking": [{ "type": "text", "text": "Hm." }] }, { "type": "text", "text": "Yes." },
        ] }),
        json!({ "content": [{ "type": "thinking", "thinking": "Hm." }, { "type": "text", "text": "Yes." }] }),
    ] {
        assert_eq!(message_of(&said, "stop").unwrap()["content"], thinking, "{said}");
    }
}

#[test]
fn numbers_in_arguments_keep_all_their_digits() {
    let big = r#"{"n":123456789012345678901234567890.10,"s":" \" { \\"}"#;
    let message = format!(
        r#"{{"type":"message","content":[{{"type":"tool_use","id":"t","name":"f","input":{big}}}],"stop_reason":"tool_use"}}"#
    );
    let completion = answer(Way::ChatToMessages, message.as_bytes(), CREATED, WANTED).unwrap();
    let read: Value = serde_json::from_slice(&completion).unwrap();
    assert_eq!(read["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], big);
    let back = answer(Way::MessagesToChat, &completion, CREATED, WANTED).unwrap();
    assert!(String::from_utf8(back).unwrap().contains(big));
}

#[test]
fn arguments_are_an_object_or_nothing_or_the_answer_is_bad() {
    let input_of = |arguments: Value| {
        let call = json!({ "id": "c", "function": { "name": "f", "arguments": arguments } });
        Some(message_of(&json!({ "tool_calls": [call] }), "tool_calls")?["content"][0]["input"].take())
    };
    for (arguments, input) in [
        (json!("{\"a\":[1]}"), json!({ "a": [1] })),
        (json!({ "a": [1] }), json!({ "a": [1] })),
        (json!(""), json!({})),
        (json!(" "), json!({})),
        (json!(null), json!({})),
    ] {
        assert_eq!(input_of(arguments), Some(input));
    }
    for arguments in
        [json!("{\"a\":"), json!("[1]"), json!("null"), json!("1"), json!("{} {}"), json!([1]), json!(7)]
    {
        assert_eq!(input_of(arguments.clone()), None, "{arguments}");
    }
    let block = |input: Value| json!([{ "type": "tool_use", "id": "t", "name": "f", "input": input }]);
    assert_eq!(choice_of(&block(json!([1])), "tool_use"), None);
    assert_eq!(choice_of(&block(json!("{}")), "tool_use"), None);
}

#[test]
fn a_call_that_was_cut_off_is_left_out_of_an_answer_that_says_so() {
    let said =
        json!({ "content": "Wait.", "tool_calls": [called("a", "f", "{}"), called("b", "f", "{\"a\":")] });
    let message = message_of(&said, "length").unwrap();
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(message["content"].as_array().unwrap().len(), 2);
    let said = json!({ "tool_calls": [called("b", "f", "{\"a\":"), called("a", "f", "{}")] });
    assert_eq!(message_of(&said, "length"), None);
}

#[test]
fn a_call_without_an_id_gets_one_of_its_own_in_every_answer() {
    let said = json!({ "tool_calls": [called("", "f", "{}"), called("", "g", "{}")] });
    let message = message_of(&said, "tool_calls").unwrap();
    assert_eq!(message["content"][0]["id"], "call_chatcmpl-1_0");
    assert_eq!(message["content"][1]["id"], "call_chatcmpl-1_1");
}

#[test]
fn a_function_call_of_the_old_kind_is_a_tool_call() {
    let said = json!({ "content": null, "function_call": { "name": "f", "arguments": "{\"a\":1}" } });
    let message = message_of(&said, "function_call").unwrap();
    let block = json!({ "type": "tool_use", "id": "call_chatcmpl-1_0", "name": "f", "input": { "a": 1 } });
    assert_eq!(message["content"], json!([block]));
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn usage_is_found_where_providers_put_it_and_is_nought_where_they_do_not() {
    let usage_of = |mut chat: Value| {
        chat["choices"] = json!([{ "message": { "content": "Yes." }, "finish_reason": "stop" }]);
        let mut usage = translated(Way::MessagesToChat, &chat).unwrap()["usage"].take();
        ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
            .map(|name| usage[name].take().as_u64().unwrap())
    };
    let counts = json!({ "prompt_tokens": 9, "completion_tokens": 3 });
    assert_eq!(usage_of(json!({})), [0, 0, 0, 0]);
    assert_eq!(usage_of(json!({ "usage": counts })), [9, 0, 0, 3]);
    assert_eq!(usage_of(json!({ "x_groq": { "usage": counts } })), [9, 0, 0, 3]);
    let hit = json!({ "prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 4 });
    assert_eq!(usage_of(json!({ "usage": hit })), [5, 4, 0, 3]);
    let details = json!({ "cached_tokens": 4, "cache_write_tokens": 2 });
    let written = json!({ "prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": details });
    assert_eq!(usage_of(json!({ "usage": written })), [3, 4, 2, 3]);
    let lie = json!({ "prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": { "cached_tokens": 40 } });
    assert_eq!(usage_of(json!({ "usage": lie })), [0, 9, 0, 3]);
}

#[test]
fn what_is_no_answer_is_bad() {
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "\"text\"",
        "<html>",
        "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}",
        "{\"type\":\"message\",\"content\":\"text\",\"stop_reason\":\"end_turn\"}",
        "{\"type\":\"message\",\"content\":[7],\"stop_reason\":\"end_turn\"}",
        "{\"type\":\"message\",\"content\":[{\"type\":\"text\"}],\"stop_reason\":\"end_turn\"}",
        "{\"type\":\"message\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{}}],\"stop_reason\":\"tool_use\"}",
        "{\"type\":\"message\",\"stop_reason\":\"end_turn\"}",
    ] {
        assert_eq!(answer(Way::ChatToMessages, body.as_bytes(), CREATED, WANTED), Err(BadAnswer), "{body}");
    }
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "\"text\"",
        "{\"choices\":[]}",
        "{\"choices\":[7]}",
        "{\"choices\":{}}",
        "{\"choices\":[{\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":7},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":\"t\"},\"finish_reason\":null}]}",
        "{\"choices\":[{\"message\":{\"content\":\"t\"},\"finish_reason\":\"stop\"}],\"error\":{\"message\":\"m\"}}",
        "{\"choices\":[{\"message\":{\"tool_calls\":[{}]},\"finish_reason\":\"tool_calls\"}]}",
        "{\"choices\":[{\"message\":{\"tool_calls\":\"f\"},\"finish_reason\":\"tool_calls\"}]}",
    ] {
        assert_eq!(answer(Way::MessagesToChat, body.as_bytes(), CREATED, WANTED), Err(BadAnswer), "{body}");
    }
    assert_eq!(answer(Way::MessagesToChat, b"{\"choices\":\xff}", CREATED, WANTED), Err(BadAnswer));
}

#[test]
fn a_list_longer_than_any_answer_has_is_bad() {
    let blocks = |count| vec![json!({ "type": "text", "text": "" }); count];
    assert!(choice_of(&json!(blocks(json::ITEMS_MAX)), "end_turn").is_some());
    assert_eq!(choice_of(&json!(blocks(json::ITEMS_MAX + 1)), "end_turn"), None);
}

#[test]
fn thinking_is_told_in_a_message_where_it_was_asked_for_and_in_a_completion_always() {
    let said = json!({ "role": "assistant", "reasoning_content": "Hm.", "content": "Yes." });
    let choice = json!({ "index": 0, "message": said, "finish_reason": "stop" });
    let completion = json!({ "id": "c", "model": "m", "choices": [choice] }).to_string();
    let content = |wanted| {
        let told = answer(Way::MessagesToChat, completion.as_bytes(), CREATED, wanted).unwrap();
        serde_json::from_slice::<Value>(&told).unwrap()["content"].take()
    };
    assert_eq!(content(Wanted::default()), json!([{ "type": "text", "text": "Yes." }]));
    assert_eq!(content(WANTED)[0]["thinking"], "Hm.");
    let blocks = json!([{ "type": "thinking", "thinking": "Hm.", "signature": "s" }, { "type": "text", "text": "Yes." }]);
    let message = json!({ "type": "message", "content": blocks, "stop_reason": "end_turn" }).to_string();
    let told = answer(Way::ChatToMessages, message.as_bytes(), CREATED, Wanted::default()).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["choices"][0]["message"]["reasoning_content"], "Hm.");
}

#[test]
fn a_member_that_is_written_twice_is_its_last_value() {
    let completion = r#"{"id":"c","model":"a","model":"m","choices":[{"message":{"role":"assistant","content":"No.","content":"Yes.",
        "tool_calls":[{"id":"t","id":"t","function":{"name":"f","arguments":"{}","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
    let told = answer(Way::MessagesToChat, completion.as_bytes(), CREATED, WANTED).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((&told["model"], &told["content"][0]["text"]), (&json!("m"), &json!("Yes.")));
    assert_eq!(told["content"][1]["name"], "f");
}

#[test]
fn bytes_that_are_no_text_make_an_answer_bad_wherever_they_stand() {
    let completion = b"{\"system_fingerprint\":\"\xff\",\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}";
    assert_eq!(answer(Way::MessagesToChat, completion, CREATED, WANTED), Err(BadAnswer));
}
