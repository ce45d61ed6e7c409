use super::*;
use crate::lang::Features;
use crate::lang::traceql::invariants::tenants;
use crate::lang::traceql::{Entry, parse, parse_tag, scope};

fn filter(tag: &str, query: &str, known: &[(&str, &str)]) -> String {
    let (limits, scope_of) = (QueryLimits::default(), tenants(&["a"]));
    let others = Others::new(&parse_tag(tag).unwrap(), query, &limits, &scope_of).unwrap();
    let filter = others.filter(known.iter().copied());
    // Whatever is asked for can be scoped.
    scope(&filter, Entry::Query, Features::NONE, &limits, &scope_of).unwrap();
    filter
}

#[test]
fn an_attribute_is_asked_for_with_none_of_the_known_values_whatever_their_type() {
    for (known, expected) in [
        (&[][..], "{ span.x != nil }"),
        (&[("string", "a")], r#"{ span.x != nil && !(span.x =~ "a") }"#),
        (&[("string", ""), ("string", "b")], r#"{ span.x != nil && !(span.x =~ "|b") }"#),
        (
            &[("bool", "true"), ("float", "-1.5"), ("int", "200"), ("string", "a")],
            r#"{ span.x != nil && !(span.x =~ "a") && !(span.x = true) && !(span.x = -1.5) && !(span.x = 200) }"#,
        ),
        // What not every reader takes for a number is found again, and is known.
        (&[("float", "1e+06"), ("float", "NaN.0"), ("keyword", "error")], "{ span.x != nil }"),
    ] {
        assert_eq!(filter("span.x", "", known), expected);
    }
    assert_eq!(
        filter("resource.x", "{}", &[("string", "a")]),
        r#"{ resource.x != nil && !(resource.x =~ "a") }"#
    );
}

#[test]
fn elsewhere_the_storage_reads_the_other_texts_only() {
    for (tag, known, expected) in [
        ("event.x", &[][..], "{ event.x != nil }"),
        ("event.x", &[("string", "a"), ("string", "b")], r#"{ event.x !~ "a|b" }"#),
        ("link.x", &[("string", "a"), ("int", "5")], r#"{ link.x !~ "a" }"#),
        (
            "instrumentation.x",
            &[("int", "5"), ("int", "6")],
            "{ instrumentation.x != 5 && instrumentation.x != 6 }",
        ),
        ("name", &[("string", "GET /")], r#"{ name !~ "GET /" }"#),
        ("span:name", &[("string", "a")], r#"{ name !~ "a" }"#),
        ("event:name", &[("string", "a")], r#"{ event:name !~ "a" }"#),
    ] {
        assert_eq!(filter(tag, "", known), expected);
    }
}

#[test]
fn a_known_text_is_the_pattern_of_itself_alone() {
    for (text, expected) in [
        (r#"a"b\c|d.e"#, r#"a\"b\\\\c\\|d\\.e"#),
        ("(a){2}[^b]*+?$", r"\\(a\\)\\{2\\}\\[\\^b\\]\\*\\+\\?\\$"),
        ("a\nb\t\u{7f}", r"a\\x{a}b\\x{9}\\x{7f}"),
        ("ä\u{85}", r"ä\\x{85}"),
        ("/* x */ // y", r"/\\* x \\*/ // y"),
    ] {
        assert_eq!(
            filter("name", "", &[("string", text)]),
            format!("{{ name !~ \"{expected}\" }}"),
            "{text}"
        );
    }
}

#[test]
fn what_a_hint_keeps_of_the_callers_conditions_stays() {
    for (query, kept) in [
        (r#"{ resource.service.name = "s" && span.y = }"#, r#"resource.service.name = "s" && "#),
        (r#"{ resource.tenant = "b" && status = error }"#, "status = error && "),
        (r#"{ span.x =~ "a.*" }"#, r#"span.x =~ "a.*" && "#),
        // Under its key alone it could not be told from the tag.
        (r#"{ resource.x = "b" && span.y = 1 }"#, "span.y = 1 && "),
        ("{ span.y = 1 } | rate()", ""),
    ] {
        assert_eq!(filter("span.x", query, &[]), format!("{{ {kept}span.x != nil }}"), "{query}");
    }
    assert_eq!(filter("statusMessage", r#"{ span.statusMessage = "b" }"#, &[]), "{ statusMessage != nil }");
}

#[test]
fn a_search_shows_it_under_its_key() {
    let key = |tag: &str| {
        let others = Others::new(&parse_tag(tag).unwrap(), "", &QueryLimits::default(), &tenants(&["a"]));
        others.unwrap().key().map(str::to_owned)
    };
    assert_eq!(key("span.http.url").as_deref(), Some("http.url"));
    assert_eq!(key("span.name").as_deref(), Some("name"));
    assert_eq!(key("event:name").as_deref(), Some("event:name"));
    assert_eq!(key("name"), None);
}

#[test]
fn what_is_asked_for_is_read_as_one_filter() {
    let text = filter("span.x", "", &[("string", "\") || true || (\"")]);
    let tree = parse(&text, Entry::Query, Features::NONE, &QueryLimits::default()).unwrap();
    assert_eq!(tree.sites.filters.len(), 1);
}

#[test]
fn beside_a_column_each_type_is_asked_for() {
    let filter = |known: &[(&str, &str)]| {
        let (limits, scope_of) = (QueryLimits::default(), tenants(&["a"]));
        let others = Others::new(&parse_tag("span.x").unwrap(), "", &limits, &scope_of).unwrap();
        let filter = others.by_type(true).filter(known.iter().copied());
        scope(&filter, Entry::Query, Features::NONE, &limits, &scope_of).unwrap();
        filter.replace("span.x", "x")
    };
    for (known, expected) in [
        (&[][..], r#"{ (x =~ ".*" || x >= 0 || x < 0 || x >= 0.5 || x < 0.5 || x = true || x = false) }"#),
        (
            &[("string", "a"), ("int", "200"), ("int", "404"), ("bool", "true")],
            r#"{ (x !~ "a" || (x != 200 && x != 404 && (x >= 0.5 || x < 0.5)) || x = false) }"#,
        ),
        (
            &[("int", "200"), ("float", "-1.5"), ("bool", "true"), ("bool", "false")],
            r#"{ (x =~ ".*" || (x != 200 && x != -1.5)) }"#,
        ),
        (
            &[("float", "2.5")],
            r#"{ (x =~ ".*" || (x != 2.5 && (x >= 0 || x < 0)) || x = true || x = false) }"#,
        ),
    ] {
        assert_eq!(filter(known), expected);
    }
}
