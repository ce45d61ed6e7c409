//! Writing the scope into every selector.
//!
//! A matcher is put directly after `{`, or in braces after a bare name. All matchers of a selector
//! must hold, so one more confines it whatever the caller's own say, also about the same label.
//!
//! `absent` and `absent_over_time` make labels of their selector's equality matchers, and leave out those of which they
//! find a second matcher (`createLabelsForAbsentFunction` in `promql/functions.go` of Prometheus 3.16). There one value
//! is written as a pattern, which makes none, so that the answer is that of a backend without our
//! matcher. A caller's own `label="value"` with a value of the scope is left to stand for ours there. One with
//! another value can find nothing, and is left alone as well: beside it stand two matchers that contradict each other.

use super::lex::Kind;
use super::parse::{self, Around, Place, Read};
use super::tree::Selector;
use super::{Entry, prove, scan};
use crate::lang::core::emit::{Insertion, emit};
use crate::lang::core::quote;
use crate::lang::matcher::{MatchOp, Matcher};
use crate::lang::{Features, QueryError, ReadText, ScopedText};
use crate::limits::QueryLimits;
use crate::tenant::{ScopeMatcher, ScopeMatchers};
use std::borrow::Cow;

/// Puts `scope` into every selector of `text`, which must be an `entry` as a whole, and proves it.
///
/// # Errors
/// What [`parse()`](parse::parse) refuses; `limit` if the scoped text is over its cap; `defect` if it
/// does not stand the proof.
pub fn scope(
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
    scope: &ScopeMatchers,
) -> Result<ScopedText, QueryError> {
    let read = parse::read(text, entry, features, limits)?;
    parse::check_selectors(&read.tree, entry)?;
    if parse::is_everything(&read.tree, entry) {
        // Beside another matcher it would be an error.
        return scope_selector(scope, limits);
    }
    write(text, &read, entry, features, limits, scope).map(|(scoped, _)| scoped)
}

/// Reads `text`, which must be an `entry` as a whole, and writes it again without a scope: for endpoints that
/// read nothing stored. What could not be scoped is refused all the same.
///
/// # Errors
/// As [`scope()`].
pub fn reread(
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
) -> Result<ReadText, QueryError> {
    let read = parse::read(text, entry, features, limits)?;
    parse::check_selectors(&read.tree, entry)?;
    let written = emit(text, &read.tokens, &[]).text;
    // Nothing is longer than it was: white space and comments become one space at most.
    let again = parse::read(&written, entry, features, limits).map_err(|error| {
        QueryError::defect(format!("the text is refused once written again: {}", error.kind))
    })?;
    if again.tree != read.tree {
        return Err(QueryError::defect("the text says something else once written again"));
    }
    drop(again);
    Ok(ReadText::read(written))
}

/// The selector of everything in `scope`, for requests that may have none: `{tenant="a"}`.
///
/// # Errors
/// `limit` if it is over the cap on scoped texts, `defect` if it does not stand the proof.
pub fn scope_selector(scope: &ScopeMatchers, limits: &QueryLimits) -> Result<ScopedText, QueryError> {
    // Read without the check for empty selectors, which the scope is about to cure.
    let read = parse::read(EVERYTHING, Entry::Selector, Features::NONE, limits)?;
    write(EVERYTHING, &read, Entry::Selector, Features::NONE, limits, scope).map(|(scoped, _)| scoped)
}

const EVERYTHING: &str = "{}";

/// What one selector of the scoped text must carry.
pub(super) struct Carried {
    /// It is the argument of `absent` or `absent_over_time`.
    pub absent: bool,
    /// The matchers of the scope, by index, for which the caller's own stand.
    pub own: Vec<usize>,
    /// It asks for what is outside of the scope, and has [`NOTHING`] instead of it.
    pub nothing: bool,
}

/// The label of the matchers that no series meets.
pub(super) const NOTHING: &str = "__nothing__";
/// Those matchers, before others.
const READS_NOTHING: &str = r#"__nothing__=~".+",__nothing__!~".+","#;

/// Scopes what was read, and proves it; also gives what each selector carries.
pub(super) fn write(
    text: &str,
    read: &Read<'_>,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
    scope: &ScopeMatchers,
) -> Result<(ScopedText, Vec<Carried>), QueryError> {
    let selectors = read.places.iter().zip(&read.tree.selectors);
    let carried = selectors.map(|(place, selector)| carried(text, read, place, selector, scope));
    let carried = carried.collect::<Result<Vec<_>, _>>()?;
    let usual = Written::of(scope, false, &[]);
    let in_absent = carried.iter().any(|c| c.absent).then(|| Written::of(scope, true, &[]));
    let insertions: Vec<Insertion<'_>> = read
        .places
        .iter()
        .zip(&carried)
        .filter_map(|(place, carried)| {
            let text = match &in_absent {
                _ if carried.nothing => Cow::Borrowed(READS_NOTHING),
                _ if !carried.own.is_empty() => {
                    Cow::Owned(Written::of(scope, true, &carried.own).around(place.around).to_owned())
                }
                Some(in_absent) if carried.absent => Cow::Borrowed(in_absent.around(place.around)),
                _ => Cow::Borrowed(usual.around(place.around)),
            };
            (!text.is_empty()).then_some(Insertion { at: place.at, text })
        })
        .collect();
    check_length(text, read, &insertions, limits)?;
    let emitted = emit(text, &read.tokens, &insertions);
    prove::prove(read, &carried, &emitted.text, (entry, features), limits, scope)?;
    scan::scan(&emitted.text, carried.len(), scope)
        .map_err(|fault| QueryError::defect(format!("scan: {fault}")))?;
    Ok((ScopedText::proven(emitted.text, carried.len(), emitted.insertions, scope), carried))
}

