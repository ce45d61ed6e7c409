//! Several backends of one kind below one mount: each holds a part of everyone's data.

use super::support::bare::Bare;
use super::support::proxy::POLICY;
use super::support::upstream::FakeUpstream;
use serde_json::json;
use std::path::Path;

const QUERY: &str = "/prometheus/api/v1/query?query=up";

struct World {
    proxy: Bare,
    eu: FakeUpstream,
    us: FakeUpstream,
}

impl World {
    /// `acme-*` and `globex-lit` are held in Europe, `initech-*` in America. The second listener has the mount at
    /// its root, the third the backend in Europe alone.
    async fn start() -> Self {
        let (eu, us) = (FakeUpstream::start().await, FakeUpstream::start().await);
        let backend = |name: &str, url: String, holds: &str| {
            format!(
                "  {name}: {{ mount: prometheus, url: \"{url}\", labels: {{ tenant: tenant, region: region }}, holds: {holds} }}\n"
            )
        };
        let backends = [
            backend("metrics-eu", eu.url(), "{ tenant: [\"acme-*\", globex-lit] }"),
            backend("metrics-us", us.url(), "{ tenant: [\"initech-*\"] }"),
        ];
        let listen = "listen: [{ address: 127.0.0.1:0 }, { address: 127.0.0.1:0, backend: prometheus },
          { address: 127.0.0.1:0, backend: metrics-eu }]";
        let rule = "  - { name: there, when: has(claims.there), scope: { tenant: claims.there }, backends: [prometheus] }\n";
        let rules = POLICY.replacen("rules:\n", &format!("rules:\n{rule}"), 1);
        let proxy = Bare::try_start(Path::new(""), &backends.concat(), listen, &rules).await.unwrap();
        Self { proxy, eu, us }
    }

    /// How many requests reached each since the last call.
    fn arrived(&self) -> (usize, usize) {
        (self.eu.take().len(), self.us.take().len())
    }
}

#[tokio::test]
async fn a_request_goes_to_the_one_backend_that_holds_all_of_its_scope() {
    let world = World::start().await;
    for (claims, headers, status, arrived) in [
        (json!({ "tenant": "acme-books" }), vec![], 200, (1, 0)),
        (json!({ "tenant": ["acme-books", "acme-music", "globex-lit"] }), vec![], 200, (1, 0)),
        (json!({ "tenant": "initech-press" }), vec![], 200, (0, 1)),
        (json!({ "there": "initech-press" }), vec![], 200, (0, 1)),
        (json!({ "regional": "initech-press", "region": "us-east" }), vec![], 200, (0, 1)),
        (json!({ "tenant": ["acme-books", "initech-press"] }), vec![], 403, (0, 0)),
        (
            json!({ "tenant": ["acme-books", "initech-press"] }),
            vec!["X-Palisade-Tenant: initech-press"],
            200,
            (0, 1),
        ),
        (json!({ "tenant": ["acme-books", "umbrella"] }), vec![], 403, (0, 0)),
        (json!({ "tenant": "umbrella" }), vec![], 403, (0, 0)),
        (json!({ "root": true }), vec![], 403, (0, 0)),
        (json!({ "root": true }), vec!["X-Palisade-Tenant: acme-books"], 200, (1, 0)),
    ] {
        let answer = world.proxy.send(&claims, "GET", QUERY, &headers).await;
        assert_eq!((answer.status, world.arrived()), (status, arrived), "{claims} {}", answer.text());
    }
    let both = json!({ "tenant": ["acme-books", "initech-press"] });
    let in_path = world.proxy.send(&both, "GET", &format!("/t/initech-press{QUERY}"), &[]).await;
    assert_eq!((in_path.status, world.arrived()), (200, (0, 1)));
    let unshared = world.proxy.send(&both, "GET", "/metrics-eu/api/v1/query?query=up", &[]).await;
    assert_eq!((unshared.status, world.arrived()), (404, (0, 0)), "no mount has a backend's own name");
}

/// What is refused follows from the caller's own scope and the configuration, whatever others have.
#[tokio::test]
async fn a_refusal_tells_nothing_of_other_tenants() {
    let world = World::start().await;
    let refused = async |claims, headers: &[&str]| {
        let answer = world.proxy.send(&claims, "GET", QUERY, headers).await;
        (answer.status, answer.text())
    };
    // A wish for another's scope is refused alike, whether a backend holds it or none does.
    let acme = || json!({ "tenant": "acme-books" });
    let elsewhere = refused(acme(), &["X-Palisade-Tenant: initech-press"]).await;
    assert_eq!(elsewhere, refused(acme(), &["X-Palisade-Tenant: umbrella"]).await);
    assert_eq!(elsewhere, refused(acme(), &["X-Palisade-Tenant: globex-lit"]).await);
    // The choices are the caller's own values, whether a backend holds them or none does.
    for other in ["initech-press", "umbrella"] {
        let (status, text) = refused(json!({ "tenant": ["acme-books", other] }), &[]).await;
        let told = format!("one of: `tenant=acme-books`, or `tenant={other}`");
        assert!(status == 403 && text.contains(&told), "{text}");
    }
    assert_eq!(world.arrived(), (0, 0));
}

#[tokio::test]
async fn a_listener_has_the_mount_or_one_of_its_backends_at_its_root() {
    let world = World::start().await;
    let target = "/api/v1/query?query=up";
    for (listener, tenant, status, arrived) in [
        (1, "acme-books", 200, (1, 0)),
        (1, "initech-press", 200, (0, 1)),
        (2, "acme-books", 200, (1, 0)),
        (2, "initech-press", 403, (0, 0)),
    ] {
        let answer = world.proxy.send_to(listener, &json!({ "tenant": tenant }), "GET", target, &[]).await;
        assert_eq!((answer.status, world.arrived()), (status, arrived), "{listener} {tenant}");
    }
}

#[tokio::test]
async fn metrics_tell_the_backend_or_the_mount_where_none_was_chosen() {
    let world = World::start().await;
    for tenant in ["acme-books", "initech-press", "initech-press", "umbrella"] {
        world.proxy.send(&json!({ "tenant": tenant }), "GET", QUERY, &[]).await;
    }
    let admin = world.proxy.running.admin.to_string();
    let page = super::support::proxy::exchange(&admin, "GET", "/metrics", &[], "").await.text();
    for line in [
        r#"palisade_requests_total{backend="metrics-eu",endpoint="query",outcome="passed"} 1"#,
        r#"palisade_requests_total{backend="metrics-us",endpoint="query",outcome="passed"} 2"#,
        r#"palisade_requests_total{backend="prometheus",endpoint="query",outcome="forbidden"} 1"#,
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}
