//! Streams, as bodies of Loki's push API, and rules of its ruler.

use serde_json::{Value, json};

use super::tempo::own_id;
use super::{Holds, SERVICES, TENANTS, canary, hostile};

/// Entries in each stream; 30 s apart.
const ENTRIES: i64 = 50;

/// The push body for one set of streams, timestamps from `start` on.
pub fn push(holds: Holds, start: i64) -> Value {
    let mut streams = Vec::new();
    for (at, tenant) in TENANTS.iter().enumerate() {
        if holds.tenant(tenant) {
            owned(&mut streams, start, tenant, at as i64 + 1);
        }
    }
    if holds.tenant("globex-lit") {
        forged(&mut streams, start);
    }
    if holds.strays() {
        strays(&mut streams, start);
    }
    streams.retain(|stream| holds.region(stream["stream"]["region"].as_str()));
    json!({ "streams": streams })
}

/// What is pushed once that is flushed, so that it stays in memory: more lines of some of the same streams.
pub fn late(holds: Holds, start: i64) -> Value {
    let mut streams = Vec::new();
    let there = |tenant: &str| hostile::wanted() && holds.tenant(tenant);
    for (at, tenant) in TENANTS.iter().enumerate().filter(|(_, tenant)| there(tenant)) {
        for (i, service) in SERVICES.iter().enumerate() {
            let lines = (ENTRIES..ENTRIES + 5)
                .map(|n| json!([self::at(start, n, i), line(service, tenant, at as i64 + 1, n)]));
            streams.push(json!({
                "stream": { "tenant": tenant, "region": "us-east", "service": service, "env": "prod" },
                "values": lines.collect::<Vec<_>>(),
            }));
        }
        streams.push(typed(start, tenant, ENTRIES..ENTRIES + 5));
    }
    json!({ "streams": streams })
}

/// A tenant's stream whose fields and label have a type of its own under names that all have.
fn typed(start: i64, tenant: &str, lines: std::ops::Range<i64>) -> Value {
    let values: Vec<Value> = lines
        .map(|n| json!([at(start, n, 6), hostile::line(tenant, n), hostile::metadata(tenant, n)]))
        .collect();
    let label = match tenant {
        "acme-books" => "1".to_owned(),
        "globex-lit" => "one".to_owned(),
        "initech-press" => "x".repeat(900),
        "press.one" => "größe|.*\"}".to_owned(),
        _ => "NaN".to_owned(),
    };
    json!({
        "stream": { "tenant": tenant, "region": "us-east", "service": "typed", "typed": label },
        "values": values,
    })
}

/// How many streams that is.
pub fn streams(holds: Holds) -> usize {
    push(holds, 0)["streams"].as_array().map_or(0, Vec::len)
}

fn owned(streams: &mut Vec<Value>, start: i64, tenant: &str, weight: i64) {
    let note = canary(tenant);
    for (i, service) in SERVICES.iter().enumerate() {
        let values: Vec<Value> = (0..ENTRIES)
            .map(|n| {
                let line = line(service, tenant, weight, n);
                // Some lines of one service were written within a seeded trace.
                let trace = match u8::try_from(n) {
                    Ok(trace @ 1..=4) if *service == "catalog" => own_id(tenant, trace),
                    _ => format!("{weight:016x}{n:016x}"),
                };
                let mut meta = json!({ "trace_id": trace });
                // Structured metadata of this name is no scope.
                if *tenant != *"acme-books" {
                    meta["shop"] = json!("acme-books");
                    if i == 1 {
                        meta["owner_tenant"] = json!("acme-books");
                    }
                }
                json!([at(start, n, i), line, meta])
            })
            .collect();
        streams.push(json!({
            "stream": { "tenant": tenant, "region": "us-east", "service": service, "env": "prod" },
            "values": values,
        }));
    }
    // As many lines of one shape and level as a pattern must have to show.
    let same: Vec<Value> = (0..ENTRIES)
        .map(|n| json!([at(start, n, 5), format!("level=info recommended {n} books of {weight} to {note}")]))
        .collect();
    streams.push(json!({
        "stream": { "tenant": tenant, "region": "eu-west", "service": "recommender" },
        "values": same,
    }));
    if hostile::wanted() {
        streams.push(typed(start, tenant, 0..ENTRIES));
    }
    streams.push(json!({
        "stream": { "tenant": tenant, "region": "eu-west", "service": "canary", "note": note },
        "values": [[at(start, 3, 0), format!("only {tenant} may read {note}")]],
    }));
}

