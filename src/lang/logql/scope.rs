//! The caller's scope, put into every stream selector.
//!
//! The stream selector is the only place: a label filter of the pipeline can be bypassed by what the
//! pipeline extracts, and nothing but stream selectors reads data (Loki 3.7, `pkg/logql`).

use super::demand::{Demands, NOTHING, Planned, SALT, Said};
use super::parse::{Entry, Read, read};
use super::prove::prove;
use super::tree::{MatchOperator, Matcher, Selector};
use crate::lang::core::emit::{Emitted, Insertion, emit};
use crate::lang::{Features, QueryError, ReadText, ScopedText};
use crate::limits::QueryLimits;
use crate::span::Span;
use crate::tenant::ScopeMatchers;
use std::borrow::Cow;

/// Reads `text` and puts `scope`, and its salt if it has one, into each of its stream selectors. A text without one is
/// passed as it is.
///
/// # Errors
/// What [`super::parse()`] refuses; `limit` if the scoped text is over `limits.scoped_logql_bytes`;
/// `defect` if it does not stand its proof.
pub fn scope(
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
    scope: &ScopeMatchers,
) -> Result<ScopedText, QueryError> {
    let read = read(text, entry, features, limits)?;
    let demands = Demands::of(scope);
    if entry == Entry::Pasted && !demands.can_be_pasted() {
        let span = Span::new(0, text.len());
        return Err(QueryError::unsupported(span, "the scope cannot be said here, name a narrower one"));
    }
    let plan = read.tree.selectors().iter().map(|s| planned(&read, s, &demands));
    let plan = plan.collect::<Result<Vec<_>, _>>()?;
    let emitted = written(text, &read, &plan, &demands, limits)?;
    prove(&read.tree, &plan, scope, &emitted, entry, features, limits)?;
    Ok(ScopedText::proven(emitted.text, plan.len(), emitted.insertions, scope))
}

/// Reads `text`, which must be an `entry` as a whole, and writes it again without a scope: for endpoints that
/// read nothing stored. What could not be scoped is refused all the same.
///
/// # Errors
/// As [`scope()`].
pub fn reread(
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<ReadText, QueryError> {
    let before = read(text, entry, features, limits)?;
    let written = emit(text, &before.tokens, &[]).text;
    // Nothing is longer than it was: white space and comments become one space at most.
    let again = read(&written, entry, features, limits).map_err(|error| {
        QueryError::defect(format!("the text is refused once written again: {}", error.kind))
    })?;
    if again.tree != before.tree {
        return Err(QueryError::defect("the text says something else once written again"));
    }
    drop(again);
    Ok(ReadText::read(written))
}

/// The scope as a selector of its own, for requests that have none: `{tenant="acme"}`.
///
/// # Errors
/// `limit` and `defect` as for [`scope()`].
pub fn scope_selector(scope: &ScopeMatchers, limits: &QueryLimits) -> Result<ScopedText, QueryError> {
    let demands = Demands::of(scope);
    let inside = joined(&demands.inserted(&Planned::Plain));
    let span = Span::new(1, 1 + inside.len());
    let emitted = Emitted { text: format!("{{{inside}}}"), insertions: vec![span] };
    if emitted.text.len() > limits.scoped_logql_bytes {
        return Err(over(limits));
    }
    let read = Read::of_empty_selector();
    let plan = [Planned::Plain];
    prove(&read.tree, &plan, scope, &emitted, Entry::Selector, Features::NONE, limits)?;
    Ok(ScopedText::proven(emitted.text, 1, emitted.insertions, scope))
}

/// What `selector` gets.
///
/// `absent_over_time` makes labels of its equality matchers, and leaves out those of which it finds a second matcher
/// (`absentLabels` in `pkg/logql/evaluator.go` of Loki 3.7). So no second one is put beside the caller's own equality.
fn planned(read: &Read<'_>, selector: &Selector, demands: &Demands<'_>) -> Result<Planned, QueryError> {
    if !selector.absent {
        return Ok(Planned::Plain);
    }
    let own = read.tree.matchers(selector);
    let equal = |own: &&Matcher<'_>| own.operator == MatchOperator::Equal;
    if let Some(ours) = own.iter().filter(equal).find(|own| [SALT, NOTHING].contains(&own.label)) {
        let message = format!("`{}` cannot be asked for in `absent_over_time`", ours.label);
        return Err(QueryError::unsupported(selector.at.0, message));
    }
    let mut kept = Vec::new();
    for (demand, values) in demands.dimensions() {
        let equal = own.iter().filter(equal).filter(|own| own.label == demand.label);
        let granted = |value: &[u8]| std::str::from_utf8(value).is_ok_and(|value| values.contains(value));
        if equal.clone().any(|own| !granted(&own.value)) {
            return Ok(Planned::Nothing);
        }
        // Spelled so that the separate scanner recognises it, too.
        if equal.clone().any(|own| matches!(own.value, Cow::Borrowed(_))) {
            kept.push(demand.label.to_owned());
        } else if equal.clone().next().is_some() {
            let message =
                format!("write the value of `{}` without escapes in `absent_over_time`", demand.label);
            return Err(QueryError::unsupported(selector.at.0, message));
        }
    }
    Ok(Planned::Absent { kept })
}

/// The tokens of `text` with the insertions, under the cap.
fn written(
    text: &str,
    read: &Read<'_>,
    plan: &[Planned],
    demands: &Demands<'_>,
    limits: &QueryLimits,
) -> Result<Emitted, QueryError> {
    let usual = inside(&demands.inserted(&Planned::Plain));
    let mut insertions = Vec::with_capacity(plan.len());
    let mut added = 0;
    for (planned, opening) in plan.iter().zip(&read.openings) {
        let text = match planned {
            Planned::Plain => Cow::Borrowed(usual.as_str()),
            planned => Cow::Owned(inside(&demands.inserted(planned))),
        };
        added += text.len();
        if added > limits.scoped_logql_bytes {
            return Err(over(limits));
        }
        if !text.is_empty() {
            insertions.push(Insertion { at: opening + 1, text });
        }
    }
    let emitted = emit(text, &read.tokens, &insertions);
    if emitted.text.len() > limits.scoped_logql_bytes {
        return Err(over(limits));
    }
    Ok(emitted)
}

fn over(limits: &QueryLimits) -> QueryError {
    QueryError::limit(
        "bytes once scoped (`limits.query.scoped_logql_bytes`)",
        limits.scoped_logql_bytes,
        None,
    )
}

/// The matchers for the inside of a selector, each with its comma: the caller's own follow.
fn inside(matchers: &[&Said]) -> String {
    let mut text = joined(matchers);
    if !text.is_empty() {
        text.push(',');
    }
    text
}

fn joined(matchers: &[&Said]) -> String {
    let mut text = String::new();
    for matcher in matchers {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&matcher.text);
    }
    text
}

#[cfg(test)]
mod tests;
