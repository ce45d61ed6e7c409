//! `palisade doctor`: asks what a check of files cannot know. Nothing is changed anywhere.

mod ask;
mod backends;
mod files;
mod issuers;

use crate::config::Snapshot;
use clap::Args;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to look at.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// A file with a token of a caller, which is verified as that of a request; `-` is standard input.
    #[arg(long)]
    token: Option<PathBuf>,
    /// Do not count what data the backends have with and without the labels of scopes.
    #[arg(long)]
    no_counts: bool,
    /// Fail on warnings, too.
    #[arg(long)]
    strict: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Fine,
    Warning,
    Problem,
}

/// What was found out, with what to change where something is to be changed.
#[derive(Debug)]
struct Finding {
    level: Level,
    /// What it is about, as the configuration names it.
    about: String,
    text: String,
}

impl Finding {
    fn fine(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Fine, about: about.into(), text: text.into() }
    }

    fn warning(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Warning, about: about.into(), text: text.into() }
    }

    fn problem(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Problem, about: about.into(), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Fine => "fine   ",
            Level::Warning => "warning",
            Level::Problem => "problem",
        };
        write!(f, "{level} {}: {}", self.about, self.text)
    }
}

/// Prints what was found: 0 fine, 1 something is wrong (with `--strict`: or there are warnings), 2 a file cannot be used.
pub async fn doctor(arguments: DoctorArguments) -> ExitCode {
    let snapshot = match Snapshot::load(&arguments.config) {
        Ok(snapshot) => snapshot,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(2);
        }
    };
    let token = match arguments.token.as_deref().map(issuers::token).transpose() {
        Ok(token) => token,
        Err(fault) => {
            eprintln!("palisade: --token: {fault}");
            return ExitCode::from(2);
        }
    };
    let (mut warnings, mut problems) = (0_usize, 0_usize);
    // Each line when it is known: what waits for a server may wait for long.
    let mut told = |findings: Vec<Finding>| {
        for finding in findings {
            match finding.level {
                Level::Fine => {}
                Level::Warning => warnings = warnings.saturating_add(1),
                Level::Problem => problems = problems.saturating_add(1),
            }
            println!("{finding}");
        }
    };
    if !snapshot.report.failures.is_empty() {
        told(vec![Finding::problem(
            "policies",
            "cases fail, so they would not be served: run `palisade check`",
        )]);
    }
    told(files::look(&snapshot.config));
    for issuer in &snapshot.config.issuers {
        told(vec![issuers::look(issuer).await]);
    }
    if let Some(token) = token {
        told(issuers::look_at_token(&token, &snapshot).await);
    }
    for backend in &snapshot.config.backends {
        told(backends::look(backend, !arguments.no_counts).await);
    }
    println!("{problems} problems, {warnings} warnings");
    if problems > 0 || (arguments.strict && warnings > 0) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
