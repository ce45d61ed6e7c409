//! What holds of every cut, whatever the answer: for tests that make bytes up.

use super::mark::Named;
use super::otlp::Trace;
use super::{Answer, Cut, Envelope, Filtered, Mark};
use crate::scope::Accept;
use crate::tenant::{Scope, ScopeValue, Values};
use prost::Message;
use serde_json::Value;

/// Cuts `body` in every way and checks what is left.
///
/// # Panics
/// If something is left that the scope does not allow.
pub fn check(body: &[u8]) {
    let marks = one_tenant();
    let protobuf = Answer { content_type: "application/protobuf".into(), body: body.to_vec() };
    for envelope in [Envelope::Trace, Envelope::Response] {
        let cut =
            |accept| Cut::Trace { envelope, marks: marks.clone(), accept }.apply(&[Some(protobuf.clone())]);
        match (cut(Accept::Protobuf), cut(Accept::Json)) {
            (Ok(Filtered::Found { body, .. }), Ok(Filtered::Found { body: json, .. })) => {
                check_json(&json);
                if envelope == Envelope::Trace {
                    assert_eq!(batches(&json), Trace::decode(&*body).expect("protobuf").resource_spans.len());
                }
            }
            (protobuf, json) => assert_eq!(protobuf, json),
        }
    }
    let json = Answer { content_type: "application/json".into(), body: body.to_vec() };
    let cuts = [Cut::Metrics { marks: marks.clone() }, Cut::TagValues(vec![None])];
    for cut in cuts {
        if let Ok(Filtered::Found { body, .. }) = cut.apply(&[Some(json.clone())]) {
            let left: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(left.get("metrics"), Some(&serde_json::json!({})));
        }
    }
    // As if the caller had named the attribute: it stays, and can be checked.
    let mut shown = marks;
    shown.iter_mut().for_each(|mark| mark.named = Named { on_resource: true, elsewhere: false });
    for mixed in [true, false] {
        let cut = Cut::Search { marks: shown.clone(), mixed };
        if let Ok(Filtered::Found { body, .. }) = cut.apply(&[Some(json.clone())]) {
            check_search(&body, mixed);
        }
    }
}

/// Each span has exactly one `tenant`, the plain string of the scope; each trace has a span.
fn check_search(json: &[u8], mixed: bool) {
    let json: Value = serde_json::from_slice(json).expect("JSON");
    for trace in json.get("traces").and_then(Value::as_array).expect("traces") {
        let sets = trace.get("spanSets").and_then(Value::as_array).into_iter().flatten();
        let sets: Vec<&Value> = sets.chain(trace.get("spanSet")).collect();
        assert!(!sets.is_empty());
        for set in sets {
            let spans = set.get("spans").and_then(Value::as_array).expect("spans");
            assert!(!spans.is_empty());
            spans.iter().for_each(|span| check_attributes(span.get("attributes")));
        }
        if mixed {
            assert_eq!(trace.get("rootTraceName"), Some(&serde_json::json!("<root span not yet received>")));
            assert_eq!(trace.get("serviceStats"), None);
        }
    }
}

fn one_tenant() -> Vec<Mark> {
    let values = Values::new(vec![ScopeValue::parse("acme-books").expect("a value")]).expect("values");
    let scope = Scope::new([("tenant".to_owned(), values)].into()).expect("a scope");
    let matchers = scope.in_labels(|_| Some("resource.tenant")).expect("a label");
    matchers.iter().filter_map(Mark::new).collect()
}

fn batches(json: &[u8]) -> usize {
    let json: Value = serde_json::from_slice(json).expect("JSON");
    json.get("batches").and_then(Value::as_array).map_or(0, Vec::len)
}

/// Each batch has exactly one `tenant`, the plain string of the scope.
fn check_json(json: &[u8]) {
    let json: Value = serde_json::from_slice(json).expect("JSON");
    let list = json.get("batches").or_else(|| json.pointer("/trace/resourceSpans"));
    let list = list.and_then(Value::as_array).expect("a list that is not empty");
    assert!(!list.is_empty());
    for batch in list {
        check_attributes(batch.pointer("/resource/attributes"));
    }
}

fn check_attributes(attributes: Option<&Value>) {
    let attributes = attributes.and_then(Value::as_array).expect("attributes");
    let tenants: Vec<_> = attributes.iter().filter(|a| a.get("key").is_some_and(|k| k == "tenant")).collect();
    let [tenant] = tenants.as_slice() else { panic!("{attributes:?}") };
    assert_eq!(tenant.get("value"), Some(&serde_json::json!({"stringValue": "acme-books"})));
}
