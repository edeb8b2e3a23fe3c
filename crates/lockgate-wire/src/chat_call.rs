//! What a chat completions call asks for, as far as routing needs to know.
//!
//! Only the members that Lockgate itself acts on are checked for their types; all others are the target's business and pass
//! unread.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::{Body, BodyError, kind_of_value, string_text};
use crate::lenient;

/// The members that let an answer act: without them a model can only talk.
pub(crate) const TOOL_MEMBERS: [&str; 5] =
    ["tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"];

impl<'b> Body<'b> {
    /// The `model`, which names the feature.
    pub fn model(&self) -> Result<Cow<'b, str>, BodyError> {
        let (param, expected) = ("model", "a string that names the feature");
        let value = self.get(param).ok_or(BodyError::Missing { param, expected })?;
        string_text(value).ok_or_else(|| wrong_type(param, "a string", value))
    }

    /// Whether the answer is wanted as a stream.
    pub fn stream(&self) -> Result<bool, BodyError> {
        boolean("stream", self.get("stream"))
    }

    /// Whether the client wants a stream's usage chunk for itself.
    pub fn include_usage(&self) -> Result<bool, BodyError> {
        let Some(options) = self.get("stream_options").filter(|value| *value != "null") else {
            return Ok(false);
        };
        if !options.starts_with('{') {
            return Err(wrong_type("stream_options", "an object", options));
        }
        boolean("stream_options.include_usage", Body::read_text(options)?.get("include_usage"))
    }

    /// Checks that there are `messages` and that they are an array.
    pub fn check_messages(&self) -> Result<(), BodyError> {
        let (param, expected) = ("messages", "an array of messages");
        let value = self.get(param).ok_or(BodyError::Missing { param, expected })?;
        if value.starts_with('[') { Ok(()) } else { Err(wrong_type(param, expected, value)) }
    }

    /// Whether the answer could be a tool call.
    pub fn has_tools(&self) -> bool {
        let is_some_list = |name| {
            let list = self.get(name).and_then(|value| value.strip_prefix('['));
            list.is_some_and(|rest| !rest.trim_ascii_start().starts_with(']'))
        };
        is_some_list("tools") || is_some_list("functions")
    }

    /// What the user said last: the text of the last message whose role is `user`, its text parts joined by line breaks.
    /// `None` where nothing of that kind can be read.
    pub fn last_user_text(&self) -> Option<String> {
        let messages = self.get("messages")?;
        let content =
            serde_json::Deserializer::from_str(messages).deserialize_seq(LastUserContent).ok()??;
        let content: lenient::Content<'_> = serde_json::from_str(content).ok()?;
        content.into_text()
    }
}

fn boolean(param: &'static str, value: Option<&str>) -> Result<bool, BodyError> {
    match value {
        None | Some("null" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(wrong_type(param, "a boolean", other)),
    }
}

fn wrong_type(param: &'static str, expected: &'static str, value: &str) -> BodyError {
    BodyError::WrongType { param, expected, found: kind_of_value(value) }
}

/// Keeps the content of the last user message, so that a long conversation is not built to read one message.
struct LastUserContent;

/// Of a message, what tells whose it is and what it says; of other shapes, nothing.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow, default)]
    role: lenient::Text<'m>,
    #[serde(borrow)]
    content: Option<&'m RawValue>,
}

impl<'de> Visitor<'de> for LastUserContent {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut last = None;
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            let Ok(message) = serde_json::from_str::<Message<'de>>(raw.get()) else { continue };
            if message.role.0.as_deref() == Some("user") {
                last = message.content.map(RawValue::get);
            }
        }
        Ok(last)
    }
}
