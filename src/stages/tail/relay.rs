//! Passing messages from a backend to a client.

use crate::events::TailEnd;
use crate::upstream::websocket::Metered;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error};

/// Bytes that are read of a client at a time. It has nothing to say.
const CLIENT_READ_BYTES: usize = 1024;
/// Bytes of a client's message, which is dropped.
const CLIENT_MESSAGE_BYTES: usize = 64 * 1024;

/// What Loki says at the end of a tail and is passed on (`pkg/querier/tail/tail.go`). Its other reasons may tell of
/// its own machines, and of what others ask.
const LOKIS_REASONS: [&str; 2] = ["reached tail max duration limit", "all ingesters closed the connection"];

/// How often the other sides are asked whether they are there, and how long they may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Between pings.
    pub ping: Duration,
    /// How long nothing may come of a side, not even the answer to a ping; and how long a client may take for
    /// one message.
    pub patience: Duration,
}

impl Times {
    /// Those that are used.
    pub const USUAL: Self = Self { ping: Duration::from_secs(30), patience: Duration::from_secs(75) };
}

/// Why nothing more is passed, and what the client is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: TailEnd,
    /// `None`: the client closed it, or nothing can be told; or as little as the backend told.
    close: Option<CloseFrame>,
}

impl Ending {
    /// What a client is told of the reason.
    pub fn of(reason: TailEnd) -> Self {
        let close = match reason {
            TailEnd::Client | TailEnd::Backend => None,
            TailEnd::Stalled => Some((CloseCode::Policy, "too slow")),
            TailEnd::TooLarge => Some((CloseCode::Size, "a message over the limit")),
            TailEnd::NoMemory => Some((CloseCode::Again, "no memory is left, try again later")),
            TailEnd::Expired => Some((CloseCode::Policy, "token expired")),
            TailEnd::Policy => Some((CloseCode::Policy, "no longer granted")),
            TailEnd::Shutdown => Some((CloseCode::Away, "shutting down")),
        };
        Self { reason, close: close.map(|(code, reason)| CloseFrame { code, reason: reason.into() }) }
    }

    /// The client's end of what the backend has ended with `frame`.
    fn of_backend(frame: Option<CloseFrame>) -> Self {
        let (code, said) = frame.map_or((CloseCode::Normal, None), |frame| (frame.code, Some(frame.reason)));
        let code = match code {
            CloseCode::Normal | CloseCode::Away | CloseCode::Restart | CloseCode::Again => code,
            _ => CloseCode::Error,
        };
        let known = said.filter(|said| said.is_empty() || LOKIS_REASONS.contains(&said.as_str()));
        let reason = known.unwrap_or_else(|| "ended by the backend".into());
        Self { reason: TailEnd::Backend, close: Some(CloseFrame { code, reason }) }
    }
}

/// The two sides of a tail.
#[derive(Debug)]
pub struct Relay<C, U> {
    client: WebSocketStream<C>,
    backend: WebSocketStream<Metered<U>>,
    /// Bytes of messages given to the client.
    passed: u64,
    /// Since when the client takes what was written to it. Nothing is read of either side meanwhile, so that one
    /// message waits, or the answer to one ping, and no more.
    taking: Option<Instant>,
    /// Whether a message of the backend is among it.
    gave: bool,
    /// Whether the client did not take it at once.
    waited: bool,
    heard_client: Instant,
    heard_backend: Instant,
    ticks: Interval,
    times: Times,
}

