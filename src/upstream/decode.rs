//! Reading an answer whole, under a cap that counts decompressed bytes.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::Response;
use http::header::CONTENT_ENCODING;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why an answer could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeFault {
    /// Over the cap.
    TooLarge,
    /// The connection broke, or the encoding is not gzip, or is broken.
    Broken,
    /// It took too long.
    Timeout,
    /// Answers to others take all the room.
    NoRoom,
}

/// Room in memory for answers that are read whole, shared by all requests: many at once, each under its
/// cap, must not end the process.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// Bytes of one permit of a [`Room`].
const UNIT: usize = 64 * 1024;

impl Room {
    /// Room for `bytes`, rounded up to 64 KiB.
    pub fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// A place in it, which holds nothing yet.
    pub fn place(&self) -> Place {
        Place { room: Arc::clone(&self.0), taken: None, units: 0 }
    }
}

/// What one answer takes of a [`Room`], given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Place {
    /// Grows to at least `bytes`. Never waits: two that wait for each other would do so for ever.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), DecodeFault> {
        let units = bytes.div_ceil(UNIT);
        let more = units.saturating_sub(self.units);
        if more > 0 {
            let more = u32::try_from(more).map_err(|_| DecodeFault::NoRoom)?;
            let room = Arc::clone(&self.room);
            let permit = room.try_acquire_many_owned(more).map_err(|_| DecodeFault::NoRoom)?;
            match &mut self.taken {
                Some(taken) => taken.merge(permit),
                None => self.taken = Some(permit),
            }
            self.units = units;
        }
        Ok(())
    }
}

/// Reads the body of `answer`, decompressed, at most `max` bytes, within `timeout`; `place` holds as much
/// room as it takes.
///
/// # Errors
/// [`DecodeFault`]; the cap holds before and after decompression.
pub async fn collect<B>(
    answer: Response<B>,
    max: usize,
    timeout: Duration,
    place: &mut Place,
) -> Result<Vec<u8>, DecodeFault>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (head, body) = answer.into_parts();
    let body = tokio::time::timeout(timeout, read(body, max, place)).await;
    let body = body.map_err(|_| DecodeFault::Timeout)??;
    match head.headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
        None | Some(b"identity") => Ok(body),
        Some(b"gzip") => {
            place.hold(body.len().saturating_add(max))?;
            gunzip(&body, max)
        }
        Some(_) => Err(DecodeFault::Broken),
    }
}

async fn read<B>(body: B, max: usize, place: &mut Place) -> Result<Vec<u8>, DecodeFault>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let mut body = std::pin::pin!(Limited::new(body, max));
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let over = |e: Box<dyn std::error::Error + Send + Sync>| match e.is::<LengthLimitError>() {
            true => DecodeFault::TooLarge,
            false => DecodeFault::Broken,
        };
        if let Ok(data) = frame.map_err(over)?.into_data() {
            place.hold(read.len().saturating_add(data.len()))?;
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}

fn gunzip(body: &[u8], max: usize) -> Result<Vec<u8>, DecodeFault> {
    let mut plain = Vec::new();
    // One more than the cap, so that a body of exactly the cap is told from a longer one.
    let mut decoder = MultiGzDecoder::new(body).take(max as u64 + 1);
    decoder.read_to_end(&mut plain).map_err(|_| DecodeFault::Broken)?;
    if plain.len() > max { Err(DecodeFault::TooLarge) } else { Ok(plain) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    #[test]
    fn a_small_body_that_grows_over_the_cap_is_refused() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b'a'; 100_000]).unwrap();
        let bomb = Bytes::from(encoder.finish().unwrap());
        assert_eq!(gunzip(&bomb, 100_000).map(|b| b.len()), Ok(100_000));
        assert_eq!(gunzip(&bomb, 99_999), Err(DecodeFault::TooLarge));
        assert_eq!(gunzip(&bomb.slice(..20), 100_000), Err(DecodeFault::Broken));
    }

    fn answer(bytes: usize) -> Response<http_body_util::Full<Bytes>> {
        Response::new(vec![b'a'; bytes].into())
    }

    #[tokio::test]
    async fn answers_share_a_room_and_give_it_back() {
        let room = Room::of(2 * UNIT);
        let second = Duration::from_secs(1);
        let (mut first, mut other) = (room.place(), room.place());
        assert_eq!(collect(answer(UNIT), 4 * UNIT, second, &mut first).await.map(|b| b.len()), Ok(UNIT));
        assert_eq!(collect(answer(UNIT), 4 * UNIT, second, &mut other).await.map(|b| b.len()), Ok(UNIT));
        assert_eq!(collect(answer(1), 4 * UNIT, second, &mut room.place()).await, Err(DecodeFault::NoRoom));
        drop(first);
        assert_eq!(
            collect(answer(UNIT + 1), 4 * UNIT, second, &mut room.place()).await,
            Err(DecodeFault::NoRoom)
        );
        assert!(collect(answer(UNIT), 4 * UNIT, second, &mut room.place()).await.is_ok());
        drop(other);
        assert!(collect(answer(2 * UNIT), 2 * UNIT, second, &mut room.place()).await.is_ok());
        assert_eq!(
            collect(answer(2 * UNIT), 2 * UNIT - 1, second, &mut room.place()).await,
            Err(DecodeFault::TooLarge)
        );
    }
}
