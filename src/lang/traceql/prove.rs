//! The proof of a scoped text: it is read afresh, and must say what the caller's text said, with the
//! scope in every filter and nothing else.

use super::chunk;
use super::lex::{Kind, lex};
use super::parse::{Entry, parse_tokens};
use super::scan;
use super::scope::{Comparison, Condition, Test};
use super::tree::{Attribute, AttributeScope, FieldOp, NodeId, NodeKind, Static, Tree};
use super::with;
use crate::lang::core::emit::Emitted;
use crate::lang::core::token::Token;
use crate::lang::{Features, QueryError};
use crate::limits::QueryLimits;
use crate::tenant::Salt;

/// What the caller's text said, and what was to be added.
pub(super) struct Proof<'p, 'a> {
    pub text: &'p str,
    /// Its tokens, without the `true` of `{ true }`.
    pub kept: &'p [Token<Kind>],
    pub tree: &'p Tree<'a>,
    pub condition: &'p Condition,
    pub entry: Entry,
    pub features: Features,
    pub limits: &'p QueryLimits,
}

/// Proves `output`.
///
/// # Errors
/// `defect`, naming the step that failed.
pub(super) fn prove(proof: &Proof<'_, '_>, output: &Emitted) -> Result<(), QueryError> {
    // The caller's text was under the caps; ours is deeper by the parentheses that we added.
    let limits = QueryLimits {
        bytes: usize::MAX,
        tokens: usize::MAX,
        selectors: usize::MAX,
        nesting: proof.limits.nesting + 1,
        ..*proof.limits
    };
    let defect = |_| QueryError::defect("the scoped text could not be read again");
    let tokens = lex(&output.text, &limits).map_err(defect)?;
    if !same_tokens((proof.text, proof.kept), output, &tokens) {
        return Err(QueryError::defect("the scoped text has other tokens than were sent"));
    }
    let tree = parse_tokens(&output.text, &tokens, proof.entry, proof.features, &limits).map_err(defect)?;
    if !with::agree(proof.tree, &tree, proof.condition.salt.as_ref()) {
        return Err(QueryError::defect("the scoped text has other hints than it should have"));
    }
    if !same_tree(proof, &tree) {
        return Err(QueryError::defect("the scoped text says something else than was sent"));
    }
    let filters = proof.tree.sites.filters.len() + proof.tree.sites.fences.len();
    if scan::filters(&output.text, &proof.condition.text) != Some(filters) {
        return Err(QueryError::defect("a spanset filter of the scoped text lacks the scope"));
    }
    if proof
        .condition
        .salt
        .as_ref()
        .is_some_and(|salt| !scan::ends_in(&output.text, with::SALT, salt.as_str()))
    {
        return Err(QueryError::defect("the scoped text lacks its salt"));
    }
    if output.text.len() > chunk::BYTES && !chunk::agrees(&output.text, &tokens) {
        return Err(QueryError::defect("the scoped text reads differently in chunks"));
    }
    Ok(())
}

/// What there is to prove where there is no scope.
pub(super) struct Unrestricted<'p, 'a> {
    pub text: &'p str,
    /// Its tokens, without hints that are dropped.
    pub kept: &'p [Token<Kind>],
    pub tree: &'p Tree<'a>,
    pub salt: Option<Salt>,
    pub entry: Entry,
    pub features: Features,
    pub limits: &'p QueryLimits,
}

/// Proves `output` of a caller who may see everything: his tokens and hints, and the salt.
///
/// # Errors
/// `defect`, naming the step that failed.
pub(super) fn prove_unrestricted(proof: &Unrestricted<'_, '_>, output: &Emitted) -> Result<(), QueryError> {
    let limits = QueryLimits { bytes: usize::MAX, tokens: usize::MAX, ..*proof.limits };
    let defect = |_| QueryError::defect("the text could not be read again");
    let tokens = lex(&output.text, &limits).map_err(defect)?;
    let tree = parse_tokens(&output.text, &tokens, proof.entry, proof.features, &limits).map_err(defect)?;
    let salt = proof.salt.as_ref();
    if !same_tokens((proof.text, proof.kept), output, &tokens) || !with::agree(proof.tree, &tree, salt) {
        return Err(QueryError::defect("the text says something else than was sent"));
    }
    if output.text.len() > chunk::BYTES && !chunk::agrees(&output.text, &tokens) {
        return Err(QueryError::defect("the text reads differently in chunks"));
    }
    Ok(())
}

