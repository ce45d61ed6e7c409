//! Loki (`pkg/loki/modules.go`, `pkg/loghttp` of its source).

use super::{Endpoint, Filter, Form, Methods, Parameter, Refused, Text, Treatment};
use crate::lang::Feature;
use crate::lang::logql::Entry;

const fn parameter(name: &'static str, form: Form) -> Parameter {
    Parameter { name, form }
}

const fn query(entry: Entry) -> Parameter {
    parameter("query", Form::Query(Text::LogQl(entry)))
}

const QUERY: Parameter = query(Entry::Expression);
const LOG_QUERY: Parameter = query(Entry::LogQuery);
/// Without `query` these read every stream: the scope is asked instead.
const OPTIONAL_SELECTOR: Parameter = parameter("query", Form::OptionalQuery(Text::LogQl(Entry::Selector)));
const START: Parameter = parameter("start", Form::Time);
const END: Parameter = parameter("end", Form::Time);
const SINCE: Parameter = parameter("since", Form::Time);
const STEP: Parameter = parameter("step", Form::Time);
const INTERVAL: Parameter = parameter("interval", Form::Time);
const LIMIT: Parameter = parameter("limit", Form::Plain);
const DIRECTION: Parameter = parameter("direction", Form::Plain);
const SHARDS: Parameter = parameter("shards", Form::Shards);

const LABELS: &[Parameter] = &[OPTIONAL_SELECTOR, START, END, SINCE];

/// Loki takes `{}` for every stream here, and in no other spelling.
const VOLUME_SELECTOR: Parameter = parameter("query", Form::SelectorOrAll(Text::LogQl(Entry::Selector)));
const TARGET_LABELS: Parameter = parameter("targetLabels", Form::TargetLabels);
/// `series` or `labels`.
const AGGREGATE_BY: Parameter = parameter("aggregateBy", Form::Plain);

/// `field_limit` is the older spelling, which counts without the other only (`detectedFieldsLimit` in
/// `pkg/loghttp/params.go`).
const DETECTED_FIELDS: &[Parameter] = &[
    LOG_QUERY,
    START,
    END,
    SINCE,
    STEP,
    LIMIT,
    parameter("field_limit", Form::Plain),
    parameter("line_limit", Form::Plain),
];

/// The rows. A static, so that each has one address by which it is told.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "query",
        methods: Methods::GetPost,
        path: "/loki/api/v1/query",
        parameters: &[QUERY, parameter("time", Form::Time), LIMIT, DIRECTION, INTERVAL, STEP, SHARDS],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "query_range",
        methods: Methods::GetPost,
        path: "/loki/api/v1/query_range",
        parameters: &[QUERY, START, END, SINCE, STEP, INTERVAL, LIMIT, DIRECTION, SHARDS],
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
            SHARDS,
        ],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "labels",
        methods: Methods::GetPost,
        path: "/loki/api/v1/labels",
        parameters: LABELS,
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "label",
        methods: Methods::GetPost,
        path: "/loki/api/v1/label",
        parameters: LABELS,
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "label_values",
        methods: Methods::GetPost,
        path: "/loki/api/v1/label/{label}/values",
        parameters: LABELS,
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "detected_labels",
        methods: Methods::GetPost,
        path: "/loki/api/v1/detected_labels",
        parameters: LABELS,
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "detected_fields",
        methods: Methods::GetPost,
        path: "/loki/api/v1/detected_fields",
        parameters: DETECTED_FIELDS,
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "detected_field_values",
        methods: Methods::GetPost,
        path: "/loki/api/v1/detected_field/{field}/values",
        parameters: DETECTED_FIELDS,
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "index_stats",
        methods: Methods::GetPost,
        path: "/loki/api/v1/index/stats",
        parameters: &[query(Entry::Selector), START, END, SINCE, STEP],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "index_volume",
        methods: Methods::GetPost,
        path: "/loki/api/v1/index/volume",
        parameters: &[VOLUME_SELECTOR, START, END, SINCE, LIMIT, TARGET_LABELS, AGGREGATE_BY],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "index_volume_range",
        methods: Methods::GetPost,
        path: "/loki/api/v1/index/volume_range",
        parameters: &[VOLUME_SELECTOR, START, END, SINCE, STEP, LIMIT, TARGET_LABELS, AGGREGATE_BY],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "index_shards",
        methods: Methods::GetPost,
        path: "/loki/api/v1/index/shards",
        // Answered by queriers. A frontend of 3.7 fails once it has the answer (`StatsCollectorMiddleware` in
        // `pkg/querier/queryrange/stats.go` knows no such request).
        parameters: &[
            query(Entry::OneSelector),
            START,
            END,
            SINCE,
            STEP,
            parameter("targetBytesPerShard", Form::Plain),
        ],
        treatment: Treatment::Scope,
    },
    Endpoint {
        name: "patterns",
        methods: Methods::GetPost,
        path: "/loki/api/v1/patterns",
        parameters: &[query(Entry::Pasted), START, END, SINCE, STEP],
        treatment: Treatment::ScopeUnless(Feature::PatternPersistence),
    },
    Endpoint {
        name: "rules",
        methods: Methods::Get,
        path: "/prometheus/api/v1/rules",
        // Its own spellings (`PrometheusRules` in `pkg/ruler/base/api.go`).
        parameters: &[
            parameter("rule_name", Form::List),
            parameter("rule_group", Form::List),
            parameter("file", Form::List),
            parameter("type", Form::Plain),
        ],
        treatment: Treatment::Filter(Filter::Rules),
    },
    Endpoint {
        name: "alerts",
        methods: Methods::Get,
        path: "/prometheus/api/v1/alerts",
        parameters: &[],
        treatment: Treatment::Filter(Filter::FiringAlerts),
    },
    Endpoint {
        name: "drilldown_limits",
        methods: Methods::Get,
        path: "/loki/api/v1/drilldown-limits",
        parameters: &[],
        // The limits are of the configuration and can name streams. Grafana's Logs Drilldown does without.
        treatment: Treatment::Filter(Filter::Drilldown),
    },
    Endpoint {
        name: "format_query",
        methods: Methods::GetPost,
        path: "/loki/api/v1/format_query",
        // It is parsed and printed, and that is all (`pkg/loki/format_query_handler.go`).
        parameters: &[parameter("query", Form::Read(Text::LogQl(Entry::Expression)))],
        treatment: Treatment::Read,
    },
    Endpoint {
        name: "tail",
        methods: Methods::Get,
        path: "/loki/api/v1/tail",
        // `ParseTailQuery` of `pkg/loghttp/tail.go` reads these. It reads `end` as well, and makes nothing of it
        // but what `since` counts from.
        parameters: &[
            query(Entry::LogQuery),
            START,
            SINCE,
            LIMIT,
            parameter("delay_for", Form::AtMost(5)),
            parameter("regexp", Form::Refused("is not taken, write a line filter (`|~`) into `query`")),
        ],
        treatment: Treatment::Tail,
    },
    Endpoint {
        name: "buildinfo",
        methods: Methods::Get,
        path: "/loki/api/v1/status/buildinfo",
        parameters: &[],
        treatment: Treatment::Filter(Filter::Version),
    },
];

