//! What an answer holds, whichever API it came by, as far as Lockgate measures it.

use crate::lenient::{Number, Text};

pub use error::AnswerError;

mod error;

/// Most tool calls that are kept of an answer.
pub const TOOL_CALLS_MAX: usize = 128;

/// Longest piece that is kept of an id, a model's name or an error's message.
pub const LABEL_BYTES_MAX: usize = 2_048;

/// No call uses more tokens; a greater count is a mistake or a lie and would spoil every sum it entered.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// What an answer holds, as far as Lockgate measures it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerSummary {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The provider's fingerprint of what answered.
    pub system_fingerprint: Option<String>,
    /// What the first choice says.
    pub text: String,
    /// The first choice's refusal, where the provider marks it as one.
    pub refusal: Option<String>,
    /// The tools that the first choice calls.
    pub tool_calls: Vec<ToolCall>,
    /// How the first choice ended.
    pub finish_reason: Option<String>,
    /// Whether the provider's filter ended what was being said.
    pub is_filtered: bool,
    /// What was billed.
    pub usage: Option<Usage>,
    /// What the provider said went wrong.
    pub error: Option<AnswerError>,
    /// Whether what was asked for is there: any choice says something or calls something (text, a refusal, reasoning, audio or a
    /// tool), there are vectors or a count, or a response is promised that is made in the background.
    pub has_content: bool,
    /// Whether there was more to keep than was asked to be kept: `text`, `refusal` or `tool_calls` are not whole.
    pub is_cut: bool,
    /// Whether anything was not the JSON that it should have been.
    pub is_unreadable: bool,
}

/// One call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id of the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as the JSON text that the model wrote.
    pub arguments: String,
    /// By which a stream names it in its later pieces.
    pub(crate) index: u64,
    /// Whether the arguments were told in one and not in pieces. Pieces that follow all the same replace them.
    pub(crate) is_told_whole: bool,
}

/// What one piece of an answer tells of a tool call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallPiece<'p> {
    /// Which call it is, where that is told.
    pub(crate) index: Option<u64>,
    pub(crate) id: Option<&'p str>,
    pub(crate) name: Option<&'p str>,
    pub(crate) arguments: Arguments<'p>,
}

/// What a piece tells of a call's arguments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Arguments<'p> {
    #[default]
    Untold,
    /// They go on with this.
    More(&'p str),
    /// They are this, which is of use only where they were not told in pieces.
    Whole(&'p str),
}

/// What a call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// The part of the tokens read that came out of the provider's cache.
    pub cached_tokens: u64,
    /// The part of the tokens read that was put into the provider's cache, where it says so.
    pub cache_written_tokens: u64,
    /// The part of the tokens written that was spent on thinking, where it says so.
    pub reasoning_tokens: u64,
}

impl AnswerSummary {
    /// Whether the model declined to answer, by the provider's own mark or because the provider's filter ended what it was
    /// saying; `None` where there is no answer that could be read.
    pub fn is_refusal(&self) -> Option<bool> {
        let was_read = self.has_content || self.finish_reason.is_some();
        was_read.then(|| self.refusal.is_some() || self.is_filtered)
    }

    /// Whether not even an error was told: what was read is no answer of its API.
    pub(crate) fn is_nothing(&self) -> bool {
        !self.has_content && self.finish_reason.is_none() && self.usage.is_none() && self.error.is_none()
    }

    /// Keeps the first error that is told.
    pub(crate) fn add_error(&mut self, error: impl Into<Option<AnswerError>>) {
        if let (None, Some(error)) = (&self.error, error.into()) {
            self.error = Some(error);
        }
    }

    pub(crate) fn add_text(&mut self, text: &str, room: &mut Room) {
        self.is_cut |= !room.keep(&mut self.text, text);
    }

    /// That there is a refusal is known even where nothing of it can be kept.
    pub(crate) fn add_refusal(&mut self, text: &str, room: &mut Room) {
        self.is_cut |= !room.keep(self.refusal.get_or_insert_default(), text);
    }

