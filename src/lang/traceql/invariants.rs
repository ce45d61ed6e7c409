//! What must hold for every text: for property tests and fuzzing.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)]

use super::{Entry, hint, lex, parse, scope};
use crate::lang::{Feature, Features, QueryErrorKind};
use crate::limits::QueryLimits;
use crate::span::Span;
use crate::tenant::{SaltKey, Scope, ScopeMatchers, ScopeValue, Values};

/// A scope of `tenants`, as `resource.tenant`.
pub fn tenants(tenants: &[&str]) -> ScopeMatchers {
    let values = tenants.iter().map(|t| ScopeValue::parse(t).unwrap()).collect();
    let dimensions = [("tenant".to_owned(), Values::new(values).unwrap())].into();
    Scope::new(dimensions).unwrap().in_labels(|_| Some("resource.tenant")).unwrap()
}

/// Checks every invariant on `text`: the reader does not panic, tokens tile the text, nothing is a
/// defect, and a scoped text without its insertions has the caller's tokens, can be scoped again, and
/// reads the same in chunks.
///
/// # Panics
/// If one does not hold.
pub fn check_invariants(text: &str) {
    let limits = QueryLimits::default();
    if let Ok(tokens) = lex::lex(text, &limits) {
        let mut at = 0;
        for token in &tokens {
            assert!(token.span.from >= at && token.span.to > token.span.from, "tokens overlap");
            assert!(Span::new(at, token.span.from).of(text).trim_ascii().is_empty(), "text between tokens");
            at = token.span.to;
        }
        assert!(text.get(at..).unwrap().trim_ascii().is_empty(), "text after the tokens");
    }
    check_hints(text, &limits);
    let all = Features::NONE.with(Feature::Tempo3).with(Feature::TracesNeverMixTenants);
    for entry in [Entry::Query, Entry::Metrics] {
        for features in [Features::NONE, all] {
            for scope_of in [tenants(&["acme"]), tenants(&["acme.books", "globex"])] {
                let salted = scope_of.clone().salted(SaltKey::new(&[0; SaltKey::MIN_BYTES]));
                check(text, entry, features, &limits, &salted);
                check(text, entry, features, &limits, &scope_of);
            }
        }
    }
}

/// Whatever a caller's hint is, one is made that both of its readers find to have the scope.
fn check_hints(text: &str, limits: &QueryLimits) {
    for (of, condition) in [
        (tenants(&["acme"]), r#"resource.tenant = "acme""#),
        (tenants(&["acme.books", "globex"]), r#"resource.tenant =~ "^(?:acme\\.books|globex)$""#),
    ] {
        for salt in [None, Some("0f0f0f0f")] {
            let hint = hint(text, limits, &of, salt).expect("a hint");
            let picked = super::extract::conditions(hint.as_str()).expect("a single filter");
            assert_eq!(picked.iter().filter(|picked| **picked == condition).count(), 1, "{text}");
        }
    }
}

fn check(text: &str, entry: Entry, features: Features, limits: &QueryLimits, of: &ScopeMatchers) {
    let scoped = match scope(text, entry, features, limits, of) {
        Ok(scoped) => scoped,
        Err(error) => {
            assert!(error.kind != QueryErrorKind::Defect, "defect: {error}\n{text}");
            if let Some(span) = error.span {
                assert!(text.get(span.from..span.to).is_some(), "a span outside the text: {error}");
            }
            return;
        }
    };
    let tree = parse(text, entry, features, limits).expect("what was scoped is read");
    assert_eq!(scoped.selectors(), tree.filters() + tree.sites.fences.len());
    assert!(scoped.selectors() > 0);

    // Taking our insertions out gives the caller's tokens back.
    let mut theirs = String::new();
    let mut at = 0;
    for insertion in scoped.insertions() {
        theirs.push_str(Span::new(at, insertion.from).of(scoped.as_str()));
        theirs.push(' ');
        at = insertion.to;
    }
    theirs.push_str(scoped.as_str().get(at..).unwrap());
    assert_eq!(words(&theirs), words(text), "other tokens than the caller's");

    // What is scoped can be scoped again, and keeps the first scope: a fence of ours is a filter as any other.
    let roomy = QueryLimits {
        bytes: 1 << 20,
        tokens: 1 << 20,
        nesting: 256,
        scoped_traceql_bytes: 1 << 20,
        ..limits.clone()
    };
    let again = scope(scoped.as_str(), entry, features, &roomy, of).expect("a scoped text is scoped again");
    let fences = parse(scoped.as_str(), entry, features, &roomy).expect("a scoped text is read").sites.fences;
    assert_eq!(again.selectors(), scoped.selectors() + fences.len());
    let tokens = lex::lex(scoped.as_str(), &roomy).unwrap();
    assert!(super::chunk::agrees(scoped.as_str(), &tokens), "the two readings disagree");
}

/// The tokens' texts before any hints, without the `true` of `{ true }`: scoping drops that, and some hints.
fn words(text: &str) -> Vec<&str> {
    let tokens =
        lex::lex(text, &QueryLimits { bytes: usize::MAX, tokens: usize::MAX, ..QueryLimits::default() });
    let mut words = Vec::new();
    for token in tokens.expect("tokens") {
        let word = token.span.of(text);
        if word == "with" {
            break;
        }
        if word == "}" && matches!(words.as_slice(), [.., "{", "true"]) {
            words.pop();
        }
        words.push(word);
    }
    words
}
