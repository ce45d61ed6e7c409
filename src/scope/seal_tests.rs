//! What the seal refuses, beside what its callers are made to give it.

use super::call::{Argument, Draft, ScopedBody, Sending};
use super::reply::Silence;
use super::seal::seal;
use super::{Accept, Backend, Carried, Scoped, text};
use crate::api::{Endpoint, Form, Kind, Text, Treatment, path};
use crate::lang::promql;
use crate::limits::Limits;
use crate::policy::{Grant, Policies};
use crate::rejection::Rejection;
use serde_json::json;
use std::sync::Arc;

fn grant() -> Grant {
    grant_of("a")
}

fn grant_of(tenant: &str) -> Grant {
    let rules = "rules:\n  - { name: r, when: 'true', scope: { tenant: claims.tenant } }\n".to_owned();
    let policies = Policies::compile(&[("p.yaml".into(), rules)], &Limits::default()).unwrap();
    let claims = json!({ "tenant": tenant });
    policies.decide(claims.as_object().unwrap()).unwrap().choose("any", None, None).unwrap()
}

fn backend() -> Backend {
    Backend::new("prometheus", Kind::Prometheus, [("tenant".to_owned(), "tenant".to_owned())].into())
}

const PROMQL: Text = Text::PromQl(promql::Entry::Expression);

fn read() -> Argument {
    Argument::Read("query", text::read_text(PROMQL, "up", &backend(), &Limits::default()).unwrap())
}

fn scoped() -> Argument {
    scoped_for("a")
}

fn scoped_for(tenant: &str) -> Argument {
    let matchers = backend().matchers(&grant_of(tenant)).unwrap();
    let text = text::scope_text(PROMQL, "up", &backend(), &matchers, &Limits::default(), None).unwrap();
    Argument::Scoped("query", Arc::clone(&text))
}

fn endpoint(path: &str) -> &'static Endpoint {
    path::route(Kind::Prometheus, path).unwrap().endpoint
}

fn sealed(path: &str, arguments: Vec<Argument>, sending: Sending) -> Result<Scoped, Rejection> {
    let draft = Draft { path: path.to_owned(), arguments, accept: Accept::Json, sending };
    seal((&grant(), &backend()), endpoint(path), vec![draft], Carried::default(), None, &Limits::default())
}

#[test]
fn a_text_without_the_scope_is_sealed_for_endpoints_that_read_nothing_and_no_others() {
    for row in Kind::Prometheus.endpoints() {
        let sealed = sealed(row.path, vec![read()], Sending::AsRow);
        let expected = matches!(row.path, "/api/v1/format_query" | "/api/v1/parse_query");
        assert_eq!(sealed.is_ok(), expected, "{}", row.path);
    }
    let both = sealed("/api/v1/query", vec![scoped(), read()], Sending::AsRow);
    assert!(matches!(both, Err(Rejection::Defect(_))));
    assert!(sealed("/api/v1/query", vec![scoped()], Sending::AsRow).is_ok());
    assert!(sealed("/api/v1/format_query", vec![scoped()], Sending::AsRow).is_err());
    assert!(sealed("/api/v1/format_query", Vec::new(), Sending::AsRow).is_err());
    let plain = Argument::Plain("query", "up".to_owned());
    assert!(sealed("/api/v1/format_query", vec![plain], Sending::AsRow).is_err());
}

fn body_for(tenant: &str) -> ScopedBody {
    let matchers = backend().matchers(&grant_of(tenant)).unwrap();
    let text = json!({ "matchers": [{ "name": "a", "value": "b", "isRegex": false }], "comment": "", "createdBy": "",
        "startsAt": "", "endsAt": "" });
    let text = text.to_string();
    let silence = Silence::read(text.as_bytes()).unwrap().own(&matchers).unwrap();
    ScopedBody::silence(&silence).unwrap()
}

/// One caller's text, or body, is not sealed by another's grant.
#[test]
fn what_carries_another_scope_than_the_grants_is_a_defect() {
    assert!(sealed("/api/v1/query", vec![scoped_for("a")], Sending::AsRow).is_ok());
    let other = sealed("/api/v1/query", vec![scoped_for("b")], Sending::AsRow);
    assert!(matches!(other, Err(Rejection::Defect(text)) if text.contains("another scope")));
    let beside = sealed("/api/v1/query", vec![scoped(), scoped_for("b")], Sending::AsRow);
    assert!(matches!(beside, Err(Rejection::Defect(text)) if text.contains("another scope")));
    let scope = backend().matchers(&grant()).unwrap();
    for (tenant, sent) in [("a", true), ("b", false)] {
        let (path, sending) = ("/api/v1/read".to_owned(), Sending::Post(body_for(tenant)));
        let draft = Draft { path, arguments: Vec::new(), accept: Accept::Json, sending };
        assert_eq!(draft.encode(endpoint("/api/v1/read"), &scope, &Limits::default()).is_ok(), sent);
    }
}

#[test]
fn a_remote_read_is_sealed_with_its_body_and_its_check() {
    let body = || Sending::Post(body_for("a"));
    assert!(sealed("/api/v1/read", Vec::new(), body()).is_err(), "no check");
    assert!(sealed("/api/v1/read", vec![scoped()], Sending::AsRow).is_err(), "no body");
    assert!(sealed("/api/v1/query", vec![scoped()], body()).is_err(), "another's");
}

#[test]
fn rows_that_read_nothing_have_texts_alone_and_no_others_have_such() {
    for kind in Kind::ALL {
        for row in kind.endpoints() {
            let reads = |form| matches!(form, Form::Read(_));
            let (any, all) =
                (row.parameters.iter().any(|p| reads(p.form)), row.parameters.iter().all(|p| reads(p.form)));
            let is_read = row.treatment == Treatment::Read;
            assert!(any == is_read && (!is_read || all), "{}", row.name);
        }
    }
}
