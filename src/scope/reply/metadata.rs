//! Prometheus' metadata of metrics: what targets say of names, which tenants share.
//!
//! A name is shown if the caller has it. Whose a help text is is not known, so none is shown; types and units are
//! where all targets say the same.
//!
//! The shapes are `metricMetadata` and `labelValues` in `web/api/v1/api.go`.

use super::json::Text;
use super::list::read;
use super::made::{Account, Made, written};
use crate::rejection::Rejection;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize, Serialize)]
struct Envelope<'a, D> {
    #[serde(borrow)]
    status: Text<'a>,
    data: D,
}

/// What one target, or several, say of a name.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
struct Metadata<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(skip_deserializing)]
    help: &'static str,
    #[serde(borrow)]
    unit: Text<'a>,
}

/// Cuts the metadata in `body` to the names in `names`, and then to `limit` of them.
///
/// # Errors
/// [`crate::rejection::UpstreamFault::Undecodable`] if one of the two does not decode.
pub(super) fn cut(
    limit: Option<usize>,
    names: &[u8],
    body: &[u8],
    account: Account,
) -> Result<Option<Made>, Rejection> {
    account.at_once(names.len().saturating_add(body.len()), || {
        let names: Envelope<'_, BTreeSet<Text<'_>>> = read(names)?;
        let said: Envelope<'_, BTreeMap<Text<'_>, Vec<Metadata<'_>>>> = read(body)?;
        let own = said.data.into_iter().filter(|(family, all)| is_own(&names.data, family, all));
        let shown = own.take(limit.unwrap_or(usize::MAX)).map(|(family, all)| (family, [agreed(&all)]));
        let mut out = Vec::new();
        written(&Envelope { status: said.status, data: shown.collect::<BTreeMap<_, _>>() }, &mut out)?;
        Ok(Some(out))
    })
}

/// Whether a series of `family`, which is of one of the types in `all`, has a name of the caller's.
fn is_own(names: &BTreeSet<Text<'_>>, family: &Text<'_>, all: &[Metadata<'_>]) -> bool {
    let has = |suffix: &&str| names.contains(&Text(format!("{}{suffix}", family.0).into()));
    names.contains(family) || all.iter().flat_map(|m| suffixes(&m.kind.0)).any(has)
}

/// What names of series have after the name of their family (`typeAllowsSuffix` in `web/api/v1/search.go`, and
/// `_created`, which that leaves out because it is asked for values).
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "histogram" => &["_bucket", "_sum", "_count", "_created"],
        "gaugehistogram" => &["_bucket", "_sum", "_count", "_gsum", "_gcount", "_created"],
        "summary" => &["_sum", "_count", "_created"],
        "info" => &["_info"],
        _ => &[],
    }
}

/// What all say alike.
fn agreed<'a>(all: &[Metadata<'a>]) -> Metadata<'a> {
    let unknown = || Text("unknown".into());
    let same = |text: &Text<'a>, is_same: bool| is_same.then(|| text.clone());
    let first = all.first();
    let kind = first.and_then(|first| same(&first.kind, all.iter().all(|m| m.kind == first.kind)));
    let unit = first.and_then(|first| same(&first.unit, all.iter().all(|m| m.unit == first.unit)));
    Metadata { kind: kind.unwrap_or_else(unknown), help: "", unit: unit.unwrap_or_default() }
}
