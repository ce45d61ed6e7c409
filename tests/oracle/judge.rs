//! The Go program over the backends' own parsers (`parsers/`), asked by JSON lines.

use crate::Installed;
use crate::ours::{Answer, Dimension, Language, Matcher};
use crate::sources::{Case, From};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How to start the program.
pub struct Judge {
    program: PathBuf,
    sources: Vec<(&'static str, PathBuf)>,
}

#[derive(Serialize)]
struct Asked<'a> {
    lang: &'static str,
    entry: &'static str,
    query: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scoped: Option<&'a str>,
    scope: &'a [Dimension],
    shown: bool,
    repeat: usize,
}

/// What a backend's parser says to a case; `parsers/judge.go` says what each field is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// It takes the caller's text.
    pub ok: bool,
    /// Why not.
    pub error: String,
    /// The matchers of its selectors, each list sorted.
    pub selectors: Vec<Vec<Matcher>>,
    /// TraceQL: pipelines that begin with a filter that is always true, which may be an empty one.
    pub open: usize,
    /// TraceQL: pipelines that begin with anything else.
    pub bare: usize,
    /// TraceQL: it is a metrics query.
    pub metrics: bool,
    /// What it says to the scoped text.
    pub scoped: Option<ScopedVerdict>,
    /// Nanoseconds to parse and print it.
    pub nanos: u64,
}

/// What a backend's parser says to a scoped text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ScopedVerdict {
    /// It takes it.
    pub ok: bool,
    /// Why not.
    pub error: String,
    /// How many selectors it has.
    pub selectors: usize,
    /// How many of them, and of pipelines, lack the scope.
    pub lacking: usize,
    /// Without the scope it is the caller's tree.
    pub same: bool,
    /// The tree without the scope, if not.
    pub tree: String,
    /// The caller's tree, if not.
    pub original: String,
}

#[derive(Deserialize)]
struct Extracted {
    lang: String,
    query: String,
}

impl Judge {
    /// The program, and where it finds the modules' sources.
    pub fn new(program: &Path, installed: &Installed) -> Self {
        let source = |name, key: &str| Some((name, installed.get(key)?.clone()));
        let sources = [
            source("PROMETHEUS_SOURCE", "prometheus_source"),
            source("LOKI_SOURCE", "loki_source"),
            source("TEMPO_SOURCE", "tempo_source"),
        ];
        Self { program: program.to_owned(), sources: sources.into_iter().flatten().collect() }
    }

    /// Starts it in `mode`.
    pub fn start(&self, mode: &str) -> Result<Child, String> {
        let mut command = Command::new(&self.program);
        command.arg(mode).envs(self.sources.iter().cloned());
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        pipes.map_err(|e| format!("{}: {e}", self.program.display()))
    }

    /// The queries of the modules' own tests, as expressions and as selectors.
    pub fn extract(&self) -> Result<Vec<Case>, String> {
        let lines: Vec<Extracted> = self.converse("extract", Vec::new())?;
        let mut cases = Vec::new();
        for line in lines {
            let language = Language::ALL.into_iter().find(|l| l.name() == line.lang);
            let case = Case::new(language.ok_or("no such language")?, line.query, From::Upstream);
            cases.extend(case.as_selector());
            cases.push(case);
        }
        Ok(cases)
    }

    /// The backends' verdicts on `cases`, for which we have `answers`, in their order.
    pub fn judge(&self, cases: &[Case], answers: &[Answer]) -> Result<Vec<Verdict>, String> {
        let asked = cases.iter().zip(answers).map(|(case, answer)| {
            let scoped = answer.outcome.as_ref().ok();
            line(&Asked {
                lang: case.language.name(),
                entry: if case.selector { "selector" } else { "" },
                query: &case.query,
                scoped: scoped.map(|s| s.text.as_str()),
                scope: &answer.scope,
                shown: scoped.is_some_and(|s| !s.metrics),
                repeat: 0,
            })
        });
        let verdicts: Vec<Verdict> = self.converse("judge", asked.collect())?;
        if verdicts.len() != cases.len() {
            return Err(format!("{} verdicts on {} cases", verdicts.len(), cases.len()));
        }
        Ok(verdicts)
    }

    /// Nanoseconds that each backend's parser takes to parse and print `query` once, over `repeat` times.
    pub fn time(&self, language: Language, query: &str, repeat: usize) -> Result<u64, String> {
        let (lang, entry, scope) = (language.name(), "", Vec::new());
        let asked = Asked { lang, entry, query, scoped: None, scope: &scope, shown: false, repeat };
        let verdicts: Vec<Verdict> = self.converse("judge", vec![line(&asked)])?;
        verdicts.first().filter(|v| v.ok).map(|v| v.nanos).ok_or_else(|| format!("`{query}` is refused"))
    }

    /// Writes `lines` to the program and reads all that it answers.
    fn converse<T: for<'a> Deserialize<'a>>(&self, mode: &str, lines: Vec<String>) -> Result<Vec<T>, String> {
        let mut child = self.start(mode)?;
        let mut stdin = BufWriter::new(child.stdin.take().ok_or("no pipe")?);
        let writer = std::thread::spawn(move || lines.iter().try_for_each(|l| stdin.write_all(l.as_bytes())));
        let mut answers = Vec::new();
        for line in BufReader::new(child.stdout.take().ok_or("no pipe")?).lines() {
            let line = line.map_err(|e| e.to_string())?;
            answers.push(serde_json::from_str(&line).map_err(|e| format!("{mode}: {e}: {line}"))?);
        }
        let written = writer.join().map_err(|_| "the writer panicked")?;
        written.map_err(|e| format!("{mode}: {e}"))?;
        let status = child.wait().map_err(|e| e.to_string())?;
        if status.success() { Ok(answers) } else { Err(format!("{mode}: {status}")) }
    }
}

/// `value` as one line.
pub fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("text and numbers only");
    text.push('\n');
    text
}
