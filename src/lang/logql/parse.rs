//! Tokens into a tree: Loki 3.7's grammar (`pkg/logql/syntax/syntax.y`) and its checks (`parser.go`,
//! `ast.go`), one function a production.
//!
//! Where Loki's grammar is ambiguous its generator shifts; each such place says so.

mod capture;
mod expression;
mod filter;
mod pasted;
mod pipeline;
mod range;
mod selector;

use super::lex::{Kind, lex};
use super::tree::{Expr, LogQuery, Selector, SelectorId, Slice, Text, Tree};
use crate::lang::core::nullable::is_malformed;
use crate::lang::core::quote::{Dialect, unquote};
use crate::lang::core::token::{Cursor, Token};
use crate::lang::{Features, QueryError};
use crate::limits::QueryLimits;
use crate::span::{Position, Span};

/// What the whole text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Any expression: a log query or a metric query.
    Expression,
    /// A stream selector and its pipeline.
    LogQuery,
    /// A stream selector alone.
    Selector,
    /// A log query whose values of `service_name` Loki can paste into a query of its own.
    Pasted,
    /// An expression with one stream selector, no more and no less.
    OneSelector,
}

/// Reads `text`. Linear, and never deeper than the cap on nesting.
///
/// # Errors
/// `limit` over a cap; `syntax` for what Loki refuses; `unsupported` for what is not accepted here.
pub fn parse<'a>(
    text: &'a str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<Tree<'a>, QueryError> {
    read(text, entry, features, limits).map(|read| read.tree)
}

/// A text, read.
pub(super) struct Read<'a> {
    pub tree: Tree<'a>,
    pub tokens: Vec<Token<Kind>>,
    /// For each selector, the index of its opening brace's token.
    pub openings: Vec<usize>,
}

impl Read<'_> {
    /// What stands before a scope that is a selector of its own: one without matchers.
    pub fn of_empty_selector() -> Self {
        let mut tree = Tree::default();
        tree.selectors.push(Selector { matchers: Slice::default(), absent: false, at: Position::default() });
        let query = LogQuery { selector: SelectorId(0), stages: Slice::default() };
        tree.exprs.push(Expr::Log(query));
        Self { tree, tokens: Vec::new(), openings: Vec::new() }
    }
}

/// As [`parse`], with what scoping needs besides the tree.
pub(super) fn read<'a>(
    text: &'a str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<Read<'a>, QueryError> {
    let tokens = lex(text, limits)?;
    let mut out = Output {
        text,
        features,
        selectors: limits.selectors,
        in_variants: false,
        tree: Tree::default(),
        openings: Vec::new(),
    };
    let mut at = Cursor::new(text, &tokens, limits);
    out.tree.root = match entry {
        Entry::Expression | Entry::OneSelector => expression::whole(&mut at, &mut out)?,
        Entry::LogQuery | Entry::Pasted => expression::whole_log_query(&mut at, &mut out)?,
        Entry::Selector => selector::alone(&mut at, &mut out)?,
    };
    if at.peek().is_some() {
        return Err(at.unexpected("end of query"));
    }
    let Output { tree, openings, .. } = out;
    match entry {
        Entry::Expression | Entry::LogQuery | Entry::Selector => {}
        Entry::Pasted => pasted::check(&tree)?,
        // Of a text without one Loki counts every stream (`ExtractShardRequestMatchersAndAST` in
        // `pkg/indexgateway`), and it takes no more than one.
        Entry::OneSelector if tree.selectors.len() == 1 => {}
        Entry::OneSelector => {
            let span = Span::new(0, text.len());
            return Err(QueryError::unsafe_(span, "exactly one stream selector is needed here"));
        }
    }
    Ok(Read { tree, tokens, openings })
}

pub(super) use self::pasted::can_be_pasted;

/// The reader's position.
type At<'t> = Cursor<'t, Kind>;

/// What has been read so far.
struct Output<'a> {
    text: &'a str,
    features: Features,
    /// The cap on selectors.
    selectors: usize,
    /// What is read is one of the variants.
    in_variants: bool,
    tree: Tree<'a>,
    openings: Vec<usize>,
}

impl<'a> Output<'a> {
    /// The text of `token`.
    fn word(&self, token: Token<Kind>) -> &'a str {
        token.span.of(self.text)
    }

    /// The value of `token`, a string literal.
    fn unquoted(&self, token: Token<Kind>) -> Result<Text<'a>, QueryError> {
        let literal = self.word(token);
        unquote(literal, Dialect::Prometheus).map_err(|e| QueryError::syntax(token.span, e.to_string()))
    }
}

/// Takes an identifier.
fn identifier<'a>(at: &mut At<'_>, out: &Output<'a>, what: &str) -> Result<&'a str, QueryError> {
    at.expect(Kind::Identifier, what).map(|token| out.word(token))
}

/// Takes a string literal.
fn string<'a>(at: &mut At<'_>, out: &Output<'a>) -> Result<Text<'a>, QueryError> {
    let token = at.expect(Kind::String, "a string")?;
    out.unquoted(token)
}

/// Takes a string literal that is a pattern of RE2. Loki compiles it; what it surely refuses is refused.
fn pattern<'a>(at: &mut At<'_>, out: &Output<'a>) -> Result<Text<'a>, QueryError> {
    let span = at.here();
    let pattern = string(at, out)?;
    if is_malformed(&pattern) {
        return Err(QueryError::syntax(span, "malformed regular expression"));
    }
    Ok(pattern)
}

/// `(a, b)`, and `()`.
fn names(at: &mut At<'_>, out: &mut Output<'_>) -> Result<Slice, QueryError> {
    at.expect(Kind::OpenParenthesis, "`(`")?;
    let from = index(out.tree.names.len());
    if at.peek() == Some(Kind::Identifier) {
        loop {
            let name = identifier(at, out, "a label")?;
            out.tree.names.push(name);
            if at.eat(Kind::Comma).is_none() {
                break;
            }
        }
    }
    at.expect(Kind::CloseParenthesis, "`)`")?;
    Ok(Slice { from, to: index(out.tree.names.len()) })
}

/// A length as an index. No list has more entries than the text has bytes.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
