//! The configuration: one YAML file, read strictly and checked whole before anything is started.
//!
//! `file` is its shape, `check` and `identity` turn that into [`Config`], whose types say what was checked, `reach` reads
//! how a backend is reached, `value` reads single values, `snapshot` reads it with its policies, and [`mod@reference`] is the table of all keys from which that of `docs/configuration.md` is made.

mod check;
mod file;
mod identity;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::panic)]
mod invariants;
mod reach;
pub mod reference;
mod snapshot;
mod value;
mod watch;

pub use crate::yaml::FileError as ConfigError;
pub use check::{HEAD_TIMEOUT, IDLE_TIMEOUT, STALL_TIMEOUT};
#[cfg(any(test, feature = "fuzzing"))]
pub use invariants::check as check_invariants;
pub use snapshot::Snapshot;
pub use value::Version;
pub(crate) use value::{check_label, fits};
pub use watch::fingerprint;

use crate::api::Kind;
use crate::auth::ServiceAccount;
use crate::auth::config::Issuer;
use crate::lang::{Closed, Features};
use crate::limits::Limits;
use crate::scope::{Holds, Tenancy};
use crate::trust::{ClientTls, Credentials, KeyPair};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A configuration that was checked. Paths are absolute or relative to the working directory, no longer
/// to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where callers are served; at least one.
    pub listen: Vec<Listener>,
    /// Health, metrics and control.
    pub admin: Admin,
    /// Whose tokens are taken; at least one, each checked.
    pub issuers: Vec<Issuer>,
    /// Who shows a name and a password instead of a token; often none.
    pub service_accounts: Vec<ServiceAccount>,
    /// What is served, in the order of the names; at least one, names are unique.
    pub backends: Vec<Backend>,
    /// The folder of the policy files.
    pub policies: PathBuf,
    /// Caps on what a caller may send.
    pub limits: Limits,
    /// The file with the secret that the salts of scopes are made of; `None`: one that is made at the start.
    pub cache_salt_file: Option<PathBuf>,
    /// Bytes of scoped queries that are kept; 0: none.
    pub scoped_query_cache_bytes: usize,
    /// How long one request may take in all.
    pub request_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub stall_timeout: Duration,
    /// Idle connections that are kept to one backend.
    pub backend_connections: usize,
    /// Requests served at once; more are refused.
    pub concurrent_requests: usize,
    /// What callers share.
    pub shares: ShareSettings,
    /// Connections of callers.
    pub connections: Connections,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How the server ends.
    pub shutdown: Shutdown,
    /// Live tails.
    pub tails: TailSettings,
    /// The origins whose pages may read answers, as the header `Origin` names them.
    pub cors_origins: Arc<[String]>,
    /// The audit log, if there is one.
    pub audit: Option<AuditLog>,
}

/// How much callers share, and which part of it one of them may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareSettings {
    /// Bytes that callers can make the process take, in all; `None`: what suits the machine.
    pub memory_bytes: Option<usize>,
    /// The part that one tenant may have, of 1 to 100.
    pub tenant_percent: u8,
    /// The part of the requests that one backend may have, of 1 to 100.
    pub backend_percent: u8,
}

/// What bounds the connections of callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How many may be open at once.
    pub most: usize,
    /// How many of them from one address, if that is limited.
    pub per_address: Option<usize>,
    /// How long the opening of one may take, and the head of a request once it has begun.
    pub head_timeout: Duration,
    /// How long one may wait for a request.
    pub idle_timeout: Duration,
}

/// How the server ends when it is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long it serves on while it says that it is not ready.
    pub delay: Duration,
    /// How long requests in flight may take after that.
    pub timeout: Duration,
}

/// How live tails are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailSettings {
    /// The origins whose pages may open one, as the header `Origin` names them. Who sends no such header is no
    /// page.
    pub origins: Vec<String>,
    /// How many may be open at once.
    pub concurrent: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
}

/// The audit log: a line for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLog {
    /// Where lines go.
    pub sink: AuditSink,
    /// Whether requests wait while the queue is full; else lines are dropped, and counted.
    pub blocks: bool,
    /// Lines that may wait to be written.
    pub queue: usize,
    /// The claim that names a user as people know them, if lines tell it.
    pub user_claim: Option<String>,
    /// Whether lines tell what was asked as it is.
    pub queries: bool,
}

/// Where lines of the audit log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditSink {
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
    /// To a collector, as OTLP over HTTP.
    Otlp {
        /// Where logs are posted.
        url: http::Uri,
        /// Whom we trust to be it; matters where the URL has `https`.
        tls: ClientTls,
    },
}

