//! How backends and issuers are reached: private authorities, client certificates, credentials.

use super::support::authority::{Authority, Signed};
use super::support::bare::Bare;
use super::support::issuer::FakeIssuer;
use super::support::proxy::POLICY;
use super::support::upstream::{Answer, FakeUpstream};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use palisade::auth::config::Issuer;
use palisade::auth::{KeyTiming, Trusted, Verifier};
use palisade::limits::Limits;
use palisade::rejection::TokenFault;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

const QUERY: &str = "/prometheus/api/v1/query?query=up";

/// A folder of files of a configuration.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn serve(&self, backend: &str, rest: &str) -> Bare {
        Bare::start(self.0.path(), &prometheus(backend, rest)).await
    }
}

fn prometheus(url: &str, rest: &str) -> String {
    format!("  prometheus: {{ url: \"{url}\", labels: {{ tenant: tenant }}{rest} }}")
}

#[tokio::test]
async fn a_backend_is_trusted_by_its_own_authority_and_by_no_other() {
    let (files, ours) = (Files::new(), Authority::new());
    let backend = FakeUpstream::start_tls(ours.server(None)).await;
    files.write("ours.pem", ours.pem());
    files.write("other.pem", Authority::new().pem());
    files.write("both.pem", &[Authority::new().pem(), ours.pem()].concat());
    for (tls, status) in [
        (", tls: { ca: ours.pem }", 200),
        (", tls: { ca: both.pem }", 200),
        (", tls: { ca: ours.pem, platform_roots: true }", 200),
        (", tls: { ca: other.pem }", 502),
        (", tls: { ca: other.pem, platform_roots: true }", 502),
    ] {
        let proxy = files.serve(&backend.url(), tls).await;
        assert_eq!(proxy.get(QUERY).await.status, status, "{tls}");
        assert_eq!(backend.take().len(), usize::from(status == 200), "{tls}");
    }
    // The certificate is for 127.0.0.1.
    let by_name = backend.url().replace("127.0.0.1", "localhost");
    let proxy = files.serve(&by_name, ", tls: { ca: ours.pem }").await;
    assert_eq!(proxy.get(QUERY).await.status, 502);
}

#[tokio::test]
async fn a_backend_that_asks_for_a_certificate_is_shown_ours_as_it_is_now() {
    let (files, ours, clients) = (Files::new(), Authority::new(), Authority::new());
    let backend = FakeUpstream::start_tls(ours.server(Some(&clients))).await;
    files.write("ca.pem", ours.pem());
    let show = |authority: &Authority| {
        let Signed { cert, key } = authority.sign("palisade");
        (files.write("cert.pem", &cert), files.write("key.pem", &key))
    };
    show(&clients);
    let nothing = files.serve(&backend.url(), ", tls: { ca: ca.pem }").await;
    assert_eq!(nothing.get(QUERY).await.status, 502);
    let mut proxy = files.serve(&backend.url(), ", tls: { ca: ca.pem, cert: cert.pem, key: key.pem }").await;
    assert_eq!(proxy.get(QUERY).await.status, 200);
    show(&ours);
    assert_eq!(proxy.get(QUERY).await.status, 200, "what is read is what a reload read last");
    proxy.reload().await.unwrap();
    assert_eq!(proxy.get(QUERY).await.status, 502);
    show(&clients);
    proxy.reload().await.unwrap();
    assert_eq!(proxy.get(QUERY).await.status, 200);
    // A pair that does not fit changes nothing.
    files.write("key.pem", &ours.sign("palisade").key);
    assert!(proxy.reload().await.is_err());
    assert_eq!(proxy.get(QUERY).await.status, 200);
}

/// The `authorization` lines that arrived with the one request since the last call.
fn authorization(backend: &FakeUpstream) -> Vec<String> {
    let headers = backend.take_one().headers.into_iter();
    headers.filter(|line| line.to_ascii_lowercase().starts_with("authorization")).collect()
}

