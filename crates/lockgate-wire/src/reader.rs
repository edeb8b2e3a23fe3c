//! Reads an answer of any API, plain or streamed, beside its relay.
//!
//! It never fails: that something could not be read is one of the facts. The reader of a stream is shown every piece as it
//! passes and never holds one up. Three facts matter to the relay at once: whether anything was said yet (until then another
//! target may still answer), whether the stream told of an error, and whether its terminal event was seen (without it, the
//! answer was cut off however whole it looks).

use crate::answer::{AnswerError, AnswerSummary, Room};
use crate::api::Api;
use crate::lenient::last_of_each;
use crate::sse::{Event, Events, Seen};
use crate::{chat, embeddings, messages, responses};

pub use error_event::is_error_event;

mod error_event;

/// Reads the body of a plain answer, or of an error.
pub fn read_plain(api: Api, body: &[u8]) -> AnswerSummary {
    let mut summary = AnswerSummary::default();
    let mut room = Room { bytes: body.len() };
    let mut read = |body: &[u8]| match api {
        Api::Chat => chat::read_plain(body, &mut summary, &mut room),
        Api::Responses => responses::read_plain(body, &mut summary, &mut room),
        Api::Embeddings => embeddings::read_plain(body, &mut summary),
        Api::Messages => messages::read_plain(body, &mut summary, &mut room),
        Api::CountTokens => messages::read_count(body, &mut summary),
    };
    // What cannot be read adds nothing, so it can be read again without what it says twice.
    let is_read = read(body).is_ok() || last_of_each(body).is_some_and(|body| read(&body).is_ok());
    summary.is_unreadable = !is_read;
    if summary.is_nothing() {
        summary.error = AnswerError::read_bare(body);
        summary.is_unreadable &= summary.error.is_none();
    }
    summary
}

/// Reads one stream.
#[derive(Debug, Clone)]
pub struct StreamReader {
    events: Events,
    facts: Facts,
}

/// What a stream held, once it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// What was said.
    pub answer: AnswerSummary,
    /// Whether the terminal event was seen: `[DONE]`, `message_stop`, or a response's own last word.
    pub is_done: bool,
    /// Whether everything that began told how it ended. A stream may end so and yet lack its terminal event.
    pub is_finished: bool,
    /// Events with data, the terminal one included.
    pub events: u64,
    /// Events that were too long to be read.
    pub events_too_long: u64,
}

#[derive(Debug, Clone)]
struct Facts {
    answer: AnswerSummary,
    room: Room,
    stream: Stream,
    is_done: bool,
    events: u64,
    events_too_long: u64,
}

/// What each API's streams are made of.
#[derive(Debug, Clone)]
enum Stream {
    Chat(chat::Stream),
    Messages(messages::Stream),
    Responses(responses::Stream),
    /// An API that has no streams.
    None,
}

impl StreamReader {
    /// A reader that keeps at most so many bytes of what is said.
    pub fn new(api: Api, kept_bytes_max: usize) -> Self {
        let stream = match api {
            Api::Chat => Stream::Chat(chat::Stream::default()),
            Api::Messages => Stream::Messages(messages::Stream::default()),
            Api::Responses => Stream::Responses(responses::Stream::default()),
            Api::Embeddings | Api::CountTokens => Stream::None,
        };
        let facts = Facts {
            answer: AnswerSummary::default(),
            room: Room { bytes: kept_bytes_max },
            stream,
            is_done: false,
            events: 0,
            events_too_long: 0,
        };
        Self { events: Events::default(), facts }
    }

    /// Takes the next chunk, however the network cut it.
    pub fn push(&mut self, chunk: &[u8]) {
        self.events.push(chunk, |seen| self.facts.see(seen));
    }

    /// Whether something was said: text, a refusal, reasoning, audio or a tool call. A chunk that only names a role is nothing.
    pub fn has_content(&self) -> bool {
        self.facts.answer.has_content
    }

    /// What the stream said went wrong.
    pub fn error(&self) -> Option<&AnswerError> {
        self.facts.answer.error.as_ref()
    }

    /// Whether the terminal event was seen.
    pub fn is_done(&self) -> bool {
        self.facts.is_done
    }

    /// What was read so far.
    pub fn answer(&self) -> &AnswerSummary {
        &self.facts.answer
    }

    /// Reads the event that the stream ended in. To be called when no more chunks come: a server that forgets the blank line
    /// after its terminal event has ended its answer all the same.
    pub fn close(&mut self) {
        let was_unreadable = self.facts.answer.is_unreadable;
        self.events.finish(|seen| self.facts.see(seen));
        // An event that the stream ended in the middle of is no fault of the format: that the end is missing says it all.
        self.facts.answer.is_unreadable = was_unreadable;
    }

    /// Ends the reading.
    pub fn finish(mut self) -> StreamSummary {
        self.close();
        let Facts { answer, stream, is_done, events, events_too_long, .. } = self.facts;
        let is_finished = match stream {
            Stream::Chat(chat) => chat.is_finished(),
            Stream::Messages(_) | Stream::Responses(_) | Stream::None => is_done,
        };
        StreamSummary { answer, is_done, is_finished, events, events_too_long }
    }
}

impl Facts {
    fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Event(event) => self.read(&event),
            Seen::TooLong => {
                self.events_too_long += 1;
                self.answer.is_cut = true;
            }
            Seen::Skipped(name) => {
                if let (Stream::Responses(stream), false) = (&mut self.stream, self.is_done) {
                    self.is_done = stream.skip(name, &mut self.answer);
                }
            }
        }
    }

    fn read(&mut self, event: &Event<'_>) {
        self.events += 1;
        // What follows the terminal event is not part of the answer, and an event without anything in it keeps a line open.
        if self.is_done || event.data.trim_ascii().is_empty() {
            return;
        }
        let was_unreadable = std::mem::replace(&mut self.answer.is_unreadable, false);
        self.is_done = self.stream.read(event, &mut self.answer, &mut self.room);
        // An event that cannot be read adds nothing, so it can be read again without what it says twice.
        if self.answer.is_unreadable
            && let Some(data) = last_of_each(&event.data)
        {
            self.answer.is_unreadable = false;
            let event = Event { name: event.name, data: data.into() };
            self.is_done = self.stream.read(&event, &mut self.answer, &mut self.room);
        }
        self.answer.is_unreadable |= was_unreadable;
    }
}

impl Stream {
    /// Reads one event; whether it is the terminal one.
    fn read(&mut self, event: &Event<'_>, answer: &mut AnswerSummary, room: &mut Room) -> bool {
        match self {
            Self::Chat(stream) => stream.read(event, answer, room),
            Self::Messages(stream) => stream.read(event, answer, room),
            Self::Responses(stream) => stream.read(event, answer, room),
            Self::None => {
                answer.is_unreadable = true;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
