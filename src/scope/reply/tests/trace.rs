use super::*;
use crate::scope::reply::otlp::{
    AnyValue, ArrayValue, Batches, Event, KeyValue, KeyValueList, Link, Resource, ResourceSpans, ScopeSpans,
    Span, Status, Trace, TraceByIdResponse, Variant,
};
use proptest::prelude::*;
use prost::Message;
use prost::bytes::Bytes;

const OWN: &[u8] = include_bytes!("../samples/trace_own.pb");
const OWN_JSON: &str = include_str!("../samples/trace_own.json");
const OWN_V2: &[u8] = include_bytes!("../samples/trace_v2_own.pb");
const OWN_V2_JSON: &str = include_str!("../samples/trace_v2_own.json");
const MIXED: &[u8] = include_bytes!("../samples/trace_mixed.pb");
const MIXED_V2: &[u8] = include_bytes!("../samples/trace_v2_mixed.pb");

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn value(variant: Variant) -> Option<AnyValue> {
    Some(AnyValue { variant: Some(variant) })
}

pub(super) fn string(text: &str) -> Option<AnyValue> {
    value(Variant::String(bytes(text)))
}

fn list(items: &[&str]) -> Option<AnyValue> {
    let values = items.iter().map(|i| string(i).unwrap()).collect();
    value(Variant::Array(ArrayValue { values }))
}

pub(super) fn attribute(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: bytes(key), value }
}

/// Resource spans with one span, named `name`.
pub(super) fn spans(name: &str, attributes: Vec<KeyValue>) -> ResourceSpans {
    let span = Span { name: bytes(name), span_id: bytes("12345678"), ..Span::default() };
    ResourceSpans {
        resource: Some(Resource { attributes, dropped_attributes_count: 0 }),
        scope_spans: vec![ScopeSpans { scope: None, spans: vec![span], schema_url: Bytes::new() }],
        schema_url: Bytes::new(),
    }
}

fn cut(marks: &[Mark], accept: Accept, body: &[u8]) -> Result<Filtered, Rejection> {
    let cut = Cut::Trace { envelope: Envelope::Trace, marks: marks.to_vec(), accept, redacts: false };
    cut.apply(&[answer("application/protobuf", body)])
}

fn cut_v2(marks: &[Mark], accept: Accept, body: &[u8]) -> Result<Filtered, Rejection> {
    let cut = Cut::Trace { envelope: Envelope::Response, marks: marks.to_vec(), accept, redacts: false };
    cut.apply(&[answer("application/protobuf", body)])
}

/// The names of the spans that are left.
fn left(marks: &[Mark], resource_spans: &[ResourceSpans]) -> Vec<String> {
    let body = Trace { resource_spans: resource_spans.to_vec() }.encode_to_vec();
    match cut(marks, Accept::Protobuf, &body).unwrap() {
        Filtered::Snappy { .. } | Filtered::Done | Filtered::NotFound => Vec::new(),
        Filtered::Found { body, .. } => names(&Trace::decode(&*body).unwrap()),
    }
}

fn names(trace: &Trace) -> Vec<String> {
    let scopes = trace.resource_spans.iter().flat_map(|r| &r.scope_spans);
    scopes.flat_map(|s| &s.spans).map(|s| String::from_utf8_lossy(&s.name).into_owned()).collect()
}

