//! Aggregations, and lists of labels.

use super::call::{arguments, require};
use super::{Builder, Cursor, list_from, quoted_name};
use crate::lang::QueryError;
use crate::lang::promql::function::Type;
use crate::lang::promql::lex::Kind;
use crate::lang::promql::tree::{AggregateOp, Expr, List, NodeId};
use crate::lang::promql::word::Word;
use std::borrow::Cow;

/// The aggregation that `word` is, if it is one.
pub(super) fn op(word: Word) -> Option<AggregateOp> {
    Some(match word {
        Word::Sum => AggregateOp::Sum,
        Word::Avg => AggregateOp::Avg,
        Word::Count => AggregateOp::Count,
        Word::Min => AggregateOp::Min,
        Word::Max => AggregateOp::Max,
        Word::Group => AggregateOp::Group,
        Word::Stddev => AggregateOp::Stddev,
        Word::Stdvar => AggregateOp::Stdvar,
        Word::Topk => AggregateOp::Topk,
        Word::Bottomk => AggregateOp::Bottomk,
        Word::CountValues => AggregateOp::CountValues,
        Word::Quantile => AggregateOp::Quantile,
        Word::Limitk => AggregateOp::Limitk,
        Word::LimitRatio => AggregateOp::LimitRatio,
        _ => return None,
    })
}

/// Whether the aggregation's word, which is next, is followed as one; else it is a metric's name.
pub(super) fn follows(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.peek_at(1), Some(Kind::LeftParen | Kind::Word(Word::By | Word::Without)))
}

/// `aggregate_expr`: the labels stand before or after the body.
pub(super) fn aggregate<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
    op: AggregateOp,
) -> Result<NodeId, QueryError> {
    let Some(word) = cursor.bump() else { return Err(cursor.unexpected("an aggregation")) };
    let experimental = matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio);
    require(experimental, builder.text(word), word.span, builder)?;
    let before = modifier(cursor, builder)?;
    let arguments = arguments(cursor, builder)?;
    let after = if before.is_none() { modifier(cursor, builder)? } else { None };
    let (without, labels) = before.or(after).unwrap_or_default();

    let span = word.span.join(cursor.before());
    let (parameter, expr) = match (op.parameter(), builder.tree.arguments(arguments)) {
        (None, &[expr]) => (None, expr),
        (Some(_), &[parameter, expr]) => (Some(parameter), expr),
        (_, arguments) => {
            let (name, count) = (builder.text(word), arguments.len());
            return Err(QueryError::syntax(span, format!("wrong number of arguments for `{name}`: {count}")));
        }
    };
    builder.expect_type(expr, Type::Vector, "aggregation")?;
    if let (Some(parameter), Some(expected)) = (parameter, op.parameter()) {
        builder.expect_type(parameter, expected, "aggregation parameter")?;
    }
    Ok(builder.push(Expr::Aggregate { op, parameter, expr, without, labels }, Type::Vector, span))
}

/// `aggregate_modifier`, if it follows: whether it is `without`, and its labels.
fn modifier<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
) -> Result<Option<(bool, List)>, QueryError> {
    let without = match cursor.peek() {
        Some(Kind::Word(Word::By)) => false,
        Some(Kind::Word(Word::Without)) => true,
        _ => return Ok(None),
    };
    cursor.bump();
    Ok(Some((without, labels(cursor, builder)?)))
}

/// `grouping_labels`: labels in parentheses; a comma may stand before the closing one.
pub(super) fn labels<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<List, QueryError> {
    let from = builder.tree.labels.len();
    cursor.expect(Kind::LeftParen, "`(`")?;
    while cursor.eat(Kind::RightParen).is_none() {
        let label = match cursor.token() {
            Some(token) if is_label(token.kind) => {
                cursor.bump();
                Cow::Borrowed(builder.text(token))
            }
            Some(token) if token.kind == Kind::String => {
                cursor.bump();
                quoted_name(builder, token)?
            }
            _ => return Err(cursor.unexpected("a label or `)`")),
        };
        builder.tree.labels.push(label);
        if cursor.eat(Kind::Comma).is_none() {
            cursor.expect(Kind::RightParen, "`,` or `)`")?;
            break;
        }
    }
    Ok(list_from(&builder.tree.labels, from))
}

/// `maybe_label`. A name with a colon is taken here, unlike in a matcher.
fn is_label(kind: Kind) -> bool {
    match kind {
        Kind::Name | Kind::ColonName => true,
        Kind::Word(word) => word.may_be_label(),
        _ => false,
    }
}
