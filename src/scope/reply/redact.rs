//! Others' spans of a trace, without content: where they are, and nothing of what they are.
//!
//! What is left of a span is its id, its parent's, and its times; the trace's id is the caller's already. All of
//! them stand together, in the order of their times, so that nothing tells which had a resource in common.

use super::otlp::{AnyValue, KeyValue, Resource, ResourceSpans, ScopeSpans, Span, Variant};
use crate::rejection::UpstreamFault;
use prost::Message;
use prost::bytes::Bytes;
use std::collections::BTreeSet;

/// The attribute by which the resource of what is left is told.
const MARKED: &str = "palisade.redacted";
/// What stands in the place of a service's name, without which Grafana shows a span badly.
const SERVICE: &str = "redacted";

/// Bytes of the ids that are kept, as OTLP has them. Other ids could say something.
const TRACE_ID: usize = 16;
const SPAN_ID: usize = 8;

/// `ResourceSpans`, read as far as it is kept. All else, a resource among it, is never decoded.
#[derive(Clone, PartialEq, prost::Message)]
struct Places {
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopePlaces>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopePlaces {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Place>,
}

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

/// The spans of `parts`, each the bytes of a `ResourceSpans`, without content; `None` if there is none.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if a part does not decode as far as it is read.
pub(super) fn redacted(parts: &[Bytes]) -> Result<Option<ResourceSpans>, UpstreamFault> {
    let mut places = BTreeSet::new();
    for part in parts {
        let read = Places::decode(part.clone()).map_err(|_| UpstreamFault::Undecodable)?;
        let spans = read.scope_spans.into_iter().flat_map(|scope| scope.spans);
        places.extend(spans.filter(Place::is_plain).map(Place::ordered));
    }
    let spans: Vec<Span> = places.into_iter().map(span).collect();
    if spans.is_empty() {
        return Ok(None);
    }
    let attributes = vec![
        attribute("service.name", Variant::String(Bytes::from_static(SERVICE.as_bytes()))),
        attribute(MARKED, Variant::Bool(true)),
    ];
    Ok(Some(ResourceSpans {
        resource: Some(Resource { attributes, dropped_attributes_count: 0 }),
        scope_spans: vec![ScopeSpans { scope: None, spans, schema_url: Bytes::new() }],
        schema_url: Bytes::new(),
    }))
}

/// A place in the order in which places are told: start, end, id, parent, trace.
type Ordered = (u64, u64, Bytes, Bytes, Bytes);

impl Place {
    fn is_plain(&self) -> bool {
        let parent = self.parent_span_id.len();
        self.trace_id.len() == TRACE_ID && self.span_id.len() == SPAN_ID && (parent == SPAN_ID || parent == 0)
    }

    fn ordered(self) -> Ordered {
        let (start, end) = (self.start_time_unix_nano, self.end_time_unix_nano);
        (start, end, self.span_id, self.parent_span_id, self.trace_id)
    }
}

fn span((start, end, span_id, parent_span_id, trace_id): Ordered) -> Span {
    Span {
        trace_id,
        span_id,
        parent_span_id,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..Span::default()
    }
}

fn attribute(key: &'static str, value: Variant) -> KeyValue {
    KeyValue { key: Bytes::from_static(key.as_bytes()), value: Some(AnyValue { variant: Some(value) }) }
}
