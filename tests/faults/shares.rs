//! Who takes what others share: a backend that hangs, an operator who reloads all the time, more callers than there is
//! room for, one that takes nothing of its answers, and one whose questions are long.

use super::backend::{Backend, EMPTY, Step, answer, json};
use super::child::{Palisade, Settings, bearer, caller};
use super::client::{Connection, Measured, QUERY, load, request};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const LENGTH: Duration = Duration::from_millis(1500);

/// A few callers of a tenant, a pause after each answer: the best of three times, for what else the machine does only
/// adds. None may be refused.
async fn others(palisade: &Palisade, target: &str) -> Measured {
    let request = request(target, &caller("globex-lit"));
    let mut best: Option<Measured> = None;
    for _ in 0..3 {
        let measured = load(palisade.address, request.clone(), 4, Duration::from_millis(5), LENGTH).await;
        assert_eq!(measured.with(200), measured.statuses.len(), "others are refused");
        if best.as_ref().is_none_or(|best| measured.p99() < best.p99()) {
            best = Some(measured);
        }
    }
    best.unwrap()
}

/// One backend hangs, and one tenant sends it 2,000 requests: others have another, and notice nothing.
pub async fn atk_68_hung_backend() -> String {
    let (hung, good) = (Backend::start_with(|_, _| vec![Step::Hang]).await, Backend::start().await);
    let settings = Settings::of(&hung);
    let more = settings.backends.replace("prometheus: {", "second: { kind: prometheus,");
    let backends = settings.backends.replace("2s", "60s") + &more.replace(&hung.url(), &good.url());
    let palisade = Palisade::start(&Settings { backends, ..settings }).await;
    let calm = others(&palisade, "/second/api/v1/query?query=up").await;
    let request = request(QUERY, &caller("acme-books"));
    let mut open = Vec::new();
    for _ in 0..2_000 {
        let mut connection = Connection::open(palisade.address).await.unwrap();
        connection.stream.write_all(&request).await.unwrap();
        open.push(connection);
    }
    let reached = hung.requests();
    assert!(reached > 0 && reached <= 512, "{reached} hold a place");
    let meanwhile = others(&palisade, "/second/api/v1/query?query=up").await;
    let bar = Duration::from_millis(10).max(calm.p99() * 2);
    assert!(meanwhile.p99() < bar, "p99 {:?} of others, {:?} before", meanwhile.p99(), calm.p99());
    let (now, before) = (meanwhile.p99(), calm.p99());
    format!("{reached} hang, p99 of others {now:.1?}, {before:.1?} before, {} MiB", palisade.peak() >> 20)
}

/// The most that began within that time of each other.
fn at_once(mut began: Vec<Instant>, length: Duration) -> usize {
    began.sort();
    let within = |from: &Instant| began.iter().filter(|at| **at >= *from && **at < *from + length).count();
    began.iter().map(within).max().unwrap_or(0)
}

