//! Memory: answers that are cut, large and many, of callers that read fast, slowly or not at all.

use super::backend::{Backend, EMPTY, Step, answer, json};
use super::child::{Palisade, Settings, caller};
use super::client::{Measured, QUERY, load, request};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes of an answer of which many are asked for. A build that is not optimised cuts ten times as long; so many of either
/// would be over the bound of the process.
fn many_bytes() -> usize {
    if optimised() { 60_000_000 } else { 16_000_000 }
}

/// Whether another build is tested than that of this test, which is not optimised.
fn optimised() -> bool {
    std::env::var_os("PALISADE_FAULTS_PROGRAM").is_some()
}

/// Bytes of one whose cut is measured by itself.
const ONE_BYTES: usize = 40_000_000;
/// Bytes that any cut may take beside 1.5 times its answer: buffers, stacks, what the allocator keeps.
const BESIDE: u64 = 6 << 20;
/// What callers may have of 512 MiB by default.
const MORE: &str = "limits: { memory_bytes: 322122547 }";

/// Alerts of Prometheus, of which one in eight is another tenant's.
fn list(bytes: usize) -> String {
    let alert = |number: usize| {
        let tenant = if number % 8 == 3 { "globex-lit" } else { "acme-books" };
        format!(
            r#"{{"labels":{{"alertname":"Late","instance":"shop-{number}:8080","severity":"page","tenant":"{tenant}"}},"annotations":{{"summary":"Orders of shop {number} are late"}},"state":"firing","activeAt":"2026-01-01T00:00:00Z","value":"1e+00"}}"#
        )
    };
    repeated(bytes, "[", alert, "]")
}

/// A list of so many bytes.
fn repeated(bytes: usize, begin: &str, element: impl Fn(usize) -> String, end: &str) -> String {
    let mut all = begin.to_owned();
    for number in 0.. {
        if all.len() >= bytes {
            break;
        }
        all.push_str(if number > 0 { "," } else { "" });
        all.push_str(&element(number));
    }
    all + end
}

fn whole(content_type: &str, body: &[u8]) -> Bytes {
    match answer("200 OK", &format!("Content-Type: {content_type}\r\n"), body) {
        Step::Send(bytes) => bytes.into(),
        other => panic!("{other:?}"),
    }
}

