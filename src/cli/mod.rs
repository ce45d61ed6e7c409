//! The commands.
//!
//! Exit codes: 0 fine, 1 a check failed, 2 unusable arguments or configuration.

mod check;
mod demo;
mod doctor;
mod explain;
mod hash;
mod log;
mod scope;
mod serve;

use clap::{Parser, Subcommand};
use std::future::Future;
use std::process::ExitCode;
use std::task::Poll;

/// What `--version` prints: what a release's build sets, its version with the commit, or the version alone.
const VERSION: &str = match option_env!("PALISADE_VERSION") {
    Some(released) => released,
    None => env!("CARGO_PKG_VERSION"),
};

/// Multi-tenant query proxy for Prometheus, Loki, Tempo and Alertmanager.
#[derive(Debug, Parser)]
#[command(name = "palisade", version = VERSION, about)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: log::LogArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration and its policies, and run the policies' cases.
    Check(check::CheckArguments),
    /// Show what Palisade does, with an issuer and backends of its own: nothing else is needed.
    Demo(demo::DemoArguments),
    /// Look at what the configuration names: issuers, certificates, backends and their data.
    Doctor(doctor::DoctorArguments),
    /// Explain what becomes of one request: the claims, the rules, the scope, and what would be sent.
    Explain(explain::ExplainArguments),
    /// Hash a service account's password, read from standard input, for the configuration.
    Hash(hash::HashArguments),
    /// Say what queries become: reads JSON strings, one a line, and writes one JSON object a line.
    Scope(scope::ScopeArguments),
    /// Serve callers as the configuration says, until SIGINT or SIGTERM.
    Serve(serve::ServeArguments),
}

/// Runs the command of `arguments`.
pub fn run(arguments: Arguments) -> ExitCode {
    // The demo's own lines are what its reader looks at, and it refuses much on purpose.
    arguments.log.start(match arguments.command {
        Command::Check(_)
        | Command::Demo(_)
        | Command::Doctor(_)
        | Command::Explain(_)
        | Command::Hash(_)
        | Command::Scope(_) => "error",
        Command::Serve(_) => "info",
    });
    match arguments.command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Demo(arguments) => in_runtime(demo::demo(arguments)),
        Command::Doctor(arguments) => in_runtime(doctor::doctor(arguments)),
        Command::Explain(arguments) => in_runtime(explain::explain_request(arguments)),
        Command::Hash(arguments) => hash::hash(&arguments),
        Command::Scope(arguments) => scope::scope(&arguments),
        Command::Serve(arguments) => in_runtime(serve::serve(arguments)),
    }
}

fn in_runtime(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            eprintln!("palisade: cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// SIGINT and SIGTERM, from the first one on.
struct Stops {
    signals: Vec<tokio::signal::unix::Signal>,
}

impl Stops {
    /// Listens from now on: none is missed between two waits.
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        Self { signals: kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect() }
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        std::future::poll_fn(|cx| {
            let mut polled = self.signals.iter_mut().map(|signal| signal.poll_recv(cx));
            if polled.any(|signal| signal.is_ready()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
