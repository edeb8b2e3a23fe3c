//! A chat completions request as a messages request.
//!
//! What messages require and chat does not is filled in: `max_tokens`. What chat says in one member and
//! messages in several, or the other way round, is said again in [`conversation`], [`content`], [`tools`] and
//! [`settings`].

mod content;
mod conversation;
mod settings;
mod tools;

use serde_json::{Map, Value};

use self::conversation::Conversation;
use super::fields::{Fields, Read};
use super::told::Told;
use crate::translate::RequestSettings;

/// The members that are read here and in the modules below; [`settings::asks_for_nothing`] judges the others.
const CARRIED: [&str; 22] = [
    "function_call",
    "functions",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "stop",
    "stream",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "user",
    // Asked of the target by whoever sends the request, or only a matter of price.
    "stream_options",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
];

pub(super) fn translate(
    body: Fields<'_, '_>,
    defaults: RequestSettings,
    told: &mut Told<'_>,
) -> Read<Map<String, Value>> {
    let expected = "an array of messages";
    let messages = body.needed("messages", expected, body.list("messages")?)?;
    let conversation = Conversation::read(messages, &body.at("messages"), told)?;
    let may_think = conversation.lets_think();
    let (system, messages) = conversation.into_values();

    let mut out = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    set("model", body.get("model").cloned());
    set("max_tokens", Some(settings::max_tokens(body, defaults)?.into()));
    set("system", system);
    set("messages", Some(Value::Array(messages)));
    tools::write(body, &mut out, told)?;
    settings::write(body, &mut out, told)?;
    settings::write_thinking(body, may_think, &mut out, told)?;
    for (name, value) in body.iter() {
        if !CARRIED.contains(&name) && !settings::asks_for_nothing(name, value) {
            told.tell(&body.path().member(name));
        }
    }
    Ok(out)
}
