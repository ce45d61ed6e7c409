//! Spans, as OTLP/HTTP JSON.
//!
//! Five windows of minutes, apart in time, so that a query by time meets
//! one kind of trace: `PURE` traces belong to one tenant in the east, `WEST` ones in the west; the `MIXED` trace has
//! a foreign root, a foreign middle span and spans of one's own; in `INFRA` the
//! root belongs to nobody; the spans of `FORGED` lie about their tenant.

use serde_json::{Value, json};

use super::{Holds, TENANTS, canary};

/// Seconds from the seed's start to the window of traces of one tenant each.
pub const PURE: i64 = 0;
/// The window of traces of one tenant each, of another region.
pub const WEST: i64 = 400;
/// The window of the trace that several tenants share.
pub const MIXED: i64 = 600;
/// The window of traces below an untenanted root.
pub const INFRA: i64 = 1000;
/// The window of spans whose tenant is said twice, in a list or elsewhere.
pub const FORGED: i64 = 1400;

/// The shared trace's id.
pub const MIXED_ID: &str = "0abd0000000000000000000000000001";
/// The forged spans' trace.
pub const FORGED_ID: &str = "0abd0000000000000000000000000002";

/// The id of a tenant's pure trace; `trace` is 1 to 4, and 5 that of the west.
pub fn own_id(tenant: &str, trace: u8) -> String {
    format!("0abc0000{:08x}00000000{trace:08x}", index(tenant))
}

/// The id of a tenant's trace below an untenanted root.
pub fn infra_id(tenant: &str) -> String {
    format!("0abe0000{:08x}0000000000000001", index(tenant))
}

fn index(tenant: &str) -> usize {
    TENANTS.iter().position(|t| *t == tenant).map_or(0, |i| i + 1)
}

/// The export request for one set of spans, times from `start` on.
pub fn export(holds: Holds, start: i64) -> Value {
    let mut spans = Vec::new();
    let seed = Seed { start };
    for tenant in TENANTS.iter().filter(|t| holds.tenant(t)) {
        seed.pure(&mut spans, tenant);
        seed.west(&mut spans, tenant);
    }
    seed.mixed(&mut spans, holds);
    for tenant in ["acme-books", "globex-lit"] {
        if holds.tenant(tenant) {
            seed.infra(&mut spans, tenant);
        }
    }
    seed.forged(&mut spans, holds);
    spans.retain(|batch| holds.region(region(batch)));
    json!({ "resourceSpans": spans })
}

struct Seed {
    start: i64,
}

/// One span to be; times in milliseconds from the seed's start.
struct Span<'a> {
    trace: &'a str,
    id: String,
    parent: Option<&'a str>,
    name: &'a str,
    kind: u8,
    at: i64,
    millis: i64,
    attributes: Vec<Value>,
    failed: bool,
}

impl Seed {
    fn nanos(&self, millis: i64) -> String {
        (self.start * 1_000_000_000 + millis * 1_000_000).to_string()
    }

    fn span(&self, span: Span<'_>) -> Value {
        let mut value = json!({
            "traceId": span.trace,
            "spanId": span.id,
            "name": span.name,
            "kind": span.kind,
            "startTimeUnixNano": self.nanos(span.at),
            "endTimeUnixNano": self.nanos(span.at + span.millis),
            "attributes": span.attributes,
        });
        if let Some(parent) = span.parent {
            value["parentSpanId"] = json!(parent);
        }
        if span.failed {
            value["status"] = json!({ "code": 2, "message": "declined" });
            value["events"] = json!([{
                "name": "exception",
                "timeUnixNano": self.nanos(span.at + 10),
                "attributes": [text("exception.message", "card declined")],
            }]);
            value["links"] = json!([{ "traceId": MIXED_ID, "spanId": "00000000000a0010" }]);
        }
        value
    }

