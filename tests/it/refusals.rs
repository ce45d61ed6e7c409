//! Who is refused, in which order, and in which shape.

use super::support::proxy::{Proxy, raw_exchange};
use super::support::upstream::Answer;
use serde_json::json;

const QUERY: &str = "/prometheus/api/v1/query?query=up";

#[tokio::test]
async fn without_a_token_nothing_is_learned() {
    let proxy = Proxy::start().await;
    for target in [QUERY, "/prometheus/no/such/path", "/prometheus/api/v1/query?query=%zz"] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = proxy.raw(method, target, &[], "").await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{target}");
            assert_eq!(answer.json()["status"], "error");
        }
    }
    for target in ["/loki/loki/api/v1/labels", "/tempo/api/echo"] {
        let answer = proxy.raw("GET", target, &[], "").await;
        assert_eq!(answer.status, 401);
        assert!(answer.json()["message"].is_string());
    }
    let answer = proxy.raw("GET", "/alertmanager/api/v2/alerts", &[], "").await;
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (401, Some(401)));
    assert!(proxy.prometheus.take().is_empty());
}

/// ATK-30, ATK-3B over the wire; the whole table of token attacks stands beside the verifier.
#[tokio::test]
async fn atk_30_a_token_must_be_of_the_issuer_for_us_and_alive() {
    let proxy = Proxy::start().await;
    let good = proxy.acme();
    let (head, _) = good.rsplit_once('.').unwrap();
    for token in [
        format!("{head}.AAAA"),
        proxy.token(json!({ "tenant": "acme-books", "aud": "account" })),
        proxy.token(json!({ "tenant": "acme-books", "iss": "https://elsewhere.example" })),
        proxy.token(json!({ "tenant": "acme-books", "exp": 1 })),
        proxy.token(json!({ "tenant": "acme-books", "typ": "ID" })),
    ] {
        let answer = proxy.raw("GET", QUERY, &[&format!("Authorization: Bearer {token}")], "").await;
        let challenge = Some("Bearer error=\"invalid_token\"");
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, challenge), "{}", answer.text());
    }
    let bearer = format!("Authorization: Bearer {good}");
    let answer = proxy.raw("GET", QUERY, &[&bearer, &bearer], "").await;
    assert_eq!(answer.status, 401, "two headers");
    assert!(proxy.prometheus.take().is_empty());
}

#[tokio::test]
async fn atk_15_16_39_3a_a_token_without_a_usable_tenant_gets_nothing() {
    let proxy = Proxy::start().await;
    for claims in [
        json!({}),
        json!({ "tenant": null }),
        json!({ "tenant": [] }),
        json!({ "tenant": 7 }),
        json!({ "tenant": "" }),
        json!({ "tenant": "a|b" }),
        json!({ "tenant": ".*" }),
        json!({ "tenant": ["acme-books", "x\"} or {a=~\".+"] }),
        json!({ "tenant": "acme-books\n" }),
        json!({ "vm_access": {}, "preferred_username": "acme-books", "groups": ["acme-books"] }),
    ] {
        let bearer = format!("Authorization: Bearer {}", proxy.token(claims.clone()));
        let answer = proxy.raw("GET", QUERY, &[&bearer], "").await;
        assert_eq!(answer.status, 403, "{claims}: {}", answer.text());
        assert!(!answer.text().contains("acme"), "{}", answer.text());
    }
    assert!(proxy.prometheus.take().is_empty());
}

#[tokio::test]
async fn the_order_of_refusals_is_mount_token_policy_path_method_type_size_parameters() {
    let proxy = Proxy::start().await;
    let nobody = format!("Authorization: Bearer {}", proxy.token(json!({})));
    assert_eq!(proxy.raw("DELETE", "/nowhere", &[], "").await.status, 404);
    assert_eq!(proxy.raw("DELETE", "/prometheus/nowhere", &[], "").await.status, 401);
    assert_eq!(proxy.raw("DELETE", "/prometheus/nowhere", &[&nobody], "").await.status, 403);
    assert_eq!(proxy.send("DELETE", "/prometheus/nowhere", &[], "").await.status, 404);
    assert_eq!(proxy.send("DELETE", "/prometheus/api/v1/query?query=%zz", &[], "").await.status, 405);
    let big = "Content-Length: 9999999";
    assert_eq!(proxy.send("POST", "/prometheus/api/v1/query?query=%zz", &[big], "").await.status, 415);
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(proxy.send("POST", "/prometheus/api/v1/query?query=%zz", &[big, form], "").await.status, 413);
    assert_eq!(proxy.post("/prometheus/api/v1/query?query=%zz", "").await.status, 400);
}

