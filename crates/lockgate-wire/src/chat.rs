//! Reads a chat completion: what was said, which tools were called, what it used, how it ended.
//!
//! The same reader serves plain answers and the chunks of a stream (`Stream`), since the two differ in one name
//! (`message`, `delta`). It never fails: an answer that cannot be read is relayed like any other, and that it could not be
//! read is one of the facts.

use crate::answer::{AnswerSummary, Arguments, CallPiece, Room, label};
use crate::lenient::read_object;
use shape::{FunctionDelta, Said, ToolDelta};

pub(crate) use shape::{Answer, UsageFields};
pub(crate) use stream::Stream;
pub use usage_chunk::is_usage_chunk;

mod shape;
mod stream;
mod usage_chunk;

/// Reads the body of a plain answer, or of an error.
pub(crate) fn read_plain(
    body: &[u8],
    summary: &mut AnswerSummary,
    room: &mut Room,
) -> Result<(), serde_json::Error> {
    read_object::<Answer<'_>>(body).map(|answer| summary.add(&answer, room))
}

/// Whether an answer that ended so was ended by the provider's filter. Google's servers tell their own reasons, some of them
/// behind the usual word.
fn is_filter(reason: &str) -> bool {
    let google = ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"];
    reason.starts_with("content_filter") || google.contains(&reason.strip_prefix("IMAGE_").unwrap_or(reason))
}

impl AnswerSummary {
    /// Adds what one piece tells: a plain answer is a single piece, a stream has many.
    pub(crate) fn add(&mut self, answer: &Answer<'_>, room: &mut Room) {
        label(&mut self.id, &answer.id);
        label(&mut self.model, &answer.model);
        label(&mut self.system_fingerprint, &answer.system_fingerprint);
        if let Some(usage) = answer.usage() {
            self.usage = Some(usage);
        }
        self.add_error(answer.error());
        let mut is_first = true;
        for (index, choice) in answer.choices() {
            let said = choice.said();
            self.has_content |= said.is_some_and(Said::has_content);
            self.add_error(choice.error());
            // Some servers number none of several choices, or all alike. Clients take what comes first.
            if index != 0 || !std::mem::replace(&mut is_first, false) {
                continue;
            }
            if let Some(said) = said {
                self.add_said(said, room);
            }
            self.end(&choice.finish_reason, is_filter);
        }
    }

    fn add_said(&mut self, said: &Said<'_>, room: &mut Room) {
        for part in said.content.parts() {
            self.add_text(part, room);
        }
        if let Some(refusal) = said.refusal.some() {
            self.add_refusal(refusal, room);
        }
        for call in said.tool_calls.0.iter().flatten().filter_map(|call| call.0.as_ref()) {
            self.add_tool_delta(call, room);
        }
        if let Some(function) = &said.function_call.0 {
            self.add_function(CallPiece { index: Some(0), ..CallPiece::default() }, function, room);
        }
    }

    fn add_tool_delta(&mut self, call: &ToolDelta<'_>, room: &mut Room) {
        let piece = CallPiece { index: call.index.0, id: call.id.some(), ..CallPiece::default() };
        match &call.function.0 {
            Some(function) => self.add_function(piece, function, room),
            None => self.add_call(&piece, room),
        }
    }

    fn add_function(&mut self, piece: CallPiece<'_>, function: &FunctionDelta<'_>, room: &mut Room) {
        let told = function.arguments();
        let arguments = told.as_deref().map_or(Arguments::Untold, Arguments::More);
        self.add_call(&CallPiece { name: function.name.some(), arguments, ..piece }, room);
    }
}

#[cfg(test)]
mod tests;
