//! What the model may call, and whether it has to.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::translate::request::fields::{Fields, Read};
use crate::translate::request::path::Path;
use crate::translate::request::schema::Holder;
use crate::translate::request::told::Told;

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
pub(super) fn write(body: Fields<'_, '_>, out: &mut Map<String, Value>, told: &mut Told<'_>) -> Read<()> {
    let mut tools = Vec::new();
    let at = body.at("tools");
    for (index, value) in body.list("tools")?.unwrap_or_default().iter().enumerate() {
        tools.extend(tool(value, &at.item(index), told)?);
    }
    let names: HashSet<_> = tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect();
    let at = body.at("tool_choice");
    let choice = body.get("tool_choice").map(|choice| Fields::of(choice, &at)).transpose()?;
    let said = choice.map(|choice| self::choice(choice, &names, told)).transpose()?.flatten();
    let is_single = choice.map(|choice| choice.boolean("disable_parallel_tool_use")).transpose()?.flatten();
    if tools.is_empty() {
        return Ok(());
    }
    out.insert("tools".to_owned(), Value::Array(tools));
    if is_single == Some(true) && said.as_ref().is_none_or(|said| said != "none") {
        out.insert("parallel_tool_calls".to_owned(), false.into());
    }
    if let Some(said) = said {
        out.insert("tool_choice".to_owned(), said);
    }
    Ok(())
}

/// A tool of the caller's. Those that Anthropic runs itself, or trained its models on, are known to nobody
/// else.
fn tool(tool: &Value, at: &Path<'_>, told: &mut Told<'_>) -> Read<Option<Value>> {
    let tool = Fields::of(tool, at)?;
    if let Some(kind) = tool.text("type")?.filter(|kind| *kind != "custom") {
        told.tell(&at.member(kind));
        return Ok(None);
    }
    told.tell_others(tool, &["type", "name", "description", "input_schema", "strict"]);
    let schema = tool.needed("input_schema", "a JSON schema", tool.object("input_schema")?)?;
    let mut function = json!({ "name": tool.name("name")? });
    if let Some(description) = tool.text("description")?.filter(|text| !text.is_empty()) {
        function["description"] = description.into();
    }
    function["parameters"] = Value::Object(schema.clone());
    if tool.boolean("strict")? == Some(true) {
        match Holder::OpenAi.holds(schema) {
            true => function["strict"] = true.into(),
            false => told.tell(&tool.at("strict")),
        }
    }
    Ok(Some(json!({ "type": "function", "function": function })))
}

fn choice(choice: Fields<'_, '_>, names: &HashSet<&str>, told: &mut Told<'_>) -> Read<Option<Value>> {
    told.tell_others(choice, &["type", "name", "disable_parallel_tool_use"]);
    Ok(match choice.name("type")? {
        "auto" => Some("auto".into()),
        "none" => Some("none".into()),
        "any" if !names.is_empty() => Some("required".into()),
        "tool" if names.contains(choice.name("name")?) => {
            Some(json!({ "type": "function", "function": { "name": choice.name("name")? } }))
        }
        // The tool was left out, or there is none.
        "any" | "tool" => {
            told.tell(choice.path());
            None
        }
        _ => return Err(choice.at("type").wrong("expected `auto`, `any`, `tool` or `none`")),
    })
}
