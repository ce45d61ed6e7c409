//! Which names of tags are the caller's: what Tempo lists under a hint, confirmed by searches.
//!
//! Tempo lists an attribute that it has a column of its own for where anyone's span has it
//! (`tagNamesForSpecialColumns` in `block_autocomplete.go` of `tempodb/encoding/vparquet4` and `vparquet5`), and an
//! operator may give any attribute of a resource, span or event such a column. So each of these is asked for by
//! searches as the caller could make them. One asks for all at once, and what the caller's spans show exists; one
//! that finds nothing proves that none of those that it names does.

use super::search;
use super::tag_names::{NamesAnswer, TagScope, written};
use crate::api::parameters::Parameters;
use crate::api::{Kind, path};
use crate::lang::traceql::attribute;
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::{Accept, Asked, Carried};
use std::collections::{BTreeMap, BTreeSet};

/// How often names are searched for. Each time one of them at least is confirmed, or all are known to be missing;
/// mostly twice is enough.
const SEARCHES: usize = 8;

/// Bytes of names, as they are written, that one search asks for. Each is written once; what is more waits.
const NAMES_BYTES: usize = 6 * 1024;

/// How many names are searched for at all.
const NAMES: usize = 2000;

/// How many traces a search is asked for, and how many spans of each, as for values.
const TRACES: u64 = 100;
const SPANS: &str = "20";

/// What is needed to confirm names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The keys of the scope's own attributes: every span of the caller's shows them, on its resource.
    pub own: Vec<String>,
    /// The range that names were asked for, if one was.
    pub range: Vec<(&'static str, String)>,
}

/// Names that were found, of which some are to be confirmed.
#[derive(Debug, Default)]
pub struct Confirming {
    confirmed: BTreeSet<(TagScope, String)>,
    pending: BTreeSet<(TagScope, String)>,
    /// What the last search asked for, by the key that shows it.
    asked: BTreeMap<String, TagScope>,
    searches: usize,
}

impl Confirming {
    /// The names in `body`, an answer of Tempo's in JSON.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if it does not decode.
    pub fn read(body: &[u8]) -> Result<Self, UpstreamFault> {
        let answer: NamesAnswer<'_> = serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable)?;
        let mut names = Self::default();
        for scope in &answer.scopes {
            scope.tags.iter().for_each(|tag| names.add(&scope.name.0, &tag.0));
        }
        Ok(names)
    }

    /// Adds a name that was found under `scope`.
    pub(super) fn add(&mut self, scope: &str, name: &str) {
        let Some(scope) = TagScope::named(scope) else { return };
        // No column is of a link or of an instrumentation, and every span has the intrinsics. A name that no query
        // can say is listed only where it is no column.
        let columns = matches!(scope, TagScope::Resource | TagScope::Span | TagScope::Event);
        let pending = columns && attribute(&scope.to_string(), name).is_some();
        let list = if pending { &mut self.pending } else { &mut self.confirmed };
        list.insert((scope, name.to_owned()));
    }

    /// The next search, for a caller who may ask for `entries` at once; none where all are decided, or too many
    /// are not.
    ///
    /// # Errors
    /// [`Rejection::Defect`] if Tempo has no searches.
    pub fn search(
        &mut self,
        confirm: &Confirm,
        entries: Option<u64>,
        carried: &Carried,
    ) -> Result<Option<Asked>, Rejection> {
        self.asked.clear();
        if self.pending.is_empty() || self.searches >= SEARCHES || self.pending.len() > NAMES {
            return Ok(None);
        }
        self.searches += 1;
        let mut conditions = String::new();
        for (scope, name) in &self.pending {
            let Some(text) = attribute(&scope.to_string(), name) else { continue };
            let alone = confirm.says(*scope, name);
            let full = conditions.len().saturating_add(text.len()) > NAMES_BYTES || alone;
            if self.asked.contains_key(name) || (full && !self.asked.is_empty()) {
                continue;
            }
            conditions.push_str(if self.asked.is_empty() { "" } else { " || " });
            conditions.push_str(&text);
            conditions.push_str(" != nil");
            self.asked.insert(name.clone(), *scope);
            if alone {
                break;
            }
        }
        let mut fields = vec![
            ("q", format!("{{ {conditions} }}")),
            ("limit", entries.unwrap_or(TRACES).min(TRACES).to_string()),
            ("spss", SPANS.to_owned()),
        ];
        fields.extend(confirm.range.iter().cloned());
        let matched = path::route(Kind::Tempo, "/api/search")?;
        let parameters = Parameters::of_message(matched.endpoint, fields)?;
        let carried = carried.clone();
        Ok(Some(Asked { matched, parameters, body: None, accept: Accept::Json, carried }))
    }

    /// Takes what is in `body`, the answer to the last search after its cut.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if it does not decode.
    pub fn found(&mut self, confirm: &Confirm, body: &[u8]) -> Result<(), UpstreamFault> {
        let keys = search::keys(body)?;
        for (name, scope) in std::mem::take(&mut self.asked) {
            // Asked for alone: whatever was found has it. And every span has a name of its service, if an empty
            // one (`Resource` in `tempodb/encoding/vparquet4/schema.go`).
            let by_any = confirm.says(scope, &name)
                || (scope == TagScope::Resource && (name == "service.name" || confirm.own.contains(&name)));
            let has = keys.as_ref().is_some_and(|keys| by_any || keys.contains(&name));
            if has || keys.is_none() {
                let one = (scope, name);
                self.pending.remove(&one);
                if has {
                    self.confirmed.insert(one);
                }
            }
        }
        Ok(())
    }

    /// The names that are listed: those that are confirmed, and of those that could not be decided what is no
    /// column of Tempo's unless an operator made it one.
    pub(super) fn listed(&self) -> impl Iterator<Item = &(TagScope, String)> {
        let undecided = self.pending.iter().filter(|(scope, name)| !scope.may_be_column(name));
        self.confirmed.iter().chain(undecided)
    }

    /// The same as an answer of Tempo's in JSON.
    ///
    /// # Errors
    /// [`Rejection::Defect`] if it cannot be written.
    pub fn written(&self) -> Result<Vec<u8>, Rejection> {
        written(self.listed())
    }
}

impl Confirm {
    /// Whether a span can show the scope's own attribute under the same key.
    fn says(&self, scope: TagScope, name: &str) -> bool {
        scope != TagScope::Resource && self.own.iter().any(|own| own == name)
    }
}
