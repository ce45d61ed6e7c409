//! Tempo's streaming: calls of gRPC, scoped, and each message of what comes back cut.

use super::support::grpc::{GrpcAnswer, GrpcAnswered, GrpcClient, Part, framed, read};
use super::support::proxy::{Proxy, exchange};
use super::support::unsalted;
use super::support::upstream::Answer as HttpAnswer;
use http_body_util::BodyExt;
use prost::Message;
use serde_json::json;
use std::time::{Duration, Instant};

const SEARCH: &str = "/tempopb.StreamingQuerier/Search";
const RANGE: &str = "/tempopb.StreamingQuerier/MetricsQueryRange";
const TAGS: &str = "/tempopb.StreamingQuerier/SearchTags";
const TAGS_V2: &str = "/tempopb.StreamingQuerier/SearchTagsV2";
const VALUES: &str = "/tempopb.StreamingQuerier/SearchTagValues";
const VALUES_V2: &str = "/tempopb.StreamingQuerier/SearchTagValuesV2";
const INSTANT: &str = "/tempopb.StreamingQuerier/MetricsQueryInstant";
const SCOPE: &str = r#"{ resource.tenant = "acme-books" && resource.tenant != nil }"#;

#[derive(Clone, PartialEq, Message)]
struct SearchRequest {
    #[prost(uint32, tag = "2")]
    min_duration_ms: u32,
    #[prost(uint32, tag = "4")]
    limit: u32,
    #[prost(uint32, tag = "5")]
    start: u32,
    #[prost(uint32, tag = "6")]
    end: u32,
    #[prost(string, tag = "8")]
    query: String,
    #[prost(uint32, tag = "9")]
    spss: u32,
    /// `RF1After`, which the caller has no business with.
    #[prost(bytes = "vec", optional, tag = "10")]
    rf1_after: Option<Vec<u8>>,
    /// No field of Tempo's.
    #[prost(string, tag = "99")]
    unknown: String,
}

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(string, tag = "1")]
    query: String,
    #[prost(uint64, tag = "2")]
    start: u64,
    #[prost(uint64, tag = "3")]
    end: u64,
    #[prost(uint64, tag = "4")]
    step: u64,
    #[prost(string, tag = "7")]
    query_mode: String,
    #[prost(string, tag = "8")]
    block: String,
    #[prost(uint32, tag = "16")]
    exemplars: u32,
    #[prost(uint32, tag = "17")]
    max_series: u32,
}

#[derive(Clone, PartialEq, Message)]
struct TagsRequest {
    #[prost(string, tag = "1")]
    scope: String,
    #[prost(string, tag = "2")]
    query: String,
    #[prost(uint32, tag = "3")]
    start: u32,
    #[prost(uint32, tag = "4")]
    end: u32,
    #[prost(uint32, tag = "5")]
    limit: u32,
    #[prost(uint32, tag = "6")]
    stale: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ValuesRequest {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(string, tag = "2")]
    query: String,
    #[prost(uint32, tag = "4")]
    start: u32,
    #[prost(uint32, tag = "5")]
    end: u32,
    #[prost(uint32, tag = "6")]
    limit: u32,
    #[prost(uint32, tag = "7")]
    stale: u32,
}

/// Names of tags by scope, or values by type: two texts, of which the second may be many.
#[derive(Clone, PartialEq, Message)]
struct Listed {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<ListedPart>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Statistics>,
}

#[derive(Clone, PartialEq, Message)]
struct ListedPart {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, repeated, tag = "2")]
    texts: Vec<String>,
}

/// Texts, as the older methods list them.
#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(string, repeated, tag = "1")]
    texts: Vec<String>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Statistics>,
}

/// An answer to a search, or to a metrics query over a range or at an instant: as far as the tests need them, they
/// are alike.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, repeated, tag = "1")]
    traces: Vec<Trace>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Statistics>,
    #[prost(int32, tag = "3")]
    status: i32,
    #[prost(string, tag = "4")]
    message: String,
    #[prost(string, tag = "99")]
    unknown: String,
}

#[derive(Clone, PartialEq, Message)]
struct Statistics {
    #[prost(uint64, tag = "2")]
    inspected_bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, repeated, tag = "7")]
    span_sets: Vec<SpanSet>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanSet {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<Span>,
    #[prost(uint32, tag = "2")]
    matched: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct RangeAnswer {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Statistics>,
    #[prost(int32, tag = "3")]
    status: i32,
    #[prost(string, tag = "4")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<KeyValue>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<KeyValue>,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, optional, tag = "1")]
    string: Option<String>,
    #[prost(bytes = "vec", optional, tag = "5")]
    list: Option<Vec<u8>>,
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(Value { string: Some(value.to_owned()), list: None }) }
}

fn span(name: &str, attributes: Vec<KeyValue>) -> Span {
    Span { name: name.to_owned(), attributes }
}

/// A search's message of two traces: one with a span of the caller's and such as are not, one of another's.
fn found(number: usize) -> Vec<u8> {
    let list = KeyValue {
        key: "tenant".to_owned(),
        value: Some(Value { string: None, list: Some(b"\x0a\x0c\x0a\x0aacme-books".to_vec()) }),
    };
    let own = span(&format!("own-{number}"), vec![text("tenant", "acme-books"), text("a", "b")]);
    let spans = vec![
        own,
        span("foreign", vec![text("tenant", "globex-lit")]),
        span("foreign of nobody", vec![text("a", "b")]),
        span("foreign of two", vec![text("tenant", "acme-books"), text("tenant", "globex-lit")]),
        span("foreign list", vec![list]),
    ];
    let foreign = vec![span("foreign alone", vec![text("tenant", "globex-lit")])];
    let trace = |id: &str, spans: Vec<Span>| Trace {
        id: id.to_owned(),
        span_sets: vec![SpanSet { matched: u32::try_from(spans.len()).unwrap(), spans }],
    };
    Answer {
        traces: vec![trace("t1", spans), trace("foreign trace", foreign)],
        metrics: Some(Statistics { inspected_bytes: 77 }),
        status: 0,
        message: String::new(),
        unknown: "foreign field".to_owned(),
    }
    .encode_to_vec()
}

