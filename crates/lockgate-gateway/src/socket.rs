//! A client's socket that does not wait for ever to be read.
//!
//! hyper asks for the next chunk only when the one before has been written. A client that stops reading would hold its call,
//! the target's connection and the memory of both until it pleased to leave; none of the call's own times runs meanwhile,
//! because nobody asks for anything.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Longest time in which a client takes nothing of what is being sent to it: far above any stall of a network that recovers.
const STALL_MAX: Duration = Duration::from_secs(60);

/// A socket that is given up when nothing can be written to it for a while.
#[derive(Debug)]
pub(crate) struct Socket<S = TcpStream> {
    inner: S,
    stall: Pin<Box<Sleep>>,
    stall_max: Duration,
    is_stalled: bool,
}

impl<S> Socket<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self::with_patience(inner, STALL_MAX)
    }

    fn with_patience(inner: S, stall_max: Duration) -> Self {
        Self { inner, stall: Box::pin(sleep(stall_max)), stall_max, is_stalled: false }
    }

    /// Passes on what a write came to, unless it has been coming to nothing for too long.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_stalled = false;
            return written;
        }
        if !std::mem::replace(&mut self.is_stalled, true) {
            self.stall.as_mut().reset(Instant::now() + self.stall_max);
        }
        match self.stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(shut, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut socket = Socket::with_patience(ours, Duration::from_millis(20));
        let error = socket.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_is_served_however_long_it_takes() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut socket = Socket::with_patience(ours, Duration::from_secs(20));
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut all).await.unwrap();
            all.len()
        });
        socket.write_all(&[0; 4_096]).await.unwrap();
        socket.shutdown().await.unwrap();
        assert_eq!(reading.await.unwrap(), 4_096);
    }
}
