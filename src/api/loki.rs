//! Loki (`pkg/loki/modules.go`, `pkg/loghttp` of its source).

use super::{Endpoint, Form, Methods, Parameter, Text, Treatment, json};
use crate::lang::logql::Entry;

const fn parameter(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form }
}

const QUERY: Parameter = parameter("query", Form::Query(Text::LogQl(Entry::Expression)));
/// `labels` and `label/{label}/values` without `query` read every stream: the scope is asked instead.
const OPTIONAL_SELECTOR: Parameter = parameter("query", Form::OptionalQuery(Text::LogQl(Entry::Selector)));
const START: Parameter = parameter("start", Form::Time);
const END: Parameter = parameter("end", Form::Time);
const SINCE: Parameter = parameter("since", Form::Time);
const STEP: Parameter = parameter("step", Form::Time);
const INTERVAL: Parameter = parameter("interval", Form::Time);
const LIMIT: Parameter = parameter("limit", Form::Plain);
const DIRECTION: Parameter = parameter("direction", Form::Plain);

/// The rows. A static, so that each has one address by which it is told.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "query",
        methods: Methods::GetPost,
        path: "/loki/api/v1/query",
        parameters: &[QUERY, parameter("time", Form::Time), LIMIT, DIRECTION, INTERVAL, STEP],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "query_range",
        methods: Methods::GetPost,
        path: "/loki/api/v1/query_range",
        parameters: &[QUERY, START, END, SINCE, STEP, INTERVAL, LIMIT, DIRECTION],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "series",
        methods: Methods::GetPost,
        path: "/loki/api/v1/series",
        // Loki reads the union of both spellings, and every stream if there is neither.
        parameters: &[
            parameter("match[]", Form::OptionalSelectors(Text::LogQl(Entry::Selector))),
            parameter("match", Form::Alias("match[]")),
            START,
            END,
            SINCE,
        ],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "labels",
        methods: Methods::GetPost,
        path: "/loki/api/v1/labels",
        parameters: &[OPTIONAL_SELECTOR, START, END, SINCE],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "label_values",
        methods: Methods::GetPost,
        path: "/loki/api/v1/label/{label}/values",
        parameters: &[OPTIONAL_SELECTOR, START, END, SINCE],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "index_stats",
        methods: Methods::GetPost,
        path: "/loki/api/v1/index/stats",
        parameters: &[parameter("query", Form::Query(Text::LogQl(Entry::Selector))), START, END, SINCE, STEP],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "buildinfo",
        methods: Methods::Get,
        path: "/loki/api/v1/status/buildinfo",
        parameters: &[],
        treatment: Treatment::Static(json(
            r#"{"version":"3.7.8","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":""}"#,
        )),
    },
];
