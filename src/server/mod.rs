//! Listeners and the stack of stages behind them.

mod admin;
mod listen;
pub mod stack;
mod stall;
mod tls;
mod workers;

pub use tls::TlsFault;

use crate::auth::{Verifier, VerifierFault};
use crate::config::{self, Config};
use crate::events::Metrics;
use crate::events::audit::{Audit, AuditSettings, WhenFull, Writer};
use crate::policy::Policies;
use crate::scope::Backend;
use crate::stages::{
    Authenticate, Authorize, Conclude, Forwarding, Gates, Mount, Mounts, Scope, ScopedQueries,
};
use crate::upstream::{self, Room, Upstream};
use admin::Admin;
use listen::{Connections, accept};
use stack::{Stages, stack};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use workers::{Door, Workers};

/// How often the histograms are tidied when nobody reads them.
const UPKEEP: Duration = Duration::from_secs(5);

/// How many answers that must be filtered may be in memory at once if each is at its cap; of smaller ones, as
/// many as take no more room.
const ANSWERS_AT_THEIR_CAP: usize = 8;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// An issuer cannot be used.
    #[error(transparent)]
    Issuer(#[from] VerifierFault),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// A backend's URL names no server.
    #[error("`{0}` is no url of a backend")]
    Url(http::Uri),
    /// The platform's trusted roots cannot be read.
    #[error("cannot read the platform's trusted roots: {0}")]
    Roots(#[from] rustls::Error),
    /// The metrics cannot be set up.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The audit log cannot be opened.
    #[error("cannot open the audit log: {0}")]
    Audit(std::io::Error),
    /// A thread cannot be had.
    #[error("cannot start a worker: {0}")]
    Worker(std::io::Error),
}

/// A server that runs until it is dropped or [`Running::stop`]ped.
#[derive(Debug)]
pub struct Running {
    /// Where callers are served, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Where health and metrics are.
    pub admin: SocketAddr,
    shutdown: watch::Sender<bool>,
    serving: JoinSet<()>,
    workers: Workers,
    audit: Option<Writer>,
}

impl Running {
    /// Takes no more connections, and returns when the requests in flight have ended.
    pub async fn stop(mut self) {
        let _ = self.shutdown.send(true);
        while self.serving.join_next().await.is_some() {}
        self.workers.ended().await;
        // It ends when what the last requests told is written.
        if let Some(writer) = self.audit {
            let _ = tokio::task::spawn_blocking(|| writer.join()).await;
        }
    }
}

/// Binds every address, and serves.
///
/// # Errors
/// The first thing that cannot be had. Nothing is served then.
pub async fn start(config: &Config, policies: Policies) -> Result<Running, StartFault> {
    let limits = Arc::new(config.limits.clone());
    let backends: Vec<Backend> = config.backends.iter().map(config::Backend::scoped).collect();
    let metrics = Arc::new(Metrics::new(&backends)?);
    let verifier = Arc::new(Verifier::new(config.issuers.clone(), &limits)?);
    let permits = Arc::new(Semaphore::new(config.concurrent_requests));
    let room = Room::of(limits.filtered_answer_bytes.saturating_mul(ANSWERS_AT_THEIR_CAP));
    let policies = Arc::new(policies);
    let gates = Gates::new();
    let queries = ScopedQueries::new(config.scoped_query_cache_bytes as u64, Arc::clone(&metrics));
    let (audit, writer) = match &config.audit {
        Some(audit) => {
            let settings = AuditSettings {
                file: audit.file.clone(),
                when_full: if audit.blocks { WhenFull::Block } else { WhenFull::Drop },
                queue: audit.queue,
            };
            let (audit, writer) =
                Audit::start(&settings, metrics.audit_dropped()).map_err(StartFault::Audit)?;
            (Some(audit), Some(writer))
        }
        None => (None, None),
    };
    let audited = audit.is_some();
    let stages = |mounts| Stages {
        mounts: Mounts { served: mounts, timeout: config.request_timeout },
        authenticate: Authenticate { verifier: Arc::clone(&verifier), metrics: Arc::clone(&metrics) },
        authorize: Authorize {
            policies: Arc::clone(&policies),
            generation: 0,
            gates: gates.clone(),
            metrics: Arc::clone(&metrics),
        },
        scope: Scope {
            limits: Arc::clone(&limits),
            metrics: Arc::clone(&metrics),
            queries: queries.clone(),
            audited,
        },
        forward: Forwarding {
            limits: Arc::clone(&limits),
            metrics: Arc::clone(&metrics),
            room: room.clone(),
        }
        .into(),
        conclude: Conclude {
            metrics: Arc::clone(&metrics),
            permits: Arc::clone(&permits),
            audit: audit.clone(),
        },
    };
    let tls = config.listen.iter().map(|listen| listen.tls.as_ref().map(tls::load).transpose());
    let tls: Vec<_> = tls.collect::<Result<_, _>>()?;
    let roots = upstream::roots()?;
    let door = |listen, tls: &Option<_>, mounts: &_| Door {
        tls: tls.clone(),
        service: stack(stages(served(listen, mounts))),
    };
    let doors = |_| {
        let mounts = mounts(config, &backends, &roots)?;
        Ok(config.listen.iter().zip(&tls).map(|(listen, tls)| door(listen, tls, &mounts)).collect())
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let doors = (0..workers).map(doors).collect::<Result<Vec<_>, StartFault>>()?;

    let mut addresses = Vec::with_capacity(config.listen.len());
    let mut listeners = Vec::with_capacity(config.listen.len());
    for listen in &config.listen {
        listeners.push(bind(listen.address, &mut addresses).await?);
    }
    let mut admin = Vec::new();
    let admin_listener = bind(config.admin.address, &mut admin).await?;

    let (shutdown, down) = watch::channel(false);
    let workers = Workers::start(doors, &down).map_err(StartFault::Worker)?;
    let mut serving = JoinSet::new();
    for (door, listener) in listeners.into_iter().enumerate() {
        serving.spawn(accept(listener, down.clone(), workers.giving(door)));
    }
    serving.spawn(upkeep(Arc::clone(&metrics), down.clone()));
    let service = Admin { verifier: Arc::clone(&verifier), metrics: Arc::clone(&metrics) };
    serving.spawn(async move {
        let connections = Connections::new(down.clone());
        accept(admin_listener, down, |stream| connections.serve(stream, None, service.clone())).await;
        connections.drain().await;
    });
    let admin = admin.first().copied().unwrap_or(config.admin.address);
    Ok(Running { addresses, admin, shutdown, serving, workers, audit: writer })
}

fn mounts(
    config: &Config,
    backends: &[Backend],
    tls: &rustls::ClientConfig,
) -> Result<Arc<[Arc<Mount>]>, StartFault> {
    let mount = |(index, (backend, configured)): (usize, (&Backend, &config::Backend))| {
        let upstream = Upstream::new(&configured.url, tls.clone(), configured.timeout);
        let upstream = upstream.ok_or_else(|| StartFault::Url(configured.url.clone()))?;
        Ok(Arc::new(Mount { backend: backend.clone(), upstream, index }))
    };
    backends.iter().zip(&config.backends).enumerate().map(mount).collect()
}

/// What a listener serves: the one backend it names, or all.
fn served(listen: &config::Listener, mounts: &Arc<[Arc<Mount>]>) -> crate::stages::Served {
    use crate::stages::Served;
    let named = listen.backend.as_ref();
    let root = named.and_then(|name| mounts.iter().find(|m| m.backend.name == *name));
    root.map_or_else(|| Served::ByName(Arc::clone(mounts)), |mount| Served::Root(Arc::clone(mount)))
}

async fn bind(address: SocketAddr, bound: &mut Vec<SocketAddr>) -> Result<TcpListener, StartFault> {
    let listen = |error| StartFault::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    bound.push(listener.local_addr().map_err(listen)?);
    Ok(listener)
}

async fn upkeep(metrics: Arc<Metrics>, mut down: watch::Receiver<bool>) {
    while tokio::time::timeout(UPKEEP, down.wait_for(|down| *down)).await.is_err() {
        metrics.upkeep();
    }
}
