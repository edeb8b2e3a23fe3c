//! What an exchange says, read without the crate that is tested: from values, with no regard to speed, bounds or odd types.

use lockgate_wire::api::Api;
use serde_json::{Map, Value, json};

/// Of a plain answer or an error.
pub fn of_plain(api: Api, body: &Value) -> Value {
    match api {
        Api::Chat => chat(std::slice::from_ref(body), "message"),
        Api::Messages => message(body),
        _ => response(body),
    }
}

/// Of a stream's events.
pub fn of_stream(api: Api, events: &[Value]) -> Value {
    match api {
        Api::Chat => chat(events, "delta"),
        Api::Messages => message(&put_together(events)),
        // The last event repeats the whole response.
        _ => response(&events.last().unwrap()["response"]),
    }
}

/// Whether a stream has its terminal event.
pub fn is_done(api: Api, body: &str) -> bool {
    let ends = match api {
        Api::Chat => &["data: [DONE]"][..],
        Api::Messages => &["event: message_stop"],
        _ => &["event: response.completed", "event: response.incomplete", "event: response.failed"],
    };
    ends.iter().any(|end| body.lines().any(|line| line == *end))
}

/// Whether the user said something that is text.
pub fn has_user_text(api: Api, request: &Value) -> bool {
    let messages = if api == Api::Responses { &request["input"] } else { &request["messages"] };
    if messages.is_string() {
        return true;
    }
    let of_user: Vec<&Value> = list(messages).iter().filter(|message| message["role"] == "user").collect();
    let has_text = |message: &&Value| {
        message["content"].is_string()
            || list(&message["content"]).iter().any(|part| part["text"].is_string())
    };
    match api {
        Api::Messages => of_user.iter().any(has_text),
        _ => of_user.last().is_some_and(has_text),
    }
}

/// The request as it should be after every edit.
pub fn edited(api: Api, mut request: Value) -> Value {
    request["model"] = json!("other");
    let stripped: &[&str] = match api {
        Api::Chat => {
            request["stream_options"]["include_usage"] = json!(true);
            let messages = request["messages"].as_array_mut().unwrap();
            messages.insert(0, json!({ "role": "system", "content": "Be kind." }));
            &["tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"]
        }
        Api::Messages => {
            match &mut request["system"] {
                Value::Array(blocks) => blocks.insert(0, json!({ "type": "text", "text": "Be kind." })),
                Value::String(text) => *text = format!("Be kind.\n\n{text}"),
                none => *none = json!("Be kind."),
            }
            &["tools", "tool_choice", "mcp_servers", "container"]
        }
        _ => {
            match &mut request["instructions"] {
                Value::String(text) => *text = format!("Be kind.\n\n{text}"),
                none => *none = json!("Be kind."),
            }
            &["tools", "tool_choice", "parallel_tool_calls", "max_tool_calls"]
        }
    };
    let members: &mut Map<String, Value> = request.as_object_mut().unwrap();
    members.retain(|name, _| !stripped.contains(&name.as_str()));
    request
}

fn chat(chunks: &[Value], said: &str) -> Value {
    let first = |name: &str| chunks.iter().map(|chunk| &chunk[name]).find(|value| !is_empty(value)).cloned();
    let choices: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| list(&chunk["choices"]).iter().find(|choice| choice["index"] == 0))
        .collect();
    let texts = |name: &str| choices.iter().map(|choice| content(&choice[said][name])).collect::<String>();
    let mut calls = Vec::new();
    for choice in &choices {
        list(&choice[said]["tool_calls"]).iter().for_each(|piece| add_call(&mut calls, piece));
        let function = &choice[said]["function_call"];
        if function.is_object() {
            add_call(&mut calls, &json!({ "index": 0, "function": function }));
        }
    }
    let refusal = texts("refusal");
    let usage = chunks.iter().rev().find_map(|chunk| {
        [&chunk["usage"], &chunk["x_groq"]["usage"]].into_iter().find(|usage| usage.is_object())
    });
    json!({
        "id": first("id"),
        "model": first("model"),
        "text": texts("content"),
        "refusal": (!refusal.is_empty()).then_some(refusal),
        "tool_calls": calls.iter().map(|call: &Call| json!([call.id, call.name, parsed(&call.arguments)])).collect::<Vec<_>>(),
        "finish_reason": choices.iter().rev().map(|choice| &choice["finish_reason"]).find(|reason| !is_empty(reason)),
        "usage": usage.map(|usage| {
            let details = &usage["prompt_tokens_details"];
            let cached = [&details["cached_tokens"], &usage["prompt_cache_hit_tokens"]];
            json!({
                "prompt": count(&usage["prompt_tokens"]),
                "completion": count(&usage["completion_tokens"]),
                "cached": cached.into_iter().find_map(Value::as_u64).unwrap_or(0),
                "cache_written": count(&details["cache_write_tokens"]),
                "reasoning": count(&usage["completion_tokens_details"]["reasoning_tokens"]),
            })
        }),
        "error": error(chunks.first().unwrap()),
    })
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// A piece goes to the call of its index; with an id or a name of its own it begins one.
fn add_call(calls: &mut Vec<Call>, piece: &Value) {
    let (index, id) = (piece["index"].as_u64(), text(&piece["id"]));
    let is_new = !id.is_empty()
        || calls.is_empty()
        || (index.is_none() && !text(&piece["function"]["name"]).is_empty());
    if is_new {
        calls.push(Call { index, id: id.to_owned(), ..Call::default() });
    }
    let at = calls.iter().rposition(|call| call.index == index).unwrap();
    calls[at].name.push_str(text(&piece["function"]["name"]));
    calls[at].arguments.push_str(text(&piece["function"]["arguments"]));
}

