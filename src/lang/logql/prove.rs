//! The proof that a scoped text says what the caller's said, with the scope at every selector.

use super::demand::{NOTHING, Planned, SALT};
use super::parse::{Entry, read};
use super::scan;
use super::tree::{MatchOperator, Matcher, Tree};
use crate::lang::core::emit::Emitted;
use crate::lang::core::is_pattern;
use crate::lang::{Features, QueryError};
use crate::limits::QueryLimits;
use crate::tenant::{Salt, ScopeMatcher, ScopeMatchers};

/// Reads what was written afresh and requires `before` with `scope` and its salt as `plan` says; then has the
/// separate scanner find every selector in it.
///
/// # Errors
/// `defect` naming the step.
pub(super) fn prove(
    before: &Tree<'_>,
    plan: &[Planned],
    scope: &ScopeMatchers,
    emitted: &Emitted,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<(), QueryError> {
    // The caller's own text was under the caps on tokens; insertions are counted in bytes.
    let limits = QueryLimits { bytes: limits.scoped_logql_bytes, tokens: usize::MAX, ..limits.clone() };
    let after = read(&emitted.text, entry, features, &limits)
        .map_err(|e| QueryError::defect(format!("the scoped text is not read: {}", e.kind)))?
        .tree;
    if !before.differs_in_matchers_only(&after) {
        return Err(QueryError::defect("the scoped text says something else"));
    }
    if plan.len() != after.selectors().len() || before.selectors().len() != plan.len() {
        return Err(QueryError::defect("the number of selectors differs"));
    }
    let salt = scope.salt();
    for ((old, new), planned) in before.selectors().iter().zip(after.selectors()).zip(plan) {
        let (own, found) = (before.matchers(old), after.matchers(new));
        let rest = after_scope(found, scope, planned).and_then(|rest| after_salt(rest, salt.as_ref()));
        let in_absent = old.absent != matches!(planned, Planned::Plain);
        if rest != Some(own) || !in_absent || !keeps(own, planned, scope) {
            return Err(QueryError::defect("a selector lacks the scope, or its own matchers"));
        }
    }
    if scan::scoped_selectors(&emitted.text, scope) != Some(plan.len()) {
        return Err(QueryError::defect("the scanner finds a selector without the scope"));
    }
    Ok(())
}

/// What follows the matchers of `scope` that `planned` wants first in `found`, or the two that contradict each other.
fn after_scope<'m, 'a>(
    found: &'m [Matcher<'a>],
    scope: &ScopeMatchers,
    planned: &Planned,
) -> Option<&'m [Matcher<'a>]> {
    let mut rest = found;
    let kept = match planned {
        Planned::Nothing => {
            let [some, none, rest @ ..] = found else { return None };
            let is = |m: &Matcher<'_>, operator| {
                m.label == NOTHING && m.operator == operator && *m.value == *b".+"
            };
            return (is(some, MatchOperator::Match) && is(none, MatchOperator::NotMatch)).then_some(rest);
        }
        Planned::Absent { kept } => kept.as_slice(),
        Planned::Plain => &[],
    };
    for matcher in scope.iter().filter(|matcher| kept.iter().all(|label| **label != *matcher.label)) {
        let (first, others) = rest.split_first()?;
        let single = matcher.values.single().filter(|_| matches!(planned, Planned::Plain));
        let says = match single {
            Some(value) => {
                first.operator == MatchOperator::Equal && *first.value == *value.as_str().as_bytes()
            }
            None => first.operator == MatchOperator::Match && is_pattern(&first.value, &matcher.values),
        };
        rest = (says && *first.label == *matcher.label).then_some(others)?;
    }
    Some(rest)
}

/// What follows the salt, if there is one.
fn after_salt<'m, 'a>(found: &'m [Matcher<'a>], salt: Option<&Salt>) -> Option<&'m [Matcher<'a>]> {
    let Some(salt) = salt else { return Some(found) };
    let (first, rest) = found.split_first()?;
    let is = first.label == SALT && first.operator == MatchOperator::NotEqual;
    (is && *first.value == *salt.as_str().as_bytes()).then_some(rest)
}

/// Whether the caller's `own` matchers carry each dimension that `planned` leaves to them.
fn keeps(own: &[Matcher<'_>], planned: &Planned, scope: &ScopeMatchers) -> bool {
    let Planned::Absent { kept } = planned else { return true };
    let says = |m: &Matcher<'_>, matcher: &ScopeMatcher| {
        *m.label == *matcher.label
            && m.operator == MatchOperator::Equal
            && std::str::from_utf8(&m.value).is_ok_and(|value| matcher.values.contains(value))
    };
    kept.iter().all(|label| {
        let mut named = scope.iter().filter(|matcher| *matcher.label == **label);
        named.any(|matcher| own.iter().any(|m| says(m, matcher)))
    })
}

#[cfg(test)]
mod tests;
