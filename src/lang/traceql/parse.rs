//! Tokens to a tree, by the grammar of Tempo 2.9 (`pkg/traceql/expr.y`) and its validation
//! (`ast_validate.go`), and less.
//!
//! This file reads pipelines and spansets; `field` field expressions; `metrics` metrics and hints.

mod field;
mod metrics;

use super::lex::{Kind, lex};
use super::tree::{
    AggregateFunction, Attribute, FilterSite, List, Node, NodeId, NodeKind, Sites, SpansetOp, Static, Tree,
};
use crate::lang::core::token::{self, Token};
use crate::lang::{Feature, Features, QueryError};
use crate::limits::QueryLimits;
use crate::span::{Position, Span};

/// What a whole text has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A search: a pipeline of spansets.
    #[default]
    Query,
    /// A metrics query: a pipeline that ends in metrics.
    Metrics,
}

/// Reads `text`.
///
/// # Errors
/// `syntax` for what Tempo would refuse, `unsupported` for what is not known or needs a feature that is
/// not in `features`, `limit` over a cap.
pub fn parse<'a>(
    text: &'a str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<Tree<'a>, QueryError> {
    parse_tokens(text, &lex(text, limits)?, entry, features, limits)
}

/// Reads `tokens` of `text`.
pub(super) fn parse_tokens<'a>(
    text: &'a str,
    tokens: &[Token<Kind>],
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<Tree<'a>, QueryError> {
    let mut cursor = Cursor::new(text, tokens, limits);
    let mut parser = Parser {
        text,
        tempo3: features.has(Feature::Tempo3),
        checks_arithmetic: features.checks_arithmetic(),
        selectors: limits.selectors,
        nodes: Vec::with_capacity(tokens.len()),
        lists: Vec::new(),
        hints: Vec::new(),
        sites: Sites::default(),
        groups: Vec::new(),
    };
    let root = parser.root(&mut cursor, entry)?;
    let Parser { nodes, lists, hints, mut sites, .. } = parser;
    // What a pipeline is, is known at its end, or later.
    sites.fences.sort_unstable();
    Ok(Tree { nodes, lists, root, hints, sites })
}

type Cursor<'t> = token::Cursor<'t, Kind>;

/// The tree as it grows.
struct Parser<'a> {
    text: &'a str,
    tempo3: bool,
    /// Whether Tempo stands a division by zero and large powers.
    checks_arithmetic: bool,
    selectors: usize,
    nodes: Vec<Node<'a>>,
    lists: Vec<NodeId>,
    hints: Vec<super::tree::Hint<'a>>,
    sites: Sites,
    /// The spansets in parentheses at the top of what is being read: each is a pipeline if it is combined
    /// with one.
    groups: Vec<(Group, NodeId)>,
}

/// Where a pipeline begins, or what becomes one: a spanset in parentheses.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Its first token.
    start: usize,
    /// Whether that opens a filter.
    braced: bool,
}

impl Group {
    /// One that begins with the next token.
    fn next(c: &Cursor<'_>) -> Self {
        Self { start: c.index(), braced: c.peek() == Some(Kind::OpenBrace) }
    }
}

/// What stands between parentheses, or at the root: the grammar combines only like with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Filters and operators between them. `grouped`: each operand at its top is in parentheses, so
    /// that it may stand where a pipeline in parentheses must.
    Spanset { grouped: bool },
    /// More than one stage, or one that is no spanset.
    Pipeline,
    /// A pipeline in parentheses, or such combined.
    Combined,
    /// A pipeline that ends in metrics.
    Metrics,
    /// The same in parentheses, or arithmetic of such (Tempo 3).
    WrappedMetrics,
}

