use super::tags::NO_VALUES;
use super::*;
use crate::api::Kind;
use crate::api::parameters::Parameters;
use crate::lang::QueryErrorKind;
use crate::rejection::Forbidden;
use crate::scope::Carried;
use crate::scope::reply::{Answer, Filtered, TagScope};
use crate::tenant::Values;
use crate::tenant::{SaltKey, Scope, ScopeValue};
use std::collections::BTreeMap;

/// A backend whose label for each dimension is the resource attribute of its name.
fn backend(features: &[Feature]) -> Backend {
    let labels = ["region", "tenant"].map(|d| (d.to_owned(), format!("resource.{d}")));
    let features = features.iter().copied().collect();
    Backend { features, ..Backend::new("tempo", Kind::Tempo, BTreeMap::from(labels)) }
}

fn matchers(scope: &[(&str, &[&str])]) -> ScopeMatchers {
    labelled(scope, |dimension| format!("resource.{dimension}"))
}

fn labelled(scope: &[(&str, &[&str])], label: impl Fn(&str) -> String) -> ScopeMatchers {
    let values =
        |texts: &[&str]| Values::new(texts.iter().map(|t| ScopeValue::parse(t).unwrap()).collect()).unwrap();
    let labels: BTreeMap<String, String> = scope.iter().map(|(d, _)| ((*d).to_owned(), label(d))).collect();
    let dimensions = scope.iter().map(|(d, texts)| ((*d).to_owned(), values(texts)));
    Scope::new(dimensions.collect()).unwrap().in_labels(|d| labels.get(d).map(String::as_str)).unwrap()
}

/// What is done for `target`, a path and its query.
fn ask(features: &[Feature], matchers: &ScopeMatchers, target: &str) -> Result<Asking, Rejection> {
    ask_of(&backend(features), matchers, target)
}

fn ask_of(backend: &Backend, matchers: &ScopeMatchers, target: &str) -> Result<Asking, Rejection> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let matched = path::route(Kind::Tempo, path).unwrap();
    let limits = Limits::default();
    let parameters = Parameters::read(matched.endpoint, query, None, &limits).unwrap();
    let crate::api::Treatment::Filter(filter) = matched.endpoint.treatment else { panic!("{target}") };
    let asked = Asked { matched, parameters, body: None, accept: Accept::Json, carried: Carried::default() };
    asking(filter, Drafting { backend, asked: &asked, matchers, limits: &limits, memory: None })
}

/// The targets of the calls, decoded for reading.
fn calls(features: &[Feature], matchers: &ScopeMatchers, target: &str) -> (Vec<String>, Cut) {
    let Asking::Calls(drafts, cut) = ask(features, matchers, target).unwrap() else { panic!("{target}") };
    let endpoint = path::route(Kind::Tempo, target.split('?').next().unwrap()).unwrap().endpoint;
    let encoded = |d: Draft| d.encode(endpoint, matchers, &Limits::default()).unwrap().target().to_owned();
    (drafts.into_iter().map(encoded).collect(), cut)
}

const ONE: &[(&str, &[&str])] = &[("tenant", &["a"])];
const Q: &str = "q=%7B+resource.tenant+%3D+%22a%22+%7D";
/// The same for a search, which asks for the attribute to be shown whole.
const Q_SHOWN: &str = "q=%7B+resource.tenant+%3D+%22a%22+%26%26+resource.tenant+%21%3D+nil+%7D";

