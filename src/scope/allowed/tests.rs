use super::*;
use crate::api::parameters::Parameters;
use crate::api::path::route;
use crate::scope::call::Sending;
use crate::scope::{Accept, Carried};

fn asked(kind: Kind, target: &str) -> Asked {
    let (path, query) = target.split_once('?').unwrap();
    let matched = route(kind, path).unwrap();
    let parameters = Parameters::read(matched.endpoint, Some(query), None, &Limits::default()).unwrap();
    Asked { matched, parameters, body: None, accept: Accept::Json, carried: Carried::default() }
}

/// Why the request is over; empty: it is not.
fn over(allowed: &RuleLimits, kind: Kind, target: &str) -> String {
    hold(allowed, kind, &asked(kind, target), &Limits::default())
        .map_or_else(|e| e.to_string(), |_| String::new())
}

const RANGE: &str = "/api/v1/query_range?query=up";

#[test]
fn the_range_is_held_at_its_limit_and_a_second_more_is_refused() {
    let allowed = RuleLimits { range: Some(Duration::from_secs(3600)), ..RuleLimits::default() };
    let ask = |rest: &str| over(&allowed, Kind::Prometheus, &format!("{RANGE}&{rest}"));
    assert_eq!(ask("start=1000&end=4600&step=1"), "");
    assert_eq!(
        ask("start=1000&end=4601&step=1"),
        "parameter `end` is more than 3600 s after `start`, the most that your policy rules allow"
    );
    assert_eq!(ask("start=1970-01-01T00:00:00Z&end=3600&step=1"), "");
    assert_eq!(ask("start=5000&end=1000&step=1"), "", "the backend refuses it");
    assert!(ask("start=1000&step=1").contains("`end` is missing"));
    assert!(ask("end=1000&step=1").contains("`start` is missing"));
    assert!(ask("start=now&end=1000").contains("`start` is no time"));
    // Prometheus reads all its data where a listing has no times.
    assert!(over(&allowed, Kind::Prometheus, "/api/v1/labels?limit=1").contains("`start` is missing"));
    assert_eq!(over(&allowed, Kind::Prometheus, "/api/v1/query?query=up"), "", "an instant has no range");
}

#[test]
fn loki_and_tempo_take_a_bounded_range_where_none_is_named() {
    let hours =
        |hours: u64| RuleLimits { range: Some(Duration::from_secs(hours * 3600)), ..RuleLimits::default() };
    let loki = |allowed: &RuleLimits, rest: &str| {
        over(allowed, Kind::Loki, &format!("/loki/api/v1/query_range?query={{a=%22b%22}}{rest}"))
    };
    assert_eq!(loki(&hours(6), ""), "");
    assert!(!loki(&hours(5), "").is_empty());
    assert_eq!(loki(&hours(1), "&since=1h"), "");
    assert!(!loki(&hours(1), "&since=61m").is_empty());
    assert_eq!(loki(&hours(1), "&start=1700000000000000000&end=1700003600000000000"), "");
    assert!(!loki(&hours(1), "&start=1700000000000000000&end=1700003601000000000").is_empty());
    assert!(loki(&hours(1), "&start=1700000000").contains("`end` is missing"));
    assert_eq!(over(&hours(6), Kind::Tempo, "/api/search?q={}"), "");
}

