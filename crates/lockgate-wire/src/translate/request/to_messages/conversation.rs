//! The turns of a conversation.
//!
//! Messages has a system prompt beside the conversation, and in the conversation two speakers that take
//! turns; the results of a turn's calls come first in the user's next one. So:
//!
//! - messages of one speaker in a row become one turn, tool messages being the user's;
//! - the system and developer messages before the conversation are the system prompt, each a block of its
//!   own;
//! - a later one is put at the end of the system prompt, because there it keeps its authority. What it loses
//!   is its place, and therefore it is told, as `messages[4]`;
//! - one at the very end that nothing of the user's precedes is what the model is asked to answer. Taking it
//!   away would leave nothing to answer, so it stands as the user's turn, and its `role` is told;
//! - texts of nothing but white space, which Anthropic refuses, are left out, and messages with them that say
//!   nothing else; as the user's last word they are refused, because it would look as if nobody had asked;
//! - a turn of the user's of which nothing can be said does not vanish either ([`Lost`]);
//! - an assistant's message at the end would be answered by a chat model and is continued by Anthropic's: it
//!   is carried and told.

use serde_json::{Value, json};

use super::content::{self, Speaker};
use crate::translate::Untranslatable;
use crate::translate::request::calls::Calls;
use crate::translate::request::fields::{Fields, Read, unexpected};
use crate::translate::request::lost::Lost;
use crate::translate::request::path::Path;
use crate::translate::request::told::Told;

#[derive(Debug)]
pub(super) struct Conversation {
    system: Vec<Value>,
    turns: Vec<Turn>,
    calls: Calls,
    /// The open call of the older form, which has no id: its function's name and the id that was made for it.
    function: Option<(String, String)>,
    /// Where the user said nothing but white space, if nobody said anything since.
    blank: Option<String>,
}

/// What one speaker says before the other does.
#[derive(Debug)]
struct Turn {
    role: Role,
    results: Vec<Value>,
    blocks: Vec<Value>,
    /// What else it would have said.
    lost: Option<Lost>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

impl Conversation {
    pub(super) fn read(messages: &[Value], at: &Path<'_>, told: &mut Told<'_>) -> Read<Self> {
        let calls = Calls::new(fitted_id);
        let mut said = Self { system: Vec::new(), turns: Vec::new(), calls, function: None, blank: None };
        let mut has_begun = false;
        for (index, message) in messages.iter().enumerate() {
            let at = at.item(index);
            let message = Fields::of(message, &at)?;
            let role = message.name("role")?;
            match role {
                "system" | "developer" => {
                    said.read_system(message, has_begun, index + 1 == messages.len(), told)?;
                }
                "user" => said.read_user(message, told)?,
                "assistant" => said.read_assistant(message, index, told)?,
                "tool" => said.read_result(message, told)?,
                "function" => said.read_function_result(message, told)?,
                _ => {
                    let roles = "expected `system`, `developer`, `user`, `assistant` or `tool`";
                    return Err(message.at("role").wrong(roles));
                }
            }
            has_begun |= !matches!(role, "system" | "developer");
        }
        said.calls.close()?;
        said.finish(at, messages.len(), told)?;
        Ok(said)
    }

    /// Whether a model could think before it answers. Where it goes on from its own words or from the results
    /// of its calls, Anthropic wants to see what it thought before.
    pub(super) fn lets_think(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.role == Role::User && turn.results.is_empty())
    }

    /// The system prompt, if any, and the messages.
    pub(super) fn into_values(self) -> (Option<Value>, Vec<Value>) {
        (content::shortest(self.system), self.turns.into_iter().map(Turn::into_value).collect())
    }

