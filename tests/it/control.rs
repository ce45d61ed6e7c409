//! What an operator may ask of a running server, and who is no operator.

use crate::support::issuer::FakeIssuer;
use crate::support::proxy::{Answered, Proxy, exchange};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const JSON: &str = "Content-Type: application/json";
const TOKEN: &str = "an-admin-token-of-more-than-32-bytes";

/// A proxy with these keys beside `admin.address`.
async fn proxy(admin: &str) -> Proxy {
    Proxy::start_with(&format!("admin: {{ address: 127.0.0.1:0, {admin} }}")).await
}

/// A request to the control, by the server's address as a client calls it.
async fn asked(proxy: &Proxy, method: &str, path: &str, headers: &[&str], body: &str) -> Answered {
    let address = proxy.running.control.unwrap_or(proxy.running.admin).to_string();
    let (host, length) = (format!("Host: {address}"), format!("Content-Length: {}", body.len()));
    let mut all = vec![length.as_str()];
    if !headers.iter().any(|header| header.starts_with("Host: ")) {
        all.push(&host);
    }
    all.extend(headers);
    exchange(&address, method, path, &all, body).await
}

async fn explained(proxy: &Proxy, question: Value) -> Answered {
    asked(proxy, "POST", "/-/explain", &[JSON], &question.to_string()).await
}

fn question(caller: Value) -> Value {
    let mut question = json!({ "backend": "prometheus", "request": "GET /api/v1/query?query=up" });
    question.as_object_mut().unwrap().extend(caller.as_object().unwrap().clone());
    question
}

#[tokio::test]
async fn without_a_place_or_a_token_there_is_no_control() {
    let proxy = Proxy::start().await;
    for (method, path) in
        [("GET", "/-/explain"), ("POST", "/-/explain"), ("POST", "/-/reload"), ("GET", "/-/")]
    {
        assert_eq!(asked(&proxy, method, path, &[JSON], "{}").await.status, 404, "{method} {path}");
    }
    // Nor where callers are served.
    assert_eq!(proxy.get("/-/explain").await.status, 404);
}

#[tokio::test]
async fn an_explanation_is_what_the_command_says() {
    let proxy = proxy("control: 127.0.0.1:0").await;
    assert_ne!(proxy.running.control, None);
    let told = explained(&proxy, question(json!({ "token": proxy.acme() }))).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert!(!told.text().contains("eyJ"), "a token is never told");
    let told = told.json();
    assert_eq!(
        (&told["issuer"], &told["header"], &told["claims"]["tenant"]),
        (&json!(proxy.issuer.url()), &json!("authorization"), &json!("acme-books"))
    );
    assert_eq!(
        told["scope"],
        json!({ "scope": "tenant=acme-books", "rules": ["tenants see their own data"] })
    );
    let value =
        json!([{ "text": "up", "inserted": false }, { "text": "{tenant=\"acme-books\"}", "inserted": true }]);
    assert_eq!(told["outcome"]["calls"][0]["arguments"], json!([{ "name": "query", "value": value }]));
    assert_eq!(told["rules"][0]["applies"], json!(true));
    assert_eq!(told["rules"][1]["why"], "does not apply: `when` is false");

    let told = explained(
        &proxy,
        question(json!({ "claims": { "limited": "a" }, "headers": ["X-Palisade-Tenant: b"] })),
    );
    let refused =
        json!({ "outcome": "refused", "kind": "narrowing", "text": "the requested scope is not granted" });
    assert_eq!(told.await.json()["outcome"], refused);
    let (head, _) =
        proxy.acme().rsplit_once('.').map(|(head, tail)| (head.to_owned(), tail.to_owned())).unwrap();
    let told = explained(&proxy, question(json!({ "token": format!("Bearer {head}.AAAA") }))).await;
    let refused =
        json!({ "outcome": "refused", "kind": "signature", "text": "token signature not accepted" });
    assert_eq!((told.status, told.json()), (200, json!({ "outcome": refused })));
    assert!(proxy.prometheus.take().is_empty(), "nothing is sent");
    for (bad, says) in [
        (json!({}), "missing field"),
        (question(json!({})), "either a token or claims"),
        (question(json!({ "claims": {}, "token": "x" })), "either a token or claims"),
        (question(json!({ "claims": {}, "backend": "mimir" })), "no backend `mimir`"),
        (question(json!({ "claims": {}, "request": "up" })), "written as `GET /path?query`"),
        (question(json!({ "claims": {}, "headers": ["x"] })), "written as `Name: value`"),
        (question(json!({ "claims": {}, "query": "up" })), "unknown field `query`"),
        (question(json!({ "token": "a\nb" })), "characters that no header can have"),
    ] {
        let answer = explained(&proxy, bad).await;
        assert!(answer.status == 400 && answer.text().contains(says), "{}", answer.text());
    }
    // What needs health and metrics only has no control.
    assert_eq!(proxy.admin("/-/explain").await.status, 404);
    assert_eq!(proxy.admin("/metrics").await.status, 200);
}

