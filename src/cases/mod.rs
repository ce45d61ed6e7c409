//! Policy cases: beside each policy file `NAME.yaml` stands `NAME.cases.yaml`, which says for some
//! callers and requests exactly what is sent to a backend, or why nothing is.
//!
//! `ask` runs one request through policy and scoping without a server, `file` is the shape of a file of
//! cases, `run` runs them, `explain` says in full what becomes of a request, `written` writes it as a case, and `lint` finds what is allowed and still likely a mistake. All of it is pure:
//! `palisade check`, the start of a server and a reload do the same.

mod ask;
mod explain;
mod file;
mod lint;
mod run;
mod written;

pub use ask::{Asking, Heard, Request, ask};
pub use explain::{
    ExplainedArgument, ExplainedCall, ExplainedOutcome, ExplainedRule, ExplainedScope, Explanation, Piece,
    explain,
};
pub use file::CaseFile;
pub use lint::{Warning, lint, scope_claims};
pub use run::{Failure, Report, run, run_folder};
pub use written::case;

#[cfg(test)]
mod tests;
