//! Which schemas a provider can hold an answer to.
//!
//! Both hold answers only to a part of JSON Schema, each to another, and refuse a call with anything else.
//! Only what is known to be taken is sent as binding.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// What both take.
const SHARED: [&str; 13] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "format",
    "items",
    "properties",
    "required",
    "title",
];
const ANTHROPIC: [&str; 5] = ["$schema", "allOf", "default", "minItems", "type"];
const OPENAI: [&str; 10] = [
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "type",
    "$schema",
];
const FORMATS: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Anthropic,
    OpenAi,
}

impl Holder {
    /// Whether an answer, or a tool's arguments, can be held to this schema.
    pub(super) fn holds(self, schema: &Map<String, Value>) -> bool {
        let is_object = schema.get("type").is_some_and(|kind| kind == "object");
        is_object && !schema.contains_key("anyOf") && self.takes(schema) && !refers_to_itself(schema)
    }

    /// Goes as deep as the schema, which the parser bounds.
    fn takes(self, schema: &Map<String, Value>) -> bool {
        schema.iter().all(|(keyword, value)| self.takes_keyword(keyword, value)) && self.is_closed(schema)
    }

    fn takes_keyword(self, keyword: &str, value: &Value) -> bool {
        let own: &[&str] = match self {
            Self::Anthropic => &ANTHROPIC,
            Self::OpenAi => &OPENAI,
        };
        if !SHARED.contains(&keyword) && !own.contains(&keyword) {
            return false;
        }
        match keyword {
            "properties" | "$defs" | "definitions" => value
                .as_object()
                .is_some_and(|schemas| schemas.values().all(|schema| self.takes_value(schema))),
            "anyOf" | "allOf" => {
                value.as_array().is_some_and(|schemas| schemas.iter().all(|schema| self.takes_value(schema)))
            }
            "items" => self.takes_value(value),
            "additionalProperties" => value == &Value::Bool(false),
            "enum" => {
                value.as_array().is_some_and(|values| !values.iter().any(|v| v.is_array() || v.is_object()))
            }
            "format" => value.as_str().is_some_and(|format| FORMATS.contains(&format)),
            "minItems" if self == Self::Anthropic => value.as_u64().is_some_and(|count| count <= 1),
            _ => true,
        }
    }

    fn takes_value(self, schema: &Value) -> bool {
        schema.as_object().is_some_and(|schema| self.takes(schema))
    }

    /// An object has to rule out other members; `OpenAI` wants each one required as well.
    fn is_closed(self, schema: &Map<String, Value>) -> bool {
        let properties = schema.get("properties").and_then(Value::as_object);
        let may_be_object = match schema.get("type") {
            Some(Value::String(kind)) => kind == "object",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
            _ => properties.is_some(),
        };
        if !may_be_object {
            return true;
        }
        let required = schema.get("required").and_then(Value::as_array);
        let required: HashSet<_> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        let all_required =
            properties.is_none_or(|map| map.keys().all(|name| required.contains(name.as_str())));
        schema.contains_key("additionalProperties") && (self == Self::Anthropic || all_required)
    }
}

/// Whether a definition leads back to itself, or a reference to somewhere else than a definition. References
/// are followed by taking away, again and again, the definitions that only refer to what is already taken
/// away.
fn refers_to_itself(schema: &Map<String, Value>) -> bool {
    let mut waits_for: HashMap<String, HashSet<&str>> = HashMap::new();
    let mut needed_by: HashMap<&str, Vec<String>> = HashMap::new();
    let mut outside = HashSet::new();
    for (keyword, value) in schema {
        if !matches!(keyword.as_str(), "$defs" | "definitions") {
            collect(value, keyword, &mut outside);
            continue;
        }
        for (name, definition) in value.as_object().into_iter().flatten() {
            let here = format!("#/{keyword}/{name}");
            let mut references = HashSet::new();
            collect(definition, "", &mut references);
            for reference in &references {
                needed_by.entry(reference).or_default().push(here.clone());
            }
            waits_for.insert(here, references);
        }
    }
    if outside.iter().chain(waits_for.values().flatten()).any(|reference| !waits_for.contains_key(*reference))
    {
        return true;
    }
    let is_free = |(name, references): (&String, &HashSet<&str>)| references.is_empty().then(|| name.clone());
    let mut free: Vec<String> = waits_for.iter().filter_map(is_free).collect();
    while let Some(name) = free.pop() {
        waits_for.remove(&name);
        for user in needed_by.remove(name.as_str()).unwrap_or_default() {
            let Some(references) = waits_for.get_mut(&user) else { continue };
            if references.remove(name.as_str()) && references.is_empty() {
                free.push(user);
            }
        }
    }
    !waits_for.is_empty()
}

/// The references in a schema, a member of another being named `keyword`.
fn collect<'s>(value: &'s Value, keyword: &str, found: &mut HashSet<&'s str>) {
    match value {
        Value::String(reference) if keyword == "$ref" => {
            found.insert(reference);
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, "", found)),
        Value::Object(members) => members.iter().for_each(|(name, member)| collect(member, name, found)),
        _ => {}
    }
}