#[test]
fn atk_46_a_trace_is_asked_as_protobuf_and_always_cut() {
    for (target, envelope) in
        [("/api/traces/0aF", Envelope::Trace), ("/api/v2/traces/0aF", Envelope::Response)]
    {
        let Ok(Asking::Calls(drafts, cut)) =
            ask(&[], &matchers(ONE), &format!("{target}?start=1&end=&q=x&mode=all"))
        else {
            panic!()
        };
        assert_eq!(drafts[0].accept, Accept::Protobuf);
        assert_eq!(drafts[0].path, target);
        assert!(matches!(&*drafts[0].arguments, [Argument::Plain("start", v)] if v == "1"));
        let Cut::Trace { envelope: found, marks, accept: Accept::Json, redacts: false } = cut else {
            panic!()
        };
        assert_eq!((found, marks.len(), marks[0].label()), (envelope, 1, "resource.tenant"));
        for bad in ["x", "0x1", "a-b", &"0".repeat(33)] {
            let refused = ask(&[], &matchers(ONE), &target.replace("0aF", bad));
            assert!(matches!(refused, Err(Rejection::Parameter { .. })), "{bad}");
        }
        // Under the assertion as well.
        let (_, cut) = calls(&[Feature::TracesNeverMixTenants], &matchers(ONE), target);
        assert!(matches!(cut, Cut::Trace { .. }));
        // What is not there is so as Tempo says it.
        let empty = br#"{"trace":{}}"#.to_vec();
        let none = match envelope {
            Envelope::Response => Filtered::Found { content_type: "application/json", body: empty },
            Envelope::Trace => Filtered::NotFound,
        };
        let protobuf = Answer { content_type: "application/protobuf".into(), body: Vec::new() };
        assert_eq!(cut.apply(&[None]), Ok(none.clone()));
        assert_eq!(cut.apply(&[Some(protobuf)]), Ok(none));
    }
}

#[test]
fn atk_47_tag_values_are_asked_with_the_scope_where_a_hint_is_of_no_use() {
    for (tag, asked) in [
        ("span.note", &["span.note"][..]),
        ("resource.service.name", &["resource.service.name"]),
        ("event.exception.message", &["event.exception.message"]),
        ("link.a", &["link.a"]),
        ("instrumentation.a", &["instrumentation.a"]),
        (".note", &["resource.note", "span.note"]),
        ("span.a_b-c", &["span.a_b-c"]),
        ("span.a%3Ab@c", &["span.a%3Ab%40c"]),
        ("span.rootName", &["span.rootName"]),
        ("name", &["name"]),
        ("span:name", &["span%3Aname"]),
        ("status", &["status"]),
        ("kind", &["kind"]),
        ("statusMessage", &["statusMessage"]),
        ("event:name", &["event%3Aname"]),
        ("instrumentation:version", &["instrumentation%3Aversion"]),
    ] {
        let expected: Vec<String> =
            asked.iter().map(|tag| format!("/api/v2/search/tag/{tag}/values?limit=5&start=1&{Q}")).collect();
        for q in ["", "&q=", "&q=%7B%7D", "&q=%7B+true+%7D+%7C%7C", "&q=%7B+resource.service.name+%3D"] {
            let target = format!("/api/v2/search/tag/{tag}/values?limit=5&start=1&end={q}");
            let (found, cut) = calls(&[], &matchers(ONE), &target);
            assert_eq!(found, expected);
            let Cut::TagValues(sought) = cut else { panic!("{tag}") };
            assert!(sought.len() == asked.len() && sought.iter().all(|sought| sought.kept.is_none()));
        }
    }
}

#[test]
fn atk_47_where_a_hint_narrows_nothing_the_endpoint_is_closed() {
    let old = Backend { narrows_tag_values: false, ..backend(&[]) };
    for tag in ["span.note", "name", "rootName", "trace:id"] {
        let asked = ask_of(&old, &matchers(ONE), &format!("/api/v2/search/tag/{tag}/values"));
        assert!(matches!(asked, Err(Rejection::UnknownEndpoint)), "{tag}");
    }
    assert!(ask_of(&old, &matchers(ONE), "/api/search").is_ok());
}

