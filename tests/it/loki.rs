//! Loki: what reaches it, and what callers get.

use super::support::proxy::Proxy;
use super::support::upstream::Answer;
use super::support::{salt_of, unsalted_logql};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

const API: &str = "/loki/loki/api/v1";

fn pairs(encoded: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What is asked below the API, and the form that arrives for it, by GET, by POST, and by POST with the
/// parameters in the URL.
async fn arrives(proxy: &Proxy, path: &str, asked: &[(&str, &str)], expected: &[(&str, &str)]) {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(asked).finish();
    let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let target = format!("{API}/{path}");
    let with_query = format!("{target}?{form}");
    for (method, target, form) in
        [("GET", &with_query, ""), ("POST", &target, &form), ("POST", &with_query, "")]
    {
        let answer = match method {
            "GET" => proxy.get(target).await,
            _ => proxy.post(target, form).await,
        };
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        let received = proxy.loki.take_one();
        assert_eq!(received.line, format!("POST /prefix/loki/api/v1/{path}"));
        let sent = pairs(&received.body);
        let whose: Vec<_> = sent.iter().map(|(name, text)| (name.clone(), unsalted_logql(text))).collect();
        assert_eq!(whose, expected, "{method} {target}");
        for (_, text) in sent.iter().filter(|(_, text)| text.contains("{tenant=")) {
            assert!(salt_of(text).is_some(), "{text}");
        }
    }
}

#[tokio::test]
async fn atk_0b_0h_each_endpoint_asks_with_the_scope_wherever_its_parameters_stand() {
    let proxy = Proxy::start().await;
    let scope = ("query", r#"{tenant="acme-books"}"#);
    let (own, scoped) = (("query", r#"{app="x"}"#), ("query", r#"{tenant="acme-books",app="x"}"#));
    for path in ["label", "labels", "label/app/values", "detected_labels"] {
        arrives(&proxy, path, &[], &[scope]).await;
        arrives(&proxy, path, &[("query", "")], &[scope]).await;
        arrives(&proxy, path, &[own, ("start", "1"), ("evil", "1")], &[scoped, ("start", "1")]).await;
    }
    let piped = (
        ("query", r#"{app="x"} | json | a=`b`"#),
        ("query", r#"{tenant="acme-books",app="x"} | json | a=`b`"#),
    );
    for path in ["detected_fields", "detected_field/level/values", "detected_field/http.a-b:c/values"] {
        let more = [("limit", "7"), ("field_limit", "8"), ("line_limit", "9")];
        arrives(&proxy, path, &[&[piped.0][..], &more].concat(), &[&[piped.1][..], &more].concat()).await;
    }
    arrives(&proxy, "patterns", &[piped.0, ("step", "1m")], &[piped.1, ("step", "1m")]).await;
    let metric = "sum(rate({app=\"x\"}[1m]))";
    let metrics = "sum(rate({tenant=\"acme-books\",app=\"x\"}[1m]))";
    let size = ("targetBytesPerShard", "1MB");
    arrives(&proxy, "index/shards", &[("query", metric), size], &[("query", metrics), size]).await;
    let shards = [("shards", "1_of_4"), ("shards", "3_of_4")];
    for path in ["query", "query_range"] {
        arrives(&proxy, path, &[&[own][..], &shards].concat(), &[&[scoped][..], &shards].concat()).await;
    }
    let series = [("match", r#"{app="x"}"#), shards[0]];
    let expected = [("match[]", r#"{tenant="acme-books",app="x"}"#), shards[0]];
    arrives(&proxy, "series", &series, &expected).await;
}

/// ATK-61: Loki keeps empty results of log queries under a short hash of the text without a key. Who knows only his own
/// salt cannot make a text that has the hash of another's.
#[tokio::test]
async fn atk_61_each_text_has_the_salt_of_its_scope() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |byte: &str| {
        let path = folder.path().join(byte);
        std::fs::write(&path, byte.repeat(32)).unwrap();
        format!("cache_salt_file: {}\n", path.display())
    };
    let query = encoded(r#"{app="x"} |= "error""#);
    let target = format!("{API}/query_range?query={query}");
    let mut salts = Vec::new();
    for more in [secret("a"), secret("b"), secret("a")] {
        let proxy = Proxy::start_with(&more).await;
        for (claims, scope) in [
            (json!({ "tenant": "acme-books" }), r#"tenant="acme-books","#),
            (json!({ "tenant": "globex-lit" }), r#"tenant="globex-lit","#),
            (json!({ "tenant": ["acme-books", "globex-lit"] }), r#"tenant=~"acme-books|globex-lit","#),
            (json!({ "root": true }), ""),
        ] {
            let bearer = format!("Authorization: Bearer {}", proxy.token(claims));
            let mut sent = Vec::new();
            for _ in 0..2 {
                let answer = proxy.raw("GET", &target, &[&bearer], "").await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                sent.push(pairs(&proxy.loki.take_one().body)[0].1.clone());
            }
            assert_eq!(sent[0], sent[1], "the same is asked, so that what is kept is found");
            let salt = sent[0].split_once("__salt__!=\"").unwrap().1.split_once('"').unwrap().0;
            assert_eq!(sent[0], format!(r#"{{{scope}__salt__!="{salt}",app="x"}} |= "error""#));
            salts.push(salt.to_owned());
        }
        // What is only printed again has none.
        let answer = proxy.get(&format!("{API}/format_query?query={query}")).await;
        assert_eq!((answer.status, proxy.loki.take_one().body.contains("salt")), (200, false));
    }
    let (first, rest) = salts.split_at(4);
    assert_eq!(first, &rest[4..], "the same secret makes the same salts");
    let mut all = [first, &rest[..4]].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8);
}

/// Loki groups volumes by the labels that the query names: the scope's must not be among them.
#[tokio::test]
async fn atk_0h_volumes_are_of_the_scope_and_show_the_callers_labels() {
    let proxy = Proxy::start().await;
    let scope = ("query", r#"{tenant="acme-books"}"#);
    let (own, scoped) =
        (("query", r#"{b="x",a=~".+"}"#), ("query", r#"{tenant="acme-books",b="x",a=~".+"}"#));
    for path in ["index/volume", "index/volume_range"] {
        arrives(&proxy, path, &[own], &[scoped, ("targetLabels", "a,b")]).await;
        let labels = ("targetLabels", "service_name,c");
        arrives(&proxy, path, &[own, labels], &[scoped, labels]).await;
        arrives(&proxy, path, &[("query", "{}"), labels], &[scope, labels]).await;
        let by_name = ("aggregateBy", "labels");
        arrives(&proxy, path, &[("query", "{}"), by_name], &[scope, by_name]).await;
        arrives(&proxy, path, &[own, by_name], &[scoped, by_name]).await;
        for refused in ["", "query=", "query={}", "query={%20}", "query={}&targetLabels=a%20b"] {
            let answer = proxy.get(&format!("{API}/{path}?{refused}")).await;
            assert_eq!(answer.status, 400, "{refused}: {}", answer.text());
        }
    }
    assert!(proxy.loki.take().is_empty());
    // Who may see everything asks for just that.
    let root = format!("Authorization: Bearer {}", proxy.token(json!({ "root": true })));
    let answer = proxy.raw("GET", &format!("{API}/index/volume?query={{}}"), &[&root], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(pairs(&proxy.loki.take_one().body), [("query".to_owned(), "{}".to_owned())]);
}

#[tokio::test]
async fn atk_0j_25_27_what_cannot_be_scoped_or_asked_safely_is_not_sent() {
    let proxy = Proxy::start().await;
    for target in [
        "detected_fields",
        "detected_fields?query=",
        "detected_fields?query={app=%22x%22",
        "detected_fields?query=rate({app=%22x%22}[1m])",
        "detected_field/a%20b/values",
        "detected_labels?query={}",
        "detected_labels?query={app=%22x%22}%20|%20json",
        "labels?query={app=%22x%22}%20or",
        "patterns",
        "patterns?query={}",
        "patterns?query=vector(1)",
        "index/shards",
        "index/shards?query=vector(1)",
        "index/shards?query=rate({a=%22b%22}[1m])%2Brate({c=%22d%22}[1m])",
        "query?query={app=%22x%22}&shards=0_of_3",
        "query?query={app=%22x%22}&shards=a",
        "series?shards=",
    ] {
        let answer = proxy.get(&format!("{API}/{target}")).await;
        assert_eq!(answer.status, 400, "{target}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    for target in [
        "detected_field/a%2Fb/values",
        "detected_field/../values",
        "detected_field//values",
        "detected_field",
    ] {
        assert_eq!(proxy.get(&format!("{API}/{target}?query={{a=%22b%22}}")).await.status, 404, "{target}");
    }
    assert!(proxy.loki.take().is_empty());
}

/// ATK-27, with values made up from a seed: a byte that could leave the literal that Loki writes it into is
/// refused, by GET and by POST.
#[tokio::test]
async fn atk_27_patterns_of_a_service_with_such_a_byte_are_not_asked_for() {
    let proxy = Proxy::start().await;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let refused = [r#"\""#, r"\\", r"\n", r"\r", r"\t", r"\x7f", r"\x00", r"\u0085"];
    for _ in 0..64 {
        let mut word = || (0..random(6)).map(|_| char::from(b'a' + random(26) as u8)).collect::<String>();
        let (before, after) = (word(), word());
        let (byte, operator) = (refused[random(refused.len())], ["=", "!="][random(2)]);
        let query = encoded(&format!("{{app=\"web\",service_name{operator}\"{before}{byte}{after}\"}}"));
        let answers = [
            proxy.get(&format!("{API}/patterns?query={query}")).await,
            proxy.post(&format!("{API}/patterns"), &format!("query={query}")).await,
        ];
        for answer in answers {
            assert_eq!(answer.status, 400, "{query}");
            assert!(answer.text().contains("service_name"), "{}", answer.text());
        }
    }
    assert!(proxy.loki.take().is_empty());
}

#[tokio::test]
async fn patterns_are_closed_where_loki_keeps_them_in_streams() {
    for (features, status, enabled) in [("", 200, true), ("pattern-persistence", 404, false)] {
        let proxy =
            Proxy::start_of(&format!("labels: {{ tenant: tenant }}, features: [{features}]"), "").await;
        let answer = proxy.get(&format!("{API}/patterns?query={{a=%22b%22}}")).await;
        assert_eq!((answer.status, proxy.loki.take().len()), (status, usize::from(enabled)));
        let own = r#"{"limits":{"a":1},"pattern_ingester_enabled":true,"version":"3.7.8"}"#;
        proxy.loki.answer(Answer::json(own));
        let limits = proxy.get(&format!("{API}/drilldown-limits")).await.json();
        assert_eq!(limits, json!({ "limits": {}, "pattern_ingester_enabled": enabled, "version": "3.7.8" }));
    }
}

/// ATK-0F: all headers that Loki heeds (`pkg/util/httpreq`, `pkg/querier/queryrange/codec.go`), and what
/// becomes of them.
#[tokio::test]
async fn atk_0f_of_the_headers_that_loki_heeds_one_passes_with_one_value() {
    let proxy = Proxy::start().await;
    let target = format!("{API}/query_range?query={{a=%22b%22}}");
    let plain = |headers: &[String]| {
        let ours =
            ["accept: application/json", "accept-encoding: identity", "content-", "host: ", "user-agent: "];
        headers.iter().filter(|h| !ours.iter().any(|own| h.starts_with(own))).cloned().collect::<Vec<_>>()
    };
    for header in [
        "X-Scope-OrgID: globex-lit",
        "X-Query-Tags: Source=grafana-lokiexplore-app",
        "X-Query-Queue-Time: 1h",
        r#"X-Loki-Query-Limits: {"maxQueryLength":"1h"}"#,
        r#"X-Loki-Query-Limits-Context: {"expr":"{a=\"b\"}"}"#,
        "X-Loki-Actor-Path: a|b",
        "X-Loki-Disable-Pipeline-Wrappers: true",
        "X-Loki-Goldfish-ID: a",
        "X-Loki-Ingestion-Policy: a",
        "X-Loki-Backfill-Shard: a",
        "X-Loki-Response-Encoding-Flags: categorize-labels,x",
        "X-Loki-Response-Encoding-Flags: Categorize-Labels",
        "Cache-Control: no-cache",
        "Accept: application/vnd.google.protobuf",
        "Accept: application/vnd.apache.parquet",
        "X-Grafana-User: bob",
    ] {
        assert_eq!(proxy.send("GET", &target, &[header], "").await.status, 200, "{header}");
        let received = proxy.loki.take_one();
        assert!(plain(&received.headers).is_empty(), "{header}: {:?}", received.headers);
    }
    let flag = "x-loki-response-encoding-flags: categorize-labels";
    assert_eq!(proxy.send("GET", &target, &[flag], "").await.status, 200);
    assert_eq!(plain(&proxy.loki.take_one().headers), [flag]);
}

/// ATK-57: the ruler's rules and alerts are cut, and narrowed by parameters of its own spelling.
#[tokio::test]
async fn atk_57_rules_and_alerts_of_the_ruler_are_the_callers() {
    let proxy = Proxy::start().await;
    let alert = |tenant: &str| {
        json!({
            "labels": { "alertname": "x", "tenant": tenant }, "annotations": {}, "state": "firing",
            "activeAt": "2026-01-01T00:00:00Z", "value": "1e+00",
        })
    };
    let rule = |tenant: &str| {
        json!({
            "name": "r", "query": "sum(rate({a=\"b\"}[1m]))", "labels": { "tenant": tenant }, "health": "ok",
            "lastError": "", "type": "recording", "lastEvaluation": "2026-01-01T00:00:00Z", "evaluationTime": 0.1,
        })
    };
    let group = |rules: Vec<serde_json::Value>, file: &str| {
        json!({
            "name": "g", "file": file, "rules": rules, "interval": 60, "limit": 0,
            "lastEvaluation": "2026-01-01T00:00:00Z", "evaluationTime": 0.1,
        })
    };
    let envelope =
        |data: serde_json::Value| json!({ "status": "success", "data": data, "errorType": "", "error": "" });
    let all = group(vec![rule("acme-books"), rule("globex-lit")], "globex-lit.yaml");
    let body = envelope(json!({ "groups": [all, group(vec![rule("globex-lit")], "x")] })).to_string();
    proxy.loki.answer_to("GET /prefix/prometheus/api/v1/rules", Answer::json(&body));
    let alerts = envelope(json!({ "alerts": [alert("globex-lit"), alert("acme-books")] })).to_string();
    proxy.loki.answer_to("GET /prefix/prometheus/api/v1/alerts", Answer::json(&alerts));
    let target =
        "/loki/prometheus/api/v1/rules?rule_name=r&rule_name=s&rule_group=g&file=f&type=record&match[]=x";
    let answer = proxy.get(target).await;
    assert_eq!(answer.json(), envelope(json!({ "groups": [group(vec![rule("acme-books")], "")] })));
    assert_eq!(
        proxy.loki.take_one().line,
        "GET /prefix/prometheus/api/v1/rules?rule_name=r&rule_name=s&rule_group=g&file=f&type=record"
    );
    let answer = proxy.get("/loki/prometheus/api/v1/alerts").await;
    assert_eq!(answer.json(), envelope(json!({ "alerts": [alert("acme-books")] })));
    proxy.loki.take();
    let answer = proxy.post("/loki/prometheus/api/v1/rules", "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
}

#[tokio::test]
async fn a_scope_of_two_dimensions_holds_both_everywhere() {
    let proxy = Proxy::start_of("labels: { tenant: tenant, region: region }", "").await;
    let token = proxy.token(json!({ "regional": ["acme-books", "a.b"], "region": "eu-west" }));
    let bearer = format!("Authorization: Bearer {token}");
    let scope = r#"region="eu-west",tenant=~"a\\.b|acme-books""#;
    for target in ["label", "detected_labels", "detected_fields", "index/volume", "index/shards", "patterns"]
    {
        let answer = proxy.raw("GET", &format!("{API}/{target}?query={{app=%22x%22}}"), &[&bearer], "").await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let form = pairs(&proxy.loki.take_one().body);
        assert_eq!(unsalted_logql(&form[0].1), format!("{{{scope},app=\"x\"}}"), "{target}");
        assert!(!form.iter().any(|(name, value)| name == "targetLabels" && value != "app"), "{form:?}");
    }
    let alert = |region: &str| json!({ "labels": { "tenant": "a.b", "region": region }, "annotations": {}, "state": "firing", "value": "1" });
    let all = json!({ "status": "success", "data": { "alerts": [alert("eu-west"), alert("us-east")] } });
    proxy.loki.answer_to("GET /prefix/prometheus/api/v1/alerts", Answer::json(&all.to_string()));
    let answer = proxy.raw("GET", "/loki/prometheus/api/v1/alerts", &[&bearer], "").await;
    assert_eq!(answer.json()["data"]["alerts"], json!([alert("eu-west")]));
}

/// Grafana asks these to learn what a Loki has (`public/app/features/alerting/unified/api` of its source): a
/// 404 says that rules cannot be edited, and none at all without a ruler.
#[tokio::test]
async fn what_is_not_there_is_not_found_as_grafana_expects() {
    let proxy = Proxy::start().await;
    for target in [
        "/loki/api/prom/rules/test/test",
        "/loki/api/prom/rules",
        "/loki/loki/api/v1/rules",
        "/loki/loki/api/v1/rules/a/b",
        "/loki/loki/api/v2alpha/tail",
        "/loki/config/tenant/v1/limits",
    ] {
        let answer = proxy.get(target).await;
        assert_eq!((answer.status, answer.text().as_str()), (404, "not found"), "{target}");
    }
    assert!(proxy.loki.take().is_empty());
    let page = Answer::of("404 Not Found", "text/plain; charset=utf-8", b"404 page not found");
    proxy.loki.answer_to("GET /prefix/prometheus/api/v1/rules", page);
    let answer = proxy.get("/loki/prometheus/api/v1/rules").await;
    assert_eq!((answer.status, answer.text().as_str()), (404, "not found"));
}
