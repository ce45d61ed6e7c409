//! From the file's shape to a [`Config`]: every rule that a type cannot hold.

use super::file::{
    AdminFile, AuditFile, BackendFile, ConfigFile, LimitsFile, ListenFile, QueryLimitsFile, ShutdownFile,
    TailFile,
};
use super::value::{backend_name, base_url, check_label, fits, origin, version, written_version};
use super::{
    Admin, AuditLog, AuditSink, Backend, Config, ConfigError, Connections, ControlAt, Labels, Listener,
    ShareSettings, Shutdown, TailSettings,
};
use crate::api::Kind;
use crate::lang::closed::is_known;
use crate::lang::{Closed, Feature, Features, Language};
use crate::limits::{Limits, QueryLimits};
use crate::policy::is_dimension;
use crate::scope::Holds;
use crate::scope::said::{Said, Written, check_mounts};
use crate::trust::{ClientTls, KeyPair};
use crate::yaml::duration;
use ipnet::IpNet;
use serde_saphyr::{Location, Spanned};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take in all: a little more than a backend, so that its timeout is told.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(125);
/// How long a backend may take: Prometheus' own default for a query is 2 minutes.
pub(super) const BACKEND_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a client may take nothing of an answer.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The part of what is shared that one tenant, and of the requests that one backend may have, in percent.
pub(super) const SHARE_PERCENT: usize = 50;
/// Requests served at once.
pub(super) const CONCURRENT_REQUESTS: usize = 1024;
/// Connections of callers that are open at once.
const CONNECTIONS: usize = 16 * KIB;
/// How long the head of a request may take to arrive once it has begun, and the opening of a connection.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the body of a request may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may wait for a request. Longer than the 60 s for which proxies in front keep an idle
/// connection by default: one that we close first costs the request that is on its way.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a server that is to end serves on: Kubernetes may take some seconds to tell everyone that it ends.
const SHUTDOWN_DELAY: Duration = Duration::from_secs(5);
/// How long requests in flight may take after that: both fit into the 30 s that Kubernetes gives.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);
/// Live tails that are open at once.
pub(super) const CONCURRENT_TAILS: usize = 256;
/// Bytes of one message of a live tail: what Loki sends at once is 100 lines
/// (`maxEntriesPerTailResponse` in `pkg/querier/tail/tail.go`).
pub(super) const TAIL_MESSAGE_BYTES: usize = 4 * MIB;
/// Bytes of scoped queries that are kept: those of some 20,000 panels.
pub(super) const SCOPED_QUERY_CACHE_BYTES: usize = 16 * MIB;
/// Lines of the audit log that may wait.
const AUDIT_QUEUE: usize = 8192;
/// The longest timeout that can be configured.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// The check of one file.
pub(super) struct Check<'a> {
    /// The file's name, for messages.
    pub file: &'a str,
    /// What relative paths in it are relative to.
    pub folder: &'a Path,
}

