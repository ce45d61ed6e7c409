//! `palisade check`.

use crate::cases;
use crate::config::{Backend, Snapshot};
use crate::server::unusable_files;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Read the files that the configuration names as well: certificates, keys and secrets. A check elsewhere than
    /// where Palisade runs has none.
    #[arg(long)]
    files: bool,
    /// Fail on warnings, too.
    #[arg(long)]
    strict: bool,
}

/// Checks, and prints what was found: 0 fine, 1 a case failed or a file that is named is unusable (with `--strict`: or there are warnings), 2 a
/// file cannot be used.
pub fn check(arguments: &CheckArguments) -> ExitCode {
    let Snapshot { config, policies, report, .. } = match Snapshot::load(&arguments.config) {
        Ok(checked) => checked,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(2);
        }
    };
    for failure in &report.failures {
        println!("{failure}");
    }
    let unusable = if arguments.files { unusable_files(&config) } else { Vec::new() };
    for fault in &unusable {
        println!("{fault}");
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
    if !report.failures.is_empty() || !unusable.is_empty() || (arguments.strict && !warnings.is_empty()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
