//! Keeps the names of what could not be said.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::fields::Fields;
use super::path::Path;
use crate::translate::DROPPED_MAX;

/// Marks that only change the price of a call.
const COSTS_ONLY: [&str; 1] = ["cache_control"];

/// What was left out, in the order of the request's own members, whatever the order in which they are
/// translated.
#[derive(Debug)]
pub(super) struct Told<'b> {
    places: HashMap<&'b str, usize>,
    /// By the place of the top-level member, then as they were told. Never more than [`DROPPED_MAX`].
    names: BTreeMap<(usize, usize), String>,
    count: usize,
}

impl<'b> Told<'b> {
    pub(super) fn new(body: &'b Map<String, Value>) -> Self {
        let places = body.keys().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        Self { places, names: BTreeMap::new(), count: 0 }
    }

    /// What stands here was left out.
    pub(super) fn tell(&mut self, path: &Path<'_>) {
        let key = (self.places.get(path.top()).copied().unwrap_or(usize::MAX), self.count);
        let is_full = self.names.len() == DROPPED_MAX;
        if is_full && self.names.last_key_value().is_some_and(|(last, _)| *last < key) {
            return;
        }
        let name = path.to_string();
        if self.names.values().any(|told| *told == name) {
            return;
        }
        self.count += 1;
        self.names.insert(key, name);
        if is_full {
            self.names.pop_last();
        }
    }

    /// Tells of all members but the known ones and those that say nothing.
    pub(super) fn tell_others(&mut self, fields: Fields<'_, '_>, known: &[&str]) {
        for (name, value) in fields.iter() {
            if !known.contains(&name) && !COSTS_ONLY.contains(&name) && !says_nothing(value) {
                self.tell(&fields.path().member(name));
            }
        }
    }

    pub(super) fn finish(self) -> Vec<String> {
        self.names.into_values().collect()
    }
}

/// Whether a member of that value might as well not be there, whatever its name.
pub(super) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
