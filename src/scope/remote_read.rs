//! Prometheus' remote read: protobuf whose queries get the scope among their matchers.
//!
//! A matcher of the scope is always a pattern. Prometheus reads an equality with one of its own external labels as
//! "has no such label" and then puts that label on what it answers (`filterExtLabelsFromMatchers` in
//! `storage/remote/read_handler.go`); patterns it leaves alone. So a server whose external label is the tenant's
//! name shows nothing that is not stored with the label.

use super::call::{Draft, ScopedBody, Sending};
use super::prompb::{LabelMatcher, Query, ReadRequest};
use super::reply::Cut;
use super::{Accept, Asked, Asking, snappy};
use crate::lang::core::quote::{push_pattern, push_quoted};
use crate::lang::core::{is_pattern, nullable};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::tenant::{ScopeMatcher, ScopeMatchers};
use prost::Message;
use std::fmt::Write as _;
use std::time::Duration;

/// The numbers of `LabelMatcher.Type` in `prompb/types.proto`, by how they are written.
const OPERATORS: [&str; 4] = ["=", "!=", "=~", "!~"];
/// `=`
const EQUAL: i32 = 0;
/// `=~`
const PATTERN: i32 = 2;
/// `ReadRequest.ResponseType` in `prompb/remote.proto`.
const SAMPLES: i32 = 0;
const CHUNKS: i32 = 1;

/// The call for a remote read, and the check of its answer.
///
/// # Errors
/// [`Rejection::Malformed`] for what Prometheus refuses, [`Rejection::TooLarge`] over a cap,
/// [`Rejection::Defect`] if what is to be sent does not stand its proof.
pub(super) fn asking(asked: &Asked, owned: &ScopeMatchers, limits: &Limits) -> Result<Asking, Rejection> {
    let mut request = read(asked.body.as_deref().unwrap_or_default(), limits)?;
    let accept = match accepted(&request)? {
        CHUNKS => Accept::ReadChunks,
        _ => Accept::ReadSamples,
    };
    request.accepted_response_types = vec![if accept == Accept::ReadChunks { CHUNKS } else { SAMPLES }];
    let scope: Vec<LabelMatcher> = owned.iter().map(matcher).collect();
    // To storage no matcher finds nothing, and one alone without name and value finds everything
    // (`PostingsForMatchers` in `tsdb/querier.go` of Prometheus 3.16). With the scope they would not be alone.
    if let Some(first) = scope.first() {
        let nothing = LabelMatcher { kind: EQUAL, name: first.name.clone(), value: String::new() };
        for query in &mut request.queries {
            match query.matchers.as_slice() {
                [] => query.matchers.push(nothing.clone()),
                [only] if is_everything(only) => query.matchers.clear(),
                _ => {}
            }
        }
    }
    let mut scoped = request.clone();
    for query in &mut scoped.queries {
        query.matchers.splice(0..0, scope.iter().cloned());
    }
    let sending = Sending::Post(ScopedBody::remote_read(&ScopedRead::prove(&request, &scoped, owned)?)?);
    let longest = request.queries.iter().map(span).max().unwrap_or_default();
    let path = asked.matched.endpoint.path.to_owned();
    let cut = Cut::RemoteRead { owned: owned.clone(), accept, queries: request.queries.len(), longest };
    Ok(Asking::Calls(vec![Draft { path, arguments: Vec::new(), accept, sending }], cut))
}

/// Reads a body, and holds it to the caps: those of query texts where they are of the same thing.
fn read(body: &[u8], limits: &Limits) -> Result<ReadRequest, Rejection> {
    let over = |what, max, key| Rejection::TooLarge { what, max, key };
    let bytes = snappy::decompress(body, limits.body_bytes).map_err(|fault| match fault {
        snappy::Fault::TooLarge => {
            over("bytes of the body, decompressed,", limits.body_bytes, "`limits.body_bytes`")
        }
        snappy::Fault::Broken => Rejection::Malformed("the body is no block of snappy"),
    })?;
    let request = ReadRequest::decode(&*bytes);
    let request = request.map_err(|_| Rejection::Malformed("the body is no `ReadRequest`"))?;
    let caps = &limits.query;
    if request.queries.len() > caps.selectors {
        return Err(over("queries", caps.selectors, "`limits.query.selectors`"));
    }
    if request.queries.iter().any(|query| query.encoded_len() > caps.bytes) {
        return Err(over("bytes of a query", caps.bytes, "`limits.query.bytes`"));
    }
    let matchers = || request.queries.iter().flat_map(|query| &query.matchers);
    if matchers().count() > caps.tokens {
        return Err(over("matchers", caps.tokens, "`limits.query.tokens`"));
    }
    if matchers().any(|m| operator(m.kind).is_none()) {
        return Err(Rejection::Malformed("a matcher is of an unknown type"));
    }
    // Beside others it is an error, but only where the others find something: be it another's.
    if request
        .queries
        .iter()
        .any(|query| query.matchers.len() > 1 && query.matchers.iter().any(is_everything))
    {
        return Err(Rejection::Malformed(
            "a matcher without name and value must be the only one of its query",
        ));
    }
    if matchers().any(|m| m.kind >= PATTERN && nullable::is_malformed(m.value.as_bytes())) {
        return Err(Rejection::Malformed("a matcher's pattern is malformed"));
    }
    Ok(request)
}

