//! ATK-10 to -1B: PromQL.

use super::{Attack, Clock};
use crate::http::Request;

pub fn all(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    // Meets TWIN's answer: the text is scoped at every selector.
    for (name, query) in [
        (
            "ATK-10 one-selector-shields-all",
            r#"canary{tenant="acme-books"} or {__name__=~"canary|target_info"}"#,
        ),
        (
            "ATK-10 shielded by an operand",
            r#"canary * on (region) group_left () canary{tenant="acme-books"} or canary"#,
        ),
        ("ATK-11 negative-matcher-counts", r#"canary{tenant!="acme-books"}"#),
        ("ATK-11 negative pattern", r#"canary{tenant!~"x"}"#),
        ("ATK-11 empty tenant", r#"canary{tenant=""}"#),
        ("ATK-14 utf8-quoted-label", r#"{"tenant"="globex-lit"}"#),
        ("ATK-14 quoted name and label", r#"{"canary","tenant"="globex-lit"}"#),
        ("ATK-14 escaped label", r#"{"canary","ten\u0061nt"=~"glob.*|acme.*"}"#),
        ("ATK-15 regex-value-injection", r#"canary{tenant=~"acme-books|.*"}"#),
        ("ATK-15 quote in a value", r#"canary{note!="\"} or canary{note!=\""}"#),
        ("ATK-16 empty-match", r#"canary{tenant=~"|globex-lit"}"#),
        ("ATK-17 offset and at", "canary @ end() offset 1m"),
        ("ATK-17 subquery", "max_over_time(canary[5m:1m] offset 30s)"),
        ("ATK-17 comments", "canary # {tenant=\"acme-books\"}\r or # x\n {__name__=\"canary\"}"),
        ("ATK-19 labels-strip", "sum without (tenant) (canary)"),
        ("ATK-19 label_replace onto tenant", r#"label_replace(canary, "tenant", "acme-books", "", "")"#),
        ("ATK-1A aggregation-parameter", r#"topk(scalar(count({__name__="canary"})), canary)"#),
        ("ATK-1A count_values", r#"count_values("note", canary) or canary"#),
    ] {
        for path in ["/api/v1/query", "/api/v1/query_range"] {
            let endpoint = &path["/api/v1/".len()..];
            let endpoint = if endpoint == "query" { "prometheus.query" } else { "prometheus.query_range" };
            let params = if endpoint == "prometheus.query" {
                clock.instant(query)
            } else {
                clock.steps(&[("query", query)])
            };
            for request in [Request::get(path, &params), Request::form(path, &params)] {
                let name = format!("{name} {} {endpoint}", request.method);
                all.push(control(clock, Attack::twin(name, "prometheus", endpoint, request)));
            }
        }
    }
    // Refused: a function that reads by itself, another dialect, new grammar.
    for (name, query) in [
        ("ATK-12 info-function", "info(up)"),
        (
            "ATK-12 info-function over label_replace",
            r#"info(label_replace(up, "instance", "host-0:9100", "", ""))"#,
        ),
        ("ATK-12 info-function with labels", r#"info(up, {note=~".+"})"#),
        (
            "ATK-12 info-function nested",
            "sum(rate(http_requests_total[5m])) + on () group_left () (info(up))",
        ),
        ("ATK-13 in-selector-or", r#"{note="x" or __name__="canary"}"#),
        ("ATK-17 unknown function", "canary_of(canary)"),
        ("ATK-17 fill modifier", "canary + fill(0) canary"),
        ("ATK-18 engine-panics", "canary[1e400]"),
        ("ATK-1B duration without end", "canary offset NaN"),
        ("ATK-1B huge offset", "canary offset 1e30"),
    ] {
        let request = Request::get("/api/v1/query", &clock.instant(query));
        let attack = Attack::refused(name, "prometheus", request, &[400]);
        all.push(control(clock, attack));
    }
    for (name, query) in [
        ("ATK-1B parentheses", format!("{}canary{}", "(".repeat(100_000), ")".repeat(100_000))),
        ("ATK-1B unary minuses", format!("{}canary", "-".repeat(60_000))),
        ("ATK-1B a sum of many", format!("canary{}", "+canary".repeat(9_000))),
        ("ATK-1B open braces", "{".repeat(60_000)),
        ("ATK-1B deep functions", format!("{}canary{}", "abs(".repeat(5_000), ")".repeat(5_000))),
    ] {
        let request = Request::form("/api/v1/query", &clock.instant(&query));
        let attack = Attack::refused(name, "prometheus", request, &[400, 413]);
        all.push(control(clock, attack));
    }
    for (name, selector) in [
        ("ATK-13 in-selector-or in match[]", r#"{note="x" or __name__="canary"}"#),
        ("ATK-17 an expression as match[]", "canary or canary"),
        ("ATK-14 a match[] that ends early", r#"up} or {__name__="canary""#),
    ] {
        for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/label/note/values"] {
            let request = Request::get(path, &clock.range(&[("match[]", selector)]));
            let attack = Attack::refused(format!("{name} {path}"), "prometheus", request, &[400]);
            all.push(control(clock, attack));
        }
    }
    // Dots in a scope's values are dots: `pressxone` is not `press.one`.
    for query in ["canary", r#"canary{tenant!="initech-press"}"#] {
        let request = Request::get("/api/v1/query", &clock.instant(query));
        let name = format!("ATK-15 dots-are-dots {query}");
        let attack = Attack::shows(name, "prometheus", request, "canary-press.one");
        all.push(attack.by("erin"));
    }
    all
}

/// The control asks FULL for the canaries the query is after.
fn control(clock: &Clock, attack: Attack) -> Attack {
    attack.control(Request::get("/api/v1/query", &clock.instant("canary")))
}
