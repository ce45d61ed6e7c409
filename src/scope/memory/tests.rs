use super::*;
use crate::api::Kind;
use crate::lang::{Feature, logql, promql, traceql};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::scope::Backend;
use crate::scope::text::scope_text;
use crate::tenant::{Scope, ScopeValue, Values};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Remembers all, under its number.
#[derive(Default)]
struct Faithful(Mutex<BTreeMap<u64, Arc<Remembered>>>);

impl Memory for Faithful {
    fn recall(&self, number: u64) -> Option<Arc<Remembered>> {
        self.0.lock().unwrap().get(&number).map(Arc::clone)
    }

    fn met(&self, _: u64) -> bool {
        true
    }

    fn keep(&self, number: u64, entry: Arc<Remembered>) {
        self.0.lock().unwrap().insert(number, entry);
    }
}

/// Gives back another's entry whenever it has one: the worst that a memory can do.
#[derive(Default)]
struct Confused(Mutex<Vec<Arc<Remembered>>>);

impl Memory for Confused {
    fn recall(&self, number: u64) -> Option<Arc<Remembered>> {
        let entries = self.0.lock().unwrap();
        entries.get(number as usize % entries.len().max(1)).map(Arc::clone)
    }

    fn met(&self, _: u64) -> bool {
        true
    }

    fn keep(&self, _: u64, entry: Arc<Remembered>) {
        self.0.lock().unwrap().push(entry);
    }
}

/// One request: a query, what it must be, and for whom and where it is asked.
#[derive(Clone, Debug)]
struct Asking {
    text: Text,
    query: String,
    backend: Backend,
    matchers: ScopeMatchers,
    limits: Limits,
}

impl Asking {
    fn answer(&self, memory: Option<&dyn Memory>) -> Result<ScopedText, Rejection> {
        let Self { text, query, backend, matchers, limits } = self;
        scope_text(*text, query, backend, matchers, limits, memory).map(|scoped| (*scoped).clone())
    }
}

fn matchers(label: &'static str, values: &[&str]) -> ScopeMatchers {
    let values = values.iter().map(|v| ScopeValue::parse(v).unwrap()).collect();
    let scope = Scope::new([("tenant".to_owned(), Values::new(values).unwrap())].into()).unwrap();
    scope.in_labels(|_| Some(label)).unwrap()
}

