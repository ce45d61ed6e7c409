//! What a server is made of: built from one snapshot, never changed, replaced as a whole.

use super::control::Standing;
use super::control::guard::AdminToken;
use super::files;
use super::stack::{Stages, stack};
use super::tls;
use super::workers::Door;
use super::{StartFault, memory};
use crate::auth::config::{Issuer, KeySource, is_loopback};
use crate::auth::{KeyTiming, Trusted, Verifier};
use crate::budget::Budget;
use crate::config::{self, Config};
use crate::events::Metrics;
use crate::events::audit::Audit;
use crate::policy::Policies;
use crate::scope::Backend;
use crate::stages::{
    Authenticate, Authorize, Conclude, Cors, Counted, Decision, Forwarding, From, Gates, Judge, Lasting, Me,
    Mount, Mounts, Scope, ScopedQueries, Served, Shares, Site, Tails,
};
use crate::tenant::SaltKey;
use crate::trust::{self, ClientTls, Credentials, TrustFault};
use crate::upstream::{GrpcUpstream, Reach, Upstream};
use http::Response;
use hyper::body::Incoming;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use tower::Service;

/// The parts that workers build their doors from.
pub(super) struct Built {
    /// The configuration.
    pub config: Config,
    /// Verifies tokens.
    pub verifier: Arc<Verifier<Decision>>,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    policies: Arc<Policies>,
    /// Which snapshot this is, from 0.
    generation: u64,
    backends: Vec<Backend>,
    gates: Gates,
    shares: Shares,
    queries: Option<Arc<ScopedQueries>>,
    audit: Option<Audit>,
    tails: Arc<Lasting>,
    /// How each backend is reached.
    reach: Vec<Reach>,
    /// What requests to the control must have, if they must.
    admin_token: Option<AdminToken>,
    /// The certificate of each listener that has one.
    tls: Vec<Option<Arc<rustls::ServerConfig>>>,
}

impl Built {
    /// The parts of the first snapshot.
    ///
    /// # Errors
    /// What of it cannot be had.
    pub fn first(
        config: &Config,
        policies: Arc<Policies>,
        metrics: Arc<Metrics>,
        audit: Option<Audit>,
        tails: Arc<Lasting>,
    ) -> Result<Self, StartFault> {
        Ok(Self {
            verifier: Arc::new(Verifier::start(trusted(config, &metrics), &config.limits)?),
            queries: ScopedQueries::new(config.scoped_query_cache_bytes as u64, Arc::clone(&metrics)),
            metrics,
            policies,
            generation: 0,
            backends: scoped(config)?,
            gates: Gates::new(),
            shares: shares(config, None),
            audit,
            tails,
            admin_token: admin_token(config)?,
            reach: reach(config)?,
            tls: certificates(config)?,
            config: config.clone(),
        })
    }

    /// The parts of the next snapshot. It shares what counts for longer than one, and the keys of issuers that
    /// are the same.
    ///
    /// # Errors
    /// What of it cannot be had.
    pub fn next(&self, config: &Config, policies: Arc<Policies>) -> Result<Self, StartFault> {
        let backends = scoped(config)?;
        let metrics = Arc::new(self.metrics.renewed(&measured(config)));
        let (new, old) = (config, &self.config);
        // A file of keys may hold others under the same name.
        let fetched = |issuer: &Issuer| !matches!(issuer.keys, KeySource::JwksFile(_));
        let same = new.issuers == old.issuers
            && new.service_accounts == old.service_accounts
            && new.limits.token_bytes == old.limits.token_bytes;
        let verifier = match same && new.issuers.iter().all(fetched) {
            true => Arc::clone(&self.verifier),
            false => Arc::new(self.verifier.next(trusted(new, &metrics), &new.limits)?),
        };
        let queries = match new.scoped_query_cache_bytes == old.scoped_query_cache_bytes {
            true => self.queries.clone(),
            false => ScopedQueries::new(new.scoped_query_cache_bytes as u64, Arc::clone(&metrics)),
        };
        Ok(Self {
            verifier,
            metrics,
            policies,
            generation: self.generation.saturating_add(1),
            backends,
            gates: self.gates.clone(),
            shares: shares(config, Some(&self.shares)),
            queries,
            audit: self.audit.clone(),
            tails: Arc::clone(&self.tails),
            admin_token: admin_token(config)?,
            reach: reach(config)?,
            tls: certificates(config)?,
            config: config.clone(),
        })
    }

