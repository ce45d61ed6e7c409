//! What is told of a backend's version.

use crate::support::bare::Bare;
use crate::support::upstream::{Answer, FakeUpstream};
use serde_json::{Value, json};
use std::path::Path;

/// For each kind: the path, what a backend answers there, and what is told of it.
fn questions() -> [(&'static str, &'static str, Value, Value); 5] {
    let build = |version: &str, secret: &str| {
        json!({ "version": version, "revision": secret, "branch": secret, "buildUser": secret, "buildDate": secret,
                "goVersion": secret })
    };
    let (own, told) = (build("3.5.1-own", "secret"), build("3.5.1-own", ""));
    let enveloped = |mut build: Value, features: bool| {
        if features {
            build["features"] = json!({ "secret": "secret" });
        }
        json!({ "status": "success", "data": build })
    };
    let config = "route:\n  receiver: default\nreceivers:\n- name: default\n";
    [
        (
            "prometheus",
            "/api/v1/status/buildinfo",
            enveloped(own.clone(), true),
            enveloped(told.clone(), false),
        ),
        ("loki", "/loki/api/v1/status/buildinfo", own.clone(), told.clone()),
        ("tempo", "/api/status/buildinfo", own.clone(), told.clone()),
        (
            "alertmanager",
            "/api/v2/status",
            json!({ "cluster": { "name": "secret", "status": "ready", "peers": [{ "address": "secret" }] },
                    "versionInfo": own, "config": { "original": "secret" }, "uptime": "secret" }),
            json!({ "cluster": { "status": "disabled", "peers": [] }, "versionInfo": told,
                    "config": { "original": config }, "uptime": "1970-01-01T00:00:00.000Z" }),
        ),
        (
            "loki",
            "/loki/api/v1/drilldown-limits",
            json!({ "limits": { "secret": 5 }, "pattern_ingester_enabled": true, "version": "3.5.1-own" }),
            json!({ "limits": {}, "pattern_ingester_enabled": true, "version": "3.5.1-own" }),
        ),
    ]
}

async fn asked(kind: &str, path: &str, more: &str, answer: Answer) -> (u16, Option<Value>, usize) {
    let backend = FakeUpstream::start().await;
    backend.answer(answer);
    let label = if kind == "tempo" { "resource.tenant" } else { "tenant" };
    let text = format!("  {kind}: {{ url: \"{}\", labels: {{ tenant: {label} }}{more} }}\n", backend.url());
    let proxy = Bare::start(Path::new(""), &text).await;
    let answer = proxy.get(&format!("/{kind}{path}")).await;
    let body = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200);
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    let received = backend.take();
    // Loki refuses this question without a tenant, also where it has none.
    let named = received.iter().flat_map(|one| &one.headers).any(|header| header == "x-scope-orgid: fake");
    assert_eq!(named, path.ends_with("limits"), "{received:?}");
    (answer.status, body, received.len())
}

#[tokio::test]
async fn a_backend_tells_its_version_and_nothing_else_of_itself() {
    for (kind, path, own, told) in questions() {
        let asked = asked(kind, path, "", Answer::json(&own.to_string())).await;
        assert_eq!(asked, (200, Some(told), 1), "{kind}{path}");
    }
}

#[tokio::test]
async fn a_version_that_is_configured_is_told() {
    for (version, expected) in [("3.4.2", "3.4.2"), ("v3.4", "3.4.0")] {
        for (kind, path, own, told) in questions() {
            let more = format!(", version: {version}");
            let told: Value = told.to_string().replace("3.5.1-own", expected).parse().unwrap();
            let asked_of = asked(kind, path, &more, Answer::json(&own.to_string())).await;
            assert_eq!(asked_of.1, Some(told.clone()), "{kind}{path}");
            // A backend that says nothing of itself.
            let unknown =
                asked(kind, path, &more, Answer::of("404 Not Found", "text/plain", b"secret")).await;
            let status = if path.ends_with("limits") { 404 } else { 200 };
            assert_eq!((unknown.0, unknown.1), (status, (status == 200).then_some(told)), "{kind}{path}");
        }
    }
}

#[tokio::test]
async fn what_is_no_such_answer_is_not_passed() {
    for (kind, path, ..) in questions() {
        for (answer, status) in [
            (Answer::json(r#"{"secret":1}"#), 502),
            (Answer::json("secret"), 502),
            (Answer::of("404 Not Found", "text/plain", b"secret"), 404),
            (Answer::of("500 Internal Server Error", "text/plain", b"secret"), 502),
        ] {
            assert_eq!(asked(kind, path, "", answer).await.0, status, "{kind}{path}");
        }
    }
}
