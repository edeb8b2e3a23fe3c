//! A chat completion as a message.
//!
//! What was thought becomes a thinking block without a signature. The API asks for the member and official clients for a string,
//! so it is there and empty, as local servers that speak this API write it too; only a provider that signs can tell it from one
//! of its own. A caller who did not ask for thinking is told none.

use serde::Serialize;
use serde_json::value::RawValue;

use super::chat::{Call, Chat, Kind, made_up_answer_id, made_up_id};
use super::ending::{Deeds, Ending};
use super::json;
use super::usage::ToldInMessage;
use crate::translate::BadAnswer;

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block>,
    stop_reason: &'static str,
    stop_sequence: Option<()>,
    usage: ToldInMessage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Thinking { thinking: String, signature: &'static str },
    Text { text: String },
    ToolUse { id: String, name: String, input: Box<RawValue> },
}

/// Translates a plain answer, with what was thought or without it.
pub(super) fn answer(body: &[u8], created: i64, has_thinking: bool) -> Result<Vec<u8>, BadAnswer> {
    let chat: Chat<'_> = json::object(body)?;
    let choice = chat.choice()?.ok_or(BadAnswer)?;
    let said = choice.said().ok_or(BadAnswer)?;
    if chat.error.is_some() {
        return Err(BadAnswer);
    }
    let made_up = made_up_answer_id(created);
    let id = chat.id.some().unwrap_or(&made_up);
    let mut content = Vec::new();
    let mut refused = false;
    said.each_piece(|kind, text| {
        let text = text.to_owned();
        refused |= kind == Kind::Refusal;
        match kind {
            Kind::Thinking if has_thinking => content.push(Block::Thinking { thinking: text, signature: "" }),
            Kind::Thinking => {}
            Kind::Text | Kind::Refusal => content.push(Block::Text { text }),
        }
        Ok(())
    })?;
    let calls = said.calls()?;
    let deeds = Deeds { called: !calls.is_empty(), refused };
    let finish_reason = choice.finish_reason.some().ok_or(BadAnswer)?;
    let ending = Ending::of_chat(finish_reason, deeds).ok_or(BadAnswer)?;
    for (at, call) in calls.iter().enumerate() {
        match tool_use(call, || made_up_id(id, created, at)) {
            Ok(block) => content.push(block),
            // Where the room for tokens ran out inside a call, there is nothing that could be called. The answer says so.
            Err(BadAnswer) if ending == Ending::CutShort && at + 1 == calls.len() => {}
            Err(BadAnswer) => return Err(BadAnswer),
        }
    }
    let message = Message {
        id,
        kind: "message",
        role: "assistant",
        model: chat.model.some().unwrap_or_default(),
        content,
        stop_reason: ending.stop_reason(),
        stop_sequence: None,
        usage: chat.tokens().unwrap_or_default().in_message(),
    };
    let mut out = Vec::with_capacity(body.len());
    json::write(&mut out, &message)?;
    Ok(out)
}

fn tool_use(call: &Call<'_>, id: impl FnOnce() -> String) -> Result<Block, BadAnswer> {
    let name = call.name().ok_or(BadAnswer)?.to_owned();
    let arguments = call.arguments()?;
    // Tools without parameters are called with nothing at all by some models.
    let arguments = if arguments.trim_ascii().is_empty() { "{}" } else { &arguments };
    let input = json::compact_object(arguments)?;
    Ok(Block::ToolUse { id: call.id.some().map_or_else(id, str::to_owned), name, input })
}
