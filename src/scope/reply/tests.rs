//! Each rule on payloads made by hand, and on answers of a real Tempo 2.9 (`samples/`) that holds
//! several tenants' spans in one trace.

mod alerts;
mod metadata;
mod metrics;
mod redact;
mod remote_read;
mod rules;
mod search;
mod silences;
mod streamed;
mod tag_names;
mod tag_values;
mod trace;
mod unlisted;

use super::*;
use crate::tenant::{Scope, ScopeValue, Values};
use serde_json::Value;

/// What is answered where no span of a trace is left.
fn no_trace(envelope: Envelope, accept: Accept) -> Result<Filtered, Rejection> {
    match envelope {
        Envelope::Trace => Ok(Filtered::NotFound),
        Envelope::Response => Ok(Filtered::Found {
            content_type: accept.media_type(),
            body: if accept == Accept::Json { br#"{"trace":{}}"#.to_vec() } else { vec![0x0a, 0] },
        }),
    }
}

/// Values from their texts.
fn values(texts: &[&str]) -> Values {
    Values::new(texts.iter().map(|t| ScopeValue::parse(t).unwrap()).collect()).unwrap()
}

/// Marks of a scope, each dimension as the resource attribute of its name.
fn marks(scope: &[(&str, &[&str])]) -> Vec<Mark> {
    let dimensions = scope.iter().map(|(name, texts)| ((*name).to_owned(), values(texts)));
    let labels: Vec<(String, String)> =
        scope.iter().map(|(name, _)| ((*name).to_owned(), format!("resource.{name}"))).collect();
    let label_of = |dimension: &str| labels.iter().find(|(d, _)| d == dimension).map(|(_, l)| l.as_str());
    let matchers = Scope::new(dimensions.collect()).unwrap().in_labels(label_of).unwrap();
    matchers.iter().map(|m| Mark::new(m).unwrap()).collect()
}

/// Marks of one tenant.
fn tenant(name: &str) -> Vec<Mark> {
    marks(&[("tenant", &[name])])
}

fn answer(content_type: &str, body: impl Into<Vec<u8>>) -> Option<Answer> {
    Some(Answer { content_type: content_type.to_owned(), body: body.into() })
}

fn json_answer(body: impl Into<Vec<u8>>) -> Option<Answer> {
    answer("application/json", body)
}

/// The JSON that is found.
fn json_of(filtered: Result<Filtered, Rejection>) -> Value {
    let Ok(Filtered::Found { content_type: "application/json", body }) = filtered else {
        panic!("{filtered:?}")
    };
    serde_json::from_slice(&body).unwrap()
}

const UNDECODABLE: Result<Filtered, Rejection> = Err(Rejection::Upstream(UpstreamFault::Undecodable));
const UNEXPECTED: Result<Filtered, Rejection> = Err(Rejection::Upstream(UpstreamFault::Unexpected));

fn every_cut() -> Vec<Cut> {
    let cut = |envelope, accept| Cut::Trace { envelope, marks: tenant("a"), accept, redacts: false };
    vec![
        cut(Envelope::Trace, Accept::Json),
        cut(Envelope::Trace, Accept::Protobuf),
        cut(Envelope::Response, Accept::Json),
        cut(Envelope::Response, Accept::Protobuf),
        Cut::Search { marks: tenant("a"), shared: Some(Window::ANY), spans: true },
        Cut::Search { marks: tenant("a"), shared: None, spans: true },
        Cut::Metrics { marks: tenant("a") },
        Cut::TagValues(vec![Sought::default()]),
        Cut::FlatTagValues(vec![Sought::default()]),
        Cut::TagNames { scope: TagScope::Any, confirm: None, flat: false, most: 9 },
    ]
}

#[test]
fn atk_4e_another_form_than_was_asked_for_is_refused() {
    for cut in every_cut() {
        let right =
            if matches!(cut, Cut::Trace { .. }) { "application/protobuf" } else { "application/json" };
        for content_type in [
            "",
            "text/plain",
            "text/html",
            "application/json",
            "application/protobuf",
            "application/vnd.grafana.llm",
            "application/octet-stream",
            "Application/JSON",
        ] {
            let body = if right == "application/json" { "{}" } else { "" };
            let filtered = cut.apply(&[answer(content_type, body)]);
            assert_eq!(filtered == UNDECODABLE, content_type != right, "{cut:?} {content_type} {filtered:?}");
        }
    }
}

#[test]
fn only_a_trace_can_be_unknown_and_every_call_has_one_answer() {
    for cut in every_cut() {
        let unknown = match cut {
            Cut::Trace { envelope, accept, .. } => no_trace(envelope, accept),
            _ => UNEXPECTED,
        };
        assert_eq!(cut.apply(&[None]), unknown, "{cut:?}");
        assert_eq!(cut.apply(&[]), UNEXPECTED, "{cut:?}");
        assert_eq!(cut.apply(&[None, None]), UNEXPECTED, "{cut:?}");
    }
}

#[test]
fn atk_4e_compressed_bodies_and_garbage_are_refused() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0xff, 0xff];
    for cut in every_cut() {
        let right =
            if matches!(cut, Cut::Trace { .. }) { "application/protobuf" } else { "application/json" };
        assert_eq!(cut.apply(&[answer(right, gzip)]), UNDECODABLE, "{cut:?}");
        assert_eq!(cut.apply(&[answer(right, "trace not found")]), UNDECODABLE, "{cut:?}");
    }
}

#[test]
fn a_label_that_is_no_resource_attribute_marks_nothing() {
    for label in ["tenant", "span.tenant", ".tenant", "resource.", "Resource.tenant", ""] {
        let scope = Scope::new([("tenant".to_owned(), values(&["a"]))].into()).unwrap();
        let matchers = scope.in_labels(|_| Some(label)).unwrap();
        assert!(matchers.iter().all(|m| Mark::new(m).is_none()), "{label}");
    }
}
