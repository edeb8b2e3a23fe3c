//! Messages, as Anthropic writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::Ask;
use super::chat::halves;
use super::say::Say;
use crate::server::MODEL;

/// Stands for the proof that a thought is the model's own; whoever changes it breaks the conversation.
const SIGNATURE: &str = "EqQBCkgIARABGAIiQL==";

/// A whole answer.
pub fn whole(ask: &Ask, say: &Say, id: u32) -> Value {
    let mut message = shell(ask, id);
    message["content"] = json!(blocks(say, id));
    message["stop_reason"] = json!(stop_reason(say));
    message["usage"]["output_tokens"] = json!(say.words());
    message
}

/// The same as a stream.
pub fn events(ask: &Ask, say: &Say, id: u32) -> Vec<Bytes> {
    let mut events =
        vec![json!({ "type": "message_start", "message": shell(ask, id) }), json!({ "type": "ping" })];
    for (index, block) in blocks(say, id).into_iter().enumerate() {
        let (start, deltas) = in_pieces(&block);
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": start }));
        events.extend(
            deltas
                .into_iter()
                .map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })),
        );
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    events.push(json!({
        "type": "message_delta", "delta": { "stop_reason": stop_reason(say), "stop_sequence": null },
        "usage": { "output_tokens": say.words() },
    }));
    events.push(json!({ "type": "message_stop" }));
    let named = events.into_iter().map(|event| {
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        Bytes::from(format!("event: {name}\ndata: {event}\n\n"))
    });
    named.collect()
}

fn shell(ask: &Ask, id: u32) -> Value {
    json!({
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": ask.words, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": 1, "service_tier": "standard",
        },
    })
}

fn blocks(say: &Say, id: u32) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thinking) = &say.thinking {
        blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": SIGNATURE }));
    }
    if say.calls.is_empty() {
        blocks.push(json!({ "type": "text", "text": say.text }));
    }
    for (i, (name, input)) in say.calls.iter().enumerate() {
        blocks.push(
            json!({ "type": "tool_use", "id": format!("toolu_{id}_{i}"), "name": name, "input": input }),
        );
    }
    blocks
}

/// A block as it is announced, and the pieces in which it comes.
fn in_pieces(block: &Value) -> (Value, Vec<Value>) {
    let mut start = block.clone();
    let text = |member: &str| block[member].as_str().unwrap_or_default().to_owned();
    let deltas = match block["type"].as_str() {
        Some("thinking") => {
            start["thinking"] = json!("");
            start["signature"] = json!("");
            let thinking = text("thinking");
            let pieces = thinking.split_inclusive(' ');
            let deltas = pieces.map(|piece| json!({ "type": "thinking_delta", "thinking": piece }));
            deltas.chain([json!({ "type": "signature_delta", "signature": SIGNATURE })]).collect()
        }
        Some("tool_use") => {
            start["input"] = json!({});
            let input = block["input"].to_string();
            let (left, right) = halves(&input);
            ["", left, right].map(|half| json!({ "type": "input_json_delta", "partial_json": half })).to_vec()
        }
        _ => {
            start["text"] = json!("");
            let text = text("text");
            text.split_inclusive(' ').map(|piece| json!({ "type": "text_delta", "text": piece })).collect()
        }
    };
    (start, deltas)
}

fn stop_reason(say: &Say) -> &'static str {
    if say.calls.is_empty() { "end_turn" } else { "tool_use" }
}
