//! `palisade check`.

use crate::cases::{self, Report};
use crate::config::{Backend, Config};
use crate::policy::Policies;
use crate::yaml::FileError;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Fail on warnings, too.
    #[arg(long)]
    strict: bool,
}

/// A configuration with its policies, and what came of their cases.
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// The policies.
    pub policies: Policies,
    /// What came of the cases.
    pub report: Report,
}

/// Reads the configuration at `path` and its policies, and runs the policies' cases.
///
/// # Errors
/// A file that cannot be used. Cases that fail are told in the report.
pub fn load(path: &std::path::Path) -> Result<Checked, FileError> {
    let config = Config::load(path)?;
    let policies = Policies::load(&config.policies, &config.limits)?;
    let backends: Vec<_> = config.backends.iter().map(Backend::scoped).collect();
    let report = cases::run_folder(&config.policies, &policies, &backends, &config.limits)?;
    Ok(Checked { config, policies, report })
}

/// Checks, and prints what was found: 0 fine, 1 a case failed (with `--strict`: or there are warnings), 2 a
/// file cannot be used.
pub fn check(arguments: &CheckArguments) -> ExitCode {
    let Checked { config, policies, report } = match load(&arguments.config) {
        Ok(checked) => checked,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(2);
        }
    };
    for failure in &report.failures {
        println!("{failure}");
    }
    let backends: Vec<_> = config.backends.iter().map(Backend::scoped).collect();
    let warnings = cases::lint(&policies, &backends, &report);
    for warning in &warnings {
        println!("{warning} (warning)");
    }
    let claims: Vec<_> = cases::scope_claims(&policies).into_iter().collect();
    if !claims.is_empty() {
        println!(
            "claims that scopes are made of, which no user may be able to choose: {}",
            claims.join(", ")
        );
    }
    let (rules, cases) = (policies.rules().len(), report.run);
    println!("{rules} rules, {cases} cases, {} failed, {} warnings", report.failures.len(), warnings.len());
    if !report.failures.is_empty() || (arguments.strict && !warnings.is_empty()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
