//! The turns of a conversation.
//!
//! Anthropic joins messages of one speaker in a row, and the results of calls stand in the user's message.
//! Chat has a message for each result, right after the calls. So:
//!
//! - the system prompt becomes the first message, and a system message in the conversation stays where it is;
//! - a turn's results come first, each a message of its own, then what the user says;
//! - a result that failed says so: chat has no mark for it, so its text begins with `Error: `;
//! - what a result shows besides texts follows in the user's message, under a line that names the call,
//!   because chat's results are texts;
//! - what a model thought, and what a provider's own tools did, means nothing elsewhere: it is left out and
//!   told;
//! - a turn of the user's of which nothing can be said does not vanish ([`Lost`]);
//! - an assistant's message at the end would be continued by Anthropic's models and is answered by others: it
//!   is carried and told.

use serde_json::{Value, json};

use super::content::{self, texts};
use crate::translate::request::calls::Calls;
use crate::translate::request::fields::{Fields, Read, unexpected};
use crate::translate::request::lost::Lost;
use crate::translate::request::path::Path;
use crate::translate::request::told::Told;

/// The longest id of a call that `OpenAI` takes.
const ID_CHARS_MAX: usize = 40;

/// What a failed result begins with.
const ERROR: &str = "Error";

#[derive(Debug)]
pub(super) struct Conversation {
    turns: Vec<Turn>,
    calls: Calls,
}

/// What one speaker says before another does.
#[derive(Debug)]
enum Turn {
    System(Vec<Value>),
    /// `lost` is what else it would have said.
    User {
        results: Vec<Value>,
        parts: Vec<Value>,
        lost: Option<Lost>,
    },
    Assistant {
        parts: Vec<Value>,
        calls: Vec<Value>,
    },
}

impl Conversation {
    pub(super) fn new() -> Self {
        Self { turns: Vec::new(), calls: Calls::new(fitted_id) }
    }

    pub(super) fn read_system(&mut self, body: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
        let Some(system) = body.get("system") else { return Ok(()) };
        let parts = texts(system, &body.at("system"), told)?;
        if !parts.is_empty() {
            self.turns.push(Turn::System(parts));
        }
        Ok(())
    }

    pub(super) fn read(&mut self, messages: &[Value], at: &Path<'_>, told: &mut Told<'_>) -> Read<()> {
        for (index, message) in messages.iter().enumerate() {
            let at = at.item(index);
            let message = Fields::of(message, &at)?;
            let role = message.name("role")?;
            let expected = "a string or an array of blocks";
            let content = message.needed("content", expected, message.get("content"))?;
            let content_at = message.at("content");
            match role {
                "user" => self.read_user(content, &content_at, told)?,
                "assistant" => self.read_assistant(content, &content_at, told)?,
                "system" => {
                    self.calls.close()?;
                    let parts = texts(content, &content_at, told)?;
                    if !parts.is_empty() {
                        self.turns.push(Turn::System(parts));
                    }
                }
                _ => return Err(message.at("role").wrong("expected `user` or `assistant`")),
            }
            told.tell_others(message, &["role", "content"]);
        }
        self.calls.close()?;
        self.fill_lost()?;
        match self.turns.last() {
            Some(Turn::Assistant { .. }) => told.tell(&at.item(messages.len().saturating_sub(1))),
            Some(Turn::User { .. }) => {}
            Some(Turn::System(_)) if !messages.is_empty() => {}
            _ => return Err(at.wrong("expected at least one message that says something to the model")),
        }
        Ok(())
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        self.turns.into_iter().flat_map(Turn::into_values).collect()
    }