    /// Four traces of three services, equal in every tenant but for the ids.
    fn pure(&self, out: &mut Vec<Value>, tenant: &str) {
        let note = text("note", &canary(tenant));
        let tag = index(tenant);
        for k in 1..=4u8 {
            let trace = own_id(tenant, k);
            let at = PURE * 1000 + i64::from(k) * 20_000;
            let id = |n: u8| format!("{tag:04x}{k:04x}0000{n:04x}");
            let root = id(1);
            let mut add = |service: &str, span: Span<'_>| {
                let resource = vec![
                    text("service.name", service),
                    text("tenant", tenant),
                    text("region", "us-east"),
                    text("host.name", &format!("node-{tenant}")),
                    text(&format!("only.{}", canary(tenant)), "resource"),
                ];
                out.push(batch(resource, self.span(span)));
            };
            add(
                "storefront",
                Span {
                    trace: &trace,
                    id: root.clone(),
                    parent: None,
                    name: "POST /checkout",
                    kind: 2,
                    at,
                    millis: 1500 + i64::from(k) * 100,
                    attributes: vec![
                        int("http.status_code", if k == 3 { 500 } else { 200 }),
                        text("tenant", "acme-books"),
                        note.clone(),
                    ],
                    failed: k == 3,
                },
            );
            add(
                "catalog",
                Span {
                    trace: &trace,
                    id: id(2),
                    parent: Some(&root),
                    name: "reserve stock",
                    kind: 1,
                    at: at + 100,
                    millis: 300,
                    attributes: vec![
                        text("isbn", &format!("978-{k}")),
                        text(&format!("only.{}", canary(tenant)), "span"),
                        note.clone(),
                    ],
                    failed: false,
                },
            );
            add(
                "payments-gateway",
                Span {
                    trace: &trace,
                    id: id(3),
                    parent: Some(&root),
                    name: "charge card",
                    kind: 3,
                    at: at + 500,
                    millis: 700 + i64::from(k) * 10,
                    attributes: vec![
                        json!({"key": "amount", "value": {"doubleValue": 12.5 + f64::from(k)}}),
                        json!({"key": "retry", "value": {"boolValue": k > 2}}),
                        note.clone(),
                    ],
                    failed: k == 3,
                },
            );
        }
    }

    /// A trace of another region, of two services.
    fn west(&self, out: &mut Vec<Value>, tenant: &str) {
        let trace = own_id(tenant, 5);
        let tag = index(tenant);
        let at = WEST * 1000 + 20_000;
        let root = format!("{tag:04x}000500000001");
        let leaf = format!("{tag:04x}000500000002");
        for (service, id, parent, name, at) in [
            ("recommender", root.clone(), None, "GET /recommended", at),
            ("catalog", leaf, Some(root.as_str()), "list books", at + 50),
        ] {
            let resource = vec![
                text("service.name", service),
                text("tenant", tenant),
                text("region", "eu-west"),
                text("host.name", &format!("node-{tenant}")),
            ];
            let attributes = vec![text("west_note", &canary(tenant))];
            let span =
                Span { trace: &trace, id, parent, name, kind: 2, at, millis: 400, attributes, failed: false };
            out.push(batch(resource, self.span(span)));
        }
    }

    /// Foreign root and middle span of `globex-lit`, own leaves of `acme-books`.
    fn mixed(&self, out: &mut Vec<Value>, holds: Holds) {
        let at = MIXED * 1000 + 60_000;
        let (root, middle) = ("00000000000a0001", "00000000000a0002");
        let span = |id: &str, parent: Option<&str>, name: &str, at: i64, millis: i64, note: &str| {
            self.span(Span {
                trace: MIXED_ID,
                id: id.into(),
                parent,
                name,
                kind: 1,
                at,
                millis,
                attributes: vec![text("note", &canary(note))],
                failed: false,
            })
        };
        let shop = |tenant: &str, service: &str| {
            vec![text("service.name", service), text("tenant", tenant), text("region", "us-east")]
        };
        if holds.tenant("globex-lit") {
            let globex = shop("globex-lit", "globex-gateway");
            let name = format!("GET /globex {}", canary("globex-lit"));
            let root = span(root, None, &name, at, 9000, "globex-lit");
            out.push(batch(globex.clone(), root));
            let name = format!("globex middle {}", canary("globex-lit"));
            let middle = span(middle, Some("00000000000a0001"), &name, at + 100, 5000, "globex-lit");
            out.push(batch(globex, middle));
        }
        if holds.tenant("acme-books") {
            for (n, parent) in [root, root, middle, "00000000000a0010"].iter().enumerate() {
                let name = format!("own leaf {n}");
                let id = format!("00000000000a001{n}");
                let at = at + 200 + n as i64 * 10;
                let leaf = span(&id, Some(parent), &name, at, 1000, "acme-books");
                out.push(batch(shop("acme-books", "catalog"), leaf));
            }
        }
        if holds.strays() {
            let nobody = vec![text("service.name", "storefront"), text("region", "us-east")];
            let stray = span("00000000000a0020", Some(root), "untenanted", at + 300, 100, "untenanted");
            out.push(batch(nobody, stray));
        }
    }

    /// An untenanted root over spans of one tenant; no value of its own, so
    /// that a TWIN's tag values are those of its tenants.
    fn infra(&self, out: &mut Vec<Value>, tenant: &str) {
        let trace = infra_id(tenant);
        let tag = index(tenant);
        let root = format!("{tag:04x}000000000b01");
        let at = INFRA * 1000 + 60_000;
        let span = |id: String, parent: Option<&str>, name: &str, kind: u8, at: i64| {
            self.span(Span {
                trace: &trace,
                id,
                parent,
                name,
                kind,
                at,
                millis: 800,
                attributes: vec![],
                failed: false,
            })
        };
        let edge = vec![text("service.name", "storefront"), text("region", "us-east")];
        out.push(batch(edge, span(root.clone(), None, "POST /checkout", 2, at)));
        let own = vec![text("service.name", "catalog"), text("tenant", tenant), text("region", "us-east")];
        let leaf = format!("{tag:04x}000000000b02");
        out.push(batch(own, span(leaf, Some(&root), "reserve stock", 1, at + 100)));
    }

    /// Spans that claim `acme-books` without being its own for sure.
    fn forged(&self, out: &mut Vec<Value>, holds: Holds) {
        let at = FORGED * 1000 + 60_000;
        let span = |id: &str, name: &str, extra: Vec<Value>| {
            self.span(Span {
                trace: FORGED_ID,
                id: id.into(),
                parent: None,
                name,
                kind: 1,
                at,
                millis: 100,
                attributes: extra,
                failed: false,
            })
        };
        if holds.tenant("acme-books") {
            let own = vec![text("service.name", "catalog"), text("tenant", "acme-books")];
            out.push(batch(own, span("00000000000c0001", "reserve stock", vec![])));
        }
        let liar = |name: &str| vec![text("forged_note", &canary(name))];
        if holds.tenant("globex-lit") {
            let mut claims = liar("span-attribute");
            claims.push(text("tenant", "acme-books"));
            claims.push(text("resource.tenant", "acme-books"));
            let globex = vec![text("service.name", "catalog"), text("tenant", "globex-lit")];
            out.push(batch(globex, span("00000000000c0020", "reserve stock", claims)));
        }
        if !holds.strays() {
            return;
        }
        let list = json!({"key": "tenant", "value": {"arrayValue": {"values": [
            {"stringValue": "acme-books"}, {"stringValue": "globex-lit"}]}}});
        let cases: [(&str, Vec<Value>); 3] = [
            ("array", vec![list]),
            ("repeated", vec![text("tenant", "acme-books"), text("tenant", "globex-lit")]),
            ("turned", vec![text("tenant", "globex-lit"), text("tenant", "acme-books")]),
        ];
        for (n, (name, tenants)) in cases.into_iter().enumerate() {
            let mut resource = vec![text("service.name", "catalog")];
            resource.extend(tenants);
            let id = format!("00000000000c001{n}");
            out.push(batch(resource, span(&id, "reserve stock", liar(name))));
        }
    }
}

/// The region of one batch's resource.
fn region(batch: &Value) -> Option<&str> {
    let attributes = batch["resource"]["attributes"].as_array()?;
    attributes.iter().find(|a| a["key"] == "region")?["value"]["stringValue"].as_str()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn int(key: &str, value: i64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn batch(resource: Vec<Value>, span: Value) -> Value {
    json!({
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "bookstore", "version": "2.1" }, "spans": [span] }],
    })
}
