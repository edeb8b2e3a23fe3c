//! What each provider asks of a request, as strictly as they do it themselves.
//!
//! Written from their references and from the errors that they are known to answer with, and not from the
//! translation.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

type Checked = Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

/// The object, with none but these members.
fn object<'v>(value: &'v Value, members: &[&str]) -> Result<&'v Map<String, Value>, String> {
    let map = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    for name in map.keys() {
        ensure!(members.contains(&name.as_str()), "`{name}` is no member here: {value}");
    }
    Ok(map)
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, String> {
    value[name].as_str().ok_or_else(|| format!("`{name}` is no string in {value}"))
}

fn list<'v>(value: &'v Value, name: &str) -> Result<&'v [Value], String> {
    value[name].as_array().map(Vec::as_slice).ok_or_else(|| format!("`{name}` is no list in {value}"))
}

fn said(text: &str) -> Checked {
    ensure!(!text.trim().is_empty(), "a text says nothing");
    Ok(())
}

fn in_range(body: &Value, name: &str, end: f64) -> Checked {
    let Some(number) = body.get(name) else { return Ok(()) };
    ensure!(number.as_f64().is_some_and(|number| (0.0..=end).contains(&number)), "{name} is {number}");
    Ok(())
}

fn data_url_of(url: &str) -> bool {
    url.starts_with("https://")
        || url.starts_with("http://")
        || ["image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf"]
            .iter()
            .any(|kind| url.starts_with(&format!("data:{kind};base64,")))
}

pub(crate) fn check_messages(body: &Value) -> Checked {
    object(
        body,
        &[
            "model",
            "max_tokens",
            "system",
            "messages",
            "tools",
            "tool_choice",
            "temperature",
            "top_p",
            "stop_sequences",
            "stream",
            "metadata",
            "thinking",
            "output_config",
        ],
    )?;
    let max_tokens = body["max_tokens"].as_u64().unwrap_or(0);
    ensure!(max_tokens >= 1, "max_tokens is {}", body["max_tokens"]);
    in_range(body, "temperature", 1.0)?;
    in_range(body, "top_p", 1.0)?;
    ensure!(body.get("temperature").is_none() || body.get("top_p").is_none(), "temperature and top_p");
    ensure!(body.get("stream").is_none_or(Value::is_boolean), "stream is {}", body["stream"]);
    if body.get("system").is_some() {
        check_texts(&body["system"])?;
    }
    if body.get("stop_sequences").is_some() {
        for sequence in list(body, "stop_sequences")? {
            said(sequence.as_str().unwrap_or(""))?;
        }
    }
    if let Some(metadata) = body.get("metadata") {
        object(metadata, &["user_id"])?;
        text(metadata, "user_id")?;
    }
    if let Some(config) = body.get("output_config") {
        let format = &object(config, &["format"])?["format"];
        object(format, &["type", "schema"])?;
        ensure!(
            format["type"] == "json_schema" && format["schema"]["additionalProperties"] == false,
            "{format}"
        );
    }
    check_conversation(list(body, "messages")?)?;
    check_anthropic_tools(body)?;
    check_thinking(body, max_tokens)
}

fn check_texts(content: &Value) -> Checked {
    if let Some(text) = content.as_str() {
        return said(text);
    }
    let blocks = content.as_array().filter(|blocks| !blocks.is_empty()).ok_or("an empty list of texts")?;
    blocks.iter().try_for_each(|block| {
        object(block, &["type", "text"])?;
        ensure!(block["type"] == "text", "{block} is no text");
        said(text(block, "text")?)
    })
}

fn check_conversation(messages: &[Value]) -> Checked {
    ensure!(!messages.is_empty(), "no messages");
    let (mut open, mut ids): (BTreeSet<&str>, HashSet<&str>) = Default::default();
    for (index, message) in messages.iter().enumerate() {
        object(message, &["role", "content"])?;
        let role = text(message, "role")?;
        ensure!(role == "user" || role == "assistant", "the role is {role}");
        ensure!(index == 0 || messages[index - 1]["role"] != role, "{role} speaks twice");
        if message["content"].is_string() {
            ensure!(open.is_empty(), "calls without results: {open:?}");
            said(text(message, "content")?)?;
            continue;
        }
        let blocks = list(message, "content")?;
        ensure!(!blocks.is_empty(), "an empty message");
        let mut has_said = false;
        for block in blocks {
            match (role, text(block, "type")?) {
                ("user", "tool_result") => {
                    ensure!(!has_said, "a result after something else");
                    let members = object(block, &["type", "tool_use_id", "content"])?;
                    let id = text(block, "tool_use_id")?;
                    ensure!(open.remove(id), "a result without a call: {id}");
                    if let Some(content) = members.get("content") {
                        check_shown(content)?;
                    }
                    continue;
                }
                ("user", "image" | "document") => check_shown(&json!([block]))?,
                (_, "text") => check_texts(&json!([block]))?,
                ("assistant", "tool_use") => {
                    object(block, &["type", "id", "name", "input"])?;
                    let id = text(block, "id")?;
                    let is_plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                    ensure!(is_plain && !id.is_empty() && ids.insert(id), "the id {id}");
                    ensure!(block["input"].is_object() && !text(block, "name")?.is_empty(), "{block}");
                    open.insert(id);
                }
                (role, kind) => return Err(format!("{role} cannot say {kind}")),
            }
            has_said = true;
        }
        ensure!(role == "assistant" || open.is_empty(), "calls without results: {open:?}");
    }
    ensure!(open.is_empty(), "calls without results: {open:?}");
    let last = &messages[messages.len() - 1];
    let end = last["content"].as_str().or_else(|| last["content"].as_array()?.last()?["text"].as_str());
    ensure!(last["role"] == "user" || end.is_some_and(|end| end.trim_end() == end), "ends in white space");
    Ok(())
}

