//! The three query languages: read, scope, emit, prove.
//!
//! Each language has one hand-written reader over the shared [`core`]: `lex` turns text into tokens
//! with byte spans, `parse` turns tokens into a `tree`, `scope` decides where the caller's scope goes,
//! [`core::emit`] writes the accepted tokens' own text with the insertions, `prove` reads that text
//! afresh, and `scan`, which shares no code with the reader, finds every selector a second time. Only
//! text that both find fully scoped becomes a [`ScopedText`].
//!
//! [`alertmanager`] reads the matchers of Alertmanager's filters, which are no language of queries.
//!
//! This module knows no HTTP.

pub mod alertmanager;
pub mod closed;
pub mod core;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod dashboard_tests;
pub mod feature;
#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod growth_tests;
pub mod logql;
pub mod matcher;
pub mod promql;
pub mod reference;
pub mod traceql;

pub use self::core::error::{QueryError, QueryErrorKind};
pub use self::core::scoped::{ReadText, ScopedText};
pub use closed::Closed;
pub use feature::{Feature, Features};

use std::fmt;

/// A query language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Prometheus.
    PromQl,
    /// Loki.
    LogQl,
    /// Tempo.
    TraceQl,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PromQl => "PromQL",
            Self::LogQl => "LogQL",
            Self::TraceQl => "TraceQL",
        })
    }
}
