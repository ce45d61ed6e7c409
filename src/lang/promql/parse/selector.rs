//! Vector selectors.

use super::{Around, Builder, Cursor, Place, index, list_from, unquoted, utf8_name};
use crate::lang::QueryError;
use crate::lang::core::token::shortened;
use crate::lang::matcher::{MatchOp, Matcher};
use crate::lang::promql::Entry;
use crate::lang::promql::function::Type;
use crate::lang::promql::lex::Kind;
use crate::lang::promql::tree::{Edges, Expr, NodeId, Selector, SelectorId, Shift, Tree};
use crate::span::Position;
use std::borrow::Cow;

/// The label that holds a metric's name.
const NAME: &str = "__name__";

/// `vector_selector`: a name, braces, or both.
pub(super) fn selector<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<NodeId, QueryError> {
    let start = cursor.here();
    if builder.tree.selectors.len() >= builder.max_selectors {
        return Err(QueryError::limit(
            "selectors (`limits.query.selectors`)",
            builder.max_selectors,
            Some(start),
        ));
    }
    let name = match cursor.token() {
        Some(token) if is_metric(token.kind) => {
            cursor.bump();
            Some(Cow::Borrowed(builder.text(token)))
        }
        Some(token) if token.kind == Kind::LeftBrace => None,
        _ => return Err(cursor.unexpected("a metric name or `{`")),
    };
    let from = builder.tree.matchers.len();
    let around = if cursor.peek() == Some(Kind::LeftBrace) {
        cursor.bump();
        if cursor.peek() == Some(Kind::RightBrace) { Around::EmptyBraces } else { Around::Matchers }
    } else {
        Around::Nothing
    };
    builder.places.push(Place { at: cursor.index(), around, absent: false });
    if around != Around::Nothing {
        matchers(cursor, builder)?;
    }
    let span = start.join(cursor.before());
    let id = SelectorId(index(builder.tree.selectors.len()));
    builder.tree.selectors.push(Selector {
        name,
        matchers: list_from(&builder.tree.matchers, from),
        shift: Shift::default(),
        edges: Edges::Plain,
        position: Position(span),
    });
    Ok(builder.push(Expr::Selector(id), Type::Vector, span))
}

fn is_metric(kind: Kind) -> bool {
    match kind {
        Kind::Name | Kind::ColonName => true,
        Kind::Word(word) => word.may_be_metric(),
        _ => false,
    }
}

/// `label_match_list` and the closing brace; a comma may stand before it.
fn matchers<'a>(cursor: &mut Cursor<'_>, builder: &mut Builder<'a>) -> Result<(), QueryError> {
    while cursor.eat(Kind::RightBrace).is_none() {
        let matcher = matcher(cursor, builder)?;
        builder.tree.matchers.push(matcher);
        if cursor.eat(Kind::Comma).is_none() {
            cursor.expect(Kind::RightBrace, "`,` or `}`")?;
            break;
        }
    }
    Ok(())
}

/// `label_matcher`. A quoted name may stand alone: then it is the metric's.
fn matcher<'a>(cursor: &mut Cursor<'_>, builder: &Builder<'a>) -> Result<Matcher<'a>, QueryError> {
    let (name, may_stand_alone) = match cursor.token() {
        Some(token) if token.kind == Kind::Name => {
            cursor.bump();
            (Cow::Borrowed(builder.text(token)), false)
        }
        Some(token) if token.kind == Kind::String => {
            cursor.bump();
            (utf8_name(builder, token)?, true)
        }
        _ => return Err(cursor.unexpected("a label or `}`")),
    };
    let op = match cursor.peek() {
        Some(Kind::Is) => MatchOp::Equal,
        Some(Kind::Differs) => MatchOp::NotEqual,
        Some(Kind::Matches) => MatchOp::Regex,
        Some(Kind::MatchesNot) => MatchOp::NotRegex,
        _ if may_stand_alone => {
            let value = match name {
                Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
                Cow::Owned(name) => Cow::Owned(name.into_bytes()),
            };
            return Ok(Matcher { name: Cow::Borrowed(NAME), op: MatchOp::Equal, value });
        }
        _ => return Err(cursor.unexpected("`=`, `!=`, `=~` or `!~`")),
    };
    cursor.bump();
    let value = cursor.expect(Kind::String, "a string")?;
    Ok(Matcher { name, op, value: unquoted(builder, value)? })
}

/// Whether the text is a selector that reads every series where one may: `{""=""}`.
pub(in crate::lang::promql) fn is_everything(tree: &Tree<'_>, entry: Entry) -> bool {
    tree.selectors().iter().any(|selector| reads_everything(tree, selector, entry))
}

fn reads_everything(tree: &Tree<'_>, selector: &Selector<'_>, entry: Entry) -> bool {
    let lone = matches!(tree.matchers(selector), [only] if is_nameless(only));
    entry == Entry::AnySelector && selector.name.is_none() && lone
}

fn is_nameless(matcher: &Matcher<'_>) -> bool {
    matcher.name.is_empty() && matcher.value.is_empty()
}

/// Refuses what Prometheus refuses in a selector (`checkAST`, `VectorSelector`; for `match[]`,
/// `parseMatchersParam` of `web/api/v1/api.go`): matchers that all match the empty string, patterns whose
/// brackets stay open, and in an expression a name said twice.
pub(in crate::lang::promql) fn check(tree: &Tree<'_>, entry: Entry) -> Result<(), QueryError> {
    for selector in tree.selectors() {
        let matchers = tree.matchers(selector);
        if let Some(bad) = matchers.iter().find(|m| m.is_malformed()) {
            let message = format!("malformed pattern for `{}`", shortened(&bad.name));
            return Err(QueryError::syntax(selector.position.0, message));
        }
        if selector.name.is_some() {
            if entry == Entry::Expression && matchers.iter().any(|m| m.name == NAME) {
                let message = "the metric name must not be set twice";
                return Err(QueryError::syntax(selector.position.0, message));
            }
        } else if matchers.is_empty()
            || entry != Entry::AnySelector && matchers.iter().all(Matcher::matches_empty)
        {
            let message = "a selector must have a matcher that does not match the empty string";
            return Err(QueryError::syntax(selector.position.0, message));
        }
        // Storage keeps all series under it, and fails over it where the other matchers find something: be it another's
        // (`PostingsForMatchers` in `tsdb/querier.go` of Prometheus 3.16, whatever the operator).
        if matchers.iter().any(is_nameless) && !reads_everything(tree, selector, entry) {
            let message = "a matcher without name and value must be a selector's only one";
            return Err(QueryError::unsupported(selector.position.0, message));
        }
    }
    Ok(())
}
