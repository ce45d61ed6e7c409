//! An answer that is there whole, given out in parts: as fast as its client takes it, and compressed on the way.
//!
//! Its bytes hold their memory until the last of them is gone, wherever they wait to be sent.

use crate::budget::{Permit, Spent};
use crate::respond::{Body, full};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes that are given at a time: to compress them takes half a millisecond.
const PART_BYTES: usize = 64 * 1024;
/// Bytes that compressing takes, whatever is compressed.
const ZIP_BYTES: usize = 320 * 1024;

/// The body, as it is.
pub(super) fn plain(body: Bytes) -> Body {
    if body.len() <= PART_BYTES {
        return full(body);
    }
    Given { rest: body, zip: None }.map_err(|never| match never {}).boxed_unsync()
}

/// The body, compressed with gzip.
///
/// # Errors
/// [`Spent`] if there is no memory to compress in.
pub(super) fn zipped(body: Bytes, mut memory: Permit) -> Result<Body, Spent> {
    memory.hold(ZIP_BYTES)?;
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut given = Given { rest: body, zip: Some((encoder, memory)) };
    if given.rest.len() > PART_BYTES {
        return Ok(given.map_err(|never| match never {}).boxed_unsync());
    }
    // So that a small one tells its length.
    let parts: Vec<Bytes> = std::iter::from_fn(|| given.next()).collect();
    Ok(full(parts.concat()))
}

struct Given {
    rest: Bytes,
    /// What compresses it, until it has ended; it holds memory.
    zip: Option<(GzEncoder<Vec<u8>>, Permit)>,
}

impl Given {
    fn next(&mut self) -> Option<Bytes> {
        loop {
            let part = self.rest.split_to(self.rest.len().min(PART_BYTES));
            let Some((encoder, _)) = &mut self.zip else { return (!part.is_empty()).then_some(part) };
            // A write into memory does not fail.
            let _ = if part.is_empty() { encoder.try_finish() } else { encoder.write_all(&part) };
            let zipped = std::mem::take(encoder.get_mut());
            if part.is_empty() {
                self.zip = None;
            }
            if !zipped.is_empty() {
                return Some(zipped.into());
            }
        }
    }
}

impl hyper::body::Body for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.zip.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.zip {
            Some(_) => SizeHint::new(),
            None => SizeHint::with_exact(self.rest.len() as u64),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use std::io::Read as _;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_is_given_in_parts_is_the_whole_and_holds_its_memory_to_the_end() {
        for bytes in [0, 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES + 7] {
            let text: Vec<u8> = (0..bytes).map(|i| b'a' + u8::try_from(i % 23).unwrap()).collect();
            let budget = Budget::of(1 << 20);
            let bound = || budget.take(Arc::default(), bytes).unwrap().bind(text.clone());

            let mut body = plain(bound());
            assert_eq!(hyper::body::Body::size_hint(&body).exact(), Some(bytes as u64));
            let mut read = Vec::new();
            while let Some(frame) = body.frame().await {
                let part = frame.unwrap().into_data().unwrap();
                assert!(part.len() <= PART_BYTES);
                assert_eq!(budget.taken(), bytes);
                read.extend_from_slice(&part);
            }
            drop(body);
            assert!(read == text && budget.taken() == 0);

            let body = zipped(bound(), budget.permit(Arc::default())).unwrap();
            let zip = body.collect().await.unwrap().to_bytes();
            let mut unzipped = Vec::new();
            flate2::read::GzDecoder::new(&*zip).read_to_end(&mut unzipped).unwrap();
            assert!(unzipped == text && budget.taken() == 0, "{bytes}");
        }
    }

    #[test]
    fn to_compress_takes_memory() {
        let none = Budget::of(ZIP_BYTES - 1);
        assert!(zipped(Bytes::from_static(b"x"), none.permit(Arc::default())).is_err());
        let enough = Budget::of(ZIP_BYTES);
        assert!(zipped(Bytes::from_static(b"x"), enough.permit(Arc::default())).is_ok());
    }
}
