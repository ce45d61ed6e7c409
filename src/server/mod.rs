//! Listeners and the stack of stages behind them.

mod admin;
mod built;
mod control;
pub mod explain;
mod files;
mod line;
mod listen;
mod memory;
mod opening;
mod places;
pub mod stack;
mod stall;
mod taking;
mod tls;
mod workers;

pub use built::unusable_files;
pub use control::{Reload, Reloaded};

use crate::auth::VerifierFault;
use crate::config::{AuditSink, Config};
use crate::events::Metrics;
use crate::events::audit::{Audit, AuditSettings, Detail, OtlpSettings, Sink, WhenFull, Writer};
use crate::policy::Policies;
use crate::stages::Lasting;
use crate::trust::TrustFault;
use admin::{Admin, caught};
use arc_swap::ArcSwap;
use built::{Built, measured};
use control::listen::Bound;
use control::{Control, Standing};
use listen::{Bounds, Connections, accept};
use places::{Addresses, Places};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use workers::Workers;

/// How long a new configuration's issuers may take to give their keys.
const KEYS_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the histograms are tidied when nobody reads them.
const UPKEEP: Duration = Duration::from_secs(5);

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
    /// A certificate, a key or a secret cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustFault),
    /// The system gives no random bytes.
    #[error("no random bytes can be had for the salt of caches")]
    Random,
    /// A backend's URL names no server.
    #[error("`{0}` is no url of a backend")]
    Url(http::Uri),
    /// The socket of the control cannot be bound.
    #[error("cannot listen at {}: {error}", path.display())]
    Socket {
        /// Its path.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The token for the control cannot be read.
    #[error("cannot read the admin token: {0}")]
    AdminToken(String),
    /// The metrics cannot be set up.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The audit log cannot be opened.
    #[error("cannot open the audit log: {0}")]
    Audit(std::io::Error),
    /// A key that is read at the start only has changed.
    #[error("`{0}` changed, which needs a restart")]
    Restart(&'static str),
    /// No issuer of a new configuration gave its keys in time.
    #[error("no issuer's keys can be had")]
    NoKeys,
    /// A thread cannot be had.
    #[error("cannot start a worker: {0}")]
    Worker(std::io::Error),
}

/// A server that runs until it is dropped or [`Running::stop`]ped.
pub struct Running {
    /// Where callers are served, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Where health and metrics are.
    pub admin: SocketAddr,
    /// Where the control is, if at an address of its own.
    pub control: Option<SocketAddr>,
    reloads: mpsc::Receiver<Reload>,
    /// Says at `/readyz` that the server is about to end.
    leaving: Arc<AtomicBool>,
    /// No more requests are taken.
    shutdown: watch::Sender<bool>,
    /// What is still in flight is given up.
    over: watch::Sender<bool>,
    serving: JoinSet<()>,
    ended: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    audit: Option<Writer>,
    built: Built,
    standing: Arc<ArcSwap<Standing>>,
    renew: Renew,
}

/// Builds the doors of what was built, and gives them to the workers.
type Renew = Box<dyn Fn(&Built) -> Result<(), StartFault> + Send + Sync>;

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Running {
    /// Serves another configuration from now on, wholly or not at all: requests in flight end as they began,
    /// and the next one on each open connection is the new one's.
    ///
    /// # Errors
    /// What of it cannot be had, or cannot change while the server runs; the server goes on as before.
    pub async fn reload(&mut self, config: &Config, policies: Arc<Policies>) -> Result<(), StartFault> {
        let renewed = self.renewed(config, policies).await;
        self.built.metrics.reloaded(renewed.is_ok());
        self.built = renewed?;
        self.standing.store(Arc::new(self.built.standing()));
        self.built.judge_tails();
        Ok(())
    }

    async fn renewed(&self, config: &Config, policies: Arc<Policies>) -> Result<Built, StartFault> {
        let old = &self.built.config;
        let addresses = |config: &Config| config.listen.iter().map(|l| l.address).collect::<Vec<_>>();
        for (key, differs) in [
            ("listen[].address", addresses(config) != addresses(old)),
            ("admin", config.admin != old.admin),
            ("limits.connections", config.connections != old.connections),
            ("audit", config.audit != old.audit),
        ] {
            if differs {
                return Err(StartFault::Restart(key));
            }
        }
        let built = self.built.next(config, policies)?;
        let ready = async {
            while !built.verifier.ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(KEYS_TIMEOUT, ready).await.map_err(|_| StartFault::NoKeys)?;
        (self.renew)(&built)?;
        Ok(built)
    }

    /// Waits until an operator wishes for a reload, through the control. Wishes wait to be taken here.
    pub async fn asked_to_reload(&mut self) -> Reload {
        match self.reloads.recv().await {
            Some(wish) => wish,
            None => std::future::pending().await,
        }
    }

    /// A snapshot to replace the one that is served could not be read.
    pub fn unreadable(&self) {
        self.built.metrics.reloaded(false);
    }

    /// Says at `/readyz` that the server is about to end, and serves on: who sends requests here hears of it before none is
    /// taken any more.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Takes no more requests, and returns when those in flight have ended, or had the time that is configured.
    pub async fn stop(self) {
        self.stop_unless(std::future::pending()).await;
    }

    /// As [`Running::stop`], but gives up what is in flight once `at_once` is ready.
    pub async fn stop_unless(mut self, at_once: impl Future<Output = ()>) {
        let _ = self.shutdown.send(true);
        let timeout = self.built.config.shutdown.timeout;
        let mut hurried = false;
        let mut has_ended = false;
        tokio::select! {
            () = &mut self.ended => has_ended = true,
            () = tokio::time::sleep(timeout) => tracing::warn!("requests were still in flight at the end"),
            () = at_once => hurried = true,
        }
        let _ = self.over.send(true);
        let rest = async {
            if !has_ended {
                self.ended.await;
            }
            while self.serving.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(LAST_TIMEOUT, rest).await;
        // It ends when what the last requests told is written.
        drop((self.built, self.renew));
        if let Some(writer) = self.audit {
            let written = tokio::task::spawn_blocking(|| writer.join());
            let patience = if hurried { LAST_TIMEOUT } else { Duration::MAX };
            let _ = tokio::time::timeout(patience, written).await;
        }
    }
}

/// How long what has no more time may take to be given up.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// Binds every address, and serves.
///
/// # Errors
/// The first thing that cannot be had. Nothing is served then.
pub async fn start(config: &Config, policies: impl Into<Arc<Policies>>) -> Result<Running, StartFault> {
    let metrics = Arc::new(Metrics::new(&measured(config))?);
    let (audit, writer) = match &config.audit {
        Some(audit) => {
            let settings = AuditSettings {
                sink: sink(&audit.sink)?,
                when_full: if audit.blocks { WhenFull::Block } else { WhenFull::Drop },
                queue: audit.queue,
                told: Detail { user_claim: audit.user_claim.clone(), queries: audit.queries },
            };
            let (audit, writer) =
                Audit::start(&settings, metrics.audit_dropped()).map_err(StartFault::Audit)?;
            (Some(audit), Some(writer))
        }
        None => (None, None),
    };
    files::raise();
    let ((shutdown, down), (over, ending)) = (watch::channel(false), watch::channel(false));
    let tails = Arc::new(Lasting::new(down.clone()));
    let built = Built::first(config, policies.into(), Arc::clone(&metrics), audit, Arc::clone(&tails))?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let doors = built.doors(workers)?;

    let mut addresses = Vec::with_capacity(config.listen.len());
    let mut listeners = Vec::with_capacity(config.listen.len());
    for listen in &config.listen {
        listeners.push(bind(listen.address, &mut addresses).await?);
    }
    let mut admin = Vec::new();
    let admin_listener = bind(config.admin.address, &mut admin).await?;
    let bound = match &config.admin.control {
        Some(at) => Some(control::listen::bind(at).await?),
        None => None,
    };

    let bounds = bounds(config, workers);
    let running =
        Workers::start(doors, bounds, (&down, &ending), tails.tasks()).map_err(StartFault::Worker)?;
    let mut serving = JoinSet::new();
    for (door, listener) in listeners.into_iter().enumerate() {
        serving.spawn(accept(listener, down.clone(), running.giving(door)));
    }
    serving.spawn(upkeep(Arc::clone(&metrics), down.clone()));
    let standing = Arc::new(ArcSwap::from_pointee(built.standing()));
    let (wishes, reloads) = mpsc::channel(1);
    let of_control = Control::new(Arc::clone(&standing), wishes);
    let leaving = Arc::new(AtomicBool::new(false));
    let bare =
        Admin { leaving: Arc::clone(&leaving), standing: Arc::clone(&standing), metrics, control: None };
    let with_control = Admin { control: Some(of_control), ..bare.clone() };
    let service = match (&bound, &config.admin.token_file) {
        (None, Some(_)) => caught(with_control.clone()),
        _ => caught(bare),
    };
    let control = bound.as_ref().and_then(Bound::address);
    if let Some(bound) = bound {
        serving.spawn(control::listen::serve(bound, caught(with_control), ending.clone()));
    }
    serving.spawn(async move {
        let bounds = Bounds::usual(files::ADMIN);
        let connections = Connections::new(bounds, ending.clone(), TaskTracker::new());
        let serve = |stream, peer| {
            let service = service.clone();
            connections.serve((stream, peer), None, &[], |_| service);
        };
        // As long as requests are in flight, health is told.
        accept(admin_listener, ending, serve).await;
        connections.drain().await;
    });
    let admin = admin.first().copied().unwrap_or(config.admin.address);
    let renewing = running.renewing();
    let renew = Box::new(move |built: &Built| built.doors(workers).map(&renewing));
    let ended = Box::pin(running.ended());
    Ok(Running {
        addresses,
        admin,
        control,
        reloads,
        leaving,
        shutdown,
        over,
        serving,
        ended,
        audit: writer,
        built,
        standing,
        renew,
    })
}

/// Where the lines of the audit log go, with the files that say whom to trust as they are now.
fn sink(configured: &AuditSink) -> Result<Sink, StartFault> {
    Ok(match configured {
        AuditSink::Stdout => Sink::Stdout,
        AuditSink::File(path) => Sink::File(path.clone()),
        AuditSink::Otlp { url, tls } => {
            let encrypted = url.scheme_str() == Some("https");
            let tls = encrypted.then(|| tls.settings()).transpose()?;
            Sink::Otlp(Box::new(OtlpSettings { url: url.clone(), tls }))
        }
    })
}

/// What bounds the connections of each of `workers`: all together have as many as are configured, and as there are files
/// for.
fn bounds(config: &Config, workers: usize) -> impl Fn() -> Bounds + use<> {
    let connections = &config.connections;
    let most = connections.most.min(files::share().unwrap_or(usize::MAX));
    if most < connections.most {
        tracing::info!(most, "connections of callers, for there are no more open files");
    }
    let addresses = Addresses::new(connections.per_address);
    let (head, idle, stall) = (connections.head_timeout, connections.idle_timeout, config.stall_timeout);
    move || Bounds {
        places: Places::new(most.div_ceil(workers)),
        addresses: addresses.clone(),
        head,
        idle,
        stall,
    }
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
