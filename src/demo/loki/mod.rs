//! A Loki-shaped backend over the bookstore's log streams. As the real one with `auth_enabled: false`, it
//! asks nobody who they are and holds every tenant's data.
//!
//! Shapes: Loki's `pkg/loghttp`, `pkg/util/marshal`.

mod evaluate;
mod pipeline;

use super::data::{Bookstore, Labels, SECOND, Stream};
use super::http::{Reply, Request, Service, Tail};
use super::select::Selection;
use super::time;
use super::vector::{Sample, Value};
use crate::lang::Features;
use crate::lang::logql::tree::{Expr, Tree};
use crate::lang::logql::{Entry, parse};
use crate::limits::QueryLimits;
use evaluate::Evaluation;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Lines of an answer if the request does not say (`pkg/loghttp/query.go`).
const DEFAULT_LIMIT: usize = 100;
/// The most lines of an answer: Loki's default for `max_entries_limit_per_query`.
const MAX_LIMIT: usize = 5000;

/// The backend.
pub struct Loki {
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

impl Loki {
    /// A backend that holds `store`.
    pub fn new(store: Bookstore) -> Self {
        Self { store, limits: QueryLimits::default() }
    }

    fn reply(&self, request: &Request) -> Result<Json, Refusal> {
        let read = matches!(request.method.as_str(), "GET" | "POST");
        let success = |data: Json| json!({"status": "success", "data": data});
        Ok(match request.segments().as_slice() {
            ["loki", "api", "v1", "query"] if read => success(self.query(request)?),
            ["loki", "api", "v1", "query_range"] if read => success(self.query_range(request)?),
            ["loki", "api", "v1", "series"] if read => {
                let selectors = request.all("match[]").chain(request.all("match"));
                let streams = self.found(request, selectors)?;
                success(json!(streams.into_iter().map(|s| s.labels).collect::<Vec<_>>()))
            }
            ["loki", "api", "v1", "labels"] if read => {
                let streams = self.found(request, request.first("query").into_iter())?;
                names(streams.into_iter().flat_map(|s| s.labels.into_keys()).collect())
            }
            ["loki", "api", "v1", "label", name, "values"] if read => {
                let streams = self.found(request, request.first("query").into_iter())?;
                names(streams.into_iter().filter_map(|mut s| s.labels.remove(*name)).collect())
            }
            ["loki", "api", "v1", "index", "stats"] if read => self.stats(request)?,
            ["loki", "api", "v1", "status", "buildinfo"] if read => {
                json!({"version": "3.7.8", "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""})
            }
            _ => return Err(Refusal(404, "404 page not found".into())),
        })
    }

    fn query(&self, request: &Request) -> Result<Json, Refusal> {
        let at = request.first("time").map(time::nanoseconds).transpose()?;
        let at = at.unwrap_or(self.store.now() * SECOND);
        let tree = self.read(request.first("query").unwrap_or(""), Entry::Expression)?;
        if let Some(Expr::Log(_)) = tree.expr(tree.root()) {
            return Err(
                "log queries are not supported as an instant query type, please change your query to a range query type"
                    .into(),
            );
        }
        let seconds = time::stamp(at as f64 / 1e9);
        Ok(match Evaluation::new(&self.store, &tree)?.at(at)? {
            Value::Scalar(value) => {
                json!({"resultType": "scalar", "result": [seconds, time::sample(value)], "stats": {}})
            }
            Value::Vector(samples) => {
                let entry =
                    |s: Sample| json!({"metric": s.labels, "value": [seconds, time::sample(s.value)]});
                let result: Vec<_> = samples.into_iter().map(entry).collect();
                json!({"resultType": "vector", "result": result, "stats": {}})
            }
        })
    }

    fn query_range(&self, request: &Request) -> Result<Json, Refusal> {
        let range = self.range(request)?;
        let tree = self.read(request.first("query").unwrap_or(""), Entry::Expression)?;
        let evaluation = Evaluation::new(&self.store, &tree)?;
        if let Some(Expr::Log(query)) = tree.expr(tree.root()) {
            let limit = match request.first("limit") {
                None => DEFAULT_LIMIT,
                Some(text) => text.parse().map_err(|_| format!("invalid limit: {text}"))?,
            };
            if limit == 0 || limit > MAX_LIMIT {
                return Err(format!("max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {MAX_LIMIT})").into());
            }
            let backward = match request.first("direction").map(str::to_ascii_lowercase).as_deref() {
                None | Some("backward") => true,
                Some("forward") => false,
                Some(other) => return Err(format!("invalid direction: {other}").into()),
            };
            let mut lines = evaluation.lines(query, range)?;
            lines.sort_by_key(|(_, entry)| if backward { -entry.time } else { entry.time });
            lines.truncate(limit);
            let mut streams: BTreeMap<Labels, Vec<Json>> = BTreeMap::new();
            for (labels, entry) in lines {
                streams.entry(labels).or_default().push(json!([entry.time.to_string(), entry.line]));
            }
            let entry = |(labels, values)| json!({"stream": labels, "values": Json::Array(values)});
            let result: Vec<_> = streams.into_iter().map(entry).collect();
            return Ok(json!({"resultType": "streams", "result": result, "stats": {}}));
        }
        let seconds = (range.end - range.start) as f64 / 1e9;
        // `pkg/loghttp/params.go`, `defaultQueryRangeStep`.
        let step = request.first("step").map(time::step).transpose()?;
        let step = step.unwrap_or((seconds / 250.0).floor().max(1.0));
        if seconds / step > time::MAX_STEPS {
            return Err("exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter".into());
        }
        let mut matrix: BTreeMap<Labels, Vec<Json>> = BTreeMap::new();
        let step = (step * 1e9) as i64;
        for at in (0..).map(|n| range.start + n * step).take_while(|at| *at <= range.end) {
            let samples = match evaluation.at(at)? {
                Value::Scalar(value) => vec![Sample { labels: Labels::new(), value }],
                Value::Vector(samples) => samples,
            };
            for sample in samples {
                let point = json!([time::stamp(at as f64 / 1e9), time::sample(sample.value)]);
                matrix.entry(sample.labels).or_default().push(point);
            }
        }
        let entry = |(labels, values)| json!({"metric": labels, "values": Json::Array(values)});
        let result: Vec<_> = matrix.into_iter().map(entry).collect();
        Ok(json!({"resultType": "matrix", "result": result, "stats": {}}))
    }

    /// What the index knows: here every stream is one chunk.
    fn stats(&self, request: &Request) -> Result<Json, Refusal> {
        let range = self.range(request)?;
        let Some(query) = request.first("query") else { return Err("query parameter is required".into()) };
        let streams = self.found(request, [query].into_iter())?;
        let (mut entries, mut bytes) = (0, 0);
        for stream in &streams {
            for entry in self.store.entries(stream, range.clone()) {
                entries += 1;
                bytes += entry.line.len();
            }
        }
        Ok(json!({"streams": streams.len(), "chunks": streams.len(), "entries": entries, "bytes": bytes}))
    }

    /// The streams that one of `selectors` selects, or all if there is none, with lines in the request's
    /// time range. A lone `{}` selects all, as in `pkg/loghttp/series.go`.
    fn found<'r>(
        &self,
        request: &'r Request,
        selectors: impl Iterator<Item = &'r str>,
    ) -> Result<Vec<Stream>, Refusal> {
        let range = self.range(request)?;
        let mut selections: Vec<Selection> = Vec::new();
        for text in selectors.filter(|s| !s.bytes().filter(|b| !b.is_ascii_whitespace()).eq(*b"{}")) {
            let tree = self.read(text, Entry::Selector)?;
            for selector in tree.selectors() {
                selections.push(pipeline::selection(&tree, selector)?);
            }
        }
        let mut streams = self.store.streams();
        streams.retain(|s| selections.is_empty() || selections.iter().any(|one| one.takes(&s.labels)));
        streams.retain(|s| !self.store.entries(s, range.clone()).is_empty());
        Ok(streams)
    }

    /// `start` and `end`; without them, the last hour, or as long as `since` says.
    fn range(&self, request: &Request) -> Result<Range<i64>, Refusal> {
        let end = request.first("end").map(time::nanoseconds).transpose()?;
        let end = end.unwrap_or(self.store.now() * SECOND);
        let since = request.first("since").map(time::step).transpose()?.unwrap_or(3600.0);
        let start = request.first("start").map(time::nanoseconds).transpose()?;
        let start = start.unwrap_or(end.saturating_sub((since * 1e9) as i64));
        if end < start {
            return Err("end timestamp must not be before or equal to start time".into());
        }
        Ok(start..end)
    }

    fn read<'a>(&self, text: &'a str, entry: Entry) -> Result<Tree<'a>, Refusal> {
        Ok(parse(text, entry, Features::default(), &self.limits).map_err(|e| format!("parse error : {e}"))?)
    }
}

