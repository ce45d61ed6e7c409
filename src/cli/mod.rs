//! The commands.
//!
//! Exit codes: 0 fine, 1 a check failed, 2 unusable arguments or configuration.

mod demo;
mod log;
mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Multi-tenant query proxy for Prometheus, Loki, Tempo and Alertmanager.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, about)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: log::LogArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what Palisade does, with an issuer and backends of its own: nothing else is needed.
    Demo(demo::DemoArguments),
    /// Serve callers as the configuration says, until SIGINT or SIGTERM.
    Serve(serve::ServeArguments),
}

/// Runs the command of `arguments`.
pub fn run(arguments: Arguments) -> ExitCode {
    // The demo's own lines are what its reader looks at, and it refuses much on purpose.
    arguments.log.start(match arguments.command {
        Command::Demo(_) => "error",
        Command::Serve(_) => "info",
    });
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("palisade: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        match arguments.command {
            Command::Demo(arguments) => demo::demo(arguments).await,
            Command::Serve(arguments) => serve::serve(arguments).await,
        }
    })
}

/// Waits for SIGINT or SIGTERM.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