#[tokio::test]
async fn a_backend_reads_our_credentials_and_never_the_callers() {
    let (files, backend) = (Files::new(), FakeUpstream::start().await);
    files.write("token", "sesame\n");
    files.write("password", "open: sesame\n");
    let none = files.serve(&backend.url(), "").await;
    assert_eq!(none.get(QUERY).await.status, 200);
    assert_eq!(authorization(&backend), [""; 0]);
    let basic = ", auth: { basic: { username: palisade, password_file: password } }";
    let basic = files.serve(&backend.url(), basic).await;
    assert_eq!(basic.get(QUERY).await.status, 200);
    assert_eq!(authorization(&backend), ["authorization: Basic cGFsaXNhZGU6b3Blbjogc2VzYW1l"]);
    let mut proxy = files.serve(&backend.url(), ", auth: { bearer_file: token }").await;
    for target in [QUERY, "/prometheus/api/v1/labels", "/prometheus/api/v1/rules"] {
        proxy.get(target).await;
        assert_eq!(authorization(&backend), ["authorization: Bearer sesame"], "{target}");
    }
    files.write("token", "next");
    proxy.reload().await.unwrap();
    proxy.get(QUERY).await;
    assert_eq!(authorization(&backend), ["authorization: Bearer next"]);
    // What cannot be read is refused as a whole.
    files.write("token", "");
    assert!(proxy.reload().await.unwrap_err().to_string().ends_with("token: holds no secret"));
    proxy.get(QUERY).await;
    assert_eq!(authorization(&backend), ["authorization: Bearer next"]);
}

#[tokio::test]
async fn a_backends_refusal_of_our_credentials_is_not_the_callers() {
    let (files, backend) = (Files::new(), FakeUpstream::start().await);
    files.write("token", "sesame");
    let proxy = files.serve(&backend.url(), ", auth: { bearer_file: token }").await;
    for status in ["401 Unauthorized", "403 Forbidden", "407 Proxy Authentication Required"] {
        backend.answer(Answer::of(status, "text/plain", b"bad token sesame"));
        let got = proxy.get(QUERY).await;
        assert_eq!(got.status, 502, "{status}");
        assert!(!got.text().contains("sesame") && got.header("www-authenticate").is_none(), "{status}");
    }
}

#[tokio::test]
async fn atk_3j_no_secret_is_in_a_fault_or_in_debug_output() {
    let (files, backend) = (Files::new(), FakeUpstream::start().await);
    files.write("token", "se same");
    let backends = prometheus(&backend.url(), ", auth: { bearer_file: token }");
    let listen = "listen: [{ address: 127.0.0.1:0 }]";
    let fault = Bare::try_start(files.0.path(), &backends, listen, POLICY).await.err().unwrap();
    assert!(fault.to_string().ends_with("token: holds characters that no bearer token has"), "{fault}");
    files.write("token", "sesame");
    let proxy = files.serve(&backend.url(), ", auth: { bearer_file: token }").await;
    assert!(!format!("{:?}{:?}", proxy.config, proxy.running).contains("sesame"));
}

/// ATK-54: what looks at a silence before it is ended goes the same way as what ends it.
#[tokio::test]
async fn atk_54_the_look_before_a_change_has_the_same_certificate_and_credentials() {
    let (files, ours, clients) = (Files::new(), Authority::new(), Authority::new());
    let backend = FakeUpstream::start_tls(ours.server(Some(&clients))).await;
    files.write("ca.pem", ours.pem());
    let Signed { cert, key } = clients.sign("palisade");
    files.write("cert.pem", &cert);
    files.write("key.pem", &key);
    files.write("token", "sesame");
    let id = "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6e";
    let matcher = json!({ "isEqual": true, "isRegex": false, "name": "tenant", "value": "acme-books" });
    let silence = json!({
        "id": id, "status": { "state": "active" }, "updatedAt": "2026-01-01T00:00:00.000Z",
        "comment": "deploy", "createdBy": "alice", "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "2027-01-01T00:00:00.000Z", "matchers": [matcher],
    });
    backend.answer_to("GET /am/api/v2/silence/", Answer::json(&silence.to_string()));
    let proxy = Bare::start(
        files.0.path(),
        &format!(
            "  alertmanager: {{ url: \"{}/am\", labels: {{ tenant: tenant }}, auth: {{ bearer_file: token }},
                 tls: {{ ca: ca.pem, cert: cert.pem, key: key.pem }} }}",
            backend.url()
        ),
    )
    .await;
    let acme = json!({ "tenant": "acme-books" });
    let target = format!("/alertmanager/api/v2/silence/{id}");
    let got = proxy.send(&acme, "DELETE", &target, &[]).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let arrived = backend.take();
    let lines: Vec<_> = arrived.iter().map(|received| received.line.as_str()).collect();
    let path = format!("/am/api/v2/silence/{id}");
    assert_eq!(lines, [format!("GET {path}"), format!("DELETE {path}")]);
    for received in &arrived {
        assert!(received.headers.contains(&"authorization: Bearer sesame".to_owned()), "{received:?}");
    }
    // Another's is looked at the same way, and left alone.
    let got = proxy.send(&json!({ "tenant": "globex-lit" }), "DELETE", &target, &[]).await;
    assert_eq!((got.status, backend.take().len()), (404, 1));
}

