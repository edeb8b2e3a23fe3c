//! Which events make a client fail.
//!
//! A provider may tell of an error where no client looks for one, and a stream that then ends looks to the client as if its
//! answer were whole. What the official clients look at is copied here, because the others follow them.

use crate::api::Api;
use crate::body::Body;
use crate::sse::{BYTE_ORDER_MARK, on_event};

/// Whether one whole event, as it came, is one that the official clients of an API take for an error.
///
/// `OpenAI`'s look for an `error` that says something at the top of any event; one inside a choice, or inside what another
/// provider adds, they pass over. The events by which the responses API tells of errors are handed on to whoever called.
/// Anthropic's go by the name of the event and look at nothing else.
pub fn is_error_event(api: Api, event: &[u8]) -> bool {
    let event = event.strip_prefix(BYTE_ORDER_MARK).unwrap_or(event);
    let mut is_error = false;
    on_event(event, |event| {
        is_error = match api {
            Api::Messages => event.name == b"error",
            Api::Chat => Body::read(&event.data).is_ok_and(|data| has_error(&data)),
            Api::Responses => Body::read(&event.data).is_ok_and(|data| {
                let kind = data.scalar("type");
                has_error(&data) || matches!(kind.as_deref(), Some("error" | "response.failed"))
            }),
            Api::Embeddings | Api::CountTokens => false,
        };
    });
    is_error
}

/// Whether there is an `error` that is something in both Python and JavaScript.
fn has_error(data: &Body<'_>) -> bool {
    let Some(error) = data.get("error") else { return false };
    let inside = error.get(1..error.len() - 1).unwrap_or_default();
    match error.chars().next() {
        Some('"') => !inside.is_empty(),
        Some('{' | '[') => !inside.trim_ascii().is_empty(),
        Some('n' | 'f') | None => false,
        Some(_) => error.parse().is_ok_and(|number: f64| number != 0.0) || error == "true",
    }
}
