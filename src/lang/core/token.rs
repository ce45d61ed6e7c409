//! Tokens with spans, and a cursor over them.

use crate::lang::QueryError;
use crate::limits::QueryLimits;
use crate::span::Span;

/// One token: its kind, where it stands, and whether white space or a comment stood before it.
///
/// Tokens tile the text: between two of them there is only white space and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<K> {
    /// The kind.
    pub kind: K,
    /// Where its text is.
    pub span: Span,
    /// White space or a comment stood directly before it. The first token's is not kept.
    pub spaced: bool,
}

/// Refuses a text over the cap on bytes, before anything reads it.
///
/// # Errors
/// `limit` if `text` is longer than `limits.bytes`.
pub fn check_bytes(text: &str, limits: &QueryLimits) -> Result<(), QueryError> {
    if text.len() > limits.bytes {
        return Err(QueryError::limit("bytes (`limits.query.bytes`)", limits.bytes, None));
    }
    Ok(())
}

/// A position in a list of tokens, with the depth of nesting counted.
///
/// Every production that can hold itself calls [`Cursor::deeper`], so recursion never exceeds the
/// cap, whatever the text.
#[derive(Debug)]
pub struct Cursor<'a, K> {
    text: &'a str,
    tokens: &'a [Token<K>],
    next: usize,
    depth: usize,
    max_depth: usize,
}

impl<'a, K: Copy + PartialEq> Cursor<'a, K> {
    /// A cursor before the first of `tokens`, which were read from `text`.
    pub fn new(text: &'a str, tokens: &'a [Token<K>], limits: &QueryLimits) -> Self {
        Self { text, tokens, next: 0, depth: 0, max_depth: limits.nesting }
    }

    /// The next token's kind, `None` at the end.
    pub fn peek(&self) -> Option<K> {
        self.tokens.get(self.next).map(|t| t.kind)
    }

    /// The kind of the token `ahead` places after the next one.
    pub fn peek_at(&self, ahead: usize) -> Option<K> {
        self.tokens.get(self.next + ahead).map(|t| t.kind)
    }

    /// The next token itself.
    pub fn token(&self) -> Option<Token<K>> {
        self.tokens.get(self.next).copied()
    }

    /// How many tokens have been taken: the index of the next one.
    pub fn index(&self) -> usize {
        self.next
    }

    /// Takes the next token.
    pub fn bump(&mut self) -> Option<Token<K>> {
        let token = self.token()?;
        self.next += 1;
        Some(token)
    }

    /// Takes the next token if it is of `kind`.
    pub fn eat(&mut self, kind: K) -> Option<Token<K>> {
        if self.peek() == Some(kind) { self.bump() } else { None }
    }

    /// Takes a token of `kind`, which the grammar requires here.
    ///
    /// # Errors
    /// `syntax` naming `what` was expected.
    pub fn expect(&mut self, kind: K, what: &str) -> Result<Token<K>, QueryError> {
        self.eat(kind).ok_or_else(|| self.unexpected(what))
    }

    /// The span of the next token, or the end of the text.
    pub fn here(&self) -> Span {
        self.token().map_or(Span::at(self.text.len()), |t| t.span)
    }

    /// The span of the last token taken.
    pub fn before(&self) -> Span {
        let last = self.next.checked_sub(1).and_then(|i| self.tokens.get(i));
        last.map_or(Span::at(0), |t| t.span)
    }

    /// The text of `token`.
    pub fn text(&self, token: Token<K>) -> &'a str {
        self.text.get(token.span.from..token.span.to).unwrap_or("")
    }

    /// The refusal of the next token, where `what` was expected.
    pub fn unexpected(&self, what: &str) -> QueryError {
        let here = self.here();
        match here.of(self.text) {
            "" => QueryError::syntax(here, format!("unexpected end, expected {what}")),
            found => QueryError::syntax(here, format!("unexpected `{}`, expected {what}", shortened(found))),
        }
    }

    /// Runs `production` one level deeper.
    ///
    /// # Errors
    /// `limit` over the cap on nesting, or what `production` refuses.
    pub fn deeper<T>(
        &mut self,
        production: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if self.depth >= self.max_depth {
            return Err(QueryError::limit(
                "levels of nesting (`limits.query.nesting`)",
                self.max_depth,
                Some(self.here()),
            ));
        }
        self.depth += 1;
        let result = production(self);
        self.depth -= 1;
        result
    }
}

/// At most 40 characters of `text`, for a message.
pub fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(40).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
