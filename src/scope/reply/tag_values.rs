//! Tag values: the values of one tag, from one call or several, each once.
//!
//! The shape is `SearchTagValuesV2Response` in `pkg/tempopb/tempo.proto`. Tempo promises no order.

use super::Unlisted;
use super::json::Text;
use super::list::read;
use super::made::{Account, Made, written as put};
use super::otlp::Empty;
use crate::rejection::Rejection;
use crate::tenant::Values;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagValuesAnswer<'a> {
    #[serde(borrow, default)]
    pub tag_values: Vec<TagValue<'a>>,
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
pub(super) struct TagValue<'a> {
    #[serde(borrow, rename = "type", default)]
    pub kind: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub value: Text<'a>,
}

impl TagValue<'_> {
    /// Whether it may be left. A value without a type is what Tempo answers for positions in nested
    /// sets, and means nothing.
    fn is_kept(&self, kept: Option<&Values>) -> bool {
        let allowed = |kept: &Values| self.kind.0 == "string" && kept.contains(&self.value.0);
        !self.kind.is_empty() && kept.is_none_or(allowed)
    }
}

/// One call for the values of a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// The only values that may be left; none: all.
    pub kept: Option<Values>,
    /// What its answer may leave out, where it may.
    pub unlisted: Option<Unlisted>,
}

/// Merges the answers in `bodies`, which are JSON; of each only the values that were sought. `flat`: in the older
/// shape.
///
/// # Errors
/// [`crate::rejection::UpstreamFault::Undecodable`] if one does not decode.
pub(super) fn cut(
    sought: &[Sought],
    flat: bool,
    bodies: &[&[u8]],
    account: Account,
) -> Result<Option<Made>, Rejection> {
    account.at_once(bodies.iter().map(|body| body.len()).sum(), || {
        let mut tag_values = BTreeSet::new();
        for (sought, body) in sought.iter().zip(bodies) {
            let answer: TagValuesAnswer<'_> = read(body)?;
            tag_values.extend(answer.tag_values.into_iter().filter(|v| v.is_kept(sought.kept.as_ref())));
        }
        let mut out = Vec::new();
        if flat {
            let tag_values = tag_values.iter().map(|tag: &TagValue<'_>| &tag.value).collect();
            put(&FlatReply { tag_values, metrics: Empty {} }, &mut out)?;
        } else {
            put(&TagValuesReply { tag_values, metrics: Empty {} }, &mut out)?;
        }
        Ok(Some(out))
    })
}

/// The answer of Tempo's that lists `values`, in JSON.
///
/// # Errors
/// [`Rejection::Defect`] if it cannot be written.
pub(super) fn written<'v>(values: impl Iterator<Item = (&'v str, &'v str)>) -> Result<Vec<u8>, Rejection> {
    let text = |text: &'v str| Text(text.into());
    let tag_values = values.map(|(kind, value)| TagValue { kind: text(kind), value: text(value) }).collect();
    let reply = TagValuesReply { tag_values, metrics: Empty {} };
    let mut out = Vec::new();
    put(&reply, &mut out).map(|()| out)
}