#[tokio::test]
async fn a_token_is_explained_in_the_header_of_its_issuer() {
    let (grafana, issuer) = FakeIssuer::grafana().await;
    let proxy = Proxy::start_trusting(&issuer, "admin: { address: 127.0.0.1:0, control: 127.0.0.1:0 }").await;
    let told = explained(&proxy, question(json!({ "token": grafana.grafana_id("acme-books") }))).await.json();
    assert_eq!((&told["issuer"], &told["header"]), (&json!(grafana.url()), &json!("x-grafana-id")), "{told}");
    assert_eq!(told["scope"]["scope"], "tenant=acme-books");
    let told = explained(&proxy, question(json!({ "token": proxy.acme() }))).await.json();
    assert_eq!((&told["issuer"], &told["header"]), (&json!(proxy.issuer.url()), &json!("authorization")));
    // What claims to be Grafana's is verified like the rest.
    let forged = format!("{}.AAAA", grafana.grafana_id("acme-books").rsplit_once('.').unwrap().0);
    let told = explained(&proxy, question(json!({ "token": forged }))).await.json();
    assert_eq!(told["outcome"]["kind"], "signature");
    let told = explained(&proxy, question(json!({ "claims": { "tenant": "a" } }))).await.json();
    assert_eq!((&told["issuer"], &told["header"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn a_browser_that_is_led_here_is_refused() {
    let proxy = proxy("control: 127.0.0.1:0").await;
    let address = proxy.running.control.unwrap();
    let body = question(json!({ "claims": { "tenant": "a" } })).to_string();
    let post = async |headers: &[&str]| asked(&proxy, "POST", "/-/explain", headers, &body).await.status;
    let own = format!("Origin: http://{address}");
    assert_eq!(post(&[JSON, &own]).await, 200);
    assert_eq!(post(&[JSON, "Origin: https://evil.example"]).await, 403);
    assert_eq!(post(&[JSON, "Origin: null"]).await, 403);
    let named = format!("Host: evil.example:{}", address.port());
    assert_eq!(post(&[JSON, &named]).await, 421);
    assert_eq!(asked(&proxy, "GET", "/-/explain", &[&named], "").await.status, 421);
    assert_eq!(post(&["Content-Type: text/plain"]).await, 415);
    assert_eq!(post(&[]).await, 415);
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let answer = asked(&proxy, method, "/-/reload", &[JSON], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!(asked(&proxy, "GET", "/-/reload/", &[], "").await.status, 404);
    assert_eq!(asked(&proxy, "POST", "/-/quit", &[JSON], "{}").await.status, 404);
}

#[tokio::test]
async fn a_token_is_needed_where_one_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let proxy = proxy(&format!("token_file: {path:?}")).await;
    let asked_with = async |token: Value| {
        let mut question = question(json!({ "claims": { "tenant": "a" } }));
        if !token.is_null() {
            question["admin_token"] = token;
        }
        explained(&proxy, question).await
    };
    assert_eq!(asked_with(json!(TOKEN)).await.status, 200);
    for bad in [json!(null), json!(""), json!(format!("{TOKEN}x")), json!(&TOKEN[1..])] {
        let answer = asked_with(bad).await;
        assert!(answer.status == 403 && !answer.text().contains(TOKEN), "{}", answer.text());
    }
    assert_eq!(asked(&proxy, "POST", "/-/reload", &[JSON], "{}").await.status, 403);
    // Only in the body: a header is logged by whoever stands between.
    let header = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(asked(&proxy, "POST", "/-/reload", &[JSON, &header], "{}").await.status, 403);
    assert!(asked(&proxy, "GET", "/-/explain", &[], "").await.text().contains("id=\"admin-token\""));
}

#[tokio::test]
async fn the_page_is_one_document_that_loads_and_runs_nothing_else() {
    let proxy = proxy("control: 127.0.0.1:0").await;
    let page = asked(&proxy, "GET", "/-/explain", &[], "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let text = page.text();
    assert!(text.contains("<option>prometheus</option>") && !text.contains("id=\"admin-token\""), "{text}");
    assert!(!text.contains("{{"), "nothing is left to be filled in");
}

#[tokio::test]
async fn a_body_has_2_mib_and_not_a_byte_more() {
    let proxy = proxy("control: 127.0.0.1:0").await;
    let of = |bytes: usize| {
        let bare = question(json!({ "claims": {}, "form": "" })).to_string().len();
        question(json!({ "claims": {}, "form": "x".repeat(bytes - bare) }))
    };
    assert_eq!(explained(&proxy, of(2 * 1024 * 1024)).await.status, 200);
    assert_eq!(explained(&proxy, of(2 * 1024 * 1024 + 1)).await.status, 413);
}

#[tokio::test]
async fn a_socket_serves_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let proxy = proxy(&format!("control: {path:?}")).await;
    let body = question(json!({ "claims": { "tenant": "a" } })).to_string();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = format!(
        "POST /-/explain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("tenant=a"), "{answer}");
    assert_eq!(
        asked(&proxy, "POST", "/-/explain", &[JSON], &body).await.status,
        404,
        "there and nowhere else"
    );
    proxy.running.stop().await;
    assert!(!path.exists());
}
