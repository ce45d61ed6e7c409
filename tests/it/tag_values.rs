//! Values of tags that Tempo's list leaves out: searched for, each search scoped and its answer cut.

use super::support::proxy::Proxy;
use super::support::upstream::Answer;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const VALUES: &str = "GET /api/v2/search/tag/";
const SEARCH: &str = "GET /api/search?";

/// A list of a tag's values, all texts.
fn list(values: &[&str]) -> Answer {
    let values: Vec<Value> = values.iter().map(|v| json!({"type": "string", "value": v})).collect();
    Answer::json(&json!({"tagValues": values, "metrics": {"inspectedBytes": "7"}}).to_string())
}

/// A search that found a span of `tenant` with `value` under `key`, the only one in its trace.
fn found(tenant: &str, key: &str, value: &str) -> Value {
    found_of(1, tenant, key, value)
}

/// The same where `matched` spans of the trace have some.
fn found_of(matched: u32, tenant: &str, key: &str, value: &str) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let span =
        json!({"spanID": "01", "name": value, "attributes": [text("tenant", tenant), text(key, value)]});
    json!({"traceID": "01", "spanSets": [{"spans": [span], "matched": matched}]})
}

fn traces(traces: &[Value]) -> Answer {
    Answer::json(&json!({"traces": traces, "metrics": {}}).to_string())
}

