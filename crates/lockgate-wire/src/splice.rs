//! Changes a request body where a version asks for it, and nowhere else.
//!
//! What is not edited arrives byte for byte: white space, order, the spelling of numbers and escapes. A provider's cache, a
//! signature or a field that nobody here has heard of must not notice that a gateway stood between. The one edit that nobody
//! asks for takes out what would make a provider refuse the call, and what a gateway like this one put in (`thoughts`).
//!
//! A member that is edited and was written several times is left once, so that servers which take the first and servers
//! which take the last agree on what was asked.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::api::Api;
use crate::body::{Body, Member, string_text};
use crate::call::tool_members;

mod thoughts;

/// What is to be changed.
#[derive(Debug, Clone, Copy)]
pub struct Edits<'e> {
    /// Which API's body it is.
    pub api: Api,
    /// The model asked for.
    pub model: Option<&'e str>,
    /// What is to be said to the model before all that the caller says to it, in the place that the API has for it. A body
    /// that has something of another type in that place is left alone: its target will say what is wrong with it.
    pub system: Option<&'e str>,
    /// Top-level members that are set. `model`, `system` and the two below come after them and win.
    pub parameters: &'e Map<String, Value>,
    /// Asks for a stream's usage, keeping what else its `stream_options` say. The other APIs tell it unasked.
    pub ask_usage: bool,
    /// Takes away everything that would let the answer act.
    pub strip_tools: bool,
}

/// The edited body; borrowed when there was nothing to change.
pub fn rewrite<'b>(body: &Body<'b>, edits: &Edits<'_>) -> Cow<'b, [u8]> {
    let changes = changes_of(body, edits);
    match spliced(body, &changes) {
        None => Cow::Borrowed(body.text().as_bytes()),
        Some(text) => Cow::Owned(text.into_bytes()),
    }
}

/// What happens to the members of one name.
struct Change<'c> {
    name: &'c str,
    to: To,
}

enum To {
    /// Written as this JSON, in the old one's place or at the end.
    Value(String),
    /// Kept, with this text put into the value at this offset. A copy of the value is not made for it: messages can be large.
    Inserted { at: usize, text: String },
    /// Left out.
    Nothing,
}

fn changes_of<'e>(body: &Body<'_>, edits: &Edits<'e>) -> Vec<Change<'e>> {
    let mut changes: Vec<Change<'e>> = edits
        .parameters
        .iter()
        .map(|(name, value)| Change { name, to: To::Value(value.to_string()) })
        .collect();
    if let Some(model) = edits.model {
        let is_already = body.members().iter().filter(|member| member.is_named("model")).count() == 1
            && body.get("model").and_then(string_text).is_some_and(|asked| asked == model);
        changes.retain(|change| change.name != "model");
        if !is_already {
            changes.push(Change { name: "model", to: To::Value(json_string(model)) });
        }
    }
    if let Some(system) = edits.system.filter(|system| !system.is_empty()) {
        match edits.api {
            Api::Chat => edit(&mut changes, body, "messages", |messages| before_messages(messages, system)),
            Api::Messages | Api::CountTokens => {
                edit(&mut changes, body, "system", |before| before_system(before, system));
            }
            Api::Responses => {
                edit(&mut changes, body, "instructions", |before| before_text(before, system));
            }
            Api::Embeddings => {}
        }
    }
    if matches!(edits.api, Api::Messages | Api::CountTokens) {
        edit(&mut changes, body, "messages", |messages| thoughts::without_unsigned(messages?).map(To::Value));
    }
    if edits.ask_usage && edits.api == Api::Chat {
        edit(&mut changes, body, "stream_options", asking_usage);
    }
    if edits.strip_tools {
        let names = tool_members(edits.api);
        changes.retain(|change| !names.contains(&change.name));
        changes.extend(names.iter().map(|name| Change { name, to: To::Nothing }));
    }
    changes
}

/// Adds a change that depends on the value it changes: the one a parameter sets, else the body's own.
fn edit<'e>(
    changes: &mut Vec<Change<'e>>,
    body: &Body<'_>,
    name: &'e str,
    how: impl FnOnce(Option<&str>) -> Option<To>,
) {
    let set = changes.iter_mut().find_map(|change| match &mut change.to {
        To::Value(value) if change.name == name => Some(value),
        _ => None,
    });
    match set {
        None => changes.extend(how(body.get(name)).map(|to| Change { name, to })),
        Some(value) => match how(Some(value)) {
            Some(To::Value(new)) => *value = new,
            Some(To::Inserted { at, text }) => value.insert_str(at, &text),
            Some(To::Nothing) | None => {}
        },
    }
}

