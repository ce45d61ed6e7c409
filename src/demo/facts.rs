//! What an answer says, read from the backends' JSON as lines that can be compared. Sorted.

use serde_json::Value as Json;

fn items<'a>(of: &'a Json, pointer: &str) -> &'a [Json] {
    of.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Json, pointer: &str) -> &'a str {
    of.pointer(pointer).and_then(Json::as_str).unwrap_or("")
}

fn sorted(facts: impl Iterator<Item = String>) -> Vec<String> {
    let mut facts: Vec<_> = facts.collect();
    facts.sort();
    facts
}

/// The labels of `metric` and `value`.
fn sample(entry: &Json, value: &str) -> String {
    let metric = entry.get("metric").and_then(Json::as_object);
    let labels = metric.into_iter().flatten().map(|(n, v)| format!("{n}={}", v.as_str().unwrap_or("")));
    let mut parts: Vec<String> = labels.collect();
    parts.push(value.to_owned());
    parts.join(" ")
}

/// The samples of an instant query of Prometheus or Loki: labels and value.
pub fn vector(answer: &Json) -> Vec<String> {
    if text(answer, "/data/resultType") == "scalar" {
        return vec![text(answer, "/data/result/1").to_owned()];
    }
    sorted(items(answer, "/data/result").iter().map(|e| sample(e, text(e, "/value/1"))))
}

/// The distinct values of an instant or range query, to six digits.
pub fn rounded(answer: &Json) -> Vec<String> {
    let values = items(answer, "/data/result").iter().flat_map(|entry| {
        let points = items(entry, "/values").iter().map(|p| text(p, "/1"));
        let point = entry.get("value").map(|p| text(p, "/1"));
        points.chain(point).filter_map(|v| v.parse::<f64>().ok())
    });
    let mut values = sorted(values.map(|v| ((v * 1e6).round() / 1e6).to_string()));
    values.dedup();
    values
}

/// A list of names.
pub fn list(answer: &Json) -> Vec<String> {
    sorted(items(answer, "/data").iter().map(|v| v.as_str().unwrap_or("").to_owned()))
}

/// The titles of a list of series.
pub fn titles(answer: &Json) -> Vec<String> {
    sorted(items(answer, "/data").iter().map(|v| text(v, "/title").to_owned()))
}

/// Tenant and service of a list of streams.
pub fn services(answer: &Json) -> Vec<String> {
    sorted(items(answer, "/data").iter().map(|v| format!("{} {}", text(v, "/tenant"), text(v, "/service"))))
}

/// Tenant, service and number of lines of each stream.
pub fn streams(answer: &Json) -> Vec<String> {
    let stream = |s: &Json| {
        let lines = items(s, "/values").len();
        format!("{} {} {lines}", text(s, "/stream/tenant"), text(s, "/stream/service"))
    };
    sorted(items(answer, "/data/result").iter().map(stream))
}

/// Numbers of streams and lines that Loki's index knows.
pub fn stats(answer: &Json) -> Vec<String> {
    let number = |name: &str| answer.get(name).and_then(Json::as_u64).map(|n| format!("{name} {n}"));
    ["streams", "entries"].into_iter().filter_map(number).collect()
}

/// The ids of found traces.
pub fn trace_ids(answer: &Json) -> Vec<String> {
    sorted(items(answer, "/traces").iter().map(|t| text(t, "/traceID").to_owned()))
}

/// The names of found traces' root spans.
pub fn roots(answer: &Json) -> Vec<String> {
    sorted(items(answer, "/traces").iter().map(|t| text(t, "/rootTraceName").to_owned()))
}

/// Tenant and service of a trace's resources.
pub fn spans(answer: &Json) -> Vec<String> {
    let resource = |r: &Json| {
        let attribute = |key: &str| {
            let attributes = items(r, "/resource/attributes").iter();
            let found = attributes.filter(|a| text(a, "/key") == key).map(|a| text(a, "/value/stringValue"));
            found.collect::<Vec<_>>().join(",")
        };
        format!("{} {}", attribute("tenant"), attribute("service.name"))
    };
    sorted(items(answer, "/trace/resourceSpans").iter().map(resource))
}

/// The values of a tag.
pub fn tag_values(answer: &Json) -> Vec<String> {
    sorted(items(answer, "/tagValues").iter().map(|v| text(v, "/value").to_owned()))
}

