#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::demo::data::{SHOPS, shared_trace_id, trace_id};

/// Five minutes after a minute with a shared trace and failed payments.
const NOW: i64 = 1_700_000_100;
/// The start of those five minutes.
const FROM: i64 = NOW - 300;

fn ask(path: &str, accept: &str, pairs: &[(&str, &str)]) -> Reply {
    let backend = Tempo::new(Bookstore::new(|| NOW));
    let (start, end) = (FROM.to_string(), (NOW - 1).to_string());
    let mut all = vec![("start", start.as_str()), ("end", end.as_str())];
    all.extend(pairs);
    backend.answer(&Request {
        method: "GET".into(),
        path: path.into(),
        pairs: all.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        accept: accept.into(),
        body: Vec::new(),
    })
}

fn body(path: &str, pairs: &[(&str, &str)]) -> Json {
    let reply = ask(path, "application/json", pairs);
    assert_eq!(reply.status, 200, "{pairs:?}: {}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).unwrap()
}

fn search(q: &str) -> Vec<Json> {
    body("/api/search", &[("q", q)])["traces"].as_array().unwrap().clone()
}

/// How many spans of how many traces match.
fn matched(q: &str) -> (usize, u64) {
    let traces = search(q);
    (traces.len(), traces.iter().map(|t| t["spanSets"][0]["matched"].as_u64().unwrap()).sum())
}

fn refused(q: &str) -> String {
    let reply = ask("/api/search", "", &[("q", q)]);
    assert_eq!(reply.status, 400, "{q}");
    String::from_utf8(reply.body).unwrap()
}

#[test]
fn conditions_hold_on_single_spans() {
    assert_eq!(matched("{}"), (11, 33));
    assert_eq!(matched("{ resource.tenant = \"acme-books\" }"), (6, 16));
    assert_eq!(matched("{ resource.tenant =~ \"acme.*\" && status = error }"), (1, 2));
    assert_eq!(
        matched("{ resource.service.name = \"payments-gateway\" || name = \"SELECT book\" }"),
        (10, 20)
    );
    assert_eq!(matched("{ resource.tenant != \"acme-books\" }"), (6, 16), "not the spans without one");
    assert_eq!(matched("{ resource.tenant != nil }"), (11, 32));
    assert_eq!(matched("{ span.tenant = \"acme-books\" && resource.tenant = \"globex-lit\" }"), (1, 1));
    assert_eq!(matched("{ .tenant = \"globex-lit\" }"), (5, 15), "the span's own attribute comes first");
    assert_eq!(matched("{ duration >= 1.5s }"), (2, 2));
    assert_eq!(matched("{ span.http.status_code = 500 }"), (2, 4));
    assert_eq!(matched("{ span.http.status_code = \"500\" }"), (0, 0), "a number is no string");
    assert_eq!(matched("{ span.http.status_code > 200 && kind = server }"), (2, 2));
    assert_eq!(matched("{ !(resource.tenant = \"acme-books\") }"), (6, 17));
    assert_eq!(matched("{ resource.tenant =~ \"acme\" }"), (0, 0), "patterns match whole values");
    assert_eq!(matched("{ rootServiceName = \"edge-gateway\" && resource.tenant != nil }"), (1, 2));
}

#[test]
fn spansets_and_stages() {
    assert_eq!(matched("{ name = \"SELECT book\" } && { status = error }"), (2, 6));
    assert_eq!(matched("{ resource.service.name = \"edge-gateway\" } || { status = error }"), (3, 5));
    assert_eq!(matched("{ status = error } | { kind = client }"), (2, 2));
    assert_eq!(matched("{ status = error } | select(resource.region)"), (2, 4));
}

#[test]
fn a_search_shows_what_the_query_names_and_the_whole_trace_beside() {
    let q = "{ resource.tenant = \"acme-books\" && resource.service.name = \"storefront\" && span.tenant != nil }";
    let traces = search(q);
    let trace = &traces[0];
    assert_eq!(trace["rootServiceName"], "edge-gateway");
    assert_eq!(trace["serviceStats"]["edge-gateway"]["spanCount"], 1);
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let shown = json!([
        attribute("tenant", "acme-books"),
        attribute("service.name", "storefront"),
        attribute("tenant", "acme-books")
    ]);
    assert_eq!(trace["spanSets"][0]["spans"][0]["attributes"], shown);
    assert!(search("{ name = \"SELECT book\" }")[0]["spanSet"]["spans"][0]["name"] == "SELECT book");
}

#[test]
fn what_is_not_evaluated_is_refused() {
    for q in [
        "{} >> {}",
        "{} | count() > 1",
        "{} | by(resource.region)",
        "{ nestedSetParent < 0 }",
        "{ duration + 1s > 2s }",
    ] {
        assert!(refused(q).contains("the demo does not evaluate"), "{q}: {}", refused(q));
    }
    assert!(refused("{ name =~ \"[a&&b]\" }").contains("cannot match"));
    assert!(refused("{").contains("invalid TraceQL query"));
    assert_eq!(ask("/api/search", "", &[("tags", "a=b")]).status, 400);
    let metrics = |q: &str| ask("/api/metrics/query_range", "", &[("q", q)]).status;
    assert_eq!([metrics("{} | rate()"), metrics("{} | quantile_over_time(duration, .9)")], [200, 400]);
}

#[test]
fn limits_cut_traces_and_spans() {
    let traces = body("/api/search", &[("limit", "2"), ("spss", "1")]);
    assert_eq!(traces["traces"].as_array().unwrap().len(), 2);
    let set = &traces["traces"][0]["spanSets"][0];
    assert_eq!((set["spans"].as_array().unwrap().len(), &set["matched"]), (1, &json!(3)));
}

#[test]
fn traces_by_id_in_both_forms_of_both_versions() {
    let id = trace_id_text(shared_trace_id(FROM / 60).unwrap());
    let [v1, v2] = ["/api/traces/", "/api/v2/traces/"].map(|p| format!("{p}{id}"));
    let json = body(&v2, &[]);
    assert_eq!(json["trace"]["resourceSpans"].as_array().unwrap().len(), 3);
    assert_eq!(body(&v1, &[])["batches"], json["trace"]["resourceSpans"]);
    let protobuf = |path: &str| ask(path, "application/protobuf", &[]).body;
    let first = otlp::Trace::decode(protobuf(&v1).as_slice()).unwrap();
    let second = otlp::TraceByIdResponse::decode(protobuf(&v2).as_slice()).unwrap();
    assert_eq!(second.trace, Some(first.clone()));
    assert_eq!(first.resource_spans[1].scope_spans[0].spans[0].parent_span_id.len(), 8);
    let unknown = trace_id_text(trace_id(&SHOPS[0], 1));
    assert_eq!(ask(&format!("/api/traces/{unknown}"), "", &[]).status, 404);
    assert_eq!(ask("/api/traces/xyz", "", &[]).status, 400);
}

#[test]
fn a_tags_hint_is_used_where_it_is_one_filter() {
    let values = |tag: &str, q: &str| {
        let body = body(&format!("/api/v2/search/tag/{tag}/values"), &[("q", q)]);
        let text = |v: &Json| v["value"].as_str().unwrap().to_owned();
        body["tagValues"].as_array().unwrap().iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(values("resource.region", ""), ["eu-west", "us-east"]);
    assert_eq!(values("resource.region", "{ resource.tenant = \"acme-books\" }"), ["us-east"]);
    assert_eq!(values("resource.region", "{ resource.tenant = "), ["eu-west", "us-east"], "as the real one");
    assert_eq!(values("span.http.status_code", "{ resource.tenant = \"acme-books\" }"), ["200", "500"]);
    assert_eq!(ask("/api/v2/search/tag/nestedSetLeft/values", "", &[]).status, 400);
}

#[test]
fn metrics_count_spans_an_interval() {
    let asked = |q: &str| body("/api/metrics/query_range", &[("q", q), ("step", "60s")]);
    let answer = asked("{ resource.tenant = \"acme-books\" } | count_over_time() by (resource.service.name)");
    let counts = |series: &Json| {
        series["samples"].as_array().unwrap().iter().map(|s| s["value"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let series = answer["series"].as_array().unwrap();
    assert_eq!(series.len(), 3);
    assert_eq!(
        series[0]["labels"],
        json!([{"key": "resource.service.name", "value": {"stringValue": "catalog"}}])
    );
    // The first interval is the one that ends where the range begins.
    assert_eq!(counts(&series[0]), [1.0; 6]);
    assert_eq!(series[0]["samples"][0]["timestampMs"], (FROM * 1000).to_string());
    let rate = asked("{ resource.service.name = \"edge-gateway\" } | rate()");
    assert_eq!(rate["series"][0]["labels"], json!([{"key": "__name__", "value": {"stringValue": "rate"}}]));
    assert_eq!(counts(&rate["series"][0])[1], 1.0 / 60.0);
    let absent = asked("{} | count_over_time() by (span.nothing)");
    assert_eq!(absent["series"][0]["labels"][0]["value"], json!({"stringValue": "nil"}));
}
