//! The members of an object as another reader sees them, so that the code under test is not held against itself.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, escapes undone where they are characters.
    pub name: String,
    /// With its quotes and escapes.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// All members, in order; `None` when the text is no JSON object.
pub fn of(text: &str) -> Option<Vec<Member>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok().map(|()| members)
}

/// The last member of a name; it is the one that counts.
pub fn last<'m>(members: &'m [Member], name: &str) -> Option<&'m str> {
    members.iter().rev().find(|member| member.name == name).map(|member| member.value.as_str())
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let name = serde_json::from_str(key.get()).unwrap_or_else(|_| key.get().to_owned());
            members.push(Member { name, key: key.get().to_owned(), value: value.get().to_owned() });
        }
        Ok(members)
    }
}
