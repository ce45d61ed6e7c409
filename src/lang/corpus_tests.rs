//! Runs `tests/corpus/LANGUAGE/*.case`: one case a file.
//!
//! A file has sections, each begun by a line `-- NAME … --`: `query`; optionally `entry` and `features`
//! (one a line); `scope LABEL=VALUE[,VALUE…]…` without a body, or `salted scope …` for one with a salt; and last what
//! is expected: `scoped`, with `SALT` for the salt, or `refused KIND` with a part of the message, or of nothing. A
//! text's last line feed is not part of it.
//! With `PALISADE_UPDATE=1` the last section is rewritten from what happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Feature, Features, QueryError, ScopedText};
use crate::limits::QueryLimits;
use crate::tenant::{SaltKey, Scope, ScopeMatchers, ScopeValue, Values};
use std::fmt::Write as _;
use std::path::Path;

/// One case, read.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// The caller's text.
    pub query: String,
    /// What the text must be; empty if the file does not say.
    pub entry: String,
    /// The backend's features.
    pub features: Features,
    scope: String,
    salted: bool,
    expected: Expected,
}

#[derive(Debug, Default, PartialEq)]
enum Expected {
    #[default]
    Nothing,
    Scoped(String),
    Refused {
        kind: String,
        part: String,
    },
}

impl Case {
    fn read(file: &str) -> Self {
        let mut case = Self::default();
        let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in file.split_inclusive('\n') {
            let header = line.trim_end().strip_prefix("-- ").and_then(|l| l.strip_suffix(" --"));
            match (header, sections.last_mut()) {
                (Some(name), _) => sections.push((name, Vec::new())),
                (None, Some((_, body))) => body.push(line),
                (None, None) => panic!("text before the first section: {line}"),
            }
        }
        for (name, body) in sections {
            let body = body.concat();
            let body = body.strip_suffix('\n').unwrap_or(&body).to_owned();
            match name.split_once(' ').unwrap_or((name, "")) {
                ("query", "") => case.query = body,
                ("entry", "") => case.entry = body,
                ("features", "") => {
                    case.features = body.lines().map(|f| f.parse::<Feature>().unwrap()).collect();
                }
                ("scope", dimensions) => case.scope = dimensions.to_owned(),
                ("salted", rest) => {
                    case.salted = true;
                    case.scope = rest.strip_prefix("scope").expect("a scope").trim().to_owned();
                }
                ("scoped", "") => case.expected = Expected::Scoped(body),
                ("refused", kind) => case.expected = Expected::Refused { kind: kind.to_owned(), part: body },
                _ => panic!("unknown section `{name}`"),
            }
        }
        case
    }

    /// The scope of the case.
    pub fn scope(&self) -> ScopeMatchers {
        assert!(self.salted || !self.scope.is_empty(), "a scope");
        matchers(&self.scope).salted(key().filter(|_| self.salted))
    }

    /// `text` with `SALT` in place of the salt.
    fn shown(&self, text: &str) -> String {
        self.scope().salt().map_or_else(|| text.to_owned(), |salt| text.replace(salt.as_str(), "SALT"))
    }

    /// What is wrong, if anything.
    fn complaint(&self, outcome: &Result<ScopedText, QueryError>) -> Option<String> {
        let right = match (&self.expected, outcome) {
            (Expected::Scoped(text), Ok(scoped)) => *text == self.shown(scoped.as_str()),
            (Expected::Refused { kind, part }, Err(error)) => {
                kind == error.kind.name() && error.message.contains(part.as_str())
            }
            _ => false,
        };
        (!right).then(|| format!("expected {:?}\n     got {outcome:?}", self.expected))
    }
}

/// The key of salts in tests.
pub(super) fn key() -> Option<SaltKey> {
    SaltKey::new(&[7; SaltKey::MIN_BYTES])
}

/// As [`matchers`], with a salt.
pub(super) fn salted(text: &str) -> ScopeMatchers {
    matchers(text).salted(key())
}

/// A scope from `LABEL=VALUE[,VALUE…] …`, each label standing for a dimension of its own name; everything, if the text
/// is empty.
pub(super) fn matchers(text: &str) -> ScopeMatchers {
    let pairs: Vec<_> = text.split_whitespace().map(|d| d.split_once('=').expect("LABEL=VALUE")).collect();
    let dimensions = pairs.iter().map(|(label, values)| {
        let values = values.split(',').map(|v| ScopeValue::parse(v).unwrap()).collect();
        ((*label).to_owned(), Values::new(values).unwrap())
    });
    let scope = Scope::new(dimensions.collect()).unwrap_or_else(Scope::unrestricted);
    scope.in_labels(|dimension| pairs.iter().map(|(label, _)| *label).find(|l| *l == dimension)).unwrap()
}

