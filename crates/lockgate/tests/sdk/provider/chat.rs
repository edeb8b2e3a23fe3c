//! Chat completions, as `OpenAI` writes them; thoughts as those who are compatible with it do.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::Ask;
use super::say::Say;
use crate::server::MODEL;

/// A whole answer.
pub fn whole(ask: &Ask, say: &Say, id: u32) -> Value {
    let mut message = json!({ "role": "assistant", "content": content(say), "refusal": null });
    if let Some(thinking) = &say.thinking {
        message["reasoning_content"] = json!(thinking);
    }
    if !say.calls.is_empty() {
        message["tool_calls"] = (0..say.calls.len()).map(|i| call(say, id, i)).collect();
    }
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish(say) });
    json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": 1_700_000_000, "model": MODEL,
        "choices": [choice], "usage": usage(ask, say), "system_fingerprint": "fp_1",
    })
}

/// The same as a stream.
pub fn events(ask: &Ask, say: &Say, id: u32) -> Vec<Bytes> {
    let mut deltas = vec![json!({ "role": "assistant", "content": "" })];
    if let Some(thinking) = &say.thinking {
        deltas.extend(thinking.split_inclusive(' ').map(|piece| json!({ "reasoning_content": piece })));
    }
    deltas.extend(say.pieces().into_iter().map(|piece| json!({ "content": piece })));
    for i in 0..say.calls.len() {
        let mut first = call(say, id, i);
        first["index"] = json!(i);
        let arguments = first["function"]["arguments"].take();
        first["function"]["arguments"] = json!("");
        deltas.push(json!({ "tool_calls": [first] }));
        let (left, right) = halves(arguments.as_str().unwrap_or_default());
        for half in [left, right] {
            deltas.push(json!({ "tool_calls": [{ "index": i, "function": { "arguments": half } }] }));
        }
    }
    let mut chunks: Vec<Value> =
        deltas.into_iter().map(|delta| chunk(id, json!([choice(delta, Value::Null)]))).collect();
    chunks.push(chunk(id, json!([choice(json!({}), json!(finish(say)))])));
    if ask.wants_usage {
        let mut last = chunk(id, json!([]));
        last["usage"] = usage(ask, say);
        chunks.push(last);
    }
    let events = chunks.into_iter().map(|chunk| Bytes::from(format!("data: {chunk}\n\n")));
    events.chain([Bytes::from_static(b"data: [DONE]\n\n")]).collect()
}

/// A text in two, so that nobody can take a piece for the whole.
pub fn halves(text: &str) -> (&str, &str) {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.split_at(middle)
}

fn chunk(id: u32, choices: Value) -> Value {
    json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL,
        "system_fingerprint": "fp_1", "choices": choices, "usage": null,
    })
}

fn choice(delta: Value, finish: Value) -> Value {
    json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish })
}

fn call(say: &Say, id: u32, i: usize) -> Value {
    let (name, arguments) = &say.calls[i];
    let function = json!({ "name": name, "arguments": arguments.to_string() });
    json!({ "id": format!("call_{id}_{i}"), "type": "function", "function": function })
}

fn content(say: &Say) -> Value {
    if say.calls.is_empty() { json!(say.text) } else { Value::Null }
}

fn finish(say: &Say) -> &'static str {
    if say.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn usage(ask: &Ask, say: &Say) -> Value {
    json!({
        "prompt_tokens": ask.words, "completion_tokens": say.words(), "total_tokens": ask.words + say.words(),
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0 },
    })
}
