//! How gRPC frames messages: a byte that tells whether a message is compressed, its length in four bytes, and
//! the message (`PROTOCOL-HTTP2.md` of gRPC). None is taken compressed, and none is sent so.

use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes before each message.
pub const PREFIX_BYTES: usize = 5;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// It is compressed.
    Compressed,
    /// It is over the cap.
    TooLarge,
    /// Its frame is none: the flag is no flag, or the bytes end before the message does.
    Broken,
}

/// `message`, framed.
pub fn of(message: &impl Message) -> Vec<u8> {
    framed(&message.encode_to_vec())
}

/// `message`, which is encoded, framed. What is longer than a frame can say is never made here: caps are lower.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame
}

/// The messages of a stream, as its bytes come.
#[derive(Debug)]
pub struct Messages {
    buffer: BytesMut,
    max: usize,
}

impl Messages {
    /// None yet; each may have `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), max }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes of memory that what has come and the message that comes next take, as far as is known.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The next message, `None` if it is not whole yet. One over the cap is told as soon as its length is known.
    ///
    /// # Errors
    /// [`FrameFault`]; the stream is of no use then.
    pub fn take(&mut self) -> Result<Option<Bytes>, FrameFault> {
        let Some((mut prefix, rest)) = self.buffer.split_at_checked(PREFIX_BYTES) else { return Ok(None) };
        match prefix.get_u8() {
            0 => {}
            1 => return Err(FrameFault::Compressed),
            _ => return Err(FrameFault::Broken),
        }
        let length = usize::try_from(prefix.get_u32()).unwrap_or(usize::MAX);
        if length > self.max {
            return Err(FrameFault::TooLarge);
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// To be asked at the end of the stream.
    ///
    /// # Errors
    /// [`FrameFault::Broken`] if it ends within a message.
    pub fn end(&self) -> Result<(), FrameFault> {
        if self.buffer.is_empty() { Ok(()) } else { Err(FrameFault::Broken) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn take(bytes: &[u8], max: usize) -> Result<Option<Bytes>, FrameFault> {
        let mut messages = Messages::new(max);
        messages.push(bytes);
        messages.take()
    }

    #[test]
    fn messages_come_in_any_parts() {
        let stream = [framed(b"one"), framed(b""), framed(b"three")].concat();
        for size in 1..=stream.len() {
            let (mut messages, mut taken) = (Messages::new(8), Vec::new());
            for part in stream.chunks(size) {
                messages.push(part);
                while let Some(message) = messages.take().unwrap() {
                    taken.push(message);
                }
            }
            assert_eq!(taken, ["one", "", "three"], "{size}");
            assert_eq!(messages.end(), Ok(()));
        }
    }

    #[test]
    fn a_message_has_as_many_bytes_as_the_cap_and_not_one_more() {
        assert_eq!(take(&framed(&[7; 8]), 8), Ok(Some(Bytes::from_static(&[7; 8]))));
        assert_eq!(take(&framed(&[7; 9]), 8), Err(FrameFault::TooLarge));
        // Told by its length alone.
        assert_eq!(take(&[0, 0, 0, 0, 9], 8), Err(FrameFault::TooLarge));
        assert_eq!(take(&[0, 255, 255, 255, 255], 8), Err(FrameFault::TooLarge));
    }

    #[test]
    fn what_is_no_frame_is_no_message() {
        assert_eq!(take(&[1, 0, 0, 0, 0], 8), Err(FrameFault::Compressed));
        assert_eq!(take(&[2, 0, 0, 0, 0], 8), Err(FrameFault::Broken));
        let mut messages = Messages::new(8);
        messages.push(&[0, 0, 0, 0, 2, 7]);
        assert_eq!((messages.take(), messages.end()), (Ok(None), Err(FrameFault::Broken)));
    }
}
