//! What a message says: a text or a list of blocks, as a list of parts.

use serde_json::{Value, json};

use crate::translate::request::data_url::{IMAGE_TYPES, PDF_TYPE, is_web};
use crate::translate::request::fields::{Fields, Read, unexpected};
use crate::translate::request::path::Path;
use crate::translate::request::told::Told;

/// What a file is called that has no name: `OpenAI` wants one.
const FILE_NAME: &str = "document.pdf";

pub(super) fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub(super) fn is_text(part: &Value) -> bool {
    part["type"] == "text"
}

/// Parts as the text that they are, where they are one: not every server takes parts from everybody. `None`
/// where there are none.
pub(super) fn shortest(mut parts: Vec<Value>) -> Option<Value> {
    match parts.as_mut_slice() {
        [] => None,
        [part] if is_text(part) => Some(part["text"].take()),
        _ => Some(Value::Array(parts)),
    }
}

/// What only texts may say: a system prompt.
pub(super) fn texts(content: &Value, at: &Path<'_>, told: &mut Told<'_>) -> Read<Vec<Value>> {
    let blocks = match content {
        Value::String(said) if said.is_empty() => return Ok(Vec::new()),
        Value::String(said) => return Ok(vec![text(said)]),
        Value::Array(blocks) => blocks,
        other => return Err(unexpected(at, "a string or an array of blocks", other)),
    };
    let mut parts = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let at = at.item(index);
        let block = Fields::of(block, &at)?;
        match block.name("type")? {
            "text" => parts.extend(self::parts(block, told)?),
            kind => told.tell(&at.member(kind)),
        }
    }
    Ok(parts)
}

/// The parts that say what one block of the user's says.
pub(super) fn parts(block: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Vec<Value>> {
    match block.name("type")? {
        "text" => {
            told.tell_others(block, &["type", "text"]);
            let said = block.needed("text", "a string", block.text("text")?)?;
            Ok(if said.is_empty() { Vec::new() } else { vec![text(said)] })
        }
        "image" => image(block, told).map(|part| part.into_iter().collect()),
        "document" => document(block, told),
        "search_result" => search_result(block, told),
        kind => {
            told.tell(&block.path().member(kind));
            Ok(Vec::new())
        }
    }
}

fn image(block: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Option<Value>> {
    told.tell_others(block, &["type", "source"]);
    let at = block.at("source");
    let source = Fields::of(block.needed("source", "an object", block.get("source"))?, &at)?;
    let url = match source.name("type")? {
        "base64" => data_url(source, &IMAGE_TYPES)?,
        "url" if is_web(source.name("url")?) => source.name("url")?.to_owned(),
        "url" => return Err(source.at("url").wrong("expected an `https:` URL")),
        // A file that only the other provider has.
        kind => {
            told.tell(&at.member(kind));
            return Ok(None);
        }
    };
    Ok(Some(json!({ "type": "image_url", "image_url": { "url": url } })))
}

/// A document. A PDF stays one; texts are said as texts, after what the document is called and what is told
/// about it.
fn document(block: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Vec<Value>> {
    told.tell_others(block, &["type", "source", "title", "context", "citations"]);
    tell_citations(block, told)?;
    let at = block.at("source");
    let source = Fields::of(block.needed("source", "an object", block.get("source"))?, &at)?;
    let title = block.text("title")?.filter(|title| !title.is_empty());
    let context = block.text("context")?.filter(|context| !context.is_empty());
    let mut parts: Vec<Value> = context.map(text).into_iter().collect();
    let said = match source.name("type")? {
        "base64" => {
            let file = json!({ "filename": title.unwrap_or(FILE_NAME), "file_data": data_url(source, &[PDF_TYPE])? });
            parts.push(json!({ "type": "file", "file": file }));
            return Ok(parts);
        }
        "text" => vec![text(source.name("data")?)],
        "content" => inner(source, "content", told)?,
        // A file that only the other provider has, or that chat does not fetch.
        kind => {
            told.tell(&at.member(kind));
            return Ok(Vec::new());
        }
    };
    parts.splice(0..0, title.map(text));
    parts.extend(said);
    Ok(parts)
}

/// What a search found: its title, its source and its texts.
fn search_result(block: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Vec<Value>> {
    told.tell_others(block, &["type", "title", "source", "content", "citations"]);
    tell_citations(block, told)?;
    let mut parts = vec![text(block.name("title")?), text(block.name("source")?)];
    parts.extend(inner(block, "content", told)?);
    Ok(parts)
}

/// Citations change what is answered, where they are asked for.
fn tell_citations(block: Fields<'_, '_>, told: &mut Told<'_>) -> Read<()> {
    let at = block.at("citations");
    let citations = block.get("citations").map(|value| Fields::of(value, &at)).transpose()?;
    if citations.map(|citations| citations.boolean("enabled")).transpose()?.flatten() == Some(true) {
        told.tell(&at);
    }
    Ok(())
}

/// The texts and images inside a document or a search result. Nothing that holds others can stand in them, so
/// this goes no deeper.
fn inner(fields: Fields<'_, '_>, name: &str, told: &mut Told<'_>) -> Read<Vec<Value>> {
    let (expected, at) = ("a string or an array of blocks", fields.path().member(name));
    let blocks = match fields.needed(name, expected, fields.get(name))? {
        Value::String(said) => return Ok(vec![text(said)]),
        Value::Array(blocks) => blocks,
        other => return Err(unexpected(&at, expected, other)),
    };
    let mut parts = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let at = at.item(index);
        let block = Fields::of(block, &at)?;
        match block.name("type")? {
            "text" | "image" => parts.extend(self::parts(block, told)?),
            kind => told.tell(&at.member(kind)),
        }
    }
    Ok(parts)
}

fn data_url(source: Fields<'_, '_>, types: &[&str]) -> Read<String> {
    let media_type = source.name("media_type")?;
    if !types.contains(&media_type) {
        let expected = format!("expected `{}`", types.join("`, `"));
        return Err(source.at("media_type").wrong(expected));
    }
    Ok(format!("data:{media_type};base64,{}", source.name("data")?))
}
