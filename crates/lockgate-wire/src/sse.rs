//! Server-sent events from bytes that come in any pieces.
//!
//! [`Cutter`] finds where events end and needs no memory for it, so that a relay and a reader can share the rule. [`Events`]
//! keeps the unfinished event between pieces, up to a bound, and hands out finished ones. A byte is looked at once however
//! small the pieces are.
//!
//! Follows the event stream format of the HTML standard: lines end in CR, LF or both, a blank line ends an event, a line that
//! begins with a colon is a comment, several `data` lines are joined. What an event means is for the dialects to say.

use std::borrow::Cow;

/// Longest event that is kept to be read. Providers send events of some hundred bytes; the longest honest ones carry a whole
/// image or a tool's whole arguments.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much is kept of an event that is too long. Servers that name their events do so in the first line.
const START_BYTES_MAX: usize = 256;

pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Finds where events end.
#[derive(Debug, Clone, Default)]
pub struct Cutter {
    line: Line,
}

/// What is known of the line that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    /// Nothing of it was seen.
    #[default]
    Empty,
    /// As `Empty`, and the last line ended in CR: a LF now still belongs to that end.
    EmptyAfterReturn,
    /// As `EmptyAfterReturn`, and what ended was an event.
    EmptyAfterEvent,
    /// It has bytes.
    Begun,
}

impl Cutter {
    /// The length of the part of `bytes` that ends an event, or `None` when all of it belongs to an unfinished one.
    ///
    /// An event that ends in CR may be followed by a LF which still belongs to it. Inside `bytes` that LF is included; at the
    /// start of a later piece it is reported as an end of its own.
    pub fn cut(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            self.line = match (self.line, byte) {
                (Line::EmptyAfterReturn, b'\n') => Line::Empty,
                (Line::EmptyAfterEvent, b'\n') => {
                    self.line = Line::Empty;
                    return Some(at + 1);
                }
                (Line::Begun, b'\r') => Line::EmptyAfterReturn,
                (Line::Begun, b'\n') => Line::Empty,
                (_, b'\r') => {
                    self.line = Line::EmptyAfterEvent;
                    if bytes.get(at + 1) == Some(&b'\n') {
                        self.line = Line::Empty;
                        return Some(at + 2);
                    }
                    return Some(at + 1);
                }
                (_, b'\n') => {
                    self.line = Line::Empty;
                    return Some(at + 1);
                }
                _ => Line::Begun,
            };
        }
        None
    }
}

/// One finished event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'e> {
    /// Its `event` field; empty when there was none.
    pub name: &'e [u8],
    /// Its `data` lines, joined by line feeds. Always UTF-8.
    pub data: Cow<'e, [u8]>,
}

/// What came out of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<'e> {
    /// A finished event that has data.
    Event(Event<'e>),
    /// An event longer than [`EVENT_BYTES_MAX`]; it is not read. Told once, when the bound is passed.
    TooLong,
    /// The end of that event. Its name is told, because that an event came can matter more than what it says.
    Skipped(&'e [u8]),
}

/// Reads events from pieces.
#[derive(Debug, Clone, Default)]
pub struct Events {
    cutter: Cutter,
    held: Held,
    is_begun: bool,
}

/// The unfinished event.
#[derive(Debug, Clone)]
enum Held {
    /// What came of it so far.
    Bytes(Vec<u8>),
    /// It was too long and its end is awaited. What is kept is the beginning of it.
    GivenUp(Vec<u8>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Events {
    /// Takes a piece and hands out what it finishes.
    pub fn push(&mut self, mut piece: &[u8], mut on_seen: impl FnMut(Seen<'_>)) {
        while let Some(end) = self.cutter.cut(piece) {
            let (last, rest) = piece.split_at(end);
            piece = rest;
            match std::mem::take(&mut self.held) {
                Held::GivenUp(start) => on_seen(Seen::Skipped(name_in(&start))),
                Held::Bytes(held) if held.len() + last.len() > EVENT_BYTES_MAX => {
                    on_seen(Seen::TooLong);
                    on_seen(Seen::Skipped(name_in(&start_of(&held, last))));
                }
                Held::Bytes(held) if held.is_empty() => self.finished(last, &mut on_seen),
                Held::Bytes(mut held) => {
                    held.extend_from_slice(last);
                    self.finished(&held, &mut on_seen);
                    held.clear();
                    self.held = Held::Bytes(held);
                }
            }
        }
        if let Held::Bytes(held) = &mut self.held {
            if held.len() + piece.len() > EVENT_BYTES_MAX {
                self.held = Held::GivenUp(start_of(held, piece));
                on_seen(Seen::TooLong);
            } else {
                held.extend_from_slice(piece);
            }
        }
    }

    /// Hands out the event that the stream ended in, if its lines make one. The standard would drop it; a server that forgets
    /// the last blank line has said what it said all the same.
    pub fn finish(&mut self, mut on_seen: impl FnMut(Seen<'_>)) {
        if let Held::Bytes(held) = std::mem::take(&mut self.held) {
            self.finished(&held, &mut on_seen);
        }
    }

    fn finished(&mut self, raw: &[u8], on_seen: &mut impl FnMut(Seen<'_>)) {
        let raw = match std::mem::replace(&mut self.is_begun, true) {
            false => raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(raw),
            true => raw,
        };
        on_event(raw, |event| on_seen(Seen::Event(event)));
    }
}

/// The standard's streams are UTF-8, and what does not belong there is read as U+FFFD.
fn as_text(data: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match std::str::from_utf8(&data) {
        Ok(_) => data,
        Err(_) => String::from_utf8_lossy(&data).into_owned().into_bytes().into(),
    }
}

/// The beginning of an event that came in two pieces.
fn start_of(held: &[u8], piece: &[u8]) -> Vec<u8> {
    held.iter().chain(piece).take(START_BYTES_MAX).copied().collect()
}

/// The name of an event of which only the beginning is known; empty when it is not told there.
fn name_in(start: &[u8]) -> &[u8] {
    let whole_lines = start.iter().rposition(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(0);
    let mut lines = start[..whole_lines].split(|byte| matches!(byte, b'\r' | b'\n'));
    let name = lines.find_map(|line| line.strip_prefix(b"event:")).unwrap_or_default();
    name.strip_prefix(b" ").unwrap_or(name)
}

/// Reads the lines of one raw event; calls back if it has data.
pub(crate) fn on_event<'e>(raw: &'e [u8], mut call: impl FnMut(Event<'e>)) {
    let mut name: &[u8] = b"";
    let mut data: Option<Cow<'e, [u8]>> = None;
    for line in raw.split(|byte| matches!(byte, b'\r' | b'\n')) {
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value,
            b"data" => match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(lines) => {
                    let lines = lines.to_mut();
                    lines.push(b'\n');
                    lines.extend_from_slice(value);
                }
            },
            _ => {}
        }
    }
    if let Some(data) = data {
        call(Event { name, data: as_text(data) });
    }
}

#[cfg(test)]
pub(crate) mod tests;
