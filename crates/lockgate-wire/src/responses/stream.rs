//! The events of a streamed response.
//!
//! Everything is told several times: in pieces, when a part is done, when its item is done, and once more in the terminal event,
//! which repeats the whole response. The pieces are what is read. What comes whole is read only where nothing came in pieces,
//! as with servers that do not bother.

use crate::answer::{AnswerError, AnswerSummary, Arguments, CallPiece, Room};
use crate::lenient::read_object;
use crate::sse::Event;

use super::shape::{Response, StreamEvent};

/// What is known of a stream beside what it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    /// Whether messages come in pieces.
    has_pieces: bool,
    /// The item that began last, which an event without an index belongs to.
    item: u64,
}

impl Stream {
    /// Reads one event; whether it is the terminal one.
    pub(crate) fn read(&mut self, event: &Event<'_>, summary: &mut AnswerSummary, room: &mut Room) -> bool {
        // Some gateways end every stream as the chat API does. It ends nothing here.
        if event.data.trim_ascii() == b"[DONE]" {
            return false;
        }
        let Ok(told) = read_object::<StreamEvent<'_>>(&event.data) else {
            if event.name == b"error" {
                summary.add_error(AnswerError::unnamed(&String::from_utf8_lossy(&event.data)));
            } else {
                summary.is_unreadable = true;
            }
            return false;
        };
        let kind = told.kind.some().map_or(event.name, str::as_bytes);
        self.add(kind, &told, summary, room);
        let held = told.error.and_then(|error| AnswerError::read(error.get()));
        summary.add_error(held.or_else(|| (kind == b"error").then(|| bare_error(&event.data))));
        if let Some(response) = &told.response.0 {
            summary.add_response(response);
        }
        let Some(end) = end_of(kind) else { return false };
        let whole = told.response.0.unwrap_or_default();
        let is_unsaid = summary.text.is_empty() && summary.refusal.is_none() && summary.tool_calls.is_empty();
        if is_unsaid {
            summary.add_output(&whole, room);
        }
        summary.end_response(&whole, Some(end));
        true
    }

    /// Passes an event that is too long to be read; whether it is the terminal one. One that repeats an image can be.
    pub(crate) fn skip(&mut self, name: &[u8], summary: &mut AnswerSummary) -> bool {
        let end = end_of(name);
        if end.is_some() {
            summary.end_response(&Response::default(), end);
        }
        end.is_some()
    }

    fn add(&mut self, kind: &[u8], told: &StreamEvent<'_>, summary: &mut AnswerSummary, room: &mut Room) {
        if kind.ends_with(b".delta") {
            self.add_delta(kind, told, summary, room);
            return;
        }
        let is_done = match kind {
            b"response.output_item.added" => false,
            b"response.output_item.done" => true,
            // An image that is shown while it is being made.
            b"response.image_generation_call.partial_image" => {
                summary.has_content = true;
                return;
            }
            _ => return,
        };
        self.item = told.output_index.0.unwrap_or(self.item);
        let Some(item) = &told.item.0 else { return };
        summary.has_content |= item.is_act() || (is_done && item.has_words());
        summary.add_item_call(self.item, item, room);
        if is_done && !self.has_pieces {
            summary.add_words(item, room);
        }
    }

    fn add_delta(
        &mut self,
        kind: &[u8],
        told: &StreamEvent<'_>,
        summary: &mut AnswerSummary,
        room: &mut Room,
    ) {
        let Some(delta) = told.delta.some() else { return };
        summary.has_content = true;
        match kind {
            b"response.output_text.delta" => {
                self.has_pieces = true;
                summary.add_text(delta, room);
            }
            b"response.refusal.delta" => {
                self.has_pieces = true;
                summary.add_refusal(delta, room);
            }
            b"response.function_call_arguments.delta" | b"response.custom_tool_call_input.delta" => {
                let index = told.output_index.0.unwrap_or(self.item);
                if summary.has_call(index) {
                    let arguments = Arguments::More(delta);
                    summary
                        .add_call(&CallPiece { index: Some(index), arguments, ..CallPiece::default() }, room);
                }
            }
            _ => {}
        }
    }
}

/// How a response ended that ends in this event; `None` when it is not a terminal one.
fn end_of(kind: &[u8]) -> Option<&'static str> {
    Some(match kind {
        b"response.completed" => "completed",
        b"response.failed" => "failed",
        b"response.incomplete" => "incomplete",
        b"response.cancelled" => "cancelled",
        _ => return None,
    })
}

/// An event that is an error itself.
fn bare_error(data: &[u8]) -> AnswerError {
    let error = AnswerError::read(&String::from_utf8_lossy(data)).unwrap_or_default();
    // The event's own type is no class of errors.
    AnswerError { kind: error.kind.filter(|kind| kind != "error"), ..error }
}
