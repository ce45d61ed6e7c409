//! What stands after an operator, and what stands after a selector.

use super::aggregate::labels;
use super::expression::literal;
use super::{Builder, Cursor, duration, index};
use crate::lang::promql::function::Type;
use crate::lang::promql::lex::Kind;
use crate::lang::promql::tree::{
    At, BinaryOp, Edges, Expr, Group, Matching, MatchingId, NodeId, Number, Selector, Shift,
};
use crate::lang::promql::word::Word;
use crate::lang::{Feature, QueryError};
use crate::span::Span;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// `bin_modifier`: whether `bool` is given, and the matching if any part of it is.
pub(super) fn modifiers<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
) -> Result<(bool, Option<MatchingId>), QueryError> {
    let yields_bool = cursor.eat(Kind::Word(Word::Bool)).is_some();
    let mut matching = None;
    if let Some(Kind::Word(word @ (Word::On | Word::Ignoring))) = cursor.peek() {
        cursor.bump();
        let labels = labels(cursor, builder)?;
        let group = group(cursor, builder)?;
        matching = Some(Matching { on: word == Word::On, labels, group, ..Matching::default() });
    }
    fill(cursor, builder, &mut matching)?;
    let id = matching.map(|matching| {
        builder.tree.matchings.push(matching);
        MatchingId(index(builder.tree.matchings.len() - 1))
    });
    Ok((yields_bool, id))
}

/// `group_left` or `group_right`, whose labels may be missing.
fn group<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<Option<Group>, QueryError> {
    let Some(Kind::Word(word @ (Word::GroupLeft | Word::GroupRight))) = cursor.peek() else {
        return Ok(None);
    };
    cursor.bump();
    let labels = match cursor.peek() {
        Some(Kind::LeftParen) => labels(cursor, builder)?,
        _ => Default::default(),
    };
    Ok(Some(Group { left: word == Word::GroupLeft, labels }))
}

/// `fill_modifiers`: `fill` alone, or `fill_left` and `fill_right` in either order, once each.
fn fill(
    cursor: &mut Cursor<'_>,
    builder: &Builder<'_>,
    matching: &mut Option<Matching>,
) -> Result<(), QueryError> {
    let is_fill = |word| matches!(word, Word::Fill | Word::FillLeft | Word::FillRight);
    while let Some(Kind::Word(word)) = cursor.peek().filter(|k| matches!(k, Kind::Word(w) if is_fill(*w))) {
        let feature = Feature::PromqlBinopFillModifiers;
        if !builder.features.has(feature) {
            let message = format!("`fill` is experimental and needs the feature `{feature}`");
            return Err(QueryError::unsupported(cursor.here(), message));
        }
        let matching = matching.get_or_insert_with(Matching::default);
        let (left, right) = (word != Word::FillRight, word != Word::FillLeft);
        if left && matching.fill_left.is_some() || right && matching.fill_right.is_some() {
            return Err(cursor.unexpected("an expression"));
        }
        cursor.bump();
        cursor.expect(Kind::LeftParen, "`(`")?;
        let value = Some(Number(signed_literal(cursor, builder)?));
        cursor.expect(Kind::RightParen, "`)`")?;
        if left {
            matching.fill_left = value;
        }
        if right {
            matching.fill_right = value;
        }
    }
    Ok(())
}

fn signed_literal(cursor: &mut Cursor<'_>, builder: &Builder<'_>) -> Result<f64, QueryError> {
    let negative = cursor.eat(Kind::Sub).is_some();
    if !negative {
        cursor.eat(Kind::Add);
    }
    let value = literal(cursor, builder)?;
    Ok(if negative { -value } else { value })
}

/// Checks a matching (`checkAST`, `BinaryExpr`) of `op`, which stands `at`, `between_vectors` or not.
pub(super) fn check(
    builder: &Builder<'_>,
    id: MatchingId,
    op: BinaryOp,
    at: Span,
    between_vectors: bool,
) -> Result<(), QueryError> {
    let Some(matching) = builder.tree.matching(id) else { return Ok(()) };
    let labels = builder.tree.labels(matching.labels);
    if let Some(group) = matching.group.filter(|_| matching.on)
        && shares(labels, builder.tree.labels(group.labels))
    {
        return Err(QueryError::syntax(at, "a label must not be in `on` and in the group at once"));
    }
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if !between_vectors && (fills || !labels.is_empty()) {
        return Err(QueryError::syntax(at, "matching is between instant vectors only"));
    }
    if op.is_set() && (fills || matching.group.is_some()) {
        return Err(QueryError::syntax(at, "set operators take no group and no fill"));
    }
    Ok(())
}

/// Whether a label is in both lists, which can be long.
fn shares<'a>(some: &[Cow<'a, str>], others: &[Cow<'a, str>]) -> bool {
    let some: BTreeSet<&str> = some.iter().map(|label| &**label).collect();
    others.iter().any(|label| some.contains(&**label))
}

