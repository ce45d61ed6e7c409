//! Text to tokens, as Tempo's `pkg/traceql/lexer.go` over Go's `text/scanner` reads it, and less.
//!
//! Outside strings only printable ASCII, space, tab, line feed and carriage return are taken; no
//! comments. An attribute, scope and name together, is one token, as is a scoped intrinsic.

use crate::lang::QueryError;
use crate::lang::core::token::{Token, check_bytes, shortened};
use crate::limits::QueryLimits;
use crate::span::Span;

use super::intrinsic::Intrinsic;
use super::tree::AttributeScope;

/// What a token is. Keywords are [`Kind::Word`]: which word means what depends on the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // operators: each is its own text in `operator`
pub enum Kind {
    OpenBrace,
    CloseBrace,
    OpenParen,
    CloseParen,
    Comma,
    Eq,
    Neq,
    Re,
    /// `!~`: no match of a pattern, or between spansets no sibling.
    Nre,
    Gt,
    Gte,
    Lt,
    Lte,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    And,
    Or,
    Not,
    Pipe,
    Desc,
    Ance,
    Sibl,
    NotChild,
    NotParent,
    NotDesc,
    NotAnce,
    UnionSibl,
    UnionChild,
    UnionParent,
    UnionDesc,
    UnionAnce,
    /// A keyword or any other identifier.
    Word,
    /// A scoped intrinsic such as `span:name`.
    ScopedIntrinsic,
    /// An attribute with a bare name, such as `.a` or `resource.service.name`.
    Attribute(AttributeScope),
    /// An attribute whose whole name is quoted, such as `span."a b"`.
    QuotedAttribute(AttributeScope),
    /// `"…"` or `` `…` ``.
    String,
    Integer,
    Float,
    /// A number with units, such as `1m30s`.
    Duration,
}

/// The words that are no intrinsics: aggregates, stages, metrics and hints.
const WORDS: [&str; 26] = [
    "count",
    "avg",
    "max",
    "min",
    "sum",
    "by",
    "coalesce",
    "select",
    "rate",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "avg_over_time",
    "sum_over_time",
    "quantile_over_time",
    "histogram_over_time",
    "compare",
    "topk",
    "bottomk",
    "with",
    "nil",
    "minInt",
    "maxInt",
    "most_recent",
    "exemplars",
    "sample",
];

/// Whether `name` is an aggregate, a stage, an intrinsic or a hint.
pub fn is_word(name: &str) -> bool {
    WORDS.contains(&name) || Intrinsic::named(name).is_some()
}

/// Whether a token is such a name where it stands, or a sign: attributes are tokens of their own.
pub fn is_name(_: &str, kind: Kind, _: Option<Kind>) -> bool {
    !matches!(
        kind,
        Kind::Attribute(_)
            | Kind::QuotedAttribute(_)
            | Kind::String
            | Kind::Integer
            | Kind::Float
            | Kind::Duration
    )
}

/// The tokens of `text`.
///
/// # Errors
/// `limit` over the caps on bytes or tokens; `syntax` or `unsupported` for what is no token here.
pub fn lex(text: &str, limits: &QueryLimits) -> Result<Vec<Token<Kind>>, QueryError> {
    check_bytes(text, limits)?;
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 4 + 4);
    loop {
        let spaced = lexer.skip_space();
        if lexer.at >= lexer.bytes.len() {
            return Ok(tokens);
        }
        if tokens.len() >= limits.tokens {
            return Err(QueryError::limit(
                "tokens (`limits.query.tokens`)",
                limits.tokens,
                Some(Span::at(lexer.at)),
            ));
        }
        let from = lexer.at;
        let kind = lexer.token()?;
        let spaced = spaced && !tokens.is_empty();
        tokens.push(Token { kind, span: Span::new(from, lexer.at), spaced });
    }
}

