//! What is said to a call, settled by its words.
//!
//! A script steers the provider with plain words, which every client hands on, where a header or a field would need each
//! client's own way of sending one.

use serde_json::{Map, Value, json};

use super::ask::{Ask, Tool};

/// What is said.
#[derive(Debug, Default)]
pub struct Say {
    /// What is thought aloud before it.
    pub thinking: Option<String>,
    /// What is said.
    pub text: String,
    /// The tools that are called instead, with what they are given.
    pub calls: Vec<(String, Value)>,
    /// How a stream of it ends.
    pub end: End,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// As it should.
    #[default]
    Proper,
    /// In the middle, by a connection that breaks.
    Broken,
    /// In the middle, as if that were all.
    Short,
    /// Not before the caller leaves.
    Never,
}

/// Why nothing is said.
#[derive(Debug)]
pub struct Wrong {
    /// The status.
    pub status: u16,
    /// In one word.
    pub kind: &'static str,
    /// In a sentence.
    pub what: String,
    /// Whether a script asked for it.
    pub is_scripted: bool,
}

impl Wrong {
    /// Something that no script asked for.
    pub fn new(status: u16, kind: &'static str, what: impl Into<String>) -> Self {
        Self { status, kind, what: what.into(), is_scripted: false }
    }

    /// What a script asked for.
    pub fn scripted(status: u16, kind: &'static str, what: impl Into<String>) -> Self {
        Self { is_scripted: true, ..Self::new(status, kind, what) }
    }

    /// As a body.
    pub fn body(&self, is_messages: bool) -> Value {
        match is_messages {
            true => json!({
                "type": "error", "request_id": "req_of_the_provider",
                "error": { "type": self.kind, "message": self.what },
            }),
            false => json!({
                "error": { "message": self.what, "type": self.kind, "param": null, "code": self.kind },
            }),
        }
    }
}

/// Words that ask for a refusal.
const REFUSALS: [(&str, u16, &str); 3] = [
    ("mistake", 400, "invalid_request_error"),
    ("too many", 429, "rate_limit_error"),
    ("overloaded", 529, "overloaded_error"),
];
/// Words that ask for a stream that ends in another way.
const ENDS: [(&str, End); 3] =
    [("breaks off", End::Broken), ("stops short", End::Short), ("goes on and on", End::Never)];

impl Say {
    /// Settles what is said to a call.
    pub fn to(ask: &Ask) -> Result<Self, Wrong> {
        for (words, status, kind) in REFUSALS {
            if ask.text.contains(words) {
                return Err(Wrong::scripted(status, kind, format!("refused, as asked: {words}")));
            }
        }
        let end =
            ENDS.iter().find(|(words, _)| ask.text.contains(words)).map_or(End::Proper, |(_, end)| *end);
        let thinking = ask.thinks.then(|| "Let me think about that.".to_owned());
        let calls = calls(ask);
        let text = if calls.is_empty() { text(ask) } else { String::new() };
        Ok(Self { thinking, text, calls, end })
    }

    /// How many words it has, which stand for tokens.
    pub fn words(&self) -> u64 {
        let said = [Some(&self.text), self.thinking.as_ref()].into_iter().flatten();
        said.map(|text| text.split_whitespace().count() as u64).sum::<u64>() + 3 * self.calls.len() as u64
    }

    /// The text in pieces, as a model makes it.
    pub fn pieces(&self) -> Vec<&str> {
        self.text.split_inclusive(' ').collect()
    }
}

fn calls(ask: &Ask) -> Vec<(String, Value)> {
    let is_called = ask.forced.is_some() || ask.text.contains("weather");
    if !ask.results.is_empty() || !is_called {
        return Vec::new();
    }
    let wanted = ask.forced.clone().flatten();
    let tool = ask.tools.iter().find(|tool| wanted.as_ref().is_none_or(|name| *name == tool.name));
    let mut cities: Vec<&str> =
        ["Paris", "Rome"].into_iter().filter(|city| ask.text.contains(city)).collect();
    if cities.is_empty() {
        cities.push("Paris");
    }
    let call = |tool: &Tool, city: &str| (tool.name.clone(), sample(&tool.schema, city));
    tool.map(|tool| cities.into_iter().map(|city| call(tool, city)).collect()).unwrap_or_default()
}

fn text(ask: &Ask) -> String {
    if let Some(schema) = &ask.schema {
        return sample(schema, "Paris").to_string();
    }
    if !ask.results.is_empty() {
        let told: Vec<&str> = ask.results.iter().map(|result| result.text.as_str()).collect();
        return format!("The tools said: {}", told.join(" and "));
    }
    if !ask.images.is_empty() {
        return format!("I see {}", ask.images.join(" and "));
    }
    match &ask.earlier {
        Some(earlier) => format!("Before this you said: {earlier}"),
        None if ask.system.is_empty() => format!("You said: {}", ask.text),
        None => format!("You said: {} (and the system said: {})", ask.text, ask.system),
    }
}

/// A value of a shape, in which every text is `word`.
fn sample(schema: &Value, word: &str) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("integer") => json!(21),
        Some("number") => json!(21.5),
        Some("boolean") => json!(true),
        Some("array") => json!([sample(&schema["items"], word)]),
        Some("string") => json!(word),
        _ => {
            let members = schema["properties"].as_object().cloned().unwrap_or_default();
            let members = members.iter().map(|(name, shape)| (name.clone(), sample(shape, word)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}