#[test]
fn a_trace_of_the_callers_alone_comes_back_as_tempo_sends_it() {
    let marks = tenant("acme-books");
    let protobuf =
        |body: &[u8]| Filtered::Found { content_type: "application/protobuf", body: body.to_vec() };
    let json = |body: &str| Filtered::Found { content_type: "application/json", body: body.into() };
    assert_eq!(cut(&marks, Accept::Protobuf, OWN), Ok(protobuf(OWN)));
    assert_eq!(cut(&marks, Accept::Json, OWN), Ok(json(OWN_JSON)));
    // In the newer envelope the count of bytes read goes.
    let expected = OWN_V2_JSON.replace(r#""metrics":{"inspectedBytes":"32223"}"#, r#""metrics":{}"#);
    assert_ne!(expected, OWN_V2_JSON);
    assert_eq!(cut_v2(&marks, Accept::Json, OWN_V2), Ok(json(&expected)));
    let own = TraceByIdResponse::decode(OWN_V2).unwrap();
    let expected = TraceByIdResponse { metrics: Some(otlp::Empty {}), ..own };
    assert_eq!(cut_v2(&marks, Accept::Protobuf, OWN_V2), Ok(protobuf(&expected.encode_to_vec())));
}

#[test]
fn atk_46_4f_4j_of_a_mixed_trace_only_what_is_the_callers_without_a_doubt_is_left() {
    let own = ["own leaf 0", "own leaf 1", "own leaf 2", "own leaf 3"];
    let Ok(Filtered::Found { body, .. }) = cut(&tenant("acme-books"), Accept::Protobuf, MIXED) else {
        panic!()
    };
    assert_eq!(names(&Trace::decode(&*body).unwrap()), own);
    let Ok(Filtered::Found { body, .. }) = cut_v2(&tenant("acme-books"), Accept::Protobuf, MIXED_V2) else {
        panic!()
    };
    assert_eq!(names(&TraceByIdResponse::decode(&*body).unwrap().trace.unwrap()), own);
    for (envelope, cut, sample) in
        [(Envelope::Trace, cut as fn(&_, _, &_) -> _, MIXED), (Envelope::Response, cut_v2, MIXED_V2)]
    {
        for accept in [Accept::Json, Accept::Protobuf] {
            let Ok(Filtered::Found { body, .. }) = cut(&tenant("acme-books")[..], accept, sample) else {
                panic!()
            };
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains("canary-acme-books"));
            for canary in ["canary-globex-lit", "canary-untenanted", "canary-array", "canary-repeated"] {
                assert!(!text.contains(canary), "{canary}");
                // The sample shows what the cut takes away.
                assert!(String::from_utf8_lossy(sample).contains(canary), "{canary}");
            }
            // A list or a repeated attribute is nobody's, even where every value is the caller's.
            let both = marks(&[("tenant", &["acme-books", "globex-lit"])]);
            let Ok(Filtered::Found { body, .. }) = cut(&both[..], accept, sample) else { panic!() };
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains("canary-globex-lit") && !text.contains("canary-repeated"));
            assert!(!text.contains("canary-array") && !text.contains("canary-untenanted"));
            assert_eq!(cut(&tenant("initech-press")[..], accept, sample), no_trace(envelope, accept));
        }
    }
}

#[test]
fn atk_4d_4f_4j_a_resource_is_the_callers_by_one_plain_string_only() {
    let resources: Vec<(&str, Vec<KeyValue>)> = vec![
        ("own", vec![attribute("tenant", string("a"))]),
        ("own among others", vec![attribute("x", string("b")), attribute("tenant", string("a"))]),
        ("no attributes", vec![]),
        ("no value", vec![attribute("tenant", None)]),
        ("empty value", vec![attribute("tenant", Some(AnyValue { variant: None }))]),
        ("empty string", vec![attribute("tenant", string(""))]),
        ("another's", vec![attribute("tenant", string("b"))]),
        ("longer", vec![attribute("tenant", string("a "))]),
        ("other case", vec![attribute("tenant", string("A"))]),
        ("with nul", vec![attribute("tenant", string("a\0"))]),
        ("other key", vec![attribute("Tenant", string("a")), attribute("tenant ", string("a"))]),
        ("scoped key", vec![attribute("resource.tenant", string("a"))]),
        ("list", vec![attribute("tenant", list(&["a"]))]),
        ("list of two", vec![attribute("tenant", list(&["a", "b"]))]),
        ("bytes", vec![attribute("tenant", value(Variant::Bytes(bytes("a"))))]),
        ("number", vec![attribute("tenant", value(Variant::Int(1)))]),
        ("repeated", vec![attribute("tenant", string("a")), attribute("tenant", string("b"))]),
        ("repeated alike", vec![attribute("tenant", string("a")), attribute("tenant", string("a"))]),
        ("repeated, once as list", vec![attribute("tenant", string("a")), attribute("tenant", list(&["a"]))]),
        ("repeated, once empty", vec![attribute("tenant", string("a")), attribute("tenant", None)]),
        (
            "map",
            vec![attribute(
                "tenant",
                value(Variant::Kvlist(KeyValueList { values: vec![attribute("tenant", string("a"))] })),
            )],
        ),
    ];
    let mut all: Vec<ResourceSpans> = resources.into_iter().map(|(name, a)| spans(name, a)).collect();
    all.push(ResourceSpans { resource: None, ..spans("no resource", vec![]) });
    let mut forged = spans("forged on the span", vec![attribute("tenant", string("b"))]);
    forged.scope_spans[0].spans[0].attributes = vec![attribute("tenant", string("a"))];
    all.push(forged);
    all.push(ResourceSpans {
        scope_spans: vec![ScopeSpans::default()],
        ..spans("", vec![attribute("tenant", string("b"))])
    });
    assert_eq!(left(&tenant("a"), &all), ["own", "own among others"]);
    assert_eq!(left(&[], &all), Vec::<String>::new(), "no mark is no permission");
}

