//! What a PromQL text says.
//!
//! A flat arena: nodes refer to each other, and to lists, by index, so dropping and comparing a tree
//! never recurses. Children stand before their parents. Positions are equal to each other, so two
//! trees are equal if they say the same.

use super::function::{Function, Type};
use crate::lang::matcher::Matcher;
use crate::span::Position;
use std::borrow::Cow;

/// A text, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) selectors: Vec<Selector<'a>>,
    pub(super) matchers: Vec<Matcher<'a>>,
    pub(super) arguments: Vec<NodeId>,
    pub(super) labels: Vec<Cow<'a, str>>,
    pub(super) matchings: Vec<Matching>,
    pub(super) durations: Vec<Duration>,
}

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

/// A selector of a tree; in the order of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SelectorId(pub(super) u32);

/// A duration of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DurationId(pub(super) u32);

/// A vector matching of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatchingId(pub(super) u32);

/// A part of one of a tree's lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct List {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl List {
    fn of<T>(self, all: &[T]) -> &[T] {
        all.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

/// A number, equal to another if it has the same bits.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// What it is.
    pub expr: Expr<'a>,
    /// What it yields.
    pub returns: Type,
    /// Where it stands.
    pub position: Position,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr<'a> {
    /// A number, or a duration in seconds.
    Number(Number),
    /// A string, unquoted.
    Text(Cow<'a, [u8]>),
    /// An instant vector selector.
    Selector(SelectorId),
    /// `selector[range]`. Offset and `@` are the selector's.
    Range {
        /// The selector.
        selector: SelectorId,
        /// How far back.
        range: DurationId,
    },
    /// `expr[range:step]`
    Subquery {
        /// What is evaluated at every step.
        expr: NodeId,
        /// How far back.
        range: DurationId,
        /// The step; the server's default if it is not given.
        step: Option<DurationId>,
        /// `offset` and `@`.
        shift: Shift,
    },
    /// `function(arguments)`
    Call {
        /// The function.
        function: &'static Function,
        /// Its arguments, [`Tree::arguments`].
        arguments: List,
    },
    /// `sum by (labels) (expr)`
    Aggregate {
        /// The aggregation.
        op: AggregateOp,
        /// The first argument of those that take two.
        parameter: Option<NodeId>,
        /// What is aggregated.
        expr: NodeId,
        /// Whether the labels are those left out.
        without: bool,
        /// The labels, [`Tree::labels`].
        labels: List,
    },
    /// `left op right`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left of it.
        left: NodeId,
        /// Right of it.
        right: NodeId,
        /// `bool`
        yields_bool: bool,
        /// `on`, `ignoring`, `group_left`, `fill`… if any is given.
        matching: Option<MatchingId>,
    },
    /// `-expr` or `+expr`
    Unary {
        /// Whether it is `-`.
        negative: bool,
        /// The operand.
        expr: NodeId,
    },
    /// `(expr)`
    Paren(NodeId),
}

/// A vector selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector<'a> {
    /// The metric's name before the braces, or alone.
    pub name: Option<Cow<'a, str>>,
    /// The matchers in the braces, [`Tree::matchers`]. A lone string there is a matcher of `__name__`.
    pub matchers: List,
    /// `offset` and `@`.
    pub shift: Shift,
    /// `anchored` or `smoothed`.
    pub edges: Edges,
    /// Where it stands.
    pub position: Position,
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shift {
    /// How far back, negative for forward.
    pub offset: Option<DurationId>,
    /// The fixed time of evaluation.
    pub at: Option<At>,
}

/// The argument of `@`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Seconds since 1970.
    Seconds(Number),
    /// `start()`: the first step of a range query.
    Start,
    /// `end()`: the last one.
    End,
}

/// How the edges of a range are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edges {
    /// As ever.
    #[default]
    Plain,
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

/// How the vectors of a binary expression are matched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Whether the labels are those that must be equal (`on`) or those left out (`ignoring`, or
    /// nothing).
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: List,
    /// `group_left` or `group_right`.
    pub group: Option<Group>,
    /// `fill_left(n)`: stands for what is missing on the left.
    pub fill_left: Option<Number>,
    /// `fill_right(n)`: stands for what is missing on the right.
    pub fill_right: Option<Number>,
}

