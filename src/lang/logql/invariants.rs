//! What holds for every text, as plain functions for property tests and fuzz targets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::lex::lex;
use super::{Entry, parse, scope};
use crate::lang::{Feature, Features, QueryErrorKind};
use crate::limits::QueryLimits;
use crate::tenant::{SaltKey, Scope, ScopeMatchers, ScopeValue, Values};

/// Checks every invariant of the reader on `text`.
///
/// # Panics
/// If one does not hold.
pub fn check_invariants(text: &str) {
    tokens_tile(text);
    for values in [&["acme"][..], &["a.b", "acme-books", "c"][..]] {
        let entries =
            [Entry::Expression, Entry::LogQuery, Entry::Selector, Entry::Pasted, Entry::OneSelector];
        for entry in entries {
            scoping_is_sound(text, entry, &matchers(values));
            scoping_is_sound(text, entry, &matchers(values).salted(SaltKey::new(&[7; SaltKey::MIN_BYTES])));
        }
    }
}

/// Between tokens there is only white space and comments.
fn tokens_tile(text: &str) {
    let Ok(tokens) = lex(text, &QueryLimits::default()) else { return };
    let mut end = 0;
    for (index, token) in tokens.iter().enumerate() {
        let between = text.get(end..token.span.from).expect("tokens in order, on character boundaries");
        assert!(is_trivia(between), "{between:?} in {text:?}");
        assert_eq!(token.spaced, index > 0 && !between.is_empty(), "{text:?}");
        assert!(token.span.to > token.span.from, "an empty token in {text:?}");
        end = token.span.to;
    }
    assert!(is_trivia(text.get(end..).unwrap()), "{text:?}");
}

fn is_trivia(between: &str) -> bool {
    let code = between.split('\n').map(|line| line.split('#').next().unwrap_or(""));
    code.flat_map(str::chars).all(|c| matches!(c, ' ' | '\t' | '\r'))
}

/// What is scoped carries the scope once at every selector, gives the caller's tokens back without it,
/// and can be scoped again; nothing is ever refused as our own fault.
fn scoping_is_sound(text: &str, entry: Entry, scope_of: &ScopeMatchers) {
    let features = Features::NONE.with(Feature::Variants);
    let limits = QueryLimits::default();
    let scoped = match scope(text, entry, features, &limits, scope_of) {
        Ok(scoped) => scoped,
        Err(error) => {
            assert_ne!(error.kind, QueryErrorKind::Defect, "{text:?}: {error}");
            let span = error.span.unwrap_or_default();
            assert!(text.get(span.from..span.to).is_some(), "a span outside of {text:?}");
            return;
        }
    };
    let tree = parse(text, entry, features, &limits).expect("what is scoped is read");
    assert_eq!(scoped.selectors(), tree.selectors().len(), "{text:?}");
    let mut without = scoped.as_str().to_owned();
    for span in scoped.insertions().iter().rev() {
        without.replace_range(span.from..span.to, "");
    }
    assert_eq!(words(&without), words(text), "{text:?}");
    let again = scope(scoped.as_str(), entry, features, &limits, scope_of);
    assert_eq!(again.expect("scoped text is scoped again").selectors(), scoped.selectors(), "{text:?}");
}

fn words(text: &str) -> Vec<&str> {
    lex(text, &QueryLimits::default()).expect("tokens").iter().map(|t| t.span.of(text)).collect()
}

/// A scope of one dimension.
fn matchers(values: &[&str]) -> ScopeMatchers {
    let values = values.iter().map(|v| ScopeValue::parse(v).unwrap()).collect();
    let scope = Scope::new([("tenant".to_owned(), Values::new(values).unwrap())].into()).unwrap();
    scope.in_labels(|_| Some("tenant")).unwrap()
}
