//! What the fuzz targets call, and what replays their finds in `cargo test`.
//!
//! Each function takes any bytes and panics if an invariant does not hold. The invariants stand beside
//! the code that they are about.
#![allow(clippy::panic, clippy::expect_used)] // a broken invariant is to be seen

mod choices;
mod logql;
mod promql;
mod traceql;

use crate::api::{Kind, parameters::Parameters, path::route};
use crate::lang::{self, Feature, Features, QueryError, QueryErrorKind, ScopedText};
use crate::limits::{Limits, QueryLimits};
use crate::scope::reply;
use crate::tenant::{Scope, ScopeMatchers, ScopeValue, Values};
use choices::{Choices, Tree};
use std::sync::Once;

/// What is fuzzed.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder in `fuzz/`.
pub const TARGETS: [(&str, Target); 13] = [
    ("promql", promql),
    ("logql", logql),
    ("traceql", traceql),
    ("promql_trees", promql_trees),
    ("logql_trees", logql_trees),
    ("traceql_trees", traceql_trees),
    ("promql_opinion", promql_opinion),
    ("traceql_chunks", traceql_chunks),
    ("matchers", matchers),
    ("tempo_answers", tempo_answers),
    ("grpc", grpc),
    ("requests", requests),
    ("policies", policies),
];

/// The targets above the wall.
#[cfg(feature = "proxy")]
pub const PROXY_TARGETS: [(&str, Target); 2] = [("tokens", tokens), ("configurations", configurations)];

/// Policy files and files of cases.
pub fn policies(bytes: &[u8]) {
    with_text(bytes, |text| {
        crate::policy::check_invariants(text);
        // No panic is all that is asked of cases that are not to be run.
        drop(crate::cases::CaseFile::parse("p.cases.yaml", text));
    });
}

/// Bearer tokens, whole and in parts, and claims.
#[cfg(feature = "proxy")]
pub fn tokens(bytes: &[u8]) {
    crate::auth::check_invariants(bytes);
}

/// Configuration files.
#[cfg(feature = "proxy")]
pub fn configurations(bytes: &[u8]) {
    with_text(bytes, crate::config::check_invariants);
}

/// The PromQL reader, scoping and proof.
pub fn promql(bytes: &[u8]) {
    with_text(bytes, lang::promql::invariants::check_invariants);
}

/// The LogQL reader, scoping and proof.
pub fn logql(bytes: &[u8]) {
    with_text(bytes, lang::logql::invariants::check_invariants);
}

/// The TraceQL reader, scoping, layout and proof.
pub fn traceql(bytes: &[u8]) {
    with_text(bytes, lang::traceql::invariants::check_invariants);
}

/// PromQL expressions that are generated: all are taken, with as many selectors as were written.
pub fn promql_trees(bytes: &[u8]) {
    let tree = promql::expression(&mut Choices::new(bytes));
    lang::promql::invariants::check_invariants(&tree.text);
    taken(&tree, |limits, of| {
        lang::promql::scope(&tree.text, lang::promql::Entry::Expression, all(), limits, of)
    });
}

/// The same for LogQL.
pub fn logql_trees(bytes: &[u8]) {
    let tree = logql::expression(&mut Choices::new(bytes));
    lang::logql::invariants::check_invariants(&tree.text);
    taken(&tree, |limits, of| {
        lang::logql::scope(&tree.text, lang::logql::Entry::Expression, all(), limits, of)
    });
}

/// The same for TraceQL, where traces never mix tenants.
pub fn traceql_trees(bytes: &[u8]) {
    let (tree, entry) = traceql::query(&mut Choices::new(bytes));
    lang::traceql::invariants::check_invariants(&tree.text);
    let features = Features::NONE.with(Feature::TracesNeverMixTenants).of_tempo(true);
    taken(&tree, |limits, _| {
        let of = lang::traceql::invariants::tenants(&["acme"]);
        lang::traceql::scope(&tree.text, entry, features, limits, &of)
    });
}

/// Our PromQL reader beside another: of a text that both take, both find the same scope.
pub fn promql_opinion(bytes: &[u8]) {
    static CAUGHT: Once = Once::new();
    // The other parser's panics are caught; libFuzzer's own hook would end at them.
    if cfg!(fuzzing) {
        CAUGHT.call_once(|| std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))));
    }
    let generated = promql::expression(&mut Choices::new(bytes)).text;
    let given = std::str::from_utf8(bytes).unwrap_or_default();
    for text in [given, &generated] {
        for entry in [lang::promql::Entry::Expression, lang::promql::Entry::Selector] {
            let (limits, of) = (QueryLimits::default(), tenant("tenant"));
            let asked = lang::promql::scope_with_second_opinion(text, entry, all(), &limits, &of);
            // Its panics are no news; its disagreement is.
            let disagrees = asked.is_err_and(|error| error.kind == QueryErrorKind::Defect);
            assert!(!disagrees, "{text}");
        }
    }
}