/// What else Loki registers (`pkg/loki/modules.go`, `pkg/loki/loki.go`, `pkg/compactor/ui.go`,
/// `pkg/dataobj/explorer`, `pkg/ui`, `pkg/util/constants`).
pub static REFUSED: &[Refused] = &[
    Refused { path: "POST /loki/api/v1/tail", why: "a tail begins with GET" },
    Refused { path: "/api/prom/*", why: "the older spelling of what is served above" },
    Refused {
        path: "/loki/api/v1/rules/*",
        why: "one store of rules for all tenants: what one writes runs on everyone's data",
    },
    Refused { path: "/loki/api/v1/delete", why: "deletes data, and lists what all tenants deleted" },
    Refused { path: "/loki/api/v1/cache/generation_numbers", why: "about the server" },
    Refused { path: "/loki/api/v1/push", why: "writes" },
    Refused { path: "/otlp/v1/logs", why: "writes" },
    Refused { path: "/config", why: "the configuration" },
    Refused { path: "/config/tenant/v1/limits", why: "the configuration" },
    Refused { path: "/services", why: "about the server" },
    Refused { path: "/ready", why: "Palisade has its own" },
    Refused { path: "/metrics", why: "about the server and everyone's data" },
    Refused { path: "/log_level", why: "changes the server" },
    Refused { path: "/flush", why: "changes the server" },
    Refused { path: "/ingester/*", why: "ends the server" },
    Refused { path: "/ring", why: "about the server" },
    Refused { path: "/distributor/ring", why: "about the server" },
    Refused { path: "/pattern/ring", why: "about the server" },
    Refused { path: "/ruler/ring", why: "about the server" },
    Refused { path: "/scheduler/ring", why: "about the server" },
    Refused { path: "/indexgateway/ring", why: "about the server" },
    Refused { path: "/partition-ring", why: "about the server, which it changes" },
    Refused { path: "/ingest-limits/*", why: "about the server and what all tenants write" },
    Refused { path: "/ingest-limits-frontend/ring", why: "about the server" },
    Refused { path: "/compactor/*", why: "about the server, and deletes data" },
    Refused { path: "/dataobj/*", why: "everyone's data" },
    Refused { path: "/dataobj-consumer/*", why: "about the server, which it changes" },
    Refused { path: "/memberlist", why: "about the server" },
    Refused { path: "/analytics", why: "about the server and everyone's data" },
    Refused { path: "/ui/*", why: "pages, and a way to the other servers of the cluster" },
    Refused { path: "/debug/*", why: "memory of the server, everyone's data among it" },
];
