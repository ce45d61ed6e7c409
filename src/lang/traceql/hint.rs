//! The hint that Tempo's tag endpoints take as `q`: the scope, and of the caller's own conditions those that
//! Tempo surely reads as they are written.
//!
//! Tempo 2.7 to 2.9 does not parse `q` there but picks conditions out of it by a pattern, joins those by `&&`,
//! and answers from everyone's data where the pattern finds no single filter or what it picked does not parse
//! (`ExtractMatchers` in `pkg/traceql/extractmatcher.go`). Where a condition names an attribute without its
//! scope, all of them are ignored (`categorizeConditions` in `tempodb/encoding/vparquet4/block_traceql.go`),
//! and two conditions on one column of its own are joined by *or* (`block_autocomplete.go` there). So the hint
//! is built from nothing: one filter, comparisons joined by `&&`, never one on an attribute of the scope. What
//! is dropped makes the answer wider, within the scope.
//!
//! The proof has two readers: ours must find the comparisons and no other, and `extracted`, which shares no
//! code with it, must pick just the conditions that were written.

use super::chunk;
use super::extract;
use super::intrinsic::Intrinsic;
use super::layout;
use super::lex::{Kind, lex};
use super::literal;
use super::parse::{Entry, parse};
use super::prove::is_comparison;
use super::scope::{Comparison, Condition, check_scoped_bytes};
use super::tree::{Attribute, AttributeScope, FieldOp, NodeId, NodeKind, Static, Tree};
use crate::lang::core::emit::Emitted;
use crate::lang::core::quote::{self, Dialect, push_quoted};
use crate::lang::core::token::Token;
use crate::lang::{Features, QueryError, ScopedText};
use crate::limits::QueryLimits;
use crate::span::Span;
use crate::tenant::ScopeMatchers;

/// Longest hint of more than one condition that Tempo is sure to read as written: one buffer of its scanner,
/// less what its frontend changes at the ends.
pub const MAX_BYTES: usize = 1000;

/// The attribute on which the salt is put. A column of its own on every resource, absent ones empty, whose
/// conditions Tempo joins by *and* (`createDistinctResourceIterator` in `block_autocomplete.go`).
const SALTED: &str = "resource.service.name";

/// `{ T && condition && … }` for the conditions of `query` that are kept.
///
/// With a `salt`, letters and digits that no caller knows, the hint also has a condition that every span
/// meets: Tempo keeps answers on disk under a hash of tag and hint that is short and not keyed
/// (`searchTagValuesV2CacheKey` in `modules/ingester/instance_search.go`), and what is salted cannot be made
/// to collide with another's.
///
/// # Errors
/// `limit` if the scope has so many values that the text is over its cap, or that more than one condition does
/// not fit; `defect` if the scope's label is no plain resource attribute or the proof fails.
pub fn hint(
    query: &str,
    limits: &QueryLimits,
    matchers: &ScopeMatchers,
    salt: Option<&str>,
) -> Result<ScopedText, QueryError> {
    let condition = Condition::new(matchers, false)?;
    check_scoped_bytes(condition.text.len(), limits.scoped_traceql_bytes)?;
    let salted = salt.map(|salt| format!("{SALTED} != \"{salt}\""));
    let bare = Hint { condition: &condition, salted: salted.as_deref(), kept: &[] };
    let bare_text = bare.text();
    if condition.comparisons.len() > 1 && bare_text.len() > MAX_BYTES {
        return Err(QueryError::limit("bytes of the scope for tags", MAX_BYTES, None));
    }
    let kept = kept(query, limits, &condition);
    let whole = Hint { kept: &kept, ..bare };
    let text = whole.text();
    if kept.is_empty() || text.len() > MAX_BYTES {
        return bare.proven(bare_text, limits);
    }
    whole.proven(text, limits)
}

/// A condition of the caller's that is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    /// `attribute op literal`, each in the one way to write it.
    pub text: String,
    attribute: Attribute<'static>,
    op: FieldOp,
    value: Static<'static>,
}

/// What a hint is made of.
struct Hint<'h> {
    condition: &'h Condition,
    salted: Option<&'h str>,
    kept: &'h [Kept],
}

