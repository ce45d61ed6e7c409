//! Hints, `with(name=value, …)`: which are kept, and the one that is ours.
//!
//! A list replaces those before it (`root hints` in Tempo's `expr.y`). Of a list Tempo takes the first of a name and a
//! type (`Hints.Get` in `pkg/traceql/enum_hints.go`), and passes over names that it does not know. It prints all of them
//! where it makes a query canonical (`Hints.String`), so that the salt is in whatever it keeps a result under: the
//! frontend's cache (`hashForSearchRequest`, `hashForQueryRangeRequest` in `modules/frontend`), and what is kept beside a
//! recent block (`queryRangeHashForBlock` in `modules/livestore`, in 2.9 in `modules/generator`), which is under the text as
//! it was sent. True of Tempo 2.7 to 3.1.

use super::lex::Kind;
use super::tree::{Hint, Static, Tree};
use crate::lang::core::emit::Insertion;
use crate::lang::core::token::Token;
use crate::tenant::Salt;
use std::borrow::Cow;

/// The hint that carries the salt of the scope. Tempo knows none of this name.
pub(super) const SALT: &str = "palisade";

/// Most exemplars that a hint may ask for. Tempo's own `max_exemplars`, which is 100, does not hold for hints in 2.9.
pub(super) const MAX_EXEMPLARS: usize = 1000;

/// What becomes of a hint of this name: kept (`true`) or dropped; `None` for one that is not known.
///
/// Sampling is dropped, since the exact answer is the better one, and a sample is chosen by what others sent as
/// well. The rest has no effect unless `unsafe_query_hints` is set, and then none on answers but for tests.
pub(super) fn is_kept(name: &str) -> Option<bool> {
    Some(match name {
        "most_recent" | "exemplars" => true,
        "sample" | "trace_sample" | "span_sample" | "extrapolate" => false,
        "job_size" | "time_overlap_cutoff" | "concurrent_blocks" | "spanonly_fetch" => false,
        "debug" | "info" | "debug_return_in" | "debug_std_dev" | "debug_data_factor" => false,
        "skip_ast_transformations" | SALT => false,
        _ => return None,
    })
}

/// Where the hints are, counted in tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    /// Where each list begins.
    pub lists: Vec<usize>,
    /// Where each hint of the last list is, in the order of [`Tree::hints`]: from its name to after its value.
    pub hints: Vec<(usize, usize)>,
}

impl Site {
    /// What of `tokens` from the first list on is kept: the last list, of the hints that are kept alone.
    pub fn kept(&self, tokens: &[Token<Kind>], tree: &Tree<'_>) -> Vec<Token<Kind>> {
        let mut kept = Vec::new();
        let hints = tree.hints().iter().zip(&self.hints);
        for (_, (from, to)) in hints.filter(|(hint, _)| is_kept(hint.name) == Some(true)) {
            // `with (` before the first, a comma before others.
            let before = match kept.is_empty() {
                true => self.lists.last().and_then(|list| tokens.get(*list..*list + 2)),
                false => tokens.get(from - 1..*from),
            };
            kept.extend_from_slice(before.unwrap_or_default());
            kept.extend_from_slice(tokens.get(*from..*to).unwrap_or_default());
        }
        if !kept.is_empty() {
            kept.extend(tokens.last());
        }
        kept
    }
}

/// The salt, as a hint after the others, which `list` says whether there are.
pub(super) fn insertion(salt: &Salt, tokens: usize, list: bool) -> Insertion<'static> {
    let hint = format!("{SALT}=\"{}\"", salt.as_str());
    let (at, text) =
        if list { (tokens - 1, format!(", {hint}")) } else { (tokens, format!(" with({hint})")) };
    Insertion { at, text: Cow::Owned(text) }
}

/// Whether the hints of a scoped text are those that are kept of the caller's, and the salt if there is one, in one
/// list.
pub(super) fn agree(input: &Tree<'_>, out: &Tree<'_>, salt: Option<&Salt>) -> bool {
    let salt = salt.map(|salt| Hint { name: SALT, value: Static::String(salt.as_str().as_bytes().into()) });
    let kept = input.hints().iter().filter(|hint| is_kept(hint.name) == Some(true));
    kept.chain(&salt).eq(out.hints()) && out.sites.hints.lists.len() == usize::from(!out.hints().is_empty())
}
