//! The `palisade` command.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    palisade::cli::run(palisade::cli::Arguments::parse())
}