/// The rule file for one set of streams: each tenant's rules say so and say their region; an alert of the operator's goes to each
/// tenant that it is about; other rules of the operator's are nobody's.
pub fn rules(holds: Holds) -> String {
    let mut groups = Vec::new();
    for tenant in TENANTS.iter().filter(|tenant| holds.tenant(tenant)) {
        let (note, labels) = (canary(tenant), json!({ "tenant": tenant, "region": "us-east" }));
        let own = format!(
            r#"count_over_time({{tenant="{tenant}", region="us-east", service="catalog"}} |= " 500 " [12h])"#
        );
        let west = format!(r#"count_over_time({{tenant="{tenant}", region="eu-west"}}[12h])"#);
        let all = json!([
            {
                "alert": "OwnErrors", "expr": format!("sum by (service) ({own}) > 0"), "labels": labels,
                "annotations": { "summary": note },
            },
            { "alert": "Never", "expr": format!("sum({own}) < 0"), "labels": labels },
            { "alert": "Pending", "expr": format!("sum({own}) > 0"), "for": "100d", "labels": labels },
            { "record": "own:errors", "expr": format!("sum({own})"), "labels": labels },
            {
                "record": "own:lines", "expr": format!("sum({west})"),
                "labels": { "tenant": tenant, "region": "eu-west" },
            },
        ]);
        let mut rules = all.as_array().cloned().unwrap_or_default();
        rules.retain(|rule| holds.region(rule["labels"]["region"].as_str()));
        groups.push(json!({ "name": format!("{tenant} own"), "interval": "15s", "rules": rules }));
    }
    let everyones = r#"count_over_time({service="catalog"} |= " 500 " [12h])"#;
    groups.push(json!({ "name": "shared", "interval": "15s", "rules": [{
        "alert": "AnyErrors", "expr": format!("sum by (tenant, region) ({everyones}) > 0"),
        "annotations": { "summary": "canary-{{ $labels.tenant }}" },
    }] }));
    if holds.strays() {
        let labels = json!({ "note": canary("untenanted") });
        groups.push(json!({ "name": "operator", "interval": "15s", "rules": [
            { "alert": "AllErrors", "expr": format!("sum({everyones}) > 0"), "labels": labels },
            { "record": "all:errors", "expr": format!("sum({everyones})"), "labels": labels },
        ] }));
    }
    // Each JSON is YAML.
    json!({ "groups": groups }).to_string()
}

/// How many alerts of these rules are not inactive.
pub fn alerts(holds: Holds) -> usize {
    // Two of each tenant's own, and the shared one.
    let tenants = TENANTS.iter().filter(|tenant| holds.tenant(tenant)).count();
    tenants * 3 + usize::from(holds.strays())
}

/// A line of each service's own shape: logfmt, plain text, JSON.
fn line(service: &str, tenant: &str, weight: i64, n: i64) -> String {
    let note = canary(tenant);
    let level = ["info", "warn", "error"][(n % 3) as usize];
    let took = (n * 7 + weight * 3) % 400;
    match service {
        "storefront" => {
            format!(r#"level={level} msg="checkout done" order={} duration={took}ms note={note}"#, n * weight)
        }
        "catalog" => {
            let status = if n % 3 == 2 { 500 } else { 200 };
            format!("GET /books/978-{n} {status} {took} {note}")
        }
        _ => {
            let text = if n % 3 == 2 { "ERROR card declined" } else { "charged" };
            let brand = if n % 2 == 0 { "visa" } else { "amex" };
            json!({
                "level": level,
                "msg": text,
                "amount": (n * weight) as f64 / 4.0,
                "tenant": "acme-books",
                "card": { "brand": brand },
                "note": note,
            })
            .to_string()
        }
    }
}

fn at(start: i64, n: i64, stream: usize) -> String {
    ((start + n * 30) * 1_000_000_000 + stream as i64 * 1_000_000).to_string()
}

/// A stream that no tenant owns.
fn strays(streams: &mut Vec<Value>, start: i64) {
    let note = canary("untenanted");
    streams.push(json!({
        "stream": { "service": "storefront", "region": "us-east", "env": "prod", "note": note },
        "values": [[at(start, 5, 0), format!("level=error msg=\"{note}\"")]],
    }));
}

/// A stream of `globex-lit` whose entries, metadata and another label claim
/// `acme-books`.
fn forged(streams: &mut Vec<Value>, start: i64) {
    let note = canary("forged");
    streams.push(json!({
        "stream": { "tenant": "globex-lit", "service": "storefront", "note": note, "exported_tenant": "acme-books" },
        "values": [[
            at(start, 6, 0),
            format!("level=error tenant=acme-books msg=\"{note}\""),
            { "tenant": "acme-books" },
        ]],
    }));
}
