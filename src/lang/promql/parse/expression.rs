//! Expressions: operators, parentheses, literals.

use super::{Builder, Cursor, aggregate, call, duration, modifier, selector, unquoted};
use crate::lang::QueryError;
use crate::lang::promql::function::Type;
use crate::lang::promql::lex::Kind;
use crate::lang::promql::number;
use crate::lang::promql::tree::{BinaryOp, Expr, MatchingId, NodeId, Number};
use crate::lang::promql::word::Word;
use crate::span::Span;

/// How tight `^` binds, which is what an operand of a sign may hold.
const POWER: u8 = 6;

/// The operator that `kind` is, and how tight it binds (`generated_parser.y`, the `%left` lines).
fn operator(kind: Kind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        Kind::Word(Word::Or) => (BinaryOp::Or, 1),
        Kind::Word(Word::And) => (BinaryOp::And, 2),
        Kind::Word(Word::Unless) => (BinaryOp::Unless, 2),
        Kind::Equals => (BinaryOp::Equals, 3),
        Kind::Differs => (BinaryOp::Differs, 3),
        Kind::Less => (BinaryOp::Less, 3),
        Kind::LessOrEqual => (BinaryOp::LessOrEqual, 3),
        Kind::Greater => (BinaryOp::Greater, 3),
        Kind::GreaterOrEqual => (BinaryOp::GreaterOrEqual, 3),
        Kind::TrimUpper => (BinaryOp::TrimUpper, 3),
        Kind::TrimLower => (BinaryOp::TrimLower, 3),
        Kind::Add => (BinaryOp::Add, 4),
        Kind::Sub => (BinaryOp::Sub, 4),
        Kind::Mul => (BinaryOp::Mul, 5),
        Kind::Div => (BinaryOp::Div, 5),
        Kind::Mod => (BinaryOp::Mod, 5),
        Kind::Word(Word::Atan2) => (BinaryOp::Atan2, 5),
        Kind::Pow => (BinaryOp::Pow, POWER),
        _ => return None,
    })
}

/// `expr`
pub(super) fn expression<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
) -> Result<NodeId, QueryError> {
    binary(cursor, builder, 1)
}

/// `binary_expr` of operators that bind at least as tight as `least`.
fn binary<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>, least: u8) -> Result<NodeId, QueryError> {
    let mut left = unary(cursor, builder)?;
    while let Some((op, level)) = cursor.peek().and_then(operator).filter(|(_, level)| *level >= least) {
        let at = cursor.here();
        cursor.bump();
        let (yields_bool, matching) = modifier::modifiers(cursor, builder)?;
        // Only `^` is right-associative: its right side may hold another one.
        let right = if op == BinaryOp::Pow {
            cursor.deeper(|cursor| binary(cursor, builder, POWER))?
        } else {
            binary(cursor, builder, level + 1)?
        };
        let operation = Operation { op, at, left, right, yields_bool, matching };
        left = operation.push(builder)?;
    }
    Ok(left)
}

struct Operation {
    op: BinaryOp,
    at: Span,
    left: NodeId,
    right: NodeId,
    yields_bool: bool,
    matching: Option<MatchingId>,
}

impl Operation {
    /// Checks the types (`checkAST`, `BinaryExpr`) and adds the node.
    fn push(self, builder: &mut Builder<'_>) -> Result<NodeId, QueryError> {
        let Self { op, at, left, right, yields_bool, matching } = self;
        for side in [left, right] {
            let found = builder.returns(side);
            if !matches!(found, Type::Scalar | Type::Vector) {
                let message =
                    format!("expected scalar or instant vector beside an operator, got {}", found.name());
                return Err(QueryError::syntax(builder.span(side), message));
            }
        }
        let scalar = |side| builder.returns(side) == Type::Scalar;
        let returns = if scalar(left) && scalar(right) { Type::Scalar } else { Type::Vector };
        if yields_bool && !op.compares() {
            return Err(QueryError::syntax(at, "`bool` is for comparisons only"));
        }
        if op.compares() && !yields_bool && returns == Type::Scalar {
            return Err(QueryError::syntax(at, "a comparison between scalars needs `bool`"));
        }
        if op.is_set() && (scalar(left) || scalar(right)) {
            return Err(QueryError::syntax(at, "set operators are between instant vectors only"));
        }
        if let Some(id) = matching {
            modifier::check(builder, id, op, at, !scalar(left) && !scalar(right))?;
        }
        let span = builder.span(left).join(builder.span(right));
        Ok(builder.push(Expr::Binary { op, left, right, yields_bool, matching }, returns, span))
    }
}

