//! Text into tokens, as Loki 3.7's lexer splits it, for the part of it that is accepted.
//!
//! Loki scans with a copy of Go's `text/scanner` (`pkg/logql/syntax/query_scanner.go`) and decides on
//! words, units and flags in `lex.go`. Refused here though Loki takes them: `//` and `/* */` comments,
//! character literals, identifiers beyond ASCII or of one odd character, numbers in other bases, and
//! numbers that run into a word.

pub use super::kind::Kind;
use super::number;
use super::word::{self, Word};
use crate::lang::QueryError;
use crate::lang::core::token::{Token, check_bytes};
use crate::limits::QueryLimits;
use crate::span::Span;

/// Whether `name` is a function, an aggregation, a stage or a keyword.
pub fn is_word(name: &str) -> bool {
    word::lookup(name).is_some()
}

/// Whether a token is such a name where it stands, and not a label's.
pub fn is_name(_: &str, kind: Kind, _: Option<Kind>) -> bool {
    !matches!(
        kind,
        Kind::Identifier | Kind::String | Kind::Number | Kind::Duration | Kind::Bytes | Kind::Range
    )
}

/// Splits `text` into tokens. Linear.
///
/// # Errors
/// `limit` over the caps on bytes and tokens; `syntax` and `unsupported` for what is not accepted.
pub fn lex(text: &str, limits: &QueryLimits) -> Result<Vec<Token<Kind>>, QueryError> {
    check_bytes(text, limits)?;
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 3 + 4);
    loop {
        let from = lexer.at;
        lexer.skip()?;
        let spaced = lexer.at > from && !tokens.is_empty();
        let from = lexer.at;
        let Some(byte) = lexer.peek(0) else { return Ok(tokens) };
        if tokens.len() >= limits.tokens {
            return Err(QueryError::limit(
                "tokens (`limits.query.tokens`)",
                limits.tokens,
                Some(Span::at(from)),
            ));
        }
        let kind = lexer.token(byte)?;
        tokens.push(Token { kind, span: Span::new(from, lexer.at), spaced });
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Skips white space and `#` comments.
    fn skip(&mut self) -> Result<(), QueryError> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'#' => {
                    let comment = self.rest();
                    let length = comment.find('\n').unwrap_or(comment.len());
                    self.no_nul(length)?;
                    self.at += length;
                }
                b'/' if matches!(self.peek(1), Some(b'/' | b'*')) => {
                    let span = Span::new(self.at, self.at + 2);
                    return Err(QueryError::unsupported(
                        span,
                        "`//` and `/*` comments are not accepted, use `#`",
                    ));
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn token(&mut self, byte: u8) -> Result<Kind, QueryError> {
        let (kind, length) = match (byte, self.peek(1)) {
            (b'a'..=b'z' | b'A'..=b'Z' | b'_', _) => return self.word(),
            (b'"', _) => return self.string(),
            (b'`', _) => return self.raw_string(),
            (b'0'..=b'9', _) | (b'.', Some(b'0'..=b'9')) => return self.number(),
            (b'[', _) => return self.range(),
            (b'-', _) => return Ok(self.minus()),
            (b'{', _) => (Kind::OpenBrace, 1),
            (b'}', _) => (Kind::CloseBrace, 1),
            (b'(', _) => (Kind::OpenParenthesis, 1),
            (b')', _) => (Kind::CloseParenthesis, 1),
            (b',', _) => (Kind::Comma, 1),
            (b'=', Some(b'=')) => (Kind::Equality, 2),
            (b'=', Some(b'~')) => (Kind::Match, 2),
            (b'=', _) => (Kind::Equal, 1),
            (b'!', Some(b'=')) => (Kind::NotEqual, 2),
            (b'!', Some(b'~')) => (Kind::NotMatch, 2),
            (b'!', Some(b'>')) => (Kind::NotPattern, 2),
            (b'|', Some(b'=')) => (Kind::PipeExact, 2),
            (b'|', Some(b'~')) => (Kind::PipeMatch, 2),
            (b'|', Some(b'>')) => (Kind::PipePattern, 2),
            (b'|', _) => (Kind::Pipe, 1),
            (b'>', Some(b'=')) => (Kind::GreaterOrEqual, 2),
            (b'>', _) => (Kind::Greater, 1),
            (b'<', Some(b'=')) => (Kind::LessOrEqual, 2),
            (b'<', _) => (Kind::Less, 1),
            (b'+', _) => (Kind::Add, 1),
            (b'*', _) => (Kind::Multiply, 1),
            (b'/', _) => (Kind::Divide, 1),
            (b'%', _) => (Kind::Modulo, 1),
            (b'^', _) => (Kind::Power, 1),
            _ => return Err(self.stranger(byte)),
        };
        self.at += length;
        Ok(kind)
    }

    /// The refusal of a character that begins no token.
    fn stranger(&self, byte: u8) -> QueryError {
        let character = self.rest().chars().next().unwrap_or(' ');
        let span = Span::new(self.at, self.at + character.len_utf8());
        match byte {
            b'\'' => QueryError::unsupported(span, "`'` begins no string, use `\"` or a backquote"),
            // To Loki these are identifiers.
            0x80.. => QueryError::unsupported(
                span,
                "characters beyond ASCII are accepted within strings and comments only",
            ),
            b'@' | b'$' | b'~' | b';' | b':' | b'?' | b'&' | b'\\' | b'!' => {
                QueryError::unsupported(span, format!("`{character}` is not accepted as a name"))
            }
            b'.' | b']' => QueryError::syntax(span, format!("unexpected `{character}`")),
            _ => QueryError::syntax(span, "unexpected control character"),
        }
    }

    fn word(&mut self) -> Result<Kind, QueryError> {
        let rest = self.rest();
        let end = rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        self.at += end;
        if let Some(byte @ 0x80..) = self.peek(0) {
            return Err(self.stranger(byte));
        }
        Ok(match word::lookup(word) {
            Some(Word::Keyword(kind)) => kind,
            Some(Word::Function(kind)) if word::call_follows(after) => kind,
            _ => Kind::Identifier,
        })
    }

    fn string(&mut self) -> Result<Kind, QueryError> {
        let mut length = 1;
        loop {
            match self.peek(length) {
                Some(b'"') => break,
                Some(b'\\') => length += 2,
                None | Some(b'\n') => return Err(self.unterminated()),
                Some(_) => length += 1,
            }
        }
        self.no_nul(length)?;
        self.at += length + 1;
        Ok(Kind::String)
    }

    fn raw_string(&mut self) -> Result<Kind, QueryError> {
        let inside = self.text.get(self.at + 1..).unwrap_or("");
        let length = inside.find('`').ok_or_else(|| self.unterminated())?;
        self.no_nul(length + 1)?;
        self.at += length + 2;
        Ok(Kind::String)
    }

    fn unterminated(&self) -> QueryError {
        QueryError::syntax(Span::new(self.at, self.text.len()), "string is not terminated")
    }

    /// Loki refuses a NUL wherever it stands.
    fn no_nul(&self, length: usize) -> Result<(), QueryError> {
        let bytes = self.text.as_bytes().get(self.at..self.at + length).unwrap_or_default();
        match bytes.iter().position(|&b| b == 0) {
            Some(at) => Err(QueryError::syntax(
                Span::new(self.at + at, self.at + at + 1),
                "unexpected control character",
            )),
            None => Ok(()),
        }
    }

    /// `[` and everything up to the next `]`, whatever it is; the parser reads the duration in it.
    fn range(&mut self) -> Result<Kind, QueryError> {
        let Some(length) = self.rest().find(']') else {
            return Err(QueryError::syntax(
                Span::new(self.at, self.text.len()),
                "missing closing `]` in duration",
            ));
        };
        self.at += length + 1;
        Ok(Kind::Range)
    }

    /// `-`, or a flag or a negative duration that it begins.
    fn minus(&mut self) -> Kind {
        let rest = self.rest();
        let flag = flag_bytes(rest);
        let (kind, length) = match rest.get(..flag) {
            Some("--strict") => (Kind::Strict, flag),
            Some("--keep-empty") => (Kind::KeepEmpty, flag),
            _ => {
                let length = 1 + self.run(1, is_duration_byte);
                match rest.get(..length).and_then(number::duration) {
                    Some(_) => (Kind::Duration, length),
                    None => (Kind::Subtract, 1),
                }
            }
        };
        self.at += length;
        kind
    }

    /// How many bytes from `ahead` on are `wanted`; `µ` counts where units of time are wanted.
    fn run(&self, ahead: usize, wanted: fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().get(self.at + ahead..).unwrap_or_default();
        rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len())
    }

    fn number(&mut self) -> Result<Kind, QueryError> {
        let from = self.at;
        self.digits_and_exponent()?;
        let mut kind = Kind::Number;
        let text = |to: usize| self.text.get(from..to).unwrap_or("");
        let times = self.run(0, is_duration_byte);
        let sizes = self.run(0, is_size_byte);
        if times > 0 && number::duration(text(self.at + times)).is_some() {
            kind = Kind::Duration;
            self.at += times;
        } else if sizes > 0 && number::bytes(text(self.at + sizes)).is_some() {
            kind = Kind::Bytes;
            self.at += sizes;
        }
        match self.peek(0) {
            Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | 0x80..) => {
                let span = Span::new(from, self.at);
                Err(QueryError::unsupported(
                    span,
                    "number runs into what follows it, write a space between them",
                ))
            }
            _ => Ok(kind),
        }
    }

    /// A decimal number. `08` is refused as a bad octal number and `0B` as an empty binary one, as Go's
    /// scanner refuses them; `010` is ten.
    fn digits_and_exponent(&mut self) -> Result<(), QueryError> {
        let from = self.at;
        let whole = self.digits();
        let mut integer = true;
        if self.peek(0) == Some(b'.') {
            self.at += 1;
            self.digits();
            integer = false;
        }
        if let Some(b'e' | b'E') = self.peek(0) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek(0) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.bad_number(from));
            }
            integer = false;
        }
        let text = self.text.get(from..self.at).unwrap_or("");
        let octal = integer && whole > 1 && text.starts_with('0');
        let misplaced = text.contains('_') && !underscores_separate_digits(text.as_bytes());
        let prefix = match self.peek(0) {
            Some(b'b' | b'B' | b'o' | b'O' | b'x' | b'X') => text == "0",
            next => matches!(next, Some(b'p' | b'P')),
        };
        if misplaced || prefix || (octal && text.contains(['8', '9'])) {
            return Err(self.bad_number(from));
        }
        Ok(())
    }

    fn bad_number(&self, from: usize) -> QueryError {
        QueryError::syntax(Span::new(from, self.at), "malformed number")
    }

    fn digits(&mut self) -> usize {
        let length = self.run(0, |b| b.is_ascii_digit() || b == b'_');
        self.at += length;
        length
    }
}