impl<'a> Parser<'a> {
    fn word(&self, token: Token<Kind>) -> &'a str {
        token.span.of(self.text)
    }

    /// The next token's text, if it is a word.
    fn peek_word(&self, c: &Cursor<'_>) -> Option<&'a str> {
        c.token().filter(|t| t.kind == Kind::Word).map(|t| self.word(t))
    }

    fn push(&mut self, kind: NodeKind<'a>, span: Span) -> NodeId {
        // A text has at most as many nodes as four times its tokens, far below 2³².
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node { kind, position: Position(span) });
        id
    }

    fn list(&mut self, items: &[NodeId]) -> List {
        let from = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        self.lists.extend_from_slice(items);
        List { from, to: u32::try_from(self.lists.len()).unwrap_or(u32::MAX) }
    }

    fn root(&mut self, c: &mut Cursor<'_>, entry: Entry) -> Result<NodeId, QueryError> {
        let (start, from) = (Group::next(c), c.here());
        let (mut root, mut class) = self.sequence(c)?;
        if class == Class::WrappedMetrics {
            root = self.more_stages(c, from, root)?;
            class = Class::Metrics;
        }
        if let Class::Spanset { .. } = class {
            self.fence(start, root);
            let stages = self.list(&[root]);
            root = self.push(NodeKind::Pipeline(stages), from.join(c.before()));
            class = Class::Pipeline;
        }
        while self.peek_word(c) == Some("with") {
            self.with_hints(c)?;
        }
        if c.peek().is_some() {
            return Err(c.unexpected(match class {
                Class::Combined => "the end, as nothing can follow a pipeline in parentheses",
                _ => "`|` or the end",
            }));
        }
        let whole = from.join(c.before());
        match (entry, class) {
            (Entry::Query, Class::Metrics) => {
                Err(QueryError::syntax(whole, "a metrics query is not a search, ask for metrics instead"))
            }
            (Entry::Metrics, Class::Metrics) | (Entry::Query, _) => Ok(root),
            (Entry::Metrics, _) => {
                Err(QueryError::syntax(whole, "not a metrics query, end it in a stage such as `| rate()`"))
            }
        }
    }

    /// Notes that the scope goes before a pipeline that begins with the spanset `first`. An empty filter becomes the
    /// scope by itself.
    fn fence(&mut self, pipeline: Group, first: NodeId) {
        let empty = matches!(self.nodes.get(first.0 as usize).map(|n| &n.kind), Some(NodeKind::Filter(None)));
        if !(empty && pipeline.braced) {
            self.sites.fences.push(pipeline.start);
        }
    }

    /// `spansets | stage | …`, up to what cannot belong to it.
    fn sequence(&mut self, c: &mut Cursor<'_>) -> Result<(NodeId, Class), QueryError> {
        let (start, from) = (Group::next(c), c.here());
        let first = if matches!(c.peek(), Some(Kind::OpenBrace | Kind::OpenParen)) {
            let (node, class) = self.spansets(c, 1)?;
            match class {
                Class::Spanset { .. } if c.peek() != Some(Kind::Pipe) => return Ok((node, class)),
                Class::Spanset { .. } => {
                    self.fence(start, node);
                    node
                }
                Class::WrappedMetrics => {
                    return Ok((self.arithmetic(c, from, node, 1)?, Class::WrappedMetrics));
                }
                Class::Pipeline | Class::Combined | Class::Metrics => return Ok((node, class)),
            }
        } else {
            self.sites.fences.push(start.start);
            self.stage(c, true)?
        };
        let mut stages = vec![first];
        while c.eat(Kind::Pipe).is_some() {
            if let Some(function) = self.peek_metrics(c) {
                let stages = self.list(&stages);
                let pipeline = self.push(NodeKind::Pipeline(stages), from.join(c.before()));
                let metrics = self.metrics(c, from, pipeline, function)?;
                return Ok((metrics, Class::Metrics));
            }
            if matches!(c.peek(), Some(Kind::OpenBrace | Kind::OpenParen)) {
                let at = c.here();
                let (node, class) = self.spansets(c, 1)?;
                if !matches!(class, Class::Spanset { .. }) {
                    return Err(QueryError::syntax(at, "a pipeline in parentheses cannot be a stage"));
                }
                stages.push(node);
            } else {
                stages.push(self.stage(c, false)?);
            }
        }
        let stages = self.list(&stages);
        let pipeline = self.push(NodeKind::Pipeline(stages), from.join(c.before()));
        Ok((pipeline, Class::Pipeline))
    }

    /// Operands joined by operators of at least the precedence `min`: 1 for `&&` and `||`, 2 for the
    /// rest; all to the left.
    fn spansets(&mut self, c: &mut Cursor<'_>, min: u8) -> Result<(NodeId, Class), QueryError> {
        let from = c.here();
        let (mut left, mut class) = self.spanset(c)?;
        while let Some((op, precedence)) = spanset_op(c.peek()).filter(|(_, p)| *p >= min) {
            if class == Class::WrappedMetrics {
                break;
            }
            let operator = c.here();
            c.bump();
            let at = c.here();
            let groups = self.groups.len();
            let (right, other) = self.spansets(c, precedence + 1)?;
            class = match (class, other) {
                (Class::Spanset { grouped: a }, Class::Spanset { grouped: b }) => {
                    Class::Spanset { grouped: a && b }
                }
                (Class::Combined, Class::Combined) => Class::Combined,
                (Class::Combined, Class::Spanset { grouped: true }) => {
                    for (group, node) in self.groups.split_off(groups) {
                        self.fence(group, node);
                    }
                    Class::Combined
                }
                (Class::Combined, _) => {
                    return Err(QueryError::syntax(at, "expected a pipeline in parentheses"));
                }
                _ => return Err(QueryError::syntax(at, "a pipeline cannot follow a plain spanset here")),
            };
            if op.is_structural() {
                self.sites.shared.push(operator);
            }
            left = self.push(NodeKind::Spansets { op, left, right }, from.join(c.before()));
        }
        Ok((left, class))
    }

    /// A filter, or anything in parentheses.
    fn spanset(&mut self, c: &mut Cursor<'_>) -> Result<(NodeId, Class), QueryError> {
        match c.peek() {
            Some(Kind::OpenBrace) => Ok((self.filter(c)?, Class::Spanset { grouped: false })),
            Some(Kind::OpenParen) => {
                c.bump();
                let (start, groups) = (Group::next(c), self.groups.len());
                let (node, class) = c.deeper(|c| self.sequence(c))?;
                self.groups.truncate(groups);
                let class = match class {
                    Class::Spanset { .. } => {
                        self.groups.push((start, node));
                        Class::Spanset { grouped: true }
                    }
                    Class::Pipeline | Class::Combined => Class::Combined,
                    Class::Metrics | Class::WrappedMetrics => self.wrapped_metrics(c, node)?,
                };
                c.expect(Kind::CloseParen, "`)`, `|` or an operator")?;
                Ok((node, class))
            }
            _ => Err(c.unexpected("a spanset such as `{ .a = 1 }`")),
        }
    }

    /// `{ condition }`.
    fn filter(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let open = c.index();
        let brace = c.expect(Kind::OpenBrace, "`{`")?;
        if self.sites.filters.len() >= self.selectors {
            return Err(QueryError::limit(
                "spanset filters (`limits.query.selectors`)",
                self.selectors,
                Some(brace.span),
            ));
        }
        let site = self.sites.filters.len();
        self.sites.filters.push(FilterSite { open, close: open, empty: false });
        let condition = if c.peek() == Some(Kind::CloseBrace) {
            None
        } else if self.peek_word(c) == Some("true") && c.peek_at(1) == Some(Kind::CloseBrace) {
            c.bump();
            None
        } else {
            let from = c.here();
            let condition = c.deeper(|c| self.field(c, 0))?;
            if !matches!(condition.ty, super::intrinsic::Type::Attribute | super::intrinsic::Type::Boolean) {
                return Err(QueryError::syntax(
                    from.join(c.before()),
                    "a spanset filter must be a condition, true or false for each span",
                ));
            }
            Some(condition.id)
        };
        let close = c.index();
        let end = c.expect(Kind::CloseBrace, "`}` or an operator")?;
        if let Some(site) = self.sites.filters.get_mut(site) {
            *site = FilterSite { open, close, empty: condition.is_none() };
        }
        Ok(self.push(NodeKind::Filter(condition), brace.span.join(end.span)))
    }

    /// A stage that begins with a word.
    fn stage(&mut self, c: &mut Cursor<'_>, first: bool) -> Result<NodeId, QueryError> {
        let from = c.here();
        let Some(word) = self.peek_word(c) else {
            return Err(c.unexpected("a spanset such as `{ .a = 1 }` or a stage such as `count() > 1`"));
        };
        let kind = match word {
            "by" => {
                c.bump();
                c.expect(Kind::OpenParen, "`(`")?;
                let by = c.deeper(|c| self.field(c, 0))?;
                c.expect(Kind::CloseParen, "`)` or an operator")?;
                if !by.spans {
                    return Err(QueryError::syntax(
                        from.join(c.before()),
                        "a group must be by something of the span",
                    ));
                }
                NodeKind::Group(by.id)
            }
            "select" => {
                c.bump();
                NodeKind::Select(self.attribute_list(c)?)
            }
            "coalesce" if first => {
                return Err(QueryError::syntax(from, "a pipeline cannot begin with `coalesce()`"));
            }
            "coalesce" => {
                c.bump();
                c.expect(Kind::OpenParen, "`(`")?;
                c.expect(Kind::CloseParen, "`)`")?;
                NodeKind::Coalesce
            }
            _ => return self.scalar_filter(c),
        };
        Ok(self.push(kind, from.join(c.before())))
    }

    /// `aggregate op number`. Tempo parses more and refuses it: "not yet supported".
    fn scalar_filter(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let from = c.here();
        let aggregate = self.aggregate(c)?;
        let Some(op) = field::comparison(c.peek()) else {
            return Err(match c.peek() {
                Some(Kind::Add | Kind::Sub | Kind::Mul | Kind::Div | Kind::Mod | Kind::Pow) => {
                    QueryError::unsupported(c.here(), "arithmetic with aggregates is not supported")
                }
                _ => c.unexpected("a comparison of the aggregate with a number"),
            });
        };
        c.bump();
        let value = self.scalar(c)?;
        Ok(self.push(NodeKind::ScalarFilter { op, aggregate, value }, from.join(c.before())))
    }

    fn aggregate(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let from = c.here();
        let function = match self.peek_word(c).unwrap_or_default() {
            "count" => AggregateFunction::Count,
            "avg" => AggregateFunction::Avg,
            "min" => AggregateFunction::Min,
            "max" => AggregateFunction::Max,
            "sum" => AggregateFunction::Sum,
            word if c.peek_at(1) == Some(Kind::OpenParen) => {
                let word = token::shortened(word);
                return Err(QueryError::unsupported(from, format!("unknown or misplaced stage `{word}`")));
            }
            _ => return Err(c.unexpected("a stage such as `count() > 1`")),
        };
        c.bump();
        c.expect(Kind::OpenParen, "`(`")?;
        let of = if function == AggregateFunction::Count {
            None
        } else {
            let of = c.deeper(|c| self.field(c, 0))?;
            let whole = from.join(c.before());
            if !matches!(of.ty, super::intrinsic::Type::Attribute | super::intrinsic::Type::Number) {
                return Err(QueryError::syntax(whole, "an aggregate must be of a number"));
            }
            if !of.spans {
                return Err(QueryError::syntax(whole, "an aggregate must be of something of the span"));
            }
            Some(of.id)
        };
        c.expect(Kind::CloseParen, "`)`")?;
        Ok(self.push(NodeKind::Aggregate { function, of }, from.join(c.before())))
    }

    /// `(attribute, …)`.
    fn attribute_list(&mut self, c: &mut Cursor<'_>) -> Result<List, QueryError> {
        c.expect(Kind::OpenParen, "`(`")?;
        let mut attributes = Vec::new();
        loop {
            attributes.push(self.attribute(c)?);
            if c.eat(Kind::Comma).is_none() {
                break;
            }
        }
        c.expect(Kind::CloseParen, "`,` or `)`")?;
        Ok(self.list(&attributes))
    }

    fn attribute(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let from = c.here();
        let attribute = self.opt_attribute(c)?.ok_or_else(|| c.unexpected("an attribute"))?;
        Ok(self.push(NodeKind::Attribute(attribute), from))
    }

    /// A literal's node.
    fn push_static(&mut self, value: Static<'a>, span: Span) -> NodeId {
        self.push(NodeKind::Static(value), span)
    }

    fn push_attribute(&mut self, attribute: Attribute<'a>, span: Span) -> NodeId {
        self.push(NodeKind::Attribute(attribute), span)
    }
}

