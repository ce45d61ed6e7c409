//! The proof by reading again: the scoped text says what the caller's said, and the scope at every
//! selector.

use super::Entry;
use super::parse::{self, Read};
use super::scope::{Carried, NOTHING};
use crate::lang::core::is_pattern;
use crate::lang::matcher::{MatchOp, Matcher};
use crate::lang::{Features, QueryError};
use crate::limits::QueryLimits;
use crate::tenant::{ScopeMatcher, ScopeMatchers};

/// Reads `scoped` and requires the tree of `read`, with the matchers of `scope` in front of each
/// selector's own; those that `carried` leaves to the caller must be there.
///
/// # Errors
/// `defect` naming what does not hold.
pub(super) fn prove(
    read: &Read<'_>,
    carried: &[Carried],
    scoped: &str,
    (entry, features): (Entry, Features),
    limits: &QueryLimits,
    scope: &ScopeMatchers,
) -> Result<(), QueryError> {
    let limits = QueryLimits { bytes: limits.scoped_promql_bytes, tokens: usize::MAX, ..limits.clone() };
    let again = parse::read(scoped, entry, features, &limits)
        .and_then(|again| parse::check_selectors(&again.tree, entry).map(|()| again.tree))
        .map_err(|error| QueryError::defect(format!("proof: the scoped text is refused: {error}")))?;
    let before = &read.tree;
    let same = before.nodes == again.nodes
        && before.arguments == again.arguments
        && before.labels == again.labels
        && before.matchings == again.matchings
        && before.durations == again.durations
        && before.selectors.len() == again.selectors.len()
        && before.selectors.len() == carried.len();
    if !same {
        return Err(QueryError::defect("proof: the scoped text says something else"));
    }
    for ((old, new), carried) in before.selectors.iter().zip(&again.selectors).zip(carried) {
        if old.name != new.name || old.shift != new.shift || old.edges != new.edges {
            return Err(QueryError::defect("proof: a selector changed"));
        }
        if !stand(scope, before.matchers(old), again.matchers(new), carried) {
            return Err(QueryError::defect("proof: a selector lacks the scope"));
        }
    }
    Ok(())
}

/// Whether `new` is `scope` and then `old`.
fn stand(scope: &ScopeMatchers, old: &[Matcher<'_>], new: &[Matcher<'_>], carried: &Carried) -> bool {
    if carried.nothing {
        return carried.absent && reads_nothing(new).is_some_and(|rest| rest == old);
    }
    let mut rest = new;
    for (index, expected) in scope.iter().enumerate() {
        if carried.own.contains(&index) {
            if !carried.absent || !old.iter().any(|m| is_own(m, expected)) {
                return false;
            }
            continue;
        }
        let Some((first, others)) = rest.split_first() else { return false };
        let says = match expected.values.single().filter(|_| !carried.absent) {
            Some(value) => first.op == MatchOp::Equal && *first.value == *value.as_str().as_bytes(),
            None => first.op == MatchOp::Regex && is_pattern(&first.value, &expected.values),
        };
        if first.name != *expected.label || !says {
            return false;
        }
        rest = others;
    }
    rest == old
}

/// What follows the two matchers that contradict each other.
fn reads_nothing<'m, 'a>(matchers: &'m [Matcher<'a>]) -> Option<&'m [Matcher<'a>]> {
    let [some, none, rest @ ..] = matchers else { return None };
    let is = |m: &Matcher<'_>, op| m.name == NOTHING && m.op == op && *m.value == *b".+";
    (is(some, MatchOp::Regex) && is(none, MatchOp::NotRegex)).then_some(rest)
}

