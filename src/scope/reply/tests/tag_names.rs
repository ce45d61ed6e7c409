use super::*;
use serde_json::json;

fn cut(scope: TagScope, flat: bool, body: &Value) -> Value {
    json_of(Cut::TagNames { scope, confirm: None, flat, most: 2 }.apply(&[json_answer(body.to_string())]))
}

fn found(scopes: &[(&str, &[&str])]) -> Value {
    let scopes: Vec<Value> = scopes.iter().map(|(name, tags)| json!({"name": name, "tags": tags})).collect();
    json!({"scopes": scopes, "metrics": {"inspectedBytes": "18812"}})
}

#[test]
fn scopes_that_were_not_asked_for_or_are_unknown_go() {
    let body = found(&[
        ("span", &["b", "a", "a"]),
        ("event", &["e"]),
        ("future", &["f"]),
        ("none", &["n"]),
        ("link", &[]),
    ]);
    let any = cut(TagScope::Any, false, &body);
    assert_eq!(
        any["scopes"],
        json!([{"name": "span", "tags": ["a", "b"]}, {"name": "event", "tags": ["e"]}])
    );
    let span = cut(TagScope::Span, false, &body);
    assert_eq!(span["scopes"], json!([{"name": "span", "tags": ["a", "b"]}]));
    assert_eq!(cut(TagScope::Event, false, &body)["scopes"], json!([{"name": "event", "tags": ["e"]}]));
    let nothing = json!({"metrics": {"inspectedBytes": "1"}});
    assert_eq!(cut(TagScope::Link, false, &nothing), json!({"scopes": [], "metrics": {}}));
}

#[test]
fn the_older_shape_is_one_list_without_intrinsics_unless_they_are_asked_for() {
    let body = found(&[("intrinsic", &["name", "status"]), ("span", &["x"]), ("resource", &["x", "y"])]);
    let any = cut(TagScope::Any, true, &body);
    assert_eq!(any, json!({"tagNames": ["x", "y"], "metrics": {}}));
    let intrinsic = cut(TagScope::Intrinsic, true, &body);
    assert_eq!(intrinsic["tagNames"], json!(["name", "status"]));
}

