//! One target's stream, taken apart into whole events on its way to the client.
//!
//! Every event is read before it is passed on, so that one which is no answer (malformed, an error) never reaches a client who
//! would take it for one, and so that what is added in between, such as a comment or an error of ours, stands between events. What
//! is passed on keeps its bytes, unless it is translated or is the usage chunk that the client did not ask for. An event that is
//! longer than is kept passes in pieces, unread.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lockgate_wire::answer::AnswerSummary;
use lockgate_wire::api::Api;
use lockgate_wire::chat::is_usage_chunk;
use lockgate_wire::reader::{StreamReader, is_error_event};
use lockgate_wire::sse::Cutter;
use lockgate_wire::translate::StreamTranslator;

/// Longest unfinished event that is held: a whole picture fits. A longer one passes in pieces.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// A stream under way.
#[derive(Debug)]
pub(crate) struct EventStream {
    rest: Incoming,
    /// `None` for a stream that nobody here can read.
    reading: Option<Reading>,
    received_bytes: usize,
    /// Of a stream that nobody can read: bytes of comments.
    unread_idle_bytes: usize,
}

/// What a target sends to show that it lives, and what says nothing.
const IDLE_EVENTS: [&[u8]; 3] = [b":", b"event: ping", b"event:ping"];

#[derive(Debug)]
struct Reading {
    api: Api,
    reader: Box<StreamReader>,
    translator: Option<Box<StreamTranslator>>,
    /// Whether we asked for the usage chunk and the client did not.
    strips_usage: bool,
    cutter: Cutter,
    /// The unfinished event.
    held: BytesMut,
    /// Whether the unfinished event has grown too long and passes as it comes.
    is_passing: bool,
    events: u64,
    /// Bytes of events that say nothing.
    idle_bytes: usize,
    /// Whether the last event was withheld and ended in CR: a LF that comes next belongs to it.
    is_line_feed_due: bool,
}

/// How a stream is read.
#[derive(Debug)]
pub(crate) struct How {
    /// Which API the target speaks.
    pub(crate) api: Api,
    pub(crate) translator: Option<Box<StreamTranslator>>,
    pub(crate) strips_usage: bool,
    /// Up to here what is said is kept.
    pub(crate) kept_bytes_max: usize,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Next {
    /// What may be passed on, in order; nothing when no event was finished.
    Pieces(Vec<Bytes>),
    /// The target closed the stream. What is left may be passed on.
    End(Vec<Bytes>),
}

/// Why a stream cannot go on, with what may be passed on before.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) before: Vec<Bytes>,
    pub(crate) what: What,
}

/// Why a stream cannot go on.
#[derive(Debug)]
pub(crate) enum What {
    /// The connection broke.
    CutOff(Option<hyper::Error>),
    /// It ended without its terminal event.
    WithoutEnd,
    /// An event is not what its API has.
    Malformed,
    /// The target tells of an error; the event is there where it can be told in the client's own form.
    Told { event: Option<Bytes> },
}

impl EventStream {
    /// A stream whose events are read.
    pub(crate) fn read(rest: Incoming, how: How) -> Self {
        let How { api, translator, strips_usage, kept_bytes_max } = how;
        let reading = Reading {
            api,
            reader: Box::new(StreamReader::new(api, kept_bytes_max)),
            translator,
            strips_usage,
            cutter: Cutter::default(),
            held: BytesMut::new(),
            is_passing: false,
            events: 0,
            idle_bytes: 0,
            is_line_feed_due: false,
        };
        Self { rest, reading: Some(reading), received_bytes: 0, unread_idle_bytes: 0 }
    }

    /// A stream that is passed on as it comes.
    pub(crate) fn unread(rest: Incoming) -> Self {
        Self { rest, reading: None, received_bytes: 0, unread_idle_bytes: 0 }
    }

    /// What was read so far; `None` for a stream that nobody here can read.
    pub(crate) fn summary(&self) -> Option<&AnswerSummary> {
        self.reading.as_ref().map(|reading| reading.reader.answer())
    }

