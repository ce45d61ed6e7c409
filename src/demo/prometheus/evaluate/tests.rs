#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::demo::data::{Bookstore, SCRAPE};
use crate::demo::http::{Request, Service};
use crate::demo::prometheus::Prometheus;
use crate::lang::Features;
use crate::lang::promql::{self, Entry};
use crate::limits::QueryLimits;
use crate::tenant::{Scope, ScopeValue, Values};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NOW: i64 = 1_700_000_100;

fn backend() -> Prometheus {
    Prometheus::new(Bookstore::new(|| NOW))
}

fn ask(path: &str, pairs: &[(&str, &str)]) -> (u16, Value) {
    let reply = backend().answer(&Request {
        method: "GET".into(),
        path: path.into(),
        pairs: pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        accept: String::new(),
        body: Vec::new(),
    });
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

/// The values of an instant query, by label `by`.
fn values(query: &str, by: &str) -> Vec<(String, f64)> {
    let (status, body) = ask("/api/v1/query", &[("query", query), ("time", &NOW.to_string())]);
    assert_eq!(status, 200, "{query}: {body}");
    let entry = |e: &Value| {
        let value = e["value"][1].as_str().unwrap().parse().unwrap();
        (e["metric"][by].as_str().unwrap_or("").to_owned(), value)
    };
    body["data"]["result"].as_array().unwrap().iter().map(entry).collect()
}

fn refused(query: &str) -> String {
    let (status, body) = ask("/api/v1/query", &[("query", query)]);
    assert!(matches!(status, 400 | 422), "{query}: {body}");
    assert_eq!(body["status"], "error");
    body["error"].as_str().unwrap().to_owned()
}

#[test]
fn selectors_and_aggregations() {
    assert_eq!(
        values("sum by (tenant) (books_in_stock)", "tenant"),
        [("acme-books".into(), 165.0), ("globex-lit".into(), 86.0)]
    );
    assert_eq!(
        values("books_in_stock{title=~\"E.*|D.*\",tenant!=\"globex-lit\"}", "title"),
        [("Emma".into(), 45.0)]
    );
    assert_eq!(values("count({__name__=~\".+\"})", ""), [("".into(), 13.0)]);
    assert_eq!(values("count(http_requests_total{tenant=\"\"})", ""), [("".into(), 1.0)]);
    assert_eq!(
        values("max without (title, region) (books_in_stock{tenant=\"acme-books\"})", "tenant"),
        [("acme-books".into(), 120.0)]
    );
}

#[test]
fn rates_are_those_of_the_counters() {
    let step = SCRAPE as f64;
    for query in [
        "sum by (code) (rate(http_requests_total{tenant=\"acme-books\",service=\"storefront\"}[5m]))",
        "sum by (code) (rate(http_requests_total{tenant=\"acme-books\",service=\"storefront\"}[5m] offset 10m))",
        "sum by (code) (rate(http_requests_total{tenant=\"acme-books\",service=\"storefront\"}[5m] @ start()))",
    ] {
        let rates = values(query, "code");
        assert_eq!(rates.len(), 2);
        for ((_, rate), expected) in rates.iter().zip([60.0 / step, 3.0 / step]) {
            assert!((rate - expected).abs() < 1e-9, "{query}: {rate} is not {expected}");
        }
    }
    let increase = values("sum(increase(http_requests_total{service=\"edge-gateway\"}[1h]))", "");
    assert!((increase[0].1 - 900.0 / step * 3600.0).abs() < 1e-6, "{increase:?}");
    assert_eq!(values("rate(http_requests_total[10s])", ""), [], "one sample has no rate");
}

#[test]
fn arithmetic_sets_and_comparisons() {
    let (_, body) = ask("/api/v1/query", &[("query", "1+1"), ("time", "7")]);
    assert_eq!(body["data"], json!({"resultType": "scalar", "result": [7, "2"]}));
    assert_eq!(values("vector(1)+vector(1)", ""), [("".into(), 2.0)]);
    assert_eq!(values("books_in_stock > 100", "title"), [("Moby-Dick".into(), 120.0)]);
    assert_eq!(values("-books_in_stock{title=\"Emma\"} * 2", ""), [("".into(), -90.0)]);
    let both = "books_in_stock{title=\"Emma\"} or books_in_stock{title=\"Dracula\"}";
    assert_eq!(values(both, "title"), [("Emma".into(), 45.0), ("Dracula".into(), 77.0)]);
    let share = "sum(books_in_stock{title=\"Emma\"}) / sum(books_in_stock{title=~\"Emma|Moby-Dick\"})";
    assert_eq!(values(share, ""), [("".into(), 45.0 / 165.0)]);
}

#[test]
fn what_is_not_evaluated_is_refused() {
    for query in [
        "histogram_quantile(0.9, http_requests_total)",
        "topk(1, books_in_stock)",
        "max_over_time(books_in_stock[5m:1m])",
        "books_in_stock * on (tenant) group_left () books_in_stock",
        "\"text\"",
    ] {
        assert!(refused(query).contains("the demo does not evaluate"), "{query}");
    }
    assert!(refused("books_in_stock{title=~\"[a&&b]\"}").contains("cannot match"));
    assert!(refused("sum(").contains("invalid parameter"));
    assert!(refused("{}").contains("invalid parameter"));
    let deep = format!("1{}", " + 1".repeat(201));
    assert!(refused(&deep).contains("this deep"));
    assert_eq!(ask("/api/v1/query", &[("query", &format!("1{}", " + 1".repeat(200)))]).0, 200);
}

#[test]
fn range_queries_have_a_point_a_step() {
    let query = "sum(books_in_stock{tenant=\"acme-books\"})";
    let asked = [("query", query), ("start", "1700000000"), ("end", "1700000060"), ("step", "30s")];
    let (_, body) = ask("/api/v1/query_range", &asked);
    let values = json!([[1_700_000_000, "165"], [1_700_000_030, "165"], [1_700_000_060, "165"]]);
    assert_eq!(body["data"], json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]}));
    let range = |start: &str, end: &str, step: &str| {
        ask("/api/v1/query_range", &[("query", "1"), ("start", start), ("end", end), ("step", step)]).0
    };
    assert_eq!(range("0", "11000", "1"), 200);
    assert_eq!(range("0", "11001", "1"), 400);
    assert_eq!(range("60", "0", "15"), 400);
    assert_eq!(range("", "60", "15"), 400);
}

