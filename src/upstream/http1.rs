//! What a backend writes back, read: HTTP/1.1 as RFC 9112 has it, and nothing that two readers could take for
//! two things.
//!
//! Only what an answer needs is kept of its head. An answer whose end is told twice, or not as the RFC says, is
//! broken: its connection is not used again.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{Header, ParserConfig, Status};
use std::mem::MaybeUninit;

/// Bytes of the head of an answer.
pub(super) const HEAD_BYTES: usize = 64 * 1024;
/// Headers of an answer.
const HEADERS: usize = 100;
/// Bytes of a line between chunks.
const LINE_BYTES: usize = 4096;

/// An answer that is no HTTP/1.1, or not clearly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken answer: {0}")]
pub(super) struct Broken(&'static str);

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    /// The status.
    pub status: StatusCode,
    /// `Content-Type` and `Content-Encoding`, if they are there; of a change of protocol, all.
    pub headers: HeaderMap,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the connection stays open after the body.
    pub stays: bool,
}

impl Head {
    /// Takes a head off `buffer`, with those of interim answers before it; `None` if it is not whole yet.
    pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Self>, Broken> {
        Self::taken(buffer, false)
    }

    /// As [`Head::take`], where another protocol was asked for: 101 is an answer then, whose headers are all kept,
    /// and what follows is that protocol's.
    pub(super) fn take_switch(buffer: &mut BytesMut) -> Result<Option<Self>, Broken> {
        Self::taken(buffer, true)
    }

    fn taken(buffer: &mut BytesMut, switches: bool) -> Result<Option<Self>, Broken> {
        loop {
            // Written by the parser only as far as there are headers.
            let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
            let mut response = httparse::Response::new(&mut []);
            let parser = ParserConfig::default();
            let length = match parser.parse_response_with_uninit_headers(&mut response, buffer, &mut headers)
            {
                Ok(Status::Complete(length)) if length <= HEAD_BYTES => length,
                Ok(Status::Partial) if buffer.len() < HEAD_BYTES => return Ok(None),
                Ok(_) => return Err(Broken("its head is too long")),
                Err(_) => return Err(Broken("its head is no head")),
            };
            let code = response.code.unwrap_or_default();
            // Interim answers other than a change of protocol say nothing to us.
            if matches!(code, 100 | 102..=199) {
                buffer.advance(length);
                continue;
            }
            let head = match code {
                101 if switches && response.version == Some(1) => Self::switched(response.headers)?,
                _ => Self::of(code, response.version == Some(1), response.headers)?,
            };
            buffer.advance(length);
            return Ok(Some(head));
        }
    }

    fn switched(given: &[Header<'_>]) -> Result<Self, Broken> {
        let mut headers = HeaderMap::new();
        for header in given {
            let (name, value) =
                (HeaderName::from_bytes(header.name.as_bytes()), HeaderValue::from_bytes(header.value));
            let (Ok(name), Ok(value)) = (name, value) else { return Err(Broken("a header is no text")) };
            headers.append(name, value);
        }
        let status = StatusCode::SWITCHING_PROTOCOLS;
        Ok(Self { status, headers, framing: Framing::Close, stays: false })
    }

    fn of(code: u16, is_1_1: bool, given: &[Header<'_>]) -> Result<Self, Broken> {
        let status = StatusCode::from_u16(code).ok().filter(|s| s.as_u16() >= 200);
        let status = status.ok_or(Broken("its status is none"))?;
        let mut kept = HeaderMap::new();
        let (mut length, mut encoding, mut stays) = (None, None, is_1_1);
        for header in given {
            let name = header.name;
            if name.eq_ignore_ascii_case("content-length") {
                let told = number(header.value, 10).ok_or(Broken("its length is no number"))?;
                if length.replace(told).is_some_and(|before| before != told) {
                    return Err(Broken("it has two lengths"));
                }
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if encoding.replace(header.value).is_some() {
                    return Err(Broken("it is encoded twice"));
                }
            } else if name.eq_ignore_ascii_case("connection") {
                let closes = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(b"close");
                stays &= !header.value.split(|byte| *byte == b',').any(closes);
            } else if name.eq_ignore_ascii_case("content-type") {
                keep(&mut kept, CONTENT_TYPE, header.value)?;
            } else if name.eq_ignore_ascii_case("content-encoding") {
                keep(&mut kept, CONTENT_ENCODING, header.value)?;
            }
        }
        let framing = match (status, encoding, length) {
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, None, _) => Framing::Length(0),
            (_, None, Some(length)) => Framing::Length(length),
            (_, None, None) => Framing::Close,
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, Some(_), _) => {
                return Err(Broken("it has no body, and says how it ends"));
            }
            (_, Some(coding), None) if is_1_1 && coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
                Framing::Chunked(Chunked::Size)
            }
            (_, Some(_), _) => return Err(Broken("its end is not clear")),
        };
        let stays = stays && framing != Framing::Close;
        Ok(Self { status, headers: kept, framing, stays })
    }
}

