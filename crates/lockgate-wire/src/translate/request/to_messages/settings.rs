//! How the answer is to be written.

use serde_json::{Map, Value, json};

use crate::translate::RequestSettings;
use crate::translate::request::effort;
use crate::translate::request::fields::{Fields, Read, unexpected};
use crate::translate::request::schema::Holder;
use crate::translate::request::told::{Told, says_nothing};

/// The highest temperature that Anthropic takes.
const TEMPERATURE_MAX: f64 = 1.0;

/// The lowest `top_p` that Anthropic takes while a model thinks.
const THINKING_TOP_P_MIN: f64 = 0.95;

/// The most tokens to be written. The newer name counts what is thought too, as Anthropic does.
pub(super) fn max_tokens(body: Fields<'_, '_>, defaults: RequestSettings) -> Read<u64> {
    for name in ["max_completion_tokens", "max_tokens"] {
        match body.count(name)? {
            Some(0) => return Err(body.at(name).wrong("expected at least 1")),
            Some(tokens) => return Ok(tokens),
            None => {}
        }
    }
    Ok(defaults.max_tokens)
}

pub(super) fn write(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    write_sampling(body, out, told)?;
    write_stop(body, out, told)?;
    write_user(body, out, told)?;
    write_format(body, out, told)?;
    if let Some(stream) = body.boolean("stream")? {
        out.insert("stream".to_owned(), stream.into());
    }
    Ok(())
}

/// Whether a member that messages do not know asks for nothing beyond what is done anyway.
pub(super) fn asks_for_nothing(name: &str, value: &Value) -> bool {
    says_nothing(value)
        || match name {
            "n" => value.as_f64() == Some(1.0),
            "logprobs" | "store" => value == false,
            "top_logprobs" | "frequency_penalty" | "presence_penalty" => value.as_f64() == Some(0.0),
            "modalities" => *value == json!(["text"]),
            "verbosity" => value == "medium",
            "service_tier" => value == "auto" || value == "default",
            _ => false,
        }
}

/// Thinking, where it means the same: the budget has to fit under the limit of tokens, and Anthropic's models
/// think neither at another temperature than theirs, nor with a forced tool, nor in the middle of a turn
/// whose earlier thoughts are not at hand.
pub(super) fn write_thinking(
    body: Fields<'_, '_>,
    may_think: bool,
    out: &mut Map<String, Value>,
    told: &mut Told<'_>,
) -> Read<()> {
    let budget = match body.text("reasoning_effort")? {
        None | Some("none" | "minimal") => return Ok(()),
        Some(word) => effort::budget(word),
    };
    let number = |name: &str| out.get(name).and_then(Value::as_f64);
    let choice = out.get("tool_choice").and_then(|choice| choice["type"].as_str());
    let is_possible = may_think
        && number("temperature").is_none_or(|temperature| temperature == TEMPERATURE_MAX)
        && number("top_p").is_none_or(|top_p| top_p >= THINKING_TOP_P_MIN)
        && choice.is_none_or(|choice| matches!(choice, "auto" | "none"));
    let max_tokens = out.get("max_tokens").and_then(Value::as_u64).unwrap_or(0);
    match budget.filter(|budget| is_possible && *budget < max_tokens) {
        Some(budget) => {
            out.insert("thinking".to_owned(), json!({ "type": "enabled", "budget_tokens": budget }));
        }
        None => told.tell(&body.at("reasoning_effort")),
    }
    Ok(())
}

/// `temperature` and `top_p`, of which the newer models take only one. A value of 1 leaves all as it is, in
/// both.
fn write_sampling(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let mut temperature = body.get("temperature").cloned();
    if body.number("temperature", 0.0..=2.0)?.is_some_and(|number| number > TEMPERATURE_MAX) {
        told.tell(&body.at("temperature"));
        temperature = Some(json!(TEMPERATURE_MAX));
    }
    let is_one = |value: &Value| value.as_f64() == Some(1.0);
    body.number("top_p", 0.0..=1.0)?;
    let top_p = body.get("top_p").filter(|value| !is_one(value));
    match (temperature, top_p) {
        (None, Some(top_p)) => {
            out.insert("top_p".to_owned(), top_p.clone());
        }
        (Some(temperature), Some(top_p)) if is_one(&temperature) => {
            out.insert("top_p".to_owned(), top_p.clone());
        }
        (Some(temperature), top_p) => {
            if top_p.is_some() {
                told.tell(&body.at("top_p"));
            }
            out.insert("temperature".to_owned(), temperature);
        }
        (None, None) => {}
    }
    Ok(())
}

/// Texts to stop at. Anthropic takes none of nothing but white space.
fn write_stop(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let at = body.at("stop");
    let mut sequences = Vec::new();
    match body.get("stop") {
        None => {}
        Some(Value::String(text)) if text.trim().is_empty() => told.tell(&at),
        Some(Value::String(text)) => sequences.push(text.as_str()),
        Some(Value::Array(texts)) => {
            for (index, text) in texts.iter().enumerate() {
                let at = at.item(index);
                match text.as_str().ok_or_else(|| unexpected(&at, "a string", text))? {
                    text if text.trim().is_empty() => told.tell(&at),
                    text => sequences.push(text),
                }
            }
        }
        Some(other) => return Err(unexpected(&at, "a string or an array of strings", other)),
    }
    if !sequences.is_empty() {
        out.insert("stop_sequences".to_owned(), json!(sequences));
    }
    Ok(())
}

/// Who is asking, under the newest of the names for it. A second one that differs cannot be said too.
fn write_user(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let at = body.at("metadata");
    let metadata = body.get("metadata").map(|value| Fields::of(value, &at)).transpose()?;
    if let Some(metadata) = metadata {
        told.tell_others(metadata, &["user_id"]);
    }
    let names = [
        (body.text("safety_identifier")?, body.at("safety_identifier")),
        (body.text("user")?, body.at("user")),
        (metadata.map(|metadata| metadata.text("user_id")).transpose()?.flatten(), at.member("user_id")),
    ];
    let mut user: Option<&str> = None;
    for (name, at) in names {
        match (name.filter(|name| !name.is_empty()), user) {
            (Some(name), None) => user = Some(name),
            (Some(name), Some(user)) if name != user => told.tell(&at),
            _ => {}
        }
    }
    if let Some(user) = user {
        out.insert("metadata".to_owned(), json!({ "user_id": user }));
    }
    Ok(())
}

/// The form of the answer: a schema that Anthropic can hold it to.
fn write_format(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let Some(format) = body.get("response_format") else { return Ok(()) };
    let at = body.at("response_format");
    let format = Fields::of(format, &at)?;
    match format.name("type")? {
        "text" => return Ok(()),
        "json_schema" => {}
        _ => {
            told.tell(&at);
            return Ok(());
        }
    }
    let at_schema = format.at("json_schema");
    let expected = "an object with a `schema`";
    let named = Fields::of(format.needed("json_schema", expected, format.get("json_schema"))?, &at_schema)?;
    match named.object("schema")?.filter(|schema| Holder::Anthropic.holds(schema)) {
        Some(schema) => {
            // The name is a label that the model may see; the schema is what the answer is held to.
            told.tell_others(format, &["type", "json_schema"]);
            told.tell_others(named, &["name", "schema", "strict"]);
            let format = json!({ "type": "json_schema", "schema": schema });
            out.insert("output_config".to_owned(), json!({ "format": format }));
        }
        None => told.tell(&at),
    }
    Ok(())
}
