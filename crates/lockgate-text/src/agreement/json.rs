//! Compares JSON by its leaves.
//!
//! A leaf is a value that holds no other: a string, a number, a boolean, null, or an empty object or array. The score is the
//! number of leaves that both have at the same path with the same value, over the number of paths that either has. The order
//! of members does not count, the order of items does. Numbers are the same when their values are (`1`, `1.0`, `1e0`).

use std::fmt::Write as _;

use serde_json::{Number, Value};

use super::{Agreement, exact};

/// Longest text that is read as JSON; a longer one is compared as text. A built value takes up to thirty times its text, and
/// no model writes this much in one answer.
pub const JSON_BYTES_MAX: usize = 1024 * 1024;

/// Differing paths that are named.
const PATHS_NAMED: usize = 3;

/// Characters shown of a key or a value.
const SHOWN_CHARS: usize = 40;

/// Compares two texts that should be JSON.
pub fn compare(stable: &str, candidate: &str) -> Agreement {
    match (read(stable), read(candidate)) {
        (Some(a), Some(b)) => compare_values(&a, &b),
        (None, None) => {
            let as_text = exact::compare(stable, candidate);
            Agreement { why: format!("neither answer is JSON; {}", as_text.why), ..as_text }
        }
        (None, Some(_)) => Agreement::none("stable's answer is not JSON, the candidate's is".to_owned()),
        (Some(_), None) => Agreement::none("the candidate's answer is not JSON, stable's is".to_owned()),
    }
}

/// Compares two texts if both are a JSON object or array.
pub(super) fn compare_structures(stable: &str, candidate: &str) -> Option<Agreement> {
    let structure = |text| read(text).filter(|value| value.is_object() || value.is_array());
    Some(compare_values(&structure(stable)?, &structure(candidate)?))
}

/// Reads a text as JSON, also inside a code fence.
pub(super) fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.len() > JSON_BYTES_MAX {
        return None;
    }
    serde_json::from_str(inside_fence(text).unwrap_or(text)).ok()
}

/// What stands between the lines of a code fence that is the whole text.
fn inside_fence(text: &str) -> Option<&str> {
    let (language, rest) = text.strip_prefix("```")?.split_once('\n')?;
    let language = language.trim();
    (language.is_empty() || language.eq_ignore_ascii_case("json")).then_some(())?;
    rest.strip_suffix("```")
}

/// Compares two values.
pub(super) fn compare_values(stable: &Value, candidate: &Value) -> Agreement {
    let mut tally = Tally { path: Vec::new(), same: 0, all: 0, differing: Vec::new() };
    tally.walk(stable, candidate);
    let Tally { same, all, differing, .. } = tally;
    if same == all {
        return Agreement::whole("the same JSON");
    }
    let more = (all - same).saturating_sub(differing.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let why = format!("{same} of {all} leaves are the same; differing: {}{more}", differing.join(", "));
    Agreement { score: same as f64 / all as f64, why }
}

/// Counts leaves along both values at once. Recursion ends where `serde_json` stopped reading, at 128 levels.
struct Tally<'v> {
    path: Vec<Step<'v>>,
    same: usize,
    all: usize,
    differing: Vec<String>,
}

#[derive(Clone, Copy)]
enum Step<'v> {
    Key(&'v str),
    Item(usize),
}

impl<'v> Tally<'v> {
    fn walk(&mut self, a: &'v Value, b: &'v Value) {
        match (a, b) {
            (Value::Object(a), Value::Object(b)) if !a.is_empty() && !b.is_empty() => {
                for (key, value) in a {
                    self.at(Step::Key(key), |tally| match b.get(key) {
                        Some(other) => tally.walk(value, other),
                        None => tally.only(value),
                    });
                }
                for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                    self.at(Step::Key(key), |tally| tally.only(value));
                }
            }
            (Value::Array(a), Value::Array(b)) if !a.is_empty() && !b.is_empty() => {
                for at in 0..a.len().max(b.len()) {
                    self.at(Step::Item(at), |tally| match (a.get(at), b.get(at)) {
                        (Some(value), Some(other)) => tally.walk(value, other),
                        (Some(value), None) | (None, Some(value)) => tally.only(value),
                        (None, None) => {}
                    });
                }
            }
            (a, b) if is_leaf(a) && is_leaf(b) => {
                self.all += 1;
                if same_leaf(a, b) { self.same += 1 } else { self.differ() }
            }
            (a, b) => {
                self.only(a);
                self.only(b);
            }
        }
    }

    /// Counts the leaves of a value that has no counterpart.
    fn only(&mut self, value: &'v Value) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    self.at(Step::Key(key), |tally| tally.only(value));
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (at, value) in items.iter().enumerate() {
                    self.at(Step::Item(at), |tally| tally.only(value));
                }
            }
            _ => {
                self.all += 1;
                self.differ();
            }
        }
    }

    fn at(&mut self, step: Step<'v>, count: impl FnOnce(&mut Self)) {
        self.path.push(step);
        count(self);
        self.path.pop();
    }

    fn differ(&mut self) {
        if self.differing.len() < PATHS_NAMED {
            let mut named = "`$".to_owned();
            for step in &self.path {
                match step {
                    Step::Key(key) => named.extend(std::iter::once('.').chain(key.chars().take(SHOWN_CHARS))),
                    Step::Item(at) => named.push_str(&format!("[{at}]")),
                }
            }
            named.push('`');
            self.differing.push(named);
        }
    }
}

fn is_leaf(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

fn same_leaf(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Exactly::of(a) == Exactly::of(b),
        (a, b) => a == b,
    }
}

/// A number by its value, however it was spelled.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Exactly {
    Whole(i128),
    Other(f64),
}

impl Exactly {
    fn of(number: &Number) -> Self {
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        match (whole, number.as_f64()) {
            (Some(whole), _) => Self::Whole(whole),
            // Every whole float up to here is an exact integer.
            (None, Some(float)) if float.fract() == 0.0 && float.abs() <= 1e19 => Self::Whole(float as i128),
            (None, float) => Self::Other(float.unwrap_or_default()),
        }
    }
}

/// A text that is the same for values that have the same leaves.
pub(super) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (key, value) in members {
                // Writing into a string cannot fail.
                let _ = write!(out, "{key:?}:");
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for value in items {
                write_canonical(value, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Number(number) => {
            let _ = write!(out, "{:?}", Exactly::of(number));
        }
        leaf => {
            let _ = write!(out, "{leaf}");
        }
    }
}
