//! An answer that was cut, given out in parts: made as fast as its client takes it, and compressed on the way.
//!
//! It holds its memory until the last byte is gone, wherever that waits to be sent.

use crate::budget::{Permit, Spent};
use crate::rejection::Rejection;
use crate::respond::{Body, full};
use crate::scope::reply::{Made, PART_BYTES};
use crate::scope::snappy::Blocks;
use crate::upstream::PART;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::JoinError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that compressing takes, whatever is compressed.
const ZIP_BYTES: usize = 320 * 1024;

/// The body, as it is.
pub(super) fn plain(made: Made) -> Result<Body, Rejection> {
    let length = made.bytes();
    body(Giving { made, coder: Coder::None }, Some(length))
}

/// The body, compressed with gzip.
///
/// # Errors
/// [`Rejection::NoMemory`] if there is none to compress in.
pub(super) fn zipped(made: Made, mut memory: Permit) -> Result<Body, Rejection> {
    memory.hold(ZIP_BYTES).map_err(|_: Spent| Rejection::NoMemory)?;
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    body(Giving { made, coder: Coder::Gzip { encoder, _memory: memory } }, None)
}

/// The body as a block of snappy.
///
/// # Errors
/// [`Rejection::Defect`] if it is too long for one.
pub(super) fn snappy(made: Made) -> Result<Body, Rejection> {
    let blocks = Blocks::of(made.bytes());
    let blocks = blocks.ok_or_else(|| Rejection::Defect("an answer is too long for a block".into()))?;
    body(Giving { made, coder: Coder::Snappy(Box::new(blocks)) }, None)
}

fn body(mut giving: Giving, length: Option<usize>) -> Result<Body, Rejection> {
    if giving.made.is_whole() && giving.made.bytes() <= PART_BYTES {
        // So that a small one tells its length.
        let mut parts = Vec::new();
        while let Some(part) = giving.next()? {
            parts.push(part);
        }
        return Ok(match <[Bytes; 1]>::try_from(parts) {
            Ok([part]) => full(part),
            Err(parts) => full(parts.concat()),
        });
    }
    Ok(Given { state: State::Ready(Box::new(giving)), rest: length }.boxed_unsync())
}

/// What is given out, and how it is encoded.
struct Giving {
    made: Made,
    coder: Coder,
}

/// The encoder, which may hold memory.
enum Coder {
    None,
    Gzip {
        encoder: GzEncoder<Vec<u8>>,
        _memory: Permit,
    },
    Snappy(Box<Blocks>),
    /// It has given all that it had.
    Ended,
}

impl Giving {
    fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        loop {
            let part = self.made.part()?;
            let coded = match (&mut self.coder, &part) {
                (Coder::None, _) => return Ok(part),
                // A write into memory does not fail.
                (Coder::Gzip { encoder, .. }, Some(part)) => {
                    let _ = encoder.write_all(part);
                    std::mem::take(encoder.get_mut())
                }
                (Coder::Gzip { encoder, .. }, None) => {
                    let _ = encoder.try_finish();
                    let last = std::mem::take(encoder.get_mut());
                    self.coder = Coder::Ended;
                    last
                }
                (Coder::Snappy(blocks), Some(part)) => blocks.piece(part),
                (Coder::Snappy(blocks), None) => {
                    let last = blocks.piece(b"");
                    self.coder = Coder::Ended;
                    last
                }
                (Coder::Ended, _) => return Ok(None),
            };
            if !coded.is_empty() {
                return Ok(Some(coded.into()));
            }
        }
    }
}

struct Given {
    state: State,
    /// Bytes that are still to come, where that is known.
    rest: Option<usize>,
}

enum State {
    Ready(Box<Giving>),
    /// On a thread that serves no request meanwhile.
    Working(Pin<Box<dyn Future<Output = Result<Worked, JoinError>> + Send>>),
    Ended,
}

/// What gave a part, and the part.
type Worked = (Box<Giving>, Result<Option<Bytes>, Rejection>);

impl Given {
    fn given(&mut self, giving: Box<Giving>, part: Bytes) -> Frame<Bytes> {
        self.state = State::Ready(giving);
        self.rest = self.rest.map(|rest| rest.saturating_sub(part.len()));
        Frame::data(part)
    }
}