/// Whether the caller's matcher carries the scope by itself.
fn is_own(matcher: &Matcher<'_>, expected: &ScopeMatcher) -> bool {
    matcher.name == *expected.label
        && matcher.op == MatchOp::Equal
        && std::str::from_utf8(&matcher.value).is_ok_and(|value| expected.values.contains(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lang::corpus_tests::matchers;

    /// Whether `scoped` is proven to be `text` with the scope `tenant=a`.
    fn proven(text: &str, scoped: &str) -> bool {
        proven_for(text, scoped, false)
    }

    fn proven_for(text: &str, scoped: &str, nothing: bool) -> bool {
        proven_in("tenant=a", text, scoped, nothing)
    }

    fn proven_in(scope: &str, text: &str, scoped: &str, nothing: bool) -> bool {
        let (how, limits) = ((Entry::Expression, Features::NONE), QueryLimits::default());
        let read = parse::read(text, how.0, how.1, &limits).unwrap();
        let carried: Vec<_> =
            read.places.iter().map(|p| Carried { absent: p.absent, own: Vec::new(), nothing }).collect();
        prove(&read, &carried, scoped, how, &limits, &matchers(scope)).is_ok()
    }

    #[test]
    fn the_scope_and_nothing_else_is_proven() {
        assert!(proven("x", r#"x{tenant="a"}"#));
        assert!(proven("x{b='c'} + 1", r#"x{tenant="a",b="c"}+1"#));
        assert!(proven("absent(x)", r#"absent(x{tenant=~"a"})"#));
    }

    #[test]
    fn several_values_are_their_pattern_and_no_wider_one() {
        let proven =
            |value: &str| proven_in("tenant=a.b,c", "x", &format!("x{{tenant=~\"{value}\"}}"), false);
        assert!(proven(r"a\\.b|c"));
        for wider in ["a.b|c", r"a\\.b|c|d", r"a\\.b", ".*", r"c|a\\.b", ""] {
            assert!(!proven(wider), "{wider}");
        }
    }

    #[test]
    fn a_selector_that_is_to_read_nothing_must() {
        let some = r#"__nothing__=~".+""#;
        let none = r#"__nothing__!~".+""#;
        let own = r#"tenant="b""#;
        let before = format!("absent(x{{{own}}})");
        assert!(proven_for(&before, &format!("absent(x{{{some},{none},{own}}})"), true));
        for wrong in [
            format!("absent(x{{{own}}})"),
            format!("absent(x{{{some},{own}}})"),
            format!("absent(x{{{none},{own}}})"),
            format!("absent(x{{{some},{some},{own}}})"),
            format!("absent(x{{{own},{some},{none}}})"),
            format!("absent(x{{{some},{none}}})"),
        ] {
            assert!(!proven_for(&before, &wrong, true), "{wrong}");
        }
        // Elsewhere none may.
        assert!(!proven_for(&format!("x{{{own}}}"), &format!("x{{{some},{none},{own}}}"), true));
    }

    #[test]
    fn every_other_text_is_a_defect() {
        for (text, scoped) in [
            ("x", "x"),
            ("x", r#"y{tenant="a"}"#),
            ("x", r#"x{tenant="b"}"#),
            ("x", r#"x{tenant=~"a"}"#),
            ("x", r#"x{tenant!="a"}"#),
            ("x", r#"x{tenants="a"}"#),
            ("x", r#"x{tenant="a",b="c"}"#),
            ("x{b='c'}", r#"x{tenant="a"}"#),
            ("x{b='c'}", r#"x{b="c",tenant="a"}"#),
            ("x{b='c'}", r#"x{tenant="a",b!="c"}"#),
            ("x", r#"x{tenant="a"} or x{tenant="a"}"#),
            ("x or x", r#"x{tenant="a"} or x"#),
            ("x or x", r#"x{tenant="a"} and x{tenant="a"}"#),
            ("x", r#"x{tenant="a"} offset 5m"#),
            ("x offset 5m", r#"x{tenant="a"} offset 6m"#),
            ("x @ 1", r#"x{tenant="a"} @ 2"#),
            ("x anchored", r#"x{tenant="a"} smoothed"#),
            ("x[5m]", r#"x{tenant="a"}[6m]"#),
            ("sum by (b) (x)", r#"sum by (c) (x{tenant="a"})"#),
            ("sum by (b) (x)", r#"sum without (b) (x{tenant="a"})"#),
            ("x + 1", r#"x{tenant="a"} + 2"#),
            ("x + on(b) x", r#"x{tenant="a"} + ignoring(b) x{tenant="a"}"#),
            ("abs(x)", r#"ceil(x{tenant="a"})"#),
            ("absent(x)", r#"absent(x{tenant="a"})"#),
            ("x", r#"x{tenant="a"}}"#),
        ] {
            assert!(!proven(text, scoped), "{scoped}");
        }
    }
}
