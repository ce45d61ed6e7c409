//! How calls of gRPC come in and go out: TLS on both sides, our credentials, a backend's own tenancy, and the end
//! of a caller's token.

use super::support::authority::{Authority, Signed};
use super::support::bare::Bare;
use super::support::grpc::{FakeGrpc, GrpcAnswer, GrpcAnswered, GrpcClient, Part, framed};
use super::support::proxy::{POLICY, Proxy};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const SEARCH: &str = "/tempopb.StreamingQuerier/Search";
/// Field 8 of a search: `{}`.
const ALL: &[u8] = b"\x42\x02{}";
const PLAIN: &str = "listen: [{ address: 127.0.0.1:0, backend: tempo }]";

/// Palisade before a Tempo that is called by gRPC, with a folder of files.
struct Streaming {
    files: tempfile::TempDir,
    grpc: FakeGrpc,
}

impl Streaming {
    fn before(grpc: FakeGrpc) -> Self {
        Self { files: tempfile::tempdir().unwrap(), grpc }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Serves, with `rest` in what is configured of Tempo.
    async fn serve(&self, listen: &str, rest: &str) -> Bare {
        let backends = format!(
            "  tempo: {{ url: \"http://127.0.0.1:1\", grpc_url: \"{}\", labels: {{ tenant: resource.tenant }}{rest} }}",
            self.grpc.url()
        );
        Bare::try_start(self.files.path(), &backends, listen, POLICY).await.unwrap()
    }

    /// The headers, that tell who asks, of the one call that arrived.
    fn told(&self) -> Vec<String> {
        let mut headers = self.grpc.take_one().headers;
        headers.retain(|line| line.starts_with("authorization") || line.starts_with("x-"));
        headers
    }
}

/// A search by a caller with these claims, over a plain connection.
async fn search(proxy: &Bare, claims: &Value, headers: &[&str]) -> GrpcAnswered {
    let caller = proxy.caller(claims);
    let token = caller.trim_start_matches("Authorization: Bearer ");
    GrpcClient::connect(proxy.running.addresses[0]).await.call_with(token, SEARCH, headers, ALL).await
}

fn acme() -> Value {
    json!({ "tenant": "acme-books" })
}

#[tokio::test]
async fn a_listener_with_a_certificate_is_called_over_tls() {
    let (streaming, ours) = (Streaming::before(FakeGrpc::start().await), Authority::new());
    let Signed { cert, key } = ours.sign("127.0.0.1");
    streaming.write("cert.pem", &cert);
    streaming.write("key.pem", &key);
    let listen = "listen: [{ address: 127.0.0.1:0, backend: tempo, tls: { cert: cert.pem, key: key.pem } }]";
    let proxy = streaming.serve(listen, "").await;
    streaming.grpc.answer(GrpcAnswer::of([b"", b""]));
    let mut client = GrpcClient::connect_tls(proxy.running.addresses[0], &ours).await;
    let answered = client.call(&proxy.issuer.token("acme-books"), SEARCH, ALL).await;
    // Over shared traces a search is ordered by what is shown, once, at its end.
    assert_eq!((answered.outcome(), answered.messages.len()), ((0, ""), 1));
    assert!(String::from_utf8_lossy(&streaming.grpc.take_one().body).contains("acme-books"));
    assert_eq!(client.call("x.y.z", SEARCH, ALL).await.code(), 16);
    assert!(streaming.grpc.take().is_empty());
}

#[tokio::test]
async fn a_backend_is_called_over_tls_if_its_own_authority_vouches_for_it() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let streaming = Streaming::before(FakeGrpc::start_tls(ours.server(Some(&clients))).await);
    let Signed { cert, key } = clients.sign("palisade");
    for (name, text) in [
        ("ours.pem", ours.pem()),
        ("other.pem", Authority::new().pem()),
        ("cert.pem", &cert),
        ("key.pem", &key),
    ] {
        streaming.write(name, text);
    }
    for (tls, code) in [
        ("ca: ours.pem, cert: cert.pem, key: key.pem", 0),
        ("ca: other.pem, cert: cert.pem, key: key.pem", 14),
        ("ca: ours.pem", 14),
    ] {
        let proxy = streaming.serve(PLAIN, &format!(", tls: {{ {tls} }}")).await;
        assert_eq!(search(&proxy, &acme(), &[]).await.code(), code, "{tls}");
        assert_eq!(streaming.grpc.take().len(), usize::from(code == 0), "{tls}");
    }
}

