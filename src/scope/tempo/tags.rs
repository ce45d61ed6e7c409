//! Names and values of tags: what is asked.
//!
//! Both take `q` as a hint ([`mod@crate::lang::traceql::hint`]), and Tempo's older twins of both take none: those
//! are made from the newer ones.

use super::{Mark, marks, plain_arguments};
use crate::api::{Filter, Methods, Rpc, Static, json_answer};
use crate::lang::traceql::intrinsic::Intrinsic;
use crate::lang::traceql::tree::AttributeScope;
use crate::lang::traceql::{Others, Tag, hint, parse_tag};
use crate::lang::{Feature, Features, Language};
use crate::limits::Limits;
use crate::rejection::{Forbidden, Rejection};
use crate::scope::call::{Argument, Draft, Sending};
use crate::scope::reply::{Confirm, Cut, Sought, TagScope, Unlisted};
use crate::scope::{Accept, Asked, Asking, Backend, Drafting};
use crate::tenant::{Salt, ScopeMatchers};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;

/// No values, as Tempo says it; in its older shape as well.
pub(super) const NO_VALUES: Static = json_answer(r#"{"tagValues":[],"metrics":{}}"#);
/// What Tempo's older endpoint says of every span's status (`GetVirtualTagValues` in `pkg/search/util.go`).
const STATUS_CODES: Static = json_answer(r#"{"tagValues":["unset","ok","error"],"metrics":{}}"#);

const NAMES: &str = "/api/v2/search/tags";
const VALUES: &str = "/api/v2/search/tag/{tag}/values";

/// Every byte but the unreserved of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The names of tags.
///
/// A cache of Tempo's keeps them by the scope that is named, and not by what narrows them
/// (`tagsSearchRequest.hash` in `modules/frontend/tag_sharder.go`). It keeps answers of blocks in the store
/// only, and those are asked only where a request has `start` and `end` (`backendRequests` there). So these
/// are sent only where the operator says that there is no such cache; else the names are those of recent data.
///
/// # Errors
/// As [`super::asking`].
pub(super) fn names(filter: Filter, of: Drafting<'_>) -> Result<Asking, Rejection> {
    let Drafting { backend, asked, matchers, limits, .. } = of;
    open_to_hints(backend, matchers)?;
    let scope = TagScope::named(asked.parameters.scalar("scope").unwrap_or("")).ok_or_else(|| {
        Rejection::parameter(
            "scope",
            "is none of resource, span, event, link, instrumentation, intrinsic, none",
        )
    })?;
    let mut arguments = plain_arguments(asked);
    if !matchers.is_unrestricted() {
        if !backend.features.has(Feature::NoFrontendSearchCache) {
            arguments.retain(|a| !matches!(a, Argument::Plain("start" | "end", _)));
        }
        // No answer is kept under a hash of this hint, so it needs no salt.
        arguments.push(hinted(asked, matchers, limits, None)?);
    }
    let sending = sending(asked, Rpc::SearchTagsV2);
    let draft = Draft { path: NAMES.into(), arguments, accept: Accept::Json, sending };
    let flat = filter == Filter::TagNamesV1;
    let confirm = match matchers.is_unrestricted() {
        true => None,
        false => {
            let own = marks(matchers)?.iter().map(|mark| mark.key().to_owned()).collect();
            Some(Confirm { own, range: range_of(&draft.arguments) })
        }
    };
    let most = asked.parameters.scalar("limit").and_then(|text| text.parse().ok());
    let most = most.filter(|most| *most > 0).unwrap_or(usize::MAX);
    Ok(Asking::Calls(vec![draft], Cut::TagNames { scope, confirm, flat, most }))
}

/// The range that is asked for, if one is: names are confirmed within it.
fn range_of(arguments: &[Argument]) -> Vec<(&'static str, String)> {
    let range = |argument: &Argument| match argument {
        Argument::Plain(name @ ("start" | "end"), value) => Some((*name, value.clone())),
        _ => None,
    };
    arguments.iter().filter_map(range).collect()
}

/// The values of a tag.
///
/// # Errors
/// As [`super::asking`].
pub(super) fn values(filter: Filter, of: Drafting<'_>) -> Result<Asking, Rejection> {
    let Drafting { backend, asked, matchers, limits, .. } = of;
    open_to_hints(backend, matchers)?;
    let flat = filter == Filter::TagValuesV1;
    let text = asked.variable();
    let tags = match flat {
        true if text == "status.code" => return Ok(Asking::Answer(STATUS_CODES)),
        true => tags_v1(text, backend.features)?,
        false => tags(text, backend.features)?,
    };
    if tags.is_empty() {
        return Ok(Asking::Answer(NO_VALUES));
    }
    let marks = marks(matchers)?;
    let mut drafts = Vec::with_capacity(tags.len());
    let mut sought = Vec::with_capacity(tags.len());
    for tag in tags {
        let mut arguments = plain_arguments(asked);
        if !matchers.is_unrestricted() {
            let salt = matchers.salt();
            arguments.push(hinted(asked, matchers, limits, salt.as_ref().map(Salt::as_str))?);
        }
        let path = VALUES.replace("{tag}", &utf8_percent_encode(&tag, ENCODED).to_string());
        let kept = marks.iter().find(|mark| mark.label() == tag).map(|mark| mark.values().clone());
        sought.push(Sought { kept, unlisted: unlisted(&tag, &marks, of)? });
        let sending = sending(asked, Rpc::SearchTagValuesV2);
        if let Sending::Rpc(_) = sending {
            arguments.push(Argument::Plain("tag", tag));
        }
        drafts.push(Draft { path, arguments, accept: Accept::Json, sending });
    }
    let cut = if flat { Cut::FlatTagValues(sought) } else { Cut::TagValues(sought) };
    Ok(Asking::Calls(drafts, cut))
}

/// What Tempo's list of the values of `tag` may leave out, if it may leave out any.
fn unlisted(tag: &str, marks: &[Mark], of: Drafting<'_>) -> Result<Option<Unlisted>, Rejection> {
    let Drafting { asked, matchers, limits, .. } = of;
    let defect = |error| Rejection::query(Language::TraceQl, error, "");
    let read = parse_tag(tag).map_err(defect)?;
    let given = |name: &'static str| Some((name, asked.parameters.scalar(name)?.to_owned()));
    let range: Vec<_> = ["start", "end"].into_iter().filter_map(given).collect();
    let exact = !range.is_empty() && tells_all(&read, marks);
    if matchers.is_unrestricted() || (lists_all(&read, marks) && !exact) {
        return Ok(None);
    }
    let query = asked.parameters.scalar("q").unwrap_or("");
    let others = Others::new(&read, query, &limits.query, matchers).map_err(defect)?;
    let others = others.by_type(may_be_column(&read));
    let most = asked.parameters.scalar("limit").and_then(|text| text.parse().ok());
    Ok(Some(Unlisted { others, range, most: most.filter(|most| *most > 0), exact }))
}

/// Whether searches show every value of `tag`. Of events, links and instrumentation they show the first that is
/// asked for, and by the key alone of one that the scope names.
fn tells_all(tag: &Tag, marks: &[Mark]) -> bool {
    match tag {
        Tag::Attribute { scope, name } => {
            matches!(scope, AttributeScope::Resource | AttributeScope::Span)
                && marks.iter().all(|mark| mark.key() != name)
        }
        Tag::Intrinsic(intrinsic) => matches!(intrinsic, Intrinsic::Name | Intrinsic::StatusMessage),
    }
}

/// Whether Tempo may have a column of its own for the tag.
fn may_be_column(tag: &Tag) -> bool {
    match tag {
        Tag::Attribute { scope: AttributeScope::Resource, name } => TagScope::Resource.may_be_column(name),
        Tag::Attribute { scope: AttributeScope::Span, name } => TagScope::Span.may_be_column(name),
        Tag::Attribute { .. } | Tag::Intrinsic(_) => false,
    }
}

/// Whether Tempo lists every value of `tag` that a hint finds, or whether no search could tell what is missing.
fn lists_all(tag: &Tag, marks: &[Mark]) -> bool {
    match tag {
        // What is compared with the scope, or on every resource, is listed once its resource is found
        // (`createDistinctResourceIterator` in `tempodb/encoding/vparquet4/block_autocomplete.go`). A search shows an
        // attribute by its key alone, and the scope's is always there.
        Tag::Attribute { scope, name } => {
            (*scope == AttributeScope::Resource && name == "service.name")
                || marks.iter().any(|mark| mark.key() == name)
        }
        // Of `status` and `kind` Tempo lists all that there can be (`GetVirtualTagValuesV2` in
        // `pkg/search/util.go`), and those of whole traces once a trace is found.
        Tag::Intrinsic(intrinsic) => !matches!(
            intrinsic,
            Intrinsic::Name
                | Intrinsic::StatusMessage
                | Intrinsic::EventName
                | Intrinsic::InstrumentationName
                | Intrinsic::InstrumentationVersion
        ),
    }
}

/// How the newer of two is asked: by gRPC, who calls by gRPC.
fn sending(asked: &Asked, newer: Rpc) -> Sending {
    match asked.matched.endpoint.methods {
        Methods::Grpc(_) => Sending::Rpc(newer),
        Methods::Get | Methods::GetPost | Methods::PostJson | Methods::PostSnappy | Methods::Delete => {
            Sending::AsRow
        }
    }
}

/// Whether a hint can say the scope here for sure.
fn open_to_hints(backend: &Backend, matchers: &ScopeMatchers) -> Result<(), Rejection> {
    if !backend.narrows_tag_values {
        return Err(Rejection::UnknownEndpoint);
    }
    let plain = |mark: &Mark| mark.key().bytes().all(is_hint_byte);
    if marks(matchers)?.iter().all(plain) {
        Ok(())
    } else {
        Err(Rejection::Forbidden(Forbidden::ClosedBackend))
    }
}

/// The hint: the scope, with what of the caller's own is kept.
fn hinted(
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
    salt: Option<&str>,
) -> Result<Argument, Rejection> {
    let query = asked.parameters.scalar("q").unwrap_or("");
    let text = hint(query, &limits.query, matchers, salt);
    // Whatever is wrong is not the caller's text, which was dropped where it was.
    text.map(|text| Argument::Scoped("q", Arc::new(text)))
        .map_err(|error| Rejection::query(Language::TraceQl, error, ""))
}

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

/// The same for a tag as the older endpoint names it: without a scope, and some by other names
/// (`translateTagToAttribute` in `tempodb/encoding/vparquet4/block_search_tags.go`).
fn tags_v1(text: &str, features: Features) -> Result<Vec<String>, Rejection> {
    let scoped = match text {
        "name" => "name".to_owned(),
        "rootName" | "root.name" => "rootName".to_owned(),
        "rootServiceName" | "root.service.name" => "rootServiceName".to_owned(),
        "trace:id" | "span:id" => return Ok(Vec::new()),
        column => match TagScope::of_column(column, features) {
            Some(scope) => format!("{scope}.{column}"),
            None => format!(".{column}"),
        },
    };
    tags(&scoped, features)
}

/// What Tempo 2.9 takes for a name where it finds the conditions of a hint by a pattern
/// (`matchersRegexp` in `pkg/traceql/extractmatcher.go`), less letters beyond ASCII.
fn is_hint_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}
