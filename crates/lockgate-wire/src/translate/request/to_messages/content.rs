//! What a message says: a text or a list of parts, as a list of blocks.

use serde_json::{Value, json};

use crate::translate::request::data_url::{DataUrl, IMAGE_TYPES, PDF_TYPE, is_web};
use crate::translate::request::fields::{Fields, Read, unexpected};
use crate::translate::request::path::Path;
use crate::translate::request::told::Told;

/// How every PDF begins, in base64.
const PDF_START: &str = "JVBERi";

/// Whose message it is: not everybody can say everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

/// The blocks of a message's `content`, without texts that say nothing.
pub(super) fn blocks(message: Fields<'_, '_>, speaker: Speaker, told: &mut Told<'_>) -> Read<Vec<Value>> {
    let (expected, at) = ("a string or an array of parts", message.at("content"));
    let parts = match message.needed("content", expected, message.get("content"))? {
        Value::String(said) => return Ok(text(said).into_iter().collect()),
        Value::Array(parts) => parts,
        other => return Err(unexpected(&at, expected, other)),
    };
    let mut blocks = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        blocks.extend(block(part, &at.item(index), speaker, told)?);
    }
    Ok(blocks)
}

/// A text as a block; `None` for nothing but white space, which Anthropic refuses.
pub(super) fn text(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }))
}

/// Blocks as the text that they are, where they are one, as the older servers know it; `None` where there are
/// none.
pub(super) fn shortest(mut blocks: Vec<Value>) -> Option<Value> {
    match blocks.as_mut_slice() {
        [] => None,
        [block] if block["type"] == "text" => Some(block["text"].take()),
        _ => Some(Value::Array(blocks)),
    }
}

fn block(part: &Value, at: &Path<'_>, speaker: Speaker, told: &mut Told<'_>) -> Read<Option<Value>> {
    let part = Fields::of(part, at)?;
    let kind = part.name("type")?;
    let may_show = matches!(speaker, Speaker::User | Speaker::Tool);
    match kind {
        "text" => said(part, "text", told),
        "refusal" if speaker == Speaker::Assistant => said(part, "refusal", told),
        "image_url" if may_show => image(part, told),
        "file" if may_show => file(part, told),
        _ => {
            told.tell(&at.member(kind));
            Ok(None)
        }
    }
}

fn said(part: Fields<'_, '_>, name: &str, told: &mut Told<'_>) -> Read<Option<Value>> {
    told.tell_others(part, &["type", name]);
    let said = part.needed(name, "a string", part.text(name)?)?;
    Ok(text(said))
}

fn image(part: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Option<Value>> {
    told.tell_others(part, &["type", "image_url"]);
    let (expected, at) = ("an object with a `url`", part.at("image_url"));
    let image = part.needed("image_url", expected, part.get("image_url"))?;
    let url_at = at.member("url");
    let (url, url_at) = match image {
        // Some servers take the URL itself, and so some clients send it.
        Value::String(url) => (url.as_str(), &at),
        _ => {
            let image = Fields::of(image, &at)?;
            told.tell_others(image, &["url", "detail"]);
            if image.text("detail")?.is_some_and(|detail| detail != "auto") {
                told.tell(&at.member("detail"));
            }
            (image.name("url")?, &url_at)
        }
    };
    if is_web(url) {
        return Ok(Some(json!({ "type": "image", "source": { "type": "url", "url": url } })));
    }
    let Some(DataUrl { media_type, data }) = DataUrl::read(url) else {
        return Err(url_at.wrong("expected an `https:` URL, or a `data:` URL in base64"));
    };
    let media_type = if media_type == "image/jpg" { "image/jpeg".to_owned() } else { media_type };
    if !IMAGE_TYPES.contains(&media_type.as_str()) {
        told.tell(&at);
        return Ok(None);
    }
    let source = json!({ "type": "base64", "media_type": media_type, "data": data });
    Ok(Some(json!({ "type": "image", "source": source })))
}

/// A PDF that stands in the request. Files of another kind, and those that only the other provider has, are
/// left out.
fn file(part: Fields<'_, '_>, told: &mut Told<'_>) -> Read<Option<Value>> {
    told.tell_others(part, &["type", "file"]);
    let at = part.at("file");
    let file = Fields::of(part.needed("file", "an object with `file_data`", part.get("file"))?, &at)?;
    told.tell_others(file, &["file_data", "filename", "file_id"]);
    let data = match file.text("file_data")? {
        Some(text) if text.starts_with(PDF_START) => Some(text),
        Some(text) => DataUrl::read(text).filter(|url| url.media_type == PDF_TYPE).map(|url| url.data),
        None => None,
    };
    let Some(data) = data else {
        told.tell(&at);
        return Ok(None);
    };
    let source = json!({ "type": "base64", "media_type": PDF_TYPE, "data": data });
    let mut document = json!({ "type": "document", "source": source });
    if let Some(name) = file.text("filename")?.filter(|name| !name.is_empty()) {
        document["title"] = name.into();
    }
    Ok(Some(document))
}
