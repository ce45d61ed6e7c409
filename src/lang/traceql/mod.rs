//! TraceQL: read, scoped, proven.
//!
//! Beyond what every language does, the proof reads a long text as Tempo's own scanner does, in chunks
//! of 1,024 bytes ([`chunk`]), after laying it out so that this makes no difference ([`layout`]).

pub mod chunk;
mod extract;
pub mod hint;
pub mod intrinsic;
pub mod layout;
pub mod lex;
mod literal;
mod others;
pub mod parse;
mod prove;
mod scan;
pub mod scope;
pub mod tag;
pub mod tree;
mod with;

#[cfg(any(test, feature = "fuzzing"))]
pub mod invariants;
#[cfg(test)]
mod tests;

pub use hint::hint;
pub(crate) use literal::go as go_duration;
pub use others::Others;
pub use parse::{Entry, parse};
pub use scope::{scope, scope_selector, unrestricted};
pub use tag::{Tag, attribute, parse_tag};
