//! A Prometheus-shaped backend over the bookstore's series. As the real one, it asks nobody who they are
//! and holds every tenant's data.
//!
//! Shapes: Prometheus' `web/api/v1/api.go`.

mod evaluate;
mod told;

use super::data::{Bookstore, Labels, SCRAPE};
use super::http::{Reply, Request, Service};
use super::time;
use super::vector::Value;
use crate::lang::Features;
use crate::lang::promql::{Entry, Tree, parse};
use crate::limits::QueryLimits;
use evaluate::{Evaluation, Points};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The backend.
pub struct Prometheus {
    store: Bookstore,
    limits: QueryLimits,
}

/// An error of the API: status, `errorType` and text.
struct Refusal(u16, &'static str, String);

impl Refusal {
    fn bad_data(text: impl Into<String>) -> Self {
        Self(400, "bad_data", text.into())
    }

    fn execution(text: impl Into<String>) -> Self {
        Self(422, "execution", text.into())
    }
}

impl Prometheus {
    /// A backend that holds `store`.
    pub fn new(store: Bookstore) -> Self {
        Self { store, limits: QueryLimits::default() }
    }

    fn data(&self, request: &Request) -> Result<Json, Refusal> {
        let read = matches!(request.method.as_str(), "GET" | "POST");
        match request.segments().as_slice() {
            ["api", "v1", "query"] if read => self.query(request),
            ["api", "v1", "query_range"] if read => self.query_range(request),
            ["api", "v1", "series"] if read => self.series(request),
            ["api", "v1", "labels"] if read => {
                let names = |all: &[Labels]| all.iter().flat_map(|l| l.keys().cloned()).collect();
                Ok(json!(self.limited(request, names(&self.found(request)?))?))
            }
            ["api", "v1", "label", name, "values"] if request.method == "GET" => {
                let found = self.found(request)?;
                let values = found.iter().filter_map(|l| l.get(*name).cloned()).collect();
                Ok(json!(self.limited(request, values)?))
            }
            ["api", "v1", "query_exemplars"] if read => self.exemplars(request),
            ["api", "v1", "targets", "metadata"] if request.method == "GET" => self.metadata(request),
            ["api", "v1", "rules"] if request.method == "GET" => Ok(told::rules(&self.store)),
            ["api", "v1", "alerts"] if request.method == "GET" => Ok(told::alerts(&self.store)),
            ["api", "v1", "status", "buildinfo"] if request.method == "GET" => Ok(
                json!({"version": "3.16.0", "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}),
            ),
            _ => Err(Refusal(404, "not_found", "page not found".into())),
        }
    }

    fn query(&self, request: &Request) -> Result<Json, Refusal> {
        let at = time_of(request, "time")?.unwrap_or(self.store.now() as f64);
        let text = request.first("query").unwrap_or("");
        let tree = self.read(text, Entry::Expression, "query")?;
        let evaluation = Evaluation::new(&self.store, &tree, (at, at, 0.0)).map_err(Refusal::execution)?;
        if let Some(series) = evaluation.range(at) {
            let matrix = series.into_iter().map(|(labels, points)| matrix_entry(&labels, &points));
            let result = matrix.collect::<Vec<_>>();
            return Ok(json!({"resultType": "matrix", "result": limited(request, result)?}));
        }
        Ok(match evaluation.at(at).map_err(Refusal::execution)? {
            Value::Scalar(value) => {
                json!({"resultType": "scalar", "result": [time::stamp(at), time::sample(value)]})
            }
            Value::Vector(samples) => {
                let entry = |s: super::vector::Sample| json!({"metric": s.labels, "value": [time::stamp(at), time::sample(s.value)]});
                let result = limited(request, samples.into_iter().map(entry).collect::<Vec<_>>())?;
                json!({"resultType": "vector", "result": result})
            }
        })
    }

    fn query_range(&self, request: &Request) -> Result<Json, Refusal> {
        let needed = |name| {
            let missing = || {
                Refusal::bad_data(format!(
                    "invalid parameter \"{name}\": cannot parse \"\" to a valid timestamp"
                ))
            };
            time_of(request, name)?.ok_or_else(missing)
        };
        let (start, end) = (needed("start")?, needed("end")?);
        if end < start {
            return Err(Refusal::bad_data(
                "invalid parameter \"end\": end timestamp must not be before start time",
            ));
        }
        let step = time::step(request.first("step").unwrap_or(""));
        let step = step.map_err(|e| Refusal::bad_data(format!("invalid parameter \"step\": {e}")))?;
        if (end - start) / step > time::MAX_STEPS {
            return Err(Refusal::bad_data(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ));
        }
        let tree = self.read(request.first("query").unwrap_or(""), Entry::Expression, "query")?;
        let evaluation =
            Evaluation::new(&self.store, &tree, (start, end, step)).map_err(Refusal::execution)?;
        if evaluation.range(start).is_some() {
            let text =
                "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
            return Err(Refusal::bad_data(text));
        }
        let mut matrix: BTreeMap<Labels, Points> = BTreeMap::new();
        for at in (0..).map(|n| start + f64::from(n) * step).take_while(|at| *at <= end) {
            match evaluation.at(at).map_err(Refusal::execution)? {
                Value::Scalar(value) => matrix.entry(Labels::new()).or_default().push((at, value)),
                Value::Vector(samples) => {
                    for sample in samples {
                        matrix.entry(sample.labels).or_default().push((at, sample.value));
                    }
                }
            }
        }
        let result: Vec<_> = matrix.iter().map(|(labels, points)| matrix_entry(labels, points)).collect();
        Ok(json!({"resultType": "matrix", "result": limited(request, result)?}))
    }

    fn series(&self, request: &Request) -> Result<Json, Refusal> {
        if request.all("match[]").next().is_none() {
            return Err(Refusal::bad_data("no match[] parameter provided"));
        }
        Ok(json!(limited(request, self.found(request)?)?))
    }

    /// The labels of the series that one of `match[]` selects, or of all series if there is none, and that
    /// have samples between `start` and `end`.
    fn found(&self, request: &Request) -> Result<Vec<Labels>, Refusal> {
        let start = time_of(request, "start")?.unwrap_or(f64::NEG_INFINITY);
        let end = time_of(request, "end")?.unwrap_or(f64::INFINITY).min(self.store.now() as f64);
        let mut series = self.store.series();
        // Samples are that far apart, so a shorter window may have none.
        series
            .retain(|s| !self.store.samples(s, start.max(end - SCRAPE as f64 * 2.0) - 1e-3, end).is_empty());
        let mut selections = Vec::new();
        for text in request.all("match[]") {
            let tree = self.read(text, Entry::Selector, "match[]")?;
            for selector in tree.selectors() {
                selections.push(evaluate::selection(&tree, selector).map_err(Refusal::execution)?);
            }
        }
        if !selections.is_empty() {
            series.retain(|s| selections.iter().any(|selection| selection.takes(&s.labels)));
        }
        Ok(series.into_iter().map(|s| s.labels).collect())
    }

    fn limited(&self, request: &Request, names: BTreeSet<String>) -> Result<Vec<String>, Refusal> {
        limited(request, names.into_iter().collect())
    }

    fn read<'a>(&self, text: &'a str, entry: Entry, parameter: &str) -> Result<Tree<'a>, Refusal> {
        parse(text, entry, Features::default(), &self.limits)
            .map_err(|e| Refusal::bad_data(format!("invalid parameter \"{parameter}\": {e}")))
    }
}

impl Service for Prometheus {
    fn answer(&self, request: &Request) -> Reply {
        match self.data(request) {
            Ok(data) => Reply::json(200, &json!({"status": "success", "data": data})),
            Err(Refusal(status, kind, text)) => {
                Reply::json(status, &json!({"status": "error", "errorType": kind, "error": text}))
            }
        }
    }
}

fn matrix_entry(labels: &Labels, points: &[(f64, f64)]) -> Json {
    let values: Vec<_> = points.iter().map(|(t, v)| json!([time::stamp(*t), time::sample(*v)])).collect();
    json!({"metric": labels, "values": values})
}

fn time_of(request: &Request, name: &'static str) -> Result<Option<f64>, Refusal> {
    let time = request.first(name).map(time::seconds).transpose();
    time.map_err(|e| Refusal::bad_data(format!("invalid parameter \"{name}\": {e}")))
}

/// At most as many entries as the parameter `limit` says; 0 is no limit.
fn limited<T>(request: &Request, mut entries: Vec<T>) -> Result<Vec<T>, Refusal> {
    if let Some(text) = request.first("limit") {
        let limit: usize = text.parse().map_err(|_| {
            Refusal::bad_data(format!("invalid parameter \"limit\": cannot parse \"{text}\""))
        })?;
        if limit > 0 {
            entries.truncate(limit);
        }
    }
    Ok(entries)
}