/// TraceQL as Tempo's scanner reads it: the same tokens where nothing is long, and of what is sent always.
pub fn traceql_chunks(bytes: &[u8]) {
    use lang::traceql::{Entry, chunk, invariants, lex, scope};
    let (shift, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let generated = traceql::query(&mut Choices::new(bytes)).0.text;
    let given = std::str::from_utf8(bytes).unwrap_or_default();
    let (limits, features) = (QueryLimits::default(), Features::NONE.with(Feature::TracesNeverMixTenants));
    for text in [given, &generated] {
        if text.len() <= chunk::BYTES
            && let Ok(tokens) = lex::lex(text, &limits)
        {
            assert!(chunk::agrees(text, &tokens), "{text}");
        }
        // The same where an end of a chunk falls into it.
        let filler = "x".repeat(chunk::BYTES - 64 - usize::from(*shift));
        let long = format!("{{ .filler = \"{filler}\" }} | {text}");
        for entry in [Entry::Query, Entry::Metrics] {
            match scope(&long, entry, features, &limits, &invariants::tenants(&["acme"])) {
                Ok(scoped) => {
                    let tokens = lex::lex(scoped.as_str(), &limits).unwrap_or_default();
                    assert!(!tokens.is_empty() && chunk::agrees(scoped.as_str(), &tokens), "{long}");
                }
                Err(error) => assert_ne!(error.kind, QueryErrorKind::Defect, "{long}"),
            }
        }
    }
}

/// Matchers: what PromQL and LogQL both take in braces, they take for the same.
pub fn matchers(bytes: &[u8]) {
    with_text(bytes, |text| {
        // A comment ends with a carriage return in PromQL (`isEndOfLine` in `promql/parser/lex.go`), not in LogQL.
        if text.contains('#') && text.contains('\r') {
            return;
        }
        let selector = format!("{{{text}}}");
        let limits = QueryLimits::default();
        let (Ok(ours), Ok(theirs)) = (
            lang::promql::parse(&selector, lang::promql::Entry::Selector, Features::NONE, &limits),
            lang::logql::parse(&selector, lang::logql::Entry::Selector, Features::NONE, &limits),
        ) else {
            return;
        };
        let (Some(our), Some(their)) = (ours.selectors().first(), theirs.selectors().first()) else {
            panic!("no selector: {selector}");
        };
        let ours = ours.matchers(our).iter().map(|m| (m.name.to_string(), m.op.as_str(), m.value.to_vec()));
        let theirs = theirs
            .matchers(their)
            .iter()
            .map(|m| (m.label.to_string(), written(m.operator), m.value.to_vec()));
        assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>(), "{selector}");
    });
}

/// The cuts of Tempo's answers.
pub fn tempo_answers(bytes: &[u8]) {
    reply::check_invariants(bytes);
}

/// Calls of gRPC: streams of messages, and the messages of each.
pub fn grpc(bytes: &[u8]) {
    crate::scope::grpc::check_invariants(bytes);
}

/// Paths and parameters: `PATH?QUERY`, and the query once more as a body.
pub fn requests(bytes: &[u8]) {
    with_text(bytes, |text| {
        let (path, query) = text.split_once('?').unwrap_or((text, text));
        for kind in Kind::ALL {
            if let Ok(matched) = route(kind, path) {
                assert!(!matched.variable.contains(['/', '\\', '\0']), "{path:?}");
                assert!(!matches!(&*matched.variable, "." | ".."), "{path:?}");
            }
            for endpoint in kind.endpoints() {
                let read = |url, body| Parameters::read(endpoint, url, body, &Limits::default()).ok();
                for parameters in
                    [read(Some(query), None), read(Some(query), Some(query))].into_iter().flatten()
                {
                    for row in endpoint.parameters {
                        let values: Vec<_> = parameters.list(row.name).collect();
                        assert_eq!(values.first().copied(), parameters.scalar(row.name));
                        assert!(!values.iter().any(|v| v.contains('\0')));
                    }
                }
            }
        }
    });
}

/// How LogQL writes a comparison.
const fn written(operator: lang::logql::tree::MatchOperator) -> &'static str {
    use lang::logql::tree::MatchOperator;
    match operator {
        MatchOperator::Equal => "=",
        MatchOperator::NotEqual => "!=",
        MatchOperator::Match => "=~",
        MatchOperator::NotMatch => "!~",
    }
}