/// `group_left(labels)` or `group_right(labels)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Whether the left side is the one with many.
    pub left: bool,
    /// The labels taken over from the other side.
    pub labels: List,
}

/// An aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the word it is named for
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// The type of its parameter, if it takes one.
    pub fn parameter(self) -> Option<Type> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => {
                Some(Type::Scalar)
            }
            Self::CountValues => Some(Type::Text),
            _ => None,
        }
    }
}

/// An operator between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the operator it is named for
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equals,
    Differs,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `</`: the part of a histogram below.
    TrimUpper,
    /// `>/`: the part of a histogram above.
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// Whether `bool` may follow.
    pub fn compares(self) -> bool {
        matches!(
            self,
            Self::Equals
                | Self::Differs
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
        )
    }

    /// Whether it works on sets of series.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// A duration: seconds, or arithmetic over them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Duration {
    /// Seconds.
    Seconds(Number),
    /// `step()`: the step of the query.
    Step,
    /// `range()`: the length of the query's time range.
    Range,
    /// `-duration`
    Negative(DurationId),
    /// `left op right`, the operator an arithmetic one.
    Binary(BinaryOp, DurationId, DurationId),
    /// `max_of(a, b)`
    Greatest(DurationId, DurationId),
    /// `min_of(a, b)`
    Least(DurationId, DurationId),
}

/// What an index of another tree stands for.
static NOTHING: Node<'static> = Node {
    expr: Expr::Number(Number(f64::NAN)),
    returns: Type::Scalar,
    position: Position(crate::span::Span::at(0)),
};

impl<'a> Tree<'a> {
    /// The whole text. For [`super::Entry::Selector`] its selector.
    pub fn root(&self) -> NodeId {
        NodeId(u32::try_from(self.nodes.len().saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// The node `id` of this tree.
    pub fn node(&self, id: NodeId) -> &Node<'a> {
        self.nodes.get(id.0 as usize).unwrap_or(&NOTHING)
    }

    /// Every selector in the order of the text.
    pub fn selectors(&self) -> &[Selector<'a>] {
        &self.selectors
    }

    /// The selector `id`, which must be of this tree.
    pub fn selector(&self, id: SelectorId) -> Option<&Selector<'a>> {
        self.selectors.get(id.0 as usize)
    }

    /// The matchers in the braces of `selector`.
    pub fn matchers(&self, selector: &Selector<'_>) -> &[Matcher<'a>] {
        selector.matchers.of(&self.matchers)
    }

    /// The arguments of a call.
    pub fn arguments(&self, list: List) -> &[NodeId] {
        list.of(&self.arguments)
    }

    /// The labels of an aggregation or a matching.
    pub fn labels(&self, list: List) -> &[Cow<'a, str>] {
        list.of(&self.labels)
    }

    /// The matching `id`, which must be of this tree.
    pub fn matching(&self, id: MatchingId) -> Option<&Matching> {
        self.matchings.get(id.0 as usize)
    }

    /// The seconds of the duration `id` in a query whose step and range are given in seconds.
    pub fn seconds(&self, id: DurationId, step: f64, range: f64) -> f64 {
        // Children stand before parents, so one pass in order suffices.
        let mut values: Vec<f64> = Vec::with_capacity(id.0 as usize + 1);
        for duration in self.durations.iter().take(id.0 as usize + 1) {
            let of = |id: DurationId| values.get(id.0 as usize).copied().unwrap_or(f64::NAN);
            values.push(match *duration {
                Duration::Seconds(Number(seconds)) => seconds,
                Duration::Step => step,
                Duration::Range => range,
                Duration::Negative(a) => -of(a),
                Duration::Greatest(a, b) => of(a).max(of(b)),
                Duration::Least(a, b) => of(a).min(of(b)),
                Duration::Binary(op, a, b) => match op {
                    BinaryOp::Add => of(a) + of(b),
                    BinaryOp::Sub => of(a) - of(b),
                    BinaryOp::Mul => of(a) * of(b),
                    BinaryOp::Div => of(a) / of(b),
                    BinaryOp::Mod => of(a) % of(b),
                    BinaryOp::Pow => of(a).powf(of(b)),
                    _ => f64::NAN,
                },
            });
        }
        values.last().copied().unwrap_or(f64::NAN)
    }
}
