//! What a LogQL text says.
//!
//! One arena a kind of node, so that nothing here recurses: children stand before their parents. Two
//! trees are equal if they say the same, wherever it stands and however it is spelled.

mod function;
mod stage;

pub use self::function::{BinaryOperator, Conversion, RangeFunction, VectorFunction};
pub use self::stage::{Comparison, Extraction, Filter, LabelFormat, LineOperator, LineText, Named, Stage};

use crate::span::Position;
use std::borrow::Cow;

/// A string literal's value. LogQL strings need not be UTF-8: `"\xff"` is one byte.
pub type Text<'a> = Cow<'a, [u8]>;

/// An expression of a [`Tree`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExprId(pub(super) u32);

/// A stream selector of a [`Tree`]: they are numbered in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectorId(pub(super) u32);

/// A label filter of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterId(pub(super) u32);

/// Consecutive entries of one of a [`Tree`]'s lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Slice {
    fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

/// A whole text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree<'a> {
    pub(super) root: ExprId,
    pub(super) exprs: Vec<Expr<'a>>,
    pub(super) selectors: Vec<Selector>,
    pub(super) matchers: Vec<Matcher<'a>>,
    pub(super) stages: Vec<Stage<'a>>,
    pub(super) lines: Vec<LineText<'a>>,
    pub(super) extractions: Vec<Extraction<'a>>,
    pub(super) formats: Vec<LabelFormat<'a>>,
    pub(super) named: Vec<Named<'a>>,
    pub(super) filters: Vec<Filter<'a>>,
    pub(super) filter_ids: Vec<FilterId>,
    pub(super) expr_ids: Vec<ExprId>,
    pub(super) names: Vec<&'a str>,
}

impl<'a> Tree<'a> {
    /// The whole expression.
    pub fn root(&self) -> ExprId {
        self.root
    }

