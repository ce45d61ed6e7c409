//! The end: what was taken is answered, and nothing holds it up.

use super::backend::{Backend, EMPTY, Step, json};
use super::child::{Palisade, Settings, caller};
use super::client::{Connection, QUERY, get, request};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

/// Under load and beside half heads: not ready first, every request that was taken is answered, and it is soon over.
pub async fn under_load() -> String {
    let backend =
        Backend::start_with(|_, _| vec![Step::Pause(Duration::from_millis(300)), json(EMPTY)]).await;
    let more = "shutdown: { delay: 1s, timeout: 20s }\naudit: { file: audit.jsonl }";
    let mut palisade = Palisade::start(&Settings { more, ..Settings::of(&backend) }).await;
    let mut halves = Vec::new();
    for _ in 0..50 {
        let mut half = Connection::open(palisade.address).await.unwrap();
        half.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
        halves.push(half);
    }
    let (address, request) = (palisade.address, request(QUERY, &caller("acme-books")));
    let mut callers = JoinSet::new();
    for _ in 0..40 {
        let request = request.clone();
        callers.spawn(async move {
            let mut answered = 0;
            let Ok(mut connection) = Connection::open(address).await else { return answered };
            // Until it is closed: between two requests, never within one.
            while let Ok(answer) = connection.ask(&request).await {
                assert_eq!(answer.status, 200);
                answered += 1;
            }
            answered
        });
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let began = Instant::now();
    palisade.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(get(palisade.admin, "/readyz", "").await.unwrap().status, 503);
    assert_eq!(get(palisade.admin, "/healthz", "").await.unwrap().status, 200);
    assert_eq!(get(address, QUERY, &caller("acme-books")).await.unwrap().status, 200, "it still serves");
    let status = palisade.ended(Duration::from_secs(10)).await;
    let took = began.elapsed();
    assert!(status.success() && took >= Duration::from_secs(1), "{status} after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let answered: usize = callers.join_all().await.into_iter().sum();
    let lines = palisade.lines("audit.jsonl");
    let complete = lines.iter().filter(|line| line["complete"] == true).count();
    assert_eq!((complete, lines.len()), (answered + 1, answered + 1), "a request that was taken is lost");
    assert_eq!(backend.requests(), answered + 1);
    drop(halves);
    format!("{answered} answered, {} lines, over after {took:.1?}", lines.len())
}

/// Who does not want to wait need not.
pub async fn second_signal() -> String {
    let backend = Backend::start_with(|_, _| vec![Step::Hang]).await;
    let more = "shutdown: { delay: 30s, timeout: 30s }\naudit: { file: audit.jsonl }";
    let mut palisade = Palisade::start(&Settings { more, ..Settings::of(&backend) }).await;
    let mut connection = Connection::open(palisade.address).await.unwrap();
    connection.stream.write_all(&request(QUERY, &caller("acme-books"))).await.unwrap();
    while backend.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    palisade.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(palisade.runs());
    let began = Instant::now();
    palisade.signal("INT");
    palisade.ended(Duration::from_secs(5)).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    let lines = palisade.lines("audit.jsonl");
    assert_eq!((lines.len(), &lines[0]["outcome"]), (1, &"cancelled".into()));
    format!("over after {took:.1?}, with its line")
}
