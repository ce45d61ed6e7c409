//! Spans, as OTLP/HTTP JSON.
//!
//! Five windows of minutes, apart in time, so that a query by time meets
//! one kind of trace: `PURE` traces belong to one tenant in the east, `WEST` ones in the west; the `MIXED` trace has
//! a foreign root, a foreign middle span and spans of one's own; in `INFRA` the
//! root belongs to nobody; the spans of `FORGED` lie about their tenant.

use serde_json::{Value, json};

use super::{Holds, TENANTS, canary, hostile};

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
/// The window of the traces that three tenants share, in every order of arrival.
pub const SHARED: (i64, i64) = (-1500, -300);
/// Between here and the end of the seed are all spans; those outside of [`SHARED`] and before the seed's start are others'.
pub const EARLIEST: i64 = -3000;

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

/// The id of a trace that three tenants share; `trace` is 1 to 6.
pub fn shared_id(trace: usize) -> String {
    format!("0abf000000000000{trace:016x}")
}

fn index(tenant: &str) -> usize {
    TENANTS.iter().position(|t| *t == tenant).map_or(0, |i| i + 1)
}

/// How many pushes there are.
pub const PUSHES: usize = 6;
/// How many of them are flushed before the next.
pub const FLUSHED: usize = 3;

/// The export requests for one set of spans, times from `start` on.
pub fn exports(holds: Holds, start: i64) -> [Value; PUSHES] {
    let mut pushes: [Vec<Value>; PUSHES] = Default::default();
    let seed = Seed { start };
    for tenant in TENANTS.iter().filter(|t| holds.tenant(t)) {
        seed.pure(&mut pushes, tenant);
        seed.west(&mut pushes[FLUSHED], tenant);
    }
    seed.mixed(&mut pushes, holds);
    for tenant in ["acme-books", "globex-lit"] {
        if holds.tenant(tenant) {
            seed.infra(&mut pushes[0], tenant);
        }
    }
    seed.forged(&mut pushes[0], holds);
    if hostile::wanted() {
        seed.shared(&mut pushes, holds);
    } else {
        let all = pushes.iter_mut().flat_map(std::mem::take).collect();
        pushes[0] = all;
    }
    let mut number = 0;
    pushes.map(|mut spans| {
        spans.retain(|batch| holds.region(region(batch)));
        for batch in &mut spans {
            if let Some(all) = batch["scopeSpans"][0]["spans"][0]["attributes"].as_array_mut() {
                all.push(text("pushed", &number.to_string()));
            }
        }
        number += 1;
        json!({ "resourceSpans": spans })
    })
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
            value["links"] = json!([{ "traceId": MIXED_ID, "spanId": "00000000000a0010", "attributes": [] }]);
        }
        value
    }

    /// Four traces of three services, equal in every tenant but for the ids and the types of some attributes. The last
    /// stays live.
    fn pure(&self, pushes: &mut [Vec<Value>; PUSHES], tenant: &str) {
        let note = text("note", &canary(tenant));
        let tag = index(tenant);
        for k in 1..=4u8 {
            let out = &mut pushes[if k == 4 { FLUSHED } else { 0 }];
            let trace = own_id(tenant, k);
            let at = PURE * 1000 + i64::from(k) * 20_000;
            let id = |n: u8| format!("{tag:04x}{k:04x}0000{n:04x}");
            let root = id(1);
            let mut n = i64::from(k);
            let mut add = |service: &str, mut span: Span<'_>| {
                n += 1;
                let typed = hostile::attributes(tenant, n);
                // A name of its own type in place of the same name of another.
                span.attributes.retain(|own| typed.iter().all(|other| other["key"] != own["key"]));
                span.attributes.extend(typed.clone());
                let mut resource = vec![
                    text("service.name", service),
                    text("tenant", tenant),
                    text("region", "us-east"),
                    text("host.name", &format!("node-{tenant}")),
                    text(&format!("only.{}", canary(tenant)), "resource"),
                ];
                resource.extend(typed.iter().filter(|one| one["key"] == "typed").cloned());
                let mut batch = batch(resource, self.span(span));
                let scope = &mut batch["scopeSpans"][0];
                scope["scope"]["attributes"] =
                    typed.iter().filter(|one| one["key"] == "word").cloned().collect();
                let typed =
                    || typed.iter().filter(|one| one["key"] == "typed" || one["key"] == "word").cloned();
                for place in ["events", "links"] {
                    let place = format!("/spans/0/{place}/0/attributes");
                    if let Some(all) = scope.pointer_mut(&place).and_then(Value::as_array_mut) {
                        all.extend(typed());
                    }
                }
                out.push(batch);
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
    fn mixed(&self, pushes: &mut [Vec<Value>; PUSHES], holds: Holds) {
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
            pushes[0].push(batch(globex.clone(), root));
            let name = format!("globex middle {}", canary("globex-lit"));
            let middle = span(middle, Some("00000000000a0001"), &name, at + 100, 5000, "globex-lit");
            pushes[2].push(batch(globex, middle));
        }
        if holds.tenant("acme-books") {
            for (n, parent) in [root, root, middle, "00000000000a0010"].iter().enumerate() {
                let name = format!("own leaf {n}");
                let id = format!("00000000000a001{n}");
                let at = at + 200 + n as i64 * 10;
                let leaf = span(&id, Some(parent), &name, at, 1000, "acme-books");
                pushes[n % 3].push(batch(shop("acme-books", "catalog"), leaf));
            }
        }
        if holds.strays() {
            let nobody = vec![text("service.name", "storefront"), text("region", "us-east")];
            let stray = span("00000000000a0020", Some(root), "untenanted", at + 300, 100, "untenanted");
            pushes[1].push(batch(nobody, stray));
        }
    }

    /// Traces of three tenants, one for each order in which their spans can come. Each has spans of its own in
    /// the window; those of the third tenant begin long before it or end long after.
    fn shared(&self, pushes: &mut [Vec<Value>; PUSHES], holds: Holds) {
        let three = ["acme-books", "globex-lit", "initech-press"];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for (n, order) in orders.iter().enumerate() {
            let trace = shared_id(n + 1);
            let id = |tenant: usize, leaf: usize| format!("{:08x}{tenant:04x}{leaf:04x}", n + 1);
            let own = (SHARED.0 + 200 + n as i64 * 120) * 1000;
            for (place, tenant) in order.iter().enumerate().filter(|(_, t)| holds.tenant(three[**t])) {
                let name = three[*tenant];
                // Whoever comes first has the root.
                let parent = (place > 0).then(|| id(order[place - 1], 0));
                let far = if n % 2 == 0 { EARLIEST * 1000 + 60_000 * n as i64 } else { -90_000 };
                for leaf in 0..2usize {
                    let at = match (*tenant, leaf) {
                        (2, 0) => far,
                        _ => own + 1000 * *tenant as i64 + 300 * leaf as i64,
                    };
                    let mut attributes = hostile::attributes(name, (n + leaf) as i64);
                    attributes.push(text("note", &canary(name)));
                    let root = id(*tenant, 0);
                    let span = self.span(Span {
                        trace: &trace,
                        id: id(*tenant, leaf),
                        parent: if leaf == 0 { parent.as_deref() } else { Some(&root) },
                        name: ["reserve stock", "charge card"][leaf],
                        kind: 1,
                        at,
                        millis: 200 + 100 * leaf as i64,
                        attributes,
                        failed: leaf == 1,
                    });
                    let resource = vec![
                        text("service.name", ["catalog", "globex-gateway", "storefront"][*tenant]),
                        text("tenant", name),
                        text("region", "us-east"),
                    ];
                    // Half of the traces stay live; the part of the third tenant may be on the other side.
                    let first = if n % 2 == 0 { 0 } else { FLUSHED };
                    let push = match (*tenant, place) {
                        (2, 0) if n == 5 => 0,
                        (2, 2) if n == 2 => PUSHES - 1,
                        _ => first + place,
                    };
                    pushes[push].push(batch(resource, span));
                }
            }
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
