use super::*;
use crate::api::parameters::Parameters;
use crate::api::{Kind, Method, Treatment};
use crate::limits::Limits;
use crate::scope::Backend;
use crate::scope::Carried;
use crate::scope::call::Outgoing;
use crate::tenant::{Scope, ScopeValue, Values};

/// A matcher of the caller's own.
const OWN: &str = r#"{"isEqual":true,"isRegex":false,"name":"alertname","value":"x"}"#;
const ID: &str = "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6e";

fn matchers(scope: &[(&str, &[&str])]) -> ScopeMatchers {
    let values =
        |texts: &[&str]| Values::new(texts.iter().map(|t| ScopeValue::parse(t).unwrap()).collect()).unwrap();
    let dimensions = scope.iter().map(|(d, texts)| ((*d).to_owned(), values(texts)));
    let label_of = |d: &str| scope.iter().map(|(name, _)| *name).find(|name| *name == d);
    Scope::new(dimensions.collect()).unwrap().in_labels(label_of).unwrap()
}

fn one() -> ScopeMatchers {
    matchers(&[("tenant", &["mine"])])
}

/// The calls for a request, as `METHOD target body`, decoded for reading.
fn calls(
    matchers: &ScopeMatchers,
    method: Method,
    target: &str,
    body: Option<&str>,
) -> Result<(Vec<String>, Cut), Rejection> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let matched =
        path::route(Kind::Alertmanager, path).unwrap().by(Kind::Alertmanager, Some(method)).unwrap();
    let limits = Limits::default();
    let parameters = Parameters::read(matched.endpoint, query, None, &limits)?;
    let Treatment::Filter(filter) = matched.endpoint.treatment else { panic!("{target}") };
    let labels = ["region", "tenant"].map(|d| (d.to_owned(), d.to_owned())).into();
    let backend = Backend::new("alertmanager", Kind::Alertmanager, labels);
    let endpoint = matched.endpoint;
    let body = body.map(|text| text.as_bytes().to_vec());
    let asked = Asked { matched, parameters, body, accept: Accept::Json, carried: Carried::default() };
    let of = Drafting { backend: &backend, asked: &asked, matchers, limits: &limits, memory: None };
    let Asking::Calls(drafts, cut) = asking(filter, of)? else { panic!("{target}") };
    let lines = drafts.into_iter().map(|draft| {
        let mut call = draft.encode(endpoint, matchers, &limits).unwrap();
        let target = percent_encoding::percent_decode_str(call.target()).decode_utf8().unwrap().into_owned();
        match call.take_outgoing() {
            Outgoing::Get => format!("GET {target}"),
            Outgoing::Delete => format!("DELETE {target}"),
            Outgoing::Post { content_type, body } => {
                format!("POST {target} {content_type} {}", String::from_utf8(body).unwrap())
            }
        }
    });
    Ok((lines.collect(), cut))
}

fn get(target: &str) -> Vec<String> {
    calls(&one(), Method::Get, target, None).unwrap().0
}

