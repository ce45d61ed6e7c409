//! What holds of every cut, whatever the answer: for tests that make bytes up.

use super::mark::Named;
use super::otlp::{Span, Trace};
use super::tempopb::{QueryRangeResponse, SearchResponse};
use super::{Answer, Cut, Envelope, Filtered, Mark, Sought, Streamed, TagScope, Window, mark};
use crate::api::Rpc;
use crate::rejection::Rejection;
use crate::scope::Accept;
use crate::tenant::{Scope, ScopeValue, Values};
use prost::Message;
use prost::bytes::Bytes;
use serde_json::Value;

/// Cuts `body` in every way and checks what is left.
///
/// # Panics
/// If something is left that the scope does not allow.
pub fn check(body: &[u8]) {
    let marks = one_tenant();
    let protobuf = Answer { content_type: "application/protobuf".into(), body: body.to_vec() };
    for envelope in [Envelope::Trace, Envelope::Response] {
        let cut = |accept| {
            Cut::Trace { envelope, marks: marks.clone(), accept, redacts: false }
                .apply(&[Some(protobuf.clone())])
        };
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
    check_redacted(&marks, &protobuf);
    let json = Answer { content_type: "application/json".into(), body: body.to_vec() };
    let names = |flat| Cut::TagNames { scope: TagScope::Any, confirm: None, flat, most: 9 };
    let cuts = [
        Cut::Metrics { marks: marks.clone() },
        Cut::TagValues(vec![Sought::default()]),
        Cut::FlatTagValues(vec![Sought::default()]),
        names(false),
        names(true),
    ];
    for cut in cuts {
        if let Ok(Filtered::Found { body, .. }) = cut.apply(&[Some(json.clone())]) {
            let left: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(left.get("metrics"), Some(&serde_json::json!({})));
        }
    }
    // As if the caller had named the attribute: it stays, and can be checked.
    let mut shown = marks;
    shown.iter_mut().for_each(|mark| mark.named = Named { on_resource: true, elsewhere: false });
    check_messages(&shown, body);
    for mixed in [true, false] {
        let cut = Cut::Search { marks: shown.clone(), shared: mixed.then_some(Window::ANY), spans: true };
        if let Ok(Filtered::Found { body, .. }) = cut.apply(&[Some(json.clone())]) {
            check_search(&body, mixed);
        }
    }
}

/// Takes `bytes` for a message of each streamed answer: what is left of it is the scope's.
fn check_messages(shown: &[Mark], bytes: &[u8]) {
    let message = Bytes::copy_from_slice(bytes);
    let cut = |cut, rpc| {
        let mut streamed = Streamed::new(cut, rpc, usize::MAX);
        let left = streamed.message(0, &message)?;
        Ok::<_, Rejection>(left.or_else(|| streamed.held()).expect("a message or what was held"))
    };
    let search = |mixed: bool| Cut::Search {
        marks: shown.to_vec(),
        shared: mixed.then_some(Window::ANY),
        spans: true,
    };
    for mixed in [true, false] {
        let Ok(left) = cut(search(mixed), Rpc::Search) else { continue };
        for trace in SearchResponse::decode(&*left).expect("a message").traces {
            let sets: Vec<_> = trace.span_set.iter().chain(&trace.span_sets).collect();
            assert!(!sets.is_empty() && sets.iter().all(|set| !set.spans.is_empty()));
            for span in sets.iter().flat_map(|set| &set.spans) {
                assert!(shown.iter().all(|mark| is_of(mark, mark.key(), &span.attributes)), "{span:?}");
            }
            assert!(!mixed || trace.service_stats.is_empty());
        }
    }
    let metrics = || Cut::Metrics { marks: shown.to_vec() };
    if let Ok(left) = cut(metrics(), Rpc::MetricsQueryRange) {
        let left = QueryRangeResponse::decode(&*left).expect("a message");
        for exemplar in left.series.iter().flat_map(|series| &series.exemplars) {
            assert!(shown.iter().all(|mark| is_of(mark, mark.label(), &exemplar.labels)), "{exemplar:?}");
        }
    }
    drop(cut(metrics(), Rpc::MetricsQueryInstant));
    drop(cut(Cut::TagValues(vec![Sought::default(), Sought::default()]), Rpc::SearchTagValuesV2));
    drop(cut(Cut::FlatTagValues(vec![Sought::default()]), Rpc::SearchTagValues));
    for (flat, rpc) in [(true, Rpc::SearchTags), (false, Rpc::SearchTagsV2)] {
        drop(cut(Cut::TagNames { scope: TagScope::Any, confirm: None, flat, most: 9 }, rpc));
    }
}

/// Whether there is one attribute under `key`, a value of the mark's.
fn is_of<A: mark::Attribute>(mark: &Mark, key: &str, attributes: &[A]) -> bool {
    let under: Vec<_> = attributes.iter().filter(|a| a.has_key(key)).map(A::string).collect();
    matches!(under.as_slice(), [Some(value)] if mark.values().contains(value))
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

/// With others' spans redacted the caller's own are the same, and one batch more at most is left: of ids and
/// times.
fn check_redacted(marks: &[Mark], answer: &Answer) {
    let cut = |redacts| {
        let (envelope, accept) = (Envelope::Trace, Accept::Protobuf);
        Cut::Trace { envelope, marks: marks.to_vec(), accept, redacts }.apply(&[Some(answer.clone())])
    };
    let (Ok(Filtered::Found { body: own, .. }), redacted) = (cut(false), cut(true)) else {
        assert!(!matches!(cut(true), Ok(Filtered::Found { .. })), "a trace without own spans");
        return;
    };
    let Ok(Filtered::Found { body, .. }) = redacted else { return };
    let (own, all) = (Trace::decode(&*own).expect("protobuf"), Trace::decode(&*body).expect("protobuf"));
    let (same, more) = all.resource_spans.split_at(own.resource_spans.len());
    assert_eq!(same, own.resource_spans);
    assert!(more.len() <= 1);
    for batch in more {
        let keys: Vec<&[u8]> =
            batch.resource.iter().flat_map(|resource| &resource.attributes).map(|a| &a.key[..]).collect();
        assert_eq!(keys, [&b"service.name"[..], b"palisade.redacted"]);
        assert!(batch.schema_url.is_empty());
        for scope in &batch.scope_spans {
            assert!(scope.scope.is_none() && scope.schema_url.is_empty());
            for span in &scope.spans {
                let place = Span {
                    trace_id: span.trace_id.clone(),
                    span_id: span.span_id.clone(),
                    parent_span_id: span.parent_span_id.clone(),
                    start_time_unix_nano: span.start_time_unix_nano,
                    end_time_unix_nano: span.end_time_unix_nano,
                    ..Span::default()
                };
                assert_eq!(*span, place);
                assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            }
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

/// Each batch has exactly one `tenant`, the plain string of the scope. In the newer envelope there may be none.
fn check_json(json: &[u8]) {
    let json: Value = serde_json::from_slice(json).expect("JSON");
    if json == serde_json::json!({"trace": {}}) {
        return;
    }
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
