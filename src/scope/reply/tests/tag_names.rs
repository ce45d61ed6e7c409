use super::*;
use serde_json::json;

fn cut(scope: TagScope, fixed: bool, flat: bool, body: &Value) -> Value {
    json_of(Cut::TagNames { scope, fixed, flat }.apply(&[json_answer(body.to_string())]))
}

fn found(scopes: &[(&str, &[&str])]) -> Value {
    let scopes: Vec<Value> = scopes.iter().map(|(name, tags)| json!({"name": name, "tags": tags})).collect();
    json!({"scopes": scopes, "metrics": {"inspectedBytes": "18812"}})
}

const RESOURCE: [&str; 9] = [
    "cluster",
    "container",
    "k8s.cluster.name",
    "k8s.container.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "namespace",
    "pod",
    "service.name",
];

#[test]
fn atk_47_names_of_tempos_own_columns_do_not_tell_who_has_them() {
    // Whether or not someone's resource has a pod, the answer is the same.
    let (with, without) = (&[("resource", &["x", "k8s.pod.name"][..])], &[("resource", &["x"][..])]);
    let answer = cut(TagScope::Resource, true, false, &found(with));
    assert_eq!(answer, cut(TagScope::Resource, true, false, &found(without)));
    let names: Vec<&str> = [&RESOURCE[..], &["x"]].concat();
    assert_eq!(answer, json!({"scopes": [{"name": "resource", "tags": names}], "metrics": {}}));
    // Without a scope to hide behind, the backend's own are passed.
    let everyones = cut(TagScope::Resource, false, false, &found(with));
    assert_eq!(everyones["scopes"], json!([{"name": "resource", "tags": ["k8s.pod.name", "x"]}]));
}

#[test]
fn scopes_that_were_not_asked_for_or_are_unknown_go() {
    let body = found(&[
        ("span", &["b", "a", "a"]),
        ("event", &["e"]),
        ("future", &["f"]),
        ("none", &["n"]),
        ("link", &[]),
    ]);
    let any = cut(TagScope::Any, false, false, &body);
    assert_eq!(
        any["scopes"],
        json!([{"name": "span", "tags": ["a", "b"]}, {"name": "event", "tags": ["e"]}])
    );
    let span = cut(TagScope::Span, true, false, &body);
    assert_eq!(
        span["scopes"],
        json!([{"name": "span", "tags": ["a", "b", "http.method", "http.status_code", "http.url"]}])
    );
    assert_eq!(cut(TagScope::Event, true, false, &body)["scopes"], json!([{"name": "event", "tags": ["e"]}]));
    let nothing = json!({"metrics": {"inspectedBytes": "1"}});
    assert_eq!(cut(TagScope::Link, true, false, &nothing), json!({"scopes": [], "metrics": {}}));
}

#[test]
fn the_older_shape_is_one_list_without_intrinsics_unless_they_are_asked_for() {
    let body = found(&[("intrinsic", &["name", "status"]), ("span", &["x"]), ("resource", &["x", "y"])]);
    let any = cut(TagScope::Any, false, true, &body);
    assert_eq!(any, json!({"tagNames": ["x", "y"], "metrics": {}}));
    let intrinsic = cut(TagScope::Intrinsic, true, true, &body);
    assert_eq!(intrinsic["tagNames"], json!(["name", "status"]));
}

#[test]
fn an_answer_of_another_shape_is_refused() {
    for body in
        [r#"{"scopes":null}"#, r#"{"scopes":[{"name":"span","tags":[1]}]}"#, r#"{"scopes":["span"]}"#, ""]
    {
        let cut = Cut::TagNames { scope: TagScope::Any, fixed: true, flat: false };
        assert_eq!(cut.apply(&[json_answer(body)]), UNDECODABLE, "{body}");
        assert_eq!(cut.apply(&[None]), UNEXPECTED);
    }
}