/// What a caller sends of itself does not reach the backend; what an operator configured does, as it is now.
#[tokio::test]
async fn a_backend_is_told_our_credentials_in_each_call() {
    let streaming = Streaming::before(FakeGrpc::start().await);
    streaming.write("password", "open: sesame\n");
    streaming.write("token", "sesame\n");
    let basic = ", auth: { basic: { username: palisade, password_file: password } }";
    let proxy = streaming.serve(PLAIN, basic).await;
    assert_eq!(search(&proxy, &acme(), &[]).await.code(), 0);
    assert_eq!(streaming.told(), ["authorization: Basic cGFsaXNhZGU6b3Blbjogc2VzYW1l"]);
    let mut proxy = streaming.serve(PLAIN, ", auth: { bearer_file: token }").await;
    assert_eq!(search(&proxy, &acme(), &[]).await.code(), 0);
    assert_eq!(streaming.told(), ["authorization: Bearer sesame"]);
    streaming.write("token", "next");
    proxy.reload().await.unwrap();
    assert_eq!(search(&proxy, &acme(), &[]).await.code(), 0);
    assert_eq!(streaming.told(), ["authorization: Bearer next"]);
    // That it does not let us in is nothing that the caller can mend.
    for code in ["7", "16"] {
        streaming.grpc.answer(GrpcAnswer::refusal(code, "bad token next"));
        let answered = search(&proxy, &acme(), &[]).await;
        assert_eq!(answered.outcome(), (14, "the backend gave an unexpected answer"), "{code}");
    }
}

/// ATK-0F: a call names the caller's own tenant, however else it asks to be named.
#[tokio::test]
async fn atk_0f_a_call_names_the_callers_own_tenant_and_no_other() {
    let streaming = Streaming::before(FakeGrpc::start().await);
    let forged =
        ["x-scope-orgid: globex-lit", "x-prom-label-policy: globex-lit:%7B%7D", "x-tenant: globex-lit"];
    let proxy = streaming.serve(PLAIN, ", org_id: { template: \"s-{tenant}\" }").await;
    assert_eq!(search(&proxy, &acme(), &forged).await.code(), 0);
    assert_eq!(streaming.told(), ["x-scope-orgid: s-acme-books"]);
    // Several, where the backend takes them at once, and none where an id is not known.
    let map = "map: { acme-books: \"1001\", globex-lit: \"1002\" }";
    let both = json!({ "tenant": ["acme-books", "globex-lit"] });
    let proxy = streaming.serve(PLAIN, &format!(", org_id: {{ {map}, federates: true }}")).await;
    assert_eq!(search(&proxy, &both, &forged).await.code(), 0);
    assert_eq!(streaming.told(), ["x-scope-orgid: 1001|1002"]);
    let proxy = streaming.serve(PLAIN, &format!(", org_id: {{ {map} }}")).await;
    assert_eq!(search(&proxy, &both, &forged).await.code(), 7);
    assert_eq!(search(&proxy, &json!({ "tenant": "initech-press" }), &forged).await.code(), 7);
    assert!(streaming.grpc.take().is_empty());
    // To a backend without tenants, none.
    let proxy = streaming.serve(PLAIN, "").await;
    assert_eq!(search(&proxy, &acme(), &forged).await.code(), 0);
    assert_eq!(streaming.told(), [""; 0]);
}

/// An answer read to its end: how many messages it has, and its outcome.
async fn counted(address: SocketAddr, token: String) -> (usize, String) {
    let authorization = format!("authorization: Bearer {token}");
    let headers = ["content-type: application/grpc", &authorization];
    let mut response = GrpcClient::connect(address).await.send(SEARCH, &headers, framed(ALL)).await;
    let mut trailers = response.headers().clone();
    let mut bytes = 0;
    while let Some(frame) = response.body_mut().frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => bytes += data.len(),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    let outcome = ["grpc-status", "grpc-message"].map(|name| trailers[name].to_str().unwrap());
    (bytes, outcome.join(" "))
}

/// ATK-26: a stream is no way to see on when the token has ended, whether the backend is silent or never is.
#[tokio::test]
async fn atk_26_a_stream_ends_with_its_token() {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let message = framed(&[0x42; 4096]);
    let answers = [
        (vec![Part::Never], 0..1),
        (vec![Part::Bytes(message.clone()), Part::Never], 1..2),
        (vec![Part::Endless(message.clone())], 10..usize::MAX),
    ];
    for (parts, messages) in answers {
        let proxy = Proxy::start().await;
        let address = proxy.running.addresses[1];
        proxy.grpc.answer(GrpcAnswer::parts(parts));
        // Expired 28 s ago, of the 30 s by which the clocks may differ. Who may see everything gets messages as they are.
        let exp = now().as_secs() - 28;
        let token = proxy.token(json!({ "root": true, "exp": exp }));
        let (bytes, outcome) = counted(address, token.clone()).await;
        let ended = now();
        assert_eq!(
            (outcome.as_str(), messages.contains(&(bytes / message.len()))),
            ("16 token expired", true)
        );
        assert!(
            ended >= Duration::from_secs(exp + 30) && ended < Duration::from_secs(exp + 33),
            "{ended:?} {exp}"
        );
        let broken = u8::from(bytes > 0);
        let line =
            format!("palisade_streams_broken_total{{backend=\"tempo\",endpoint=\"grpc_search\"}} {broken}");
        let page = proxy.admin("/metrics").await.text();
        assert!(page.lines().any(|l| l == line), "{page}");
        // The same token begins none.
        proxy.grpc.take();
        assert_eq!(counted(address, token).await, (0, "16 token expired".to_owned()));
        assert!(proxy.grpc.take().is_empty());
    }
}