#[test]
fn atk_4g_what_tells_of_whole_traces_has_no_values() {
    let never = &[Feature::TracesNeverMixTenants][..];
    let target = |tag: &str| format!("/api/v2/search/tag/{tag}/values");
    for tag in ["rootName", "rootServiceName", "trace:rootName", "trace:rootService", "trace:duration"] {
        assert!(matches!(ask(&[], &matchers(ONE), &target(tag)), Ok(Asking::Answer(NO_VALUES))), "{tag}");
        let (found, _) = calls(never, &matchers(ONE), &target(tag));
        assert_eq!(found, [format!("{}?{Q}", target(&tag.replace(':', "%3A")))]);
    }
    for tag in [
        "trace:id",
        "span:id",
        "span:parentID",
        "link:traceID",
        "nestedSetParent",
        "nestedSetLeft",
        "duration",
    ] {
        for features in [&[][..], never] {
            assert!(
                matches!(ask(features, &matchers(ONE), &target(tag)), Ok(Asking::Answer(NO_VALUES))),
                "{tag}"
            );
        }
    }
}

#[test]
fn atk_4d_a_tag_that_tempo_could_read_otherwise_is_refused() {
    for tag in [
        "tenant",
        "service.name",
        "resource",
        "resource.",
        "parent.a",
        "span:nosuch",
        "resource.a%20b",
        "resource.a+b",
        "resource.%2574enant",
        "resource.a%252Fvalues",
        "resource.a%3Fq=%7B%7D",
        "resource.a%23",
        "resource.%22a%22b",
        "resource.a=b",
        "resource.%C3%A4",
        "%7B%7D",
    ] {
        let refused = ask(&[], &matchers(ONE), &format!("/api/v2/search/tag/{tag}/values"));
        assert!(matches!(refused, Err(Rejection::Parameter { .. })), "{tag} {refused:?}");
    }
}

#[test]
fn what_tempo_may_leave_out_is_asked_for_besides() {
    let never = &[Feature::TracesNeverMixTenants][..];
    for (tag, expected) in [
        ("span.x", &[true][..]),
        ("resource.x", &[true]),
        // Beside a column of texts there can be numbers.
        ("resource.k8s.pod.name", &[true]),
        (".x", &[true, true]),
        ("event.x", &[true]),
        ("link.x", &[true]),
        ("instrumentation.x", &[true]),
        ("span.http.status_code", &[true]),
        ("span.service.name", &[true]),
        ("name", &[true]),
        ("span:name", &[true]),
        ("statusMessage", &[true]),
        ("event:name", &[true]),
        ("instrumentation:name", &[true]),
        ("instrumentation:version", &[true]),
        // Listed in full.
        ("resource.service.name", &[false]),
        ("resource.tenant", &[false]),
        ("status", &[false]),
        ("kind", &[false]),
        ("rootName", &[false]),
        ("trace:duration", &[false]),
        // Not to be told from the scope's own.
        (".tenant", &[false, false]),
        ("event.tenant", &[false]),
    ] {
        let target = format!("/api/v2/search/tag/{tag}/values?limit=7&q=%7B%7D");
        let (_, Cut::TagValues(sought)) = calls(never, &matchers(ONE), &target) else { panic!("{tag}") };
        let asked: Vec<bool> = sought.iter().map(|sought| sought.unlisted.is_some()).collect();
        assert_eq!(asked, expected, "{tag}");
        for unlisted in sought.into_iter().filter_map(|sought| sought.unlisted) {
            assert_eq!((unlisted.range.len(), unlisted.most, unlisted.exact), (0, Some(7), false));
        }
    }
    // Of a range, those that searches show, where they show all.
    for (tag, exact) in [
        ("span.x", &[Some(true)][..]),
        ("resource.service.name", &[Some(true)]),
        (".x", &[Some(true), Some(true)]),
        ("name", &[Some(true)]),
        ("statusMessage", &[Some(true)]),
        ("event.x", &[Some(false)]),
        ("link.x", &[Some(false)]),
        ("instrumentation:name", &[Some(false)]),
        ("resource.tenant", &[None]),
        ("span.tenant", &[None]),
        ("status", &[None]),
        ("rootName", &[None]),
    ] {
        let target = format!("/api/v2/search/tag/{tag}/values?start=1&end=2");
        let (_, Cut::TagValues(sought)) = calls(never, &matchers(ONE), &target) else { panic!("{tag}") };
        let unlisted = sought.into_iter().map(|sought| sought.unlisted);
        let asked: Vec<Option<bool>> = unlisted
            .map(|one| {
                one.map(|one| {
                    assert_eq!(one.range, [("start", "1".to_owned()), ("end", "2".to_owned())]);
                    one.exact
                })
            })
            .collect();
        assert_eq!(asked, exact, "{tag}");
    }
    // Who may see everything is listed everything.
    let everyone = Scope::unrestricted().in_labels(|_| None).unwrap();
    let (_, Cut::TagValues(sought)) = calls(&[], &everyone, "/api/v2/search/tag/span.x/values") else {
        panic!()
    };
    assert!(sought.iter().all(|sought| sought.unlisted.is_none()));
}

