//! Palisade itself, with a fake issuer and fake backends, and a client that sends bytes.

use super::grpc::FakeGrpc;
use super::issuer::FakeIssuer;
use super::upstream::{FakeUpstream, Received};
use palisade::config::Config;
use palisade::policy::Policies;
use palisade::server::{Running, start};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A rule for each kind of caller.
pub const POLICY: &str = "rules:
  - name: tenants see their own data
    when: has(claims.tenant)
    scope: { tenant: claims.tenant }
  - name: regional staff
    when: has(claims.regional)
    scope: { tenant: claims.regional, region: claims.region }
  - name: limited callers
    when: has(claims.limited)
    scope: { tenant: claims.limited }
    endpoints: [read]
    limits: { requests_per_second: 1, burst: 2, query_bytes: 8, selectors: 2, entries: 5 }
  - name: one at a time
    when: has(claims.single)
    scope: { tenant: claims.single }
    limits: { concurrent_requests: 1 }
  - name: few tails
    when: has(claims.few)
    scope: { tenant: claims.few }
    limits: { tails: 1, range: 60s, concurrent_requests: 1 }
  - name: brief callers
    when: has(claims.brief)
    scope: { tenant: claims.brief }
    limits: { answer_bytes: 48 }
  - name: sees where others are in a trace
    when: has(claims.places)
    scope: { tenant: claims.places }
    endpoints: [read, traces, traces.redacted]
  - name: on call
    when: has(claims.root)
    unrestricted: true
tenant_limits:
  rare-prints: { requests_per_second: 1, burst: 2, entries: 7 }
";

/// What is configured of Loki.
const LOKI: &str = "labels: { tenant: tenant }";

/// A running Palisade.
pub struct Proxy {
    /// Who issues its tokens.
    pub issuer: FakeIssuer,
    /// The Prometheus behind it: `prometheus` with every feature that adds endpoints, `bare` without.
    pub prometheus: FakeUpstream,
    /// The Loki behind it.
    pub loki: FakeUpstream,
    /// The Tempo behind it, with `traces_never_mix_tenants`.
    pub tempo: FakeUpstream,
    /// Where that Tempo is called by gRPC.
    pub grpc: FakeGrpc,
    /// The Alertmanager behind it.
    pub alertmanager: FakeUpstream,
    /// The server. Its second listener has Tempo at the root.
    pub running: Running,
    /// Its configuration.
    pub config: Config,
}

