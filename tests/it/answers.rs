//! What callers get, for what backends answer.

use super::support::proxy::Proxy;
use super::support::upstream::Answer;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::{Read, Write};
use std::time::Duration;

const QUERY: &str = "/prometheus/api/v1/query?query=up";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_answer_passes_with_a_closed_list_of_headers() {
    let proxy = Proxy::start().await;
    let answer = Answer::json(r#"{"status":"success"}"#)
        .with("Set-Cookie: a=b")
        .with("Access-Control-Allow-Origin: *")
        .with("X-Internal: 10.0.0.1")
        .with("Location: http://10.0.0.1/");
    proxy.prometheus.answer(answer);
    let got = proxy.get(QUERY).await;
    assert_eq!((got.status, got.text().as_str()), (200, r#"{"status":"success"}"#));
    let mut names: Vec<_> = got.headers.iter().map(|(n, _)| n.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "connection", "content-length", "content-type", "date", "vary"]);
    assert_eq!(got.header("cache-control"), Some("private, no-store"));
}

#[tokio::test]
async fn a_large_answer_streams_through_and_gzip_passes_to_who_takes_it() {
    let proxy = Proxy::start().await;
    let large = format!("[{}]", "1,".repeat(4_000_000));
    proxy.prometheus.answer(Answer::json(&large));
    let got = proxy.get(QUERY).await;
    assert!(got.status == 200 && got.body == large.as_bytes());
    proxy.prometheus.take();
    let zipped = gzip(r#"{"status":"success"}"#);
    proxy.prometheus.answer(Answer::of("200 OK", "application/json", &zipped).with("Content-Encoding: gzip"));
    let got = proxy.send("GET", QUERY, &["Accept-Encoding: br, gzip"], "").await;
    assert!(proxy.prometheus.take_one().headers.contains(&"accept-encoding: gzip".to_owned()));
    assert_eq!((got.header("content-encoding"), &got.body), (Some("gzip"), &zipped));
}

#[tokio::test]
async fn a_backends_refusal_of_a_query_passes_in_its_own_shape() {
    let proxy = Proxy::start().await;
    let body = r#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
    proxy.prometheus.answer(Answer::of("422 Unprocessable Entity", "application/json", body.as_bytes()));
    let got = proxy.get(QUERY).await;
    assert_eq!((got.status, got.json()), (422, serde_json::from_str(body).unwrap()));
    let zipped = gzip("parse error: too long\n");
    proxy.loki.answer(Answer::of("400 Bad Request", "text/plain", &zipped).with("Content-Encoding: gzip"));
    let got = proxy.send("GET", "/loki/loki/api/v1/labels", &["Accept-Encoding: gzip"], "").await;
    assert_eq!((got.status, got.text().as_str()), (400, "parse error: too long"));
    // Where the answer would have been filtered, the backend's words are not the caller's.
    proxy.tempo.answer(Answer::of("400 Bad Request", "text/plain", b"tenant globex-lit: bad"));
    let got = proxy.get("/tempo/api/search").await;
    assert_eq!((got.status, got.text().as_str()), (400, "the backend refused the request"));
}

#[tokio::test]
async fn what_no_backend_should_answer_is_a_502() {
    let proxy = Proxy::start().await;
    let json = "application/json";
    for (answer, status) in [
        (Answer::of("302 Found", json, b"").with("Location: http://10.0.0.1/"), 502),
        (Answer::of("500 Internal Server Error", json, b"secret"), 502),
        (
            Answer::of("101 Switching Protocols", json, b"").with("Upgrade: h2c").with("Connection: Upgrade"),
            502,
        ),
        (Answer::of("503 Service Unavailable", json, b"secret"), 503),
        (Answer::of("200 OK", "text/html", b"secret"), 502),
        (Answer::of("200 OK", "application/x-protobuf", b"secret"), 502),
        (Answer::of("206 Partial Content", json, b"secret"), 502),
    ] {
        proxy.prometheus.answer(answer.clone());
        let got = proxy.get(QUERY).await;
        assert_eq!(got.status, status, "{answer:?}");
        assert!(!got.text().contains("secret") && got.header("location").is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_slow_or_absent_backend_is_a_504_or_502() {
    let proxy = Proxy::start().await;
    let mut slow = Answer::json("{}");
    slow.delay = Duration::from_secs(3);
    proxy.prometheus.answer(slow);
    let got = proxy.get(QUERY).await;
    assert_eq!(
        (got.status, got.json()["errorType"].as_str().map(str::to_owned)),
        (504, Some("timeout".into()))
    );
}

/// ATK-4E: an answer that must be filtered and cannot be decoded is refused.
#[tokio::test]
async fn atk_4e_an_answer_that_cannot_be_decoded_is_refused() {
    let proxy = Proxy::start_with("limits: { filtered_answer_bytes: 1000 }").await;
    for (answer, status) in [
        (Answer::of("200 OK", "application/vnd.grafana.llm", b"secret"), 502),
        (Answer::of("200 OK", "application/json", b"not json, secret"), 502),
        (Answer::of("200 OK", "application/json", b"{}").with("Content-Encoding: zstd"), 502),
        (Answer::json(&" ".repeat(1001)), 422),
    ] {
        proxy.tempo.answer(answer.clone());
        let got = proxy.get("/tempo/api/search").await;
        assert_eq!(got.status, status, "{answer:?}: {}", got.text());
        assert!(!got.text().contains("secret"), "{answer:?}");
    }
    proxy.tempo.answer(Answer::of("200 OK", "application/protobuf", b"\xff\xff\xff"));
    assert_eq!(proxy.get("/tempo/api/traces/0af7").await.status, 502);
    proxy.tempo.answer(Answer::of("404 Not Found", "text/plain", b"trace not found"));
    assert_eq!(proxy.get("/tempo/api/traces/0af7").await.status, 404);
}

/// Alerts with one of the caller's, and a text of it.
fn alerts(text: &str) -> String {
    let labels = json!({ "tenant": "acme-books" });
    let alert = json!({ "labels": labels, "annotations": { "text": text }, "state": "firing", "value": "1" });
    json!({ "status": "success", "data": { "alerts": [alert] } }).to_string()
}

fn gunzipped(body: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn an_answer_that_is_cut_is_encoded_as_the_caller_takes_it() {
    let proxy = Proxy::start().await;
    let target = "/prometheus/api/v1/alerts";
    let ask = async |text: &str, accept: &str, zipped: bool| {
        let text = alerts(text);
        proxy.prometheus.answer(match zipped {
            true => Answer::of("200 OK", "application/json", &gzip(&text)).with("Content-Encoding: gzip"),
            false => Answer::json(&text),
        });
        proxy.send("GET", target, &[&format!("Accept-Encoding: {accept}")], "").await
    };
    let empty = ask("", "identity", false).await.body.len();
    let text_of = |bytes: usize| "n".repeat(bytes - empty);
    for (bytes, accept, encoded) in [
        (1024, "gzip", false),
        (1025, "gzip", true),
        (1025, "br;q=1, gzip;q=0.5", true),
        (1025, "gzip;q=0", false),
        (1025, "identity", false),
        (300_000, "gzip", true),
    ] {
        for zipped in [false, true] {
            let got = ask(&text_of(bytes), accept, zipped).await;
            let asked = format!("{bytes} {accept} {zipped}");
            assert_eq!(got.status, 200, "{asked}: {}", got.text());
            assert_eq!(got.header("content-encoding"), encoded.then_some("gzip"), "{asked}");
            assert!(got.header("vary").unwrap().contains("Accept-Encoding"), "{asked}");
            // A large one is compressed while it is sent.
            let length = got.body.len().to_string();
            let told = (bytes < 64 * 1024 || !encoded).then_some(&*length);
            assert_eq!(got.header("content-length"), told, "{asked}");
            let text = if encoded { gunzipped(&got.body) } else { got.text() };
            assert_eq!(text.len(), bytes, "{asked}");
            assert!(!encoded || got.body.len() < bytes, "{asked}");
            // The backend is on this machine: compressing would only cost.
            assert!(
                proxy
                    .prometheus
                    .take()
                    .last()
                    .unwrap()
                    .headers
                    .contains(&"accept-encoding: identity".to_owned())
            );
        }
    }
}

/// ATK-4E: the cap counts what a body becomes.
#[tokio::test]
async fn atk_4e_a_compressed_answer_over_the_cap_is_refused() {
    let bytes = alerts("").len();
    let proxy = Proxy::start_with(&format!("limits: {{ filtered_answer_bytes: {} }}", bytes + 100_000)).await;
    for (more, status) in [(100_000, 200), (100_001, 422), (50_000_000, 422)] {
        let zipped = gzip(&alerts(&"n".repeat(more)));
        proxy
            .prometheus
            .answer(Answer::of("200 OK", "application/json", &zipped).with("Content-Encoding: gzip"));
        assert_eq!(proxy.get("/prometheus/api/v1/alerts").await.status, status, "{more}");
    }
}

#[tokio::test]
async fn metrics_count_by_backend_endpoint_and_outcome_and_name_no_tenant_or_query() {
    let proxy = Proxy::start().await;
    proxy.get(QUERY).await;
    proxy.get(QUERY).await;
    proxy.get("/prometheus/api/v1/query?query=info(up)").await;
    proxy.get("/prometheus/nowhere").await;
    proxy.get("/nowhere").await;
    proxy.raw("GET", QUERY, &[], "").await;
    let page = proxy.admin("/metrics").await.text();
    for line in [
        r#"palisade_requests_total{backend="prometheus",endpoint="query",outcome="passed"} 2"#,
        r#"palisade_requests_total{backend="prometheus",endpoint="query",outcome="query"} 1"#,
        r#"palisade_requests_total{backend="prometheus",endpoint="unknown",outcome="unknown_endpoint"} 1"#,
        r#"palisade_requests_total{backend="prometheus",endpoint="query",outcome="token"} 1"#,
        r#"palisade_requests_total{backend="",endpoint="",outcome="unknown_endpoint"} 1"#,
        r#"palisade_token_total{outcome="missing"} 1"#,
        r#"palisade_request_duration_seconds_count{backend="prometheus",endpoint="query"} 4"#,
        r#"palisade_upstream_duration_seconds_count{backend="prometheus",endpoint="query"} 2"#,
        r#"palisade_scoped_query_total{outcome="miss"} 3"#,
        "palisade_scope_disagreement_total 0",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    assert!(page.contains("palisade_token_total{outcome=\"cached\"}"));
    assert!(!page.contains("acme-books") && !page.contains("info("));
    assert_eq!(proxy.admin("/healthz").await.status, 200);
    assert_eq!(proxy.admin("/prometheus/api/v1/query").await.status, 404);
}

/// What is kept of one caller's is not another's, and what is asked arrives the same.
#[tokio::test]
async fn a_query_asked_again_is_not_scoped_again() {
    let proxy = Proxy::start().await;
    let mut arrived = Vec::new();
    for tenant in ["acme-books", "acme-books", "acme-books", "globex-lit", "acme-books"] {
        let token = format!("authorization: Bearer {}", proxy.token(json!({ "tenant": tenant })));
        assert_eq!(proxy.raw("GET", QUERY, &[&token], "").await.status, 200);
        arrived.push(proxy.prometheus.take_one().body);
    }
    assert!(arrived[0].contains("acme-books") && arrived[3].contains("globex-lit"));
    assert!(!arrived[3].contains("acme-books"));
    arrived.remove(3);
    arrived.dedup();
    assert_eq!(arrived.len(), 1);
    let page = proxy.admin("/metrics").await.text();
    for line in [
        r#"palisade_scoped_query_total{outcome="hit"} 2"#,
        r#"palisade_scoped_query_total{outcome="miss"} 3"#,
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}

/// ATK-57: rules and alerts are asked whole, as the caller names them, and cut.
#[tokio::test]
async fn atk_57_rules_and_alerts_are_cut() {
    let proxy = Proxy::start().await;
    let alert = |tenant: &str| serde_json::json!({ "labels": { "tenant": tenant }, "annotations": {}, "state": "firing", "value": "1e+00" });
    let alerts = serde_json::json!({ "status": "success", "data": { "alerts": [alert("acme-books"), alert("globex-lit")] } });
    proxy.prometheus.answer(Answer::json(&alerts.to_string()));
    let got = proxy.get("/prometheus/api/v1/alerts").await;
    assert_eq!((got.status, &got.json()["data"]["alerts"]), (200, &serde_json::json!([alert("acme-books")])));
    proxy.prometheus.take();
    proxy.prometheus.answer(Answer::json(r#"{"status":"success","data":{"groups":[]}}"#));
    let target =
        "/prometheus/api/v1/rules?rule_name[]=a&rule_name[]=b&type=alert&group_limit=2&exclude_alerts=true";
    assert_eq!(proxy.get(target).await.json()["data"]["groups"], serde_json::json!([]));
    let line = proxy.prometheus.take_one().line;
    assert_eq!(line, "GET /api/v1/rules?rule_name%5B%5D=a&rule_name%5B%5D=b&type=alert");
    for query in ["group_next_token=x", "group_limit=0", "group_limit=x", "exclude_alerts=x", "match[]=up%7B"]
    {
        assert_eq!(proxy.get(&format!("/prometheus/api/v1/rules?{query}")).await.status, 400, "{query}");
    }
    proxy.prometheus.answer(Answer::of("400 Bad Request", "application/json", b"globex-lit"));
    assert!(!proxy.get("/prometheus/api/v1/rules").await.text().contains("globex"));
    proxy.prometheus.take();
    for list in ["targets", "targets/metadata", "alertmanagers"] {
        let got = proxy.get(&format!("/prometheus/api/v1/{list}")).await;
        assert_eq!((got.status, got.json()["status"].as_str()), (200, Some("success")), "{list}");
    }
    assert_eq!(proxy.get("/prometheus/api/v1/status/flags").await.status, 404);
    assert!(proxy.prometheus.take().is_empty());
}

/// ATK-4D, ATK-46: where others are in a trace shows to who has a rule for it, and nothing else of them.
#[tokio::test]
async fn atk_4d_46_others_spans_show_as_places_to_who_may_see_them() {
    let proxy = Proxy::start().await;
    let mixed = include_bytes!("../../src/scope/reply/samples/trace_v2_mixed.pb");
    for (claims, status, places) in [
        (json!({ "places": "acme-books" }), 200, true),
        (json!({ "tenant": "acme-books" }), 200, false),
        (json!({ "places": "initech-press" }), 200, false),
        (json!({ "tenant": "acme-books", "places": "initech-press" }), 200, false),
    ] {
        proxy.tempo.answer(Answer::of("200 OK", "application/protobuf", mixed));
        let token = format!("authorization: Bearer {}", proxy.token(claims.clone()));
        let got = proxy.raw("GET", "/tempo/api/v2/traces/0abd", &[&token], "").await;
        assert_eq!(got.status, status, "{claims} {}", got.text());
        assert_eq!(got.text().contains("palisade.redacted"), places, "{claims}");
        assert!(!got.text().contains("globex") && !got.text().contains("canary-untenanted"), "{claims}");
    }
}
