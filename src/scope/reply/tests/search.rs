use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const SAMPLE: &str = include_str!("../samples/search.json");

fn cut(marks: &[Mark], mixed: bool, body: &Value) -> Value {
    let cut = Cut::Search { marks: marks.to_vec(), shared: mixed.then_some(Window::ANY), spans: true };
    json_of(cut.apply(&[json_answer(body.to_string())]))
}

fn tenant_is(value: &str) -> Value {
    json!({"key": "tenant", "value": {"stringValue": value}})
}

/// A span that starts at `start` ms, lasts 100 ms, and has `attributes`.
fn span(id: &str, start: u64, attributes: &[Value]) -> Value {
    let nanos = (start * 1_000_000).to_string();
    json!({"spanID": id, "startTimeUnixNano": nanos, "durationNanos": "100000000", "attributes": attributes})
}

/// An answer with one trace of these spans.
fn answer_of(spans: &[Value]) -> Value {
    let set = json!({"spans": spans, "matched": spans.len() + 5});
    json!({"traces": [{
        "traceID": "1", "rootServiceName": "theirs", "rootTraceName": "GET /theirs",
        "startTimeUnixNano": "1000000", "durationMs": 9000, "spanSet": set, "spanSets": [set],
        "serviceStats": {"theirs": {"spanCount": 7, "errorCount": 1}},
    }], "metrics": {"inspectedBytes": "123", "totalBlocks": 4}})
}

fn ids(reply: &Value) -> Vec<&str> {
    let spans = reply.pointer("/traces/0/spanSets/0/spans").and_then(Value::as_array);
    let ids: Vec<&str> = spans.into_iter().flatten().map(|s| s["spanID"].as_str().unwrap()).collect();
    let set = reply.pointer("/traces/0/spanSet/spans").and_then(Value::as_array);
    assert_eq!(set.into_iter().flatten().count(), ids.len(), "spanSet and spanSets are cut alike");
    ids
}

#[test]
fn atk_4b_a_real_answer_keeps_nothing_of_foreign_roots() {
    let sample: Value = serde_json::from_str(SAMPLE).unwrap();
    assert!(SAMPLE.contains("canary-globex-lit") && SAMPLE.contains("globex-gateway"));
    let reply = cut(&tenant("acme-books"), true, &sample);
    let text = reply.to_string();
    for fact in ["globex", "shared-infra", "serviceStats", "inspectedBytes", "\"tenant\"", "9000"] {
        assert!(SAMPLE.contains(fact) && !text.contains(fact), "{fact}");
    }
    let trace = &reply["traces"][0];
    assert_eq!(trace["traceID"], "abd0000000000000000000000001");
    assert_eq!(trace["rootServiceName"], "<root span not yet received>");
    assert_eq!(trace["rootTraceName"], "<root span not yet received>");
    // From 60.2 s, when its first own span starts, to 61.23 s, when the last ends.
    assert_eq!(trace["startTimeUnixNano"], "1795388280200000000");
    assert_eq!(trace["durationMs"], 1030);
    assert_eq!(reply["traces"].as_array().unwrap().len(), 2);
    assert_eq!(reply["metrics"], json!({}));
    assert_eq!(trace["spanSets"][0]["matched"], 7);
}

#[test]
fn where_traces_never_mix_whole_traces_are_the_callers() {
    let sample: Value = serde_json::from_str(SAMPLE).unwrap();
    let reply = cut(&tenant("acme-books"), false, &sample);
    // All but the attribute that the scope added and the backend's counts.
    let mut expected = sample.clone();
    expected["metrics"] = json!({});
    for trace in expected["traces"].as_array_mut().unwrap() {
        for set in ["/spanSet/spans", "/spanSets/0/spans"] {
            for span in trace.pointer_mut(set).unwrap().as_array_mut().unwrap() {
                assert!(span.as_object_mut().unwrap().remove("attributes").is_some());
            }
        }
    }
    assert_eq!(reply, expected);
    // And of another tenant nothing is left.
    assert_eq!(cut(&tenant("globex-lit"), false, &sample), json!({"traces": [], "metrics": {}}));
}

