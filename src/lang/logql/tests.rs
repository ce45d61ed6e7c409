//! The corpus, and properties over it and over arbitrary texts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::invariants::check_invariants;
use super::{Entry, scope};
use crate::lang::corpus_tests::{Case, cases, run};
use crate::lang::{QueryError, ScopedText};
use crate::limits::QueryLimits;
use proptest::prelude::*;
use std::sync::LazyLock;

fn entry(name: &str) -> Entry {
    match name {
        "" | "expression" => Entry::Expression,
        "log query" => Entry::LogQuery,
        "selector" => Entry::Selector,
        "pasted" => Entry::Pasted,
        "one selector" => Entry::OneSelector,
        _ => panic!("unknown entry `{name}`"),
    }
}

fn scoped(case: &Case) -> Result<ScopedText, QueryError> {
    scope(&case.query, entry(&case.entry), case.features, &QueryLimits::default(), &case.scope())
}

#[test]
fn every_case_of_the_corpus_comes_out_as_it_says() {
    run("logql", scoped);
}

#[test]
fn every_case_of_the_corpus_keeps_the_invariants() {
    for (name, case) in cases("logql") {
        println!("{name}");
        check_invariants(&case.query);
    }
}

/// Texts of pieces that mean something, so that many are nearly queries.
fn nearly_a_query() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "{a=\"b\"}",
        "a",
        "tenant",
        "=",
        "!=",
        "=~",
        "!~",
        "\"acme\"",
        "\"\"",
        "`}`",
        ",",
        "(",
        ")",
        "[5m]",
        "[",
        "]",
        "|",
        "|=",
        "|~",
        "|>",
        "!>",
        "json",
        "logfmt",
        "--strict",
        "unwrap",
        "bytes(",
        "ip(",
        "rate(",
        "absent_over_time(",
        "sum",
        "by",
        "without",
        "topk(",
        "2",
        "-",
        "5m",
        "-5m",
        "1.5kB",
        "+",
        "^",
        "or",
        "and",
        "unless",
        "bool",
        "on",
        "group_left",
        "offset",
        "label_format",
        "drop",
        "variants(",
        "of",
        "vector(",
        "label_replace(",
        "#",
        "\n",
        " ",
        "/",
        "*",
        "\\",
        "'",
        "µ",
        "é",
        "@",
        ".",
        "0",
        "quantile_over_time(",
    ];
    proptest::collection::vec(proptest::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_keeps_the_invariants(text in any::<String>()) {
        check_invariants(&text);
    }

    #[test]
    fn what_is_nearly_a_query_keeps_the_invariants(text in nearly_a_query()) {
        check_invariants(&text);
    }

    #[test]
    fn a_changed_case_keeps_the_invariants(
        pick in any::<proptest::sample::Index>(),
        from in any::<proptest::sample::Index>(),
        length in 0_usize..12,
        put in nearly_a_query(),
    ) {
        static QUERIES: LazyLock<Vec<String>> =
            LazyLock::new(|| cases("logql").into_iter().map(|(_, case)| case.query).collect());
        let mut text = QUERIES[pick.index(QUERIES.len())].clone();
        let start = text.floor_char_boundary(from.index(text.len() + 1));
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        text.replace_range(start..end, put.get(..put.floor_char_boundary(8)).unwrap_or(""));
        check_invariants(&text);
    }
}
