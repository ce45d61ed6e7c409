//! TraceQL over the bookstore's traces.
//!
//! Evaluated: spanset filters with conditions over attributes and intrinsics, `&&` and `||` between
//! spansets, further filters and `select` as stages. Anything else is refused by name. Semantics: Tempo's
//! `pkg/traceql/ast_execute.go`.

use super::field::{Field, Scalar};
use crate::demo::select::anchored;
use crate::demo::spans::{Span, Trace};
use crate::lang::traceql::tree::{Attribute, FieldOp, List, NodeId, NodeKind, SpansetOp, Static, Tree};
use regex::Regex;
use std::collections::BTreeSet;

/// How deep a text may be. Evaluation recurses where the tree does.
const MAX_DEPTH: usize = 200;

/// A text, ready to be evaluated on any trace.
#[derive(Debug)]
pub struct Search {
    spanset: Spanset,
}

#[derive(Debug)]
enum Spanset {
    /// The spans on which the condition holds.
    Filter(Condition),
    /// What passes one after the other.
    Pipeline(Vec<Spanset>),
    /// The spans of both, if both have any.
    Both(Box<Spanset>, Box<Spanset>),
    /// The spans of either.
    Either(Box<Spanset>, Box<Spanset>),
    /// Every span: a stage that takes none away.
    All,
}

#[derive(Debug)]
enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Is(bool),
    /// The field is there.
    Exists(Field),
    /// The field is there, and true.
    True(Field),
    Compare(FieldOp, Operand, Operand),
    Matches {
        matches: bool,
        field: Field,
        pattern: Regex,
    },
}

#[derive(Debug)]
enum Operand {
    Field(Field),
    Literal(Scalar),
}

impl Search {
    /// The pipeline `root` of `tree`.
    ///
    /// # Errors
    /// The first construct that is not evaluated here.
    pub fn new(tree: &Tree<'_>, root: NodeId) -> Result<Self, String> {
        // Another name than these has no effect on what is found here, but Palisade sends none.
        if tree.hints().iter().any(|h| !matches!(h.name, "most_recent" | "palisade")) {
            return Err(unknown("hints"));
        }
        Ok(Self { spanset: spanset(tree, root, 0)? })
    }

    /// The places in `trace` of the spans that match, in order.
    pub fn matching(&self, trace: &Trace) -> Vec<usize> {
        let all: BTreeSet<usize> = (0..trace.spans.len()).collect();
        self.spanset.of(trace, &all).into_iter().collect()
    }
}

impl Spanset {
    fn of(&self, trace: &Trace, from: &BTreeSet<usize>) -> BTreeSet<usize> {
        match self {
            Self::All => from.clone(),
            Self::Filter(condition) => {
                let holds = |i: &&usize| trace.spans.get(**i).is_some_and(|s| condition.holds(trace, s));
                from.iter().filter(holds).copied().collect()
            }
            Self::Pipeline(stages) => {
                stages.iter().fold(from.clone(), |spans, stage| stage.of(trace, &spans))
            }
            Self::Both(left, right) => {
                let (left, right) = (left.of(trace, from), right.of(trace, from));
                if left.is_empty() || right.is_empty() { BTreeSet::new() } else { &left | &right }
            }
            Self::Either(left, right) => &left.of(trace, from) | &right.of(trace, from),
        }
    }
}

impl Condition {
    fn holds(&self, trace: &Trace, span: &Span) -> bool {
        match self {
            Self::And(left, right) => left.holds(trace, span) && right.holds(trace, span),
            Self::Or(left, right) => left.holds(trace, span) || right.holds(trace, span),
            Self::Not(inner) => !inner.holds(trace, span),
            Self::Is(value) => *value,
            Self::Exists(field) => field.of(trace, span).is_some(),
            Self::True(field) => field.of(trace, span) == Some(Scalar::Boolean(true)),
            Self::Compare(op, left, right) => {
                let value = |operand: &Operand| match operand {
                    Operand::Field(field) => field.of(trace, span),
                    Operand::Literal(scalar) => Some(scalar.clone()),
                };
                // What is not there compares with nothing, not even by `!=`.
                matches!((value(left), value(right)), (Some(l), Some(r)) if l.compares(*op, &r))
            }
            // A list or a number matches no pattern, and does not fail to match one.
            Self::Matches { matches, field, pattern } => match field.of(trace, span) {
                Some(Scalar::Text(text)) => pattern.is_match(&text) == *matches,
                _ => false,
            },
        }
    }
}

