//! Reads a streamed chat completion beside its relay.
//!
//! The reader is shown every chunk as it passes and never holds one up. Three facts matter to the relay at once: whether
//! anything was said yet (until then another target may still answer), whether the stream told of an error, and whether its
//! terminal event was seen (without it, the answer was cut off however whole it looks).

use crate::chat::{Answer, AnswerError, AnswerSummary, Room};
use crate::sse::{Event, Events, Seen};

/// Most choices whose end is followed. The API allows 128.
const CHOICES_MAX: usize = 128;

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
    /// Whether the terminal event, `[DONE]`, was seen.
    pub is_done: bool,
    /// Whether there was a choice and every one of them told how it ended. A stream may end so and yet lack its terminal event.
    pub is_every_choice_finished: bool,
    /// Events with data, the terminal one included.
    pub events: u64,
    /// Events that were too long to be read.
    pub events_too_long: u64,
}

#[derive(Debug, Clone)]
struct Facts {
    answer: AnswerSummary,
    room: Room,
    choices: Vec<ChoiceEnd>,
    is_done: bool,
    events: u64,
    events_too_long: u64,
}

#[derive(Debug, Clone, Copy)]
struct ChoiceEnd {
    index: u64,
    is_finished: bool,
}

impl StreamReader {
    /// A reader that keeps at most so many bytes of what is said.
    pub fn new(kept_bytes_max: usize) -> Self {
        let facts = Facts {
            answer: AnswerSummary::default(),
            room: Room { bytes: kept_bytes_max },
            choices: Vec::new(),
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
        let Facts { answer, choices, is_done, events, events_too_long, .. } = self.facts;
        let is_every_choice_finished = !choices.is_empty() && choices.iter().all(|choice| choice.is_finished);
        StreamSummary { answer, is_done, is_every_choice_finished, events, events_too_long }
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
        }
    }

    fn read(&mut self, event: &Event<'_>) {
        self.events += 1;
        // What follows the terminal event is not part of the answer.
        if self.is_done {
            return;
        }
        if event.data.trim_ascii() == b"[DONE]" {
            self.is_done = true;
            return;
        }
        match serde_json::from_slice::<Answer<'_>>(&event.data) {
            Ok(answer) => {
                self.answer.add(&answer, &mut self.room);
                self.note_ends(&answer);
            }
            Err(_) => self.answer.is_unreadable = true,
        }
        if event.name == b"error" && self.answer.error.is_none() {
            let data = String::from_utf8_lossy(&event.data);
            self.answer.error = Some(AnswerError::unnamed(&data));
        }
    }

    fn note_ends(&mut self, answer: &Answer<'_>) {
        for (index, choice) in answer.choices() {
            let is_finished = choice.finish_reason.some().is_some();
            let has_room = self.choices.len() < CHOICES_MAX;
            match self.choices.iter_mut().find(|known| known.index == index) {
                Some(known) => known.is_finished |= is_finished,
                None if has_room => self.choices.push(ChoiceEnd { index, is_finished }),
                None => self.answer.is_cut = true,
            }
        }
    }
}

#[cfg(test)]
mod tests;
