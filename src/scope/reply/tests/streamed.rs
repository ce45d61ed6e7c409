//! A message is cut as the whole answer is, which the other tests are about; here is what is its own.

use super::super::otlp::{AnyValue, KeyValue, Variant};
use super::super::tempopb::{
    InstantSeries, QueryInstantResponse, SearchResponse, ServiceStatsEntry, Span, SpanSet,
    TraceSearchMetadata,
};
use super::*;
use crate::api::Rpc;
use prost::Message;
use prost::bytes::Bytes;

fn text(key: &str, value: &'static [u8]) -> KeyValue {
    let value = AnyValue { variant: Some(Variant::String(Bytes::from_static(value))) };
    KeyValue { key: Bytes::copy_from_slice(key.as_bytes()), value: Some(value) }
}

fn span(start: u64, tenant: &'static [u8]) -> Span {
    let attributes = vec![text("tenant", tenant), text("a", b"\xff")];
    Span {
        start_time_unix_nano: start * 1_000_000,
        duration_nanos: 100_000_000,
        name: Bytes::from_static(b"\xfe"),
        attributes,
        ..Span::default()
    }
}

fn trace(spans: Vec<Span>) -> TraceSearchMetadata {
    let set = SpanSet { matched: u32::try_from(spans.len()).unwrap() + 5, spans, attributes: Vec::new() };
    TraceSearchMetadata {
        root_service_name: Bytes::from_static(b"theirs"),
        root_trace_name: Bytes::from_static(b"GET /theirs"),
        start_time_unix_nano: 1_000_000,
        duration_ms: 9000,
        span_set: Some(set.clone()),
        span_sets: vec![set],
        service_stats: vec![ServiceStatsEntry { service: Bytes::from_static(b"theirs"), stats: None }],
        ..TraceSearchMetadata::default()
    }
}

fn searched(mixed: bool, traces: Vec<TraceSearchMetadata>) -> SearchResponse {
    let message = Bytes::from(SearchResponse { traces, metrics: None }.encode_to_vec());
    let cut = Cut::Search { marks: tenant("a"), shared: mixed.then_some(Window::ANY), spans: true };
    let mut streamed = Streamed::new(cut, Rpc::Search, 10_000);
    let left = streamed.message(0, &message).unwrap();
    assert_eq!(left.is_none(), mixed, "what shared traces hold is held until all is found");
    SearchResponse::decode(&*left.or_else(|| streamed.held()).unwrap()).unwrap()
}

#[test]
fn atk_62_63_of_a_streamed_search_range_order_and_choice_are_made_at_its_end() {
    let named = |id: &'static str, spans| TraceSearchMetadata {
        trace_id: Bytes::from_static(id.as_bytes()),
        ..trace(spans)
    };
    let message = |traces| Bytes::from(SearchResponse { traces, metrics: None }.encode_to_vec());
    let window = Window::new(Some("1"), Some("2"), Some("2"), Some("1"));
    let cut = Cut::Search { marks: tenant("a"), shared: Some(window), spans: true };
    let mut streamed = Streamed::new(cut, Rpc::Search, 10_000);
    for traces in [
        // Another's span is in the range, the caller's is not.
        vec![named("outside", vec![span(1500, b"b"), span(5000, b"a")])],
        vec![named("early", vec![span(1000, b"a")]), named("late", vec![span(1200, b"a")])],
        vec![named("again", vec![span(1100, b"a")])],
        // Found more of.
        vec![named("again", vec![span(1900, b"a"), span(1300, b"a")])],
    ] {
        assert_eq!(streamed.message(0, &message(traces)).unwrap(), None);
    }
    let left = SearchResponse::decode(&*streamed.held().unwrap()).unwrap();
    let shown: Vec<_> = left.traces.iter().map(|t| (&*t.trace_id, t.start_time_unix_nano)).collect();
    assert_eq!(shown, [(&b"again"[..], 1_300_000_000), (&b"late"[..], 1_200_000_000)]);
    let sets = left.traces[0].span_set.iter().chain(&left.traces[0].span_sets);
    assert!(sets.into_iter().all(|set| set.spans.len() == 1));
    // It remembers so many bytes and no more.
    let one = message(vec![named("early", vec![span(1000, b"a")])]);
    for (room, fits) in [(one.len(), true), (one.len() - 1, false)] {
        let cut = Cut::Search { marks: tenant("a"), shared: Some(window), spans: true };
        assert_eq!(Streamed::new(cut, Rpc::Search, room).message(0, &one).is_ok(), fits);
    }
}