#[tokio::test]
async fn an_issuers_keys_are_fetched_over_tls_from_whom_its_authority_vouches_for() {
    let (files, ours) = (Files::new(), Authority::new());
    let issuer = FakeIssuer::start_tls(ours.server(None)).await;
    assert!(issuer.url().starts_with("https://"));
    let (ca, other) = (files.write("ca.pem", ours.pem()), files.write("other.pem", Authority::new().pem()));
    let headers = HeaderMap::from_iter([(
        AUTHORIZATION,
        format!("Bearer {}", issuer.token("acme-books")).parse().unwrap(),
    )]);
    let verify = async |ca: Option<PathBuf>| {
        let settings = Issuer { ca, ..issuer.settings() };
        let timing = KeyTiming { wait: Duration::from_secs(5), ..KeyTiming::default() };
        let verifier =
            Verifier::<()>::start(Trusted { timing, ..Trusted::issuers(vec![settings]) }, &Limits::default())
                .unwrap();
        verifier.verify(&headers).await.map(drop)
    };
    // By discovery, and by the URL of the key set in the document.
    assert_eq!(verify(Some(ca.clone())).await, Ok(()));
    assert_eq!((issuer.discovery_requests(), issuer.jwks_requests()), (1, 1));
    assert_eq!(verify(Some(other)).await, Err(TokenFault::KeysUnavailable));
    assert_eq!((issuer.discovery_requests(), issuer.jwks_requests()), (1, 1));
    let nowhere = Issuer { ca: Some(files.0.path().join("nowhere.pem")), ..issuer.settings() };
    let fault = Verifier::<()>::new(vec![nowhere], &Limits::default()).err().unwrap().to_string();
    assert!(fault.contains("nowhere.pem"), "{fault}");
}

/// The file is read at each fetch, so that an authority may be changed while the server runs.
#[tokio::test]
async fn an_issuers_authority_is_read_again_at_the_next_fetch() {
    let (files, ours) = (Files::new(), Authority::new());
    let issuer = FakeIssuer::start_tls(ours.server(None)).await;
    let ca = files.write("ca.pem", Authority::new().pem());
    let settings = Issuer { ca: Some(ca), ..issuer.settings() };
    let timing = KeyTiming { retry: Duration::from_millis(20), ..KeyTiming::default() };
    let verifier =
        Verifier::<()>::start(Trusted { timing, ..Trusted::issuers(vec![settings]) }, &Limits::default())
            .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!verifier.ready());
    files.write("ca.pem", ours.pem());
    for _ in 0..500 {
        if verifier.ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never ready");
}

/// A name that leads to this machine and does not say so stands for one across a network.
#[tokio::test]
async fn over_a_network_an_answer_that_is_cut_is_asked_for_compressed() {
    let (files, backend) = (Files::new(), FakeUpstream::start().await);
    backend.answer(Answer::json(r#"{"status":"success","data":{"groups":[]}}"#));
    for (host, cut) in [("127.0.0.1", "identity"), ("127.1", "gzip")] {
        let url = backend.url().replace("127.0.0.1", host);
        let proxy = files.serve(&url, ", insecure_http: true").await;
        for (target, asked) in [("/prometheus/api/v1/rules", cut), (QUERY, "identity")] {
            assert_eq!(proxy.get(target).await.status, 200, "{host} {target}");
            let headers = backend.take_one().headers;
            assert!(headers.contains(&format!("accept-encoding: {asked}")), "{host} {target}: {headers:?}");
        }
    }
}

/// ATK-01: what is cut hangs on the endpoint, wherever a backend has its own paths.
#[tokio::test]
async fn atk_01_an_answer_is_cut_below_any_prefix() {
    let (files, backend) = (Files::new(), FakeUpstream::start().await);
    let alert = |tenant: &str| json!({ "labels": { "tenant": tenant }, "annotations": {}, "state": "firing", "value": "1" });
    let alerts =
        json!({ "status": "success", "data": { "alerts": [alert("acme-books"), alert("globex-lit")] } });
    backend.answer(Answer::json(&alerts.to_string()));
    for prefix in ["", "/", "/prometheus", "/a/api/v1/alerts/"] {
        let proxy = files.serve(&format!("{}{prefix}", backend.url()), "").await;
        let got = proxy.get("/prometheus/api/v1/alerts").await;
        assert_eq!(backend.take_one().line, format!("GET {}/api/v1/alerts", prefix.trim_end_matches('/')));
        assert!(got.text().contains("acme-books") && !got.text().contains("globex-lit"), "{}", got.text());
    }
}