#[test]
fn of_the_scopes_own_attribute_only_its_values_are_kept() {
    let scope = matchers(&[("region", &["eu"]), ("tenant", &["a", "b.c"])]);
    for (tag, expected) in [
        ("resource.tenant", vec![Some("a b.c")]),
        ("resource.region", vec![Some("eu")]),
        (".tenant", vec![Some("a b.c"), None]),
        ("span.tenant", vec![None]),
        ("resource.tenants", vec![None]),
    ] {
        let (found, cut) = calls(&[], &scope, &format!("/api/v2/search/tag/{tag}/values"));
        let Cut::TagValues(sought) = cut else { panic!() };
        let texts = |values: Values| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let kept: Vec<Option<String>> = sought.into_iter().map(|sought| sought.kept.map(texts)).collect();
        assert_eq!(kept, expected.iter().map(|e| e.map(str::to_owned)).collect::<Vec<_>>(), "{tag}");
        let hint = r#"{ resource.region = "eu" && resource.tenant =~ "^(?:a|b\\.c)$" }"#;
        for call in found {
            let query = call.split_once("?q=").unwrap().1;
            let decoded =
                form_urlencoded::parse(format!("q={query}").as_bytes()).next().unwrap().1.into_owned();
            assert_eq!(decoded, hint);
        }
    }
}

#[test]
fn a_scope_that_a_hint_cannot_say_for_sure_is_refused() {
    // Tempo 2.9 finds a condition's name by a pattern, and would read `team` here.
    let odd = labelled(ONE, |_| "resource.acme/team".into());
    let refused = ask(&[], &odd, "/api/v2/search/tag/span.note/values");
    assert!(matches!(refused, Err(Rejection::Forbidden(Forbidden::ClosedBackend))), "{refused:?}");
    let span = labelled(ONE, |_| "span.tenant".into());
    for target in ["/api/traces/1", "/api/v2/traces/1", "/api/v2/search/tag/span.note/values"] {
        let refused = ask(&[], &span, target);
        assert!(
            matches!(refused, Err(Rejection::Forbidden(Forbidden::ClosedBackend))),
            "{target} {refused:?}"
        );
    }
}

#[test]
fn a_hint_of_several_dimensions_has_1000_bytes_and_not_1001() {
    let target = "/api/v2/search/tag/span.note/values";
    let with_last = |last: usize, dimensions: usize| {
        let mut texts: Vec<String> = (10..25).map(|i| format!("{i}{}", "x".repeat(59))).collect();
        texts.push("z".repeat(last));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let scope = [("tenant", &*texts), ("region", &["eu"][..])];
        matchers(&scope[..dimensions])
    };
    let length = |scope: &ScopeMatchers| {
        crate::lang::traceql::hint("", &Limits::default().query, scope, None).map(|hint| hint.as_str().len())
    };
    let fits = (1..63).find(|last| length(&with_last(*last, 2)) == Ok(1000)).unwrap();
    assert!(ask(&[], &with_last(fits, 2), target).is_ok());
    let refused = ask(&[], &with_last(fits + 1, 2), target);
    assert!(
        matches!(&refused, Err(Rejection::Query { error, .. }) if error.kind == QueryErrorKind::Limit),
        "{refused:?}"
    );
    // A single string may be longer: nothing but its end follows.
    assert!(ask(&[], &with_last(63, 1), target).is_ok());
}

