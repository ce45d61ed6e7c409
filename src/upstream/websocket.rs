//! The opening handshake of a WebSocket (RFC 6455, section 4), and the one to a backend.

use super::client::Upstream;
use super::pool::{Answer, Stream};
use crate::budget::Permit;
use crate::rejection::UpstreamFault;
use crate::scope::{Call, Carried};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, HeaderName, Response};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// What is hashed after a key (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes that are read of a backend at a time, at least.
const READ_BYTES: usize = 16 * 1024;

/// A WebSocket to a backend.
pub type Socket = WebSocketStream<Metered<Stream>>;

/// A stream of which what is read is held of the memory until it is forgotten.
#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    memory: Permit,
    /// Bytes that were read since.
    read: usize,
}

impl<S> Metered<S> {
    /// `stream`, of which nothing was read yet.
    pub fn new(stream: S, memory: Permit) -> Self {
        Self { stream, memory, read: 0 }
    }

    /// What was read so far is gone.
    pub fn forget(&mut self) {
        self.memory.shrink(0);
        self.read = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    /// Fails with `OutOfMemory` where there is no memory for what was read.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.read = self.read.saturating_add(buffer.filled().len().saturating_sub(before));
        let read = self.read.next_multiple_of(READ_BYTES);
        Poll::Ready(self.memory.hold(read).map_err(|spent| io::Error::new(io::ErrorKind::OutOfMemory, spent)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What answers the `Sec-WebSocket-Key` of a handshake: its `Sec-WebSocket-Accept`.
pub fn accept(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()))
}

/// Whether `text` is a key: 16 bytes in base64.
pub fn is_key(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 16)
}

/// Whether one of the lists `name` has `token`, in any case (RFC 9110, section 5.6.1).
pub fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
}

/// The value of `name`, if it is there once.
pub fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

impl Upstream {
    /// Opens a WebSocket by `call`, whose messages have `max` bytes at most and are held of `memory`; or gives the answer of a backend that
    /// does not open it.
    ///
    /// # Errors
    /// As [`Upstream::send`], and [`UpstreamFault::Unexpected`] for an answer that is none to this handshake.
    pub async fn websocket(
        &self,
        call: Call,
        carried: &Carried,
        max: usize,
        memory: Permit,
    ) -> Result<Result<Socket, Response<Answer>>, UpstreamFault> {
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| UpstreamFault::Unreachable)?;
        let key = STANDARD.encode(random);
        let switched = match self.switch(call, carried, &key).await? {
            Ok(switched) => switched,
            Err(answer) => return Ok(Err(answer)),
        };
        if !answers(&switched.headers, &key) {
            return Err(UpstreamFault::Unexpected);
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(max))
            .max_frame_size(Some(max));
        let stream = Metered::new(switched.stream, memory);
        let socket = WebSocketStream::from_partially_read(stream, switched.read, Role::Client, Some(config));
        Ok(Ok(socket.await))
    }
}

/// Whether these are the headers of the answer to `key`. Neither an extension nor a protocol was offered.
fn answers(headers: &HeaderMap, key: &str) -> bool {
    let upgraded = single(headers, UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    let accepted = single(headers, SEC_WEBSOCKET_ACCEPT) == Some(accept(key).as_str());
    let plain =
        !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) && !headers.contains_key(SEC_WEBSOCKET_PROTOCOL);
    upgraded && accepted && plain && lists(headers, CONNECTION, "upgrade")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_has_16_bytes() {
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZTE=",
            "dGhlIHNhbXBsZSBub25jZR==",
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn only_the_answer_to_its_key_opens_a_socket() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = [
            (UPGRADE, "WebSocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let headers = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            pairs.collect::<HeaderMap>()
        };
        assert!(answers(&headers(&good), key));
        for missing in 0..good.len() {
            let mut some = good.to_vec();
            some.remove(missing);
            assert!(!answers(&headers(&some), key));
        }
        for (name, value) in [
            (UPGRADE, "h2c"),
            (CONNECTION, "close"),
            (SEC_WEBSOCKET_ACCEPT, "x"),
            (SEC_WEBSOCKET_EXTENSIONS, "permessage-deflate"),
            (SEC_WEBSOCKET_PROTOCOL, "x"),
        ] {
            let mut other = headers(&good);
            other.insert(name.clone(), HeaderValue::from_static(value));
            assert!(!answers(&other, key), "{name}");
        }
    }
}
