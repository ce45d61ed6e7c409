//! What a refusal says: its reason, the key of a limit, the choices of a caller.

use super::support::proxy::{Answered, Proxy};
use serde_json::json;

/// The reason in the header.
fn reason(answer: &Answered) -> &str {
    answer.header("x-palisade-reason").unwrap_or("")
}

#[tokio::test]
async fn each_refusal_has_its_reason_in_the_header_and_in_objects() {
    let proxy = Proxy::start().await;
    let nobody = format!("Authorization: Bearer {}", proxy.token(json!({})));
    for (method, target, token, status, expected) in [
        ("GET", "/nowhere", false, 404, "unknown_mount"),
        ("GET", "/prometheus/api/v1/query?query=up", false, 401, "missing"),
        ("GET", "/loki/loki/api/v1/labels", false, 401, "missing"),
        ("GET", "/prometheus/nowhere", true, 404, "unknown_endpoint"),
        ("DELETE", "/prometheus/api/v1/query", true, 405, "method"),
        ("GET", "/prometheus/api/v1/query?query=up%7B", true, 400, "syntax"),
        ("GET", "/prometheus/api/v1/query", true, 400, "parameter"),
        ("GET", "/tempo/api/search?q=%zz", true, 400, "malformed"),
        ("GET", "/alertmanager/api/v2/silence/x", true, 400, "parameter"),
        ("GET", "/alertmanager/nowhere", true, 404, "unknown_endpoint"),
    ] {
        let answer = match token {
            true => proxy.send(method, target, &[], "").await,
            false => proxy.raw(method, target, &[], "").await,
        };
        assert_eq!((answer.status, reason(&answer)), (status, expected), "{target}: {}", answer.text());
        if let Ok(serde_json::Value::Object(body)) = serde_json::from_slice(&answer.body) {
            assert_eq!(body["reason"], expected, "{target}");
        }
    }
    let answer = proxy.raw("GET", "/tempo/api/search", &[&nobody], "").await;
    assert_eq!((answer.status, reason(&answer)), (403, "no_rule"));
    let answer = proxy.get("/prometheus/api/v1/query?query=up").await;
    assert_eq!((answer.status, answer.header("x-palisade-reason")), (200, None));
}

/// What `amtool` reads (`cli/format` of Alertmanager) is a text in JSON, as Alertmanager itself writes it.
#[tokio::test]
async fn alertmanagers_400_is_a_text_in_json() {
    let proxy = Proxy::start().await;
    let answer = proxy.get("/alertmanager/api/v2/alerts?filter=%7B").await;
    assert_eq!((answer.status, reason(&answer)), (400, "parameter"));
    assert!(answer.json().is_string(), "{}", answer.text());
    let answer = proxy.send("DELETE", "/alertmanager/api/v2/alerts", &[], "").await;
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (405, Some(405)));
}

#[tokio::test]
async fn a_text_about_a_limit_names_key_and_value() {
    let limits = "limits: { body_bytes: 64, parameter_pairs: 4, outbound_url_bytes: 120, outbound_body_bytes: 100, query: { bytes: 40, tokens: 12, nesting: 3, selectors: 2 } }";
    let proxy = Proxy::start_with(limits).await;
    let query = |text: String| format!("/prometheus/api/v1/query?query={text}");
    for (target, told) in [
        (query("1&a=1&b=1&c=1&d=1".into()), "parameter pairs over the limit of 4 (`limits.parameter_pairs`)"),
        (query("1".repeat(41)), "over the limit of 40 bytes (`limits.query.bytes`)"),
        (query("1%2B".repeat(13)), "over the limit of 12 tokens (`limits.query.tokens`)"),
        (query("((((1))))".into()), "over the limit of 3 levels of nesting (`limits.query.nesting`)"),
        (query("a%2Bb%2Bc".into()), "over the limit of 2 selectors (`limits.query.selectors`)"),
        (
            format!("/prometheus/api/v1/label/{}/values", "l".repeat(90)),
            "bytes of the scoped request's URL over the limit of 120 (`limits.outbound_url_bytes`)",
        ),
        (
            format!("/prometheus/api/v1/query?query=up&time={}", "1".repeat(90)),
            "bytes of the scoped request's body over the limit of 100 (`limits.outbound_body_bytes`)",
        ),
    ] {
        let answer = proxy.get(&target).await;
        assert_eq!(answer.status, 413, "{target}: {}", answer.text());
        assert!(answer.text().contains(told), "{target}: {}", answer.text());
    }
    let answer = proxy.post("/prometheus/api/v1/query", &format!("query=1&x={}", "y".repeat(60))).await;
    assert!(answer.text().contains("bytes of the body over the limit of 64 (`limits.body_bytes`)"));
    assert!(proxy.reached().is_empty());
}

