//! `palisade scope`: what a query becomes before it is sent, without a server.
//!
//! Reads JSON strings, one a line, and answers each with one line, in order. Memory is flat: one line
//! is held at a time.

mod arguments;
mod pretty;

pub use arguments::ScopeArguments;

use crate::lang::{Features, Language, QueryError, ScopedText, logql, promql, traceql};
use crate::limits::QueryLimits;
use crate::span::Span;
use crate::tenant::ScopeMatchers;
use pretty::Pretty;
use serde::Serialize;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::process::ExitCode;

/// Longest line that is read. Every character of a query may be written as `\u0041`, and the query is
/// still within its cap.
const MAX_LINE_BYTES: usize = 1024 * 1024;
/// What is read and written at a time, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Scopes the queries of standard input as `arguments` say.
pub fn scope(arguments: &ScopeArguments) -> ExitCode {
    let scoping = match arguments.scoping() {
        Ok(scoping) => scoping,
        Err(fault) => {
            eprintln!("palisade: {fault}");
            return ExitCode::from(2);
        }
    };
    let stdout = io::stdout();
    let color = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let form = if arguments.pretty { Form::Pretty(Pretty { color }) } else { Form::Json };
    let input = BufReader::with_capacity(BUFFER_BYTES, io::stdin().lock());
    let output = BufWriter::with_capacity(BUFFER_BYTES, stdout.lock());
    match scoping.lines(input, output, &form) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palisade: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How queries are scoped.
#[derive(Debug)]
struct Scoping {
    language: Language,
    features: Features,
    limits: QueryLimits,
    matchers: ScopeMatchers,
}

/// How outcomes are written.
enum Form {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty(Pretty),
}

/// What became of one line.
struct Outcome {
    /// The query, if the line holds one.
    query: Option<String>,
    scoped: Result<ScopedText, Refusal>,
}

/// Why a line was refused.
struct Refusal {
    /// A kind of [`QueryError`], or `input` for a line that is no JSON string.
    kind: &'static str,
    message: String,
    span: Option<Span>,
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self { kind: error.kind.name(), message: error.message, span: error.span }
    }
}

impl Scoping {
    /// Answers every line of `input`. What is answered is written before more input is waited for, so
    /// that a program can ask and read in turn.
    fn lines(&self, mut input: BufReader<impl Read>, mut output: impl Write, form: &Form) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            if input.buffer().is_empty() {
                output.flush()?;
            }
            let outcome = match read_line(&mut input, &mut line)? {
                Line::End => return output.flush(),
                Line::Whole => self.outcome(&line),
                Line::TooLong => {
                    let message = format!("over the limit of {MAX_LINE_BYTES} bytes of a line");
                    Outcome::refused(Refusal { kind: "limit", message, span: None })
                }
            };
            match form {
                Form::Json => outcome.write_json(&mut output)?,
                Form::Pretty(pretty) => pretty.write(&mut output, &outcome)?,
            }
        }
    }

    fn outcome(&self, line: &[u8]) -> Outcome {
        match serde_json::from_slice::<String>(line) {
            Ok(query) => {
                let scoped = self.query(&query).map_err(Refusal::from);
                Outcome { query: Some(query), scoped }
            }
            Err(_) => {
                let message = "not a JSON string".to_owned();
                Outcome::refused(Refusal { kind: "input", message, span: None })
            }
        }
    }

    fn query(&self, query: &str) -> Result<ScopedText, QueryError> {
        let (features, limits, matchers) = (self.features, &self.limits, &self.matchers);
        match self.language {
            Language::PromQl => promql::scope(query, promql::Entry::Expression, features, limits, matchers),
            Language::LogQl => logql::scope(query, logql::Entry::Expression, features, limits, matchers),
            Language::TraceQl => {
                let scope = |entry| traceql::scope(query, entry, features, limits, matchers);
                // A text is a search or a metrics query, never both.
                match scope(traceql::Entry::Query) {
                    Err(_) if is_metrics(query, features, limits) => scope(traceql::Entry::Metrics),
                    outcome => outcome,
                }
            }
        }
    }
}

fn is_metrics(query: &str, features: Features, limits: &QueryLimits) -> bool {
    traceql::parse(query, traceql::Entry::Metrics, features, limits).is_ok()
}

impl Outcome {
    fn refused(refusal: Refusal) -> Self {
        Self { query: None, scoped: Err(refusal) }
    }

    fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let query = self.query.as_deref();
        let written = match &self.scoped {
            Ok(text) => {
                let line = ScopedLine { query, scoped: text.as_str(), selectors: text.selectors() };
                serde_json::to_writer(&mut *output, &line)
            }
            Err(Refusal { kind, message, span }) => {
                let error = ErrorObject { kind, message, span: span.map(|s| [s.from, s.to]) };
                serde_json::to_writer(&mut *output, &RefusedLine { query, error })
            }
        };
        written.map_err(io::Error::from)?;
        output.write_all(b"\n")
    }
}

/// The line of a query that was scoped.
#[derive(Serialize)]
struct ScopedLine<'a> {
    query: Option<&'a str>,
    scoped: &'a str,
    selectors: usize,
}

/// The line of one that was not.
#[derive(Serialize)]
struct RefusedLine<'a> {
    query: Option<&'a str>,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    kind: &'a str,
    message: &'a str,
    /// In bytes of the query.
    span: Option<[usize; 2]>,
}

/// What [`read_line`] found.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads the next line into `line`; of one that is too long, the rest is skipped.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let most = MAX_LINE_BYTES as u64 + 1;
    if input.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.len() > MAX_LINE_BYTES && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    Ok(Line::Whole)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_mebibyte_and_not_a_byte_more() {
        for (bytes, end, expected) in [
            (MAX_LINE_BYTES, "\n", Line::Whole),
            (MAX_LINE_BYTES, "", Line::Whole),
            (MAX_LINE_BYTES + 1, "\n", Line::TooLong),
            (MAX_LINE_BYTES + 1, "", Line::TooLong),
        ] {
            let text = format!("{}{end}2\n", "1".repeat(bytes));
            let text = if end.is_empty() { text.trim_end_matches("2\n") } else { &text };
            let (mut input, mut line) = (text.as_bytes(), Vec::new());
            assert_eq!(read_line(&mut input, &mut line).unwrap(), expected, "{bytes} {end:?}");
            if !end.is_empty() {
                assert_eq!(read_line(&mut input, &mut line).unwrap(), Line::Whole);
                assert_eq!(line, b"2\n");
            }
            assert_eq!(read_line(&mut input, &mut line).unwrap(), Line::End);
        }
    }
}
