//! What of a tag's values Tempo's list leaves out, and how it is asked for: by searches as the caller could make
//! them, each for other values than are known, whose answers are cut like any search's.

use super::search;
use super::tag_values::{TagValuesAnswer, written};
use crate::api::parameters::Parameters;
use crate::api::{Kind, path};
use crate::lang::traceql::Others;
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::{Accept, Asked, Carried};
use std::collections::BTreeSet;

/// Bytes of values, each counted with one more, beyond which no others are asked for: what names them all must
/// fit into a URL.
pub const LISTED_BYTES: usize = 8 * 1024;

/// How often others are asked for. Each time at least one more is known, and mostly all are at once.
pub const SEARCHES: usize = 8;

/// How many traces a search is asked for, and how many spans of each. Tempo takes 100 spans at most unless it
/// is told otherwise (`max_spans_per_span_set`).
const TRACES: u64 = 100;
const SPANS: u64 = 20;

/// A value: its type and its text, as Tempo lists them.
pub type Listing = (String, String);

/// What a call for a tag's values may leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// The search for it.
    pub others: Others,
    /// The range that was asked for, if one was.
    pub range: Vec<(&'static str, String)>,
    /// How many values were asked for; none: all.
    pub most: Option<usize>,
    /// Whether searches tell the values of the range. Tempo lists those of all blocks that touch a range, and when a
    /// block begins and ends others' spans decide.
    pub exact: bool,
}

/// What a search for values found.
#[derive(Debug)]
pub struct Found {
    /// Values that were not known.
    pub new: Vec<Listing>,
    /// Whether another search may find others.
    pub more: bool,
}

/// The values of one tag that are known.
#[derive(Debug, Default)]
pub struct Listed {
    values: BTreeSet<Listing>,
    /// Elements of lists, which Tempo lists or does not as it likes.
    elements: BTreeSet<Listing>,
    bytes: usize,
    /// Whether every span was found that has a value.
    complete: bool,
}

impl Unlisted {
    /// The search for values other than `listed`, for a caller who may ask for `entries` at once; none where
    /// there are so many that no others are asked for.
    ///
    /// # Errors
    /// [`Rejection::Defect`] if Tempo has no searches.
    pub fn search(
        &self,
        listed: &Listed,
        entries: Option<u64>,
        carried: &Carried,
    ) -> Result<Option<Asked>, Rejection> {
        if self.has_enough(listed) || listed.is_full() {
            return Ok(None);
        }
        let known = listed.values.iter().map(|(kind, text)| (kind.as_str(), text.as_str()));
        let mut fields = vec![
            ("q", self.others.filter(known)),
            ("limit", asked(entries).to_string()),
            ("spss", SPANS.to_string()),
        ];
        fields.extend(self.range.iter().cloned());
        let matched = path::route(Kind::Tempo, "/api/search")?;
        let parameters = Parameters::of_message(matched.endpoint, fields)?;
        let carried = carried.clone();
        Ok(Some(Asked { matched, parameters, body: None, accept: Accept::Json, carried }))
    }

    /// The values in `body`, the answer to such a search for `entries` after its cut, that were not listed. They are
    /// from now on. There are no others where every span that has one was found.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if it does not decode.
    pub fn found(
        &self,
        listed: &mut Listed,
        entries: Option<u64>,
        body: &[u8],
    ) -> Result<Found, UpstreamFault> {
        let mut new = Vec::new();
        let found = search::values(self.others.key(), body)?;
        listed.complete = found.all_spans && (found.traces as u64) < asked(entries);
        listed.elements.extend(found.elements);
        for value in found.values {
            if !self.has_enough(listed) && listed.add(value.clone()) {
                new.push(value);
            }
        }
        let more = !new.is_empty() && !listed.complete;
        Ok(Found { new, more })
    }

    /// The values of the range: those that searches `found`, and those of `told`, which is Tempo's list, that they
    /// show, or all of it where they did not find every span.
    #[must_use]
    pub fn settled(&self, found: Listed, told: Listed) -> Listed {
        let Listed { mut values, elements, complete, .. } = found;
        values.extend(told.values.into_iter().filter(|value| !complete || elements.contains(value)));
        let most = self.most.unwrap_or(usize::MAX);
        Listed { values: values.into_iter().take(most).collect(), ..Listed::default() }
    }

    fn has_enough(&self, listed: &Listed) -> bool {
        !self.exact && self.most.is_some_and(|most| listed.values.len() >= most)
    }
}

/// How many traces a search asks for, for a caller who may ask for `entries` at once.
fn asked(entries: Option<u64>) -> u64 {
    entries.unwrap_or(TRACES).min(TRACES)
}

impl Listed {
    /// Those that `body`, an answer of Tempo's in JSON, lists.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if it does not decode.
    pub fn read(body: &[u8]) -> Result<Self, UpstreamFault> {
        let answer: TagValuesAnswer<'_> =
            serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable)?;
        let mut listed = Self::default();
        for value in answer.tag_values {
            listed.add((value.kind.0.into_owned(), value.value.0.into_owned()));
        }
        Ok(listed)
    }

    /// Adds a value, if it is none of them.
    pub(super) fn add(&mut self, value: Listing) -> bool {
        let bytes = value.1.len().saturating_add(1);
        let new = self.values.insert(value);
        self.bytes = if new { self.bytes.saturating_add(bytes) } else { self.bytes };
        new
    }

    /// Whether there are so many that no others are asked for.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes > LISTED_BYTES
    }

    /// Whether these are all, whatever Tempo lists: every span was found, and none has a list.
    pub fn is_settled(&self) -> bool {
        self.complete && self.elements.is_empty()
    }

    /// All of them.
    pub(super) fn values(self) -> Vec<Listing> {
        self.values.into_iter().collect()
    }

    /// The same as an answer of Tempo's in JSON.
    ///
    /// # Errors
    /// [`Rejection::Defect`] if it cannot be written.
    pub fn written(&self) -> Result<Vec<u8>, Rejection> {
        written(self.values.iter().map(|(kind, text)| (kind.as_str(), text.as_str())))
    }
}