/// Outside our insertions: the caller's tokens, in order, byte for byte.
fn same_tokens((text, kept): (&str, &[Token<Kind>]), output: &Emitted, tokens: &[Token<Kind>]) -> bool {
    let mut inserted = output.insertions.iter().peekable();
    let mut kept = kept.iter();
    for token in tokens {
        while inserted.next_if(|i| i.to <= token.span.from).is_some() {}
        if let Some(insertion) = inserted.peek()
            && insertion.from < token.span.to
        {
            if insertion.from <= token.span.from && token.span.to <= insertion.to {
                continue;
            }
            return false;
        }
        let same = kept
            .next()
            .is_some_and(|k| k.kind == token.kind && k.span.of(text) == token.span.of(&output.text));
        if !same {
            return false;
        }
    }
    kept.next().is_none()
}

/// Whether `out` is the caller's tree plus the scope. A walk of both with a stack of its own: nothing
/// here recurses with the text.
fn same_tree(proof: &Proof<'_, '_>, out: &Tree<'_>) -> bool {
    let input = proof.tree;
    let comparisons = &proof.condition.comparisons;
    let is_fence = |id: NodeId| matches!(out.kind(id), NodeKind::Filter(Some(condition)) if is_scope(out, *condition, comparisons));
    let mut pairs =
        Pairs { rest: vec![Pair { theirs: input.root, ours: out.root, fenced: false }], fenced: true };
    while let Some(Pair { theirs, ours, fenced }) = pairs.rest.pop() {
        pairs.fenced = fenced;
        let same = match (input.kind(theirs), out.kind(ours)) {
            // Before its fence a pipeline has nothing, and a filter is one only if it is nothing else.
            (NodeKind::Pipeline(list), NodeKind::Pipeline(ours)) if !fenced => {
                let (theirs, ours) = (input.list(*list), out.list(*ours));
                pairs.fenced = true;
                let empty = theirs.first().is_some_and(|first| *input.kind(*first) == NodeKind::Filter(None));
                // With as many stages, the first is the fence.
                let theirs = if empty && theirs.len() == ours.len() { theirs.get(1..) } else { Some(theirs) };
                match (theirs, ours) {
                    (Some(theirs), [fence, ours @ ..]) => is_fence(*fence) && pairs.add(theirs, ours),
                    _ => false,
                }
            }
            // A spanset in parentheses that is combined with a pipeline.
            (NodeKind::Filter(_) | NodeKind::Spansets { .. }, NodeKind::Pipeline(list)) if !fenced => {
                pairs.fenced = true;
                matches!(out.list(*list), [fence, only] if is_fence(*fence) && pairs.add(&[theirs], &[*only]))
            }
            (NodeKind::Filter(None), NodeKind::Filter(_)) => is_fence(ours),
            (NodeKind::Filter(Some(theirs)), NodeKind::Filter(Some(ours))) if fenced => {
                let operand = scoped_operand(out, *ours, comparisons);
                operand.is_some_and(|operand| pairs.add(&[*theirs], &[operand]))
            }
            (NodeKind::Filter(_) | NodeKind::Pipeline(_), _) => false,
            (theirs, ours) => same_node(input, theirs, out, ours, &mut pairs),
        };
        if !same {
            return false;
        }
    }
    true
}

/// Nodes that must say the same.
struct Pairs {
    rest: Vec<Pair>,
    /// Whether those that are put here come after a fence.
    fenced: bool,
}

/// A node of the caller's and one of the scoped text.
struct Pair {
    theirs: NodeId,
    ours: NodeId,
    /// Whether only spans of the scope come here.
    fenced: bool,
}

impl Pairs {
    /// Puts each of `theirs` beside the one of `ours` in its place, if there are as many.
    fn add(&mut self, theirs: &[NodeId], ours: &[NodeId]) -> bool {
        let fenced = self.fenced;
        let pairs =
            theirs.iter().zip(ours).map(|(theirs, ours)| Pair { theirs: *theirs, ours: *ours, fenced });
        self.rest.extend(pairs);
        theirs.len() == ours.len()
    }
}

/// `T && operand`: the operand.
fn scoped_operand(tree: &Tree<'_>, id: NodeId, comparisons: &[Comparison]) -> Option<NodeId> {
    match tree.kind(id) {
        NodeKind::Binary { op: FieldOp::And, left, right } if is_scope(tree, *left, comparisons) => {
            Some(*right)
        }
        _ => None,
    }
}