impl hyper::body::Body for Given {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Ready(mut giving) if giving.made.is_whole() => {
                    let Some(part) = giving.next()? else { return Poll::Ready(None) };
                    return Poll::Ready(Some(Ok(self.given(giving, part))));
                }
                State::Ready(mut giving) => {
                    self.state = State::Working(Box::pin(PART.work(move || {
                        let part = giving.next();
                        (giving, part)
                    })));
                }
                State::Working(mut work) => {
                    let Poll::Ready(done) = work.as_mut().poll(context) else {
                        self.state = State::Working(work);
                        return Poll::Pending;
                    };
                    let (giving, part) = done?;
                    let Some(part) = part? else { return Poll::Ready(None) };
                    return Poll::Ready(Some(Ok(self.given(giving, part))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest == Some(0) || matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.map_or_else(SizeHint::new, |rest| SizeHint::with_exact(rest as u64))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::scope::Accept;
    use crate::scope::reply::{Answer, Cut, Reply};
    use std::io::Read as _;
    use std::sync::Arc;

    /// An answer that is made at once, or as it is given out; and what it is.
    fn made(budget: &Budget, bytes: usize, at_once: bool) -> (Made, Vec<u8>) {
        let one = r#"{"labels":[{"key":"a","value":{"stringValue":"b"}}]}"#;
        let series = vec![one; bytes.div_ceil(one.len()).max(1)].join(",");
        let text = format!(r#"{{"series":[{series}],"metrics":{{}}}}"#);
        let answer = Answer { content_type: "application/json".into(), body: text.clone().into_bytes() };
        let cut = match at_once {
            true => Cut::Whole { accept: Accept::Json },
            false => Cut::Metrics { marks: Vec::new() },
        };
        let memory = budget.take(Arc::default(), text.len()).unwrap();
        let Ok(Reply::Found { made, .. }) = cut.make(vec![Some(answer)], memory) else { unreachable!() };
        (made, text.into_bytes())
    }

    #[tokio::test]
    async fn what_is_given_in_parts_is_the_whole_and_holds_its_memory_to_the_end() {
        for (bytes, at_once) in
            [1, PART_BYTES, 10 * PART_BYTES].into_iter().flat_map(|b| [(b, true), (b, false)])
        {
            let budget = Budget::of(1 << 26);
            let (one, text) = made(&budget, bytes, at_once);
            assert_eq!(one.bytes(), text.len());
            let mut body = plain(one).unwrap();
            assert_eq!(hyper::body::Body::size_hint(&body).exact(), Some(text.len() as u64));
            let mut read = Vec::new();
            while let Some(frame) = body.frame().await {
                let part = frame.unwrap().into_data().unwrap();
                assert!(part.len() <= 2 * PART_BYTES);
                read.extend_from_slice(&part);
                // The last part counts as long as it is there; before it, all that it is made from.
                let least = if read.len() < text.len() { text.len() } else { part.len() };
                assert!(budget.taken() >= least, "{bytes}: {} of {}", budget.taken(), text.len());
            }
            drop(body);
            assert!(read == text && budget.taken() == 0, "{bytes}");

            let body = zipped(made(&budget, bytes, at_once).0, budget.permit(Arc::default())).unwrap();
            let zip = body.collect().await.unwrap().to_bytes();
            let mut unzipped = Vec::new();
            flate2::read::GzDecoder::new(&*zip).read_to_end(&mut unzipped).unwrap();
            assert!(unzipped == text && budget.taken() == 0, "{bytes}");

            let block = snappy(made(&budget, bytes, at_once).0).unwrap().collect().await.unwrap().to_bytes();
            let plain = crate::scope::snappy::decompress(&block, text.len());
            assert!(plain == Ok(text) && budget.taken() == 0, "{bytes}");
        }
    }

    #[test]
    fn to_compress_takes_memory() {
        let other = Budget::of(1 << 20);
        let zip = |budget: &Budget| zipped(made(&other, 1, true).0, budget.permit(Arc::default()));
        assert!(zip(&Budget::of(ZIP_BYTES - 1)).is_err());
        assert!(zip(&Budget::of(ZIP_BYTES)).is_ok());
    }
}
