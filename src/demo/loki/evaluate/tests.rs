#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::demo::data::Bookstore;
use crate::demo::http::{Reply, Request, Service};
use crate::demo::loki::Loki;
use serde_json::{Value, json};

/// A whole minute.
const NOW: i64 = 1_700_000_100;

fn ask(path: &str, pairs: &[(&str, &str)]) -> Reply {
    let backend = Loki::new(Bookstore::new(|| NOW));
    backend.answer(&Request {
        method: "GET".into(),
        path: format!("/loki/api/v1/{path}"),
        pairs: pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        accept: String::new(),
        body: Vec::new(),
    })
}

fn body(path: &str, pairs: &[(&str, &str)]) -> Value {
    let reply = ask(path, pairs);
    assert_eq!(reply.status, 200, "{pairs:?}: {}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice(&reply.body).unwrap()
}

/// The lines of the last ten minutes, oldest first, with what of their stream is called `label`.
fn lines(query: &str, label: &str) -> Vec<(String, String)> {
    let (start, end) = ((NOW - 600).to_string(), NOW.to_string());
    let asked =
        [("query", query), ("start", &start), ("end", &end), ("limit", "1000"), ("direction", "forward")];
    let streams = body("query_range", &asked)["data"]["result"].as_array().unwrap().clone();
    let of = |s: &Value| {
        let name = s["stream"][label].as_str().unwrap_or("").to_owned();
        let texts: Vec<_> =
            s["values"].as_array().unwrap().iter().map(|v| v[1].as_str().unwrap().to_owned()).collect();
        texts.into_iter().map(move |t| (name.clone(), t))
    };
    streams.iter().flat_map(|s| of(s).collect::<Vec<_>>()).collect()
}

fn values(query: &str, label: &str) -> Vec<(String, String)> {
    let data = body("query", &[("query", query), ("time", &NOW.to_string())]);
    let of = |s: &Value| {
        (s["metric"][label].as_str().unwrap_or("").to_owned(), s["value"][1].as_str().unwrap().to_owned())
    };
    data["data"]["result"].as_array().unwrap().iter().map(of).collect()
}

fn refused(query: &str) -> String {
    let reply = ask("query", &[("query", query)]);
    assert_eq!(reply.status, 400, "{query}");
    String::from_utf8(reply.body).unwrap()
}

#[test]
fn line_filters_are_the_four_of_loki() {
    let payments = "{service=\"payments-gateway\", tenant=\"acme-books\"}";
    let count = |stages: &str| lines(&format!("{payments} {stages}"), "tenant").len();
    assert_eq!(count(""), 30);
    assert_eq!(count("|= \"ERROR\""), 10);
    assert_eq!(count("!= \"ERROR\""), 20);
    assert_eq!(count("|~ \"ERR.R|accepted\""), 30);
    assert_eq!(count("!~ \"declined$\""), 30, "the line goes on after the message");
    assert_eq!(count("|= \"ERROR\" or \"accepted\""), 30);
    assert_eq!(count("!= \"ERROR\" or \"accepted\""), 0);
    let error = lines(&format!("{payments} |= \"ERROR\""), "region");
    assert!(error.iter().all(|(region, line)| region == "us-east" && line.contains("declined")));
}

#[test]
fn json_fields_become_labels() {
    let query = "{service=\"payments-gateway\"} | json | level = \"error\" and title =~ \"Emma|Dracula\"";
    let titles: Vec<_> = lines(query, "title").into_iter().map(|(title, _)| title).collect();
    assert_eq!(titles.len(), 10);
    assert!(titles.iter().all(|t| t == "Emma" || t == "Dracula"), "{titles:?}");
}

#[test]
fn metric_queries_count_lines() {
    assert_eq!(
        values(
            "sum by (tenant) (count_over_time({service=\"payments-gateway\"} |= \"ERROR\" [10m]))",
            "tenant"
        ),
        [("acme-books".into(), "10".into()), ("globex-lit".into(), "10".into())]
    );
    assert_eq!(
        values("sum(rate({service=\"catalog\"}[5m] offset 1m))", ""),
        [("".into(), (20.0 / 300.0).to_string())]
    );
    assert_eq!(values("vector(1)+vector(1)", ""), [("".into(), "2".into())]);
    assert_eq!(body("query", &[("query", "1+1"), ("time", "7")])["data"]["result"], json!([7, "2"]));
    let none = "count_over_time({service=\"catalog\", tenant=\"nobody\"}[5m])";
    assert_eq!(values(none, ""), []);
    let asked = [
        ("query", "count_over_time({tenant=\"acme-books\",service=\"catalog\"}[1m])"),
        ("start", "1700000040"),
        ("end", "1700000100"),
        ("step", "60"),
    ];
    let points = json!([[1_700_000_040, "2"], [1_700_000_100, "2"]]);
    assert_eq!(body("query_range", &asked)["data"]["result"][0]["values"], points);
}

#[test]
fn what_is_not_evaluated_is_refused() {
    for query in [
        "topk(1, count_over_time({service=\"catalog\"}[1m]))",
        "sum_over_time({service=\"catalog\"} | json | unwrap title [1m])",
        "count_over_time({service=\"catalog\"} | logfmt [1m])",
        "count_over_time({service=\"catalog\"} | json | title > 5 [1m])",
        "count_over_time({service=\"edge-gateway\"} | json [1m])",
        "label_replace(vector(1), \"a\", \"b\", \"c\", \"d\")",
        "absent_over_time({service=\"catalog\"}[1m])",
    ] {
        assert!(refused(query).contains("the demo does not evaluate"), "{query}: {}", refused(query));
    }
    assert!(refused("{service=\"catalog\"}").contains("not supported as an instant query"));
    assert!(refused("{").contains("parse error"));
    assert!(refused("count_over_time({service=~\"[a&&b]\"}[1m])").contains("cannot match"));
}

#[test]
fn newest_lines_come_first_up_to_the_limit() {
    let asked = [("query", "{service=~\".+\"}"), ("limit", "3"), ("end", "1700000100")];
    let result = body("query_range", &asked)["data"]["result"].clone();
    let mut times: Vec<&str> = result
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|s| s["values"].as_array().unwrap())
        .map(|v| v[0].as_str().unwrap())
        .collect();
    times.sort_unstable();
    assert_eq!(times, ["1700000080000000000", "1700000080000000000", "1700000085000000000"]);
    assert_eq!(ask("query_range", &[("query", "{a=\"b\"}"), ("limit", "5000")]).status, 200);
    assert_eq!(ask("query_range", &[("query", "{a=\"b\"}"), ("limit", "5001")]).status, 400);
}

#[test]
fn metadata_is_of_all_streams_or_the_selected() {
    assert_eq!(body("label/tenant/values", &[])["data"], json!(["acme-books", "globex-lit"]));
    assert_eq!(body("labels", &[("query", "{service=\"edge-gateway\"}")])["data"], json!(["service"]));
    assert_eq!(
        body("label/tenant/values", &[("query", "{service=\"edge-gateway\"}")]),
        json!({"status": "success"})
    );
    assert_eq!(body("series", &[])["data"].as_array().unwrap().len(), 5);
    let union = [
        ("match[]", "{service=\"edge-gateway\"}"),
        ("match", "{tenant=\"acme-books\", service=\"catalog\"}"),
    ];
    assert_eq!(body("series", &union)["data"].as_array().unwrap().len(), 2);
    let asked = [("query", "{tenant=\"acme-books\"}"), ("start", "1699999500"), ("end", "1700000100")];
    let stats = body("index/stats", &asked);
    assert_eq!((&stats["streams"], &stats["entries"]), (&json!(2), &json!(50)));
    assert_eq!(ask("tail", &[]).status, 404);
}
