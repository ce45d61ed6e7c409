//! The gRPC calls that are served: those of Tempo's `tempopb.StreamingQuerier`.

/// A call of `tempopb.StreamingQuerier` (`pkg/tempopb/tempo.proto` of Tempo): one message in, a stream of
/// messages out, each of which is a part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rpc {
    /// `Search`.
    Search,
    /// `SearchTags`.
    SearchTags,
    /// `SearchTagsV2`.
    SearchTagsV2,
    /// `SearchTagValues`.
    SearchTagValues,
    /// `SearchTagValuesV2`.
    SearchTagValuesV2,
    /// `MetricsQueryRange`.
    MetricsQueryRange,
    /// `MetricsQueryInstant`.
    MetricsQueryInstant,
}

impl Rpc {
    /// Every call.
    pub const ALL: [Self; 7] = [
        Self::Search,
        Self::SearchTags,
        Self::SearchTagsV2,
        Self::SearchTagValues,
        Self::SearchTagValuesV2,
        Self::MetricsQueryRange,
        Self::MetricsQueryInstant,
    ];

    /// The path, by which gRPC names a call.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Search => "/tempopb.StreamingQuerier/Search",
            Self::SearchTags => "/tempopb.StreamingQuerier/SearchTags",
            Self::SearchTagsV2 => "/tempopb.StreamingQuerier/SearchTagsV2",
            Self::SearchTagValues => "/tempopb.StreamingQuerier/SearchTagValues",
            Self::SearchTagValuesV2 => "/tempopb.StreamingQuerier/SearchTagValuesV2",
            Self::MetricsQueryRange => "/tempopb.StreamingQuerier/MetricsQueryRange",
            Self::MetricsQueryInstant => "/tempopb.StreamingQuerier/MetricsQueryInstant",
        }
    }
}