/// A reload every 50 ms under load: nothing fails, and what counts goes on counting.
pub async fn atk_69_reloads() -> String {
    let took = Duration::from_millis(50);
    let began: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let told = Arc::clone(&began);
    let backend = Backend::start_with(move |_, _| {
        told.lock().unwrap().push(Instant::now());
        vec![Step::Pause(took), json(EMPTY)]
    })
    .await;
    let more = "limits: { concurrent_requests: 8, tenant_share: 100 }";
    let palisade = Palisade::start(&Settings { more, ..Settings::of(&backend) }).await;
    let request = request(QUERY, &caller("acme-books"));
    let pause = Duration::from_millis(5);
    let loading = tokio::spawn(load(palisade.address, request, 16, pause, Duration::from_secs(4)));
    let mut reloads = 0;
    while !loading.is_finished() {
        palisade.signal("HUP");
        reloads += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let measured = loading.await.unwrap();
    let (good, refused) = (measured.with(200), measured.with(429) + measured.with(503));
    assert_eq!(good + refused, measured.statuses.len(), "failures");
    assert!(refused > 0, "the cap was never met");
    // A request holds its place a little longer than the backend takes.
    let most = at_once(std::mem::take(&mut began.lock().unwrap()), took);
    assert!(most <= 8, "{most} at once under a cap of 8");
    format!("{reloads} reloads, {good} answers, {refused} refused, at most {most} at once of 8")
}

/// Twice as many callers as there are places: those that are served are served as fast, and the others told at once.
pub async fn overload() -> String {
    let took = Duration::from_millis(20);
    let backend = Backend::start_with(move |_, _| vec![Step::Pause(took), json(EMPTY)]).await;
    let more = "limits: { concurrent_requests: 16, tenant_share: 100 }";
    let palisade = Palisade::start(&Settings { more, ..Settings::of(&backend) }).await;
    let request = request(QUERY, &caller("acme-books"));
    let length = Duration::from_secs(5);
    let pause = Duration::from_millis(5);
    let best = load(palisade.address, request.clone(), 16, pause, length).await;
    let over = load(palisade.address, request, 32, pause, length).await;
    let part = over.with(200) as f64 / best.with(200) as f64;
    let refused = Measured {
        times: over.times.iter().zip(&over.statuses).filter(|(_, s)| **s != 200).map(|(t, _)| *t).collect(),
        statuses: over.statuses.iter().copied().filter(|status| *status != 200).collect(),
    };
    assert!(refused.statuses.iter().all(|status| matches!(status, 429 | 503)), "{:?}", refused.statuses);
    assert!(part >= 0.9, "{part:.2} of the best is served");
    assert!(!refused.times.is_empty() && refused.p99() < took, "refusals take {:?}", refused.p99());
    let (count, p99) = (refused.times.len(), refused.p99());
    format!("{part:.2} of the best rate of {}/s, {count} refusals, p99 {p99:.1?}", best.with(200) / 5)
}

/// A backend that closes each connection without a word: what must not be sent twice reaches it once, each time.
pub async fn unannounced_ends() -> String {
    let backend = Backend::start_with(|_, _| {
        vec![json(r#"{"silenceID":"4b4b4f3e-0f7c-4f55-9c7e-0a0a0a0a0a0a"}"#), Step::Close]
    })
    .await;
    let settings = Settings::of(&backend);
    let backends = settings.backends.replace("prometheus:", "alertmanager:");
    let palisade = Palisade::start(&Settings { backends, ..settings }).await;
    let body = r#"{"matchers":[{"name":"tenant","value":"acme-books","isRegex":false,"isEqual":true},{"name":"job","value":"x","isRegex":false,"isEqual":true}],"startsAt":"2030-01-01T00:00:00Z","endsAt":"2030-01-02T00:00:00Z","createdBy":"a","comment":"b"}"#;
    let caller = caller("acme-books");
    let request = format!(
        "POST /alertmanager/api/v2/silences HTTP/1.1\r\nHost: a\r\n{caller}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(palisade.address).await.unwrap();
    let count = 500;
    for number in 0..count {
        let answer = connection.ask(request.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200, "silence {number}: {}", answer.text());
        // Some find the connection closed, some being closed, some not yet.
        tokio::time::sleep(Duration::from_micros(number * 37 % 900)).await;
    }
    assert_eq!(backend.requests(), count as usize);
    format!("{count} silences, 0 of them 502")
}

/// Streams and connections that take nothing of large answers end, with their lines, and one that does is served
/// beside them.
pub async fn atk_66_untaken() -> String {
    let large = vec![b' '; 8 << 20];
    let backend = Backend::start_with(move |head, _| match head.contains("query_range") {
        false => vec![json(EMPTY)],
        true => vec![answer("200 OK", "Content-Type: application/json\r\n", &large)],
    })
    .await;
    let more = "limits: { stall_timeout: 2s }\naudit: { file: audit.jsonl }";
    let palisade = Palisade::start(&Settings { more, ..Settings::of(&backend) }).await;
    let caller = caller("acme-books");
    let token = caller.trim_end().strip_prefix("Authorization: ").unwrap();
    let stream = TokioIo::new(TcpStream::connect(palisade.address).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1).initial_connection_window_size(1 << 20);
    let (client, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let began = Instant::now();
    let mut untaken = JoinSet::new();
    for _ in 0..50 {
        let target =
            format!("http://{}/prometheus/api/v1/query_range?query=x&start=1&end=2&step=1", palisade.address);
        let request =
            Request::get(target).header("authorization", token).body(Empty::<Bytes>::new()).unwrap();
        let mut client = client.clone();
        untaken.spawn(async move {
            let mut body = client.send_request(request).await.unwrap().into_body();
            tokio::time::sleep(Duration::from_secs(4)).await;
            loop {
                match body.frame().await.expect("all of it") {
                    Ok(_) => {}
                    Err(error) => return format!("{error:?}"),
                }
            }
        });
    }
    let asked = request("/prometheus/api/v1/query_range?query=x&start=1&end=2&step=1", &caller);
    let mut silent = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(palisade.address).await.unwrap();
        stream.write_all(&asked).await.unwrap();
        silent.push(stream);
    }
    let beside = others(&palisade, QUERY).await;
    for error in untaken.join_all().await {
        assert!(error.contains("CANCEL"), "{error}");
    }
    let lines: Vec<_> = loop {
        let lines = palisade.lines("audit.jsonl");
        let of: Vec<_> = lines.into_iter().filter(|line| line["endpoint"] == "query_range").collect();
        if of.len() == 60 {
            break of;
        }
        assert!(began.elapsed() < Duration::from_secs(12), "{} lines of 60", of.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(lines.iter().all(|line| line["complete"] == false), "{lines:?}");
    let broken = lines.iter().filter(|line| line["outcome"] == "broken").count();
    assert_eq!(broken, 50);
    for mut stream in silent {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok() && rest.len() < 8 << 20, "a connection that took nothing goes on");
    }
    let took = lines.iter().filter_map(|line| line["duration"].as_f64()).fold(0.0, f64::max);
    format!(
        "50 streams reset, 10 connections ended, heads after {took:.1} s at most, p99 beside {:.1?}, {} MiB",
        beside.p99(),
        palisade.peak() >> 20
    )
}

/// The longest claims and the longest texts that a token may send keep nobody waiting.
pub async fn atk_6d_long_questions() -> String {
    let backend = Backend::start().await;
    let policy = "rules: [{ name: tenants, when: 'has(claims.tenant) && claims.groups.all(a, claims.groups.exists(b, a == b))', scope: { tenant: claims.tenant } }, { name: few, when: '!has(claims.groups)', scope: { tenant: claims.tenant } }]\n";
    let palisade = Palisade::start(&Settings { policy, ..Settings::of(&backend) }).await;
    let calm = others(&palisade, QUERY).await;
    let tenants: Vec<_> = (0..150).map(|number| format!("tenant-{number}")).collect();
    let groups: Vec<_> = (0..700).map(|number| format!("g{number}")).collect();
    let query = (0..700).map(|number| format!("x{number}")).collect::<Vec<_>>().join("%2B");
    let body = format!("query={query}");
    let (address, mut asking) = (palisade.address, JoinSet::new());
    for asker in 0..2 {
        let (tenants, groups, body) = (tenants.clone(), groups.clone(), body.clone());
        asking.spawn(async move {
            let mut count = 0;
            let began = Instant::now();
            while began.elapsed() < LENGTH * 3 {
                // Each token is another: none is decided twice.
                let claims = serde_json::json!({ "tenant": tenants, "groups": groups, "n": count, "a": asker });
                let request = format!(
                    "POST /prometheus/api/v1/query HTTP/1.1\r\nHost: a\r\n{}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                    bearer(&claims),
                    body.len()
                );
                let mut connection = Connection::open(address).await.unwrap();
                let answer = connection.ask(request.as_bytes()).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                count += 1;
            }
            count
        });
    }
    let meanwhile = others(&palisade, QUERY).await;
    let count: usize = asking.join_all().await.into_iter().sum();
    // In a build without optimisation a worker that makes one itself is kept for a second.
    let bar = Duration::from_millis(100).max(calm.p99() * 4);
    assert!(meanwhile.p99() < bar, "p99 {:?} of others, {:?} before", meanwhile.p99(), calm.p99());
    format!("{count} long ones, p99 of others {:.1?}, {:.1?} before", meanwhile.p99(), calm.p99())
}
