//! Relays an answer chunk by chunk, as it comes.
//!
//! Each chunk is passed on when it arrives and read on the side. A chat stream that breaks off, falls silent or ends without
//! its terminal event is told so in its own form, and no `[DONE]` follows, so that no client takes it for a finished one; any
//! other body that breaks off is cut, which HTTP shows to the client.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use lockgate_config::value::Price;
use lockgate_wire::chat_stream::StreamReader;
use lockgate_wire::chat_usage_strip::UsageStrip;
use lockgate_wire::error::Failure;
use lockgate_wire::sse::Cutter;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::observation::{End, Observation};
use crate::relay::{self, BrokenOff};

/// A relay under way. Dropped before its end, it drops the target's connection and the observation with it.
#[derive(Debug)]
pub(crate) struct StreamBody {
    /// `None` once there is nothing more to wait for.
    rest: Option<Incoming>,
    /// Chunks to be passed on before more is asked for.
    ready: VecDeque<Bytes>,
    chat: Option<Chat>,
    patience: Patience,
    /// Whether the connection is to be cut when `ready` is empty.
    is_cut: bool,
    record: Option<Record>,
}

/// What is known of a chat stream.
#[derive(Debug)]
struct Chat {
    reader: Box<StreamReader>,
    /// Takes the usage chunk out, when we asked for it and the client did not.
    strip: Option<UsageStrip>,
    /// Follows what is passed on, to know whether that ends in the middle of an event.
    cutter: Cutter,
    is_inside_event: bool,
}

/// How long to wait for the next chunk.
#[derive(Debug)]
struct Patience {
    timer: Pin<Box<Sleep>>,
    idle: Duration,
    /// The call's own.
    deadline: Instant,
}

/// What is recorded at the end.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) observation: Observation,
    pub(crate) status: u16,
    pub(crate) price: Option<Price>,
    /// Set when even a whole answer is no success.
    pub(crate) failed: Option<End>,
}

/// Why a relay ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    CutOff,
    Silent,
    OutOfTime,
    WithoutEnd,
    /// The target told so itself, in the stream.
    Told,
}

impl StreamBody {
    /// Relays a body that nobody here can read.
    pub(crate) fn unread(ready: VecDeque<Bytes>, rest: Incoming, idle: Duration, record: Record) -> Self {
        let patience = Patience::new(idle, record.observation.deadline());
        Self { rest: Some(rest), ready, chat: None, patience, is_cut: false, record: Some(record) }
    }

    /// Relays a chat stream whose reader has seen the first chunk.
    pub(crate) fn chat(
        first: Bytes,
        rest: Incoming,
        idle: Duration,
        reader: Box<StreamReader>,
        strip: Option<UsageStrip>,
        record: Record,
    ) -> Self {
        let mut body = Self::unread(VecDeque::new(), rest, idle, record);
        body.chat = Some(Chat { reader, strip, cutter: Cutter::default(), is_inside_event: false });
        body.pass(first);
        body
    }