/// Each cap at N and at N + 1, over the wire. Caps on query texts are tested beside the readers.
#[tokio::test]
async fn caps_hold_at_n_and_refuse_at_n_plus_1() {
    let limits = "limits: { body_bytes: 64, parameter_pairs: 4, token_bytes: 2000, outbound_url_bytes: 120, outbound_body_bytes: 100, query: { bytes: 40 } }";
    let proxy = Proxy::start_with(limits).await;
    let at = |n: usize| format!("query={}", "1".repeat(n));
    assert_eq!(
        proxy.post("/prometheus/api/v1/query", &format!("{}&x={}", at(1), "y".repeat(54))).await.status,
        200
    );
    assert_eq!(
        proxy.post("/prometheus/api/v1/query", &format!("{}&x={}", at(1), "y".repeat(55))).await.status,
        413
    );
    assert_eq!(proxy.get("/prometheus/api/v1/query?query=1&a=1&b=1&c=1").await.status, 200);
    assert_eq!(proxy.get("/prometheus/api/v1/query?query=1&a=1&b=1&c=1&d=1").await.status, 413);
    assert_eq!(proxy.get(&format!("/prometheus/api/v1/query?{}", at(40))).await.status, 200);
    assert_eq!(proxy.get(&format!("/prometheus/api/v1/query?{}", at(41))).await.status, 413);
    proxy.prometheus.take();

    // `/api/v1/label/L/values?match%5B%5D=%7Btenant%3D%22acme-books%22%7D`
    let overhead = "/api/v1/label//values?match%5B%5D=%7Btenant%3D%22acme-books%22%7D".len();
    let label = |n: usize| format!("/prometheus/api/v1/label/{}/values", "l".repeat(n - overhead));
    assert_eq!(proxy.get(&label(120)).await.status, 200);
    assert_eq!(proxy.prometheus.take_one().line.len(), "GET ".len() + 120);
    assert_eq!(proxy.get(&label(121)).await.status, 413);
    // `query=up%7Btenant%3D%22acme-books%22%7D&time=…` is the whole outbound body.
    let overhead = "query=up%7Btenant%3D%22acme-books%22%7D&time=".len();
    let time = |n: usize| format!("/prometheus/api/v1/query?query=up&time={}", "1".repeat(n - overhead));
    assert_eq!(proxy.get(&time(100)).await.status, 200);
    assert_eq!(proxy.prometheus.take_one().body.len(), 100);
    assert_eq!(proxy.get(&time(101)).await.status, 413);
    assert!(proxy.prometheus.take().is_empty());

    let padded = |n: usize| {
        let bare = proxy.token(json!({ "tenant": "acme-books", "pad": "" })).len();
        // Three bytes of claims are four of the token.
        let token = proxy.token(json!({ "tenant": "acme-books", "pad": "x".repeat((n - bare) * 3 / 4) }));
        format!("Authorization: Bearer {token}")
    };
    assert_eq!(proxy.raw("GET", QUERY, &[&padded(1990)], "").await.status, 200);
    assert_eq!(proxy.raw("GET", QUERY, &[&padded(2010)], "").await.status, 401);
}

#[tokio::test]
async fn requests_over_the_concurrency_are_refused_at_once() {
    let proxy = Proxy::start_with("limits: { concurrent_requests: 1 }").await;
    let mut slow = Answer::json("{}");
    slow.delay = std::time::Duration::from_millis(500);
    proxy.prometheus.answer(slow);
    let (first, second) = tokio::join!(proxy.get(QUERY), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        proxy.get(QUERY).await
    });
    assert_eq!((first.status, second.status), (200, 429));
    assert_eq!(second.header("retry-after"), Some("1"));
}

/// Who asks as a tenant of the rule for limited callers.
fn limited(proxy: &Proxy, tenant: &str) -> String {
    format!("Authorization: Bearer {}", proxy.token(json!({ "limited": tenant })))
}