impl Hint<'_> {
    /// Every condition, in the order in which they are written. The salt comes first: behind it only the
    /// string of a single dimension may be long.
    fn conditions(&self) -> impl Iterator<Item = &str> {
        let scope = self.condition.text.split(" && ");
        self.salted.into_iter().chain(scope).chain(self.kept.iter().map(|kept| kept.text.as_str()))
    }

    fn text(&self) -> String {
        let mut text = String::from("{ ");
        for (index, condition) in self.conditions().enumerate() {
            text.push_str(if index > 0 { " && " } else { "" });
            text.push_str(condition);
        }
        text.push_str(" }");
        text
    }

    /// Seals `text`, which both readers must find to be this hint.
    fn proven(&self, text: String, limits: &QueryLimits) -> Result<ScopedText, QueryError> {
        let ours: usize =
            self.salted.map_or(0, |salted| salted.len() + " && ".len()) + self.condition.text.len();
        let insertion = Span::new(2, 2 + ours);
        let emitted = layout::lay_out(Emitted { text, insertions: vec![insertion] })?;
        check_scoped_bytes(emitted.text.len(), limits.scoped_traceql_bytes)?;
        self.prove(&emitted.text)?;
        Ok(ScopedText::proven(emitted.text, 1, emitted.insertions, &self.condition.scope))
    }

    fn prove(&self, text: &str) -> Result<(), QueryError> {
        let any = QueryLimits { bytes: usize::MAX, tokens: usize::MAX, ..QueryLimits::default() };
        let defect = |_| QueryError::defect("the hint could not be read again");
        let tokens = lex(text, &any).map_err(defect)?;
        let tree = parse(text, Entry::Query, Features::NONE, &any).map_err(defect)?;
        if !self.is_said_by(&tree) {
            return Err(QueryError::defect("the hint says something else than was written"));
        }
        let picked = extract::conditions(text);
        // A long text is padded: there words stand further apart.
        let words =
            |condition: &str| condition.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        let same =
            picked.is_some_and(|picked| picked.into_iter().map(words).eq(self.conditions().map(words)));
        if !same {
            return Err(QueryError::defect("the hint's conditions are not picked as they were written"));
        }
        if text.len() > chunk::BYTES && !chunk::agrees(text, &tokens) {
            return Err(QueryError::defect("the hint reads differently in chunks"));
        }
        Ok(())
    }

    /// Whether `tree` is one filter with the salt, the scope's comparisons, and the kept ones: in order, and
    /// no other.
    fn is_said_by(&self, tree: &Tree<'_>) -> bool {
        let NodeKind::Pipeline(stages) = tree.kind(tree.root()) else { return false };
        let [only] = tree.list(*stages) else { return false };
        let NodeKind::Filter(Some(mut rest)) = *tree.kind(*only) else { return false };
        let mut found: Vec<NodeId> = Vec::new();
        while let NodeKind::Binary { op: FieldOp::And, left, right } = tree.kind(rest) {
            found.push(*right);
            rest = *left;
        }
        found.push(rest);
        found.reverse();
        let (salts, found) = found.split_at(usize::from(self.salted.is_some()).min(found.len()));
        let (scope, kept) = found.split_at(self.condition.comparisons.len().min(found.len()));
        salts.iter().all(|id| is_salt(tree, *id))
            && scope.len() == self.condition.comparisons.len()
            && scope.iter().zip(&self.condition.comparisons).all(|(id, c)| is_comparison(tree, *id, c))
            && kept.len() == self.kept.len()
            && kept.iter().zip(self.kept).all(|(id, kept)| is_kept(tree, *id, kept))
    }
}

/// Whether the node compares the salted attribute by `!=` with a string.
fn is_salt(tree: &Tree<'_>, id: NodeId) -> bool {
    matches!(compared(tree, id), Some((
        Attribute::Named { scope: AttributeScope::Resource, name },
        FieldOp::NotEqual,
        Static::String(_),
    )) if SALTED.strip_prefix("resource.") == Some(name))
}

fn is_kept(tree: &Tree<'_>, id: NodeId, kept: &Kept) -> bool {
    compared(tree, id) == Some((&kept.attribute, kept.op, &kept.value))
}

/// `attribute op literal`, if the node is that.
fn compared<'t, 'a>(tree: &'t Tree<'a>, id: NodeId) -> Option<(&'t Attribute<'a>, FieldOp, &'t Static<'a>)> {
    let NodeKind::Binary { op, left, right } = tree.kind(id) else { return None };
    match (tree.kind(*left), tree.kind(*right)) {
        (NodeKind::Attribute(attribute), NodeKind::Static(value)) => Some((attribute, *op, value)),
        _ => None,
    }
}