/// What a search for values of `span.x` other than those that `pattern` names begins with.
fn others(pattern: &str) -> String {
    let scope = r#"resource.tenant = "acme-books" && resource.tenant != nil"#;
    let q =
        format!(r#"{{ {scope} }} | {{ {scope} && ( span.x != nil && !(span.x =~ "{pattern}") ) }} with("#);
    SEARCH.to_owned() + &form_urlencoded::Serializer::new(String::new()).append_pair("q", &q).finish()
}

/// The values that `target` is answered, in their order.
async fn values(proxy: &Proxy, target: &str) -> Vec<String> {
    let answer = proxy.get(target).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let text = |value: &Value| value.as_str().or_else(|| value["value"].as_str()).unwrap_or("").to_owned();
    json["tagValues"].as_array().unwrap().iter().map(text).collect()
}

fn lines(proxy: &Proxy) -> Vec<String> {
    proxy.tempo.take().into_iter().map(|received| received.line).collect()
}

#[tokio::test]
async fn a_menu_of_values_costs_one_search_a_place_in_the_common_case() {
    let proxy = Proxy::start().await;
    proxy.tempo.answer(traces(&[]));
    proxy.tempo.answer_to(VALUES, list(&["b"]));
    let own = [found("acme-books", "x", "c"), found("acme-books", "x", "a.b")];
    proxy.tempo.answer_to(&others("b"), traces(&own));
    let target = "/tempo/api/v2/search/tag/span.x/values";
    assert_eq!(values(&proxy, target).await, ["a.b", "b", "c"]);
    let asked = lines(&proxy);
    let rest = "limit=100&spss=20";
    // All spans that have other values were found, so there are no others.
    assert_eq!(asked.len(), 2);
    let (query, after) = asked[1].split_once('&').unwrap();
    assert!(query.starts_with(&others("b")) && after == rest, "{asked:?}");
    // Nothing is left out.
    proxy.tempo.answer_to(&others("b"), traces(&[]));
    assert_eq!(values(&proxy, target).await, ["b"]);
    assert_eq!(lines(&proxy).len(), 2);
    // Where a trace has more than are shown, it is asked once more.
    let many = found_of(21, "acme-books", "x", "a.b");
    proxy.tempo.answer_to(&others("b"), traces(&[many]));
    proxy.tempo.answer_to(&others(r"a\\.b|b"), traces(&own[..1]));
    assert_eq!(values(&proxy, target).await, ["a.b", "b", "c"]);
    assert_eq!(lines(&proxy).len(), 3);
    // The older endpoint, under each scope that the tag can be in.
    proxy.tempo.answer_to(&others("b"), traces(&own[..1]));
    assert_eq!(values(&proxy, "/tempo/api/search/tag/x/values").await, ["b", "c"]);
    let asked = lines(&proxy);
    let of = |start: &str| asked.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((of(VALUES), of(SEARCH), asked.len()), (2, 2, 4), "{asked:?}");
}

/// Tempo lists the values of all blocks that touch a range, and others' spans decide which do.
#[tokio::test]
async fn atk_62_the_values_of_a_range_are_those_that_spans_in_it_show() {
    let proxy = Proxy::start().await;
    proxy.tempo.answer_to(VALUES, list(&["a", "elsewhere"]));
    proxy.tempo.answer_to(SEARCH, traces(&[found("acme-books", "x", "a"), found("acme-books", "x", "b")]));
    for tag in ["span.x", "resource.service.name"] {
        proxy.tempo.take();
        let target = format!("/tempo/api/v2/search/tag/{tag}/values?start=5&end=6");
        let answered = values(&proxy, &target).await;
        let asked = lines(&proxy);
        assert!(asked.len() == 2 && asked[1].ends_with("&limit=100&spss=20&start=5&end=6"), "{asked:?}");
        assert_eq!(answered, if tag == "span.x" { ["a", "b"].as_slice() } else { &[] });
    }
    // Not the first of what Tempo chose, but of all.
    let first = "/tempo/api/v2/search/tag/span.x/values?start=5&end=6&limit=1";
    assert_eq!(values(&proxy, first).await, ["a"]);
    // A search that fails leaves the list as it is.
    proxy.tempo.answer_to(SEARCH, Answer::of("500 Internal Server Error", "text/plain", b""));
    let target = "/tempo/api/v2/search/tag/span.x/values?start=5&end=6";
    assert_eq!(values(&proxy, target).await, ["a", "elsewhere"]);
}

#[tokio::test]
async fn atk_47_a_span_that_is_not_the_callers_shows_no_value() {
    let proxy = Proxy::start().await;
    proxy.tempo.answer_to(VALUES, list(&[]));
    let theirs = found("globex-lit", "x", "theirs");
    proxy.tempo.answer_to(SEARCH, traces(&[theirs, found("acme-books", "x", "ours")]));
    assert_eq!(values(&proxy, "/tempo/api/v2/search/tag/span.x/values").await, ["ours"]);
    assert_eq!(values(&proxy, "/tempo/api/v2/search/tag/name/values").await, ["ours"]);
}

#[tokio::test]
async fn what_is_listed_in_full_is_not_searched() {
    let proxy = Proxy::start().await;
    proxy.tempo.answer_to(VALUES, list(&["a"]));
    for tag in ["resource.service.name", "status", "resource.tenant", "rootName"] {
        values(&proxy, &format!("/tempo/api/v2/search/tag/{tag}/values")).await;
        assert_eq!(lines(&proxy).len(), 1, "{tag}");
    }
    values(&proxy, "/tempo/api/v2/search/tag/span.x/values?limit=1").await;
    assert_eq!(lines(&proxy).len(), 1);
}

#[tokio::test]
async fn so_many_searches_are_made_and_no_more() {
    let proxy = Proxy::start().await;
    proxy.tempo.answer(traces(&[]));
    proxy.tempo.answer_to(VALUES, list(&["0"]));
    let target = "/tempo/api/v2/search/tag/span.x/values";
    // Each finds one more, up to the eighth; then one more would find a ninth.
    for last in [8, 9] {
        for known in 0..last {
            let pattern: Vec<String> = (0..=known).map(|known| known.to_string()).collect();
            let next = found_of(2, "acme-books", "x", &(known + 1).to_string());
            proxy.tempo.answer_to(&others(&pattern.join("|")), traces(&[next]));
        }
        let expected: Vec<String> = (0..=8).map(|value: i32| value.to_string()).collect();
        assert_eq!(values(&proxy, target).await, expected);
        assert_eq!(lines(&proxy).len(), 1 + 8);
    }
}

#[tokio::test]
async fn a_search_that_fails_or_takes_too_long_leaves_the_list_as_it_is() {
    let proxy = Proxy::start().await;
    proxy.tempo.answer_to(VALUES, list(&["a"]));
    let target = "/tempo/api/v2/search/tag/span.x/values";
    for failed in [
        Answer::of("500 Internal Server Error", "text/plain", b"no"),
        Answer::of("400 Bad Request", "text/plain", b"no"),
        Answer::of("404 Not Found", "text/plain", b"no"),
        Answer::of("200 OK", "text/html", b"no"),
        Answer::json("no"),
    ] {
        proxy.tempo.answer_to(SEARCH, failed);
        assert_eq!(values(&proxy, target).await, ["a"]);
    }
    let late = found("acme-books", "x", "b");
    proxy.tempo.answer_to(
        SEARCH,
        Answer { delay: Duration::from_millis(4000), ..traces(std::slice::from_ref(&late)) },
    );
    assert_eq!(values(&proxy, target).await, ["a", "b"]);
    proxy.tempo.answer_to(SEARCH, Answer { delay: Duration::from_secs(20), ..traces(&[late]) });
    let begun = Instant::now();
    assert_eq!(values(&proxy, target).await, ["a"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The list itself must be there.
    proxy.tempo.answer_to(VALUES, Answer::of("500 Internal Server Error", "text/plain", b"no"));
    assert_eq!(proxy.get(target).await.status, 502);
}

/// ATK-6E: of the names that Tempo lists, those that the caller's spans show.
#[tokio::test]
async fn atk_6e_names_that_only_others_have_are_not_listed() {
    let proxy = Proxy::start().await;
    let names = json!({"scopes": [
        {"name": "resource", "tags": ["service.name", "k8s.pod.name"]},
        {"name": "span", "tags": ["x", "http.url", "y"]},
    ]});
    proxy.tempo.answer(traces(&[]));
    proxy.tempo.answer_to("GET /api/v2/search/tags?", Answer::json(&names.to_string()));
    let theirs = found("globex-lit", "http.url", "/");
    proxy.tempo.answer_to(
        &format!("{SEARCH}q=%7B+resource.tenant+%3D+%22acme-books%22"),
        traces(&[found("acme-books", "x", "1"), theirs.clone()]),
    );
    let listed = |path: &'static str| async {
        let answer = proxy.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    // Each search finds the same: the second proves nothing, and the cap ends it.
    let reply = listed("/tempo/api/v2/search/tags").await;
    let expected = json!([
        {"name": "resource", "tags": ["service.name"]},
        {"name": "span", "tags": ["x", "y"]},
    ]);
    assert_eq!(reply["scopes"], expected);
    assert_eq!(lines(&proxy).len(), 1 + 8);
    // Nothing is found: nobody here has any of them.
    proxy.tempo.answer_to(SEARCH, traces(&[theirs]));
    assert_eq!(listed("/tempo/api/v2/search/tags").await["scopes"], json!([]));
    assert_eq!(lines(&proxy).len(), 1 + 1);
    assert_eq!(listed("/tempo/api/search/tags?limit=1").await["tagNames"], json!([]));
    // What cannot be asked is left to what the hint says, less Tempo's own columns.
    proxy.tempo.answer_to(SEARCH, Answer::of("500 Internal Server Error", "text/plain", b"no"));
    let reply = listed("/tempo/api/v2/search/tags").await;
    assert_eq!(reply["scopes"], json!([{"name": "span", "tags": ["x", "y"]}]));
}
