//! Prometheus (`web/api/v1/api.go` of its source).

use super::{Endpoint, Form, Methods, Parameter, Text, Treatment, json};
use crate::lang::promql::Entry;

const fn parameter(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form }
}

const QUERY: Parameter = parameter("query", Form::Query(Text::PromQl(Entry::Expression)));
const START: Parameter = parameter("start", Form::Time);
const END: Parameter = parameter("end", Form::Time);
const LIMIT: Parameter = parameter("limit", Form::Plain);
const TIMEOUT: Parameter = parameter("timeout", Form::Plain);
const LOOKBACK: Parameter = parameter("lookback_delta", Form::Plain);
const STATS: Parameter = parameter("stats", Form::Plain);
const SELECTORS: Parameter = parameter("match[]", Form::Selectors(Text::PromQl(Entry::Selector)));
/// `labels` and `label/{label}/values` without `match[]` read every series: one is added.
const OPTIONAL_SELECTORS: Parameter =
    parameter("match[]", Form::OptionalSelectors(Text::PromQl(Entry::Selector)));

/// The rows. A static, so that each has one address by which it is told.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "query",
        methods: Methods::GetPost,
        path: "/api/v1/query",
        parameters: &[QUERY, parameter("time", Form::Time), TIMEOUT, LIMIT, LOOKBACK, STATS],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "query_range",
        methods: Methods::GetPost,
        path: "/api/v1/query_range",
        parameters: &[QUERY, START, END, parameter("step", Form::Time), TIMEOUT, LIMIT, LOOKBACK, STATS],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "series",
        methods: Methods::GetPost,
        path: "/api/v1/series",
        parameters: &[SELECTORS, START, END, LIMIT],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "labels",
        methods: Methods::GetPost,
        path: "/api/v1/labels",
        parameters: &[OPTIONAL_SELECTORS, START, END, LIMIT],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "label_values",
        methods: Methods::Get,
        path: "/api/v1/label/{label}/values",
        parameters: &[OPTIONAL_SELECTORS, START, END, LIMIT],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "buildinfo",
        methods: Methods::Get,
        path: "/api/v1/status/buildinfo",
        parameters: &[],
        treatment: Treatment::Static(json(
            r#"{"status":"success","data":{"version":"3.16.0","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":""}}"#,
        )),
    },
];
