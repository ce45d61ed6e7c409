//! Traces by id. No query narrows them: the answer holds every tenant's spans, and only the resource
//! spans that are the caller's without a doubt are left.
//!
//! What cannot be undone here: where a server's span has the id of another tenant's client span, Tempo
//! has given it a new id before we see it (`trace_by_id_deduper.go` in `modules/frontend/combiner`).

use super::otlp::{
    Batches, Empty, Head, HeadAttribute, HeadVariant, ResourceSpans, Trace, TraceByIdEnvelope,
    TraceByIdResponse, TraceEnvelope,
};
use super::redact::redacted;
use super::{Envelope, Filtered, Mark};
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::Accept;
use prost::Message;
use prost::bytes::Bytes;

/// Cuts the trace in `body`, which is protobuf. `redacts`: of others' spans their places are left.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if the envelope, a resource, or a span of the caller's does not
/// decode.
pub(super) fn cut(
    envelope: Envelope,
    marks: &[Mark],
    accept: Accept,
    redacts: bool,
    body: &[u8],
) -> Result<Filtered, Rejection> {
    let (parts, status) = open(envelope, body)?;
    let mut resource_spans = Vec::new();
    let mut others = Vec::new();
    for part in parts {
        if is_own(marks, &part)? {
            resource_spans.push(ResourceSpans::decode(part).map_err(|_| UpstreamFault::Undecodable)?);
        } else if redacts {
            others.push(part);
        }
    }
    // Who has no span in it must not learn that there is such a trace.
    if resource_spans.is_empty() {
        return if envelope == Envelope::Always { none(accept) } else { Ok(Filtered::NotFound) };
    }
    resource_spans.extend(redacted(&others)?);
    let trace = Trace { resource_spans };
    match (envelope, accept) {
        (Envelope::Trace, Accept::Json) => Filtered::json(&Batches { batches: &trace.resource_spans }),
        (Envelope::Trace, Accept::Protobuf) => Ok(protobuf(&trace)),
        (Envelope::Response | Envelope::Always, Accept::Json) => Filtered::json(&response(trace, status)),
        (Envelope::Response | Envelope::Always, Accept::Protobuf) => Ok(protobuf(&response(trace, status))),
        (_, Accept::JsonLines | Accept::Text | Accept::ReadSamples | Accept::ReadChunks) => {
            Err(Rejection::Defect("a trace has no such form".into()))
        }
    }
}

/// A trace without spans, in the newer envelope.
pub(super) fn none(accept: Accept) -> Result<Filtered, Rejection> {
    let answer = TraceByIdResponse { trace: Some(Trace::default()), metrics: None, status: 0 };
    if accept == Accept::Json { Filtered::json(&answer) } else { Ok(protobuf(&answer)) }
}

/// The resource spans of an answer, each in its own bytes, and the status.
fn open(envelope: Envelope, body: &[u8]) -> Result<(Vec<Bytes>, i32), UpstreamFault> {
    let body = Bytes::copy_from_slice(body);
    match envelope {
        Envelope::Trace => TraceEnvelope::decode(body).map(|trace| (trace.resource_spans, 0)),
        Envelope::Response | Envelope::Always => TraceByIdEnvelope::decode(body)
            .map(|answer| (answer.trace.unwrap_or_default().resource_spans, answer.status)),
    }
    .map_err(|_| UpstreamFault::Undecodable)
}

/// Whether the resource in `part` bears every mark. A missing resource bears none.
fn is_own(marks: &[Mark], part: &Bytes) -> Result<bool, UpstreamFault> {
    let head = Head::decode(part.clone()).map_err(|_| UpstreamFault::Undecodable)?;
    let attributes = head.resource.unwrap_or_default().attributes;
    let bears = |mark: &Mark| {
        let found = attributes.iter().filter(|a| a.key == mark.key().as_bytes());
        mark.shows(found.map(string))
    };
    Ok(!marks.is_empty() && marks.iter().all(bears))
}

fn string(attribute: &HeadAttribute) -> Option<&str> {
    match attribute.value.as_ref()?.variant.as_ref()? {
        HeadVariant::String(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

/// The newer envelope. The message of a partial answer is not kept: it tells sizes.
fn response(trace: Trace, status: i32) -> TraceByIdResponse {
    TraceByIdResponse { trace: Some(trace), metrics: Some(Empty {}), status }
}

fn protobuf(message: &impl Message) -> Filtered {
    Filtered::Found { content_type: Accept::Protobuf.media_type(), body: message.encode_to_vec() }
}