/// Every feature.
fn all() -> Features {
    Feature::ALL.into_iter().collect()
}

/// A scope of one tenant.
fn tenant(label: &str) -> ScopeMatchers {
    let value = ScopeValue::parse("acme").expect("a value");
    let values = Values::new(vec![value]).expect("values");
    let scope = Scope::new([("tenant".to_owned(), values)].into()).expect("a scope");
    scope.in_labels(|_| Some(label)).expect("a label")
}

/// A generated text is scoped, unless it is over a cap.
fn taken(tree: &Tree, scope: impl Fn(&QueryLimits, &ScopeMatchers) -> Result<ScopedText, QueryError>) {
    match scope(&QueryLimits::default(), &tenant("tenant")) {
        Ok(scoped) => assert_eq!(scoped.selectors(), tree.selectors, "{}", tree.text),
        Err(error) => assert_eq!(error.kind, QueryErrorKind::Limit, "{error}: {}", tree.text),
    }
}

fn with_text(bytes: &[u8], check: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn targets() -> Vec<(&'static str, Target)> {
        let mut targets = Vec::from(TARGETS);
        #[cfg(feature = "proxy")]
        targets.extend(PROXY_TARGETS);
        targets
    }

    #[test]
    fn what_fuzzing_once_found_stays_mended() {
        for (name, target) in targets() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions").join(name);
            let files = std::fs::read_dir(&folder).expect("a folder of finds");
            let replayed =
                files.map(|file| target(&std::fs::read(file.expect("a find").path()).expect("its bytes")));
            assert!(replayed.count() > 0, "{name}");
        }
    }

    #[test]
    #[cfg(feature = "proxy")]
    fn every_target_has_a_program_and_is_run() {
        let targets: Vec<&str> = targets().into_iter().map(|(name, _)| name).collect();
        let manifest: Manifest = toml::from_str(include_str!("../fuzz/Cargo.toml")).expect("a manifest");
        let programs: Vec<&str> = manifest.bin.iter().map(|bin| bin.name.as_str()).collect();
        let run = include_str!("../fuzz/run");
        let (_, run) = run.split_once("|| targets=(").expect("what is run if nothing is named");
        let run: Vec<&str> = run.split(')').next().expect("its end").split_whitespace().collect();
        let finds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
        let finds: Vec<String> = std::fs::read_dir(finds)
            .expect("finds")
            .map(|folder| folder.expect("a folder").file_name().into_string().expect("a name"))
            .collect();
        let sorted = |names: Vec<&str>| {
            let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(sorted(programs), sorted(targets.clone()), "fuzz/Cargo.toml");
        assert_eq!(sorted(run), sorted(targets.clone()), "fuzz/run");
        assert_eq!(sorted(finds.iter().map(String::as_str).collect()), sorted(targets), "fuzz/regressions");
    }

    #[cfg(feature = "proxy")]
    #[derive(serde::Deserialize)]
    struct Manifest {
        bin: Vec<Named>,
    }

    #[derive(serde::Deserialize)]
    struct Lock {
        package: Vec<Named>,
    }

    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Named {
        name: String,
        version: Option<String>,
    }

    /// If not: `cp Cargo.lock fuzz && cargo metadata --manifest-path fuzz/Cargo.toml`.
    #[test]
    fn what_is_fuzzed_is_built_of_what_is_shipped() {
        let of = |text| toml::from_str::<Lock>(text).expect("a lock file").package;
        let shipped = of(include_str!("../Cargo.lock"));
        let ours = ["palisade-fuzz", "libfuzzer-sys", "arbitrary"];
        for package in of(include_str!("../fuzz/Cargo.lock")) {
            assert!(shipped.contains(&package) || ours.contains(&&*package.name), "{package:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// What is changed in a good file or token here and there is read without a panic, and held to the same.
        #[test]
        fn changed_finds_hold_too(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..3), 1..8),
        ) {
            for (name, target) in targets() {
                let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions").join(name).join("first");
                let Ok(mut bytes) = std::fs::read(first) else { continue };
                for (place, byte, kind) in &changes {
                    match kind {
                        0 => bytes.insert(place.index(bytes.len() + 1), *byte),
                        1 if !bytes.is_empty() => drop(bytes.remove(place.index(bytes.len()))),
                        _ if !bytes.is_empty() => {
                            let at = place.index(bytes.len());
                            bytes[at] = *byte;
                        }
                        _ => {}
                    }
                }
                target(&bytes);
            }
        }

        #[test]
        fn every_generated_text_is_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for target in [promql_trees, logql_trees, traceql_trees, promql_opinion, traceql_chunks] {
                target(&bytes);
            }
        }
    }
}
