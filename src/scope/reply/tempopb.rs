//! The streamed answers of `tempopb.StreamingQuerier`, from protobuf to protobuf.
//!
//! Field numbers are those of `pkg/tempopb/tempo.proto` of Tempo; fields that are not listed are dropped. Texts are
//! held as bytes, as in `otlp`: Tempo does not check that they are UTF-8. Statistics of the backend's work are read as
//! nothing, and sent as nothing: they are of everyone's data.

use super::otlp::{Empty, KeyValue};
use prost::bytes::Bytes;

/// `tempopb.SearchResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchResponse {
    #[prost(message, repeated, tag = "1")]
    pub traces: Vec<TraceSearchMetadata>,
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<Empty>,
}

/// `tempopb.TraceSearchMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TraceSearchMetadata {
    #[prost(bytes = "bytes", tag = "1")]
    pub trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub root_service_name: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub root_trace_name: Bytes,
    #[prost(uint64, tag = "4")]
    pub start_time_unix_nano: u64,
    #[prost(uint32, tag = "5")]
    pub duration_ms: u32,
    #[prost(message, optional, tag = "6")]
    pub span_set: Option<SpanSet>,
    #[prost(message, repeated, tag = "7")]
    pub span_sets: Vec<SpanSet>,
    #[prost(message, repeated, tag = "8")]
    pub service_stats: Vec<ServiceStatsEntry>,
}

/// `tempopb.SpanSet`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SpanSet {
    #[prost(message, repeated, tag = "1")]
    pub spans: Vec<Span>,
    #[prost(uint32, tag = "2")]
    pub matched: u32,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

/// `tempopb.Span`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Span {
    #[prost(bytes = "bytes", tag = "1")]
    pub span_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub name: Bytes,
    #[prost(uint64, tag = "3")]
    pub start_time_unix_nano: u64,
    #[prost(uint64, tag = "4")]
    pub duration_nanos: u64,
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<KeyValue>,
}

/// An entry of the map from services to `tempopb.ServiceStats`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ServiceStatsEntry {
    #[prost(bytes = "bytes", tag = "1")]
    pub service: Bytes,
    #[prost(message, optional, tag = "2")]
    pub stats: Option<ServiceStats>,
}

/// `tempopb.ServiceStats`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ServiceStats {
    #[prost(uint32, tag = "1")]
    pub span_count: u32,
    #[prost(uint32, tag = "2")]
    pub error_count: u32,
}

/// `tempopb.SearchTagValuesV2Response`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagValuesV2Response {
    #[prost(message, repeated, tag = "1")]
    pub tag_values: Vec<TagValue>,
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<Empty>,
}

/// `tempopb.SearchTagValuesResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagValuesResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub tag_values: Vec<Bytes>,
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<Empty>,
}

/// `tempopb.SearchTagsV2Response`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagsV2Response {
    #[prost(message, repeated, tag = "1")]
    pub scopes: Vec<TagsV2Scope>,
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<Empty>,
}

/// `tempopb.SearchTagsV2Scope`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagsV2Scope {
    #[prost(bytes = "bytes", tag = "1")]
    pub name: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub tags: Vec<Bytes>,
}

/// `tempopb.SearchTagsResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagsResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub tag_names: Vec<Bytes>,
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<Empty>,
}

/// `tempopb.TagValue`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct TagValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub kind: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `tempopb.QueryRangeResponse`. Its message, which is of a partial answer, is dropped.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueryRangeResponse {
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<TimeSeries>,
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<Empty>,
    /// `tempopb.PartialStatus`.
    #[prost(int32, tag = "3")]
    pub status: i32,
}

/// `tempopb.TimeSeries`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<KeyValue>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// The labels as a text, before 2.9.
    #[prost(bytes = "bytes", tag = "3")]
    pub prom_labels: Bytes,
    #[prost(message, repeated, tag = "4")]
    pub exemplars: Vec<Exemplar>,
}

/// `tempopb.Sample`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp_ms: i64,
}

/// `tempopb.Exemplar`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<KeyValue>,
    #[prost(double, tag = "2")]
    pub value: f64,
    #[prost(int64, tag = "3")]
    pub timestamp_ms: i64,
}

/// `tempopb.QueryInstantResponse`. Its message, which is of a partial answer, is dropped.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueryInstantResponse {
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<InstantSeries>,
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<Empty>,
    /// `tempopb.PartialStatus`.
    #[prost(int32, tag = "3")]
    pub status: i32,
}

/// `tempopb.InstantSeries`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InstantSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<KeyValue>,
    #[prost(double, tag = "2")]
    pub value: f64,
    /// The labels as a text, before 2.9.
    #[prost(bytes = "bytes", tag = "3")]
    pub prom_labels: Bytes,
}
