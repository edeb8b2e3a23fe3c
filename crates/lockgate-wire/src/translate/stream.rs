//! Translates streams, event by event.
//!
//! Nothing is held back that can be told, and what cannot be told yet is held within named bounds. Only the terminal event of
//! the target's stream gives the terminal event of the caller's, so that an answer which breaks off looks broken off in either
//! form. An error inside the stream is told in the caller's form, and nothing follows it.

mod chunks;
mod from_messages;
mod message_events;

mod blocks;
mod calls;
mod from_chat;

use std::borrow::Cow;

use super::{BadAnswer, Wanted, Way};
use crate::lenient::last_of_each;
use crate::sse::{BYTE_ORDER_MARK, Event, on_event};

/// Translates one stream.
#[derive(Debug, Clone)]
pub struct StreamTranslator {
    state: State,
    is_begun: bool,
}

#[derive(Debug, Clone)]
enum State {
    /// A message is told as a chat completion.
    FromMessages(from_messages::Translator),
    /// A chat completion is told as a message.
    FromChat(from_chat::Translator),
    /// The last event was told. What follows is no part of the answer.
    Over,
    /// An event was not what it should have been. Nothing may be told after it.
    Broken,
}

/// What an event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    More,
    Over,
}

impl StreamTranslator {
    /// A translator. `created` is in seconds since 1970 for a form that tells it; for a message it is any number that differs from
    /// answer to answer, by which one without an id is named.
    pub fn new(way: Way, created: i64, wanted: Wanted) -> Self {
        let state = match way {
            Way::ChatToMessages => {
                State::FromMessages(from_messages::Translator::new(created, wanted.usage_chunk))
            }
            Way::MessagesToChat => State::FromChat(from_chat::Translator::new(created, wanted.thinking)),
        };
        Self { state, is_begun: false }
    }

    /// Takes one whole event as it came, its blank line included, and adds what the caller is to be told to `out`, in whole
    /// events. The terminal event of the target's gives the terminal event of the caller's. A bad event adds nothing, and
    /// every later one is bad too.
    pub fn push(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let event = match std::mem::replace(&mut self.is_begun, true) {
            false => event.strip_prefix(BYTE_ORDER_MARK).unwrap_or(event),
            true => event,
        };
        let told = out.len();
        let mut progress = Ok(Progress::More);
        on_event(event, |event| progress = self.state.read(&event, out));
        match progress {
            Ok(Progress::More) => Ok(()),
            Ok(Progress::Over) => {
                self.state = State::Over;
                Ok(())
            }
            Err(BadAnswer) => {
                self.state = State::Broken;
                out.truncate(told);
                Err(BadAnswer)
            }
        }
    }
}

impl State {
    fn read(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<Progress, BadAnswer> {
        if event.data.trim_ascii().is_empty() {
            return Ok(Progress::More);
        }
        // An event that was read in part cannot be read again, so this comes first.
        let once = last_of_each(&event.data);
        let event =
            &Event { name: event.name, data: once.map_or_else(|| Cow::Borrowed(&*event.data), Cow::Owned) };
        match self {
            Self::FromMessages(translator) => translator.read(event, out),
            Self::FromChat(translator) => translator.read(event, out),
            Self::Over => Ok(Progress::More),
            Self::Broken => Err(BadAnswer),
        }
    }
}

#[cfg(test)]
mod tests;
