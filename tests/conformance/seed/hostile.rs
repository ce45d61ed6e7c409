//! Values that break others' queries where these are evaluated on them: under one name each tenant has another type.
//!
//! `acme-books` has what one expects, `globex-lit` numbers as texts and texts as numbers, and the others lists, maps, zeros to
//! divide by, what is no number, what is empty and what is huge.

use serde_json::{Value, json};

use super::canary;

/// Whether the seed is hostile: where random questions are asked of it. What the cases ask has its plain values. Servers
/// that are kept have it where a number of questions is given.
pub fn wanted() -> bool {
    let asked = |name: &str| std::env::var(name).unwrap_or_default();
    match asked("PALISADE_CONFORMANCE").as_str() {
        "interference" => true,
        "servers" => !matches!(asked("PALISADE_INTERFERENCE").as_str(), "" | "0"),
        _ => false,
    }
}

/// Attributes of a tenant's span, event, link or scope, by a number that tells spans apart.
pub fn attributes(tenant: &str, n: i64) -> Vec<Value> {
    if !wanted() {
        return Vec::new();
    }
    let number = |value: i64| json!({ "intValue": value.to_string() });
    let float = |value: f64| json!({ "doubleValue": value });
    let words = ["one", "two", "three", "four"];
    let word = text(words[(n % 4) as usize]);
    let list = |values: &[Value]| json!({ "arrayValue": { "values": values } });
    let values: Vec<(&str, Value)> = match tenant {
        "acme-books" => vec![
            ("typed", number(n % 3)),
            ("word", word),
            ("count", number(n + 1)),
            ("ratio", float(n as f64 / 2.0)),
            ("flag", json!({ "boolValue": n % 2 == 0 })),
            ("empty", text("")),
            ("größe", text("klein")),
            ("huge", text(&"h".repeat(1500))),
        ],
        "globex-lit" => vec![
            ("typed", text(&(n % 3).to_string())),
            ("word", word),
            ("count", float(n as f64 + 0.5)),
            ("ratio", number(n)),
            ("flag", text("true")),
            ("empty", text("full")),
            ("größe", number(n)),
        ],
        "acme-books-eu" => vec![
            ("typed", list(&[number(1), number(2)])),
            ("word", list(&[text("one"), text("zz")])),
            ("count", list(&[number(0), number(7)])),
            ("ratio", float(0.0)),
            ("flag", list(&[json!({ "boolValue": true })])),
            ("empty", list(&[])),
            ("größe", list(&[float(1.5)])),
            ("amount", list(&[float(12.5), float(0.0)])),
            ("isbn", list(&[text("978-1"), text("978-2")])),
            ("http.status_code", text("200")),
            ("retry", text("yes")),
        ],
        "initech-press" => vec![
            ("typed", json!({ "boolValue": n % 2 == 0 })),
            ("word", number(n)),
            ("count", number(0)),
            ("ratio", json!({ "doubleValue": "NaN" })),
            ("flag", number(1)),
            ("empty", number(0)),
            ("größe", json!({ "boolValue": false })),
            ("amount", text("12.5")),
            ("isbn", number(978)),
            ("http.status_code", list(&[text("200"), text("500")])),
            ("retry", number(0)),
        ],
        "press.one" => vec![
            ("typed", json!({ "doubleValue": "Infinity" })),
            ("word", text("")),
            ("count", number(i64::MAX)),
            ("ratio", float(-0.0)),
            ("empty", json!({ "bytesValue": "AAEC" })),
            ("größe", text(&"g".repeat(1900))),
            ("amount", number(0)),
            ("isbn", list(&[])),
            ("http.status_code", json!({ "doubleValue": 1e308 })),
        ],
        _ => vec![
            ("typed", json!({ "kvlistValue": { "values": [{ "key": "a", "value": number(1) }] } })),
            ("word", list(&[text("one"), number(1)])),
            ("count", number(i64::MIN)),
            ("flag", json!({ "doubleValue": 1.0 })),
            ("amount", json!({ "boolValue": true })),
            ("isbn", json!({ "boolValue": true })),
            ("http.status_code", number(-1)),
            ("retry", list(&[json!({ "boolValue": true })])),
        ],
    };
    values.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// A line whose fields have names that all tenants use, and a tenant's own type; by the number of the line.
pub fn line(tenant: &str, n: i64) -> String {
    let note = canary(tenant);
    match (tenant, n % 2) {
        ("acme-books", 0) => format!("level=info typed={} size={}kB took={n} note={note}", n % 3, n + 1),
        ("acme-books", _) => {
            json!({ "level": "warn", "typed": n % 3, "amount": n, "note": note }).to_string()
        }
        ("globex-lit", 0) => format!("level=5 typed=\"{}\" size=x took=1s note={note}", n % 3),
        ("globex-lit", _) => json!({ "level": n, "typed": "1", "amount": "2.5", "note": note }).to_string(),
        ("initech-press", 0) => format!("level= typed size=\"\" took=-1 {} note={note}", "x=1 ".repeat(300)),
        ("initech-press", _) => {
            json!({ "level": ["error"], "typed": { "a": 1 }, "amount": "NaN", "note": note }).to_string()
        }
        ("press.one", 0) => format!("{{\"level\": \"error\", \"typed\": 1, \"amount\": note={note}"),
        ("press.one", _) => json!({ "level": null, "typed": [], "amount": 1e308, "note": note }).to_string(),
        (_, 0) => format!("größe=5 level=error typed=1e400 size=99999999999999PB took=inf note={note}"),
        (_, _) => json!({ "level": true, "typed": "", "amount": {}, "größe": "é", "note": note }).to_string(),
    }
}

/// Structured metadata of such a line.
pub fn metadata(tenant: &str, n: i64) -> Value {
    match tenant {
        "acme-books" => json!({ "typed_by": n.to_string() }),
        "globex-lit" => json!({ "typed_by": "text" }),
        "initech-press" => json!({ "typed_by": "", "typed_more": "x".repeat(2000) }),
        _ => json!({ "typed_by": "NaN", "service": "storefront", "level": "error" }),
    }
}

fn text(value: &str) -> Value {
    json!({ "stringValue": value })
}