fn keep(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) -> Result<(), Broken> {
    let value = HeaderValue::from_bytes(value).map_err(|_| Broken("a header is no text"))?;
    match headers.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(Broken("a header is there twice")),
    }
}

/// The number that `text` is in digits of `radix`, without sign or separator.
fn number(text: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let digits = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if digits { u64::from_str_radix(text, radix).ok() } else { None }
}

/// How the end of a body is told (RFC 9112, section 6.3), and how far it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// By the end of the connection.
    Close,
}

/// What comes next of a body in chunks (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// The line that tells a chunk's size.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The end of line after a chunk.
    AfterData,
    /// The lines after the last chunk, of which so many bytes were there.
    Trailer(usize),
    /// Nothing.
    Ended,
}

/// What there is of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Some bytes of it.
    Data(Bytes),
    /// More must be read first.
    More,
    /// It has ended.
    End,
}

impl Framing {
    /// Takes the next part of the body off `buffer`.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Part, Broken> {
        match self {
            Self::Length(0) => Ok(Part::End),
            _ if buffer.is_empty() && *self != Self::Chunked(Chunked::Ended) => Ok(Part::More),
            Self::Length(left) => Ok(Part::Data(taken(buffer, left))),
            Self::Close => Ok(Part::Data(buffer.split().freeze())),
            Self::Chunked(chunked) => chunked.take(buffer),
        }
    }

    /// Whether nothing is left, without another byte.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::Ended))
    }
}

/// As many bytes of `buffer` as there are, and no more than are `left`.
fn taken(buffer: &mut BytesMut, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left = left.saturating_sub(length as u64);
    buffer.split_to(length).freeze()
}

impl Chunked {
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Part, Broken> {
        loop {
            *self = match *self {
                Self::Size => match line(buffer)? {
                    None => return Ok(Part::More),
                    Some(line) => {
                        // What stands after a semicolon is an extension, which nobody need know.
                        let size = line.as_ref().split(|byte| *byte == b';').next().unwrap_or_default();
                        match number(size, 16).ok_or(Broken("a chunk has no size"))? {
                            0 => Self::Trailer(0),
                            size => Self::Data(size),
                        }
                    }
                },
                Self::Data(mut left) => {
                    if buffer.is_empty() {
                        return Ok(Part::More);
                    }
                    let data = taken(buffer, &mut left);
                    *self = if left == 0 { Self::AfterData } else { Self::Data(left) };
                    return Ok(Part::Data(data));
                }
                Self::AfterData => match line(buffer)? {
                    None => return Ok(Part::More),
                    Some(line) if line.is_empty() => Self::Size,
                    Some(_) => return Err(Broken("a chunk is longer than its size")),
                },
                Self::Trailer(before) => match line(buffer)? {
                    None => return Ok(Part::More),
                    Some(line) if line.is_empty() => Self::Ended,
                    Some(line) if before + line.len() <= HEAD_BYTES => Self::Trailer(before + line.len()),
                    Some(_) => return Err(Broken("its trailer is too long")),
                },
                Self::Ended => return Ok(Part::End),
            }
        }
    }
}