fn alerts(bytes: usize) -> Bytes {
    let text = list(bytes);
    whole("application/json", format!(r#"{{"status":"success","data":{{"alerts":{text}}}}}"#).as_bytes())
}

/// One rule that has all the alerts.
fn rules(bytes: usize) -> Bytes {
    let text = list(bytes);
    let rule = format!(
        r#"{{"name":"Late","query":"up == 0","duration":0,"labels":{{}},"annotations":{{}},"alerts":{text},"health":"ok","type":"alerting","state":"firing"}}"#
    );
    let group = format!(r#"{{"name":"g","file":"f","interval":60,"rules":[{rule}]}}"#);
    whole("application/json", format!(r#"{{"status":"success","data":{{"groups":[{group}]}}}}"#).as_bytes())
}

fn silences(bytes: usize) -> Bytes {
    let silence = |number: usize| {
        format!(
            r#"{{"id":"{number}","status":{{"state":"active"}},"updatedAt":"2026-01-01T00:00:00Z","comment":"c","createdBy":"someone","endsAt":"2026-02-01T00:00:00Z","startsAt":"2026-01-01T00:00:00Z","matchers":[{{"isEqual":true,"isRegex":false,"name":"tenant","value":"acme-books"}}]}}"#
        )
    };
    whole("application/json", repeated(bytes, "[", silence, "]").as_bytes())
}

fn search(bytes: usize) -> Bytes {
    let trace = |number: usize| {
        let span = format!(
            r#"{{"spanID":"{number:016x}","startTimeUnixNano":"1700000000000000000","durationNanos":"5","attributes":[{{"key":"tenant","value":{{"stringValue":"acme-books"}}}},{{"key":"shop","value":{{"stringValue":"shop-{number}"}}}}]}}"#
        );
        let spans = vec![span; 3].join(",");
        format!(
            r#"{{"traceID":"{number:032x}","rootServiceName":"shop","rootTraceName":"GET /","startTimeUnixNano":"1700000000000000000","durationMs":5,"spanSets":[{{"spans":[{spans}],"matched":3}}]}}"#
        )
    };
    let text = repeated(bytes, r#"{"traces":["#, trace, "]}");
    whole("application/json", text.as_bytes())
}

/// A field of protobuf that has a length.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![tag << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut all);
    all.extend_from_slice(content);
    all
}

/// A trace of one resource.
fn trace(bytes: usize) -> Bytes {
    let attribute =
        |key: &str, value: &str| [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat();
    let resource = field(1, &field(1, &attribute("tenant", "acme-books")));
    let mut spans = Vec::new();
    let mut number: u64 = 0;
    while spans.len() < bytes {
        number += 1;
        let span = [
            field(1, &[7; 16]),
            field(2, &number.to_be_bytes()),
            field(4, &[1; 8]),
            field(5, b"GET /orders"),
            field(9, &attribute("http.url", "https://shop.test/orders/of/a/customer")),
            field(9, &attribute("shop", &format!("shop-{number}"))),
        ];
        spans.extend(field(2, &span.concat()));
    }
    let trace = field(1, &[resource, field(2, &spans)].concat());
    whole("application/protobuf", &field(1, &trace))
}

/// A backend that answers what is to be cut with `large`, and all else with little.
async fn backend(large: Bytes) -> Backend {
    Backend::start_with(move |head, _| {
        if head.contains("/label/") {
            return vec![json(r#"{"status":"success","data":["metric_1"]}"#)];
        }
        if head.contains("/query") { vec![json(EMPTY)] } else { vec![Step::Share(large.clone())] }
    })
    .await
}

async fn server(backend: &Backend, more: &str) -> Palisade {
    let url = backend.url();
    let line = |kind: &str, label: &str| {
        format!("  {kind}: {{ url: \"{url}\", labels: {{ tenant: {label} }}, timeout: 30s }}\n")
    };
    let backends =
        line("prometheus", "tenant") + &line("alertmanager", "tenant") + &line("tempo", "resource.tenant");
    Palisade::start(&Settings { backends, more, ..Settings::of(backend) }).await
}

/// Reads an answer and forgets it: its status, and the bytes of its body.
async fn read(address: SocketAddr, target: &str, caller: &str) -> std::io::Result<(u16, usize)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request(target, &format!("Connection: close\r\n{caller}"))).await?;
    let mut begin = Vec::new();
    let end = loop {
        if let Some(end) = begin.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut begin).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let status = String::from_utf8_lossy(&begin[9..12]).parse().unwrap();
    let (mut part, mut bytes) = (vec![0; 256 * 1024], begin.len() - end);
    loop {
        match stream.read(&mut part).await? {
            0 => return Ok((status, bytes)),
            read => bytes += read,
        }
    }
}

/// How much a server grows by while one large answer is cut, in bytes.
async fn growth(large: Bytes, target: &str) -> u64 {
    let backend = backend(large).await;
    // Enough of it that the control is not refused.
    let palisade = server(&backend, "limits: { memory_bytes: 1073741824 }").await;
    let caller = caller("acme-books");
    assert_eq!(read(palisade.address, QUERY, &caller).await.unwrap().0, 200);
    let before = palisade.peak();
    let (status, bytes) = read(palisade.address, target, &caller).await.unwrap();
    assert_eq!(status, 200, "{target}: {}", palisade.log());
    assert!(
        target.contains("metadata") || target.contains("search") || bytes > ONE_BYTES / 2,
        "{target}: {bytes}"
    );
    // The watcher looks once more.
    tokio::time::sleep(Duration::from_millis(50)).await;
    palisade.peak() - before
}

/// One large cut, which may take so many times its answer, with its figure.
async fn within(most: f64, large: fn(usize) -> Bytes, target: &str) -> String {
    let grown = growth(large(ONE_BYTES), target).await;
    let times = grown as f64 / ONE_BYTES as f64;
    assert!(grown as f64 <= most * ONE_BYTES as f64 + BESIDE as f64, "{times:.2} times the answer");
    format!("{times:.2} times the answer")
}

/// A list.
pub async fn cut_alerts() -> String {
    within(1.5, alerts, "/prometheus/api/v1/alerts").await
}

/// A list in a list in a list.
pub async fn cut_rules() -> String {
    within(1.5, rules, "/prometheus/api/v1/rules").await
}

/// A list without others' elements.
pub async fn cut_silences() -> String {
    within(1.5, silences, "/alertmanager/api/v2/silences").await
}

/// What is ordered and chosen anew.
pub async fn cut_search() -> String {
    within(1.5, search, "/tempo/api/search?q=%7B%7D&limit=100000").await
}

/// From protobuf to JSON, with its many small spans put in order.
pub async fn cut_trace() -> String {
    within(1.75, trace, "/tempo/api/v2/traces/0707").await
}

/// How others are answered, a light query each 10 ms, and how they were without the fault.
async fn others(palisade: &Palisade, length: Duration) -> Measured {
    let request = request(QUERY, &caller("globex-lit"));
    load(palisade.address, request, 2, Duration::from_millis(10), length).await
}

/// Others are answered all, and by a build that is optimised within twice the time, or within 20 ms where that is more: less
/// is the noise of a machine that has other work.
fn hold(before: &Measured, during: &Measured) -> String {
    let (p99, now) = (before.p99(), during.p99());
    assert_eq!(during.with(200), during.statuses.len(), "others are refused");
    let told = format!("others' p99 {p99:.1?} before, {now:.1?} during");
    assert!(!optimised() || now <= (p99 * 2).max(Duration::from_millis(20)), "{told}");
    told
}

/// Streams of one connection that take nothing.
pub async fn atk_66_stalled_streams() -> String {
    let backend = backend(alerts(many_bytes())).await;
    let mut palisade = server(&backend, MORE).await;
    let before = others(&palisade, Duration::from_secs(2)).await;
    let caller = caller("acme-books");
    let token = caller.trim_end().strip_prefix("Authorization: ").unwrap().to_owned();
    let stream = TokioIo::new(TcpStream::connect(palisade.address).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(0);
    let (client, connection) = builder.handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let target = format!("http://{}/prometheus/api/v1/alerts", palisade.address);
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut client = client.clone();
        let request =
            Request::get(&target).header("authorization", &token).body(Empty::<Bytes>::new()).unwrap();
        asked.spawn(async move { client.send_request(request).await });
    }
    let during = others(&palisade, Duration::from_secs(10)).await;
    let (mut passed, mut refused, mut held) = (0, 0, Vec::new());
    while let Some(Ok(answer)) =
        tokio::time::timeout(Duration::from_secs(10), asked.join_next()).await.ok().flatten()
    {
        match answer.map(|answer| (answer.status().as_u16(), answer)) {
            Ok((200, answer)) => {
                passed += 1;
                held.push(answer);
            }
            Ok((503, _)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    let told = hold(&before, &during);
    assert!(palisade.runs() && refused > 0 && (passed > 0 || !optimised()), "{passed} {refused}");
    connection.abort();
    format!("{passed} held, {refused} refused, peak {} MiB, {told}", palisade.peak() >> 20)
}

/// Readers that take some bytes and then wait.
pub async fn atk_66_slow_readers() -> String {
    let backend = backend(alerts(many_bytes())).await;
    let mut palisade = server(&backend, MORE).await;
    let before = others(&palisade, Duration::from_secs(2)).await;
    let mut slow = Vec::new();
    for number in 0..77 {
        let caller = caller(&format!("tenant-{}", number % 7));
        let mut stream = TcpStream::connect(palisade.address).await.unwrap();
        stream.write_all(&request("/prometheus/api/v1/alerts", &caller)).await.unwrap();
        slow.push(stream);
    }
    let during = others(&palisade, Duration::from_secs(10)).await;
    let (mut passed, mut refused, mut waiting) = (0, 0, 0);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    for stream in &mut slow {
        let mut begin = [0; 12];
        match tokio::time::timeout_at(deadline, stream.read_exact(&mut begin)).await {
            Ok(Ok(_)) if &begin[9..] == b"200" => passed += 1,
            Ok(Ok(_)) if &begin[9..] == b"503" => refused += 1,
            Err(_) => waiting += 1,
            other => panic!("{other:?} {}", String::from_utf8_lossy(&begin)),
        }
    }
    let told = hold(&before, &during);
    assert!(palisade.runs() && refused > 0 && passed + refused + waiting == 77);
    format!("{passed} began, {refused} refused, {waiting} wait, peak {} MiB, {told}", palisade.peak() >> 20)
}

/// Readers that take all as fast as they can, again and again.
pub async fn fast_readers() -> String {
    let backend = backend(alerts(many_bytes())).await;
    let mut palisade = server(&backend, MORE).await;
    let before = others(&palisade, Duration::from_secs(2)).await;
    let (passed, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut readers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (address, caller) = (palisade.address, caller(&format!("tenant-{}", number % 4)));
        let (passed, refused) = (Arc::clone(&passed), Arc::clone(&refused));
        readers.spawn(async move {
            loop {
                match read(address, "/prometheus/api/v1/alerts", &caller).await.unwrap() {
                    (200, _) => passed.fetch_add(1, Ordering::SeqCst),
                    (503, _) => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        refused.fetch_add(1, Ordering::SeqCst)
                    }
                    other => panic!("{other:?}"),
                };
            }
        });
    }
    let during = others(&palisade, Duration::from_secs(15)).await;
    // One that ended was answered something else.
    assert!(readers.try_join_next().is_none());
    readers.shutdown().await;
    let (passed, refused) = (passed.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    let told = hold(&before, &during);
    assert!(palisade.runs() && (passed > 0 || !optimised()), "{passed} {refused}");
    format!("{passed} read, {refused} refused, peak {} MiB, {told}", palisade.peak() >> 20)
}
