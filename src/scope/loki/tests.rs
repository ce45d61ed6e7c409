use super::*;
use crate::api::Kind;
use crate::api::parameters::Parameters;
use crate::api::path::route;
use crate::scope::{Accept, Carried};
use crate::tenant::{Scope, ScopeValue, Values};

fn matchers() -> ScopeMatchers {
    let values = Values::new(vec![ScopeValue::parse("acme-books").unwrap()]).unwrap();
    let scope = Scope::new([("tenant".to_owned(), values)].into()).unwrap();
    scope.in_labels(|_| Some("tenant")).unwrap()
}

fn labels_for(query: &str) -> Result<Option<String>, Rejection> {
    let matched = route(Kind::Loki, "/loki/api/v1/index/volume").unwrap();
    let limits = Limits::default();
    let parameters = Parameters::read(matched.endpoint, Some(query), None, &limits).unwrap();
    let asked = Asked { matched, parameters, body: None, accept: Accept::Json, carried: Carried::default() };
    let given = asked.parameters.scalar("targetLabels").filter(|v| !v.is_empty());
    target_labels("targetLabels", given, &asked, &matchers(), &limits)
}

#[test]
fn volumes_are_of_the_labels_that_the_callers_own_query_names() {
    let said = |query: &str| labels_for(query).unwrap();
    assert_eq!(said("query={b=%22x%22,a=~%22.%2B%22,b!=%22y%22}"), Some("a,b".into()));
    assert_eq!(said("query={tenant=%22acme-books%22}"), Some("tenant".into()));
    assert_eq!(said("query={a=%22x%22}&targetLabels=c,d"), Some("c,d".into()));
    assert_eq!(said("query={}&targetLabels=c"), Some("c".into()));
    // Sums by name are of all labels.
    assert_eq!(said("query={a=%22x%22}&aggregateBy=labels"), None);
    assert_eq!(said("query={}&aggregateBy=labels"), None);
    // What is no label of a stream cannot be one of a volume.
    assert_eq!(said("query={__cortex_shard__=%221_of_2%22,a=%22x%22}"), Some("a".into()));
}

#[test]
fn labels_that_cannot_be_known_are_asked_for() {
    for query in ["query={}", "query={}&aggregateBy=series", "query={__name__=%22x%22}"] {
        let refused = labels_for(query).unwrap_err().to_string();
        assert!(refused.contains("`targetLabels` is missing"), "{refused}");
    }
    for bad in [",", "a b", "a%22", "a;b".replace(';', "%3B").as_str(), "1", "%7B%7D"] {
        let refused = labels_for(&format!("query={{}}&targetLabels={bad}")).unwrap_err().to_string();
        assert!(refused.contains("no list of label names"), "{bad}: {refused}");
    }
}

#[test]
fn only_what_loki_takes_for_none_is_no_selector() {
    for given in [&["{}"][..], &[" { } "], &["{}", "{}"], &["{ }", "{ }", "{ }"]] {
        assert!(is_no_selector(given), "{given:?}");
    }
    for given in
        [&[][..], &["{\n}"], &["{\t}"], &["{}\r"], &["{}", "{ }"], &["{}", "{a=\"b\"}"], &[""], &["{}{}"]]
    {
        assert!(!is_no_selector(given), "{given:?}");
    }
}

#[test]
fn shards_are_written_anew() {
    let written = |text: &str| shard("shards", text).unwrap();
    for same in ["0_of_1", "1_of_2", "15_of_16", "65535_of_65536"] {
        assert_eq!(written(same), same);
    }
    assert_eq!(written("007_of_16"), "7_of_16");
    let bounded = r#"{"bounds":{"min":0,"max":18446744073709551615},"stats":null}"#;
    assert_eq!(written(r#"{ "bounds": { "max": 18446744073709551615, "min": 0 } }"#), bounded);
    let counted = r#"{"bounds":{"min":1,"max":2},"stats":{"streams":1,"chunks":2,"bytes":3,"entries":4}}"#;
    assert_eq!(written(counted), counted);
}

#[test]
fn atk_25_what_is_no_shard_is_refused() {
    for bad in [
        "",
        "0_of_0",
        "1_of_1",
        "2_of_2",
        "0_of_3",
        "0_of_131072",
        "-1_of_2",
        "+1_of_2",
        "1_of_2 ",
        "1_of_2_of_4",
        "1_OF_2",
        "000001_of_2",
        "0x1_of_2",
        "{}",
        "null",
        "[]",
        r#"{"bounds":{"min":0}}"#,
        r#"{"bounds":{"min":-1,"max":2}}"#,
        r#"{"bounds":{"min":"0","max":"2"}}"#,
        r#"{"bounds":{"min":0,"max":2},"more":1}"#,
        r#"{"bounds":{"min":0,"max":2}} 1_of_2"#,
    ] {
        assert!(matches!(shard("shards", bad), Err(Rejection::Parameter { .. })), "{bad}");
    }
}
