//! Rules, alerts, silences, exemplars, names of metrics, a live tail, and an explanation.

use super::{Backend, Expect, Line, METRICS, Place, Sends, WINDOW, Who, exactly};
use crate::demo::alertmanager::STANDING;
use crate::demo::data::{Shop, trace_id, trace_id_text};
use crate::demo::{facts, time};
use serde_json::json;

const ALERTS: Place = Place::Palisade(Backend::Alertmanager);

pub(super) fn lines(own: &Shop, other: &Shop, until: i64) -> Vec<Line> {
    let mut all = metrics(own, until);
    all.extend(alerts(own, other, until));
    all.push(tail(until));
    all.push(explain(own, other));
    all
}

fn metrics(own: &Shop, until: i64) -> Vec<Line> {
    let get = |says, path: &str, expect| Line::new(says, Who::A, METRICS, path, expect);
    let minute = until / 60;
    let trace = |minute| format!("{} {}", own.tenant, trace_id_text(trace_id(own, minute)));
    let traces = [trace(minute - 10), trace(minute - 5)];
    vec![
        get(
            "the exemplars of A's errors lead to A's traces",
            "/api/v1/query_exemplars",
            exactly(facts::exemplars, &traces.each_ref().map(String::as_str)),
        )
        .with("query", "rate(http_requests_total{code=\"500\"}[5m])")
        .with("start", (until - WINDOW).to_string())
        .with("end", until.to_string())
        .only_embedded(),
        get(
            "what A's own targets say of metrics",
            "/api/v1/metadata",
            exactly(
                facts::metadata,
                &[
                    "books_in_stock gauge Copies on the shelves.",
                    "http_requests_total counter Requests at the storefront.",
                ],
            ),
        ),
        get(
            "the rules that A has, and what fires",
            "/api/v1/rules",
            exactly(facts::rules, &["acme-books HighErrorRate firing 1"]),
        ),
    ]
}

fn alerts(own: &Shop, other: &Shop, until: i64) -> Vec<Line> {
    let of = |says, who, path: &str, expect| Line::new(says, who, ALERTS, path, expect);
    let alerts = |says, who, fact: &str| of(says, who, "/api/v2/alerts", exactly(facts::alerts, &[fact]));
    let foreign = format!("/api/v2/silence/{STANDING}");
    let silence = json!({
        "matchers": [{"name": "alertname", "value": "HighErrorRate", "isRegex": false}], "createdBy": "alice",
        "startsAt": time::rfc3339(until - WINDOW), "endsAt": time::rfc3339(until + 86_400), "comment": "we know",
    });
    vec![
        alerts("A's alerts", Who::A, "acme-books HighErrorRate active"),
        of("A asks for B's alerts: none", Who::A, "/api/v2/alerts", exactly(facts::alerts, &[]))
            .with("filter", format!("tenant=\"{}\"", other.tenant)),
        Line {
            sends: Sends::Json(silence.to_string()),
            ..of("A silences the alert of that name", Who::A, "/api/v2/silences", Expect::Status(200))
        }
        .only_embedded(),
        of(
            "the silence is A's: it got the tenant",
            Who::A,
            "/api/v2/silences",
            exactly(facts::silences, &[&format!("alertname=HighErrorRate tenant={}", own.tenant)]),
        ),
        alerts("A's alert is silenced", Who::A, "acme-books HighErrorRate suppressed"),
        alerts("B's is not", Who::B, "globex-lit HighErrorRate active"),
        of(
            "B's silences: A's is not among them",
            Who::B,
            "/api/v2/silences",
            exactly(facts::silences, &[&format!("alertname=Backup tenant={}", other.tenant)]),
        ),
        of("A reads B's silence by its id: not found", Who::A, &foreign, Expect::Status(404)),
        Line {
            sends: Sends::Delete,
            ..of("A expires B's silence: not found", Who::A, &foreign, Expect::Status(404))
        },
    ]
}

fn tail(until: i64) -> Line {
    let says = "A follows every payments log as it grows: A's lines";
    let expect = exactly(facts::tailed, &["acme-books payments-gateway"]);
    let line = Line::new(says, Who::A, Place::Palisade(Backend::Loki), "/loki/api/v1/tail", expect)
        .with("query", "{service=\"payments-gateway\"}")
        .with("start", (until - WINDOW).to_string())
        .with("limit", "10");
    Line { sends: Sends::Tail, ..line }.only_embedded()
}

/// An operator's question: why does somebody get what they get.
fn explain(own: &Shop, other: &Shop) -> Line {
    let query = format!("books_in_stock{{tenant=\"{}\"}}", other.tenant);
    let target = form_urlencoded::Serializer::new(String::new()).append_pair("query", &query).finish();
    let question = json!({
        "claims": {"tenant": own.tenant}, "backend": "prometheus", "request": format!("GET /api/v1/query?{target}"),
    });
    let sent = format!("books_in_stock{{tenant=\"{}\",tenant=\"{}\"}}", own.tenant, other.tenant);
    let scope = format!("tenant={}", own.tenant);
    let expect = exactly(facts::explained, &[&scope, &sent]);
    let says = "an operator asks what becomes of A's question about B";
    let line = Line::new(says, Who::A, Place::Control, "/-/explain", expect);
    Line { sends: Sends::Json(question.to_string()), ..line }
}
