//! From a metric to a trace, from there to metrics of its spans and to a log line, and back from the line to the trace:
//! request by request as Grafana sends them with the datasources of `deploy/grafana`. Each answer equals TWIN's.

use std::cell::RefCell;

use serde_json::Value;

use crate::compare::{Asked, Rules};
use crate::http::{Answer, Request};
use crate::protobuf;
use crate::report::Report;
use crate::seed::{SPAN, TENANTS, canary, tempo};
use crate::ways::{Answers, Ways};
use crate::world::{Caller, World};

const DATASOURCES: &str = include_str!("../../deploy/grafana/provisioning/datasources/palisade.yaml");
/// What the panel shows.
const P95: &str = r#"histogram_quantile(0.95, sum by(le) (rate(http_request_duration_seconds_bucket[5m])))"#;
const TENANT: &str = "acme-books";
/// The service whose span is followed to its logs.
const SERVICE: &str = "catalog";
/// `spanStartTimeShift` and `spanEndTimeShift`, in nanoseconds.
const SHIFT: u64 = 300_000_000_000;

/// Follows the links as a caller of one tenant, and as one of a tenant in one region.
pub fn run(world: &World, rules: &Rules, only: &str, report: &mut Report) {
    let all = ["prometheus", "tempo", "loki"].iter().all(|kind| world.full.at.contains_key(kind));
    for user in ["alice", "rosa"] {
        let name = format!("drill-down / metric to trace to metrics and logs / {user}");
        let Some(caller) = world.callers.get(user) else { continue };
        if name.contains(only) && all && world.palisade.is_some() {
            let drill = Drill { world, rules, caller, ways: RefCell::new(&mut report.ways) };
            let outcome = drill.follow();
            report.case(&name, outcome);
        }
    }
}

struct Drill<'a> {
    world: &'a World,
    rules: &'a Rules,
    caller: &'a Caller,
    ways: RefCell<&'a mut Ways>,
}

