//! Pages of other origins.

use crate::support::proxy::{Answered, Proxy};

const PORTAL: &str = "https://portal.example.org";
const QUERY: &str = "/prometheus/api/v1/query?query=up";
const ASKING: [&str; 2] =
    ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"];

async fn proxy() -> Proxy {
    Proxy::start_with(&format!("cors: {{ origins: [\"{PORTAL}\", \"http://localhost:3000\"] }}")).await
}

async fn preflight(proxy: &Proxy, target: &str, origin: &str) -> Answered {
    let origin = format!("Origin: {origin}");
    proxy.raw("OPTIONS", target, &[&origin, ASKING[0], ASKING[1]], "").await
}

fn cors(answer: &Answered) -> Vec<&str> {
    let headers = answer.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
    headers.map(|(name, _)| name.as_str()).collect()
}

fn varies(answer: &Answered) -> bool {
    answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin")
}

#[tokio::test]
async fn a_preflight_is_answered_alike_for_every_path_and_without_a_token() {
    let proxy = proxy().await;
    let without_date = |answer: &Answered| {
        let headers = answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>();
        (answer.status, headers, answer.body.clone())
    };
    let known = preflight(&proxy, QUERY, PORTAL).await;
    assert_eq!((known.status, known.header("access-control-allow-origin")), (204, Some(PORTAL)));
    assert_eq!(known.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    assert!(known.header("access-control-allow-headers").unwrap().contains("authorization, content-type"));
    assert!(varies(&known) && known.body.is_empty());
    for target in
        ["/nowhere", "/palisade/v1/me", "/prometheus/api/v1/admin/tsdb/snapshot", "/t/acme-books/loki/x"]
    {
        assert_eq!(without_date(&preflight(&proxy, target, PORTAL).await), without_date(&known), "{target}");
    }
    for stranger in [
        "https://portal.example.org:8443",
        "http://portal.example.org",
        "https://evil-portal.example.org",
        "https://portal.example.org.evil.example",
        "https://PORTAL.example.org",
        "null",
        "*",
        "https://portal.example.org http://localhost:3000",
    ] {
        let answer = preflight(&proxy, QUERY, stranger).await;
        assert_eq!((answer.status, cors(&answer), varies(&answer)), (204, vec![], true), "{stranger}");
    }
    assert!(proxy.reached().is_empty());
    let page = proxy.admin("/metrics").await.text();
    assert!(
        page.contains("palisade_requests_total{backend=\"\",endpoint=\"\",outcome=\"static\"} 13\n"),
        "{page}"
    );
    // What is no preflight is asked as before: there is no such method.
    let plain = proxy.raw("OPTIONS", QUERY, &["Origin: https://portal.example.org"], "").await;
    assert_eq!(plain.status, 401);
}

#[tokio::test]
async fn an_answer_may_be_read_by_pages_that_are_listed_and_never_with_cookies() {
    let proxy = proxy().await;
    for origin in [PORTAL, "http://localhost:3000"] {
        let answer = proxy.send("GET", QUERY, &[&format!("Origin: {origin}")], "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin)));
        assert_eq!(cors(&answer), ["access-control-allow-origin", "access-control-expose-headers"]);
        assert!(varies(&answer));
    }
    // A refusal, too, or a page could not say why.
    let refused = proxy.raw("GET", QUERY, &[&format!("Origin: {PORTAL}")], "").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(PORTAL)));
    assert_eq!(refused.header("access-control-expose-headers"), Some("x-palisade-reason"));
    for headers in
        [&["Origin: https://evil.example"][..], &[], &["Origin: https://portal.example.org", "Origin: null"]]
    {
        let answer = proxy.send("GET", QUERY, headers, "").await;
        assert_eq!((answer.status, cors(&answer), varies(&answer)), (200, vec![], true), "{headers:?}");
    }
}

#[tokio::test]
async fn without_origins_nothing_of_it_is_said() {
    let proxy = Proxy::start().await;
    let answer = preflight(&proxy, QUERY, PORTAL).await;
    assert_eq!((answer.status, cors(&answer), varies(&answer)), (401, vec![], false));
    let answer = proxy.send("GET", QUERY, &[&format!("Origin: {PORTAL}")], "").await;
    assert_eq!((answer.status, cors(&answer), varies(&answer)), (200, vec![], false));
}
