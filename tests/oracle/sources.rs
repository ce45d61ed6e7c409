//! Where queries come from.

use crate::ours::Language;
use std::path::Path;

/// Whose query it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// A string of the backends' own tests.
    Upstream,
    /// `tests/corpus`.
    Corpus,
    /// Made up here.
    Generated,
}

/// A query to compare.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its language.
    pub language: Language,
    /// Whether the text must be a selector, as in `match[]`; else an expression.
    pub selector: bool,
    /// The text.
    pub query: String,
    /// Where it comes from.
    pub from: From,
}

impl Case {
    /// An expression.
    pub fn new(language: Language, query: String, from: From) -> Self {
        Self { language, selector: false, query, from }
    }

    /// The same text as a selector, where the language reads such.
    pub fn as_selector(&self) -> Option<Self> {
        (self.language != Language::TraceQl).then(|| Self { selector: true, ..self.clone() })
    }
}

/// The queries of the corpus, whatever is expected of them there.
pub fn corpus() -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for language in Language::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(language.name());
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
            let query = text.strip_prefix("-- query --\n").and_then(|rest| rest.split("\n-- ").next());
            let query = query.ok_or_else(|| format!("{}: begins with no query", file.display()))?;
            let case = Case::new(language, query.to_owned(), From::Corpus);
            cases.extend(case.as_selector());
            cases.push(case);
        }
    }
    cases.extend(dashboards()?);
    Ok(cases)
}

/// The expressions of `tests/corpus/dashboards`, one a line.
fn dashboards() -> Result<Vec<Case>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/dashboards");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let language = Language::ALL.into_iter().find(|language| language.name() == extension);
        let language = language.ok_or_else(|| format!("{}: of no language", file.display()))?;
        let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        cases.extend(lines.map(|line| Case::new(language, line.to_owned(), From::Corpus)));
    }
    Ok(cases)
}
