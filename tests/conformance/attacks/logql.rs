//! ATK-20 to -27: LogQL.

use super::{Attack, Clock};
use crate::http::Request;

const RANGE: &str = "/loki/api/v1/query_range";
const INSTANT: &str = "/loki/api/v1/query";

pub fn all(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, query) in [
        ("ATK-20 matcher-type-ignored", r#"{tenant!="acme-books", service=~".+"}"#),
        ("ATK-20 negative pattern", r#"{tenant!~"acme-books", service="catalog"}"#),
        ("ATK-20 the prefix tenant", r#"{tenant=~"acme-books.+"}"#),
        (
            "ATK-21 printer-injection",
            r#"sum by (note) (count_over_time({service="storefront"} | logfmt | note!="\") [5m]))) or sum(count_over_time(({service=~\".+\"} | note=\"" [5m]))"#,
        ),
        ("ATK-21 in a line filter", r#"{service="catalog"} != "\"} or {service=~\".+\"} |= \"""#),
        ("ATK-21 in a raw string", "{service=\"catalog\"} != `\"} |= \"`"),
        (
            "ATK-22 range-token-comment",
            "count_over_time({service!=\"})\", service=~\".+\"} # \"}[\", b=~\".+\"}[5m])\n[5m])",
        ),
        ("ATK-22 a hash in a matcher", "{service!=\"#\", note!=\"}\", region=\"us-east\"} # \"} |= \"x\""),
        ("ATK-23 last-wins-map", r#"{tenant="acme-books", tenant!="acme-books", service=~".+"}"#),
        ("ATK-23 turned", r#"{tenant!="acme-books", tenant="globex-lit", service=~".+"}"#),
        ("ATK-23 both tenants", r#"{tenant="globex-lit", service="catalog"}"#),
        ("ATK-24 pipeline-relabel label_format", r#"{service="catalog"} | label_format tenant="acme-books""#),
        ("ATK-24 pipeline-relabel drop", r#"{service="catalog"} | drop tenant | tenant="""#),
        ("ATK-24 pipeline-relabel keep", r#"{service="catalog"} | keep service"#),
        (
            "ATK-24 pipeline-relabel json",
            r#"{service="payments-gateway"} | json | tenant_extracted="acme-books""#,
        ),
        ("ATK-24 pipeline-relabel logfmt", r#"{service="storefront"} | logfmt tenant="note""#),
        ("ATK-24 label filter as a fence", r#"{service=~".+"} | tenant="acme-books" or tenant="globex-lit""#),
        ("ATK-24 metadata names a tenant", r#"{service=~".+"} | owner_tenant="acme-books""#),
        ("ATK-24 an extracted label names a tenant", r#"{exported_tenant="acme-books"}"#),
        ("ATK-25 comments", "{ # tenant=\"acme-books\"}\n service=\"catalog\" # }\n}"),
        ("ATK-25 backticks", "{service=`catalog`, tenant=~`.+`}"),
        (
            "ATK-10 a second selector",
            r#"sum by (tenant) (count_over_time({tenant="acme-books"}[5m])) or sum by (tenant, note) (count_over_time({service=~".+"}[5m]))"#,
        ),
        (
            "ATK-10 a range in a division",
            r#"sum(rate({tenant="acme-books"}[5m])) / on () group_left (note) sum by (note) (count_over_time({note!=""}[30m]))"#,
        ),
    ] {
        // Lines are asked for over a range only.
        let counts = query.contains("_over_time(");
        let ranged = ("loki.query_range", RANGE, clock.steps(&[("query", query)]));
        let instant = counts.then(|| ("loki.query", INSTANT, clock.instant(query)));
        for (endpoint, path, params) in [ranged].into_iter().chain(instant) {
            for request in [Request::get(path, &params), Request::form(path, &params)] {
                let name = format!("{name} {} {endpoint}", request.method);
                all.push(control(clock, Attack::twin(name, "loki", endpoint, request)));
            }
        }
    }
    for (name, query) in [
        ("ATK-25 block comment", r#"{service="catalog" /* "} */ }"#.to_owned()),
        ("ATK-25 slash comment", "{service=\"catalog\" // }\n}".to_owned()),
        (
            "ATK-17 variants",
            r#"variants(count_over_time({service="catalog"}[5m])) of ({service="catalog"}[5m])"#.to_owned(),
        ),
        ("ATK-16 empty selector", r#"{service=~".*"}"#.to_owned()),
        ("ATK-16 only a negative matcher", r#"{tenant!="acme-books"}"#.to_owned()),
        ("ATK-22 two ranges", r#"count_over_time({service="catalog"}[5m])[5m]"#.to_owned()),
        ("ATK-25 unicode label", "{s\u{212a}u=\"x\", service=\"catalog\"}".to_owned()),
        (
            "ATK-1B parentheses",
            format!("{}rate({{service=\"catalog\"}}[5m]){}", "(".repeat(20_000), ")".repeat(20_000)),
        ),
        ("ATK-1B filters", format!("{{service=\"catalog\"}}{}", "|=\"\"".repeat(20_000))),
        (
            "ATK-1B a range without end",
            r#"count_over_time({service="catalog"}[999999999999999999999y])"#.to_owned(),
        ),
    ] {
        let request = Request::form(RANGE, &clock.steps(&[("query", &query)]));
        all.push(control(clock, Attack::refused(name, "loki", request, &[400, 413])));
    }
    for (name, selector) in [
        ("ATK-21 a selector that ends early", r#"{service="x"} or {service=~".+"}"#),
        ("ATK-21 a pipeline as a selector", r#"{service="canary"} | json"#),
    ] {
        let tries = [
            ("/loki/api/v1/series", "match[]"),
            ("/loki/api/v1/series", "match"),
            ("/loki/api/v1/labels", "query"),
            ("/loki/api/v1/label/note/values", "query"),
            ("/loki/api/v1/index/stats", "query"),
        ];
        for (path, key) in tries {
            let request = Request::get(path, &clock.range(&[(key, selector)]));
            let attack = Attack::refused(format!("{name} {path} {key}"), "loki", request, &[400]);
            all.push(control(clock, attack));
        }
    }
    // What holds a connection open is a WebSocket or nothing; `tail.rs` has the rest.
    let request = Request::get("/loki/api/v1/tail", &clock.range(&[("query", r#"{service="canary"}"#)]));
    all.push(control(clock, Attack::refused("ATK-26 tail-outlives-token", "loki", request, &[426])));
    let request = Request::get(RANGE, &clock.steps(&[("query", r#"{service="canary"}"#)]));
    all.push(Attack::shows("ATK-15 dots-are-dots in LogQL", "loki", request, "canary-press.one").by("erin"));
    all
}

fn control(clock: &Clock, attack: Attack) -> Attack {
    let params = clock.steps(&[("query", r#"{service="canary"}"#)]);
    attack.control(Request::get(RANGE, &params))
}