/// Where the query of a search names the tenant: on the resource, elsewhere.
fn named(entry: &str, q: &str) -> (bool, bool) {
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("q", q).finish();
    let (_, cut) = calls(&[Feature::TracesNeverMixTenants], &matchers(ONE), &format!("{entry}?{query}"));
    let (Cut::Search { marks, .. } | Cut::Metrics { marks }) = cut else { panic!("{cut:?}") };
    (marks[0].named.on_resource, marks[0].named.elsewhere)
}

#[test]
fn a_search_shows_what_its_own_query_names() {
    for (q, expected) in [
        ("", (false, false)),
        ("{}", (false, false)),
        ("{ span.note = \"tenant\" }", (false, false)),
        ("{ span.note = `resource.tenant` }", (false, false)),
        ("{ resource.tenants = 1 && span.a.tenant = 2 }", (false, false)),
        ("{ resource.tenant != \"b\" }", (true, false)),
        ("{ resource.\"tenant\" != \"b\" }", (true, false)),
        ("{} | select(resource.tenant)", (true, false)),
        ("{} | by(resource.tenant)", (true, false)),
        ("{ .tenant = \"a\" }", (true, true)),
        ("{ span.tenant = \"a\" }", (false, true)),
        ("{ event.tenant = \"a\" }", (false, true)),
        ("{ span.tenant = \"a\" } | select(resource.tenant)", (true, true)),
        ("({ resource.tenant = \"a\" } >> {}) | count() > 1", (true, false)),
    ] {
        assert_eq!(named("/api/search", q), expected, "{q}");
    }
    for (q, expected) in [
        ("{} | rate()", (false, false)),
        ("{} | rate() by (resource.tenant)", (true, false)),
        ("{ span.tenant = \"a\" } | rate()", (false, true)),
        ("{} | compare({ status = error })", (true, false)),
    ] {
        assert_eq!(named("/api/metrics/query_range", q), expected, "{q}");
    }
}

#[test]
fn whether_traces_mix_is_the_operators_word() {
    for (features, mixed) in
        [(&[][..], true), (&[Feature::TracesNeverMixTenants], false), (&[Feature::Tempo3], true)]
    {
        let target = "/api/search?limit=5&q=%7B%7D&evil=1&start=7&end=9";
        let (found, cut) = calls(features, &matchers(ONE), target);
        // More is asked for than is shown, where what is shown is decided again.
        let asked = if mixed { "start=7&end=9&limit=105&spss=20" } else { "limit=5&start=7&end=9" };
        assert_eq!(found, [format!("/api/search?{Q_SHOWN}&{asked}")]);
        let window = mixed.then(|| Window::new(Some("7"), Some("9"), Some("5"), None));
        assert!(matches!(cut, Cut::Search { shared, .. } if shared == window), "{features:?}");
    }
}

#[test]
fn tag_values_are_narrowed_by_what_is_surely_read_of_a_hint() {
    let q = "&q=%7B+span.a+%3D+%22b%22+%26%26+status+%3D+error+%26%26+resource.tenant+%3D+%22b%22+%7D";
    let (found, _) = calls(&[], &matchers(ONE), &format!("/api/v2/search/tag/span.note/values?limit=5{q}"));
    let hint = "q=%7B+resource.tenant+%3D+%22a%22+%26%26+span.a+%3D+%22b%22+%26%26+status+%3D+error+%7D";
    assert_eq!(found, [format!("/api/v2/search/tag/span.note/values?limit=5&{hint}")]);
}

