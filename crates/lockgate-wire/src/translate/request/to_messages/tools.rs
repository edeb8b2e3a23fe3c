//! What the model may call, and whether it has to.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::translate::request::fields::{Fields, Read, unexpected};
use crate::translate::request::path::Path;
use crate::translate::request::schema::Holder;
use crate::translate::request::told::{Told, says_nothing};

/// Writes `tools` and `tool_choice`.
pub(super) fn write(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let mut tools = Vec::new();
    let at = body.at("tools");
    for (index, value) in body.list("tools")?.unwrap_or_default().iter().enumerate() {
        tools.extend(tool(value, &at.item(index), told)?);
    }
    let at = body.at("functions");
    let functions = body.list("functions")?.unwrap_or_default();
    for (index, value) in functions.iter().enumerate() {
        tools.push(function(Fields::of(value, &at.item(index))?, told)?);
    }
    if !functions.is_empty() {
        // The functions are carried; that their calls come back in the older form is what cannot be asked
        // for.
        told.tell(&at);
    }
    let names: HashSet<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    let choice = choice(body, &names, told)?;
    let is_parallel = body.boolean("parallel_tool_calls")?.unwrap_or(true);
    if tools.is_empty() {
        return Ok(());
    }
    let mut choice = match choice {
        Some(choice) => choice,
        None if is_parallel => Value::Null,
        None => json!({ "type": "auto" }),
    };
    if !is_parallel && choice["type"] != "none" {
        choice["disable_parallel_tool_use"] = true.into();
    }
    out.insert("tools".to_owned(), Value::Array(tools));
    if !choice.is_null() {
        out.insert("tool_choice".to_owned(), choice);
    }
    Ok(())
}

fn tool(tool: &Value, at: &Path<'_>, told: &mut Told<'_>) -> Read<Option<Value>> {
    let tool = Fields::of(tool, at)?;
    let kind = tool.name("type")?;
    if kind != "function" {
        told.tell(&at.member(kind));
        return Ok(None);
    }
    told.tell_others(tool, &["type", "function"]);
    let expected = "an object with the function's name and parameters";
    let described = tool.needed("function", expected, tool.get("function"))?;
    function(Fields::of(described, &tool.at("function"))?, told).map(Some)
}

fn function(function: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Value> {
    told.tell_others(function, &["name", "description", "parameters", "strict"]);
    let mut tool = json!({ "name": function.name("name")? });
    if let Some(description) = function.text("description")?.filter(|text| !text.is_empty()) {
        tool["description"] = description.into();
    }
    let parameters = function.object("parameters")?;
    let schema = input_schema(parameters, &function.at("parameters"))?;
    if function.boolean("strict")? == Some(true) {
        match Holder::Anthropic.holds(&schema) {
            true => tool["strict"] = true.into(),
            false => told.tell(&function.at("strict")),
        }
    }
    tool["input_schema"] = Value::Object(schema);
    Ok(tool)
}

/// The schema of a tool's input, which Anthropic wants to say that it is an object's.
fn input_schema(parameters: Option<&Map<String, Value>>, at: &Path<'_>) -> Read<Map<String, Value>> {
    let given = parameters.cloned().unwrap_or_default();
    match given.get("type") {
        Some(kind) if kind == "object" => Ok(given),
        Some(kind) if !kind.is_null() => Err(unexpected(&at.member("type"), "`object`", kind)),
        _ => {
            let mut schema = Map::new();
            schema.insert("type".to_owned(), "object".into());
            if given.is_empty() {
                schema.insert("properties".to_owned(), json!({}));
            }
            schema.extend(given.into_iter().filter(|(name, _)| name != "type"));
            Ok(schema)
        }
    }
}

/// Whether a tool has to be called, in the newer form or the older one.
fn choice(body: Fields<'_, '_>, names: &HashSet<&str>, told: &mut Told<'_>) -> Read<Option<Value>> {
    let (member, choice) = match (body.get("tool_choice"), body.get("function_call")) {
        (Some(choice), _) => ("tool_choice", choice),
        (None, Some(choice)) => ("function_call", choice),
        (None, None) => return Ok(None),
    };
    let at = body.at(member);
    let choice = match choice {
        Value::String(word) => match word.as_str() {
            "auto" => json!({ "type": "auto" }),
            "none" => json!({ "type": "none" }),
            // Mistral's word is the second.
            "required" | "any" => json!({ "type": "any" }),
            _ => return Err(at.wrong("expected `auto`, `none`, `required` or an object that names a tool")),
        },
        Value::Object(_) => choice_object(Fields::of(choice, &at)?, member, names, told)?,
        other => return Err(unexpected(&at, "a string or an object", other)),
    };
    let asks_for_nothing = choice["type"] == "auto" || choice["type"] == "none";
    if names.is_empty() && !asks_for_nothing && !says_nothing(&choice) {
        told.tell(&at);
    }
    Ok(Some(choice).filter(|choice| !choice.is_null()))
}

fn choice_object(
    choice: Fields<'_, '_>,
    member: &str,
    names: &HashSet<&str>,
    told: &mut Told<'_>,
) -> Read<Value> {
    if member == "function_call" {
        return Ok(named(choice, names, told));
    }
    match choice.name("type")? {
        "function" => {
            told.tell_others(choice, &["type", "function"]);
            let at = choice.at("function");
            let function = choice.needed("function", "an object with a `name`", choice.get("function"))?;
            let function = Fields::of(function, &at)?;
            function.name("name")?;
            Ok(named(function, names, told))
        }
        "allowed_tools" => {
            let at = choice.at("allowed_tools");
            let allowed =
                choice.needed("allowed_tools", "an object with a `mode`", choice.get("allowed_tools"))?;
            let is_required = Fields::of(allowed, &at)?.text("mode")? == Some("required");
            told.tell(&at.member("tools"));
            Ok(json!({ "type": if is_required { "any" } else { "auto" } }))
        }
        kind => {
            told.tell(&choice.path().member(kind));
            Ok(Value::Null)
        }
    }
}

/// The tool of that name, unless it is none of those that are carried.
fn named(function: Fields<'_, '_>, names: &HashSet<&str>, told: &mut Told<'_>) -> Value {
    match function.get("name").and_then(Value::as_str).filter(|name| names.contains(name)) {
        Some(name) => json!({ "type": "tool", "name": name }),
        None => {
            told.tell(function.path());
            Value::Null
        }
    }
}
