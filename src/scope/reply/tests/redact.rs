//! Others' spans of a trace without their content (ATK-4D).

use super::trace::{attribute, spans, string};
use super::*;
use crate::scope::reply::otlp::{
    Event, InstrumentationScope, KeyValue, Link, Resource, ResourceSpans, ScopeSpans, Span, Status, Trace,
    TraceByIdResponse,
};
use prost::Message;
use prost::bytes::Bytes;

const MIXED: &[u8] = include_bytes!("../samples/trace_mixed.pb");
const MIXED_V2: &[u8] = include_bytes!("../samples/trace_v2_mixed.pb");

fn redacted(
    envelope: Envelope,
    marks: Vec<Mark>,
    accept: Accept,
    body: &[u8],
) -> Result<Filtered, Rejection> {
    Cut::Trace { envelope, marks, accept, redacts: true }.apply(&[answer("application/protobuf", body)])
}

fn trace_of(parts: &[ResourceSpans]) -> Trace {
    let body = Trace { resource_spans: parts.to_vec() }.encode_to_vec();
    match redacted(Envelope::Trace, tenant("a"), Accept::Protobuf, &body).unwrap() {
        Filtered::Found { body, .. } => Trace::decode(&*body).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn own() -> ResourceSpans {
    spans("own", vec![attribute("tenant", string("a"))])
}

/// A span that says its owner's secrets wherever it can.
fn telling(id: u8) -> Span {
    let secret = || Bytes::from_static(b"secret");
    let secrets = || vec![attribute("secret", string("secret"))];
    Span {
        trace_id: Bytes::from_static(&[7; 16]),
        span_id: Bytes::copy_from_slice(&[id; 8]),
        parent_span_id: Bytes::copy_from_slice(&[9; 8]),
        start_time_unix_nano: u64::from(id) * 10,
        end_time_unix_nano: u64::from(id) * 10 + 5,
        trace_state: secret(),
        flags: 257,
        name: secret(),
        kind: 2,
        attributes: secrets(),
        dropped_attributes_count: 1,
        events: vec![Event {
            name: secret(),
            attributes: secrets(),
            time_unix_nano: 5,
            dropped_attributes_count: 1,
        }],
        dropped_events_count: 2,
        links: vec![Link {
            trace_state: secret(),
            attributes: secrets(),
            trace_id: secret(),
            ..Link::default()
        }],
        dropped_links_count: 3,
        status: Some(Status { message: secret(), code: 2 }),
    }
}

fn others(resource: Option<Resource>, spans: Vec<Span>) -> ResourceSpans {
    let secret = || Bytes::from_static(b"secret");
    let scope = InstrumentationScope {
        name: secret(),
        version: secret(),
        attributes: vec![attribute("secret", string("secret"))],
        dropped_attributes_count: 4,
    };
    ResourceSpans {
        resource,
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: secret() }],
        schema_url: secret(),
    }
}

fn resource(attributes: Vec<KeyValue>) -> Option<Resource> {
    Some(Resource { attributes, dropped_attributes_count: 5 })
}

#[test]
fn atk_4d_of_others_ids_and_times_are_left_and_nothing_else() {
    for other in [
        others(
            resource(vec![attribute("tenant", string("b")), attribute("secret", string("secret"))]),
            vec![telling(1)],
        ),
        // No resource, no attributes, no plain tenant.
        others(None, vec![telling(1)]),
        others(resource(vec![]), vec![telling(1)]),
        others(
            resource(vec![attribute("tenant", string("a")), attribute("tenant", string("secret"))]),
            vec![telling(1)],
        ),
    ] {
        let trace = trace_of(&[other, own()]);
        let [ours, theirs] = trace.resource_spans.as_slice() else { panic!("{trace:?}") };
        assert_eq!(ours, &own());
        let keys: Vec<_> = theirs.resource.iter().flat_map(|r| &r.attributes).map(|a| &a.key[..]).collect();
        assert_eq!(keys, [&b"service.name"[..], b"palisade.redacted"]);
        let place = Span {
            trace_id: Bytes::from_static(&[7; 16]),
            span_id: Bytes::from_static(&[1; 8]),
            parent_span_id: Bytes::from_static(&[9; 8]),
            start_time_unix_nano: 10,
            end_time_unix_nano: 15,
            ..Span::default()
        };
        assert_eq!(theirs.scope_spans, [ScopeSpans { spans: vec![place], ..ScopeSpans::default() }]);
        assert!(!String::from_utf8_lossy(&trace.encode_to_vec()).contains("secret"));
    }
}

