//! What holds for every text, for property tests and fuzzing.
#![allow(clippy::panic, clippy::unwrap_used)] // a broken invariant is to be seen

use super::lex::lex;
use super::parse::is_everything;
use super::{Entry, Opinion, parse, scope, scope_selector, scope_with_second_opinion};
use crate::lang::{Feature, Features, QueryErrorKind};
use crate::limits::QueryLimits;
use crate::tenant::{Scope, ScopeMatchers, ScopeValue, Values};

/// Checks all that holds for `text`, as an expression and as a selector, for one value and for
/// several.
///
/// # Panics
/// If something does not hold.
pub fn check_invariants(text: &str) {
    tokens_tile(text);
    for entry in [Entry::Expression, Entry::Selector, Entry::AnySelector] {
        for values in [&["a.b"][..], &["a.b", "c"]] {
            scoping_holds(text, entry, &scope_of(values));
        }
    }
}

fn features() -> Features {
    Feature::ALL.into_iter().collect()
}

fn scope_of(values: &[&str]) -> ScopeMatchers {
    let values = values.iter().map(|v| ScopeValue::parse(v).unwrap()).collect();
    let scope = Scope::new([("tenant".to_owned(), Values::new(values).unwrap())].into()).unwrap();
    scope.in_labels(|_| Some("tenant")).unwrap()
}

/// Between tokens there is only white space and comments.
fn tokens_tile(text: &str) {
    let Ok(tokens) = lex(text, &QueryLimits::default()) else { return };
    let mut end = 0;
    for (index, token) in tokens.iter().enumerate() {
        let between = text.get(end..token.span.from).unwrap();
        assert!(is_trivia(between), "`{between}` is between tokens");
        assert!(token.span.from < token.span.to);
        assert_eq!(token.spaced, index > 0 && !between.is_empty());
        end = token.span.to;
    }
    assert!(is_trivia(text.get(end..).unwrap()));
}

fn is_trivia(text: &str) -> bool {
    text.split(['\n', '\r']).all(|line| line.split('#').next().unwrap().trim_matches([' ', '\t']).is_empty())
}

/// A scoped text can be scoped again, without its insertions has the tokens of the original, and is
/// no defect.
fn scoping_holds(text: &str, entry: Entry, matchers: &ScopeMatchers) {
    let limits = QueryLimits::default();
    // libFuzzer ends at any panic, also at one of the other parser's that is caught.
    let asked = if cfg!(fuzzing) {
        scope(text, entry, features(), &limits, matchers).map(|scoped| (scoped, Opinion::NotAsked))
    } else {
        scope_with_second_opinion(text, entry, features(), &limits, matchers)
    };
    let (scoped, opinion) = match asked {
        Ok(scoped) => scoped,
        Err(error) => {
            assert_ne!(error.kind, QueryErrorKind::Defect, "{error}");
            return;
        }
    };
    let tree = parse(text, entry, features(), &limits).unwrap();
    if is_everything(&tree, entry) {
        assert_eq!(scoped, scope_selector(matchers, &limits).unwrap(), "the scope stands for everything");
        return;
    }
    assert_ne!(opinion, Opinion::Panicked);

    let mut stripped = String::new();
    let mut end = 0;
    for span in scoped.insertions() {
        stripped.push_str(scoped.as_str().get(end..span.from).unwrap());
        end = span.to;
    }
    stripped.push_str(scoped.as_str().get(end..).unwrap());
    assert_eq!(words(&stripped), words(text), "insertions are all that was added");

    let again =
        scope(scoped.as_str(), entry, features(), &QueryLimits { bytes: usize::MAX, ..limits }, matchers);
    match again {
        Ok(again) => assert_eq!(again.selectors(), scoped.selectors()),
        Err(error) => assert_eq!(error.kind, QueryErrorKind::Limit, "{error}"),
    }
}

fn words(text: &str) -> Vec<String> {
    let limits = QueryLimits { bytes: usize::MAX, ..QueryLimits::default() };
    lex(text, &limits).unwrap().iter().map(|token| token.span.of(text).to_owned()).collect()
}