#[test]
fn atk_4j_4f_a_span_must_show_the_tenant_once_as_a_plain_string() {
    let list = json!({"key": "tenant", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}});
    let spans = [
        span("own", 5, &[tenant_is("a"), json!({"key": "x", "value": {"intValue": "5"}})]),
        span("other", 1, &[tenant_is("b")]),
        span("none", 1, &[]),
        json!({"spanID": "no list"}),
        span("other key", 1, &[json!({"key": "Tenant", "value": {"stringValue": "a"}})]),
        span("list", 1, std::slice::from_ref(&list)),
        span("twice", 1, &[tenant_is("a"), tenant_is("b")]),
        span("twice alike", 1, &[tenant_is("a"), tenant_is("a")]),
        span("with list", 1, &[tenant_is("a"), list]),
        span("bytes", 1, &[json!({"key": "tenant", "value": {"bytesValue": "YQ=="}})]),
        span("no value", 1, &[json!({"key": "tenant"})]),
        span("also own", 7, &[tenant_is("a")]),
    ];
    let reply = cut(&tenant("a"), true, &answer_of(&spans));
    assert_eq!(ids(&reply), ["own", "also own"]);
    let set = &reply["traces"][0]["spanSets"][0];
    assert_eq!(set["matched"], 12 + 5 - 10);
    assert_eq!(set["spans"][0]["attributes"], json!([{"key": "x", "value": {"intValue": "5"}}]));
    assert_eq!(reply["traces"][0]["durationMs"], 102, "the dropped spans do not count");
    // A trace of which no span is left goes whole.
    assert_eq!(cut(&tenant("a"), true, &answer_of(&spans[1..11])), json!({"traces": [], "metrics": {}}));
    assert_eq!(cut(&tenant("a"), false, &answer_of(&[])), json!({"traces": [], "metrics": {}}));
    assert_eq!(cut(&[], false, &answer_of(&spans)), json!({"traces": [], "metrics": {}}));
}

#[test]
fn more_drops_than_matches_do_not_wrap() {
    let set = json!({"spans": [span("x", 1, &[]), span("own", 1, &[tenant_is("a")])], "matched": 0});
    let reply = cut(&tenant("a"), true, &json!({"traces": [{"spanSets": [set]}]}));
    assert_eq!(reply["traces"][0]["spanSets"][0].get("matched"), None);
}

#[test]
fn every_dimension_must_be_shown_and_each_is_stripped() {
    let marks = marks(&[("tenant", &["a", "b"]), ("region", &["eu"])]);
    let region = |value: &str| json!({"key": "region", "value": {"stringValue": value}});
    let spans = [
        span("own", 1, &[region("eu"), tenant_is("b")]),
        span("elsewhere", 1, &[region("us"), tenant_is("a")]),
        span("no region", 1, &[tenant_is("a")]),
    ];
    let reply = cut(&marks, true, &answer_of(&spans));
    assert_eq!(ids(&reply), ["own"]);
    assert_eq!(reply.pointer("/traces/0/spanSet/spans/0/attributes"), None);
}

#[test]
fn what_the_caller_names_itself_stays() {
    let named = |on_resource, elsewhere| {
        let mut marks = tenant("a");
        marks[0].named = Named { on_resource, elsewhere };
        marks
    };
    let one = answer_of(&[span("own", 1, &[tenant_is("a")])]);
    let attributes = "/traces/0/spanSet/spans/0/attributes";
    assert_eq!(cut(&named(true, false), true, &one).pointer(attributes), Some(&json!([tenant_is("a")])));
    assert_eq!(cut(&named(false, false), true, &one).pointer(attributes), None);
    assert_eq!(cut(&named(false, true), true, &one).pointer(attributes), None);
    // A span of the caller's can have an attribute of its own under the key.
    for pair in [[tenant_is("a"), tenant_is("z")], [tenant_is("z"), tenant_is("a")]] {
        let two = answer_of(&[span("own", 1, &pair)]);
        assert_eq!(cut(&named(false, true), true, &two).pointer(attributes), Some(&json!([tenant_is("z")])));
        assert_eq!(cut(&named(true, true), true, &two).pointer(attributes), Some(&json!(pair)));
        assert_eq!(cut(&named(true, false), true, &two)["traces"], json!([]));
    }
    // A list can be the resource's, though the span has the value, too; a number cannot.
    let list = json!({"key": "tenant", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}});
    let number = json!({"key": "tenant", "value": {"intValue": "1"}});
    for (other, shown) in [(list, false), (number, true)] {
        let two = answer_of(&[span("own", 1, &[tenant_is("a"), other])]);
        assert_eq!(cut(&named(false, true), true, &two)["traces"] != json!([]), shown);
    }
    // With several tenants, either can be the resource's: nothing is guessed.
    let mut two = marks(&[("tenant", &["a", "b"])]);
    two[0].named = Named { on_resource: false, elsewhere: true };
    let pair = [tenant_is("a"), tenant_is("b")];
    assert_eq!(cut(&two, true, &answer_of(&[span("own", 1, &pair)])).pointer(attributes), Some(&json!(pair)));
    let forged = answer_of(&[span("other", 1, &[tenant_is("z"), tenant_is("y")])]);
    assert_eq!(cut(&named(true, true), true, &forged)["traces"], json!([]));
}

