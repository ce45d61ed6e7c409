//! The table of reasons in the documentation.

use super::status;
use crate::lang::{Language, QueryError, QueryErrorKind};
use crate::rejection::reasons::REASONS;
use crate::rejection::{Forbidden, Rejection, TokenFault, UpstreamFault};
use crate::span::Span;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A refusal of each reason.
fn examples() -> Vec<Rejection> {
    let query = |kind| {
        let error = QueryError::new(kind, Span::at(0), "");
        Rejection::query(Language::PromQl, error, "")
    };
    let kinds = [
        QueryErrorKind::Syntax,
        QueryErrorKind::Unsupported,
        QueryErrorKind::Unsafe,
        QueryErrorKind::Limit,
        QueryErrorKind::Defect,
    ];
    let others = [
        Rejection::UnknownMount,
        Rejection::Narrower { choices: String::new() },
        Rejection::UnknownEndpoint,
        Rejection::Misplaced("".into()),
        Rejection::Method { allow: "GET" },
        Rejection::ContentType(""),
        Rejection::body_too_large(0),
        Rejection::parameter("", ""),
        Rejection::Malformed(""),
        Rejection::UpstreamRefused { status: 422, error_type: None, text: String::new() },
        Rejection::Upgrade(""),
        Rejection::Origin,
        Rejection::TooManyTails { max: 0, key: "", retry_after: 0 },
        Rejection::Overloaded,
        Rejection::RateLimited { max: 0, key: "", retry_after: 0 },
        Rejection::Unaudited,
        Rejection::NoMemory,
        Rejection::Timeout,
        Rejection::SlowBody,
        Rejection::Defect(String::new()),
    ];
    let tokens = TokenFault::ALL.map(Rejection::from);
    let forbidden = Forbidden::ALL.map(Rejection::from);
    let upstream = UpstreamFault::ALL.map(Rejection::from);
    others.into_iter().chain(tokens).chain(forbidden).chain(upstream).chain(kinds.map(query)).collect()
}

/// The reasons as a table: name, status, meaning.
pub fn markdown() -> String {
    let examples = examples();
    let mut table = "| `X-Palisade-Reason` | Status | It means |\n|---|---|---|\n".to_owned();
    for reason in REASONS {
        let of = examples.iter().filter(|example| example.kind() == reason.name);
        let statuses: BTreeSet<String> = of
            .map(|example| match example {
                Rejection::UpstreamRefused { .. } => "the backend's".to_owned(),
                other => status(other).as_u16().to_string(),
            })
            .collect();
        let statuses = statuses.into_iter().collect::<Vec<_>>().join(", ");
        let _ = writeln!(table, "| `{}` | {statuses} | {} |", reason.name, reason.means);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_an_example_and_each_example_a_reason() {
        let examples = examples();
        for reason in REASONS {
            assert!(examples.iter().any(|example| example.kind() == reason.name), "{}", reason.name);
        }
        for example in &examples {
            assert!(Rejection::is_reason(example.kind()), "{}", example.kind());
        }
        let names: BTreeSet<&str> = REASONS.iter().map(|reason| reason.name).collect();
        assert_eq!(names.len(), REASONS.len());
    }

    /// What `Rejection::kind` can give is read from its source, so that a new one is not forgotten here.
    #[test]
    fn the_table_has_every_word_that_can_be_given() {
        let source = include_str!("../rejection.rs");
        let names: Vec<&str> =
            source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(names.len() > 40);
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            assert!(Rejection::is_reason(name), "{name}");
        }
    }
}
