//! Faults: what callers, backends, issuers, disks and operators do wrong, done to the built program.
//!
//! `just faults` runs it. A plain `cargo test` says that it was not run. Each row starts a `palisade` of its own in a
//! child process, with a bound on its memory, does one thing wrong to it, and prints what was measured. A bar on
//! a time is held against a baseline that was measured in the same run.
//! `PALISADE_FAULTS_ONLY=text` runs the rows whose name holds the text; `PALISADE_FAULTS_PROGRAM=file` tests another
//! build of the program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, dead_code)]

mod backend;
mod broken;
mod child;
mod client;
mod door;
mod ends;
mod lines;
mod memory;
mod quiet;
mod shares;
#[path = "../it/support/signing.rs"]
mod signing;

use futures_util::future::BoxFuture;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long one row may take.
const ROW_TIMEOUT: Duration = Duration::from_secs(60);
/// How long all of them may take where CI runs them.
const CI_TIMEOUT: Duration = Duration::from_secs(360);

/// One fault: it gives what was measured, and panics where a bar is missed.
type Row = fn() -> BoxFuture<'static, String>;

/// The rows, by name. Add one with its module.
const ROWS: &[(&str, Row)] = &[
    ("a quiet server answers", || Box::pin(quiet::answers())),
    ("10,000 half heads", || Box::pin(door::half_heads())),
    ("atk_6b 5,000 connections of one byte", || Box::pin(door::atk_6b_dripping_prefaces())),
    ("400 connections at 256 files", || Box::pin(door::few_files())),
    ("atk_67 2,000 hang-ups before the head", || Box::pin(lines::atk_67_hang_ups())),
    ("2,000 resets", || Box::pin(lines::resets())),
    ("2,000 streams cancelled", || Box::pin(lines::cancelled_streams())),
    ("2,000 requests in flight at the end", || Box::pin(lines::drained())),
    ("atk_6a the audit log's disk is full, then free", || Box::pin(lines::atk_6a_full_disk())),
    ("a cut of alerts takes 1.5 times its answer", || Box::pin(memory::cut_alerts())),
    ("a cut of one rule takes 1.5 times its answer", || Box::pin(memory::cut_rules())),
    ("a cut of silences takes 1.5 times its answer", || Box::pin(memory::cut_silences())),
    ("a cut of a search takes 1.5 times its answer", || Box::pin(memory::cut_search())),
    ("a cut of a trace takes 1.75 times its answer", || Box::pin(memory::cut_trace())),
    ("atk_66 50 streams with window 0 of a large cut", || Box::pin(memory::atk_66_stalled_streams())),
    ("atk_66 77 slow readers of a large cut", || Box::pin(memory::atk_66_slow_readers())),
    ("16 fast readers of a large cut", || Box::pin(memory::fast_readers())),
    ("the end under load, with half heads", || Box::pin(ends::under_load())),
    ("a second signal", || Box::pin(ends::second_signal())),
    ("backends break in every way", || Box::pin(broken::backends())),
    ("atk_66 answers that nobody takes", || Box::pin(shares::atk_66_untaken())),
    ("atk_68 one backend hangs", || Box::pin(shares::atk_68_hung_backend())),
    ("atk_69 a reload every 50 ms", || Box::pin(shares::atk_69_reloads())),
    ("twice as many callers as places", || Box::pin(shares::overload())),
    ("silences where connections end unannounced", || Box::pin(shares::unannounced_ends())),
    ("atk_6d long questions", || Box::pin(shares::atk_6d_long_questions())),
    ("issuers break in every way", || Box::pin(broken::issuers())),
];

fn main() -> ExitCode {
    if std::env::var_os("PALISADE_FAULTS").is_none() {
        println!("faults: not run (`just faults` runs it)");
        return ExitCode::SUCCESS;
    }
    let only = std::env::var("PALISADE_FAULTS_ONLY").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let (mut run, mut failed) = (0, Vec::new());
    for (name, row) in ROWS.iter().filter(|(name, _)| name.contains(&only)) {
        run += 1;
        let started = Instant::now();
        // In a task, so that a bar that is missed ends the row and not the run.
        let measured = runtime.block_on(async {
            tokio::time::timeout(ROW_TIMEOUT, tokio::spawn(row()))
                .await
                .map_err(|_| "took too long".to_owned())
        });
        let measured = measured.and_then(|joined| joined.map_err(|error| error.to_string()));
        let (seconds, good) = (started.elapsed().as_secs_f64(), measured.is_ok());
        let (Ok(told) | Err(told)) = measured;
        println!("{} {name}: {told} ({seconds:.1} s)", if good { "ok    " } else { "FAILED" });
        if !good {
            failed.push(*name);
        }
    }
    let took = began.elapsed();
    println!("faults: {run} rows, {} failed, {:.0} s", failed.len(), took.as_secs_f64());
    let in_time = took < CI_TIMEOUT || std::env::var_os("CI").is_none();
    if !in_time {
        println!("faults: over {} s", CI_TIMEOUT.as_secs());
    }
    if run > 0 && failed.is_empty() && in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
