//! Where the log goes: standard error, as text or JSON.

use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Debug, Args)]
pub struct LogArguments {
    /// The form of the log.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged: a level, or directives such as `palisade=debug`. Requests that were answered are
    /// logged at debug. Without it `info`, and `error` for the demo.
    #[arg(long, global = true)]
    log: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl LogArguments {
    /// Starts to log, at the level `usual` if none was asked for; without effect if something logs already.
    pub fn start(&self, usual: &str) {
        let asked = self.log.as_deref().unwrap_or(usual);
        let filter = EnvFilter::try_new(asked).unwrap_or_else(|error| {
            eprintln!("palisade: --log {asked}: {error}, taking `{usual}`");
            EnvFilter::new(usual)
        });
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        let started = match self.log_format {
            LogFormat::Text => subscriber.try_init(),
            LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        };
        drop(started);
    }
}
