//! One query text, scoped in its language.

use super::memory::Question;
use super::{Backend, Memory};
use crate::api::Text;
use crate::lang::{Features, QueryError, ReadText, ScopedText, logql, promql, traceql};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;
use std::sync::Arc;

/// `query` with the scope at every selector, proven; taken from `memory` if it is there.
///
/// # Errors
/// [`Rejection::Query`] with the place in the caller's text, [`Rejection::TooLarge`] over a cap.
pub fn scope_text(
    text: Text,
    query: &str,
    backend: &Backend,
    matchers: &ScopeMatchers,
    limits: &Limits,
    memory: Option<&dyn Memory>,
) -> Result<Arc<ScopedText>, Rejection> {
    let (features, closed) = (backend.features, &backend.closed);
    let question = Question { text, features, closed, limits: &limits.query, matchers, query };
    let scoped = question.answer(memory, scope_question);
    scoped.map_err(|error| Rejection::query(text.language(), error, query))
}

/// `query` as it was read, for an endpoint that evaluates it on nothing.
///
/// # Errors
/// As [`scope_text`].
pub fn read_text(text: Text, query: &str, backend: &Backend, limits: &Limits) -> Result<ReadText, Rejection> {
    let (features, caps) = (backend.features, &limits.query);
    let read = match text {
        Text::PromQl(entry) => promql::reread(query, entry, features, caps),
        Text::LogQl(entry) => logql::reread(query, entry, features, caps),
        Text::TraceQl(_) => Err(QueryError::defect("no endpoint only reads TraceQL")),
    };
    read.map_err(|error| Rejection::query(text.language(), error, query))
}

/// What a query becomes: the same for the same question.
pub(super) fn scope_question(question: &Question<'_>) -> Result<ScopedText, QueryError> {
    let &Question { text, features, closed, limits, matchers, query } = question;
    closed.check(text.language(), query, limits)?;
    if matchers.is_unrestricted() {
        return unrestricted(question);
    }
    match text {
        Text::PromQl(entry) => promql::scope(query, entry, features, limits, matchers),
        Text::LogQl(entry) => logql::scope(query, entry, features, limits, matchers),
        Text::TraceQl(entry) => traceql::scope(query, entry, features, limits, matchers),
    }
}

/// A query of a caller who may see everything: read as any other, held to the same caps, and sent as it is, but for the
/// salt.
fn unrestricted(question: &Question<'_>) -> Result<ScopedText, QueryError> {
    let &Question { text, features, limits, matchers, query, .. } = question;
    match text {
        Text::PromQl(entry) => promql::parse(query, entry, features, limits).map(drop),
        // Loki may keep such a text under a hash as well.
        Text::LogQl(entry) if matchers.salt().is_some() => {
            return logql::scope(query, entry, features, limits, matchers);
        }
        Text::LogQl(entry) => logql::parse(query, entry, features, limits).map(drop),
        Text::TraceQl(entry) => return traceql::unrestricted(query, entry, features, limits, matchers),
    }?;
    ScopedText::unrestricted(query, matchers).ok_or_else(|| QueryError::defect("a scope is left out"))
}

/// The scope alone, for a request that names no selector.
///
/// # Errors
/// As [`scope_text`]: a scope of many long values can be over a cap.
pub fn scope_alone(
    text: Text,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<Arc<ScopedText>, Rejection> {
    let caps = &limits.query;
    let scoped = match text {
        Text::PromQl(_) => promql::scope_selector(matchers, caps),
        Text::LogQl(_) => logql::scope_selector(matchers, caps),
        Text::TraceQl(entry) => traceql::scope("{}", entry, Features::NONE, caps, matchers),
    };
    scoped.map(Arc::new).map_err(|error| Rejection::query(text.language(), error, ""))
}

/// A selector that Loki reads as everything just as it is written, `{}`: the scope alone.
///
/// # Errors
/// As [`scope_alone`].
pub fn scope_everything(
    text: Text,
    everything: &str,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<Arc<ScopedText>, Rejection> {
    match ScopedText::unrestricted(everything, matchers) {
        Some(whole) => Ok(Arc::new(whole)),
        None => scope_alone(text, matchers, limits),
    }
}
