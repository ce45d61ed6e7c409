//! TraceQL metrics over the bookstore's spans: `rate` and `count_over_time`, by attributes.
//!
//! Semantics: Tempo's `pkg/traceql/engine_metrics.go` (`AlignRequest`, `IntervalMapper`,
//! `GroupingAggregator`): start and end are aligned to the step, there is one interval more at the
//! start, an interval belongs to its end, and a series has a sample for every interval.

use super::evaluate::{self, Search, unknown};
use super::field::Scalar;
use crate::demo::data::Bookstore;
use crate::lang::traceql::tree::{List, MetricsFunction, NodeKind, Tree};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The most intervals that are computed.
const MAX_INTERVALS: i64 = 11_000;

/// Series from `start` to `end`, in Unix nanoseconds.
///
/// # Errors
/// What is not evaluated here.
pub fn series(
    store: &Bookstore,
    tree: &Tree<'_>,
    (start, end, step): (i64, i64, i64),
) -> Result<Json, String> {
    let NodeKind::Metrics { pipeline, first, second } = tree.kind(tree.root()) else {
        return Err(unknown("arithmetic over metrics"));
    };
    if !second.is_empty() {
        return Err(unknown("`topk`, `bottomk` and comparisons of metrics"));
    }
    let NodeKind::MetricsStage { function, by, of: None, .. } = tree.kind(*first) else {
        return Err(unknown("this metrics stage"));
    };
    let (name, per) = match function {
        MetricsFunction::Rate => ("rate", step as f64 / 1e9),
        MetricsFunction::CountOverTime => ("count_over_time", 1.0),
        _ => return Err(unknown("this metrics function")),
    };
    let start = start - start.rem_euclid(step) - step;
    let end = end + (step - end.rem_euclid(step)) % step;
    let intervals = (end - start) / step;
    if intervals > MAX_INTERVALS {
        return Err(format!("over {MAX_INTERVALS} intervals, use a longer step"));
    }
    let search = Search::new(tree, *pipeline)?;
    let counted = count(store, &search, &grouping(tree, *by)?, (start, intervals, step));
    let series = counted.into_values().map(|(labels, counts)| {
        let labels = match by.is_empty() {
            true => vec![json!({"key": "__name__", "value": {"stringValue": name}})],
            false => labels,
        };
        // proto3's JSON leaves zeroes out, 64-bit integers are strings.
        let sample = |(n, count): (i64, &u32)| {
            json!({"timestampMs": ((start + (n + 1) * step) / 1_000_000).to_string(), "value": f64::from(*count) / per})
        };
        json!({"labels": labels, "samples": (0..).zip(&counts).map(sample).collect::<Vec<_>>()})
    });
    Ok(json!({"series": series.collect::<Vec<_>>(), "metrics": {}}))
}

type Fields = Vec<(String, super::field::Field)>;

fn grouping(tree: &Tree<'_>, by: List) -> Result<Fields, String> {
    evaluate::fields(tree, by)
}

/// For each group its labels, and how many spans begin in each interval `(start + n * step, start +
/// (n + 1) * step]`.
fn count(
    store: &Bookstore,
    search: &Search,
    by: &Fields,
    (start, intervals, step): (i64, i64, i64),
) -> BTreeMap<String, (Vec<Json>, Vec<u32>)> {
    let mut groups: BTreeMap<String, (Vec<Json>, Vec<u32>)> = BTreeMap::new();
    let until = start + intervals * step;
    for trace in store.traces(start - super::LONGEST..until + 1) {
        for span in search.matching(&trace).into_iter().filter_map(|i| trace.spans.get(i)) {
            let interval = (span.start - start - 1).div_euclid(step);
            if span.start <= start || interval >= intervals {
                continue;
            }
            let value = |field: &super::field::Field| field.of(&trace, span);
            let label = |name: &str, value: Json| json!({"key": name, "value": value});
            let values = by.iter().filter_map(|(name, field)| Some(label(name, value(field)?.any_value())));
            let mut labels: Vec<Json> = values.collect();
            if let (true, Some((name, _))) = (labels.is_empty(), by.first()) {
                // All are missing: Tempo shows the first as "nil".
                labels.push(label(name, Scalar::Text("nil".into()).any_value()));
            }
            let key = Json::Array(labels.clone()).to_string();
            let (_, counts) = groups
                .entry(key)
                .or_insert_with(|| (labels, vec![0; usize::try_from(intervals).unwrap_or(0)]));
            if let Some(count) = usize::try_from(interval).ok().and_then(|i| counts.get_mut(i)) {
                *count += 1;
            }
        }
    }
    groups
}
