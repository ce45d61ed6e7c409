//! What the embedded backends hold: two tenants of a bookstore platform, and what belongs to neither.
//!
//! Every value is a function of its time, so the data grow while the demo runs, nothing is stored, and
//! the answer to a question about the past is known. Each tenant sells titles and works in a region that
//! nobody else has: its canaries, which show in an answer that they do not belong to.

use std::collections::BTreeMap;
use std::ops::Range;

/// Seconds between two samples of a series.
pub const SCRAPE: i64 = 15;
/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Seconds of data before the demo started.
const HISTORY: i64 = 6 * 3600;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// A tenant and its trade.
#[derive(Clone, Copy, Debug)]
pub struct Shop {
    /// The tenant.
    pub tenant: &'static str,
    /// Its region, which is no other's.
    pub region: &'static str,
    /// Its titles, which are no other's, and how many of each are in stock.
    pub titles: [(&'static str, f64); 2],
    /// Requests that its storefront answers between two samples: with 200, with 500.
    pub requests: [i64; 2],
    /// The first bytes of its trace ids.
    tag: u32,
}

/// The two tenants.
pub const SHOPS: [Shop; 2] = [
    Shop {
        tenant: "acme-books",
        region: "us-east",
        titles: [("Moby-Dick", 120.0), ("Emma", 45.0)],
        requests: [60, 3],
        tag: 0xac3e_b00c,
    },
    Shop {
        tenant: "globex-lit",
        region: "eu-west",
        titles: [("Dracula", 77.0), ("Persuasion", 9.0)],
        requests: [90, 6],
        tag: 0x910b_e111,
    },
];

/// The service of the platform team: its telemetry carries no tenant.
pub const EDGE: &str = "edge-gateway";
/// The first bytes of the ids of traces that both tenants have spans in.
const SHARED_TAG: u32 = 0x5a4e_d000;

/// The data: from some time on until now.
#[derive(Clone, Copy, Debug)]
pub struct Bookstore {
    begins: i64,
    clock: fn() -> i64,
}

/// A series: its labels with `__name__`, and how its value comes about.
#[derive(Clone, Debug)]
pub struct Series {
    /// The labels.
    pub labels: Labels,
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Grows by so much from one sample to the next.
    Counter(i64),
    /// Stays.
    Gauge(f64),
}

/// A log stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The labels.
    pub labels: Labels,
    /// Seconds between two lines.
    period: i64,
    line: Line,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Payments(Shop),
    Catalog(Shop),
    Edge,
}

/// A log line and its time in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unix nanoseconds.
    pub time: i64,
    /// The line.
    pub line: String,
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

impl Bookstore {
    /// Data as of six hours before now, which `clock` tells in Unix seconds.
    pub fn new(clock: fn() -> i64) -> Self {
        Self { begins: (clock() - HISTORY).div_euclid(60) * 60, clock }
    }

    /// Now, in Unix seconds: nothing is later.
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    /// When the data begin, in Unix seconds: at a whole minute.
    pub fn begins(&self) -> i64 {
        self.begins
    }

    /// Every series.
    pub fn series(&self) -> Vec<Series> {
        let mut all = Vec::new();
        for shop in SHOPS {
            let own = [("tenant", shop.tenant), ("region", shop.region)];
            for (code, step) in [("200", shop.requests[0]), ("500", shop.requests[1])] {
                for (service, factor) in [("storefront", 1), ("catalog", 2)] {
                    let mut labels = labels(&own);
                    labels.extend(self::labels(&[
                        ("__name__", "http_requests_total"),
                        ("service", service),
                        ("code", code),
                    ]));
                    all.push(Series { labels, shape: Shape::Counter(step * factor) });
                }
            }
            for (title, stock) in shop.titles {
                let mut labels = labels(&own);
                labels.extend(self::labels(&[("__name__", "books_in_stock"), ("title", title)]));
                all.push(Series { labels, shape: Shape::Gauge(stock) });
            }
        }
        let edge = labels(&[("__name__", "http_requests_total"), ("service", EDGE), ("code", "200")]);
        all.push(Series { labels: edge, shape: Shape::Counter(900) });
        all
    }

    /// The samples of `series` in `after < time <= until`, in Unix seconds, oldest first.
    pub fn samples(&self, series: &Series, after: f64, until: f64) -> Vec<(i64, f64)> {
        let until = until.min(self.now() as f64);
        // The first sample that is later than `after`, at the earliest the first of all.
        let first = ((after - self.begins as f64) / SCRAPE as f64).floor().max(-1.0) as i64 + 1;
        (first..)
            .map(|n| (self.begins + n * SCRAPE, n))
            .take_while(|(time, _)| *time as f64 <= until)
            .map(|(time, n)| match series.shape {
                Shape::Counter(step) => (time, (n * step) as f64),
                Shape::Gauge(value) => (time, value),
            })
            .collect()
    }

    /// Every log stream.
    pub fn streams(&self) -> Vec<Stream> {
        let mut all = Vec::new();
        for shop in SHOPS {
            for (service, period, line) in
                [("payments-gateway", 20, Line::Payments(shop)), ("catalog", 30, Line::Catalog(shop))]
            {
                let own = [("tenant", shop.tenant), ("region", shop.region), ("service", service)];
                all.push(Stream { labels: labels(&own), period, line });
            }
        }
        all.push(Stream { labels: labels(&[("service", EDGE)]), period: 15, line: Line::Edge });
        all
    }