    /// What an operator sees of it.
    pub fn standing(&self) -> Standing {
        Standing {
            verifier: Arc::clone(&self.verifier),
            policies: Arc::clone(&self.policies),
            backends: self.backends.clone(),
            limits: self.config.limits.clone(),
            token: self.admin_token.clone(),
        }
    }

    /// For each of `workers` a door for each listener.
    ///
    /// # Errors
    /// If a backend's URL names no server.
    pub fn doors(&self, workers: usize) -> Result<Vec<Vec<Door<impl Stack + use<>>>>, StartFault> {
        let limits = Arc::new(self.config.limits.clone());
        let metrics = &self.metrics;
        let tails = Tails {
            lasting: Arc::clone(&self.tails),
            generation: self.generation,
            backends: self.config.backends.clone().into(),
            origins: self.config.tails.origins.clone().into(),
            shares: self.shares.clone(),
            message_bytes: self.config.tails.message_bytes,
            metrics: Arc::clone(metrics),
        };
        let stages = |served: Served, proxies| Stages {
            mounts: Mounts {
                me: Arc::new(Me {
                    authenticate: self.authenticate(),
                    authorize: self.authorize(),
                    sites: served.sites(),
                }),
                served,
                timeout: self.config.request_timeout,
                cors: Cors(Arc::clone(&self.config.cors_origins)),
            },
            authenticate: self.authenticate(),
            authorize: self.authorize(),
            scope: Scope {
                limits: Arc::clone(&limits),
                body_timeout: self.config.body_timeout,
                metrics: Arc::clone(metrics),
                queries: self.queries.clone(),
                shares: self.shares.clone(),
                audited: self.audit.as_ref().map(Audit::told).cloned(),
            },
            forward: Forwarding {
                limits: Arc::clone(&limits),
                metrics: Arc::clone(metrics),
                tails: tails.clone(),
            }
            .into(),
            conclude: Conclude {
                metrics: Arc::clone(metrics),
                permits: self.shares.arrived.clone(),
                audit: self.audit.clone(),
                proxies,
                cors: Cors(Arc::clone(&self.config.cors_origins)),
                timeout: self.config.request_timeout,
            },
        };
        let of_worker = |_| {
            let sites = sites(&self.mounts(workers)?);
            let listeners = self.config.listen.iter().zip(&self.tls);
            let doors = listeners.map(|(listen, tls)| Door {
                tls: tls.clone(),
                proxies: Arc::clone(&listen.trusted_proxies),
                service: stack(stages(served(listen, &sites), Arc::clone(&listen.trusted_proxies))),
            });
            Ok(doors.collect())
        };
        (0..workers).map(of_worker).collect()
    }

    fn authenticate(&self) -> Authenticate {
        Authenticate { verifier: Arc::clone(&self.verifier), metrics: Arc::clone(&self.metrics) }
    }

