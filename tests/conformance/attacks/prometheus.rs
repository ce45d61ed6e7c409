//! ATK-01, -02, -06, -0H, -0I, -55, -56 and -57 at Prometheus' endpoints beside its queries.

use super::{Attack, Clock, pairs};
use crate::http::Request;

const P: &str = "prometheus";

pub fn all(clock: &Clock) -> Vec<Attack> {
    let get = |path: &str, params: &[(&str, &str)]| Request::get(path, &pairs(params));
    let window = |path: &str, params: &[(&str, &str)]| Request::get(path, &clock.range(params));
    let mut all = vec![
        Attack::twin("ATK-57 rules of all tenants", P, "prometheus.rules", get("/api/v1/rules", &[])),
        Attack::twin("ATK-57 alerts of all tenants", P, "prometheus.alerts", get("/api/v1/alerts", &[])),
        Attack::twin(
            "ATK-57 metadata of all tenants",
            P,
            "prometheus.metadata",
            get("/api/v1/metadata", &[]),
        ),
        Attack::twin("ATK-57 targets of all tenants", P, "prometheus.targets", get("/api/v1/targets", &[]))
            .uncontrolled(),
        Attack::twin(
            "ATK-57 metadata of targets",
            P,
            "prometheus.targets_metadata",
            get("/api/v1/targets/metadata", &[]),
        ),
    ];
    for query in
        ["live_orders_total", r#"{__name__=~".+"}"#, r#"live_orders_total{tenant="globex-lit"} or up"#]
    {
        let request = window("/api/v1/query_exemplars", &[("query", query)]);
        let name = format!("ATK-57 exemplars of all tenants {query}");
        all.push(Attack::twin(name, P, "prometheus.query_exemplars", request));
    }
    // Nothing to scope is asked: the scope is.
    for kind in ["metric_names", "label_names"] {
        let request = window(&format!("/api/v1/search/{kind}"), &[("limit", "1000")]);
        let attack = Attack::twin(format!("ATK-0H no-selector {kind}"), P, "prometheus.search", request);
        all.push(attack.control(window("/api/v1/search/metric_names", &[("limit", "1000")])));
    }
    for params in [
        &[("label", "note")][..],
        &[("label", "note"), ("match[]", r#"{tenant=~".+"}"#)],
        &[("label", "note"), ("search[]", "canary"), ("fuzz_threshold", "1")],
    ] {
        let request = window("/api/v1/search/label_values", params);
        let name = format!("ATK-0H searched values {}", params.len());
        all.push(Attack::twin(name, P, "prometheus.search", request));
    }
    for (name, selectors) in [
        ("one", &["live_alarm"][..]),
        // But when alerts began, which each server has a time of its own for.
        ("everything", &[r#"{__name__=~".+",__name__!="ALERTS_FOR_STATE",job="live",service!=""}"#]),
        ("another's", &[r#"live_alarm{tenant="globex-lit"}"#, r#"live_alarm{tenant!="acme-books"}"#]),
        ("a shield", &[r#"live_alarm{tenant="acme-books"}"#, "live_alarm"]),
    ] {
        let params: Vec<(&str, &str)> = selectors.iter().map(|s| ("match[]", *s)).collect();
        let request = get("/federate", &params);
        all.push(Attack::twin(format!("ATK-06 federate {name}"), P, "prometheus.federate", request));
    }
    let federated = || get("/federate", &[("match[]", "live_alarm")]);
    let named = || get("/api/v1/rules", &[]);
    // What has no filter by labels shows the caller's own all the same.
    for (path, endpoint) in [
        ("/api/v1/metadata", "prometheus.metadata"),
        ("/api/v1/targets/metadata", "prometheus.targets_metadata"),
    ] {
        let own = [("match[]", r#"{tenant="acme-books"}"#)];
        let name = format!("ATK-0I upstream-ignores-filter {path}");
        all.push(Attack::twin(name, P, endpoint, get(path, &own)).like(get(path, &[])));
    }
    // Spelled otherwise, or not declared: not there.
    for (path, control) in [
        ("/api/v1/rules/", named()),
        ("/api/v1/alerts/", named()),
        ("/api/v1/metadata/", named()),
        ("/federate/", federated()),
        ("//federate", federated()),
        ("/api/v1/search/metric_names/", named()),
        ("/federate/%2e%2e/api/v1/rules", named()),
    ] {
        let request = get(path, &[("match[]", "live_alarm")]);
        let attack = Attack::refused(format!("ATK-02 trailing-slash {path}"), P, request, &[404]);
        all.push(attack.control(control));
    }
    for path in ["/federate", "/api/v1/read", "/api/v1/search/metric_names", "/api/v1/search/label_values"] {
        for method in ["GET", "POST", "OPTIONS"] {
            let request = Request { method: method.into(), ..get(path, &[("match[]", "live_alarm")]) };
            let name = format!("ATK-06 not declared {method} {path}");
            all.push(Attack::refused(name, "prometheus-bare", request, &[404]).uncontrolled());
        }
    }
    // A refusal is no empty answer.
    for (path, name, value) in [
        ("/federate", "match[]", "live_alarm{"),
        ("/federate", "match[]", r#"{note="x" or __name__="live_alarm"}"#),
        ("/api/v1/search/metric_names", "match[]", "up{"),
        ("/api/v1/search/metric_names", "match[]", "up} or {a=\"b\""),
        ("/api/v1/format_query", "query", "info(up)"),
        ("/api/v1/parse_query", "query", "up{"),
        ("/api/v1/query_exemplars", "query", "info(live_orders_total)"),
        ("/api/v1/metadata", "limit", "x"),
        ("/api/v1/rules", "match[]", r#"{tenant="globex-lit"}"#),
    ] {
        let request = get(path, &[(name, value)]);
        // Rules are found by the matchers, and cut after that.
        let status: &[u16] = if path == "/api/v1/rules" { &[200] } else { &[400] };
        let attack = Attack::refused(format!("ATK-56 silent-200 {path} {value}"), P, request, status);
        all.push(attack.control(named()));
    }
    // Pages are of what is left: the last one says so.
    let page = [("group_limit", "100")];
    let name = "ATK-55 dropped-group-fields";
    all.push(Attack::refused(name, P, get("/api/v1/rules", &page), &[200]).control(named()));
    all
}
