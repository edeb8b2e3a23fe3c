//! How the answer is to be written.

use serde_json::{Map, Value, json};

use crate::translate::request::effort;
use crate::translate::request::fields::{Fields, Read, unexpected};
use crate::translate::request::schema::Holder;
use crate::translate::request::told::Told;

/// Most texts to stop at that `OpenAI` takes.
const STOP_MAX: usize = 4;

/// What a schema is called that has no name: `OpenAI` wants one.
const SCHEMA_NAME: &str = "answer";

pub(super) fn write(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let effort = effort(body, told)?;
    let expected = "the most tokens to be written";
    let tokens = body.needed("max_tokens", expected, body.count("max_tokens")?)?;
    if tokens == 0 {
        // Anthropic only fills its cache then. Chat always writes something.
        told.tell(&body.at("max_tokens"));
    }
    let name = if effort.is_some() { "max_completion_tokens" } else { "max_tokens" };
    out.insert(name.to_owned(), tokens.max(1).into());
    if let Some(effort) = effort {
        out.insert("reasoning_effort".to_owned(), effort.into());
    }
    for name in ["temperature", "top_p"] {
        if body.number(name, 0.0..=1.0)?.is_some() {
            out.extend(body.get(name).map(|value| (name.to_owned(), value.clone())));
        }
    }
    write_stop(body, out, told)?;
    write_user(body, out, told)?;
    write_format(body, out, told)?;
    if let Some(stream) = body.boolean("stream")? {
        out.insert("stream".to_owned(), stream.into());
    }
    Ok(())
}

/// How hard the model is to think. A budget has a word for it; where the model may choose, only the word that
/// goes with it can be carried. Not to think is what happens where nothing is said.
fn effort(body: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Option<&'static str>> {
    let at = body.at("output_config");
    let config = body.get("output_config").map(|config| Fields::of(config, &at)).transpose()?;
    let word = config.map(|config| config.text("effort")).transpose()?.flatten();
    let shared = word.and_then(effort::shared);

    let at_thinking = body.at("thinking");
    let thinking = body.get("thinking").map(|thinking| Fields::of(thinking, &at_thinking)).transpose()?;
    let effort = match thinking {
        None => None,
        Some(thinking) => {
            told.tell_others(thinking, &["type", "budget_tokens"]);
            match thinking.name("type")? {
                "disabled" => None,
                "enabled" => {
                    let budget = thinking.count("budget_tokens")?;
                    let budget = thinking.needed("budget_tokens", "a number of tokens", budget)?;
                    Some(shared.unwrap_or_else(|| effort::word(budget)))
                }
                "adaptive" => {
                    if shared.is_none() {
                        told.tell(&at_thinking);
                    }
                    shared
                }
                _ => return Err(thinking.at("type").wrong("expected `enabled`, `disabled` or `adaptive`")),
            }
        }
    };
    if word.is_some() && (shared.is_none() || effort.is_none()) {
        told.tell(&at.member("effort"));
    }
    Ok(effort)
}

fn write_stop(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let at = body.at("stop_sequences");
    let mut stop = Vec::new();
    for (index, text) in body.list("stop_sequences")?.unwrap_or_default().iter().enumerate() {
        let at = at.item(index);
        let text = text.as_str().ok_or_else(|| unexpected(&at, "a string", text))?;
        match stop.len() < STOP_MAX && !text.is_empty() {
            true => stop.push(text),
            false => told.tell(&at),
        }
    }
    if !stop.is_empty() {
        out.insert("stop".to_owned(), json!(stop));
    }
    Ok(())
}

fn write_user(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let at = body.at("metadata");
    let Some(metadata) = body.get("metadata") else { return Ok(()) };
    let metadata = Fields::of(metadata, &at)?;
    told.tell_others(metadata, &["user_id"]);
    if let Some(user) = metadata.text("user_id")? {
        out.insert("user".to_owned(), user.into());
    }
    Ok(())
}

/// The form of the answer, under its present name or the one that it had while it was new.
fn write_format(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let at_config = body.at("output_config");
    let config = body.get("output_config").map(|config| Fields::of(config, &at_config)).transpose()?;
    if let Some(config) = config {
        told.tell_others(config, &["effort", "format"]);
    }
    let (format, at) = match config.and_then(|config| config.get("format")) {
        Some(format) => (format, at_config.member("format")),
        None => match body.get("output_format") {
            Some(format) => (format, body.at("output_format")),
            None => return Ok(()),
        },
    };
    let format = Fields::of(format, &at)?;
    if format.name("type")? != "json_schema" {
        told.tell(&at);
        return Ok(());
    }
    told.tell_others(format, &["type", "schema"]);
    let schema = format.needed("schema", "a JSON schema", format.object("schema")?)?;
    let is_held = Holder::OpenAi.holds(schema);
    if !is_held {
        // It is still asked for, but no longer promised.
        told.tell(&at);
    }
    let named = json!({ "name": SCHEMA_NAME, "schema": schema, "strict": is_held });
    out.insert("response_format".to_owned(), json!({ "type": "json_schema", "json_schema": named }));
    Ok(())
}