#[test]
fn every_dimension_must_be_borne() {
    let scope = marks(&[("tenant", &["a", "b"]), ("region", &["eu"])]);
    let resource = |name: &str, tenant: &str, region: &str| {
        spans(name, vec![attribute("tenant", string(tenant)), attribute("region", string(region))])
    };
    let all = [
        resource("a eu", "a", "eu"),
        resource("b eu", "b", "eu"),
        resource("a us", "a", "us"),
        resource("swapped", "eu", "a"),
        spans("no region", vec![attribute("tenant", string("a"))]),
        spans("no tenant", vec![attribute("region", string("eu"))]),
    ];
    assert_eq!(left(&scope, &all), ["a eu", "b eu"]);
}

#[test]
fn nothing_left_is_an_unknown_trace() {
    assert_eq!(cut(&tenant("a"), Accept::Json, &[]), Ok(Filtered::NotFound));
    let none = |accept| no_trace(Envelope::Response, accept);
    assert_eq!(cut_v2(&tenant("a"), Accept::Json, &[]), none(Accept::Json));
    // What Tempo answers on its newer path for an unknown trace.
    assert_eq!(cut_v2(&tenant("a"), Accept::Protobuf, &[0x0a, 0, 0x12, 0]), none(Accept::Protobuf));
    assert_eq!(cut_v2(&tenant("a"), Accept::Json, MIXED_V2), none(Accept::Json));
}

#[test]
fn a_truncated_answer_is_refused_wherever_it_ends() {
    for (cut, sample) in [(cut as fn(&_, _, &_) -> _, MIXED), (cut_v2, MIXED_V2)] {
        let marks = tenant("acme-books");
        let Ok(Filtered::Found { body: whole, .. }) = cut(&marks[..], Accept::Protobuf, sample) else {
            panic!()
        };
        for end in 1..sample.len() {
            match cut(&marks[..], Accept::Protobuf, &sample[..end]) {
                // Cut between two fields, a message is whole.
                Ok(Filtered::Found { body, .. }) => assert!(body.len() <= whole.len()),
                filtered => assert!(filtered == UNDECODABLE || filtered == Ok(Filtered::NotFound), "{end}"),
            }
        }
    }
}

#[test]
fn a_partial_trace_stays_partial_and_tells_no_sizes() {
    let own = spans("own", vec![attribute("tenant", string("a"))]);
    let trace = Trace { resource_spans: vec![own] };
    let mut body = TraceByIdResponse { trace: Some(trace), metrics: None, status: 1 }.encode_to_vec();
    body.extend([0x22, 9]); // message
    body.extend(*b"30 bytes!");
    body.extend([0xaa, 0x06, 3, b'n', b'e', b'w']); // field 101, unknown
    let json = json_of(cut_v2(&tenant("a"), Accept::Json, &body));
    assert_eq!(json["status"], "PARTIAL");
    assert_eq!(json["metrics"], serde_json::json!({}));
    assert_eq!(json.as_object().unwrap().len(), 3);
    let Ok(Filtered::Found { body, .. }) = cut_v2(&tenant("a"), Accept::Protobuf, &body) else { panic!() };
    assert_eq!(TraceByIdResponse::decode(&*body).unwrap().status, 1);
    let text = String::from_utf8_lossy(&body);
    assert!(!text.contains("bytes!") && !text.contains("new"));
}

#[test]
fn unknown_fields_are_not_copied() {
    let own = spans("own", vec![attribute("tenant", string("a"))]);
    let mut part = own.encode_to_vec();
    part.extend([0xaa, 0x06, 6]); // field 101 of ResourceSpans
    part.extend(*b"hidden");
    let mut body = vec![0x0a, u8::try_from(part.len()).unwrap()];
    body.extend(part);
    body.extend([0xaa, 0x06, 6]); // and of Trace
    body.extend(*b"hidden");
    let Ok(Filtered::Found { body, .. }) = cut(&tenant("a"), Accept::Protobuf, &body) else { panic!() };
    assert_eq!(Trace::decode(&*body).unwrap(), Trace { resource_spans: vec![own] });
    assert!(!String::from_utf8_lossy(&body).contains("hidden"));
}

#[test]
fn a_resource_given_in_two_pieces_is_judged_as_one() {
    // Protobuf merges a message that is given twice: two attributes come of it.
    let own = spans("own", vec![attribute("tenant", string("a"))]);
    let other = ResourceSpans { scope_spans: vec![], ..spans("", vec![attribute("tenant", string("b"))]) };
    let part = [other.encode_to_vec(), own.encode_to_vec()].concat();
    let mut body = vec![0x0a, u8::try_from(part.len()).unwrap()];
    body.extend(part);
    assert_eq!(cut(&tenant("a"), Accept::Json, &body), Ok(Filtered::NotFound));
    assert_eq!(cut(&tenant("b"), Accept::Json, &body), Ok(Filtered::NotFound));
}