    fn read_user(&mut self, content: &Value, at: &Path<'_>, told: &mut Told<'_>) -> Read<()> {
        let blocks = match content {
            Value::Array(blocks) => blocks.as_slice(),
            _ => return texts(content, at, told).map(|parts| self.user(Vec::new(), parts, None)),
        };
        let (mut results, mut parts, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for (index, block) in blocks.iter().enumerate() {
            let at = at.item(index);
            let block = Fields::of(block, &at)?;
            match block.name("type")? {
                "tool_result" => results.push(self.read_result(block, &mut parts, told)?),
                _ => said.extend(content::parts(block, told)?),
            }
        }
        parts.extend(said);
        self.user(results, parts, Lost::of(content, at));
        Ok(())
    }

    /// One result. What is no text goes to `shown`.
    fn read_result(
        &mut self,
        result: Fields<'_, '_>,
        shown: &mut Vec<Value>,
        told: &mut Told<'_>,
    ) -> Read<Value> {
        told.tell_others(result, &["type", "tool_use_id", "content", "is_error"]);
        let id = self.calls.result(result.name("tool_use_id")?, &result.at("tool_use_id"))?;
        let at = result.at("content");
        let (mut said, mut seen) = (Vec::new(), Vec::new());
        match result.get("content") {
            None => {}
            Some(Value::String(text)) => said.push(content::text(text)),
            Some(Value::Array(blocks)) => {
                for (index, block) in blocks.iter().enumerate() {
                    let parts = content::parts(Fields::of(block, &at.item(index))?, told)?;
                    let (texts, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(content::is_text);
                    said.extend(texts);
                    seen.extend(others);
                }
            }
            Some(other) => return Err(unexpected(&at, "a string or an array of blocks", other)),
        }
        if !seen.is_empty() {
            shown.push(content::text(&format!("Shown by the result of tool call {id}:")));
            shown.extend(seen);
        }
        if result.boolean("is_error")? == Some(true) {
            mark_failed(&mut said);
        }
        let content = content::shortest(said).unwrap_or_else(|| "".into());
        Ok(json!({ "role": "tool", "tool_call_id": id, "content": content }))
    }

    fn read_assistant(&mut self, content: &Value, at: &Path<'_>, told: &mut Told<'_>) -> Read<()> {
        let blocks = match content {
            Value::Array(blocks) => blocks.as_slice(),
            _ => {
                let parts = texts(content, at, told)?;
                return self.assistant(parts, Vec::new());
            }
        };
        for (index, block) in blocks.iter().enumerate() {
            let at = at.item(index);
            let block = Fields::of(block, &at)?;
            match block.name("type")? {
                "text" => {
                    let parts = content::parts(block, told)?;
                    self.assistant(parts, Vec::new())?;
                }
                "tool_use" => self.read_call(block, told)?,
                kind => told.tell(&at.member(kind)),
            }
        }
        Ok(())
    }

    fn read_call(&mut self, block: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
        let is_direct = block.get("caller").is_none_or(|caller| caller["type"] == "direct");
        if !is_direct {
            told.tell(&block.at("caller"));
        }
        told.tell_others(block, &["type", "id", "name", "input", "caller"]);
        let (own, name) = (block.name("id")?, block.name("name")?);
        let input = block.needed("input", "an object", block.object("input")?)?;
        // The turn comes first: a new one asks for the results of the calls before it.
        self.assistant_turn()?;
        let id = self.calls.call(own, &block.at("id"))?;
        let arguments = Value::Object(input.clone()).to_string();
        let function = json!({ "name": name, "arguments": arguments });
        let call = json!({ "id": id, "type": "function", "function": function });
        self.assistant(Vec::new(), vec![call])
    }

    fn user(&mut self, new_results: Vec<Value>, new_parts: Vec<Value>, new_lost: Option<Lost>) {
        if new_results.is_empty() && new_parts.is_empty() && new_lost.is_none() {
            return;
        }
        match self.turns.last_mut() {
            Some(Turn::User { results, parts, lost }) => {
                results.extend(new_results);
                parts.extend(new_parts);
                *lost = lost.take().or(new_lost);
            }
            _ => self.turns.push(Turn::User { results: new_results, parts: new_parts, lost: new_lost }),
        }
    }

    /// Puts something into the turns of the user's of which nothing is left.
    fn fill_lost(&mut self) -> Read<()> {
        let last = self.turns.iter().rposition(|turn| matches!(turn, Turn::User { .. }));
        for (index, turn) in self.turns.iter_mut().enumerate() {
            let Turn::User { results, parts, lost } = turn else { continue };
            let Some(lost) = lost.take().filter(|_| results.is_empty() && parts.is_empty()) else { continue };
            if Some(index) == last {
                return Err(lost.refusal());
            }
            parts.push(content::text(&lost.placeholder()));
        }
        Ok(())
    }

    fn assistant(&mut self, new_parts: Vec<Value>, new_calls: Vec<Value>) -> Read<()> {
        if new_parts.is_empty() && new_calls.is_empty() {
            return Ok(());
        }
        self.assistant_turn()?;
        if let Some(Turn::Assistant { parts, calls }) = self.turns.last_mut() {
            parts.extend(new_parts);
            calls.extend(new_calls);
        }
        Ok(())
    }

    /// Makes the assistant's turn the last one.
    fn assistant_turn(&mut self) -> Read<()> {
        if !matches!(self.turns.last(), Some(Turn::Assistant { .. })) {
            self.calls.close()?;
            self.turns.push(Turn::Assistant { parts: Vec::new(), calls: Vec::new() });
        }
        Ok(())
    }
}

impl Turn {
    fn into_values(self) -> Vec<Value> {
        match self {
            Self::System(parts) => vec![json!({ "role": "system", "content": content::shortest(parts) })],
            Self::User { mut results, parts, .. } => {
                let said = content::shortest(parts);
                results.extend(said.map(|content| json!({ "role": "user", "content": content })));
                results
            }
            Self::Assistant { parts, calls } => {
                let mut message = json!({ "role": "assistant", "content": content::shortest(parts) });
                if !calls.is_empty() {
                    message["tool_calls"] = Value::Array(calls);
                }
                vec![message]
            }
        }
    }
}

/// Lets the model know that a call failed.
fn mark_failed(said: &mut Vec<Value>) {
    match said.first_mut().and_then(|part| part.get_mut("text")) {
        Some(text) => *text = format!("{ERROR}: {}", text.as_str().unwrap_or_default()).into(),
        None => said.push(content::text(ERROR)),
    }
}

fn fitted_id(id: &str) -> String {
    id.chars().take(ID_CHARS_MAX).collect()
}
