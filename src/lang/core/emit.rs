//! Writing accepted tokens back with insertions between them.
//!
//! Each token's own text is written byte for byte; between two tokens stands exactly one space where
//! the caller had white space or a comment, and nothing where there was nothing. So no comment and no
//! odd spacing reaches a backend, and no literal changes.

use super::token::Token;
use crate::span::Span;

/// A text to put between two tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insertion<'s> {
    /// How many tokens stand before it: it is written directly after token `at - 1`, before any space.
    pub at: usize,
    /// The text, with its own spacing.
    pub text: std::borrow::Cow<'s, str>,
}

/// What [`emit`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// The text.
    pub text: String,
    /// Where each insertion is in it, in order.
    pub insertions: Vec<Span>,
}

/// Writes `tokens` of `source` with `insertions`, which are in the order of `at`.
///
/// Linear in both. An insertion after the last token is written at the end.
pub fn emit<K>(source: &str, tokens: &[Token<K>], insertions: &[Insertion<'_>]) -> Emitted {
    let inserted: usize = insertions.iter().map(|i| i.text.len()).sum();
    let mut text = String::with_capacity(source.len() + inserted);
    let mut spans = Vec::with_capacity(insertions.len());
    let mut pending = insertions.iter().peekable();
    for index in 0..=tokens.len() {
        while let Some(insertion) = pending.next_if(|i| i.at <= index) {
            let from = text.len();
            text.push_str(&insertion.text);
            spans.push(Span::new(from, text.len()));
        }
        if let Some(token) = tokens.get(index) {
            if token.spaced && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token.span.of(source));
        }
    }
    Emitted { text, insertions: spans }
}
