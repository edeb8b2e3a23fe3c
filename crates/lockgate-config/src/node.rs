//! The YAML as it was written: a tree of values that know their lines.
//!
//! Configuration is read into this tree first and checked from it, instead of straight into structs: a derived reader stops
//! at the first wrong type, and we owe the author every problem at once. Repeated keys are kept for the same reason.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Options, Spanned};

use crate::problem::Problem;

/// Largest file that is read: a thousand features with long inline prompts fit, and nothing can fill the memory.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 20;
/// Most values in a file, aliases expanded: what [`FILE_BYTES_MAX`] of dense YAML holds, and what an alias bomb hits.
const NODES_MAX: usize = 250_000;
/// Deepest nesting. The deepest key that is known lies at nine; `parameters` may hold more.
const DEPTH_MAX: usize = 48;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The line, counted from 1. A mapping or a list below its key stands where its first entry does.
    pub line: u64,
    /// What is written.
    pub value: Value,
}

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The key's line.
    pub line: u64,
    pub key: String,
    pub node: Node,
}

impl Node {
    /// Reads one YAML document.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        if text.len() > FILE_BYTES_MAX {
            let message = format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20);
            return Err(Problem::of_file(
                message,
                "keep long prompts in files of their own: `system: prompts/v2.md`",
            ));
        }
        serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options())
            .map(Self::from)
            .map_err(|error| not_yaml(&error))
    }

    /// The value of a key; the first, where it is written more than once.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The text of a text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The text of a text or of a number, for what may be written as either.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The same as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Flag(flag) => (*flag).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(entries) => {
                let members = entries.iter().map(|entry| (entry.key.clone(), entry.node.json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }
}

/// How a value is named in a message. Texts are cut: a prompt in the wrong place must not fill the terminal, and a URL may
/// carry a password before its host or a key in its query.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARS_MAX: usize = 40;
        match &self.value {
            Value::Null => f.write_str("nothing"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => {
                let line = text.lines().next().unwrap_or_default();
                let line = match line.split_once("://") {
                    Some((scheme, rest)) if rest.contains(['@', '?']) => &line[..scheme.len() + 3],
                    _ => line,
                };
                let shown: String = line.chars().take(CHARS_MAX).collect();
                write!(f, "`{shown}{}`", if shown.len() < text.trim_end().len() { "..." } else { "" })
            }
            Value::List(_) => f.write_str("a list"),
            Value::Map(_) => f.write_str("a mapping"),
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4 * NODES_MAX,
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: NODES_MAX },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        emit_comments: false,
        // `no` is Norway and `0123` a text, whatever older YAML made of them.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // A snippet could show a secret that stands on the line.
        with_snippet: false,
    }
}

fn not_yaml(error: &serde_saphyr::Error) -> Problem {
    let message = error.without_snippet().to_string();
    // The location is told in front of the path; the reader's own words repeat it.
    let message = message.split(" at line ").next().unwrap_or_default().trim_end_matches('.').to_owned();
    let hint = if message.contains("tab") {
        "indent with spaces, not tabs"
    } else {
        "check indentation, colons and quotes on this line and the one before it; put a text that contains `: ` or ` #` in quotes"
    };
    Problem {
        path: String::new(),
        line: error.location().map(|location| location.line()).filter(|line| *line > 0),
        message: format!("this is not YAML that can be read: {message}"),
        hint: Some(hint.into()),
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { line: spanned.defined.line(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        // What is not finite is not a number here, and will be told where a number belongs.
        Ok(serde_json::Number::from_f64(number)
            .map_or_else(|| Value::Text(number.to_string()), Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Spanned<Value>>()? {
            entries.push(Entry { line: key.defined.line(), key: key.value, node: node.into() });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u64) -> Value {
        Value::Number(number.into())
    }

    #[test]
    fn every_value_knows_its_line_and_a_repeated_key_is_kept() {
        let root = Node::read("a: 1\n\nb:\n  - x\n  - { c: no, 1.10: 2 }\na: '3'\n").unwrap();
        let lines: Vec<(u64, &str, u64)> =
            root.entries().iter().map(|entry| (entry.line, entry.key.as_str(), entry.node.line)).collect();
        assert_eq!(lines, [(1, "a", 1), (3, "b", 4), (6, "a", 6)]);
        let flow = &root.get("b").unwrap().node.items()[1];
        assert_eq!(flow.line, 5);
        assert_eq!(flow.get("c").unwrap().node.value, Value::Text("no".into()));
        assert_eq!(flow.get("1.10").unwrap().node.value, number(2));
        assert_eq!(root.get("a").unwrap().node.value, number(1));
    }

    #[test]
    fn an_anchored_value_stands_where_it_is_defined() {
        let root = Node::read("a: &x\n  k: 1\nb: *x\nc:\n  <<: *x\n  l: 2\n").unwrap();
        assert_eq!(root.get("b").unwrap().node.get("k").unwrap().line, 2);
        assert_eq!(root.get("c").unwrap().node.get("k").unwrap().node.value, number(1));
    }

    #[test]
    fn broken_yaml_is_told_with_its_line() {
        let problem = Node::read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(problem.line.is_some_and(|line| (2..=4).contains(&line)), "{problem:?}");
        assert!(!problem.message.contains("line"), "{problem:?}");
    }

    #[test]
    fn bombs_depths_and_giants_are_refused() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (next, last) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            let ten = vec![format!("*{last}"); 10].join(", ");
            bomb.push_str(&format!("{next}: &{next} [{ten}]\n"));
        }
        for wrong in [
            bomb,
            "[".repeat(10_000),
            format!("a: {}", "x".repeat(FILE_BYTES_MAX)),
            "a: 1\n---\nb: 2\n".into(),
        ] {
            assert!(Node::read(&wrong).is_err(), "{}", &wrong[..40.min(wrong.len())]);
        }
    }

    #[test]
    fn a_long_text_is_cut_in_messages() {
        let node = Node { line: 1, value: Value::Text(format!("{}\nsecond", "x".repeat(100))) };
        assert_eq!(node.to_string(), format!("`{}...`", "x".repeat(40)));
    }
}
