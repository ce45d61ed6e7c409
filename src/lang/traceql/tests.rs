//! The corpus and the properties.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::{Entry, scope};
use crate::lang::corpus_tests;
use crate::limits::QueryLimits;

fn entry(case: &corpus_tests::Case) -> Entry {
    match case.entry.as_str() {
        "" | "query" => Entry::Query,
        "metrics" => Entry::Metrics,
        other => panic!("unknown entry `{other}`"),
    }
}

#[test]
fn corpus() {
    corpus_tests::run("traceql", |case| {
        scope(&case.query, entry(case), case.features, &QueryLimits::default(), &case.scope())
    });
}