impl<C, U> Relay<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// `client` has been answered that the protocol is changed.
    pub async fn new(client: C, backend: WebSocketStream<Metered<U>>, times: Times) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(CLIENT_READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(CLIENT_MESSAGE_BYTES))
            .max_frame_size(Some(CLIENT_MESSAGE_BYTES));
        let client = WebSocketStream::from_raw_socket(client, Role::Server, Some(config)).await;
        let now = Instant::now();
        let mut ticks = interval_at(now + times.ping, times.ping);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (heard_client, heard_backend) = (now, now);
        Self {
            client,
            backend,
            passed: 0,
            taking: None,
            gave: false,
            waited: false,
            heard_client,
            heard_backend,
            ticks,
            times,
        }
    }

    /// Passes messages until one of the sides ends that. Nothing is lost if it is given up and called again.
    pub async fn pass(&mut self) -> Ending {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        while self.ticks.poll_tick(cx).is_ready() {
            if let Err(ending) = self.tick() {
                return Poll::Ready(ending);
            }
        }
        loop {
            // Who does not take what is said to it is not listened to: each of its pings would be answered once more.
            match Pin::new(&mut self.client).poll_flush(cx) {
                Poll::Pending => {
                    self.taking.get_or_insert_with(Instant::now);
                    self.waited = true;
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(unwritten(&error)),
                Poll::Ready(Ok(())) => {
                    self.taking = None;
                    if std::mem::take(&mut self.gave) {
                        self.backend.get_mut().forget();
                    }
                    if std::mem::take(&mut self.waited) {
                        // Neither side was listened to meanwhile.
                        (self.heard_client, self.heard_backend) = (Instant::now(), Instant::now());
                    }
                }
            }
            // What a client says is dropped, but for its close.
            match Pin::new(&mut self.client).poll_next(cx) {
                Poll::Ready(Some(Ok(Message::Close(_)) | Err(_)) | None) => {
                    return Poll::Ready(Ending::of(TailEnd::Client));
                }
                Poll::Ready(Some(Ok(_))) => {
                    self.heard_client = Instant::now();
                    continue;
                }
                Poll::Pending => {}
            }
            match Pin::new(&mut self.backend).poll_flush(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Ending::of(TailEnd::Backend)),
                Poll::Ready(Ok(())) => {}
            }
            let Poll::Ready(heard) = Pin::new(&mut self.backend).poll_next(cx) else { return Poll::Pending };
            self.heard_backend = Instant::now();
            if let Err(ending) = self.take(heard) {
                return Poll::Ready(ending);
            }
        }
    }

    /// Takes what came of the backend.
    fn take(&mut self, heard: Option<Result<Message, Error>>) -> Result<(), Ending> {
        match heard {
            Some(Ok(Message::Text(text))) => {
                let bytes = text.len() as u64;
                self.give(Message::Text(text))?;
                self.gave = true;
                self.passed = self.passed.saturating_add(bytes);
                Ok(())
            }
            // Answered by the library.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(frame))) => {
                tracing::debug!(
                    said = frame.as_ref().map_or("", |f| f.reason.as_str()),
                    "the backend ends a tail"
                );
                Err(Ending::of_backend(frame))
            }
            Some(Err(Error::Capacity(_))) => Err(Ending::of(TailEnd::TooLarge)),
            Some(Err(Error::Io(error))) if error.kind() == std::io::ErrorKind::OutOfMemory => {
                Err(Ending::of(TailEnd::NoMemory))
            }
            // Loki writes its messages as text.
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                Err(Ending::of_backend(Some(CloseFrame { code: CloseCode::Error, reason: "".into() })))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the backend's side of a tail breaks");
                Err(Ending::of(TailEnd::Backend))
            }
            None => Err(Ending::of(TailEnd::Backend)),
        }
    }

    fn give(&mut self, message: Message) -> Result<(), Ending> {
        self.taking.get_or_insert_with(Instant::now);
        Pin::new(&mut self.client).start_send(message).map_err(|error| unwritten(&error))
    }

    /// Asks both sides whether they are there.
    fn tick(&mut self) -> Result<(), Ending> {
        let over = |since: Instant| since.elapsed() > self.times.patience;
        if over(self.heard_client) || self.taking.is_some_and(over) {
            return Err(Ending::of(TailEnd::Stalled));
        }
        if self.taking.is_none() && over(self.heard_backend) {
            return Err(Ending::of(TailEnd::Backend));
        }
        self.give(Message::Ping(Bytes::new()))?;
        let asked = Pin::new(&mut self.backend).start_send(Message::Ping(Bytes::new()));
        asked.map_err(|_| Ending::of(TailEnd::Backend))
    }

    /// Tells both sides, waits for their answers as long as `patience`, and gives how many bytes were passed.
    pub async fn close(mut self, ending: Ending, patience: Duration) -> u64 {
        let untold = ending.reason == TailEnd::Backend && ending.close.is_none();
        let client = async {
            // A side that breaks is no close: to the client it looks as it would without us.
            if !untold {
                ended(&mut self.client, ending.close).await;
            }
        };
        let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let backend = ended(&mut self.backend, Some(normal));
        let _ = timeout(patience, async { tokio::join!(client, backend) }).await;
        self.passed
    }
}

/// Sends a close, unless one is being answered, and waits for the answer to it.
async fn ended<S: AsyncRead + AsyncWrite + Unpin>(side: &mut WebSocketStream<S>, frame: Option<CloseFrame>) {
    let _ = match frame {
        Some(frame) => side.close(Some(frame)).await,
        None => side.flush().await,
    };
    while let Some(Ok(_)) = side.next().await {}
}

/// The end of a tail that cannot be written to.
fn unwritten(error: &Error) -> Ending {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Ending::of(TailEnd::Stalled),
        _ => Ending::of(TailEnd::Client),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
