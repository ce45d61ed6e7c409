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
    let range = vec![("start", "1".to_owned()), ("end", "2".to_owned())];
    Unlisted { others, range, most, exact: false }
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
    assert_eq!(three.found(&mut known, None, &body).unwrap().new.len(), 1);
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
    let found = unlisted("span.x", None).found(&mut known, None, &body).unwrap().new;
    let pairs: Vec<(&str, &str)> = found.iter().map(|(kind, text)| (kind.as_str(), text.as_str())).collect();
    assert_eq!(pairs, [("bool", "true"), ("float", "2.5"), ("int", "200"), ("string", "b")]);
    assert!(unlisted("span.x", None).found(&mut known, None, &body).unwrap().new.is_empty());
    let written: Value = serde_json::from_slice(&known.written().unwrap()).unwrap();
    assert_eq!(written["tagValues"].as_array().unwrap().len(), 5);
    // A span's name is no attribute, whatever it is called.
    let mut names = listed(&[]);
    assert_eq!(
        unlisted("name", None).found(&mut names, None, &body).unwrap().new,
        [("string".into(), "GET /".into())]
    );
    assert!(unlisted("span.name", None).found(&mut names, None, &body).unwrap().new.is_empty());
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
        let found = unlisted.found(&mut listed(&[]), entries, &of(&traces)).unwrap();
        assert_eq!(found.more, more, "{} {entries:?}", traces.len());
    }
    // Nor where it found nothing new.
    let known = &mut listed(&[("string", "a")]);
    assert!(!unlisted.found(known, None, &of(&[trace(2)])).unwrap().more);
}

#[test]
fn atk_62_the_values_of_a_range_are_those_of_spans_in_it() {
    let exact = |most| Unlisted { exact: true, ..unlisted("span.x", most) };
    let span = |value: Value| json!({"attributes": [{"key": "x", "value": value}]});
    let trace =
        |value: Value, matched: u32| json!({"spanSets": [{"spans": [span(value)], "matched": matched}]});
    let (text, list) = (
        json!({"stringValue": "in"}),
        json!({"arrayValue": {"values": [{"stringValue": "element"}, {"intValue": "5"}]}}),
    );
    let values = |most, traces: &[Value]| -> Vec<String> {
        let mut found = Listed::default();
        let body = json!({ "traces": traces }).to_string().into_bytes();
        exact(most).found(&mut found, None, &body).unwrap();
        let told = listed(&[("string", "in"), ("string", "out"), ("string", "element"), ("float", "1.5")]);
        let settled: Value =
            serde_json::from_slice(&exact(most).settled(found, told).written().unwrap()).unwrap();
        let text = |value: &Value| value["value"].as_str().unwrap().to_owned();
        settled["tagValues"].as_array().unwrap().iter().map(text).collect()
    };
    assert_eq!(values(None, &[]), [] as [&str; 0]);
    assert_eq!(values(None, &[trace(text.clone(), 1)]), ["in"]);
    // Of a list those that Tempo lists.
    assert_eq!(values(None, &[trace(text.clone(), 1), trace(list, 1)]), ["element", "in"]);
    // Where not every span was found, all that is listed stays.
    assert_eq!(values(None, &[trace(text.clone(), 2)]), ["1.5", "element", "in", "out"]);
    assert_eq!(values(Some(2), &[trace(text, 2)]), ["1.5", "element"]);
}

#[test]
fn the_values_of_a_range_need_no_list_where_every_span_was_found() {
    let exact = Unlisted { exact: true, ..unlisted("span.x", Some(1)) };
    let body = |value: Value, matched: u32| {
        let span = json!({"attributes": [{"key": "x", "value": value}]});
        json!({"traces": [{"spanSets": [{"spans": [span, span], "matched": matched}]}]})
            .to_string()
            .into_bytes()
    };
    let text = json!({"stringValue": "a"});
    let list = json!({"arrayValue": {"values": [text]}});
    for (value, matched, settled) in [(&text, 2, true), (&text, 3, false), (&list, 2, false)] {
        let mut found = Listed::default();
        exact.found(&mut found, None, &body(value.clone(), matched)).unwrap();
        assert_eq!(found.is_settled(), settled, "{value} {matched}");
        // However few are asked for, all are: which of them are shown is decided at the end.
        assert!(asked(&exact, &found, None).is_some());
    }
}
