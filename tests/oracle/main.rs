//! The oracle: what our readers make of queries, beside what the parsers of Prometheus, Loki and Tempo
//! make of them.
//!
//! `just oracle` runs it; it installs what it needs with `install.sh`. A plain `cargo test` says that it
//! was not run. `PALISADE_ORACLE=N` generates N queries, `PALISADE_ORACLE_SEED` repeats a run, and
//! `PALISADE_ORACLE_SHOW=N` shows up to N queries of each finding instead of 5.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod gaps;
mod generate;
mod grammar;
mod judge;
mod lezer;
mod ours;
mod report;
mod sources;
mod tally;
mod times;
mod twin;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use generate::Generator;
use judge::Judge;
use ours::Language;
use report::Report;
use sources::{Case, From};
use tally::Tally;

/// What `install.sh` has, by name.
type Installed = BTreeMap<String, PathBuf>;

/// Cases judged at a time, so that memory stays flat.
const CHUNK: usize = 10_000;

fn main() -> ExitCode {
    let Ok(generated) = std::env::var("PALISADE_ORACLE") else {
        println!("oracle: not run (`just oracle` runs it)");
        return ExitCode::SUCCESS;
    };
    let mut report = Report::default();
    let generated = generated.parse().expect("PALISADE_ORACLE: how many queries to generate");
    if let Err(why) = run(generated, &mut report) {
        report.check("oracle", Err(why));
    }
    if report.end(std::env::var("CI").is_ok_and(|ci| ci == "true")) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(generated: usize, report: &mut Report) -> Result<(), String> {
    let installed = install(report)?;
    let Some(program) = installed.get("oracle") else { return Ok(()) };
    let judge = Judge::new(program, &installed);
    let mut tally = Tally::load()?;
    let mut lezer = lezer::Lezer::new(&installed);

    let mut known = judge.extract()?;
    println!("{} strings in the tests of the three modules", known.len());
    known.extend(sources::corpus()?);
    let mut accepted: BTreeMap<Language, Vec<String>> = BTreeMap::new();
    for case in compare(&judge, &mut tally, &mut lezer, known)? {
        accepted.entry(case.language).or_default().push(case.query);
    }
    let mut generator = Generator::new(seed(), accepted)?;
    println!("{generated} generated queries, PALISADE_ORACLE_SEED={}", generator.seed);
    let mut left = generated;
    while left > 0 {
        let cases: Vec<Case> = (0..left.min(CHUNK)).map(|_| generator.next()).collect();
        left -= cases.len();
        compare(&judge, &mut tally, &mut lezer, cases)?;
    }
    tally.report(report);
    lezer.report(report);
    twin::run(&judge, report)?;
    times::show(&judge)
}

/// Judges `cases`; returns those that the backends accept.
fn compare(
    judge: &Judge,
    tally: &mut Tally,
    lezer: &mut lezer::Lezer,
    cases: Vec<Case>,
) -> Result<Vec<Case>, String> {
    let answered: Vec<_> = cases.iter().map(ours::answer).collect();
    let verdicts = judge.judge(&cases, &answered)?;
    lezer.compare(&cases, &answered, &verdicts)?;
    let mut accepted = Vec::new();
    for ((case, answer), verdict) in cases.into_iter().zip(&answered).zip(&verdicts) {
        tally.note(&case, answer, verdict);
        if verdict.ok && case.from != From::Generated && !case.selector {
            accepted.push(case);
        }
    }
    Ok(accepted)
}

fn seed() -> u64 {
    let given = std::env::var("PALISADE_ORACLE_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs()
    })
}

/// Runs `install.sh` and reads which components it has.
fn install(report: &mut Report) -> Result<Installed, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/install.sh");
    let out = Command::new(script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{script}: {e}"))?;
    let mut installed = Installed::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        if let Some((name, path)) = line.split_once('=') {
            installed.insert(name.to_owned(), path.into());
        } else if let Some((name, why)) = line.split_once('!') {
            report.not_run(name, why);
        }
    }
    Ok(installed)
}
