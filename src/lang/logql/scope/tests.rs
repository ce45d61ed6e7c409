#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::lang::QueryErrorKind;
use crate::lang::corpus_tests::matchers;

#[test]
fn a_scoped_text_has_as_many_bytes_as_the_cap_and_no_more() {
    let text = "rate({a=\"b\"}[5m]) + rate({a=\"b\"}[5m])";
    let scope_of = matchers("tenant=acme");
    let outcome = |cap| {
        let limits = QueryLimits { scoped_logql_bytes: cap, ..QueryLimits::default() };
        scope(text, Entry::Expression, Features::NONE, &limits, &scope_of)
    };
    let exact = text.len() + 2 * "tenant=\"acme\",".len();
    assert_eq!(outcome(exact).unwrap().as_str().len(), exact);
    assert_eq!(outcome(exact - 1).unwrap_err().kind, QueryErrorKind::Limit);
    assert_eq!(outcome(1).unwrap_err().kind, QueryErrorKind::Limit);
}

#[test]
fn a_scope_alone_is_a_selector() {
    let limits = QueryLimits::default();
    for (scope_of, expected) in [
        ("tenant=acme", "{tenant=\"acme\"}"),
        ("tenant=a.b,c", "{tenant=~\"a\\\\.b|c\"}"),
        ("tenant=acme region=eu", "{region=\"eu\",tenant=\"acme\"}"),
    ] {
        let scoped = scope_selector(&matchers(scope_of), &limits).unwrap();
        assert_eq!((scoped.as_str(), scoped.selectors()), (expected, 1));
        assert_eq!(scoped.insertions()[0].of(scoped.as_str()), &expected[1..expected.len() - 1]);
    }
}

#[test]
fn a_scope_alone_has_as_many_bytes_as_the_cap_and_no_more() {
    let outcome = |cap| {
        let limits = QueryLimits { scoped_logql_bytes: cap, ..QueryLimits::default() };
        scope_selector(&matchers("tenant=acme"), &limits)
    };
    assert!(outcome(15).is_ok());
    assert_eq!(outcome(14).unwrap_err().kind, QueryErrorKind::Limit);
}

#[test]
fn a_label_that_is_a_keyword_never_gets_out() {
    let outcome = scope(
        "{a=\"b\"}",
        Entry::Expression,
        Features::NONE,
        &QueryLimits::default(),
        &matchers("json=acme"),
    );
    assert_eq!(outcome.unwrap_err().kind, QueryErrorKind::Defect);
}

#[test]
fn insertions_are_where_they_are_said_to_be() {
    let scoped = scope(
        "rate({a=\"b\"}[5m]) / absent_over_time({c=\"d\"}[5m])",
        Entry::Expression,
        Features::NONE,
        &QueryLimits::default(),
        &matchers("tenant=acme"),
    )
    .unwrap();
    let found: Vec<_> = scoped.insertions().iter().map(|s| s.of(scoped.as_str())).collect();
    assert_eq!(found, ["tenant=\"acme\",", "tenant=~\"acme\","]);
}

#[test]
fn as_many_tenants_as_the_cap_are_said() {
    let values: Vec<_> = (0..1024).map(|i| format!("t{i}.x")).collect();
    let scope_of = matchers(&format!("tenant={}", values.join(",")));
    let scoped =
        scope("{a=\"b\"}", Entry::Selector, Features::NONE, &QueryLimits::default(), &scope_of).unwrap();
    assert_eq!(scoped.as_str().matches("\\\\.x").count(), 1024);
}
