//! The proof by reading again: the scoped text says what the caller's said, and the scope at every
//! selector.

use super::Entry;
use super::parse::{self, Read};
use super::scope::{Carried, push_pattern};
use crate::lang::matcher::{MatchOp, Matcher};
use crate::lang::{Features, QueryError};
use crate::limits::QueryLimits;
use crate::tenant::{ScopeMatcher, ScopeMatchers};

/// Reads `scoped` and requires the tree of `read`, with the matchers of `scope` in front of each
/// selector's own; those that `carried` leaves to the caller must be there.
///
/// # Errors
/// `defect` naming what does not hold.
pub(super) fn prove(
    read: &Read<'_>,
    carried: &[Carried],
    scoped: &str,
    (entry, features): (Entry, Features),
    limits: &QueryLimits,
    scope: &ScopeMatchers,
) -> Result<(), QueryError> {
    let limits = QueryLimits { bytes: limits.scoped_promql_bytes, tokens: usize::MAX, ..limits.clone() };
    let again = parse::read(scoped, entry, features, &limits)
        .and_then(|again| parse::check_selectors(&again.tree).map(|()| again.tree))
        .map_err(|error| QueryError::defect(format!("proof: the scoped text is refused: {error}")))?;
    let before = &read.tree;
    let same = before.nodes == again.nodes
        && before.arguments == again.arguments
        && before.labels == again.labels
        && before.matchings == again.matchings
        && before.durations == again.durations
        && before.selectors.len() == again.selectors.len()
        && before.selectors.len() == carried.len();
    if !same {
        return Err(QueryError::defect("proof: the scoped text says something else"));
    }
    let expected = Expected::of(scope, carried.iter().any(|carried| carried.absent));
    for ((old, new), carried) in before.selectors.iter().zip(&again.selectors).zip(carried) {
        if old.name != new.name || old.shift != new.shift || old.edges != new.edges {
            return Err(QueryError::defect("proof: a selector changed"));
        }
        if !expected.stand(before.matchers(old), again.matchers(new), carried) {
            return Err(QueryError::defect("proof: a selector lacks the scope"));
        }
    }
    Ok(())
}

/// The matchers that a scope is written as; with their values as patterns where one is needed.
struct Expected<'s> {
    matchers: Vec<(&'s ScopeMatcher, String)>,
}

impl<'s> Expected<'s> {
    fn of(scope: &'s ScopeMatchers, any_absent: bool) -> Self {
        let matchers = scope.iter().map(|matcher| {
            let mut pattern = String::new();
            if any_absent || matcher.values.len() > 1 {
                push_pattern(&mut pattern, matcher);
            }
            (matcher, pattern)
        });
        Self { matchers: matchers.collect() }
    }

    /// Whether `new` is the scope and then `old`.
    fn stand(&self, old: &[Matcher<'_>], new: &[Matcher<'_>], carried: &Carried) -> bool {
        let mut rest = new;
        for (index, (expected, pattern)) in self.matchers.iter().enumerate() {
            if carried.own.contains(&index) {
                if !carried.absent || !old.iter().any(|m| is_own(m, expected)) {
                    return false;
                }
                continue;
            }
            let Some((first, others)) = rest.split_first() else { return false };
            let (op, value) = match expected.values.single().filter(|_| !carried.absent) {
                Some(value) => (MatchOp::Equal, value.as_str()),
                None => (MatchOp::Regex, pattern.as_str()),
            };
            if first.name != *expected.label || first.op != op || *first.value != *value.as_bytes() {
                return false;
            }
            rest = others;
        }
        rest == old
    }
}

/// Whether the caller's matcher carries the scope by itself.
fn is_own(matcher: &Matcher<'_>, expected: &ScopeMatcher) -> bool {
    matcher.name == *expected.label
        && matcher.op == MatchOp::Equal
        && std::str::from_utf8(&matcher.value).is_ok_and(|value| expected.values.contains(value))
}
