//! Why a query text was refused.

use crate::span::Span;
use std::fmt;

/// The kind of a refusal, as the `scope` command and the metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryErrorKind {
    /// The text is not of the language, or the backend would refuse it.
    Syntax,
    /// The backend may know it; this reader, or this backend's configured features, do not.
    Unsupported,
    /// It is read, and cannot be scoped without a doubt.
    Unsafe,
    /// It is over a cap.
    Limit,
    /// The scoped text did not stand its proof: a fault of ours. Nothing was sent.
    Defect,
}

impl QueryErrorKind {
    /// The name in outputs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Unsupported => "unsupported",
            Self::Unsafe => "unsafe",
            Self::Limit => "limit",
            Self::Defect => "defect",
        }
    }
}

impl fmt::Display for QueryErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refused query text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What kind of refusal.
    pub kind: QueryErrorKind,
    /// For the caller: lowercase, no full stop, what to do where something can be done.
    pub message: String,
    /// Where in the caller's text, if anywhere.
    pub span: Option<Span>,
}

impl QueryError {
    /// A refusal of `kind` at `span`.
    pub fn new(kind: QueryErrorKind, span: Span, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), span: Some(span) }
    }

    /// Not of the language.
    pub fn syntax(span: Span, message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::Syntax, span, message)
    }

    /// Not known to this reader, or not switched on.
    pub fn unsupported(span: Span, message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::Unsupported, span, message)
    }

    /// Read, but not scopable without a doubt.
    pub fn unsafe_(span: Span, message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::Unsafe, span, message)
    }

    /// Over the cap called `cap`, which says its unit and the key that sets it.
    pub fn limit(cap: &'static str, max: usize, span: Option<Span>) -> Self {
        Self { kind: QueryErrorKind::Limit, message: format!("over the limit of {max} {cap}"), span }
    }

    /// A proof that failed. `detail` says which step; it names nothing of the scope.
    pub fn defect(detail: impl Into<String>) -> Self {
        Self { kind: QueryErrorKind::Defect, message: detail.into(), span: None }
    }
}
