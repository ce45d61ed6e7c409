//! Rules and alerts of Prometheus.

use super::silences::scope;
use super::*;
use serde_json::json;

fn alert(tenant: &str, state: &str) -> Value {
    json!({
        "labels": { "alertname": "x", "tenant": tenant }, "annotations": { "summary": tenant }, "state": state,
        "activeAt": "2026-01-01T00:00:00Z", "value": "1e+00",
    })
}

fn alerting(name: &str, labels: Value, state: &str, alerts: Value) -> Value {
    json!({
        "state": state, "name": name, "query": "up{tenant=\"victim\"} == 0", "duration": 60, "keepFiringFor": 0,
        "labels": labels, "annotations": {}, "alerts": alerts, "health": "ok", "evaluationTime": 0.1,
        "lastEvaluation": "2026-01-01T00:00:00Z", "type": "alerting",
    })
}

fn recording(name: &str, labels: Value) -> Value {
    json!({
        "name": name, "query": "sum(up)", "labels": labels, "health": "ok", "evaluationTime": 0.1,
        "lastEvaluation": "2026-01-01T00:00:00Z", "type": "recording",
    })
}

fn group(name: &str, rules: Value) -> Value {
    json!({
        "name": name, "file": "/etc/rules/victim.yaml", "rules": rules, "interval": 60, "limit": 0,
        "evaluationTime": 0.1, "lastEvaluation": "2026-01-01T00:00:00Z",
    })
}

fn cut(page: Option<Page>, exclude_alerts: bool, groups: &Value) -> Result<Filtered, Rejection> {
    let cut = Cut::Rules { owned: scope(&[("tenant", &["a"])]), exclude_alerts, page };
    let body = json!({ "status": "success", "data": { "groups": groups } });
    cut.apply(&[json_answer(body.to_string())])
}

fn groups(exclude_alerts: bool, groups: Value) -> Value {
    json_of(cut(None, exclude_alerts, &groups))["data"]["groups"].clone()
}

#[test]
fn atk_57_a_rule_shows_by_its_own_labels_or_by_alerts_of_the_callers() {
    let own = alerting("own", json!({ "tenant": "a" }), "firing", json!([alert("a", "firing")]));
    let left = groups(
        false,
        json!([
            group(
                "mixed",
                json!([
                    own,
                    alerting(
                        "theirs",
                        json!({ "tenant": "victim" }),
                        "firing",
                        json!([alert("victim", "firing")])
                    ),
                    alerting("shared, theirs", json!({}), "firing", json!([alert("victim", "firing")])),
                    alerting("shared, silent", json!({}), "inactive", json!([])),
                    alerting(
                        "named by a template",
                        json!({ "tenant": "{{ $labels.tenant }}" }),
                        "inactive",
                        json!([])
                    ),
                    recording("own", json!({ "tenant": "a" })),
                    recording("shared", json!({})),
                    recording("theirs", json!({ "tenant": "victim" })),
                ])
            ),
            group("theirs alone", json!([recording("theirs", json!({ "tenant": "victim" }))])),
        ]),
    );
    let mut expected = group("mixed", json!([own, recording("own", json!({ "tenant": "a" }))]));
    expected["file"] = json!("");
    assert_eq!(left, json!([expected]));
}

#[test]
fn a_shared_rule_is_in_the_state_of_the_callers_alerts_and_its_text_is_left_out() {
    for (states, expected) in
        [(&["pending"][..], "pending"), (&["pending", "firing"], "firing"), (&["inactive"], "inactive")]
    {
        let mut alerts: Vec<Value> = states.iter().map(|state| alert("a", state)).collect();
        let own = json!(alerts);
        alerts.push(alert("victim", "firing"));
        let mut rule = alerting("shared", json!({}), "firing", json!(alerts));
        rule["health"] = json!("err");
        rule["lastError"] = json!("found duplicate series {tenant=\"victim\"}");
        let left = groups(false, json!([group("g", json!([rule]))]));
        let rule = &left[0]["rules"][0];
        assert_eq!((&rule["state"], &rule["alerts"]), (&json!(expected), &own));
        assert_eq!((&rule["query"], &rule["health"]), (&json!(""), &json!("unknown")));
        assert!(!left.to_string().contains("victim"), "{left}");
    }
    let fresh = alerting("own", json!({ "tenant": "a" }), "unknown", json!([]));
    assert_eq!(groups(false, json!([group("g", json!([fresh]))]))[0]["rules"][0]["state"], "unknown");
}

