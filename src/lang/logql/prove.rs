//! The proof that a scoped text says what the caller's said, with the scope at every selector.

use super::parse::{Entry, read};
use super::scan;
use super::scope::{Demand, Planned};
use super::tree::Tree;
use crate::lang::core::emit::Emitted;
use crate::lang::{Features, QueryError};
use crate::limits::QueryLimits;

/// Reads what was written afresh and requires `before` with exactly the planned insertions; then has the
/// separate scanner find every selector in it.
///
/// # Errors
/// `defect` naming the step.
pub(super) fn prove(
    before: &Tree<'_>,
    plan: &[Planned],
    demands: &[Demand<'_>],
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
    for ((old, new), planned) in before.selectors().iter().zip(after.selectors()).zip(plan) {
        let mut found = after.matchers(new).iter();
        let scoped = planned.inserted(demands).all(|d| found.next().is_some_and(|m| d.is(m, planned.absent)));
        if !scoped || found.as_slice() != before.matchers(old) {
            return Err(QueryError::defect("a selector lacks the scope, or its own matchers"));
        }
    }
    if scan::scoped_selectors(&emitted.text, demands) != Some(plan.len()) {
        return Err(QueryError::defect("the scanner finds a selector without the scope"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
