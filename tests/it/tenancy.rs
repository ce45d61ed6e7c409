//! Backends with tenants of their own: the headers that tell them, as a second layer.

use super::support::bare::Bare;
use super::support::proxy::Proxy;
use super::support::upstream::{Answer, FakeUpstream, Received};
use serde_json::{Value, json};
use std::path::Path;

/// Requests that reach each kind of backend, by its mount.
const ASKED: [(&str, &str); 9] = [
    ("prometheus", "/prometheus/api/v1/query?query=up"),
    ("prometheus", "/prometheus/api/v1/labels"),
    ("prometheus", "/prometheus/api/v1/rules"),
    ("loki", "/loki/loki/api/v1/query_range?query={a=%22b%22}"),
    ("loki", "/loki/loki/api/v1/series"),
    ("tempo", "/tempo/api/search"),
    ("tempo", "/tempo/api/v2/traces/0af7"),
    ("alertmanager", "/alertmanager/api/v2/alerts"),
    ("alertmanager", "/alertmanager/api/v2/silences"),
];

/// What a caller might try to be told as.
const FORGED: [&str; 6] = [
    "X-Scope-OrgID: globex-lit",
    "x-scope-orgid: globex-lit|acme-books",
    "X-Prom-Label-Policy: globex-lit:%7B%7D",
    "X-Prom-Label-Policy: s-acme-books:%7B__name__%3D~%22.%2B%22%7D",
    "X-Tenant: globex-lit",
    "X-Forwarded-User: globex-lit",
];

fn tenancy(received: &Received) -> Vec<&str> {
    let headers = received.headers.iter().map(String::as_str);
    headers.filter(|line| line.to_ascii_lowercase().starts_with("x-")).collect()
}

async fn backend() -> FakeUpstream {
    let backend = FakeUpstream::start().await;
    backend.answer(Answer::json("{}"));
    backend
}

fn entry(name: &str, backend: &FakeUpstream, rest: &str) -> String {
    let label = if name == "tempo" { "resource.tenant" } else { "tenant" };
    format!("  {name}: {{ url: \"{}\", labels: {{ tenant: {label} }}, {rest} }}\n", backend.url())
}

/// ATK-0F: no copy of such a header reaches any backend, whether it has tenants or not.
#[tokio::test]
async fn atk_0f_a_caller_tells_no_backend_a_tenant() {
    let proxy = Proxy::start().await;
    for (name, target) in ASKED {
        let backend = match name {
            "prometheus" => &proxy.prometheus,
            "loki" => &proxy.loki,
            "tempo" => &proxy.tempo,
            _ => &proxy.alertmanager,
        };
        proxy.send("GET", target, &FORGED, "").await;
        let arrived = backend.take();
        assert!(!arrived.is_empty(), "{target}");
        for received in arrived {
            assert_eq!(tenancy(&received), [""; 0], "{target}");
        }
    }
}

#[tokio::test]
async fn atk_0f_each_call_names_the_callers_own_tenant_and_no_other() {
    let names = ["prometheus", "loki", "tempo", "alertmanager"];
    let backends = [backend().await, backend().await, backend().await, backend().await];
    let org_id = "org_id: { template: \"s-{tenant}\" }";
    let policy = |name| if matches!(name, "prometheus" | "loki") { ", label_policy: true" } else { "" };
    let all: String = names
        .iter()
        .zip(&backends)
        .map(|(name, backend)| entry(name, backend, &format!("{org_id}{}", policy(*name))))
        .collect();
    let proxy = Bare::start(Path::new(""), &all).await;
    let acme = json!({ "tenant": "acme-books" });
    for (name, target) in ASKED {
        let backend = names.iter().zip(&backends).find(|(other, _)| **other == name).unwrap().1;
        proxy.send(&acme, "GET", target, &FORGED).await;
        let arrived = backend.take();
        assert!(!arrived.is_empty(), "{target}");
        let told = "x-prom-label-policy: s-acme-books:%7Btenant%3D%22acme-books%22%7D";
        let expected = match name {
            "prometheus" | "loki" => vec![told, "x-scope-orgid: s-acme-books"],
            _ => vec!["x-scope-orgid: s-acme-books"],
        };
        for received in &arrived {
            assert_eq!(tenancy(received), expected, "{target}");
        }
    }
    let answer = proxy.send(&json!({ "root": true }), "GET", ASKED[0].1, &FORGED).await;
    assert_eq!((answer.status, backends[0].take().len()), (403, 0), "who may see everything has no id");
}

fn both() -> Value {
    json!({ "tenant": ["acme-books", "globex-lit"] })
}

#[tokio::test]
async fn several_tenants_are_asked_at_once_where_the_backend_takes_several() {
    let backend = backend().await;
    let map = "map: { acme-books: \"1001\", globex-lit: \"1002\" }";
    let single = Bare::start(Path::new(""), &entry("loki", &backend, &format!("org_id: {{ {map} }}"))).await;
    let target = "/loki/loki/api/v1/labels";
    let refused = single.send(&both(), "GET", target, &[]).await;
    assert_eq!((refused.status, backend.take().len()), (403, 0));
    assert!(refused.text().contains("X-Palisade-Scope"), "{}", refused.text());
    let narrowed = single.send(&both(), "GET", target, &["X-Palisade-Tenant: globex-lit"]).await;
    assert_eq!((narrowed.status, tenancy(&backend.take_one())), (200, vec!["x-scope-orgid: 1002"]));
    let unknown = single.send(&json!({ "tenant": "initech-press" }), "GET", target, &[]).await;
    assert_eq!((unknown.status, backend.take().len()), (403, 0));
    // Refused before the path is looked at: no answer differs by what is asked.
    let nowhere = single.send(&json!({ "tenant": "initech-press" }), "GET", "/loki/nowhere", &[]).await;
    assert_eq!((nowhere.status, nowhere.text()), (unknown.status, unknown.text()));

    let rest = format!(
        "org_id: {{ {map}, federates: true, unrestricted: [\"1001\", \"1002\"] }}, label_policy: true"
    );
    let several = Bare::start(Path::new(""), &entry("loki", &backend, &rest)).await;
    assert_eq!(several.send(&both(), "GET", target, &[]).await.status, 200);
    assert_eq!(
        tenancy(&backend.take_one()),
        [
            "x-prom-label-policy: 1001:%7Btenant%3D%22acme-books%22%7D,1002:%7Btenant%3D%22globex-lit%22%7D",
            "x-scope-orgid: 1001|1002",
        ]
    );
    assert_eq!(several.send(&json!({ "root": true }), "GET", target, &[]).await.status, 200);
    assert_eq!(tenancy(&backend.take_one()), ["x-scope-orgid: 1001|1002"]);
}
