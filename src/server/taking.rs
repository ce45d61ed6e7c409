//! What clients take of their answers. An answer of which nothing is taken for too long is given up, and so is one whose
//! caller's token has ended long ago.
//!
//! Over HTTP/1.1 a client that takes nothing blocks its connection, which [`super::stall`] sees. A stream of HTTP/2 waits
//! for its own window (RFC 9113, section 5.2) while the connection goes on: so what its body has given is counted until it
//! is written, and a task that waits is dropped, which resets the stream.

use super::places::Busy;
use crate::stages::Timed;
use bytes::{Buf, Bytes};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Bytes of an answer after which it is given piece by piece: the next when the one before is written. So what is left of
/// an answer whose stream has ended for us is no more than that, as in a socket's own buffer.
const SMALL_BYTES: usize = 16 * 1024;
/// How exactly times are kept.
const NEARLY: Duration = Duration::from_millis(10);

/// What is taken of one answer after the other: those of a connection of HTTP/1.1, or the one of a stream.
#[derive(Debug, Default)]
pub(super) struct Taking(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When something of an answer was given or taken last, while there is one.
    since: Option<Instant>,
    /// When the answer must be over.
    ends: Option<SystemTime>,
    /// Whether we have nothing to give at the moment.
    owes: bool,
    /// Bytes that were given, and those of them that are not written yet.
    given: usize,
    waiting: usize,
    /// Who waits until all is written.
    waker: Option<Waker>,
    /// Why the answer is given up, if it is.
    given_up: Option<&'static str>,
}

impl Taking {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By when something must happen, and why the answer is given up if it does not.
    fn due(&self, stall: Option<Duration>) -> Option<(Instant, &'static str)> {
        let state = self.state();
        let since = state.since?;
        let stalls = stall.filter(|_| state.waiting > 0 || !state.owes);
        let stalls = stalls.map(|stall| (since + stall, "nothing of it is taken"));
        let left = |ends: SystemTime| ends.duration_since(SystemTime::now()).unwrap_or_default();
        let ends = state.ends.map(|ends| (Instant::now() + left(ends), "its token has ended"));
        stalls.into_iter().chain(ends).min()
    }

