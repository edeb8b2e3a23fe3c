//! Where a call's answer is told, before it is known whether it comes whole or bit by bit.
//!
//! A call is one future, from its first byte to its last. It either ends with a whole answer, or begins a stream on its stage and
//! goes on telling it. The client's connection drives it: hyper asks for the next chunk when the client can take it, and that is
//! what polls the call. So a slow client slows the target, nothing piles up, and a client that leaves drops the call with all that
//! it holds: the connection to the target, its place, and the observation, which then says that the call was cancelled.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};

use crate::observation::{End, Observation};

/// A call under way: gives its answer when that came whole, nothing when it was told on the stage.
pub(crate) type Acting = Pin<Box<dyn Future<Output = Option<Response<WholeBody>>> + Send>>;

/// The call's side of the stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<Slot>>);

/// What is between the call and the client: one chunk at the most.
#[derive(Debug, Default)]
struct Slot {
    head: Option<Response<()>>,
    has_begun: bool,
    chunk: Option<Bytes>,
    ending: Option<Ending>,
    is_cut: bool,
}

/// What is recorded when the client has been given the end.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) observation: Observation,
    pub(crate) status: u16,
    pub(crate) end: End,
}

/// The body of any answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    Whole(Box<WholeBody>),
    Staged(StagedBody),
}

/// An answer that is told bit by bit.
pub(crate) struct StagedBody {
    /// `None` once it has ended.
    acting: Option<Acting>,
    stage: Stage,
}

/// An answer that is there as a whole.
#[derive(Debug)]
pub(crate) struct WholeBody {
    /// `None` once taken, and from the start when there is nothing to take: nobody asks for an empty body.
    bytes: Option<Bytes>,
    /// Told when the bytes have been taken.
    ending: Option<Ending>,
}

/// An answer broke off where its form has no way to say so: the connection is cut, so that it does not look finished.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct BrokenOff;

/// Lets a call act until its answer is there, or has begun.
pub(crate) async fn perform(stage: Stage, mut acting: Acting) -> Response<AnswerBody> {
    let whole = poll_fn(|cx| match acting.as_mut().poll(cx) {
        Poll::Ready(whole) => Poll::Ready(Some(whole)),
        Poll::Pending if stage.lock().head.is_some() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await;
    let acting = match whole {
        Some(Some(response)) => return response.map(|body| AnswerBody::Whole(Box::new(body))),
        Some(None) => None,
        None => Some(acting),
    };
    // A call that ends with nothing has begun before.
    let head = stage.lock().head.take().unwrap_or_default();
    head.map(|()| AnswerBody::Staged(StagedBody { acting, stage }))
}

impl Stage {
    /// Begins to tell an answer. What was told so far may be on its way to the client from here on.
    pub(crate) fn begin(&self, head: Response<()>) {
        let mut slot = self.lock();
        slot.has_begun = true;
        slot.head = Some(head);
    }

    /// Whether the answer has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.lock().has_begun
    }

    /// Tells the next chunk, when the one before has been taken.
    pub(crate) async fn tell(&self, chunk: Bytes) {
        self.put(chunk, None).await;
    }

    /// Tells the last chunk that matters; when it has been taken, the end is recorded.
    pub(crate) async fn tell_last(&self, chunk: Bytes, ending: Ending) {
        self.put(chunk, Some(ending)).await;
    }

    /// Until everything that was told has been taken.
    pub(crate) async fn taken(&self) {
        self.room().await;
    }

    /// Cuts the connection, after what was told so far.
    pub(crate) async fn cut(&self) {
        self.room().await;
        self.lock().is_cut = true;
    }

    async fn put(&self, chunk: Bytes, ending: Option<Ending>) {
        if chunk.is_empty() {
            if let Some(ending) = ending {
                ending.record();
            }
            return;
        }
        self.room().await;
        let mut slot = self.lock();
        slot.chunk = Some(chunk);
        slot.ending = ending;
    }

    /// Until the slot is free. Nobody needs to be woken for it: whoever takes the chunk polls the call next.
    async fn room(&self) {
        poll_fn(|_| if self.lock().chunk.is_none() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn take(&self) -> Option<Result<Bytes, BrokenOff>> {
        let mut slot = self.lock();
        let Some(chunk) = slot.chunk.take() else { return slot.is_cut.then_some(Err(BrokenOff)) };
        let ending = slot.ending.take();
        drop(slot);
        if let Some(ending) = ending {
            ending.record();
        }
        Some(Ok(chunk))
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ending {
    /// Records it.
    pub(crate) fn record(self) {
        let Self { observation, status, end } = self;
        observation.end(status, end);
    }
}

impl WholeBody {
    /// An answer about which nothing is recorded.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self::new(bytes, None)
    }

    /// An answer whose end is recorded when it has been taken.
    pub(crate) fn observed(bytes: Bytes, ending: Ending) -> Self {
        Self::new(bytes, Some(ending))
    }

    fn new(bytes: Bytes, ending: Option<Ending>) -> Self {
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), ending }
    }
}

impl StagedBody {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            if let Some(told) = self.stage.take() {
                return Poll::Ready(Some(told.map(Frame::data)));
            }
            let Some(acting) = &mut self.acting else { return Poll::Ready(None) };
            match acting.as_mut().poll(cx) {
                Poll::Ready(_) => self.acting = None,
                Poll::Pending if self.stage.lock().chunk.is_none() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

impl std::fmt::Debug for StagedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedBody").field("has_ended", &self.acting.is_none()).finish_non_exhaustive()
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Staged(staged) => staged.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(whole) if whole.bytes.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => SizeHint::with_exact(whole.bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Staged(_) => SizeHint::default(),
        }
    }
}

impl Drop for WholeBody {
    fn drop(&mut self) {
        // With the bytes still here, nobody took the answer, and the observation's own drop says so.
        if self.bytes.is_none()
            && let Some(ending) = self.ending.take()
        {
            ending.record();
        }
    }
}
