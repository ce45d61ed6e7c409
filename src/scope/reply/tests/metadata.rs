use super::*;
use serde_json::json;

fn cut(families: Families, names: &[&str], said: &Value) -> Value {
    let names = json!({ "status": "success", "data": names }).to_string();
    let said = json!({ "status": "success", "data": said }).to_string();
    let cut = Cut::Metadata(families).apply(&[json_answer(names), json_answer(said)]);
    let answer = json_of(cut);
    assert_eq!(answer["status"], "success");
    answer["data"].clone()
}

fn all(names: &[&str], said: &Value) -> Value {
    cut(Families::default(), names, said)
}

fn entry(metric: &str, kind: &str, help: &str, unit: &str) -> Value {
    json!({ "target": { "instance": "x" }, "metric": metric, "type": kind, "help": help, "unit": unit })
}

fn shown(kind: &str, help: &str, unit: &str) -> Value {
    json!({ "type": kind, "help": help, "unit": unit })
}

#[test]
fn atk_57_only_the_callers_names_are_left() {
    let said = json!([
        entry("requests", "counter", "of a", ""),
        entry("theirs", "gauge", "of b", ""),
        entry("up", "gauge", "", ""),
    ]);
    let left = json!({ "requests": [shown("counter", "of a", "")], "up": [shown("gauge", "", "")] });
    assert_eq!(all(&["requests_total", "up", "other"], &said), left);
    assert_eq!(all(&[], &said), json!({}));
}

#[test]
fn what_targets_say_alike_is_shown_once() {
    let said = json!([
        entry("same", "gauge", "", "bytes"),
        entry("same", "gauge", "", "bytes"),
        entry("other", "gauge", "y", "bytes"),
        entry("other", "counter", "x", "bytes"),
        entry("other", "gauge", "x", "bytes"),
    ]);
    let each = [shown("counter", "x", "bytes"), shown("gauge", "x", "bytes"), shown("gauge", "y", "bytes")];
    let same = [shown("gauge", "", "bytes")];
    assert_eq!(all(&["same", "other"], &said), json!({ "same": same, "other": each }));
    for (limit_each, left) in [(None, 3), (Some(1), 1), (Some(2), 2), (Some(4), 3)] {
        let families = Families { limit_each, ..Families::default() };
        assert_eq!(cut(families, &["same", "other"], &said), json!({ "same": same, "other": each[..left] }));
    }
}

#[test]
fn of_one_metric_targets_do_not_say_the_name() {
    let said = json!([{ "target": {}, "type": "gauge", "help": "", "unit": "" }]);
    let families =
        |metric: Option<&str>| Families { metric: metric.map(str::to_owned), ..Families::default() };
    assert_eq!(cut(families(Some("up")), &["up"], &said), json!({ "up": [shown("gauge", "", "")] }));
    assert_eq!(cut(families(Some("down")), &["up"], &said), json!({}));
    let names = json_answer(r#"{"status":"success","data":["up"]}"#);
    let nameless = json_answer(json!({ "status": "success", "data": said }).to_string());
    assert_eq!(Cut::Metadata(families(None)).apply(&[names, nameless]), UNDECODABLE);
}

#[test]
fn a_familys_suffixes_are_those_of_its_type() {
    let names = ["x_total", "x_bucket", "x_sum", "x_count", "x_gsum", "x_gcount", "x_info", "x_created"];
    for (kind, own) in [
        ("counter", &["x_total", "x_created"][..]),
        ("histogram", &["x_bucket", "x_sum", "x_count", "x_created"]),
        ("gaugehistogram", &["x_bucket", "x_sum", "x_count", "x_gsum", "x_gcount", "x_created"]),
        ("summary", &["x_sum", "x_count", "x_created"]),
        ("info", &["x_info"]),
        ("gauge", &[]),
        ("stateset", &[]),
        ("unknown", &[]),
    ] {
        for name in names {
            let left = all(&[name], &json!([entry("x", kind, "", "")]));
            assert_eq!(left != json!({}), own.contains(&name), "{kind} {name}");
        }
    }
}

#[test]
fn atk_55_the_limit_counts_what_is_left() {
    let said = json!([entry("a", "gauge", "", ""), entry("b", "gauge", "", ""), entry("c", "gauge", "", "")]);
    for (limit, left) in [(Some(0), 0), (Some(1), 1), (Some(2), 2), (Some(3), 2), (None, 2)] {
        let families = Families { limit, ..Families::default() };
        assert_eq!(cut(families, &["b", "c"], &said).as_object().unwrap().len(), left);
    }
}

#[test]
fn what_does_not_decode_is_refused() {
    let good = || json_answer(r#"{"status":"success","data":[]}"#);
    for answers in [
        [good(), json_answer(r#"{"status":"success","data":{}}"#)],
        [json_answer(r#"{"status":"success","data":{}}"#), good()],
        [json_answer("{}"), good()],
        [good(), json_answer(r#"{"status":"success","data":[{"metric":"x","type":"gauge"}]}"#)],
    ] {
        assert_eq!(Cut::Metadata(Families::default()).apply(&answers), UNDECODABLE, "{answers:?}");
    }
    assert_eq!(Cut::Metadata(Families::default()).apply(&[good()]), UNEXPECTED);
}

/// Thanos, Mimir and VictoriaMetrics have no list by target: there is no metadata then, and no error.
#[test]
fn without_a_list_by_target_there_is_none() {
    let names = json!({ "status": "success", "data": ["up"] }).to_string();
    let cut = Cut::Metadata(Families::default()).apply(&[json_answer(names), None]);
    assert_eq!(json_of(cut), json!({ "status": "success", "data": {} }));
}
