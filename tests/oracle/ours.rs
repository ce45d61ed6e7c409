//! What our readers make of a query.

use crate::sources::Case;
use palisade::lang::{Feature, Features, QueryError, ScopedText, logql, promql, traceql};
use palisade::limits::QueryLimits;
use palisade::tenant::{Scope, ScopeMatchers, ScopeValue, Values};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A query language, by its name in the oracle's lines.
#[allow(clippy::enum_variant_names)] // their names
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Prometheus.
    PromQl,
    /// Loki.
    LogQl,
    /// Tempo.
    TraceQl,
}

impl Language {
    /// All three.
    pub const ALL: [Self; 3] = [Self::PromQl, Self::LogQl, Self::TraceQl];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PromQl => "promql",
            Self::LogQl => "logql",
            Self::TraceQl => "traceql",
        }
    }
}

/// A matcher: its name, its operator, its value in hexadecimal.
pub type Matcher = [String; 3];

/// One dimension of a scope, in a backend's label.
#[derive(Clone, Debug, Serialize)]
pub struct Dimension {
    /// The label.
    pub label: String,
    /// Its values.
    pub values: Vec<&'static str>,
}

/// A query that we scope.
#[derive(Clone, Debug)]
pub struct Scoped {
    /// What is sent.
    pub text: String,
    /// How many selectors we say it has.
    pub selectors: usize,
    /// The matchers of the caller's selectors, sorted, as the oracle has them; in TraceQL empty.
    pub matchers: Vec<Vec<Matcher>>,
    /// TraceQL: it is a metrics query.
    pub metrics: bool,
}

/// What we say to a query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The scope that was asked for.
    pub scope: Vec<Dimension>,
    /// The scoped query, or why there is none.
    pub outcome: Result<Scoped, QueryError>,
}

/// Every feature but TraceQL of Tempo 3, which has no module to compare with. What would end an older one is parsed as well.
pub fn features() -> Features {
    let features: Features = Feature::ALL.into_iter().filter(|feature| *feature != Feature::Tempo3).collect();
    features.of_tempo(true)
}

/// Scopes a case, with one of three scopes by its text.
pub fn answer(case: &Case) -> Answer {
    let mut hasher = DefaultHasher::new();
    case.query.hash(&mut hasher);
    let scope: &[(&str, &[&'static str])] = match hasher.finish() % 4 {
        0 => &[("tenant", &["acme.books", "globex"])],
        1 => &[("region", &["eu-west"]), ("tenant", &["acme.books", "globex"])],
        2 => &[("region", &["eu-west"]), ("tenant", &["acme"])],
        _ => &[("tenant", &["acme"])],
    };
    let outcome = scope_of(case, &matchers(case.language, scope));
    let prefix = prefix(case.language);
    let dimension = |(name, values): &(&str, &[&'static str])| Dimension {
        label: format!("{prefix}{name}"),
        values: values.to_vec(),
    };
    Answer { scope: scope.iter().map(dimension).collect(), outcome }
}

/// Scopes a PromQL expression to the tenant `acme`.
pub fn scope_promql(query: &str) -> Result<ScopedText, QueryError> {
    let scope = matchers(Language::PromQl, &[("tenant", &["acme"])]);
    promql::scope(query, promql::Entry::Expression, features(), &QueryLimits::default(), &scope)
}

fn prefix(language: Language) -> &'static str {
    if language == Language::TraceQl { "resource." } else { "" }
}

fn matchers(language: Language, scope: &[(&str, &[&str])]) -> ScopeMatchers {
    let dimensions = scope.iter().map(|(name, values)| {
        let values = values.iter().map(|v| ScopeValue::parse(v).unwrap()).collect();
        ((*name).to_owned(), Values::new(values).unwrap())
    });
    let labels: Vec<_> = scope.iter().map(|(name, _)| format!("{}{name}", prefix(language))).collect();
    let label_of = |name: &str| labels.iter().map(String::as_str).find(|l| l.ends_with(name));
    Scope::new(dimensions.collect()).unwrap().in_labels(label_of).unwrap()
}

fn scope_of(case: &Case, scope: &ScopeMatchers) -> Result<Scoped, QueryError> {
    match case.language {
        Language::PromQl => promql(case, scope),
        Language::LogQl => logql(case, scope),
        Language::TraceQl => traceql(case, scope),
    }
}

impl Scoped {
    fn new(text: ScopedText, mut matchers: Vec<Vec<Matcher>>) -> Self {
        matchers.iter_mut().for_each(|selector| selector.sort());
        matchers.sort();
        Self { selectors: text.selectors(), text: text.into_string(), matchers, metrics: false }
    }
}

fn promql(case: &Case, scope: &ScopeMatchers) -> Result<Scoped, QueryError> {
    use promql::Entry;
    let entry = if case.selector { Entry::Selector } else { Entry::Expression };
    let limits = QueryLimits::default();
    let scoped = promql::scope(&case.query, entry, features(), &limits, scope)?;
    let tree = promql::parse(&case.query, entry, features(), &limits)?;
    let selectors = tree.selectors().iter().map(|selector| {
        let name = selector.name.iter().map(|name| matcher("__name__", "=", name.as_bytes()));
        let braces = tree.matchers(selector).iter().map(|m| matcher(&m.name, m.op.as_str(), &m.value));
        name.chain(braces).collect()
    });
    Ok(Scoped::new(scoped, selectors.collect()))
}

fn logql(case: &Case, scope: &ScopeMatchers) -> Result<Scoped, QueryError> {
    use logql::{Entry, tree::MatchOperator};
    let entry = if case.selector { Entry::Selector } else { Entry::Expression };
    let limits = QueryLimits::default();
    let scoped = logql::scope(&case.query, entry, features(), &limits, scope)?;
    let tree = logql::parse(&case.query, entry, features(), &limits)?;
    let operator = |operator| match operator {
        MatchOperator::Equal => "=",
        MatchOperator::NotEqual => "!=",
        MatchOperator::Match => "=~",
        MatchOperator::NotMatch => "!~",
    };
    let selectors = tree.selectors().iter().map(|selector| {
        let matchers = tree.matchers(selector).iter();
        matchers.map(|m| matcher(m.label, operator(m.operator), &m.value)).collect()
    });
    Ok(Scoped::new(scoped, selectors.collect()))
}

fn traceql(case: &Case, scope: &ScopeMatchers) -> Result<Scoped, QueryError> {
    use traceql::Entry;
    let limits = QueryLimits::default();
    let as_entry = |entry| traceql::scope(&case.query, entry, features(), &limits, scope);
    let (scoped, metrics) = match as_entry(Entry::Query) {
        Err(error) if error.message.starts_with("a metrics query is not a search") => {
            (as_entry(Entry::Metrics)?, true)
        }
        other => (other?, false),
    };
    let entry = if metrics { Entry::Metrics } else { Entry::Query };
    let filters = traceql::parse(&case.query, entry, features(), &limits)?.filters();
    Ok(Scoped { metrics, ..Scoped::new(scoped, vec![Vec::new(); filters]) })
}

fn matcher(name: &str, operator: &str, value: &[u8]) -> Matcher {
    let hexadecimal = value.iter().map(|byte| format!("{byte:02x}")).collect();
    [name.to_owned(), operator.to_owned(), hexadecimal]
}