/// Lines of a first message if the request does not say (`pkg/loghttp/tail.go`).
const TAILED_LIMIT: usize = 100;

impl Loki {
    /// A message with the lines in `range`, the newest `limit` of them; none if there are none.
    fn message(&self, query: &str, range: Range<i64>, limit: usize) -> Option<String> {
        let tree = self.read(query, Entry::LogQuery).ok()?;
        let Some(Expr::Log(log)) = tree.expr(tree.root()) else { return None };
        let mut lines = Evaluation::new(&self.store, &tree).ok()?.lines(log, range).ok()?;
        lines.sort_by_key(|(_, entry)| entry.time);
        let kept = lines.split_off(lines.len().saturating_sub(limit));
        let stream = |(labels, entry): (Labels, super::data::Entry)| json!({"stream": labels, "values": [[entry.time.to_string(), entry.line]]});
        let streams: Vec<Json> = kept.into_iter().map(stream).collect();
        (!streams.is_empty()).then(|| json!({"streams": streams}).to_string())
    }
}

impl Service for Loki {
    fn tail(&self, request: &Request) -> Option<Tail> {
        let query = request.first("query").filter(|_| request.path == "/loki/api/v1/tail")?.to_owned();
        self.read(&query, Entry::LogQuery).ok()?;
        let mut from = self.range(request).ok()?.start;
        let limit = request.first("limit").and_then(|text| text.parse().ok()).unwrap_or(TAILED_LIMIT);
        let this = Self::new(self.store);
        Some(Box::new(move || {
            let until = this.store.now() * SECOND + 1;
            let message = this.message(&query, from..until, limit);
            from = until;
            message
        }))
    }

    fn answer(&self, request: &Request) -> Reply {
        match self.reply(request) {
            Ok(body) => Reply::json(200, &body),
            Err(Refusal(status, text)) => Reply::text(status, text),
        }
    }
}

/// A list of names. Loki leaves `data` out if it is empty (`logproto.LabelResponse`).
fn names(names: BTreeSet<String>) -> Json {
    if names.is_empty() { json!({"status": "success"}) } else { json!({"status": "success", "data": names}) }
}
