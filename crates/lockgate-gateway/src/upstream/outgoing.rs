//! A request body that knows when it leaves: hyper asks for it when the head has been written, and drops it when all of it has been
//! handed to the connection, or when there will be none.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use lockgate_config::live::Table;
use tokio::sync::oneshot;

/// A request body.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Option<Bytes>,
    on_its_way: OnItsWay,
}

#[derive(Debug)]
struct OnItsWay {
    _table: Arc<Table>,
    tell_sent: Option<oneshot::Sender<()>>,
}

impl Outgoing {
    /// The body, and what tells that it begins to leave.
    pub(super) fn new(bytes: Bytes, table: Arc<Table>) -> (Self, oneshot::Receiver<()>) {
        let (tell_sent, sent) = oneshot::channel();
        let on_its_way = OnItsWay { _table: table, tell_sent: Some(tell_sent) };
        (Self { bytes: Some(bytes), on_its_way }, sent)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(tell_sent) = self.on_its_way.tell_sent.take() {
            // Nobody listens any more when the call was given up in this moment.
            let _ = tell_sent.send(());
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}