/// The conditions of `query` that are kept: none where it is no single filter, where it has anything but
/// comparisons joined by `&&`, or names an attribute without its scope. A comparison that is not finished, as
/// editors send them, is dropped by itself.
pub(super) fn kept(query: &str, limits: &QueryLimits, scope: &Condition) -> Vec<Kept> {
    let Ok(tokens) = lex(query, limits) else { return Vec::new() };
    let inner = match tokens.as_slice() {
        [open, inner @ .., close] if open.kind == Kind::OpenBrace && close.kind == Kind::CloseBrace => inner,
        _ => return Vec::new(),
    };
    let breaks = |t: &Token<Kind>| {
        matches!(
            t.kind,
            Kind::OpenBrace | Kind::CloseBrace | Kind::OpenParen | Kind::Or | Kind::Not | Kind::Pipe
        )
    };
    let unscoped = |t: &Token<Kind>| {
        matches!(t.kind, Kind::Attribute(AttributeScope::Any) | Kind::QuotedAttribute(AttributeScope::Any))
    };
    if inner.iter().any(|token| breaks(token) || unscoped(token)) {
        return Vec::new();
    }
    inner
        .split(|token| token.kind == Kind::And)
        .filter_map(|comparison| match comparison {
            [attribute, op, value] => keep(query, *attribute, *op, *value, scope),
            _ => None,
        })
        .collect()
}

/// A comparison, if it is one that is kept.
fn keep(
    query: &str,
    attribute: Token<Kind>,
    op: Token<Kind>,
    value: Token<Kind>,
    scope: &Condition,
) -> Option<Kept> {
    let name = subject(query, attribute, scope)?;
    let op_text = op.span.of(query);
    let literal = match (value.kind, op.kind) {
        (Kind::String, Kind::Eq | Kind::Neq | Kind::Re | Kind::Nre) => {
            string(value.span.of(query), op.kind == Kind::Re)?
        }
        (
            Kind::Integer | Kind::Duration,
            Kind::Eq | Kind::Neq | Kind::Lt | Kind::Lte | Kind::Gt | Kind::Gte,
        ) => number(value.span.of(query))?,
        (Kind::Word, Kind::Eq | Kind::Neq) => word(value.span.of(query))?,
        _ => return None,
    };
    let text = [&name, op_text, &literal].join(" ");
    // Types are Tempo's own matter, and one that does not fit would cost all conditions.
    let alone = format!("{{ {text} }}");
    let tree = parse(&alone, Entry::Query, Features::NONE, &QueryLimits::default()).ok()?;
    let NodeKind::Pipeline(stages) = tree.kind(tree.root()) else { return None };
    let NodeKind::Filter(Some(condition)) = *tree.kind(*tree.list(*stages).first()?) else { return None };
    let (attribute, op, value) = compared(&tree, condition)?;
    let (attribute, value) = (attribute.clone().into_owned(), value.clone().into_owned());
    Some(Kept { text, attribute, op, value })
}

/// What is compared, in the one way to write it, if it is an attribute with its scope and none of the
/// caller's scope, or one of the intrinsics that are stored with each span.
fn subject(query: &str, token: Token<Kind>, scope: &Condition) -> Option<String> {
    let text = token.span.of(query);
    match token.kind {
        Kind::Attribute(_) => {
            let (_, name) = text.split_once('.')?;
            let plain = !name.is_empty() && name.bytes().all(extract::is_plain_name);
            let scoped = |c: &Comparison| text.strip_prefix("resource.") == Some(c.name.as_str());
            (plain && !scope.comparisons.iter().any(scoped)).then(|| text.to_owned())
        }
        Kind::Word | Kind::ScopedIntrinsic => match Intrinsic::named(text)? {
            found @ (Intrinsic::Name
            | Intrinsic::Kind
            | Intrinsic::Status
            | Intrinsic::StatusMessage
            | Intrinsic::Duration) => Some(found.canonical().to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// A string of visible ASCII without what the pattern or the pattern of a single filter could stumble over;
/// `|` in patterns only, which must stand behind a `=~`.
fn string(literal: &str, pattern: bool) -> Option<String> {
    let value = quote::unquote(literal, Dialect::Go).ok()?;
    let plain =
        |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'`' | b'{' | b'}') && (pattern || *b != b'|');
    let value =
        std::str::from_utf8(&value).ok().filter(|v| !v.is_empty() && v.as_bytes().iter().all(plain))?;
    let mut quoted = String::with_capacity(value.len() + 2);
    push_quoted(&mut quoted, value);
    Some(quoted)
}

/// A number as the pattern takes it: digits, and of the units `s`, `m`, `h` and `ms`.
fn number(literal: &str) -> Option<String> {
    let taken = literal.bytes().all(|b| b.is_ascii_digit() || matches!(b, b's' | b'm' | b'h'));
    let read = literal.parse::<i64>().is_ok() || literal::duration(literal).is_some();
    (taken && read).then(|| literal.to_owned())
}

/// A word that is a literal.
fn word(text: &str) -> Option<String> {
    text.bytes().all(|b| b.is_ascii_lowercase()).then(|| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