/// One address on which callers are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// The name of the one backend, or of the mount, that is served here at the root; `None` serves every backend
    /// below its mount.
    pub backend: Option<String>,
    /// Served over TLS.
    pub tls: Option<KeyPair>,
    /// The networks of the proxies in front that are believed where a request comes from.
    pub trusted_proxies: Arc<[IpNet]>,
}

/// The listener for health and metrics, and what an operator may ask of a running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Where `/-/` is served, if it is and not at `address`.
    pub control: Option<ControlAt>,
    /// The file with the token that requests below `/-/` need; with it and without `control` they are served at
    /// `address`.
    pub token_file: Option<PathBuf>,
}

/// A place that only programs of the same machine reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlAt {
    /// A loopback address.
    Loopback(SocketAddr),
    /// The path of a unix socket.
    Socket(PathBuf),
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Callers find it below `/MOUNT`; several of one kind may share a mount, each with a part of its own.
    pub mount: String,
    /// The part of everyone's data that it holds.
    pub holds: Holds,
    /// How it tells tenants apart itself, if it is told.
    pub tenancy: Option<Tenancy>,
    /// What it is.
    pub kind: Kind,
    /// Its base URL: scheme, authority and a path prefix without a slash at its end (`/` if there is no
    /// prefix). Plain HTTP only to loopback or by explicit choice.
    pub url: http::Uri,
    /// Where it serves gRPC, if it is Tempo: a base URL without a path prefix.
    pub grpc_url: Option<http::Uri>,
    /// How it says each dimension of a scope; at least one.
    pub labels: Labels,
    /// What the operator declares of it.
    pub features: Features,
    /// Its version, where the operator tells it.
    pub version: Option<Version>,
    /// The same as it is told to clients.
    pub version_text: Option<String>,
    /// What the operator closed in queries.
    pub closed: Closed,
    /// The endpoints that the operator closed.
    pub closed_endpoints: Arc<[&'static str]>,
    /// Whom we trust to be it, and what we show it; matters where its URL has `https`.
    pub tls: ClientTls,
    /// How we say to it who we are.
    pub credentials: Option<Credentials>,
    /// Whether who may see it is shown others' spans of a trace, without content. Tempo only.
    pub redacts_traces: bool,
    /// How long it may take for one answer.
    pub timeout: Duration,
}

impl Backend {
    /// What scoping must know of it.
    pub fn scoped(&self) -> crate::scope::Backend {
        crate::scope::Backend {
            name: self.name.clone(),
            kind: self.kind,
            labels: self.labels.iter().map(|(d, l)| (d.to_owned(), l.to_owned())).collect(),
            features: match self.version.filter(|_| self.kind == Kind::Tempo) {
                Some(version) => self.features.of_tempo(version >= Version { major: 3, minor: 0 }),
                None => self.features,
            },
            version: self.version_text.clone(),
            narrows_tag_values: self.narrows_tag_values(),
            redacts_traces: self.redacts_traces,
            salt_key: None,
            closed: self.closed.clone(),
            closed_endpoints: Arc::clone(&self.closed_endpoints),
            mount: self.mount.clone(),
            holds: self.holds.clone(),
            tenancy: self.tenancy.clone(),
        }
    }

    /// Whether it is not known to answer tag values from everyone's data: Tempo before 2.7 does, or matches
    /// parts of values.
    pub fn narrows_tag_values(&self) -> bool {
        self.kind != Kind::Tempo
            || self.version.is_none_or(|version| version >= Version { major: 2, minor: 7 })
    }
}

/// The label in which a backend says each dimension of a scope; labels are distinct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, Arc<str>>);

impl Labels {
    /// The label of `dimension`; `None` if this backend cannot say it.
    pub fn of(&self, dimension: &str) -> Option<&str> {
        self.0.get(dimension).map(|label| &**label)
    }

    /// Dimension and label, in the order of the dimensions.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(dimension, label)| (dimension.as_str(), &**label))
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// The first fault, printed as `FILE:LINE:COLUMN: message`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::new(&file, error.to_string()))?;
        Self::parse(&file, &text, path.parent().unwrap_or(Path::new("")))
    }

    /// Checks `text`, the content of `file`; relative paths in it are relative to `folder`.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Self, ConfigError> {
        check::Check { file, folder }.config(crate::yaml::read(file, text)?)
    }

    /// The backend of that name.
    pub fn backend(&self, name: &str) -> Option<&Backend> {
        self.backends.iter().find(|backend| backend.name == name)
    }
}

#[cfg(test)]
mod tests;
