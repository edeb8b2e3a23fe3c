//! What a call of any API asks for, as far as routing needs to know.
//!
//! Only the members that Lockgate itself acts on are checked for their types; all others are the target's business and pass
//! unread.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::Api;
use crate::body::{Body, BodyError, kind_of_value, string_text};
use crate::lenient;

/// The members that let an answer act: without them a model can only talk.
pub(crate) fn tool_members(api: Api) -> &'static [&'static str] {
    match api {
        Api::Chat => &["tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"],
        Api::Responses => &["tools", "tool_choice", "parallel_tool_calls", "max_tool_calls"],
        Api::Messages | Api::CountTokens => &["tools", "tool_choice", "mcp_servers", "container"],
        Api::Embeddings => &[],
    }
}

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

    /// Checks that what the API cannot do without is there and of its type.
    pub fn check(&self, api: Api) -> Result<(), BodyError> {
        let (param, expected, begins) = match api {
            Api::Chat | Api::Messages | Api::CountTokens => ("messages", "an array of messages", &['['][..]),
            Api::Embeddings => ("input", "a string or an array", &['"', '['][..]),
            // A stored prompt or conversation may stand for the input.
            Api::Responses => return Ok(()),
        };
        let value = self.get(param).ok_or(BodyError::Missing { param, expected })?;
        if value.starts_with(begins) { Ok(()) } else { Err(wrong_type(param, expected, value)) }
    }

    /// The caller's own bound on the tokens that are written. Where the chat API has an old and a new name, the new one counts.
    pub fn max_tokens(&self, api: Api) -> Option<u64> {
        let names: &[&str] = match api {
            Api::Chat => &["max_completion_tokens", "max_tokens"],
            Api::Responses => &["max_output_tokens"],
            Api::Messages => &["max_tokens"],
            Api::Embeddings | Api::CountTokens => &[],
        };
        let read = |name: &&str| serde_json::from_str::<lenient::Number>(self.get(name)?).ok()?.0;
        names.iter().find_map(read)
    }

    /// The response of `OpenAI`'s responses API that this call goes on from; its state is kept by the provider.
    pub fn previous_response_id(&self) -> Option<Cow<'b, str>> {
        self.scalar("previous_response_id")
    }

    /// Whether the caller wants to be told what the model thinks before it answers. Only the messages API has to be asked for it.
    pub fn wants_thinking(&self, api: Api) -> bool {
        let thinking = self.get("thinking").filter(|_| api == Api::Messages);
        let kind = thinking.and_then(|thinking| Body::read_text(thinking).ok()?.scalar("type"));
        matches!(kind.as_deref(), Some("enabled" | "adaptive"))
    }

    /// Whether the answer could be a tool call, whichever API's names for tools the body has.
    pub fn has_tools(&self) -> bool {
        let is_some_list = |name| {
            let list = self.get(name).and_then(|value| value.strip_prefix('['));
            list.is_some_and(|rest| !rest.trim_ascii_start().starts_with(']'))
        };
        ["tools", "functions", "mcp_servers"].into_iter().any(is_some_list)
    }

    /// What the user said last: the text of the last message whose role is `user`, its text parts joined by line breaks.
    /// `None` where nothing of that kind can be read.
    ///
    /// The messages API gives back what tools found in messages of the user's. Those say nothing and are passed over.
    pub fn last_user_text(&self, api: Api) -> Option<String> {
        let messages = match api {
            Api::Chat | Api::Messages => self.get("messages")?,
            Api::Responses => self.get("input")?,
            Api::Embeddings | Api::CountTokens => return None,
        };
        if api == Api::Responses && messages.starts_with('"') {
            return string_text(messages).map(Cow::into_owned);
        }
        let contents = serde_json::Deserializer::from_str(messages).deserialize_seq(UserContents).ok()?;
        let mut texts = contents.iter().rev().map(|content| {
            let content: lenient::Content<'_> = serde_json::from_str(content).ok()?;
            content.into_text()
        });
        if api == Api::Messages { texts.find_map(|text| text) } else { texts.next()? }
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

/// Finds the content of every message of the user's, so that a long conversation is not built to read one message.
struct UserContents;

/// Of a message, what tells whose it is and what it says; of other shapes, nothing.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow, default)]
    role: lenient::Text<'m>,
    #[serde(borrow)]
    content: Option<&'m RawValue>,
}

impl<'de> Visitor<'de> for UserContents {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut contents = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            let Ok(message) = serde_json::from_str::<Message<'de>>(raw.get()) else { continue };
            if message.role.0.as_deref() == Some("user") {
                contents.push(message.content.map_or("null", RawValue::get));
            }
        }
        Ok(contents)
    }
}

#[cfg(test)]
mod tests;