    fn authorize(&self) -> Authorize {
        Authorize {
            policies: Arc::clone(&self.policies),
            generation: self.generation,
            gates: self.gates.clone(),
            shares: self.shares.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// Open tails must stand before this snapshot from now on.
    pub fn judge_tails(&self) {
        self.tails.judge_by(Judge {
            generation: self.generation,
            verifier: Arc::clone(&self.verifier),
            authorize: self.authorize(),
            limits: Arc::new(self.config.limits.clone()),
            backends: self.config.backends.clone().into(),
        });
    }

    /// The backends, with connections of one of `workers` own.
    fn mounts(&self, workers: usize) -> Result<Vec<Arc<Mount>>, StartFault> {
        let reached = self.config.backends.iter().zip(&self.reach);
        let mount = |(index, (backend, (configured, reach))): (usize, (&Backend, _))| {
            let (configured, reach): (&config::Backend, &Reach) = (configured, reach);
            let idle = self.config.backend_connections.div_ceil(workers);
            let upstream = Upstream::new(&configured.name, &configured.url, reach, configured.timeout, idle);
            let upstream = upstream.ok_or_else(|| StartFault::Url(configured.url.clone()))?;
            let grpc = configured.grpc_url.as_ref().map(|url| {
                let grpc = GrpcUpstream::new(&configured.name, url, reach, configured.timeout);
                grpc.ok_or_else(|| StartFault::Url(url.clone()))
            });
            Ok(Arc::new(Mount { backend: backend.clone(), upstream, grpc: grpc.transpose()?, index }))
        };
        self.backends.iter().zip(reached).enumerate().map(mount).collect()
    }
}

/// What a stack of stages is to those who call it.
pub(super) trait Stack:
    Service<From<Incoming>, Response = Response<Counted>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Stack for S where
    S: Service<From<Incoming>, Response = Response<Counted>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Whom `config` believes; fetches are counted.
fn trusted(config: &Config, metrics: &Arc<Metrics>) -> Trusted {
    let counted = Arc::clone(metrics);
    for issuer in &config.issuers {
        metrics.issuer(&issuer.url);
    }
    Trusted {
        issuers: config.issuers.clone(),
        accounts: config.service_accounts.clone(),
        timing: KeyTiming::default(),
        fetched: Arc::new(move |issuer, good| counted.keys_fetched(issuer, good)),
    }
}

/// The backends, each with the key of salts: that of the file, or one that lasts as long as the process.
/// What callers share by `config`; of what they shared `before` nothing is forgotten.
fn shares(config: &Config, before: Option<&Shares>) -> Shares {
    let of = |before: Option<&Budget>, most: usize| {
        let budget = before.cloned().unwrap_or_else(|| Budget::of(most));
        budget.resize(most);
        budget
    };
    // Each may need a connection to a backend.
    let concurrent = config.concurrent_requests.min(files::share().unwrap_or(usize::MAX));
    Shares {
        memory: of(before.map(|b| &b.memory), config.shares.memory_bytes.unwrap_or_else(memory::default)),
        arrived: of(before.map(|b| &b.arrived), concurrent),
        requests: of(before.map(|b| &b.requests), concurrent),
        tails: of(before.map(|b| &b.tails), config.tails.concurrent),
        tenant_percent: config.shares.tenant_percent,
        backend_percent: config.shares.backend_percent,
    }
}

fn scoped(config: &Config) -> Result<Vec<Backend>, StartFault> {
    let key = match &config.cache_salt_file {
        Some(file) => trust::salt_key(file)?,
        None => made_at_start()?,
    };
    let salted = |backend: &config::Backend| Backend { salt_key: Some(key.clone()), ..backend.scoped() };
    Ok(config.backends.iter().map(salted).collect())
}

/// The key of a process that is given none.
fn made_at_start() -> Result<SaltKey, StartFault> {
    static KEY: OnceLock<Option<SaltKey>> = OnceLock::new();
    let made = KEY.get_or_init(|| {
        let mut secret = [0; SaltKey::MIN_BYTES];
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        SaltKey::new(&secret)
    });
    made.clone().ok_or(StartFault::Random)
}

/// What is trusted of each backend, and shown to it: out of the files as they are now.
fn reach(config: &Config) -> Result<Vec<Reach>, StartFault> {
    let reach = |backend: &config::Backend| {
        let tls = client_tls(backend)?;
        let authorization = backend.credentials.as_ref().map(Credentials::header).transpose()?;
        let distant = backend.url.host().is_none_or(|host| !is_loopback(host));
        Ok(Reach { tls, authorization, distant })
    };
    config.backends.iter().map(reach).collect()
}

/// The TLS side of a backend that is reached by it.
fn client_tls(backend: &config::Backend) -> Result<Option<rustls::ClientConfig>, TrustFault> {
    let urls = [Some(&backend.url), backend.grpc_url.as_ref()];
    let encrypted = urls.into_iter().flatten().any(|url| url.scheme_str() == Some("https"));
    encrypted.then(|| backend.tls.settings()).transpose()
}

fn admin_token(config: &Config) -> Result<Option<AdminToken>, StartFault> {
    let token = config.admin.token_file.as_deref().map(AdminToken::load);
    token.transpose().map_err(StartFault::AdminToken)
}

fn certificates(config: &Config) -> Result<Vec<Option<Arc<rustls::ServerConfig>>>, StartFault> {
    let loaded = config.listen.iter().map(|listen| listen.tls.as_ref().map(tls::load).transpose());
    Ok(loaded.collect::<Result<_, _>>()?)
}

/// What is wrong with the files that a configuration names, each told once: certificates, keys and secrets. Those of
/// policies are read with them.
pub fn unusable_files(config: &Config) -> Vec<String> {
    let listeners = config.listen.iter().filter_map(|listen| listen.tls.as_ref());
    let mut faults: Vec<Option<String>> =
        listeners.map(|pair| tls::load(pair).err().map(|fault| fault.to_string())).collect();
    for backend in &config.backends {
        faults.push(client_tls(backend).err().map(|fault| fault.to_string()));
        let header = backend.credentials.as_ref().map(Credentials::header);
        faults.push(header.and_then(Result::err).map(|fault| fault.to_string()));
    }
    for issuer in &config.issuers {
        let tls = ClientTls { ca: issuer.ca.clone(), ..ClientTls::default() };
        faults.push(issuer.ca.as_ref().and(tls.settings().err()).map(|fault| fault.to_string()));
        if let KeySource::JwksFile(file) = &issuer.keys {
            faults.push(std::fs::File::open(file).err().map(|error| format!("{}: {error}", file.display())));
        }
    }
    faults.push(
        config.cache_salt_file.as_deref().and_then(|file| trust::salt_key(file).err()).map(|f| f.to_string()),
    );
    faults.push(config.admin.token_file.as_deref().and_then(|file| AdminToken::load(file).err()));
    let mut told: Vec<String> = faults.into_iter().flatten().collect();
    told.dedup();
    told
}

/// What a listener serves: the one site or backend it names, or all.
fn served(listen: &config::Listener, sites: &Arc<[Arc<Site>]>) -> Served {
    let root = listen.backend.as_ref().and_then(|name| {
        let site = sites.iter().find(|site| site.name == *name).cloned();
        let alone = || sites.iter().flat_map(|site| &site.mounts).find(|mount| mount.backend.name == *name);
        site.or_else(|| Some(Arc::new(alone_at(Arc::clone(alone()?)))))
    });
    root.map_or_else(|| Served::ByName(Arc::clone(sites)), Served::Root)
}

/// The mounts by the name under which callers find them. The metrics of a shared one, for what is refused before one
/// of its backends is chosen, follow those of the backends; see [`measured`].
fn sites(mounts: &[Arc<Mount>]) -> Arc<[Arc<Site>]> {
    let mut named: BTreeMap<&str, Vec<Arc<Mount>>> = BTreeMap::new();
    for mount in mounts {
        named.entry(&mount.backend.mount).or_default().push(Arc::clone(mount));
    }
    let mut shared = mounts.len()..;
    let site = |(name, mounts): (&str, Vec<Arc<Mount>>)| match mounts.as_slice() {
        [one] => Some(Arc::new(alone_at(Arc::clone(one)))),
        [first, ..] => Some(Arc::new(Site {
            name: name.to_owned(),
            kind: first.backend.kind,
            measured: (name.to_owned(), shared.next()?),
            mounts: mounts.into(),
        })),
        [] => None,
    };
    named.into_iter().filter_map(site).collect()
}

fn alone_at(mount: Arc<Mount>) -> Site {
    Site {
        name: mount.backend.mount.clone(),
        kind: mount.backend.kind,
        measured: (mount.backend.name.clone(), mount.index),
        mounts: Box::new([mount]),
    }
}

/// What metrics tell apart: the backends, then each mount that several share, in the order of the names.
pub(super) fn measured(config: &Config) -> Vec<Backend> {
    let mut backends: Vec<Backend> = config.backends.iter().map(config::Backend::scoped).collect();
    let mut mounts: BTreeMap<&str, Vec<&config::Backend>> = BTreeMap::new();
    for backend in &config.backends {
        mounts.entry(&backend.mount).or_default().push(backend);
    }
    let shared = mounts.into_iter().filter(|(_, backends)| backends.len() > 1);
    let named = |(name, backends): (&str, Vec<&config::Backend>)| {
        Some(Backend::new(name, backends.first()?.kind, BTreeMap::new()))
    };
    backends.extend(shared.filter_map(named));
    backends
}
