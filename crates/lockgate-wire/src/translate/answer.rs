//! Translates plain answers.
//!
//! What an answer means carries over: what was thought and said, the tools that are called, how it ended and what it used.
//! What only one form can say (citations, tools that ran at the provider, encrypted thinking, log probabilities, further
//! choices) is left out. An answer that does not tell how it ended is not taken for a whole one.
//!
//! The parts that plain answers and streams share are in here too: [`ending`], [`usage`], and [`chat`] and [`json`] to read by.

pub(super) mod chat;
pub(super) mod ending;
mod from_chat;
mod from_messages;
pub(super) mod json;
pub(super) mod usage;

use super::{BadAnswer, Wanted, Way};
use crate::lenient::last_of_each;

/// A target's plain answer in the form that the caller expects. `created` is in seconds since 1970 for a form
/// that tells it; for a message it is any number that differs from answer to answer, by which one without an id is named.
pub fn answer(way: Way, body: &[u8], created: i64, wanted: Wanted) -> Result<Vec<u8>, BadAnswer> {
    let translate = |body: &[u8]| match way {
        Way::ChatToMessages => from_messages::answer(body, created),
        Way::MessagesToChat => from_chat::answer(body, created, wanted.thinking),
    };
    // Bytes that are no text make an answer unreadable to the reader beside this too, wherever they stand.
    std::str::from_utf8(body).map_err(|_| BadAnswer)?;
    translate(body).or_else(|bad| translate(&last_of_each(body).ok_or(bad)?))
}

#[cfg(test)]
mod tests;