    /// The lines of `stream` with times in `range`, in Unix nanoseconds, oldest first.
    pub fn entries(&self, stream: &Stream, range: Range<i64>) -> Vec<Entry> {
        let period = stream.period * SECOND;
        let from = range.start.max(self.begins * SECOND);
        let end = range.end.min(self.now() * SECOND + 1);
        let first = from.div_euclid(period) + i64::from(from.rem_euclid(period) != 0);
        (first..)
            .map(|n| (n * period, n))
            .take_while(|(time, _)| *time < end)
            .map(|(time, n)| Entry { time, line: stream.line.at(time / SECOND, n) })
            .collect()
    }
}

impl Line {
    /// The `n`th line, of `second`. One payment of three fails: with a period of 20 s, the first of each
    /// minute.
    fn at(self, second: i64, n: i64) -> String {
        let text = |shop: Shop, level: &str, message: &str| {
            let title = title(&shop, n);
            let trace = trace_id_text(trace_id(&shop, second.div_euclid(60)));
            serde_json::json!({"level": level, "msg": message, "title": title, "trace_id": trace}).to_string()
        };
        match self {
            Self::Payments(shop) if n % 3 == 0 => text(shop, "error", "ERROR card declined"),
            Self::Payments(shop) => text(shop, "info", "payment accepted"),
            Self::Catalog(shop) => text(shop, "info", "book shown"),
            Self::Edge => format!("{EDGE} routed request {n}"),
        }
    }
}

/// The title of the `n`th happening at `shop`: by turns.
pub(super) fn title(shop: &Shop, n: i64) -> &'static str {
    let [(first, _), (second, _)] = shop.titles;
    if n % 2 == 0 { first } else { second }
}

/// The id of the trace that `shop` has in the minute `minute` since 1970.
pub fn trace_id(shop: &Shop, minute: i64) -> u128 {
    (u128::from(shop.tag) << 96) | u128::from(minute.unsigned_abs())
}

/// The id of the trace that both tenants have spans in, of the minute `minute`, if that has one.
pub fn shared_trace_id(minute: i64) -> Option<u128> {
    (minute % 5 == 0).then(|| (u128::from(SHARED_TAG) << 96) | u128::from(minute.unsigned_abs()))
}

/// As Tempo shows and takes it: 32 hexadecimal digits.
pub fn trace_id_text(id: u128) -> String {
    format!("{id:032x}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn counters_grow_by_their_step_and_windows_are_open_on_the_left() {
        let store = Bookstore::new(|| 1_700_000_000);
        let counter = &store.series()[0];
        let start = store.begins() as f64;
        assert_eq!(
            store.samples(counter, start - 100.0, start + 30.0),
            [(store.begins(), 0.0), (store.begins() + 15, 60.0), (store.begins() + 30, 120.0)]
        );
        assert_eq!(store.samples(counter, start, start + 29.9), [(store.begins() + 15, 60.0)]);
        assert_eq!(store.samples(counter, start - 100.0, start - 50.0), []);
    }

    #[test]
    fn lines_are_of_their_range_closed_on_the_left() {
        let store = Bookstore::new(|| 1_700_000_000);
        let stream = &store.streams()[0];
        let begin = store.begins() * SECOND;
        let times = |range| store.entries(stream, range).iter().map(|e| e.time - begin).collect::<Vec<_>>();
        assert_eq!(times(begin - 5..begin + 20 * SECOND), [0]);
        assert_eq!(times(begin + 1..begin + 40 * SECOND + 1), [20 * SECOND, 40 * SECOND]);
        let lines: Vec<bool> = store
            .entries(stream, begin..begin + 60 * SECOND)
            .iter()
            .map(|e| e.line.contains("ERROR"))
            .collect();
        assert_eq!(lines, [true, false, false], "the first of a minute fails");
    }

    #[test]
    fn no_tenant_has_what_shows_another() {
        let store = Bookstore::new(|| 1_700_000_000);
        let [a, b] = SHOPS;
        let window = store.begins() * SECOND..(store.begins() + 600) * SECOND;
        let of = |tenant: &str| {
            let series = store.series().into_iter().map(|s| s.labels);
            let streams = store.streams().into_iter().flat_map(|s| {
                let lines = store.entries(&s, window.clone());
                lines.into_iter().map(move |e| (s.labels.clone(), e.line))
            });
            let mut text = String::new();
            for labels in series.filter(|l| l.get("tenant").is_some_and(|t| t == tenant)) {
                text.push_str(&format!("{labels:?}"));
            }
            for (labels, line) in streams.filter(|(l, _)| l.get("tenant").is_some_and(|t| t == tenant)) {
                text.push_str(&format!("{labels:?} {line}"));
            }
            text
        };
        for (own, other) in [(a, b), (b, a)] {
            let text = of(own.tenant);
            for (title, _) in own.titles {
                assert!(text.contains(title));
            }
            for canary in [other.tenant, other.region, other.titles[0].0, other.titles[1].0, EDGE] {
                assert!(!text.contains(canary), "{} shows {canary}", own.tenant);
            }
        }
    }
}
