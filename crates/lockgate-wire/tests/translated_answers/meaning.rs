//! What an answer means, read from and written to either form by other code than that which is tested: through whole JSON
//! trees, and knowing only what the providers' documentation says.

use serde_json::{Map, Value, json};

/// What an answer means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meaning {
    pub thinking: String,
    pub text: String,
    pub calls: Vec<Call>,
    pub ending: String,
    /// Tokens of the prompt, those of them that came out of a cache, tokens of the answer.
    pub usage: Option<[u64; 3]>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// The arguments; a string where they are no JSON.
    pub input: Value,
}

impl Meaning {
    /// Holds the meaning of a translation against that of the original: ids that the original lacks may be any.
    pub fn assert_said_by(&self, translated: &Meaning) {
        let mut expected = self.clone();
        for (call, told) in expected.calls.iter_mut().zip(&translated.calls) {
            assert!(!told.id.is_empty());
            if call.id.is_empty() {
                call.id.clone_from(&told.id);
            }
        }
        assert_eq!(*translated, expected);
    }

    /// As the facts of a recorded row say it.
    pub fn facts(&self) -> Value {
        let calls: Vec<_> = self.calls.iter().map(|call| json!([call.id, call.name, call.input])).collect();
        json!({
            "thinking": self.thinking, "text": self.text, "calls": calls, "ending": self.ending, "usage": self.usage,
        })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn input(arguments: &str) -> Value {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments))
}

fn count(usage: &Value, name: &str) -> u64 {
    usage[name].as_u64().unwrap_or(0)
}