    /// The next chunk for the client.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            self.record_if_whole();
            if std::mem::take(&mut self.is_cut) {
                return Poll::Ready(Some(Err(BrokenOff)));
            }
            let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
            match Pin::new(rest).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.patience.renew();
                    if let Ok(chunk) = frame.into_data() {
                        self.read(&chunk);
                        self.pass(chunk);
                    }
                }
                Poll::Ready(Some(Err(_))) => self.break_off(Broken::CutOff),
                Poll::Ready(None) => self.close(),
                Poll::Pending => {
                    ready!(self.patience.timer.as_mut().poll(cx));
                    let is_late = Instant::now() >= self.patience.deadline;
                    self.break_off(if is_late { Broken::OutOfTime } else { Broken::Silent });
                }
            }
        }
    }

    fn read(&mut self, chunk: &Bytes) {
        if let Some(chat) = &mut self.chat {
            chat.reader.push(chunk);
        }
    }

    /// Puts a chunk on its way that was read before.
    fn pass(&mut self, chunk: Bytes) {
        let Some(chat) = &mut self.chat else {
            self.ready.push_back(chunk);
            return;
        };
        if chat.reader.has_content()
            && let Some(record) = &mut self.record
        {
            record.observation.has_content();
        }
        let told_error = chat.reader.error().is_some();
        let passing = chat.strip(chunk);
        chat.follow(&passing);
        if !passing.is_empty() {
            self.ready.push_back(passing);
        }
        if told_error {
            self.break_off(Broken::Told);
        }
    }

    /// The target has said all it had to say.
    fn close(&mut self) {
        if let Some(chat) = &mut self.chat {
            // Some servers end with `[DONE]` and no blank line after it.
            chat.reader.close();
        }
        match &mut self.chat {
            Some(chat) if !chat.reader.is_done() => self.break_off(Broken::WithoutEnd),
            Some(chat) => {
                self.rest = None;
                self.ready.extend(chat.strip.take().map(|strip| strip.finish().into()));
            }
            None => {
                self.rest = None;
                self.end(None);
            }
        }
    }

    fn break_off(&mut self, broken: Broken) {
        self.rest = None;
        let is_done = self.chat.as_ref().is_some_and(|chat| chat.reader.is_done());
        if is_done && broken != Broken::Told {
            // Everything was said; how the connection ended after it is of no interest.
            return;
        }
        match &mut self.chat {
            Some(_) if broken == Broken::Told => {}
            Some(chat) => self.ready.push_back(chat.last_event(broken)),
            None => self.is_cut = true,
        }
        self.end(Some(broken));
    }

    /// A chat is over with its terminal event, which the client has been given; many clients leave then, before the target
    /// closes the stream.
    fn record_if_whole(&mut self) {
        if self.chat.as_ref().is_some_and(|chat| chat.reader.is_done()) {
            self.end(None);
        }
    }

    fn end(&mut self, broken: Option<Broken>) {
        let Some(Record { mut observation, status, price, failed }) = self.record.take() else { return };
        let end = match broken {
            Some(Broken::Silent | Broken::OutOfTime) => {
                observation.fell_silent();
                End::Failed
            }
            Some(Broken::CutOff | Broken::WithoutEnd | Broken::Told) => {
                observation.broke_off();
                End::Failed
            }
            None => failed.unwrap_or_else(|| {
                let summary = self.chat.as_ref().map(|chat| chat.reader.answer());
                relay::read(summary, price, &mut observation)
            }),
        };
        observation.end(status, end);
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if self.ready.is_empty() {
            self.record_if_whole();
        }
    }
}

impl Chat {
    fn strip(&mut self, chunk: Bytes) -> Bytes {
        match self.strip.as_mut().map(|strip| strip.push(&chunk)) {
            None => chunk,
            Some(Cow::Borrowed(all)) if all.len() == chunk.len() => chunk,
            Some(Cow::Borrowed(part)) => chunk.slice_ref(part),
            Some(Cow::Owned(part)) => part.into(),
        }
    }

    fn follow(&mut self, passing: &[u8]) {
        let mut at = 0;
        while let Some(end) = self.cutter.cut(&passing[at..]) {
            at += end;
            self.is_inside_event = false;
        }
        self.is_inside_event |= at < passing.len();
    }

    /// What was held back, and the event that says that the answer is not whole.
    fn last_event(&mut self, broken: Broken) -> Bytes {
        let problem = match broken {
            Broken::CutOff => "the target broke off",
            Broken::Silent => "the target fell silent",
            Broken::OutOfTime => "the call's time ran out",
            Broken::WithoutEnd | Broken::Told => "the target ended it without its terminal event",
        };
        let mut last = self.strip.take().map(UsageStrip::finish).unwrap_or_default();
        if self.is_inside_event || !last.is_empty() {
            last.extend_from_slice(b"\n\n");
        }
        last.extend_from_slice(&Failure::CutOff { problem: problem.to_owned() }.event());
        last.into()
    }
}

impl Patience {
    fn new(idle: Duration, deadline: Instant) -> Self {
        let timer = Box::pin(sleep_until(deadline.min(Instant::now() + idle)));
        Self { timer, idle, deadline }
    }

    fn renew(&mut self) {
        self.timer.as_mut().reset(self.deadline.min(Instant::now() + self.idle));
    }
}
