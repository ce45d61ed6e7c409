use super::*;
use crate::lang::traceql::invariants::tenants;

const SALT: &str = "0123456789abcdef0123456789abcdef";

fn hinted(query: &str, tenants_of: &[&str], salt: Option<&str>) -> String {
    hint(query, &QueryLimits::default(), &tenants(tenants_of), salt).unwrap().into_string()
}

#[test]
fn a_hint_is_the_scope_and_what_is_surely_read_of_the_callers() {
    let t = r#"{ resource.tenant = "a""#;
    for (query, kept) in [
        ("", ""),
        ("{}", ""),
        ("{ }", ""),
        ("{ true }", ""),
        (r#"{ span.x = "y" }"#, r#" && span.x = "y""#),
        (r#"{span.x="y"&&resource.z!="w"}"#, r#" && span.x = "y" && resource.z != "w""#),
        (r#"{ resource.service.name =~ "a|b\\.c" }"#, r#" && resource.service.name =~ "a|b\\.c""#),
        (r#"{ name = `GET` && kind = server }"#, r#" && name = "GET" && kind = server"#),
        ("{ span:name !~ \"x.*\" && span:status = error }", r#" && name !~ "x.*" && status = error"#),
        (
            "{ span.http.status_code >= 500 && duration > 100ms }",
            " && span.http.status_code >= 500 && duration > 100ms",
        ),
        ("{ span.retry = true && event.a = \"b\" }", " && span.retry = true && event.a = \"b\""),
        // What is not finished, as editors send it, is dropped by itself.
        (r#"{ resource.service.name = "x" && span.y = }"#, r#" && resource.service.name = "x""#),
        (r#"{ resource.service.name = }"#, ""),
        (r#"{ span.x }"#, ""),
        (r#"{ span.x = "y" && span.z }"#, r#" && span.x = "y""#),
        // What the pattern would read otherwise.
        (r#"{ span.x = "a b" && span.y = 1 }"#, " && span.y = 1"),
        (r#"{ span.x = "a|b" }"#, ""),
        (r#"{ span.x !~ "a|b" }"#, ""),
        (r#"{ span.x =~ "a{2}" }"#, ""),
        (r#"{ span.x = "a\"b" }"#, ""),
        (r#"{ span.x = "ä" }"#, ""),
        (r#"{ span.x = "" }"#, ""),
        ("{ span.x = 1.5 }", ""),
        ("{ span.x = -1 }", ""),
        ("{ duration > 10us }", ""),
        ("{ duration > 1d }", ""),
        ("{ span.x != nil }", ""),
        (r#"{ span."x" = 1 }"#, ""),
        ("{ span.a/b = 1 }", ""),
        ("{ span.x = span.y }", ""),
        ("{ 1 = span.x }", ""),
        // Facts of whole traces, and types that do not fit.
        (r#"{ rootName = "x" && name = "y" }"#, r#" && name = "y""#),
        ("{ nestedSetParent < 0 }", ""),
        ("{ traceDuration > 1s }", ""),
        ("{ name = 5 && span.x = 1 }", " && span.x = 1"),
        ("{ status = server && span.x = 1 }", " && span.x = 1"),
    ] {
        assert_eq!(hinted(query, &["a"], None), format!("{t}{kept} }}"), "{query}");
    }
}

#[test]
fn atk_47_a_hint_that_tempo_could_not_use_is_the_scope_alone() {
    for query in [
        "{ .x = 1 && span.y = 2 }",
        r#"{ span.y = 2 && ."x" = 1 }"#,
        "{ span.x = 1 || true }",
        "{ span.x = 1 } || {}",
        "{ span.x = 1 } >> {}",
        "{ span.x = 1 } | count() > 0",
        "({ span.x = 1 })",
        "{ !(span.x = 1) }",
        "{ (span.x = 1) && span.y = 2 }",
        "count() > 0",
        "}{",
        "{ span.x = 1",
        "{ span.x = 1 } // }",
        "{ span.x = 1 /* */ }",
        "{ span.x = \"",
        "nonsense",
    ] {
        assert_eq!(hinted(query, &["a"], None), r#"{ resource.tenant = "a" }"#, "{query}");
    }
}

#[test]
fn atk_47_no_condition_on_the_scopes_own_attribute_is_kept() {
    // Tempo joins two conditions on one column by *or*.
    for query in
        [r#"{ resource.tenant = "b" }"#, r#"{ resource.tenant != "a" }"#, r#"{ resource.tenant =~ ".*" }"#]
    {
        assert_eq!(hinted(query, &["a"], None), r#"{ resource.tenant = "a" }"#, "{query}");
    }
    let kept = hinted(r#"{ resource.tenants = "b" && span.tenant = "b" }"#, &["a"], None);
    assert_eq!(kept, r#"{ resource.tenant = "a" && resource.tenants = "b" && span.tenant = "b" }"#);
}

#[test]
fn several_tenants_and_a_salt() {
    assert_eq!(
        hinted("{ span.x = 1 }", &["b.c", "a"], Some(SALT)),
        format!(
            r#"{{ resource.service.name != "{SALT}" && resource.tenant =~ "^(?:a|b\\.c)$" && span.x = 1 }}"#
        )
    );
}

#[test]
fn a_hint_with_conditions_has_1000_bytes_and_not_1001() {
    let query = |length: usize| format!(r#"{{ span.x = "{}" }}"#, "y".repeat(length));
    let fits = (1..1000).rev().find(|n| hinted(&query(*n), &["a"], Some(SALT)).contains('y')).unwrap();
    assert_eq!(hinted(&query(fits), &["a"], Some(SALT)).len(), MAX_BYTES);
    assert!(!hinted(&query(fits + 1), &["a"], Some(SALT)).contains('y'));
}

#[test]
fn a_scope_of_many_values_is_longer_and_takes_no_conditions() {
    let names: Vec<String> = (0..200).map(|n| format!("tenant-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let long = hinted("{ span.x = 1 }", &names, Some(SALT));
    assert!(long.len() > 2000 && !long.contains("span.x"));
}
