//! One query text, scoped in its language.

use super::Backend;
use crate::api::Text;
use crate::lang::{Features, Language, ScopedText, logql, promql, traceql};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;

/// `query` with the scope at every selector, proven.
///
/// # Errors
/// [`Rejection::Query`] with the place in the caller's text, [`Rejection::TooLarge`] over a cap.
pub fn scope_text(
    text: Text,
    query: &str,
    backend: &Backend,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<ScopedText, Rejection> {
    let (features, caps) = (backend.features, &limits.query);
    let scoped = match text {
        Text::PromQl(entry) => promql::scope(query, entry, features, caps, matchers),
        Text::LogQl(entry) => logql::scope(query, entry, features, caps, matchers),
        Text::TraceQl(entry) => traceql::scope(query, entry, features, caps, matchers),
    };
    scoped.map_err(|error| Rejection::query(text.language(), error, query))
}

/// The scope alone, for a request that names no selector.
///
/// # Errors
/// As [`scope_text`]: a scope of many long values can be over a cap.
pub fn scope_alone(text: Text, matchers: &ScopeMatchers, limits: &Limits) -> Result<ScopedText, Rejection> {
    let caps = &limits.query;
    let scoped = match text {
        Text::PromQl(_) => promql::scope_selector(matchers, caps),
        Text::LogQl(_) => logql::scope_selector(matchers, caps),
        Text::TraceQl(entry) => traceql::scope("{}", entry, Features::NONE, caps, matchers),
    };
    scoped.map_err(|error| Rejection::query(text.language(), error, ""))
}

/// The scope as the hint that Tempo's tag endpoints take.
///
/// # Errors
/// As [`scope_alone`].
pub fn tag_hint(matchers: &ScopeMatchers, limits: &Limits) -> Result<ScopedText, Rejection> {
    let hint = traceql::scope_selector(matchers, &limits.query);
    hint.map_err(|error| Rejection::query(Language::TraceQl, error, ""))
}