/// The operator between spansets that `kind` is, and its precedence.
fn spanset_op(kind: Option<Kind>) -> Option<(SpansetOp, u8)> {
    Some(match kind? {
        Kind::And => (SpansetOp::And, 1),
        Kind::Or => (SpansetOp::Or, 1),
        Kind::Gt => (SpansetOp::Child, 2),
        Kind::Lt => (SpansetOp::Parent, 2),
        Kind::Desc => (SpansetOp::Descendant, 2),
        Kind::Ance => (SpansetOp::Ancestor, 2),
        Kind::Sibl => (SpansetOp::Sibling, 2),
        Kind::NotChild => (SpansetOp::NotChild, 2),
        Kind::NotParent => (SpansetOp::NotParent, 2),
        Kind::NotDesc => (SpansetOp::NotDescendant, 2),
        Kind::NotAnce => (SpansetOp::NotAncestor, 2),
        Kind::Nre => (SpansetOp::NotSibling, 2),
        Kind::UnionChild => (SpansetOp::UnionChild, 2),
        Kind::UnionParent => (SpansetOp::UnionParent, 2),
        Kind::UnionDesc => (SpansetOp::UnionDescendant, 2),
        Kind::UnionAnce => (SpansetOp::UnionAncestor, 2),
        Kind::UnionSibl => (SpansetOp::UnionSibling, 2),
        _ => return None,
    })
}
