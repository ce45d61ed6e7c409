//! Another configuration while the server runs.

use crate::support::issuer::{Answer, FakeIssuer};
use crate::support::proxy::{Proxy, exchange};
use crate::support::upstream::FakeUpstream;
use palisade::auth::config::KeySource;
use palisade::limits::Limits;
use palisade::policy::Policies;
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A rule by which callers see the tenant of their claim `claim`.
fn policies(claim: &str) -> Arc<Policies> {
    let rule =
        format!("rules: [{{ name: r, when: has(claims.{claim}), scope: {{ tenant: claims.{claim} }} }}]");
    Arc::new(Policies::compile(&[("p.yaml".to_owned(), rule)], &Limits::default()).unwrap())
}

/// A connection that stays open.
struct Client {
    stream: TcpStream,
    request: String,
}

impl Client {
    async fn new(proxy: &Proxy) -> Self {
        let token = proxy.token(json!({ "tenant": "acme-books", "other": "globex-lit" }));
        let request = format!(
            "GET /prometheus/api/v1/query?query=up HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        Self { stream: TcpStream::connect(proxy.running.addresses[0]).await.unwrap(), request }
    }

    /// The status of the answer to one request.
    async fn ask(&mut self) -> String {
        self.stream.write_all(self.request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(br#""data":[]}"#) && !answer.ends_with(br#""status":"error"}"#) {
            let read = self.stream.read_buf(&mut answer).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8(answer[9..12].to_vec()).unwrap()
    }
}

#[tokio::test]
async fn an_open_connection_is_served_by_the_new_rules() {
    let mut proxy = Proxy::start().await;
    let mut client = Client::new(&proxy).await;
    assert_eq!(client.ask().await, "200");
    assert!(proxy.prometheus.take_one().body.contains("acme-books"));
    proxy.running.reload(&proxy.config, policies("other")).await.unwrap();
    // Each worker takes the new doors when it comes to it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(client.ask().await, "200");
    assert!(proxy.prometheus.take_one().body.contains("globex-lit"));
    let page = proxy.admin("/metrics").await.text();
    assert!(page.contains("palisade_reload_total{outcome=\"done\"} 1"), "{page}");
}

#[tokio::test]
async fn in_the_middle_of_ten_thousand_requests_each_is_of_the_old_rules_or_the_new() {
    const CLIENTS: usize = 16;
    const REQUESTS: usize = 625;
    let mut proxy = Proxy::start().await;
    proxy.running.reload(&proxy.config, policies("tenant")).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = Client::new(&proxy).await;
        asking.spawn(async move {
            for _ in 0..REQUESTS {
                assert_eq!(client.ask().await, "200");
            }
        });
    }
    let mut reloads = 0;
    while !asking.is_empty() {
        let rules = policies(["other", "tenant"][reloads % 2]);
        proxy.running.reload(&proxy.config, rules).await.unwrap();
        reloads += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
        while let Some(ended) = asking.try_join_next() {
            ended.unwrap();
        }
    }
    let arrived = proxy.prometheus.take();
    assert_eq!(arrived.len(), CLIENTS * REQUESTS);
    let of = |tenant: &str| {
        arrived.iter().filter(|r| r.body == format!("query=up%7Btenant%3D%22{tenant}%22%7D")).count()
    };
    let (old, new) = (of("acme-books"), of("globex-lit"));
    assert!(old > 0 && new > 0 && old + new == arrived.len(), "{old} and {new} after {reloads} reloads");
}

#[tokio::test]
async fn what_only_a_start_reads_is_refused_and_nothing_changes() {
    let mut proxy = Proxy::start().await;
    let mut config = proxy.config.clone();
    config.listen[0].address.set_port(1);
    let fault = proxy.running.reload(&config, policies("other")).await.unwrap_err();
    assert_eq!(fault.to_string(), "`listen[].address` changed, which needs a restart");
    assert_eq!(proxy.get("/prometheus/api/v1/query?query=up").await.status, 200);
    assert!(proxy.prometheus.take_one().body.contains("acme-books"));
    assert!(proxy.admin("/metrics").await.text().contains("palisade_reload_total{outcome=\"refused\"} 1"));
}

#[tokio::test]
async fn the_keys_of_an_issuer_that_is_down_outlast_a_reload() {
    let (_grafana, line) = FakeIssuer::grafana().await;
    let mut proxy = Proxy::start_trusting(&line, "").await;
    let target = "/prometheus/api/v1/query?query=up";
    assert_eq!(proxy.get(target).await.status, 200);
    proxy.issuer.answer_jwks(Answer::Status(503));
    let mut config = proxy.config.clone();
    config.issuers[1].audiences.push("org:3".to_owned());
    proxy.running.reload(&config, policies("tenant")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(proxy.get(target).await.status, 200, "another issuer's settings changed");
    config.issuers[0].audiences.push("another".to_owned());
    proxy.running.reload(&config, policies("tenant")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        proxy.get(target).await.status,
        200,
        "its own settings changed, and not where its keys are from"
    );
    config.issuers[0].keys = KeySource::JwksUrl("http://127.0.0.1:9/".to_owned());
    proxy.running.reload(&config, policies("tenant")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(proxy.get(target).await.status, 503, "its keys are from elsewhere now");
}

#[tokio::test]
async fn metrics_tell_nothing_more_of_an_issuers_keys_once_it_is_gone() {
    let other = FakeIssuer::start().await;
    let more = format!(
        "  - {{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade] }}",
        other.url(),
        other.jwks_url()
    );
    let mut proxy = Proxy::start_trusting(&more, "").await;
    let age =
        |issuer: &FakeIssuer| format!("palisade_issuer_keys_age_seconds{{issuer=\"{}\"}} ", issuer.url());
    let page = proxy.admin("/metrics").await.text();
    assert!(page.contains(&age(&proxy.issuer)) && page.contains(&age(&other)), "{page}");
    let mut config = proxy.config.clone();
    config.issuers.truncate(1);
    proxy.running.reload(&config, policies("tenant")).await.unwrap();
    let page = proxy.admin("/metrics").await.text();
    assert!(page.contains(&age(&proxy.issuer)) && !page.contains(&age(&other)), "{page}");
}

/// `palisade serve`, killed with its value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn atk_3i_files_are_read_again_and_a_broken_one_changes_nothing() {
    let (issuer, prometheus) = (FakeIssuer::start().await, FakeUpstream::start().await);
    let free = |_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let [address, admin] = [0, 1].map(free);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let config = format!(
        "listen: [{{ address: \"{address}\" }}]
admin: {{ address: \"{admin}\" }}
issuers: [{{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade] }}]
backends: {{ prometheus: {{ url: \"{}\", labels: {{ tenant: tenant }} }} }}
policies: policies
",
        issuer.url(),
        issuer.jwks_url(),
        prometheus.url(),
    );
    std::fs::write(folder.path().join("palisade.yaml"), config).unwrap();
    let rules = |text: &str| std::fs::write(folder.path().join("policies/p.yaml"), text).unwrap();
    const OPEN: &str = "rules: [{ name: open, scope: { tenant: claims.tenant } }]";
    rules(OPEN);
    let mut serve = Command::new(env!("CARGO_BIN_EXE_palisade"));
    serve.args(["serve", "--config"]).arg(folder.path().join("palisade.yaml"));
    let process = Process(serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());

    let mut claims = issuer.claims("none");
    claims["tenant"] = json!("acme-books");
    let bearer = format!("Authorization: Bearer {}", issuer.key().token(&claims));
    let becomes = async |status: u16| {
        for _ in 0..200 {
            if TcpStream::connect(address).await.is_ok() {
                let target = "/prometheus/api/v1/query?query=up";
                if exchange(&address.to_string(), "GET", target, &[&bearer], "").await.status == status {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {status}");
    };
    let reloads = async |outcome: &str, least: u32| {
        let before = format!("palisade_reload_total{{outcome=\"{outcome}\"}} ");
        for _ in 0..200 {
            let page = exchange(&admin.to_string(), "GET", "/metrics", &[], "").await.text();
            let count = page.lines().find_map(|line| line.strip_prefix(&before)).unwrap();
            if count.parse::<u32>().unwrap() >= least {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {outcome} {least} times");
    };
    becomes(200).await;
    rules("rules: [{ name: shut, when: has(claims.nothing), scope: { tenant: claims.tenant } }]");
    becomes(403).await;
    rules("rules: [{ name: broken");
    reloads("refused", 1).await;
    becomes(403).await;
    rules(OPEN);
    let hangup = Command::new("kill").args(["-HUP", &process.0.id().to_string()]).status().unwrap();
    assert!(hangup.success());
    becomes(200).await;
    reloads("done", 2).await;
}

#[tokio::test]
async fn what_an_operator_closes_is_refused_by_its_name() {
    let mut proxy =
        Proxy::start_of("labels: { tenant: tenant }, refuse: [json, /loki/api/v1/patterns]", "").await;
    let range = |query: &str| format!("/loki/loki/api/v1/query_range?query={query}");
    let json = range("%7Bapp=%22x%22%7D%7Cjson");
    for (target, status, text) in [
        (json.as_str(), 400, "`json` is closed here by the operator"),
        ("/loki/loki/api/v1/patterns?query=%7Bapp=%22x%22%7D", 403, "the operator has closed this endpoint"),
    ] {
        let answer = proxy.get(target).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(answer.text().contains(text) && proxy.loki.take().is_empty(), "{}", answer.text());
    }
    assert_eq!(proxy.get(&range("%7Bapp=%22json%22%7D")).await.status, 200);
    // A reload opens it again.
    let open = proxy.config.backends.iter_mut().find(|backend| backend.name == "loki").unwrap();
    open.closed = palisade::lang::Closed::default();
    proxy.running.reload(&proxy.config, policies("tenant")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(proxy.get(&json).await.status, 200);
}