/// Takes a line off `buffer`, without its end, which is CR and LF; `None` if it is not whole yet.
fn line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, Broken> {
    let Some(end) = buffer.iter().take(LINE_BYTES).position(|byte| *byte == b'\n') else {
        return if buffer.len() < LINE_BYTES { Ok(None) } else { Err(Broken("a line is too long")) };
    };
    let mut line = buffer.split_to(end + 1);
    match line.ends_with(b"\r\n") {
        true => {
            line.truncate(end - 1);
            Ok(Some(line))
        }
        false => Err(Broken("a line does not end")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, Broken> {
        Head::take(&mut BytesMut::from(text))
    }

    /// How the body of an answer with these lines ends, and whether the connection stays.
    fn framing(lines: &str) -> Result<(Framing, bool), Broken> {
        head(&format!("HTTP/1.1 {lines}\r\n\r\n")).map(|head| {
            let head = head.unwrap();
            (head.framing, head.stays)
        })
    }

    /// The body that `text` is in `framing`, given `step` bytes at a time; `None` if it does not end.
    fn body(mut framing: Framing, text: &str, step: usize) -> Result<Option<String>, Broken> {
        let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
        for part in text.as_bytes().chunks(step).chain([&[][..]]) {
            buffer.extend_from_slice(part);
            loop {
                match framing.take(&mut buffer)? {
                    Part::Data(data) => body.extend_from_slice(&data),
                    Part::More => break,
                    Part::End => return Ok(Some(String::from_utf8(body).unwrap())),
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn a_head_tells_how_its_body_ends() {
        let chunked = Framing::Chunked(Chunked::Size);
        for (lines, told) in [
            ("200 OK\r\nContent-Length: 5", (Framing::Length(5), true)),
            ("200 OK\r\ncontent-length: 5\r\nContent-Length: 5", (Framing::Length(5), true)),
            ("200 OK\r\nContent-Length: 5\r\nConnection: x, Close", (Framing::Length(5), false)),
            ("200 OK\r\nTransfer-Encoding: Chunked", (chunked, true)),
            ("200 OK", (Framing::Close, false)),
            ("204 No Content", (Framing::Length(0), true)),
            ("304 Not Modified\r\nContent-Length: 5", (Framing::Length(0), true)),
        ] {
            assert_eq!(framing(lines), Ok(told), "{lines}");
        }
        let old = head("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap().unwrap();
        assert_eq!((old.framing, old.stays), (Framing::Length(5), false));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_broken() {
        for lines in [
            "200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
            "200 OK\r\nContent-Length: 5, 5",
            "200 OK\r\nContent-Length: +5",
            "200 OK\r\nContent-Length: -1",
            "200 OK\r\nContent-Length:",
            "200 OK\r\nContent-Length: 18446744073709551616",
            "200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "200 OK\r\nTransfer-Encoding: gzip, chunked",
            "200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "204 No Content\r\nTransfer-Encoding: chunked",
            "200 OK\r\nContent-Type: a\r\nContent-Type: b",
            "101 Switching Protocols",
            "099 Odd",
        ] {
            assert!(framing(lines).is_err(), "{lines}");
        }
        assert!(head("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(head("SSH-2.0-OpenSSH\r\n").is_err());
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n";
        assert!(head(text).unwrap().is_none());
        assert_eq!(head(&format!("{text}\r\n")).unwrap().unwrap().status, StatusCode::OK);
    }

    #[test]
    fn a_change_of_protocol_is_an_answer_where_it_was_asked_for() {
        let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: 1\r\nX: 2\r\n\r\nframe";
        assert!(Head::take(&mut BytesMut::from(text)).is_err());
        let mut buffer = BytesMut::from(text);
        let head = Head::take_switch(&mut buffer).unwrap().unwrap();
        assert_eq!((head.status.as_u16(), head.headers.get_all("x").iter().count()), (101, 2));
        assert_eq!((head.headers["upgrade"].as_bytes(), &buffer[..]), (&b"websocket"[..], &b"frame"[..]));
        let refused = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(Head::take_switch(&mut BytesMut::from(refused)).unwrap().unwrap().status, 400);
        assert!(Head::take_switch(&mut BytesMut::from("HTTP/1.0 101 Old\r\n\r\n")).is_err());
    }

    #[test]
    fn a_head_has_so_many_bytes_and_not_one_more() {
        let line = |length: usize| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(length));
        let around = line(0).len();
        assert!(head(&line(HEAD_BYTES - around)).unwrap().is_some());
        assert!(head(&line(HEAD_BYTES - around + 1)).is_err());
        let unended = line(HEAD_BYTES);
        assert!(head(unended.get(..HEAD_BYTES - 1).unwrap()).unwrap().is_none());
        assert!(head(unended.get(..HEAD_BYTES).unwrap()).is_err());
    }

    #[test]
    fn a_body_is_what_its_framing_says_however_it_comes() {
        let chunked = Framing::Chunked(Chunked::Size);
        for step in [1, 2, 3, 100] {
            for (framing, text, read) in [
                (Framing::Length(3), "abcHTTP", Some("abc")),
                (Framing::Length(3), "ab", None),
                (Framing::Length(0), "abc", Some("")),
                (Framing::Close, "abc", None),
                (chunked, "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: x\r\n\r\nHTTP", Some("abc0123456789")),
                (chunked, "0\r\n\r\n", Some("")),
                (chunked, "3\r\nabc\r\n", None),
                (chunked, "3\r\nabc\r\n0\r\n", None),
            ] {
                assert_eq!(body(framing, text, step), Ok(read.map(str::to_owned)), "{text} by {step}");
            }
            for text in [
                "\r\n",
                "x\r\n",
                "-1\r\n",
                "3\nabc",
                "3\r\nabcd\r\n",
                "11111111111111111\r\n",
                "0x3\r\nabc\r\n",
            ] {
                assert!(body(chunked, text, step).is_err(), "{text} by {step}");
            }
        }
    }

    #[test]
    fn lines_between_chunks_and_a_trailer_have_caps() {
        let size = |length: usize| format!("1;{}\r\nx", "y".repeat(length - 4));
        let chunked = Framing::Chunked(Chunked::Size);
        assert_eq!(body(chunked, &size(LINE_BYTES), 100), Ok(None));
        assert!(body(chunked, &size(LINE_BYTES + 1), 100).is_err());
        let line = format!("{}\r\n", "x".repeat(1024));
        let trailer = |lines: usize| format!("0\r\n{}\r\n", line.repeat(lines));
        assert_eq!(body(chunked, &trailer(64), 100), Ok(Some(String::new())));
        assert!(body(chunked, &trailer(65), 100).is_err());
    }
}
