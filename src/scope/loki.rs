//! Parameters of Loki that are read here, so that they mean on everyone's data what they would mean on the
//! caller's alone.

use super::Asked;
use crate::api::path::is_label_name;
use crate::lang::logql::{Entry, parse};
use crate::lang::{Features, Language};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;
use serde::{Deserialize, Serialize};

/// What asks for the volume of every stream, in just this spelling (`MatchAny` in
/// `pkg/storage/stores/index/seriesvolume/volume.go`).
pub(super) const EVERYTHING: &str = "{}";

/// Whether the list of selectors for `series` is a lone `{}`, which Loki takes for none: the same text may be there
/// several times, and have spaces, but no other white space (`ParseSeriesQuery` in `pkg/loghttp/series.go`).
pub(super) fn is_no_selector(given: &[&str]) -> bool {
    let Some((first, others)) = given.split_first() else { return false };
    others.iter().all(|other| other == first) && first.bytes().filter(|b| *b != b' ').eq(*b"{}")
}

/// What Loki takes out of a selector before it looks for streams (`cleanMatchers` in
/// `pkg/storage/stores/shipper/indexshipper/tsdb/index_client.go`).
const NO_LABELS: [&str; 2] = ["__name__", "__cortex_shard__"];

/// What the labels of a volume are: those that are `given`, else those that the caller's own query names;
/// `None`: no label is to be named.
///
/// Loki groups series by the labels that the query names (`PrepareLabelsAndMatchers` in
/// `pkg/util/series_volume.go`), and would show those of the scope; of the series that [`EVERYTHING`] says it
/// shows all labels, which no scoped query can ask for. Sums by name of label (`aggregateBy=labels`) are of all
/// labels, whatever the query names.
///
/// # Errors
/// [`Rejection::Parameter`] for what are no names of labels, and where they are needed;
/// [`Rejection::Query`] as for the query itself.
pub(super) fn target_labels(
    name: &'static str,
    given: Option<&str>,
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<Option<String>, Rejection> {
    if let Some(given) = given {
        // An empty one among others is a name that no stream has (`targetLabels` in `pkg/loghttp/query.go`); nothing but
        // empty ones would name none.
        let is_name = |label: &str| label.is_empty() || is_label_name(label);
        return match given.split(',').all(is_name) && given.split(',').any(is_label_name) {
            true => Ok(Some(given.to_owned())),
            false => Err(Rejection::parameter(name, "is no list of label names, joined by commas")),
        };
    }
    if matchers.is_unrestricted() || asked.parameters.scalar("aggregateBy") == Some("labels") {
        return Ok(None);
    }
    let query = asked.parameters.scalar("query").unwrap_or("");
    let missing = || Err(Rejection::parameter(name, "is missing: say which labels are shown"));
    if query == EVERYTHING {
        return missing();
    }
    let tree = parse(query, Entry::Selector, Features::NONE, &limits.query)
        .map_err(|error| Rejection::query(Language::LogQl, error, query))?;
    let mut labels: Vec<&str> =
        tree.selectors().iter().flat_map(|s| tree.matchers(s)).map(|m| m.label).collect();
    labels.retain(|label| !NO_LABELS.contains(label));
    labels.sort_unstable();
    labels.dedup();
    match labels.is_empty() {
        true => missing(),
        false => Ok(Some(labels.join(","))),
    }
}

/// A part of the streams by the hash of their labels, as an answer of `index/shards` says it (`Shard` in
/// `pkg/logproto/indexgateway.proto`).
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Bounded {
    bounds: Bounds,
    #[serde(default)]
    stats: Option<Stats>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    min: u64,
    max: u64,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Stats {
    streams: u64,
    chunks: u64,
    bytes: u64,
    entries: u64,
}

/// The most shards that Loki's older way divides streams into here.
const MAX_SHARDS: u32 = 65_536;

/// A shard, written anew: `3_of_16`, where the number is a power of two as in all that Loki makes itself, or a
/// [`Bounded`] one (`ParseShard` in `pkg/logql/shards.go`).
///
/// # Errors
/// [`Rejection::Parameter`] for anything else.
pub(super) fn shard(name: &'static str, text: &str) -> Result<String, Rejection> {
    let refused =
        || Rejection::parameter(name, "is neither `I_of_N`, N a power of two, nor from `index/shards`");
    if text.starts_with('{') {
        let bounded: Bounded = serde_json::from_str(text).map_err(|_| refused())?;
        return serde_json::to_string(&bounded).map_err(|error| Rejection::Defect(error.to_string()));
    }
    let number = |text: &str| {
        let plain = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| plain)
    };
    let (index, of) = text.split_once("_of_").ok_or_else(refused)?;
    match (number(index), number(of)) {
        (Some(index), Some(of)) if index < of && of.is_power_of_two() && of <= MAX_SHARDS => {
            Ok(format!("{index}_of_{of}"))
        }
        _ => Err(refused()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
