//! Tempo (`pkg/api/http.go`, `modules/frontend` of its source).

use super::{Endpoint, Filter, Form, Methods, Parameter, Refused, Rpc, Static, Text, Treatment};
use crate::lang::traceql::Entry;

const fn parameter(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form }
}

const START: Parameter = parameter("start", Form::Time);
const END: Parameter = parameter("end", Form::Time);
const LIMIT: Parameter = parameter("limit", Form::Plain);
const STALE: Parameter = parameter("maxStaleValues", Form::Plain);
/// Which names Tempo lists first is a matter of everyone's: what is shown of them is counted here.
const NAMES_LIMIT: Parameter = parameter("limit", Form::Applied);
const NAMES_STALE: Parameter = parameter("maxStaleValues", Form::Dropped);
/// Tempo's own older tag methods do not read it.
const UNREAD: Parameter = parameter("q", Form::Dropped);
/// The legacy search matches over whole traces, where a tenant cannot be required of each span.
const LEGACY: Form = Form::Translated("q");
/// Tempo's validator and handler differ on which of the two spellings wins: one is sent.
const METRICS: Parameter = parameter("q", Form::Query(Text::TraceQl(Entry::Metrics)));
const METRICS_ALIAS: Parameter = parameter("query", Form::Alias("q"));

/// What a search takes, over HTTP and gRPC alike.
const SEARCH: &[Parameter] = &[
    parameter("q", Form::OptionalQuery(Text::TraceQl(Entry::Query))),
    LIMIT,
    parameter("spss", Form::Plain),
    START,
    END,
    parameter("tags", LEGACY),
    parameter("minDuration", LEGACY),
    parameter("maxDuration", LEGACY),
];

/// The rows. A static, so that each has one address by which it is told.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "search",
        methods: Methods::Get,
        path: "/api/search",
        parameters: SEARCH,
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
        name: "tags",
        methods: Methods::Get,
        path: "/api/search/tags",
        // Tempo's own ignores `q`; the newer one, which takes it, is asked.
        parameters: &[parameter("scope", Form::Plain), NAMES_LIMIT, START, END, NAMES_STALE],
        treatment: Treatment::Filter(Filter::TagNamesV1),
    },
    Endpoint {
        name: "tags_v2",
        methods: Methods::Get,
        path: "/api/v2/search/tags",
        parameters: &[
            parameter("q", Form::Hint),
            parameter("scope", Form::Plain),
            NAMES_LIMIT,
            START,
            END,
            NAMES_STALE,
        ],
        treatment: Treatment::Filter(Filter::TagNames),
    },
    Endpoint {
        name: "tag_values",
        methods: Methods::Get,
        path: "/api/search/tag/{tag}/values",
        parameters: &[LIMIT, START, END, STALE],
        treatment: Treatment::Filter(Filter::TagValuesV1),
    },
    Endpoint {
        name: "tag_values_v2",
        methods: Methods::Get,
        path: "/api/v2/search/tag/{tag}/values",
        // Tempo treats `q` as a hint here and answers unfiltered where it cannot use it. So what is sent is
        // made of what it surely uses.
        parameters: &[parameter("q", Form::Hint), LIMIT, START, END, STALE],
        treatment: Treatment::Filter(Filter::TagValues),
    },
    Endpoint {
        name: "metrics_query",
        methods: Methods::Get,
        path: "/api/metrics/query",
        parameters: &[METRICS, METRICS_ALIAS, START, END, parameter("since", Form::Time)],
        treatment: Treatment::Filter(Filter::Metrics),
    },
    Endpoint {
        name: "metrics_query_range",
        methods: Methods::Get,
        path: "/api/metrics/query_range",
        parameters: &[
            METRICS,
            METRICS_ALIAS,
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
        treatment: Treatment::Static(Static { content_type: "text/plain; charset=utf-8", body: "echo\n" }),
    },
    Endpoint {
        name: "buildinfo",
        methods: Methods::Get,
        path: "/api/status/buildinfo",
        parameters: &[],
        treatment: Treatment::Filter(Filter::Version),
    },
    // The fields of a message have the names that they have in URLs, so that all are treated alike.
    Endpoint {
        name: "grpc_search",
        methods: Methods::Grpc(Rpc::Search),
        path: Rpc::Search.path(),
        parameters: SEARCH,
        treatment: Treatment::Filter(Filter::Search),
    },
    Endpoint {
        name: "grpc_tags",
        methods: Methods::Grpc(Rpc::SearchTags),
        path: Rpc::SearchTags.path(),
        parameters: &[parameter("scope", Form::Plain), UNREAD, NAMES_LIMIT, START, END, NAMES_STALE],
        treatment: Treatment::Filter(Filter::TagNamesV1),
    },
    Endpoint {
        name: "grpc_tags_v2",
        methods: Methods::Grpc(Rpc::SearchTagsV2),
        path: Rpc::SearchTagsV2.path(),
        parameters: &[
            parameter("scope", Form::Plain),
            parameter("q", Form::Hint),
            NAMES_LIMIT,
            START,
            END,
            NAMES_STALE,
        ],
        treatment: Treatment::Filter(Filter::TagNames),
    },
    Endpoint {
        name: "grpc_tag_values",
        methods: Methods::Grpc(Rpc::SearchTagValues),
        path: Rpc::SearchTagValues.path(),
        parameters: &[parameter("tag", Form::Variable), UNREAD, LIMIT, START, END, STALE],
        treatment: Treatment::Filter(Filter::TagValuesV1),
    },
    Endpoint {
        name: "grpc_tag_values_v2",
        methods: Methods::Grpc(Rpc::SearchTagValuesV2),
        path: Rpc::SearchTagValuesV2.path(),
        parameters: &[parameter("tag", Form::Variable), parameter("q", Form::Hint), LIMIT, START, END, STALE],
        treatment: Treatment::Filter(Filter::TagValues),
    },
    Endpoint {
        name: "grpc_metrics_query_range",
        methods: Methods::Grpc(Rpc::MetricsQueryRange),
        path: Rpc::MetricsQueryRange.path(),
        parameters: &[
            parameter("q", Form::Query(Text::TraceQl(Entry::Metrics))),
            START,
            END,
            parameter("step", Form::Time),
            parameter("exemplars", Form::Plain),
            parameter("maxSeries", Form::Plain),
        ],
        treatment: Treatment::Filter(Filter::Metrics),
    },
    Endpoint {
        name: "grpc_metrics_query",
        methods: Methods::Grpc(Rpc::MetricsQueryInstant),
        path: Rpc::MetricsQueryInstant.path(),
        parameters: &[parameter("q", Form::Query(Text::TraceQl(Entry::Metrics))), START, END],
        treatment: Treatment::Filter(Filter::Metrics),
    },
];

