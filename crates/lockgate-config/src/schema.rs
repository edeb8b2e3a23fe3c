//! The JSON Schema of the file, for editors: written from the tables that the file is checked against.
//!
//! It says which keys there are and how their values look. What one value means for another is only told by the check.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::file::FILE;
use crate::node::Node;
use crate::shape::{Key, Kind, Presence, Shape};

const NAME_PATTERN: &str = "^[A-Za-z0-9._-]{1,64}$";
const DURATION_PATTERN: &str = "^ *([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)? *$";
const SHARE_PATTERN: &str = "^ *([0-9]*[.]?[0-9]+ *%|0|0?[.][0-9]+) *$";
const SIZE_PATTERN: &str = "^[0-9]+ *(B|KiB|MiB|GiB)?$";

/// The JSON Schema of `lockgate.yaml`, in draft 2020-12.
pub fn schema() -> String {
    let mut defs = BTreeMap::new();
    let file = shape_schema(&FILE, &mut defs);
    let mut root = Map::new();
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".into(), "lockgate.yaml".into());
    if let Value::Object(members) = file {
        root.extend(members);
    }
    root.insert("$defs".into(), defs.into_iter().collect());
    let mut text = serde_json::to_string_pretty(&Value::Object(root)).unwrap_or_default();
    text.push('\n');
    text
}

fn shape_schema(shape: &'static Shape, defs: &mut BTreeMap<String, Value>) -> Value {
    let properties: Map<String, Value> =
        shape.keys.iter().map(|key| (key.name.to_owned(), key_schema(key, defs))).collect();
    let required: Vec<&str> = shape
        .keys
        .iter()
        .filter(|key| matches!(key.presence, Presence::Required))
        .map(|key| key.name)
        .collect();
    let mut schema = json!({
        "description": shape.says,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn key_schema(key: &'static Key, defs: &mut BTreeMap<String, Value>) -> Value {
    let mut schema = kind_schema(&key.kind, defs);
    schema["description"] = key.says.into();
    if let Presence::Default(text) = key.presence
        && let Ok(node) = Node::read(text)
    {
        schema["default"] = node.json();
    }
    schema
}

fn kind_schema(kind: &'static Kind, defs: &mut BTreeMap<String, Value>) -> Value {
    match kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Number(least, most) => json!({ "type": "number", "minimum": least, "maximum": most }),
        Kind::Size(least, most) => json!({ "oneOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": SIZE_PATTERN },
        ]}),
        Kind::Share => json!({ "oneOf": [
            { "type": "number", "minimum": 0, "exclusiveMaximum": 1 },
            { "type": "string", "pattern": SHARE_PATTERN },
        ]}),
        Kind::Duration(..) => json!({ "type": "string", "pattern": DURATION_PATTERN, "minLength": 2 }),
        Kind::Name => json!({ "type": "string", "pattern": NAME_PATTERN }),
        Kind::Text | Kind::Address => json!({ "type": "string" }),
        Kind::Range => {
            json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 })
        }
        Kind::OneOf(words) => json!({ "enum": words }),
        Kind::Secret => secret_schema(),
        Kind::Any => json!({ "type": "object" }),
        Kind::List(item) => json!({ "type": "array", "items": kind_schema(item, defs) }),
        Kind::Named(value) => json!({
            "type": "object",
            "propertyNames": { "pattern": NAME_PATTERN },
            "additionalProperties": kind_schema(value, defs),
        }),
        Kind::Keyed(value) => json!({ "type": "object", "additionalProperties": kind_schema(value, defs) }),
        Kind::Shape(shape) => reference(shape, defs),
        Kind::Tagged(shapes) => {
            let cases: Vec<Value> = shapes.iter().map(|(_, shape)| reference(shape, defs)).collect();
            json!({ "oneOf": cases })
        }
        Kind::Either(short, long) => json!({ "oneOf": [kind_schema(short, defs), kind_schema(long, defs)] }),
    }
}

fn reference(shape: &'static Shape, defs: &mut BTreeMap<String, Value>) -> Value {
    let name = shape.name.replace(' ', "-");
    if !defs.contains_key(&name) {
        let schema = shape_schema(shape, defs);
        defs.insert(name.clone(), schema);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn secret_schema() -> Value {
    let one = |key: &str| {
        json!({
            "type": "object",
            "properties": { key: { "type": "string", "minLength": 1 } },
            "required": [key],
            "additionalProperties": false,
        })
    };
    json!({ "oneOf": [one("env"), one("file")] })
}
