//! Putting the scope into every spanset filter, and in front of every pipeline.
//!
//! `{ user }` becomes `{ T && ( user ) }`, since `&&` and `||` have one precedence in TraceQL; `{}` and
//! `{ true }` become `{ T }`.
//!
//! Tempo's storage hands over more spans than a filter finds, and evaluates both sides of `&&` on each, in the
//! order that was faster of late (`BinaryOperation.execute` in `pkg/traceql/ast_execute.go`): an expression of the
//! caller's that fails on a span fails the query, whoever's span it is. So every pipeline begins with a
//! filter of the scope alone, `{ T } | …`: a stage gets the spans that the one before it found, and no other
//! (`Pipeline.evaluate` in `ast.go`).

use super::layout;
use super::lex::{Kind, lex};
use super::parse::{Entry, parse_tokens};
use super::prove::{Proof, Unrestricted, prove, prove_unrestricted};
use super::tree::{FieldOp, Tree};
use super::with;
use crate::lang::core::emit::{Insertion, emit};
use crate::lang::core::quote::{push_pattern, push_quoted};
use crate::lang::core::token::Token;
use crate::lang::{Feature, Features, QueryError, ScopedText};
use crate::limits::QueryLimits;
use crate::tenant::{Salt, ScopeMatcher, ScopeMatchers};
use std::borrow::Cow;

/// Scopes `text`, which must be an `entry`.
///
/// # Errors
/// What [`super::parse()`] refuses; `unsafe` for what reads other tenants' spans of a shared trace
/// (unless `features` say that none is shared), and for a long text that cannot be laid out; `limit`
/// for a scoped text over its cap; `defect` if the proof fails.
pub fn scope(
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
    matchers: &ScopeMatchers,
) -> Result<ScopedText, QueryError> {
    let condition = Condition::new(matchers, entry == Entry::Query)?;
    scope_with(&condition, text, entry, features, limits)
}

