//! Whole streams, event by event, both ways.

use super::*;

#[test]
fn a_streamed_message_becomes_chunks() {
    let usage = json!({ "input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 1 });
    let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage });
    let start = |index: u64, block: Value| {
        event(&json!({ "type": "content_block_start", "index": index, "content_block": block }))
    };
    let delta = |index: u64, delta: Value| {
        event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }))
    };
    let stop = |index: u64| event(&json!({ "type": "content_block_stop", "index": index }));
    let events = [
        event(&json!({ "type": "message_start", "message": message })),
        event(&json!({ "type": "ping" })),
        start(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
        delta(0, json!({ "type": "thinking_delta", "thinking": "Hm." })),
        delta(0, json!({ "type": "signature_delta", "signature": "c2ln" })),
        stop(0),
        start(1, json!({ "type": "text", "text": "" })),
        delta(1, json!({ "type": "text_delta", "text": "Let me see." })),
        delta(1, json!({ "type": "citations_delta", "citation": {} })),
        stop(1),
        start(2, json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "{}" })),
        stop(2),
        start(3, json!({ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": {} })),
        delta(3, json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(3, json!({ "type": "input_json_delta", "partial_json": "{\"city\"" })),
        delta(3, json!({ "type": "input_json_delta", "partial_json": ": \"Oslo\"}" })),
        stop(3),
        start(4, json!({ "type": "tool_use", "id": "toolu_2", "name": "now", "input": {} })),
        stop(4),
        event(&json!({
            "type": "message_delta", "delta": { "stop_reason": "tool_use", "stop_sequence": null }, "usage": { "output_tokens": 9 },
        })),
        event(&json!({ "type": "message_stop" })),
    ];
    let head = r#"data: {"id":"msg_1","object":"chat.completion.chunk","created":1700000000,"model":"claude","choices":["#;
    let deltas = [
        r#"{"role":"assistant","content":""}"#,
        r#"{"reasoning_content":"Hm."}"#,
        r#"{"content":"Let me see."}"#,
        r#"{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"weather","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":": \"Oslo\"}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"now","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#,
    ];
    for (include_usage, tail) in [(false, "]}\n\n"), (true, "],\"usage\":null}\n\n")] {
        let mut expected: String = deltas
            .iter()
            .map(|delta| {
                format!(
                    "{head}{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":null}}{tail}"
                )
            })
            .collect();
        expected += &format!(
            r#"{head}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"tool_calls"}}{tail}"#
        );
        if include_usage {
            let usage = r#"{"prompt_tokens":30,"completion_tokens":9,"total_tokens":39,"prompt_tokens_details":{"cached_tokens":20}}"#;
            expected += &format!("{head}],\"usage\":{usage}}}\n\n");
        }
        expected += "data: [DONE]\n\n";
        assert_eq!(translate(Way::ChatToMessages, include_usage, &events).unwrap(), expected);
    }
}

#[test]
fn chunks_become_a_streamed_message() {
    let usage = json!({ "prompt_tokens": 30, "completion_tokens": 9, "prompt_tokens_details": { "cached_tokens": 20 } });
    let chunks = [
        ": comment\n\n".to_owned(),
        format!("data: {}\n\n", json!({ "id": "", "model": "", "choices": [], "prompt_filter_results": [] })),
        chunk(&json!({ "role": "assistant", "content": "", "refusal": null }), None),
        chunk(&json!({ "reasoning_content": "Hm." }), None),
        chunk(&json!({ "content": "Let me " }), None),
        chunk(&json!({ "content": "see." }), None),
        chunk(&call(0, "call_1", "weather", ""), None),
        chunk(&arguments(0, "{\"city\": "), None),
        chunk(&arguments(0, "\"Oslo\"}"), None),
        chunk(&json!({}), Some("tool_calls")),
        format!("data: {}\n\n", json!({ "id": "c1", "model": "m", "choices": [], "usage": usage })),
        done(),
    ];
    let expected = concat!(
        r#"event: message_start
data: {"type":"message_start","message":{"id":"c1","type":"message","role":"assistant","model":"m","content":[],"#,
        r#""stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"#,
        r#""cache_read_input_tokens":0,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Let me "}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"see."}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_1","name":"weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\": "}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"Oslo\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":10,"#,
        r#""cache_creation_input_tokens":0,"cache_read_input_tokens":20,"output_tokens":9}}

event: message_stop
data: {"type":"message_stop"}

"#,
    );
    assert_eq!(translate(Way::MessagesToChat, true, &chunks).unwrap(), expected);
}

#[test]
fn an_answer_that_says_nothing_has_no_blocks() {
    let chunks = [
        chunk(&json!({ "role": "assistant", "content": "" }), None),
        chunk(&json!({}), Some("stop")),
        done(),
    ];
    assert_eq!(as_message(&chunks).unwrap(), "end_turn");
}

#[test]
fn a_refusal_is_a_text_and_a_reason() {
    let chunks = [
        chunk(&json!({ "refusal": "I " }), None),
        chunk(&json!({ "refusal": "can't." }), None),
        chunk(&json!({}), Some("stop")),
        done(),
    ];
    assert_eq!(as_message(&chunks).unwrap(), "text(+I +can't.) refusal");
}

#[test]
fn usage_is_taken_from_wherever_it_stands() {
    let usage = json!({ "prompt_tokens": 7, "completion_tokens": 2 });
    let choice = json!({ "index": 0, "delta": { "content": "Yes." }, "finish_reason": "stop" });
    for last in [
        json!({ "choices": [choice], "usage": usage }),
        json!({ "choices": [choice], "x_groq": { "usage": usage } }),
        json!({ "choices": [choice], "usage": { "prompt_tokens": 7, "completion_tokens": 1 } }),
    ] {
        let mut chunks = vec![format!("data: {last}\n\n")];
        if last["usage"]["completion_tokens"] == 1 {
            chunks.push(format!("data: {}\n\n", json!({ "choices": [], "usage": usage })));
        }
        chunks.push(done());
        let events = translate(Way::MessagesToChat, false, &chunks).unwrap();
        let delta = events.split("event: message_delta\ndata: ").nth(1).unwrap().split('\n').next().unwrap();
        let delta: Value = serde_json::from_str(delta).unwrap();
        assert_eq!(
            (&delta["usage"]["input_tokens"], &delta["usage"]["output_tokens"]),
            (&json!(7), &json!(2))
        );
    }
}
