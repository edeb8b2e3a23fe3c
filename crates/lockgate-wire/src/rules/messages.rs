//! A fixed text as an Anthropic message.

use serde_json::{Value, json};

use super::{FixedText, named_event};

pub(super) fn plain(answer: &FixedText<'_>) -> Vec<u8> {
    let content = json!([{ "type": "text", "text": answer.text }]);
    message(answer, content, json!("end_turn")).to_string().into_bytes()
}

pub(super) fn stream(answer: &FixedText<'_>) -> Vec<u8> {
    let delta = json!({ "type": "text_delta", "text": answer.text });
    let events = [
        json!({ "type": "message_start", "message": message(answer, json!([]), Value::Null) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({
            "type": "message_delta",
            "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": usage(),
        }),
        json!({ "type": "message_stop" }),
    ];
    events.iter().map(named_event).collect::<String>().into_bytes()
}

fn message(answer: &FixedText<'_>, content: Value, stop_reason: Value) -> Value {
    json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": usage(),
    })
}

fn usage() -> Value {
    json!({
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    })
}