#[tokio::test]
async fn a_rate_is_held_for_all_callers_of_a_tenant_together() {
    let proxy = Proxy::start().await;
    let (alice, bob) = (limited(&proxy, "acme-books"), limited(&proxy, "globex-lit"));
    let other =
        format!("Authorization: Bearer {}", proxy.token(json!({ "limited": "acme-books", "sub": "x" })));
    for bearer in [&alice, &other] {
        assert_eq!(proxy.raw("GET", QUERY, &[bearer], "").await.status, 200);
    }
    for (target, shape) in [(QUERY, "error"), ("/loki/loki/api/v1/labels", "")] {
        let refused = proxy.raw("GET", target, &[&alice], "").await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text());
        assert!(
            refused.text().contains("over the rate that your policy rules allow")
                && refused.text().contains(shape)
        );
    }
    assert_eq!(proxy.raw("GET", QUERY, &[&bob], "").await.status, 200, "another tenant's count is its own");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(proxy.raw("GET", QUERY, &[&other], "").await.status, 200);
}

#[tokio::test]
async fn limits_of_a_rule_hold_at_n_and_refuse_at_n_plus_1() {
    let proxy = Proxy::start().await;
    let asked =
        async |tenant: &str, target: &str| proxy.raw("GET", target, &[&limited(&proxy, tenant)], "").await;
    assert_eq!(asked("a", "/prometheus/api/v1/query?query=12345678").await.status, 200);
    assert_eq!(asked("a", "/prometheus/api/v1/query?query=123456789").await.status, 413);
    assert_eq!(asked("b", "/prometheus/api/v1/query?query=a%2Bb").await.status, 200);
    assert_eq!(asked("b", "/prometheus/api/v1/query?query=a%2Bb%2Bc").await.status, 413);
    assert_eq!(asked("c", "/prometheus/api/v1/labels?limit=5").await.status, 200);
    assert_eq!(asked("c", "/prometheus/api/v1/labels?limit=6").await.status, 400);
    // The rule is for reading: a trace by id is not in it, and an unknown path is unknown.
    let answer = asked("d", "/tempo/api/traces/0af7651916cd43dd8448eb211c80319c").await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "no policy rule grants this kind of endpoint"));
    assert_eq!(asked("d", "/tempo/nowhere").await.status, 404);
}

#[tokio::test]
async fn limits_of_a_tenant_hold_whoever_asks_for_it() {
    let proxy = Proxy::start().await;
    let rare = |claim: &str| {
        format!("Authorization: Bearer {}", proxy.token(json!({ claim: "rare-prints", "region": "eu-west" })))
    };
    let limit = |n: u32| format!("/prometheus/api/v1/labels?limit={n}");
    assert_eq!(proxy.raw("GET", &limit(8), &[&rare("tenant")], "").await.status, 400);
    // Two rules, and one count of the tenant's.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(proxy.raw("GET", &limit(7), &[&rare("tenant")], "").await.status, 200);
    assert_eq!(proxy.raw("GET", &limit(7), &[&rare("regional")], "").await.status, 200);
    let refused = proxy.raw("GET", &limit(7), &[&rare("tenant")], "").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text());
    assert_eq!(proxy.get(&limit(8)).await.status, 200, "another tenant is not limited");
}

