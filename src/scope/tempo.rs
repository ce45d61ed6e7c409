//! Tempo's calls: what is asked where an answer must be cut as well.

use super::call::{Argument, Draft, Sending};
use super::reply::{Cut, Envelope, Mark};
use super::text::tag_hint;
use super::{Accept, Asked, Asking, Backend, Memory};
use crate::api::{Filter, Form, Static, path};
use crate::lang::traceql::intrinsic::Intrinsic;
use crate::lang::traceql::tree::{Attribute, AttributeScope};
use crate::lang::traceql::{Entry, Tag, parse, parse_tag};
use crate::lang::{Feature, Features, Language};
use crate::limits::Limits;
use crate::rejection::{Forbidden, Rejection};
use crate::tenant::{ScopeMatchers, Values};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// No values, as Tempo says it.
const NO_VALUES: Static =
    Static { content_type: "application/json", body: r#"{"tagValues":[],"metrics":{}}"# };

/// Longest scope of several dimensions that Tempo is sure to read as written where it is a hint only:
/// one buffer of its scanner, less what its frontend changes at the ends (`ExtractMatchers` in
/// `pkg/traceql/extractmatcher.go`).
const MAX_HINT_BYTES: usize = 1000;

/// The calls for an endpoint with a filter, and the cut of their answers.
///
/// # Errors
/// As [`super::scope`].
pub(super) fn asking(
    filter: Filter,
    backend: &Backend,
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
    memory: Option<&dyn Memory>,
) -> Result<Asking, Rejection> {
    let accept = asked.accept;
    if matchers.is_unrestricted() {
        return everything(filter, backend, asked, matchers, limits, memory);
    }
    let scoped = || super::draft(backend, asked, matchers, limits, memory);
    let (draft, cut) = match filter {
        Filter::Trace => {
            (trace(asked)?, Cut::Trace { envelope: Envelope::Trace, marks: marks(matchers)?, accept })
        }
        Filter::TraceV2 => {
            (trace(asked)?, Cut::Trace { envelope: Envelope::Response, marks: marks(matchers)?, accept })
        }
        Filter::Search => {
            let marks = named_marks(Entry::Query, backend, asked, matchers, limits)?;
            let mixed = !backend.features.has(Feature::TracesNeverMixTenants);
            (scoped()?, Cut::Search { marks, mixed })
        }
        Filter::Metrics => (
            scoped()?,
            Cut::Metrics { marks: named_marks(Entry::Metrics, backend, asked, matchers, limits)? },
        ),
        Filter::TagValues => return tag_values(backend, asked, matchers, limits),
        _ => return Err(Rejection::Defect("no endpoint of Tempo".into())),
    };
    Ok(Asking::Calls(vec![draft], cut))
}

/// What a caller of a break-glass rule asks is asked, and its answer is not cut.
fn everything(
    filter: Filter,
    backend: &Backend,
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
    memory: Option<&dyn Memory>,
) -> Result<Asking, Rejection> {
    let (draft, accept) = match filter {
        Filter::Trace | Filter::TraceV2 => (Draft { accept: asked.accept, ..trace(asked)? }, asked.accept),
        Filter::Search | Filter::Metrics => {
            (super::draft(backend, asked, matchers, limits, memory)?, Accept::Json)
        }
        Filter::TagValues => return tag_values(backend, asked, matchers, limits),
        _ => return Err(Rejection::Defect("no endpoint of Tempo".into())),
    };
    Ok(Asking::Calls(vec![draft], Cut::Whole { accept }))
}

/// A trace by id has no query: it is asked whole, as protobuf, and cut.
fn trace(asked: &Asked) -> Result<Draft, Rejection> {
    let id = &asked.matched.variable;
    if !path::is_trace_id(id) {
        return Err(Rejection::parameter("trace", "is no trace id"));
    }
    let path = asked.matched.endpoint.path.replace("{trace}", id);
    Ok(Draft { path, arguments: plain_arguments(asked), accept: Accept::Protobuf, sending: Sending::AsRow })
}

/// The parameters that pass as they are.
fn plain_arguments(asked: &Asked) -> Vec<Argument> {
    let rows = asked.matched.endpoint.parameters.iter();
    let plain = rows.filter(|p| matches!(p.form, Form::Plain | Form::Time));
    let given = plain.filter_map(|p| Some((p.name, asked.parameters.scalar(p.name)?)));
    given.filter(|(_, v)| !v.is_empty()).map(|(name, v)| Argument::Plain(name, v.to_owned())).collect()
}

/// What tells the caller's own in answers.
fn marks(matchers: &ScopeMatchers) -> Result<Vec<Mark>, Rejection> {
    let marks: Option<Vec<Mark>> = matchers.iter().map(Mark::new).collect();
    marks.ok_or(Rejection::Forbidden(Forbidden::ClosedBackend))
}

/// The values of a tag. Tempo takes `q` as a hint and answers from everyone's data where it cannot use
/// it, so `q` is the scope alone, in a form that every version from 2.7 on is known to use.
fn tag_values(
    backend: &Backend,
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<Asking, Rejection> {
    if !backend.narrows_tag_values {
        return Err(Rejection::UnknownEndpoint);
    }
    let tags = tags(&asked.matched.variable, backend.features)?;
    if tags.is_empty() {
        return Ok(Asking::Answer(NO_VALUES));
    }
    let marks = marks(matchers)?;
    if !marks.iter().all(|mark| mark.key().bytes().all(is_hint_byte)) {
        return Err(Rejection::Forbidden(Forbidden::ClosedBackend));
    }
    let mut drafts = Vec::with_capacity(tags.len());
    let mut kept: Vec<Option<Values>> = Vec::with_capacity(tags.len());
    for tag in tags {
        let mut arguments = plain_arguments(asked);
        if !matchers.is_unrestricted() {
            let hint = tag_hint(matchers, limits)?;
            if marks.len() > 1 && hint.as_str().len() > MAX_HINT_BYTES {
                let what = "bytes of the scope for tag values";
                return Err(Rejection::TooLarge { what, max: MAX_HINT_BYTES });
            }
            arguments.push(Argument::Scoped("q", hint));
        }
        let encoded = utf8_percent_encode(&tag, ENCODED).to_string();
        let path = asked.matched.endpoint.path.replace("{tag}", &encoded);
        drafts.push(Draft { path, arguments, accept: Accept::Json, sending: Sending::AsRow });
        kept.push(marks.iter().find(|mark| mark.label() == tag).map(|mark| mark.values().clone()));
    }
    Ok(Asking::Calls(drafts, Cut::TagValues(kept)))
}

/// Every byte but the unreserved of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The tags that are asked for where a caller asks for `text`; none: there are no values to list.
///
/// # Errors
/// For what is no tag, and for a name with other characters than letters, digits and `. _ : @ -`: Tempo
/// decodes a tag twice and pastes it into a path on its way (`parseSearchTagValuesRequest` in
/// `pkg/api/search_tags.go`, `prepareRequestForQueriers` in `modules/frontend`).
fn tags(text: &str, features: Features) -> Result<Vec<String>, Rejection> {
    let tag = parse_tag(text)
        .map_err(|error| Rejection::parameter("tag", format!("is refused: {}", error.message)))?;
    let canonical = tag.canonical();
    match tag {
        Tag::Attribute { scope, name } => {
            if !name.bytes().all(|b| is_hint_byte(b) || matches!(b, b':' | b'@')) {
                return Err(Rejection::parameter("tag", "has a name that cannot be asked for safely"));
            }
            // Tempo narrows no values of a tag without a scope (`categorizeConditions` in
            // `tempodb/encoding/vparquet4/block_traceql.go`), so each scope is asked for by itself.
            Ok(match scope {
                AttributeScope::Any => vec![format!("resource.{name}"), format!("span.{name}")],
                _ => vec![canonical],
            })
        }
        // In the caller's own spelling: Tempo lists durations of traces under one of its two only.
        Tag::Intrinsic(intrinsic) => Ok(match intrinsic {
            Intrinsic::Name
            | Intrinsic::Status
            | Intrinsic::StatusMessage
            | Intrinsic::Kind
            | Intrinsic::EventName
            | Intrinsic::InstrumentationName
            | Intrinsic::InstrumentationVersion => vec![text.to_owned()],
            // The root can be another tenant's, and the scope finds only that its trace has a span of
            // the caller's.
            Intrinsic::RootName | Intrinsic::RootService | Intrinsic::TraceDuration
                if features.has(Feature::TracesNeverMixTenants) =>
            {
                vec![text.to_owned()]
            }
            // Facts of whole traces, or what Tempo lists no values of: ids, times, places in a trace.
            Intrinsic::RootName
            | Intrinsic::RootService
            | Intrinsic::TraceDuration
            | Intrinsic::TraceId
            | Intrinsic::SpanId
            | Intrinsic::ParentId
            | Intrinsic::LinkTraceId
            | Intrinsic::LinkSpanId
            | Intrinsic::Duration
            | Intrinsic::EventTimeSinceStart
            | Intrinsic::ChildCount
            | Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent => Vec::new(),
        }),
    }
}

/// What Tempo 2.9 takes for a name where it finds the conditions of a hint by a pattern
/// (`matchersRegexp` in `pkg/traceql/extractmatcher.go`), less letters beyond ASCII.
fn is_hint_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// The marks, with where the caller's own query names them.
fn named_marks(
    entry: Entry,
    backend: &Backend,
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<Vec<Mark>, Rejection> {
    let mut marks = marks(matchers)?;
    let query = asked.parameters.scalar("q").unwrap_or("");
    // `compare` reads every attribute of a span, and shows it. The word in a literal does no harm.
    let compares = entry == Entry::Metrics && query.contains("compare");
    // Most queries name no key: they need no second reading. A backslash can hide one.
    let may_name = |mark: &Mark| query.contains(mark.key()) || query.contains('\\');
    let tree = if marks.iter().any(may_name) {
        let tree = parse(query, entry, backend.features, &limits.query);
        Some(tree.map_err(|error| Rejection::query(Language::TraceQl, error, query))?)
    } else {
        None
    };
    for mark in &mut marks {
        mark.named.on_resource = compares;
        for attribute in tree.iter().flat_map(|tree| tree.attributes()) {
            let Attribute::Named { scope, name } = attribute else { continue };
            if name == mark.key() {
                mark.named.on_resource |= matches!(scope, AttributeScope::Resource | AttributeScope::Any);
                mark.named.elsewhere |= !matches!(scope, AttributeScope::Resource);
            }
        }
    }
    Ok(marks)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
