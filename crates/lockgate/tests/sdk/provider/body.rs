//! How an answer is sent: whole, or as a stream that may end badly.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::Value;
use tokio::time::{Sleep, sleep};

use super::State;
use super::say::End;

/// Between two pieces of a stream that goes on and on.
const PAUSE: Duration = Duration::from_millis(20);

/// An answer on its way out.
#[derive(Debug)]
pub enum Sent {
    /// In one piece.
    Whole(Value),
    /// As events.
    Stream(Vec<Bytes>, End),
}

impl Sent {
    /// A stream with the end that was asked for.
    pub fn stream(mut events: Vec<Bytes>, end: End) -> Self {
        if matches!(end, End::Broken | End::Short) {
            events.truncate(events.len().div_ceil(2));
        }
        Self::Stream(events, end)
    }

    /// As a body. Whether it was taken to its end is told to the state.
    pub fn into_body(self, state: Arc<Mutex<State>>) -> Pieces {
        let (left, end) = match self {
            Self::Whole(value) => (VecDeque::from([value.to_string().into()]), End::Proper),
            Self::Stream(events, end) => (events.into(), end),
        };
        let again = if end == End::Never { left.get(left.len() / 2).cloned() } else { None };
        Pieces { left, end, again, pause: None, is_over: false, state }
    }
}

/// A body in pieces.
pub struct Pieces {
    left: VecDeque<Bytes>,
    end: End,
    /// What is said again and again.
    again: Option<Bytes>,
    pause: Option<Pin<Box<Sleep>>>,
    is_over: bool,
    state: Arc<Mutex<State>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(again) = self.again.clone()
            && self.left.front() == Some(&again)
        {
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        if let Some(piece) = self.left.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.end == End::Broken && !self.is_over {
            // What was written must have left the machine before the connection breaks.
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            std::task::ready!(pause.as_mut().poll(context));
            self.is_over = true;
            return Poll::Ready(Some(Err(io::Error::other("broken off, as asked"))));
        }
        self.is_over = true;
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.end != End::Broken
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if !self.left.is_empty()
            && let Ok(mut state) = self.state.lock()
        {
            state.left += 1;
        }
    }
}
