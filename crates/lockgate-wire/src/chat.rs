//! Reads a chat completion: what was said, which tools were called, what it used, how it ended.
//!
//! The same reader serves plain answers and the chunks of a stream ([`crate::chat_stream`]), since the two differ in one name
//! (`message`, `delta`). It never fails: an answer that cannot be read is relayed like any other, and that it could not be
//! read is one of the facts.

use serde::Deserialize;

use crate::body::string_text;
use crate::lenient::{Number, Object, Text};
use shape::{FunctionDelta, Said, ToolDelta};

pub(crate) use shape::Answer;

mod shape;

/// Most tool calls that are kept of an answer.
pub const TOOL_CALLS_MAX: usize = 128;

/// Longest piece that is kept of an id, a model's name or an error's message.
pub const LABEL_BYTES_MAX: usize = 2_048;

/// No call uses more tokens; a greater count is a mistake or a lie and would spoil every sum it entered.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// How an answer ends that the provider's filter cut off.
const CONTENT_FILTER: &str = "content_filter";

/// What a chat answer holds, as far as Lockgate measures it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerSummary {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The provider's fingerprint of what answered.
    pub system_fingerprint: Option<String>,
    /// What the first choice says.
    pub text: String,
    /// The first choice's refusal, where the provider marks it as one.
    pub refusal: Option<String>,
    /// The tools that the first choice calls.
    pub tool_calls: Vec<ToolCall>,
    /// How the first choice ended.
    pub finish_reason: Option<String>,
    /// What was billed.
    pub usage: Option<Usage>,
    /// What the provider said went wrong.
    pub error: Option<AnswerError>,
    /// Whether any choice says something or calls something: text, a refusal, reasoning, audio or a tool.
    pub has_content: bool,
    /// Whether there was more to keep than was asked to be kept: `text`, `refusal` or `tool_calls` are not whole.
    pub is_cut: bool,
    /// Whether anything was not the JSON that it should have been.
    pub is_unreadable: bool,
}

/// One call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id of the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as the JSON text that the model wrote.
    pub arguments: String,
    /// By which a stream names it in its later pieces.
    pub(crate) index: u64,
}

/// What a call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// The part of the tokens read that came out of the provider's cache.
    pub cached_tokens: u64,
}

/// What a provider says went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerError {
    /// For people.
    pub message: String,
    /// The provider's class of error.
    pub kind: Option<String>,
    /// The provider's code.
    pub code: Option<String>,
}

/// Reads the body of a plain answer, or of an error.
pub fn read_plain(body: &[u8]) -> AnswerSummary {
    let mut summary = AnswerSummary::default();
    match serde_json::from_slice::<Answer<'_>>(body) {
        Ok(answer) => {
            let mut room = Room { bytes: body.len() };
            summary.add(&answer, &mut room);
        }
        Err(_) => summary.is_unreadable = true,
    }
    summary
}

impl AnswerSummary {
    /// Whether the model declined to answer, by the provider's own mark or because the provider's filter ended what it was
    /// saying; `None` where there is no answer that could be read.
    pub fn is_refusal(&self) -> Option<bool> {
        let was_filtered = self.finish_reason.as_deref() == Some(CONTENT_FILTER);
        let was_read = self.has_content || self.finish_reason.is_some();
        was_read.then(|| self.refusal.is_some() || was_filtered)
    }

    /// Adds what one piece tells: a plain answer is a single piece, a stream has many.
    pub(crate) fn add(&mut self, answer: &Answer<'_>, room: &mut Room) {
        label(&mut self.id, &answer.id);
        label(&mut self.model, &answer.model);
        label(&mut self.system_fingerprint, &answer.system_fingerprint);
        if let Some(usage) = answer.usage() {
            self.usage = Some(usage);
        }
        if self.error.is_none() {
            self.error = answer.error.and_then(|error| AnswerError::read(error.get()));
        }
        for (index, choice) in answer.choices() {
            let said = choice.said();
            self.has_content |= said.is_some_and(Said::has_content);
            if index != 0 {
                continue;
            }
            if let Some(said) = said {
                self.add_said(said, room);
            }
            if choice.finish_reason.0.is_some() {
                self.finish_reason = None;
                label(&mut self.finish_reason, &choice.finish_reason);
            }
        }
    }