fn scope_with(
    condition: &Condition,
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<ScopedText, QueryError> {
    let tokens = lex(text, limits)?;
    let tree = parse_tokens(text, &tokens, entry, features, limits)?;
    refuse_shared(text, &tree, features)?;
    let filters = tree.sites.filters.len() + tree.sites.fences.len();
    let most = limits.scoped_traceql_bytes;
    // Before anything is written: so many copies of a long scope would be large.
    check_scoped_bytes(filters.saturating_mul(condition.text.len()), most)?;

    let kept = kept(&tokens, &tree);
    let mut insertions = insertions(&tokens, &tree, condition);
    insertions.extend(salt_insertion(&kept, &tree, condition.salt.as_ref()));
    let emitted = layout::lay_out(emit(text, &kept, &insertions))?;
    check_scoped_bytes(emitted.text.len(), most)?;
    prove(&Proof { text, kept: &kept, tree: &tree, condition, entry, features, limits }, &emitted)?;
    Ok(ScopedText::proven(emitted.text, filters, emitted.insertions, &condition.scope))
}

/// `text` of a caller who may see everything: without a scope, but with the salt that everything has, too.
///
/// # Errors
/// As [`scope`], but for what shared traces forbid.
pub fn unrestricted(
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
    matchers: &ScopeMatchers,
) -> Result<ScopedText, QueryError> {
    let tokens = lex(text, limits)?;
    let tree = parse_tokens(text, &tokens, entry, features, limits)?;
    let mut kept = tokens.clone();
    kept.truncate(tree.sites.hints.lists.first().copied().unwrap_or(tokens.len()));
    kept.extend(tree.sites.hints.kept(&tokens, &tree));
    let salt = matchers.salt();
    let insertions: Vec<_> = salt_insertion(&kept, &tree, salt.as_ref()).into_iter().collect();
    let emitted = layout::lay_out(emit(text, &kept, &insertions))?;
    check_scoped_bytes(emitted.text.len(), limits.scoped_traceql_bytes)?;
    prove_unrestricted(
        &Unrestricted { text, kept: &kept, tree: &tree, salt, entry, features, limits },
        &emitted,
    )?;
    ScopedText::unrestricted(emitted.text, matchers).ok_or_else(|| QueryError::defect("a scope is left out"))
}

/// The salt's, after what is kept.
fn salt_insertion(kept: &[Token<Kind>], tree: &Tree<'_>, salt: Option<&Salt>) -> Option<Insertion<'static>> {
    let list = tree.hints().iter().any(|hint| with::is_kept(hint.name) == Some(true));
    Some(with::insertion(salt?, kept.len(), list))
}

/// The scope alone: `{ T }`.
///
/// # Errors
/// `limit` if the scope has so many values that the text is over its cap, `defect` if its label is no
/// resource attribute.
pub fn scope_selector(matchers: &ScopeMatchers, limits: &QueryLimits) -> Result<ScopedText, QueryError> {
    scope_with(&Condition::new(matchers, false)?, "{}", Entry::Query, Features::NONE, limits)
}

pub(super) fn check_scoped_bytes(bytes: usize, most: usize) -> Result<(), QueryError> {
    if bytes > most {
        Err(QueryError::limit("bytes once scoped (`limits.query.scoped_traceql_bytes`)", most, None))
    } else {
        Ok(())
    }
}

/// Refuses what depends on spans of other tenants in the same trace, whatever the filters say.
fn refuse_shared(text: &str, tree: &Tree<'_>, features: Features) -> Result<(), QueryError> {
    let Some(span) = tree.sites.shared.first() else { return Ok(()) };
    if features.has(Feature::TracesNeverMixTenants) {
        return Ok(());
    }
    let what = span.of(text);
    Err(QueryError::unsafe_(
        *span,
        format!(
            "`{what}` reads the whole trace, and not all of its spans need be yours; feature `traces_never_mix_tenants` allows it"
        ),
    ))
}

/// The condition that says the scope.
pub(super) struct Condition {
    /// `resource.tenant = "a" && …`: words between single spaces.
    pub text: String,
    /// Its comparisons, in order.
    pub comparisons: Vec<Comparison>,
    /// The scope's salt.
    pub salt: Option<Salt>,
    /// The scope.
    pub scope: ScopeMatchers,
}

/// What the scope requires of one attribute.
pub(super) struct Comparison {
    /// The attribute's name, of scope `resource`.
    pub name: String,
    /// What is required.
    pub test: Test,
}

/// What is required of an attribute.
pub(super) enum Test {
    /// A value of the scope.
    Is {
        /// `=` for one value, `=~` for several.
        op: FieldOp,
        /// The value or pattern, unquoted.
        value: String,
    },
    /// Any value: `!= nil`.
    Shown,
}

impl Condition {
    /// `shown` is for searches. From `resource.tenant = "a"` alone Tempo shows `a` for a list that has
    /// it, too; asked for any value as well, it shows the whole list, and the answer's cut drops it.
    pub(super) fn new(matchers: &ScopeMatchers, shown: bool) -> Result<Self, QueryError> {
        let (text, scope) = (String::with_capacity(64), matchers.clone());
        let mut condition = Self { text, comparisons: Vec::new(), salt: matchers.salt(), scope };
        for matcher in matchers.iter() {
            let comparison = Comparison::new(matcher)?;
            let shown = shown.then(|| Comparison { name: comparison.name.clone(), test: Test::Shown });
            condition.push(&matcher.label, comparison);
            if let Some(shown) = shown {
                condition.push(&matcher.label, shown);
            }
        }
        if condition.comparisons.is_empty() {
            return Err(QueryError::defect("a scope without a dimension"));
        }
        Ok(condition)
    }

    fn push(&mut self, label: &str, comparison: Comparison) {
        if !self.text.is_empty() {
            self.text.push_str(" && ");
        }
        self.text.push_str(label);
        match &comparison.test {
            Test::Is { op, value } => {
                self.text.push_str(if *op == FieldOp::Equal { " = " } else { " =~ " });
                push_quoted(&mut self.text, value);
            }
            Test::Shown => self.text.push_str(" != nil"),
        }
        self.comparisons.push(comparison);
    }
}

impl Comparison {
    /// Only `resource.` is the ingest side's to set: a span attribute of the same name is the sender's.
    fn new(matcher: &ScopeMatcher) -> Result<Self, QueryError> {
        let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let name = matcher
            .label
            .strip_prefix("resource.")
            .filter(|name| !name.is_empty() && name.bytes().all(bare))
            .ok_or_else(|| QueryError::defect("the scope's label is no plain resource attribute"))?;
        let (op, value) = match matcher.values.single() {
            Some(one) => (FieldOp::Equal, one.as_str().to_owned()),
            // Anchored by ourselves: Tempo before 2.7 matched parts of values.
            None => {
                let mut pattern = String::from("^(?:");
                for (index, value) in matcher.values.iter().enumerate() {
                    if index > 0 {
                        pattern.push('|');
                    }
                    push_pattern(&mut pattern, value.as_str());
                }
                pattern.push_str(")$");
                (FieldOp::Matches, pattern)
            }
        };
        Ok(Self { name: name.to_owned(), test: Test::Is { op, value } })
    }
}

/// The tokens without the `true` of each `{ true }`, and without hints that are dropped.
fn kept<'t>(tokens: &'t [Token<Kind>], tree: &Tree<'_>) -> Cow<'t, [Token<Kind>]> {
    let hints = &tree.sites.hints;
    let mut drops = tree.sites.filters.iter().filter(|f| f.empty && f.close > f.open + 1).peekable();
    if drops.peek().is_none() && hints.lists.is_empty() {
        return Cow::Borrowed(tokens);
    }
    let end = hints.lists.first().copied().unwrap_or(tokens.len());
    let mut kept = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate().take(end) {
        match drops.next_if(|f| f.open + 1 == index) {
            Some(_) => {}
            None => kept.push(*token),
        }
    }
    kept.extend(hints.kept(tokens, tree));
    Cow::Owned(kept)
}

/// What goes where, counted in kept tokens. Inside a filter the text is the same whatever the
/// caller's spacing: a space that the next token brings is not written twice.
fn insertions<'s>(tokens: &[Token<Kind>], tree: &Tree<'_>, condition: &'s Condition) -> Vec<Insertion<'s>> {
    let text = condition.text.as_str();
    let spaced = |index: usize| tokens.get(index).is_some_and(|t| t.spaced);
    let mut made: Vec<Insertion<'s>> =
        Vec::with_capacity(2 * tree.sites.filters.len() + tree.sites.fences.len());
    let mut fences = tree.sites.fences.iter().copied().peekable();
    let mut dropped = 0;
    let fence = |start: usize, dropped: usize| {
        let (before, after) = if spaced(start) { (" ", "") } else { ("", " ") };
        Insertion { at: start - dropped, text: Cow::Owned(format!("{before}{{ {text} }} |{after}")) }
    };
    for filter in &tree.sites.filters {
        while let Some(start) = fences.next_if(|start| *start <= filter.open) {
            made.push(fence(start, dropped));
        }
        let at = filter.open + 1 - dropped;
        if filter.empty {
            dropped += filter.close - filter.open - 1;
            let after = if spaced(filter.close) { "" } else { " " };
            made.push(Insertion { at, text: Cow::Owned([" ", text, after].concat()) });
        } else {
            let head = if spaced(filter.open + 1) { " && (" } else { " && ( " };
            made.push(Insertion { at, text: Cow::Owned([" ", text, head].concat()) });
            let tail = if spaced(filter.close) { " )" } else { " ) " };
            made.push(Insertion { at: filter.close - dropped, text: Cow::Borrowed(tail) });
        }
    }
    made.extend(fences.map(|start| fence(start, dropped)));
    made
}
