//! A Tempo-shaped backend over the bookstore's traces. As the real one without multitenancy, it asks
//! nobody who they are and holds every tenant's data.
//!
//! Shapes: Tempo's `pkg/api/http.go`, `pkg/tempopb/tempo.proto`, `modules/frontend`.

mod evaluate;
mod field;
mod metrics;
mod trace;

use super::data::{Bookstore, SECOND, trace_id_text};
use super::http::{Reply, Request, Service};
use super::spans::Trace;
use super::time;
use crate::lang::Features;
use crate::lang::traceql::tree::{AttributeScope, NodeKind, Tree};
use crate::lang::traceql::{Entry, Tag, parse, parse_tag};
use crate::limits::QueryLimits;
use crate::scope::reply::otlp;
use evaluate::Search;
use field::{Field, Scalar};
use prost::Message;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Traces of a search, and spans of a trace in it, if the request does not say (`pkg/api/http.go`).
const DEFAULT_LIMIT: usize = 20;
const DEFAULT_SPANS: usize = 3;
/// No trace here lasts longer, in nanoseconds.
const LONGEST: i64 = 60 * SECOND;

/// The backend.
pub struct Tempo {
    store: Bookstore,
    limits: QueryLimits,
}

/// An error of the API: status and text.
struct Refusal(u16, String);

impl<T: std::fmt::Display> From<T> for Refusal {
    fn from(text: T) -> Self {
        Self(400, text.to_string())
    }
}

impl Tempo {
    /// A backend that holds `store`.
    pub fn new(store: Bookstore) -> Self {
        Self { store, limits: QueryLimits::default() }
    }

    /// Tempo's query handlers take every method and read the URL only.
    fn reply(&self, request: &Request) -> Result<Reply, Refusal> {
        let json = |body: Json| Ok(Reply::json(200, &body));
        match request.segments().as_slice() {
            ["api", "search"] => json(self.search(request)?),
            ["api", "traces", id] => self.trace(id, request, false),
            ["api", "v2", "traces", id] => self.trace(id, request, true),
            // A tag's name may hold slashes: `{tagName:.*}` in `pkg/api/http.go`.
            ["api", "v2", "search", "tag", tag @ .., "values"] => {
                json(self.tag_values(&tag.join("/"), request)?)
            }
            ["api", "metrics", "query_range"] => json(self.metrics(request)?),
            ["api", "echo"] => Ok(Reply::text(200, "echo\n")),
            ["api", "status", "buildinfo"] => json(
                json!({"version": "2.9.0", "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}),
            ),
            _ => Err(Refusal(404, "404 page not found".into())),
        }
    }

    fn search(&self, request: &Request) -> Result<Json, Refusal> {
        if ["tags", "minDuration", "maxDuration"].iter().any(|n| request.pairs.iter().any(|(p, _)| p == n)) {
            return Err(evaluate::unknown("`tags`, `minDuration` and `maxDuration`").into());
        }
        let count = |name, default| match request.first(name).map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(count)) if count > 0 => Ok(count),
            Some(_) => Err(Refusal::from(format!("invalid {name}: must be a positive number"))),
        };
        let (limit, spans) = (count("limit", DEFAULT_LIMIT)?, count("spss", DEFAULT_SPANS)?);
        let tree = self.read(request.first("q").unwrap_or("{}"), Entry::Query)?;
        let search = Search::new(&tree, tree.root())?;
        let shown: Vec<Field> = tree.attributes().map(Field::new).collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for trace in self.traces(&self.range(request)?).iter().rev() {
            let matching = search.matching(trace);
            if !matching.is_empty() && found.len() < limit {
                found.push(summary(trace, &matching, spans, &shown));
            }
        }
        Ok(
            json!({"traces": found, "metrics": {"inspectedTraces": found.len(), "completedJobs": 1, "totalJobs": 1}}),
        )
    }

    /// In protobuf if that is asked for, else in JSON.
    fn trace(&self, id: &str, request: &Request, second: bool) -> Result<Reply, Refusal> {
        let id = Some(id).filter(|t| t.len() <= 32 && t.bytes().all(|b| b.is_ascii_hexdigit()));
        let id = id.and_then(|t| u128::from_str_radix(t, 16).ok());
        let id = id.ok_or("trace IDs can only contain hex characters, at most 32")?;
        let Some(trace) = self.store.trace(id) else {
            return Err(Refusal(404, "trace not found".into()));
        };
        let trace = trace::otlp(&trace);
        let protobuf = request.accept.contains("application/protobuf");
        let body = match (second, protobuf) {
            (false, true) => trace.encode_to_vec(),
            (false, false) => serde_json::to_vec(&otlp::Batches { batches: &trace.resource_spans })?,
            (true, _) => {
                let metrics = Some(otlp::Empty {});
                let answer = otlp::TraceByIdResponse { trace: Some(trace), metrics, status: 0 };
                if protobuf { answer.encode_to_vec() } else { serde_json::to_vec(&answer)? }
            }
        };
        let content_type = if protobuf { "application/protobuf" } else { "application/json" };
        Ok(Reply { status: 200, content_type, body })
    }

