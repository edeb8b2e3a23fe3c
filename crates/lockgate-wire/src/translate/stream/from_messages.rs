//! A streamed message as chunks of a chat completion.

use serde_json::value::RawValue;

use super::Progress;
use super::chunks::Chunks;
use super::message_events::{BlockStart, Data, Delta, Start};
use crate::answer::shortened;
use crate::sse::Event;
use crate::translate::answer::chat::made_up_id;
use crate::translate::answer::ending::Ending;
use crate::translate::answer::json;
use crate::translate::answer::usage::Tokens;
use crate::translate::{BadAnswer, Way, error};

/// Most blocks that are under way at a time. The API has one.
pub(super) const BLOCKS_OPEN_MAX: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Translator {
    created: i64,
    include_usage: bool,
    /// Known from the first event.
    chunks: Option<Chunks>,
    blocks: Vec<(u64, Block)>,
    calls: usize,
    tokens: Tokens,
    ending: Option<Ending>,
}

/// A block under way.
#[derive(Debug, Clone)]
enum Block {
    Text,
    Thinking,
    /// A call of a tool, its place among the calls, and what was told of its arguments.
    Call {
        at: usize,
        told: Told,
    },
    /// One that a chat completion cannot say.
    LeftOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Pieces,
    /// All, since the block began with them; what follows would say them again.
    All,
}

impl Translator {
    pub(super) fn new(created: i64, include_usage: bool) -> Self {
        Self {
            created,
            include_usage,
            chunks: None,
            blocks: Vec::new(),
            calls: 0,
            tokens: Tokens::default(),
            ending: None,
        }
    }

    pub(super) fn read(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<Progress, BadAnswer> {
        // Clients go by the name of a ping, whatever it holds. Some gateways end every stream as another API does; it ends
        // nothing here.
        if event.name == b"ping" || event.data.trim_ascii() == b"[DONE]" {
            return Ok(Progress::More);
        }
        let data: Data<'_> = json::object(&event.data)?;
        let name = String::from_utf8_lossy(event.name);
        match data.kind.some().unwrap_or(&name) {
            "message_start" => self.start(&data.message.0.ok_or(BadAnswer)?, out)?,
            "content_block_start" => {
                let index = data.index.0.ok_or(BadAnswer)?;
                self.start_block(index, &data.content_block.0.ok_or(BadAnswer)?, out)?;
            }
            "content_block_delta" => {
                let index = data.index.0.ok_or(BadAnswer)?;
                self.continue_block(index, &data.delta.0.ok_or(BadAnswer)?, out)?;
            }
            "content_block_stop" => self.stop_block(data.index.0.ok_or(BadAnswer)?, out)?,
            "message_delta" => {
                if let Some(usage) = &data.usage.0 {
                    self.tokens.update(usage);
                }
                let told = data.delta.0.as_ref().and_then(|delta| delta.stop_reason.some());
                self.ending = told.map(Ending::of_message).or(self.ending);
            }
            "message_stop" => return self.end(out),
            "error" => {
                out.extend_from_slice(b"data: ");
                json::write(out, &error::in_stream(Way::ChatToMessages, &event.data))?;
                out.extend_from_slice(b"\n\n");
                return Ok(Progress::Over);
            }
            // Pings, and what will be invented.
            _ => {}
        }
        Ok(Progress::More)
    }

    fn start(&mut self, message: &Start<'_>, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        if self.chunks.is_some() {
            return Err(BadAnswer);
        }
        if let Some(usage) = &message.usage.0 {
            self.tokens.update(usage);
        }
        let chunks = Chunks {
            id: shortened(message.id.some().unwrap_or_default()),
            model: shortened(message.model.some().unwrap_or_default()),
            created: self.created,
            include_usage: self.include_usage,
        };
        self.chunks.insert(chunks).start(out)
    }

    fn start_block(
        &mut self,
        index: u64,
        start: &BlockStart<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), BadAnswer> {
        let is_known = self.blocks.iter().any(|(known, _)| *known == index);
        if is_known || self.blocks.len() == BLOCKS_OPEN_MAX {
            return Err(BadAnswer);
        }
        let block = match start.kind.some().ok_or(BadAnswer)? {
            "text" => {
                self.chunks()?.text(start.text.some().unwrap_or_default(), out)?;
                Block::Text
            }
            "thinking" => {
                self.chunks()?.thinking(start.thinking.some().unwrap_or_default(), out)?;
                Block::Thinking
            }
            "tool_use" => {
                let at = self.calls;
                let chunks = self.chunks()?;
                let made_up = || made_up_id(&chunks.id, self.created, at);
                let id = start.id.some().map_or_else(made_up, str::to_owned);
                chunks.start_call(at, &id, start.name.some().ok_or(BadAnswer)?, out)?;
                let input = start.input.map(|input| json::compact_object(input.get())).transpose()?;
                let told = match input.as_deref().map(RawValue::get) {
                    None | Some("{}") => Told::Nothing,
                    Some(input) => {
                        chunks.arguments(at, input, out)?;
                        Told::All
                    }
                };
                self.calls += 1;
                Block::Call { at, told }
            }
            _ => Block::LeftOut,
        };
        self.blocks.push((index, block));
        Ok(())
    }

    fn continue_block(&mut self, index: u64, delta: &Delta<'_>, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let known = self.blocks.iter_mut().find(|(known, _)| *known == index);
        let (_, block) = known.ok_or(BadAnswer)?;
        match (block, delta.kind.some().ok_or(BadAnswer)?) {
            (Block::Text, "text_delta") => {
                self.chunks()?.text(delta.text.0.as_deref().ok_or(BadAnswer)?, out)
            }
            (Block::Thinking, "thinking_delta") => {
                self.chunks()?.thinking(delta.thinking.0.as_deref().ok_or(BadAnswer)?, out)
            }
            (Block::Call { at, told }, "input_json_delta") => {
                let arguments = delta.partial_json.0.as_deref().ok_or(BadAnswer)?;
                if arguments.is_empty() || *told == Told::All {
                    return Ok(());
                }
                *told = Told::Pieces;
                let at = *at;
                self.chunks()?.arguments(at, arguments, out)
            }
            // Signatures, citations, what a tool at the provider was asked, and what will be invented.
            _ => Ok(()),
        }
    }

    /// A call without arguments is told as one with none, since clients parse them.
    fn stop_block(&mut self, index: u64, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let at = self.blocks.iter().position(|(known, _)| *known == index).ok_or(BadAnswer)?;
        match self.blocks.remove(at) {
            (_, Block::Call { at, told: Told::Nothing }) => self.chunks()?.arguments(at, "{}", out),
            _ => Ok(()),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<Progress, BadAnswer> {
        let ending = self.ending.ok_or(BadAnswer)?;
        while let Some((index, _)) = self.blocks.first() {
            self.stop_block(*index, out)?;
        }
        self.chunks()?.end(ending.finish_reason(), self.tokens.in_chat(), out)?;
        Ok(Progress::Over)
    }

    /// What chunks are written with. Before the first event there is nothing that could be said.
    fn chunks(&self) -> Result<&Chunks, BadAnswer> {
        self.chunks.as_ref().ok_or(BadAnswer)
    }
}