#[test]
fn metadata_is_the_union_of_the_selectors() {
    let (_, titles) = ask("/api/v1/label/title/values", &[]);
    assert_eq!(titles["data"], json!(["Dracula", "Emma", "Moby-Dick", "Persuasion"]));
    let of = [("match[]", "{tenant=\"acme-books\"}"), ("match[]", "books_in_stock{title=\"Dracula\"}")];
    let (_, titles) = ask("/api/v1/label/title/values", &of);
    assert_eq!(titles["data"], json!(["Dracula", "Emma", "Moby-Dick"]));
    let (_, names) = ask("/api/v1/labels", &[("match[]", "books_in_stock")]);
    assert_eq!(names["data"], json!(["__name__", "region", "tenant", "title"]));
    let (_, series) = ask("/api/v1/series", &[("match[]", "books_in_stock{title=\"Emma\"}")]);
    let emma =
        json!({"__name__": "books_in_stock", "tenant": "acme-books", "region": "us-east", "title": "Emma"});
    assert_eq!(series["data"], json!([emma]));
    assert_eq!(ask("/api/v1/series", &[]).0, 400);
    let (_, series) = ask("/api/v1/series", &[("match[]", "books_in_stock"), ("end", "1600000000")]);
    assert_eq!(series["data"], json!([]), "before the data");
    assert_eq!(ask("/api/v1/targets", &[]).0, 404);
}

/// What a caller of these tenants is answered, entry by entry.
fn scoped(tenants: &[&str], query: &str) -> BTreeSet<String> {
    let values = tenants.iter().map(|tenant| ScopeValue::parse(tenant).unwrap()).collect();
    let scope = Scope::new([("tenant".to_owned(), Values::new(values).unwrap())].into()).unwrap();
    let matchers = scope.in_labels(|_| Some("tenant")).unwrap();
    let limits = QueryLimits::default();
    let text = promql::scope(query, Entry::Expression, Features::NONE, &limits, &matchers).unwrap();
    let pairs = [("query", text.as_str()), ("time", &NOW.to_string())];
    let (status, body) = ask("/api/v1/query", &pairs);
    assert_eq!(status, 200, "{query}: {body}");
    body["data"]["result"].as_array().unwrap().iter().map(Value::to_string).collect()
}

/// Expressions that tell each series, or each tenant's, on its own: what they answer grows with what they read.
fn queries() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["books_in_stock", "http_requests_total"]);
    let label = prop::sample::select(vec!["tenant", "region", "title", "code", "absent"]);
    let op = prop::sample::select(vec!["=", "!=", "=~", "!~"]);
    let value =
        prop::sample::select(vec!["acme-books", "globex-lit", ".*", ".+", "", "eu-west", "Emma", "5.."]);
    let shape = prop::sample::select(vec![
        "S",
        "S > 10",
        "-S",
        "sum by (tenant, title) (S)",
        "S and S",
        "S or http_requests_total",
    ]);
    (name, prop::collection::vec((label, op, value), 0..3), shape).prop_map(|(name, matchers, shape)| {
        let matcher = |(label, op, value): &(&str, &str, &str)| format!("{label}{op}\"{value}\"");
        let matchers: Vec<String> = matchers.iter().map(matcher).collect();
        shape.replace('S', &format!("{name}{{{}}}", matchers.join(",")))
    })
}

proptest! {
    /// The answer to a caller who may see two tenants is what each of them is answered, and nothing else; so who
    /// may see fewer is answered less.
    #[test]
    fn less_grant_never_means_more_answer(query in queries()) {
        let (acme, globex) = (scoped(&["acme-books"], &query), scoped(&["globex-lit"], &query));
        let both = scoped(&["acme-books", "globex-lit"], &query);
        prop_assert_eq!(&both, &acme.union(&globex).cloned().collect::<BTreeSet<_>>());
        prop_assert!(acme.is_disjoint(&globex) && scoped(&["nobody"], &query).is_empty());
    }
}