    /// Whether something was said: of a stream that nobody can read, anything but comments.
    pub(crate) fn has_content(&self) -> bool {
        self.summary().map_or(self.progress() > 0, |summary| summary.has_content)
    }

    /// Whether the terminal event was seen. Of a stream that nobody can read it is not known.
    pub(crate) fn is_done(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.reader.is_done())
    }

    /// Whether what was passed on ends in the middle of an event.
    pub(crate) fn is_inside_event(&self) -> bool {
        self.reading.as_ref().is_none_or(|reading| reading.is_passing)
    }

    /// Bytes that came.
    pub(crate) fn received_bytes(&self) -> usize {
        self.received_bytes
    }

    /// Bytes that came and say something. While they do not grow, the target is silent, whatever else it sends.
    pub(crate) fn progress(&self) -> usize {
        self.received_bytes
            - self.reading.as_ref().map_or(self.unread_idle_bytes, |reading| reading.idle_bytes)
    }

    /// Tokens that came, as far as can be told without counting them: an event brings one at least, and text has some four bytes
    /// for each.
    pub(crate) fn tokens(&self) -> u64 {
        let Some(reading) = &self.reading else { return 0 };
        let text = reading.reader.answer().text.len() as u64 / 4;
        reading.events.max(text)
    }

    /// Waits for what comes next.
    pub(crate) async fn next(&mut self) -> Result<Next, Trouble> {
        loop {
            match self.rest.frame().await {
                Some(Ok(frame)) => {
                    let Some(chunk) = frame.into_data().ok().filter(|chunk| !chunk.is_empty()) else {
                        continue;
                    };
                    return self.take(chunk).map(Next::Pieces);
                }
                // Everything was said; how the connection ended after it is of no interest.
                Some(Err(_)) | None if self.is_done() => return Ok(Next::End(self.left())),
                Some(Err(error)) => {
                    return Err(Trouble { before: Vec::new(), what: What::CutOff(Some(error)) });
                }
                None => return self.close(),
            }
        }
    }

    /// Takes a chunk that came.
    pub(crate) fn take(&mut self, chunk: Bytes) -> Result<Vec<Bytes>, Trouble> {
        self.received_bytes += chunk.len();
        match &mut self.reading {
            None => {
                let mut lines = chunk.split(|byte| matches!(byte, b'\r' | b'\n'));
                if lines.all(|line| line.is_empty() || line.starts_with(b":")) {
                    self.unread_idle_bytes += chunk.len();
                }
                Ok(vec![chunk])
            }
            Some(reading) => {
                let mut out = Out { chunk, from: 0, to: 0, pieces: Vec::new() };
                match reading.take(&mut out) {
                    Ok(()) => Ok(out.finish()),
                    Err(what) => Err(Trouble { before: out.finish(), what }),
                }
            }
        }
    }

    /// The target has said all it had to say.
    fn close(&mut self) -> Result<Next, Trouble> {
        let Some(reading) = &mut self.reading else { return Ok(Next::End(Vec::new())) };
        // Some servers end with their terminal event and no blank line after it.
        reading.reader.push(&reading.held);
        reading.reader.close();
        if !reading.reader.is_done() {
            return Err(Trouble { before: Vec::new(), what: What::WithoutEnd });
        }
        let mut left = self.left();
        if let Some(reading) = &mut self.reading
            && let (Some(translator), [unfinished]) = (&mut reading.translator, left.as_slice())
        {
            let mut event = unfinished.to_vec();
            event.extend_from_slice(b"\n\n");
            let mut said = Vec::new();
            if translator.push(&event, &mut said).is_err() {
                return Err(Trouble { before: Vec::new(), what: What::Malformed });
            }
            left = vec![said.into()];
        }
        Ok(Next::End(left))
    }

    /// What was held when the stream ended.
    fn left(&mut self) -> Vec<Bytes> {
        match &mut self.reading {
            Some(reading) if !reading.held.is_empty() => vec![reading.held.split().freeze()],
            _ => Vec::new(),
        }
    }
}

