//! Expressions: operators, functions, and what stands between them.

use super::filter::{signed, unit};
use super::pipeline::log_query;
use super::range::{grouping, log_range, range_aggregation, refused};
use super::{At, Output, index, names, pattern, string};
use crate::lang::core::token::shortened;
use crate::lang::logql::lex::Kind;
use crate::lang::logql::number;
use crate::lang::logql::tree::{
    BinaryOperator, Expr, ExprId, Grouping, Matching, Side, Slice, VectorFunction,
};
use crate::lang::{Feature, QueryError};
use crate::span::Span;

/// What an expression yields, as far as Loki's parser asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Log lines.
    Log,
    /// Samples.
    Sample,
    /// A number known to the parser.
    Literal,
}

type Typed = (ExprId, Type);

impl<'a> Output<'a> {
    /// Adds `expr`, whose children were added before.
    pub(super) fn expr(&mut self, expr: Expr<'a>) -> ExprId {
        self.tree.exprs.push(expr);
        ExprId(index(self.tree.exprs.len() - 1))
    }
}

/// An expression as the whole text.
pub(super) fn whole(at: &mut At<'_>, out: &mut Output<'_>) -> Result<ExprId, QueryError> {
    if at.peek() == Some(Kind::Variants) && out.features.has(Feature::Variants) {
        return variants(at, out);
    }
    Ok(expression(at, out)?.0)
}

/// A log query as the whole text, in parentheses or not.
pub(super) fn whole_log_query(at: &mut At<'_>, out: &mut Output<'_>) -> Result<ExprId, QueryError> {
    let from = at.here();
    match expression(at, out)? {
        (query, Type::Log) => Ok(query),
        _ => Err(QueryError::syntax(from.join(at.before()), "only a log query is accepted here")),
    }
}

/// `variants(a, b) of ({…}[5m])`
fn variants(at: &mut At<'_>, out: &mut Output<'_>) -> Result<ExprId, QueryError> {
    at.bump();
    at.expect(Kind::OpenParenthesis, "`(`")?;
    let mut ids = Vec::new();
    out.in_variants = true;
    loop {
        ids.push(at.deeper(|at| metric(at, out))?);
        if at.eat(Kind::Comma).is_none() {
            break;
        }
    }
    at.expect(Kind::CloseParenthesis, "`)`")?;
    out.in_variants = false;
    at.expect(Kind::Of, "`of`")?;
    at.expect(Kind::OpenParenthesis, "`(`")?;
    let of = log_range(at, out, false)?;
    at.expect(Kind::CloseParenthesis, "`)`")?;
    let from = index(out.tree.expr_ids.len());
    out.tree.expr_ids.extend(ids);
    let variants = Slice { from, to: index(out.tree.expr_ids.len()) };
    Ok(out.expr(Expr::Variants { variants, of }))
}

