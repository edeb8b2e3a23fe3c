//! Reads a message of Anthropic's: what was said, which tools were called, what it used, how it ended.
//!
//! A message is a list of blocks. The caller's own tools are called in `tool_use` blocks; those that the provider runs itself
//! count as something that was said, and so do thoughts. It never fails, as with the other APIs.

use crate::answer::{AnswerError, AnswerSummary, Arguments, CallPiece, Room, label};
use crate::lenient::{LIST_ITEMS_MAX, Text, read_object};
use shape::{Block, Count, Message, UsageFields};

pub(crate) use stream::Stream;

mod shape;
mod stream;

/// Reads the body of a plain answer, or of an error.
pub(crate) fn read_plain(
    body: &[u8],
    summary: &mut AnswerSummary,
    room: &mut Room,
) -> Result<(), serde_json::Error> {
    let message = read_object::<Message<'_>>(body)?;
    summary.usage = message.usage.0.as_ref().and_then(UsageFields::usage);
    summary.error = message.error.and_then(|error| AnswerError::read(error.get()));
    summary.add_message(&message, room);
    Ok(())
}

/// Reads the answer of the token counting API. What is counted was not used, and nobody is billed for it.
pub(crate) fn read_count(body: &[u8], summary: &mut AnswerSummary) -> Result<(), serde_json::Error> {
    let count = read_object::<Count<'_>>(body)?;
    summary.error = count.error.and_then(|error| AnswerError::read(error.get()));
    summary.has_content = crate::answer::believed(count.input_tokens).is_some();
    Ok(())
}

impl AnswerSummary {
    /// Adds what a message tells beside its usage: a plain answer tells all of it, the start of a stream the beginning.
    fn add_message(&mut self, message: &Message<'_>, room: &mut Room) {
        label(&mut self.id, &message.id);
        label(&mut self.model, &message.model);
        let blocks = message.content.0.as_deref().unwrap_or_default();
        self.is_cut |= blocks.len() == LIST_ITEMS_MAX;
        for (index, block) in blocks.iter().enumerate() {
            if let Some(block) = &block.0 {
                self.add_block(index as u64, block, room);
            }
        }
        self.end_message(&message.stop_reason);
    }

    fn add_block(&mut self, index: u64, block: &Block<'_>, room: &mut Room) {
        self.has_content |= block.has_content();
        match block.kind.some() {
            Some("text") => self.add_text(block.text.some().unwrap_or_default(), room),
            Some("tool_use") => {
                // A stream's blocks begin with an empty input and tell it in pieces, unless there is none.
                let arguments = block.input.map_or(Arguments::Untold, |input| Arguments::Whole(input.get()));
                let (id, name) = (block.id.some(), block.name.some());
                self.add_call(&CallPiece { index: Some(index), id, name, arguments }, room);
            }
            _ => {}
        }
    }

    fn end_message(&mut self, stop_reason: &Text<'_>) {
        self.end(stop_reason, |reason| reason == "refusal");
    }
}

#[cfg(test)]
mod tests;
