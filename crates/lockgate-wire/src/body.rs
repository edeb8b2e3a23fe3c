//! One parse of a request body into its top-level members, each with its place in the text.
//!
//! The whole text is checked to be JSON, but nothing inside a member is built: most of a call is passed on as it came, so the
//! places are what is needed, for reading a few members and for splicing others ([`crate::splice`]). A member written twice is
//! read as servers read it: the last one counts.
//!
//! Nesting needs no bound here because skipping a value does not recurse. What a dialect makes of the members stands in its own
//! module ([`crate::call`]).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

/// Most top-level members of a body. A call has some forty at the most; this leaves room for an agent that takes a map, and
/// keeps a body of nothing but tiny members from costing many times its size.
pub const MEMBERS_MAX: usize = 16_384;

/// Why a body cannot be used. Every sentence is meant for the person who wrote the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing was sent.
    #[error("The request body is empty. Send a JSON object.")]
    Empty,
    /// Bytes that are no text.
    #[error(
        "The request body is not valid UTF-8: the byte at offset {offset} does not belong there. Send JSON encoded as UTF-8."
    )]
    Utf8 {
        /// Where the first wrong byte stands.
        offset: usize,
    },
    /// The text ends before the object does.
    #[error(
        "The request body ends at line {line}, column {column}, in the middle of the JSON. It may have been cut off: check \
         `content-length` and the closing braces."
    )]
    CutOff {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Not JSON.
    #[error("The request body is not valid JSON: {what} at line {line}, column {column}.")]
    Syntax {
        /// What was expected.
        what: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON, but not an object, or something that does not even begin like JSON.
    #[error("The request body must be a JSON object, but it begins with {found}.")]
    NotAnObject {
        /// What stands there instead.
        found: &'static str,
    },
    /// More than [`MEMBERS_MAX`].
    #[error("The request body has more than {MEMBERS_MAX} members. Nest them in one.")]
    TooManyMembers,
    /// A member that the dialect requires is absent.
    #[error("You must provide a `{param}` parameter: {expected}.")]
    Missing {
        /// The member.
        param: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A member of another type than the dialect's.
    #[error("Invalid type for `{param}`: expected {expected}, but got {found}.")]
    WrongType {
        /// The member, with dots for what is inside another.
        param: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
}

impl BodyError {
    /// The member at fault, if it is one member's fault.
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::Missing { param, .. } | Self::WrongType { param, .. } => Some(param),
            _ => None,
        }
    }
}

/// A JSON object and the places of its members.
#[derive(Debug, Clone)]
pub struct Body<'b> {
    text: &'b str,
    members: Vec<Member<'b>>,
}

/// One member as it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'b> {
    /// With its quotes and escapes.
    pub(crate) key: &'b str,
    /// Without the white space around it.
    pub(crate) value: &'b str,
}

impl<'b> Body<'b> {
    /// Reads a whole body.
    pub fn read(bytes: &'b [u8]) -> Result<Self, BodyError> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| BodyError::Utf8 { offset: error.valid_up_to() })?;
        Self::read_text(text)
    }

    /// Reads a body that is known to be text.
    pub fn read_text(text: &'b str) -> Result<Self, BodyError> {
        match text.trim_ascii_start().chars().next() {
            None => return Err(BodyError::Empty),
            Some('{') => {}
            Some(first) => return Err(BodyError::NotAnObject { found: kind_of(first) }),
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer
            .deserialize_map(Members)
            .and_then(|members| deserializer.end().map(|()| members))
            .map_err(|error| syntax_error(&error))?;
        let members = members.ok_or(BodyError::TooManyMembers)?;
        Ok(Self { text, members })
    }

    /// The whole body as it came.
    pub fn text(&self) -> &'b str {
        self.text
    }

    /// A member's value as it was written; of several, the last.
    pub fn get(&self, name: &str) -> Option<&'b str> {
        self.members.iter().rev().find(|member| member.is_named(name)).map(|member| member.value)
    }

    /// A member that is a string, a number or a boolean, as text; an empty string counts as absent.
    pub fn scalar(&self, name: &str) -> Option<Cow<'b, str>> {
        self.get(name).and_then(scalar_text).filter(|text| !text.is_empty())
    }

    /// The end user, as OpenAI's older field names them.
    pub fn user(&self) -> Option<Cow<'b, str>> {
        self.scalar("user")
    }

    /// The end user, as OpenAI's newer field names them.
    pub fn safety_identifier(&self) -> Option<Cow<'b, str>> {
        self.scalar("safety_identifier")
    }

    /// A scalar inside the body's `metadata`, for example `user_id` or `session_id`.
    pub fn metadata(&self, key: &str) -> Option<Cow<'b, str>> {
        Body::read_text(self.get("metadata")?).ok()?.scalar(key)
    }

    pub(crate) fn members(&self) -> &[Member<'b>] {
        &self.members
    }

    /// Where a slice of this body's text begins in it.
    pub(crate) fn offset_of(&self, part: &str) -> usize {
        part.as_ptr() as usize - self.text.as_ptr() as usize
    }
}

impl Member<'_> {
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let written = inside_quotes(self.key);
        if !written.contains('\\') {
            return written == name;
        }
        // An escaped character takes at most six bytes for one of the name's, so a longer key needs not be decoded.
        written.len() <= name.len() * 6 && string_text(self.key).is_some_and(|key| key == name)
    }
}

/// Says what a JSON value is, by its first character.
pub(crate) fn kind_of(first: char) -> &'static str {
    match first {
        '{' => "an object",
        '[' => "an array",
        '"' => "a string",
        't' | 'f' => "a boolean",
        'n' => "null",
        '-' | '0'..='9' => "a number",
        '\u{feff}' => "a byte order mark",
        _ => "text that is not JSON",
    }
}

/// Says what a JSON value is, as [`kind_of`] does.
pub(crate) fn kind_of_value(value: &str) -> &'static str {
    kind_of(value.chars().next().unwrap_or(' '))
}

/// The text of a JSON string; `None` for another value, and for escapes that are no characters.
pub(crate) fn string_text(value: &str) -> Option<Cow<'_, str>> {
    if !value.starts_with('"') {
        return None;
    }
    if !value.contains('\\') {
        return Some(Cow::Borrowed(inside_quotes(value)));
    }
    serde_json::from_str(value).ok().map(Cow::Owned)
}

fn scalar_text(value: &str) -> Option<Cow<'_, str>> {
    match value.chars().next()? {
        '"' => string_text(value),
        '{' | '[' | 'n' => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

fn inside_quotes(written: &str) -> &str {
    written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(written)
}

fn syntax_error(error: &serde_json::Error) -> BodyError {
    let (line, column) = (error.line(), error.column());
    if error.classify() == Category::Eof {
        return BodyError::CutOff { line, column };
    }
    let sentence = error.to_string();
    let what = sentence.split(" at line ").next().unwrap_or_default().to_owned();
    BodyError::Syntax { what, line, column }
}

/// Collects the members; `None` when there are too many, after the rest has been checked all the same.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Option<Vec<Member<'de>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some(key) = map.next_key::<&RawValue>()? {
            if members.len() == MEMBERS_MAX {
                map.next_value::<IgnoredAny>()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            let value = map.next_value::<&RawValue>()?;
            members.push(Member { key: key.get(), value: value.get() });
        }
        Ok(Some(members))
    }
}

#[cfg(test)]
mod tests;