/// What follows the operand `id`: ranges, `offset`, `@`, `anchored` and `smoothed`. All bind tighter
/// than any operator.
pub(super) fn after<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
    mut id: NodeId,
) -> Result<NodeId, QueryError> {
    loop {
        match cursor.peek() {
            Some(Kind::LeftBracket) => id = brackets(cursor, builder, id)?,
            Some(Kind::Word(Word::Offset)) => offset(cursor, builder, id)?,
            Some(Kind::At) => at(cursor, builder, id)?,
            Some(Kind::Word(word @ (Word::Anchored | Word::Smoothed))) => edges(cursor, builder, id, word)?,
            _ => return Ok(id),
        }
        builder.extend(id, cursor);
    }
}

/// `matrix_selector` or `subquery_expr`.
fn brackets<'a>(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'a>,
    id: NodeId,
) -> Result<NodeId, QueryError> {
    let open = cursor.here();
    cursor.bump();
    let range = duration::positive(cursor, builder)?;
    if cursor.eat(Kind::Colon).is_some() {
        let step = match cursor.peek() {
            Some(Kind::RightBracket) => None,
            _ => Some(duration::positive(cursor, builder)?),
        };
        cursor.expect(Kind::RightBracket, "`]`")?;
        builder.expect_type(id, Type::Vector, "subquery")?;
        let span = builder.span(id).join(cursor.before());
        let expr = Expr::Subquery { expr: id, range, step, shift: Shift::default() };
        return Ok(builder.push(expr, Type::Range, span));
    }
    cursor.expect(Kind::RightBracket, "`:` or `]`")?;
    let Expr::Selector(selector) = builder.tree.node(id).expr else {
        return Err(QueryError::syntax(open, "a range is for selectors only"));
    };
    if builder.tree.selector(selector).is_some_and(|s| s.shift != Shift::default()) {
        return Err(QueryError::syntax(open, "`offset` and `@` stand after the range"));
    }
    if let Some(node) = builder.tree.nodes.get_mut(id.0 as usize) {
        node.expr = Expr::Range { selector, range };
        node.returns = Type::Range;
    }
    Ok(id)
}

/// `offset_expr`
fn offset<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>, id: NodeId) -> Result<(), QueryError> {
    let word = cursor.here();
    cursor.bump();
    let duration = duration::offset(cursor, builder)?;
    let shift = shift(builder, id, word)?;
    if shift.offset.replace(duration).is_some() {
        return Err(QueryError::syntax(word, "`offset` must not be set twice"));
    }
    Ok(())
}

/// `step_invariant_expr`
fn at<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>, id: NodeId) -> Result<(), QueryError> {
    let sign = cursor.here();
    cursor.bump();
    let time = match cursor.peek() {
        Some(Kind::Word(word @ (Word::Start | Word::End))) => {
            cursor.bump();
            cursor.expect(Kind::LeftParen, "`(`")?;
            cursor.expect(Kind::RightParen, "`)`")?;
            if word == Word::Start { At::Start } else { At::End }
        }
        _ => {
            let seconds = signed_literal(cursor, builder)?;
            // The bounds of `setTimestamp`: those of an i64, exclusive.
            if seconds.is_nan() || seconds.abs() >= 9_223_372_036_854_775_807.0 {
                return Err(duration::out_of_range(cursor.before()));
            }
            At::Seconds(Number(seconds))
        }
    };
    let shift = shift(builder, id, sign)?;
    if shift.at.replace(time).is_some() {
        return Err(QueryError::syntax(sign, "`@` must not be set twice"));
    }
    Ok(())
}

/// The shift of the selector, range or subquery `id`; nothing else has one.
fn shift<'t>(builder: &'t mut Builder<'_>, id: NodeId, span: Span) -> Result<&'t mut Shift, QueryError> {
    let tree = &mut builder.tree;
    let shift = match tree.nodes.get_mut(id.0 as usize).map(|node| &mut node.expr) {
        Some(Expr::Subquery { shift, .. }) => Some(shift),
        Some(Expr::Selector(selector) | Expr::Range { selector, .. }) => {
            tree.selectors.get_mut(selector.0 as usize).map(|s| &mut s.shift)
        }
        _ => None,
    };
    shift.ok_or_else(|| {
        QueryError::syntax(span, "`offset` and `@` are for selectors, ranges and subqueries only")
    })
}

/// `anchored_expr` or `smoothed_expr`
fn edges(
    cursor: &mut Cursor<'_>,
    builder: &mut Builder<'_>,
    id: NodeId,
    word: Word,
) -> Result<(), QueryError> {
    let span = cursor.here();
    cursor.bump();
    let (Expr::Selector(selector) | Expr::Range { selector, .. }) = builder.tree.node(id).expr else {
        return Err(QueryError::syntax(span, "`anchored` and `smoothed` are for selectors and ranges only"));
    };
    let edges = if word == Word::Anchored { Edges::Anchored } else { Edges::Smoothed };
    let selector: Option<&mut Selector<'_>> = builder.tree.selectors.get_mut(selector.0 as usize);
    if let Some(selector) = selector {
        if !matches!(selector.edges, Edges::Plain) && selector.edges != edges {
            return Err(QueryError::syntax(span, "`anchored` and `smoothed` cannot be used together"));
        }
        selector.edges = edges;
    }
    Ok(())
}