/// An answer, as it arrived.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The header lines, lower case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl Proxy {
    /// Starts all of it with the default limits.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// What has arrived at any backend since it was last looked at.
    pub fn reached(&self) -> Vec<Received> {
        [&self.prometheus, &self.loki, &self.tempo, &self.alertmanager].map(FakeUpstream::take).concat()
    }

    /// Starts all of it with `more` at the end of the configuration.
    pub async fn start_with(more: &str) -> Self {
        Self::start_as(None, LOKI, "", more, true).await
    }

    /// Starts all of it with `loki_has` in what is configured of Loki, and `more` at the end.
    pub async fn start_of(loki_has: &str, more: &str) -> Self {
        Self::start_as(None, loki_has, "", more, true).await
    }

    /// Starts all of it with one issuer more, a line of its own, and `more` at the end.
    pub async fn start_trusting(issuer: &str, more: &str) -> Self {
        Self::start_as(None, LOKI, issuer, more, true).await
    }

    /// Starts all of it, but calls of gRPC go to a Tempo that serves none.
    pub async fn start_without_grpc() -> Self {
        Self::start_as(None, LOKI, "", "", false).await
    }

    /// Starts all of it with the Loki at this URL, and `more` at the end.
    pub async fn start_before(loki: String, more: &str) -> Self {
        Self::start_as(Some(loki), LOKI, "", more, true).await
    }

    async fn start_as(
        other_loki: Option<String>,
        loki_has: &str,
        second_issuer: &str,
        more: &str,
        grpc_served: bool,
    ) -> Self {
        let issuer = FakeIssuer::start().await;
        let (prometheus, loki, tempo) =
            (FakeUpstream::start().await, FakeUpstream::start().await, FakeUpstream::start().await);
        let (alertmanager, grpc) = (FakeUpstream::start().await, FakeGrpc::start().await);
        // One that a test says itself counts.
        let admin = if more.contains("admin:") { "" } else { "admin: { address: 127.0.0.1:0 }" };
        let grpc_url = if grpc_served { format!(", grpc_url: {}", grpc.url()) } else { String::new() };
        let text = format!(
            "listen: [{{ address: 127.0.0.1:0 }}, {{ address: 127.0.0.1:0, backend: tempo }}]
{admin}
issuers:
  - {{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade], algorithms: [RS256] }}
{second_issuer}
backends:
  prometheus: {{ url: \"{}\", labels: {{ tenant: tenant, region: region }}, timeout: 1s,
                features: [search-api, federate, remote-read] }}
  bare: {{ kind: prometheus, url: \"{}\", labels: {{ tenant: tenant }} }}
  loki: {{ url: \"{}/prefix\", {loki_has} }}
  tempo: {{ url: \"{}\", labels: {{ tenant: resource.tenant }}, features: [traces_never_mix_tenants],
    redacted_traces: true{grpc_url} }}
  alertmanager: {{ url: \"{}\", labels: {{ tenant: tenant, region: region }} }}
policies: policies
{more}
",
            issuer.url(),
            issuer.jwks_url(),
            prometheus.url(),
            prometheus.url(),
            other_loki.unwrap_or_else(|| loki.url()),
            tempo.url(),
            alertmanager.url(),
        );
        let config = Config::parse("test.yaml", &text, Path::new("")).unwrap_or_else(|e| panic!("{e}"));
        let policy = ("test.yaml".to_owned(), POLICY.to_owned());
        let policies = Policies::compile(&[policy], &config.limits).unwrap_or_else(|e| panic!("{e}"));
        let running = start(&config, policies).await.unwrap();
        let proxy = Self { issuer, prometheus, loki, tempo, grpc, alertmanager, running, config };
        proxy.wait_until_ready().await;
        proxy
    }

    async fn wait_until_ready(&self) {
        for _ in 0..500 {
            if self.admin("/readyz").await.status == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never ready");
    }

    /// A token for these claims beside the usual ones.
    pub fn token(&self, claims: Value) -> String {
        let mut all = self.issuer.claims("none");
        all.as_object_mut().unwrap().remove("tenant");
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.issuer.key().token(&all)
    }

    /// A token of the tenant `acme-books`.
    pub fn acme(&self) -> String {
        self.token(json!({ "tenant": "acme-books" }))
    }

    /// GET as `acme-books`.
    pub async fn get(&self, target: &str) -> Answered {
        self.send("GET", target, &[], "").await
    }

    /// POST of a form as `acme-books`.
    pub async fn post(&self, target: &str, form: &str) -> Answered {
        let length = format!("Content-Length: {}", form.len());
        self.send("POST", target, &["Content-Type: application/x-www-form-urlencoded", &length], form).await
    }

    /// A request as `acme-books`, header lines as given.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: impl AsRef<[u8]>,
    ) -> Answered {
        let authorization = format!("Authorization: Bearer {}", self.acme());
        let mut all = vec![authorization.as_str()];
        all.extend(headers);
        self.raw(method, target, &all, body).await
    }

    /// A request with these header lines and no others but `Host`.
    pub async fn raw(
        &self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: impl AsRef<[u8]>,
    ) -> Answered {
        let address = self.running.addresses[0];
        exchange(&address.to_string(), method, target, headers, body).await
    }

    /// GET on the admin listener.
    pub async fn admin(&self, path: &str) -> Answered {
        exchange(&self.running.admin.to_string(), "GET", path, &[], "").await
    }
}

/// Sends one request over a connection of its own.
pub async fn exchange(
    address: &str,
    method: &str,
    target: &str,
    headers: &[&str],
    body: impl AsRef<[u8]>,
) -> Answered {
    parse(&exchanged(address, method, target, headers, body.as_ref()).await)
}

/// All that comes for a request without a body, as it comes.
pub async fn raw_exchange(address: &str, method: &str, target: &str, headers: &[&str]) -> String {
    String::from_utf8(exchanged(address, method, target, headers, b"").await).unwrap()
}

async fn exchanged(address: &str, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|header| header.starts_with("Host: ")) {
        head.push_str("Host: palisade.test\r\n");
    }
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read all of a request that it refuses.
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await;
    let mut all = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await.unwrap();
    all
}

fn parse(all: &[u8]) -> Answered {
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {all:?}"));
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line}")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
    let body = if chunked { unchunked(&all[end + 4..]) } else { all[end + 4..].to_vec() };
    Answered { status, headers, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}