    /// Notes how the answer ended; the last word counts.
    pub(crate) fn end(&mut self, reason: &Text<'_>, is_filter: impl Fn(&str) -> bool) {
        if reason.0.is_some() {
            self.finish_reason = None;
            label(&mut self.finish_reason, reason);
            self.is_filtered = self.finish_reason.as_deref().is_some_and(is_filter);
        }
    }

    /// Adds a piece to the call that it belongs to, which it may begin.
    pub(crate) fn add_call(&mut self, piece: &CallPiece<'_>, room: &mut Room) {
        self.is_cut |= match self.call_of(piece) {
            Some(call) => !call.add(piece, room),
            None => true,
        };
    }

    /// Whether a call was begun under this index.
    pub(crate) fn has_call(&self, index: u64) -> bool {
        self.tool_calls.iter().any(|call| call.index == index)
    }

    /// The call that a piece belongs to; `None` when there are too many.
    ///
    /// Some servers leave the index out or give every call the same one, so an id that was not seen before begins a call too.
    /// Where there is no id either, a second name does.
    fn call_of(&mut self, piece: &CallPiece<'_>) -> Option<&mut ToolCall> {
        let is_same_id = |call: &ToolCall| match piece.id {
            Some(id) => call.id == id || call.id.is_empty(),
            None => true,
        };
        let goes_on = |call: &ToolCall| {
            is_same_id(call) && (piece.id.is_some() || piece.name.is_none() || call.name.is_empty())
        };
        let known = match piece.index {
            Some(index) => self.tool_calls.iter().rposition(|call| call.index == index && is_same_id(call)),
            None => self.tool_calls.len().checked_sub(1).filter(|last| goes_on(&self.tool_calls[*last])),
        };
        let at = known.unwrap_or(self.tool_calls.len());
        if at >= TOOL_CALLS_MAX {
            return None;
        }
        if at == self.tool_calls.len() {
            self.tool_calls.push(ToolCall { index: piece.index.unwrap_or(at as u64), ..ToolCall::default() });
        }
        self.tool_calls.get_mut(at)
    }
}

impl ToolCall {
    /// Adds what there is room for; says whether that was all of it.
    fn add(&mut self, piece: &CallPiece<'_>, room: &mut Room) -> bool {
        let mut is_all = true;
        if let Some(id) = piece.id.filter(|_| self.id.is_empty()) {
            is_all &= room.keep(&mut self.id, id);
        }
        if let Some(name) = piece.name.filter(|_| self.name.is_empty()) {
            is_all &= room.keep(&mut self.name, name);
        }
        match piece.arguments {
            Arguments::Whole(text) if self.arguments.is_empty() => {
                self.is_told_whole = true;
                is_all &= room.keep(&mut self.arguments, text);
            }
            Arguments::More(text) if !text.is_empty() => {
                if std::mem::take(&mut self.is_told_whole) {
                    room.bytes += self.arguments.len();
                    self.arguments.clear();
                }
                is_all &= room.keep(&mut self.arguments, text);
            }
            Arguments::Untold | Arguments::More(_) | Arguments::Whole(_) => {}
        }
        is_all
    }
}

/// How many bytes may still be kept.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
}

impl Room {
    /// Adds what there is room for; says whether that was all of it.
    pub(crate) fn keep(&mut self, to: &mut String, text: &str) -> bool {
        let kept = prefix(text, self.bytes);
        to.push_str(kept);
        self.bytes -= kept.len();
        kept.len() == text.len()
    }
}

/// Keeps a label, unless there is one already.
pub(crate) fn label(to: &mut Option<String>, text: &Text<'_>) {
    if let (None, Some(text)) = (&to, text.some()) {
        *to = Some(shortened(text));
    }
}

/// The count, unless no call can have it.
pub(crate) fn believed(count: Number) -> Option<u64> {
    count.0.filter(|count| *count <= TOKENS_MAX)
}

pub(crate) fn shortened(text: &str) -> String {
    prefix(text, LABEL_BYTES_MAX).to_owned()
}

/// The longest beginning of at most so many bytes that does not end inside a character.
pub(crate) fn prefix(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