impl Drill<'_> {
    fn follow(&self) -> Result<(), String> {
        let links = Links::provisioned()?;
        let trace = self.exemplar(&links.exemplar)?;
        let span = self.trace(&trace)?;
        self.metrics(&links, &span)?;
        self.service_map()?;
        self.logs(&links, &trace, &span)
    }

    /// The panel and its exemplars; a trace that one of these names.
    fn exemplar(&self, label: &str) -> Result<String, String> {
        let start = self.world.start;
        let range = [
            ("query", P95.to_owned()),
            ("start", start.to_string()),
            ("end", (start + SPAN).to_string()),
            ("step", "15".into()),
        ]
        .map(|(k, v)| (k.to_owned(), v));
        let panel = self.ask("prometheus.query_range", &Request::form("/api/v1/query_range", &range))?;
        let panel = panel.json().unwrap_or_default();
        let values = panel["data"]["result"][0]["values"].as_array().map_or(0, Vec::len);
        if values == 0 {
            return Err(format!("the panel shows nothing: {panel}"));
        }
        let request = Request::form("/api/v1/query_exemplars", &range[..3]);
        let answer = self.ask("prometheus.query_exemplars", &request)?.json().unwrap_or_default();
        let series = answer["data"].as_array().into_iter().flatten();
        let exemplars = series.filter_map(|series| series["exemplars"].as_array()).flatten();
        let traces: Vec<&str> = exemplars.filter_map(|e| e["labels"][label].as_str()).collect();
        let own = |trace: &&str| (1..=4).any(|n| tempo::own_id(TENANT, n) == *trace);
        match traces.first() {
            Some(first) if traces.iter().all(own) => Ok((*first).to_owned()),
            _ => Err(format!("the exemplars name {traces:?}: {answer}")),
        }
    }

    /// The trace as a datasource asks for it; the followed service's span.
    fn trace(&self, id: &str) -> Result<Span, String> {
        let request = Request::get(&format!("/api/v2/traces/{id}"), &[]);
        let answer = self.ask("tempo.trace_v2", &request.header("Accept", "application/protobuf"))?;
        let kind = answer.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/protobuf") {
            return Err(format!("the trace comes as {kind}"));
        }
        let tree = protobuf::trace(&answer.body).ok_or("the trace is no protobuf")?;
        let batches = tree["1"][0]["1"].as_array().into_iter().flatten();
        let mut spans = batches.filter_map(Span::read);
        let span =
            spans.find(|span| span.service == SERVICE).ok_or("the trace has no span of the service")?;
        if span.trace == id { Ok(span) } else { Err(format!("the span is of {}", span.trace)) }
    }

    /// The span's metrics by the provisioned query, as Explore asks for it: as they were, and as they are at the end.
    fn metrics(&self, links: &Links, span: &Span) -> Result<(), String> {
        let query =
            links.metrics.replace("$__tags", &format!("{}=\"{}\"", links.metrics_service, span.service));
        let [start, end] =
            [span.start - SHIFT, span.end + SHIFT].map(|nanos| (nanos / 1_000_000_000).to_string());
        let range = [("query", &query), ("start", &start), ("end", &end), ("step", &"15".to_owned())];
        let instant = [("query", &query), ("time", &end)];
        for (endpoint, params) in [("query_range", &range[..]), ("query", &instant[..])] {
            let names = self.labels(endpoint, params, "span_name")?;
            if !names.contains(&span.name) {
                return Err(format!("{endpoint}: no metrics of `{}`: {names:?}", span.name));
            }
        }
        Ok(())
    }

    /// The service map of the panel's range; the series are those that its datasource names.
    fn service_map(&self) -> Result<(), String> {
        let end = (self.world.start + SPAN).to_string();
        for metric in ["request_total", "request_failed_total", "request_server_seconds_sum"] {
            let query = format!("sum by (client, server) (rate(traces_service_graph_{metric}{{}}[{SPAN}s]))");
            let servers = self.labels("query", &[("query", &query), ("time", &end)], "server")?;
            if !servers.iter().any(|server| server == "storefront") {
                return Err(format!("no edge to the storefront: {servers:?}"));
            }
        }
        Ok(())
    }

    /// What is said of a label in the series of a query, which is posted.
    fn labels(&self, endpoint: &str, params: &[(&str, &String)], label: &str) -> Result<Vec<String>, String> {
        let params: Vec<_> = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).clone())).collect();
        let request = Request::form(&format!("/api/v1/{endpoint}"), &params);
        let answer = self.ask(&format!("prometheus.{endpoint}"), &request)?.json().unwrap_or_default();
        let series = answer["data"]["result"].as_array().into_iter().flatten();
        Ok(series.filter_map(|one| one["metric"][label].as_str()).map(str::to_owned).collect())
    }

    /// The span's log lines by the provisioned query, and the trace that each of them names.
    fn logs(&self, links: &Links, id: &str, span: &Span) -> Result<(), String> {
        let params = [
            ("direction", "backward".to_owned()),
            ("end", (span.end + SHIFT).to_string()),
            ("limit", "1000".into()),
            ("query", links.query(id, &span.service)),
            ("start", (span.start - SHIFT).to_string()),
            ("step", "1s".into()),
        ]
        .map(|(k, v)| (k.to_owned(), v));
        let request = Request::get("/loki/api/v1/query_range", &params)
            .header("X-Loki-Response-Encoding-Flags", "categorize-labels");
        let answer = self.ask("loki.query_range", &request)?.json().unwrap_or_default();
        let streams = answer["data"]["result"].as_array().into_iter().flatten();
        let lines: Vec<&Value> = streams.filter_map(|stream| stream["values"].as_array()).flatten().collect();
        if lines.is_empty() {
            return Err(format!("the span has no log lines: {answer}"));
        }
        for line in lines {
            if !line[1].as_str().is_some_and(|text| text.contains(&canary(TENANT))) {
                return Err(format!("not the caller's line: {line}"));
            }
            let back = line[2]["structuredMetadata"][&links.field].as_str();
            if back != Some(id) {
                return Err(format!("the line links to {back:?} instead of {id}: {line}"));
            }
            self.trace(id)?;
        }
        Ok(())
    }

    /// Asks Palisade and TWIN, whose answers are equal, hold something and nothing of another's.
    fn ask(&self, endpoint: &str, request: &Request) -> Result<Answer, String> {
        let kind = endpoint.split('.').next().unwrap_or_default();
        let told = |why: String| format!("{endpoint}: {why}");
        let palisade = self.world.palisade.as_ref().ok_or("no Palisade")?;
        let twin = self.world.twin(self.caller).at.get(kind).ok_or("no TWIN")?;
        let ours = request.clone().bearer(Some(&self.caller.token));
        let ours = ours.send(&palisade.base.under(&format!("/{kind}"))).map_err(told)?;
        let twins = request.send(twin).map_err(told)?;
        if ours.status != 200 {
            return Err(told(format!("{} {}", ours.status, ours.text())));
        }
        let beside = match self.world.beside(self.caller) {
            Some(palisade) => {
                let request = request.clone().bearer(Some(&self.caller.token));
                Some(request.send(&palisade.base.under(&format!("/{kind}"))).map_err(told)?)
            }
            None => None,
        };
        let asked = Asked { endpoint, case: "drill-down", mount: kind, params: &[] };
        let answers = Answers { full: &ours, beside: beside.as_ref(), twin: &twins, otherwise: false };
        self.ways.borrow_mut().compare(self.rules, kind, asked, &answers).map_err(told)?;
        let text = ours.text();
        let others = TENANTS.into_iter().filter(|t| *t != TENANT).chain(["untenanted", "forged"]);
        match others.map(canary).find(|mark| text.contains(mark)) {
            Some(mark) => Err(told(format!("it holds {mark}"))),
            None => Ok(ours),
        }
    }
}