/// Whether `byte` ends a bare attribute name (`isAttributeRune` of Tempo's lexer, for ASCII).
pub(super) const fn ends_name(byte: u8) -> bool {
    byte <= b' '
        || matches!(
            byte,
            b'{' | b'}' | b'(' | b')' | b'=' | b'~' | b'!' | b'<' | b'>' | b'&' | b'|' | b'^' | b',' | 0x7f
        )
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_space(&mut self) -> bool {
        let from = self.at;
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.at > from
    }

    fn take(&mut self, bytes: usize, kind: Kind) -> Result<Kind, QueryError> {
        self.at += bytes;
        Ok(kind)
    }

    fn token(&mut self) -> Result<Kind, QueryError> {
        match self.peek(0) {
            b'"' => self.interpreted(),
            b'`' => self.raw(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            b'.' => self.attribute(AttributeScope::Any, 1),
            b'0'..=b'9' => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            b'/' if matches!(self.peek(1), b'/' | b'*') => {
                Err(QueryError::unsupported(Span::new(self.at, self.at + 2), "comments are not supported"))
            }
            _ => self.operator(),
        }
    }

    /// The longest operator here, as Tempo's lexer finds it: each prefix of it is an operator.
    fn operator(&mut self) -> Result<Kind, QueryError> {
        let (second, third) = (self.peek(1), self.peek(2));
        let (bytes, kind) = match self.peek(0) {
            b'{' => (1, Kind::OpenBrace),
            b'}' => (1, Kind::CloseBrace),
            b'(' => (1, Kind::OpenParen),
            b')' => (1, Kind::CloseParen),
            b',' => (1, Kind::Comma),
            b'+' => (1, Kind::Add),
            b'-' => (1, Kind::Sub),
            b'*' => (1, Kind::Mul),
            b'/' => (1, Kind::Div),
            b'%' => (1, Kind::Mod),
            b'^' => (1, Kind::Pow),
            b'~' => (1, Kind::Sibl),
            b'=' if second == b'~' => (2, Kind::Re),
            b'=' => (1, Kind::Eq),
            b'>' => match second {
                b'=' => (2, Kind::Gte),
                b'>' => (2, Kind::Desc),
                _ => (1, Kind::Gt),
            },
            b'<' => match second {
                b'=' => (2, Kind::Lte),
                b'<' => (2, Kind::Ance),
                _ => (1, Kind::Lt),
            },
            b'|' if second == b'|' => (2, Kind::Or),
            b'|' => (1, Kind::Pipe),
            b'!' => match (second, third) {
                (b'=', _) => (2, Kind::Neq),
                (b'~', _) => (2, Kind::Nre),
                (b'>', b'>') => (3, Kind::NotDesc),
                (b'>', _) => (2, Kind::NotChild),
                (b'<', b'<') => (3, Kind::NotAnce),
                (b'<', _) => (2, Kind::NotParent),
                _ => (1, Kind::Not),
            },
            b'&' => match (second, third) {
                (b'&', _) => (2, Kind::And),
                (b'~', _) => (2, Kind::UnionSibl),
                (b'>', b'>') => (3, Kind::UnionDesc),
                (b'>', _) => (2, Kind::UnionChild),
                (b'<', b'<') => (3, Kind::UnionAnce),
                (b'<', _) => (2, Kind::UnionParent),
                _ => return Err(self.stray()),
            },
            _ => return Err(self.stray()),
        };
        self.take(bytes, kind)
    }

    /// The refusal of the character here.
    fn stray(&self) -> QueryError {
        let Some(c) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
            return QueryError::syntax(Span::at(self.at), "unexpected end");
        };
        let here = Span::new(self.at, self.at + c.len_utf8());
        match c {
            '\'' => QueryError::syntax(here, "unexpected `'`, strings are written \"…\" or `…`"),
            c if c.is_ascii_graphic() => QueryError::syntax(here, format!("unexpected `{c}`")),
            c if c.is_ascii() => QueryError::syntax(here, "control characters are not allowed"),
            _ => QueryError::unsupported(here, "characters outside ASCII are supported in quotes only"),
        }
    }

    /// `"…"`: where it ends. Its escapes are checked when it is decoded; a backslash takes the next
    /// character with it in every escape that Go knows.
    fn interpreted(&mut self) -> Result<Kind, QueryError> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => return self.take(1, Kind::String),
                Some(b'\\') => self.at += 2,
                Some(0 | b'\n') | None => return Err(self.unterminated(from)),
                Some(_) => self.at += 1,
            }
        }
    }

    fn raw(&mut self) -> Result<Kind, QueryError> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                Some(b'`') => return self.take(1, Kind::String),
                Some(0) | None => return Err(self.unterminated(from)),
                Some(_) => self.at += 1,
            }
        }
    }

    fn unterminated(&self, from: usize) -> QueryError {
        let what = match self.bytes.get(self.at) {
            Some(0) => "a string cannot hold a NUL character",
            Some(_) => "a string in double quotes cannot hold a line feed",
            None => "string without an end",
        };
        QueryError::syntax(Span::new(from, (from + 1).max(self.at).min(self.bytes.len())), what)
    }

    fn word(&mut self) -> Result<Kind, QueryError> {
        let from = self.at;
        while matches!(self.peek(0), b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_') {
            self.at += 1;
        }
        let word = Span::new(from, self.at);
        match (word.of(self.text), self.peek(0)) {
            ("parent", b'.') => {
                Err(QueryError::unsupported(word, "attributes of the parent (`parent.`) are not supported"))
            }
            ("resource", b'.') => self.attribute(AttributeScope::Resource, 1),
            ("span", b'.') => self.attribute(AttributeScope::Span, 1),
            ("event", b'.') => self.attribute(AttributeScope::Event, 1),
            ("link", b'.') => self.attribute(AttributeScope::Link, 1),
            ("instrumentation", b'.') => self.attribute(AttributeScope::Instrumentation, 1),
            ("trace" | "span" | "event" | "link" | "instrumentation", b':') => self.scoped_intrinsic(from),
            _ => Ok(Kind::Word),
        }
    }

    /// The name after `scope:`. Tempo allows space between the two; here it is refused.
    fn scoped_intrinsic(&mut self, from: usize) -> Result<Kind, QueryError> {
        self.at += 1;
        let name = self.at;
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
            self.at += 1;
        }
        if self.at == name {
            return Err(QueryError::syntax(Span::new(from, name), "expected an intrinsic after the colon"));
        }
        Ok(Kind::ScopedIntrinsic)
    }

    /// The name after the dot, which is the next of `dot` bytes.
    fn attribute(&mut self, scope: AttributeScope, dot: usize) -> Result<Kind, QueryError> {
        self.at += dot;
        if self.peek(0) == b'"' {
            return self.quoted_name(scope);
        }
        let from = self.at;
        while let Some(&byte) = self.bytes.get(self.at).filter(|b| !ends_name(**b)) {
            let here = Span::new(self.at, self.at + 1);
            match byte {
                b'"' | b'`' => {
                    return Err(QueryError::unsupported(
                        here,
                        "an attribute name quoted in parts is not supported, quote the whole name",
                    ));
                }
                b'/' if matches!(self.peek(1), b'/' | b'*') => {
                    return Err(QueryError::unsupported(
                        here,
                        "an attribute name that looks like a comment is not supported, quote the name",
                    ));
                }
                byte if !byte.is_ascii() => return Err(self.stray()),
                _ => self.at += 1,
            }
        }
        if self.at == from {
            return Err(QueryError::syntax(Span::at(from), "expected an attribute name after the dot"));
        }
        Ok(Kind::Attribute(scope))
    }

    /// `"…"` as a whole attribute name, with the escapes `\"` and `\\` only.
    fn quoted_name(&mut self, scope: AttributeScope) -> Result<Kind, QueryError> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') if matches!(self.peek(1), b'"' | b'\\') => self.at += 2,
                Some(b'\\') => {
                    let here = Span::new(self.at, self.at + 1);
                    return Err(QueryError::syntax(
                        here,
                        "in a quoted name only `\\\"` and `\\\\` are escapes",
                    ));
                }
                Some(0) | None => return Err(self.unterminated(from)),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        if self.at == from + 2 {
            return Err(QueryError::unsupported(Span::new(from, self.at), "empty attribute name"));
        }
        match self.bytes.get(self.at) {
            Some(&byte) if !ends_name(byte) => Err(QueryError::unsupported(
                Span::at(self.at),
                "an attribute name quoted in parts is not supported, quote the whole name",
            )),
            _ => Ok(Kind::QuotedAttribute(scope)),
        }
    }

    /// A decimal integer without leading zeros, a float, or a number with units (`tryScanDuration`).
    fn number(&mut self) -> Result<Kind, QueryError> {
        let from = self.at;
        self.digits();
        let integer = self.at - from;
        let fraction = self.peek(0) == b'.';
        if fraction {
            self.at += 1;
            self.digits();
        }
        let mantissa = self.at;
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.digits();
            }
        }
        let exponent = self.at > mantissa;
        let unit = self.at;
        while matches!(self.peek(0), b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.') {
            self.at += 1;
        }
        let whole = Span::new(from, self.at);
        let malformed = || {
            let found = shortened(whole.of(self.text));
            QueryError::syntax(whole, format!("`{found}` is not a number or duration that can be read here"))
        };
        if integer > 1 && self.bytes.get(from) == Some(&b'0') {
            return Err(malformed());
        }
        match (self.at > unit, exponent, fraction) {
            (true, false, _) if super::literal::duration(whole.of(self.text)).is_some() => Ok(Kind::Duration),
            (true, _, _) => Err(malformed()),
            (false, false, false) => Ok(Kind::Integer),
            _ => Ok(Kind::Float),
        }
    }

    fn digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
    }
}
