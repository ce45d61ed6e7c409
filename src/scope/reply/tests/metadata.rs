use super::*;
use serde_json::json;

fn cut(limit: Option<usize>, names: &[&str], said: &Value) -> Value {
    let names = json!({ "status": "success", "data": names }).to_string();
    let said = json!({ "status": "success", "data": said }).to_string();
    let cut = Cut::Metadata { limit }.apply(&[json_answer(names), json_answer(said)]);
    let answer = json_of(cut);
    assert_eq!(answer["status"], "success");
    answer["data"].clone()
}

fn entry(kind: &str, help: &str, unit: &str) -> Value {
    json!({ "type": kind, "help": help, "unit": unit, "extra": "x" })
}

#[test]
fn atk_57_only_the_callers_names_are_left_and_no_text_of_others() {
    let said = json!({
        "requests": [entry("counter", "of a", "")],
        "theirs": [entry("gauge", "of b", "")],
        "up": [entry("gauge", "of a", ""), entry("gauge", "of b", "")],
    });
    let shown = |kind: &str| json!([{ "type": kind, "help": "", "unit": "" }]);
    let names = ["requests_total", "up", "other"];
    assert_eq!(cut(None, &names, &said), json!({ "requests": shown("counter"), "up": shown("gauge") }));
    assert_eq!(cut(None, &[], &said), json!({}));
}

#[test]
fn type_and_unit_are_shown_where_all_agree() {
    let said = json!({
        "same": [entry("gauge", "", "bytes"), entry("gauge", "x", "bytes")],
        "kinds": [entry("gauge", "", "bytes"), entry("counter", "", "bytes")],
        "units": [entry("gauge", "", "bytes"), entry("gauge", "", "seconds")],
        "none": [],
    });
    let shown = |kind: &str, unit: &str| json!([{ "type": kind, "help": "", "unit": unit }]);
    let expected = json!({
        "same": shown("gauge", "bytes"),
        "kinds": shown("unknown", "bytes"),
        "units": shown("gauge", ""),
        "none": shown("unknown", ""),
    });
    assert_eq!(cut(None, &["same", "kinds", "units", "none"], &said), expected);
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
            let shown = cut(None, &[name], &json!({ "x": [entry(kind, "", "")] }));
            assert_eq!(shown != json!({}), own.contains(&name), "{kind} {name}");
        }
    }
}

#[test]
fn atk_55_the_limit_counts_what_is_left() {
    let said = json!({ "a": [entry("gauge", "", "")], "b": [entry("gauge", "", "")], "c": [] });
    for (limit, left) in [(Some(0), 0), (Some(1), 1), (Some(2), 2), (Some(3), 2), (None, 2)] {
        assert_eq!(cut(limit, &["b", "c"], &said).as_object().unwrap().len(), left);
    }
}

#[test]
fn what_does_not_decode_is_refused() {
    let good = || json_answer(r#"{"status":"success","data":{}}"#);
    let names = || json_answer(r#"{"status":"success","data":[]}"#);
    for answers in [
        [names(), json_answer(r#"{"status":"success","data":[]}"#)],
        [good(), good()],
        [json_answer("{}"), good()],
        [names(), json_answer(r#"{"status":"success","data":{"x":[{"type":"gauge"}]}}"#)],
    ] {
        assert_eq!(Cut::Metadata { limit: None }.apply(&answers), UNDECODABLE, "{answers:?}");
    }
    assert_eq!(Cut::Metadata { limit: None }.apply(&[names(), None]), UNEXPECTED);
    assert_eq!(Cut::Metadata { limit: None }.apply(&[names()]), UNEXPECTED);
}
