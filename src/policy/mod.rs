//! What a caller may see: rules in YAML files, whose conditions and scopes are expressions over the
//! verified claims of the caller's token.
//!
//! `file` is the shape of a file and the reading of a folder, `expression` cages the CEL crate,
//! `compile` turns files into [`Policies`], `decide` turns claims into [`Grants`], and `narrow`
//! turns grants and the caller's own wish into the one [`Grant`] that scoping requires.
//!
//! Everything denies by default: no rule, no access; a rule whose expression cannot be evaluated does
//! not apply; one value that could not be said safely refuses the whole token.

mod compile;
mod condition;
mod decide;
mod expression;
mod facts;
mod file;
mod grant;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::panic)]
mod invariants;
mod limits;
mod maps;
mod narrow;

pub use compile::{MAX_RULES, Policies, is_dimension};
pub use condition::Condition;
pub use decide::{Judgement, Outcome, Verdict};
pub use expression::MAX_EXPRESSION_BYTES;
pub use facts::Facts;
pub use file::read_folder;
pub use grant::{Grant, Grants, united};
#[cfg(any(test, feature = "fuzzing"))]
pub use invariants::check as check_invariants;
pub use limits::{Allowed, Rate, RuleLimits, Share};
pub use narrow::{Narrowing, SCOPE_HEADER, TENANT_HEADER};

#[cfg(test)]
mod tests;
