//! Tokens of PromQL, as `promql/parser/lex.go` of Prometheus 3.16 reads them.
//!
//! What a character means depends on where it stands: inside braces there are no keywords and no
//! numbers, inside brackets only numbers, operators and four words.

use super::function::Function;
use super::number;
use super::word::Word;
use crate::lang::QueryError;
use crate::lang::core::token::{self, Token};
use crate::limits::QueryLimits;
use crate::span::Span;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `{`
    LeftBrace,
    /// `}`
    RightBrace,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `,`
    Comma,
    /// `:` inside brackets.
    Colon,
    /// `@`
    At,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `==`
    Equals,
    /// `!=`, outside and inside braces.
    Differs,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `</`
    TrimUpper,
    /// `>/`
    TrimLower,
    /// `=` inside braces.
    Is,
    /// `=~` inside braces.
    Matches,
    /// `!~` inside braces.
    MatchesNot,
    /// A name without a colon.
    Name,
    /// A name with a colon: a metric, never a label of a matcher.
    ColonName,
    /// A keyword, outside braces only.
    Word(Word),
    /// A number, also `inf` and `nan`.
    Number,
    /// A duration such as `1h30m`.
    Duration,
    /// A string literal with its quotes; its escapes are not looked at here.
    String,
}

/// Where the lexer stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Open,
    Braces,
    /// In brackets before a number, where Prometheus takes no comment.
    Brackets,
    /// In brackets after the first number.
    BracketsAfterNumber,
}

/// Whether `name` is a function, an aggregation, a keyword, or a sign that is one within braces only.
pub fn is_word(name: &str) -> bool {
    Function::of(name).is_some() || Word::of(name).is_some() || matches!(name, "info" | "=" | "=~" | "!~")
}

/// Whether a token is such a name where it stands, and not a metric's or a label's: functions and aggregations are called.
pub fn is_name(_: &str, kind: Kind, next: Option<Kind>) -> bool {
    match kind {
        Kind::Name => next == Some(Kind::LeftParen),
        Kind::Word(
            Word::Sum
            | Word::Avg
            | Word::Min
            | Word::Max
            | Word::Topk
            | Word::Bottomk
            | Word::Count
            | Word::Group
            | Word::Stddev
            | Word::Stdvar
            | Word::Limitk
            | Word::LimitRatio
            | Word::Quantile
            | Word::CountValues,
        ) => matches!(next, Some(Kind::LeftParen | Kind::Word(Word::By | Word::Without))),
        Kind::ColonName | Kind::Number | Kind::Duration | Kind::String => false,
        _ => true,
    }
}

