//! A message as a chat completion.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::chat::made_up_id;
use super::ending::Ending;
use super::json::{self, Items};
use super::usage::{MessageUsage, Tokens, ToldInChat};
use crate::lenient::{Object, Text};
use crate::translate::BadAnswer;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    model: Text<'a>,
    #[serde(borrow)]
    content: Items<'a>,
    #[serde(borrow, default)]
    stop_reason: Text<'a>,
    #[serde(default)]
    usage: Object<MessageUsage>,
}

/// One block of a message; which members it has depends on its type.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [Choice; 1],
    usage: ToldInChat,
}

#[derive(Serialize)]
struct Choice {
    index: u64,
    message: Said,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Said {
    role: &'static str,
    content: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call>,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct Call {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    arguments: String,
}

/// Translates a plain answer.
pub(super) fn answer(body: &[u8], created: i64) -> Result<Vec<u8>, BadAnswer> {
    let message: Message<'_> = json::object(body)?;
    if message.kind.some().is_some_and(|kind| kind != "message") {
        return Err(BadAnswer);
    }
    let id = message.id.some().unwrap_or_default();
    let ending = Ending::of_message(message.stop_reason.some().ok_or(BadAnswer)?);
    let mut tokens = Tokens::default();
    if let Some(usage) = &message.usage.0 {
        tokens.update(usage);
    }
    let completion = Completion {
        id,
        object: "chat.completion",
        created,
        model: message.model.some().unwrap_or_default(),
        choices: [Choice {
            index: 0,
            message: said(&message.content, |at| made_up_id(id, created, at))?,
            logprobs: None,
            finish_reason: ending.finish_reason(),
        }],
        usage: tokens.in_chat(),
    };
    let mut out = Vec::with_capacity(body.len());
    json::write(&mut out, &completion)?;
    Ok(out)
}

fn said(content: &Items<'_>, id_of: impl Fn(usize) -> String) -> Result<Said, BadAnswer> {
    let (mut text, mut reasoning_content, mut tool_calls) = (String::new(), String::new(), Vec::new());
    for raw in &content.0 {
        let block: Block<'_> = json::part(raw)?;
        match block.kind.some().ok_or(BadAnswer)? {
            "text" => text.push_str(block.text.0.as_deref().ok_or(BadAnswer)?),
            "thinking" => reasoning_content.push_str(block.thinking.0.as_deref().ok_or(BadAnswer)?),
            "tool_use" => {
                let name = block.name.some().ok_or(BadAnswer)?.to_owned();
                let arguments = match block.input {
                    Some(input) => json::compact_object(input.get())?.get().to_owned(),
                    None => "{}".to_owned(),
                };
                let id = block.id.some().map_or_else(|| id_of(tool_calls.len()), str::to_owned);
                tool_calls.push(Call { id, kind: "function", function: Function { name, arguments } });
            }
            // Tools that ran at the provider, encrypted thinking, and what will be invented.
            _ => {}
        }
    }
    let is_silent = text.is_empty() && !tool_calls.is_empty();
    let content = (!is_silent).then_some(text);
    Ok(Said { role: "assistant", content, reasoning_content, tool_calls, refusal: None })
}
