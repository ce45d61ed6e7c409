//! What reaches a backend, for what callers send.

use super::support::proxy::{Proxy, exchange};
use super::support::upstream::Answer;
use super::support::{unsalted, unsalted_logql};
use serde_json::json;

/// The decoded parameters of a form or query.
fn pairs(encoded: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn atk_0f_a_query_is_rebuilt_with_the_scope_and_a_fixed_set_of_headers() {
    let proxy = Proxy::start().await;
    let headers = [
        "X-Scope-OrgID: globex-lit",
        "Cookie: a=b",
        "X-Forwarded-For: 10.0.0.1",
        "Range: bytes=0-1",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "baggage: a=b",
        "Accept: application/vnd.google.protobuf",
    ];
    let answer = proxy.send("GET", "/prometheus/api/v1/query?query=up&time=5&evil=1", &headers, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = proxy.prometheus.take_one();
    assert_eq!(received.line, "POST /api/v1/query");
    assert_eq!(pairs(&received.body), [pair("query", r#"up{tenant="acme-books"}"#), pair("time", "5")]);
    let expected = [
        "accept-encoding: identity",
        "accept: application/json",
        &format!("content-length: {}", received.body.len()),
        "content-type: application/x-www-form-urlencoded",
        &format!("host: {}", proxy.prometheus.url().trim_start_matches("http://")),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        &format!("user-agent: palisade/{}", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(received.headers, expected);
}

#[tokio::test]
async fn atk_0h_each_endpoint_asks_its_backend_with_the_scope() {
    let proxy = Proxy::start().await;
    let t = r#"tenant="acme-books""#;
    let scope = format!("{{{t}}}");
    let trace_scope = r#"{ resource.tenant = "acme-books" }"#;
    let search_scope = r#"{ resource.tenant = "acme-books" && resource.tenant != nil }"#;
    // What is asked, what arrives, and with which parameters.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let cases: &[Case<'_>] = &[
        (
            "/prometheus/api/v1/query_range?query=up&start=1&end=2&step=1",
            "POST /api/v1/query_range",
            &[("query", &format!("up{scope}")), ("start", "1"), ("end", "2"), ("step", "1")],
        ),
        ("/prometheus/api/v1/query?query=1%2B1", "POST /api/v1/query", &[("query", "1+1")]),
        (
            "/prometheus/api/v1/series?match[]=up",
            "POST /api/v1/series",
            &[("match[]", &format!("up{scope}"))],
        ),
        ("/prometheus/api/v1/labels", "POST /api/v1/labels", &[("match[]", &scope)]),
        ("/prometheus/api/v1/label/job/values", "GET /api/v1/label/job/values", &[("match[]", &scope)]),
        (
            "/loki/loki/api/v1/query?query=vector(1)%2Bvector(1)",
            "POST /prefix/loki/api/v1/query",
            &[("query", "vector(1)+vector(1)")],
        ),
        (
            "/loki/loki/api/v1/query_range?query={a=%22b%22}",
            "POST /prefix/loki/api/v1/query_range",
            &[("query", &format!(r#"{{{t},a="b"}}"#))],
        ),
        ("/loki/loki/api/v1/labels?query=", "POST /prefix/loki/api/v1/labels", &[("query", &scope)]),
        (
            "/loki/loki/api/v1/label/job/values",
            "POST /prefix/loki/api/v1/label/job/values",
            &[("query", &scope)],
        ),
        (
            "/loki/loki/api/v1/series?match=%7B%20%7D",
            "POST /prefix/loki/api/v1/series",
            &[("match[]", &scope)],
        ),
        (
            "/loki/loki/api/v1/index/stats?query={a=%22b%22}",
            "POST /prefix/loki/api/v1/index/stats",
            &[("query", &format!(r#"{{{t},a="b"}}"#))],
        ),
        ("/tempo/api/search?limit=3", "GET /api/search", &[("q", search_scope), ("limit", "3")]),
        (
            "/tempo/api/metrics/query_range?query={}|rate()",
            "GET /api/metrics/query_range",
            &[("q", &format!("{trace_scope}|rate()"))],
        ),
        (
            "/tempo/api/v2/search/tag/span.http.method/values?q=%7B%7D",
            "GET /api/v2/search/tag/span.http.method/values",
            &[("q", trace_scope)],
        ),
        (
            "/tempo/api/v2/search/tag/span.x/values?q=%7B%20span.a%20=%20%22b%22%20%26%26%20.c%20%7D",
            "GET /api/v2/search/tag/span.x/values",
            &[("q", trace_scope)],
        ),
        (
            "/tempo/api/v2/search/tag/span.x/values?limit=5&q=%7Bspan.a=%22b%22%20%26%26%20span.c=%7D",
            "GET /api/v2/search/tag/span.x/values",
            &[("limit", "5"), ("q", r#"{ resource.tenant = "acme-books" && span.a = "b" }"#)],
        ),
        (
            "/tempo/api/search/tag/service.name/values",
            "GET /api/v2/search/tag/resource.service.name/values",
            &[("q", trace_scope)],
        ),
        // Names of recent data, which no cache of Tempo's keeps.
        (
            "/tempo/api/v2/search/tags?scope=span&start=1&end=2&limit=5",
            "GET /api/v2/search/tags",
            &[("scope", "span"), ("q", trace_scope)],
        ),
        ("/tempo/api/search/tags?start=1", "GET /api/v2/search/tags", &[("q", trace_scope)]),
        (
            "/tempo/api/search?tags=name%3Dx&minDuration=1s&evil=1",
            "GET /api/search",
            &[(
                "q",
                r#"{ resource.tenant = "acme-books" && resource.tenant != nil } | { resource.tenant = "acme-books" && resource.tenant != nil && ( name =~ ".*x.*" ) } && { resource.tenant = "acme-books" && resource.tenant != nil && ( traceDuration >= 1000ms ) }"#,
            )],
        ),
        (
            "/tempo/api/metrics/query?query={}|rate()",
            "GET /api/metrics/query",
            &[("q", &format!("{trace_scope}|rate()"))],
        ),
        ("/tempo/api/traces/0af7?start=1", "GET /api/traces/0af7", &[("start", "1")]),
        ("/tempo/api/v2/traces/0af7", "GET /api/v2/traces/0af7", &[]),
    ];
    // What is asked for after a list of values is another test's matter (`tag_values`).
    let refused = Answer::of("500 Internal Server Error", "text/plain", b"");
    proxy.tempo.answer_to("GET /api/v2/search/tag/", refused);
    for (target, line, expected) in cases {
        let upstream = match target.split('/').nth(1) {
            Some("prometheus") => &proxy.prometheus,
            Some("loki") => &proxy.loki,
            _ => &proxy.tempo,
        };
        let answer = proxy.get(target).await;
        let received = upstream.take();
        assert_eq!(received.len(), 1, "{target}: {} {}", answer.status, answer.text());
        let (path, query) = received[0].line.split_once('?').unwrap_or((&received[0].line, ""));
        assert_eq!(path, *line, "{target}");
        let sent = if received[0].body.is_empty() { query } else { &received[0].body };
        let expected: Vec<_> = expected.iter().map(|(n, v)| pair(n, v)).collect();
        let sent: Vec<_> = pairs(sent)
            .into_iter()
            .map(|(name, value)| match name.as_str() {
                // Names of tags are kept under no hash of the hint.
                "q" if path != "GET /api/v2/search/tags" => (name, unsalted(&value)),
                _ => (name, unsalted_logql(&value)),
            })
            .collect();
        assert_eq!(sent, expected, "{target}");
    }
}

#[tokio::test]
async fn atk_3h_several_tenants_are_an_escaped_alternation_and_dimensions_are_all_said() {
    let proxy = Proxy::start().await;
    let two = proxy.token(json!({ "tenant": ["globex.lit", "acme-books", "acme-books"] }));
    let bearer = format!("Authorization: Bearer {two}");
    proxy.raw("GET", "/prometheus/api/v1/query?query=up", &[&bearer], "").await;
    let query = pairs(&proxy.prometheus.take_one().body)[0].1.clone();
    assert_eq!(query, r#"up{tenant=~"acme-books|globex\\.lit"}"#);
    proxy.raw("GET", "/tempo/api/search", &[&bearer], "").await;
    let line = proxy.tempo.take_one().line;
    let query = unsalted(&pairs(line.split_once('?').unwrap().1)[0].1);
    assert_eq!(query, r#"{ resource.tenant =~ "^(?:acme-books|globex\\.lit)$" && resource.tenant != nil }"#);

    let region = proxy.token(json!({ "regional": "acme-books", "region": "eu-west" }));
    let bearer = format!("Authorization: Bearer {region}");
    proxy.raw("GET", "/prometheus/api/v1/query?query=up", &[&bearer], "").await;
    let query = pairs(&proxy.prometheus.take_one().body)[0].1.clone();
    assert_eq!(query, r#"up{region="eu-west",tenant="acme-books"}"#);
    // Loki cannot say a region: it is closed to this caller, whatever is asked.
    let answer = proxy.raw("GET", "/loki/loki/api/v1/labels", &[&bearer], "").await;
    assert_eq!((answer.status, proxy.loki.take().len()), (403, 0));
}

#[tokio::test]
async fn a_caller_may_narrow_and_never_widen() {
    let proxy = Proxy::start().await;
    let two =
        format!("Authorization: Bearer {}", proxy.token(json!({ "tenant": ["acme-books", "globex-lit"] })));
    let target = "/prometheus/api/v1/query?query=up";
    proxy.raw("GET", target, &[&two, "X-Palisade-Tenant: globex-lit"], "").await;
    assert_eq!(pairs(&proxy.prometheus.take_one().body)[0].1, r#"up{tenant="globex-lit"}"#);
    for narrowing in [
        "X-Palisade-Tenant: initech-press",
        "X-Palisade-Scope: tenant=globex-lit, tenant=initech-press",
        "X-Palisade-Scope: org=a",
        "X-Palisade-Scope: ",
    ] {
        let answer = proxy.raw("GET", target, &[&two, narrowing], "").await;
        assert_eq!((answer.status, proxy.prometheus.take().len()), (403, 0), "{narrowing}");
    }
}

#[tokio::test]
async fn one_backend_can_be_at_the_root_of_its_own_listener() {
    let proxy = Proxy::start().await;
    let address = proxy.running.addresses[1].to_string();
    let bearer = format!("Authorization: Bearer {}", proxy.acme());
    let answer = exchange(&address, "GET", "/api/echo", &[&bearer], "").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "echo\n"));
    let answer = exchange(&address, "GET", "/tempo/api/echo", &[&bearer], "").await;
    assert_eq!(answer.status, 404);
    let answer = exchange(&address, "GET", "/prometheus/api/v1/query?query=up", &[&bearer], "").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn save_and_test_of_each_data_source_works() {
    let proxy = Proxy::start().await;
    let build = r#"{"version":"3.5.0"}"#;
    proxy.loki.answer(Answer::json(build));
    proxy.prometheus.answer(Answer::json(&format!(r#"{{"status":"success","data":{build}}}"#)));
    let buildinfo = proxy.get("/prometheus/api/v1/status/buildinfo").await.json();
    assert_eq!(buildinfo["status"], "success");
    assert!(buildinfo["data"].get("features").is_none());
    assert!(proxy.get("/loki/loki/api/v1/status/buildinfo").await.json()["version"].is_string());
    assert_eq!(proxy.get("/tempo/api/echo").await.text(), "echo\n");
    assert!(proxy.tempo.take().is_empty());
}

/// ATK-01 to ATK-06, ATK-0C, ATK-25, ATK-4A, ATK-4C: no other spelling and no other route reaches a
/// backend.
#[tokio::test]
async fn atk_01_to_06_0c_25_4a_4c_no_other_path_reaches_a_backend() {
    let proxy = Proxy::start().await;
    for target in [
        "/prometheus/api/v1/query/?query=up",
        "/prometheus//api/v1/query?query=up",
        "//prometheus/api/v1/query?query=up",
        "/prometheus/x/../api/v1/query?query=up",
        "/x/../prometheus/api/v1/query?query=up",
        "/prometheus/api/v1/query/%2e%2e/status/config?query=up",
        "/prometheus/api/v1%2Fquery?query=up",
        "/bare/federate?match[]=up",
        "/prometheus/federate/%2e%2e/api/v1/status/config",
        "/bare/api/v1/read",
        "/bare/api/v1/search/metric_names",
        "/prometheus/api/v1/status/config",
        "/prometheus/api/v1/status/tsdb",
        "/prometheus/api/v1/status/flags",
        "/prometheus/-/quit",
        "/prometheus/metrics",
        "/prometheus",
        "/Prometheus/api/v1/query?query=up",
        "/loki/api/prom/query?query=up",
        "/loki/loki/api/v1/push",
        "/loki/api/prom/tail",
        "/loki/loki/api/v1/delete",
        "/loki/config",
        "/tempo/api/v2/traces/diff/",
        "/tempo/api/mcp",
        "/tempo/api/overrides",
        "/tempo/querier/api/search",
        "/tempo/status",
        "/tempo/api/metrics/summary",
        "/tempo/generator/api/metrics/query_range",
        "/tempo/status/config",
        "/tempo/usage_metrics",
        "/tempo/api/searchx",
        "/alertmanager/api/v1/alerts",
        "/alertmanager/api/v2/silence",
        "/alertmanager/api/v2/alerts/",
        "/alertmanager/metrics",
        "/alertmanager/-/reload",
        "/alertmanager/alertmanager/api/v2/status",
        "/healthz",
        "/metrics",
    ] {
        for method in ["GET", "POST"] {
            let answer = proxy.send(method, target, &[], "").await;
            assert_eq!(answer.status, 404, "{method} {target}: {}", answer.text());
        }
    }
    let reached = proxy.reached();
    assert!(reached.is_empty(), "{reached:?}");
}

/// ATK-07 to ATK-0B, ATK-0D, ATK-0E: whatever two readers could read differently is refused, and what
/// is sent has each parameter once.
#[tokio::test]
async fn atk_07_to_0b_0d_0e_parameters_are_read_once() {
    let proxy = Proxy::start().await;
    let evil = "%7B__name__%3D~%22.%2B%22%7D";
    for (target, form) in [
        (format!("/prometheus/api/v1/query?query=&query={evil}"), String::new()),
        ("/prometheus/api/v1/query".to_owned(), format!("query=up&query={evil}")),
        ("/prometheus/api/v1/query?query=up".to_owned(), format!("query={evil}")),
        (format!("/prometheus/api/v1/query?query={evil}"), "query=up".to_owned()),
        ("/loki/loki/api/v1/query?query=%7Ba%3D%22b%22%7D".to_owned(), "query=%7Ba%3D%22c%22%7D".to_owned()),
        ("/prometheus/api/v1/query".to_owned(), "query=up;query=down".to_owned()),
        ("/prometheus/api/v1/query".to_owned(), "query=%zz".to_owned()),
    ] {
        let answer = proxy.post(&target, &form).await;
        assert_eq!(answer.status, 400, "{target} {form}: {}", answer.text());
        assert!(!answer.body.is_empty());
    }
    assert!(proxy.prometheus.take().is_empty() && proxy.loki.take().is_empty());
    // Lists are the union of both places and both spellings, each scoped.
    proxy.post("/loki/loki/api/v1/series?match=%7Ba%3D%22b%22%7D", "match[]=%7Bc%3D%22d%22%7D").await;
    let scoped = [
        pair("match[]", r#"{tenant="acme-books",c="d"}"#),
        pair("match[]", r#"{tenant="acme-books",a="b"}"#),
    ];
    let sent = pairs(&proxy.loki.take_one().body);
    assert_eq!(sent.into_iter().map(|(n, v)| (n, unsalted_logql(&v))).collect::<Vec<_>>(), scoped);
    // Siblings of parameters are not theirs.
    proxy
        .post(
            "/prometheus/api/v1/query?extra_filters=a&extra_filters[]=b",
            "query=up&extra_label=c&match[]=d",
        )
        .await;
    assert_eq!(pairs(&proxy.prometheus.take_one().body), [pair("query", r#"up{tenant="acme-books"}"#)]);
}

/// ATK-0K: methods, content types, encodings and framings that are not listed.
#[tokio::test]
async fn atk_0k_methods_bodies_and_content_types_are_closed_lists() {
    let proxy = Proxy::start().await;
    let target = "/prometheus/api/v1/query?query=up";
    for method in ["PUT", "HEAD", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let answer = proxy.send(method, target, &[], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")), "{method}");
    }
    let answer = proxy.send("POST", "/prometheus/api/v1/label/a/values", &["Content-Length: 0"], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    let form = "Content-Type: application/x-www-form-urlencoded";
    for headers in [
        &["Content-Length: 8", "Content-Type: multipart/form-data; boundary=x"][..],
        &["Content-Length: 8", "Content-Type: application/json"],
        &["Content-Length: 8", "Content-Type: text/plain"],
        &["Content-Length: 8"],
        &["Content-Length: 8", "Content-Type: application/x-www-form-urlencoded; ;="],
        &["Content-Length: 8", "Content-Type: application/x-www-form-urlencoded, text/plain"],
        &["Content-Length: 8", form, form],
        &["Content-Length: 8", form, "Content-Encoding: gzip"],
    ] {
        let answer = proxy.send("POST", "/prometheus/api/v1/query", headers, "query=up").await;
        assert_eq!(answer.status, 415, "{headers:?}");
    }
    let length = "Content-Length: 8";
    for headers in [
        &[length, form][..],
        &[length, "Content-Type: multipart/form-data; boundary=x"],
        &["Transfer-Encoding: chunked"],
    ] {
        let body = if headers[0] == length { "query=up" } else { "8\r\nquery=up\r\n0\r\n\r\n" };
        let answer = proxy.send("GET", target, headers, body).await;
        assert_eq!(answer.status, 400, "{headers:?}: {}", answer.text());
    }
    assert!(proxy.prometheus.take().is_empty());
    let answer = proxy
        .send(
            "POST",
            "/prometheus/api/v1/query",
            &["Content-Type: Application/X-WWW-Form-URLEncoded; charset=UTF-8", length],
            "query=up",
        )
        .await;
    assert_eq!(answer.status, 200);
    // Two framings: the chunks count (RFC 9112, section 6.3), and what is sent has a length of its own.
    proxy.prometheus.take();
    let chunks = "8\r\nquery=up\r\n0\r\n\r\n";
    proxy
        .send("POST", "/prometheus/api/v1/query", &[form, length, "Transfer-Encoding: chunked"], chunks)
        .await;
    assert_eq!(pairs(&proxy.prometheus.take_one().body), [pair("query", r#"up{tenant="acme-books"}"#)]);
}

#[tokio::test]
async fn atk_0j_a_refused_query_is_not_sent_and_shows_where_in_the_callers_own_text() {
    let proxy = Proxy::start().await;
    let answer = proxy.get("/prometheus/api/v1/query?query=1%2Binfo(up)").await;
    assert_eq!(answer.status, 400);
    let error = answer.json();
    assert_eq!((error["status"].as_str(), error["errorType"].as_str()), (Some("error"), Some("bad_data")));
    let text = error["error"].as_str().unwrap();
    assert!(text.contains("info") && text.contains("at byte 2") && !text.contains("acme-books"), "{text}");
    let answer = proxy.get("/loki/loki/api/v1/query?query=%7B%7D").await;
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("text/plain; charset=utf-8")));
    let answer = proxy.get("/prometheus/api/v1/query").await;
    assert_eq!(answer.status, 400);
    assert!(proxy.prometheus.take().is_empty() && proxy.loki.take().is_empty());
}

#[tokio::test]
async fn a_tenant_in_the_path_narrows_and_never_widens() {
    let proxy = Proxy::start().await;
    let both =
        format!("Authorization: Bearer {}", proxy.token(json!({ "tenant": ["acme-books", "globex-lit"] })));
    let asked = async |target: &str| proxy.raw("GET", target, &[&both], "").await.status;
    assert_eq!(asked("/t/globex-lit/prometheus/api/v1/query?query=up").await, 200);
    let received = proxy.prometheus.take_one();
    assert_eq!(pairs(&received.body), [pair("query", r#"up{tenant="globex-lit"}"#)]);
    for (target, status) in [
        ("/t/victim/prometheus/api/v1/query?query=up", 403),
        ("/t//prometheus/api/v1/query?query=up", 403),
        ("/t/acme-books%2c/prometheus/api/v1/query?query=up", 403),
        ("/t/../prometheus/api/v1/query?query=up", 403),
        ("/t/acme-books", 404),
        ("/t/acme-books/", 404),
        ("/t/acme-books/nowhere/api/v1/query?query=up", 404),
        ("/t/acme-books/t/globex-lit/prometheus/api/v1/query?query=up", 404),
        ("/t/acme-books/prometheus/nowhere", 404),
        ("/T/acme-books/prometheus/api/v1/query?query=up", 404),
    ] {
        assert_eq!(asked(target).await, status, "{target}");
    }
    let twice = ["X-Palisade-Tenant: acme-books", &both];
    let answer = proxy.raw("GET", "/t/acme-books/prometheus/api/v1/query?query=up", &twice, "").await;
    assert_eq!(answer.status, 403);
    assert!(proxy.prometheus.take().is_empty());
}
