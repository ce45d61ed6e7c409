//! What it costs to read, scope and prove queries: their time, or one run each for callgrind to count.
//!
//! `lang time` prints nanoseconds. `lang once` prints a name a line and runs each case once within
//! `measured`, where `bench/lang/run` has callgrind look.

use palisade::lang::{Feature, Features, logql, promql, traceql};
use palisade::limits::QueryLimits;
use palisade::tenant::{Scope, ScopeMatchers, ScopeValue, Values};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long each case is timed.
const TIMED: Duration = Duration::from_millis(300);
/// Selectors in a query, and tenants in a scope.
const SIZES: [usize; 4] = [1, 10, 100, 1000];

/// A query language, with what a text of it must be.
#[derive(Clone, Copy)]
enum Text {
    PromQl(promql::Entry),
    LogQl(logql::Entry),
    TraceQl(traceql::Entry),
}

const PROMQL: Text = Text::PromQl(promql::Entry::Expression);
const LOGQL: Text = Text::LogQl(logql::Entry::Expression);
const TRACEQL: Text = Text::TraceQl(traceql::Entry::Query);

/// What is measured together.
struct Case {
    name: String,
    queries: Vec<(Text, String)>,
    tenants: usize,
}

impl Case {
    fn one(name: String, text: Text, query: String, tenants: usize) -> Self {
        Self { name, queries: vec![(text, query)], tenants }
    }
}

/// What every case is run with.
struct Setting {
    features: Features,
    limits: QueryLimits,
}

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    // The sizes are at the caps; so many tenants at so many selectors are over them, and not measured.
    let limits = QueryLimits::default();
    let setting = Setting { features: Feature::ALL.into_iter().collect(), limits };
    for case in cases() {
        let scopes = [matchers("tenant", case.tenants), matchers("resource.tenant", case.tenants)];
        assert!(scoped(&case, &setting, &scopes) > 0, "{}: nothing is scoped", case.name);
        match mode.as_str() {
            "once" => {
                println!("{}", case.name);
                black_box(measured(&case, &setting, &scopes));
            }
            "time" => time(&case, &setting, &scopes),
            _ => {
                eprintln!("usage: lang time|once");
                std::process::exit(2);
            }
        }
    }
}

/// Where callgrind counts. It looks at calls, so nothing here may become a jump.
#[inline(never)]
fn measured(case: &Case, setting: &Setting, scopes: &[ScopeMatchers; 2]) -> usize {
    black_box(scoped(black_box(case), setting, scopes))
}

/// Scopes and proves every query; gives the bytes that came of it. What is refused counts nothing.
fn scoped(case: &Case, setting: &Setting, [plain, resource]: &[ScopeMatchers; 2]) -> usize {
    let Setting { features, limits } = setting;
    let scope = |(text, query): &(Text, String)| match text {
        Text::PromQl(entry) => promql::scope(query, *entry, *features, limits, plain),
        Text::LogQl(entry) => logql::scope(query, *entry, *features, limits, plain),
        Text::TraceQl(entry) => traceql::scope(query, *entry, *features, limits, resource),
    };
    case.queries.iter().filter_map(|query| scope(query).ok()).map(|text| text.as_str().len()).sum()
}

/// Prints the least time of one run, and of one query in it.
fn time(case: &Case, setting: &Setting, scopes: &[ScopeMatchers; 2]) {
    let began = Instant::now();
    let mut least = Duration::MAX;
    while began.elapsed() < TIMED {
        let run = Instant::now();
        black_box(scoped(black_box(case), setting, scopes));
        least = least.min(run.elapsed());
    }
    let each = least.as_nanos() / case.queries.len() as u128;
    println!("{:<28} {:>10} ns {:>10} ns each of {}", case.name, least.as_nanos(), each, case.queries.len());
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text, file) in
        [("promql", PROMQL, "prometheus"), ("logql", LOGQL, "loki"), ("traceql", TRACEQL, "tempo")]
    {
        cases.push(Case { name: format!("{name} conformance"), queries: conformance(file), tenants: 1 });
        cases.push(Case::one(format!("{name} dashboard"), text, dashboard(text).to_owned(), 1));
        for count in SIZES {
            cases.push(Case::one(format!("{name} {count} selectors"), text, selectors(text, count), 1));
        }
        for count in SIZES {
            cases.push(Case::one(format!("{name} {count} tenants"), text, dashboard(text).to_owned(), count));
        }
    }
    cases
}

/// A usual query of a dashboard.
fn dashboard(text: Text) -> &'static str {
    match text {
        Text::PromQl(_) => {
            r#"histogram_quantile(0.95, sum by(le) (rate(http_request_duration_seconds_bucket{service="catalog"}[5m])))"#
        }
        Text::LogQl(_) => {
            r#"sum by (level) (count_over_time({service="catalog", env="prod"} |= "error" | json | duration > 100ms [5m]))"#
        }
        Text::TraceQl(_) => {
            r#"{ resource.service.name = "catalog" && status = error && duration > 100ms } | select(span.http.url)"#
        }
    }
}

fn selectors(text: Text, count: usize) -> String {
    let (one, between) = match text {
        Text::PromQl(_) => (r#"rate(requests_total{code=~"5.."}[5m])"#, " + "),
        Text::LogQl(_) => (r#"rate({app="web"} |= "error" [5m])"#, " + "),
        Text::TraceQl(_) => (r#"{ span.http.status_code >= 500 }"#, " || "),
    };
    vec![one; count].join(between)
}

/// Every text that the conformance suite sends to that backend.
fn conformance(backend: &str) -> Vec<(Text, String)> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/cases");
    let file = std::fs::read_to_string(cases.join(format!("{backend}.toml"))).expect("the cases");
    let file: toml::Table = file.parse().expect("TOML");
    let cases = file["case"].as_array().expect("cases");
    cases.iter().flat_map(queries_of).collect()
}

fn queries_of(case: &toml::Value) -> Vec<(Text, String)> {
    let endpoint = case["endpoint"].as_str().expect("an endpoint");
    let none = Vec::new();
    let parameters = case.get("params").and_then(toml::Value::as_array).unwrap_or(&none);
    let pair = |p: &toml::Value| Some((p.get(0)?.as_str()?.to_owned(), p.get(1)?.as_str()?.to_owned()));
    let queries = parameters.iter().filter_map(pair).filter_map(|(name, value)| {
        let text = match (endpoint.split('.').next()?, name.as_str()) {
            ("prometheus", "query") => PROMQL,
            ("prometheus", "match[]") => Text::PromQl(promql::Entry::Selector),
            ("loki", "query") if endpoint.starts_with("loki.query") => LOGQL,
            ("loki", "query") => Text::LogQl(logql::Entry::LogQuery),
            ("loki", "match[]" | "match") => Text::LogQl(logql::Entry::Selector),
            ("tempo", "q") if endpoint == "tempo.search" => TRACEQL,
            ("tempo", "q" | "query") => Text::TraceQl(traceql::Entry::Metrics),
            _ => return None,
        };
        Some((text, value))
    });
    queries.collect()
}

/// A scope of `count` tenants, in one label.
fn matchers(label: &str, count: usize) -> ScopeMatchers {
    let value = |index| ScopeValue::parse(&format!("tenant-{index:04}")).expect("a value");
    let values = Values::new((0..count).map(value).collect()).expect("values");
    let scope = Scope::new([("tenant".to_owned(), values)].into()).expect("a scope");
    scope.in_labels(|_| Some(label)).expect("a label")
}