impl Reading {
    fn take(&mut self, out: &mut Out) -> Result<(), What> {
        let chunk = out.chunk.clone();
        let mut at = 0;
        while let Some(length) = self.cutter.cut(&chunk[at..]) {
            let (from, to) = (at, at + length);
            at = to;
            if self.is_passing {
                self.is_passing = false;
                self.reader.push(&chunk[from..to]);
                out.keep(from, to);
            } else if self.held.is_empty() {
                match self.see(&chunk[from..to])? {
                    Fate::Kept => out.keep(from, to),
                    Fate::Left => {}
                    Fate::Instead(said) => out.put(said),
                }
            } else {
                self.held.extend_from_slice(&chunk[from..to]);
                let event = self.held.split().freeze();
                match self.see(&event)? {
                    Fate::Kept => out.put(event),
                    Fate::Left => {}
                    Fate::Instead(said) => out.put(said),
                }
            }
        }
        self.hold(at, out)
    }

    /// Holds the beginning of an event, or lets it pass when it has grown too long.
    fn hold(&mut self, at: usize, out: &mut Out) -> Result<(), What> {
        let rest = out.chunk.slice(at..);
        if rest.is_empty() {
            return Ok(());
        }
        if !self.is_passing && self.held.len() + rest.len() <= EVENT_BYTES_MAX {
            self.held.extend_from_slice(&rest);
            return Ok(());
        }
        if self.translator.is_some() {
            // It cannot be said in another form without having been read.
            return Err(What::Malformed);
        }
        self.is_passing = true;
        let held = self.held.split().freeze();
        for piece in [held, rest].into_iter().filter(|piece| !piece.is_empty()) {
            self.reader.push(&piece);
            out.put(piece);
        }
        Ok(())
    }

    /// Reads one event, and says what becomes of it.
    fn see(&mut self, event: &[u8]) -> Result<Fate, What> {
        if std::mem::take(&mut self.is_line_feed_due) && event == b"\n" {
            return Ok(Fate::Left);
        }
        if IDLE_EVENTS.iter().any(|idle| event.starts_with(idle)) {
            self.idle_bytes += event.len();
        } else {
            self.events += 1;
        }
        // What follows the terminal event is no part of the answer.
        if self.reader.is_done() && event.windows(5).any(|part| part == b"data:") {
            return Ok(Fate::Left);
        }
        self.reader.push(event);
        if self.reader.answer().is_unreadable {
            return Err(What::Malformed);
        }
        if self.reader.error().is_some() {
            return Err(What::Told { event: self.error_event(event) });
        }
        if self.strips_usage && is_usage_chunk(event) {
            self.is_line_feed_due = event.ends_with(b"\r");
            return Ok(Fate::Left);
        }
        let Some(translator) = &mut self.translator else { return Ok(Fate::Kept) };
        let mut said = Vec::new();
        translator.push(event, &mut said).map_err(|_| What::Malformed)?;
        Ok(if said.is_empty() { Fate::Left } else { Fate::Instead(said.into()) })
    }
}

impl Reading {
    /// A target's error as the caller's client sees one; `None` where it would not.
    fn error_event(&mut self, event: &[u8]) -> Option<Bytes> {
        match &mut self.translator {
            Some(translator) => {
                let mut said = Vec::new();
                let is_said = translator.push(event, &mut said).is_ok() && !said.is_empty();
                is_said.then(|| said.into())
            }
            None => is_error_event(self.api, event).then(|| Bytes::copy_from_slice(event)),
        }
    }
}

/// What becomes of an event.
enum Fate {
    Kept,
    Left,
    Instead(Bytes),
}

/// What is passed on of a chunk: as few slices of it as there are.
struct Out {
    chunk: Bytes,
    from: usize,
    to: usize,
    pieces: Vec<Bytes>,
}

impl Out {
    fn keep(&mut self, from: usize, to: usize) {
        if from != self.to {
            self.cut();
            self.from = from;
        }
        self.to = to;
    }

    fn put(&mut self, piece: Bytes) {
        self.cut();
        self.pieces.push(piece);
    }

    fn cut(&mut self) {
        if self.from < self.to {
            self.pieces.push(self.chunk.slice(self.from..self.to));
        }
        self.from = self.to;
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.cut();
        self.pieces
    }
}
