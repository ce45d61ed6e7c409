//! `palisade serve`.

use super::asked_to_stop;
use crate::config::Snapshot;
use crate::server;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to serve.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
}

/// Serves until asked to stop.
pub async fn serve(arguments: ServeArguments) -> ExitCode {
    match start(&arguments).await {
        Ok(running) => {
            for address in &running.addresses {
                tracing::info!(%address, "serving");
            }
            tracing::info!(address = %running.admin, "serving health and metrics");
            asked_to_stop().await;
            tracing::info!("stopping");
            running.stop().await;
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("palisade: {fault}");
            ExitCode::from(2)
        }
    }
}

async fn start(arguments: &ServeArguments) -> Result<server::Running, Box<dyn std::error::Error>> {
    let Snapshot { config, policies, report } = Snapshot::load(&arguments.config)?.usable()?;
    tracing::info!(rules = policies.rules().len(), cases = report.run, "policies");
    for backend in &config.backends {
        tracing::info!(name = backend.name, kind = %backend.kind, url = %backend.url, "backend");
    }
    Ok(server::start(&config, policies).await?)
}