#[test]
fn alerts_are_left_out_once_they_have_told_whose_a_rule_is() {
    let shared = alerting("shared", json!({}), "firing", json!([alert("a", "firing")]));
    let left = groups(true, json!([group("g", json!([shared, recording("r", json!({ "tenant": "a" }))]))]));
    let rules = &left[0]["rules"];
    assert_eq!((&rules[0]["state"], rules[0].get("alerts")), (&json!("firing"), Some(&Value::Null)));
    assert_eq!(rules[1].get("alerts"), None);
}

/// ATK-55: pages are of what is left, and none is lost or tells of what is not.
#[test]
fn atk_55_pages_are_counted_after_the_cut() {
    let own = |name: &str| group(name, json!([recording("r", json!({ "tenant": "a" }))]));
    let theirs = |name: &str| group(name, json!([recording("r", json!({ "tenant": "victim" }))]));
    let all =
        json!([theirs("t0"), own("g1"), theirs("t1"), own("g2"), theirs("t2"), own("g3"), theirs("t3")]);
    let mut from = None;
    let mut seen = Vec::new();
    loop {
        let page = json_of(cut(Some(Page { limit: 2, from }), false, &all));
        let names = page["data"]["groups"].as_array().unwrap().iter().map(|g| g["name"].clone());
        seen.push(Value::Array(names.collect()));
        from = page["data"]["groupNextToken"].as_str().map(str::to_owned);
        if from.is_none() {
            break;
        }
    }
    assert_eq!(seen, [json!(["g1", "g2"]), json!(["g3"])]);
    let page = json_of(cut(Some(Page { limit: 3, from: None }), false, &all));
    assert_eq!(page["data"].get("groupNextToken"), None);
    let unknown = cut(Some(Page { limit: 3, from: Some("x".into()) }), false, &all);
    assert!(matches!(unknown, Err(Rejection::Parameter { .. })));
}

/// Loki's ruler says what error there is even if there is none.
#[test]
fn what_loki_says_of_no_error_passes_and_no_error_does() {
    let rules = |error: &str| {
        let mut rule = alerting("own", json!({ "tenant": "a" }), "inactive", json!([]));
        rule["lastError"] = json!(error);
        let data = json!({ "groups": [group("g", json!([rule]))] });
        let body = json!({ "status": "success", "data": data, "errorType": error, "error": error });
        let cut = Cut::Rules { owned: scope(&[("tenant", &["a"])]), exclude_alerts: false, page: None };
        json_of(cut.apply(&[json_answer(body.to_string())]))
    };
    let (none, some) = (rules(""), rules("parse error in {tenant=\"victim\"}"));
    assert_eq!((&none["error"], &none["errorType"]), (&json!(""), &json!("")));
    assert_eq!(none["data"]["groups"][0]["rules"][0]["lastError"], "");
    assert!(some.get("error").is_none() && some.get("errorType").is_none());
    assert!(some["data"]["groups"][0]["rules"][0].get("lastError").is_none());
    assert!(!some.to_string().contains("parse error"), "{some}");
}

#[test]
fn alerts_are_the_callers_and_what_does_not_decode_is_refused() {
    let body = json!({ "status": "success", "data": { "alerts": [alert("a", "firing"), alert("victim", "firing")] } });
    let owned = scope(&[("tenant", &["a"])]);
    let cut = Cut::FiringAlerts { owned: owned.clone() };
    let left = json_of(cut.apply(&[json_answer(body.to_string())]));
    assert_eq!(left, json!({ "status": "success", "data": { "alerts": [alert("a", "firing")] } }));
    let rules = Cut::Rules { owned, exclude_alerts: false, page: None };
    for cut in [cut, rules] {
        for bad in
            ["", "{}", "[]", r#"{"status":"success","data":null}"#, r#"{"status":"success","data":{}}"#]
        {
            assert_eq!(cut.apply(&[json_answer(bad)]), UNDECODABLE, "{bad}");
        }
        assert_eq!(cut.apply(&[answer("text/plain", "{}")]), UNDECODABLE);
        assert_eq!(cut.apply(&[None]), Ok(Filtered::NotFound));
    }
}