fn check_shown(content: &Value) -> Checked {
    if content.is_string() {
        return check_texts(content);
    }
    for block in content.as_array().filter(|blocks| !blocks.is_empty()).ok_or("an empty content")? {
        match text(block, "type")? {
            "text" => check_texts(&json!([block]))?,
            kind @ ("image" | "document") => {
                object(block, &["type", "source", "title"])?;
                let source = &block["source"];
                if source["type"] == "url" {
                    object(source, &["type", "url"])?;
                    ensure!(text(source, "url")?.starts_with("http"), "{source}");
                    continue;
                }
                object(source, &["type", "media_type", "data"])?;
                let types: &[&str] = match kind {
                    "image" => &["image/jpeg", "image/png", "image/gif", "image/webp"],
                    _ => &["application/pdf"],
                };
                ensure!(
                    source["type"] == "base64" && types.contains(&text(source, "media_type")?),
                    "{source}"
                );
                ensure!(!text(source, "data")?.is_empty(), "no data");
            }
            kind => return Err(format!("{kind} cannot be shown")),
        }
    }
    Ok(())
}

fn check_anthropic_tools(body: &Value) -> Checked {
    ensure!(body.get("tools").is_some() || body.get("tool_choice").is_none(), "a choice of no tool");
    if body.get("tools").is_none() {
        return Ok(());
    }
    let tools = list(body, "tools")?;
    ensure!(!tools.is_empty(), "an empty list of tools");
    for tool in tools {
        object(tool, &["name", "description", "input_schema", "strict"])?;
        ensure!(!text(tool, "name")?.is_empty() && tool["input_schema"]["type"] == "object", "{tool}");
        ensure!(tool.get("description").is_none_or(Value::is_string), "{tool}");
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    let kind = text(choice, "type")?;
    ensure!(["auto", "any", "tool", "none"].contains(&kind), "{choice}");
    ensure!((kind == "tool") == choice.get("name").is_some(), "{choice}");
    ensure!(kind != "none" || choice.get("disable_parallel_tool_use").is_none(), "{choice}");
    ensure!(
        kind != "tool" || tools.iter().any(|tool| tool["name"] == choice["name"]),
        "{choice} of {tools:?}"
    );
    object(choice, &["type", "name", "disable_parallel_tool_use"]).map(|_| ())
}

fn check_thinking(body: &Value, max_tokens: u64) -> Checked {
    let Some(thinking) = body.get("thinking") else { return Ok(()) };
    object(thinking, &["type", "budget_tokens"])?;
    let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
    ensure!(thinking["type"] == "enabled" && (1024..max_tokens).contains(&budget), "{thinking}");
    ensure!(
        body.get("temperature").is_none_or(|number| number.as_f64() == Some(1.0)),
        "temperature while thinking"
    );
    ensure!(body.get("top_p").is_none_or(|number| number.as_f64().unwrap() >= 0.95), "top_p while thinking");
    let choice = body["tool_choice"]["type"].as_str().unwrap_or("auto");
    ensure!(choice == "auto" || choice == "none", "a forced call while thinking");
    let last = list(body, "messages")?.last().unwrap();
    let goes_on = last["content"][0]["type"] == "tool_result" || last["role"] == "assistant";
    ensure!(!goes_on, "thinking in the middle of a turn");
    Ok(())
}

pub(crate) fn check_chat(body: &Value) -> Checked {
    object(
        body,
        &[
            "model",
            "max_tokens",
            "max_completion_tokens",
            "messages",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "temperature",
            "top_p",
            "stop",
            "stream",
            "user",
            "reasoning_effort",
            "response_format",
        ],
    )?;
    for name in ["max_tokens", "max_completion_tokens"] {
        ensure!(body.get(name).is_none_or(|count| count.as_u64().is_some_and(|count| count > 0)), "{name}");
    }
    ensure!(body.get("max_tokens").is_none() || body.get("max_completion_tokens").is_none(), "two limits");
    in_range(body, "temperature", 2.0)?;
    in_range(body, "top_p", 1.0)?;
    ensure!(body.get("stream").is_none_or(Value::is_boolean), "stream is {}", body["stream"]);
    ensure!(body.get("user").is_none_or(Value::is_string), "user is {}", body["user"]);
    if body.get("stop").is_some() {
        let stop = list(body, "stop")?;
        ensure!(
            (1..=4).contains(&stop.len())
                && stop.iter().all(|text| text.as_str().is_some_and(|t| !t.is_empty())),
            "{stop:?}"
        );
    }
    if let Some(effort) = body.get("reasoning_effort") {
        ensure!(["low", "medium", "high"].iter().any(|word| effort == word), "the effort {effort}");
    }
    if let Some(format) = body.get("response_format") {
        let named = &object(format, &["type", "json_schema"])?["json_schema"];
        object(named, &["name", "schema", "strict"])?;
        ensure!(format["type"] == "json_schema" && !text(named, "name")?.is_empty(), "{format}");
        ensure!(named["strict"] == false || named["schema"]["type"] == "object", "{format}");
    }
    check_chat_messages(list(body, "messages")?)?;
    check_chat_tools(body)
}

fn check_chat_messages(messages: &[Value]) -> Checked {
    ensure!(!messages.is_empty(), "no messages");
    let mut open = BTreeSet::new();
    for message in messages {
        let role = text(message, "role")?;
        ensure!(role == "tool" || open.is_empty(), "calls without results: {open:?}");
        match role {
            "system" => {
                object(message, &["role", "content"])?;
                check_parts(&message["content"], &["text"])?;
            }
            "user" => {
                object(message, &["role", "content"])?;
                check_parts(&message["content"], &["text", "image_url", "file"])?;
            }
            "tool" => {
                object(message, &["role", "content", "tool_call_id"])?;
                let id = text(message, "tool_call_id")?;
                ensure!(open.remove(id), "a result without a call: {id}");
                check_parts(&message["content"], &["text"])?;
            }
            "assistant" => {
                object(message, &["role", "content", "tool_calls"])?;
                if message.get("tool_calls").is_none() || !message["content"].is_null() {
                    check_parts(&message["content"], &["text"])?;
                }
                if message.get("tool_calls").is_none() {
                    continue;
                }
                let calls = list(message, "tool_calls")?;
                ensure!(!calls.is_empty(), "an empty list of calls");
                for call in calls {
                    object(call, &["id", "type", "function"])?;
                    let (id, function) = (text(call, "id")?, &call["function"]);
                    ensure!((1..=40).contains(&id.chars().count()) && open.insert(id), "the id {id}");
                    object(function, &["name", "arguments"])?;
                    ensure!(call["type"] == "function" && !text(function, "name")?.is_empty(), "{call}");
                    let arguments: Result<Map<String, Value>, _> =
                        serde_json::from_str(text(function, "arguments")?);
                    ensure!(arguments.is_ok(), "the arguments of {call}");
                }
            }
            role => return Err(format!("the role is {role}")),
        }
    }
    ensure!(open.is_empty(), "calls without results: {open:?}");
    Ok(())
}

fn check_parts(content: &Value, kinds: &[&str]) -> Checked {
    if content.is_string() {
        return Ok(());
    }
    for part in
        content.as_array().filter(|parts| !parts.is_empty()).ok_or_else(|| format!("content is {content}"))?
    {
        let kind = text(part, "type")?;
        ensure!(kinds.contains(&kind), "{kind} cannot be said here");
        object(part, &["type", kind])?;
        match kind {
            "text" => ensure!(part["text"].is_string(), "{part}"),
            "image_url" => ensure!(data_url_of(text(&part["image_url"], "url")?), "{part}"),
            _ => {
                object(&part["file"], &["filename", "file_data"])?;
                ensure!(!text(&part["file"], "filename")?.is_empty(), "{part}");
                ensure!(data_url_of(text(&part["file"], "file_data")?), "{part}");
            }
        }
    }
    Ok(())
}

fn check_chat_tools(body: &Value) -> Checked {
    if body.get("tools").is_none() {
        ensure!(
            body.get("tool_choice").is_none() && body.get("parallel_tool_calls").is_none(),
            "a choice of no tool"
        );
        return Ok(());
    }
    let tools = list(body, "tools")?;
    ensure!(!tools.is_empty(), "an empty list of tools");
    for tool in tools {
        object(tool, &["type", "function"])?;
        let function = &tool["function"];
        object(function, &["name", "description", "parameters", "strict"])?;
        ensure!(tool["type"] == "function" && !text(function, "name")?.is_empty(), "{tool}");
        ensure!(function["parameters"].is_object(), "{tool}");
        ensure!(function.get("description").is_none_or(Value::is_string), "{tool}");
    }
    match body.get("tool_choice") {
        None => Ok(()),
        Some(Value::String(word)) => {
            ensure!(["auto", "none", "required"].contains(&word.as_str()), "the choice {word}");
            Ok(())
        }
        Some(choice) => {
            let name = &object(choice, &["type", "function"])?["function"]["name"];
            ensure!(choice["type"] == "function", "{choice}");
            ensure!(tools.iter().any(|tool| tool["function"]["name"] == *name), "{choice} of {tools:?}");
            Ok(())
        }
    }
}
