//! What a TraceQL text says, as a flat arena.
//!
//! Complete enough to be evaluated: attributes, decoded literals, operators, pipelines and metrics.
//! Parentheses leave no trace but in the shape. Names and semantics: Tempo's `pkg/traceql/expr.y` and
//! `ast.go`.

use crate::span::{Position, Span};
use std::borrow::Cow;

pub use super::intrinsic::Intrinsic;

/// A node's place in its [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(super) u32);

/// Several nodes in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl List {
    /// How many.
    pub const fn len(self) -> usize {
        (self.to - self.from) as usize
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.to == self.from
    }
}

/// A text that was read: nodes, of which one is the root.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) lists: Vec<NodeId>,
    pub(super) root: NodeId,
    pub(super) hints: Vec<Hint<'a>>,
    pub(super) sites: Sites,
}

/// Where the scope has to go, and what it cannot cure: by index of token, in order of opening.
#[derive(Clone, Debug, Default)]
pub(super) struct Sites {
    /// Every spanset filter.
    pub filters: Vec<FilterSite>,
    /// The first token of every pipeline whose first stage is not an empty filter: there the scope goes
    /// as a stage of its own.
    pub fences: Vec<usize>,
    /// What reads other tenants' spans of a shared trace.
    pub shared: Vec<Span>,
    /// The hints.
    pub hints: super::with::Site,
}

/// The tokens of one spanset filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilterSite {
    /// `{`.
    pub open: usize,
    /// `}`.
    pub close: usize,
    /// Nothing in it, or `true` alone.
    pub empty: bool,
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// What it says.
    pub kind: NodeKind<'a>,
    /// Where it was read; equal to any other.
    pub position: Position,
}

/// What a node says.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind<'a> {
    /// `A | B | …`: the root of a search, an operand in parentheses, or what a metrics stage reads.
    Pipeline(List),
    /// `{ condition }`; without one (`{}`, `{ true }`) every span.
    Filter(Option<NodeId>),
    /// Two spansets combined.
    Spansets {
        /// How.
        op: SpansetOp,
        /// Left operand: a filter, a combination, or a pipeline.
        left: NodeId,
        /// Right operand.
        right: NodeId,
    },
    /// `aggregate op value` as a stage.
    ScalarFilter {
        /// The comparison.
        op: FieldOp,
        /// An [`NodeKind::Aggregate`].
        aggregate: NodeId,
        /// A number or duration, perhaps negated.
        value: NodeId,
    },
    /// `count()`, `avg(…)`.
    Aggregate {
        /// Which.
        function: AggregateFunction,
        /// Of what; none for `count`.
        of: Option<NodeId>,
    },
    /// `by(…)` as a stage.
    Group(NodeId),
    /// `coalesce()`.
    Coalesce,
    /// `select(…)`: attributes.
    Select(List),
    /// A pipeline that ends in metrics.
    Metrics {
        /// The [`NodeKind::Pipeline`] before the first stage.
        pipeline: NodeId,
        /// A [`NodeKind::MetricsStage`] or [`NodeKind::Compare`].
        first: NodeId,
        /// What follows: [`NodeKind::Top`], and with `tempo-3` [`NodeKind::MetricsFilter`].
        second: List,
    },
    /// `rate() by (…)` and its like.
    MetricsStage {
        /// Which.
        function: MetricsFunction,
        /// Of which attribute; none for `rate` and `count_over_time`.
        of: Option<NodeId>,
        /// Quantiles, as [`Static::Float`]s.
        quantiles: List,
        /// Attributes to group by.
        by: List,
    },
    /// `compare({…}, top, start, end)`.
    Compare {
        /// The [`NodeKind::Filter`] of the selection.
        selection: NodeId,
        /// Values per attribute; 10 if not said.
        top: i64,
        /// Start and end of the selection in Unix nanoseconds, if said.
        window: Option<(i64, i64)>,
    },
    /// `topk(n)` or `bottomk(n)`.
    Top {
        /// `bottomk`.
        bottom: bool,
        /// How many series.
        limit: i64,
    },
    /// `> 3` after a metrics stage (Tempo 3).
    MetricsFilter {
        /// The comparison.
        op: FieldOp,
        /// A number or duration, perhaps negated.
        value: NodeId,
    },
    /// Arithmetic over metrics (Tempo 3).
    MetricsArithmetic {
        /// The operation.
        op: FieldOp,
        /// Metrics.
        left: NodeId,
        /// Metrics, or a number.
        right: NodeId,
    },
    /// Further stages after arithmetic over metrics (Tempo 3).
    MetricsStages {
        /// The arithmetic.
        metrics: NodeId,
        /// As in [`NodeKind::Metrics`].
        second: List,
    },
    /// Two field expressions combined.
    Binary {
        /// How.
        op: FieldOp,
        /// Left operand.
        left: NodeId,
        /// Right operand.
        right: NodeId,
    },
    /// `-x`.
    Negate(NodeId),
    /// `!x`.
    Not(NodeId),
    /// `x != nil`.
    Exists(NodeId),
    /// `x = nil` (Tempo 3).
    Absent(NodeId),
    /// A literal.
    Static(Static<'a>),
    /// An attribute or intrinsic.
    Attribute(Attribute<'a>),
}

/// A literal's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Static<'a> {
    /// Bytes: escapes can make what is no UTF-8.
    String(Cow<'a, [u8]>),
    /// A 64-bit integer.
    Integer(i64),
    /// Finite.
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// `ok`, `error`, `unset`.
    Status(Status),
    /// `server` and its like.
    Kind(SpanKind),
}

impl Static<'_> {
    /// The same, of no text.
    pub(super) fn into_owned(self) -> Static<'static> {
        match self {
            Self::String(value) => Static::String(Cow::Owned(value.into_owned())),
            Self::Integer(value) => Static::Integer(value),
            Self::Float(value) => Static::Float(value),
            Self::Duration(value) => Static::Duration(value),
            Self::Boolean(value) => Static::Boolean(value),
            Self::Status(value) => Static::Status(value),
            Self::Kind(value) => Static::Kind(value),
        }
    }
}

