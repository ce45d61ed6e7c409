//! Prometheus' endpoints beside its queries: what reaches it, and what callers get.

use super::support::proxy::Proxy;
use super::support::upstream::{Answer, Received};
use serde_json::json;

fn pairs(encoded: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
}

/// The parameters that a call arrived with.
fn sent(received: &Received) -> Vec<(String, String)> {
    let query = received.line.split_once('?').map_or("", |(_, query)| query);
    pairs(if received.body.is_empty() { query } else { &received.body })
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

const SCOPE: &str = r#"{tenant="acme-books"}"#;

#[tokio::test]
async fn a_text_that_is_formatted_or_parsed_is_read_and_sent_without_the_scope() {
    let proxy = Proxy::start().await;
    for path in ["/api/v1/format_query", "/api/v1/parse_query"] {
        proxy.prometheus.answer(Answer::json(r#"{"status":"success","data":"up"}"#));
        let asked = format!("/prometheus{path}?query=sum(%0A%20up{{a=%22b%22}})%20%23%20x%0A&time=1");
        let answer = proxy.get(&asked).await;
        assert_eq!((answer.status, answer.json()["data"].clone()), (200, json!("up")));
        let received = proxy.prometheus.take_one();
        assert_eq!(received.line, format!("POST {path}"));
        assert_eq!(sent(&received), [pair("query", r#"sum( up{a="b"})"#)]);
    }
    let answer = proxy.get("/loki/loki/api/v1/format_query?query={a=%22b%22}|=%22x%22").await;
    assert_eq!(answer.status, 200);
    let received = proxy.loki.take_one();
    assert_eq!(received.line, "POST /prefix/loki/api/v1/format_query");
    assert_eq!(sent(&received), [pair("query", r#"{a="b"}|="x""#)]);
}

#[tokio::test]
async fn what_could_not_be_scoped_is_not_formatted_either() {
    let proxy = Proxy::start().await;
    for query in ["", "info(up)", "up{", "{}", "nosuch(up)"] {
        for path in ["/prometheus/api/v1/format_query", "/prometheus/api/v1/parse_query"] {
            let answer = proxy.get(&format!("{path}?query={query}")).await;
            assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        }
    }
    let both = proxy.post("/prometheus/api/v1/format_query?query=up", "query=down").await;
    assert_eq!(both.status, 400);
    assert!(proxy.prometheus.take().is_empty());
}

#[tokio::test]
async fn atk_57_metadata_is_what_the_callers_targets_say_of_the_callers_names() {
    let proxy = Proxy::start().await;
    proxy.prometheus.answer_to(
        "GET /api/v1/label/__name__/values",
        Answer::json(r#"{"status":"success","data":["requests_total","up"]}"#),
    );
    let entry = |metric: &str, kind: &str| json!({ "metric": metric, "type": kind, "help": "x", "unit": "" });
    let said = json!([entry("requests", "counter"), entry("up", "gauge"), entry("secret", "gauge")]);
    let said = json!({ "status": "success", "data": said });
    proxy.prometheus.answer_to("GET /api/v1/targets/metadata", Answer::json(&said.to_string()));
    let answer = proxy.get("/prometheus/api/v1/metadata?metric=up&limit=2&limit_per_metric=1").await;
    let entry = |kind: &str| json!([{ "type": kind, "help": "x", "unit": "" }]);
    let expected = json!({ "requests": entry("counter"), "up": entry("gauge") });
    assert_eq!((answer.status, answer.json()["data"].clone()), (200, expected));
    let received = proxy.prometheus.take();
    assert_eq!(sent(&received[0]), [pair("match[]", SCOPE)]);
    assert!(received[1].line.starts_with("GET /api/v1/targets/metadata?"), "{}", received[1].line);
    assert_eq!(sent(&received[1]), [pair("match_target", SCOPE), pair("metric", "up")]);
    let limited = proxy.get("/prometheus/api/v1/metadata?limit=1").await;
    assert_eq!(limited.json()["data"].as_object().unwrap().len(), 1);
    for bad in ["limit=x", "limit_per_metric=1.5"] {
        assert_eq!(proxy.get(&format!("/prometheus/api/v1/metadata?{bad}")).await.status, 400);
    }
}

#[tokio::test]
async fn atk_0i_names_that_a_backend_does_not_answer_show_nothing() {
    let proxy = Proxy::start().await;
    let none = Answer::json(r#"{"status":"success","data":[]}"#);
    proxy.prometheus.answer_to("GET /api/v1/targets/metadata", none);
    let broken = Answer::json(r#"{"status":"success"}"#);
    proxy.prometheus.answer_to("GET /api/v1/label/__name__/values", broken);
    assert_eq!(proxy.get("/prometheus/api/v1/metadata").await.status, 502);
}

#[tokio::test]
async fn atk_0h_searches_are_scoped_and_pass_line_by_line() {
    let proxy = Proxy::start().await;
    let lines = "{\"results\":[{\"name\":\"up\"}]}\n{\"status\":\"success\",\"has_more\":false}\n";
    let answer = Answer::of("200 OK", "application/x-ndjson; charset=utf-8", lines.as_bytes());
    proxy.prometheus.answer(answer);
    for kind in ["metric_names", "label_names", "label_values"] {
        let path = format!("/api/v1/search/{kind}");
        let given = "search[]=u&search[]=p&include_metadata=true&fuzz_alg=subsequence&limit=5";
        let answer = proxy.get(&format!("/prometheus{path}?{given}")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, lines));
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
        let received = proxy.prometheus.take_one();
        assert_eq!(received.line, format!("POST {path}"));
        assert!(received.headers.contains(&"accept: application/x-ndjson".to_owned()));
        let expected = [
            pair("match[]", SCOPE),
            pair("search[]", "u"),
            pair("search[]", "p"),
            pair("fuzz_alg", "subsequence"),
            pair("limit", "5"),
        ];
        assert_eq!(sent(&received), expected, "{kind}");
    }
    proxy.get("/prometheus/api/v1/search/label_values?label=job&match[]=up&match[]=down").await;
    let expected = [
        pair("label", "job"),
        pair("match[]", &format!("up{SCOPE}")),
        pair("match[]", &format!("down{SCOPE}")),
    ];
    assert_eq!(sent(&proxy.prometheus.take_one()), expected);
}

#[tokio::test]
async fn atk_4e_an_answer_in_another_form_is_not_passed() {
    let proxy = Proxy::start().await;
    for target in ["/api/v1/search/metric_names", "/federate?match[]=up", "/api/v1/format_query?query=up"] {
        proxy.prometheus.answer(Answer::of("200 OK", "text/html", b"x"));
        assert_eq!(proxy.get(&format!("/prometheus{target}")).await.status, 502, "{target}");
    }
}

#[tokio::test]
async fn atk_06_federation_is_scoped_selector_by_selector_and_text() {
    let proxy = Proxy::start().await;
    let kind = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    proxy.prometheus.answer(Answer::of(
        "200 OK",
        kind,
        b"# TYPE up untyped\nup{tenant=\"acme-books\"} 1 1\n",
    ));
    let target = "/prometheus/federate?match[]=up&match[]=%7B%7D&match[]={a=%22b%22}&match[]={a=~%22.*%22}";
    let accept = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8, text/plain";
    for (header, sent_as) in [("X: y", "text/plain"), (accept, "text/plain;escaping=allow-utf-8")] {
        let answer = proxy.send("GET", target, &[header], "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{}", answer.text());
        let received = proxy.prometheus.take_one();
        assert!(received.headers.contains(&format!("accept: {sent_as}")), "{:?}", received.headers);
        let expected = [
            pair("match[]", &format!("up{SCOPE}")),
            pair("match[]", r#"{tenant="acme-books",a="b"}"#),
            pair("match[]", r#"{tenant="acme-books",a=~".*"}"#),
        ];
        assert!(received.line.starts_with("GET /federate?"));
        assert_eq!(sent(&received), expected);
    }
    // Alone, a matcher without name and value finds everything: here, all of the scope. Beside others it is an error
    // where they find something, be it another's.
    let everything = "/prometheus/federate?match[]={%22%22=%22%22}";
    assert_eq!(proxy.get(everything).await.status, 200);
    assert_eq!(sent(&proxy.prometheus.take_one()), [pair("match[]", SCOPE)]);
    let beside = "/prometheus/federate?match[]={a=%22b%22,%22%22=%22%22}";
    assert_eq!(proxy.get(beside).await.status, 400);
    for target in ["/prometheus/federate", "/prometheus/federate?match[]=%7B%20%7D"] {
        let nothing = proxy.get(target).await;
        assert_eq!((nothing.status, nothing.text().as_str()), (200, ""));
    }
    assert!(proxy.prometheus.take().is_empty());
}

#[tokio::test]
async fn what_the_operator_does_not_declare_is_not_there() {
    let proxy = Proxy::start().await;
    for (method, target) in [
        ("GET", "/federate?match[]=up"),
        ("POST", "/federate"),
        ("POST", "/api/v1/read"),
        ("GET", "/api/v1/search/metric_names"),
        ("GET", "/api/v1/search/label_names"),
        ("DELETE", "/api/v1/search/label_values"),
        ("GET", "/api/v1/status/flags"),
        ("GET", "/federate/"),
        ("GET", "/federate/%2e%2e/api/v1/status/config"),
    ] {
        let answer = proxy.send(method, &format!("/bare{target}"), &[], "").await;
        assert_eq!(answer.status, 404, "{method} {target}");
        assert_eq!(answer.json()["error"], "not found");
    }
    assert!(proxy.prometheus.take().is_empty());
}

#[tokio::test]
async fn options_is_answered_here() {
    let proxy = Proxy::start().await;
    for target in ["/api/v1/query", "/federate", "/api/v1/metadata"] {
        let answer = proxy.send("OPTIONS", &format!("/prometheus{target}"), &[], "").await;
        assert_eq!(answer.status, 405, "{target}");
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    assert!(proxy.prometheus.take().is_empty());
}

/// A read request of one query without matchers, as a block of snappy: protobuf bytes `0a 00`.
const READ: &[u8] = b"\x02\x04\x0a\x00";
const READ_HEADERS: [&str; 3] =
    ["Content-Type: application/x-protobuf", "Content-Encoding: snappy", "Content-Length: 4"];

#[tokio::test]
async fn atk_06_a_remote_read_is_written_anew_with_the_scope_and_its_answer_checked() {
    let proxy = Proxy::start().await;
    // One result with one series, `tenant` of `acme-books`, then the same of another.
    for (tenant, status) in [("acme-books", 200), ("acme-bookz", 502)] {
        let label = [b"\x0a\x06tenant\x12\x0a", tenant.as_bytes()].concat();
        let series = [&[0x0a, 20][..], &label].concat();
        let result = [&[0x0a, 22][..], &series].concat();
        let answer = [&[0x0a, 24][..], &result].concat();
        let block = snap::raw::Encoder::new().compress_vec(&answer).unwrap();
        let said = Answer::of("200 OK", "application/x-protobuf", &block).with("Content-Encoding: snappy");
        proxy.prometheus.answer(said);
        let got = proxy.send("POST", "/prometheus/api/v1/read?query=up", &READ_HEADERS, READ).await;
        assert_eq!(got.status, status, "{}", got.text());
        if status == 200 {
            assert_eq!(got.header("content-encoding"), Some("snappy"));
            assert_eq!(got.header("content-type"), Some("application/x-protobuf"));
            assert_eq!(snap::raw::Decoder::new().decompress_vec(&got.body).unwrap(), answer);
        } else {
            assert!(!got.text().contains(tenant));
        }
        let received = proxy.prometheus.take_one();
        assert_eq!(received.line, "POST /api/v1/read");
        for header in [
            "content-type: application/x-protobuf",
            "content-encoding: snappy",
            "x-prometheus-remote-read-version: 0.1.0",
        ] {
            assert!(received.headers.contains(&header.to_owned()), "{:?}", received.headers);
        }
        let sent = snap::raw::Decoder::new().decompress_vec(&received.bytes).unwrap();
        let scope = b"\x1a\x16\x08\x02\x12\x06tenant\x1a\x0aacme-books";
        // A query without matchers finds nothing, whatever is added.
        let nothing = b"\x1a\x08\x12\x06tenant";
        assert_eq!(sent, [&b"\x0a\x22"[..], scope, nothing, b"\x12\x01\x00"].concat());
    }
}

#[tokio::test]
async fn atk_0k_a_remote_read_in_another_form_is_refused() {
    let proxy = Proxy::start().await;
    for (headers, status) in [
        (&["Content-Type: application/x-protobuf", "Content-Length: 4"][..], 415),
        (&["Content-Type: application/json", "Content-Encoding: snappy", "Content-Length: 4"], 415),
        (&["Content-Type: application/x-protobuf", "Content-Encoding: gzip", "Content-Length: 4"], 415),
        (&["Content-Encoding: snappy", "Content-Length: 4"], 415),
    ] {
        let answer = proxy.send("POST", "/prometheus/api/v1/read", headers, READ).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
    let broken = proxy.send("POST", "/prometheus/api/v1/read", &READ_HEADERS, "abcd").await;
    assert_eq!(broken.status, 400);
    assert_eq!(proxy.get("/prometheus/api/v1/read").await.status, 405);
    assert!(proxy.prometheus.take().is_empty());
}

#[tokio::test]
async fn a_remote_read_is_of_so_many_bytes_decompressed_and_no_more() {
    let text = "limits: { body_bytes: 1024 }";
    let proxy = Proxy::start_with(text).await;
    for (bytes, status) in [(1024, 502), (1025, 413)] {
        // An unknown field of zeros, which is dropped: what is answered to the rest is no read's answer.
        let length = u16::try_from(bytes - 3).unwrap();
        let mut plain = vec![0x4a, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
        plain.resize(bytes, 0);
        let block = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        let content_length = format!("Content-Length: {}", block.len());
        let headers = [READ_HEADERS[0], READ_HEADERS[1], &content_length];
        let answer = proxy.send("POST", "/prometheus/api/v1/read", &headers, block).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}