fn spanset(tree: &Tree<'_>, id: NodeId, depth: usize) -> Result<Spanset, String> {
    if depth > MAX_DEPTH {
        return Err(unknown("expressions this deep"));
    }
    let inner = |id| spanset(tree, id, depth + 1);
    match tree.kind(id) {
        NodeKind::Pipeline(stages) => {
            Ok(Spanset::Pipeline(tree.list(*stages).iter().map(|id| inner(*id)).collect::<Result<_, _>>()?))
        }
        NodeKind::Filter(None) => Ok(Spanset::All),
        NodeKind::Filter(Some(id)) => Ok(Spanset::Filter(condition(tree, *id, depth + 1)?)),
        NodeKind::Spansets { op: SpansetOp::And, left, right } => {
            Ok(Spanset::Both(Box::new(inner(*left)?), Box::new(inner(*right)?)))
        }
        NodeKind::Spansets { op: SpansetOp::Or, left, right } => {
            Ok(Spanset::Either(Box::new(inner(*left)?), Box::new(inner(*right)?)))
        }
        NodeKind::Select(_) => Ok(Spanset::All),
        NodeKind::Spansets { .. } => Err(unknown("structural operators")),
        NodeKind::ScalarFilter { .. } => Err(unknown("aggregates")),
        NodeKind::Group(_) => Err(unknown("`by` as a stage")),
        NodeKind::Coalesce => Err(unknown("`coalesce`")),
        _ => Err(unknown("this stage")),
    }
}

fn condition(tree: &Tree<'_>, id: NodeId, depth: usize) -> Result<Condition, String> {
    if depth > MAX_DEPTH {
        return Err(unknown("expressions this deep"));
    }
    let inner = |id| condition(tree, id, depth + 1).map(Box::new);
    match tree.kind(id) {
        NodeKind::Binary { op: FieldOp::And, left, right } => {
            Ok(Condition::And(inner(*left)?, inner(*right)?))
        }
        NodeKind::Binary { op: FieldOp::Or, left, right } => Ok(Condition::Or(inner(*left)?, inner(*right)?)),
        NodeKind::Binary { op, left, right } => comparison(tree, *op, *left, *right),
        NodeKind::Not(operand) => Ok(Condition::Not(inner(*operand)?)),
        NodeKind::Exists(operand) => match tree.kind(*operand) {
            NodeKind::Attribute(attribute) => Ok(Condition::Exists(Field::new(attribute)?)),
            _ => Err(unknown("`!= nil` of what is no attribute")),
        },
        NodeKind::Static(Static::Boolean(value)) => Ok(Condition::Is(*value)),
        NodeKind::Attribute(attribute) => Ok(Condition::True(Field::new(attribute)?)),
        _ => Err(unknown("this condition")),
    }
}

fn comparison(tree: &Tree<'_>, op: FieldOp, left: NodeId, right: NodeId) -> Result<Condition, String> {
    let operands = (operand(tree, left)?, operand(tree, right)?);
    match op {
        FieldOp::Matches | FieldOp::NotMatches => match operands {
            (Operand::Field(field), Operand::Literal(Scalar::Text(pattern))) => Ok(Condition::Matches {
                matches: op == FieldOp::Matches,
                field,
                pattern: anchored(pattern.as_bytes()).map_err(|e| e.to_string())?,
            }),
            _ => Err(unknown("patterns other than a string on the right")),
        },
        FieldOp::Equal
        | FieldOp::NotEqual
        | FieldOp::Less
        | FieldOp::LessOrEqual
        | FieldOp::Greater
        | FieldOp::GreaterOrEqual => Ok(Condition::Compare(op, operands.0, operands.1)),
        _ => Err(unknown("arithmetic")),
    }
}

fn operand(tree: &Tree<'_>, id: NodeId) -> Result<Operand, String> {
    match tree.kind(id) {
        NodeKind::Attribute(attribute) => Ok(Operand::Field(Field::new(attribute)?)),
        NodeKind::Static(literal) => Ok(Operand::Literal(Scalar::of(literal)?)),
        NodeKind::Negate(inner) => match tree.kind(*inner) {
            NodeKind::Static(Static::Integer(n)) => Ok(Operand::Literal(Scalar::Integer(-n))),
            NodeKind::Static(Static::Float(n)) => Ok(Operand::Literal(Scalar::Float(-n))),
            NodeKind::Static(Static::Duration(n)) => Ok(Operand::Literal(Scalar::Duration(-n))),
            _ => Err(unknown("arithmetic")),
        },
        _ => Err(unknown("arithmetic")),
    }
}

/// The attributes of the list `by`, as the grouping of metrics has them.
///
/// # Errors
/// Attributes that are not evaluated here.
pub fn fields(tree: &Tree<'_>, by: List) -> Result<Vec<(String, Field)>, String> {
    let field = |id: &NodeId| match tree.kind(*id) {
        NodeKind::Attribute(attribute) => Ok((label(attribute), Field::new(attribute)?)),
        _ => Err(unknown("grouping by what is no attribute")),
    };
    tree.list(by).iter().map(field).collect()
}

/// How Tempo writes an attribute as a label (`Attribute.String`).
fn label(attribute: &Attribute<'_>) -> String {
    match attribute {
        Attribute::Named { scope, name } => [scope.prefix(), name].concat(),
        Attribute::Intrinsic(intrinsic) => intrinsic.canonical().to_owned(),
    }
}

/// The refusal of a construct that is not evaluated.
pub fn unknown(what: &str) -> String {
    format!("the demo does not evaluate {what}")
}
