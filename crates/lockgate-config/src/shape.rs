//! The language in which `file` says what people may write, and the comparison of a written value with it.
//!
//! One table serves four: the reader finds unknown keys, wrong types and bad values by it, takes defaults from it, and the
//! JSON Schema and the reference page are printed from it. So they cannot tell different stories. What one value says about
//! another (a version that does not exist, shares that fall) is left to `check`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use lockgate_core::name::LabelName;

use crate::node::{Entry, Node, Value};
use crate::place::Place;
use crate::problem::Found;
use crate::{duration, nearest, percent, size};

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Shape {
    /// For the schema and the reference page.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub says: &'static str,
    /// In the order in which they are best read.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub name: &'static str,
    /// What it is, in one sentence.
    pub says: &'static str,
    pub kind: Kind,
    pub presence: Presence,
}

/// Whether a key must be there.
#[derive(Debug)]
pub(crate) enum Presence {
    Required,
    Optional,
    /// The value, as YAML, that is taken when it is not there.
    Default(&'static str),
}

/// What may be written as a value.
#[derive(Debug)]
pub(crate) enum Kind {
    Flag,
    /// A whole number in a range.
    Whole(u64, u64),
    /// A number in a range.
    Number(f64, f64),
    /// Bytes, in a range.
    Size(u64, u64),
    /// A part of a whole: `1%`, `0.01`.
    Share,
    /// A time, in a range.
    Duration(Duration, Duration),
    /// A name of something.
    Name,
    Text,
    /// IP address and port.
    Address,
    /// Two numbers, the lower first: `[1, 5]`.
    Range,
    OneOf(&'static [&'static str]),
    /// A text that may only come from the environment or a file.
    Secret,
    /// Any mapping.
    Any,
    List(&'static Kind),
    /// Names, each with a value.
    Named(&'static Kind),
    /// Any texts, each with a value.
    Keyed(&'static Kind),
    Shape(&'static Shape),
    /// A mapping whose other keys depend on its `kind`.
    Tagged(&'static [(&'static str, &'static Shape)]),
    /// A short form and, for a mapping or list, a long one.
    Either(&'static Kind, &'static Kind),
}

impl Shape {
    /// A key by its name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What a value of this kind is called.
    fn noun(&self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Whole(..) => "a whole number",
            Self::Number(..) => "a number",
            Self::Size(..) => "a size",
            Self::Share => "a share",
            Self::Duration(..) => "a duration",
            Self::Name => "a name",
            Self::Text => "a text",
            Self::Address => "an address",
            Self::Range => "a range",
            Self::OneOf(_) => "known here",
            Self::Secret => "a reference to a secret",
            Self::List(_) => "a list",
            Self::Any | Self::Named(_) | Self::Keyed(_) | Self::Shape(_) | Self::Tagged(_) => "a mapping",
            Self::Either(short, _) => short.noun(),
        }
    }

    /// How a value of this kind is written.
    fn hint(&self) -> String {
        match self {
            Self::Flag => "write true or false".into(),
            Self::Whole(least, most) => format!("write a whole number from {least} to {most}"),
            Self::Number(least, most) => format!("write a number from {least} to {most}"),
            Self::Size(least, most) => {
                format!("write 64KiB or 32MiB; here {} to {}", size::write(*least), size::write(*most))
            }
            Self::Share => "write 1% or 0.01".into(),
            Self::Duration(least, most) => {
                let range = if *most == duration::LONGEST {
                    format!("{} or more", duration::write(*least))
                } else {
                    format!("{} to {}", duration::write(*least), duration::write(*most))
                };
                format!("write 500ms, 30s, 5m, 48h or 7d; here {range}")
            }
            Self::Name => "a name is 1 to 64 letters, digits, `.`, `_` and `-`".into(),
            Self::Text => "write a text; in quotes if it looks like a number, true, false or null".into(),
            Self::Address => "write an IP address and a port: 127.0.0.1:7080".into(),
            Self::Range => "write the lower end first: [1, 5]".into(),
            Self::OneOf(words) => format!("known here: {}", words.join(", ")),
            Self::Secret => SECRET_HINT.into(),
            Self::List(_) => "write [a, b], or one `- ` item per line".into(),
            Self::Shape(shape) => {
                let keys: Vec<&str> = shape.keys.iter().map(|key| key.name).collect();
                format!("write a mapping with {}", keys.join(", "))
            }
            Self::Any | Self::Named(_) | Self::Keyed(_) | Self::Tagged(_) => {
                "write `key: value` lines, indented below".into()
            }
            Self::Either(short, long) => format!("{}; or {}", short.hint(), long.hint()),
        }
    }

    /// The same with nothing said about the range.
    fn without_range(&self) -> Option<Self> {
        Some(match self {
            Self::Whole(..) => Self::Whole(0, u64::MAX),
            Self::Number(..) => Self::Number(f64::MIN, f64::MAX),
            Self::Size(..) => Self::Size(0, u64::MAX),
            Self::Duration(..) => Self::Duration(Duration::ZERO, duration::LONGEST),
            _ => return None,
        })
    }

    /// The kind of the two that a value was meant to be.
    fn meant<'k>(short: &'k Self, long: &'k Self, node: &Node) -> &'k Self {
        match (&node.value, long) {
            (Value::List(_), Self::List(_)) | (Value::Map(_), _) | (Value::Number(_), Self::Number(..)) => {
                long
            }
            _ => short,
        }
    }
}

pub(crate) const SECRET_HINT: &str =
    "write { env: NAME } or { file: path }: a secret has no place in this file";

/// Notes everything in which a written value differs from what may be written.
pub(crate) fn compare(place: &Place<'_>, kind: &Kind, found: &mut Found) {
    match (kind, &place.node.value) {
        (_, Value::Null) => {
            found.problem(place.problem("it has no value", "give it a value or take the key away"));
        }
        (Kind::Either(short, long), _) => compare(place, Kind::meant(short, long, place.node), found),
        (Kind::Secret, _) => compare_secret(place, found),
        (Kind::List(item), Value::List(_)) => {
            place.items().iter().for_each(|item_at| compare(item_at, item, found))
        }
        (Kind::Shape(shape), Value::Map(_)) => compare_keys(place, shape, found),
        (Kind::Tagged(shapes), Value::Map(_)) => compare_by_kind(place, shapes, found),
        (Kind::Named(value), Value::Map(entries)) => {
            entries.iter().for_each(|entry| check_name(place, entry, found));
            compare_entries(place, value, found);
        }
        (Kind::Keyed(value), Value::Map(_)) => compare_entries(place, value, found),
        (Kind::Any, Value::Map(_)) => compare_any(place, found),
        _ => {
            if !is_scalar_of(place.node, kind) {
                let what = if kind.without_range().is_some_and(|kind| is_scalar_of(place.node, &kind)) {
                    "out of range".to_owned()
                } else {
                    format!("not {}", kind.noun())
                };
                found.problem(
                    place.problem(format!("{} is {what}", place.node), scalar_hint(place.node, kind)),
                );
            }
        }
    }
}

fn is_scalar_of(node: &Node, kind: &Kind) -> bool {
    let text = node.scalar();
    let text = text.as_deref();
    match kind {
        Kind::Flag => matches!(node.value, Value::Flag(_)),
        Kind::Whole(least, most) => whole(node).is_some_and(|number| (*least..=*most).contains(&number)),
        Kind::Number(least, most) => number(node).is_some_and(|number| (*least..=*most).contains(&number)),
        Kind::Size(least, most) => {
            text.and_then(size::parse).is_some_and(|size| (*least..=*most).contains(&size))
        }
        Kind::Share => text.is_some_and(|text| percent::parse(text).is_some()),
        Kind::Duration(least, most) => {
            text.and_then(duration::parse).is_some_and(|time| (*least..=*most).contains(&time))
        }
        Kind::Name => node.text().is_some_and(|text| LabelName::new(text).is_ok()),
        Kind::Text => node.text().is_some(),
        Kind::Address => node.text().is_some_and(|text| text.parse::<SocketAddr>().is_ok()),
        Kind::Range => range(node).is_some(),
        Kind::OneOf(words) => node.text().is_some_and(|text| words.contains(&text)),
        _ => false,
    }
}

/// A whole number.
pub(crate) fn whole(node: &Node) -> Option<u64> {
    if let Value::Number(number) = &node.value { number.as_u64() } else { None }
}

/// A number.
pub(crate) fn number(node: &Node) -> Option<f64> {
    if let Value::Number(number) = &node.value { number.as_f64() } else { None }
}

/// Two numbers, the first below the second.
pub(crate) fn range(node: &Node) -> Option<(f64, f64)> {
    match node.items() {
        [low, high] => Some((number(low)?, number(high)?)).filter(|(low, high)| low < high),
        _ => None,
    }
}

fn scalar_hint(node: &Node, kind: &Kind) -> String {
    match (kind, &node.value) {
        (Kind::Name | Kind::Text, Value::Number(_) | Value::Flag(_)) => {
            "put it in quotes, so that YAML leaves it as it is".into()
        }
        (Kind::Duration(..), Value::Number(number)) => format!("write the unit: {number}s or {number}ms"),
        (Kind::OneOf(words), Value::Text(text)) => {
            nearest::hint(text, words.iter().copied()).unwrap_or_else(|| kind.hint())
        }
        _ => kind.hint(),
    }
}

fn check_name(place: &Place<'_>, entry: &Entry, found: &mut Found) {
    if let Err(error) = LabelName::new(&entry.key) {
        found.problem(place.entry(entry).problem_at(entry.line, error.to_string(), Kind::Name.hint()));
    }
}

fn compare_entries(place: &Place<'_>, value: &Kind, found: &mut Found) {
    note_repeated(place, found);
    place.entries().iter().for_each(|entry_at| compare(entry_at, value, found));
}

fn compare_keys(place: &Place<'_>, shape: &Shape, found: &mut Found) {
    note_repeated(place, found);
    for entry in place.node.entries() {
        match shape.key(&entry.key) {
            Some(key) => compare(&place.entry(entry), &key.kind, found),
            None => {
                let hint = nearest::hint(&entry.key, shape.keys.iter().map(|key| key.name));
                let message = "there is no such key".to_owned();
                found.problem(place.entry(entry).problem_at(entry.line, message, hint.unwrap_or_default()));
            }
        }
    }
    let missing =
        |key: &&Key| matches!(key.presence, Presence::Required) && place.node.get(key.name).is_none();
    for key in shape.keys.iter().filter(missing) {
        let hint = format!("{}: {}", key.name, key.says);
        found.problem(place.problem(format!("`{}` is missing", key.name), hint));
    }
}

fn compare_by_kind(place: &Place<'_>, shapes: &'static [(&'static str, &'static Shape)], found: &mut Found) {
    let kinds = || shapes.iter().map(|(kind, _)| *kind);
    let Some(kind) = place.get("kind") else {
        let hint = format!("write kind: {}", kinds().collect::<Vec<_>>().join(", or "));
        found.problem(place.problem("`kind` is missing", hint));
        return;
    };
    match kind.node.text().and_then(|text| shapes.iter().find(|(kind, _)| *kind == text)) {
        Some((_, shape)) => compare_keys(place, shape, found),
        None => {
            let written = kind.node.text().unwrap_or_default();
            let hint = nearest::hint(written, kinds()).unwrap_or_default();
            found.problem(kind.problem(format!("{} is not a known kind", kind.node), hint));
        }
    }
}

/// A secret in plain text is refused without being repeated.
fn compare_secret(place: &Place<'_>, found: &mut Found) {
    let is_reference = |entry: &Entry| {
        matches!(entry.key.as_str(), "env" | "file") && entry.node.text().is_some_and(|text| !text.is_empty())
    };
    let message = match place.node.entries() {
        [entry] if is_reference(entry) => return,
        [] if !matches!(place.node.value, Value::Map(_)) => "a secret is written in plain text",
        _ => "this is not a reference to a secret",
    };
    found.problem(place.problem(message, SECRET_HINT));
}

/// Any mapping may hold anything, but no key twice, however deep.
fn compare_any(place: &Place<'_>, found: &mut Found) {
    note_repeated(place, found);
    place.entries().iter().chain(&place.items()).for_each(|inner| compare_any(inner, found));
}

fn note_repeated(place: &Place<'_>, found: &mut Found) {
    let mut first_lines: HashMap<&str, u64> = HashMap::new();
    for entry in place.node.entries() {
        match first_lines.get(entry.key.as_str()) {
            Some(first) => {
                let message = format!("it is written twice, first on line {first}");
                found.problem(place.entry(entry).problem_at(entry.line, message, "keep one of the two"));
            }
            None => {
                first_lines.insert(&entry.key, entry.line);
            }
        }
    }
}