/// Refuses a scoped text over its cap before it is written.
fn check_length(
    text: &str,
    read: &Read<'_>,
    insertions: &[Insertion<'_>],
    limits: &QueryLimits,
) -> Result<(), QueryError> {
    let inserted: usize = insertions.iter().map(|i| i.text.len()).sum();
    let max = limits.scoped_promql_bytes;
    if text.len() + inserted <= max {
        return Ok(());
    }
    let kept: usize = read.tokens.iter().map(|t| t.span.of(text).len() + usize::from(t.spaced)).sum();
    if kept + inserted > max {
        return Err(QueryError::limit("bytes once scoped (`limits.query.scoped_promql_bytes`)", max, None));
    }
    Ok(())
}

/// What `selector`, which is at `place`, must carry.
fn carried(
    text: &str,
    read: &Read<'_>,
    place: &Place,
    selector: &Selector<'_>,
    scope: &ScopeMatchers,
) -> Result<Carried, QueryError> {
    let mut carried = Carried { absent: place.absent, own: Vec::new(), nothing: false };
    if !place.absent || place.around != Around::Matchers {
        return Ok(carried);
    }
    let refuse = |message: String| Err(QueryError::unsupported(selector.position.0, message));
    let equal = || read.tree.matchers(selector).iter().filter(|own| own.op == MatchOp::Equal);
    if equal().any(|own| own.name == NOTHING) {
        return refuse(format!("`{NOTHING}` cannot be asked for in `absent` and `absent_over_time`"));
    }
    for (index, matcher) in scope.iter().enumerate() {
        let own = || equal().filter(|own| own.name == *matcher.label);
        let granted = |own: &Matcher<'_>| {
            std::str::from_utf8(&own.value).is_ok_and(|value| matcher.values.contains(value))
        };
        if own().any(|own| !granted(own)) {
            return Ok(Carried { absent: true, own: Vec::new(), nothing: true });
        }
        // Spelled so that the separate scanner recognises it, too.
        if has_own(text, read, place, matcher) {
            carried.own.push(index);
        } else if own().next().is_some() {
            return refuse(format!("write `{}` and its value without escapes here", matcher.label));
        }
    }
    Ok(carried)
}

/// Whether the caller wrote `label="value"` with a value of the scope, without escapes.
fn has_own(text: &str, read: &Read<'_>, place: &Place, matcher: &ScopeMatcher) -> bool {
    let tokens = read.tokens.get(place.at..).unwrap_or_default();
    let end = tokens.iter().position(|t| t.kind == Kind::RightBrace).unwrap_or(tokens.len());
    tokens.get(..end).unwrap_or_default().windows(3).any(|three| match three {
        [name, is, value] => {
            let quoted = value.span.of(text);
            let inside = |quote| quoted.strip_prefix(quote)?.strip_suffix(quote);
            name.kind == Kind::Name
                && name.span.of(text) == &*matcher.label
                && is.kind == Kind::Is
                && ['"', '\'', '`'].into_iter().find_map(inside).is_some_and(|v| matcher.values.contains(v))
        }
        _ => false,
    })
}

/// The matchers of a scope, written.
struct Written {
    /// `{matchers}`
    braced: String,
    /// `matchers,`
    followed: String,
}

impl Written {
    /// Writes `scope` without the matchers `left_out`; with `patterns` also single values as such.
    fn of(scope: &ScopeMatchers, patterns: bool, left_out: &[usize]) -> Self {
        let mut braced = String::with_capacity(64);
        braced.push('{');
        for (index, matcher) in scope.iter().enumerate() {
            if left_out.contains(&index) {
                continue;
            }
            if braced.len() > 1 {
                braced.push(',');
            }
            push_matcher(&mut braced, matcher, patterns);
        }
        let mut followed = String::with_capacity(braced.len());
        if let Some(matchers) = braced.get(1..).filter(|m| !m.is_empty()) {
            followed.push_str(matchers);
            followed.push(',');
        }
        braced.push('}');
        Self { braced, followed }
    }

    /// The text for a place with `around` around it.
    fn around(&self, around: Around) -> &str {
        match around {
            Around::Nothing => &self.braced,
            Around::EmptyBraces => self.followed.strip_suffix(',').unwrap_or_default(),
            Around::Matchers => &self.followed,
        }
    }
}

/// Writes `label="value"`, or `label=~"value|value"` with the values escaped as patterns.
fn push_matcher(out: &mut String, matcher: &ScopeMatcher, pattern: bool) {
    out.push_str(&matcher.label);
    match matcher.values.single().filter(|_| !pattern) {
        Some(value) => {
            out.push('=');
            quote::push_quoted(out, value.as_str());
        }
        None => {
            let mut pattern = String::new();
            push_pattern(&mut pattern, matcher);
            out.push_str("=~");
            quote::push_quoted(out, &pattern);
        }
    }
}

/// Writes the pattern that the values of `matcher`, and nothing else, match: `a|b`, escaped.
pub(in crate::lang) fn push_pattern(out: &mut String, matcher: &ScopeMatcher) {
    for (index, value) in matcher.values.iter().enumerate() {
        if index > 0 {
            out.push('|');
        }
        quote::push_pattern(out, value.as_str());
    }
}