/// A span's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Status {
    Ok,
    Error,
    Unset,
}

/// A span's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SpanKind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// Where an attribute is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AttributeScope {
    /// `.x`: span first, then resource.
    Any,
    Resource,
    Span,
    Event,
    Link,
    Instrumentation,
}

impl AttributeScope {
    /// What stands before the name.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Any => ".",
            Self::Resource => "resource.",
            Self::Span => "span.",
            Self::Event => "event.",
            Self::Link => "link.",
            Self::Instrumentation => "instrumentation.",
        }
    }
}

/// An attribute or intrinsic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute<'a> {
    /// `resource.service.name`.
    Named {
        /// Where.
        scope: AttributeScope,
        /// The name, unquoted.
        name: Cow<'a, str>,
    },
    /// `duration`, `span:name`.
    Intrinsic(Intrinsic),
}

impl Attribute<'_> {
    /// The same, of no text.
    pub(super) fn into_owned(self) -> Attribute<'static> {
        match self {
            Self::Named { scope, name } => Attribute::Named { scope, name: Cow::Owned(name.into_owned()) },
            Self::Intrinsic(intrinsic) => Attribute::Intrinsic(intrinsic),
        }
    }
}

/// An operator between spansets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SpansetOp {
    And,
    Or,
    Child,
    Parent,
    Descendant,
    Ancestor,
    Sibling,
    NotChild,
    NotParent,
    NotDescendant,
    NotAncestor,
    NotSibling,
    UnionChild,
    UnionParent,
    UnionDescendant,
    UnionAncestor,
    UnionSibling,
}

impl SpansetOp {
    /// Whether it looks at how spans of a trace are related, and so at spans of others between them.
    pub const fn is_structural(self) -> bool {
        !matches!(self, Self::And | Self::Or)
    }
}

/// An operator in a field expression, a scalar filter or metrics arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FieldOp {
    Or,
    And,
    Equal,
    NotEqual,
    Matches,
    NotMatches,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

/// An aggregate of a scalar filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AggregateFunction {
    Count,
    Avg,
    Min,
    Max,
    Sum,
}

/// A first stage of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MetricsFunction {
    Rate,
    CountOverTime,
    MinOverTime,
    MaxOverTime,
    AvgOverTime,
    SumOverTime,
    QuantileOverTime,
    HistogramOverTime,
}

/// `name=value` in `with(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint<'a> {
    /// The name: one of those that are known.
    pub name: &'a str,
    /// The value.
    pub value: Static<'a>,
}

impl<'a> Tree<'a> {
    /// The root: a pipeline or combined pipelines for a search, metrics for a metrics query.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node<'a> {
        static NOWHERE: Node<'static> =
            Node { kind: NodeKind::Coalesce, position: Position(Span { from: 0, to: 0 }) };
        // Ids come from the tree itself, so the default is never met.
        self.nodes.get(id.0 as usize).unwrap_or(&NOWHERE)
    }

    /// What a node says.
    pub fn kind(&self, id: NodeId) -> &NodeKind<'a> {
        &self.node(id).kind
    }

    /// The nodes of a list.
    pub fn list(&self, list: List) -> &[NodeId] {
        self.lists.get(list.from as usize..list.to as usize).unwrap_or(&[])
    }

    /// The hints of the last list, in order: it replaces those before it.
    pub fn hints(&self) -> &[Hint<'a>] {
        &self.hints
    }

    /// How many spanset filters there are.
    pub fn filters(&self) -> usize {
        self.sites.filters.len()
    }

    /// Every attribute and intrinsic the text names, in any place, in order of reading. What a search
    /// names, it also returns with each span.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute<'a>> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Attribute(attribute) => Some(attribute),
            _ => None,
        })
    }

    /// The attributes and intrinsics of every `select(…)`.
    pub fn selected(&self) -> impl Iterator<Item = &Attribute<'a>> {
        let lists = self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Select(list) => Some(self.list(*list)),
            _ => None,
        });
        lists.flatten().filter_map(|id| match self.kind(*id) {
            NodeKind::Attribute(attribute) => Some(attribute),
            _ => None,
        })
    }
}
