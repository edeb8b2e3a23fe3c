//! Reads a response of `OpenAI`'s responses API: what was said, which tools were called, what it used, how it ended.
//!
//! A response is a list of items. Those that call one of the caller's own functions or tools are kept as calls; whatever else a
//! tool leaves there counts as something that was said, and so do thoughts. A response that is made in the background is
//! answered at once and read later under its id: that it is queued is a good answer. It never fails, as with the other APIs.

use crate::answer::{AnswerError, AnswerSummary, Arguments, CallPiece, Room, label};
use crate::lenient::{LIST_ITEMS_MAX, read_object};
use shape::{Item, Response, UsageFields};

pub(crate) use stream::Stream;

mod shape;
mod stream;

/// Reads the body of a plain answer, or of an error.
pub(crate) fn read_plain(
    body: &[u8],
    summary: &mut AnswerSummary,
    room: &mut Room,
) -> Result<(), serde_json::Error> {
    let response = read_object::<Response<'_>>(body)?;
    summary.add_response(&response);
    summary.add_output(&response, room);
    summary.end_response(&response, None);
    summary.has_content |= matches!(response.status.some(), Some("queued" | "in_progress"));
    Ok(())
}

impl AnswerSummary {
    /// Adds what a response tells of itself, which every event of a stream that carries one repeats.
    fn add_response(&mut self, response: &Response<'_>) {
        label(&mut self.id, &response.id);
        label(&mut self.model, &response.model);
        if let Some(usage) = response.usage.0.as_ref().and_then(UsageFields::usage) {
            self.usage = Some(usage);
        }
        self.add_error(response.error.and_then(|error| AnswerError::read(error.get())));
    }

    /// Adds everything that a whole response says.
    fn add_output(&mut self, response: &Response<'_>, room: &mut Room) {
        let items = response.output.0.as_deref().unwrap_or_default();
        self.is_cut |= items.len() == LIST_ITEMS_MAX;
        for (index, item) in items.iter().enumerate() {
            if let Some(item) = &item.0 {
                self.has_content |= item.is_act() || item.has_words() || item.is_reasoning();
                self.add_words(item, room);
                self.add_item_call(index as u64, item, room);
            }
        }
    }

    fn add_words(&mut self, item: &Item<'_>, room: &mut Room) {
        for part in item.said() {
            if let Some(text) = part.text.some() {
                self.add_text(text, room);
            }
            if let Some(refusal) = part.refusal.some() {
                self.add_refusal(refusal, room);
            }
        }
    }

    fn add_item_call(&mut self, index: u64, item: &Item<'_>, room: &mut Room) {
        let Some(told) = item.call_arguments() else { return };
        let arguments = told.some().map_or(Arguments::Untold, Arguments::Whole);
        let id = item.call_id.some().or_else(|| item.id.some());
        self.add_call(&CallPiece { index: Some(index), id, name: item.name.some(), arguments }, room);
    }

    /// Notes how a response ended: why it is incomplete, else its status, else how the event that ends it is called.
    fn end_response(&mut self, response: &Response<'_>, name: Option<&str>) {
        let why = response.incomplete_details.0.as_ref().map(|details| &details.reason);
        let why = why.filter(|reason| reason.some().is_some()).unwrap_or(&response.status);
        self.end(why, |reason| reason == "content_filter");
        if self.finish_reason.is_none() {
            self.finish_reason = name.map(str::to_owned);
        }
        if self.finish_reason.as_deref() == Some("failed") {
            self.add_error(AnswerError::unnamed("The response failed."));
        }
    }
}

#[cfg(test)]
mod tests;
