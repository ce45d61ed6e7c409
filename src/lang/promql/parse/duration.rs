//! Durations in brackets and after `offset`, which since 3.16 may be arithmetic (`duration_expr`).

use super::expression::literal;
use super::{Builder, Cursor, DurationId, Number, index};
use crate::lang::QueryError;
use crate::lang::promql::lex::Kind;
use crate::lang::promql::tree::{BinaryOp, Duration};
use crate::lang::promql::word::Word;
use crate::span::Span;

/// The seconds that an `i64` of nanoseconds can hold (`durationLiteralOutOfRange`).
const MOST: f64 = 9_223_372_036.854_776;
const POWER: u8 = 3;

/// A duration, and its seconds if it is a plain literal with signs at most.
struct Term {
    id: DurationId,
    literal: Option<f64>,
}

/// The refusal of a number that is too large or none.
pub(super) fn out_of_range(span: Span) -> QueryError {
    QueryError::syntax(span, "number or duration out of range")
}

fn push(builder: &mut Builder<'_>, duration: Duration) -> DurationId {
    builder.tree.durations.push(duration);
    DurationId(index(builder.tree.durations.len() - 1))
}

fn composed(builder: &mut Builder<'_>, duration: Duration) -> Term {
    Term { id: push(builder, duration), literal: None }
}

/// `positive_duration_expr`: a literal must be greater than zero.
pub(super) fn positive<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
) -> Result<DurationId, QueryError> {
    let from = cursor.here();
    let term = binary(cursor, builder, 1)?;
    if term.literal.is_some_and(|seconds| seconds <= 0.0) {
        return Err(QueryError::syntax(from.join(cursor.before()), "a duration must be greater than 0"));
    }
    Ok(term.id)
}

/// `offset_duration_expr`. A literal, a function or a signed parenthesis is the whole of it, so
/// that `x offset -2^2` is `(x offset -2)^2`; anything else goes as far as arithmetic goes, so that
/// `x offset (1m) * 2` has an offset of two minutes.
pub(super) fn offset<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
) -> Result<DurationId, QueryError> {
    let signed = matches!(cursor.peek(), Some(Kind::Add | Kind::Sub));
    let whole = match cursor.peek_at(usize::from(signed)) {
        Some(Kind::Number | Kind::Duration) => true,
        Some(Kind::Word(Word::Step | Word::Range | Word::MaxOf | Word::MinOf)) => true,
        Some(Kind::LeftParen) => signed,
        _ => false,
    };
    let term = match (whole, signed) {
        (true, true) => signed_term(cursor, builder, primary)?,
        (true, false) => primary(cursor, builder)?,
        (false, _) => binary(cursor, builder, 1)?,
    };
    Ok(term.id)
}

fn operator(kind: Kind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        Kind::Add => (BinaryOp::Add, 1),
        Kind::Sub => (BinaryOp::Sub, 1),
        Kind::Mul => (BinaryOp::Mul, 2),
        Kind::Div => (BinaryOp::Div, 2),
        Kind::Mod => (BinaryOp::Mod, 2),
        Kind::Pow => (BinaryOp::Pow, POWER),
        _ => return None,
    })
}

fn binary<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>, least: u8) -> Result<Term, QueryError> {
    let mut left = match cursor.peek() {
        Some(Kind::Add | Kind::Sub) => {
            signed_term(cursor, builder, |cursor, builder| binary(cursor, builder, POWER))?
        }
        _ => primary(cursor, builder)?,
    };
    while let Some((op, level)) = cursor.peek().and_then(operator).filter(|(_, level)| *level >= least) {
        let at = cursor.here();
        cursor.bump();
        let right = if op == BinaryOp::Pow {
            cursor.deeper(|cursor| binary(cursor, builder, POWER))?
        } else {
            binary(cursor, builder, level + 1)?
        };
        if matches!(op, BinaryOp::Div | BinaryOp::Mod) && right.literal == Some(0.0) {
            return Err(QueryError::syntax(at, "division by zero"));
        }
        left = composed(builder, Duration::Binary(op, left.id, right.id));
    }
    Ok(left)
}

/// A sign and what `operand` reads. A literal is negated itself, as Prometheus does.
fn signed_term<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
    operand: impl FnOnce(&mut Cursor<'_>, &mut Builder<'a>) -> Result<Term, QueryError>,
) -> Result<Term, QueryError> {
    let negative = cursor.peek() == Some(Kind::Sub);
    cursor.bump();
    let term = cursor.deeper(|cursor| operand(cursor, builder))?;
    Ok(match term.literal {
        _ if !negative => term,
        Some(seconds) => {
            let id = push(builder, Duration::Seconds(Number(-seconds)));
            Term { id, literal: Some(-seconds) }
        }
        None => composed(builder, Duration::Negative(term.id)),
    })
}

fn primary<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<Term, QueryError> {
    match cursor.peek() {
        Some(Kind::Number | Kind::Duration) => {
            let seconds = literal(cursor, builder)?;
            // `NaN` passes Prometheus' own check and is refused here.
            if seconds.is_nan() || seconds.abs() > MOST {
                return Err(out_of_range(cursor.before()));
            }
            let id = push(builder, Duration::Seconds(Number(seconds)));
            Ok(Term { id, literal: Some(seconds) })
        }
        Some(Kind::Word(word @ (Word::Step | Word::Range))) => {
            cursor.bump();
            cursor.expect(Kind::LeftParen, "`(`")?;
            cursor.expect(Kind::RightParen, "`)`")?;
            Ok(composed(builder, if word == Word::Step { Duration::Step } else { Duration::Range }))
        }
        Some(Kind::Word(word @ (Word::MaxOf | Word::MinOf))) => {
            cursor.bump();
            cursor.expect(Kind::LeftParen, "`(`")?;
            let a = cursor.deeper(|cursor| binary(cursor, builder, 1))?.id;
            cursor.expect(Kind::Comma, "`,`")?;
            let b = cursor.deeper(|cursor| binary(cursor, builder, 1))?.id;
            cursor.expect(Kind::RightParen, "`)`")?;
            let greatest = word == Word::MaxOf;
            Ok(composed(builder, if greatest { Duration::Greatest(a, b) } else { Duration::Least(a, b) }))
        }
        Some(Kind::LeftParen) => {
            cursor.bump();
            let inner = cursor.deeper(|cursor| binary(cursor, builder, 1))?;
            cursor.expect(Kind::RightParen, "`)`")?;
            // No literal any more: Prometheus checks its sign only when it is evaluated.
            Ok(Term { id: inner.id, literal: None })
        }
        _ => Err(cursor.unexpected("a number or duration")),
    }
}
