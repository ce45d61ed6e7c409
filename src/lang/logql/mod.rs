//! LogQL: read, scoped, proven.
//!
//! The grammar is that of Loki 3.7. [`parse()`] gives a [`tree::Tree`] that can be evaluated; [`scope()`]
//! puts a caller's scope into every stream selector of a text.

mod demand;
mod kind;
pub mod lex;
mod number;
mod parse;
mod prove;
mod scan;
mod scope;
pub mod tree;
mod word;

#[cfg(any(test, feature = "fuzzing"))]
pub mod invariants;

pub use self::parse::{Entry, parse};
pub use self::scope::{reread, scope, scope_selector};
pub use self::word::label_usable;

#[cfg(test)]
mod tests;
