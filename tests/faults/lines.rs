//! The audit log: one line for each request, whatever becomes of it.

use super::backend::{Backend, EMPTY, Step, json};
use super::child::{Palisade, Settings, bearer, caller};
use super::client::{Connection, QUERY, get, request};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Requests of each kind.
const REQUESTS: usize = 2_000;
/// How many are under way at once.
const AT_ONCE: usize = 50;
/// The audit log in the server's folder.
const LOG: &str = "audit.jsonl";
const AUDIT: &str = "audit: { file: audit.jsonl, queries: true }\nshutdown: { delay: 0s, timeout: 2s }";

/// What reached a backend that takes a moment to answer, by the query's name.
type Reached = Arc<Mutex<BTreeMap<String, usize>>>;

async fn slow(pause: Duration) -> (Backend, Reached) {
    let reached = Reached::default();
    let counted = Arc::clone(&reached);
    let backend = Backend::start_with(move |_, body| {
        *counted.lock().unwrap().entry(name(&String::from_utf8_lossy(body))).or_default() += 1;
        vec![Step::Pause(pause), json(EMPTY)]
    });
    (backend.await, reached)
}

/// The name in a query, as it is asked and as it is sent: `q17` of `query=q17` and `query=q17%7B…`.
fn name(query: &str) -> String {
    let from = query.split("query=").nth(1).unwrap_or("");
    from.chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn target(number: usize) -> String {
    format!("/prometheus/api/v1/query?query=q{number}")
}

/// Runs `ask` for each number, some at once.
async fn each<F: Future<Output = ()> + Send + 'static>(ask: impl Fn(usize) -> F) {
    let mut under_way = JoinSet::new();
    for number in 0..REQUESTS {
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        under_way.spawn(ask(number));
    }
    under_way.join_all().await;
}