    fn read_system(
        &mut self,
        message: Fields<'_, '_>,
        has_begun: bool,
        is_last: bool,
        told: &mut Told<'_>,
    ) -> Read<()> {
        let blocks = content::blocks(message, Speaker::System, told)?;
        told.tell_others(message, &["role", "content"]);
        if is_last && self.turns.last().is_none_or(|turn| turn.role == Role::Assistant) && !blocks.is_empty()
        {
            told.tell(&message.at("role"));
            return self.turn(Role::User).map(|turn| turn.blocks.extend(blocks));
        }
        if has_begun && !blocks.is_empty() {
            told.tell(message.path());
        }
        self.system.extend(blocks);
        Ok(())
    }

    fn read_user(&mut self, message: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
        let blocks = content::blocks(message, Speaker::User, told)?;
        told.tell_others(message, &["role", "content"]);
        if !blocks.is_empty() {
            return self.add(Role::User, blocks);
        }
        let at = message.at("content");
        match message.get("content").and_then(|content| Lost::of(content, &at)) {
            Some(lost) => {
                self.turn(Role::User)?.lost.get_or_insert(lost);
            }
            None => self.blank = Some(at.to_string()),
        }
        Ok(())
    }

    fn read_assistant(&mut self, message: Fields<'_, '_>, index: usize, told: &mut Told<'_>) -> Read<()> {
        let mut blocks = match message.get("content") {
            Some(_) => content::blocks(message, Speaker::Assistant, told)?,
            None => Vec::new(),
        };
        blocks.extend(message.text("refusal")?.and_then(content::text));
        let calls = message.list("tool_calls")?.unwrap_or_default();
        let function = message.get("function_call");
        told.tell_others(message, &["role", "content", "refusal", "tool_calls", "function_call"]);
        if calls.is_empty() && function.is_none() {
            return self.add(Role::Assistant, blocks);
        }
        let turn = self.turn(Role::Assistant)?;
        turn.blocks.extend(blocks);
        let list = message.at("tool_calls");
        for (index, call) in calls.iter().enumerate() {
            self.read_call(call, &list.item(index), told)?;
        }
        if let Some(function) = function {
            let at = message.at("function_call");
            let function = Fields::of(function, &at)?;
            let id = format!("call_{index}");
            let told_id = self.calls.call(&id, &at)?;
            self.function = Some((function.name("name")?.to_owned(), id));
            self.add_call(&told_id, function, told)?;
        }
        Ok(())
    }

    fn read_call(&mut self, call: &Value, at: &Path<'_>, told: &mut Told<'_>) -> Read<()> {
        let call = Fields::of(call, at)?;
        let id = self.calls.call(call.name("id")?, &call.at("id"))?;
        told.tell_others(call, &["id", "type", "function", "custom", "index"]);
        match call.text("type")?.unwrap_or("function") {
            "function" => {
                let expected = "an object with the function's name and arguments";
                let function = call.needed("function", expected, call.get("function"))?;
                self.add_call(&id, Fields::of(function, &call.at("function"))?, told)
            }
            // A tool whose input is a text. The model reads what it once did; it cannot be asked to do it
            // again.
            "custom" => {
                let expected = "an object with the tool's name and input";
                let at = call.at("custom");
                let custom = Fields::of(call.needed("custom", expected, call.get("custom"))?, &at)?;
                let input = json!({ "input": custom.text("input")?.unwrap_or_default() });
                self.push_call(&id, custom.name("name")?, input)
            }
            _ => Err(call.at("type").wrong("expected `function`")),
        }
    }

    fn add_call(&mut self, id: &str, function: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
        told.tell_others(function, &["name", "arguments"]);
        let input = arguments(function)?;
        self.push_call(id, function.name("name")?, input)
    }

    fn push_call(&mut self, id: &str, name: &str, input: Value) -> Read<()> {
        let block = json!({ "type": "tool_use", "id": id, "name": name, "input": input });
        self.turn(Role::Assistant).map(|turn| turn.blocks.push(block))
    }

