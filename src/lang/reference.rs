//! The table of what each language has here, for `docs/languages.md`. Its last column is what happens to the
//! examples.

use super::{Feature, Features, QueryError, ScopedText, logql, promql, traceql};
use crate::limits::QueryLimits;
use crate::tenant::{Scope, ScopeMatchers, ScopeValue, Values};

/// A text in a language.
#[derive(Clone, Copy, Debug)]
enum Text {
    PromQl,
    LogQl,
    Search,
    TraceMetrics,
}

use Text::{LogQl, PromQl, Search, TraceMetrics};

/// What it is called, and texts that have it. All of one row end the same way.
type Row = (Text, &'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    (
        PromQl,
        "selectors, with every matcher",
        &[r#"up{job=~"api.*", zone!=""}"#, r#"{"up"}"#, r#"{"a.b"="c"}"#],
    ),
    (
        PromQl,
        "ranges, `offset`, `@`, subqueries",
        &["max_over_time(rate(x[5m])[1h:1m] offset 1d)", "x @ end()"],
    ),
    (PromQl, "operators with matching", &["a / on(job) group_left(zone) b", "a unless b", "a > bool 1"]),
    (PromQl, "aggregations, selectors in their parameters", &["topk(scalar(limit), x)", "quantile(0.9, x)"]),
    (PromQl, "arithmetic in durations, `anchored`, `smoothed`", &["rate(x[2 * 5m])", "rate(x[5m] smoothed)"]),
    (
        PromQl,
        "functions",
        &["histogram_quantile(0.95, x)", r#"label_replace(x, "a", "$1", "b", "(.*)")"#, "absent(x)"],
    ),
    (PromQl, "experimental functions and aggregations", &[r#"sort_by_label(x, "job")"#, "limitk(2, x)"]),
    (PromQl, "fill modifiers", &["a + fill(0) b"]),
    (PromQl, "`info`", &["info(x)"]),
    (PromQl, "functions that are not known", &["future(x)"]),
    (PromQl, "selectors that match everything empty", &["{}", r#"{a=~".*"}"#]),
    (PromQl, "`or` in braces, as other dialects have it", &[r#"{a="b" or c="d"}"#]),
    (
        LogQl,
        "selectors and pipelines",
        &[r#"{app="web"} |= "error" | json | status >= 500"#, r#"{app="web"} | line_format "{{.msg}}""#],
    ),
    (
        LogQl,
        "metric queries",
        &[
            r#"sum by (app) (rate({app="web"}[5m]))"#,
            r#"quantile_over_time(0.9, {app="web"} | unwrap ms [5m])"#,
        ],
    ),
    (
        LogQl,
        "operators, `vector`",
        &[r#"rate({a="b"}[5m]) / rate({c="d"}[5m])"#, r#"rate({a="b"}[5m]) or vector(0)"#],
    ),
    (LogQl, "comments from `#` to the end of a line", &["{app=\"web\"} # why"]),
    (LogQl, "`variants`", &[r#"variants(rate({a="b"}[1m])) of ({a="b"}[1m])"#]),
    (LogQl, "other comments", &[r#"{app="web"} // why"#, r#"{app="web"} /* why */"#]),
    (LogQl, "identifiers outside ASCII", &[r#"{ä="b"}"#]),
    (LogQl, "character literals", &[r#"{'a'="b"}"#]),
    (LogQl, "selectors that match everything empty", &["{}", r#"{app=~".*"}"#]),
    (
        Search,
        "filters, attributes, field expressions",
        &[r#"{ span.http.status_code >= 500 && (.a || duration > 1s) }"#],
    ),
    (
        Search,
        "filters side by side, pipelines, aggregates",
        &["{ .a } && { .b }", "{ .a } | by(name) | count() > 2 | select(.b)"],
    ),
    (Search, "pipelines without a filter: one is put in front", &["count() > 2"]),
    (
        TraceMetrics,
        "metrics, second stages",
        &["{ .a } | rate() by(name)", "{} | quantile_over_time(duration, .9) by(name) | topk(5)"],
    ),
    (TraceMetrics, "hints `exemplars`, `most_recent`", &["{} | rate() with(exemplars=true)"]),
    (
        Search,
        "division and modulo by what can be 0, powers of what can be large, before Tempo 3.0",
        &["{ .a / .b > 1 }", "{ .a ^ 2 > 9 }"],
    ),
    (TraceMetrics, "`avg_over_time` by what can be a list", &["{} | avg_over_time(duration) by(.a)"]),
    (Search, "structural operators", &["{ .a } >> { .b }", "{ .a } ~ { .b }", "{ .a } &>> { .b }"]),
    (
        Search,
        "what a trace's root or whole is",
        &[r#"{ rootServiceName = "a" }"#, "{ trace:duration > 1s }", "{ nestedSetParent < 0 }"],
    ),
    (TraceMetrics, "`compare`", &["{ .a } | compare({ .b })"]),
    (Search, "`= nil`", &["{ .a = nil }"]),
    (
        TraceMetrics,
        "arithmetic and filters of metrics",
        &["({ .a } | rate()) / ({ .b } | rate())", "{} | rate() > 3"],
    ),
    (Search, "`span:childCount`", &["{ span:childCount > 1 }"]),
    (
        TraceMetrics,
        "hints for sampling, and those that need `unsafe_query_hints`: dropped, the answer is exact",
        &["{} | rate() with(sample=true)"],
    ),
    (TraceMetrics, "other hints", &["{} | rate() with(future=true)"]),
    (Search, "`parent.`", &["{ parent.a = 1 }"]),
    (Search, "comments", &["{ .a } // why", "{ .a } /* why */"]),
];

/// The table as Markdown.
pub fn markdown() -> String {
    let mut table = String::from("| Language | What | For example | Here |\n|---|---|---|---|\n");
    for (text, what, examples) in ROWS {
        let language = match text {
            PromQl => "PromQL",
            LogQl => "LogQL",
            Search | TraceMetrics => "TraceQL",
        };
        let shown: Vec<_> = examples.iter().map(|example| cell(example)).collect();
        let outcome = examples.first().map_or_else(String::new, |example| outcome(*text, example));
        let what = what.replace('|', "\\|");
        table.push_str(&format!("| {language} | {what} | {} | {outcome} |\n", shown.join(", ")));
    }
    table
}

/// An example as code within a table.
fn cell(example: &str) -> String {
    format!("`{}`", example.replace('|', "\\|"))
}

/// What becomes of `example`: scoped, scoped with some features, or refused and why.
fn outcome(text: Text, example: &str) -> String {
    let refusal = match scoped(text, example, Features::NONE) {
        Ok(_) => return "scoped".to_owned(),
        Err(refusal) => refusal,
    };
    let alone = Feature::ALL.into_iter().map(|feature| vec![feature]);
    let tempo = vec![Feature::Tempo3, Feature::TracesNeverMixTenants];
    for features in alone.chain([tempo]) {
        if scoped(text, example, features.iter().copied().collect()).is_ok() {
            let names: Vec<_> = features.iter().map(|feature| format!("`{feature}`")).collect();
            return format!("with {}", names.join(" and "));
        }
    }
    format!("refused: {}", refusal.message.replace('|', "\\|"))
}

fn scoped(text: Text, example: &str, features: Features) -> Result<ScopedText, QueryError> {
    let limits = QueryLimits::default();
    let unsaid = || QueryError::defect("a scope that cannot be said");
    let of = |label| acme(label).ok_or_else(unsaid);
    match text {
        PromQl => promql::scope(example, promql::Entry::Expression, features, &limits, &of("tenant")?),
        LogQl => logql::scope(example, logql::Entry::Expression, features, &limits, &of("tenant")?),
        Search => traceql::scope(example, traceql::Entry::Query, features, &limits, &of("resource.tenant")?),
        TraceMetrics => {
            traceql::scope(example, traceql::Entry::Metrics, features, &limits, &of("resource.tenant")?)
        }
    }
}

/// Some scope, said in `label`.
fn acme(label: &str) -> Option<ScopeMatchers> {
    let values = Values::new(vec![ScopeValue::parse("acme").ok()?])?;
    Scope::new([("tenant".to_owned(), values)].into())?.in_labels(|_| Some(label)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_a_row_end_the_same_way() {
        let end = |text, example| outcome(text, example).split(':').next().unwrap_or_default().to_owned();
        for (text, what, examples) in ROWS {
            let ends: Vec<_> = examples.iter().map(|example| end(*text, example)).collect();
            assert!(ends.windows(2).all(|two| two.first() == two.last()), "{what}: {ends:?}");
            assert!(examples.iter().all(|example| !example.contains('`')), "{what}: a table cannot show it");
            assert!(!ends.is_empty() && !outcome(*text, what).is_empty());
        }
    }

    #[test]
    fn every_feature_opens_something_and_nothing_is_a_defect() {
        let table = markdown();
        // What is said of the server alone opens nothing in its language.
        let of_language = |f: &Feature| {
            !matches!(
                f,
                Feature::NoFrontendSearchCache
                    | Feature::PatternPersistence
                    | Feature::SearchApi
                    | Feature::Federate
                    | Feature::RemoteRead
            )
        };
        for feature in Feature::ALL.into_iter().filter(of_language) {
            assert!(table.contains(&format!("with `{feature}`")), "{feature}");
        }
        assert!(!table.contains("proof") && !table.contains("cannot be said"), "{table}");
    }
}
