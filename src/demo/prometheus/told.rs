//! What a Prometheus tells beside samples: exemplars, metadata, rules and their alerts.

use super::{Prometheus, Refusal, evaluate, time_of};
use crate::demo::data::{Bookstore, Labels, SHOPS, Shop, trace_id, trace_id_text};
use crate::demo::http::Request;
use crate::demo::time;
use crate::lang::promql::Entry;
use serde_json::{Value as Json, json};

impl Prometheus {
    /// The exemplars of the series that the text selects: each failed request at a storefront has its trace.
    pub(super) fn exemplars(&self, request: &Request) -> Result<Json, Refusal> {
        let now = self.store.now() as f64;
        let start = time_of(request, "start")?.unwrap_or(self.store.begins() as f64);
        let end = time_of(request, "end")?.unwrap_or(now).min(now);
        let tree = self.read(request.first("query").unwrap_or(""), Entry::Expression, "query")?;
        let mut found = Vec::new();
        for selector in tree.selectors() {
            let selection = evaluate::selection(&tree, selector).map_err(Refusal::execution)?;
            for series in self.store.series().iter().filter(|series| selection.takes(&series.labels)) {
                let exemplars = exemplars(&series.labels, start, end);
                if !exemplars.is_empty() {
                    found.push(json!({"seriesLabels": series.labels, "exemplars": exemplars}));
                }
            }
        }
        Ok(json!(found))
    }

    /// What the targets say that `match_target` selects.
    pub(super) fn metadata(&self, request: &Request) -> Result<Json, Refusal> {
        let mut told = targets();
        if let Some(text) = request.first("match_target") {
            let tree = self.read(text, Entry::Selector, "match_target")?;
            for selector in tree.selectors() {
                let selection = evaluate::selection(&tree, selector).map_err(Refusal::execution)?;
                told.retain(|(target, _)| selection.takes(target));
            }
        }
        let of = |(target, [metric, kind, help]): (Labels, [&str; 3])| json!({"target": target, "metric": metric, "type": kind, "help": help, "unit": ""});
        Ok(told.into_iter().map(of).collect())
    }
}

/// The traces of failed purchases between two times, if these are the labels of a storefront's errors.
fn exemplars(labels: &Labels, start: f64, end: f64) -> Vec<Json> {
    let label = |name: &str| labels.get(name).map_or("", String::as_str);
    let shop = SHOPS.iter().find(|shop| shop.tenant == label("tenant"));
    let Some(shop) = shop.filter(|_| label("service") == "storefront" && label("code") == "500") else {
        return Vec::new();
    };
    let minutes = (start / 60.0).floor() as i64..=(end / 60.0).floor() as i64;
    // Each fifth minute's purchase fails, a second after it began: see `spans`.
    let failed = minutes.filter(|minute| minute % 5 == 0).map(|minute| (minute, minute * 60 + 1));
    let within = failed.filter(|(_, at)| (start..=end).contains(&(*at as f64)));
    let exemplar = |(minute, at): (i64, i64)| {
        let trace = trace_id_text(trace_id(shop, minute));
        json!({"labels": {"trace_id": trace}, "value": "1", "timestamp": at})
    };
    within.map(exemplar).collect()
}

/// What each target says of its metrics: the storefronts of their own, and the edge of the platform's.
fn targets() -> Vec<(Labels, [&'static str; 3])> {
    let target = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Labels>()
    };
    let mut told = Vec::new();
    for shop in &SHOPS {
        let labels = target(&[("job", "storefront"), ("tenant", shop.tenant)]);
        told.push((labels.clone(), ["books_in_stock", "gauge", "Copies on the shelves."]));
        told.push((labels, ["http_requests_total", "counter", "Requests at the storefront."]));
    }
    let edge = ["edge_certificate_expiry_seconds", "gauge", "When the edge needs a new certificate."];
    told.push((target(&[("job", "edge-gateway")]), edge));
    told
}

/// The alerting rule of each tenant, which fires.
pub(super) fn rules(store: &Bookstore) -> Json {
    let group = |shop: &Shop| {
        let tenant = shop.tenant;
        let rule = json!({
            "type": "alerting", "state": "firing", "name": "HighErrorRate", "health": "ok",
            "query": format!("sum(rate(http_requests_total{{code=\"500\",tenant=\"{tenant}\"}}[5m])) > 0.1"),
            "duration": 300, "keepFiringFor": 0, "labels": {"severity": "page", "tenant": tenant},
            "annotations": {"summary": format!("{} cannot pay", shop.titles[0].0)}, "alerts": [alert(store, shop)],
            "evaluationTime": 0.001, "lastEvaluation": time::rfc3339(store.now()),
        });
        json!({
            "name": tenant, "file": format!("/etc/prometheus/{tenant}.yaml"), "rules": [rule], "interval": 60,
            "limit": 0, "evaluationTime": 0.001, "lastEvaluation": time::rfc3339(store.now()),
        })
    };
    json!({"groups": SHOPS.each_ref().map(group)})
}

/// The alerts that these rules have made.
pub(super) fn alerts(store: &Bookstore) -> Json {
    json!({"alerts": SHOPS.each_ref().map(|shop| alert(store, shop))})
}

fn alert(store: &Bookstore, shop: &Shop) -> Json {
    json!({
        "labels": {"alertname": "HighErrorRate", "severity": "page", "tenant": shop.tenant},
        "annotations": {"summary": format!("{} cannot pay", shop.titles[0].0)}, "state": "firing",
        "activeAt": time::rfc3339(store.begins()), "value": "0.6e+00",
    })
}
