//! Stream selectors.

use super::{At, Output, identifier, index, pattern, string};
use crate::lang::QueryError;
use crate::lang::core::nullable::matches_empty;
use crate::lang::logql::lex::Kind;
use crate::lang::logql::tree::{Expr, ExprId, LogQuery, MatchOperator, Matcher, Selector, SelectorId, Slice};
use crate::span::Position;

/// Loki's own words (`errAtleastOneEqualityMatcherRequired` in `parser.go`).
const EMPTY: &str = "queries require at least one regexp or equality matcher that does not have an \
    empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";

/// A selector as the whole text, in parentheses or not.
pub(super) fn alone(at: &mut At<'_>, out: &mut Output<'_>) -> Result<ExprId, QueryError> {
    if at.eat(Kind::OpenParenthesis).is_some() {
        let selector = at.deeper(|at| alone(at, out))?;
        at.expect(Kind::CloseParenthesis, "`)`")?;
        return Ok(selector);
    }
    let selector = selector(at, out, false)?;
    Ok(out.expr(Expr::Log(LogQuery { selector, stages: Slice::default() })))
}

/// `{a="b", c=~"d"}`. At least one matcher must not match the empty string (`validateMatchers`).
pub(super) fn selector(
    at: &mut At<'_>,
    out: &mut Output<'_>,
    absent: bool,
) -> Result<SelectorId, QueryError> {
    let opening = at.index();
    let open = at.expect(Kind::OpenBrace, "a stream selector `{…}`")?;
    if out.tree.selectors.len() >= out.selectors {
        return Err(QueryError::limit(
            "selectors (`limits.query.selectors`)",
            out.selectors,
            Some(open.span),
        ));
    }
    let from = index(out.tree.matchers.len());
    let mut narrows = false;
    if at.peek() != Some(Kind::CloseBrace) {
        loop {
            let matcher = matcher(at, out)?;
            narrows |= !accepts_empty(&matcher);
            out.tree.matchers.push(matcher);
            if at.eat(Kind::Comma).is_none() {
                break;
            }
        }
    }
    let close = at.expect(Kind::CloseBrace, "`,` or `}`")?;
    let span = open.span.join(close.span);
    if !narrows && out.in_variants {
        // Loki looks at the selector after `of` only.
        return Err(QueryError::unsupported(
            span,
            "in a variant, too, a matcher is needed that does not match the empty string",
        ));
    }
    if !narrows {
        return Err(QueryError::syntax(span, EMPTY));
    }
    let id = SelectorId(index(out.tree.selectors.len()));
    let matchers = Slice { from, to: index(out.tree.matchers.len()) };
    out.tree.selectors.push(Selector { matchers, absent, at: Position(span) });
    out.openings.push(opening);
    Ok(id)
}

/// Whether `matcher` matches a label that is not there.
fn accepts_empty(matcher: &Matcher<'_>) -> bool {
    match matcher.operator {
        MatchOperator::Equal => matcher.value.is_empty(),
        MatchOperator::NotEqual => !matcher.value.is_empty(),
        MatchOperator::Match => matches_empty(&matcher.value),
        MatchOperator::NotMatch => !matches_empty(&matcher.value),
    }
}

/// `label="value"`
pub(super) fn matcher<'a>(at: &mut At<'_>, out: &Output<'a>) -> Result<Matcher<'a>, QueryError> {
    let label = identifier(at, out, "a label")?;
    let Some(operator) = at.peek().and_then(match_operator) else {
        return Err(at.unexpected("`=`, `!=`, `=~` or `!~`"));
    };
    at.bump();
    let value = match operator {
        MatchOperator::Equal | MatchOperator::NotEqual => string(at, out)?,
        MatchOperator::Match | MatchOperator::NotMatch => pattern(at, out)?,
    };
    Ok(Matcher { label, operator, value })
}

/// The operator of a matcher.
pub(super) fn match_operator(kind: Kind) -> Option<MatchOperator> {
    Some(match kind {
        Kind::Equal => MatchOperator::Equal,
        Kind::NotEqual => MatchOperator::NotEqual,
        Kind::Match => MatchOperator::Match,
        Kind::NotMatch => MatchOperator::NotMatch,
        _ => return None,
    })
}
