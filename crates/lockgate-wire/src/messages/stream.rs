//! The events of a streamed message.

use crate::answer::{AnswerError, AnswerSummary, Arguments, CallPiece, Room};
use crate::lenient::read_object;
use crate::sse::Event;

use super::shape::{StreamEvent, UsageFields};

/// What is known of a stream beside what it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    usage: UsageFields,
    /// The block that began last, which an event without an index belongs to.
    block: u64,
}

impl Stream {
    /// Reads one event; whether it is the terminal one.
    pub(crate) fn read(&mut self, event: &Event<'_>, summary: &mut AnswerSummary, room: &mut Room) -> bool {
        // Some gateways end every stream as another API does. It ends nothing here.
        if event.name == b"ping" || event.data.trim_ascii() == b"[DONE]" {
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
        if let Some(error) = told.error.and_then(|error| AnswerError::read(error.get())) {
            summary.add_error(error);
        } else if kind == b"error" {
            summary.add_error(AnswerError::unnamed(&String::from_utf8_lossy(&event.data)));
        }
        kind == b"message_stop"
    }

    fn add(&mut self, kind: &[u8], told: &StreamEvent<'_>, summary: &mut AnswerSummary, room: &mut Room) {
        match kind {
            b"message_start" => {
                if let Some(message) = &told.message.0 {
                    summary.add_message(message, room);
                    self.add_usage(message.usage.0.as_ref(), summary);
                }
            }
            b"content_block_start" => {
                self.block = told.index.0.unwrap_or(self.block.saturating_add(1));
                if let Some(block) = &told.content_block.0 {
                    summary.add_block(self.block, block, room);
                }
            }
            b"content_block_delta" => self.add_delta(told, summary, room),
            b"message_delta" => {
                if let Some(delta) = &told.delta.0 {
                    summary.end_message(&delta.stop_reason);
                }
                self.add_usage(told.usage.0.as_ref(), summary);
            }
            _ => {}
        }
    }

    fn add_delta(&self, told: &StreamEvent<'_>, summary: &mut AnswerSummary, room: &mut Room) {
        let Some(delta) = &told.delta.0 else { return };
        summary.has_content |= delta.has_content();
        if let Some(text) = delta.text.some() {
            summary.add_text(text, room);
        }
        let index = told.index.0.unwrap_or(self.block);
        // The provider's own tools are called in pieces too, and those calls are not kept.
        if let Some(json) = delta.partial_json.some().filter(|_| summary.has_call(index)) {
            let piece =
                CallPiece { index: Some(index), arguments: Arguments::More(json), ..CallPiece::default() };
            summary.add_call(&piece, room);
        }
    }

    fn add_usage(&mut self, usage: Option<&UsageFields>, summary: &mut AnswerSummary) {
        if let Some(usage) = usage {
            self.usage.update(usage);
            summary.usage = self.usage.usage();
        }
    }
}