/// Whether the node is `T`: the comparisons joined by `&&`, to the left.
fn is_scope(tree: &Tree<'_>, id: NodeId, comparisons: &[Comparison]) -> bool {
    let (mut id, mut rest) = (id, comparisons);
    while let Some((last, before)) = rest.split_last() {
        let compared = if before.is_empty() {
            id
        } else {
            let NodeKind::Binary { op: FieldOp::And, left, right } = tree.kind(id) else { return false };
            id = *left;
            *right
        };
        if !is_comparison(tree, compared, last) {
            return false;
        }
        rest = before;
    }
    !comparisons.is_empty()
}

pub(super) fn is_comparison(tree: &Tree<'_>, id: NodeId, expected: &Comparison) -> bool {
    let named = |id: NodeId| {
        matches!(tree.kind(id), NodeKind::Attribute(Attribute::Named {
            scope: AttributeScope::Resource,
            name,
        }) if *name == expected.name)
    };
    match (&expected.test, tree.kind(id)) {
        (Test::Is { op, value }, NodeKind::Binary { op: found, left, right }) => {
            let valued = matches!(tree.kind(*right), NodeKind::Static(Static::String(found))
                if **found == *value.as_bytes());
            op == found && named(*left) && valued
        }
        (Test::Shown, NodeKind::Exists(attribute)) => named(*attribute),
        _ => false,
    }
}

/// Compares two nodes but for what is below them, which is put on `pairs`.
#[rustfmt::skip] // one line a pair
fn same_node(
    input: &Tree<'_>, theirs: &NodeKind<'_>,
    out: &Tree<'_>, ours: &NodeKind<'_>,
    pairs: &mut Pairs,
) -> bool {
    use NodeKind as N;
    let mut lists = |a, b| pairs.add(input.list(a), out.list(b));
    match (theirs, ours) {
        (N::Coalesce, N::Coalesce) => true,
        (N::Static(a), N::Static(b)) => a == b,
        (N::Attribute(a), N::Attribute(b)) => a == b,
        (N::Top { bottom: a, limit: x }, N::Top { bottom: b, limit: y }) => a == b && x == y,
        (N::Select(a), N::Select(b)) => lists(*a, *b),
        (N::Group(a), N::Group(b)) | (N::Negate(a), N::Negate(b)) | (N::Not(a), N::Not(b))
        | (N::Exists(a), N::Exists(b)) | (N::Absent(a), N::Absent(b)) => {
            pairs.add(&[*a], &[*b])
        }
        (N::Spansets { op: a, left: l, right: r }, N::Spansets { op: b, left: m, right: s }) => {
            pairs.add(&[*l, *r], &[*m, *s]) && a == b
        }
        (N::ScalarFilter { op: a, aggregate: l, value: r }, N::ScalarFilter { op: b, aggregate: m, value: s })
        | (N::MetricsArithmetic { op: a, left: l, right: r }, N::MetricsArithmetic { op: b, left: m, right: s })
        | (N::Binary { op: a, left: l, right: r }, N::Binary { op: b, left: m, right: s }) => {
            pairs.add(&[*l, *r], &[*m, *s]) && a == b
        }
        (N::MetricsFilter { op: a, value: l }, N::MetricsFilter { op: b, value: m }) => {
            pairs.add(&[*l], &[*m]) && a == b
        }
        (N::Aggregate { function: f, of: a }, N::Aggregate { function: g, of: b }) => {
            pairs.add(a.as_slice(), b.as_slice()) && f == g
        }
        (N::Metrics { pipeline: p, first: a, second: x }, N::Metrics { pipeline: q, first: b, second: y }) => {
            let same = lists(*x, *y) && pairs.add(&[*p], &[*q]);
            // What stands behind the pipeline gets the spans that it found.
            pairs.fenced = true;
            same && pairs.add(&[*a], &[*b])
        }
        (N::MetricsStages { metrics: a, second: x }, N::MetricsStages { metrics: b, second: y }) => {
            lists(*x, *y) && pairs.add(&[*a], &[*b])
        }
        (
            N::MetricsStage { function: f, of: a, quantiles: q, by: x },
            N::MetricsStage { function: g, of: b, quantiles: r, by: y },
        ) => {
            lists(*q, *r) && lists(*x, *y) && pairs.add(a.as_slice(), b.as_slice()) && f == g
        }
        (
            N::Compare { selection: a, top: x, window: v },
            N::Compare { selection: b, top: y, window: w },
        ) => {
            pairs.add(&[*a], &[*b]) && x == y && v == w
        }
        _ => false,
    }
}
