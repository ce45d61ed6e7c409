//! `tests/corpus/dashboards`: expressions of the kinds that public dashboards have, one a line, variables replaced.
//! All are scoped, each with a selector at least.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::corpus_tests::salted;
use super::{Feature, Features, QueryError, ScopedText, logql, promql, traceql};
use crate::limits::QueryLimits;
use crate::tenant::ScopeMatchers;
use std::collections::BTreeSet;
use std::path::Path;

/// Scopes `text` as the language of a file's extension.
fn scoped(language: &str, text: &str) -> Result<ScopedText, QueryError> {
    // Half of the pictures of traces compare spans with their parents.
    let features = [Feature::TracesNeverMixTenants, Feature::Tempo3].into_iter().collect::<Features>();
    let limits = QueryLimits::default();
    let label = if language == "traceql" { "resource.tenant" } else { "tenant" };
    let scope: ScopeMatchers = salted(&format!("{label}=acme-books,globex-lit"));
    match language {
        "promql" => promql::scope(text, promql::Entry::Expression, features, &limits, &scope),
        "logql" => logql::scope(text, logql::Entry::Expression, features, &limits, &scope),
        "traceql" => traceql::scope(text, traceql::Entry::Query, features, &limits, &scope)
            .or_else(|_| traceql::scope(text, traceql::Entry::Metrics, features, &limits, &scope)),
        other => panic!("no language `{other}`"),
    }
}

/// Why an expression is none of a dashboard, which reads something: it is refused, or has no selector.
fn fault(language: &str, text: &str) -> Option<String> {
    match scoped(language, text) {
        Err(error) => Some(format!("refused: {error}")),
        Ok(scoped) if scoped.selectors() == 0 => Some("no selector".into()),
        Ok(scoped) if !scoped.as_str().contains("acme-books|globex-lit") => Some("unscoped".into()),
        Ok(_) => None,
    }
}

/// Language and expression of each line.
fn expressions() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/dashboards");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let lines = files.iter().flat_map(|file| {
        let language = file.extension().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        lines.into_iter().map(move |line| (language.clone(), line))
    });
    lines.collect()
}

#[test]
fn a_thousand_expressions_of_dashboards_are_scoped() {
    let all = expressions();
    let faults: Vec<_> = all
        .iter()
        .filter_map(|(language, text)| fault(language, text).map(|why| format!("{text}: {why}")))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "one is there twice");
    assert!(all.len() >= 1000, "{}", all.len());
    for language in ["promql", "logql", "traceql"] {
        assert!(all.iter().filter(|(of, _)| of == language).count() >= 100, "{language}");
    }
}

#[test]
fn control_what_reads_nothing_or_is_refused_does_not_count() {
    for (language, text) in [
        ("promql", "vector(1) + vector(1)"),
        ("promql", "time()"),
        ("promql", "sum(rate(up[$__rate_interval]))"),
        ("logql", "vector(1)+vector(1)"),
        ("logql", r#"{app="x"} | unknown_stage"#),
        ("traceql", "{ status = }"),
    ] {
        assert!(fault(language, text).is_some(), "{language} {text}");
    }
}
