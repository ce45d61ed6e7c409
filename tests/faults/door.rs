//! Connections that are opened and say nothing, or little.

use super::backend::Backend;
use super::child::{Palisade, Settings, caller};
use super::client::{Measured, QUERY, get, load, request};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// How long others are measured, each time.
const LENGTH: Duration = Duration::from_millis(1200);

/// Opens that many connections, each of which says this.
async fn open(address: SocketAddr, count: usize, says: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        // One that the server does not take is no less of an attack.
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let _ = stream.write_all(says).await;
            open.push(stream);
        }
    }
    open
}

/// Others, a pause after each answer: the best of three times, for what else the machine does only adds. None of them may
/// be refused.
async fn others(palisade: &Palisade) -> Measured {
    let request = request(QUERY, &caller("acme-books"));
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

/// The bar of a p99, by what it was before.
fn bar(calm: &Measured) -> Duration {
    Duration::from_millis(5).max(calm.p99() * 4)
}

/// Holds what others were given against what they were given before, and the CPU time that it took.
fn held(calm: &Measured, meanwhile: &Measured, cpu: f64) -> String {
    assert!(meanwhile.p99() < bar(calm), "p99 {:?} of others, {:?} before", meanwhile.p99(), calm.p99());
    assert!(cpu < 0.05, "{:.1} % CPU", cpu * 100.0);
    let (p99, before) = (meanwhile.p99(), calm.p99());
    format!("{:.1} % CPU, p99 of others {p99:.1?}, {before:.1?} before", cpu * 100.0)
}

/// `count` connections that say `says`, while others ask.
async fn attacked(settings: &Settings<'_>, count: usize, says: &[u8]) -> String {
    let palisade = Palisade::start(settings).await;
    let calm = others(&palisade).await;
    let open = open(palisade.address, count, says).await;
    // Once they are taken in, they cost nothing.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (cpu, began) = (palisade.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = (palisade.cpu() - cpu) / began.elapsed().as_secs_f64();
    let meanwhile = others(&palisade).await;
    assert_eq!(get(palisade.admin, "/healthz", "").await.unwrap().status, 200);
    let told = held(&calm, &meanwhile, used);
    format!("{} open, {told}, {} MiB", open.len(), palisade.peak() >> 20)
}

/// Heads that are begun and do not come.
pub async fn half_heads() -> String {
    let backend = Backend::start().await;
    attacked(&Settings::of(&backend), crowd(10_000), b"GET / HTTP/1.1\r\nHost: a\r\n").await
}

/// What could be HTTP/2, one byte of it.
pub async fn atk_6b_dripping_prefaces() -> String {
    let backend = Backend::start().await;
    attacked(&Settings::of(&backend), crowd(5_000), b"P").await
}

/// As many connections as are meant, or as there are files for in this process.
fn crowd(count: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: usize = files.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
    count.min(files.saturating_sub(256))
}

/// More connections than files: health, backends and other callers have theirs all the same.
pub async fn few_files() -> String {
    let backend = Backend::start().await;
    let settings = Settings { before: "ulimit -n 256;", ..Settings::of(&backend) };
    let palisade = Palisade::start(&settings).await;
    let calm = others(&palisade).await;
    let open = open(palisade.address, 400, b"GET / HTTP/1.1\r\n").await;
    let health = get(palisade.admin, "/healthz", "");
    let health = tokio::time::timeout(Duration::from_secs(1), health).await.unwrap().unwrap();
    assert_eq!(health.status, 200);
    let meanwhile = others(&palisade).await;
    assert!(meanwhile.p99() < bar(&calm), "{:?}", meanwhile.p99());
    assert!(!palisade.log().contains("cannot accept"), "{}", palisade.log());
    format!("{} opened, p99 of others {:.1?}, {:.1?} before", open.len(), meanwhile.p99(), calm.p99())
}
