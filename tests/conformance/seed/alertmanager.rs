//! Alerts and silences of Alertmanager.
//!
//! Every tenant has equal alerts. In FULL a silence of the operator's and an alert that nobody owns suppress some
//! of them, so that the states there are not those of TWIN.

use serde_json::{Value, json};

use super::{Holds, SERVICES, TENANTS, canary};

/// The alerts, for `POST /api/v2/alerts`.
pub fn alerts(holds: Holds, start: i64) -> Value {
    let mut all = Vec::new();
    for tenant in TENANTS.iter().filter(|t| holds.tenant(t)) {
        for (i, service) in SERVICES.iter().enumerate() {
            let region = ["us-east", "eu-west", "us-east"][i];
            for (name, severity) in [("HighErrorRate", "page"), ("SlowRequests", "ticket")] {
                let labels = json!({
                    "alertname": name, "severity": severity, "service": service, "region": region,
                    "tenant": tenant, "note": canary(tenant),
                });
                all.push(alert(start, labels));
            }
        }
        let down = json!({
            "alertname": "Down", "severity": "critical", "service": "catalog", "region": "eu-west",
            "tenant": tenant, "note": canary(tenant),
        });
        all.push(alert(start, down));
    }
    if holds.strays() {
        let note = canary("untenanted");
        for labels in [
            json!({ "alertname": "HighErrorRate", "severity": "page", "service": "storefront", "note": note }),
            json!({ "alertname": "RegionDown", "severity": "critical", "region": "us-east", "note": note }),
            json!({ "alertname": "SlowRequests", "exported_tenant": "acme-books", "note": note }),
        ] {
            all.push(alert(start, labels));
        }
    }
    all.retain(|alert| holds.region(alert["labels"]["region"].as_str()));
    Value::Array(all)
}

fn alert(start: i64, labels: Value) -> Value {
    let note = labels["note"].clone();
    json!({
        "labels": labels, "annotations": { "summary": "see the runbook", "note": note },
        "generatorURL": "http://prometheus.test/graph", "startsAt": time(start), "endsAt": time(start + 86_400),
    })
}

/// The silences that each tenant has.
const EACH: i64 = 4;

/// The silences, for `POST /api/v2/silences` one by one. Each ends at a time of its own, by which they are
/// sorted.
pub fn silences(holds: Holds, start: i64) -> Vec<Value> {
    let mut all = Vec::new();
    let is = |name: &str, value: &str| matcher(name, value, true, false);
    for tenant in TENANTS.iter().filter(|t| holds.tenant(t)) {
        let page = [is("tenant", tenant), is("alertname", "HighErrorRate"), is("service", "storefront")];
        all.push((canary(tenant), json!(page)));
        let pattern =
            [matcher("service", "catalog|none", true, true), is("tenant", tenant), is("severity", "ticket")];
        all.push((canary(tenant), json!(pattern)));
        // Of one region each; they bind whoever is bound to it.
        let east = [is("tenant", tenant), is("region", "us-east"), is("service", "payments-gateway")];
        all.push((canary(tenant), json!(east)));
        let west = [is("tenant", tenant), is("region", "eu-west"), is("alertname", "Down")];
        all.push((canary(tenant), json!(west)));
    }
    if holds.strays() {
        for matchers in [
            json!([is("service", "payments-gateway")]),
            json!([matcher("tenant", "acme-books", false, false), is("alertname", "none")]),
            json!([matcher("tenant", "acme-books", true, true), is("alertname", "none")]),
            json!([matcher("tenant", "globex.*", false, true), is("alertname", "none")]),
            json!([is("tenant", "acme-books"), is("tenant", "globex-lit")]),
        ] {
            all.push((canary("untenanted"), matchers));
        }
    }
    let owners = TENANTS.len() as i64 * EACH;
    let order = |comment: &str, at: i64| {
        TENANTS.iter().position(|t| comment == canary(t)).map_or(owners + at, |i| i as i64 * EACH + at % EACH)
    };
    let silence = |(at, (comment, matchers)): (usize, (String, Value))| {
        let ends = start + 86_400 + 60 * order(&comment, at as i64);
        json!({
            "matchers": matchers, "startsAt": time(start), "endsAt": time(ends), "createdBy": "operations",
            "comment": comment,
        })
    };
    let region = |silence: &Value| {
        let matchers = silence["matchers"].as_array().into_iter().flatten();
        matchers.clone().find(|m| m["name"] == "region").and_then(|m| m["value"].as_str()).map(str::to_owned)
    };
    let all = all.into_iter().enumerate().map(silence);
    all.filter(|silence| holds.region(region(silence).as_deref())).collect()
}

/// One matcher of a silence.
pub fn matcher(name: &str, value: &str, is_equal: bool, is_regex: bool) -> Value {
    json!({ "name": name, "value": value, "isEqual": is_equal, "isRegex": is_regex })
}

/// An instant as RFC 3339 has it.
pub fn time(seconds: i64) -> String {
    // Days since 1970-01-01 to year, month and day: `civil_from_days` of Howard Hinnant's date algorithms.
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}
