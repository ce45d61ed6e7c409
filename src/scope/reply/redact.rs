//! Others' spans of a trace, without content: where they are, and nothing of what they are.
//!
//! What is left of a span is its id, its parent's, and its times; the trace's id is the caller's already. All of
//! them stand together, in the order of their times, so that nothing tells which had a resource in common.

use super::list::fields;
use super::made::Account;
use super::otlp::{AnyValue, KeyValue, Resource, Span, Variant};
use crate::rejection::{Rejection, UpstreamFault};
use prost::Message;
use prost::bytes::Bytes;
use std::ops::Range;

/// The attribute by which the resource of what is left is told.
const MARKED: &str = "palisade.redacted";
/// What stands in the place of a service's name, without which Grafana shows a span badly.
const SERVICE: &str = "redacted";

/// Bytes of the ids that are kept, as OTLP has them. Other ids could say something.
const TRACE_ID: usize = 16;
const SPAN_ID: usize = 8;

/// `Span`, read as far as it is kept.
#[derive(Clone, PartialEq, prost::Message)]
struct Place {
    #[prost(bytes = "bytes", tag = "1")]
    trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    span_id: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    parent_span_id: Bytes,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
}

/// Start, end, id, whether there is a parent, its id, and the trace's: ordered as places are told.
const ENTRY: usize = 8 + 8 + SPAN_ID + 1 + SPAN_ID + TRACE_ID;

/// Entries that are written at a time.
const AT_A_TIME: usize = 256;

/// Places of spans, each once and in order.
#[derive(Default)]
pub(super) struct Hidden(Vec<[u8; ENTRY]>);

impl Hidden {
    /// Those of the spans in `parts`, each the bytes of a `ResourceSpans`. All else in them, a resource among it, is never
    /// decoded.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if a part does not decode as far as it is read; [`Rejection::NoMemory`].
    pub(super) fn read(parts: &[&[u8]], account: &mut Account) -> Result<Self, Rejection> {
        let mut all = Vec::new();
        for part in parts {
            fields(part, &[2], |_, scope| {
                fields(scope, &[2], |_, span| {
                    let place = Place::decode(span).map_err(|_| UpstreamFault::Undecodable)?;
                    if let Some(entry) = place.entry() {
                        if all.len() == all.capacity() {
                            let more = (all.len() / 4).saturating_add(64);
                            account.keep(more.saturating_mul(ENTRY))?;
                            account.need(all.len().saturating_mul(ENTRY))?;
                            all.reserve_exact(more);
                        }
                        all.push(entry);
                    }
                    Ok(())
                })
            })?;
        }
        all.sort_unstable();
        all.dedup();
        Ok(Self(all))
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// Ranges of their bytes, each of some spans.
    pub(super) fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let (bytes, part) = (self.bytes().len(), ENTRY * AT_A_TIME);
        (0..bytes).step_by(part).map(move |from| from..from.saturating_add(part).min(bytes))
    }

    /// The spans in such a range.
    pub(super) fn spans(part: &[u8]) -> impl Iterator<Item = Span> {
        part.chunks_exact(ENTRY).filter_map(span)
    }
}

/// What the resource of what is left says.
pub(super) fn resource() -> Resource {
    let attributes = vec![
        attribute("service.name", Variant::String(Bytes::from_static(SERVICE.as_bytes()))),
        attribute(MARKED, Variant::Bool(true)),
    ];
    Resource { attributes, dropped_attributes_count: 0 }
}

impl Place {
    /// The place in the order in which places are told; none if an id could say something.
    fn entry(&self) -> Option<[u8; ENTRY]> {
        let parent = (self.parent_span_id.len() == SPAN_ID, &*self.parent_span_id);
        let has_parent = match parent {
            (true, _) => 1_u8,
            (false, []) => 0,
            _ => return None,
        };
        if self.trace_id.len() != TRACE_ID || self.span_id.len() != SPAN_ID {
            return None;
        }
        let none = [0; SPAN_ID];
        let parts: [&[u8]; 6] = [
            &self.start_time_unix_nano.to_be_bytes(),
            &self.end_time_unix_nano.to_be_bytes(),
            &self.span_id,
            &[has_parent],
            if has_parent == 1 { &self.parent_span_id } else { &none },
            &self.trace_id,
        ];
        parts.concat().try_into().ok()
    }
}

fn span(entry: &[u8]) -> Option<Span> {
    let (start, rest) = entry.split_first_chunk::<8>()?;
    let (end, rest) = rest.split_first_chunk::<8>()?;
    let (span_id, rest) = rest.split_at_checked(SPAN_ID)?;
    let (has_parent, rest) = rest.split_first()?;
    let (parent, trace_id) = rest.split_at_checked(SPAN_ID)?;
    Some(Span {
        trace_id: Bytes::copy_from_slice(trace_id),
        span_id: Bytes::copy_from_slice(span_id),
        parent_span_id: if *has_parent == 1 { Bytes::copy_from_slice(parent) } else { Bytes::new() },
        start_time_unix_nano: u64::from_be_bytes(*start),
        end_time_unix_nano: u64::from_be_bytes(*end),
        ..Span::default()
    })
}

fn attribute(key: &'static str, value: Variant) -> KeyValue {
    KeyValue { key: Bytes::from_static(key.as_bytes()), value: Some(AnyValue { variant: Some(value) }) }
}