#[test]
fn an_answer_of_another_shape_is_refused() {
    for body in
        [r#"{"scopes":null}"#, r#"{"scopes":[{"name":"span","tags":[1]}]}"#, r#"{"scopes":["span"]}"#, ""]
    {
        let cut = Cut::TagNames { scope: TagScope::Any, confirm: None, flat: false, most: 1 };
        assert_eq!(cut.apply(&[json_answer(body)]), UNDECODABLE, "{body}");
        assert_eq!(cut.apply(&[None]), UNEXPECTED);
    }
}

#[test]
fn as_many_names_are_shown_as_were_asked_for() {
    let body = found(&[("span", &["a", "b", "c"]), ("resource", &["d", "e"])]);
    assert_eq!(
        cut(TagScope::Any, false, &body)["scopes"],
        json!([{"name": "resource", "tags": ["d", "e"]}, {"name": "span", "tags": ["a", "b"]}])
    );
    assert_eq!(cut(TagScope::Any, true, &body)["tagNames"], json!(["a", "b"]));
}

const OWN: &str = "tenant";

fn confirm() -> Confirm {
    let range = vec![("start", "1".to_owned()), ("end", "2".to_owned())];
    Confirm { own: vec![OWN.to_owned()], range }
}

fn query(names: &mut Confirming) -> Option<String> {
    let asked = names.search(&confirm(), None, &crate::scope::Carried::default()).unwrap()?;
    let given = |name: &str| asked.parameters.scalar(name).unwrap_or("").to_owned();
    assert_eq!(asked.matched.endpoint.name, "search");
    let rest = ["limit", "spss", "start", "end"].map(given);
    assert_eq!(rest, ["100", "20", "1", "2"]);
    Some(given("q"))
}

/// A search's answer of one span with these keys; none: of no span.
fn spans(keys: Option<&[&str]>) -> Vec<u8> {
    let attribute = |key: &&str| json!({"key": key, "value": {"stringValue": "x"}});
    let span = |keys: &[&str]| json!({"attributes": keys.iter().map(attribute).collect::<Vec<_>>()});
    let traces: Vec<Value> =
        keys.iter().map(|keys| json!({"spanSets": [{"spans": [span(keys)], "matched": 1}]})).collect();
    json!({ "traces": traces }).to_string().into_bytes()
}

fn listed(names: &Confirming) -> Vec<String> {
    names.listed().map(|(scope, name)| format!("{scope}.{name}")).collect()
}

#[test]
fn atk_6e_a_name_is_listed_once_a_span_of_the_callers_shows_it() {
    let body = found(&[
        ("resource", &["service.name", "tenant", "k8s.pod.name", "own"]),
        ("span", &["http.url", "own", "theirs"]),
        ("event", &["e"]),
        ("link", &["l"]),
        ("intrinsic", &["name"]),
        ("future", &["f"]),
    ]);
    let mut names = Confirming::read(body.to_string().as_bytes()).unwrap();
    // One name a key, since a search shows keys alone.
    let first = query(&mut names).unwrap();
    assert_eq!(
        first,
        "{ resource.k8s.pod.name != nil || resource.own != nil || resource.service.name != nil \
         || resource.tenant != nil || span.http.url != nil || span.theirs != nil || event.e != nil }"
    );
    names.found(&confirm(), &spans(Some(&["own", "e", "unasked"]))).unwrap();
    let second = query(&mut names).unwrap();
    assert_eq!(
        second,
        "{ resource.k8s.pod.name != nil || span.http.url != nil || span.own != nil || span.theirs != nil }"
    );
    // None of the caller's spans has any of them.
    names.found(&confirm(), &spans(None)).unwrap();
    assert_eq!(query(&mut names), None);
    let mut expected = listed(&names);
    expected.sort();
    let own =
        ["event.e", "intrinsic.name", "link.l", "resource.own", "resource.service.name", "resource.tenant"];
    assert_eq!(expected, own);
    let reply: Value = serde_json::from_slice(&names.written().unwrap()).unwrap();
    assert_eq!(reply["scopes"][0], json!({"name": "resource", "tags": ["own", "service.name", "tenant"]}));
}

#[test]
fn atk_6e_a_span_s_own_attribute_under_the_scope_s_key_is_asked_for_alone() {
    let body = found(&[("span", &["a", "tenant"])]);
    for (keys, expected) in [(Some(&["tenant"][..]), vec!["span.tenant"]), (None, vec![])] {
        let mut names = Confirming::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(query(&mut names).unwrap(), "{ span.a != nil }");
        names.found(&confirm(), &spans(None)).unwrap();
        assert_eq!(query(&mut names).unwrap(), "{ span.tenant != nil }");
        names.found(&confirm(), &spans(keys)).unwrap();
        assert_eq!(listed(&names), expected);
    }
}

#[test]
fn so_many_names_are_confirmed_so_often_and_no_more() {
    let of = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("n{number:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).chain(["http.url"]).collect();
        Confirming::read(found(&[("span", &names)]).to_string().as_bytes()).unwrap()
    };
    for (count, searches) in [(1999, true), (2000, false)] {
        assert_eq!(query(&mut of(count)).is_some(), searches, "{count}");
    }
    // Each search finds one; what is left then is listed unless Tempo is known to have a column for it.
    for (count, left) in [(8, false), (9, true)] {
        let mut names = of(count);
        for number in 0..8 {
            query(&mut names).unwrap();
            names.found(&confirm(), &spans(Some(&[&format!("n{number:04}")]))).unwrap();
        }
        assert_eq!(query(&mut names), None);
        assert_eq!(listed(&names).len(), if left { 9 } else { 8 });
        assert!(!listed(&names).contains(&"span.http.url".to_owned()));
    }
}

#[test]
fn a_text_is_as_long_as_it_may_be_and_the_rest_waits() {
    let long: Vec<String> = (0..100).map(|number| format!("{number}{}", "x".repeat(120))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let mut names = Confirming::read(found(&[("span", &long)]).to_string().as_bytes()).unwrap();
    let mut asked = 0;
    while let Some(q) = query(&mut names) {
        assert!(q.len() < 6 * 1024 + 10, "{}", q.len());
        asked += q.matches(" != nil").count();
        names.found(&confirm(), &spans(None)).unwrap();
    }
    assert_eq!((asked, listed(&names).len()), (100, 0));
}
