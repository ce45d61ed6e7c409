//! Ranges of log lines, and what is computed over them.

use super::filter::{label_filter, unit};
use super::pipeline::{log_query, pipeline};
use super::{At, Output, identifier, index, names};
use crate::lang::QueryError;
use crate::lang::logql::lex::Kind;
use crate::lang::logql::number;
use crate::lang::logql::tree::{
    Conversion, Expr, ExprId, Grouping, LogQuery, LogRange, RangeFunction, Slice, Unwrap,
};
use crate::span::Span;

/// `rate({…}[5m])`, `quantile_over_time(0.99, {…} | unwrap x [5m]) by (a)`
pub(super) fn range_aggregation(
    at: &mut At<'_>,
    out: &mut Output<'_>,
    function: RangeFunction,
) -> Result<ExprId, QueryError> {
    let name = at.here();
    at.bump();
    at.expect(Kind::OpenParenthesis, "`(`")?;
    let mut parameter = None;
    if at.peek() == Some(Kind::Number) {
        parameter = Some(unit(at, out, number::literal)?);
        at.expect(Kind::Comma, "`,`")?;
    }
    let range = log_range(at, out, function == RangeFunction::Absent)?;
    at.expect(Kind::CloseParenthesis, "`)`")?;
    let grouping = grouping(at, out)?;
    let wrong = wrong_range(function, parameter.is_some(), range.unwrap.is_some(), grouping.is_some());
    if let Some(problem) = wrong {
        return Err(refused(name, out, problem));
    }
    Ok(out.expr(Expr::RangeAggregation { function, parameter, range, grouping }))
}

/// What Loki's `newRangeAggregationExpr` and its `validate` refuse.
fn wrong_range(
    function: RangeFunction,
    parameter: bool,
    unwrap: bool,
    grouping: bool,
) -> Option<&'static str> {
    use RangeFunction as F;
    let quantile = function == F::Quantile;
    let groups = matches!(
        function,
        F::Avg | F::Stddev | F::Stdvar | F::Quantile | F::Max | F::Min | F::First | F::Last
    );
    let counts = matches!(function, F::Bytes | F::BytesRate | F::Count);
    let either = matches!(function, F::Rate | F::Absent);
    match () {
        () if parameter && !quantile => Some("takes no parameter"),
        () if quantile && !parameter => Some("needs a parameter"),
        () if grouping && !groups => Some("takes no grouping"),
        () if unwrap && counts => Some("takes no unwrap"),
        () if !unwrap && !counts && !either => Some("needs an unwrap"),
        () => None,
    }
}

/// The refusal of the function whose name is at `name`.
pub(super) fn refused(name: Span, out: &Output<'_>, problem: &str) -> QueryError {
    QueryError::syntax(name, format!("`{}` {problem}", name.of(out.text)))
}

/// `by (…)`, `without (…)`, or nothing.
pub(super) fn grouping(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Option<Grouping>, QueryError> {
    let without = match at.peek() {
        Some(Kind::By) => false,
        Some(Kind::Without) => true,
        _ => return Ok(None),
    };
    at.bump();
    Ok(Some(Grouping { without, labels: names(at, out)? }))
}

/// A log range in any of the 26 shapes of `logRangeExpr`.
pub(super) fn log_range<'a>(
    at: &mut At<'_>,
    out: &mut Output<'a>,
    absent: bool,
) -> Result<LogRange<'a>, QueryError> {
    if at.eat(Kind::OpenParenthesis).is_some() {
        return at.deeper(|at| parenthesised(at, out, absent));
    }
    let body = body(at, out, absent)?;
    ranged(at, out, body, true)
}

/// After `(`: a whole range and `)`; or a log query, `)` and its range.
fn parenthesised<'a>(
    at: &mut At<'_>,
    out: &mut Output<'a>,
    absent: bool,
) -> Result<LogRange<'a>, QueryError> {
    if at.eat(Kind::OpenParenthesis).is_some() {
        let range = at.deeper(|at| parenthesised(at, out, absent))?;
        at.expect(Kind::CloseParenthesis, "`)`")?;
        return Ok(range);
    }
    let body = body(at, out, absent)?;
    if at.peek() == Some(Kind::Range) {
        let range = ranged(at, out, body, true)?;
        at.expect(Kind::CloseParenthesis, "`)`")?;
        return Ok(range);
    }
    at.expect(Kind::CloseParenthesis, "`)` or a range such as `[5m]`")?;
    ranged(at, out, body, false)
}

/// What stands before `[…]`.
struct Body<'a> {
    query: LogQuery,
    unwrap: Option<Unwrap<'a>>,
    /// There is a selector alone, so that the rest may follow `[…]`.
    bare: bool,
}

fn body<'a>(at: &mut At<'_>, out: &mut Output<'a>, absent: bool) -> Result<Body<'a>, QueryError> {
    let query = log_query(at, out, absent)?;
    let unwrap = unwrap(at, out)?;
    let bare = query.stages.from == query.stages.to && unwrap.is_none();
    Ok(Body { query, unwrap, bare })
}

/// `[5m] offset 1m`, and after a bare selector the rest of the pipeline: after a parenthesised one, an
/// unwrap only.
fn ranged<'a>(
    at: &mut At<'_>,
    out: &mut Output<'a>,
    mut body: Body<'a>,
    stages: bool,
) -> Result<LogRange<'a>, QueryError> {
    let token = at.expect(Kind::Range, "a range such as `[5m]`")?;
    let inside = out.word(token).strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let interval = inside
        .and_then(number::prometheus_duration)
        .ok_or_else(|| QueryError::syntax(token.span, "not a valid duration"))?;
    let mut offset = 0;
    if at.eat(Kind::Offset).is_some() {
        if at.peek() != Some(Kind::Duration) {
            return Err(at.unexpected("a duration"));
        }
        offset = unit(at, out, number::duration)?;
    }
    if body.bare {
        if stages {
            body.query.stages = pipeline(at, out)?;
        }
        body.unwrap = unwrap(at, out)?;
    }
    Ok(LogRange { query: body.query, interval, offset, unwrap: body.unwrap })
}

/// `| unwrap bytes(x) | a="b"`, or nothing.
fn unwrap<'a>(at: &mut At<'_>, out: &mut Output<'a>) -> Result<Option<Unwrap<'a>>, QueryError> {
    if at.peek() != Some(Kind::Pipe) || at.peek_at(1) != Some(Kind::Unwrap) {
        return Ok(None);
    }
    at.bump();
    at.bump();
    let conversion = conversion(at);
    let label = if conversion.is_some() {
        at.expect(Kind::OpenParenthesis, "`(`")?;
        let label = identifier(at, out, "a label")?;
        at.expect(Kind::CloseParenthesis, "`)`")?;
        label
    } else {
        identifier(at, out, "a label or a conversion")?
    };
    let from = index(out.tree.filter_ids.len());
    while at.eat(Kind::Pipe).is_some() {
        let filter = label_filter(at, out)?;
        out.tree.filter_ids.push(filter);
    }
    let filters = Slice { from, to: index(out.tree.filter_ids.len()) };
    Ok(Some(Unwrap { label, conversion, filters }))
}

fn conversion(at: &mut At<'_>) -> Option<Conversion> {
    let Some(Kind::Conversion(conversion)) = at.peek() else { return None };
    at.bump();
    Some(conversion)
}
