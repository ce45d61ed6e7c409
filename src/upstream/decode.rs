//! Reading an answer whole, under a cap that counts decompressed bytes.

use super::WHOLE;
use crate::budget::{Permit, Spent};
use crate::scope::snappy;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::Response;
use http::header::CONTENT_ENCODING;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use std::io::Read;
use std::time::Duration;

/// Why an answer could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeFault {
    /// Over the cap.
    TooLarge,
    /// The connection broke, or the encoding is neither gzip nor snappy, or is broken.
    Broken,
    /// It took too long.
    Timeout,
    /// Answers to others take all the room.
    NoRoom,
}

/// Bytes by which what an answer holds of the memory grows.
const UNIT: usize = 64 * 1024;

impl From<Spent> for DecodeFault {
    fn from(_: Spent) -> Self {
        Self::NoRoom
    }
}

/// Makes `permit` hold `bytes`, and some more so that it is not asked for each of them.
fn hold(permit: &mut Permit, bytes: usize) -> Result<(), Spent> {
    if bytes <= permit.units() { Ok(()) } else { permit.hold(bytes.next_multiple_of(UNIT)) }
}

/// Makes place in `read` for `more` bytes. What is large gets place for `max` at once: memory that is not written to
/// costs nothing, and a copy at each growth would cost the answer once more.
fn reserve(read: &mut Vec<u8>, more: usize, max: usize) {
    let length = read.len().saturating_add(more);
    if length > read.capacity() {
        let most = if length > 4 * UNIT { max.max(length) } else { length.saturating_mul(2) };
        read.reserve_exact(most.saturating_sub(read.len()));
    }
}

/// Bytes of a compressed body that take a while to decompress: a millisecond or so.
const LARGE: usize = 32 * 1024;

/// Reads the body of `answer`, decompressed, at most `max` bytes, within `timeout`; `permit` holds as much memory as
/// that takes, and what is left when it is read comes with it.
///
/// # Errors
/// [`DecodeFault`]; the cap holds before and after decompression.
pub async fn collect<B>(
    answer: Response<B>,
    max: usize,
    timeout: Duration,
    mut permit: Permit,
) -> Result<(Vec<u8>, Permit), DecodeFault>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (head, body) = answer.into_parts();
    let body = tokio::time::timeout(timeout, read(body, max, &mut permit)).await;
    let body = body.map_err(|_| DecodeFault::Timeout)??;
    match head.headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
        None | Some(b"identity") => Ok((body, permit)),
        Some(b"gzip") if body.len() < LARGE => gunzip(&body, max, permit),
        Some(b"gzip") => {
            let plain = WHOLE.work(move || gunzip(&body, max, permit)).await;
            plain.unwrap_or(Err(DecodeFault::Broken))
        }
        Some(b"snappy") => {
            // A block says at its head what it becomes.
            let length = snap::raw::decompress_len(&body).map_err(|_| DecodeFault::Broken)?;
            permit.hold(body.len().saturating_add(length.min(max)))?;
            let plain = snappy::decompress(&body, max).map_err(|fault| match fault {
                snappy::Fault::TooLarge => DecodeFault::TooLarge,
                snappy::Fault::Broken => DecodeFault::Broken,
            });
            plain.map(|plain| (plain, permit))
        }
        Some(_) => Err(DecodeFault::Broken),
    }
}

async fn read<B>(body: B, max: usize, permit: &mut Permit) -> Result<Vec<u8>, DecodeFault>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    // What says how long it is is not begun where there is no room for it.
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if said <= max {
        hold(permit, said)?;
    }
    let mut body = std::pin::pin!(Limited::new(body, max));
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let over = |e: Box<dyn std::error::Error + Send + Sync>| match e.is::<LengthLimitError>() {
            true => DecodeFault::TooLarge,
            false => DecodeFault::Broken,
        };
        if let Ok(data) = frame.map_err(over)?.into_data() {
            hold(permit, read.len().saturating_add(data.len()))?;
            reserve(&mut read, data.len(), max);
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}