    /// An expression; `None` for an id of another tree.
    pub fn expr(&self, id: ExprId) -> Option<&Expr<'a>> {
        self.exprs.get(id.0 as usize)
    }

    /// Every expression, children before their parents.
    pub fn exprs(&self) -> &[Expr<'a>] {
        &self.exprs
    }

    /// Every stream selector, in the order of the text.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// A stream selector; `None` for an id of another tree.
    pub fn selector(&self, id: SelectorId) -> Option<&Selector> {
        self.selectors.get(id.0 as usize)
    }

    /// The matchers of a stream selector. All hold at once.
    pub fn matchers(&self, selector: &Selector) -> &[Matcher<'a>] {
        selector.matchers.of(&self.matchers)
    }

    /// The stages of a log query, in order.
    pub fn stages(&self, query: &LogQuery) -> &[Stage<'a>] {
        query.stages.of(&self.stages)
    }

    /// A label filter; `None` for an id of another tree.
    pub fn filter(&self, id: FilterId) -> Option<&Filter<'a>> {
        self.filters.get(id.0 as usize)
    }

    /// The alternatives of [`Stage::Line`].
    pub fn lines(&self, slice: Slice) -> &[LineText<'a>] {
        slice.of(&self.lines)
    }

    /// The labels that [`Stage::Json`] and [`Stage::Logfmt`] extract.
    pub fn extractions(&self, slice: Slice) -> &[Extraction<'a>] {
        slice.of(&self.extractions)
    }

    /// The labels that [`Stage::LabelFormat`] sets.
    pub fn formats(&self, slice: Slice) -> &[LabelFormat<'a>] {
        slice.of(&self.formats)
    }

    /// The labels of [`Stage::Drop`] and [`Stage::Keep`].
    pub fn named(&self, slice: Slice) -> &[Named<'a>] {
        slice.of(&self.named)
    }

    /// The label filters after an unwrap. All hold at once.
    pub fn unwrap_filters(&self, unwrap: &Unwrap<'a>) -> &[FilterId] {
        unwrap.filters.of(&self.filter_ids)
    }

    /// The label names of a grouping or a matching.
    pub fn names(&self, slice: Slice) -> &[&'a str] {
        slice.of(&self.names)
    }

    /// The expressions of [`Expr::Variants`].
    pub fn variants(&self, slice: Slice) -> &[ExprId] {
        slice.of(&self.expr_ids)
    }

    /// Whether `other` says the same but for the matchers of its selectors.
    pub(super) fn differs_in_matchers_only(&self, other: &Self) -> bool {
        self.root == other.root
            && self.exprs == other.exprs
            && self.selectors.iter().map(|s| s.absent).eq(other.selectors.iter().map(|s| s.absent))
            && self.stages == other.stages
            && self.lines == other.lines
            && self.extractions == other.extractions
            && self.formats == other.formats
            && self.named == other.named
            && self.filters == other.filters
            && self.filter_ids == other.filter_ids
            && self.expr_ids == other.expr_ids
            && self.names == other.names
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr<'a> {
    /// Log lines.
    Log(LogQuery),
    /// A number.
    Number(f64),
    /// `vector(1)`
    Vector(f64),
    /// `rate({…}[5m])`
    RangeAggregation {
        /// What is computed.
        function: RangeFunction,
        /// The quantile, of [`RangeFunction::Quantile`] only.
        parameter: Option<f64>,
        /// Over which lines.
        range: LogRange<'a>,
        /// Which labels are kept.
        grouping: Option<Grouping>,
    },
    /// `sum by (app) (…)`
    VectorAggregation {
        /// What is computed.
        function: VectorFunction,
        /// How many, of `topk`, `bottomk` and `approx_topk` only; at least 1.
        parameter: Option<i64>,
        /// Over which vector.
        inner: ExprId,
        /// Which labels are kept; none means that all are aggregated.
        grouping: Option<Grouping>,
    },
    /// `label_replace(v, "destination", "replacement", "source", "pattern")`
    LabelReplace {
        /// The vector.
        inner: ExprId,
        /// The label that is set.
        destination: Text<'a>,
        /// Its value, with `$1`.
        replacement: Text<'a>,
        /// The label that is read.
        source: Text<'a>,
        /// The pattern that its whole value must match.
        pattern: Text<'a>,
    },
    /// `left + right`. Neither side is a log query.
    Binary {
        /// The operator.
        operator: BinaryOperator,
        /// `bool`
        bool: bool,
        /// `on`, `ignoring` and what follows them.
        matching: Option<Matching>,
        /// The left side.
        left: ExprId,
        /// The right side.
        right: ExprId,
    },
    /// `variants(…) of (…)`
    Variants {
        /// The metric queries; see [`Tree::variants`].
        variants: Slice,
        /// The range that they share.
        of: LogRange<'a>,
    },
}

/// `{…}` and its pipeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogQuery {
    /// The streams.
    pub selector: SelectorId,
    pub(super) stages: Slice,
}

/// `{…} | … | unwrap x [5m] offset 1m`, in any of the orders that LogQL has for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRange<'a> {
    /// The lines.
    pub query: LogQuery,
    /// How far back, in nanoseconds.
    pub interval: i64,
    /// The offset in nanoseconds; 0 if there is none.
    pub offset: i64,
    /// The label whose value is the sample.
    pub unwrap: Option<Unwrap<'a>>,
}

/// `| unwrap bytes(x)` and the label filters after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unwrap<'a> {
    /// The label.
    pub label: &'a str,
    /// How its value becomes a number.
    pub conversion: Option<Conversion>,
    pub(super) filters: Slice,
}

/// A stream selector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selector {
    pub(super) matchers: Slice,
    /// It is the one of an `absent_over_time`, which makes labels of its equality matchers.
    pub absent: bool,
    /// From brace to brace.
    pub at: Position,
}

/// `label="value"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher<'a> {
    /// The label.
    pub label: &'a str,
    /// How it is compared.
    pub operator: MatchOperator,
    /// The value, or the pattern that the whole value must match (RE2).
    pub value: Text<'a>,
}

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOperator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
}

/// `by (…)` or `without (…)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// It is `without`.
    pub without: bool,
    /// The labels; see [`Tree::names`].
    pub labels: Slice,
}

/// `on (…) group_left (…)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matching {
    /// It is `on`, not `ignoring`.
    pub on: bool,
    /// The labels; see [`Tree::names`].
    pub labels: Slice,
    /// The side with many, and the labels of the other that are kept; see [`Tree::names`].
    pub group: Option<(Side, Slice)>,
}

/// Which side of a binary operation has many series a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}