/// An attribute whose value is `depth` lists within each other.
fn nested(depth: usize) -> KeyValue {
    let mut value = string("x").unwrap();
    for _ in 0..depth {
        value = AnyValue { variant: Some(Variant::Array(ArrayValue { values: vec![value] })) };
    }
    attribute("deep", Some(value))
}

#[test]
fn nesting_is_bounded_and_that_of_others_does_not_matter() {
    let own = |depth| {
        let mut own = spans("own", vec![attribute("tenant", string("a"))]);
        own.scope_spans[0].spans[0].attributes = vec![nested(depth)];
        own
    };
    let body = |parts: &[ResourceSpans]| Trace { resource_spans: parts.to_vec() }.encode_to_vec();
    // prost's bound of 100: ResourceSpans, ScopeSpans, Span, KeyValue, AnyValue, then two a level.
    let deepest = (0..80).rev().find(|d| cut(&tenant("a"), Accept::Json, &body(&[own(*d)])).is_ok()).unwrap();
    assert!((40..=50).contains(&deepest), "{deepest}");
    assert_eq!(cut(&tenant("a"), Accept::Json, &body(&[own(deepest + 1)])), UNDECODABLE);
    let deep = spans("deep", vec![attribute("tenant", string("b")), nested(200)]);
    let mut deep_span = spans("deep", vec![attribute("tenant", string("b"))]);
    deep_span.scope_spans[0].spans[0].attributes = vec![nested(200)];
    let json = json_of(cut(&tenant("a"), Accept::Json, &body(&[deep, own(3), deep_span])));
    assert_eq!(json["batches"].as_array().unwrap().len(), 1);
}