/// Few of each, so that requests that differ in one thing only are asked of one memory.
fn asking() -> impl Strategy<Value = Asking> {
    let texts = prop_oneof![
        Just(Text::PromQl(promql::Entry::Expression)),
        Just(Text::PromQl(promql::Entry::Selector)),
        Just(Text::LogQl(logql::Entry::Expression)),
        Just(Text::LogQl(logql::Entry::Selector)),
        Just(Text::TraceQl(traceql::Entry::Query)),
        Just(Text::TraceQl(traceql::Entry::Metrics)),
    ];
    let queries = prop::sample::select(vec![
        r#"{a="b"}"#,
        r#"{a="c"}"#,
        "{}",
        "{} >> {}",
        "{} | rate()",
        "up",
        "up + up",
        "sort_by_label(up, 'a')",
        "nothing{",
    ]);
    let scopes = prop::sample::select(vec![&["a"][..], &["b"], &["a", "b"], &["ab"]]);
    let features =
        prop::sample::select(vec![Features::NONE, Features::NONE.with(Feature::TracesNeverMixTenants)]);
    let selectors = prop_oneof![Just(1_usize), Just(2)];
    (texts, queries, scopes, features, selectors, any::<bool>()).prop_map(
        |(text, query, values, features, selectors, own_label)| {
            let label = match (text, own_label) {
                (Text::TraceQl(_), false) => "resource.tenant",
                (Text::TraceQl(_), true) => "resource.org",
                (_, false) => "tenant",
                (_, true) => "org",
            };
            let backend = Backend { features, ..Backend::new("", Kind::Prometheus, BTreeMap::new()) };
            let mut limits = Limits::default();
            limits.query.selectors = selectors;
            let query = query.to_owned();
            Asking { text, query, backend, matchers: matchers(label, values), limits }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever was asked before, of a memory that is right or of one that is wrong.
    #[test]
    fn remembering_changes_no_outcome(askings in prop::collection::vec(asking(), 1..40)) {
        let (faithful, confused) = (Faithful::default(), Confused::default());
        for asking in &askings {
            let expected = asking.answer(None);
            for memory in [&faithful as &dyn Memory, &confused] {
                prop_assert_eq!(asking.answer(Some(memory)), expected.clone());
                prop_assert_eq!(asking.answer(Some(memory)), expected.clone());
            }
        }
    }
}

fn some(query: &str) -> Asking {
    Asking {
        text: Text::PromQl(promql::Entry::Expression),
        query: query.to_owned(),
        backend: Backend::new("", Kind::Prometheus, BTreeMap::new()),
        matchers: matchers("tenant", &["a"]),
        limits: Limits::default(),
    }
}

#[cfg(feature = "proxy")]
impl Remembered {
    /// The PromQL text `query`, scoped to one tenant, and its number: for tests of memories.
    pub(crate) fn sample(query: &str) -> (u64, Arc<Self>) {
        let memory = Faithful::default();
        some(query).answer(Some(&memory)).unwrap();
        memory.0.into_inner().unwrap().pop_first().unwrap()
    }
}

#[test]
fn a_query_is_scoped_once_and_a_refusal_is_not_kept() {
    let memory = Faithful::default();
    some("up").answer(Some(&memory)).unwrap();
    assert_eq!(memory.0.lock().unwrap().len(), 1);
    let again = Question {
        text: some("up").text,
        features: Features::NONE,
        closed: &Closed::default(),
        limits: &QueryLimits::default(),
        matchers: &matchers("tenant", &["a"]),
        query: "up",
    };
    let scoped = again.answer(Some(&memory), |_| unreachable!()).unwrap();
    assert_eq!(scoped.as_str(), r#"up{tenant="a"}"#);
    some("up{").answer(Some(&memory)).unwrap_err();
    assert_eq!(memory.0.lock().unwrap().len(), 1);
}

#[test]
fn what_is_closed_is_refused_though_it_was_kept_and_costs_nothing_where_it_was_looked_at() {
    let memory = Faithful::default();
    let mut asking = some("rate(up[5m])");
    asking.answer(Some(&memory)).unwrap();
    asking.backend.closed = Closed::new(["rate".to_owned()]);
    asking.answer(Some(&memory)).unwrap_err();
    asking.backend.closed = Closed::new(["topk".to_owned()]);
    asking.answer(Some(&memory)).unwrap();
    let Asking { text, query, backend, matchers, limits } = &asking;
    let again = Question {
        text: *text,
        features: backend.features,
        closed: &backend.closed,
        limits: &limits.query,
        matchers,
        query,
    };
    again.answer(Some(&memory), |_| unreachable!()).unwrap();
}

/// Meets every number for the first time.
struct Fresh;

impl Memory for Fresh {
    fn met(&self, _: u64) -> bool {
        false
    }

    fn recall(&self, _: u64) -> Option<Arc<Remembered>> {
        unreachable!()
    }

    fn keep(&self, _: u64, _: Arc<Remembered>) {
        unreachable!()
    }
}

#[test]
fn what_was_not_met_is_neither_looked_for_nor_kept() {
    assert_eq!(some("up").answer(Some(&Fresh)), some("up").answer(None));
}

#[test]
fn an_entry_weighs_at_least_its_texts() {
    let memory = Faithful::default();
    let scoped = some("up / up").answer(Some(&memory)).unwrap();
    let entries = memory.0.lock().unwrap();
    let bytes = entries.values().next().unwrap().bytes();
    assert!(bytes > scoped.as_str().len() + "up / up".len() && bytes < 1024, "{bytes}");
}
