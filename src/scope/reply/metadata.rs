//! Prometheus' metadata of metrics: what the caller's own targets say of the caller's names.
//!
//! Whose a text is Prometheus tells where it lists metadata by target (`targetMetadata` in `web/api/v1/api.go`), so that
//! is asked, and written as the list by name has it (`metricMetadata` and `labelValues` there).

use super::json::Text;
use super::list::read;
use super::made::{Account, Made, written};
use crate::rejection::{Rejection, UpstreamFault};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize, Serialize)]
struct Envelope<'a, D> {
    #[serde(borrow)]
    status: Text<'a>,
    data: D,
}

/// What one target says of a family.
#[derive(Deserialize)]
struct Said<'a> {
    /// Not said again where one family was asked for.
    #[serde(borrow)]
    metric: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    help: Text<'a>,
    #[serde(borrow)]
    unit: Text<'a>,
}

/// What is said of a family.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Metadata<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    help: Text<'a>,
    unit: Text<'a>,
}

/// What of the metadata is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// The one family that was asked for, if one was.
    pub metric: Option<String>,
    /// How many families are shown; all without it.
    pub limit: Option<usize>,
    /// How much is shown of each that targets do not say alike.
    pub limit_each: Option<usize>,
}

/// Makes the metadata of `families` with names in `names` of what the targets in `body` say.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if one of the two does not decode.
pub(super) fn cut(
    families: &Families,
    names: &[u8],
    body: &[u8],
    account: Account,
) -> Result<Option<Made>, Rejection> {
    account.at_once(names.len().saturating_add(body.len()), || {
        let names: Envelope<'_, BTreeSet<Text<'_>>> = read(names)?;
        let said: Envelope<'_, Vec<Said<'_>>> = read(body)?;
        let mut all: BTreeMap<Text<'_>, BTreeSet<Metadata<'_>>> = BTreeMap::new();
        for Said { metric, kind, help, unit } in said.data {
            let asked = || families.metric.as_deref().map(|name| Text(name.into()));
            let family = metric.or_else(asked).ok_or(UpstreamFault::Undecodable)?;
            all.entry(family).or_default().insert(Metadata { kind, help, unit });
        }
        let own = all.into_iter().filter(|(family, said)| is_own(&names.data, family, said));
        let each = families.limit_each.unwrap_or(usize::MAX);
        let shown = own.take(families.limit.unwrap_or(usize::MAX));
        let shown = shown.map(|(family, said)| (family, said.into_iter().take(each).collect()));
        let mut out = Vec::new();
        let data = shown.collect::<BTreeMap<_, Vec<_>>>();
        written(&Envelope { status: said.status, data }, &mut out)?;
        Ok(Some(out))
    })
}

/// Whether a series of `family`, which is of one of the types in `all`, has a name of the caller's.
fn is_own(names: &BTreeSet<Text<'_>>, family: &Text<'_>, all: &BTreeSet<Metadata<'_>>) -> bool {
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
