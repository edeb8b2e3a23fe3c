//! Takes the usage chunk out of a stream whose client did not ask for one.
//!
//! Lockgate asks every target for the usage, because it must know what a call cost; a client that did not ask expects a stream
//! without the extra chunk. All other bytes pass as they came. What is held back is the event that is not finished yet, which
//! no client could have used either.

use std::borrow::Cow;

use serde::Deserialize;

use crate::lenient::{List, Object};
use crate::sse::{Cutter, on_event};

/// Longest unfinished event that is held back. The usage chunk has some hundred bytes; an event longer than this is another
/// one and passes at once.
pub const HELD_BYTES_MAX: usize = 64 * 1024;

/// The filter for one stream.
#[derive(Debug, Clone, Default)]
pub struct UsageStrip {
    cutter: Cutter,
    held: Held,
    /// Set when the last event was withheld and ended in CR: a LF that comes next belongs to it.
    is_line_feed_due: bool,
}

/// The unfinished event.
#[derive(Debug, Clone)]
enum Held {
    Back(Vec<u8>),
    /// It was too long to be the usage chunk, so its rest passes too.
    Passing,
}

impl Default for Held {
    fn default() -> Self {
        Self::Back(Vec::new())
    }
}

impl UsageStrip {
    /// Takes the next chunk and gives what may pass now; borrowed when that is the chunk itself.
    pub fn push<'c>(&mut self, chunk: &'c [u8]) -> Cow<'c, [u8]> {
        let mut passing = Passing::new(chunk);
        let mut at = 0;
        while let Some(length) = self.cutter.cut(&chunk[at..]) {
            let piece = &chunk[at..at + length];
            at += length;
            match std::mem::take(&mut self.held) {
                Held::Passing => passing.pass(&[], piece),
                Held::Back(_) if std::mem::take(&mut self.is_line_feed_due) && piece == b"\n" => {}
                Held::Back(mut held) if held.is_empty() => {
                    if !self.withholds(piece) {
                        passing.pass(&held, piece);
                    }
                    held.clear();
                }
                Held::Back(mut held) => {
                    let before = held.len();
                    held.extend_from_slice(piece);
                    if !self.withholds(&held) {
                        passing.pass(&held[..before], piece);
                    }
                }
            }
        }
        self.hold(&chunk[at..], &mut passing);
        passing.into_bytes()
    }

    /// Gives what was held back when the stream ended.
    pub fn finish(self) -> Vec<u8> {
        match self.held {
            Held::Back(held) if !is_usage_chunk(&held) => held,
            Held::Back(_) | Held::Passing => Vec::new(),
        }
    }

    /// Holds the beginning of an event, or lets it pass when it has grown too long.
    fn hold(&mut self, piece: &[u8], passing: &mut Passing<'_>) {
        if piece.is_empty() {
            return;
        }
        self.is_line_feed_due = false;
        match &mut self.held {
            Held::Passing => passing.pass(&[], piece),
            Held::Back(held) if held.len() + piece.len() > HELD_BYTES_MAX => {
                passing.pass(held, piece);
                self.held = Held::Passing;
            }
            Held::Back(held) => held.extend_from_slice(piece),
        }
    }

    fn withholds(&mut self, raw: &[u8]) -> bool {
        let is_withheld = raw.len() <= HELD_BYTES_MAX && is_usage_chunk(raw);
        self.is_line_feed_due = is_withheld && raw.ends_with(b"\r");
        is_withheld
    }
}

/// The part of a chunk that passes, copied only when it is not one run of the chunk.
struct Passing<'c> {
    chunk: &'c [u8],
    /// As long as nothing was held or withheld: how much of the chunk passes.
    run: usize,
    copied: Option<Vec<u8>>,
}

impl<'c> Passing<'c> {
    fn new(chunk: &'c [u8]) -> Self {
        Self { chunk, run: 0, copied: None }
    }

    /// Lets pass what was held before this chunk, then a piece of the chunk.
    fn pass(&mut self, held: &[u8], piece: &[u8]) {
        let starts_at = piece.as_ptr() as usize - self.chunk.as_ptr() as usize;
        if self.copied.is_none() && held.is_empty() && starts_at == self.run {
            self.run += piece.len();
            return;
        }
        let copied = self.copied.get_or_insert_with(|| self.chunk[..self.run].to_vec());
        copied.extend_from_slice(held);
        copied.extend_from_slice(piece);
    }

    fn into_bytes(self) -> Cow<'c, [u8]> {
        match self.copied {
            Some(copied) => Cow::Owned(copied),
            None => Cow::Borrowed(&self.chunk[..self.run]),
        }
    }
}

/// Whether an event is the extra chunk that `include_usage` asks for: no choices, and a usage.
fn is_usage_chunk(raw: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Chunk {
        #[serde(default)]
        choices: List<Object<Anything>>,
        #[serde(default)]
        usage: Object<Anything>,
        #[serde(default)]
        error: Object<Anything>,
    }
    #[derive(Deserialize)]
    struct Anything {}

    let mut is_usage = false;
    on_event(raw, |event| {
        // Most events are not it, and a look at the bytes is much cheaper than reading them.
        if !event.data.windows(7).any(|window| window == b"\"usage\"") {
            return;
        }
        is_usage = serde_json::from_slice::<Chunk>(&event.data).is_ok_and(|chunk| {
            chunk.choices.0.is_some_and(|choices| choices.is_empty())
                && chunk.usage.0.is_some()
                && chunk.error.0.is_none()
        });
    });
    is_usage
}

#[cfg(test)]
mod tests;