    fn add_said(&mut self, said: &Said<'_>, room: &mut Room) {
        for part in said.content.parts() {
            self.is_cut |= !room.keep(&mut self.text, part);
        }
        if let Some(refusal) = said.refusal.some() {
            self.is_cut |= !room.keep(self.refusal.get_or_insert_default(), refusal);
        }
        for call in said.tool_calls.0.iter().flatten().filter_map(|call| call.0.as_ref()) {
            self.is_cut |= !self.add_tool_call(call, room);
        }
        if let Some(function) = &said.function_call.0 {
            let call = ToolDelta { index: Number(Some(0)), id: Text(None), function: Object(None) };
            self.is_cut |= match self.tool_call(&call) {
                Some(call) => !call.add(None, Some(function), room),
                None => true,
            };
        }
    }

    fn add_tool_call(&mut self, delta: &ToolDelta<'_>, room: &mut Room) -> bool {
        let Some(call) = self.tool_call(delta) else { return false };
        call.add(delta.id.some(), delta.function.0.as_ref(), room)
    }

    /// The call that a delta belongs to, by its index; `None` when there are too many. Some servers leave the index out or
    /// give every call the same one, so an id that was not seen before begins a call too.
    fn tool_call(&mut self, delta: &ToolDelta<'_>) -> Option<&mut ToolCall> {
        let is_same_id = |call: &ToolCall| match delta.id.some() {
            Some(id) => call.id == id || call.id.is_empty(),
            None => true,
        };
        let known = match delta.index.0 {
            Some(index) => self.tool_calls.iter().rposition(|call| call.index == index && is_same_id(call)),
            None => self.tool_calls.len().checked_sub(1).filter(|last| is_same_id(&self.tool_calls[*last])),
        };
        let at = known.unwrap_or(self.tool_calls.len());
        if at >= TOOL_CALLS_MAX {
            return None;
        }
        if at == self.tool_calls.len() {
            self.tool_calls
                .push(ToolCall { index: delta.index.0.unwrap_or(at as u64), ..ToolCall::default() });
        }
        self.tool_calls.get_mut(at)
    }
}

impl ToolCall {
    fn add(&mut self, id: Option<&str>, function: Option<&FunctionDelta<'_>>, room: &mut Room) -> bool {
        let mut is_whole = true;
        if let Some(id) = id.filter(|_| self.id.is_empty()) {
            is_whole &= room.keep(&mut self.id, id);
        }
        if let Some(function) = function {
            if let Some(name) = function.name.some().filter(|_| self.name.is_empty()) {
                is_whole &= room.keep(&mut self.name, name);
            }
            if let Some(arguments) = function.arguments.some() {
                is_whole &= room.keep(&mut self.arguments, arguments);
            }
        }
        is_whole
    }
}

impl AnswerError {
    /// An error of which only the text is known.
    pub(crate) fn unnamed(text: &str) -> Self {
        Self { message: shortened(text), ..Self::default() }
    }

    /// Reads the value of an `error` member; `None` when it says that there is none.
    fn read(value: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow, default)]
            message: Text<'a>,
            #[serde(borrow, default, rename = "type")]
            kind: Text<'a>,
            #[serde(borrow, default)]
            code: Text<'a>,
        }
        if matches!(value, "null" | "false") {
            return None;
        }
        let mut error = Self::default();
        if let Ok(Object(Some(fields))) = serde_json::from_str::<Object<Fields<'_>>>(value) {
            error.message = fields.message.some().map_or_else(|| shortened(value), shortened);
            label(&mut error.kind, &fields.kind);
            label(&mut error.code, &fields.code);
        } else {
            error.message = string_text(value).map_or_else(|| shortened(value), |text| shortened(&text));
        }
        Some(error)
    }
}

/// How many bytes may still be kept.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
}

impl Room {
    /// Adds what there is room for; says whether that was all of it.
    fn keep(&mut self, to: &mut String, text: &str) -> bool {
        let kept = prefix(text, self.bytes);
        to.push_str(kept);
        self.bytes -= kept.len();
        kept.len() == text.len()
    }
}

fn label(to: &mut Option<String>, text: &Text<'_>) {
    if let (None, Some(text)) = (&to, text.some()) {
        *to = Some(shortened(text));
    }
}

fn shortened(text: &str) -> String {
    prefix(text, LABEL_BYTES_MAX).to_owned()
}

/// The longest beginning of at most so many bytes that does not end inside a character.
fn prefix(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;
