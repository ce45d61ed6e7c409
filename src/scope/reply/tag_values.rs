//! Tag values: the values of one tag, from one call or several, each once.
//!
//! The shape is `SearchTagValuesV2Response` in `pkg/tempopb/tempo.proto`. Tempo promises no order.

use super::Filtered;
use super::json::Text;
use super::otlp::Empty;
use crate::rejection::{Rejection, UpstreamFault};
use crate::tenant::Values;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagValuesAnswer<'a> {
    #[serde(borrow, default)]
    tag_values: Vec<TagValue<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TagValuesReply<'a> {
    tag_values: BTreeSet<TagValue<'a>>,
    /// Empty: the backend's counts are of everyone's data.
    metrics: Empty,
}

/// `SearchTagValuesResponse`: values of every type as texts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatReply<'a> {
    tag_values: BTreeSet<&'a Text<'a>>,
    metrics: Empty,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct TagValue<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    value: Text<'a>,
}

impl TagValue<'_> {
    /// Whether it may be left. A value without a type is what Tempo answers for positions in nested
    /// sets, and means nothing.
    fn is_kept(&self, kept: Option<&Values>) -> bool {
        let allowed = |kept: &Values| self.kind.0 == "string" && kept.contains(&self.value.0);
        !self.kind.is_empty() && kept.is_none_or(allowed)
    }
}

/// Merges the answers in `bodies`, which are JSON; of each only the values in `kept`. `flat`: in the older shape.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if one does not decode.
pub(super) fn cut(kept: &[Option<Values>], flat: bool, bodies: &[&[u8]]) -> Result<Filtered, Rejection> {
    let mut tag_values = BTreeSet::new();
    for (kept, body) in kept.iter().zip(bodies) {
        let answer: TagValuesAnswer<'_> =
            serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable)?;
        tag_values.extend(answer.tag_values.into_iter().filter(|v| v.is_kept(kept.as_ref())));
    }
    if flat {
        let tag_values = tag_values.iter().map(|tag: &TagValue<'_>| &tag.value).collect();
        return Filtered::json(&FlatReply { tag_values, metrics: Empty {} });
    }
    Filtered::json(&TagValuesReply { tag_values, metrics: Empty {} })
}
