//! The chunks of a chat completion as a streamed message.
//!
//! The last events wait for `[DONE]`: what was used is told after the reason why the answer ended.

use serde_json::json;

use super::Progress;
use super::blocks::{Block, Blocks, write_event};
use crate::answer::shortened;
use crate::sse::Event;
use crate::translate::answer::chat::{Chat, Kind, made_up_answer_id};
use crate::translate::answer::ending::{Deeds, Ending};
use crate::translate::answer::json;
use crate::translate::answer::usage::Tokens;
use crate::translate::{BadAnswer, Way, error};

#[derive(Debug, Clone)]
pub(super) struct Translator {
    created: i64,
    /// Whether what was thought is told.
    has_thinking: bool,
    /// `None` until the first chunk that has a choice: before it, some servers tell what their filters think of the prompt, in
    /// chunks that do not name the answer yet.
    blocks: Option<Blocks>,
    refused: bool,
    finish_reason: Option<String>,
    tokens: Tokens,
}

impl Translator {
    pub(super) fn new(created: i64, has_thinking: bool) -> Self {
        Self {
            created,
            has_thinking,
            blocks: None,
            refused: false,
            finish_reason: None,
            tokens: Tokens::default(),
        }
    }

    pub(super) fn read(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<Progress, BadAnswer> {
        if event.data.trim_ascii() == b"[DONE]" {
            return self.end(out);
        }
        if event.name == b"error" {
            return tell_error(&event.data, out);
        }
        let chat: Chat<'_> = json::object(&event.data)?;
        if chat.error.is_some() {
            return tell_error(&event.data, out);
        }
        self.tokens = chat.tokens().unwrap_or(self.tokens);
        let Some(choice) = chat.choice()? else { return Ok(Progress::More) };
        if self.blocks.is_none() {
            self.start(&chat, out)?;
        }
        let blocks = self.blocks.as_mut().ok_or(BadAnswer)?;
        if let Some(said) = choice.said() {
            said.each_piece(|kind, text| {
                self.refused |= kind == Kind::Refusal;
                let block = match kind {
                    Kind::Thinking if !self.has_thinking => return Ok(()),
                    Kind::Thinking => Block::Thinking,
                    Kind::Text | Kind::Refusal => Block::Text,
                };
                blocks.say(block, text, out)
            })?;
            for call in said.calls()? {
                blocks.call(&call, out)?;
            }
        }
        if let Some(finish_reason) = choice.finish_reason.some() {
            self.finish_reason = Some(shortened(finish_reason));
        }
        Ok(Progress::More)
    }

    fn start(&mut self, chat: &Chat<'_>, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let made_up = made_up_answer_id(self.created);
        let id = shortened(chat.id.some().unwrap_or(&made_up));
        let message = json!({
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": shortened(chat.model.some().unwrap_or_default()),
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": self.tokens.in_message(),
        });
        self.blocks = Some(Blocks::new(id, self.created));
        write_event("message_start", &json!({ "type": "message_start", "message": message }), out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<Progress, BadAnswer> {
        let blocks = self.blocks.as_mut().ok_or(BadAnswer)?;
        let deeds = Deeds { called: blocks.has_calls(), refused: self.refused };
        let finish_reason = self.finish_reason.as_deref().ok_or(BadAnswer)?;
        let ending = Ending::of_chat(finish_reason, deeds).ok_or(BadAnswer)?;
        blocks.finish(ending, out)?;
        let delta = json!({ "stop_reason": ending.stop_reason(), "stop_sequence": null });
        let usage = self.tokens.in_message();
        write_event(
            "message_delta",
            &json!({ "type": "message_delta", "delta": delta, "usage": usage }),
            out,
        )?;
        write_event("message_stop", &json!({ "type": "message_stop" }), out)?;
        Ok(Progress::Over)
    }
}

fn tell_error(data: &[u8], out: &mut Vec<u8>) -> Result<Progress, BadAnswer> {
    write_event("error", &error::in_stream(Way::MessagesToChat, data), out)?;
    Ok(Progress::Over)
}
