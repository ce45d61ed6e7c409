//! What a caller may know of itself.

use crate::support::bare::Bare;
use crate::support::proxy::{Answered, Proxy, exchange};
use crate::support::upstream::FakeUpstream;
use serde_json::{Value, json};
use std::path::Path;

const ME: &str = "/palisade/v1/me";
const READING: [&str; 2] = ["read", "rules"];

async fn me(proxy: &Proxy, claims: Value, target: &str, headers: &[&str]) -> Answered {
    let bearer = format!("Authorization: Bearer {}", proxy.token(claims));
    let all: Vec<&str> = [bearer.as_str()].into_iter().chain(headers.iter().copied()).collect();
    proxy.raw("GET", target, &all, "").await
}

/// The names of the backends that are told.
fn names(told: &Value) -> Vec<&str> {
    told["backends"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_what_it_may_see_where() {
    let proxy = Proxy::start().await;
    let answer = me(&proxy, json!({ "tenant": "acme-books" }), ME, &[]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    let told = answer.json();
    let claims = proxy.issuer.claims("none");
    assert_eq!(told["subject"], claims["sub"]);
    assert_eq!((&told["issuer"], &told["expires"]), (&json!(proxy.issuer.url()), &claims["exp"]));
    let scope = json!({ "tenant": ["acme-books"] });
    assert_eq!(told["scope"], json!([scope]));
    assert_eq!(names(&told), ["alertmanager", "bare", "loki", "prometheus", "tempo"]);
    let access = |kind: &str, classes: Value| {
        let access = json!([{ "scope": scope, "endpoints": classes, "limits": {} }]);
        json!({ "kind": kind, "access": access })
    };
    let alerts = json!(["read", "rules", "silences.read", "silences.write"]);
    for (index, name, expected) in [
        (0, "alertmanager", access("alertmanager", alerts)),
        (1, "bare", access("prometheus", json!(READING))),
        (2, "loki", access("loki", json!(READING))),
        (4, "tempo", access("tempo", json!(["read", "traces"]))),
    ] {
        let mut backend = told["backends"][index].clone();
        assert_eq!(backend.as_object_mut().unwrap().remove("name"), Some(json!(name)));
        assert_eq!(backend, expected, "{name}");
    }
    assert!(proxy.reached().is_empty());
}

/// Two scopes stay two, each with the endpoints that are granted for it, and its limits.
#[tokio::test]
async fn each_conjunction_is_told_with_its_endpoints_and_limits() {
    let proxy = Proxy::start().await;
    let claims =
        json!({ "limited": "globex-lit", "regional": "acme-books", "region": ["eu-west", "us-east"] });
    let told = me(&proxy, claims, ME, &[]).await.json();
    let (literature, books) = (
        json!({ "tenant": ["globex-lit"] }),
        json!({ "region": ["eu-west", "us-east"], "tenant": ["acme-books"] }),
    );
    assert_eq!(told["scope"], json!([books, literature]));
    // Loki has no label for regions, and a rule without limits lifts those of the other.
    let loki = told["backends"].as_array().unwrap().iter().find(|one| one["name"] == "loki").unwrap();
    assert_eq!(loki["access"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&loki["access"][0]["scope"], &loki["access"][0]["endpoints"]),
        (&literature, &json!(["read"]))
    );

    let told = me(&proxy, json!({ "limited": "globex-lit" }), ME, &[]).await.json();
    let limits =
        json!({ "requests_per_second": 1, "burst": 2, "query_bytes": 8, "selectors": 2, "entries": 5 });
    assert_eq!(
        told["backends"][0]["access"],
        json!([{ "scope": literature, "endpoints": ["read"], "limits": limits }])
    );

    let told = me(&proxy, json!({ "places": "acme-books" }), ME, &[]).await.json();
    let tempo = &told["backends"][4];
    assert_eq!(
        (&tempo["name"], &tempo["access"][0]["endpoints"]),
        (&json!("tempo"), &json!(["read", "traces", "traces.redacted"]))
    );
    let told = me(&proxy, json!({ "root": true }), ME, &[]).await.json();
    assert_eq!(told["scope"], json!([{}]), "everything");
    let reading = json!(["read", "rules", "silences.read"]);
    assert_eq!(told["backends"][0]["access"][0]["endpoints"], reading, "break-glass changes nothing");
}

#[tokio::test]
async fn it_is_narrowed_and_counted_as_any_request() {
    let proxy = Proxy::start().await;
    let two = || json!({ "tenant": ["acme-books", "acme-music"] });
    let narrow = json!([{ "tenant": ["acme-music"] }]);
    let in_path = me(&proxy, two(), "/t/acme-music/palisade/v1/me", &[]).await.json();
    assert_eq!(in_path["scope"], narrow);
    let in_header = me(&proxy, two(), ME, &["X-Palisade-Scope: tenant=acme-music"]).await.json();
    assert_eq!(in_header["scope"], narrow);
    for (target, header) in [("/t/globex-lit/palisade/v1/me", ""), (ME, "X-Palisade-Tenant: globex-lit")] {
        let headers: Vec<&str> = [header].into_iter().filter(|h| !h.is_empty()).collect();
        let refused = me(&proxy, two(), target, &headers).await;
        assert_eq!((refused.status, refused.header("x-palisade-reason")), (403, Some("narrowing")));
    }
    // Two at once and one a second: the third is over it, whatever is asked.
    let limited = || json!({ "limited": "acme-books" });
    for expected in [200, 200, 429] {
        assert_eq!(me(&proxy, limited(), ME, &[]).await.status, expected);
    }
    let page = proxy.admin("/metrics").await.text();
    for (outcome, count) in [("static", 4), ("forbidden", 2), ("rate_limited", 1)] {
        let line = format!(
            "palisade_requests_total{{backend=\"palisade\",endpoint=\"me\",outcome=\"{outcome}\"}} {count}\n"
        );
        assert!(page.contains(&line), "{line}{page}");
    }
}

/// The order of refusal is that of all requests, and nothing is told to whom nothing is granted.
#[tokio::test]
async fn it_is_refused_as_any_request() {
    let proxy = Proxy::start().await;
    let bearer = format!("Authorization: Bearer {}", proxy.acme());
    let stranger = format!("Authorization: Bearer {}", proxy.token(json!({})));
    for (method, target, header, status, reason) in [
        ("GET", ME, "Accept: */*", 401, "missing"),
        ("GET", "/palisade/v2/you", "Accept: */*", 401, "missing"),
        ("GET", ME, "Authorization: Bearer x", 401, "malformed_token"),
        ("GET", "/palisade/v2/you", &stranger, 403, "no_rule"),
        ("GET", "/palisade/v1/me/", &bearer, 404, "unknown_endpoint"),
        ("GET", "/palisade", &bearer, 404, "unknown_endpoint"),
        ("POST", ME, &bearer, 405, "method"),
        ("GET", "/palisades/v1/me", &bearer, 404, "unknown_mount"),
    ] {
        let refused = proxy.raw(method, target, &[header], "").await;
        assert_eq!((refused.status, refused.header("x-palisade-reason")), (status, Some(reason)), "{target}");
    }
    assert!(proxy.reached().is_empty());
}

/// A listener with one backend tells of that one, and the token's caller of no others' part.
#[tokio::test]
async fn a_listener_tells_of_what_it_serves_and_holds() {
    let (eu, us) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let held = |name: &str, url: String, tenant: &str| {
        format!(
            "  {name}: {{ mount: prometheus, url: \"{url}\", labels: {{ tenant: tenant }}, holds: {{ tenant: [\"{tenant}\"] }} }}\n"
        )
    };
    let loki = format!(
        "  loki: {{ url: \"{}\", labels: {{ tenant: tenant }}, refuse: [/prometheus/api/v1/rules, /prometheus/api/v1/alerts] }}\n",
        eu.url()
    );
    let backends = [held("eu", eu.url(), "acme-*"), held("us", us.url(), "globex-*"), loki].concat();
    let listen = "listen: [{ address: 127.0.0.1:0 }, { address: 127.0.0.1:0, backend: loki }]";
    let proxy =
        Bare::try_start(Path::new(""), &backends, listen, crate::support::proxy::POLICY).await.unwrap();
    let named = async |listener, tenant: Value| {
        let answer = proxy.send_to(listener, &json!({ "tenant": tenant }), "GET", ME, &[]).await;
        names(&answer.json()).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(named(0, json!("acme-books")).await, ["loki", "prometheus"]);
    assert_eq!(named(0, json!(["acme-books", "globex-lit"])).await, ["loki", "prometheus"]);
    assert_eq!(named(0, json!("initech-press")).await, ["loki"]);
    assert_eq!(named(1, json!("acme-books")).await, ["loki"]);
    let told = proxy.send_to(1, &json!({ "tenant": "acme-books" }), "GET", ME, &[]).await.json();
    assert_eq!(told["backends"][0]["access"][0]["endpoints"], json!(["read"]), "rules are closed");
}

#[tokio::test]
async fn a_service_account_has_no_end() {
    // `job:palisade-test-password`, and its hash.
    let hash = "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$nyZVqCpy3DI3m8YMbjRmzTqkk07dcLzDWZcFBGhcTPs";
    let accounts =
        format!("service_accounts: [{{ name: job, hash: '{hash}', claims: {{ tenant: acme-books }} }}]");
    let proxy = Proxy::start_with(&accounts).await;
    let job = "Authorization: Basic am9iOnBhbGlzYWRlLXRlc3QtcGFzc3dvcmQ=";
    let address = proxy.running.addresses[0].to_string();
    let told = exchange(&address, "GET", ME, &[job], "").await.json();
    assert_eq!((&told["subject"], &told["issuer"]), (&json!("job"), &json!("service-accounts")));
    assert_eq!((&told["expires"], &told["scope"]), (&Value::Null, &json!([{ "tenant": ["acme-books"] }])));
}