/// As the first message of a list.
fn before_messages(messages: Option<&str>, system: &str) -> Option<To> {
    before_items(messages?, &format!(r#"{{"role":"system","content":{}}}"#, json_string(system)))
}

/// As the first block of a list of them, which may be marked to be cached and keep their marks, or before a text.
fn before_system(told: Option<&str>, system: &str) -> Option<To> {
    match told {
        Some(blocks) if blocks.starts_with('[') => {
            before_items(blocks, &format!(r#"{{"type":"text","text":{}}}"#, json_string(system)))
        }
        told => before_text(told, system),
    }
}

/// Before a text, with a blank line between.
fn before_text(told: Option<&str>, system: &str) -> Option<To> {
    match told {
        None | Some("null" | "\"\"") => Some(To::Value(json_string(system))),
        Some(text) if text.starts_with('"') => {
            let quoted = json_string(system);
            let opened = quoted.strip_suffix('"')?.strip_prefix('"')?;
            Some(To::Inserted { at: 1, text: format!(r"{opened}\n\n") })
        }
        Some(_) => None,
    }
}

/// As the first item of a list; `None` where there is no list.
fn before_items(list: &str, item: &str) -> Option<To> {
    let rest = list.strip_prefix('[')?;
    let comma = if rest.trim_ascii_start().starts_with(']') { "" } else { "," };
    Some(To::Inserted { at: 1, text: format!("{item}{comma}") })
}

fn asking_usage(options: Option<&str>) -> Option<To> {
    match options {
        None | Some("null") => Some(To::Value(r#"{"include_usage":true}"#.to_owned())),
        Some(options) => {
            let options = Body::read_text(options).ok()?;
            if options.get("include_usage") == Some("true") {
                return None;
            }
            let change = Change { name: "include_usage", to: To::Value("true".to_owned()) };
            spliced(&options, &[change]).map(To::Value)
        }
    }
}

fn json_string(text: &str) -> String {
    Value::from(text).to_string()
}

/// The object with the changes made, or `None` when none of them changes anything.
fn spliced(body: &Body<'_>, changes: &[Change<'_>]) -> Option<String> {
    let is_touched = |change: &Change<'_>| {
        matches!(change.to, To::Value(_)) || body.members().iter().any(|member| member.is_named(change.name))
    };
    if !changes.iter().any(is_touched) {
        return None;
    }
    let mut writer = Writer::new(body, changes);
    // Of several members with one name the last is the one that counts, so names are settled from the end.
    let mut fates: Vec<Fate> = Vec::with_capacity(body.members().len());
    let mut is_settled = vec![false; changes.len()];
    for member in body.members().iter().rev() {
        fates.push(match changes.iter().position(|change| member.is_named(change.name)) {
            None => Fate::Kept,
            Some(index) if std::mem::replace(&mut is_settled[index], true) => Fate::LeftOut,
            Some(index) => Fate::Changed(index),
        });
    }
    for (member, fate) in body.members().iter().zip(fates.into_iter().rev()) {
        writer.member(member, fate);
    }
    for (change, _) in changes.iter().zip(is_settled).filter(|(_, is_settled)| !is_settled) {
        writer.append(change);
    }
    Some(writer.finish())
}

#[derive(Clone, Copy)]
enum Fate {
    Kept,
    Changed(usize),
    LeftOut,
}

/// Writes members one after the other with the separators they had.
struct Writer<'w> {
    body: &'w Body<'w>,
    changes: &'w [Change<'w>],
    out: String,
    /// Where the next separator begins: the end of the last member that was passed, written or not.
    passed: usize,
    /// Where the first member began; what stands before it is written once, by whichever member is written first.
    opening: usize,
    is_first: bool,
}

impl<'w> Writer<'w> {
    fn new(body: &'w Body<'w>, changes: &'w [Change<'w>]) -> Self {
        let text = body.text();
        let brace = text.find('{').map_or(0, |at| at + 1);
        let opening = body.members().first().map_or(brace, |member| body.offset_of(member.key));
        let added: usize = changes.iter().map(|change| change.name.len() + change.to.added_bytes() + 4).sum();
        let mut out = String::with_capacity(text.len() + added);
        out.push_str(&text[..opening]);
        Self { body, changes, out, passed: opening, opening, is_first: true }
    }

    fn member(&mut self, member: &Member<'_>, fate: Fate) {
        let text = self.body.text();
        let (key, value) = (self.body.offset_of(member.key), self.body.offset_of(member.value));
        let end = value + member.value.len();
        let to = match fate {
            Fate::Kept => None,
            Fate::Changed(index) => Some(&self.changes[index].to),
            Fate::LeftOut => Some(&To::Nothing),
        };
        if !matches!(to, Some(To::Nothing)) {
            // The separator before the first member that is written would begin with a comma.
            let separator = if self.is_first { self.opening..self.opening } else { self.passed..key };
            self.out.push_str(&text[separator]);
            self.out.push_str(&text[key..value]);
            self.is_first = false;
        }
        match to {
            None => self.out.push_str(&text[value..end]),
            Some(To::Value(new)) => self.out.push_str(new),
            Some(To::Inserted { at, text: inserted }) => {
                self.out.push_str(&text[value..value + at]);
                self.out.push_str(inserted);
                self.out.push_str(&text[value + at..end]);
            }
            Some(To::Nothing) => {}
        }
        self.passed = end;
    }

    fn append(&mut self, change: &Change<'_>) {
        let To::Value(value) = &change.to else { return };
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(',');
        }
        self.out.push_str(&json_string(change.name));
        self.out.push(':');
        self.out.push_str(value);
    }

    fn finish(mut self) -> String {
        self.out.push_str(&self.body.text()[self.passed..]);
        self.out
    }
}

impl To {
    fn added_bytes(&self) -> usize {
        match self {
            Self::Value(text) | Self::Inserted { text, .. } => text.len(),
            Self::Nothing => 0,
        }
    }
}

#[cfg(test)]
mod tests;