#[test]
fn alerts_are_asked_with_the_scope_beside_the_callers_own_filters() {
    let others = [
        r#"GET /api/v2/alerts?filter=tenant="mine""#,
        "GET /api/v2/silences?active=true&expired=false&pending=false",
    ];
    for path in ["/api/v2/alerts", "/api/v2/alerts/groups"] {
        let asked =
            get(&format!("{path}?filter=severity%3Dpage&filter=tenant%3D%22victim%22&receiver=a.*&evil=1"));
        let first = format!(
            r#"GET {path}?filter=tenant="mine"&filter=severity="page"&filter=tenant="victim"&receiver=a.*"#
        );
        assert_eq!(asked, [first.as_str(), others[0], others[1]]);
        // States are decided here.
        assert_eq!(
            get(&format!("{path}?active=false&silenced=false&inhibited=false"))[0],
            format!(r#"GET {path}?filter=tenant="mine""#)
        );
    }
    let both = matchers(&[("region", &["eu"]), ("tenant", &["a", "press.one"])]);
    let (asked, _) = calls(&both, Method::Get, "/api/v2/alerts", None).unwrap();
    assert_eq!(asked[0], r#"GET /api/v2/alerts?filter=region="eu"&filter=tenant=~"a|press\\.one""#);
    assert_eq!(
        get("/api/v2/alerts/groups?muted=false")[0],
        r#"GET /api/v2/alerts/groups?filter=tenant="mine"&muted=false"#
    );
}

#[test]
fn states_are_read_as_the_backend_reads_them() {
    let shown = |query: &str| {
        let (_, cut) = calls(&one(), Method::Get, &format!("/api/v2/alerts?{query}"), None).unwrap();
        let Cut::Alerts { shown, .. } = cut else { panic!("{cut:?}") };
        shown
    };
    let all = Shown { active: true, silenced: true, inhibited: true, unprocessed: true };
    for query in ["", "active=", "active=TRUE&silenced=1&inhibited=yes&unprocessed=on"] {
        assert_eq!(shown(query), all, "{query}");
    }
    let none = Shown { active: false, silenced: false, inhibited: false, unprocessed: false };
    assert_eq!(shown("active=false&silenced=0&inhibited=x&unprocessed=FALSE"), none);
}

#[test]
fn atk_53_a_filter_that_is_read_in_two_ways_is_not_sent() {
    for query in
        ["filter=a%3Db%2C", "filter=%7Ba%3Db%7D", "filter=", "receiver_matchers=x", "filter=a%3D%22%5Ct%22"]
    {
        let asked = calls(&one(), Method::Get, &format!("/api/v2/alerts?{query}"), None);
        assert!(matches!(asked, Err(Rejection::Parameter { .. })), "{query}");
    }
}

#[test]
fn atk_51_silences_are_asked_without_a_scope_and_cut() {
    let (asked, cut) =
        calls(&one(), Method::Get, "/api/v2/silences?filter=a%3Db&active=false&expired=true", None).unwrap();
    assert_eq!(asked, [r#"GET /api/v2/silences?filter=a="b"&active=false&expired=true"#]);
    assert!(matches!(cut, Cut::Silences { .. }));
    assert_eq!(get(&format!("/api/v2/silence/{ID}")), [format!("GET /api/v2/silence/{ID}")]);
    assert_eq!(get("/api/v2/receivers"), [r#"GET /api/v2/alerts?filter=tenant="mine""#]);
}

#[test]
fn a_silence_is_looked_at_before_it_is_expired_or_changed() {
    let look = format!("GET /api/v2/silence/{ID}");
    let (asked, _) = calls(&one(), Method::Delete, &format!("/api/v2/silence/{ID}"), None).unwrap();
    assert_eq!(asked, [look.clone(), format!("DELETE /api/v2/silence/{ID}")]);
    let body = |id: &str| {
        format!(r#"{{{id}"matchers":[{OWN}],"startsAt":"s","endsAt":"e","createdBy":"c","comment":"d"}}"#)
    };
    let matcher = format!(r#"[{OWN},{{"isEqual":true,"isRegex":false,"name":"tenant","value":"mine"}}]"#);
    let sent = |id: &str| {
        format!(
            r#"POST /api/v2/silences application/json {{{id}"comment":"d","createdBy":"c","endsAt":"e","matchers":{matcher},"startsAt":"s"}}"#
        )
    };
    let (asked, cut) = calls(&one(), Method::Post, "/api/v2/silences", Some(&body(""))).unwrap();
    assert_eq!(asked, [sent("")]);
    assert!(matches!(cut, Cut::SilenceWritten { changes: false, .. }));
    let id = format!(r#""id":"{ID}","#);
    let (asked, cut) = calls(&one(), Method::Post, "/api/v2/silences", Some(&body(&id))).unwrap();
    assert_eq!(asked, [look, sent(&id)]);
    assert!(matches!(cut, Cut::SilenceWritten { changes: true, .. }));
}

#[test]
fn what_is_no_silence_id_is_not_sent() {
    for id in ["x", "..%2Falerts", "0b4b6e2c9a6f4b0e8c5d1f2a3b4c5d6e"] {
        for method in [Method::Get, Method::Delete] {
            if id.contains("%2F") {
                assert!(path::route(Kind::Alertmanager, &format!("/api/v2/silence/{id}")).is_err());
                continue;
            }
            let asked = calls(&one(), method, &format!("/api/v2/silence/{id}"), None);
            assert!(matches!(asked, Err(Rejection::Parameter { .. })), "{id}");
        }
        let body = format!(
            r#"{{"id":"{id}","matchers":[{OWN}],"startsAt":"","endsAt":"","createdBy":"","comment":""}}"#
        );
        let asked = calls(&one(), Method::Post, "/api/v2/silences", Some(&body));
        assert!(matches!(asked, Err(Rejection::Parameter { .. })), "{id}");
    }
}

/// What is asked of the backend for a silence with these matchers.
fn silenced(id: &str, matchers: &str) -> Result<Vec<String>, Rejection> {
    let body = format!(
        r#"{{{id}"matchers":[{matchers}],"startsAt":"s","endsAt":"e","createdBy":"c","comment":"d"}}"#
    );
    calls(&one(), Method::Post, "/api/v2/silences", Some(&body)).map(|(calls, _)| calls)
}

fn own(name: &str, op: &str, value: &str) -> String {
    let (is_equal, is_regex) = (!op.starts_with('!'), op.ends_with('~'));
    format!(r#"{{"isEqual":{is_equal},"isRegex":{is_regex},"name":"{name}","value":"{value}"}}"#)
}

/// The backend's guard against silencing everything is kept on the caller's own matchers: ours would satisfy it.
#[test]
fn atk_6c_a_silence_of_everything_is_refused_as_alertmanager_refuses_it() {
    for id in ["", &format!(r#""id":"{ID}","#)] {
        let refused = |matchers: &str| match silenced(id, matchers) {
            Err(Rejection::UpstreamRefused { status, text, .. }) => (status, text),
            other => panic!("{matchers}: {other:?}"),
        };
        assert_eq!(refused(""), (422, "matchers in body should have at least 1 items".to_owned()));
        for matchers in [
            own("job", "=~", ".*"),
            own("x", "=", ""),
            own("x", "=~", ""),
            own("x", "=~", "a|"),
            own("x", "=~", "(?i)a?"),
            own("x", "=~", "^$"),
            [own("job", "=~", ".*"), own("x", "=", ""), own("tenant", "=~", ".*")].join(","),
        ] {
            let (status, text) = refused(&matchers);
            assert_eq!(status, 400, "{matchers}");
            assert!(text.ends_with("at least one matcher must not match the empty string"), "{text}");
        }
        for matchers in [
            own("job", "=~", ".+"),
            own("x", "=", "y"),
            own("tenant", "=", "mine"),
            // What is not equal counts as a choice to Alertmanager.
            own("x", "!=", ""),
            own("x", "!=", "y"),
            own("x", "!~", ".*"),
            [own("job", "=~", ".*"), own("x", "=", "y")].join(","),
            // What is malformed is left to Alertmanager, which names it.
            own("job", "=~", "("),
            own("", "=", ""),
        ] {
            assert!(silenced(id, &matchers).is_ok(), "{matchers}");
        }
    }
}

#[test]
fn a_silence_has_as_many_matchers_as_the_cap_and_not_one_more() {
    let of = |count: usize| silenced("", &vec![OWN; count].join(","));
    let max = Limits::default().parameter_pairs;
    assert!(of(max).is_ok());
    for count in [max + 1, 10_000] {
        let refused = of(count);
        assert!(matches!(refused, Err(Rejection::TooLarge { max: cap, .. }) if cap == max), "{refused:?}");
    }
}