/// What Loki's `isDurationRune` takes, with digits and the dot. `µ` is two bytes.
fn is_duration_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'n' | b'u' | b'm' | b's' | b'h' | b'd' | b'w' | b'y' | 0xc2 | 0xb5)
}

/// What Loki's `isBytesSizeRune` takes, with digits and the dot. `P` never gets there: after a number
/// Go's scanner takes it for a hexadecimal exponent and fails.
fn is_size_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'B' | b'i' | b'k' | b'K' | b'M' | b'G' | b'T')
}

fn underscores_separate_digits(number: &[u8]) -> bool {
    let digit = |at: Option<usize>| at.and_then(|i| number.get(i)).is_some_and(u8::is_ascii_digit);
    let underscores = number.iter().enumerate().filter(|(_, b)| **b == b'_');
    underscores.map(|(i, _)| i).all(|i| digit(i.checked_sub(1)) && digit(Some(i + 1)))
}

/// Bytes of the flag that `rest` may begin with, looked at no further than the longest flag and one byte more: a text of
/// dashes alone is looked at once, not once for each of them.
fn flag_bytes(rest: &str) -> usize {
    const LOOKED_AT: usize = "--keep-empty".len() + 1;
    let begun = rest.bytes().take(LOOKED_AT);
    begun.take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'-').count()
}

#[cfg(test)]
#[path = "lex/tests.rs"]
mod tests;