/// What else Tempo registers (`pkg/api/http.go`, `cmd/tempo/app/app.go`, `cmd/tempo/app/modules.go`).
pub static REFUSED: &[Refused] = &[
    Refused {
        path: "POST /api/v2/traces/diff",
        why: "compares two whole traces, everyone's spans among them",
    },
    Refused { path: "/api/metrics/summary", why: "no longer an API of Tempo, and its answers cannot be cut" },
    Refused { path: "/api/mcp", why: "searches, traces and metrics in one session, none of them scoped" },
    Refused { path: "/api/overrides", why: "settings of everyone's ingest, writes among them" },
    Refused { path: "/querier/*", why: "the inside of a query: takes blocks and pages, no scope" },
    Refused { path: "/generator/*", why: "the inside of a query: takes blocks and pages, no scope" },
    Refused { path: "/status", why: "the configuration" },
    Refused { path: "/status/*", why: "the configuration, limits and usage of the server" },
    Refused { path: "/usage_metrics", why: "counts bytes of everyone's data, by attribute" },
    Refused { path: "/metrics", why: "about the server and everyone's data" },
    Refused { path: "/ready", why: "Palisade has its own" },
    Refused { path: "/flush", why: "changes the server" },
    Refused { path: "/shutdown", why: "ends the server" },
    Refused { path: "/ingester/*", why: "changes the server" },
    Refused { path: "/live-store/*", why: "changes the server" },
    Refused { path: "/distributor/ring", why: "about the server" },
    Refused { path: "/compactor/ring", why: "about the server" },
    Refused { path: "/{name}/ring", why: "about the server" },
    Refused { path: "/backend-worker/ring", why: "about the server" },
    Refused { path: "/partition-ring", why: "about the server, and changes it" },
    Refused { path: "/partition/ring", why: "about the server, and changes it" },
    Refused { path: "/memberlist", why: "about the server" },
    Refused { path: "/static/*", why: "parts of the server's pages" },
    Refused { path: "/debug/*", why: "memory of the server, everyone's data among it" },
];