#[test]
fn a_trace_of_several_tenants_is_told_by_its_own_spans() {
    let traces =
        || vec![trace(vec![span(20, b"a"), span(1, b"b"), span(50, b"a")]), trace(vec![span(1, b"b")])];
    let left = searched(true, traces());
    let [only] = left.traces.as_slice() else { panic!("{left:?}") };
    assert_eq!(only.root_service_name, "<root span not yet received>");
    assert_eq!(only.root_trace_name, "<root span not yet received>");
    assert_eq!((only.start_time_unix_nano, only.duration_ms), (20_000_000, 130));
    assert!(only.service_stats.is_empty());
    for set in only.span_set.iter().chain(&only.span_sets) {
        assert_eq!((set.spans.len(), set.matched), (2, 7));
        // What is no UTF-8 passes as it is.
        let kept = |span: &Span| span.name == b"\xfe"[..] && span.attributes == [text("a", b"\xff")];
        assert!(set.spans.iter().all(kept));
    }
    let left = searched(false, traces());
    assert_eq!((left.traces[0].duration_ms, &*left.traces[0].root_trace_name), (9000, &b"GET /theirs"[..]));
    assert_eq!((left.traces.len(), left.traces[0].service_stats.len()), (1, 1));
}

#[test]
fn a_value_that_is_no_utf_8_marks_nothing() {
    assert!(searched(false, vec![trace(vec![span(1, b"a\xff"), span(1, b"")])]).traces.is_empty());
}

#[test]
fn a_series_passes_and_what_the_backend_counted_does_not() {
    let series = InstantSeries {
        labels: vec![text("resource.service.name", b"x")],
        value: f64::NAN,
        prom_labels: Bytes::from_static(b"{}"),
    };
    let answer = QueryInstantResponse { series: vec![series], metrics: None, status: 1 };
    let mut message = answer.encode_to_vec();
    // Statistics, a message, and a field that is nowhere.
    message.extend([0x12, 0x02, 0x10, 0x07, 0x22, 0x01, b'x', 0xfa, 0x07, 0x01, b'x']);
    let cut = Cut::Metrics { marks: tenant("a") };
    let left = Streamed::new(cut, Rpc::MetricsQueryInstant, 0).message(0, &message.into()).unwrap().unwrap();
    let mut expected = answer.encode_to_vec();
    // The statistics, empty, stand before the status.
    let status = expected.split_off(expected.len() - 2);
    expected.extend([0x12, 0x00]);
    expected.extend(status);
    assert_eq!(left, expected);
}

#[test]
fn no_message_is_cut_in_another_way_than_its_own() {
    for rpc in Rpc::ALL {
        let cut = Cut::Trace {
            envelope: Envelope::Trace,
            marks: tenant("a"),
            redacts: false,
            accept: Accept::Json,
        };
        let cut = Streamed::new(cut, rpc, 0).message(0, &Bytes::new());
        assert!(matches!(cut, Err(Rejection::Defect(_))), "{rpc:?}");
    }
    let cut = Cut::Search { marks: tenant("a"), shared: Some(Window::ANY), spans: true };
    let cut = Streamed::new(cut, Rpc::MetricsQueryRange, 0).message(0, &Bytes::new());
    assert!(matches!(cut, Err(Rejection::Defect(_))));
}
