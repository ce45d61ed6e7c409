//! The first bytes of a connection: who a proxy in front says it is from, and what is spoken.
//!
//! They are read as they come and kept, so that whoever serves the connection reads them again.

use bytes::{Buf, BytesMut};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What the header of the PROXY protocol begins with, version 2 (section 2.2 of its specification).
const PROXY_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 1 (section 2.1).
const PROXY_1: &[u8] = b"PROXY ";
/// Bytes of a header of version 1, its end among them.
const PROXY_1_BYTES: usize = 107;
/// Bytes of a header of version 2 before what its length counts.
const PROXY_2_HEAD: usize = 16;

/// The protocol of one connection. Known before the connection is served, because hyper waits without
/// end for the bytes that would tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1, or what is none.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A stream of which something was read already, which comes first.
#[derive(Debug)]
pub(super) struct Opened<S> {
    read: BytesMut,
    stream: S,
}

impl<S: AsyncRead + Unpin> Opened<S> {
    /// `stream`, of which nothing was read.
    pub fn new(stream: S) -> Self {
        Self { read: BytesMut::new(), stream }
    }

    /// The protocol that the first bytes tell.
    ///
    /// # Errors
    /// If the connection ends before they do.
    pub async fn protocol(&mut self) -> io::Result<Protocol> {
        loop {
            let length = self.read.len().min(HTTP2_PREFACE.len());
            match self.read.get(..length) {
                Some(HTTP2_PREFACE) => return Ok(Protocol::Http2),
                Some(part) if HTTP2_PREFACE.starts_with(part) => self.more().await?,
                _ => return Ok(Protocol::Http1),
            }
        }
    }

