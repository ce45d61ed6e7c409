//! The requests of `tempopb.StreamingQuerier`. Field numbers are those of `pkg/tempopb/tempo.proto` of Tempo; what
//! is not listed is dropped: fields that only its own parts set for each other.

/// `tempopb.SearchRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchRequest {
    #[prost(message, repeated, tag = "1")]
    pub tags: Vec<Tag>,
    #[prost(uint32, tag = "2")]
    pub min_duration_ms: u32,
    #[prost(uint32, tag = "3")]
    pub max_duration_ms: u32,
    #[prost(uint32, tag = "4")]
    pub limit: u32,
    /// Seconds since 1970.
    #[prost(uint32, tag = "5")]
    pub start: u32,
    /// Seconds since 1970.
    #[prost(uint32, tag = "6")]
    pub end: u32,
    #[prost(string, tag = "8")]
    pub query: String,
    #[prost(uint32, tag = "9")]
    pub spans_per_span_set: u32,
}

/// An entry of the map of tags.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tag {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `tempopb.SearchTagsRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchTagsRequest {
    #[prost(string, tag = "1")]
    pub scope: String,
    #[prost(string, tag = "2")]
    pub query: String,
    #[prost(uint32, tag = "3")]
    pub start: u32,
    #[prost(uint32, tag = "4")]
    pub end: u32,
    #[prost(uint32, tag = "5")]
    pub max_tags_per_scope: u32,
    #[prost(uint32, tag = "6")]
    pub stale_values_threshold: u32,
}

/// `tempopb.SearchTagValuesRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagValuesRequest {
    #[prost(string, tag = "1")]
    pub tag_name: String,
    #[prost(string, tag = "2")]
    pub query: String,
    #[prost(uint32, tag = "4")]
    pub start: u32,
    #[prost(uint32, tag = "5")]
    pub end: u32,
    #[prost(uint32, tag = "6")]
    pub max_tag_values: u32,
    #[prost(uint32, tag = "7")]
    pub stale_value_threshold: u32,
}

/// `tempopb.QueryRangeRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueryRangeRequest {
    #[prost(string, tag = "1")]
    pub query: String,
    /// Nanoseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub start: u64,
    /// Nanoseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub end: u64,
    /// Nanoseconds.
    #[prost(uint64, tag = "4")]
    pub step: u64,
    #[prost(uint32, tag = "16")]
    pub exemplars: u32,
    #[prost(uint32, tag = "17")]
    pub max_series: u32,
}

/// `tempopb.QueryInstantRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueryInstantRequest {
    #[prost(string, tag = "1")]
    pub query: String,
    /// Nanoseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub start: u64,
    /// Nanoseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub end: u64,
}
