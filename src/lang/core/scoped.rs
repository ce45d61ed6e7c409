//! Texts that may be sent: one that carries the scope at every selector, and one that was only read.

use crate::span::Span;
use crate::tenant::ScopeMatchers;

/// A scoped query text. Only a language's `scope` function makes one, and only after the text stood
/// its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedText {
    text: String,
    selectors: usize,
    insertions: Vec<Span>,
    scope: ScopeMatchers,
}

impl ScopedText {
    /// Seals `text`, which carries `scope`. To be called with proven text only.
    pub(in crate::lang) fn proven(
        text: String,
        selectors: usize,
        insertions: Vec<Span>,
        scope: &ScopeMatchers,
    ) -> Self {
        Self { text, selectors, insertions, scope: scope.clone() }
    }

    /// The caller's own text, where the scope is everything and so adds nothing; `None` for any other
    /// scope. To be called with a text that the reader took.
    pub(crate) fn unrestricted(text: impl Into<String>, scope: &ScopeMatchers) -> Option<Self> {
        scope.is_unrestricted().then(|| Self::proven(text.into(), 0, Vec::new(), scope))
    }

    /// The scope that it carries: whoever sends it must be granted just this one.
    pub fn scope(&self) -> &ScopeMatchers {
        &self.scope
    }

    /// The text to send.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text to send, owned.
    pub fn into_string(self) -> String {
        self.text
    }

    /// How many selectors the text has.
    pub fn selectors(&self) -> usize {
        self.selectors
    }

    /// Where our insertions are in the text, in order.
    pub fn insertions(&self) -> &[Span] {
        &self.insertions
    }
}

/// A query text that was read, and is written again from its tokens without a scope: for endpoints that read nothing
/// stored. Only a language's `reread` function makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadText(String);

impl ReadText {
    /// To be called with a text that the reader took and that says what the caller's said.
    pub(in crate::lang) fn read(text: String) -> Self {
        Self(text)
    }

    /// The text to send.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
