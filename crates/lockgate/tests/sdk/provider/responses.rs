//! Responses, as `OpenAI` writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::Ask;
use super::chat::halves;
use super::say::Say;
use crate::server::MODEL;

/// The id of a response.
pub fn id(number: u32) -> String {
    format!("resp_{number}")
}

/// The id of a call that a response asks for.
pub fn call_id(number: u32, i: usize) -> String {
    format!("call_{number}_{i}")
}

/// A whole answer.
pub fn whole(ask: &Ask, say: &Say, number: u32) -> Value {
    let mut response = shell(number, "completed");
    response["output"] = json!(items(say, number));
    response["usage"] = json!({
        "input_tokens": ask.words, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": say.words(), "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": ask.words + say.words(),
    });
    response
}

/// The same as a stream.
pub fn events(ask: &Ask, say: &Say, number: u32) -> Vec<Bytes> {
    let mut events = vec![
        json!({ "type": "response.created", "response": shell(number, "in_progress") }),
        json!({ "type": "response.in_progress", "response": shell(number, "in_progress") }),
    ];
    for (index, item) in items(say, number).into_iter().enumerate() {
        item_events(&item, index, &mut events);
    }
    events.push(json!({ "type": "response.completed", "response": whole(ask, say, number) }));
    let numbered = events.into_iter().enumerate().map(|(i, mut event)| {
        event["sequence_number"] = json!(i);
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        Bytes::from(format!("event: {name}\ndata: {event}\n\n"))
    });
    numbered.collect()
}

fn shell(number: u32, status: &str) -> Value {
    json!({
        "id": id(number), "object": "response", "created_at": 1_700_000_000, "status": status, "background": false,
        "error": null, "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": MODEL,
        "output": [], "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null }, "store": true, "temperature": 1.0,
        "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": null, "user": null, "metadata": {},
    })
}

fn items(say: &Say, number: u32) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thinking) = &say.thinking {
        let summary = json!([{ "type": "summary_text", "text": thinking }]);
        items.push(json!({ "id": format!("rs_{number}"), "type": "reasoning", "summary": summary }));
    }
    if say.calls.is_empty() {
        let part = json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": say.text });
        items.push(json!({
            "id": format!("msg_{number}"), "type": "message", "status": "completed", "role": "assistant",
            "content": [part],
        }));
    }
    for (i, (name, arguments)) in say.calls.iter().enumerate() {
        items.push(json!({
            "id": format!("fc_{number}_{i}"), "type": "function_call", "status": "completed",
            "call_id": call_id(number, i), "name": name, "arguments": arguments.to_string(),
        }));
    }
    items
}

/// The events in which one item comes, from its announcement to its end.
fn item_events(item: &Value, index: usize, events: &mut Vec<Value>) {
    let mut announced = item.clone();
    if announced["status"].is_string() {
        announced["status"] = json!("in_progress");
    }
    let of_part = |kind: &str, member: &str, value: Value| {
        let mut event = json!({ "type": kind, "item_id": item["id"], "output_index": index });
        event[member] = value;
        event
    };
    let mut within = Vec::new();
    match item["type"].as_str() {
        Some("function_call") => {
            announced["arguments"] = json!("");
            let arguments = item["arguments"].as_str().unwrap_or_default();
            let (left, right) = halves(arguments);
            for half in [left, right] {
                within.push(of_part("response.function_call_arguments.delta", "delta", json!(half)));
            }
            let mut done = of_part("response.function_call_arguments.done", "arguments", json!(arguments));
            done["name"] = item["name"].clone();
            within.push(done);
        }
        Some("reasoning") => {
            announced["summary"] = json!([]);
            let text = item["summary"][0]["text"].as_str().unwrap_or_default();
            let part = |text: &str| json!({ "type": "summary_text", "text": text });
            within.push(of_part("response.reasoning_summary_part.added", "part", part("")));
            for piece in text.split_inclusive(' ') {
                within.push(of_part("response.reasoning_summary_text.delta", "delta", json!(piece)));
            }
            within.push(of_part("response.reasoning_summary_text.done", "text", json!(text)));
            within.push(of_part("response.reasoning_summary_part.done", "part", part(text)));
            within.iter_mut().for_each(|event| event["summary_index"] = json!(0));
        }
        _ => {
            announced["content"] = json!([]);
            let text = item["content"][0]["text"].as_str().unwrap_or_default();
            let part = |text: &str| json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text });
            within.push(of_part("response.content_part.added", "part", part("")));
            for piece in text.split_inclusive(' ') {
                let mut event = of_part("response.output_text.delta", "delta", json!(piece));
                event["logprobs"] = json!([]);
                within.push(event);
            }
            let mut done = of_part("response.output_text.done", "text", json!(text));
            done["logprobs"] = json!([]);
            within.push(done);
            within.push(of_part("response.content_part.done", "part", part(text)));
            within.iter_mut().for_each(|event| event["content_index"] = json!(0));
        }
    }
    events.push(json!({ "type": "response.output_item.added", "output_index": index, "item": announced }));
    events.append(&mut within);
    events.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
}