fn data(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    lines.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// Reads a message.
pub fn of_message(message: &Value) -> Meaning {
    let mut meaning = Meaning::default();
    for block in message["content"].as_array().unwrap() {
        add_block(&mut meaning, block);
    }
    meaning.ending = ending_of_message(text(&message["stop_reason"]));
    meaning.usage = Some(usage_of_message(&message["usage"]));
    meaning
}

fn add_block(meaning: &mut Meaning, block: &Value) {
    match text(&block["type"]) {
        "text" => meaning.text += text(&block["text"]),
        "thinking" => meaning.thinking += text(&block["thinking"]),
        "tool_use" => meaning.calls.push(Call {
            id: text(&block["id"]).to_owned(),
            name: text(&block["name"]).to_owned(),
            input: block["input"].clone(),
        }),
        _ => {}
    }
}

fn usage_of_message(usage: &Value) -> [u64; 3] {
    let cached = count(usage, "cache_read_input_tokens");
    let prompt = count(usage, "input_tokens") + cached + count(usage, "cache_creation_input_tokens");
    [prompt, cached, count(usage, "output_tokens")]
}

fn ending_of_message(stop_reason: &str) -> String {
    match stop_reason {
        "end_turn" | "stop_sequence" | "pause_turn" => "whole",
        "max_tokens" | "model_context_window_exceeded" => "cut short",
        "tool_use" => "tools",
        "refusal" => "refused",
        other => other,
    }
    .to_owned()
}

/// Reads a streamed message, as official clients put it together.
pub fn of_message_stream(stream: &str) -> Meaning {
    let mut message = json!({});
    let mut pieces: Vec<String> = Vec::new();
    let mut open = None;
    let mut is_stopped = false;
    for data in data(stream) {
        assert!(!is_stopped);
        let index = data["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        match text(&data["type"]) {
            "message_start" => {
                message = data["message"].clone();
                assert_eq!((&message["content"], &message["stop_reason"]), (&json!([]), &Value::Null));
            }
            "content_block_start" => {
                assert_eq!((index, open), (Some(pieces.len()), None));
                open = index;
                pieces.push(String::new());
                message["content"].as_array_mut().unwrap().push(data["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(index, open);
                let delta = &data["delta"];
                let piece = match text(&delta["type"]) {
                    "text_delta" => &delta["text"],
                    "thinking_delta" => &delta["thinking"],
                    "input_json_delta" => &delta["partial_json"],
                    _ => &Value::Null,
                };
                pieces[open.unwrap()] += text(piece);
            }
            "content_block_stop" => {
                assert_eq!(index, open);
                let at = open.take().unwrap();
                let (block, said) = (&mut message["content"][at], &pieces[at]);
                match text(&block["type"]) {
                    "text" => block["text"] = json!(said),
                    "thinking" => block["thinking"] = json!(said),
                    "tool_use" if !said.is_empty() => block["input"] = input(said),
                    _ => {}
                }
            }
            "message_delta" => {
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                for (name, value) in data["usage"].as_object().unwrap() {
                    message["usage"][name] = value.clone();
                }
            }
            "message_stop" => is_stopped = true,
            other => assert_eq!(other, "ping"),
        }
    }
    assert!(is_stopped && open.is_none());
    of_message(&message)
}

/// Reads a chat completion.
pub fn of_chat(completion: &Value) -> Meaning {
    let choice = &completion["choices"][0];
    of_chat_message(&choice["message"], text(&choice["finish_reason"]), usage_of_chat(completion))
}

fn of_chat_message(message: &Value, finish_reason: &str, usage: Option<[u64; 3]>) -> Meaning {
    let reasoning =
        [&message["reasoning_content"], &message["reasoning"]].into_iter().find(|value| value.is_string());
    let mut calls: Vec<_> =
        message["tool_calls"].as_array().into_iter().flatten().map(call_of_chat).collect();
    if message["function_call"].is_object() {
        calls.push(call_of_chat(&json!({ "function": message["function_call"] })));
    }
    let refusal = text(&message["refusal"]);
    let ending = match finish_reason {
        "stop" if !refusal.is_empty() => "refused",
        "stop" if !calls.is_empty() => "tools",
        "stop" => "whole",
        "length" => "cut short",
        "tool_calls" | "function_call" => "tools",
        "content_filter" => "refused",
        other => other,
    };
    Meaning {
        thinking: reasoning.map(text).unwrap_or_default().to_owned(),
        text: text(&message["content"]).to_owned() + refusal,
        calls,
        ending: ending.to_owned(),
        usage,
    }
}

fn call_of_chat(call: &Value) -> Call {
    let function = &call["function"];
    Call {
        id: text(&call["id"]).to_owned(),
        name: text(&function["name"]).to_owned(),
        input: input(text(&function["arguments"])),
    }
}

fn usage_of_chat(chat: &Value) -> Option<[u64; 3]> {
    let usage = [&chat["usage"], &chat["x_groq"]["usage"]].into_iter().find(|usage| usage.is_object())?;
    let cached = count(&usage["prompt_tokens_details"], "cached_tokens");
    Some([count(usage, "prompt_tokens"), cached, count(usage, "completion_tokens")])
}

/// Reads the chunks of a chat completion, as official clients put them together.
pub fn of_chat_stream(stream: &str) -> Meaning {
    assert!(stream.trim_end().ends_with("data: [DONE]"));
    let (mut message, mut finish_reason, mut usage) = (Map::new(), String::new(), None);
    let mut calls: Vec<Value> = Vec::new();
    for chunk in data(stream) {
        usage = usage_of_chat(&chunk).or(usage);
        let Some(choice) = chunk["choices"].as_array().and_then(|choices| choices.first()) else { continue };
        for name in ["content", "reasoning_content", "reasoning", "refusal"] {
            if let Some(piece) = choice["delta"][name].as_str() {
                let known = message.entry(name).or_insert_with(|| json!(""));
                *known = json!(text(known).to_owned() + piece);
            }
        }
        for delta in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let at = delta["index"].as_u64().map_or(calls.len(), |index| usize::try_from(index).unwrap());
            if at == calls.len() {
                calls.push(json!({ "function": { "name": delta["function"]["name"], "arguments": "" }, "id": delta["id"] }));
            }
            let arguments = &mut calls[at]["function"]["arguments"];
            *arguments = json!(text(arguments).to_owned() + text(&delta["function"]["arguments"]));
        }
        if let Some(told) = choice["finish_reason"].as_str() {
            finish_reason = told.to_owned();
        }
    }
    message.insert("tool_calls".to_owned(), json!(calls));
    of_chat_message(&json!(message), &finish_reason, usage)
}

/// Writes a message.
pub fn message(meaning: &Meaning) -> Value {
    let mut content = Vec::new();
    if !meaning.thinking.is_empty() {
        content.push(json!({ "type": "thinking", "thinking": meaning.thinking, "signature": "c2ln" }));
    }
    if !meaning.text.is_empty() {
        content.push(json!({ "type": "text", "text": meaning.text }));
    }
    for Call { id, name, input } in &meaning.calls {
        content.push(json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
    }
    let stop_reason = match meaning.ending.as_str() {
        "cut short" => "max_tokens",
        "tools" => "tool_use",
        "refused" => "refusal",
        _ => "end_turn",
    };
    let [prompt, cached, said] = meaning.usage.unwrap_or_default();
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null,
        "usage": { "input_tokens": prompt - cached, "cache_read_input_tokens": cached, "output_tokens": said },
    })
}

/// Writes a chat completion.
pub fn chat(meaning: &Meaning) -> Value {
    let mut message = json!({ "role": "assistant", "content": meaning.text });
    if !meaning.thinking.is_empty() {
        message["reasoning_content"] = json!(meaning.thinking);
    }
    if !meaning.calls.is_empty() {
        let calls = meaning.calls.iter().map(|Call { id, name, input }| {
            json!({ "id": id, "type": "function", "function": { "name": name, "arguments": input.to_string() } })
        });
        message["tool_calls"] = calls.collect();
    }
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason(&meaning.ending) }],
        "usage": usage_in_chat(meaning),
    })
}

