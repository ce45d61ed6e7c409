use super::*;
use serde_json::json;

/// Calls of whose answers only the values in `kept` may be left.
fn sought(kept: Vec<Option<Values>>) -> Vec<Sought> {
    kept.into_iter().map(|kept| Sought { kept, unlisted: None }).collect()
}

fn cut(kept: Vec<Option<Values>>, bodies: &[Value]) -> Value {
    let answers: Vec<_> = bodies.iter().map(|b| json_answer(b.to_string())).collect();
    json_of(Cut::TagValues(sought(kept)).apply(&answers))
}

fn found(values: &[(&str, &str)]) -> Value {
    let list: Vec<Value> = values.iter().map(|(t, v)| json!({"type": t, "value": v})).collect();
    json!({"tagValues": list, "metrics": {"inspectedBytes": "18812"}})
}

#[test]
fn values_pass_and_the_backends_counts_go() {
    let body = found(&[("float", "12.5"), ("int", "200"), ("keyword", "ok"), ("string", "x")]);
    let reply = cut(vec![None], std::slice::from_ref(&body));
    assert_eq!(reply, json!({"tagValues": body["tagValues"], "metrics": {}}));
    assert_eq!(cut(vec![None], &[found(&[])]), json!({"tagValues": [], "metrics": {}}));
    assert_eq!(cut(vec![None], &[json!({"metrics": {}})]), json!({"tagValues": [], "metrics": {}}));
}

#[test]
fn answers_are_merged_each_value_once() {
    let resource = found(&[("string", "b"), ("string", "a"), ("int", "1")]);
    let span = found(&[("string", "a"), ("string", "1"), ("string", "c")]);
    let merged = found(&[("int", "1"), ("string", "1"), ("string", "a"), ("string", "b"), ("string", "c")]);
    assert_eq!(cut(vec![None, None], &[resource, span])["tagValues"], merged["tagValues"]);
}

#[test]
fn of_the_scopes_own_attribute_only_its_values_are_left() {
    let body = found(&[("string", "a"), ("string", "b"), ("string", "a-eu"), ("int", "1"), ("keyword", "a")]);
    let own = found(&[("string", "a")]);
    assert_eq!(cut(vec![Some(values(&["a"]))], std::slice::from_ref(&body))["tagValues"], own["tagValues"]);
    // Each call has its own: values that spans carry under the same key are the caller's data.
    let spans = found(&[("string", "z")]);
    let both = found(&[("string", "a"), ("string", "z")]);
    assert_eq!(cut(vec![Some(values(&["a"])), None], &[body.clone(), spans])["tagValues"], both["tagValues"]);
    assert_eq!(cut(vec![Some(values(&["c"]))], &[body])["tagValues"], json!([]));
}

#[test]
fn what_means_nothing_or_is_unknown_goes() {
    // What Tempo lists for a position in nested sets.
    let body = json!({"tagValues": [{}, {"value": "x"}, {"type": "string"}, {"type": "string", "value": "y", "count": 7}]});
    let expected = json!([{"type": "string"}, {"type": "string", "value": "y"}]);
    assert_eq!(cut(vec![None], &[body])["tagValues"], expected);
}

#[test]
fn one_answer_that_does_not_decode_refuses_all() {
    for body in
        [r#"{"tagValues":["x"]}"#, r#"{"tagValues":[{"type":"int","value":5}]}"#, r#"{"tagValues":null}"#, ""]
    {
        let good = json_answer(found(&[]).to_string());
        let cut = Cut::TagValues(sought(vec![None, None]));
        assert_eq!(cut.apply(&[good.clone(), json_answer(body)]), UNDECODABLE, "{body}");
        assert_eq!(cut.apply(&[json_answer(body), good.clone()]), UNDECODABLE, "{body}");
        assert_eq!(cut.apply(&[good, None]), UNEXPECTED);
    }
}

#[test]
fn the_older_shape_has_values_of_every_type_as_texts() {
    let (resource, span) =
        (found(&[("string", "b"), ("int", "1")]), found(&[("string", "1"), ("bool", "true")]));
    let answers = [json_answer(resource.to_string()), json_answer(span.to_string())];
    let reply = json_of(Cut::FlatTagValues(sought(vec![None, Some(values(&["1"]))])).apply(&answers));
    assert_eq!(reply, json!({"tagValues": ["1", "b"], "metrics": {}}));
}
