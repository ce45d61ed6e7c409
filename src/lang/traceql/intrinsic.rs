//! Intrinsics: what a span has besides attributes (`intrinsicField` and `scopedIntrinsicField` of
//! Tempo's `expr.y`).

/// An intrinsic. `span:name` and `name` are the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each is documented by its name in `canonical`
pub enum Intrinsic {
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    SpanId,
    ParentId,
    /// `span:childCount`, since Tempo 2.10.
    ChildCount,
    RootName,
    RootService,
    TraceDuration,
    TraceId,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    InstrumentationName,
    InstrumentationVersion,
}

/// The type of an expression, as far as Tempo's validation tells types apart: numbers and durations mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when spans are read.
    Attribute,
    Number,
    String,
    Boolean,
    Status,
    Kind,
}

impl Intrinsic {
    /// The intrinsic that `text` names, with its scope (`span:name`) or without (`name`).
    pub fn named(text: &str) -> Option<Self> {
        Some(match text {
            "duration" | "span:duration" => Self::Duration,
            "name" | "span:name" => Self::Name,
            "status" | "span:status" => Self::Status,
            "statusMessage" | "span:statusMessage" => Self::StatusMessage,
            "kind" | "span:kind" => Self::Kind,
            "span:id" => Self::SpanId,
            "span:parentID" => Self::ParentId,
            "span:childCount" => Self::ChildCount,
            "rootName" | "trace:rootName" => Self::RootName,
            "rootServiceName" | "trace:rootService" => Self::RootService,
            "traceDuration" | "trace:duration" => Self::TraceDuration,
            "trace:id" => Self::TraceId,
            "nestedSetLeft" => Self::NestedSetLeft,
            "nestedSetRight" => Self::NestedSetRight,
            "nestedSetParent" => Self::NestedSetParent,
            "event:name" => Self::EventName,
            "event:timeSinceStart" => Self::EventTimeSinceStart,
            "link:traceID" => Self::LinkTraceId,
            "link:spanID" => Self::LinkSpanId,
            "instrumentation:name" => Self::InstrumentationName,
            "instrumentation:version" => Self::InstrumentationVersion,
            _ => return None,
        })
    }

    /// One name for each, the one Tempo's own answers use (`Intrinsic.String`).
    pub const fn canonical(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Name => "name",
            Self::Status => "status",
            Self::StatusMessage => "statusMessage",
            Self::Kind => "kind",
            Self::SpanId => "span:id",
            Self::ParentId => "span:parentID",
            Self::ChildCount => "span:childCount",
            Self::RootName => "rootName",
            Self::RootService => "rootServiceName",
            Self::TraceDuration => "traceDuration",
            Self::TraceId => "trace:id",
            Self::NestedSetLeft => "nestedSetLeft",
            Self::NestedSetRight => "nestedSetRight",
            Self::NestedSetParent => "nestedSetParent",
            Self::EventName => "event:name",
            Self::EventTimeSinceStart => "event:timeSinceStart",
            Self::LinkTraceId => "link:traceID",
            Self::LinkSpanId => "link:spanID",
            Self::InstrumentationName => "instrumentation:name",
            Self::InstrumentationVersion => "instrumentation:version",
        }
    }

    /// Whether its value depends on other spans of the trace, which may be another tenant's: the root's
    /// names, the trace's duration, places in the tree of spans. A trace's id is stored on each span.
    pub const fn is_trace_level(self) -> bool {
        matches!(
            self,
            Self::RootName
                | Self::RootService
                | Self::TraceDuration
                | Self::NestedSetLeft
                | Self::NestedSetRight
                | Self::NestedSetParent
                | Self::ChildCount
        )
    }

    /// Whether it is a whole number, which a duration is not.
    pub(super) const fn is_integer(self) -> bool {
        matches!(self, Self::ChildCount | Self::NestedSetLeft | Self::NestedSetRight | Self::NestedSetParent)
    }

    /// Its type (`Attribute.impliedType` of Tempo's `ast.go`).
    pub(super) const fn implied_type(self) -> Type {
        match self {
            Self::Duration
            | Self::TraceDuration
            | Self::EventTimeSinceStart
            | Self::ChildCount
            | Self::NestedSetLeft
            | Self::NestedSetRight
            | Self::NestedSetParent => Type::Number,
            Self::Status => Type::Status,
            Self::Kind => Type::Kind,
            Self::InstrumentationName | Self::InstrumentationVersion => Type::Attribute,
            _ => Type::String,
        }
    }
}