/// The first label's value and the sum of the samples of each series of TraceQL metrics.
pub fn trace_series(answer: &Json) -> Vec<String> {
    let series = |s: &Json| {
        let values = items(s, "/samples").iter().filter_map(|p| p.get("value").and_then(Json::as_f64));
        format!("{} {}", text(s, "/labels/0/value/stringValue"), values.sum::<f64>())
    };
    sorted(items(answer, "/series").iter().map(series))
}

/// The traces that exemplars lead to, with their series' tenant.
pub fn exemplars(answer: &Json) -> Vec<String> {
    let of = |series: &Json| {
        let tenant = text(series, "/seriesLabels/tenant").to_owned();
        let ids = items(series, "/exemplars").iter();
        ids.map(|e| format!("{tenant} {}", text(e, "/labels/trace_id"))).collect::<Vec<_>>()
    };
    sorted(items(answer, "/data").iter().flat_map(of))
}

/// Names and types of metrics, and their help texts if there are any.
pub fn metadata(answer: &Json) -> Vec<String> {
    let names = answer.pointer("/data").and_then(Json::as_object);
    let of = |(name, all): (&String, &Json)| {
        format!("{name} {} {}", text(all, "/0/type"), text(all, "/0/help")).trim().to_owned()
    };
    sorted(names.into_iter().flatten().map(of))
}

/// Group, name and state of each rule, and how many alerts it has.
pub fn rules(answer: &Json) -> Vec<String> {
    let of = |group: &Json| {
        let name = text(group, "/name").to_owned();
        let rule = |rule: &Json| {
            format!(
                "{name} {} {} {}",
                text(rule, "/name"),
                text(rule, "/state"),
                items(rule, "/alerts").len()
            )
        };
        items(group, "/rules").iter().map(rule).collect::<Vec<_>>()
    };
    sorted(items(answer, "/data/groups").iter().flat_map(of))
}

/// Tenant, name and state of Alertmanager's alerts.
pub fn alerts(answer: &Json) -> Vec<String> {
    let of = |alert: &Json| {
        let label = |name| text(alert, name);
        format!("{} {} {}", label("/labels/tenant"), label("/labels/alertname"), label("/status/state"))
    };
    sorted(items(answer, "").iter().map(of))
}

/// What silences match; each once.
pub fn silences(answer: &Json) -> Vec<String> {
    let of = |silence: &Json| {
        let matcher = |m: &Json| format!("{}={}", text(m, "/name"), text(m, "/value"));
        items(silence, "/matchers").iter().map(matcher).collect::<Vec<_>>().join(" ")
    };
    let mut all = sorted(items(answer, "").iter().map(of));
    all.dedup();
    all
}

/// Tenant and service of the streams in a tail's message; each once.
pub fn tailed(answer: &Json) -> Vec<String> {
    let of = |s: &Json| format!("{} {}", text(s, "/stream/tenant"), text(s, "/stream/service"));
    let mut all = sorted(items(answer, "/streams").iter().map(of));
    all.dedup();
    all
}

/// The scope and the query that an explanation says would be sent.
pub fn explained(answer: &Json) -> Vec<String> {
    let parts = items(answer, "/outcome/calls/0/arguments/0/value");
    let sent: String = parts.iter().map(|part| text(part, "/text")).collect();
    vec![text(answer, "/scope/scope").to_owned(), sent]
}

/// The values that `answer` has under the label or attribute `tenant`.
pub fn tenants(answer: &Json) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = vec![answer];
    while let Some(value) = open.pop() {
        match value {
            Json::Object(fields) => {
                found.extend(fields.get("tenant").and_then(Json::as_str));
                if text(value, "/name") == "tenant" {
                    found.extend(value.get("value").and_then(Json::as_str));
                }
                if text(value, "/key").ends_with("tenant") {
                    found.extend(value.pointer("/value/stringValue").and_then(Json::as_str));
                }
                open.extend(fields.values());
            }
            Json::Array(entries) => open.extend(entries),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tenants_are_found_in_labels_and_in_attributes() {
        let answer =
            json!({"data": [{"tenant": "a"}, {"key": "resource.tenant", "value": {"stringValue": "b"}}]});
        let mut found = tenants(&answer);
        found.sort_unstable();
        assert_eq!(found, ["a", "b"]);
        assert!(tenants(&json!({"key": "region", "value": {"stringValue": "b"}})).is_empty());
    }
}