/// Every case of `language`, in order of name.
pub(super) fn cases(language: &str) -> Vec<(String, Case)> {
    files(language).into_iter().map(|(name, file)| (name, Case::read(&file))).collect()
}

fn folder(language: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(language)
}

fn files(language: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder(language)).expect("the corpus");
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Runs every case of `language` through `scope`.
///
/// # Panics
/// With every complaint, if there is one, or if there is no case.
pub(super) fn run(language: &str, scope: impl Fn(&Case) -> Result<ScopedText, QueryError>) {
    let update = std::env::var_os("PALISADE_UPDATE").is_some();
    let mut complaints = String::new();
    let files = files(language);
    assert!(!files.is_empty(), "no cases");
    for (name, file) in files {
        let outcome = scope(&Case::read(&file));
        let Some(complaint) = Case::read(&file).complaint(&outcome) else { continue };
        if update {
            std::fs::write(folder(language).join(&name), updated(&file, &outcome)).unwrap();
        } else {
            writeln!(complaints, "{name}: {complaint}").unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// `file` with its last section, if that is an expectation, replaced by `outcome`.
fn updated(file: &str, outcome: &Result<ScopedText, QueryError>) -> String {
    let start = ["-- scoped --\n", "-- refused "].iter().filter_map(|h| file.find(h)).min();
    let mut text = file.get(..start.unwrap_or(file.len())).unwrap_or_default().to_owned();
    match outcome {
        Ok(scoped) => writeln!(text, "-- scoped --\n{}", Case::read(file).shown(scoped.as_str())),
        Err(error) => writeln!(text, "-- refused {} --\n{}", error.kind, error.message),
    }
    .unwrap();
    text
}

const FILE: &str = "-- query --\nup{\n}\n-- entry --\nselector\n-- features --\nvariants\n-- scope tenant=a,b region=eu --\n-- refused syntax --\nempty\n";

#[test]
fn a_case_is_read() {
    let case = Case::read(FILE);
    assert_eq!((case.query.as_str(), case.entry.as_str()), ("up{\n}", "selector"));
    assert!(case.features.has(Feature::Variants));
    let said: Vec<_> = case.scope().iter().map(|m| (m.label.to_string(), m.values.len())).collect();
    assert_eq!(said, [("region".to_owned(), 1), ("tenant".to_owned(), 2)]);
    let refused = Err(QueryError::syntax(crate::span::Span::at(0), "the selector is empty"));
    assert_eq!(case.complaint(&refused), None);
}

/// The proofs share no escaping with the writers.
#[test]
fn a_writer_that_does_not_escape_is_found_by_each_proof() {
    use super::core::quote::broken::without_escapes;
    use super::{QueryErrorKind, alertmanager, logql, promql};
    let (caps, scope) = (QueryLimits::default(), matchers("tenant=a.b,c"));
    let promql = |text| promql::scope(text, promql::Entry::Expression, Features::NONE, &caps, &scope);
    let logql = |text| logql::scope(text, logql::Entry::Expression, Features::NONE, &caps, &scope);
    let alertmanager = || alertmanager::scope(&scope).map(|mut texts| texts.remove(0));
    let all = || [promql("x"), promql("absent(x)"), logql("{x=\"y\"}"), alertmanager()];
    assert!(all().iter().all(Result::is_ok));
    for outcome in without_escapes(all) {
        assert_eq!(outcome.unwrap_err().kind, QueryErrorKind::Defect);
    }
}

#[test]
fn a_wrong_outcome_is_a_complaint_and_can_be_written_back() {
    let outcome = Ok(ScopedText::proven("up{tenant=\"a\"}".into(), 1, Vec::new(), &matchers("tenant=a")));
    assert!(Case::read(FILE).complaint(&outcome).is_some());
    let case = Case::read(&updated(FILE, &outcome));
    assert_eq!(case.complaint(&outcome), None);
    let limit = Err(QueryError::limit("bytes", 1, None));
    assert!(Case::read(FILE).complaint(&limit).is_some());
}

#[test]
fn promql() {
    use super::promql::{Entry, scope};
    run("promql", |case| {
        let entry = match case.entry.as_str() {
            "" | "expression" => Entry::Expression,
            "selector" => Entry::Selector,
            other => panic!("unknown entry `{other}`"),
        };
        scope(&case.query, entry, case.features, &QueryLimits::default(), &case.scope())
    });
}
