//! A trace as Tempo sends it: OTLP in Tempo's envelopes, from protobuf to protobuf or JSON.
//!
//! Field numbers are those of `pkg/tempopb/tempo.proto` and of OTLP's `trace.proto`, `resource.proto`
//! and `common.proto`; fields that are not listed are dropped. Texts are held as bytes, because Tempo
//! stores and sends what it was given without checking that it is UTF-8, and one such span must not
//! hide a trace. JSON is what `jsonpb` of gogo/protobuf prints: bytes as base64, 64-bit integers as
//! strings, enums by name, defaults left out.
//!
//! Nesting is bounded by prost, which decodes at most 100 messages within each other; printing and
//! dropping go no deeper than what was decoded.

use super::json;
use prost::bytes::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// What decides about a `ResourceSpans`: the attributes of its resource, as far as they are texts.
/// Reads the same bytes to the same attributes as [`ResourceSpans`] does, and nothing further: spans
/// of others are never decoded.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Head {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<HeadResource>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeadResource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<HeadAttribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeadAttribute {
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    #[prost(message, optional, tag = "2")]
    pub value: Option<HeadValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeadValue {
    #[prost(oneof = "HeadVariant", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub variant: Option<HeadVariant>,
}

/// The variants of `AnyValue`, lists and maps closed.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum HeadVariant {
    #[prost(bytes = "bytes", tag = "1")]
    String(Bytes),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(bytes = "bytes", tag = "5")]
    Array(Bytes),
    #[prost(bytes = "bytes", tag = "6")]
    Kvlist(Bytes),
    #[prost(bytes = "bytes", tag = "7")]
    Bytes(Bytes),
}

/// `tempopb.TraceByIDResponse`, to be sent.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct TraceByIdResponse {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// Always there and always empty: Tempo's counts the bytes of everyone's data.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Empty>,
    #[prost(int32, tag = "3")]
    #[serde(skip_serializing_if = "json::is_zero", serialize_with = "json::partial_status")]
    pub status: i32,
}

/// A message without fields.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct Empty {}

/// `tempopb.Trace`, to be sent.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// [`Trace`] as `/api/traces` prints it: `MarshalToJSONV1` in `pkg/tempopb/trace_utils.go`.
#[cfg(any(test, feature = "proxy"))]
#[derive(Serialize)]
pub(crate) struct Batches<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub batches: &'a [ResourceSpans],
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scope_spans: Vec<ScopeSpans>,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub schema_url: Bytes,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "2")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub dropped_attributes_count: u32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub schema_url: Bytes,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstrumentationScope {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub version: Bytes,
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub dropped_attributes_count: u32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::base64")]
    pub trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::base64")]
    pub span_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub trace_state: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::base64")]
    pub parent_span_id: Bytes,
    #[prost(fixed32, tag = "16")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub flags: u32,
    #[prost(bytes = "bytes", tag = "5")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub name: Bytes,
    #[prost(int32, tag = "6")]
    #[serde(skip_serializing_if = "json::is_zero", serialize_with = "json::span_kind")]
    pub kind: i32,
    #[prost(fixed64, tag = "7")]
    #[serde(skip_serializing_if = "json::is_zero", serialize_with = "json::decimal")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    #[serde(skip_serializing_if = "json::is_zero", serialize_with = "json::decimal")]
    pub end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub dropped_attributes_count: u32,
    #[prost(message, repeated, tag = "11")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    #[prost(uint32, tag = "12")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub dropped_events_count: u32,
    #[prost(message, repeated, tag = "13")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[prost(uint32, tag = "14")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub dropped_links_count: u32,
    #[prost(message, optional, tag = "15")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[prost(fixed64, tag = "1")]
    #[serde(skip_serializing_if = "json::is_zero", serialize_with = "json::decimal")]
    pub time_unix_nano: u64,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub name: Bytes,
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "4")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub dropped_attributes_count: u32,
}

/// A link names another trace and span: ids only, kept, as the span's own data.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::base64")]
    pub trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::base64")]
    pub span_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub trace_state: Bytes,
    #[prost(message, repeated, tag = "4")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "5")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub dropped_attributes_count: u32,
    #[prost(fixed32, tag = "6")]
    #[serde(skip_serializing_if = "json::is_zero")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct Status {
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub message: Bytes,
    #[prost(int32, tag = "3")]
    #[serde(skip_serializing_if = "json::is_zero", serialize_with = "json::status_code")]
    pub code: i32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "json::text")]
    pub key: Bytes,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AnyValue {
    #[prost(oneof = "Variant", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub variant: Option<Variant>,
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.variant {
            Some(variant) => variant.serialize(serializer),
            None => serializer.serialize_map(Some(0))?.end(),
        }
    }
}

#[derive(Clone, PartialEq, prost::Oneof, Serialize)]
pub(crate) enum Variant {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(rename = "stringValue", serialize_with = "json::text")]
    String(Bytes),
    #[prost(bool, tag = "2")]
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    #[serde(rename = "intValue", serialize_with = "json::decimal")]
    Int(i64),
    #[prost(double, tag = "4")]
    #[serde(rename = "doubleValue", serialize_with = "json::double")]
    Double(f64),
    #[prost(message, tag = "5")]
    #[serde(rename = "arrayValue")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    #[serde(rename = "kvlistValue")]
    Kvlist(KeyValueList),
    #[prost(bytes = "bytes", tag = "7")]
    #[serde(rename = "bytesValue", serialize_with = "json::base64")]
    Bytes(Bytes),
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<KeyValue>,
}
