//! Tempo's calls: what is asked where an answer must be cut as well.

mod legacy;
mod tags;

use super::call::{Argument, Draft, Sending};
use super::reply::{Cut, Envelope, Mark, Window};
use super::text::{scope_alone, scope_text};
use super::{Accept, Asked, Asking, Backend, Drafting};
use crate::api::{Filter, Form, Text, path};
use crate::lang::traceql::tree::{Attribute, AttributeScope};
use crate::lang::traceql::{Entry, parse};
use crate::lang::{Feature, Language};
use crate::limits::Limits;
use crate::rejection::{Forbidden, Rejection};
use crate::tenant::ScopeMatchers;

/// The calls for an endpoint with a filter, and the cut of their answers.
///
/// # Errors
/// As [`super::scope`].
pub(super) fn asking(filter: Filter, of: Drafting<'_>) -> Result<Asking, Rejection> {
    let Drafting { backend, asked, matchers, limits, .. } = of;
    let accept = asked.accept;
    let (draft, cut) = match filter {
        Filter::TagNames | Filter::TagNamesV1 => return tags::names(filter, of),
        Filter::TagValues | Filter::TagValuesV1 => return tags::values(filter, of),
        _ if matchers.is_unrestricted() => return everything(filter, of),
        Filter::Trace | Filter::TraceV2 => {
            let envelope = if filter == Filter::Trace { Envelope::Trace } else { Envelope::Response };
            // For whom others' spans are left as well, the door decides: it has the grant.
            (trace(asked)?, Cut::Trace { envelope, marks: marks(matchers)?, accept, redacts: false })
        }
        Filter::Search => {
            let query = legacy::query(&asked.parameters, backend.features)?;
            let marks = named_marks(Entry::Query, backend, &query.text, matchers, limits)?;
            let mixed = !backend.features.has(Feature::TracesNeverMixTenants);
            let shared = mixed.then(|| window(asked));
            let mut draft = search(&query.text, of)?;
            if let Some(window) = shared {
                ask_more(&mut draft, &window);
            }
            (draft, Cut::Search { marks, shared, spans: !query.legacy })
        }
        Filter::Metrics => {
            let query = asked.parameters.scalar("q").unwrap_or("");
            let marks = named_marks(Entry::Metrics, backend, query, matchers, limits)?;
            (super::draft(of)?, Cut::Metrics { marks })
        }
        _ => return Err(Rejection::Defect("no endpoint of Tempo".into())),
    };
    Ok(Asking::Calls(vec![draft], cut))
}

/// What a caller of a break-glass rule asks is asked, and its answer is not cut.
fn everything(filter: Filter, of: Drafting<'_>) -> Result<Asking, Rejection> {
    let Drafting { backend, asked, .. } = of;
    let (draft, accept) = match filter {
        Filter::Trace | Filter::TraceV2 => (Draft { accept: asked.accept, ..trace(asked)? }, asked.accept),
        Filter::Search => {
            let query = legacy::query(&asked.parameters, backend.features)?;
            (search(&query.text, of)?, Accept::Json)
        }
        Filter::Metrics => (super::draft(of)?, Accept::Json),
        _ => return Err(Rejection::Defect("no endpoint of Tempo".into())),
    };
    Ok(Asking::Calls(vec![draft], Cut::Whole { accept }))
}

/// A search for `query`, which is empty where nothing is asked for by name.
fn search(query: &str, of: Drafting<'_>) -> Result<Draft, Rejection> {
    let Drafting { backend, asked, matchers, limits, memory } = of;
    let text = Text::TraceQl(Entry::Query);
    let scoped = match query {
        "" if matchers.is_unrestricted() => None,
        "" => Some(scope_alone(text, matchers, limits)?),
        query => Some(scope_text(text, query, backend, matchers, limits, memory)?),
    };
    let mut arguments: Vec<Argument> = scoped.map(|text| Argument::Scoped("q", text)).into_iter().collect();
    arguments.extend(plain_arguments(asked));
    let path = asked.matched.endpoint.path.to_owned();
    Ok(Draft { path, arguments, accept: Accept::Json, sending: Sending::AsRow })
}

/// What a search over shared traces asks for.
fn window(asked: &Asked) -> Window {
    let given = |name: &'static str| asked.parameters.scalar(name).filter(|value| !value.is_empty());
    Window::new(given("start"), given("end"), given("limit"), given("spss"))
}

/// Asks for as many traces and spans as are needed to decide again which are shown.
fn ask_more(draft: &mut Draft, window: &Window) {
    for (name, number) in [("limit", window.traces_asked()), ("spss", window.spans_asked())] {
        if let Some(number) = number {
            draft.arguments.retain(|argument| !matches!(argument, Argument::Plain(own, _) if *own == name));
            draft.arguments.push(Argument::Plain(name, number.to_string()));
        }
    }
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

/// The marks, with where the caller's own query names them.
fn named_marks(
    entry: Entry,
    backend: &Backend,
    query: &str,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<Vec<Mark>, Rejection> {
    let mut marks = marks(matchers)?;
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