/// A span as links from it need it; times in nanoseconds of the epoch.
struct Span {
    trace: String,
    service: String,
    name: String,
    start: u64,
    end: u64,
}

impl Span {
    /// The first span of one resource; fields by their numbers in `trace/v1/trace.proto`.
    fn read(batch: &Value) -> Option<Self> {
        let attributes = batch["1"][0]["1"].as_array()?;
        let service = attributes.iter().find(|a| a["1"][0] == "service.name")?;
        let span = &batch["2"][0]["2"][0];
        // Bytes that are no text are printed as a list of hexadecimal numbers.
        let trace = span["1"][0].as_str()?.chars().filter(char::is_ascii_hexdigit).collect();
        Some(Self {
            trace,
            service: service["2"][0]["1"][0].as_str()?.to_owned(),
            name: span["5"][0].as_str()?.to_owned(),
            start: span["7"][0].as_u64()?,
            end: span["8"][0].as_u64()?,
        })
    }
}

/// What the provisioned datasources say of links.
struct Links {
    /// The exemplar's label with a trace id.
    exemplar: String,
    /// The log line's label with a trace id.
    field: String,
    /// The span's logs; `$` is no longer doubled.
    logs: String,
    /// The stream's label that is the span's service.
    service: String,
    /// The span's metrics; `$` is no longer doubled.
    metrics: String,
    /// The series' label that is the span's service.
    metrics_service: String,
}

impl Links {
    fn provisioned() -> Result<Self, String> {
        let file: Value = serde_saphyr::from_str(DATASOURCES).map_err(|e| e.to_string())?;
        let data = |kind: &str| -> Result<&Value, String> {
            let mut all = file["datasources"].as_array().into_iter().flatten();
            let found = all.find(|source| source["type"] == kind);
            found.map(|source| &source["jsonData"]).ok_or_else(|| format!("no datasource of {kind}"))
        };
        let (metrics, logs, traces) = (data("prometheus")?, data("loki")?, data("tempo")?);
        let field = &logs["derivedFields"][0];
        if field["matcherType"] != "label" || field["url"] != "$${__value.raw}" {
            return Err(format!("another derived field: {field}"));
        }
        let to_logs = &traces["tracesToLogsV2"];
        let to_metrics = &traces["tracesToMetrics"];
        for link in [to_logs, to_metrics] {
            if link["spanStartTimeShift"] != "-5m" || link["spanEndTimeShift"] != "5m" {
                return Err(format!("other times: {link}"));
            }
        }
        let service = |link: &'static str| {
            let mut tags = traces[link]["tags"].as_array().into_iter().flatten();
            tags.find(|tag| tag["key"] == "service.name").map(|tag| &tag["value"])
        };
        let text = |value: Option<&Value>, what: &str| {
            value
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| format!("no {what} is provisioned"))
        };
        Ok(Self {
            exemplar: text(metrics["exemplarTraceIdDestinations"][0].get("name"), "label of exemplars")?,
            field: text(field.get("matcherRegex"), "derived field")?,
            logs: text(to_logs.get("query"), "query of logs")?.replace("$$", "$"),
            service: text(service("tracesToLogsV2"), "tag of the service")?,
            metrics: text(to_metrics["queries"][0].get("query"), "query of metrics")?.replace("$$", "$"),
            metrics_service: text(service("tracesToMetrics"), "label of the service")?,
        })
    }

    /// The query with its variables replaced.
    fn query(&self, trace: &str, service: &str) -> String {
        let tags = format!("{}=\"{service}\"", self.service);
        self.logs.replace("${__tags}", &tags).replace("${__trace.traceId}", trace)
    }
}