#[test]
fn atk_4d_nothing_tells_which_of_others_spans_belong_together() {
    let b = |spans| others(resource(vec![attribute("tenant", string("b"))]), spans);
    let apart = trace_of(&[own(), b(vec![telling(3)]), b(vec![telling(1)]), others(None, vec![telling(2)])]);
    let together = trace_of(&[own(), b(vec![telling(1), telling(2), telling(3)])]);
    assert_eq!(apart, together);
    // An id of another length could say something.
    let odd = |span: Span| trace_of(&[own(), b(vec![span])]).resource_spans.len();
    assert_eq!(odd(telling(1)), 2);
    assert_eq!(odd(Span { span_id: Bytes::from_static(b"a secret!"), ..telling(1) }), 1);
    assert_eq!(odd(Span { trace_id: Bytes::from_static(b"secret"), ..telling(1) }), 1);
    assert_eq!(odd(Span { parent_span_id: Bytes::from_static(b"secret"), ..telling(1) }), 1);
    assert_eq!(odd(Span { parent_span_id: Bytes::new(), ..telling(1) }), 2);
}

#[test]
fn atk_46_who_has_no_span_in_a_trace_does_not_learn_of_it() {
    for accept in [Accept::Json, Accept::Protobuf] {
        for (envelope, sample) in [(Envelope::Trace, MIXED), (Envelope::Response, MIXED_V2)] {
            let none = no_trace(envelope, accept);
            assert_eq!(redacted(envelope, tenant("initech-press"), accept, sample), none);
            assert_eq!(redacted(envelope, Vec::new(), accept, sample), none);
        }
    }
}

#[test]
fn a_real_trace_keeps_its_shape_and_tells_nothing_of_others() {
    let whole = Trace::decode(MIXED).unwrap();
    let count = |trace: &Trace| {
        trace.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum::<usize>()
    };
    for (envelope, sample) in [(Envelope::Trace, MIXED), (Envelope::Response, MIXED_V2)] {
        let Ok(Filtered::Found { body, .. }) =
            redacted(envelope, tenant("acme-books"), Accept::Protobuf, sample)
        else {
            panic!()
        };
        let text = String::from_utf8_lossy(&body);
        for canary in ["canary-globex-lit", "canary-untenanted", "canary-array", "canary-repeated", "globex"]
        {
            assert!(!text.contains(canary), "{canary}");
        }
        let left = match envelope {
            Envelope::Trace => Trace::decode(&*body).unwrap(),
            Envelope::Response => TraceByIdResponse::decode(&*body).unwrap().trace.unwrap(),
        };
        assert_eq!(count(&left), count(&whole));
        let json = redacted(envelope, tenant("acme-books"), Accept::Json, sample);
        assert!(json_of(json).to_string().contains("palisade.redacted"));
    }
}

#[test]
fn a_part_of_others_that_does_not_decode_refuses_all() {
    let mut body = Trace { resource_spans: vec![own()] }.encode_to_vec();
    // ScopeSpans that end in the middle.
    body.extend([0x0a, 3, 0x12, 5, 0x12]);
    assert_eq!(redacted(Envelope::Trace, tenant("a"), Accept::Json, &body), UNDECODABLE);
}
