//! The proof that a scoped text says what the caller's said, with the scope at every selector.

use super::demand::{Demands, Planned};
use super::parse::{Entry, read};
use super::scan;
use super::tree::{MatchOperator, Matcher, Tree};
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
    demands: &Demands<'_>,
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
        let (own, mut found) = (before.matchers(old), after.matchers(new).iter());
        let scoped = demands.inserted(planned).iter().all(|said| found.next().is_some_and(|m| said.is(m)));
        let in_absent = old.absent != matches!(planned, Planned::Plain);
        if !scoped || !in_absent || found.as_slice() != own || !keeps(own, planned, demands) {
            return Err(QueryError::defect("a selector lacks the scope, or its own matchers"));
        }
    }
    if scan::scoped_selectors(&emitted.text, demands) != Some(plan.len()) {
        return Err(QueryError::defect("the scanner finds a selector without the scope"));
    }
    Ok(())
}

/// Whether the caller's `own` matchers carry each dimension that `planned` leaves to them.
fn keeps(own: &[Matcher<'_>], planned: &Planned, demands: &Demands<'_>) -> bool {
    let Planned::Absent { kept } = planned else { return true };
    kept.iter().all(|label| {
        let values =
            demands.dimensions().find(|(demand, _)| *demand.label == **label).map(|(_, values)| values);
        let granted = |value: &[u8]| {
            values.is_some_and(|values| std::str::from_utf8(value).is_ok_and(|value| values.contains(value)))
        };
        own.iter().any(|m| *m.label == **label && m.operator == MatchOperator::Equal && granted(&m.value))
    })
}

#[cfg(test)]
mod tests;
