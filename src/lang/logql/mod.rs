//! The language of Loki. Nothing is read yet, so every text is refused.

use crate::lang::{Features, QueryError, ScopedText};
use crate::limits::QueryLimits;
use crate::tenant::ScopeMatchers;

/// What a whole text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Any expression.
    Expression,
    /// A selector with its pipeline.
    LogQuery,
    /// One selector.
    Selector,
}

/// `text` with the scope at every selector, proven.
///
/// # Errors
/// Always, until the reader is there.
pub fn scope(
    _text: &str,
    _entry: Entry,
    _features: Features,
    _limits: &QueryLimits,
    _matchers: &ScopeMatchers,
) -> Result<ScopedText, QueryError> {
    Err(QueryError::defect("no reader"))
}

/// The scope alone.
///
/// # Errors
/// Always, until the reader is there.
pub fn scope_selector(_matchers: &ScopeMatchers, _limits: &QueryLimits) -> Result<ScopedText, QueryError> {
    Err(QueryError::defect("no reader"))
}