/// What is left of [`found`].
fn left(number: usize) -> Answer {
    let spans = vec![span(&format!("own-{number}"), vec![text("a", "b")])];
    Answer {
        traces: vec![Trace { id: "t1".to_owned(), span_sets: vec![SpanSet { spans, matched: 1 }] }],
        metrics: Some(Statistics::default()),
        ..Answer::default()
    }
}

async fn client(proxy: &Proxy) -> GrpcClient {
    GrpcClient::connect(proxy.running.addresses[1]).await
}

async fn call(proxy: &Proxy, path: &str, message: &[u8]) -> GrpcAnswered {
    client(proxy).await.call(&proxy.acme(), path, message).await
}

fn search(query: &str) -> Vec<u8> {
    SearchRequest { query: query.to_owned(), ..SearchRequest::default() }.encode_to_vec()
}

fn rate() -> Vec<u8> {
    RangeRequest { query: "{} | rate()".to_owned(), start: 1, end: 2, ..RangeRequest::default() }
        .encode_to_vec()
}

#[tokio::test]
async fn atk_0h_a_call_is_rebuilt_with_the_scope_and_a_fixed_set_of_headers() {
    let proxy = Proxy::start().await;
    let request = SearchRequest {
        min_duration_ms: 0,
        limit: 5,
        start: 1_700_000_000,
        end: 1_700_000_060,
        query: "{ .a = 1 }".to_owned(),
        spss: 2,
        rf1_after: Some(vec![8, 1]),
        unknown: "x".to_owned(),
    };
    let headers = [
        "x-scope-orgid: globex-lit",
        "cookie: a=b",
        "grpc-accept-encoding: gzip",
        "user-agent: x",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "grpc-timeout: 10S",
    ];
    let mut client = client(&proxy).await;
    let answered = client.call_with(&proxy.acme(), SEARCH, &headers, &request.encode_to_vec()).await;
    assert_eq!(answered.outcome(), (0, ""));
    let called = proxy.grpc.take_one();
    assert_eq!(called.line, format!("POST {SEARCH}"));
    let sent = SearchRequest::decode(called.message()).unwrap();
    assert!(sent.query.contains(r#"resource.tenant = "acme-books""#), "{}", sent.query);
    assert_eq!(
        sent,
        SearchRequest { query: sent.query.clone(), rf1_after: None, unknown: String::new(), ..request }
    );
    let (timeout, others): (Vec<_>, Vec<_>) =
        called.headers.into_iter().partition(|line| line.starts_with("grpc-timeout: "));
    let milliseconds: u64 = timeout[0]["grpc-timeout: ".len()..].trim_end_matches('m').parse().unwrap();
    assert!((9_000..=10_000).contains(&milliseconds), "{timeout:?}");
    let expected = [
        "content-length: ".to_owned() + &called.body.len().to_string(),
        "content-type: application/grpc".to_owned(),
        "grpc-accept-encoding: identity".to_owned(),
        "te: trailers".to_owned(),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        format!("user-agent: palisade/{}", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(others, expected);
}

/// ATK-48: a search without a query is the scope's, and so is each metrics query.
#[tokio::test]
async fn atk_48_each_method_asks_with_the_scope() {
    let proxy = Proxy::start().await;
    assert_eq!(call(&proxy, SEARCH, &[]).await.code(), 0);
    let query = SearchRequest::decode(proxy.grpc.take_one().message()).unwrap().query;
    assert_eq!(unsalted(&query), SCOPE);
    let request = RangeRequest {
        query: "{} | rate()".to_owned(),
        start: 1_700_000_000_000_000_000,
        end: 1_700_000_060_000_000_000,
        step: 15_000_000_000,
        query_mode: "recent".to_owned(),
        block: "b".to_owned(),
        exemplars: 10,
        max_series: 3,
    };
    assert_eq!(call(&proxy, RANGE, &request.encode_to_vec()).await.code(), 0);
    let called = proxy.grpc.take_one();
    assert_eq!(called.line, format!("POST {RANGE}"));
    let sent = RangeRequest::decode(called.message()).unwrap();
    assert!(sent.query.contains(r#"resource.tenant = "acme-books""#), "{}", sent.query);
    let block = String::new();
    assert_eq!(sent, RangeRequest { query: sent.query.clone(), query_mode: String::new(), block, ..request });
    assert_eq!(call(&proxy, INSTANT, &rate()).await.code(), 0);
    let called = proxy.grpc.take_one();
    assert_eq!(called.line, format!("POST {INSTANT}"));
    let sent = RangeRequest::decode(called.message()).unwrap();
    assert!(sent.query.contains(r#"resource.tenant = "acme-books""#), "{}", sent.query);
    assert_eq!((sent.start, sent.end), (1, 2));
}

/// ATK-42: another's spans go from every message, as does what the scope's condition added.
#[tokio::test]
async fn every_message_of_a_search_is_cut() {
    let proxy = Proxy::start().await;
    proxy.grpc.answer(GrpcAnswer::of((0..200).map(found)));
    let answered = call(&proxy, SEARCH, &search("{}")).await;
    assert_eq!((answered.http, answered.outcome()), (200, (0, "")));
    assert_eq!(answered.headers["content-type"], "application/grpc");
    assert_eq!(answered.headers["cache-control"], "private, no-store");
    assert_eq!(answered.messages.len(), 200);
    for (number, message) in answered.messages.iter().enumerate() {
        assert_eq!(Answer::decode(&message[..]).unwrap(), left(number));
    }
    // However the backend's bytes are cut into frames.
    let stream: Vec<u8> = (0..3).flat_map(|number| framed(&found(number))).collect();
    let parts = stream.chunks(7).map(|part| Part::Bytes(part.to_vec()));
    proxy.grpc.answer(GrpcAnswer::parts(parts.chain([Part::Trailers(vec![("grpc-status", "0")])])));
    let answered = call(&proxy, SEARCH, &search("{}")).await;
    assert_eq!((answered.code(), answered.messages.len()), (0, 3));
}

#[tokio::test]
async fn exemplars_of_others_and_statistics_go_from_metrics() {
    let proxy = Proxy::start().await;
    let exemplar = |tenant: &str, value: f64| Exemplar {
        labels: vec![text("resource.tenant", tenant), text("trace:id", "t")],
        value,
    };
    let series = |exemplars: Vec<Exemplar>| Series { labels: vec![text("__name__", "rate")], exemplars };
    let answer = |exemplars, metrics, message: &str| RangeAnswer {
        series: vec![series(exemplars)],
        metrics: Some(Statistics { inspected_bytes: metrics }),
        status: 1,
        message: message.to_owned(),
    };
    let own = Exemplar { labels: vec![text("trace:id", "t")], value: 1.0 };
    let given = answer(vec![exemplar("acme-books", 1.0), exemplar("globex-lit", 2.0)], 7, "foreign bytes");
    let given = given.encode_to_vec();
    proxy.grpc.answer(GrpcAnswer::of([&given, &given]));
    let answered = call(&proxy, RANGE, &rate()).await;
    assert_eq!((answered.code(), answered.messages.len()), (0, 2));
    for message in &answered.messages {
        assert_eq!(RangeAnswer::decode(&message[..]).unwrap(), answer(vec![own.clone()], 0, ""));
    }
    let given = answer(Vec::new(), 7, "foreign bytes").encode_to_vec();
    proxy.grpc.answer(GrpcAnswer::of([&given]));
    let answered = call(&proxy, INSTANT, &rate()).await;
    assert_eq!(RangeAnswer::decode(&answered.messages[0][..]).unwrap(), answer(Vec::new(), 0, ""));
}

/// A message of names or values, with statistics.
fn listed(parts: &[(&str, &[&str])]) -> Vec<u8> {
    let part = |(kind, texts): &(&str, &[&str])| ListedPart {
        kind: (*kind).to_owned(),
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
    };
    let metrics = Some(Statistics { inspected_bytes: 7 });
    Listed { parts: parts.iter().map(part).collect(), metrics }.encode_to_vec()
}

/// What was listed, as `kind text`, in the messages' order.
fn listing(answered: &GrpcAnswered) -> Vec<String> {
    assert_eq!(answered.code(), 0, "{answered:?}");
    let of = |message: &Vec<u8>| {
        let listed = Listed::decode(&message[..]).unwrap();
        assert_eq!(listed.metrics, Some(Statistics::default()));
        let texts =
            |part: ListedPart| part.texts.into_iter().map(move |text| format!("{} {text}", part.kind));
        listed.parts.into_iter().flat_map(texts).collect::<Vec<_>>()
    };
    answered.messages.iter().flat_map(of).collect()
}

fn texts(answered: &GrpcAnswered) -> Vec<String> {
    assert_eq!(answered.code(), 0, "{answered:?}");
    let of = |message: &Vec<u8>| Texts::decode(&message[..]).unwrap().texts;
    answered.messages.iter().flat_map(of).collect()
}

/// ATK-46, ATK-6E: names of tags are asked with a hint that binds, and those that the caller's spans show are listed.
#[tokio::test]
async fn atk_46_names_of_tags_are_asked_with_the_scope() {
    let proxy = Proxy::start().await;
    let span = serde_json::json!({"attributes": [
        {"key": "tenant", "value": {"stringValue": "acme-books"}}, {"key": "own", "value": {"intValue": "1"}},
        {"key": "later", "value": {"intValue": "1"}}]});
    let found = serde_json::json!({"traces": [{"spanSets": [{"spans": [span], "matched": 1}]}]});
    proxy.tempo.answer_to("GET /api/search?", HttpAnswer::json(&found.to_string()));
    let first = listed(&[("resource", &["own"]), ("span", &["own", "http.url"]), ("unheard", &["x"])]);
    proxy.grpc.answer(GrpcAnswer::of([first.clone(), listed(&[("resource", &["own", "pod", "later"])])]));
    let request = TagsRequest {
        scope: String::new(),
        query: r#"{ span.b = "c" || resource.tenant = "globex-lit" }"#.to_owned(),
        start: 1,
        end: 2,
        limit: 9,
        stale: 3,
    };
    let names = listing(&call(&proxy, TAGS_V2, &request.encode_to_vec()).await);
    let called = proxy.grpc.take_one();
    assert_eq!(called.line, format!("POST {TAGS_V2}"));
    let sent = TagsRequest::decode(called.message()).unwrap();
    assert!(sent.query.contains(r#"resource.tenant = "acme-books""#), "{}", sent.query);
    assert!(!sent.query.contains("||") && !sent.query.contains("globex"), "{}", sent.query);
    // Of recent data only, which no cache keeps.
    assert_eq!((sent.start, sent.end, sent.limit, sent.stale), (0, 0, 0, 0));
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len(), "each once: {names:?}");
    // Neither another's column nor what nobody has.
    assert_eq!(sorted, ["resource later", "resource own", "span own"]);
    // The older method is made from the newer one, and reads no query.
    proxy.grpc.answer(GrpcAnswer::of([first]));
    let names = texts(
        &call(&proxy, TAGS, &TagsRequest { scope: "span".to_owned(), ..request }.encode_to_vec()).await,
    );
    let called = proxy.grpc.take_one();
    assert_eq!(called.line, format!("POST {TAGS_V2}"));
    let sent = TagsRequest::decode(called.message()).unwrap();
    assert!(sent.query.contains("acme-books") && !sent.query.contains("span.b"), "{}", sent.query);
    assert_eq!(sent.scope, "span");
    assert_eq!(names, ["own"]);
    let odd = TagsRequest { scope: "unheard".to_owned(), ..TagsRequest::default() };
    assert_eq!(call(&proxy, TAGS_V2, &odd.encode_to_vec()).await.code(), 3);
}

/// ATK-47: values of tags, once a place that a tag can be in, each value once.
#[tokio::test]
async fn atk_47_values_of_tags_are_asked_with_the_scope() {
    let proxy = Proxy::start().await;
    proxy.grpc.answer_in_turn([
        GrpcAnswer::of([listed(&[("string", &["x"])]), listed(&[("int", &["7"]), ("", &["positions"])])]),
        GrpcAnswer::of([listed(&[("string", &["x"]), ("string", &["y"])])]),
    ]);
    let ask = |tag: &str| {
        let query = r#"{ span.b = "c" }"#.to_owned();
        ValuesRequest { tag: tag.to_owned(), query, start: 1, end: 2, limit: 9, stale: 3 }.encode_to_vec()
    };
    // Of a range, what is listed stays where searches for it fail.
    proxy.tempo.answer(HttpAnswer::of("500 Internal Server Error", "text/plain", b""));
    assert_eq!(listing(&call(&proxy, VALUES_V2, &ask(".a")).await), ["int 7", "string x", "string y"]);
    let calls = proxy.grpc.take();
    let sent: Vec<_> = calls.iter().map(|call| ValuesRequest::decode(call.message()).unwrap()).collect();
    assert_eq!(sent.iter().map(|sent| sent.tag.as_str()).collect::<Vec<_>>(), ["resource.a", "span.a"]);
    for (call, sent) in calls.iter().zip(&sent) {
        assert_eq!(call.line, format!("POST {VALUES_V2}"));
        assert!(sent.query.contains(r#"resource.tenant = "acme-books""#), "{}", sent.query);
        assert_eq!((sent.start, sent.end, sent.limit, sent.stale), (1, 2, 9, 3));
    }
    // Of the scope's own label, the caller's values alone.
    proxy.grpc.answer(GrpcAnswer::of([listed(&[("string", &["acme-books"]), ("string", &["globex-lit"])])]));
    assert_eq!(listing(&call(&proxy, VALUES_V2, &ask("resource.tenant")).await), ["string acme-books"]);
    // The older method is made from the newer one, under the names that it has.
    proxy.grpc.take();
    proxy.grpc.answer(GrpcAnswer::of([listed(&[("string", &["7"]), ("int", &["7"]), ("string", &["z"])])]));
    assert_eq!(texts(&call(&proxy, VALUES, &ask("service.name")).await), ["7", "z"]);
    let called = proxy.grpc.take_one();
    assert_eq!(called.line, format!("POST {VALUES_V2}"));
    let sent = ValuesRequest::decode(called.message()).unwrap();
    assert!(sent.query.contains("acme-books") && !sent.query.contains("span.b"), "{}", sent.query);
    assert_eq!(sent.tag, "resource.service.name");
    // What is known, or refused, is not asked.
    assert_eq!(texts(&call(&proxy, VALUES, &ask("status.code")).await), ["unset", "ok", "error"]);
    assert!(listing(&call(&proxy, VALUES_V2, &ask("trace:id")).await).is_empty());
    for tag in ["", "span.a/../b", "span.a%2f", "span.a?q=x", "resource.", "unheard:of"] {
        assert_eq!(call(&proxy, VALUES_V2, &ask(tag)).await.code(), 3, "{tag}");
    }
    assert!(proxy.grpc.take().is_empty());
}

/// What the method's list leaves out is searched for over HTTP, and is one more message.
#[tokio::test]
async fn values_that_are_not_listed_are_one_more_message() {
    let proxy = Proxy::start().await;
    let span = |tenant: &str, value: &str| {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        json!({"spanID": "01", "attributes": [text("tenant", tenant), text("x", value)]})
    };
    let spans = [span("acme-books", "b"), span("globex-lit", "theirs"), span("acme-books", "a")];
    let found = json!({"traces": [{"traceID": "01", "spanSets": [{"spans": spans}]}]});
    proxy.tempo.answer_to("GET /api/search?", HttpAnswer::json(&found.to_string()));
    let within = |tag: &str, start: u32, end: u32| {
        ValuesRequest { tag: tag.to_owned(), start, end, ..ValuesRequest::default() }.encode_to_vec()
    };
    let ask = |tag: &str| within(tag, 0, 0);
    proxy.grpc.answer(GrpcAnswer::of([listed(&[("string", &["a"])]), listed(&[("int", &["7"])])]));
    // ATK-62: of a range, values are those that spans in it show, told once that is known.
    let answered = call(&proxy, VALUES_V2, &within("span.x", 1, 2)).await;
    assert_eq!(
        (answered.messages.len(), listing(&answered)),
        (1, ["int 7", "string a", "string b"].map(str::to_owned).to_vec())
    );
    let searches = proxy.tempo.take();
    assert_eq!(searches.len(), 2, "{searches:?}");
    assert!(searches.iter().all(|search| search.line.ends_with("&start=1&end=2")), "{searches:?}");
    let answered = call(&proxy, VALUES_V2, &ask("span.x")).await;
    assert_eq!(
        (answered.messages.len(), listing(&answered)),
        (3, ["string a", "int 7", "string b"].map(str::to_owned).to_vec())
    );
    let searches = proxy.tempo.take();
    assert_eq!(searches.len(), 2, "{searches:?}");
    for (search, known) in searches.iter().zip(["(span.x =~ \"a\")", "(span.x =~ \"a|b\")"]) {
        let pairs: Vec<_> =
            form_urlencoded::parse(search.line.split_once('?').unwrap().1.as_bytes()).collect();
        assert!(pairs[0].1.contains("acme-books") && pairs[0].1.contains(known), "{pairs:?}");
        assert!(pairs[0].1.contains("!(span.x = 7)"), "{pairs:?}");
        let rest: Vec<_> = pairs[1..].iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(rest, ["limit=100", "spss=20"]);
    }
    proxy.grpc.answer(GrpcAnswer::of([listed(&[("string", &["a"])])]));
    assert_eq!(texts(&call(&proxy, VALUES, &ask("x")).await), ["a", "b"]);
    // One that fails leaves the list as it is.
    proxy.tempo.answer_to("GET /api/search?", HttpAnswer::of("500 Internal Server Error", "text/plain", b""));
    assert_eq!(listing(&call(&proxy, VALUES_V2, &ask("span.x")).await), ["string a"]);
}

/// ATK-49: tags of the older search are translated, each in a filter that has the scope.
#[tokio::test]
async fn atk_49_tags_of_the_older_search_are_translated() {
    let proxy = Proxy::start().await;
    // `Tags: { a: "b c" }`.
    let message = [&[0x0a, 0x08, 0x0a, 0x01, b'a', 0x12, 0x03][..], b"b c"].concat();
    proxy.grpc.answer(GrpcAnswer::of([found(0)]));
    let answered = call(&proxy, SEARCH, &message).await;
    let query = SearchRequest::decode(proxy.grpc.take_one().message()).unwrap().query;
    assert!(query.contains(r#"resource.a = "b c""#) && query.contains("acme-books"), "{query}");
    // It is answered without spans, and of the caller's traces alone.
    let [message] = answered.messages.as_slice() else { panic!("{answered:?}") };
    let traces = Answer::decode(&message[..]).unwrap().traces;
    assert_eq!(traces, [Trace { id: "t1".to_owned(), span_sets: Vec::new() }]);
    let both = [&search("{}")[..], &[0x0a, 0x06, 0x0a, 0x01, b'a', 0x12, 0x01, b'b']].concat();
    assert_eq!(call(&proxy, SEARCH, &both).await.code(), 3);
}

#[tokio::test]
async fn a_caller_who_may_see_everything_gets_it_as_it_is() {
    let proxy = Proxy::start().await;
    proxy.grpc.answer(GrpcAnswer::of([found(0)]));
    let token = proxy.token(json!({ "root": true }));
    let answered = client(&proxy).await.call(&token, SEARCH, &search("{}")).await;
    assert_eq!((answered.code(), &answered.messages), (0, &vec![found(0)]));
    let query = SearchRequest::decode(proxy.grpc.take_one().message()).unwrap().query;
    assert_eq!(unsalted(&query), "{}");
}

/// ATK-4A: what else stands behind Tempo's port is refused by its name, with any token and without one.
#[tokio::test]
async fn atk_4a_other_services_and_methods_are_refused() {
    let proxy = Proxy::start().await;
    for path in [
        "/tempopb.Querier/FindTraceByID",
        "/tempopb.Querier/SearchRecent",
        "/tempopb.Pusher/PushBytesV2",
        "/tempopb.MetricsGenerator/PushSpans",
        "/tempopb.Metrics/QueryRange",
        "/tempopb.BackendScheduler/Next",
        "/tempopb.StreamingQuerier/Other",
        "/tempopb.StreamingQuerier/search",
        "/tempopb.StreamingQuerier/Search/",
        "//tempopb.StreamingQuerier/Search",
        "/tempopb.StreamingQuerier%2FSearch",
        "/x/tempopb.StreamingQuerier/Search",
        "/t/acme-books/tempopb.StreamingQuerier/Search",
        "/frontend.Frontend/Process",
        "/httpgrpc.HTTP/Handle",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        // Endpoints of HTTP are none of gRPC.
        "/api/search",
        "/api/echo",
        "/api/traces/0af7",
    ] {
        let answered = call(&proxy, path, &search("{}")).await;
        assert_eq!((answered.http, answered.code()), (200, 12), "{path}");
        assert!(answered.messages.is_empty(), "{path}");
    }
    assert!(proxy.grpc.take().is_empty() && proxy.tempo.take().is_empty());
}

#[tokio::test]
async fn calls_are_refused_where_all_backends_are_mounted() {
    let proxy = Proxy::start().await;
    let mut client = GrpcClient::connect(proxy.running.addresses[0]).await;
    for path in [SEARCH, &format!("/tempo{SEARCH}"), "/prometheus/api/v1/query"] {
        let answered = client.call(&proxy.acme(), path, &search("{}")).await;
        assert_eq!((answered.http, answered.code()), (200, 12), "{path}");
    }
    assert!(proxy.grpc.take().is_empty() && proxy.tempo.take().is_empty());
}

#[tokio::test]
async fn content_types_open_no_other_way() {
    let proxy = Proxy::start().await;
    let root = proxy.running.addresses[1].to_string();
    let token = format!("Authorization: Bearer {}", proxy.acme());
    // Over HTTP/1.1 nothing is gRPC, and nothing is what says that it is.
    for (method, path) in [("POST", SEARCH), ("GET", "/api/search"), ("GET", "/api/echo")] {
        for content_type in ["application/grpc", "application/grpc+proto", "Application/GRPC; x=y"] {
            let content_type = format!("Content-Type: {content_type}");
            let headers = [token.as_str(), &content_type, "Content-Length: 0"];
            let got = exchange(&root, method, path, &headers, "").await;
            assert_eq!(got.status, 415, "{method} {path} {content_type}");
        }
    }
    let authorization = format!("authorization: Bearer {}", proxy.acme());
    // A call that is not named as one.
    let mut client = client(&proxy).await;
    for content_type in
        ["application/json", "application/x-www-form-urlencoded", "text/plain, application/grpc"]
    {
        let headers = [&*format!("content-type: {content_type}"), &authorization];
        let got = client.send(SEARCH, &headers, framed(&search("{}"))).await;
        assert_eq!(got.status(), 415, "{content_type}");
    }
    // Messages that are not protobuf, or not as they are.
    for content_type in ["application/grpc+json", "application/grpc-web", "application/grpc; charset=utf-8"] {
        let headers = [&*format!("content-type: {content_type}"), &authorization];
        let got = read(client.send(SEARCH, &headers, framed(&search("{}"))).await).await;
        assert_eq!((got.http, got.code()), (200, 12), "{content_type}");
    }
    assert!(proxy.grpc.take().is_empty() && proxy.tempo.take().is_empty());
    assert_eq!(exchange(&root, "GET", "/api/echo", &[&token], "").await.status, 200);
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let proxy = Proxy::start().await;
    let mut client = client(&proxy).await;
    let good = proxy.acme();
    let nobody = proxy.token(json!({ "groups": ["x"] }));
    for (token, message, code) in [
        ("x.y.z", search("{}"), 16),
        (nobody.as_str(), search("{}"), 7),
        (good.as_str(), search("{"), 3),
        (good.as_str(), search("{} | unheard_of()"), 3),
        (good.as_str(), search("{ .a = \"\0\" }"), 3),
        (good.as_str(), vec![0xff], 3),
        (good.as_str(), search(&format!("{{ .a = \"{}\" }}", "x".repeat(140_000))), 8),
    ] {
        let answered = client.call(token, SEARCH, &message).await;
        assert_eq!((answered.http, answered.code()), (200, code), "{:?}", answered.outcome());
        assert!(answered.messages.is_empty() && !answered.outcome().1.is_empty());
    }
    let without = read(client.send(SEARCH, &["content-type: application/grpc"], framed(&[])).await).await;
    assert_eq!(without.code(), 16);
    assert_eq!(client.call(&good, RANGE, &[]).await.code(), 3, "a metrics query needs a query");
    assert_eq!(client.call(&good, &format!("{SEARCH}?q=x"), &[]).await.code(), 3);
    let narrowed = client.call_with(&good, SEARCH, &["x-palisade-tenant: globex-lit"], &search("{}")).await;
    assert_eq!(narrowed.code(), 7);
    // Not compressed, one message, and a whole one.
    let authorization = format!("authorization: Bearer {good}");
    let headers = ["content-type: application/grpc", authorization.as_str()];
    let one = framed(&search("{}"));
    let mut compressed = one.clone();
    compressed[0] = 1;
    let mut flagged = one.clone();
    flagged[0] = 2;
    for (body, code) in [
        (compressed, 12),
        (flagged, 3),
        ([one.clone(), one.clone()].concat(), 3),
        ([one.clone(), vec![0]].concat(), 3),
        (one[..one.len() - 1].to_vec(), 3),
        (vec![0, 0], 3),
        (Vec::new(), 3),
    ] {
        let answered = read(client.send(SEARCH, &headers, body.clone()).await).await;
        assert_eq!((answered.http, answered.code()), (200, code), "{body:?}: {:?}", answered.outcome());
    }
    let encoded = [headers[0], headers[1], "grpc-encoding: gzip"];
    let answered = read(client.send(SEARCH, &encoded, one.clone()).await).await;
    assert_eq!(
        (answered.code(), answered.headers["grpc-accept-encoding"].to_str().unwrap()),
        (12, "identity")
    );
    assert!(proxy.grpc.take().is_empty());
}

#[tokio::test]
async fn a_rate_that_is_over_is_resource_exhausted() {
    let proxy = Proxy::start().await;
    let token = proxy.token(json!({ "limited": "acme-books" }));
    let mut client = client(&proxy).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(client.call(&token, SEARCH, &[]).await.code());
    }
    assert_eq!(codes, [0, 0, 8]);
}

/// ATK-19: what rules allow to be asked holds for messages as for URLs.
#[tokio::test]
async fn limits_of_rules_hold_for_messages() {
    let proxy = Proxy::start().await;
    let token = proxy.token(json!({ "limited": "acme-books" }));
    let over = SearchRequest { limit: 6, ..SearchRequest::default() }.encode_to_vec();
    assert_eq!(client(&proxy).await.call(&token, SEARCH, &over).await.code(), 3);
    assert_eq!(client(&proxy).await.call(&token, SEARCH, &[]).await.code(), 0);
    assert_eq!(SearchRequest::decode(proxy.grpc.take_one().message()).unwrap().limit, 5);
}

/// Six messages of nothing have 42 bytes, and the rule allows 48.
#[tokio::test]
async fn an_answer_is_as_long_as_rules_allow_and_no_longer() {
    let proxy = Proxy::start().await;
    let token = proxy.token(json!({ "brief": "acme-books" }));
    for (messages, code) in [(6, 0), (7, 8), (100, 8)] {
        proxy.grpc.answer(GrpcAnswer::of((0..messages).map(|_| b"")));
        let answered = client(&proxy).await.call(&token, SEARCH, &search("{}")).await;
        assert_eq!((answered.code(), answered.messages.len()), (code, 6), "{messages}");
    }
}

/// A stream is worked on until it ends.
#[tokio::test]
async fn a_stream_holds_its_place_among_those_at_once() {
    let proxy = Proxy::start().await;
    proxy.grpc.answer_in_turn([
        GrpcAnswer::parts([Part::Bytes(framed(&found(0))), Part::Never]),
        GrpcAnswer::of([found(0)]),
    ]);
    let token = proxy.token(json!({ "single": "acme-books" }));
    let mut client = client(&proxy).await;
    let authorization = format!("authorization: Bearer {token}");
    let headers = ["content-type: application/grpc", authorization.as_str()];
    let first = client.send(SEARCH, &headers, framed(&search("{}"))).await;
    assert_eq!(client.call(&token, SEARCH, &search("{}")).await.code(), 8);
    drop(first);
    until("cancelled", || proxy.grpc.cancelled() == 1).await;
    assert_eq!(client.call(&token, SEARCH, &search("{}")).await.code(), 0);
}

#[tokio::test]
async fn a_message_has_as_many_bytes_as_the_cap_and_not_one_more() {
    let proxy = Proxy::start_with("limits: { body_bytes: 100 }").await;
    let sized = |bytes: usize| {
        let unknown = "x".repeat(bytes - 3);
        let message = SearchRequest { unknown, ..SearchRequest::default() }.encode_to_vec();
        assert_eq!(message.len(), bytes);
        message
    };
    assert_eq!(call(&proxy, SEARCH, &sized(100)).await.code(), 0);
    let answered = call(&proxy, SEARCH, &sized(101)).await;
    assert_eq!(answered.outcome(), (8, "bytes of the message over the limit of 100 (`limits.body_bytes`)"));
    assert_eq!(call(&proxy, SEARCH, &sized(120)).await.code(), 8);
    assert_eq!(proxy.grpc.take().len(), 1);
}

#[tokio::test]
async fn an_answers_message_has_as_many_bytes_as_the_cap_and_not_one_more() {
    let size = found(0).len();
    for (cap, code) in [(size, 0), (size - 1, 8)] {
        let proxy = Proxy::start_with(&format!("limits: {{ filtered_answer_bytes: {cap} }}")).await;
        proxy.grpc.answer(GrpcAnswer::of([found(0), found(1)]));
        let answered = call(&proxy, SEARCH, &search("{}")).await;
        assert_eq!((answered.code(), answered.messages.len()), (code, if code == 0 { 2 } else { 0 }));
    }
}

/// A backend's own words are of everyone's data: they do not pass.
#[tokio::test]
async fn each_fault_of_the_backend_has_its_code() {
    let proxy = Proxy::start().await;
    let ended = |status: &'static str| {
        let trailers = vec![("grpc-status", status), ("grpc-message", "secret globex")];
        GrpcAnswer::parts([Part::Trailers(trailers)])
    };
    let of_type = |content_type: &'static str| GrpcAnswer {
        headers: vec![("content-type", content_type)],
        ..GrpcAnswer::of([b"secret"])
    };
    let http = |status| GrpcAnswer { status, ..GrpcAnswer::of::<Vec<u8>>([]) };
    let bytes = |bytes: &[u8]| {
        GrpcAnswer::parts([Part::Bytes(bytes.to_vec()), Part::Trailers(vec![("grpc-status", "0")])])
    };
    for (answer, code) in [
        (GrpcAnswer::refusal("3", "secret globex"), 3),
        (GrpcAnswer::refusal("2", "secret globex"), 3),
        (ended("3"), 3),
        (ended("4"), 4),
        (ended("8"), 8),
        (ended("12"), 12),
        (ended("13"), 14),
        (ended("14"), 14),
        (ended("16"), 14),
        (ended("x"), 14),
        (ended(""), 14),
        (GrpcAnswer::parts([]), 14),
        (GrpcAnswer::parts([Part::Trailers(Vec::new())]), 14),
        (http(503), 14),
        (http(500), 14),
        (http(302), 14),
        (of_type("application/json"), 14),
        (of_type("application/grpc+json"), 14),
        (bytes(&[1, 0, 0, 0, 1, 0]), 14),
        (bytes(&[9, 0, 0, 0, 1, 0]), 14),
        (bytes(&[0, 0, 0, 0, 9, 0]), 14),
        (bytes(&framed(b"\xff\xff")), 14),
    ] {
        proxy.grpc.answer(answer.clone());
        let answered = call(&proxy, SEARCH, &search("{}")).await;
        assert_eq!(answered.code(), code, "{answer:?}: {:?}", answered.outcome());
        assert!(answered.messages.is_empty(), "{answer:?}");
        let text = answered.outcome().1;
        assert!(
            !text.is_empty() && !text.contains("secret") && !text.contains("globex"),
            "{answer:?}: {text}"
        );
    }
}

/// What goes wrong after a message is told at the end, and counted.
#[tokio::test]
async fn a_stream_that_breaks_ends_with_its_reason() {
    let proxy = Proxy::start().await;
    let refused = Part::Trailers(vec![("grpc-status", "8"), ("grpc-message", "secret globex")]);
    proxy.grpc.answer(GrpcAnswer::parts([Part::Bytes(framed(&found(0))), refused]));
    let answered = call(&proxy, SEARCH, &search("{}")).await;
    assert_eq!(answered.outcome(), (8, "the backend refused the request"));
    assert_eq!(answered.messages.len(), 1);
    // Two good ones, and one that cannot be decoded: it and what follows are not passed.
    proxy.grpc.answer(GrpcAnswer::of([found(0), found(1), vec![0xff], found(3)]));
    let answered = call(&proxy, SEARCH, &search("{}")).await;
    assert_eq!((answered.code(), answered.messages.len()), (14, 2));
    let page = proxy.admin("/metrics").await.text();
    for line in [
        r#"palisade_streams_broken_total{backend="tempo",endpoint="grpc_search"} 2"#,
        r#"palisade_requests_total{backend="tempo",endpoint="grpc_search",outcome="broken"} 2"#,
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}

/// Waits until `met`, and fails if it never is.
async fn until(what: &str, met: impl Fn() -> bool) {
    for _ in 0..500 {
        if met() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {what}");
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_at_the_backend() {
    let proxy = Proxy::start().await;
    proxy.grpc.answer(GrpcAnswer::parts([Part::Bytes(framed(&found(0))), Part::Never]));
    let authorization = format!("authorization: Bearer {}", proxy.acme());
    let headers = ["content-type: application/grpc", authorization.as_str()];
    let mut client = client(&proxy).await;
    // After the first message.
    let mut response = client.send(SEARCH, &headers, framed(&search("{}"))).await;
    assert!(response.body_mut().frame().await.unwrap().unwrap().is_data());
    assert_eq!(proxy.grpc.cancelled(), 0);
    drop(response);
    until("cancelled", || proxy.grpc.cancelled() == 1).await;
    // Before there is one.
    proxy.grpc.answer(GrpcAnswer::parts([Part::Never]));
    let sending = client.send(SEARCH, &headers, framed(&search("{}")));
    let _ = tokio::time::timeout(Duration::from_millis(300), sending).await.unwrap_err();
    until("cancelled", || proxy.grpc.cancelled() == 2).await;
    // The connection serves on.
    proxy.grpc.answer(GrpcAnswer::of([found(0)]));
    assert_eq!(client.call(&proxy.acme(), SEARCH, &search("{}")).await.messages.len(), 1);
}

#[tokio::test]
async fn a_callers_deadline_ends_the_call() {
    let proxy = Proxy::start().await;
    let mut client = client(&proxy).await;
    for (parts, messages) in [(vec![Part::Never], 0), (vec![Part::Bytes(framed(&found(0))), Part::Never], 1)]
    {
        proxy.grpc.answer(GrpcAnswer::parts(parts));
        let started = Instant::now();
        let answered = client.call_with(&proxy.acme(), SEARCH, &["grpc-timeout: 300m"], &search("{}")).await;
        assert_eq!((answered.code(), answered.messages.len()), (4, messages));
        assert!((250..5_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    }
    until("cancelled", || proxy.grpc.cancelled() == 2).await;
    proxy.grpc.take();
    for bad in ["", "300", "x", "-1S", "123456789S"] {
        let answered = client.call_with(&proxy.acme(), SEARCH, &[&format!("grpc-timeout: {bad}")], &[]).await;
        assert_eq!(answered.code(), 3, "{bad}");
    }
    assert!(proxy.grpc.take().is_empty());
}

/// A client that reads nothing is sent little, and nothing is read for it.
#[tokio::test]
async fn what_a_client_does_not_take_is_not_read() {
    let proxy = Proxy::start().await;
    let message = framed(&found(0));
    proxy.grpc.answer(GrpcAnswer::parts([Part::Endless(message.clone())]));
    let authorization = format!("authorization: Bearer {}", proxy.acme());
    let headers = ["content-type: application/grpc", authorization.as_str()];
    let response = client(&proxy).await.send(SEARCH, &headers, framed(&search("{}"))).await;
    let mut sent = proxy.grpc.sent();
    // Until nothing more is asked of the backend.
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = proxy.grpc.sent();
        if now == sent {
            break;
        }
        sent = now;
    }
    assert_eq!(proxy.grpc.sent(), sent, "it goes on");
    let bytes = sent * message.len();
    assert!(bytes < 32 * 1024 * 1024, "{bytes} bytes for a client that reads none");
    drop(response);
    until("cancelled", || proxy.grpc.cancelled() == 1).await;
}

#[tokio::test]
async fn a_backend_that_speaks_no_http2_is_unavailable() {
    let proxy = Proxy::start_without_grpc().await;
    assert_eq!(call(&proxy, SEARCH, &search("{}")).await.code(), 14);
}