    fn read_result(&mut self, message: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
        let id = self.calls.result(message.name("tool_call_id")?, &message.at("tool_call_id"))?;
        told.tell_others(message, &["role", "content", "tool_call_id", "name"]);
        self.add_result(&id, message, told)
    }

    fn read_function_result(&mut self, message: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
        let (name, at) = (message.name("name")?, message.at("name"));
        let called = self.function.take().filter(|(called, _)| called == name);
        let (_, id) =
            called.ok_or_else(|| at.wrong("expected the name of the function that was called last"))?;
        let id = self.calls.result(&id, &at)?;
        told.tell_others(message, &["role", "content", "name"]);
        self.add_result(&id, message, told)
    }

    fn add_result(&mut self, id: &str, message: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
        let mut result = json!({ "type": "tool_result", "tool_use_id": id });
        if let Some(content) = content::shortest(content::blocks(message, Speaker::Tool, told)?) {
            result["content"] = content;
        }
        self.turn(Role::User).map(|turn| turn.results.push(result))
    }

    fn add(&mut self, role: Role, blocks: Vec<Value>) -> Read<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        self.turn(role).map(|turn| turn.blocks.extend(blocks))
    }

    /// The turn of that speaker that is going on, or a new one.
    fn turn(&mut self, role: Role) -> Read<&mut Turn> {
        self.blank = None;
        let is_new = self.turns.last().is_none_or(|turn| turn.role != role);
        if is_new {
            if role == Role::Assistant {
                self.calls.close()?;
            }
            self.turns.push(Turn { role, results: Vec::new(), blocks: Vec::new(), lost: None });
        }
        let last = self.turns.len() - 1;
        Ok(&mut self.turns[last])
    }

    fn finish(&mut self, at: &Path<'_>, count: usize, told: &mut Told<'_>) -> Read<()> {
        self.fill_lost()?;
        let Some(last) = self.turns.last_mut() else {
            return Err(at.wrong("expected at least one message that says something to the model"));
        };
        if last.role == Role::Assistant {
            if let Some(param) = self.blank.take() {
                let problem = "expected something else than white space".to_owned();
                return Err(Untranslatable { param, problem });
            }
            told.tell(&at.item(count - 1));
            // Anthropic refuses to continue a text that ends in white space.
            if let Some(text) = last.blocks.last_mut().and_then(|block| block.get_mut("text")) {
                *text = text.as_str().map_or_else(String::new, |text| text.trim_end().to_owned()).into();
            }
        }
        Ok(())
    }

    /// Puts something into the turns of the user's of which nothing is left.
    fn fill_lost(&mut self) -> Read<()> {
        let last = self.turns.iter().rposition(|turn| turn.role == Role::User);
        for (index, turn) in self.turns.iter_mut().enumerate() {
            let Some(lost) = turn.lost.take() else { continue };
            if !turn.blocks.is_empty() || !turn.results.is_empty() {
                continue;
            }
            if Some(index) == last {
                return Err(lost.refusal());
            }
            turn.blocks.extend(content::text(&lost.placeholder()));
        }
        Ok(())
    }
}

impl Turn {
    fn into_value(self) -> Value {
        let role = match self.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut blocks = self.results;
        blocks.extend(self.blocks);
        json!({ "role": role, "content": content::shortest(blocks) })
    }
}

/// What a function was called with. Servers write an empty text for a function without parameters.
fn arguments(function: Fields<'_, '_>) -> Read<Value> {
    let expected = "a string that holds a JSON object";
    let at = function.at("arguments");
    let text = function.needed("arguments", expected, function.text("arguments")?)?;
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    let arguments: Value = serde_json::from_str(text)
        .map_err(|_| at.wrong(format!("expected {expected}, but it is not JSON")))?;
    if !arguments.is_object() {
        return Err(unexpected(&at, expected, &arguments));
    }
    Ok(arguments)
}

/// Anthropic's ids are made of letters, digits, `_` and `-`.
fn fitted_id(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}