/// `unary_expr`: a sign binds as `*` does, so its operand may hold `^`.
fn unary<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<NodeId, QueryError> {
    let negative = match cursor.peek() {
        Some(Kind::Sub) => true,
        Some(Kind::Add) => false,
        _ => {
            let operand = operand(cursor, builder)?;
            return modifier::after(cursor, builder, operand);
        }
    };
    let sign = cursor.here();
    cursor.bump();
    let expr = cursor.deeper(|cursor| binary(cursor, builder, POWER))?;
    let returns = builder.returns(expr);
    if !matches!(returns, Type::Scalar | Type::Vector) {
        let message = format!("expected scalar or instant vector after a sign, got {}", returns.name());
        return Err(QueryError::syntax(builder.span(expr), message));
    }
    let span = sign.join(builder.span(expr));
    Ok(builder.push(Expr::Unary { negative, expr }, returns, span))
}

/// What stands between operators, without what follows a selector.
fn operand<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<NodeId, QueryError> {
    let called = cursor.peek_at(1) == Some(Kind::LeftParen);
    match cursor.peek() {
        Some(Kind::Number | Kind::Duration) => {
            let token = cursor.token();
            let value = literal(cursor, builder)?;
            let span = token.map_or(cursor.before(), |t| t.span);
            Ok(builder.push(Expr::Number(Number(value)), Type::Scalar, span))
        }
        Some(Kind::String) => {
            let Some(token) = cursor.bump() else { return Err(cursor.unexpected("a string")) };
            let text = unquoted(builder, token)?;
            Ok(builder.push(Expr::Text(text), Type::Text, token.span))
        }
        Some(Kind::LeftParen) => parenthesis(cursor, builder),
        Some(Kind::Name) if called => call::call(cursor, builder),
        Some(Kind::Word(Word::Start | Word::End | Word::Step | Word::Range | Word::MaxOf | Word::MinOf))
            if called =>
        {
            call::call(cursor, builder)
        }
        Some(Kind::Word(word)) => match aggregate::op(word) {
            Some(op) if aggregate::follows(cursor) => aggregate::aggregate(cursor, builder, op),
            _ => selector::selector(cursor, builder),
        },
        Some(Kind::Name | Kind::ColonName | Kind::LeftBrace) => selector::selector(cursor, builder),
        _ => Err(cursor.unexpected("an expression")),
    }
}

/// `paren_expr`
fn parenthesis<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<NodeId, QueryError> {
    let open = cursor.here();
    cursor.bump();
    let inner = cursor.deeper(|cursor| expression(cursor, builder))?;
    let close = cursor.expect(Kind::RightParen, "`)`")?;
    let returns = builder.returns(inner);
    Ok(builder.push(Expr::Paren(inner), returns, open.join(close.span)))
}

/// A number, or a duration in seconds.
pub(super) fn literal(cursor: &mut Cursor<'_>, builder: &Builder<'_>) -> Result<f64, QueryError> {
    let (Some(Kind::Number | Kind::Duration), Some(token)) = (cursor.peek(), cursor.token()) else {
        return Err(cursor.unexpected("a number or duration"));
    };
    cursor.bump();
    let text = builder.text(token).as_bytes();
    let value = if token.kind == Kind::Duration { number::seconds(text) } else { number::number(text) };
    value.ok_or_else(|| duration::out_of_range(token.span))
}
