use super::super::unlisted::LISTED_BYTES;
use super::*;
use crate::lang::traceql::{Others, parse_tag};
use crate::limits::QueryLimits;
use crate::scope::Carried;
use serde_json::json;

fn unlisted(tag: &str, most: Option<usize>) -> Unlisted {
    let tenant = Values::new(vec![ScopeValue::parse("a").unwrap()]).unwrap();
    let scope = Scope::new([("tenant".to_owned(), tenant)].into()).unwrap();
    let matchers = scope.in_labels(|_| Some("resource.tenant")).unwrap();
    let others = Others::new(&parse_tag(tag).unwrap(), "", &QueryLimits::default(), &matchers).unwrap();
    Unlisted { others, range: vec![("start", "1".to_owned()), ("end", "2".to_owned())], most }
}

fn listed(values: &[(&str, &str)]) -> Listed {
    let list: Vec<Value> = values.iter().map(|(t, v)| json!({"type": t, "value": v})).collect();
    Listed::read(json!({ "tagValues": list }).to_string().as_bytes()).unwrap()
}

/// A search's answer of one span a list of attributes.
fn spans(attributes: &[Value]) -> Vec<u8> {
    let spans: Vec<Value> =
        attributes.iter().map(|a| json!({"spanID": "1", "name": "GET /", "attributes": a})).collect();
    json!({"traces": [{"traceID": "1", "spanSet": {"spans": spans}, "spanSets": [{"spans": spans}]}]})
        .to_string()
        .into_bytes()
}

fn asked(unlisted: &Unlisted, listed: &Listed, entries: Option<u64>) -> Option<Vec<(String, String)>> {
    let asked = unlisted.search(listed, entries, &Carried::default()).unwrap()?;
    assert_eq!(asked.matched.endpoint.name, "search");
    let given = |name: &str| Some((name.to_owned(), asked.parameters.scalar(name)?.to_owned()));
    Some(["q", "limit", "spss", "start", "end"].into_iter().filter_map(given).collect())
}

#[test]
fn others_than_the_listed_are_searched_in_the_same_range() {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let expected = |limit| {
        let q = r#"{ span.x != nil && !(span.x =~ "a|b") }"#;
        [("q", q), ("limit", limit), ("spss", "20"), ("start", "1"), ("end", "2")].map(pair).to_vec()
    };
    let (unlisted, listed) = (unlisted("span.x", None), listed(&[("string", "b"), ("string", "a")]));
    assert_eq!(asked(&unlisted, &listed, None), Some(expected("100")));
    // No more than the policy lets the caller ask for.
    assert_eq!(asked(&unlisted, &listed, Some(99)), Some(expected("99")));
    assert_eq!(asked(&unlisted, &listed, Some(101)), Some(expected("100")));
}

#[test]
fn where_as_many_are_listed_as_were_asked_for_no_others_are() {
    let (two, three) = (unlisted("span.x", Some(2)), unlisted("span.x", Some(3)));
    let mut known = listed(&[("string", "b"), ("string", "a")]);
    assert!(asked(&two, &known, None).is_none() && asked(&three, &known, None).is_some());
    let body = spans(&[
        json!([{"key": "x", "value": {"stringValue": "c"}}]),
        json!([{"key": "x", "value": {"stringValue": "d"}}]),
    ]);
    assert_eq!(three.found(&mut known, None, &body).unwrap().0.len(), 1);
}

#[test]
fn as_many_bytes_may_be_listed_as_the_cap_and_no_more() {
    let unlisted = unlisted("span.x", None);
    for (bytes, more) in [(LISTED_BYTES, true), (LISTED_BYTES + 1, false)] {
        // Each is counted with one more.
        let (first, second) = ("a".repeat(bytes - 6), "b".repeat(4));
        let listed = listed(&[("string", &first), ("string", &second), ("string", &second)]);
        assert_eq!(asked(&unlisted, &listed, None).is_some(), more, "{bytes}");
    }
}

#[test]
fn what_is_found_is_told_by_type_and_once() {
    let body = spans(&[
        json!([{"key": "x", "value": {"stringValue": "b"}}, {"key": "y", "value": {"stringValue": "z"}}]),
        json!([{"key": "x", "value": {"stringValue": "a"}}]),
        json!([{"key": "x", "value": {"intValue": "200"}}]),
        json!([{"key": "x", "value": {"doubleValue": 2.5}}]),
        json!([{"key": "x", "value": {"boolValue": true}}]),
        // Of a list Tempo lists what it likes.
        json!([{"key": "x", "value": {"arrayValue": {"values": [{"stringValue": "c"}]}}}]),
        json!([{"key": "x", "value": {}}, {"key": "x"}]),
    ]);
    let mut known = listed(&[("string", "a")]);
    let found = unlisted("span.x", None).found(&mut known, None, &body).unwrap().0;
    let pairs: Vec<(&str, &str)> = found.iter().map(|(kind, text)| (kind.as_str(), text.as_str())).collect();
    assert_eq!(pairs, [("bool", "true"), ("float", "2.5"), ("int", "200"), ("string", "b")]);
    assert!(unlisted("span.x", None).found(&mut known, None, &body).unwrap().0.is_empty());
    let written: Value = serde_json::from_slice(&known.written().unwrap()).unwrap();
    assert_eq!(written["tagValues"].as_array().unwrap().len(), 5);
    // A span's name is no attribute, whatever it is called.
    let mut names = listed(&[]);
    assert_eq!(
        unlisted("name", None).found(&mut names, None, &body).unwrap().0,
        [("string".into(), "GET /".into())]
    );
    assert!(unlisted("span.name", None).found(&mut names, None, &body).unwrap().0.is_empty());
    assert!(unlisted("span.x", None).found(&mut names, None, b"{").is_err());
}

#[test]
fn there_are_no_others_where_every_span_was_found() {
    let trace = |matched: u32| {
        let span = json!({"attributes": [{"key": "x", "value": {"stringValue": "a"}}]});
        json!({"traceID": "1", "spanSets": [{"spans": [span], "matched": matched}]})
    };
    let of = |traces: &[Value]| json!({ "traces": traces }).to_string().into_bytes();
    let unlisted = unlisted("span.x", None);
    for (traces, entries, more) in [
        (vec![trace(1); 99], None, false),
        (vec![trace(1); 100], None, true),
        (vec![trace(2)], None, true),
        (vec![trace(1); 4], Some(5), false),
        (vec![trace(1); 5], Some(5), true),
        (vec![], None, false),
    ] {
        let (_, found) = unlisted.found(&mut listed(&[]), entries, &of(&traces)).unwrap();
        assert_eq!(found, more, "{} {entries:?}", traces.len());
    }
    // Nor where it found nothing new.
    let known = &mut listed(&[("string", "a")]);
    assert!(!unlisted.found(known, None, &of(&[trace(2)])).unwrap().1);
}
