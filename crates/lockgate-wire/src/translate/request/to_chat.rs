//! A messages request as a chat completions request.
//!
//! `OpenAI`'s own chat completions know more names than the servers that imitate them. Where two names mean
//! the same, the one that more of them know is taken: `system` before `developer`, `user` before
//! `safety_identifier`, and `max_tokens` before `max_completion_tokens`, unless thinking is asked for: a
//! model that thinks is one that wants the newer name.

mod content;
mod conversation;
mod settings;
mod tools;

use serde_json::{Map, Value};

use self::conversation::Conversation;
use super::fields::{Fields, Read};
use super::told::Told;

/// The members that are read here and in the modules below, or ask for nothing that a caller could miss.
const CARRIED: [&str; 15] = [
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_p",
    // Which of Anthropic's capacities is used; elsewhere there is none to choose from.
    "service_tier",
];

pub(super) fn translate(body: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Map<String, Value>> {
    let expected = "an array of messages";
    let messages = body.needed("messages", expected, body.list("messages")?)?;
    let mut conversation = Conversation::new();
    conversation.read_system(body, told)?;
    conversation.read(messages, &body.at("messages"), told)?;

    let mut out = Map::new();
    if let Some(model) = body.get("model") {
        out.insert("model".to_owned(), model.clone());
    }
    out.insert("messages".to_owned(), Value::Array(conversation.into_values()));
    tools::write(body, &mut out, told)?;
    settings::write(body, &mut out, told)?;
    told.tell_others(body, &CARRIED);
    Ok(out)
}
