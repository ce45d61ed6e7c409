//! Traces in OTLP, as Tempo stores and sends them.

use crate::demo::spans::{Attribute, Span, Trace};
use crate::scope::reply::otlp;
use prost::bytes::Bytes;

/// `trace` with a `ResourceSpans` for each resource, in order of first appearance.
pub fn otlp(trace: &Trace) -> otlp::Trace {
    let mut resource_spans: Vec<otlp::ResourceSpans> = Vec::new();
    for span in &trace.spans {
        let resource = otlp::Resource {
            attributes: span.resource.iter().map(key_value).collect(),
            dropped_attributes_count: 0,
        };
        let own = message(trace.id, span);
        let same = resource_spans.iter_mut().find(|r| r.resource.as_ref() == Some(&resource));
        match same.and_then(|r| r.scope_spans.first_mut()) {
            Some(scope) => scope.spans.push(own),
            None => resource_spans.push(otlp::ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![otlp::ScopeSpans { spans: vec![own], ..Default::default() }],
                schema_url: Bytes::new(),
            }),
        }
    }
    otlp::Trace { resource_spans }
}

fn message(trace: u128, span: &Span) -> otlp::Span {
    let id = |id: u64| Bytes::copy_from_slice(&id.to_be_bytes());
    // STATUS_CODE_ERROR of OTLP's `trace.proto`.
    let failed = || otlp::Status { message: Bytes::new(), code: 2 };
    otlp::Span {
        trace_id: Bytes::copy_from_slice(&trace.to_be_bytes()),
        span_id: id(span.id),
        parent_span_id: span.parent.map(id).unwrap_or_default(),
        name: Bytes::copy_from_slice(span.name.as_bytes()),
        kind: span.kind as i32,
        start_time_unix_nano: span.start.unsigned_abs(),
        end_time_unix_nano: (span.start + span.duration).unsigned_abs(),
        attributes: span.attributes.iter().map(key_value).collect(),
        status: Some(if span.failed { failed() } else { otlp::Status::default() }),
        ..Default::default()
    }
}

fn key_value((key, value): &(&'static str, Attribute)) -> otlp::KeyValue {
    let variant = match value {
        Attribute::Text(text) => otlp::Variant::String(Bytes::from_static(text.as_bytes())),
        Attribute::Integer(n) => otlp::Variant::Int(*n),
    };
    otlp::KeyValue {
        key: Bytes::from_static(key.as_bytes()),
        value: Some(otlp::AnyValue { variant: Some(variant) }),
    }
}
