use super::*;
use serde_json::json;

const SAMPLE: &str = include_str!("../samples/metrics.json");

fn cut(marks: &[Mark], body: &Value) -> Value {
    json_of(Cut::Metrics { marks: marks.to_vec() }.apply(&[json_answer(body.to_string())]))
}

fn label(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn answer_of(exemplars: &[Value]) -> Value {
    let samples = json!([{"timestampMs": "1", "value": 0.1}, {"timestampMs": "2"}, {"timestampMs": "3", "value": "NaN"}]);
    json!({"series": [{
        "labels": [label("resource.tenant", "a"), {"key": "p", "value": {"doubleValue": 0.5}}],
        "promLabels": "{p=\"0.5\"}", "samples": samples, "exemplars": exemplars,
    }], "metrics": {"inspectedBytes": "5"}, "message": "read 5 bytes"})
}

fn exemplar(labels: &[Value]) -> Value {
    json!({"labels": labels, "value": 4, "timestampMs": "7"})
}

#[test]
fn a_real_answer_loses_the_scopes_label_and_the_backends_counts() {
    let mut expected: Value = serde_json::from_str(SAMPLE).unwrap();
    let reply = cut(&tenant("acme-books"), &expected);
    expected["metrics"] = json!({});
    let mut stripped = 0;
    for series in expected["series"].as_array_mut().unwrap() {
        for exemplar in series.get_mut("exemplars").and_then(Value::as_array_mut).into_iter().flatten() {
            exemplar["labels"].as_array_mut().unwrap().retain(|l| l["key"] != "resource.tenant");
            stripped += 1;
        }
    }
    assert!(stripped > 0);
    assert_eq!(reply, expected);
    // Of exemplars that are another's nothing is left; the series are the scoped query's.
    let reply = cut(&tenant("globex-lit"), &expected);
    assert!(!reply.to_string().contains("exemplars"));
    assert_eq!(reply["series"].as_array().unwrap().len(), expected["series"].as_array().unwrap().len());
}

#[test]
fn series_pass_and_message_goes() {
    let reply = cut(&tenant("a"), &answer_of(&[]));
    let mut expected = answer_of(&[]);
    expected["metrics"] = json!({});
    expected.as_object_mut().unwrap().remove("message");
    expected["series"][0].as_object_mut().unwrap().remove("exemplars");
    assert_eq!(reply, expected);
    assert_eq!(
        cut(&tenant("a"), &json!({"metrics": {"completedJobs": 1}})),
        json!({"series": [], "metrics": {}})
    );
}

#[test]
fn atk_4j_an_exemplar_must_show_the_tenant_once_as_a_plain_string() {
    let own = label("resource.tenant", "a");
    let id = label("trace:id", "1");
    let list = json!({"key": "resource.tenant", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}});
    let exemplars = [
        exemplar(&[id.clone(), own.clone()]),
        exemplar(&[label("resource.tenant", "b")]),
        exemplar(std::slice::from_ref(&id)),
        exemplar(&[label("span.tenant", "a")]),
        exemplar(&[label("tenant", "a")]),
        exemplar(&[list]),
        exemplar(&[own.clone(), own.clone()]),
        exemplar(&[label("span.tenant", "b"), own.clone()]),
    ];
    let body = answer_of(&exemplars);
    let reply = cut(&tenant("a"), &body);
    let expected = json!([exemplar(std::slice::from_ref(&id)), exemplar(&[label("span.tenant", "b")])]);
    assert_eq!(reply["series"][0]["exemplars"], expected);
    assert_eq!(cut(&[], &body)["series"][0].get("exemplars"), None);
    let mut named = tenant("a");
    named[0].named.on_resource = true;
    assert_eq!(cut(&named, &body)["series"][0]["exemplars"][0]["labels"], json!([id, own]));
}

#[test]
fn partial_stays_partial() {
    let mut body = answer_of(&[]);
    body["status"] = json!("PARTIAL");
    assert_eq!(cut(&tenant("a"), &body)["status"], "PARTIAL");
    body["status"] = json!("COMPLETE");
    assert_eq!(cut(&tenant("a"), &body).get("status"), None);
    body["status"] = json!("NEW");
    assert_eq!(Cut::Metrics { marks: tenant("a") }.apply(&[json_answer(body.to_string())]), UNDECODABLE);
}

#[test]
fn numbers_keep_their_digits() {
    let body = r#"{"series":[{"samples":[{"timestampMs":"-5","value":0.18333333333333332},{"value":1e-323},{"value":-1.7976931348623157e+308}]}],"metrics":{}}"#;
    let filtered = Cut::Metrics { marks: tenant("a") }.apply(&[json_answer(body)]);
    assert_eq!(filtered, Ok(Filtered::Found { content_type: "application/json", body: body.into() }));
}

#[test]
fn unknown_fields_and_wrong_types() {
    let refused = |body: &str| Cut::Metrics { marks: tenant("a") }.apply(&[json_answer(body)]) == UNDECODABLE;
    for body in [
        r#"{"series":{}}"#,
        r#"{"series":[{"samples":[{"timestampMs":5}]}]}"#,
        r#"{"series":[{"samples":[{"value":"5"}]}]}"#,
        r#"{"series":[{"samples":[{"value":{}}]}]}"#,
        r#"{"series":[{"labels":{}}]}"#,
        r#"{"status":1}"#,
    ] {
        assert!(refused(body), "{body}");
    }
    let mut body = answer_of(&[exemplar(&[label("resource.tenant", "a")])]);
    body["newFact"] = json!("secret");
    body["series"][0]["newFact"] = json!("secret");
    body["series"][0]["exemplars"][0]["newFact"] = json!("secret");
    assert!(!cut(&tenant("a"), &body).to_string().contains("secret"));
}

#[test]
fn an_instant_querys_values_pass() {
    let body = json!({"series": [{"labels": [label("name", "x")], "promLabels": "{name=\"x\"}", "value": 0.25},
        {"labels": [label("name", "y")]}], "metrics": {"inspectedBytes": "5"}, "message": "read 5 bytes"});
    let mut expected = body.clone();
    expected["metrics"] = json!({});
    expected.as_object_mut().unwrap().remove("message");
    assert_eq!(cut(&tenant("a"), &body), expected);
}

#[test]
fn atk_4j_a_series_that_is_labelled_as_anothers_goes() {
    let series = |labels: &[Value]| json!({"labels": labels, "value": 1});
    let list = json!({"key": "resource.tenant", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}});
    let kept = [
        series(&[label("resource.tenant", "a")]),
        series(&[label("name", "b")]),
        series(&[label("span.tenant", "b")]),
        // What `compare` makes for spans without the attribute.
        series(&[label("resource.tenant", "nil")]),
        series(&[json!({"key": "resource.tenant"})]),
    ];
    let dropped = [
        series(&[label("resource.tenant", "b")]),
        series(&[list]),
        series(&[label("resource.tenant", "a"), label("resource.tenant", "b")]),
    ];
    let all = [kept.to_vec(), dropped.to_vec()].concat();
    let body = json!({ "series": all });
    assert_eq!(cut(&tenant("a"), &body)["series"], json!(kept));
}
