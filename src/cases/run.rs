//! Running cases, and telling what fails.

use super::ask::{Asking, Heard, Request, ask};
use super::file::{CaseEntry, CaseFile};
use crate::limits::Limits;
use crate::policy::{Outcome, Policies};
use crate::scope::preview::Preview;
use crate::scope::{Backend, Site};
use crate::yaml::FileError;
use serde_saphyr::Spanned;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What came of all cases of a folder.
#[derive(Debug, Default)]
pub struct Report {
    /// How many were run.
    pub run: usize,
    /// Those that failed, in order.
    pub failures: Vec<Failure>,
    /// The rules that applied in some case.
    pub applied: BTreeSet<Arc<str>>,
    /// The files of cases that were read.
    pub files: Vec<String>,
}

/// A case that failed. Displayed as `FILE:LINE:COLUMN: case …` and the difference between what it says, with
/// `-`, and what comes of it, with `+`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The file and the place in it.
    at: FileError,
    /// What the case says, as lines.
    expected: Vec<String>,
    /// What comes of it, as lines.
    got: Vec<String>,
}

/// Runs the files of cases beside the policy files of `folder`. They ask `backends`, unless a file brings
/// its own.
///
/// # Errors
/// A file that cannot be read. A case that fails is told in the report.
pub fn run_folder(
    folder: &Path,
    policies: &Policies,
    backends: &[Backend],
    limits: &Limits,
) -> Result<Report, FileError> {
    let mut report = Report::default();
    for file in CaseFile::read_folder(folder)? {
        run(&file, policies, backends, limits, &mut report);
        report.files.push(file.file().to_owned());
    }
    Ok(report)
}

/// Runs the cases of one file, and adds what comes of them to `report`.
pub fn run(file: &CaseFile, policies: &Policies, backends: &[Backend], limits: &Limits, report: &mut Report) {
    let backends = file.backends.as_deref().unwrap_or(backends);
    for case in &file.cases {
        report.run = report.run.saturating_add(1);
        match heard(&case.value, policies, backends, limits) {
            Ok(heard) => {
                let applied =
                    heard.judgement.verdicts.iter().filter(|v| matches!(v.outcome, Outcome::Applies));
                report.applied.extend(applied.map(|verdict| Arc::clone(&verdict.rule)));
                report.failures.extend(compared(file.file(), case, &heard));
            }
            Err((place, fault)) => {
                let message = format!("case `{}`: {fault}", case.value.name.value);
                let at = FileError::at(file.file(), place, message);
                report.failures.push(Failure { at, expected: Vec::new(), got: Vec::new() });
            }
        }
    }
}

fn heard(
    case: &CaseEntry,
    policies: &Policies,
    backends: &[Backend],
    limits: &Limits,
) -> Result<Heard, (serde_saphyr::Location, String)> {
    let name = &case.backend.value;
    let site = Site::find(backends, name);
    let site = site.ok_or_else(|| (case.backend.referenced, format!("no backend `{name}`")))?;
    let mut request =
        Request::parse(&case.request.value).map_err(|fault| (case.request.referenced, fault))?;
    request.headers = case.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    request.form.clone_from(&case.form);
    Ok(ask(&Asking { policies, site: &site, limits }, &case.claims, &request))
}

/// The failure of a case in which something else came than it says.
fn compared(file: &str, case: &Spanned<CaseEntry>, heard: &Heard) -> Option<Failure> {
    let case = &case.value;
    let (expected, place) = match (&case.call, &case.refused, &case.answered) {
        (Some(call), _, _) => (lines(&call.value), call.referenced),
        (None, Some(kind), _) => (vec![format!("refused: {}", kind.value)], kind.referenced),
        (None, None, Some(answered)) => (vec![ANSWERED.to_owned()], answered.referenced),
        (None, None, None) => (Vec::new(), case.name.referenced),
    };
    let got = shown(heard);
    if got == expected {
        return None;
    }
    let said = match &heard.result {
        Err(rejection) => format!(": {rejection}"),
        Ok(_) => String::new(),
    };
    let message = format!("case `{}` comes out otherwise{said}", case.name.value);
    Some(Failure { at: FileError::at(file, place, message), expected, got })
}

const ANSWERED: &str = "answered: true";

fn lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// What comes of a request, as a case says it.
pub(super) fn shown(heard: &Heard) -> Vec<String> {
    match &heard.result {
        Err(rejection) => vec![format!("refused: {}", rejection.kind())],
        Ok(Preview::Answer(_)) => vec![ANSWERED.to_owned()],
        Ok(Preview::Calls { calls, cut }) => {
            let mut shown: Vec<String> = heard.chosen.iter().map(|name| format!("to {name}")).collect();
            for call in calls {
                shown.extend(lines(&call.to_string()));
            }
            if let Some(grant) = heard.grant.as_ref().filter(|_| *cut) {
                shown.push(format!("then cut to {}", grant.scope()));
            }
            shown
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        let (mut old, mut new) = (self.expected.as_slice(), self.got.as_slice());
        let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let (head, rest) = old.split_at(same);
        (old, new) = (rest, new.get(same..).unwrap_or_default());
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
        let (old, tail) = old.split_at(old.len().saturating_sub(tail));
        let new = new.get(..new.len().saturating_sub(tail.len())).unwrap_or_default();
        for (sign, lines) in [(' ', head), ('-', old), ('+', new), (' ', tail)] {
            for line in lines {
                write!(f, "\n  {sign} {line}")?;
            }
        }
        Ok(())
    }
}
