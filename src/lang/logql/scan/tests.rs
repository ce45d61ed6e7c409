#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::lang::corpus_tests::{matchers, salted};

fn scanned(text: &str, scope: &str) -> Option<usize> {
    scoped_selectors(text, &matchers(scope))
}

#[test]
fn scoped_selectors_are_counted() {
    for (text, count) in [
        ("1 + vector(1)", 0),
        ("{tenant=\"acme\"}", 1),
        ("{tenant=\"acme\",a=\"}{\"} |= `{` != \"\\\"{\"", 1),
        ("rate({tenant=\"acme\", a=~`}`}[5m]) / rate(({tenant=\"acme\",b!=\"c\"})[5m])", 2),
        ("{tenant=\"acme\",a=\"b\"} | c > 5µs", 1),
        ("absent_over_time ( ({tenant=~\"acme\",a=\"b\"})[5m])", 1),
        ("ABSENT_OVER_TIME({a=\"b\" , tenant = `acme`}[5m])", 1),
        (r#"absent_over_time({__nothing__=~".+",__nothing__!~".+",tenant="x"}[5m])"#, 1),
    ] {
        assert_eq!(scanned(text, "tenant=acme"), Some(count), "{text}");
    }
    assert_eq!(scanned("{region=\"eu\",tenant=~\"a|b\",c=\"d\"}", "tenant=a,b region=eu"), Some(1));
    assert_eq!(scanned(r#"{tenant=~"a\\.b|c"}"#, "tenant=a.b,c"), Some(1));
    assert_eq!(scanned("absent_over_time({region=~\"eu\",tenant=\"a\"}[1m])", "tenant=a region=eu"), Some(1));
}

#[test]
fn a_selector_without_the_scope_is_found() {
    for text in [
        "{a=\"b\"}",
        "{}",
        "{ tenant=\"acme\"}",
        "{a=\"b\",tenant=\"acme\"}",
        "{tenant=\"acme\"",
        "{tenant=\"acme\"a=\"b\"}",
        "{tenant=\"acme-books\"}",
        "{tenant=~\"acme\",a=\"b\"}",
        "{tenant!=\"acme\"}",
        "{xtenant=\"acme\"}",
        "{tenant=\"acme\",a=\"b\"} or {a=\"tenant=\\\"acme\\\"\"}",
        "absent_over_time({a=\"b\"}[5m])",
        "absent_over_time({tenant!=\"acme\"}[5m])",
        "absent_over_time({xtenant=\"acme\"}[5m])",
        "absent_over_time({a=\"b\",tenant=\"\\x61cme\"}[5m])",
        "absent_over_time({a=\"tenant=\",b=\"acme\"}[5m])",
        "absent_over_time({a=\"b\"}[5m]) or rate({c=\"d\",tenant=\"acme\"}[5m])",
        "sum({c=\"d\",tenant=\"acme\"})",
        r#"rate({__nothing__=~".+",__nothing__!~".+",tenant="x"}[5m])"#,
        r#"absent_over_time({__nothing__=~".+",__nothing__=~".+",tenant="x"}[5m])"#,
        r#"absent_over_time({__nothing__=~".+",tenant="x",__nothing__!~".+"}[5m])"#,
        r#"absent_over_time({a="__nothing__=~\".+\",__nothing__!~\".+\","}[5m])"#,
        "absent_over_time[5m]({c=\"d\",tenant=\"acme\"})",
    ] {
        assert_eq!(scanned(text, "tenant=acme"), None, "{text}");
    }
    assert_eq!(scanned("{tenant=\"acme\",region=\"eu\"}", "tenant=acme region=eu"), None);
    assert_eq!(scanned("{region=\"eu\"}", "tenant=acme region=eu"), None);
    for wider in [r"a.b|c", r"a\.b|c", r"a\\.b|c|d", r"a\\.b", ".*", r"c|a\\.b"] {
        assert_eq!(scanned(&format!("{{tenant=~\"{wider}\"}}"), "tenant=a.b,c"), None, "{wider}");
    }
}

#[test]
fn what_is_not_understood_is_no_proof() {
    for text in
        ["# x", "1 // x", "1 /* x */", "'a'", "\"a", "`a", "[5m", "[{]", "[\"]", "}", "]", "é", "\\", "\t"]
    {
        assert_eq!(scanned(text, "tenant=acme"), None, "{text}");
    }
    for inside in ["{", "(", "|", "#", "/*x*/", "[5m]", "'a'", "é"] {
        let text = format!("{{tenant=\"acme\",a=\"b\"{inside}}}");
        assert_eq!(scanned(&text, "tenant=acme"), None, "{text}");
    }
}

#[test]
fn a_selector_without_the_salt_is_found() {
    let scope = salted("tenant=acme");
    let salt = scope.salt().unwrap();
    let scanned = |text: &str| scoped_selectors(&text.replace("SALT", salt.as_str()), &scope);
    for text in [
        r#"{tenant="acme",__salt__!="SALT"}"#,
        r#"{tenant="acme",__salt__!="SALT",a="b"} | c="d""#,
        r#"absent_over_time({tenant=~"acme",__salt__!="SALT",a="b"}[5m])"#,
        r#"absent_over_time({__salt__!="SALT",tenant="acme"}[5m])"#,
        r#"absent_over_time({__nothing__=~".+",__nothing__!~".+",__salt__!="SALT",tenant="x"}[5m])"#,
    ] {
        assert_eq!(scanned(text), Some(1), "{text}");
    }
    for text in [
        r#"{tenant="acme"}"#,
        r#"{tenant="acme",a="b"} | __salt__!="SALT""#,
        r#"{tenant="acme",a="b",__salt__!="SALT"}"#,
        r#"{tenant="acme",__salt__="SALT"}"#,
        r#"{tenant="acme",__salt__!="SALTS"}"#,
        r#"{tenant="acme",__salt__!="other"}"#,
        r#"absent_over_time({tenant=~"acme",a="b"}[5m])"#,
        r#"absent_over_time({tenant="acme",__salt__!="SALT"}[5m])"#,
        r#"absent_over_time({__nothing__=~".+",__nothing__!~".+",tenant="x"}[5m])"#,
    ] {
        assert_eq!(scanned(text), None, "{text}");
    }
}
