//! The content blocks of a streamed message, told one after another.
//!
//! Chunks of a chat completion may go to and fro between their tool calls, while a message finishes a block before it begins
//! the next. So the first unfinished block is told as it comes, and those after it wait: words are finished when anything else
//! begins, a call when the object of its arguments has ended. Models write one call after another, so in practice nothing
//! waits; where it does, it is within [`HELD_BYTES_MAX`], and at the end everything is told in order.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::calls::Calls;
use crate::sse::EVENT_BYTES_MAX;
use crate::translate::BadAnswer;
use crate::translate::answer::chat::{Call, made_up_id};
use crate::translate::answer::ending::Ending;
use crate::translate::answer::json;

/// Most that is held of what cannot be told yet, and of arguments that have yet to prove to be JSON: as much as one event that
/// carries it all may have.
pub(super) const HELD_BYTES_MAX: usize = EVENT_BYTES_MAX;

/// The blocks of one message.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    created: i64,
    /// The answer's, after which calls are named that have no id.
    answer_id: String,
    next_index: u64,
    open: Option<Block>,
    waiting: VecDeque<Waiting>,
    calls: Calls,
    held: usize,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Thinking,
    Text,
    /// The call at this place.
    Call(usize),
}

#[derive(Debug, Clone)]
struct Waiting {
    block: Block,
    /// What is to be said; the arguments of calls are kept with them.
    text: String,
}

impl Blocks {
    pub(super) fn new(answer_id: String, created: i64) -> Self {
        Self {
            created,
            answer_id,
            next_index: 0,
            open: None,
            waiting: VecDeque::new(),
            calls: Calls::default(),
            held: 0,
        }
    }

    /// Whether a tool was called.
    pub(super) fn has_calls(&self) -> bool {
        self.calls.has_named()
    }

    /// Says some words.
    pub(super) fn say(&mut self, block: Block, text: &str, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        if self.waiting.is_empty() && self.open == Some(block) {
            return self.write_delta(block, text, out);
        }
        self.hold(text.len())?;
        match self.waiting.back_mut() {
            Some(last) if last.block == block => last.text.push_str(text),
            _ => self.waiting.push_back(Waiting { block, text: text.to_owned() }),
        }
        self.advance(out)
    }

    /// Takes a call, or a piece of one. It has its place once its tool is named, and does not hold up what is said until then.
    pub(super) fn call(&mut self, piece: &Call<'_>, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        self.hold(piece.arguments()?.len())?;
        let (at, is_named) = self.calls.add(piece)?;
        if is_named {
            self.waiting.push_back(Waiting { block: Block::Call(at), text: String::new() });
        } else if self.open == Some(Block::Call(at)) {
            let untold = self.calls.get(at)?.untold().to_owned();
            self.write_delta(Block::Call(at), &untold, out)?;
        }
        self.advance(out)
    }

    /// Tells what waits and ends the last block. Where the room for tokens ran out inside the last call, what there is of it
    /// stands, as in a message that was cut off there.
    pub(super) fn finish(&mut self, ending: Ending, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let is_cut_short = ending == Ending::CutShort;
        self.calls.check_names(is_cut_short)?;
        loop {
            let is_last_call = !self.waiting.iter().any(|next| matches!(next.block, Block::Call(_)));
            if let Some(Block::Call(at)) = self.open
                && is_cut_short
                && is_last_call
            {
                self.calls.get(at)?.give_up();
            }
            self.close(out)?;
            match self.waiting.pop_front() {
                Some(next) => self.open(&next, out)?,
                None => return Ok(()),
            }
        }
    }

    /// Tells what can be told of what waits.
    fn advance(&mut self, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        while !self.waiting.is_empty() {
            let is_unfinished = match self.open {
                Some(Block::Call(at)) => !self.calls.get(at)?.is_whole(),
                Some(Block::Thinking | Block::Text) | None => false,
            };
            if is_unfinished {
                break;
            }
            self.close(out)?;
            if let Some(next) = self.waiting.pop_front() {
                self.open(&next, out)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, next: &Waiting, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let (start, said) = match next.block {
            Block::Thinking => {
                (json!({ "type": "thinking", "thinking": "", "signature": "" }), next.text.clone())
            }
            Block::Text => (json!({ "type": "text", "text": "" }), next.text.clone()),
            Block::Call(at) => {
                let call = self.calls.get(at)?;
                let name = call.name.clone().ok_or(BadAnswer)?;
                let made_up = || made_up_id(&self.answer_id, self.created, at);
                let id = call.id.clone().unwrap_or_else(made_up);
                let start = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                (start, call.untold().to_owned())
            }
        };
        self.open = Some(next.block);
        self.held -= next.text.len().min(self.held);
        let index = self.next_index;
        let start = json!({ "type": "content_block_start", "index": index, "content_block": start });
        write_event("content_block_start", &start, out)?;
        self.write_delta(next.block, &said, out)
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let Some(open) = self.open.take() else { return Ok(()) };
        if let Block::Call(at) = open {
            let call = self.calls.get(at)?;
            self.held -= call.held().min(self.held);
            call.close()?;
        }
        let stop = json!({ "type": "content_block_stop", "index": self.next_index });
        self.next_index += 1;
        write_event("content_block_stop", &stop, out)
    }

    fn write_delta(&self, block: Block, text: &str, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        if text.is_empty() {
            return Ok(());
        }
        let delta = match block {
            Block::Thinking => json!({ "type": "thinking_delta", "thinking": text }),
            Block::Text => json!({ "type": "text_delta", "text": text }),
            Block::Call(_) => json!({ "type": "input_json_delta", "partial_json": text }),
        };
        let delta = json!({ "type": "content_block_delta", "index": self.next_index, "delta": delta });
        write_event("content_block_delta", &delta, out)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), BadAnswer> {
        self.held += bytes;
        if self.held > HELD_BYTES_MAX { Err(BadAnswer) } else { Ok(()) }
    }
}

/// Writes an event as Anthropic does.
pub(super) fn write_event(name: &str, data: &Value, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    json::write(out, data)?;
    out.extend_from_slice(b"\n\n");
    Ok(())
}
