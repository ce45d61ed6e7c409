#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::lang::QueryErrorKind;
use crate::lang::corpus_tests::matchers;

/// Whether `after` stands as the proof for `before` with `tenant="acme"` everywhere.
fn stands(before: &str, after: &str) -> bool {
    let scope = matchers("tenant=acme");
    let demands: Vec<_> = scope.iter().map(Demand::new).collect();
    let limits = QueryLimits::default();
    let read = read(before, Entry::Expression, Features::NONE, &limits).unwrap();
    let plan: Vec<_> =
        read.tree.selectors().iter().map(|s| Planned { absent: s.absent, kept: Vec::new() }).collect();
    let emitted = Emitted { text: after.to_owned(), insertions: Vec::new() };
    match prove(&read.tree, &plan, &demands, &emitted, Entry::Expression, Features::NONE, &limits) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind, QueryErrorKind::Defect);
            assert!(!error.message.contains("acme"), "{error}");
            false
        }
    }
}

#[test]
fn the_scope_at_every_selector_and_nothing_else_stands() {
    assert!(stands("{a=\"b\"}", "{tenant=\"acme\",a=\"b\"}"));
    assert!(stands("1 + 1", "1 + 1"));
    assert!(stands("absent_over_time({a=\"b\"}[5m])", "absent_over_time({tenant=~\"acme\",a=\"b\"}[5m])"));
}

#[test]
fn anything_else_does_not_stand() {
    let before = "rate({a=\"b\"} | c=\"d\" [5m]) + rate({e=\"f\"}[5m])";
    for after in [
        before,
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m]) + rate({e=\"f\"}[5m])",
        "rate({a=\"b\"} | c=\"d\" [5m]) + rate({tenant=\"acme\",e=\"f\"}[5m])",
        "rate({a=\"b\",tenant=\"acme\"} | c=\"d\" [5m]) + rate({tenant=\"acme\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m]) - rate({tenant=\"acme\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"x\" [5m]) + rate({tenant=\"acme\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"x\"} | c=\"d\" [5m]) + rate({tenant=\"acme\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [6m]) + rate({tenant=\"acme\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m]) + rate({tenant=\"evil\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m]) + rate({tenant!=\"acme\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m]) + rate({tenant=~\"acme\",e=\"f\"}[5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m])",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m]) + rate({tenant=\"acme\",e=\"f\"}[5m]",
        "rate({tenant=\"acme\",a=\"b\"} | c=\"d\" [5m]) + # x\n rate({tenant=\"acme\",e=\"f\"}[5m])",
    ] {
        assert!(!stands(before, after), "{after}");
    }
    assert!(!stands("absent_over_time({a=\"b\"}[5m])", "absent_over_time({tenant=\"acme\",a=\"b\"}[5m])"));
}