#[test]
fn atk_47_what_tempo_keeps_under_a_short_hash_is_salted() {
    let salted = matchers(ONE).salted(SaltKey::new(&[7; SaltKey::MIN_BYTES]));
    let salt = salted.salt().unwrap();
    for (target, is_salted) in [
        ("/api/v2/search/tag/span.note/values", true),
        ("/api/search/tag/note/values", true),
        ("/api/v2/search/tags", false),
    ] {
        let Ok(Asking::Calls(drafts, _)) = ask_of(&backend(&[]), &salted, target) else { panic!("{target}") };
        for draft in drafts {
            let Some(Argument::Scoped("q", hint)) = draft.arguments.last() else { panic!("{target}") };
            assert_eq!(hint.as_str().contains(salt.as_str()), is_salted, "{target}");
            assert!(hint.as_str().contains(r#"resource.tenant = "a""#), "{target}");
        }
    }
}

#[test]
fn atk_47_names_are_those_of_recent_data_unless_no_cache_mixes_them_up() {
    let asserted = &[Feature::NoFrontendSearchCache][..];
    let all = "limit=5&start=1&end=2&scope=span&maxStaleValues=3";
    for (path, flat) in [("/api/search/tags", true), ("/api/v2/search/tags", false)] {
        let (found, cut) = calls(&[], &matchers(ONE), &format!("{path}?{all}"));
        assert!(found[0].starts_with("/api/v2/search/tags?") && !found[0].contains("start"), "{found:?}");
        // Which of them are shown is counted here: others' names would take the places.
        assert!(
            !found[0].contains("limit") && !found[0].contains("Stale") && found[0].ends_with(Q),
            "{found:?}"
        );
        let named = |cut, range: &[(&'static str, &str)]| {
            let Cut::TagNames { scope: TagScope::Span, confirm: Some(confirm), flat: found_flat, most: 5 } =
                cut
            else {
                panic!("{cut:?}")
            };
            let range = range.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let own = vec!["tenant".to_owned()];
            assert_eq!((found_flat, confirm), (flat, crate::scope::reply::Confirm { own, range }));
        };
        named(cut, &[]);
        let (found, cut) = calls(asserted, &matchers(ONE), &format!("{path}?{all}"));
        assert!(found[0].contains("start=1&end=2") && found[0].ends_with(Q), "{found:?}");
        named(cut, &[("start", "1"), ("end", "2")]);
        for scope in ["x", "Span", "span ", "resource,span"] {
            let refused = ask(&[], &matchers(ONE), &format!("{path}?scope={scope}"));
            assert!(matches!(refused, Err(Rejection::Parameter { .. })), "{scope}");
        }
        let old = Backend { narrows_tag_values: false, ..backend(&[]) };
        assert!(matches!(ask_of(&old, &matchers(ONE), path), Err(Rejection::UnknownEndpoint)));
    }
    // A hint narrows the newer one; the older takes none.
    let q = "q=%7B+span.a+%3D+1+%7D";
    assert!(calls(&[], &matchers(ONE), &format!("/api/v2/search/tags?{q}")).0[0].contains("span.a"));
    assert!(!calls(&[], &matchers(ONE), &format!("/api/search/tags?{q}")).0[0].contains("span.a"));
}

#[test]
fn atk_47_the_older_tag_values_are_asked_of_the_newer() {
    let never = &[Feature::TracesNeverMixTenants][..];
    for (tag, features, asked) in [
        ("note", &[][..], &["resource.note", "span.note"][..]),
        ("service.name", &[], &["resource.service.name"]),
        ("http.status_code", &[], &["span.http.status_code"]),
        ("name", &[], &["name"]),
        ("tenant", &[], &["resource.tenant", "span.tenant"]),
        ("root.name", never, &["rootName"]),
        ("rootServiceName", never, &["rootServiceName"]),
    ] {
        let target = format!("/api/search/tag/{tag}/values");
        let (found, cut) = calls(features, &matchers(ONE), &target);
        let expected: Vec<String> =
            asked.iter().map(|tag| format!("/api/v2/search/tag/{tag}/values?{Q}")).collect();
        assert_eq!(found, expected, "{tag}");
        assert!(matches!(cut, Cut::FlatTagValues(sought) if sought.len() == asked.len()));
    }
    for tag in ["rootName", "root.name", "root.service.name", "trace:id", "span:id"] {
        let asked = ask(&[], &matchers(ONE), &format!("/api/search/tag/{tag}/values"));
        assert!(matches!(asked, Ok(Asking::Answer(NO_VALUES))), "{tag}");
    }
    let status = ask(&[], &matchers(ONE), "/api/search/tag/status.code/values");
    assert!(matches!(status, Ok(Asking::Answer(answer)) if answer.body.contains("error")));
    for tag in ["a%20b", "a=b", "a%2522", "%7B", "a%3Fq"] {
        let asked = ask(&[], &matchers(ONE), &format!("/api/search/tag/{tag}/values"));
        assert!(asked.is_err(), "{tag}");
    }
}

#[test]
fn atk_49_a_legacy_search_is_scoped_in_every_filter_and_shows_no_spans() {
    let never = &[Feature::TracesNeverMixTenants][..];
    let (found, cut) = calls(&[], &matchers(ONE), "/api/search?tags=name%3Dx+a%3Db&limit=5&x=y");
    let query =
        form_urlencoded::parse(found[0].split_once('?').unwrap().1.as_bytes()).next().unwrap().1.into_owned();
    let t = r#"resource.tenant = "a" && resource.tenant != nil"#;
    let expected = format!(
        r#"{{ {t} }} | {{ {t} && ( name =~ ".*x.*" ) }} && {{ {t} && ( resource.a = "b" || span.a = "b" ) }}"#
    );
    assert_eq!(query, expected);
    assert!(found[0].ends_with("&limit=105&spss=20"));
    assert!(matches!(cut, Cut::Search { spans: false, shared: Some(_), .. }));
    // Facts of whole traces, as in TraceQL.
    for q in ["tags=root.name%3Dx", "minDuration=1s"] {
        let refused = ask(&[], &matchers(ONE), &format!("/api/search?{q}"));
        assert!(matches!(refused, Err(Rejection::Query { .. })), "{q}");
        assert!(ask(never, &matchers(ONE), &format!("/api/search?{q}")).is_ok(), "{q}");
    }
    let both = ask(never, &matchers(ONE), "/api/search?tags=a%3Db&q=%7B%7D");
    assert!(matches!(both, Err(Rejection::Parameter { .. })));
}

#[test]
fn atk_48_an_instant_query_is_asked_by_one_name() {
    let (found, cut) =
        calls(&[], &matchers(ONE), "/api/metrics/query?query=%7B%7D%7Crate()&start=1&end=2&x=1");
    assert_eq!(found, [format!("/api/metrics/query?{Q}%7Crate%28%29&start=1&end=2")]);
    assert!(matches!(cut, Cut::Metrics { .. }));
    let missing = ask(&[], &matchers(ONE), "/api/metrics/query");
    assert!(matches!(missing, Err(Rejection::Parameter { .. })));
}

#[test]
fn atk_47_no_kept_condition_is_on_a_dimension_of_the_scope() {
    let scope = matchers(&[("region", &["eu"]), ("tenant", &["a"])]);
    let q =
        "q=%7B+resource.region+%3D+%22us%22+%26%26+span.a+%3D+1+%26%26+resource.tenant+%21%3D+%22a%22+%7D";
    for path in ["/api/v2/search/tags", "/api/v2/search/tag/span.note/values"] {
        let (found, _) = calls(&[], &scope, &format!("{path}?{q}"));
        let sent = found[0].split_once('?').unwrap().1;
        let hint = form_urlencoded::parse(sent.as_bytes()).next().unwrap().1.into_owned();
        assert_eq!(hint, r#"{ resource.region = "eu" && resource.tenant = "a" && span.a = 1 }"#);
    }
}
