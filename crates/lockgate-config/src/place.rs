//! A value together with the path that leads to it, so that whatever is wrong with it can be said with its place.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::node::{Entry, Node, Value};
use crate::problem::Problem;
use crate::shape::{self, Presence, Shape};
use crate::{duration, percent, size};

/// A value and its path.
#[derive(Debug, Clone)]
pub(crate) struct Place<'n> {
    pub node: &'n Node,
    pub path: String,
    /// The line to name: the key's for a mapping or list, else the value's.
    pub line: u64,
}

/// A mapping of a known shape. Its getters give `None` for what is missing without a default, and for what is not as the
/// shape demands: that has been told already.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'n> {
    pub place: Place<'n>,
    shape: &'static Shape,
}

impl<'n> Place<'n> {
    /// The whole file.
    pub(crate) fn root(node: &'n Node) -> Self {
        Self { node, path: String::new(), line: 1 }
    }

    /// The value of one entry of this mapping.
    pub(crate) fn entry(&self, entry: &'n Entry) -> Self {
        let nested = matches!(entry.node.value, Value::Map(_) | Value::List(_) | Value::Null);
        let line = if nested { entry.line } else { entry.node.line };
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { node: &entry.node, path: format!("{}{dot}{}", self.path, entry.key), line }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        self.node.get(key).map(|entry| self.entry(entry))
    }

    /// The entries of this mapping, each key once.
    pub(crate) fn entries(&self) -> Vec<Self> {
        self.named().map(|(_, place)| place).collect()
    }

    /// The keys and values of this mapping, each key once.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'n str, Self)> {
        let mut seen = HashSet::new();
        let entries = self.node.entries().iter().filter(move |entry| seen.insert(entry.key.as_str()));
        entries.map(|entry| (entry.key.as_str(), self.entry(entry)))
    }

    /// The items of this list.
    pub(crate) fn items(&self) -> Vec<Self> {
        let item = |(i, node): (usize, &'n Node)| Self {
            node,
            path: format!("{}[{i}]", self.path),
            line: node.line,
        };
        self.node.items().iter().enumerate().map(item).collect()
    }

    /// This mapping, read by a shape.
    pub(crate) fn fields(self, shape: &'static Shape) -> Fields<'n> {
        Fields { place: self, shape }
    }

    /// A problem with this value.
    pub(crate) fn problem(&self, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        self.problem_at(self.line, message, hint)
    }

    /// A problem with this value's key.
    pub(crate) fn problem_at(
        &self,
        line: u64,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        Problem { path: self.path.clone(), line: Some(line), message: message.into(), hint }
    }
}

impl<'n> Fields<'n> {
    /// The value of a key, if it is written.
    pub(crate) fn get(&self, key: &str) -> Option<Place<'n>> {
        debug_assert!(self.shape.key(key).is_some(), "{} has no key {key}", self.shape.name);
        self.place.get(key)
    }

    /// Whether a key is written.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        let node = self.node_or_default(key)?;
        if let Value::Flag(flag) = node.value { Some(flag) } else { None }
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.node_or_default(key)?.text().map(str::to_owned)
    }

    pub(crate) fn whole(&self, key: &str) -> Option<usize> {
        shape::whole(&*self.node_or_default(key)?)?.try_into().ok()
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        shape::number(&*self.node_or_default(key)?)
    }

    pub(crate) fn size(&self, key: &str) -> Option<usize> {
        size::parse(&self.node_or_default(key)?.scalar()?)?.try_into().ok()
    }

    pub(crate) fn share(&self, key: &str) -> Option<f64> {
        percent::parse(&self.node_or_default(key)?.scalar()?)
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        duration::parse(&self.node_or_default(key)?.scalar()?)
    }

    pub(crate) fn address(&self, key: &str) -> Option<SocketAddr> {
        self.node_or_default(key)?.text()?.parse().ok()
    }

    /// Two numbers, the first below the second.
    pub(crate) fn range(&self, key: &str) -> Option<(f64, f64)> {
        shape::range(&*self.node_or_default(key)?)
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let node = self.node_or_default(key)?;
        node.items().iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    /// The items of a list; none when it is not written.
    pub(crate) fn items(&self, key: &str) -> Vec<Place<'n>> {
        self.get(key).map(|place| place.items()).unwrap_or_default()
    }

    /// The entries of a mapping, each key once; none when it is not written.
    pub(crate) fn named(&self, key: &str) -> Vec<(&'n str, Place<'n>)> {
        self.get(key).map(|place| place.named().collect()).unwrap_or_default()
    }

    fn node_or_default(&self, key: &str) -> Option<Cow<'n, Node>> {
        if let Some(place) = self.get(key) {
            return Some(Cow::Borrowed(place.node));
        }
        match self.shape.key(key)?.presence {
            Presence::Default(text) => Node::read(text).ok().map(Cow::Owned),
            Presence::Required | Presence::Optional => None,
        }
    }
}
