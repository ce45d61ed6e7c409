//! The kinds of tokens.

use super::tree::{Conversion, RangeFunction, VectorFunction};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the word or sign it is named after
pub enum Kind {
    Identifier,
    /// `"…"` or `` `…` ``, quotes included.
    String,
    /// A number without a unit.
    Number,
    /// A number with units of time, and its sign if that is glued to it.
    Duration,
    /// A number with a unit of size.
    Bytes,
    /// `--strict`.
    Strict,
    /// `--keep-empty`.
    KeepEmpty,
    /// `[5m]`, brackets included.
    Range,
    OpenBrace,
    CloseBrace,
    OpenParenthesis,
    CloseParenthesis,
    Comma,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
    Pipe,
    /// `|=`
    PipeExact,
    /// `|~`
    PipeMatch,
    /// `|>`
    PipePattern,
    /// `!>`
    NotPattern,
    /// `==`
    Equality,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    By,
    Without,
    Bool,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Or,
    And,
    Unless,
    Offset,
    Unwrap,
    Json,
    Logfmt,
    Regexp,
    Pattern,
    Unpack,
    LineFormat,
    LabelFormat,
    Decolorize,
    Drop,
    Keep,
    Variants,
    Of,
    LabelReplace,
    Vector,
    Ip,
    Conversion(Conversion),
    RangeFunction(RangeFunction),
    VectorFunction(VectorFunction),
}