/// The message that a stream's events tell.
fn put_together(events: &[Value]) -> Value {
    let mut message = json!({});
    for event in events {
        let index = event["index"].as_u64().unwrap_or(0) as usize;
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                let blocks = message["content"].as_array_mut().unwrap();
                assert_eq!(blocks.len(), index);
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                let (block, delta) = (&mut message["content"][index], &event["delta"]);
                for name in ["text", "partial_json"] {
                    if delta[name].is_string() {
                        block[name] = json!(format!("{}{}", text(&block[name]), text(&delta[name])));
                    }
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (name, count) in event["usage"].as_object().unwrap() {
                    message["usage"][name] = count.clone();
                }
            }
            _ => {}
        }
    }
    message
}

fn message(body: &Value) -> Value {
    let blocks = list(&body["content"]);
    let texts = blocks.iter().filter(|block| block["type"] == "text").map(|block| text(&block["text"]));
    let calls = blocks.iter().filter(|block| block["type"] == "tool_use").map(|block| {
        let pieces = text(&block["partial_json"]);
        let input = if pieces.is_empty() { block["input"].clone() } else { parsed(pieces) };
        json!([block["id"], block["name"], input])
    });
    let usage = &body["usage"];
    let (cached, written) =
        (count(&usage["cache_read_input_tokens"]), count(&usage["cache_creation_input_tokens"]));
    json!({
        "id": body["id"],
        "model": body["model"],
        "text": texts.collect::<String>(),
        "refusal": null,
        "tool_calls": calls.collect::<Vec<_>>(),
        "finish_reason": body["stop_reason"],
        "usage": usage.is_object().then(|| json!({
            "prompt": count(&usage["input_tokens"]) + cached + written,
            "completion": usage["output_tokens"],
            "cached": cached,
            "cache_written": written,
            "reasoning": count(&usage["output_tokens_details"]["thinking_tokens"]),
        })),
        "error": error(body),
    })
}

fn response(body: &Value) -> Value {
    let items = list(&body["output"]);
    let messages = items.iter().filter(|item| item["type"] == "message");
    let parts: Vec<&Value> = messages.flat_map(|message| list(&message["content"])).collect();
    let refusal: String = parts.iter().map(|part| text(&part["refusal"])).collect();
    let calls = items.iter().filter_map(|item| match item["type"].as_str().unwrap() {
        "function_call" => Some(json!([item["call_id"], item["name"], parsed(text(&item["arguments"]))])),
        "custom_tool_call" => Some(json!([item["call_id"], item["name"], parsed(text(&item["input"]))])),
        _ => None,
    });
    let usage = &body["usage"];
    let why = &body["incomplete_details"]["reason"];
    json!({
        "id": body["id"],
        "model": body["model"],
        "text": parts.iter().map(|part| text(&part["text"])).collect::<String>(),
        "refusal": (!refusal.is_empty()).then_some(refusal),
        "tool_calls": calls.collect::<Vec<_>>(),
        "finish_reason": if why.is_null() { &body["status"] } else { why },
        "usage": usage.is_object().then(|| json!({
            "prompt": usage["input_tokens"],
            "completion": usage["output_tokens"],
            "cached": count(&usage["input_tokens_details"]["cached_tokens"]),
            "cache_written": count(&usage["input_tokens_details"]["cache_write_tokens"]),
            "reasoning": count(&usage["output_tokens_details"]["reasoning_tokens"]),
        })),
        "error": error(body),
    })
}

/// The message of an error, wherever the server puts it.
fn error(body: &Value) -> Value {
    let places = [&body["error"]["message"], &body["error"], &body["message"], &body["detail"]];
    places.into_iter().find(|place| place.is_string()).cloned().unwrap_or_default()
}

/// Arguments as the value that they are, so that white space makes no difference; those of custom tools are no JSON.
pub fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments))
}

/// A text, or the texts of a list of parts.
fn content(value: &Value) -> String {
    let parts: String = list(value).iter().map(|part| text(&part["text"])).collect();
    parts + text(value)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value == ""
}
