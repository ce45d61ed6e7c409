//! Laying out a long text so that Tempo's scanner reads all of it.
//!
//! The scanner reads chunks of 1,024 bytes and can lose one where a number or an attribute stands at
//! its end ([`super::chunk`]). Spaces before a token that would stand there move it past the end. A
//! string may stand there: no copy of the scanner reads one.

use super::chunk;
use super::lex::{Kind, lex};
use crate::lang::QueryError;
use crate::lang::core::emit::Emitted;
use crate::limits::QueryLimits;
use crate::span::Span;

/// Bytes kept free of tokens on each side of a chunk's end.
const MARGIN: usize = 2;

/// `emitted`, padded if it is over one chunk.
///
/// # Errors
/// `unsafe` if a token other than a string is too long for any place, `defect` if the text is not of
/// our tokens.
pub(super) fn lay_out(emitted: Emitted) -> Result<Emitted, QueryError> {
    if emitted.text.len() <= chunk::BYTES { Ok(emitted) } else { pad(&emitted) }
}

fn pad(emitted: &Emitted) -> Result<Emitted, QueryError> {
    let source = emitted.text.as_str();
    let any = QueryLimits { bytes: usize::MAX, tokens: usize::MAX, ..QueryLimits::default() };
    let tokens =
        lex(source, &any).map_err(|_| QueryError::defect("the emitted text could not be read again"))?;
    let mut text = String::with_capacity(source.len() + source.len() / 64);
    // For each token that was moved: where it was, and by how much all from there on is moved.
    let mut moved: Vec<(usize, usize)> = Vec::new();
    let mut end = chunk::BYTES;
    let mut copied = 0;
    for token in &tokens {
        text.push_str(Span::new(copied, token.span.from).of(source));
        copied = token.span.to;
        let word = token.span.of(source);
        if token.kind != Kind::String {
            end = next_end(&text, end);
            if text.len() + word.len() + MARGIN > end {
                let padding = end + MARGIN - text.len();
                text.extend(std::iter::repeat_n(' ', padding));
                moved.push((token.span.from, text.len() - token.span.from));
                end = next_end(&text, end);
            }
            if text.len() + word.len() + MARGIN > end {
                return Err(QueryError {
                    span: None,
                    ..QueryError::unsafe_(
                        Span::at(0),
                        "query too long to be laid out: a name or number in it is as long as a chunk of Tempo's scanner, shorten it",
                    )
                });
            }
        }
        text.push_str(word);
    }
    // An insertion begins before the spaces that move its first token.
    let new = |old: usize, including: bool| {
        let before = moved.partition_point(|(from, _)| *from < old || including && *from == old);
        old + before.checked_sub(1).and_then(|i| moved.get(i)).map_or(0, |(_, by)| *by)
    };
    let insertions =
        emitted.insertions.iter().map(|i| Span::new(new(i.from, false), new(i.to, false))).collect();
    Ok(Emitted { text, insertions })
}

/// The first end of a chunk, from `end` on, that what follows `text` can meet. The scanner's chunks
/// follow each other, but a character that straddles an end is read again with the next chunk.
fn next_end(text: &str, mut end: usize) -> usize {
    while end + MARGIN <= text.len() {
        end = text.floor_char_boundary(end) + chunk::BYTES;
    }
    end
}
