//! The traces of the bookstore: each tenant has one a minute, and every five minutes there is one that
//! begins at the edge, which has no tenant, and holds spans of both.

use super::data::{Bookstore, EDGE, SECOND, SHOPS, Shop, shared_trace_id, title, trace_id};
use std::ops::Range;

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A string.
    Text(&'static str),
    /// An integer.
    Integer(i64),
}

/// A span's kind, with OTLP's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Server = 2,
    Client = 3,
}

/// A span.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its id.
    pub id: u64,
    /// Its parent's; none for a root.
    pub parent: Option<u64>,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Unix nanoseconds.
    pub start: i64,
    /// Nanoseconds.
    pub duration: i64,
    /// Whether its status is error; else unset.
    pub failed: bool,
    /// Its own attributes.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// The attributes of its resource.
    pub resource: Vec<(&'static str, Attribute)>,
}

/// A trace: at least one span, the root first.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its id.
    pub id: u128,
    /// Its spans.
    pub spans: Vec<Span>,
}

impl Trace {
    /// When the first span begins, in Unix nanoseconds.
    pub fn start(&self) -> i64 {
        self.spans.iter().map(|s| s.start).min().unwrap_or(0)
    }

    /// When the last span ends, in Unix nanoseconds.
    pub fn end(&self) -> i64 {
        self.spans.iter().map(|s| s.start + s.duration).max().unwrap_or(0)
    }
}

const MILLISECOND: i64 = SECOND / 1000;

impl Bookstore {
    /// The traces that begin in `range`, in Unix nanoseconds, oldest first.
    pub fn traces(&self, range: Range<i64>) -> Vec<Trace> {
        let first = range.start.div_euclid(60 * SECOND).max(self.begins() / 60);
        let last = range.end.min(self.now() * SECOND).div_euclid(60 * SECOND);
        let all = (first..=last).flat_map(|minute| self.minute(minute));
        all.filter(|t| t.spans.first().is_some_and(|s| range.contains(&s.start))).collect()
    }

    /// The trace `id`.
    pub fn trace(&self, id: u128) -> Option<Trace> {
        let minute = i64::try_from(id & u128::from(u64::MAX)).ok()?;
        self.minute(minute).into_iter().find(|t| t.id == id)
    }

    /// The traces of one minute. They begin in its first three seconds, and are there when they have begun.
    fn minute(&self, minute: i64) -> Vec<Trace> {
        let begin = minute.saturating_mul(60 * SECOND);
        if begin < self.begins() * SECOND || begin > self.now() * SECOND {
            return Vec::new();
        }
        let own = SHOPS.iter().map(|shop| purchase(shop, minute));
        let shared = shared_trace_id(minute).map(|id| edge(id, minute));
        let begun = |t: &Trace| t.spans.first().is_some_and(|s| s.start <= self.now() * SECOND);
        own.chain(shared).filter(begun).collect()
    }
}

fn resource(service: &'static str, shop: &Shop) -> Vec<(&'static str, Attribute)> {
    vec![
        ("service.name", Attribute::Text(service)),
        ("tenant", Attribute::Text(shop.tenant)),
        ("region", Attribute::Text(shop.region)),
    ]
}

/// A purchase at `shop`: every fifth minute the payment fails, and takes its time.
fn purchase(shop: &Shop, minute: i64) -> Trace {
    let id = trace_id(shop, minute);
    let failed = minute % 5 == 0;
    let start = minute * 60 * SECOND + SECOND;
    let slow = if failed { 1500 } else { 300 };
    let span_id = |n: u64| ((id >> 96) as u64) << 32 | (minute.unsigned_abs() & 0x0fff_ffff) << 4 | n;
    let span = |n: u64, service, name: String, kind, after: i64, lasts: i64, failed| Span {
        id: span_id(n),
        parent: (n > 1).then(|| span_id(1)),
        name,
        kind,
        start: start + after * MILLISECOND,
        duration: lasts * MILLISECOND,
        failed,
        attributes: vec![
            ("book.title", Attribute::Text(title(shop, minute))),
            ("http.status_code", Attribute::Integer(if failed { 500 } else { 200 })),
        ],
        resource: resource(service, shop),
    };
    let path = format!("GET /{}/books", shop.region);
    let spans = vec![
        span(1, "storefront", path, Kind::Server, 0, slow, failed),
        span(2, "catalog", "SELECT book".into(), Kind::Client, 10, 80, false),
        span(3, "payments-gateway", "POST /charge".into(), Kind::Client, 100, slow - 120, failed),
    ];
    Trace { id, spans }
}

/// A route at the edge, with a span of each tenant below. One of the spans says by an attribute of its
/// own that it is of the other tenant: only the resource says whose it is.
fn edge(id: u128, minute: i64) -> Trace {
    let start = minute * 60 * SECOND + 2 * SECOND;
    let span_id = |n: u64| ((id >> 96) as u64) << 32 | (minute.unsigned_abs() & 0x0fff_ffff) << 4 | n;
    let root = Span {
        id: span_id(1),
        parent: None,
        name: format!("{EDGE} route"),
        kind: Kind::Server,
        start,
        duration: 900 * MILLISECOND,
        failed: false,
        attributes: Vec::new(),
        resource: vec![("service.name", Attribute::Text(EDGE))],
    };
    let [acme, _] = SHOPS;
    let below = SHOPS.iter().zip(2..).map(|(shop, n)| Span {
        id: span_id(n),
        parent: Some(span_id(1)),
        name: format!("GET /{}/shared", shop.region),
        start: start + 100 * MILLISECOND * n as i64,
        duration: 200 * MILLISECOND,
        attributes: vec![("tenant", Attribute::Text(acme.tenant))],
        resource: resource("storefront", shop),
        ..root.clone()
    });
    Trace { id, spans: std::iter::once(root.clone()).chain(below).collect() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_found_by_time_and_by_id() {
        let store = Bookstore::new(|| 1_700_000_100);
        let minute = 1_700_000_100 / 300 * 5 - 5;
        let from = minute * 60 * SECOND;
        let all = store.traces(from..from + 300 * SECOND);
        assert_eq!(all.len(), 11, "five of each tenant and a shared one");
        for trace in &all {
            assert_eq!(store.trace(trace.id).unwrap().spans.len(), trace.spans.len());
        }
        assert!(store.trace(7).is_none());
        assert!(store.trace(trace_id(&SHOPS[0], 1_700_000_100 / 60 + 1)).is_none(), "not begun");
        assert_eq!(store.traces(from..from + SECOND).len(), 0, "none in the first second");
    }

    #[test]
    fn a_shared_trace_has_spans_of_both_and_of_nobody() {
        let store = Bookstore::new(|| 1_700_000_100);
        let minute = 1_700_000_100 / 300 * 5 - 5;
        let trace = store.trace(shared_trace_id(minute).unwrap()).unwrap();
        let tenant = |s: &Span| s.resource.iter().find(|(n, _)| *n == "tenant").map(|(_, v)| v.clone());
        let tenants: Vec<_> = trace.spans.iter().map(tenant).collect();
        assert_eq!(tenants, [None, Some(Attribute::Text("acme-books")), Some(Attribute::Text("globex-lit"))]);
    }
}