impl Check<'_> {
    pub(super) fn fault(&self, place: Location, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.file, place, message)
    }

    /// The value that `read` makes of the text at `key`.
    pub(super) fn read<T>(
        &self,
        key: &str,
        text: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        read(&text.value).map_err(|fault| self.fault(text.referenced, format!("`{key}`: {fault}")))
    }

    pub(super) fn path(&self, key: &str, text: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        self.read(key, text, |text| match text {
            "" => Err("an empty path".to_owned()),
            some => Ok(self.folder.join(some)),
        })
    }

    pub fn config(&self, file: ConfigFile) -> Result<Config, ConfigError> {
        let kept = &file.limits.backend_connections;
        let (limits, request_timeout, concurrent_requests) = self.limits(&file.limits)?;
        let tails = self.tails(&file.tail, &file.limits)?;
        let origins = file.cors.origins.iter().map(|text| self.read("cors.origins", text, origin));
        let cors_origins = origins.collect::<Result<_, _>>()?;
        if file.backends.value.is_empty() {
            return Err(self.fault(file.backends.referenced, "`backends`: at least one is needed"));
        }
        let written: Vec<_> = file.backends.value.values().map(written).collect();
        let backends = file.backends.value.into_iter();
        let backends = backends.map(|(name, backend)| self.backend(name, backend, request_timeout));
        let backends = backends.collect::<Result<Vec<_>, _>>()?;
        let scoped: Vec<_> = backends.iter().map(Backend::scoped).collect();
        check_mounts(self.file, &scoped.iter().zip(written).collect::<Vec<_>>())?;
        let admin = self.admin(&file.admin)?;
        Ok(Config {
            listen: self.listen(file.listen, &backends, &admin)?,
            admin,
            issuers: self.issuers(file.issuers)?,
            service_accounts: self.service_accounts(file.service_accounts)?,
            cache_salt_file: file
                .cache_salt_file
                .as_ref()
                .map(|text| self.path("cache_salt_file", text))
                .transpose()?,
            scoped_query_cache_bytes: self.scoped_query_cache_bytes(&file.scoped_query_cache_bytes)?,
            audit: file.audit.as_ref().map(|audit| self.audit(audit)).transpose()?,
            policies: self.path("policies", &file.policies)?,
            shares: self.shares(&file.limits, backends.len())?,
            stall_timeout: self.timeout("limits.stall_timeout", &file.limits.stall_timeout, STALL_TIMEOUT)?,
            backend_connections: self.limit("backend_connections", kept, 128, 64 * KIB)?,
            backends,
            limits,
            request_timeout,
            concurrent_requests,
            tails,
            cors_origins,
            connections: self.connections(&file.limits)?,
            body_timeout: self.timeout("limits.body_timeout", &file.limits.body_timeout, BODY_TIMEOUT)?,
            shutdown: self.shutdown(&file.shutdown)?,
        })
    }

    fn connections(&self, file: &LimitsFile) -> Result<Connections, ConfigError> {
        let most = self.limit("connections", &file.connections, CONNECTIONS, 1024 * KIB)?;
        let per_address = &file.connections_per_address;
        let limited = per_address.is_some();
        let per_address = self.limit("connections_per_address", per_address, most, 1024 * KIB)?;
        Ok(Connections {
            most,
            per_address: limited.then_some(per_address),
            head_timeout: self.timeout("limits.head_timeout", &file.head_timeout, HEAD_TIMEOUT)?,
            idle_timeout: self.timeout("limits.idle_timeout", &file.idle_timeout, IDLE_TIMEOUT)?,
        })
    }

    fn shutdown(&self, file: &ShutdownFile) -> Result<Shutdown, ConfigError> {
        let delay = file.delay.as_ref().map(|text| {
            self.read("shutdown.delay", text, |text| match duration(text)? {
                long if long > MAX_TIMEOUT => Err("over the limit of 1h".to_owned()),
                fine => Ok(fine),
            })
        });
        let delay = delay.transpose()?.unwrap_or(SHUTDOWN_DELAY);
        Ok(Shutdown { delay, timeout: self.timeout("shutdown.timeout", &file.timeout, SHUTDOWN_TIMEOUT)? })
    }

    /// A time that is not zero.
    fn timeout(
        &self,
        key: &str,
        text: &Option<Spanned<String>>,
        default: Duration,
    ) -> Result<Duration, ConfigError> {
        let read = |text: &str| match duration(text)? {
            zero if zero.is_zero() => Err("must not be zero".to_owned()),
            long if long > MAX_TIMEOUT => Err("over the limit of 1h".to_owned()),
            fine => Ok(fine),
        };
        text.as_ref().map_or(Ok(default), |text| self.read(key, text, read))
    }

    fn tails(&self, file: &TailFile, limits: &LimitsFile) -> Result<TailSettings, ConfigError> {
        let origins = file.origins.iter().map(|text| self.read("tail.origins", text, origin));
        let (concurrent, bytes) = (&limits.concurrent_tails, &limits.tail_message_bytes);
        Ok(TailSettings {
            origins: origins.collect::<Result<_, _>>()?,
            concurrent: self.limit("concurrent_tails", concurrent, CONCURRENT_TAILS, 64 * KIB)?,
            message_bytes: self.limit("tail_message_bytes", bytes, TAIL_MESSAGE_BYTES, 64 * MIB)?,
        })
    }

    fn audit(&self, file: &AuditFile) -> Result<AuditLog, ConfigError> {
        let blocks = file.when_full.as_ref().map(|text| {
            self.read("audit.when_full", text, |text| match text {
                "block" => Ok(true),
                "drop" => Ok(false),
                _ => Err("must be `block` or `drop`".to_owned()),
            })
        });
        let queue = match &file.queue {
            None => AUDIT_QUEUE,
            Some(value) => match usize::try_from(value.value) {
                Ok(fine) if (1..=1024 * KIB).contains(&fine) => fine,
                _ => return Err(self.fault(value.referenced, "`audit.queue`: must be 1 to 1048576")),
            },
        };
        let claim = |text: &str| match text {
            "" => Err("must be the name of a claim".to_owned()),
            some => Ok(some.to_owned()),
        };
        let user_claim = file.user_claim.as_ref().map(|text| self.read("audit.user_claim", text, claim));
        Ok(AuditLog {
            sink: self.audit_sink(file)?,
            blocks: blocks.transpose()?.unwrap_or(true),
            queue,
            user_claim: user_claim.transpose()?,
            queries: file.queries,
        })
    }

    fn audit_sink(&self, file: &AuditFile) -> Result<AuditSink, ConfigError> {
        match (&file.file, &file.otlp) {
            (None, None) => Ok(AuditSink::Stdout),
            (Some(path), None) => Ok(AuditSink::File(self.path("audit.file", path)?)),
            (None, Some(otlp)) => {
                let insecure = otlp.insecure_http;
                let url = self.read("audit.otlp.url", &otlp.url, |text| base_url(text, insecure))?;
                let ca = otlp.ca.as_ref().map(|path| self.path("audit.otlp.ca", path)).transpose()?;
                Ok(AuditSink::Otlp { url, tls: ClientTls { ca, ..ClientTls::default() } })
            }
            (Some(path), Some(_)) => {
                Err(self.fault(path.referenced, "`audit.file`: `otlp` is given too, only one can be"))
            }
        }
    }

    fn admin(&self, file: &AdminFile) -> Result<Admin, ConfigError> {
        let address = self.address("admin.address", &file.address)?;
        let control = file.control.as_ref().map(|text| self.control(text, address)).transpose()?;
        let token_file =
            file.token_file.as_ref().map(|path| self.path("admin.token_file", path)).transpose()?;
        Ok(Admin { address, control, token_file })
    }

    /// Whatever has a slash is a path.
    fn control(&self, text: &Spanned<String>, admin: SocketAddr) -> Result<ControlAt, ConfigError> {
        let key = "admin.control";
        if text.value.contains('/') {
            return Ok(ControlAt::Socket(self.path(key, text)?));
        }
        let address = self.address(key, text)?;
        let fault = |why: &str| Err(self.fault(text.referenced, format!("`{key}`: `{address}` {why}")));
        match address {
            other if !other.ip().is_loopback() => {
                fault("is no loopback address, use one, or the path of a socket")
            }
            same if same == admin && same.port() != 0 => fault("is taken by `admin.address`"),
            fine => Ok(ControlAt::Loopback(fine)),
        }
    }

    fn address(&self, key: &str, text: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
        self.read(key, text, |text| {
            text.parse().map_err(|_| format!("`{text}` is no address, write IP:PORT, such as 127.0.0.1:8080"))
        })
    }

    fn listen(
        &self,
        listen: Spanned<Vec<ListenFile>>,
        backends: &[Backend],
        admin: &Admin,
    ) -> Result<Vec<Listener>, ConfigError> {
        if listen.value.is_empty() {
            return Err(self.fault(listen.referenced, "`listen`: at least one address is needed"));
        }
        let mut taken = BTreeSet::from([admin.address]);
        if let Some(ControlAt::Loopback(control)) = admin.control {
            taken.insert(control);
        }
        listen.value.into_iter().map(|one| self.listener(one, backends, &mut taken)).collect()
    }

    fn listener(
        &self,
        file: ListenFile,
        backends: &[Backend],
        taken: &mut BTreeSet<SocketAddr>,
    ) -> Result<Listener, ConfigError> {
        let address = self.address("listen[].address", &file.address)?;
        // The system gives out port 0 anew each time.
        if address.port() != 0 && !taken.insert(address) {
            let message = format!("`listen[].address`: `{address}` is taken by another listener");
            return Err(self.fault(file.address.referenced, message));
        }
        let known = |name: &str| match backends.iter().any(|b| b.name == name || b.mount == name) {
            true => Ok(name.to_owned()),
            false => Err(format!("`{name}` is no backend of this file")),
        };
        let backend =
            file.backend.as_ref().map(|name| self.read("listen[].backend", name, known)).transpose()?;
        let tls = file.tls.as_ref().map(|tls| {
            Ok(KeyPair {
                cert: self.path("listen[].tls.cert", &tls.cert)?,
                key: self.path("listen[].tls.key", &tls.key)?,
            })
        });
        let network = |text: &str| {
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| format!("`{text}` is no network, write ADDRESS/BITS, such as 10.0.0.0/8"))
        };
        let proxies = file.trusted_proxies.iter();
        let proxies = proxies.map(|text| self.read("listen[].trusted_proxies", text, network));
        Ok(Listener {
            address,
            backend,
            tls: tls.transpose()?,
            trusted_proxies: proxies.collect::<Result<_, _>>()?,
        })
    }

    fn backend(
        &self,
        name: String,
        file: Spanned<BackendFile>,
        request_timeout: Duration,
    ) -> Result<Backend, ConfigError> {
        let place = file.referenced;
        let file = file.value;
        backend_name(&name).map_err(|fault| self.fault(place, fault))?;
        let key = |key: &str| format!("backends.{name}.{key}");
        let mount = file
            .mount
            .as_ref()
            .map(|text| self.read(&key("mount"), text, |text| backend_name(text).map(|()| text.to_owned())));
        let mount = mount.transpose()?.unwrap_or_else(|| name.clone());
        let kind: Kind = match &file.kind {
            Some(kind) => self.read(&key("kind"), kind, |text| {
                text.parse().map_err(|e: crate::api::UnknownKind| e.to_string())
            })?,
            None => name.parse().or_else(|_| mount.parse()).map_err(|_: crate::api::UnknownKind| {
                let message = format!("`{}`: needed, as the name is none of the kinds", key("kind"));
                self.fault(place, message)
            })?,
        };
        let timeout = file.timeout.as_ref().map(|text| {
            self.read(&key("timeout"), text, |text| match duration(text)? {
                zero if zero.is_zero() => Err("must not be zero".to_owned()),
                long if long > request_timeout => Err("over `limits.request_timeout`".to_owned()),
                fine => Ok(fine),
            })
        });
        let redacted = file.redacted_traces.as_ref().filter(|redacted| redacted.value);
        if let Some(redacted) = redacted.filter(|_| kind != Kind::Tempo) {
            let message = format!("`{}`: {kind} has no traces", key("redacted_traces"));
            return Err(self.fault(redacted.referenced, message));
        }
        let url = self.read(&key("url"), &file.url, |text| base_url(text, file.insecure_http))?;
        let grpc_url = file.grpc_url.as_ref().map(|text| {
            self.read(&key("grpc_url"), text, |text| match base_url(text, file.insecure_http)? {
                _ if kind != Kind::Tempo => Err("only Tempo is called by gRPC".to_owned()),
                url if url.path() != "/" => Err("gRPC has no path prefix".to_owned()),
                url => Ok(url),
            })
        });
        let grpc_url = grpc_url.transpose()?.or_else(|| (kind == Kind::Tempo).then(|| url.clone()));
        let urls = [Some(&url), grpc_url.as_ref()];
        let encrypted = urls.into_iter().flatten().any(|url| url.scheme_str() == Some("https"));
        let (whole, labelled) =
            (key("").trim_end_matches('.').to_owned(), |d: &str| file.labels.value.contains_key(d));
        let said = Said { file: self.file, key: &whole, kind };
        let (closed, closed_endpoints) = self.refused(&key("refuse"), kind, &file.refuse)?;
        Ok(Backend {
            redacts_traces: redacted.is_some(),
            holds: file.holds.as_ref().map_or(Ok(Holds::default()), |holds| said.holds(holds, labelled))?,
            tenancy: said.tenancy(file.org_id.as_ref(), file.label_policy.as_ref(), labelled)?,
            mount,
            tls: self.client_tls(&key("tls"), encrypted, file.tls.as_ref())?,
            credentials: file.auth.map(|auth| self.credentials(&key("auth"), &auth)).transpose()?,
            url,
            grpc_url,
            labels: self.labels(&key("labels"), kind, &file.labels)?,
            features: self.features(&key("features"), kind, &file.features)?,
            closed,
            closed_endpoints,
            version_text: file.version.as_ref().map(|text| written_version(&text.value)),
            version: file
                .version
                .map(|text| self.read(&key("version"), &text, |text| version(kind, text)))
                .transpose()?,
            timeout: timeout.transpose()?.unwrap_or(BACKEND_TIMEOUT.min(request_timeout)),
            name,
            kind,
        })
    }

    /// What is closed in queries, and which endpoints.
    fn refused(
        &self,
        key: &str,
        kind: Kind,
        names: &[Spanned<String>],
    ) -> Result<(Closed, Arc<[&'static str]>), ConfigError> {
        let language = match kind {
            Kind::Prometheus => Some(Language::PromQl),
            Kind::Loki => Some(Language::LogQl),
            Kind::Tempo => Some(Language::TraceQl),
            Kind::Alertmanager => None,
        };
        let (mut closed, mut endpoints) = (Vec::new(), Vec::new());
        for name in names {
            let text = name.value.as_str();
            if let Some(endpoint) = kind.endpoints().iter().find(|endpoint| endpoint.path == text) {
                endpoints.push(endpoint.path);
            } else if language.is_some_and(|language| is_known(language, text)) {
                closed.push(text.to_owned());
            } else {
                let message = format!(
                    "`{key}`: {kind} has neither an endpoint nor anything in queries that is called `{text}`"
                );
                return Err(self.fault(name.referenced, message));
            }
        }
        Ok((Closed::new(closed), endpoints.into()))
    }

    fn labels(
        &self,
        key: &str,
        kind: Kind,
        labels: &Spanned<BTreeMap<String, Spanned<String>>>,
    ) -> Result<Labels, ConfigError> {
        if labels.value.is_empty() {
            return Err(self.fault(labels.referenced, format!("`{key}`: at least one dimension is needed")));
        }
        let mut checked = BTreeMap::new();
        for (dimension, text) in &labels.value {
            let key = format!("{key}.{dimension}");
            if !is_dimension(dimension) {
                return Err(self.fault(text.referenced, format!("`{key}`: `{dimension}` is no dimension")));
            }
            self.read(&key, text, |text| check_label(kind, text))?;
            let label = text.value.as_str().into();
            if checked.values().any(|other| *other == label) {
                let message = format!("`{key}`: label `{label}` already says another dimension");
                return Err(self.fault(text.referenced, message));
            }
            checked.insert(dimension.clone(), label);
        }
        Ok(Labels(checked))
    }

    fn features(&self, key: &str, kind: Kind, features: &[Spanned<String>]) -> Result<Features, ConfigError> {
        let parse = |text: &Spanned<String>| {
            self.read(key, text, |name| {
                let feature: Feature = name.parse().map_err(|_| unknown_feature(name, kind))?;
                if fits(feature, kind) {
                    Ok(feature)
                } else {
                    Err(format!("`{feature}` is no feature of {kind}"))
                }
            })
        };
        features.iter().map(parse).collect()
    }

    fn limits(&self, file: &LimitsFile) -> Result<(Limits, Duration, usize), ConfigError> {
        let default = Limits::default();
        let take = |key, value, default, max| self.limit(key, value, default, max);
        let limits = Limits {
            token_bytes: take("token_bytes", &file.token_bytes, default.token_bytes, MIB)?,
            tenants: take("tenants", &file.tenants, default.tenants, 16 * KIB)?,
            body_bytes: take("body_bytes", &file.body_bytes, default.body_bytes, 64 * MIB)?,
            parameter_pairs: take(
                "parameter_pairs",
                &file.parameter_pairs,
                default.parameter_pairs,
                16 * KIB,
            )?,
            filtered_answer_bytes: take(
                "filtered_answer_bytes",
                &file.filtered_answer_bytes,
                default.filtered_answer_bytes,
                1024 * MIB,
            )?,
            outbound_body_bytes: take(
                "outbound_body_bytes",
                &file.outbound_body_bytes,
                default.outbound_body_bytes,
                64 * MIB,
            )?,
            // `http::Uri` holds at most 65,534 bytes, scheme and authority among them.
            outbound_url_bytes: take(
                "outbound_url_bytes",
                &file.outbound_url_bytes,
                default.outbound_url_bytes,
                60 * KIB,
            )?,
            outbound_header_bytes: take(
                "outbound_header_bytes",
                &file.outbound_header_bytes,
                default.outbound_header_bytes,
                256 * KIB,
            )?,
            query: self.query_limits(&file.query)?,
        };
        let request_timeout =
            self.timeout("limits.request_timeout", &file.request_timeout, REQUEST_TIMEOUT)?;
        let concurrent = &file.concurrent_requests;
        let concurrent = take("concurrent_requests", concurrent, CONCURRENT_REQUESTS, 1024 * KIB)?;
        Ok((limits, request_timeout, concurrent))
    }

    /// Of `backends` backends; where there is one, it has all that there is.
    fn shares(&self, file: &LimitsFile, backends: usize) -> Result<ShareSettings, ConfigError> {
        let percent = |key, value, default| {
            let percent = self.limit(key, value, default, 100)?;
            Ok(u8::try_from(percent).unwrap_or(100))
        };
        let memory = &file.memory_bytes;
        let backend_default = if backends > 1 { SHARE_PERCENT } else { 100 };
        Ok(ShareSettings {
            memory_bytes: match memory {
                None => None,
                Some(_) => Some(self.limit("memory_bytes", memory, 0, 1024 * 1024 * MIB)?),
            },
            tenant_percent: percent("tenant_share", &file.tenant_share, SHARE_PERCENT)?,
            backend_percent: percent("backend_share", &file.backend_share, backend_default)?,
        })
    }

    fn scoped_query_cache_bytes(&self, value: &Option<Spanned<u64>>) -> Result<usize, ConfigError> {
        let Some(value) = value else { return Ok(SCOPED_QUERY_CACHE_BYTES) };
        let max = 16 * 1024 * MIB;
        let fine = usize::try_from(value.value).ok().filter(|bytes| *bytes <= max);
        fine.ok_or_else(|| {
            self.fault(value.referenced, format!("`scoped_query_cache_bytes`: must be 0 to {max}"))
        })
    }

    fn query_limits(&self, file: &QueryLimitsFile) -> Result<QueryLimits, ConfigError> {
        let default = QueryLimits::default();
        let take = |key: &str, value, default, max| self.limit(&format!("query.{key}"), value, default, max);
        Ok(QueryLimits {
            bytes: take("bytes", &file.bytes, default.bytes, MIB)?,
            tokens: take("tokens", &file.tokens, default.tokens, 256 * KIB)?,
            // The readers recurse: their stack is proven for the default and no further.
            nesting: take("nesting", &file.nesting, default.nesting, default.nesting)?,
            selectors: take("selectors", &file.selectors, default.selectors, 16 * KIB)?,
            scoped_promql_bytes: take(
                "scoped_promql_bytes",
                &file.scoped_promql_bytes,
                default.scoped_promql_bytes,
                16 * MIB,
            )?,
            // Over what the backend takes, the cap would cap nothing.
            scoped_logql_bytes: take(
                "scoped_logql_bytes",
                &file.scoped_logql_bytes,
                default.scoped_logql_bytes,
                131_071,
            )?,
            scoped_traceql_bytes: take(
                "scoped_traceql_bytes",
                &file.scoped_traceql_bytes,
                default.scoped_traceql_bytes,
                127_999,
            )?,
        })
    }

    fn limit(
        &self,
        key: &str,
        value: &Option<Spanned<u64>>,
        default: usize,
        max: usize,
    ) -> Result<usize, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        match usize::try_from(value.value) {
            Ok(fine) if (1..=max).contains(&fine) => Ok(fine),
            _ => Err(self.fault(value.referenced, format!("`limits.{key}`: must be 1 to {max}"))),
        }
    }
}

/// Where faults of a backend among the others are told.
fn written(file: &Spanned<BackendFile>) -> Written {
    Written {
        at: file.referenced,
        mount: file.value.mount.as_ref().map(|mount| mount.referenced),
        holds: file.value.holds.as_ref().map(|holds| holds.referenced),
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn unknown_feature(name: &str, kind: Kind) -> String {
    let known: Vec<_> = Feature::ALL.into_iter().filter(|f| fits(*f, kind)).map(Feature::name).collect();
    match known.as_slice() {
        [] => format!("unknown feature `{name}`, {kind} has none"),
        some => format!("unknown feature `{name}`, {kind} has {}", some.join(", ")),
    }
}
