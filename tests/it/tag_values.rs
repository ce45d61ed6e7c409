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

/// A search that found a span of `tenant` with `value` under `key`.
fn found(tenant: &str, key: &str, value: &str) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let span =
        json!({"spanID": "01", "name": value, "attributes": [text("tenant", tenant), text(key, value)]});
    json!({"traceID": "01", "spanSets": [{"spans": [span], "matched": 1}]})
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
async fn values_that_are_not_listed_are_searched_until_there_are_no_others() {
    let proxy = Proxy::start().await;
    proxy.tempo.answer(traces(&[]));
    proxy.tempo.answer_to(VALUES, list(&["b"]));
    let own = [found("acme-books", "x", "c"), found("acme-books", "x", "a.b")];
    proxy.tempo.answer_to(&others("b"), traces(&own));
    let target = "/tempo/api/v2/search/tag/span.x/values?start=5&end=6";
    assert_eq!(values(&proxy, target).await, ["a.b", "b", "c"]);
    let asked = lines(&proxy);
    let rest = "limit=100&spss=20&start=5&end=6";
    for (asked, pattern) in asked[1..].iter().zip(["b", r"a\\.b|b|c"]) {
        let (query, after) = asked.split_once('&').unwrap();
        assert!(query.starts_with(&others(pattern)) && after == rest, "{asked}");
    }
    assert_eq!(asked.len(), 3);
    // The older endpoint, under each scope that the tag can be in.
    proxy.tempo.answer_to(&others("b"), traces(&own[..1]));
    assert_eq!(values(&proxy, "/tempo/api/search/tag/x/values").await, ["b", "c"]);
    let asked = lines(&proxy);
    let of = |start: &str| asked.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((of(VALUES), of(SEARCH), asked.len()), (2, 3, 5), "{asked:?}");
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
            let next = found("acme-books", "x", &(known + 1).to_string());
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
