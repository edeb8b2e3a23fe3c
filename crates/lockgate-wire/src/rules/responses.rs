//! A fixed text as a response of OpenAI's responses API.

use serde_json::{Value, json};

use super::{FixedText, named_event};

pub(super) fn plain(answer: &FixedText<'_>) -> Vec<u8> {
    completed(answer).to_string().into_bytes()
}

pub(super) fn stream(answer: &FixedText<'_>) -> Vec<u8> {
    let id = item_id(answer);
    let of_item = |kind: &str| json!({ "type": kind, "output_index": 0 });
    let of_part = |kind: &str| json!({ "type": kind, "item_id": id, "output_index": 0, "content_index": 0 });
    let begun = response(answer, "in_progress", json!([]), Value::Null);
    let events = [
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.in_progress", "response": begun }),
        with(of_item("response.output_item.added"), "item", item(answer, "in_progress", json!([]))),
        with(of_part("response.content_part.added"), "part", part("")),
        with(with(of_part("response.output_text.delta"), "delta", answer.text.into()), "logprobs", json!([])),
        with(with(of_part("response.output_text.done"), "text", answer.text.into()), "logprobs", json!([])),
        with(of_part("response.content_part.done"), "part", part(answer.text)),
        with(of_item("response.output_item.done"), "item", whole_item(answer)),
        json!({ "type": "response.completed", "response": completed(answer) }),
    ];
    let numbered = events.into_iter().zip(0_u32..);
    let written = numbered.map(|(event, number)| named_event(&with(event, "sequence_number", number.into())));
    written.collect::<String>().into_bytes()
}

fn with(mut event: Value, name: &str, value: Value) -> Value {
    event[name] = value;
    event
}

fn completed(answer: &FixedText<'_>) -> Value {
    let no_usage = json!({
        "input_tokens": 0,
        "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 0,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": 0,
    });
    response(answer, "completed", json!([whole_item(answer)]), no_usage)
}

fn response(answer: &FixedText<'_>, status: &str, output: Value, usage: Value) -> Value {
    json!({
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null },
        "service_tier": "default",
        // Nothing is kept by which a later call could go on from here.
        "store": false,
        "temperature": 1.0,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
        "metadata": {},
    })
}

fn whole_item(answer: &FixedText<'_>) -> Value {
    item(answer, "completed", json!([part(answer.text)]))
}

fn item(answer: &FixedText<'_>, status: &str, content: Value) -> Value {
    json!({
        "id": item_id(answer),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    })
}

/// The message has an id of its own, made from the response's.
fn item_id(answer: &FixedText<'_>) -> String {
    format!("msg_{}", answer.id.strip_prefix("resp_").unwrap_or(answer.id))
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}