#[test]
fn a_deep_answer_does_not_overflow_the_stack() {
    // 1,000 lists within each other, written from the inside.
    let mut value: Vec<u8> = vec![0x0a, 1, b'x'];
    for _ in 0..1_000 {
        let mut outer = Vec::with_capacity(value.len() + 8);
        for tag in [0x0a_u8, 0x2a] {
            outer.clear();
            outer.push(tag);
            prost::encoding::encode_varint(value.len() as u64, &mut outer);
            outer.extend(&value);
            std::mem::swap(&mut value, &mut outer);
        }
    }
    let own = spans("own", vec![attribute("tenant", string("a"))]);
    let mut pair = vec![0x0a, 4];
    pair.extend(*b"deep");
    pair.push(0x12);
    prost::encoding::encode_varint(value.len() as u64, &mut pair);
    pair.extend(value);
    let wrap = |tag: u8, inner: &[u8]| {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let span = wrap(0x4a, &pair);
    let part = [own.encode_to_vec(), wrap(0x12, &wrap(0x12, &span))].concat();
    assert_eq!(cut(&tenant("a"), Accept::Json, &wrap(0x0a, &part)), UNDECODABLE);
}

#[test]
fn json_is_printed_as_jsonpb_does() {
    let mut own = spans("own", vec![attribute("tenant", string("a"))]);
    own.schema_url = bytes("https://x");
    let span = &mut own.scope_spans[0].spans[0];
    span.trace_state = bytes("k=v");
    span.flags = 257;
    span.kind = 99;
    span.dropped_events_count = 2;
    span.start_time_unix_nano = u64::MAX;
    span.name = Bytes::from_static(b"caf\xe9 <\"\n>");
    span.status = Some(Status { message: Bytes::new(), code: 1 });
    span.attributes = vec![
        attribute("empty", string("")),
        attribute("false", value(Variant::Bool(false))),
        attribute("zero", value(Variant::Int(0))),
        attribute("double", value(Variant::Double(2.0))),
        attribute("nan", value(Variant::Double(f64::NAN))),
        attribute("list", list(&[])),
        attribute("bytes", value(Variant::Bytes(bytes("\0\u{1}")))),
        attribute("map", value(Variant::Kvlist(KeyValueList { values: vec![attribute("k", None)] }))),
        attribute("unknown", Some(AnyValue { variant: None })),
    ];
    span.events = vec![Event { time_unix_nano: 5, name: bytes("e"), ..Event::default() }];
    span.links = vec![Link { trace_id: bytes("abc"), flags: 1, ..Link::default() }];
    let json = serde_json::to_value(Batches { batches: &[own] }).unwrap();
    let expected = serde_json::json!({"batches": [{
        "resource": {"attributes": [{"key": "tenant", "value": {"stringValue": "a"}}]},
        "schemaUrl": "https://x",
        "scopeSpans": [{"spans": [{
            "spanId": "MTIzNDU2Nzg=", "traceState": "k=v", "flags": 257, "kind": 99, "droppedEventsCount": 2,
            "startTimeUnixNano": "18446744073709551615", "name": "caf\u{fffd} <\"\n>",
            "status": {"code": "STATUS_CODE_OK"},
            "attributes": [
                {"key": "empty", "value": {"stringValue": ""}},
                {"key": "false", "value": {"boolValue": false}},
                {"key": "zero", "value": {"intValue": "0"}},
                {"key": "double", "value": {"doubleValue": 2}},
                {"key": "nan", "value": {"doubleValue": "NaN"}},
                {"key": "list", "value": {"arrayValue": {}}},
                {"key": "bytes", "value": {"bytesValue": "AAE="}},
                {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k"}]}}},
                {"key": "unknown", "value": {}},
            ],
            "events": [{"timeUnixNano": "5", "name": "e"}],
            "links": [{"traceId": "YWJj", "flags": 1}],
        }]}],
    }]});
    assert_eq!(json, expected);
}

#[test]
fn a_text_that_is_no_utf8_hides_no_trace() {
    let mut own = spans("own", vec![attribute("tenant", string("a"))]);
    own.scope_spans[0].spans[0].name = Bytes::from_static(b"\xff\xfe");
    let mut other =
        spans("other", vec![attribute("tenant", value(Variant::String(Bytes::from_static(b"\xff"))))]);
    other.scope_spans[0].spans[0].name = Bytes::from_static(b"\xc3");
    let body = Trace { resource_spans: vec![other, own.clone()] }.encode_to_vec();
    let expected = Trace { resource_spans: vec![own] }.encode_to_vec();
    let found = Filtered::Found { content_type: "application/protobuf", body: expected };
    assert_eq!(cut(&tenant("a"), Accept::Protobuf, &body), Ok(found));
}

fn any_resource() -> impl Strategy<Value = ResourceSpans> {
    let value = prop_oneof![
        4 => "[abc]".prop_map(|s| string(&s)),
        1 => Just(None),
        1 => "[abc]".prop_map(|s| list(&[&s])),
        1 => any::<i64>().prop_map(|i| value(Variant::Int(i))),
    ];
    let key = prop_oneof![3 => Just("tenant"), 2 => Just("region"), 1 => Just("x")];
    let attributes = prop::collection::vec((key, value), 0..4);
    (attributes, "[a-z]{1,3}").prop_map(|(attributes, name)| {
        spans(&name, attributes.into_iter().map(|(k, v)| attribute(k, v)).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is left bears the marks, by a reading that shares no code with the cut; and a smaller
    /// scope leaves a subset.
    #[test]
    fn less_scope_is_less_answer(all in prop::collection::vec(any_resource(), 0..6)) {
        let left = |marks: &[Mark]| {
            let body = Trace { resource_spans: all.clone() }.encode_to_vec();
            match cut(marks, Accept::Protobuf, &body).unwrap() {
                Filtered::Snappy { .. } | Filtered::Done | Filtered::NotFound => Vec::new(),
                Filtered::Found { body, .. } => Trace::decode(&*body).unwrap().resource_spans,
            }
        };
        let (one, two) = (left(&tenant("a")), left(&marks(&[("tenant", &["a", "b"])])));
        let narrow = left(&marks(&[("tenant", &["a"]), ("region", &["c"])]));
        prop_assert!(one.iter().all(|r| two.contains(r)) && narrow.iter().all(|r| one.contains(r)));
        for (resources, allowed) in [(&one, &["a"][..]), (&two, &["a", "b"])] {
            for resource in resources {
                let json = serde_json::to_value(resource).unwrap();
                let attributes = json["resource"]["attributes"].as_array().unwrap().clone();
                let tenants: Vec<_> = attributes.iter().filter(|a| a["key"] == "tenant").collect();
                prop_assert_eq!(tenants.len(), 1);
                prop_assert!(allowed.contains(&tenants[0]["value"]["stringValue"].as_str().unwrap()));
            }
        }
    }

    /// Any bytes: an answer or a refusal, and what is found bears the mark.
    #[test]
    fn any_bytes_are_cut_or_refused(at in 0..MIXED.len(), byte in any::<u8>(), end in 0..MIXED.len()) {
        let mut body = MIXED.to_vec();
        body[at] = byte;
        check_invariants(&body);
        check_invariants(&body[..end]);
    }
}
