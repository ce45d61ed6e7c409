//! Loki's live tail: a WebSocket, scoped, one way, and never longer than its token.

use super::support::proxy::{Answered, Proxy};
use super::support::tail::{FakeTail, HANDSHAKE, Opened, Socket};
use super::support::unsalted_logql;
use palisade::limits::Limits;
use palisade::policy::Policies;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio_tungstenite::tungstenite::Message;

const TAIL: &str = "/loki/loki/api/v1/tail?query={app=%22web%22}";

/// Palisade before a Loki that tails.
struct Tailing {
    proxy: Proxy,
    loki: FakeTail,
}

impl Tailing {
    async fn start() -> Self {
        Self::start_with("").await
    }

    async fn start_with(more: &str) -> Self {
        let loki = FakeTail::start().await;
        let proxy = Proxy::start_before(loki.url(), more).await;
        Self { proxy, loki }
    }

    /// Opens a tail as a caller with these claims; gives the client's side and the backend's.
    async fn open(&mut self, claims: serde_json::Value, target: &str, more: &[&str]) -> (Socket, Opened) {
        let client = Socket::open(&self.proxy, &self.proxy.token(claims), target, more).await;
        (client, self.loki.next().await)
    }

    async fn acme(&mut self) -> (Socket, Opened) {
        self.open(json!({ "tenant": "acme-books" }), TAIL, &[]).await
    }

    /// What a handshake that is refused is answered.
    async fn refused(&mut self, target: &str, lines: &[&str]) -> Answered {
        let answer = self.proxy.send("GET", target, lines, "").await;
        assert!(self.loki.is_unasked(), "{target} {lines:?}");
        answer
    }

