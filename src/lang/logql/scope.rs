//! The caller's scope, put into every stream selector.
//!
//! The stream selector is the only place: a label filter of the pipeline can be bypassed by what the
//! pipeline extracts, and nothing but stream selectors reads data (Loki 3.7, `pkg/logql`).

use super::parse::{Entry, Read, can_be_pasted, read};
use super::prove::prove;
use super::tree::{MatchOperator, Matcher, Selector};
use crate::lang::core::emit::{Emitted, Insertion, emit};
use crate::lang::core::quote::{push_pattern, push_quoted};
use crate::lang::{Features, QueryError, ReadText, ScopedText};
use crate::limits::QueryLimits;
use crate::span::Span;
use crate::tenant::{ScopeMatcher, ScopeMatchers};
use std::borrow::Cow;

/// Reads `text` and puts `scope` into each of its stream selectors. A text without one is passed as it
/// is.
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
    let demands: Vec<Demand<'_>> = scope.iter().map(Demand::new).collect();
    if entry == Entry::Pasted && !demands.iter().all(Demand::can_be_pasted) {
        let span = Span::new(0, text.len());
        return Err(QueryError::unsupported(span, "the scope cannot be said here, name a narrower one"));
    }
    let plan: Vec<Planned> = read.tree.selectors().iter().map(|s| planned(&read, s, &demands)).collect();
    let emitted = written(text, &read, &plan, &demands, limits)?;
    prove(&read.tree, &plan, &demands, &emitted, entry, features, limits)?;
    Ok(ScopedText::proven(emitted.text, plan.len(), emitted.insertions))
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
    let demands: Vec<Demand<'_>> = scope.iter().map(Demand::new).collect();
    let inside = joined(demands.iter().map(|d| d.plain.as_str()));
    let span = Span::new(1, 1 + inside.len());
    let emitted = Emitted { text: format!("{{{inside}}}"), insertions: vec![span] };
    if emitted.text.len() > limits.scoped_logql_bytes {
        return Err(over(limits));
    }
    let read = Read::of_empty_selector();
    let plan = [Planned { absent: false, kept: Vec::new() }];
    prove(&read.tree, &plan, &demands, &emitted, Entry::Selector, Features::NONE, limits)?;
    Ok(ScopedText::proven(emitted.text, 1, emitted.insertions))
}

/// One dimension of the scope: what a selector must carry.
pub(super) struct Demand<'s> {
    /// The dimension.
    pub matcher: &'s ScopeMatcher,
    /// Its value as a pattern, escaped for RE2.
    pub pattern: String,
    /// The matcher's text: `tenant="a.b"`, or `tenant=~"a\\.b|c"`.
    pub plain: String,
    /// The matcher's text within `absent_over_time`, which would make a label of an equality.
    pub absent: String,
}

impl<'s> Demand<'s> {
    pub(super) fn new(matcher: &'s ScopeMatcher) -> Self {
        let mut pattern = String::new();
        for value in matcher.values.iter() {
            if !pattern.is_empty() {
                pattern.push('|');
            }
            push_pattern(&mut pattern, value.as_str());
        }
        let absent = said(&matcher.label, "=~", &pattern);
        let plain = match matcher.values.single() {
            Some(value) => said(&matcher.label, "=", value.as_str()),
            None => absent.clone(),
        };
        Self { matcher, pattern, plain, absent }
    }

    /// Whether Loki may write it into a query of its own.
    fn can_be_pasted(&self) -> bool {
        let value = self.matcher.values.single().map_or(self.pattern.as_str(), |value| value.as_str());
        can_be_pasted(&self.matcher.label, value.as_bytes())
    }

    /// Whether `found` is the matcher that stands for this dimension.
    pub(super) fn is(&self, found: &Matcher<'_>, absent: bool) -> bool {
        let (operator, value) = match self.matcher.values.single() {
            Some(value) if !absent => (MatchOperator::Equal, value.as_str()),
            _ => (MatchOperator::Match, self.pattern.as_str()),
        };
        *found.label == *self.matcher.label && found.operator == operator && *found.value == *value.as_bytes()
    }
}

fn said(label: &str, operator: &str, value: &str) -> String {
    let mut text = String::with_capacity(label.len() + operator.len() + value.len() + 2);
    text.push_str(label);
    text.push_str(operator);
    push_quoted(&mut text, value);
    text
}

/// What one selector gets.
pub(super) struct Planned {
    /// It is directly within `absent_over_time`.
    pub absent: bool,
    /// The dimensions, by index, that the caller's own matchers carry already: they are left alone.
    pub kept: Vec<usize>,
}

impl Planned {
    /// The demands that are inserted, in order.
    pub(super) fn inserted<'d, 's>(&self, demands: &'d [Demand<'s>]) -> impl Iterator<Item = &'d Demand<'s>> {
        demands.iter().enumerate().filter(|(index, _)| !self.kept.contains(index)).map(|(_, demand)| demand)
    }
}

fn planned(read: &Read<'_>, selector: &Selector, demands: &[Demand<'_>]) -> Planned {
    let mut kept = Vec::new();
    if selector.absent {
        let own = read.tree.matchers(selector);
        let carried = |d: &Demand<'_>| own.iter().any(|m| carries(m, d));
        kept.extend(demands.iter().enumerate().filter(|(_, d)| carried(d)).map(|(index, _)| index));
    }
    Planned { absent: selector.absent, kept }
}

/// Whether the caller's own matcher names one value of the scope, spelled without escapes so that the
/// separate scanner recognises it, too.
fn carries(own: &Matcher<'_>, demand: &Demand<'_>) -> bool {
    let Cow::Borrowed(value) = own.value else { return false };
    *own.label == *demand.matcher.label
        && own.operator == MatchOperator::Equal
        && std::str::from_utf8(value).is_ok_and(|value| demand.matcher.values.contains(value))
}

/// The tokens of `text` with the insertions, under the cap.
fn written(
    text: &str,
    read: &Read<'_>,
    plan: &[Planned],
    demands: &[Demand<'_>],
    limits: &QueryLimits,
) -> Result<Emitted, QueryError> {
    let usual = inside(demands.iter().map(|d| d.plain.as_str()));
    let mut insertions = Vec::with_capacity(plan.len());
    let mut added = 0;
    for (planned, opening) in plan.iter().zip(&read.openings) {
        let text = if planned.absent {
            Cow::Owned(inside(planned.inserted(demands).map(|d| d.absent.as_str())))
        } else {
            Cow::Borrowed(usual.as_str())
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
fn inside<'t>(matchers: impl Iterator<Item = &'t str>) -> String {
    let mut text = joined(matchers);
    if !text.is_empty() {
        text.push(',');
    }
    text
}

fn joined<'t>(matchers: impl Iterator<Item = &'t str>) -> String {
    let mut text = String::new();
    for matcher in matchers {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(matcher);
    }
    text
}

#[cfg(test)]
mod tests;
