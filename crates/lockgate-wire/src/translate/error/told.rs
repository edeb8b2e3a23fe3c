//! Finds the words of an error, whoever wrote it.

use serde_json::Value;

use crate::answer::{LABEL_BYTES_MAX, prefix};

/// What an error says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) message: String,
    pub(super) kind: Option<String>,
    pub(super) code: Option<String>,
    pub(super) param: Option<String>,
    pub(super) request_id: Option<String>,
    /// A status that it names itself, as some servers do inside streams.
    pub(super) status: Option<u16>,
}

/// Longest error that is read as JSON. Longer ones are no errors of an API, and a tree takes many times its text.
const JSON_BYTES_MAX: usize = 256 * 1024;

impl Told {
    /// Reads a body. There is always a message.
    pub(super) fn read(body: &[u8], status: u16) -> Self {
        let body = body.get(..JSON_BYTES_MAX).unwrap_or(body);
        let mut told = match serde_json::from_slice::<Value>(body) {
            Ok(json) => Self::of_json(&json),
            Err(_) => Self { message: plain(&String::from_utf8_lossy(body)), ..Self::default() },
        };
        if told.message.is_empty() {
            told.message = format!("The provider answered with status {status} and did not say why.");
        }
        told
    }

    /// Gemini puts its error into a list; Ollama and others write nothing but a text; Mistral and older servers leave out
    /// the object around it; frameworks of Python have a `detail`.
    fn of_json(json: &Value) -> Self {
        let json = json.get(0).unwrap_or(json);
        let error = match &json["error"] {
            error @ Value::Object(_) => error,
            Value::String(text) => return Self { message: plain(text), ..Self::default() },
            _ => json,
        };
        let detail = &json["detail"];
        let message = words(&error["message"])
            .or_else(|| words(detail))
            .or_else(|| detail.is_array().then(|| shortened(&detail.to_string())));
        Self {
            message: message.unwrap_or_default(),
            kind: words(&error["type"]).filter(|kind| kind != "error"),
            code: words(&error["code"]).or_else(|| words(&error["details"]["error_code"])),
            param: words(&error["param"]),
            request_id: words(&json["request_id"]),
            status: error["code"].as_u64().and_then(|code| u16::try_from(code).ok()),
        }
    }
}

/// A text that says something. Numbers are not taken: a code that is one repeats the status.
fn words(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// What a person can read of a text that is no error of an API; the pages of proxies are made for browsers.
fn plain(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('<') { String::new() } else { shortened(text) }
}

/// Without control characters, and not longer than anybody reads.
fn shortened(text: &str) -> String {
    prefix(text, LABEL_BYTES_MAX).replace(|char: char| char.is_control(), " ")
}
