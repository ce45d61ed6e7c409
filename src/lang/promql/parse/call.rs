//! Function calls.

use super::expression::expression;
use super::{Builder, Cursor, list_from};
use crate::lang::promql::function::{Function, Type};
use crate::lang::promql::lex::Kind;
use crate::lang::promql::tree::{Expr, List, NodeId};
use crate::lang::{Feature, QueryError};
use crate::span::Span;

/// `function_call`; a name and an opening parenthesis follow.
pub(super) fn call<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<NodeId, QueryError> {
    let Some(token) = cursor.bump() else { return Err(cursor.unexpected("a function")) };
    let function = known(builder.text(token), token.span, builder)?;
    let arguments = arguments(cursor, builder)?;
    let span = token.span.join(cursor.before());
    check(builder, function, arguments, span)?;
    if function.shows_matchers() {
        mark_absent(builder, arguments);
    }
    Ok(builder.push(Expr::Call { function, arguments }, function.returns, span))
}

/// The function `name`, which the list knows and the features allow.
fn known(name: &str, span: Span, builder: &Builder<'_>) -> Result<&'static Function, QueryError> {
    if name == "info" {
        // It reads `target_info` by instance and job, whosever it is, and no selector says so.
        return Err(QueryError::unsupported(
            span,
            "function `info` is refused: it reads series that no selector names",
        ));
    }
    let Some(function) = Function::of(name) else {
        return Err(QueryError::unsupported(span, format!("unknown function `{name}`")));
    };
    require(function.experimental, name, span, builder)?;
    Ok(function)
}

/// Refuses what is experimental without the feature.
pub(super) fn require(
    experimental: bool,
    name: &str,
    span: Span,
    builder: &Builder<'_>,
) -> Result<(), QueryError> {
    let feature = Feature::PromqlExperimentalFunctions;
    if experimental && !builder.features.has(feature) {
        let message = format!("`{name}` is experimental and needs the feature `{feature}`");
        return Err(QueryError::unsupported(span, message));
    }
    Ok(())
}

/// `function_call_body`: arguments in parentheses, without a comma at the end.
pub(super) fn arguments<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<List, QueryError> {
    let mark = builder.pending.len();
    cursor.expect(Kind::LeftParen, "`(`")?;
    if cursor.peek() != Some(Kind::RightParen) {
        loop {
            let argument = cursor.deeper(|cursor| expression(cursor, builder))?;
            builder.pending.push(argument);
            if cursor.eat(Kind::Comma).is_none() {
                break;
            }
        }
    }
    cursor.expect(Kind::RightParen, "`,` or `)`")?;
    let from = builder.tree.arguments.len();
    builder.tree.arguments.extend(builder.pending.drain(mark..));
    Ok(list_from(&builder.tree.arguments, from))
}

/// Checks count and types (`checkAST`, `Call`).
fn check(builder: &Builder<'_>, function: &Function, list: List, span: Span) -> Result<(), QueryError> {
    let arguments = builder.tree.arguments(list);
    if arguments.len() < function.least || arguments.len() > function.most {
        let (name, count) = (function.name, arguments.len());
        return Err(QueryError::syntax(span, format!("wrong number of arguments for `{name}`: {count}")));
    }
    let last = function.arguments.last().copied().unwrap_or(Type::Vector);
    for (index, &argument) in arguments.iter().enumerate() {
        let expected = function.arguments.get(index).copied().unwrap_or(last);
        if builder.returns(argument) != expected {
            builder.expect_type(argument, expected, &format!("call to `{}`", function.name))?;
        }
    }
    Ok(())
}

/// Notes that the selector which is the argument shows its matchers. The engine looks through
/// parentheses (`promql/engine.go`, `unwrapParenExpr` in `preprocessExprHelper`).
fn mark_absent(builder: &mut Builder<'_>, arguments: List) {
    let Some(&(mut id)) = builder.tree.arguments(arguments).first() else { return };
    while let Expr::Paren(inner) = builder.tree.node(id).expr {
        id = inner;
    }
    if let Expr::Selector(selector) | Expr::Range { selector, .. } = builder.tree.node(id).expr
        && let Some(place) = builder.places.get_mut(selector.0 as usize)
    {
        place.absent = true;
    }
}