/// The lines, once the server has ended: no request has two, each that reached the backend has one, and as many were
/// counted as there are. Gives the lines, and how many there are by outcome.
async fn told(mut palisade: Palisade, reached: &Reached, began: usize) -> (Vec<Value>, String) {
    // What is still on its way to the server is no request of its.
    let mut before = usize::MAX;
    while before != palisade.lines(LOG).len() && before != began {
        before = palisade.lines(LOG).len();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    palisade.signal("TERM");
    palisade.ended(Duration::from_secs(10)).await;
    let lines = palisade.lines(LOG);
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        // One that is given up before it is read has none.
        if let Some(asked) = line["asked"].as_str() {
            *by_name.entry(name(asked)).or_default() += 1;
        }
        *outcomes.entry(line["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
        assert_eq!((&line["backend"], &line["endpoint"]), (&"prometheus".into(), &"query".into()), "{line}");
        assert_eq!(line["complete"] == true, line["outcome"] == "passed", "{line}");
    }
    assert!(by_name.values().all(|count| *count == 1), "a request with two lines");
    let reached = reached.lock().unwrap();
    let silent: Vec<_> = reached.keys().filter(|name| !by_name.contains_key(*name)).collect();
    assert!(silent.is_empty(), "without a line: {silent:?}");
    assert!(lines.len() <= began);
    let told = format!("{} requests, {} reached the backend, {} lines", began, reached.len(), lines.len());
    (lines, format!("{told} {outcomes:?}"))
}

/// Callers go away 0.3 ms after they asked.
pub async fn atk_67_hang_ups() -> String {
    let (backend, reached) = slow(Duration::from_millis(5)).await;
    let palisade = Palisade::start(&Settings { more: AUDIT, ..Settings::of(&backend) }).await;
    let (address, caller) = (palisade.address, caller("acme-books"));
    each(|number| {
        let request = request(&target(number), &caller);
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    })
    .await;
    let (lines, told) = told(palisade, &reached, REQUESTS).await;
    assert_eq!(lines.len(), REQUESTS, "{told}");
    told
}

/// Callers reset their connections.
pub async fn resets() -> String {
    let (backend, reached) = slow(Duration::from_millis(5)).await;
    let palisade = Palisade::start(&Settings { more: AUDIT, ..Settings::of(&backend) }).await;
    let (address, caller) = (palisade.address, caller("acme-books"));
    each(|number| {
        let request = request(&target(number), &caller);
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            tokio::time::sleep(Duration::from_millis(number as u64 % 8)).await;
            stream.set_zero_linger().unwrap();
        }
    })
    .await;
    told(palisade, &reached, REQUESTS).await.1
}

/// Streams of HTTP/2 are cancelled.
pub async fn cancelled_streams() -> String {
    let (backend, reached) = slow(Duration::from_millis(5)).await;
    let palisade = Palisade::start(&Settings { more: AUDIT, ..Settings::of(&backend) }).await;
    let address = palisade.address;
    let caller = caller("acme-books");
    let token = caller.trim_end().strip_prefix("Authorization: ").unwrap().to_owned();
    let base = format!("http://{}", palisade.address);
    each(|number| {
        let request = Request::get(format!("{base}{}", target(number)))
            .header("authorization", &token)
            .body(Empty::<Bytes>::new())
            .unwrap();
        async move {
            // Each over a connection of its own: who cancels many is turned away.
            let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let (mut client, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let pause = Duration::from_millis(1 + number as u64 % 8);
            let _ = tokio::time::timeout(pause, client.send_request(request)).await;
            drop(client);
            let _ = tokio::time::timeout(Duration::from_secs(5), connection).await;
        }
    })
    .await;
    told(palisade, &reached, REQUESTS).await.1
}

/// Requests that are still in flight when the time of the end is over.
pub async fn drained() -> String {
    let (backend, reached) = slow(Duration::from_secs(60)).await;
    let more = format!("{AUDIT}\nlimits: {{ concurrent_requests: 4096 }}");
    let settings = Settings { more: &more, ..Settings::of(&backend) };
    let backends = settings.backends.replace("timeout: 2s", "timeout: 60s");
    let palisade = Palisade::start(&Settings { backends, ..settings }).await;
    // Of several tenants: none may have all places.
    let mut open = Vec::new();
    for number in 0..REQUESTS {
        let caller = bearer(&serde_json::json!({ "tenant": format!("tenant-{}", number % 8) }));
        let mut connection = Connection::open(palisade.address).await.unwrap();
        connection.stream.write_all(&request(&target(number), &caller)).await.unwrap();
        open.push(connection);
    }
    for _ in 0..100 {
        if reached.lock().unwrap().len() >= REQUESTS / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (lines, told) = told(palisade, &reached, REQUESTS).await;
    assert!(lines.len() >= REQUESTS / 2, "{told}");
    told
}

/// A disk of so many bytes below `folder`, if this process may make one. It goes with its value.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(folder: &Path) -> Option<Self> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(folder).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// No answer without a line, and no line that cannot be read, where the disk is full and then is not.
pub async fn atk_6a_full_disk() -> String {
    let backend = Backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Disk::mount(&disk);
    let log = disk.join(LOG);
    if mounted.is_some() {
        // The file that fills the disk.
        std::fs::write(disk.join("other"), vec![0; 1000 << 10]).unwrap();
    } else {
        // Without a right to make one, a device on which there never is room.
        std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    }
    let more = "audit: { file: disk/audit.jsonl }";
    let mut palisade = Palisade::start_in(folder, &Settings { more, ..Settings::of(&backend) }).await;
    let caller = caller("acme-books");
    let (mut answered, mut refused) = (0, 0);
    for number in 0..400 {
        let answer = get(palisade.address, QUERY, &caller).await.unwrap();
        match answer.status {
            200 => answered += 1,
            503 => {
                refused += 1;
                assert!(answer.head.contains("retry-after") && answer.text().contains("audit"), "{answer:?}");
            }
            other => panic!("{other}: {}", answer.text()),
        }
        if refused > 0 && number > 200 {
            break;
        }
    }
    assert!(refused > 0, "{answered} answers on a disk that is full");
    let passed = backend.requests();
    if mounted.is_some() {
        std::fs::remove_file(disk.join("other")).unwrap();
    } else {
        std::fs::remove_file(&log).unwrap();
    }
    let freed = Instant::now();
    while get(palisade.address, QUERY, &caller).await.unwrap().status != 200 {
        assert!(freed.elapsed() < Duration::from_secs(20), "never written again: {}", palisade.log());
        refused += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    answered += 1;
    for _ in 0..19 {
        assert_eq!(get(palisade.address, QUERY, &caller).await.unwrap().status, 200);
        answered += 1;
    }
    assert_eq!(backend.requests(), passed + 20);
    palisade.signal("TERM");
    palisade.signal("TERM");
    palisade.ended(Duration::from_secs(10)).await;
    let lines = palisade.lines("disk/audit.jsonl");
    let passed = lines.iter().filter(|line| line["outcome"] == "passed").count();
    let unaudited = lines.iter().filter(|line| line["outcome"] == "unaudited").count();
    assert_eq!((passed, passed + unaudited), (answered, lines.len()));
    assert_eq!(unaudited, refused);
    let how = if mounted.is_some() { "a small disk" } else { "/dev/full" };
    format!("{answered} answered, {refused} refused, {} lines, on {how}", lines.len())
}
