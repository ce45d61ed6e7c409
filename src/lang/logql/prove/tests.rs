#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::lang::QueryErrorKind;
use crate::lang::corpus_tests::{matchers, salted};

/// Whether `after` stands as the proof for `before` with `tenant="acme"` everywhere.
fn stands(before: &str, after: &str) -> bool {
    let planned = |absent| if absent { Planned::Absent { kept: Vec::new() } } else { Planned::Plain };
    stands_for(&matchers("tenant=acme"), planned, before, after)
}

fn stands_for(scope: &ScopeMatchers, planned: impl Fn(bool) -> Planned, before: &str, after: &str) -> bool {
    let limits = QueryLimits::default();
    let read = read(before, Entry::Expression, Features::NONE, &limits).unwrap();
    let plan: Vec<_> = read.tree.selectors().iter().map(|s| planned(s.absent)).collect();
    let emitted = Emitted { text: after.to_owned(), insertions: Vec::new() };
    match prove(&read.tree, &plan, scope, &emitted, Entry::Expression, Features::NONE, &limits) {
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

#[test]
fn several_values_are_their_pattern_and_no_wider_one() {
    let scope = matchers("tenant=a.b,c");
    let stands = |value: &str| {
        stands_for(&scope, |_| Planned::Plain, "{x=\"y\"}", &format!("{{tenant=~\"{value}\",x=\"y\"}}"))
    };
    assert!(stands(r"a\\.b|c"));
    for wider in ["a.b|c", r"a\\.b|c|d", r"a\\.b", ".*", r"c|a\\.b", ""] {
        assert!(!stands(wider), "{wider}");
    }
}

#[test]
fn the_salt_stands_beside_the_scope_and_alone_where_all_is_granted() {
    for (scope, t) in [(salted("tenant=acme"), r#"tenant="acme","#), (salted(""), "")] {
        let salt = format!(r#"__salt__!="{}""#, scope.salt().unwrap().as_str());
        let stands = |before: &str, after: &str| stands_for(&scope, |_| Planned::Plain, before, after);
        assert!(stands(r#"{a="b"}"#, &format!(r#"{{{t}{salt},a="b"}}"#)));
        for after in [
            format!(r#"{{{t}a="b"}}"#),
            format!(r#"{{{salt},{t}}}"#),
            format!(r#"{{{t}a="b",{salt}}}"#),
            format!(r#"{{{t}{},a="b"}}"#, salt.replace("!=", "!~")),
            format!(r#"{{{t}{},a="b"}}"#, salt.replace("!=", "=")),
            format!(r#"{{{t}__salt__!="0123456789abcdef",a="b"}}"#),
        ] {
            assert!(!stands(r#"{a="b"}"#, &after), "{after}");
        }
    }
}

#[test]
fn what_is_left_to_the_callers_own_matchers_must_be_there() {
    let scope = matchers("tenant=acme");
    let kept = |_| Planned::Absent { kept: vec!["tenant".to_owned()] };
    let over = |matchers: &str| format!("absent_over_time({{{matchers}}}[5m])");
    let own = over(r#"tenant="acme",a="b""#);
    assert!(stands_for(&scope, kept, &own, &own));
    for own in [r#"a="b""#, r#"tenant="evil""#, r#"tenant=~"acme""#, r#"tenant!="acme",a="b""#] {
        assert!(!stands_for(&scope, kept, &over(own), &over(own)), "{own}");
    }
    // Elsewhere nothing is left to them.
    let plain = r#"rate({tenant="acme"}[5m])"#;
    assert!(!stands_for(&scope, kept, plain, plain));
}

#[test]
fn a_selector_that_is_to_read_nothing_must() {
    let scope = matchers("tenant=acme");
    let over = |matchers: &str| format!("absent_over_time({{{matchers}}}[5m])");
    let stands =
        |after: &str| stands_for(&scope, |_| Planned::Nothing, &over(r#"tenant="evil""#), &over(after));
    assert!(stands(r#"__nothing__=~".+",__nothing__!~".+",tenant="evil""#));
    for after in [
        r#"tenant="evil""#,
        r#"__nothing__=~".+",tenant="evil""#,
        r#"__nothing__!~".+",tenant="evil""#,
        r#"__nothing__=~".+",__nothing__=~".+",tenant="evil""#,
        r#"__nothing__=~".+",__nothing__!~".*",tenant="evil""#,
        r#"__nothing__=~".+",__other__!~".+",tenant="evil""#,
        r#"tenant="evil",__nothing__=~".+",__nothing__!~".+""#,
    ] {
        assert!(!stands(after), "{after}");
    }
}
