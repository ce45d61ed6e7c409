//! PromQL: read, scoped, proven.
//!
//! The language is that of Prometheus 3.16, whose parser takes duration expressions and `anchored`
//! and `smoothed` always; older servers refuse them themselves. Experimental functions and fill
//! modifiers need their [`Feature`](crate::lang::Feature), as there. `info` is refused: it reads
//! series that no selector names.

pub mod function;
#[cfg(any(test, feature = "fuzzing"))]
pub mod invariants;
pub mod lex;
pub mod number;
pub mod parse;
mod prove;
mod scan;
pub mod scope;
pub mod second_opinion;
pub mod tree;
pub mod word;

pub use parse::parse;
pub use scope::{reread, scope, scope_selector};
pub use second_opinion::{Opinion, scope_with_second_opinion};
pub use tree::Tree;

/// What a whole text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// An expression of any type, as in `query`.
    Expression,
    /// One instant vector selector without modifiers, as in `match[]`.
    Selector,
    /// The same as federation takes it: its matchers may all match the empty string (`web/federate.go`).
    AnySelector,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp)]
mod tests;
