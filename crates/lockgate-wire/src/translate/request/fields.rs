//! Reads the members of an object that somebody else wrote, and says exactly what is wrong with them.
//!
//! `null` is read as absent everywhere: client libraries write it for what was not set.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::path::Path;
use crate::translate::Untranslatable;

/// What was read, or what is wrong.
pub(super) type Read<T> = Result<T, Untranslatable>;

/// An object and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'v, 'p> {
    map: &'v Map<String, Value>,
    at: &'p Path<'p>,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// The request itself.
    pub(super) fn body(map: &'v Map<String, Value>) -> Self {
        Self { map, at: &Path::BODY }
    }

    pub(super) fn of(value: &'v Value, at: &'p Path<'p>) -> Read<Self> {
        let map = value.as_object().ok_or_else(|| unexpected(at, "an object", value))?;
        Ok(Self { map, at })
    }

    /// Where one of its members stands.
    pub(super) fn at(&self, name: &'p str) -> Path<'p> {
        self.at.member(name)
    }

    pub(super) fn path(&self) -> &'p Path<'p> {
        self.at
    }

    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'v str, &'v Value)> {
        self.map.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn text(&self, name: &str) -> Read<Option<&'v str>> {
        self.typed(name, "a string", Value::as_str)
    }

    pub(super) fn boolean(&self, name: &str) -> Read<Option<bool>> {
        self.typed(name, "a boolean", Value::as_bool)
    }

    pub(super) fn list(&self, name: &str) -> Read<Option<&'v [Value]>> {
        self.typed(name, "an array", |value| value.as_array().map(Vec::as_slice))
    }

    pub(super) fn object(&self, name: &str) -> Read<Option<&'v Map<String, Value>>> {
        self.typed(name, "an object", Value::as_object)
    }

    /// A whole number that is not negative; `1.0` is one too.
    pub(super) fn count(&self, name: &str) -> Read<Option<u64>> {
        self.typed(name, "a whole number that is not negative", |value| {
            // Above 2^53 a float no longer counts in ones, so it is no count.
            let whole =
                |number: &f64| (0.0..9_007_199_254_740_992.0).contains(number) && number.fract() == 0.0;
            value.as_u64().or_else(|| value.as_f64().filter(whole).map(|number| number as u64))
        })
    }

    pub(super) fn number(&self, name: &str, range: RangeInclusive<f64>) -> Read<Option<f64>> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.typed(name, &expected, |value| value.as_f64().filter(|number| range.contains(number)))
    }

    /// A string that has to be there and to say something.
    pub(super) fn name(&self, name: &str) -> Read<&'v str> {
        let expected = "a string that is not empty";
        let found = self.typed(name, expected, |value| value.as_str().filter(|text| !text.is_empty()))?;
        self.needed(name, expected, found)
    }

    /// What has to be there.
    pub(super) fn needed<T>(&self, name: &str, expected: &str, found: Option<T>) -> Read<T> {
        found.ok_or_else(|| self.at.member(name).wrong(format!("it is missing: expected {expected}")))
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Read<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| unexpected(&self.at.member(name), expected, value))
    }
}

/// The value here is not what was expected.
pub(super) fn unexpected(at: &Path<'_>, expected: &str, found: &Value) -> Untranslatable {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let form = if expected.starts_with(found) { "another one" } else { found };
    at.wrong(format!("expected {expected}, but got {form}"))
}