fn finish_reason(ending: &str) -> &'static str {
    match ending {
        "cut short" => "length",
        "tools" => "tool_calls",
        "refused" => "content_filter",
        _ => "stop",
    }
}

fn usage_in_chat(meaning: &Meaning) -> Value {
    let [prompt, cached, said] = meaning.usage.unwrap_or_default();
    json!({
        "prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said,
        "prompt_tokens_details": { "cached_tokens": cached },
    })
}

/// Choices that a property makes: how long pieces are, and which call goes on.
pub struct Dice<'d>(pub std::iter::Cycle<std::slice::Iter<'d, usize>>);

impl Dice<'_> {
    fn below(&mut self, sides: usize) -> usize {
        self.0.next().copied().unwrap_or(0) % sides.max(1)
    }

    fn pieces(&mut self, text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut chars = text.chars().peekable();
        while chars.peek().is_some() {
            let length = self.below(9) + 1;
            pieces.push(chars.by_ref().take(length).collect());
        }
        pieces
    }
}

/// Writes a streamed message.
pub fn message_stream(meaning: &Meaning, dice: &mut Dice<'_>) -> Vec<String> {
    let mut whole = message(meaning);
    let blocks = whole["content"].as_array_mut().map(std::mem::take).unwrap();
    let delta = json!({ "stop_reason": whole["stop_reason"].take(), "stop_sequence": null });
    let usage = whole["usage"].clone();
    whole["usage"]["output_tokens"] = json!(1);
    let mut events = vec![json!({ "type": "message_start", "message": whole }), json!({ "type": "ping" })];
    for (index, mut block) in blocks.into_iter().enumerate() {
        let kind = text(&block["type"]).to_owned();
        let (said, name, member) = match kind.as_str() {
            "tool_use" => (block["input"].to_string(), "input_json_delta", "partial_json"),
            "thinking" => (text(&block["thinking"]).to_owned(), "thinking_delta", "thinking"),
            _ => (text(&block["text"]).to_owned(), "text_delta", "text"),
        };
        block[if kind == "tool_use" { "input" } else { member }] =
            if kind == "tool_use" { json!({}) } else { json!("") };
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": block }));
        for piece in dice.pieces(&said) {
            let delta = json!({ "type": name, member: piece });
            events.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        }
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    events.push(json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    events.push(json!({ "type": "message_stop" }));
    events.iter().map(|data| format!("event: {}\ndata: {data}\n\n", text(&data["type"]))).collect()
}

/// Writes the chunks of a chat completion whose calls go to and fro.
pub fn chat_stream(meaning: &Meaning, dice: &mut Dice<'_>) -> Vec<String> {
    let mut deltas = vec![json!({ "role": "assistant", "content": "" })];
    deltas.extend(dice.pieces(&meaning.thinking).iter().map(|piece| json!({ "reasoning_content": piece })));
    deltas.extend(dice.pieces(&meaning.text).iter().map(|piece| json!({ "content": piece })));
    let mut rest: Vec<_> = meaning
        .calls
        .iter()
        .enumerate()
        .map(|(index, Call { id, name, input })| {
            let function = json!({ "name": name, "arguments": "" });
            let mut pieces =
                vec![json!({ "index": index, "id": id, "type": "function", "function": function })];
            let arguments = dice.pieces(&input.to_string());
            pieces.extend(
                arguments.iter().map(|piece| json!({ "index": index, "function": { "arguments": piece } })),
            );
            pieces.reverse();
            pieces
        })
        .collect();
    let mut begun = 0;
    while let Some(first) = rest.iter().position(|pieces| !pieces.is_empty()) {
        // A call may begin once those before it have.
        let at = dice.below(begun + 1).min(rest.len() - 1);
        let at = if rest[at].is_empty() { first } else { at };
        begun = begun.max(at + 1);
        deltas.extend(rest[at].pop().map(|piece| json!({ "tool_calls": [piece] })));
    }
    let chunk = |choices: Value| json!({ "id": "chatcmpl-1", "model": "gpt", "choices": choices });
    let mut chunks: Vec<_> = deltas
        .into_iter()
        .map(|delta| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }])))
        .collect();
    chunks.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": finish_reason(&meaning.ending) }])));
    chunks.push(chunk(json!([])));
    if let Some(last) = chunks.last_mut() {
        last["usage"] = usage_in_chat(meaning);
    }
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    events.chain(["data: [DONE]\n\n".to_owned()]).collect()
}