    /// The line of this metric; waits for it to say `value`.
    async fn counts(&self, metric: &str, value: u64) {
        let expected = format!("{metric} {value}");
        for _ in 0..200 {
            if self.proxy.admin("/metrics").await.text().lines().any(|line| line == expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {expected}: {}", self.proxy.admin("/metrics").await.text());
    }

    async fn ended(&self, reason: &str, value: u64) {
        let metric = format!("palisade_tails_ended_total{{backend=\"loki\",reason=\"{reason}\"}}");
        self.counts(&metric, value).await;
    }
}

const OPEN: &str = "palisade_tails_open{backend=\"loki\"}";

#[tokio::test]
async fn a_tail_is_opened_anew_with_the_scope_and_passes_one_way() {
    let mut tailing = Tailing::start().await;
    let target = format!("{TAIL}&limit=7&delay_for=3&since=5m&evil=1");
    let more = [
        "X-Loki-Response-Encoding-Flags: categorize-labels",
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Protocol: chat",
        "X-Scope-OrgID: globex-lit",
        "Cookie: a=b",
    ];
    let (mut client, mut backend) = tailing.open(json!({ "tenant": "acme-books" }), &target, &more).await;
    let query = r#"query={tenant="acme-books",app="web"}&since=5m&limit=7&delay_for=3"#;
    let line = percent_encoding::percent_decode_str(&backend.line).decode_utf8().unwrap();
    assert_eq!(unsalted_logql(&line), format!("GET /prefix/loki/api/v1/tail?{query}"));
    let headers: Vec<&str> = backend
        .headers
        .iter()
        .map(String::as_str)
        .filter(|h| !h.starts_with("sec-websocket-key: "))
        .collect();
    let expected = [
        "accept-encoding: identity",
        "accept: application/json",
        "connection: Upgrade",
        &format!("host: {}", tailing.loki.url().trim_start_matches("http://")),
        "sec-websocket-version: 13",
        "upgrade: websocket",
        &format!("user-agent: palisade/{}", env!("CARGO_PKG_VERSION")),
        "x-loki-response-encoding-flags: categorize-labels",
    ];
    assert_eq!(headers, expected);
    assert!(!backend.headers.iter().any(|h| h.contains("dGhlIHNhbXBsZSBub25jZQ==")), "a key of our own");
    tailing.counts(OPEN, 1).await;

    for line in ["{\"streams\":[]}", "ünd", ""] {
        client.send(Message::text("a client says")).await;
        client.send(Message::binary(vec![0; 10])).await;
        backend.socket.send(Message::text(line)).await;
        assert_eq!(client.next().await, Some(Message::text(line)));
    }
    client.send(Message::Close(None)).await;
    // Nothing that the client said came before it.
    assert_eq!(backend.socket.closed().await, (1000, String::new()));
    tailing.ended("client", 1).await;
    tailing.counts(OPEN, 0).await;
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_and_nothing_else_is_upgraded() {
    let mut tailing = Tailing::start().await;
    let without =
        |name: &str| HANDSHAKE.into_iter().filter(|line| !line.starts_with(name)).collect::<Vec<_>>();
    let with = |name: &str, line: &'static str| [without(name), vec![line]].concat();
    for lines in [
        Vec::new(),
        without("Upgrade"),
        without("Connection"),
        without("Sec-WebSocket-Version"),
        with("Upgrade", "Upgrade: h2c"),
        with("Upgrade", "Upgrade: h2c, websocket"),
        with("nothing", "Upgrade: h2c"),
        with("Connection", "Connection: close"),
        with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
        with("nothing", "Sec-WebSocket-Version: 13"),
    ] {
        let answer = tailing.refused(TAIL, &lines).await;
        assert_eq!(answer.status, 426, "{lines:?}");
        let told =
            ["upgrade", "sec-websocket-version", "content-type"].map(|name| answer.header(name).unwrap());
        assert_eq!(told, ["websocket", "13", "text/plain; charset=utf-8"]);
    }
    for lines in [
        without("Sec-WebSocket-Key"),
        with("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"),
        with("nothing", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        assert_eq!(tailing.refused(TAIL, &lines).await.status, 400, "{lines:?}");
    }
    // Where no WebSocket is served, these headers mean nothing, and none of them is passed on.
    for lines in
        [&HANDSHAKE[..], &["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]]
    {
        let answer = tailing.proxy.send("GET", "/prometheus/api/v1/query?query=up", lines, "").await;
        assert_eq!(answer.status, 200);
        let headers = tailing.proxy.prometheus.take_one().headers.join("\n");
        assert!(!headers.contains("upgrade") && !headers.contains("sec-"), "{headers}");
    }
    let post = ["Content-Length: 0", "Content-Type: application/x-www-form-urlencoded"];
    let lines = [&HANDSHAKE[..], &post[..]].concat();
    assert_eq!(tailing.proxy.send("POST", TAIL, &lines, "").await.status, 405);
}

#[tokio::test]
async fn parameters_are_held_to_what_a_tail_has() {
    let mut tailing = Tailing::start().await;
    for (target, told) in [
        ("/loki/loki/api/v1/tail", "parameter `query` is missing"),
        ("/loki/loki/api/v1/tail?query={}", "LogQL: "),
        ("/loki/loki/api/v1/tail?query=rate({a=%22b%22}[1m])", "LogQL: "),
        (&format!("{TAIL}&delay_for=6"), "parameter `delay_for` must be a whole number, 5 at most"),
        (&format!("{TAIL}&delay_for=%2B1"), "parameter `delay_for` must be a whole number, 5 at most"),
        (&format!("{TAIL}&regexp=.*"), "parameter `regexp` is not taken, write a line filter"),
        (&format!("{TAIL}&query={{}}"), "parameter `query` is given twice"),
    ] {
        let answer = tailing.refused(target, &HANDSHAKE).await;
        assert_eq!(answer.status, 400, "{target}");
        assert!(answer.text().starts_with(told), "{target}: {}", answer.text());
    }
    // Who is not known learns nothing of all that.
    let answer = tailing.proxy.raw("GET", TAIL, &HANDSHAKE, "").await;
    assert_eq!((answer.status, tailing.loki.is_unasked()), (401, true));
}

#[tokio::test]
async fn pages_of_other_origins_open_no_tail() {
    let mut tailing = Tailing::start_with("tail: { origins: [https://portal.example.org] }").await;
    for origin in
        ["https://evil.example", "null", "", "https://portal.example.org.evil", "http://portal.example.org"]
    {
        let origin = format!("Origin: {origin}");
        let answer = tailing.refused(TAIL, &[&HANDSHAKE[..], &[origin.as_str()]].concat()).await;
        assert_eq!((answer.status, answer.text().as_str()), (403, "origin not accepted"), "{origin}");
    }
    let twice = ["Origin: https://portal.example.org", "Origin: https://portal.example.org"];
    assert_eq!(tailing.refused(TAIL, &[&HANDSHAKE[..], &twice[..]].concat()).await.status, 403);
    tailing.open(json!({ "tenant": "acme-books" }), TAIL, &twice[..1]).await;
    tailing.acme().await;
}

#[tokio::test]
async fn a_backend_that_opens_none_is_told_as_others_are() {
    let tailing = Tailing::start().await;
    for (answer, status, told) in [
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nno tails\n", 400, "no tails"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 502, "the backend gave an unexpected answer"),
        (
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            502,
            "the backend gave an unexpected answer",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
            502,
            "the backend gave an unexpected answer",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            502,
            "the backend gave",
        ),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, "the backend is not ready"),
        ("SSH-2.0\r\n\r\n", 502, "the backend cannot be reached"),
    ] {
        tailing.loki.refuse(answer);
        let given = tailing.proxy.send("GET", TAIL, &HANDSHAKE, "").await;
        assert_eq!(given.status, status, "{answer}");
        assert!(given.text().starts_with(told), "{answer}: {}", given.text());
    }
    tailing.counts(OPEN, 0).await;
}

#[tokio::test]
async fn atk_26_a_tail_ends_with_its_token() {
    let mut tailing = Tailing::start().await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    // Expired 27 s ago, of the 30 s by which the clocks may differ.
    let claims = json!({ "tenant": "acme-books", "exp": now - 27 });
    let (mut client, mut backend) = tailing.open(claims.clone(), TAIL, &[]).await;
    backend.socket.send(Message::text("before")).await;
    assert_eq!(client.next().await, Some(Message::text("before")));
    assert_eq!(client.closed().await, (1008, "token expired".to_owned()));
    let after = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!(after >= Duration::from_secs(now + 3) && after < Duration::from_secs(now + 6), "{after:?} {now}");
    assert_eq!(backend.socket.closed().await.0, 1000);
    tailing.ended("expired", 1).await;
    // The same token opens none.
    let bearer = format!("Authorization: Bearer {}", tailing.proxy.token(claims));
    let lines = [&HANDSHAKE[..], &[bearer.as_str()]].concat();
    assert_eq!(tailing.proxy.raw("GET", TAIL, &lines, "").await.status, 401);
}

/// A rule by which callers see the tenant of their claim `claim`.
fn policies(claim: &str) -> Arc<Policies> {
    let rule =
        format!("rules: [{{ name: r, when: has(claims.{claim}), scope: {{ tenant: claims.{claim} }} }}]");
    Arc::new(Policies::compile(&[("p.yaml".to_owned(), rule)], &Limits::default()).unwrap())
}

#[tokio::test]
async fn atk_26_a_tail_ends_when_a_reload_grants_it_no_more() {
    let mut tailing = Tailing::start().await;
    let two = json!(["acme-books", "globex-lit"]);
    let narrowed = "X-Palisade-Tenant: acme-books";
    let in_path = format!("/t/globex-lit{TAIL}");
    let (mut kept, mut ended) = (Vec::new(), Vec::new());
    for (claims, target, more, stands) in [
        (json!({ "tenant": "acme-books", "other": "acme-books" }), TAIL, None, true),
        (json!({ "tenant": two, "other": ["acme-books", "initech-press"] }), TAIL, Some(narrowed), true),
        (json!({ "tenant": two, "other": "globex-lit" }), &in_path, None, true),
        (json!({ "tenant": "acme-books", "other": "globex-lit" }), TAIL, None, false),
        (json!({ "tenant": "acme-books", "other": ["acme-books", "globex-lit"] }), TAIL, None, false),
        (json!({ "tenant": two, "other": "acme-books" }), TAIL, None, false),
        (json!({ "tenant": two, "other": "globex-lit" }), TAIL, Some(narrowed), false),
        (json!({ "tenant": two, "other": "acme-books" }), &in_path, None, false),
        (json!({ "tenant": "acme-books" }), TAIL, None, false),
    ] {
        let pair = tailing.open(claims, target, more.as_slice()).await;
        if stands { &mut kept } else { &mut ended }.push(pair);
    }
    tailing.proxy.running.reload(&tailing.proxy.config, policies("other")).await.unwrap();
    for (client, backend) in &mut ended {
        assert_eq!(client.closed().await, (1008, "no longer granted".to_owned()));
        assert_eq!(backend.socket.closed().await.0, 1000);
    }
    tailing.ended("policy", 6).await;
    tailing.counts(OPEN, 3).await;
    for (client, backend) in &mut kept {
        backend.socket.send(Message::text("after")).await;
        assert_eq!(client.next().await, Some(Message::text("after")));
    }
    // A backend that is configured otherwise is another.
    let mut config = tailing.proxy.config.clone();
    let loki = config.backends.iter_mut().find(|backend| backend.name == "loki").unwrap();
    loki.timeout = Duration::from_secs(7);
    tailing.proxy.running.reload(&config, policies("other")).await.unwrap();
    for (client, _) in &mut kept {
        assert_eq!(client.closed().await.0, 1008);
    }
}

#[tokio::test]
async fn as_many_tails_as_the_rules_allow_are_open_and_not_one_more() {
    let mut tailing = Tailing::start().await;
    let claims = json!({ "few": "acme-books" });
    let (mut client, backend) = tailing.open(claims.clone(), TAIL, &[]).await;
    // The rule limits the time that may be asked for, too.
    assert!(backend.line.ends_with("&since=60000ms"), "{}", backend.line);
    let bearer = format!("Authorization: Bearer {}", tailing.proxy.token(claims.clone()));
    let lines = [&HANDSHAKE[..], &[bearer.as_str()]].concat();
    let answer = tailing.proxy.raw("GET", TAIL, &lines, "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("10")), "{}", answer.text());
    // An open tail takes no place among the requests, of which the rule allows one at once.
    let answer = tailing.proxy.raw("GET", "/prometheus/api/v1/query?query=up&time=5", &[&bearer], "").await;
    assert_eq!(answer.status, 200);
    // Others have places of their own.
    let _other = tailing.open(json!({ "few": "globex-lit" }), TAIL, &[]).await;
    client.send(Message::Close(None)).await;
    tailing.ended("client", 1).await;
    tailing.open(claims, TAIL, &[]).await;
}

#[tokio::test]
async fn as_many_tails_as_configured_are_open_and_not_one_more() {
    let mut tailing = Tailing::start_with("limits: { concurrent_tails: 2, tenant_share: 100 }").await;
    let (mut first, _second) = (tailing.acme().await, tailing.acme().await);
    let refused = tailing.refused(TAIL, &HANDSHAKE).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("10")));
    // A refusal of the backend gives the place back as well as an end does.
    first.0.send(Message::Close(None)).await;
    tailing.ended("client", 1).await;
    tailing.loki.refuse("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    for _ in 0..3 {
        assert_eq!(tailing.proxy.send("GET", TAIL, &HANDSHAKE, "").await.status, 400);
    }
}

#[tokio::test]
async fn a_message_has_so_many_bytes_as_configured_and_not_one_more() {
    let mut tailing = Tailing::start_with("limits: { tail_message_bytes: 100 }").await;
    let (mut client, mut backend) = tailing.acme().await;
    backend.socket.send(Message::text("x".repeat(100))).await;
    assert_eq!(client.next().await, Some(Message::text("x".repeat(100))));
    backend.socket.send(Message::text("x".repeat(101))).await;
    assert_eq!(client.closed().await, (1009, "a message over the limit".to_owned()));
    tailing.ended("too_large", 1).await;
    // A rule's limit on an answer holds for each message.
    let (mut client, mut backend) = tailing.open(json!({ "brief": "acme-books" }), TAIL, &[]).await;
    backend.socket.send(Message::text("x".repeat(48))).await;
    assert_eq!(client.next().await, Some(Message::text("x".repeat(48))));
    backend.socket.send(Message::text("x".repeat(49))).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn the_backends_end_is_the_clients() {
    let mut tailing = Tailing::start().await;
    let (mut client, backend) = tailing.acme().await;
    drop(backend);
    // No close, as there was none: a client may try again.
    assert_eq!(client.next().await, None);
    let (mut client, mut backend) = tailing.acme().await;
    backend.socket.send(Message::Close(None)).await;
    assert_eq!(client.closed().await, (1000, "ended by the backend".to_owned()));
    tailing.ended("backend", 2).await;
}

#[tokio::test]
async fn no_request_timeout_ends_a_tail_and_the_servers_end_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let more = format!("limits: {{ request_timeout: 1s }}\naudit: {{ file: {path:?} }}");
    let mut tailing = Tailing::start_with(&more).await;
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (mut client, mut backend) = tailing.open(json!({ "tenant": "acme-books" }), TAIL, &[trace]).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    backend.socket.send(Message::text("still here")).await;
    assert_eq!(client.next().await, Some(Message::text("still here")));
    let begun = Instant::now();
    let stopping = tokio::spawn(tailing.proxy.running.stop());
    assert_eq!(client.closed().await, (1001, "shutting down".to_owned()));
    assert_eq!(client.next().await, None);
    assert_eq!(backend.socket.closed().await.0, 1000);
    assert_eq!(backend.socket.next().await, None);
    stopping.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // One for the request, when what it opened has ended.
    assert_eq!(lines.len(), 1, "{text}");
    let told = ["endpoint", "status", "tenants", "trace_id"].map(|name| lines[0][name].clone());
    let trace = json!("0af7651916cd43dd8448eb211c80319c");
    assert_eq!(told, [json!("tail"), json!(101), json!(["acme-books"]), trace]);
    let told = ["ended", "bytes", "complete", "outcome"].map(|name| lines[0][name].clone());
    assert_eq!(told, [json!("shutdown"), json!(10), json!(true), json!("passed")]);
    assert!(lines[0]["duration"].as_f64().unwrap() >= 1.5, "{text}");
    assert!(lines[0]["sent_sha256"].is_string());
}
