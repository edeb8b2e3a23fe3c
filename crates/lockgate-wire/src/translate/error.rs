//! Translates errors.
//!
//! Providers, and those who are compatible with them, write errors in many shapes; whichever it is, the words are found
//! (`told`), the error is put into one of few classes by its words and else by its status (`class`), and written in the shape
//! that the caller's client reads. The message stays as it is.

mod class;
mod told;

use serde_json::{Value, json};

use super::Way;
use class::Class;
use told::Told;

/// The status that an error counts as which is told inside a stream without a number of its own.
const STATUS_IN_STREAM: u16 = 500;

/// A target's error in the form that the caller expects. What cannot be read becomes the message of an error of that status.
pub fn error(way: Way, status: u16, body: &[u8]) -> Vec<u8> {
    written(way, status, body).to_string().into_bytes()
}

/// An error that a target told inside a stream, as the data of an event of the caller's form.
pub(super) fn in_stream(way: Way, data: &[u8]) -> Value {
    written(way, STATUS_IN_STREAM, data)
}

fn written(way: Way, status: u16, body: &[u8]) -> Value {
    let told = Told::read(body, status);
    let class = Class::of(&told, status);
    match way {
        Way::ChatToMessages => for_chat(told, class),
        Way::MessagesToChat => for_messages(told, class),
    }
}

fn for_chat(told: Told, class: Class) -> Value {
    let (kind, code) = class.in_chat();
    let code = told.code.or_else(|| class::code_of(&told.message).or(code).map(str::to_owned));
    let kind = told.kind.filter(|kind| Class::of_kind(kind).is_none()).unwrap_or_else(|| kind.to_owned());
    json!({ "error": { "message": told.message, "type": kind, "param": told.param, "code": code } })
}

/// A code has its place among an error's `details`, where Anthropic tells its own.
fn for_messages(told: Told, class: Class) -> Value {
    let mut error = json!({ "type": class.in_messages(), "message": told.message });
    if let Some(code) = told.code {
        error["details"] = json!({ "error_code": code });
    }
    let mut body = json!({ "type": "error", "error": error });
    if let Some(request_id) = told.request_id {
        body["request_id"] = json!(request_id);
    }
    body
}

#[cfg(test)]
mod tests;
