//! Remote read's answers. The matchers that were sent leave the caller's series only; each is checked all the same,
//! so that a backend that does not know a matcher is found out. Then nothing of its answer is passed.

use super::list::fields;
use super::made::{Account, Made, Model, PROTOBUF_TIMES, make};
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::prompb::{ChunkedReadResponse, Label, TimeSeries};
use crate::tenant::ScopeMatchers;
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

/// CRC-32C, as each frame has it (`storage/remote/chunked.go`).
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// How series are checked.
struct Checked {
    owned: ScopeMatchers,
    queries: usize,
}

#[derive(Clone, Copy)]
enum Form {
    Series,
    Frame,
}

impl Model for Checked {
    type Form = Form;
    const TIMES: usize = PROTOBUF_TIMES;

    fn write(&self, form: Form, part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection> {
        match form {
            Form::Series => {
                let series = TimeSeries::decode(part).map_err(|_| UpstreamFault::Undecodable)?;
                if !is_own(&self.owned, &series.labels) {
                    return Err(UpstreamFault::Undecodable.into());
                }
                prost::encoding::message::encode(1, &series, out);
            }
            Form::Frame => {
                let message = ChunkedReadResponse::decode(part).map_err(|_| UpstreamFault::Undecodable)?;
                let known = usize::try_from(message.query_index).is_ok_and(|index| index < self.queries);
                let mut series = message.chunked_series.iter();
                if !known || !series.all(|series| is_own(&self.owned, &series.labels)) {
                    return Err(UpstreamFault::Undecodable.into());
                }
                push_frame(out, &message.encode_to_vec());
            }
        }
        Ok(true)
    }
}

/// Checks the samples in `body`, which answer `queries` queries.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if they do not decode or are not all the caller's.
pub(super) fn samples(
    owned: &ScopeMatchers,
    queries: usize,
    body: Vec<u8>,
    account: Account,
) -> Result<Option<Made>, Rejection> {
    make(Checked { owned: owned.clone(), queries }, body, account, |plan, body| {
        let mut results: usize = 0;
        fields(body, &[1], |_, result| {
            results = results.saturating_add(1);
            plan.message(1, |plan| {
                fields(result, &[1], |_, series| plan.part(Form::Series, series, false).map(drop))
            })
        })?;
        if results == queries { Ok(true) } else { Err(UpstreamFault::Undecodable.into()) }
    })
}

/// Checks the frames of chunks in `body`: each is a length, a checksum and a message.
///
/// # Errors
/// As [`samples`].
pub(super) fn chunks(
    owned: &ScopeMatchers,
    queries: usize,
    body: Vec<u8>,
    account: Account,
) -> Result<Option<Made>, Rejection> {
    make(Checked { owned: owned.clone(), queries }, body, account, |plan, body| {
        let mut rest = body;
        while !rest.is_empty() {
            let frame = frame(&mut rest).ok_or(UpstreamFault::Undecodable)?;
            plan.part(Form::Frame, frame, false)?;
        }
        Ok(true)
    })
}

/// The type that Prometheus names (`remoteReadStreamedXORChunks` in `storage/remote/read_handler.go`).
pub(super) const CHUNKS: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

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