/// Reads `text` into tokens that tile it: between them there is only white space and comments.
///
/// # Errors
/// `limit` over the caps on bytes and tokens; `syntax` for what no query has.
pub fn lex(text: &str, limits: &QueryLimits) -> Result<Vec<Token<Kind>>, QueryError> {
    token::check_bytes(text, limits)?;
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, place: Place::Open };
    let mut tokens = Vec::with_capacity(text.len() / 3 + 4);
    while let Some(token) = lexer.token(!tokens.is_empty())? {
        if tokens.len() >= limits.tokens {
            return Err(QueryError::limit("tokens (`limits.query.tokens`)", limits.tokens, Some(token.span)));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    place: Place,
}

/// Whether `byte` may continue a name. Only ASCII: Prometheus takes other letters behind a flag.
pub(super) fn continues_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next token, `None` at the end.
    fn token(&mut self, after_another: bool) -> Result<Option<Token<Kind>>, QueryError> {
        let spaced = self.skip_trivia()? && after_another;
        let from = self.at;
        let Some(byte) = self.peek() else { return Ok(None) };
        self.at += 1;
        let kind = match self.place {
            Place::Braces => self.in_braces(byte, from)?,
            Place::Open => self.open(byte, from)?,
            Place::Brackets | Place::BracketsAfterNumber => self.in_brackets(byte, from)?,
        };
        Ok(Some(Token { kind, span: Span::new(from, self.at), spaced }))
    }

    /// Skips white space and comments, which end at a line feed **or** a carriage return; tells
    /// whether there was any.
    fn skip_trivia(&mut self) -> Result<bool, QueryError> {
        let from = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'#' if self.place == Place::Brackets => return Err(self.unexpected(self.at)),
                b'#' => {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    self.at += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        Ok(self.at > from)
    }

    /// The refusal of the character at `at`.
    fn unexpected(&self, at: usize) -> QueryError {
        let character = self.text.get(at..).and_then(|rest| rest.chars().next());
        let span = Span::new(at, at + character.map_or(0, char::len_utf8));
        match character {
            Some(c) => QueryError::syntax(span, format!("unexpected character `{}`", c.escape_debug())),
            None => QueryError::syntax(span, "unexpected end"),
        }
    }

    fn follows(&mut self, byte: u8) -> bool {
        let follows = self.peek() == Some(byte);
        self.at += usize::from(follows);
        follows
    }

    fn open(&mut self, byte: u8, from: usize) -> Result<Kind, QueryError> {
        Ok(match byte {
            b'=' if self.follows(b'=') => Kind::Equals,
            b'!' if self.follows(b'=') => Kind::Differs,
            b'<' if self.follows(b'=') => Kind::LessOrEqual,
            b'<' if self.follows(b'/') => Kind::TrimUpper,
            b'<' => Kind::Less,
            b'>' if self.follows(b'=') => Kind::GreaterOrEqual,
            b'>' if self.follows(b'/') => Kind::TrimLower,
            b'>' => Kind::Greater,
            b'@' => Kind::At,
            b'{' => {
                self.place = Place::Braces;
                Kind::LeftBrace
            }
            b'[' => {
                self.place = Place::Brackets;
                Kind::LeftBracket
            }
            b'"' | b'\'' | b'`' => self.string(byte, from)?,
            _ if starts_name(byte) || byte == b':' => self.word(from),
            _ => self.number_or_operator(byte, from)?,
        })
    }

    fn in_braces(&mut self, byte: u8, from: usize) -> Result<Kind, QueryError> {
        Ok(match byte {
            b'=' if self.follows(b'~') => Kind::Matches,
            b'=' => Kind::Is,
            b'!' if self.follows(b'~') => Kind::MatchesNot,
            b'!' if self.follows(b'=') => Kind::Differs,
            b',' => Kind::Comma,
            b'}' => {
                self.place = Place::Open;
                Kind::RightBrace
            }
            b'"' | b'\'' | b'`' => self.string(byte, from)?,
            _ if starts_name(byte) => {
                self.skip_while(continues_name);
                Kind::Name
            }
            _ => return Err(self.unexpected(from)),
        })
    }

    fn in_brackets(&mut self, byte: u8, from: usize) -> Result<Kind, QueryError> {
        Ok(match byte {
            b':' => Kind::Colon,
            b']' => {
                self.place = Place::Open;
                Kind::RightBracket
            }
            _ if starts_name(byte) => {
                while self.peek().is_some_and(starts_name) {
                    self.at += 1;
                }
                match Word::of(Span::new(from, self.at).of(self.text)) {
                    Some(word @ (Word::Step | Word::Range | Word::MaxOf | Word::MinOf)) => Kind::Word(word),
                    _ => return Err(self.unexpected(from)),
                }
            }
            _ => self.number_or_operator(byte, from)?,
        })
    }

    /// What is the same inside brackets and outside.
    fn number_or_operator(&mut self, byte: u8, from: usize) -> Result<Kind, QueryError> {
        Ok(match byte {
            b'(' => Kind::LeftParen,
            b')' => Kind::RightParen,
            b',' => Kind::Comma,
            b'+' => Kind::Add,
            b'-' => Kind::Sub,
            b'*' => Kind::Mul,
            b'/' => Kind::Div,
            b'%' => Kind::Mod,
            b'^' => Kind::Pow,
            b'0'..=b'9' => self.number(from)?,
            b'.' if self.peek().is_some_and(|b| b.is_ascii_digit()) => self.number(from)?,
            _ => return Err(self.unexpected(from)),
        })
    }

    fn number(&mut self, from: usize) -> Result<Kind, QueryError> {
        if self.place == Place::Brackets {
            self.place = Place::BracketsAfterNumber;
        }
        let rest = self.bytes.get(from..).unwrap_or_default();
        let (kind, length) = match (number::duration_length(rest), number::number_length(rest)) {
            (Some(length), _) => (Kind::Duration, length),
            (None, Some(length)) => (Kind::Number, length),
            (None, None) => {
                let end = rest.iter().position(|&b| !continues_name(b) && b != b'.').unwrap_or(rest.len());
                let span = Span::new(from, from + end);
                let shown = token::shortened(span.of(self.text));
                return Err(QueryError::syntax(span, format!("bad number or duration `{shown}`")));
            }
        };
        self.at = from + length;
        Ok(kind)
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|&byte| !belongs(byte)).unwrap_or(rest.len());
    }

    fn word(&mut self, from: usize) -> Kind {
        self.skip_while(|byte| continues_name(byte) || byte == b':');
        let text = Span::new(from, self.at).of(self.text);
        if text.eq_ignore_ascii_case("inf") || text.eq_ignore_ascii_case("nan") {
            return Kind::Number;
        }
        match Word::of(text) {
            // The fill words are names unless a parenthesis follows, over white space but no comment.
            Some(Word::Fill | Word::FillLeft | Word::FillRight) if !self.parenthesis_follows() => Kind::Name,
            Some(word) => Kind::Word(word),
            None if text.contains(':') => Kind::ColonName,
            None => Kind::Name,
        }
    }

    fn parenthesis_follows(&self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) == Some(&b'(')
    }

    /// A string, its opening quote just taken. Raw strings may hold line feeds. No string may hold
    /// U+FFFD, which Prometheus takes for broken UTF-8.
    fn string(&mut self, quote: u8, from: usize) -> Result<Kind, QueryError> {
        let unterminated = || QueryError::syntax(Span::new(from, self.bytes.len()), "unterminated string");
        let mut at = self.at;
        loop {
            let byte = *self.bytes.get(at).ok_or_else(unterminated)?;
            at += 1;
            match byte {
                b'\\' if quote != b'`' => at += 1,
                b'\n' if quote != b'`' => return Err(unterminated()),
                0xef if self.bytes.get(at..at + 2) == Some(&[0xbf, 0xbd]) => {
                    return Err(self.unexpected(at - 1));
                }
                _ if byte == quote => break,
                _ => {}
            }
        }
        self.at = at;
        Ok(Kind::String)
    }
}
