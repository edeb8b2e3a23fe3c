//! Reads and writes the JSON of answers where their meaning hangs on it.
//!
//! A wrong type where something is said or called is an error here: to read it as absent would change what an answer means.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

use crate::body::string_text;
use crate::lenient::Object;
use crate::translate::BadAnswer;

/// Longest list that is read: blocks, parts, tool calls and choices come in dozens.
pub(in crate::translate) const ITEMS_MAX: usize = 4_096;

/// A list whose items are yet to be read; `null` is an empty one.
#[derive(Debug, Default)]
pub(in crate::translate) struct Items<'a>(pub(in crate::translate) Vec<&'a RawValue>);

struct ItemsVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for ItemsVisitor<'a> {
    type Value = Items<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {ITEMS_MAX} items")
    }
    fn visit_unit<E>(self) -> Result<Items<'a>, E> {
        Ok(Items::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'a>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() == ITEMS_MAX {
                return Err(A::Error::invalid_length(items.len() + 1, &self));
            }
            items.push(item);
        }
        Ok(Items(items))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemsVisitor(PhantomData))
    }
}

/// Reads an object.
pub(in crate::translate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, BadAnswer> {
    serde_json::from_slice::<Object<T>>(json).ok().and_then(|object| object.0).ok_or(BadAnswer)
}

/// Reads an object that is an item or a member of another.
pub(in crate::translate) fn part<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, BadAnswer> {
    object(raw.get().as_bytes())
}

/// Reads a list.
pub(in crate::translate) fn items(raw: &RawValue) -> Result<Items<'_>, BadAnswer> {
    serde_json::from_str(raw.get()).map_err(|_| BadAnswer)
}

/// The text of a string.
pub(in crate::translate) fn text(raw: &RawValue) -> Result<Cow<'_, str>, BadAnswer> {
    string_text(raw.get()).ok_or(BadAnswer)
}

/// An object as it is written, in one line and without needless spaces. Its numbers keep all their digits.
pub(in crate::translate) fn compact_object(json: &str) -> Result<Box<RawValue>, BadAnswer> {
    let raw: &RawValue = serde_json::from_str(json).map_err(|_| BadAnswer)?;
    if !raw.get().starts_with('{') {
        return Err(BadAnswer);
    }
    let (mut is_string, mut is_escaped) = (false, false);
    let mut compact = raw.get().to_owned();
    compact.retain(|char| {
        let is_kept = is_string || !char.is_ascii_whitespace();
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_string = !is_string,
            _ => {}
        }
        is_kept
    });
    RawValue::from_string(compact).map_err(|_| BadAnswer)
}

/// Writes a value in one line.
pub(in crate::translate) fn write(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), BadAnswer> {
    serde_json::to_writer(out, value).map_err(|_| BadAnswer)
}