    /// The values of a tag. As in Tempo, `q` is a hint: one that is no single filter is not used, and the
    /// answer is everyone's (`pkg/traceql/lenient_*.go`, `block_autocomplete.go`).
    fn tag_values(&self, tag: &str, request: &Request) -> Result<Json, Refusal> {
        let field = match parse_tag(tag)? {
            Tag::Attribute { scope, name } => Field::Named(scope, name),
            Tag::Intrinsic(intrinsic) => Field::intrinsic(intrinsic)?,
        };
        let tree = request.first("q").and_then(|q| self.read(q, Entry::Query).ok());
        let search = match &tree {
            Some(tree) if is_filter(tree) => Search::new(tree, tree.root()).ok(),
            _ => None,
        };
        let mut values = BTreeSet::new();
        for trace in self.traces(&self.range(request)?) {
            let spans = match &search {
                Some(search) => search.matching(&trace),
                None => (0..trace.spans.len()).collect(),
            };
            for span in spans.into_iter().filter_map(|i| trace.spans.get(i)) {
                values.extend(field.of(&trace, span).and_then(|v| v.tag_value()));
            }
        }
        let values = values.into_iter().map(|(kind, value)| json!({"type": kind, "value": value}));
        Ok(json!({"tagValues": values.collect::<Vec<_>>(), "metrics": {}}))
    }

    fn metrics(&self, request: &Request) -> Result<Json, Refusal> {
        let range = self.range(request)?;
        let step = request.first("step").map(time::step).transpose()?;
        // About 240 steps, in whole seconds (`DefaultQueryRangeStep`).
        let step =
            step.map(|s| (s * 1e9) as i64).unwrap_or((range.end - range.start) / 240 / SECOND * SECOND);
        let query = request.first("q").or_else(|| request.first("query")).unwrap_or("");
        let tree = self.read(query, Entry::Metrics)?;
        Ok(metrics::series(&self.store, &tree, (range.start, range.end, step.max(SECOND)))?)
    }

    /// The traces of which a part is in `range`.
    fn traces(&self, range: &Range<i64>) -> Vec<Trace> {
        let mut traces = self.store.traces(range.start.saturating_sub(LONGEST)..range.end);
        traces.retain(|t| t.end() >= range.start);
        traces
    }

    /// `start` and `end` in seconds; without them, the last hour, or as long as `since` says.
    fn range(&self, request: &Request) -> Result<Range<i64>, Refusal> {
        let end = request.first("end").map(time::nanoseconds).transpose()?;
        let end = end.unwrap_or(self.store.now() * SECOND);
        let since = request.first("since").map(time::step).transpose()?.unwrap_or(3600.0);
        let start = request.first("start").map(time::nanoseconds).transpose()?;
        let start = start.unwrap_or(end.saturating_sub((since * 1e9) as i64));
        if end <= start {
            return Err("http parameter start must be before end. received start=start end=end".into());
        }
        Ok(start..end)
    }

    fn read<'a>(&self, text: &'a str, entry: Entry) -> Result<Tree<'a>, Refusal> {
        Ok(parse(text, entry, Features::default(), &self.limits)
            .map_err(|e| format!("invalid TraceQL query: {e}"))?)
    }
}

impl Service for Tempo {
    fn answer(&self, request: &Request) -> Reply {
        self.reply(request).unwrap_or_else(|Refusal(status, text)| Reply::text(status, text))
    }
}

/// Whether the text is one filter and nothing else.
fn is_filter(tree: &Tree<'_>) -> bool {
    match tree.kind(tree.root()) {
        NodeKind::Filter(_) => true,
        NodeKind::Pipeline(stages) => match tree.list(*stages) {
            [one] => matches!(tree.kind(*one), NodeKind::Filter(_)),
            _ => false,
        },
        _ => false,
    }
}

/// What a search says of a trace: about the trace as a whole, and about up to `most` of the spans at
/// `matching`, each with what the query names (`asTraceSearchMetadata` in `pkg/traceql/engine.go`).
fn summary(trace: &Trace, matching: &[usize], most: usize, shown: &[Field]) -> Json {
    let names_name = shown.contains(&Field::Intrinsic(crate::lang::traceql::intrinsic::Intrinsic::Name));
    let spans: Vec<Json> = matching
        .iter()
        .filter_map(|i| trace.spans.get(*i))
        .take(most)
        .map(|span| {
            let mut seen: Vec<(AttributeScope, String)> = Vec::new();
            let mut attributes = Vec::new();
            for (scope, key, value) in shown.iter().filter_map(|f| f.shown(trace, span)) {
                if !seen.contains(&(scope, key.clone())) {
                    attributes.push(json!({"key": key, "value": value.any_value()}));
                    seen.push((scope, key));
                }
            }
            let mut entry = json!({
                "spanID": format!("{:016x}", span.id), "startTimeUnixNano": span.start.to_string(),
                "durationNanos": span.duration.to_string(), "attributes": attributes,
            });
            if let (true, Some(entry)) = (names_name, entry.as_object_mut()) {
                entry.insert("name".into(), json!(span.name));
            }
            entry
        })
        .collect();
    let service = |span| match Field::Named(AttributeScope::Resource, "service.name".into()).of(trace, span) {
        Some(Scalar::Text(name)) => name,
        _ => String::new(),
    };
    let mut stats: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for span in &trace.spans {
        let (count, errors) = stats.entry(service(span)).or_default();
        *count += 1;
        *errors += u32::from(span.failed);
    }
    let stats: BTreeMap<_, _> = stats
        .into_iter()
        .map(|(name, (spans, errors))| (name, json!({"spanCount": spans, "errorCount": errors})))
        .collect();
    let set = json!({"spans": spans, "matched": matching.len()});
    let root = trace.spans.first();
    json!({
        "traceID": trace_id_text(trace.id),
        "rootServiceName": root.map(service), "rootTraceName": root.map(|s| s.name.clone()),
        "startTimeUnixNano": trace.start().to_string(),
        "durationMs": (trace.end() - trace.start()) / 1_000_000,
        "spanSet": set, "spanSets": [set], "serviceStats": stats,
    })
}

#[cfg(test)]
mod tests;
