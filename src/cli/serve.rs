//! `palisade serve`.

use super::Stops;
use crate::config::{Config, Snapshot, fingerprint};
use crate::server::{self, Running};
use clap::Args;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What to serve.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
}

/// How often the files are looked at for changes.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Serves until asked to stop; what the files say anew is served from then on.
pub async fn serve(arguments: ServeArguments) -> ExitCode {
    let mut stops = Stops::new();
    match Serving::start(arguments.config).await {
        Ok(mut serving) => {
            for address in &serving.running.addresses {
                tracing::info!(%address, "serving");
            }
            tracing::info!(address = %serving.running.admin, "serving health and metrics");
            if let Some(control) = &serving.snapshot.config.admin.control {
                tracing::info!(?control, "serving the control");
            }
            tokio::select! {
                () = stops.next() => {}
                () = serving.watch() => {}
            }
            tracing::info!("stopping");
            serving.running.leave();
            let delay = tokio::time::sleep(serving.snapshot.config.shutdown.delay);
            let hurried = tokio::select! {
                () = delay => false,
                () = stops.next() => true,
            };
            let at_once = async {
                if !hurried {
                    stops.next().await;
                }
                tracing::warn!("stopping at once");
            };
            serving.running.stop_unless(at_once).await;
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("palisade: {fault}");
            ExitCode::from(2)
        }
    }
}

/// A server, and what it serves.
struct Serving {
    path: PathBuf,
    running: Running,
    snapshot: Snapshot,
    /// Of the files as they were before they were last read, for better or worse.
    fingerprint: Box<[u8]>,
}

impl Serving {
    async fn start(path: PathBuf) -> Result<Self, Box<dyn Error>> {
        // Before they are read: what changes from here on is seen later.
        let fingerprint = fingerprint(&path, &Config::load(&path)?);
        let snapshot = Snapshot::load(&path)?.usable()?;
        tracing::info!(rules = snapshot.policies.rules().len(), cases = snapshot.report.run, "policies");
        for backend in &snapshot.config.backends {
            tracing::info!(name = backend.name, kind = %backend.kind, url = %backend.url, "backend");
        }
        let running = server::start(&snapshot.config, Arc::clone(&snapshot.policies)).await?;
        Ok(Self { path, running, snapshot, fingerprint })
    }

    /// Reloads at each SIGHUP, and when the files have changed. Never ends.
    async fn watch(&mut self) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut ticks = tokio::time::interval(WATCH_INTERVAL);
        loop {
            let (asked, wish) = tokio::select! {
                _ = ticks.tick() => (false, None),
                () = hung_up(&mut hangup) => (true, None),
                wish = self.running.asked_to_reload() => (true, Some(wish)),
            };
            let fingerprint = fingerprint(&self.path, &self.snapshot.config);
            if asked || fingerprint != self.fingerprint {
                // Known from now on, so that what is broken is told once.
                self.fingerprint = fingerprint;
                let reloaded = self.reload().await.map_err(|fault| fault.to_string());
                match &reloaded {
                    Ok(changes) => tracing::info!(changes = changes.join("; "), "reloaded"),
                    Err(fault) => tracing::error!(fault, "not reloaded, what was served before still is"),
                }
                if let Some(wish) = wish {
                    wish.tell(reloaded);
                }
            }
        }
    }

    /// Serves what the files say now; gives what changed.
    async fn reload(&mut self) -> Result<Vec<String>, Box<dyn Error>> {
        // Its policies and certificates may stand elsewhere now. What changes while this waits for keys is seen later.
        let read = Config::load(&self.path).map(|config| fingerprint(&self.path, &config));
        let snapshot = Snapshot::load(&self.path).map_err(Box::<dyn Error>::from);
        let snapshot = snapshot
            .and_then(|snapshot| Ok(snapshot.usable()?))
            .inspect_err(|_| self.running.unreadable())?;
        let changes = snapshot.changes_since(&self.snapshot);
        self.running.reload(&snapshot.config, Arc::clone(&snapshot.policies)).await?;
        self.snapshot = snapshot;
        if let Ok(read) = read {
            self.fingerprint = read;
        }
        Ok(changes)
    }
}

/// Returns at the next SIGHUP.
async fn hung_up(signals: &mut Option<Signal>) {
    if let Some(signals) = signals
        && signals.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
