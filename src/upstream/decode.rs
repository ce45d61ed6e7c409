//! Reading an answer whole, under a cap that counts decompressed bytes.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::Response;
use http::header::CONTENT_ENCODING;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::io::Read;
use std::time::Duration;

/// Why an answer could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeFault {
    /// Over the cap.
    TooLarge,
    /// The connection broke, or the encoding is not gzip, or is broken.
    Broken,
    /// It took too long.
    Timeout,
}

/// Reads the body of `answer`, decompressed, at most `max` bytes, within `timeout`.
///
/// # Errors
/// [`DecodeFault`]; the cap holds before and after decompression.
pub async fn collect(
    answer: Response<Incoming>,
    max: usize,
    timeout: Duration,
) -> Result<Vec<u8>, DecodeFault> {
    let (head, body) = answer.into_parts();
    let read = tokio::time::timeout(timeout, Limited::new(body, max).collect()).await;
    let body = read
        .map_err(|_| DecodeFault::Timeout)?
        .map_err(|e| if e.is::<LengthLimitError>() { DecodeFault::TooLarge } else { DecodeFault::Broken })?
        .to_bytes();
    match head.headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
        None | Some(b"identity") => Ok(body.into()),
        Some(b"gzip") => gunzip(&body, max),
        Some(_) => Err(DecodeFault::Broken),
    }
}

fn gunzip(body: &Bytes, max: usize) -> Result<Vec<u8>, DecodeFault> {
    let mut plain = Vec::new();
    // One more than the cap, so that a body of exactly the cap is told from a longer one.
    let mut decoder = MultiGzDecoder::new(&body[..]).take(max as u64 + 1);
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
}
