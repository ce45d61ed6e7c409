//! Prometheus (`web/api/v1/api.go` of its source).

use super::{Accept, Endpoint, Filter, Form, Methods, Parameter, Refused, Static, Text, Treatment, json};
use crate::lang::Feature;
use crate::lang::promql::Entry;

const fn parameter(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form }
}

const QUERY: Parameter = parameter("query", Form::Query(Text::PromQl(Entry::Expression)));
/// `format_query` and `parse_query` parse it, and that is all (`web/api/v1/api.go`).
const READ: Parameter = parameter("query", Form::Read(Text::PromQl(Entry::Expression)));
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

/// `/federate` without `match[]` answers nothing (`web/federate.go`).
const NOTHING: Static = Static { content_type: "text/plain; version=0.0.4; charset=utf-8", body: "" };
const SEARCH: Treatment = Treatment::ScopeIf(Feature::SearchApi, Accept::JsonLines);
/// What the three kinds of search share (`parseSearchParams` in `web/api/v1/search.go`).
macro_rules! search {
    ($($more:expr),*) => {
        &[
            $($more,)*
            OPTIONAL_SELECTORS,
            parameter("search[]", Form::List),
            parameter("fuzz_threshold", Form::Plain),
            parameter("fuzz_alg", Form::Plain),
            parameter("case_sensitive", Form::Plain),
            parameter("sort_by", Form::Plain),
            parameter("sort_dir", Form::Plain),
            parameter("include_score", Form::Plain),
            parameter("batch_size", Form::Plain),
            START,
            END,
            LIMIT,
        ]
    };
}

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
        name: "query_exemplars",
        methods: Methods::GetPost,
        path: "/api/v1/query_exemplars",
        // Of an expression each selector is asked for. Without one there are none: 204.
        parameters: &[QUERY, START, END],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "format_query",
        methods: Methods::GetPost,
        path: "/api/v1/format_query",
        parameters: &[READ],
        treatment: Treatment::Read,
    },
    Endpoint {
        name: "parse_query",
        methods: Methods::GetPost,
        path: "/api/v1/parse_query",
        parameters: &[READ],
        treatment: Treatment::Read,
    },
    Endpoint {
        name: "metadata",
        methods: Methods::Get,
        path: "/api/v1/metadata",
        parameters: &[
            parameter("metric", Form::Plain),
            parameter("limit", Form::Applied),
            parameter("limit_per_metric", Form::Applied),
        ],
        treatment: Treatment::Filter(Filter::Metadata),
    },
    Endpoint {
        name: "search_metric_names",
        methods: Methods::GetPost,
        path: "/api/v1/search/metric_names",
        // Metadata is of every target that has the name.
        parameters: search!(parameter("include_metadata", Form::Dropped)),
        treatment: SEARCH,
    },
    Endpoint {
        name: "search_label_names",
        methods: Methods::GetPost,
        path: "/api/v1/search/label_names",
        parameters: search!(),
        treatment: SEARCH,
    },
    Endpoint {
        name: "search_label_values",
        methods: Methods::GetPost,
        path: "/api/v1/search/label_values",
        parameters: search!(parameter("label", Form::Plain)),
        treatment: SEARCH,
    },
    Endpoint {
        name: "federate",
        methods: Methods::Get,
        path: "/federate",
        parameters: &[parameter("match[]", Form::SelectorsOr(Text::PromQl(Entry::AnySelector), NOTHING))],
        treatment: Treatment::ScopeIf(Feature::Federate, Accept::Text),
    },
    Endpoint {
        name: "remote_read",
        methods: Methods::PostSnappy,
        path: "/api/v1/read",
        parameters: &[],
        treatment: Treatment::Filter(Filter::RemoteRead),
    },
    Endpoint {
        name: "rules",
        methods: Methods::Get,
        path: "/api/v1/rules",
        parameters: &[
            parameter("rule_name[]", Form::List),
            parameter("rule_group[]", Form::List),
            parameter("file[]", Form::List),
            parameter("type", Form::Plain),
            // Over the labels that rules are written with (`rules` in `web/api/v1/api.go`).
            parameter("match[]", Form::ReadSelectors(Text::PromQl(Entry::Selector))),
            // Which rules are shown depends on their alerts, and which groups on their rules.
            parameter("exclude_alerts", Form::Applied),
            parameter("group_limit", Form::Applied),
            parameter("group_next_token", Form::Applied),
        ],
        treatment: Treatment::Filter(Filter::Rules),
    },
    Endpoint {
        name: "alerts",
        methods: Methods::Get,
        path: "/api/v1/alerts",
        parameters: &[],
        treatment: Treatment::Filter(Filter::FiringAlerts),
    },
    // What is scraped, and where from, is the operator's alone.
    Endpoint {
        name: "targets",
        methods: Methods::Get,
        path: "/api/v1/targets",
        parameters: &[],
        treatment: Treatment::Static(json(
            r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}}"#,
        )),
    },
    Endpoint {
        name: "targets_metadata",
        methods: Methods::Get,
        path: "/api/v1/targets/metadata",
        parameters: &[],
        treatment: Treatment::Static(json(r#"{"status":"success","data":[]}"#)),
    },
    Endpoint {
        name: "alertmanagers",
        methods: Methods::Get,
        path: "/api/v1/alertmanagers",
        parameters: &[],
        treatment: Treatment::Static(json(
            r#"{"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}"#,
        )),
    },
    Endpoint {
        name: "buildinfo",
        methods: Methods::Get,
        path: "/api/v1/status/buildinfo",
        parameters: &[],
        treatment: Treatment::Filter(Filter::Version),
    },
];

/// What else Prometheus registers (`web/web.go`, `web/api/v1/api.go`).
pub static REFUSED: &[Refused] = &[
    Refused { path: "/api/v1/query_cost", why: "estimated from everyone's data" },
    Refused { path: "/api/v1/query_range_cost", why: "estimated from everyone's data" },
    Refused { path: "/api/v1/write", why: "writes" },
    Refused { path: "/api/v1/otlp/v1/metrics", why: "writes" },
    Refused { path: "/api/v1/scrape_pools", why: "names jobs of all tenants" },
    Refused { path: "/api/v1/scrape_pools/config", why: "the configuration" },
    Refused { path: "/api/v1/targets/relabel_steps", why: "the configuration" },
    Refused { path: "/api/v1/status/config", why: "the configuration" },
    Refused {
        path: "/api/v1/status/flags",
        why: "the configuration; Grafana takes who answers it for Thanos",
    },
    Refused { path: "/api/v1/status/runtimeinfo", why: "about the server and everyone's data" },
    Refused { path: "/api/v1/status/tsdb", why: "counts series by label value: a list of tenants" },
    Refused { path: "/api/v1/status/tsdb/blocks", why: "about everyone's data" },
    Refused { path: "/api/v1/status/self_metrics", why: "about the server and everyone's data" },
    Refused { path: "/api/v1/status/walreplay", why: "about the server" },
    Refused { path: "/api/v1/features", why: "Grafana takes who answers it for Mimir" },
    Refused { path: "/api/v1/notifications", why: "errors of the configuration" },
    Refused { path: "/api/v1/notifications/live", why: "errors of the configuration" },
    Refused { path: "/api/v1/admin/tsdb/*", why: "destroys or copies everyone's data" },
    Refused { path: "/api/v1/openapi.yaml", why: "describes endpoints that are not served" },
    Refused { path: "/consoles/*", why: "templates that run any query" },
    Refused { path: "/metrics", why: "about the server and everyone's data" },
    Refused { path: "/version", why: "about the server" },
    Refused { path: "/-/healthy", why: "Palisade has its own" },
    Refused { path: "/-/ready", why: "Palisade has its own" },
    Refused { path: "/-/reload", why: "changes the server" },
    Refused { path: "/-/quit", why: "ends the server" },
    Refused { path: "/debug/*", why: "memory of the server, everyone's data among it" },
    Refused { path: "/user/*", why: "files of the server" },
    Refused { path: "OPTIONS /api/v1/*", why: "no page of another origin asks with a bearer token" },
    Refused { path: "/", why: PAGE },
    Refused { path: "/agent", why: PAGE },
    Refused { path: "/alertmanager-discovery", why: PAGE },
    Refused { path: "/alerts", why: PAGE },
    Refused { path: "/config", why: PAGE },
    Refused { path: "/flags", why: PAGE },
    Refused { path: "/graph", why: PAGE },
    Refused { path: "/query", why: PAGE },
    Refused { path: "/rules", why: PAGE },
    Refused { path: "/service-discovery", why: PAGE },
    Refused { path: "/status", why: PAGE },
    Refused { path: "/targets", why: PAGE },
    Refused { path: "/tsdb-status", why: PAGE },
    Refused { path: "/assets/*", why: PART_OF_PAGES },
    Refused { path: "/static/*", why: PART_OF_PAGES },
    Refused { path: "/favicon.ico", why: PART_OF_PAGES },
    Refused { path: "/favicon.svg", why: PART_OF_PAGES },
    Refused { path: "/manifest.json", why: PART_OF_PAGES },
];

const PAGE: &str = "a page, which asks what is not served";
const PART_OF_PAGES: &str = "a part of the pages";