#[test]
fn a_live_tail_begins_so_far_back_and_no_further() {
    let range =
        |seconds: u64| RuleLimits { range: Some(Duration::from_secs(seconds)), ..RuleLimits::default() };
    let target = |rest: &str| format!("/loki/api/v1/tail?query={{a=%22b%22}}{rest}");
    let tail = |seconds: u64, rest: &str| over(&range(seconds), Kind::Loki, &target(rest));
    assert_eq!(tail(60, "&since=1m"), "");
    assert_eq!(
        tail(60, "&since=61s"),
        "parameter `since` is over 60 s, the most that your policy rules allow"
    );
    assert!(tail(60, "&since=x").contains("`since` is no duration"));
    assert!(tail(7200, "&start=1700000000").contains("`start` is not taken"));
    assert_eq!(over(&RuleLimits::default(), Kind::Loki, &target("&start=1700000000")), "");
    let said = |seconds: u64, since: Option<&str>| {
        let asked = asked(Kind::Loki, &target(""));
        let arguments = since.map(|since| Argument::Plain("since", since.to_owned())).into_iter().collect();
        let draft = Draft { path: String::new(), arguments, accept: Accept::Json, sending: Sending::AsRow };
        let mut drafts = [draft];
        cap_past(&range(seconds), asked.matched.endpoint, &mut drafts);
        format!("{:?}", drafts[0].arguments)
    };
    assert_eq!(said(3599, None), r#"[Plain("since", "3599000ms")]"#);
    assert_eq!(said(3600, None), "[]");
    assert_eq!(said(60, Some("5s")), r#"[Plain("since", "5s")]"#);
}

#[test]
fn points_are_held_at_their_limit_and_one_more_is_refused() {
    let allowed = RuleLimits { points: Some(60), ..RuleLimits::default() };
    let ask = |rest: &str| over(&allowed, Kind::Prometheus, &format!("{RANGE}&start=0&end=3600{rest}"));
    assert_eq!(ask("&step=60"), "");
    assert_eq!(ask("&step=1m"), "");
    assert!(ask("&step=59").contains("`step` gives more than 60 points"));
    assert!(ask("&step=x").contains("`step` is no duration"));
    assert_eq!(ask("&step=0"), "", "the backend refuses it");
}

#[test]
fn entries_are_held_at_their_limit_and_said_where_the_request_says_none() {
    let allowed = RuleLimits { entries: Some(50), ..RuleLimits::default() };
    let ask = |rest: &str| over(&allowed, Kind::Prometheus, &format!("/api/v1/labels?{rest}"));
    assert_eq!(ask("limit=50"), "");
    assert!(ask("limit=51").contains("`limit` is over 50"));
    assert_eq!(ask("limit=0"), "");
    for bad in ["limit=-1", "limit=1e9", "limit=%2B5", "limit=5x", "limit=99999999999999999999"] {
        assert!(ask(bad).contains("`limit` is no whole number"), "{bad}");
    }
    let sent = |max: u64, kind: Kind, target: &str, given: &[&str]| {
        let asked = asked(kind, target);
        let arguments = given.iter().map(|v| Argument::Plain("limit", (*v).to_owned())).collect();
        let mut drafts =
            [Draft { path: String::new(), arguments, accept: Accept::Json, sending: Sending::AsRow }];
        let allowed = RuleLimits { entries: Some(max), ..RuleLimits::default() };
        cap_entries(&allowed, kind, asked.matched.endpoint, &mut drafts);
        let [draft] = drafts;
        draft
            .arguments
            .into_iter()
            .map(|a| match a {
                Argument::Plain("limit", value) => value,
                Argument::Plain("line_limit", value) => format!("{value} lines"),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(sent(50, Kind::Prometheus, "/api/v1/labels?a=b", &[]), ["50"]);
    assert_eq!(sent(50, Kind::Prometheus, "/api/v1/labels?a=b", &["0"]), ["50"]);
    assert_eq!(sent(50, Kind::Prometheus, "/api/v1/labels?a=b", &["7"]), ["7"]);
    let loki = "/loki/api/v1/query?a=b";
    assert_eq!(sent(99, Kind::Loki, loki, &[]), ["99"]);
    assert_eq!(sent(100, Kind::Loki, loki, &[]), [""; 0], "Loki's own default is no more");
    assert_eq!(sent(19, Kind::Tempo, "/api/search?a=b", &[]), ["19"]);
    assert_eq!(sent(20, Kind::Tempo, "/api/search?a=b", &[]), [""; 0]);
    assert_eq!(sent(5, Kind::Loki, "/loki/api/v1/series?a=b", &[]), [""; 0], "it has no such parameter");
    let fields = "/loki/api/v1/detected_fields?a=b";
    assert_eq!(sent(99, Kind::Loki, fields, &[]), ["99", "99 lines"]);
    assert_eq!(sent(100, Kind::Loki, fields, &[]), ["100"]);
    assert_eq!(sent(1000, Kind::Loki, fields, &[]), [""; 0]);
    for name in ["limit", "line_limit", "field_limit"] {
        let ask = |value| over(&allowed, Kind::Loki, &format!("{fields}&{name}={value}"));
        assert_eq!(ask(50), "");
        assert!(ask(51).contains(&format!("`{name}` is over 50")), "{name}");
    }
}

#[test]
fn texts_are_held_to_the_smaller_of_both_caps() {
    let asked = asked(Kind::Prometheus, "/api/v1/query?query=up");
    let caps = Limits::default();
    let allowed = RuleLimits { query_bytes: Some(10), selectors: Some(usize::MAX), ..RuleLimits::default() };
    let held = hold(&allowed, Kind::Prometheus, &asked, &caps).unwrap();
    assert_eq!((held.query.bytes, held.query.selectors), (10, caps.query.selectors));
}

#[test]
fn a_remote_read_is_held_at_the_range_and_a_millisecond_more_is_refused() {
    let allowed = RuleLimits { range: Some(Duration::from_secs(60)), ..RuleLimits::default() };
    let scope = crate::tenant::Scope::new([("tenant".to_owned(), values())].into()).unwrap();
    let owned = scope.in_labels(|_| Some("tenant")).unwrap();
    let cut = |longest| {
        let (accept, queries) = (Accept::ReadSamples, 1);
        Cut::RemoteRead { owned: owned.clone(), accept, queries, longest: Duration::from_millis(longest) }
    };
    assert_eq!(hold_read(&allowed, Some(&cut(60_000))), Ok(()));
    let over = hold_read(&allowed, Some(&cut(60_001))).unwrap_err().to_string();
    assert!(over.contains("`end_timestamp_ms` is more than 60 s"), "{over}");
    assert_eq!(hold_read(&RuleLimits::default(), Some(&cut(60_001))), Ok(()));
    assert_eq!(hold_read(&allowed, None), Ok(()));
}

fn values() -> crate::tenant::Values {
    let value = crate::tenant::ScopeValue::parse("a").unwrap();
    crate::tenant::Values::new(vec![value]).unwrap()
}

#[test]
fn a_limit_that_is_applied_here_is_not_said_to_the_backend() {
    let allowed = RuleLimits { entries: Some(1), ..RuleLimits::default() };
    let asked = asked(Kind::Prometheus, "/api/v1/metadata?metric=up");
    let draft =
        Draft { path: String::new(), arguments: Vec::new(), accept: Accept::Json, sending: Sending::AsRow };
    let mut drafts = [draft];
    cap_entries(&allowed, Kind::Prometheus, asked.matched.endpoint, &mut drafts);
    assert!(drafts[0].arguments.is_empty());
}