    /// Returns when an answer is to be given up, for nothing of it was taken for as long as `stall`, or its token has
    /// ended. To be polled after whatever gives the answer.
    pub async fn overdue(&self, stall: Option<Duration>) {
        let mut waiting: Option<Pin<Box<Sleep>>> = None;
        std::future::poll_fn(|cx| {
            loop {
                let Some((due, why)) = self.due(stall) else { return Poll::Pending };
                let sleep = waiting.get_or_insert_with(|| Box::pin(sleep_until(due)));
                if sleep.deadline() > due + NEARLY {
                    sleep.as_mut().reset(due);
                }
                ready!(sleep.as_mut().poll(cx));
                waiting = None;
                if due <= Instant::now() + NEARLY {
                    self.state().given_up = Some(why);
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    fn is_stalled(&self, stall: Duration) -> bool {
        let state = self.state();
        state.waiting > 0 && state.since.is_some_and(|since| since.elapsed() >= stall)
    }

    fn moved(&self, written: usize) {
        let mut state = self.state();
        state.since = Some(Instant::now());
        state.waiting = state.waiting.saturating_sub(written);
        if state.waiting == 0
            && let Some(waker) = state.waker.take()
        {
            waker.wake();
        }
    }
}

/// Where an answer is given.
#[derive(Debug)]
pub(super) struct On {
    /// Keeps the connection's place.
    pub busy: Busy,
    /// Sees what is taken.
    pub taking: Arc<Taking>,
    /// Whether the answer has a window of its own, so that what is written of it is followed.
    pub is_stream: bool,
}

pin_project_lite::pin_project! {
    /// An answer that comes, and keeps its connection's place.
    #[derive(Debug)]
    pub(super) struct Kept<F> {
        #[pin]
        answering: F,
        on: Option<On>,
    }
}

impl<F> Kept<F> {
    /// What `answering` gives, there.
    pub fn new(answering: F, on: On) -> Self {
        Self { answering, on: Some(on) }
    }
}

impl<F: Future<Output = Result<Response<B>, E>>, B: Timed, E> Future for Kept<F> {
    type Output = Result<Response<Given<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = ready!(this.answering.poll(cx));
        let mut on = this.on.take();
        if matches!(&answered, Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS)
            && let Some(on) = on.take()
        {
            on.busy.for_good();
        }
        Poll::Ready(answered.map(|response| response.map(|body| Given::new(body, on))))
    }
}

/// The body of an answer that is given.
#[derive(Debug)]
pub(super) struct Given<B: Timed> {
    body: B,
    on: Option<On>,
}

impl<B: Timed> Given<B> {
    fn new(body: B, on: Option<On>) -> Self {
        if let Some(on) = &on {
            let mut state = on.taking.state();
            (state.since, state.ends, state.owes) = (Some(Instant::now()), body.ends(), false);
        }
        Self { body, on }
    }

    /// Whether more is given only once what was given is written.
    fn waits(&self) -> Option<MutexGuard<'_, State>> {
        let on = self.on.as_ref().filter(|on| on.is_stream)?;
        Some(on.taking.state()).filter(|state| state.waiting > 0 && state.given > SMALL_BYTES)
    }
}

impl<B: Timed> Body for Given<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        if let Some(mut state) = self.waits() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Some(on) = &self.on else {
            return polled.map(|frame| Some(frame?.map(|f| f.map_data(Piece::of))));
        };
        let mut state = on.taking.state();
        state.owes = polled.is_pending();
        polled.map(|frame| {
            Some(frame?.map(|frame| {
                frame.map_data(|bytes| {
                    if !on.is_stream {
                        return Piece::of(bytes);
                    }
                    let length = bytes.len();
                    state.since = Some(Instant::now());
                    state.given = state.given.saturating_add(length);
                    state.waiting = state.waiting.saturating_add(length);
                    Piece { bytes, length, taking: Some(Arc::clone(&on.taking)) }
                })
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.waits().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Timed> Drop for Given<B> {
    fn drop(&mut self) {
        let Some(on) = &self.on else { return };
        let mut state = on.taking.state();
        if let Some(why) = state.given_up {
            self.body.broke_off(why);
        }
        state.ends = None;
        if state.waiting == 0 {
            state.since = None;
        }
    }
}

/// A piece of an answer. Whoever drops it has written it, or gives up.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    length: usize,
    taking: Option<Arc<Taking>>,
}

impl Piece {
    /// One that nobody follows.
    fn of(bytes: Bytes) -> Self {
        Self { length: bytes.len(), bytes, taking: None }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(taking) = &self.taking {
            taking.moved(0);
        }
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(taking) = &self.taking {
            taking.moved(self.length);
        }
    }
}

/// The streams of one connection: each is a task, which is dropped once it is overdue.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    stall: Duration,
    /// That of the stream that begins.
    begun: Arc<Mutex<Option<Arc<Taking>>>>,
    /// Those of streams that have ended for us, though not all is written.
    left: Arc<Mutex<Vec<Arc<Taking>>>>,
}

impl Streams {
    /// None yet. Each is given up when nothing is taken of it for as long as `stall`.
    pub fn new(stall: Duration) -> Self {
        Self { stall, begun: Arc::default(), left: Arc::default() }
    }

    /// What sees what is taken of the answer to the next stream that is executed.
    pub fn begin(&self) -> Arc<Taking> {
        let taking = Arc::new(Taking::default());
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&taking));
        taking
    }

    /// Returns when the connection is to be given up: for what is left of a stream cannot be taken back.
    pub async fn overdue(&self) {
        loop {
            sleep(self.stall / 2).await;
            let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            if left.iter().any(|taking| taking.is_stalled(self.stall)) {
                return;
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(taking) = begun else {
            tokio::spawn(stream);
            return;
        };
        let (stall, left) = (self.stall, Arc::clone(&self.left));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stream => {}
                () = taking.overdue(Some(stall)) => {}
            }
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            left.retain(|taking| taking.state().waiting > 0);
            if taking.state().waiting > 0 {
                left.push(taking);
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