#[tokio::test]
async fn a_limit_of_a_rule_is_named_as_such() {
    let proxy = Proxy::start().await;
    let as_of = |claims| format!("Authorization: Bearer {}", proxy.token(claims));
    let limited = |tenant: &str| as_of(json!({ "limited": tenant }));
    let asked = async |token: &str, query: &str| {
        proxy.raw("GET", &format!("/prometheus/api/v1/query?query={query}"), &[token], "").await
    };
    let long = asked(&limited("k1"), "123456789").await;
    assert!(
        long.text().contains("over the limit of 8 bytes (`query_bytes` of your policy rules)"),
        "{}",
        long.text()
    );
    let many = asked(&limited("k2"), "a%2Bb%2Bc").await;
    assert!(
        many.text().contains("over the limit of 2 selectors (`selectors` of your policy rules)"),
        "{}",
        many.text()
    );
    let often = limited("k3");
    for _ in 0..2 {
        assert_eq!(asked(&often, "up").await.status, 200);
    }
    let refused = asked(&often, "up").await;
    assert_eq!((refused.status, reason(&refused)), (429, "rate_limited"));
    let told = "over the rate that your policy rules allow, 1 (`requests_per_second`), try again in 1 s";
    assert_eq!(refused.json()["error"], told);
}

#[tokio::test]
async fn a_scope_that_needs_narrowing_lists_the_callers_own_choices() {
    let proxy = Proxy::start().await;
    let claims = json!({ "tenant": "acme-books", "regional": "rare-prints", "region": "eu-west" });
    let both = format!("Authorization: Bearer {}", proxy.token(claims));
    let target = "/prometheus/api/v1/query?query=up";
    let answer = proxy.raw("GET", target, &[&both], "").await;
    assert_eq!((answer.status, reason(&answer)), (403, "narrower_scope"), "{}", answer.text());
    let told = "name a narrower scope with the `X-Palisade-Scope` header, one of: `region=eu-west, tenant=rare-prints`, or `tenant=acme-books`";
    assert_eq!(answer.json()["error"], told);
    // Each of them is taken.
    for choice in ["region=eu-west, tenant=rare-prints", "tenant=acme-books"] {
        let wish = format!("X-Palisade-Scope: {choice}");
        assert_eq!(proxy.raw("GET", target, &[&both, &wish], "").await.status, 200, "{choice}");
    }
}

#[tokio::test]
async fn a_path_at_a_wrong_mount_says_what_to_do() {
    let proxy = Proxy::start().await;
    for (target, told) in [
        ("/loki/api/v1/labels", "a path of this loki begins with `/loki`"),
        ("/prometheus/prometheus/api/v1/query", "the path has `/prometheus` once too often"),
        ("/tempo/api/v1/query", "the path is one of prometheus's, and a tempo is mounted here"),
    ] {
        let answer = proxy.get(target).await;
        assert_eq!((answer.status, reason(&answer)), (404, "unknown_endpoint"), "{target}");
        assert!(answer.text().contains(told), "{}", answer.text());
        // Without a token nothing is told.
        assert_eq!(proxy.raw("GET", target, &[], "").await.status, 401);
    }
    let answer = proxy.raw("GET", "/api/v1/query?query=up", &[], "").await;
    assert_eq!(
        answer.text(),
        "no backend is mounted at this path, it starts with a backend's name: `/NAME/…`"
    );
}
