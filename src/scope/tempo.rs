//! Tempo's calls: what is asked where an answer must be cut as well.

use super::call::{Argument, Draft};
use super::reply::Cut;
use super::{Accept, Asked, Backend};
use crate::api::{Filter, path};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;

/// The calls for an endpoint with a filter, and the cut of their answers.
///
/// # Errors
/// As [`super::scope`].
pub(super) fn drafts(
    filter: Filter,
    backend: &Backend,
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<(Vec<Draft>, Option<Cut>), Rejection> {
    let drafts = match filter {
        Filter::Trace | Filter::TraceV2 => vec![trace(asked)?],
        Filter::Search | Filter::Metrics => vec![super::draft(backend, asked, matchers, limits)?],
        Filter::TagValues => return Err(Rejection::UnknownEndpoint),
    };
    let cut = Cut { filter, matchers: matchers.clone(), accept: asked.accept, features: backend.features };
    Ok((drafts, Some(cut)))
}

/// A trace by id has no query: it is asked whole, as protobuf, and cut.
fn trace(asked: &Asked) -> Result<Draft, Rejection> {
    let id = &asked.matched.variable;
    if !path::is_trace_id(id) {
        return Err(Rejection::parameter("trace", "is no trace id"));
    }
    let times = ["start", "end"].into_iter();
    let arguments = times
        .filter_map(|name| Some(Argument::Plain(name, asked.parameters.scalar(name)?.to_owned())))
        .collect();
    let path = asked.matched.endpoint.path.replace("{trace}", id);
    Ok(Draft { path, arguments, accept: Accept::Protobuf })
}