#[tokio::test]
async fn an_answer_is_held_to_its_limit_at_n_and_refused_or_broken_off_at_n_plus_1() {
    let proxy = Proxy::start().await;
    let bearer = format!("Authorization: Bearer {}", proxy.token(json!({ "brief": "acme-books" })));
    let asked = [bearer.as_str(), "Accept-Encoding: gzip"];
    let of = |n: usize| format!("\"{}\"", "x".repeat(n - 2));
    for (bytes, status) in [(48, 200), (49, 413)] {
        proxy.prometheus.answer(Answer::json(&of(bytes)));
        let answer = proxy.raw("GET", QUERY, &asked, "").await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let received = proxy.prometheus.take_one();
        assert!(received.headers.contains(&"accept-encoding: identity".to_owned()), "{received:?}");
        if status == 413 {
            let told = "bytes of the answer over the limit of 48 (`answer_bytes` of your policy rules)";
            assert_eq!(answer.json()["error"], told);
        }
    }
    // An answer whose length is not told before it begins.
    for (bytes, ends) in [(48, true), (49, false)] {
        proxy.prometheus.answer(Answer::json(&of(bytes)).in_chunks());
        let address = proxy.running.addresses[0].to_string();
        let answer = raw_exchange(&address, "GET", QUERY, &asked).await;
        // What was written before it breaks off may be there, or not.
        assert!(answer.starts_with("HTTP/1.1 200 ") || !ends, "{answer}");
        assert_eq!(answer.ends_with("\r\n0\r\n\r\n"), ends, "{answer}");
        assert!(!answer.contains(&of(49)), "{answer}");
    }
    // What is cut is held after the cut: others' data is not counted.
    for (owner, status) in [("victim", 200), ("acme-books", 413)] {
        let alert = json!({ "labels": { "tenant": owner, "alertname": "a" }, "annotations": {}, "state": "firing",
            "activeAt": "2026-11-25T00:00:00Z", "value": "1e+00" });
        let alerts = json!({ "status": "success", "data": { "alerts": [alert] } });
        proxy.prometheus.answer(Answer::json(&alerts.to_string()));
        let answer = proxy.raw("GET", "/prometheus/api/v1/alerts", &[&bearer], "").await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn requests_at_once_are_held_to_the_rule() {
    let proxy = Proxy::start().await;
    let mut slow = Answer::json("{}");
    slow.delay = std::time::Duration::from_millis(500);
    proxy.prometheus.answer(slow);
    let bearer = format!("Authorization: Bearer {}", proxy.token(json!({ "single": "acme-books" })));
    let asked = [bearer.as_str()];
    let (first, second) = tokio::join!(proxy.raw("GET", QUERY, &asked, ""), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        proxy.raw("GET", QUERY, &asked, "").await
    });
    assert_eq!((first.status, second.status), (200, 429));
    assert_eq!(proxy.raw("GET", QUERY, &[&bearer], "").await.status, 200);
}

#[tokio::test]
async fn who_may_see_everything_is_asked_no_scope_and_cut_no_answer() {
    let proxy = Proxy::start().await;
    let root = format!("Authorization: Bearer {}", proxy.token(json!({ "root": true })));
    assert_eq!(proxy.raw("GET", QUERY, &[&root], "").await.status, 200);
    assert_eq!(proxy.prometheus.take_one().body, "query=up");
    let found = r#"{"traces":[{"traceID":"1","rootServiceName":"victim"}]}"#;
    proxy.tempo.answer(Answer::json(found));
    let answer = proxy.raw("GET", "/tempo/api/search", &[&root], "").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, found));
    assert_eq!(proxy.tempo.take_one().line, "GET /api/search");
    // The very same answer, for a tenant.
    let answer = proxy.get("/tempo/api/search").await;
    assert!(answer.status == 200 && !answer.text().contains("victim"), "{}", answer.text());
}

#[tokio::test]
async fn each_request_is_a_line_of_the_audit_log_without_its_token_and_query() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let proxy = Proxy::start_with(&format!("audit: {{ file: {path:?} }}")).await;
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = proxy.send("GET", "/prometheus/api/v1/query?query=secret_metric", &[trace], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(proxy.get("/loki/nowhere").await.status, 404);
    assert_eq!(proxy.raw("GET", QUERY, &[], "").await.status, 401);
    let issuer = proxy.issuer.url();
    proxy.running.stop().await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret") && !text.contains("eyJ"), "{text}");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{text}");
    let passed = &lines[0];
    for (name, expected) in [
        ("issuer", json!(issuer)),
        ("tenants", json!(["acme-books"])),
        ("scope", json!("tenant=acme-books")),
        ("rules", json!(["tenants see their own data"])),
        ("unrestricted", json!(false)),
        ("backend", json!("prometheus")),
        ("endpoint", json!("query")),
        ("method", json!("GET")),
        ("path", json!("/prometheus/api/v1/query")),
        ("complete", json!(true)),
        ("outcome", json!("passed")),
        ("status", json!(200)),
        ("refused", json!(null)),
        ("bytes", json!(answer.body.len())),
        ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
    ] {
        assert_eq!(passed[name], expected, "{name}");
    }
    assert!(
        passed["asked_sha256"].as_str().unwrap().len() == 64
            && passed["asked_sha256"] != passed["sent_sha256"]
    );
    assert!(passed["time"].as_f64().unwrap() > 1e9 && passed["duration"].as_f64().unwrap() > 0.0);
    assert_eq!((&lines[1]["refused"], &lines[1]["backend"]), (&json!("unknown_endpoint"), &json!("loki")));
    assert_eq!((&lines[2]["refused"], &lines[2]["subject"]), (&json!("missing"), &json!(null)));
}
