//! Tempo (`pkg/api/http.go`, `modules/frontend` of its source).

use super::{Endpoint, Filter, Form, Methods, Parameter, Static, Text, Treatment, json};
use crate::lang::traceql::Entry;

const fn parameter(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form }
}

const START: Parameter = parameter("start", Form::Time);
const END: Parameter = parameter("end", Form::Time);
const LIMIT: Parameter = parameter("limit", Form::Plain);
/// The legacy search matches over whole traces, where a tenant cannot be required of each span.
const LEGACY: Form = Form::Refused("is not supported, use `q` with TraceQL");

/// The rows. A static, so that each has one address by which it is told.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "search",
        methods: Methods::Get,
        path: "/api/search",
        parameters: &[
            parameter("q", Form::OptionalQuery(Text::TraceQl(Entry::Query))),
            LIMIT,
            parameter("spss", Form::Plain),
            START,
            END,
            parameter("tags", LEGACY),
            parameter("minDuration", LEGACY),
            parameter("maxDuration", LEGACY),
        ],
        treatment: Treatment::Filter(Filter::Search),
    },
    Endpoint {
        name: "trace",
        methods: Methods::Get,
        path: "/api/traces/{trace}",
        parameters: &[START, END],
        treatment: Treatment::Filter(Filter::Trace),
    },
    Endpoint {
        name: "trace_v2",
        methods: Methods::Get,
        path: "/api/v2/traces/{trace}",
        parameters: &[START, END],
        treatment: Treatment::Filter(Filter::TraceV2),
    },
    Endpoint {
        name: "tag_values_v2",
        methods: Methods::Get,
        path: "/api/v2/search/tag/{tag}/values",
        // Tempo treats `q` as a hint here and answers unfiltered where it cannot use it. So the
        // caller's is not sent: the scope alone is.
        parameters: &[
            parameter("q", Form::Dropped),
            LIMIT,
            START,
            END,
            parameter("maxStaleValues", Form::Plain),
        ],
        treatment: Treatment::Filter(Filter::TagValues),
    },
    Endpoint {
        name: "metrics_query_range",
        methods: Methods::Get,
        path: "/api/metrics/query_range",
        // Tempo's validator and handler differ on which of the two spellings wins: one is sent.
        parameters: &[
            parameter("q", Form::Query(Text::TraceQl(Entry::Metrics))),
            parameter("query", Form::Alias("q")),
            START,
            END,
            parameter("since", Form::Time),
            parameter("step", Form::Time),
            parameter("exemplars", Form::Plain),
            parameter("maxSeries", Form::Plain),
        ],
        treatment: Treatment::Filter(Filter::Metrics),
    },
    Endpoint {
        name: "echo",
        methods: Methods::Get,
        path: "/api/echo",
        parameters: &[],
        treatment: Treatment::Static(Static { content_type: "text/plain; charset=utf-8", body: "echo" }),
    },
    Endpoint {
        name: "buildinfo",
        methods: Methods::Get,
        path: "/api/status/buildinfo",
        parameters: &[],
        treatment: Treatment::Static(json(
            r#"{"version":"2.9.0","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":""}"#,
        )),
    },
];