#[test]
fn atk_62_63_range_order_and_choice_are_of_the_callers_spans() {
    let window = Window::new(Some("1"), Some("2"), Some("2"), Some("1"));
    let marks = tenant("a");
    let found = |traces: &[(&str, Vec<Value>)]| {
        let traces: Vec<Value> = traces
            .iter()
            .map(|(id, spans)| {
                let mut trace = answer_of(spans)["traces"][0].clone();
                trace["traceID"] = json!(id);
                trace
            })
            .collect();
        let cut = Cut::Search { marks: marks.clone(), shared: Some(window), spans: true };
        let reply = json_of(cut.apply(&[json_answer(json!({ "traces": traces }).to_string())]));
        let traces = reply["traces"].as_array().unwrap();
        for set in traces.iter().map(|trace| &trace["spanSets"][0]["spans"]) {
            assert_eq!(set.as_array().unwrap().len(), 1, "as many spans as were asked for");
        }
        traces.iter().map(|trace| trace["traceID"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let own = |start| span("own", start, &[tenant_is("a")]);
    let other = |start| span("other", start, &[tenant_is("b")]);
    // In the range only by another's span, or not at all.
    assert_eq!(found(&[("x", vec![other(1500), own(3000)]), ("y", vec![own(500), other(1500)])]), [""; 0]);
    // Around it, and in it by a span that is not shown.
    assert_eq!(found(&[("x", vec![own(500), own(2500)])]), ["x"]);
    assert_eq!(found(&[("x", vec![own(2500), own(1500)])]), ["x"]);
    // What others' spans begin with changes neither order nor choice.
    let (early, middle, late) = (own(1000), own(1200), own(1400));
    for hidden in [vec![], vec![other(1)], vec![other(1999)]] {
        let with = |own: &Value| [hidden.clone(), vec![own.clone()]].concat();
        let traces = [("early", with(&early)), ("late", vec![late.clone()]), ("middle", with(&middle))];
        assert_eq!(found(&traces), ["late", "middle"]);
    }
}

#[test]
fn what_is_not_known_does_not_pass() {
    let mut body = answer_of(&[span("own", 1, &[tenant_is("a")])]);
    body["message"] = json!("secret");
    body["traces"][0]["newFact"] = json!("secret");
    body["traces"][0]["spanSet"]["newFact"] = json!({"a": "secret"});
    body["traces"][0]["spanSet"]["spans"][0]["newFact"] = json!(["secret"]);
    body["traces"][0]["spanSet"]["attributes"] =
        json!([{"key": "by(name)", "value": {"newValue": "secret"}}]);
    for mixed in [true, false] {
        let reply = cut(&tenant("a"), mixed, &body);
        assert_eq!(ids(&reply), ["own"]);
        assert!(!reply.to_string().contains("secret"));
        assert_eq!(reply["traces"][0]["spanSet"]["attributes"], json!([{"key": "by(name)", "value": {}}]));
    }
}

#[test]
fn a_wrong_type_is_refused() {
    let refused = |body: &str| {
        let cut = Cut::Search { marks: tenant("a"), shared: Some(Window::ANY), spans: true };
        cut.apply(&[json_answer(body)]) == UNDECODABLE
    };
    for body in [
        "",
        "{",
        "[]]",
        "{} {}",
        r#""x""#,
        "null",
        r#"{"traces":null}"#,
        r#"{"traces":{}}"#,
        r#"{"traces":[1]}"#,
        r#"{"traces":[{"traceID":1}]}"#,
        r#"{"traces":[{"startTimeUnixNano":1}]}"#,
        r#"{"traces":[{"startTimeUnixNano":"-1"}]}"#,
        r#"{"traces":[{"durationMs":"1"}]}"#,
        r#"{"traces":[{"durationMs":4294967296}]}"#,
        r#"{"traces":[{"spanSets":[{"matched":-1}]}]}"#,
        r#"{"traces":[{"spanSets":[{"spans":[{"attributes":[{"key":"tenant","value":{"stringValue":["a"]}}]}]}]}]}"#,
        r#"{"traces":[],"traces":[]}"#,
        "{\"traces\":[{\"traceID\":\"\u{1}\"}]}",
    ] {
        assert!(refused(body), "{body}");
    }
    let not_utf8 = [br#"{"traces":[{"traceID":""#.as_slice(), b"\xff", br#""}]}"#].concat();
    let cut = Cut::Search { marks: tenant("a"), shared: Some(Window::ANY), spans: true };
    assert_eq!(cut.apply(&[json_answer(not_utf8)]), UNDECODABLE);
    assert!(!refused(r#"{"traces":[],"metrics":{"anything":[]}}"#));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
        let value = format!(r#"{open}{{"stringValue":"x"}}{close}"#);
        let attributes =
            format!(r#"[{{"key":"tenant","value":{{"stringValue":"a"}}}},{{"key":"deep","value":{value}}}]"#);
        let body = format!(r#"{{"traces":[{{"spanSets":[{{"spans":[{{"attributes":{attributes}}}]}}]}}]}}"#);
        Cut::Search { marks: tenant("a"), shared: Some(Window::ANY), spans: true }.apply(&[json_answer(body)])
    };
    // serde_json's bound of 128 levels: nine to the value, then three each.
    let deepest = (0..60).rev().find(|depth| nested(*depth).is_ok()).unwrap();
    assert!((35..=42).contains(&deepest), "{deepest}");
    assert_eq!(nested(deepest + 1), UNDECODABLE);
    assert_eq!(nested(100_000), UNDECODABLE);
}

#[test]
fn less_scope_is_less_answer() {
    let spans: Vec<Value> = ["a", "b", "c", "a"]
        .iter()
        .enumerate()
        .map(|(i, t)| span(&i.to_string(), 1, &[tenant_is(t)]))
        .collect();
    let body = answer_of(&spans);
    let left = |names: &[&str]| {
        let reply = cut(&marks(&[("tenant", names)]), true, &body);
        ids(&reply).iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(left(&["a"]), ["0", "3"]);
    assert_eq!(left(&["a", "b"]), ["0", "1", "3"]);
    assert_eq!(left(&["d"]), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A real answer with bytes changed: an answer or a refusal, and what is found shows the mark.
    #[test]
    fn changed_answers_are_cut_or_refused(
        at in 0..SAMPLE.len(), with in "[\"{}:,a-z0-9\\[\\]]{0,12}", skipped in 0..12_usize,
    ) {
        let rest = SAMPLE.get(at + skipped..).unwrap_or("");
        check_invariants([&SAMPLE[..at], &with, rest].concat().as_bytes());
    }

    /// The same with another value in the place of one, so that all of it decodes.
    #[test]
    fn changed_values_are_cut(which in 0..40_usize, with in "(acme-books|globex-lit|tenant|)") {
        let (mut parts, mut texts) = (Vec::new(), 0);
        for part in SAMPLE.split('"') {
            let is_target = matches!(part, "acme-books" | "tenant");
            texts += usize::from(is_target);
            parts.push(if is_target && texts == which + 1 { with.as_str() } else { part });
        }
        check_invariants(parts.join("\"").as_bytes());
    }
}

#[test]
fn atk_49_a_search_in_the_older_way_shows_traces_without_spans() {
    let span = |value: &str| {
        json!({"spanID": "1", "startTimeUnixNano": "5000000", "durationNanos": "3000000",
            "attributes": [{"key": "tenant", "value": {"stringValue": value}}]})
    };
    let trace = |id: &str, value: &str| {
        json!({"traceID": id, "rootServiceName": "r", "rootTraceName": "n", "startTimeUnixNano": "1", "durationMs": 9,
            "spanSets": [{"spans": [span(value)], "matched": 1}], "serviceStats": {"r": {"spanCount": 2}}})
    };
    let body = json!({"traces": [trace("a1", "a"), trace("b1", "b")]}).to_string();
    let cut = |mixed: bool| {
        let cut = Cut::Search { marks: tenant("a"), shared: mixed.then_some(Window::ANY), spans: false };
        json_of(cut.apply(&[json_answer(body.clone())]))["traces"].clone()
    };
    let own = json!([{"traceID": "a1", "rootServiceName": "r", "rootTraceName": "n", "startTimeUnixNano": "1", "durationMs": 9}]);
    assert_eq!(cut(false), own);
    let unknown = "<root span not yet received>";
    let mixed = json!([{"traceID": "a1", "rootServiceName": unknown, "rootTraceName": unknown,
        "startTimeUnixNano": "5000000", "durationMs": 3}]);
    assert_eq!(cut(true), mixed);
}