    /// Takes off the header of the PROXY protocol, if there is one: the address that it names, or `None` where it names
    /// none.
    ///
    /// # Errors
    /// If it is broken, or the connection ends before it does.
    pub async fn proxied(&mut self) -> io::Result<Option<IpAddr>> {
        loop {
            match header(&self.read) {
                Header::Part => self.more().await?,
                Header::None => return Ok(None),
                Header::Broken => return Err(io::ErrorKind::InvalidData.into()),
                Header::Whole(length, address) => {
                    self.read.advance(length);
                    return Ok(address);
                }
            }
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// What the first bytes are of a header of the PROXY protocol.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// Nothing.
    None,
    /// A part of one.
    Part,
    /// One of so many bytes, with the address of the source, if it names one.
    Whole(usize, Option<IpAddr>),
    /// No good one.
    Broken,
}

fn header(bytes: &[u8]) -> Header {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
    if begins(PROXY_2) {
        return second(bytes);
    }
    if !begins(PROXY_1) {
        return Header::None;
    }
    match bytes.iter().take(PROXY_1_BYTES).position(|byte| *byte == b'\n') {
        None if bytes.len() < PROXY_1_BYTES => Header::Part,
        None => Header::Broken,
        Some(end) => {
            let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"));
            let line = line.and_then(|line| std::str::from_utf8(line).ok());
            match line.and_then(first) {
                Some(address) => Header::Whole(end.saturating_add(1), address),
                None => Header::Broken,
            }
        }
    }
}

/// The source that a line of version 1 names; `None` if it is no such line.
fn first(line: &str) -> Option<Option<IpAddr>> {
    let mut parts = line.split(' ').skip(1);
    let protocol = parts.next()?;
    if protocol == "UNKNOWN" {
        return Some(None);
    }
    let parts: Vec<&str> = parts.collect();
    let [from, to, from_port, to_port] = parts.as_slice() else { return None };
    let port = |text: &str| text.parse::<u16>().is_ok();
    let source = match protocol {
        "TCP4" if to.parse::<Ipv4Addr>().is_ok() => from.parse::<Ipv4Addr>().ok()?.into(),
        "TCP6" if to.parse::<Ipv6Addr>().is_ok() => from.parse::<Ipv6Addr>().ok()?.into(),
        _ => return None,
    };
    (port(from_port) && port(to_port)).then_some(Some(source))
}

fn second(bytes: &[u8]) -> Header {
    let Some([version, family, high, low]) = bytes.get(PROXY_2.len()..PROXY_2_HEAD) else {
        return Header::Part;
    };
    let length = PROXY_2_HEAD.saturating_add(u16::from_be_bytes([*high, *low]).into());
    let Some(told) = bytes.get(PROXY_2_HEAD..length) else { return Header::Part };
    match (version, family >> 4) {
        // LOCAL: the proxy's own, to see whether we are there.
        (0x20, _) => Header::Whole(length, None),
        (0x21, 1) => match told.first_chunk::<4>().filter(|_| told.len() >= 12) {
            Some(source) => Header::Whole(length, Some(Ipv4Addr::from(*source).into())),
            None => Header::Broken,
        },
        (0x21, 2) => match told.first_chunk::<16>().filter(|_| told.len() >= 36) {
            Some(source) => Header::Whole(length, Some(Ipv6Addr::from(*source).into())),
            None => Header::Broken,
        },
        // Not of the internet, or not told.
        (0x21, _) => Header::Whole(length, None),
        _ => Header::Broken,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read.split_to(length));
        if self.read.is_empty() {
            // Its memory is for the first bytes only.
            self.read = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt as _, duplex};

    /// What is made of a connection whose client sends `bytes`, `step` at a time: what a proxy says, the protocol, and
    /// what whoever serves it reads.
    async fn opened(bytes: &[u8], step: usize) -> io::Result<(Option<IpAddr>, Protocol, Vec<u8>)> {
        let (mut client, server) = duplex(1024);
        let bytes = bytes.to_vec();
        tokio::spawn(async move {
            for part in bytes.chunks(step) {
                client.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut opened = Opened::new(server);
        let address = opened.proxied().await?;
        let protocol = opened.protocol().await?;
        let mut rest = Vec::new();
        opened.read_to_end(&mut rest).await?;
        Ok((address, protocol, rest))
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_protocol_and_are_read_again() {
        let http2 = [HTTP2_PREFACE, b"frames"].concat();
        for step in [1, 7, 1000] {
            for (bytes, protocol) in [
                (&b"GET / HTTP/1.1\r\n"[..], Protocol::Http1),
                (b"POST", Protocol::Http1),
                (b"PRI * HTTP/2.1", Protocol::Http1),
                (&http2, Protocol::Http2),
            ] {
                assert_eq!(opened(bytes, step).await.unwrap(), (None, protocol, bytes.to_vec()));
            }
            for bytes in
                [&b""[..], b"P", b"PRI * HTTP/2.0", b"PROXY TCP4 192.0.2.1", b"\r\n\r\n\0\r\nQUIT\n\x21"]
            {
                let error = opened(bytes, step).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{bytes:?}");
            }
        }
    }

    /// A header of version 2.
    fn second(version: u8, family: u8, told: &[u8]) -> Vec<u8> {
        let length = u16::try_from(told.len()).unwrap().to_be_bytes();
        [PROXY_2, &[version, family], &length, told].concat()
    }

    #[tokio::test]
    async fn a_proxy_names_the_source_in_both_versions() {
        let four: IpAddr = "192.0.2.1".parse().unwrap();
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        let told = |address: &IpAddr| match address {
            IpAddr::V4(four) => [&four.octets()[..], &[0; 8], b"more"].concat(),
            IpAddr::V6(six) => [&six.octets()[..], &[0; 20]].concat(),
        };
        for (header, address) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65535\r\n".to_vec(), Some(four)),
            (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(), Some(six)),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN what ever\r\n".to_vec(), None),
            (second(0x21, 0x11, &told(&four)), Some(four)),
            (second(0x21, 0x21, &told(&six)), Some(six)),
            (second(0x20, 0x11, &told(&four)), None),
            (second(0x21, 0, b""), None),
        ] {
            for step in [1, 1000] {
                let whole = [&header[..], b"GET /"].concat();
                let opened = opened(&whole, step).await.unwrap();
                assert_eq!(opened, (address, Protocol::Http1, b"GET /".to_vec()), "{header:?}");
            }
        }
    }

    #[test]
    fn a_header_that_is_not_as_specified_is_broken() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(PROXY_1_BYTES));
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
            long.as_str(),
        ] {
            assert_eq!(header(line.as_bytes()), Header::Broken, "{line}");
        }
        let most = format!("PROXY UNKNOWN {}\r\n", "x".repeat(PROXY_1_BYTES - 16));
        assert_eq!(header(most.as_bytes()), Header::Whole(PROXY_1_BYTES, None));
        for bytes in
            [second(0x21, 0x11, &[0; 11]), second(0x21, 0x21, &[0; 35]), second(0x11, 0x11, &[0; 12])]
        {
            assert_eq!(header(&bytes), Header::Broken, "{bytes:?}");
        }
    }
}
