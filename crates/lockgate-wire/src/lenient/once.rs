//! Writes JSON again without what it says twice.
//!
//! Some servers write a member twice, and clients take the last. A derived reader refuses the whole object, so what it refused
//! is read again without the others.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::{Body, string_text};

/// How deep it is looked. Answers nest less; what is deeper is the content of a tool's, which is carried as it is.
const DEPTH_MAX: usize = 16;

/// An object with the last of every member's values; `None` where it has but one of each, and for what is no object.
pub(crate) fn last_of_each(json: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(json).ok()?.trim_ascii();
    if !text.starts_with('{') {
        return None;
    }
    let mut writer = Writer { out: String::with_capacity(text.len()), is_changed: false };
    writer.value(text, 0)?;
    writer.is_changed.then(|| writer.out.into_bytes())
}

struct Writer {
    out: String,
    is_changed: bool,
}

impl Writer {
    fn value(&mut self, value: &str, depth: usize) -> Option<()> {
        if depth < DEPTH_MAX && value.starts_with('{') {
            return self.object(&Body::read_text(value).ok()?, depth + 1);
        }
        if depth < DEPTH_MAX && value.starts_with('[') {
            let items = Items { writer: self, depth: depth + 1 };
            return serde_json::Deserializer::from_str(value).deserialize_seq(items).ok();
        }
        self.out.push_str(value);
        Some(())
    }

    fn object(&mut self, object: &Body<'_>, depth: usize) -> Option<()> {
        let members = object.members();
        let mut names = HashSet::with_capacity(members.len());
        let is_last = |key| names.insert(string_text(key).unwrap_or_else(|| key.into()));
        let mut are_last: Vec<bool> = members.iter().rev().map(|member| member.key).map(is_last).collect();
        are_last.reverse();
        self.is_changed |= are_last.contains(&false);
        let mut before = '{';
        for (member, _) in members.iter().zip(are_last).filter(|(_, is_last)| *is_last) {
            self.out.push(std::mem::replace(&mut before, ','));
            self.out.push_str(member.key);
            self.out.push(':');
            self.value(member.value, depth)?;
        }
        self.out.push_str(if before == '{' { "{}" } else { "}" });
        Some(())
    }
}

struct Items<'w> {
    writer: &'w mut Writer,
    depth: usize,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut before = '[';
        while let Some(item) = seq.next_element::<&RawValue>()? {
            self.writer.out.push(std::mem::replace(&mut before, ','));
            let written = self.writer.value(item.get(), self.depth);
            written.ok_or_else(|| A::Error::custom("an object that cannot be read"))?;
        }
        self.writer.out.push_str(if before == '[' { "[]" } else { "]" });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_each_members_values_is_left_and_all_others_keep_their_text() {
        for (json, expected) in [
            (r#" {"a":1,"b":2,"a":3.0} "#, Some(r#"{"b":2,"a":3.0}"#)),
            (r#"{"a":[{"b":1,"b":[]},{}],"a\u0062":1e2,"ab":[ ]}"#, Some(r#"{"a":[{"b":[]},{}],"ab":[]}"#)),
            (r#"{"a":{"a":1},"b":[1, 2]}"#, None),
            (r#"{"a":1,"a":2"#, None),
            (r#"[{"a":1,"a":2}]"#, None),
            ("[DONE]", None),
            ("", None),
        ] {
            let once = last_of_each(json.as_bytes()).map(|once| String::from_utf8(once).unwrap());
            assert_eq!(once.as_deref(), expected, "{json}");
        }
        let deep = format!("{}{{\"a\":1,\"a\":2}}{}", "{\"d\":[".repeat(5_000), "]}".repeat(5_000));
        assert_eq!(last_of_each(deep.as_bytes()), None);
    }
}
