//! Remembering what queries became, so that a dashboard's are scoped and proven once.
//!
//! Where they are kept is not this floor's business: a [`Memory`] keeps entries by a number and gives
//! them back. It need not be believed: an entry has the whole of what decided it, and is taken only for
//! just that.

use crate::api::Text;
use crate::lang::{Closed, Features, QueryError, ScopedText};
use crate::limits::QueryLimits;
use crate::tenant::ScopeMatchers;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

/// Keeps scoped queries. Whatever it gives back, or forgets, no outcome changes.
pub trait Memory: Send + Sync {
    /// Whether `number` was met before; from now on it was. What was not is neither looked for nor kept.
    fn met(&self, number: u64) -> bool;

    /// The entry kept under `number`, if it is still there.
    fn recall(&self, number: u64) -> Option<Arc<Remembered>>;

    /// Keeps `entry` under `number`, in place of any other.
    fn keep(&self, number: u64, entry: Arc<Remembered>);
}

/// A scoped query, and all that decided what it became.
#[derive(Debug)]
pub struct Remembered {
    text: Text,
    features: Features,
    closed: Closed,
    limits: QueryLimits,
    matchers: ScopeMatchers,
    query: Box<str>,
    scoped: Arc<ScopedText>,
}

/// What an entry weighs beside its texts, in bytes; about what is allocated for it.
const ENTRY_BYTES: usize = 512;

impl Remembered {
    /// About how much memory it takes, in bytes. Values are counted in every entry, though entries can
    /// share them.
    pub fn bytes(&self) -> usize {
        let values =
            |m: &crate::tenant::ScopeMatcher| m.values.iter().map(|v| v.as_str().len() + 32).sum::<usize>();
        let matchers: usize = self.matchers.iter().map(|m| m.label.len() + values(m)).sum();
        let insertions = size_of_val(self.scoped.insertions());
        ENTRY_BYTES + matchers + self.query.len() + self.scoped.as_str().len() + insertions
    }

    fn question(&self) -> Question<'_> {
        Question {
            text: self.text,
            features: self.features,
            closed: &self.closed,
            limits: &self.limits,
            matchers: &self.matchers,
            query: &self.query,
        }
    }
}

/// All that decides what a query becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    /// The language, and what the text must be in it.
    pub text: Text,
    /// What the operator declares of the backend.
    pub features: Features,
    /// What the operator closed in queries.
    pub closed: &'a Closed,
    /// The caps.
    pub limits: &'a QueryLimits,
    /// The scope in the backend's labels.
    pub matchers: &'a ScopeMatchers,
    /// The caller's text.
    pub query: &'a str,
}

/// Nobody who sends queries can choose two of one number.
static NUMBERS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Question<'_> {
    /// Equal for equal questions. What hardly differs between a server's questions is left out of it.
    fn number(&self) -> u64 {
        NUMBERS.hash_one((self.matchers, self.query))
    }

    /// What `memory` has for just this question, or else what `scope` makes of it, which is then kept.
    /// Refusals are not: a text is read only as far as its fault.
    pub fn answer(
        &self,
        memory: Option<&dyn Memory>,
        scope: impl FnOnce(&Self) -> Result<ScopedText, QueryError>,
    ) -> Result<Arc<ScopedText>, QueryError> {
        let Some(memory) = memory else { return scope(self).map(Arc::new) };
        let number = self.number();
        if !memory.met(number) {
            return scope(self).map(Arc::new);
        }
        if let Some(entry) = memory.recall(number).filter(|entry| entry.question() == *self) {
            return Ok(Arc::clone(&entry.scoped));
        }
        let scoped = Arc::new(scope(self)?);
        let entry = Remembered {
            text: self.text,
            features: self.features,
            closed: self.closed.clone(),
            limits: self.limits.clone(),
            matchers: self.matchers.clone(),
            query: self.query.into(),
            scoped: Arc::clone(&scoped),
        };
        memory.keep(number, Arc::new(entry));
        Ok(scoped)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