/// `body` decompressed, which takes memory as it grows: no more than there is, whatever it claims to be.
fn gunzip(body: &[u8], max: usize, mut permit: Permit) -> Result<(Vec<u8>, Permit), DecodeFault> {
    let mut plain = Vec::new();
    // One more than the cap, so that a body of exactly the cap is told from a longer one.
    let mut decoder = MultiGzDecoder::new(body).take(max as u64 + 1);
    loop {
        hold(&mut permit, body.len().saturating_add(plain.len()).saturating_add(UNIT))?;
        reserve(&mut plain, UNIT, max);
        let read = (&mut decoder).take(UNIT as u64).read_to_end(&mut plain);
        match read.map_err(|_| DecodeFault::Broken)? {
            _ if plain.len() > max => return Err(DecodeFault::TooLarge),
            0 => return Ok((plain, permit)),
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use std::sync::Arc;

    /// A permit of a budget of `bytes`.
    fn all(bytes: usize) -> Permit {
        Budget::of(bytes).permit(Arc::default())
    }

    #[test]
    fn a_small_body_that_grows_over_the_cap_is_refused() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b'a'; 100_000]).unwrap();
        let bomb = Bytes::from(encoder.finish().unwrap());
        let length = |body: &[u8], max: usize| gunzip(body, max, all(1 << 20)).map(|(plain, _)| plain.len());
        assert_eq!(length(&bomb, 100_000), Ok(100_000));
        assert_eq!(length(&bomb, 99_999), Err(DecodeFault::TooLarge));
        assert_eq!(length(&bomb[..20], 100_000), Err(DecodeFault::Broken));
    }

    fn zipped(bytes: usize) -> Response<http_body_util::Full<Bytes>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&vec![b'a'; bytes]).unwrap();
        let mut answer = Response::new(encoder.finish().unwrap().into());
        answer.headers_mut().insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        answer
    }

    /// Small ones on the spot, large ones on a thread of their own.
    #[tokio::test]
    async fn a_compressed_answer_is_read_whole_up_to_its_cap_and_takes_memory_for_what_it_is() {
        let second = Duration::from_secs(1);
        for bytes in [1000, 10 * LARGE] {
            let length = async |max: usize, room: usize| {
                let read = collect(zipped(bytes), max, second, all(room)).await;
                read.map(|(plain, _)| plain.len())
            };
            assert_eq!(length(2 * bytes, 1 << 20).await, Ok(bytes));
            assert_eq!(length(bytes - 1, 1 << 20).await, Err(DecodeFault::TooLarge));
        }
        let whole = collect(zipped(4 * UNIT), 1 << 30, second, all(5 * UNIT)).await;
        assert_eq!(whole.map(drop), Err(DecodeFault::NoRoom));
        assert!(collect(zipped(4 * UNIT), 1 << 30, second, all(10 * UNIT)).await.is_ok());
    }

    fn answer(bytes: usize) -> Response<http_body_util::Full<Bytes>> {
        Response::new(vec![b'a'; bytes].into())
    }

    #[tokio::test]
    async fn answers_share_the_memory_and_give_it_back() {
        let memory = Budget::of(2 * UNIT);
        let second = Duration::from_secs(1);
        let read = async |bytes: usize, max: usize| {
            let read = collect(answer(bytes), max, second, memory.permit(Arc::default())).await;
            read.inspect(|(body, _)| assert_eq!(body.len(), bytes)).map(|(_, permit)| permit)
        };
        let (first, other) = (read(UNIT, 4 * UNIT).await.unwrap(), read(UNIT, 4 * UNIT).await.unwrap());
        assert_eq!(read(1, 4 * UNIT).await.map(drop), Err(DecodeFault::NoRoom));
        drop(first);
        assert_eq!(read(UNIT + 1, 4 * UNIT).await.map(drop), Err(DecodeFault::NoRoom));
        assert!(read(UNIT, 4 * UNIT).await.is_ok());
        drop(other);
        assert!(read(2 * UNIT, 2 * UNIT).await.is_ok());
        assert_eq!(read(2 * UNIT, 2 * UNIT - 1).await.map(drop), Err(DecodeFault::TooLarge));
    }
}
