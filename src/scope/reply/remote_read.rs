//! Remote read's answers. The matchers that were sent leave the caller's series only; each is checked all the same,
//! so that a backend that does not know a matcher is found out. Then nothing of its answer is passed.

use super::Filtered;
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::prompb::{ChunkedReadResponse, Label, ReadResponse};
use crate::scope::{Accept, snappy};
use crate::tenant::ScopeMatchers;
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

/// CRC-32C, as each frame has it (`storage/remote/chunked.go`).
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Checks the samples in `body`, which answer `queries` queries.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if they do not decode or are not all the caller's.
pub(super) fn samples(owned: &ScopeMatchers, queries: usize, body: &[u8]) -> Result<Filtered, Rejection> {
    let answer = ReadResponse::decode(body).map_err(|_| UpstreamFault::Undecodable)?;
    let mut series = answer.results.iter().flat_map(|result| &result.timeseries);
    if answer.results.len() != queries || !series.all(|series| is_own(owned, &series.labels)) {
        return Err(UpstreamFault::Undecodable.into());
    }
    let body = snappy::compress(&answer.encode_to_vec());
    let body = body.ok_or_else(|| Rejection::Defect("an answer is too long for a block".into()))?;
    Ok(Filtered::Snappy { content_type: Accept::ReadSamples.media_type(), body })
}

/// Checks the frames of chunks in `body`: each is a length, a checksum and a message.
///
/// # Errors
/// As [`samples`].
pub(super) fn chunks(owned: &ScopeMatchers, queries: usize, body: &[u8]) -> Result<Filtered, Rejection> {
    let mut passed = Vec::with_capacity(body.len());
    let mut rest = body;
    while !rest.is_empty() {
        let frame = frame(&mut rest).ok_or(UpstreamFault::Undecodable)?;
        let message = ChunkedReadResponse::decode(frame).map_err(|_| UpstreamFault::Undecodable)?;
        let known = usize::try_from(message.query_index).is_ok_and(|index| index < queries);
        if !known || !message.chunked_series.iter().all(|series| is_own(owned, &series.labels)) {
            return Err(UpstreamFault::Undecodable.into());
        }
        push_frame(&mut passed, &message.encode_to_vec());
    }
    Ok(Filtered::Found { content_type: CHUNKS, body: passed })
}

/// The type that Prometheus names (`remoteReadStreamedXORChunks` in `storage/remote/read_handler.go`).
const CHUNKS: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Takes one frame off `rest`; `None` if it is cut off or does not have its checksum.
fn frame<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = prost::encoding::decode_varint(rest).ok()?;
    let (checksum, after) = rest.split_first_chunk::<4>()?;
    let (frame, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    (CHECKSUM.checksum(frame) == u32::from_be_bytes(*checksum)).then_some(frame)
}

fn push_frame(out: &mut Vec<u8>, frame: &[u8]) {
    prost::encoding::encode_varint(frame.len() as u64, out);
    out.extend_from_slice(&CHECKSUM.checksum(frame).to_be_bytes());
    out.extend_from_slice(frame);
}

/// Whether a series has, for each dimension, its label once and with a value of the scope.
fn is_own(owned: &ScopeMatchers, labels: &[Label]) -> bool {
    owned.iter().all(|matcher| {
        let mut found = labels.iter().filter(|label| *label.name == *matcher.label);
        found.next().is_some_and(|label| matcher.values.contains(&label.value)) && found.next().is_none()
    })
}
