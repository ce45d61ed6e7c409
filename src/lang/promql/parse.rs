//! From tokens to a [`Tree`]: the grammar of `promql/parser/generated_parser.y`, Prometheus 3.16, and
//! the checks of `checkAST` in `parse.go`.
//!
//! Recursive descent with explicit depth; operators by precedence climbing, chains of them in loops.

mod aggregate;
mod call;
mod duration;
mod expression;
mod modifier;
mod selector;

use super::Entry;
use super::function::Type;
use super::lex::{Kind, lex};
use super::tree::{DurationId, Expr, List, Node, NodeId, Number, Tree};
use crate::lang::core::quote::{self, Dialect};
use crate::lang::core::token::{self, Token};
use crate::lang::{Features, QueryError};
use crate::limits::QueryLimits;
use crate::span::{Position, Span};
use std::borrow::Cow;

type Cursor<'a> = token::Cursor<'a, Kind>;

/// Reads `text`, which must be an `entry` as a whole.
///
/// # Errors
/// `syntax` for what Prometheus refuses, `unsupported` for functions it is not known to have and for
/// experimental ones without their feature, `limit` over a cap.
pub fn parse<'a>(
    text: &'a str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<Tree<'a>, QueryError> {
    let read = read(text, entry, features, limits)?;
    check_selectors(&read.tree, entry)?;
    Ok(read.tree)
}

pub(super) use selector::{check as check_selectors, is_everything};

/// A text, read, with what is needed to write into it.
pub(super) struct Read<'a> {
    /// Its tokens.
    pub tokens: Vec<Token<Kind>>,
    /// What it says.
    pub tree: Tree<'a>,
    /// For each selector of the tree, where a matcher goes.
    pub places: Vec<Place>,
}

/// Where a matcher goes into one selector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// How many tokens stand before it.
    pub at: usize,
    /// What stands around it.
    pub around: Around,
    /// The selector is the argument of `absent` or `absent_over_time`, parentheses or not.
    pub absent: bool,
}

/// What stands around the place of a matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// No braces: a bare name stands before.
    Nothing,
    /// Empty braces.
    EmptyBraces,
    /// Braces with other matchers after it.
    Matchers,
}

/// Reads `text` as [`parse`] does, but takes selectors that match everything empty.
pub(super) fn read<'a>(
    text: &'a str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<Read<'a>, QueryError> {
    let tokens = lex(text, limits)?;
    let mut cursor = Cursor::new(text, &tokens, limits);
    let mut builder = Builder {
        text,
        tree: Tree {
            nodes: Vec::with_capacity(tokens.len() / 2 + 1),
            // As much as most texts need.
            selectors: Vec::with_capacity(2),
            matchers: Vec::with_capacity(6),
            ..Tree::default()
        },
        places: Vec::with_capacity(2),
        pending: Vec::new(),
        features,
        max_selectors: limits.selectors,
    };
    match entry {
        Entry::Expression => expression::expression(&mut cursor, &mut builder)?,
        Entry::Selector | Entry::AnySelector => selector::selector(&mut cursor, &mut builder)?,
    };
    if cursor.peek().is_some() {
        return Err(cursor.unexpected("an operator or the end"));
    }
    let Builder { tree, places, .. } = builder;
    Ok(Read { tokens, tree, places })
}

/// A tree being built.
struct Builder<'a> {
    text: &'a str,
    tree: Tree<'a>,
    places: Vec<Place>,
    /// Arguments of the calls that are open, innermost last.
    pending: Vec<NodeId>,
    features: Features,
    max_selectors: usize,
}

/// The length of a list as an index. Lists are shorter than the cap on tokens.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl<'a> Builder<'a> {
    fn text(&self, token: Token<Kind>) -> &'a str {
        token.span.of(self.text)
    }

    fn push(&mut self, expr: Expr<'a>, returns: Type, span: Span) -> NodeId {
        let id = NodeId(index(self.tree.nodes.len()));
        self.tree.nodes.push(Node { expr, returns, position: Position(span) });
        id
    }

    fn returns(&self, id: NodeId) -> Type {
        self.tree.node(id).returns
    }

    fn span(&self, id: NodeId) -> Span {
        self.tree.node(id).position.0
    }

    /// Lets the node `id` end where the last token taken ends.
    fn extend(&mut self, id: NodeId, cursor: &Cursor<'_>) {
        if let Some(node) = self.tree.nodes.get_mut(id.0 as usize) {
            node.position.0.to = cursor.before().to;
        }
    }

    /// Requires the node `id` to be of type `expected`.
    fn expect_type(&self, id: NodeId, expected: Type, place: &str) -> Result<(), QueryError> {
        let found = self.returns(id);
        if found == expected {
            return Ok(());
        }
        let (expected, found) = (expected.name(), found.name());
        Err(QueryError::syntax(self.span(id), format!("expected {expected} in {place}, got {found}")))
    }
}

/// The value of a string token.
fn unquoted<'a>(builder: &Builder<'a>, token: Token<Kind>) -> Result<Cow<'a, [u8]>, QueryError> {
    quote::unquote(builder.text(token), Dialect::Prometheus)
        .map_err(|bad| QueryError::syntax(token.span, bad.to_string()))
}

/// The value of a string token that is a label of a list: UTF-8, and not empty.
fn quoted_name<'a>(builder: &Builder<'a>, token: Token<Kind>) -> Result<Cow<'a, str>, QueryError> {
    let name = utf8_name(builder, token)?;
    if name.is_empty() {
        return Err(QueryError::syntax(token.span, "a label in a list must not be empty"));
    }
    Ok(name)
}

/// The value of a string token that is a name. No name is UTF-8 that is not; Prometheus takes it all the
/// same in a selector.
fn utf8_name<'a>(builder: &Builder<'a>, token: Token<Kind>) -> Result<Cow<'a, str>, QueryError> {
    let name = match unquoted(builder, token)? {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    name.ok_or_else(|| QueryError::unsupported(token.span, "a name must be UTF-8"))
}

/// The list from `from` to the end of `all`.
fn list_from<T>(all: &[T], from: usize) -> List {
    List { from: index(from), to: index(all.len()) }
}
