//! Label filters.

use super::pipeline::address;
use super::selector::{match_operator, matcher};
use super::{At, Output, identifier, index};
use crate::lang::QueryError;
use crate::lang::logql::lex::Kind;
use crate::lang::logql::number;
use crate::lang::logql::tree::{Comparison, Filter, FilterId};

/// What stands between two label filters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    Or,
    And,
    /// A comma, or nothing: an `and` that the grammar gives no precedence.
    Beside,
}

impl Joint {
    fn at(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Or => Self::Or,
            Kind::And => Self::And,
            Kind::Comma | Kind::Identifier | Kind::OpenParenthesis => Self::Beside,
            _ => return None,
        })
    }

    /// Whether two filters with `self` between them are joined before `next` takes the right one. `and`
    /// binds tighter than `or`; where one of the two has no precedence, the generator shifts.
    fn joins_before(self, next: Self) -> bool {
        matches!((self, next), (Self::Or, Self::Or) | (Self::And, Self::Or | Self::And))
    }
}

/// `a="b" and (c > 5 or d="e"), f="g"`
pub(super) fn label_filter(at: &mut At<'_>, out: &mut Output<'_>) -> Result<FilterId, QueryError> {
    let mut right = operand(at, out)?;
    // A stack of its own instead of recursion: a chain is not nesting.
    let mut waiting: Vec<(FilterId, Joint)> = Vec::new();
    while let Some(joint) = at.peek().and_then(Joint::at) {
        while let Some((left, before)) = waiting.pop_if(|(_, before)| before.joins_before(joint)) {
            right = joined(out, left, before, right);
        }
        waiting.push((right, joint));
        if !matches!(at.peek(), Some(Kind::Identifier | Kind::OpenParenthesis)) {
            at.bump();
        }
        right = operand(at, out)?;
    }
    while let Some((left, joint)) = waiting.pop() {
        right = joined(out, left, joint, right);
    }
    Ok(right)
}

fn joined(out: &mut Output<'_>, left: FilterId, joint: Joint, right: FilterId) -> FilterId {
    push(out, if joint == Joint::Or { Filter::Or(left, right) } else { Filter::And(left, right) })
}

fn push<'a>(out: &mut Output<'a>, filter: Filter<'a>) -> FilterId {
    out.tree.filters.push(filter);
    FilterId(index(out.tree.filters.len() - 1))
}

fn operand(at: &mut At<'_>, out: &mut Output<'_>) -> Result<FilterId, QueryError> {
    if at.eat(Kind::OpenParenthesis).is_some() {
        let inner = at.deeper(|at| label_filter(at, out))?;
        at.expect(Kind::CloseParenthesis, "`)`")?;
        return Ok(inner);
    }
    let filter = comparing(at, out)?;
    Ok(push(out, filter))
}

/// One comparison.
fn comparing<'a>(at: &mut At<'_>, out: &Output<'a>) -> Result<Filter<'a>, QueryError> {
    let operator = at.peek_at(1);
    let value = at.peek_at(2);
    if value == Some(Kind::String) && operator.and_then(match_operator).is_some() {
        return matcher(at, out).map(Filter::Text);
    }
    let label = identifier(at, out, "a label filter")?;
    let Some(comparison) = operator.and_then(comparison) else {
        return Err(at.unexpected("a comparison with a string, or with a number, duration or size"));
    };
    at.bump();
    match value {
        Some(Kind::Ip) if matches!(operator, Some(Kind::Equal | Kind::NotEqual)) => {
            let negated = comparison == Comparison::NotEqual;
            Ok(Filter::Ip { label, negated, pattern: address(at, out)? })
        }
        Some(Kind::Duration) => {
            let value = unit(at, out, number::duration)?;
            Ok(Filter::Duration { label, comparison, value })
        }
        Some(Kind::Bytes) => {
            let value = unit(at, out, number::bytes)?;
            Ok(Filter::Bytes { label, comparison, value })
        }
        _ => Ok(Filter::Number { label, comparison, value: signed(at, out)? }),
    }
}

/// The operator of a comparison with a number.
pub(super) fn comparison(kind: Kind) -> Option<Comparison> {
    Some(match kind {
        Kind::Equal | Kind::Equality => Comparison::Equal,
        Kind::NotEqual => Comparison::NotEqual,
        Kind::Greater => Comparison::Greater,
        Kind::GreaterOrEqual => Comparison::GreaterOrEqual,
        Kind::Less => Comparison::Less,
        Kind::LessOrEqual => Comparison::LessOrEqual,
        _ => return None,
    })
}

/// Takes a token that is read by `reader`.
pub(super) fn unit<T>(
    at: &mut At<'_>,
    out: &Output<'_>,
    reader: impl FnOnce(&str) -> Option<T>,
) -> Result<T, QueryError> {
    let span = at.here();
    at.bump();
    reader(span.of(out.text)).ok_or_else(|| QueryError::syntax(span, "number is out of range"))
}

/// `5`, `+5`, `-5`
pub(super) fn signed(at: &mut At<'_>, out: &Output<'_>) -> Result<f64, QueryError> {
    let negative = at.eat(Kind::Subtract).is_some();
    if !negative {
        at.eat(Kind::Add);
    }
    if at.peek() != Some(Kind::Number) {
        return Err(at.unexpected("a number"));
    }
    let value = unit(at, out, number::literal)?;
    Ok(if negative { -value } else { value })
}
