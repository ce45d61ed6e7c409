//! Stages of a pipeline.

use super::{FilterId, Matcher, Slice, Text};

/// One stage of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage<'a> {
    /// `|= "a" or "b"`: the line passes if one alternative matches; with a negated operator, if none does.
    Line {
        /// How the line is compared.
        operator: LineOperator,
        /// With what; see [`Tree::lines`](super::Tree::lines).
        alternatives: Slice,
    },
    /// `| json a="b"`; without extractions, every field becomes a label. See [`Tree::extractions`](super::Tree::extractions).
    Json(Slice),
    /// `| logfmt --strict a="b"`
    Logfmt {
        /// `--strict`
        strict: bool,
        /// `--keep-empty`
        keep_empty: bool,
        /// As for [`Stage::Json`].
        extractions: Slice,
    },
    /// `| regexp "(?P<a>.*)"`
    Regexp(Text<'a>),
    /// `| pattern "<a> <_>"`
    Pattern(Text<'a>),
    /// `| unpack`
    Unpack,
    /// `| line_format "{{.a}}"`
    LineFormat(Text<'a>),
    /// `| label_format a=b`; see [`Tree::formats`](super::Tree::formats).
    LabelFormat(Slice),
    /// `| decolorize`
    Decolorize,
    /// `| drop a, b="c"`; see [`Tree::named`](super::Tree::named).
    Drop(Slice),
    /// `| keep a, b="c"`; see [`Tree::named`](super::Tree::named).
    Keep(Slice),
    /// `| a="b" and c > 5`
    Label(FilterId),
}

/// How a line filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineOperator {
    /// `|=`
    Contains,
    /// `!=`
    ContainsNot,
    /// `|~`
    Match,
    /// `!~`
    NotMatch,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

/// One alternative of a line filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineText<'a> {
    /// It is written `ip("…")`.
    pub ip: bool,
    /// The text, RE2 pattern, pattern, or address.
    pub text: Text<'a>,
}

/// A label taken from a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction<'a> {
    /// The label.
    pub label: &'a str,
    /// Where its value is; by default, the field named like the label.
    pub path: Option<Text<'a>>,
}

/// A label that `label_format` sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelFormat<'a> {
    /// `to=from`
    Rename {
        /// The label that is set.
        to: &'a str,
        /// The label that is renamed.
        from: &'a str,
    },
    /// `label="template"`
    Template {
        /// The label that is set.
        label: &'a str,
        /// A template of Go.
        template: Text<'a>,
    },
}

/// A label of `drop` and `keep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// The label, whatever its value.
    Label(&'a str),
    /// The label, if the matcher holds.
    Matcher(Matcher<'a>),
}

/// A label filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter<'a> {
    /// Both hold.
    And(FilterId, FilterId),
    /// One holds.
    Or(FilterId, FilterId),
    /// `label="value"`
    Text(Matcher<'a>),
    /// `label=ip("10.0.0.0/8")`
    Ip {
        /// The label.
        label: &'a str,
        /// It is written with `!=`.
        negated: bool,
        /// An address, a range or a network.
        pattern: Text<'a>,
    },
    /// `label > 5s`
    Duration {
        /// The label.
        label: &'a str,
        /// How it is compared.
        comparison: Comparison,
        /// Nanoseconds.
        value: i64,
    },
    /// `label > 5kB`
    Bytes {
        /// The label.
        label: &'a str,
        /// How it is compared.
        comparison: Comparison,
        /// Bytes.
        value: u64,
    },
    /// `label > 5`
    Number {
        /// The label.
        label: &'a str,
        /// How it is compared.
        comparison: Comparison,
        /// The number.
        value: f64,
    },
}

/// How a label filter compares. `=` is `==`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the sign it is named after
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}