/// Whether `matcher` is what storage keeps all series under, whatever its operator.
fn is_everything(matcher: &LabelMatcher) -> bool {
    matcher.name.is_empty() && matcher.value.is_empty()
}

fn operator(kind: i32) -> Option<&'static str> {
    usize::try_from(kind).ok().and_then(|kind| OPERATORS.get(kind)).copied()
}

/// The first form that is known (`NegotiateResponseType` in `storage/remote/codec.go`).
fn accepted(request: &ReadRequest) -> Result<i32, Rejection> {
    let types = &request.accepted_response_types;
    let known = types.iter().copied().find(|kind| matches!(*kind, SAMPLES | CHUNKS));
    let known = known.or(types.is_empty().then_some(SAMPLES));
    known.ok_or(Rejection::Malformed("no accepted response type is known"))
}

/// A matcher of the scope, as a pattern that its values and nothing else match.
fn matcher(matcher: &ScopeMatcher) -> LabelMatcher {
    let mut value = String::new();
    for (index, one) in matcher.values.iter().enumerate() {
        if index > 0 {
            value.push('|');
        }
        push_pattern(&mut value, one.as_str());
    }
    LabelMatcher { kind: PATTERN, name: matcher.label.as_ref().to_owned(), value }
}

/// A remote read whose every query carries its scope.
pub(super) struct ScopedRead<'s> {
    bytes: Vec<u8>,
    scoped: &'s ReadRequest,
    scope: &'s ScopeMatchers,
}

impl<'s> ScopedRead<'s> {
    /// Writes `scoped` and reads it afresh: each query must be the caller's, with `scope` before its matchers.
    fn prove(
        request: &ReadRequest,
        scoped: &'s ReadRequest,
        scope: &'s ScopeMatchers,
    ) -> Result<Self, Rejection> {
        let bytes = scoped.encode_to_vec();
        let defect = |what: &str| Rejection::Defect(format!("a scoped remote read {what}"));
        let again = ReadRequest::decode(&*bytes).map_err(|_| defect("is not read again"))?;
        let same = |(before, after): (&Query, &Query)| {
            let own = after.matchers.split_at_checked(scope.iter().len());
            own.is_some_and(|(first, own)| *own == *before.matchers && says(first, scope))
                && Query { matchers: before.matchers.clone(), ..after.clone() } == *before
        };
        let queries = request.queries.len() == again.queries.len();
        let types = request.accepted_response_types == again.accepted_response_types;
        let all = queries && types && request.queries.iter().zip(&again.queries).all(same);
        if all { Ok(Self { bytes, scoped, scope }) } else { Err(defect("says something else")) }
    }

    /// The message.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The scope that each query carries.
    pub(super) fn scope(&self) -> &ScopeMatchers {
        self.scope
    }

    /// The queries to be read by people: one a line, as selectors.
    pub(super) fn shown(&self) -> String {
        shown(self.scoped)
    }
}

/// Whether `first` are the matchers of `scope`, each as a pattern.
fn says(first: &[LabelMatcher], scope: &ScopeMatchers) -> bool {
    let is = |(found, matcher): (&LabelMatcher, &ScopeMatcher)| {
        found.kind == PATTERN
            && *found.name == *matcher.label
            && is_pattern(found.value.as_bytes(), &matcher.values)
    };
    first.len() == scope.iter().len() && first.iter().zip(scope.iter()).all(is)
}

fn span(query: &Query) -> Duration {
    let ms = i128::from(query.end_timestamp_ms) - i128::from(query.start_timestamp_ms);
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

fn shown(request: &ReadRequest) -> String {
    let mut text = String::new();
    for query in &request.queries {
        text.push('{');
        for (index, matcher) in query.matchers.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{}{}", matcher.name, operator(matcher.kind).unwrap_or("?"));
            push_quoted(&mut text, &matcher.value);
        }
        let _ = writeln!(text, "}} from {} to {}", query.start_timestamp_ms, query.end_timestamp_ms);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
