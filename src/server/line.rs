//! A connection's stream as the server sees it: whether its client takes what it is sent, and whether a head that
//! was begun comes.

use super::places::Place;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream of which the head of a request, once begun, must come within some time.
#[derive(Debug)]
pub(super) struct Line<S> {
    stream: S,
    place: Arc<Place>,
    /// How long a head may take; without it, as long as it likes.
    head: Option<Duration>,
    /// By when the head that has begun must be there, and how many requests there were before it.
    due: Option<(Instant, u64)>,
    /// Runs while a head is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Line<S> {
    /// `stream`, the connection of `place`.
    pub fn new(stream: S, place: Arc<Place>, head: Option<Duration>) -> Self {
        Self { stream, place, head, due: None, waiting: None }
    }

    /// Whether the head of a request has begun and is late.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let waiting = self.place.waiting();
        let Some((due, _)) = self.due.filter(|(_, before)| waiting == Some(*before)) else {
            (self.due, self.waiting) = (None, None);
            return false;
        };
        self.waiting.get_or_insert_with(|| Box::pin(sleep_until(due))).as_mut().poll(cx).is_ready()
    }

    /// Passes on what became of a write, and tells whether the client takes it.
    fn told<T>(&self, written: Poll<T>) -> Poll<T> {
        self.place.blocked(written.is_pending());
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(head) = self.head else { return polled };
        if polled.is_pending() {
            return match self.is_late(cx) {
                true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                false => Poll::Pending,
            };
        }
        if buffer.filled().len() > before
            && let Some(begun) = self.place.waiting()
            && self.due.is_none_or(|(_, before)| before != begun)
        {
            (self.due, self.waiting) = (Some((Instant::now() + head, begun)), None);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.told(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.told(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.told(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::places::Places;
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{sleep, timeout};

    #[tokio::test]
    async fn a_head_that_has_begun_must_come_and_one_that_has_not_need_not() {
        let patience = Duration::from_millis(100);
        let (mut client, server) = duplex(64);
        let place = Arc::new(Places::new(1).enter().unwrap());
        let mut line = Line::new(server, Arc::clone(&place), Some(patience));
        let mut read = [0; 64];
        assert!(timeout(patience * 3, line.read(&mut read)).await.is_err(), "nothing has begun");
        client.write_all(b"GET /").await.unwrap();
        assert_eq!(line.read(&mut read).await.unwrap(), 5);
        // It came whole: what is read meanwhile may take its time, and so may the next.
        let busy = place.begin();
        assert!(timeout(patience * 3, line.read(&mut read)).await.is_err());
        drop(busy);
        assert!(timeout(patience * 3, line.read(&mut read)).await.is_err());
        for _ in 0..2 {
            client.write_all(b"G").await.unwrap();
            assert_eq!(line.read(&mut read).await.unwrap(), 1);
            sleep(patience / 4).await;
        }
        let late = timeout(patience * 3, line.read(&mut read)).await.unwrap();
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
