//! The events of a streamed chat completion.

use crate::answer::{AnswerError, AnswerSummary, Room};
use crate::lenient::read_object;
use crate::sse::Event;

use super::Answer;

/// Most choices whose end is followed. The API allows 128.
const CHOICES_MAX: usize = 128;

/// What is known of a stream beside what it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    choices: Vec<ChoiceEnd>,
}

#[derive(Debug, Clone, Copy)]
struct ChoiceEnd {
    index: u64,
    is_finished: bool,
}

impl Stream {
    /// Reads one event; whether it is the terminal one.
    pub(crate) fn read(&mut self, event: &Event<'_>, summary: &mut AnswerSummary, room: &mut Room) -> bool {
        if event.data.trim_ascii() == b"[DONE]" {
            return true;
        }
        match read_object::<Answer<'_>>(&event.data) {
            // Older servers tell an error without the object around it.
            Ok(answer) if answer.is_nothing() => {
                summary.add(&answer, room);
                summary.add_error(AnswerError::read_bare(&event.data));
            }
            Ok(answer) => {
                summary.add(&answer, room);
                self.note_ends(&answer, summary);
            }
            Err(_) => summary.is_unreadable = true,
        }
        if event.name == b"error" {
            summary.add_error(AnswerError::unnamed(&String::from_utf8_lossy(&event.data)));
        }
        false
    }

    /// Whether there was a choice and every one of them told how it ended.
    pub(crate) fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.is_finished)
    }

    fn note_ends(&mut self, answer: &Answer<'_>, summary: &mut AnswerSummary) {
        for (index, choice) in answer.choices() {
            let is_finished = choice.finish_reason.some().is_some();
            let has_room = self.choices.len() < CHOICES_MAX;
            match self.choices.iter_mut().find(|known| known.index == index) {
                Some(known) => known.is_finished |= is_finished,
                None if has_room => self.choices.push(ChoiceEnd { index, is_finished }),
                None => summary.is_cut = true,
            }
        }
    }
}
