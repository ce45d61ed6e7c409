//! No fault at all: what the other rows are held against.

use super::backend::Backend;
use super::child::{Palisade, Settings, caller};
use super::client::{QUERY, get, load, request};
use std::time::Duration;

/// Every request of a few callers is answered, and reaches the backend once.
pub async fn answers() -> String {
    let backend = Backend::start().await;
    let palisade = Palisade::start(&Settings::of(&backend)).await;
    let caller = caller("acme-books");
    assert_eq!(get(palisade.address, QUERY, &caller).await.unwrap().status, 200);
    assert_eq!(get(palisade.address, QUERY, "").await.unwrap().status, 401);
    let request = request(QUERY, &caller);
    let pause = Duration::from_millis(5);
    let measured = load(palisade.address, request, 4, pause, Duration::from_secs(2)).await;
    assert_eq!(measured.with(200), measured.statuses.len());
    assert_eq!(backend.requests(), measured.statuses.len() + 1);
    format!("{} answers, p99 {:?}, {} MiB", measured.with(200), measured.p99(), palisade.peak() >> 20)
}