fn expression(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Typed, QueryError> {
    operation(at, out, 1)
}

/// An expression that is no log query.
fn metric(at: &mut At<'_>, out: &mut Output<'_>) -> Result<ExprId, QueryError> {
    let from = at.here();
    match expression(at, out)? {
        (_, Type::Log) => {
            Err(QueryError::syntax(from.join(at.before()), "a metric query is expected, not a log query"))
        }
        (id, _) => Ok(id),
    }
}

/// Operands and operators of at least `least` precedence. Chains are loops, but for `^`, which groups
/// from the right.
fn operation(at: &mut At<'_>, out: &mut Output<'_>, least: u8) -> Result<Typed, QueryError> {
    let from = at.here();
    let mut left = operand(at, out)?;
    while let Some((operator, precedence)) = at.peek().and_then(binary_operator) {
        if precedence < least {
            break;
        }
        let sign = at.here();
        check_side(left.1, from.join(at.before()))?;
        at.bump();
        let bool = at.eat(Kind::Bool).is_some();
        let matching = matching(at, out)?;
        let start = at.here();
        let right = if operator == BinaryOperator::Power {
            at.deeper(|at| operation(at, out, precedence))?
        } else {
            operation(at, out, precedence + 1)?
        };
        check_side(right.1, start.join(at.before()))?;
        let result = result(operator, left.1, right.1, sign, out)?;
        let expr = Expr::Binary { operator, bool, matching, left: left.0, right: right.0 };
        left = (out.expr(expr), result);
    }
    Ok(left)
}

/// Log queries are no operands (`mustNewBinOpExpr`).
fn check_side(side: Type, span: Span) -> Result<(), QueryError> {
    if side == Type::Log {
        return Err(QueryError::syntax(span, "a log query is no side of an operator"));
    }
    Ok(())
}

/// Loki folds operations on numbers, and takes no number beside a set operator.
fn result(
    operator: BinaryOperator,
    left: Type,
    right: Type,
    sign: Span,
    out: &Output<'_>,
) -> Result<Type, QueryError> {
    let set = matches!(operator, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Unless);
    match (left, right) {
        (Type::Literal, _) | (_, Type::Literal) if set => {
            Err(refused(sign, out, "takes no number on either side"))
        }
        (Type::Literal, Type::Literal) => Ok(Type::Literal),
        _ => Ok(Type::Sample),
    }
}

/// The operator and its precedence (`%left` and `%right` of the grammar).
fn binary_operator(kind: Kind) -> Option<(BinaryOperator, u8)> {
    Some(match kind {
        Kind::Or => (BinaryOperator::Or, 1),
        Kind::And => (BinaryOperator::And, 2),
        Kind::Unless => (BinaryOperator::Unless, 2),
        Kind::Equality => (BinaryOperator::Equal, 3),
        Kind::NotEqual => (BinaryOperator::NotEqual, 3),
        Kind::Greater => (BinaryOperator::Greater, 3),
        Kind::GreaterOrEqual => (BinaryOperator::GreaterOrEqual, 3),
        Kind::Less => (BinaryOperator::Less, 3),
        Kind::LessOrEqual => (BinaryOperator::LessOrEqual, 3),
        Kind::Add => (BinaryOperator::Add, 4),
        Kind::Subtract => (BinaryOperator::Subtract, 4),
        Kind::Multiply => (BinaryOperator::Multiply, 5),
        Kind::Divide => (BinaryOperator::Divide, 5),
        Kind::Modulo => (BinaryOperator::Modulo, 5),
        Kind::Power => (BinaryOperator::Power, 6),
        _ => return None,
    })
}

/// `on (a) group_left (b)`, or nothing.
fn matching(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Option<Matching>, QueryError> {
    let on = match at.peek() {
        Some(Kind::On) => true,
        Some(Kind::Ignoring) => false,
        _ => return Ok(None),
    };
    at.bump();
    let labels = names(at, out)?;
    let side = match at.peek() {
        Some(Kind::GroupLeft) => Side::Left,
        Some(Kind::GroupRight) => Side::Right,
        _ => return Ok(Some(Matching { on, labels, group: None })),
    };
    at.bump();
    // A parenthesis after it holds labels, never the right operand: the generator shifts.
    let kept = if at.peek() == Some(Kind::OpenParenthesis) { names(at, out)? } else { Slice::default() };
    Ok(Some(Matching { on, labels, group: Some((side, kept)) }))
}

fn operand(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Typed, QueryError> {
    match at.peek() {
        Some(Kind::OpenBrace) => {
            let query = log_query(at, out, false)?;
            Ok((out.expr(Expr::Log(query)), Type::Log))
        }
        Some(Kind::OpenParenthesis) => {
            at.bump();
            let inner = at.deeper(|at| expression(at, out))?;
            at.expect(Kind::CloseParenthesis, "`)`")?;
            Ok(inner)
        }
        Some(Kind::Number | Kind::Add | Kind::Subtract) => {
            let value = signed(at, out)?;
            Ok((out.expr(Expr::Number(value)), Type::Literal))
        }
        Some(Kind::RangeFunction(function)) => Ok((range_aggregation(at, out, function)?, Type::Sample)),
        Some(Kind::VectorFunction(function)) => Ok((vector_aggregation(at, out, function)?, Type::Sample)),
        Some(Kind::LabelReplace) => Ok((label_replace(at, out)?, Type::Sample)),
        Some(Kind::Vector) => Ok((vector(at, out)?, Type::Sample)),
        Some(Kind::Variants) => Err(no_variants(at, out)),
        Some(Kind::Identifier) if at.peek_at(1) == Some(Kind::OpenParenthesis) => {
            let span = at.here();
            let name = shortened(span.of(out.text));
            Err(QueryError::unsupported(span, format!("unknown function `{name}`")))
        }
        _ => Err(at.unexpected("a stream selector, a function or a number")),
    }
}

fn no_variants(at: &At<'_>, out: &Output<'_>) -> QueryError {
    let problem = if out.features.has(Feature::Variants) {
        "`variants` is accepted as the whole query only"
    } else {
        "`variants` is experimental and not switched on for this backend"
    };
    QueryError::unsupported(at.here(), problem)
}

/// `sum by (a) (…)`, `topk(5, …) without (b)`
fn vector_aggregation(
    at: &mut At<'_>,
    out: &mut Output<'_>,
    function: VectorFunction,
) -> Result<ExprId, QueryError> {
    let name = at.here();
    at.bump();
    let before = grouping(at, out)?;
    at.expect(Kind::OpenParenthesis, "`(`")?;
    let mut parameter = None;
    if at.peek() == Some(Kind::Number) && at.peek_at(1) == Some(Kind::Comma) {
        parameter = Some(at.here().of(out.text));
        at.bump();
        at.bump();
    }
    let inner = at.deeper(|at| metric(at, out))?;
    at.expect(Kind::CloseParenthesis, "`)`")?;
    let grouping = if before.is_some() { before } else { grouping(at, out)? };
    let parameter = check_vector(function, parameter, grouping).map_err(|p| refused(name, out, p))?;
    Ok(out.expr(Expr::VectorAggregation { function, parameter, inner, grouping }))
}

/// What Loki's `mustNewVectorAggregationExpr` and `validateSortGrouping` refuse; else the parameter.
fn check_vector(
    function: VectorFunction,
    parameter: Option<&str>,
    grouping: Option<Grouping>,
) -> Result<Option<i64>, &'static str> {
    use VectorFunction as F;
    let ranks = matches!(function, F::BottomK | F::TopK | F::ApproxTopK);
    let labels = grouping.is_some_and(|g| g.labels != Slice { to: g.labels.from, ..g.labels });
    match parameter {
        _ if function == F::ApproxTopK && grouping.is_some() => Err("takes no grouping"),
        _ if matches!(function, F::Sort | F::SortDesc) && labels => Err("takes no grouping"),
        None if ranks => Err("needs a parameter"),
        None => Ok(None),
        Some(_) if !ranks => Err("takes no parameter"),
        Some(text) => match text.parse::<i64>() {
            Ok(count) if count > 0 => Ok(Some(count)),
            _ => Err("needs a whole number above 0"),
        },
    }
}

/// `label_replace(…, "a", "b", "c", "d")`
fn label_replace(at: &mut At<'_>, out: &mut Output<'_>) -> Result<ExprId, QueryError> {
    at.bump();
    at.expect(Kind::OpenParenthesis, "`(`")?;
    let inner = at.deeper(|at| metric(at, out))?;
    at.expect(Kind::Comma, "`,`")?;
    let destination = string(at, out)?;
    at.expect(Kind::Comma, "`,`")?;
    let replacement = string(at, out)?;
    at.expect(Kind::Comma, "`,`")?;
    let source = string(at, out)?;
    at.expect(Kind::Comma, "`,`")?;
    let pattern = pattern(at, out)?;
    at.expect(Kind::CloseParenthesis, "`)`")?;
    Ok(out.expr(Expr::LabelReplace { inner, destination, replacement, source, pattern }))
}

/// `vector(1)`
fn vector(at: &mut At<'_>, out: &mut Output<'_>) -> Result<ExprId, QueryError> {
    at.bump();
    at.expect(Kind::OpenParenthesis, "`(`")?;
    if at.peek() != Some(Kind::Number) {
        return Err(at.unexpected("a number"));
    }
    let value = unit(at, out, number::literal)?;
    at.expect(Kind::CloseParenthesis, "`)`")?;
    Ok(out.expr(Expr::Vector(value)))
}
