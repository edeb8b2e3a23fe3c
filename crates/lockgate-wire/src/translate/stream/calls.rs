//! The tool calls of a streamed chat completion, put together from their pieces.

use crate::answer::{LABEL_BYTES_MAX, TOOL_CALLS_MAX};
use crate::translate::BadAnswer;
use crate::translate::answer::chat;
use crate::translate::answer::json;

/// The calls, in the order in which they began.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Vec<Call>);

/// One call.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    index: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    arguments: String,
    /// How many bytes of the arguments were told.
    told: usize,
    nesting: Nesting,
    is_closed: bool,
}

/// How deep inside a JSON text its end so far is.
#[derive(Debug, Clone, Copy, Default)]
struct Nesting {
    depth: usize,
    is_begun: bool,
    is_string: bool,
    is_escaped: bool,
}

impl Calls {
    /// Whether any tool was called.
    pub(super) fn has_named(&self) -> bool {
        self.0.iter().any(|call| call.name.is_some())
    }

    /// One of them.
    pub(super) fn get(&mut self, at: usize) -> Result<&mut Call, BadAnswer> {
        self.0.get_mut(at).ok_or(BadAnswer)
    }

    /// Checks at the end that every call named its tool, but one that the end came upon and those of which nothing was told.
    pub(super) fn check_names(&self, is_cut_short: bool) -> Result<(), BadAnswer> {
        let may_be_cut = self.0.len().checked_sub(1).filter(|_| is_cut_short);
        let mut calls = self.0.iter().enumerate();
        let is_good = |(at, call): (usize, &Call)| call.is_named_or_blank() || may_be_cut == Some(at);
        if calls.all(is_good) { Ok(()) } else { Err(BadAnswer) }
    }

    /// Adds a piece; says to which call and whether it is the one that names the tool.
    pub(super) fn add(&mut self, piece: &chat::Call<'_>) -> Result<(usize, bool), BadAnswer> {
        let known = self.known(piece);
        let at = known.unwrap_or(self.0.len());
        if known.is_none() {
            if at == TOOL_CALLS_MAX {
                return Err(BadAnswer);
            }
            self.0.push(Call { index: piece.index.0, ..Call::default() });
        }
        let call = self.get(at)?;
        let was_named = call.name.is_some();
        call.add(piece)?;
        Ok((at, !was_named && call.name.is_some()))
    }

    /// The call that a piece belongs to, by its index. Some servers leave the index out or give every call the same one, so an
    /// id that was not seen before begins a call too; and some give neither, so a name begins one where the last is whole.
    fn known(&self, piece: &chat::Call<'_>) -> Option<usize> {
        let is_same_id = |call: &Call| match piece.id.some() {
            Some(id) => call.id.as_deref().is_none_or(|known| known == id),
            None => true,
        };
        if let Some(index) = piece.index.0 {
            return self.0.iter().rposition(|call| call.index == Some(index) && is_same_id(call));
        }
        let last = self.0.last()?;
        let begins = match (piece.name(), last.name.as_deref()) {
            (Some(name), Some(known)) => last.is_whole() || name != known,
            _ => false,
        };
        (is_same_id(last) && !begins).then(|| self.0.len() - 1)
    }
}

impl Call {
    /// Whether its arguments are an object that has ended.
    pub(super) fn is_whole(&self) -> bool {
        let Nesting { depth, is_begun, is_string, .. } = self.nesting;
        is_begun && depth == 0 && !is_string
    }

    fn is_named_or_blank(&self) -> bool {
        self.name.is_some() || (self.id.is_none() && self.arguments.trim_ascii().is_empty())
    }

    /// How many bytes of arguments it holds.
    pub(super) fn held(&self) -> usize {
        self.arguments.len()
    }

    /// The arguments that were not told yet; they count as told from now on.
    pub(super) fn untold(&mut self) -> &str {
        let told = std::mem::replace(&mut self.told, self.arguments.len());
        &self.arguments[told..]
    }

    /// Ends it; its arguments must be those of a call, or none at all.
    pub(super) fn close(&mut self) -> Result<(), BadAnswer> {
        let arguments = self.give_up();
        if !arguments.trim_ascii().is_empty() {
            json::compact_object(&arguments)?;
        }
        Ok(())
    }

    /// Ends it, whatever it is.
    pub(super) fn give_up(&mut self) -> String {
        self.is_closed = true;
        std::mem::take(&mut self.arguments)
    }

    fn add(&mut self, piece: &chat::Call<'_>) -> Result<(), BadAnswer> {
        label(&mut self.id, piece.id.some())?;
        label(&mut self.name, piece.name())?;
        let arguments = piece.arguments()?;
        if self.is_closed {
            return if arguments.trim_ascii().is_empty() { Ok(()) } else { Err(BadAnswer) };
        }
        self.arguments.push_str(&arguments);
        arguments.bytes().for_each(|byte| self.nesting.read(byte));
        Ok(())
    }
}

impl Nesting {
    fn read(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_string => self.is_escaped = true,
            b'"' => self.is_string = !self.is_string,
            _ if self.is_string => {}
            b'{' | b'[' => {
                self.is_begun = true;
                self.depth += 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Keeps the first of them; it is repeated to clients whole or not at all.
fn label(to: &mut Option<String>, told: Option<&str>) -> Result<(), BadAnswer> {
    match told {
        Some(told) if told.len() > LABEL_BYTES_MAX => Err(BadAnswer),
        Some(told) if to.is_none() => {
            *to = Some(told.to_owned());
            Ok(())
        }
        _ => Ok(()),
    }
}
