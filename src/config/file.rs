//! The shape of the configuration file. What each key means and what it defaults to is also said in
//! [`super::reference`], which a test holds against these structs.

use crate::scope::said::{HoldsFile, OrgIdFile};
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    /// Where callers are served.
    pub listen: Spanned<Vec<ListenFile>>,
    /// Health and metrics.
    pub admin: AdminFile,
    /// Whose tokens are taken.
    pub issuers: Spanned<Vec<Spanned<IssuerFile>>>,
    /// Who shows a name and a password instead of a token.
    #[serde(default)]
    pub service_accounts: Vec<Spanned<ServiceAccountFile>>,
    /// What is served, by name.
    pub backends: Spanned<BTreeMap<String, Spanned<BackendFile>>>,
    /// The folder of the policy files, relative to this file.
    pub policies: Spanned<String>,
    /// Caps; each has a default.
    #[serde(default)]
    pub limits: LimitsFile,
    /// Live tails.
    #[serde(default)]
    pub tail: TailFile,
    /// Pages of other origins.
    #[serde(default)]
    pub cors: CorsFile,
    /// A line for each request, to a sink of its own.
    pub audit: Option<AuditFile>,
    /// The file with the secret that the salts of scopes are made of.
    pub cache_salt_file: Option<Spanned<String>>,
    /// How the server ends.
    #[serde(default)]
    pub shutdown: ShutdownFile,
    /// Bytes of scoped queries that are kept.
    pub scoped_query_cache_bytes: Option<Spanned<u64>>,
}

/// `cors`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CorsFile {
    /// The origins whose pages may read answers.
    #[serde(default)]
    pub origins: Vec<Spanned<String>>,
}

/// `tail`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TailFile {
    /// The origins whose pages may open one.
    #[serde(default)]
    pub origins: Vec<Spanned<String>>,
}

/// `shutdown`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShutdownFile {
    /// How long it serves on while it says that it is not ready.
    pub delay: Option<Spanned<String>>,
    /// How long requests in flight may take after that.
    pub timeout: Option<Spanned<String>>,
}

/// `audit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditFile {
    /// The file that lines are appended to; without it, standard output.
    pub file: Option<Spanned<String>>,
    /// The collector that lines are sent to, instead of a file.
    pub otlp: Option<OtlpFile>,
    /// What is done while lines cannot be written as fast as they come.
    pub when_full: Option<Spanned<String>>,
    /// Lines that may wait.
    pub queue: Option<Spanned<u64>>,
    /// The claim that names a user.
    pub user_claim: Option<Spanned<String>>,
    /// Tell what was asked as it is.
    #[serde(default)]
    pub queries: bool,
}

/// `audit.otlp`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtlpFile {
    /// Where logs are posted.
    pub url: Spanned<String>,
    /// PEM file of the authorities that are trusted, relative to the configuration file.
    pub ca: Option<Spanned<String>>,
    /// Use plain HTTP to a host that is not loopback.
    #[serde(default)]
    pub insecure_http: bool,
}

/// One entry of `listen`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenFile {
    /// IP address and port.
    pub address: Spanned<String>,
    /// Serve this backend at the root, instead of every backend below its mount.
    pub backend: Option<Spanned<String>>,
    /// Serve over TLS.
    pub tls: Option<TlsFile>,
    /// Networks of the proxies that are believed where a request comes from.
    #[serde(default)]
    pub trusted_proxies: Vec<Spanned<String>>,
}

/// `listen[].tls`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    /// PEM file of the certificate chain, relative to the configuration file.
    pub cert: Spanned<String>,
    /// PEM file of the private key, relative to the configuration file.
    pub key: Spanned<String>,
}

/// `admin`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminFile {
    /// IP address and port of `/healthz`, `/readyz` and `/metrics`.
    pub address: Spanned<String>,
    /// Where `/-/` is served: a loopback address, or the path of a socket.
    pub control: Option<Spanned<String>>,
    /// The file with the token that requests below `/-/` need.
    pub token_file: Option<Spanned<String>>,
}

/// One entry of `issuers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerFile {
    /// What the `iss` claim must be, byte for byte; keys are discovered below it.
    pub url: Spanned<String>,
    /// Keys are discovered by this document instead of the one below `url`.
    pub discovery_url: Option<Spanned<String>>,
    /// Keys come from this JWK Set instead of discovery.
    pub jwks_url: Option<Spanned<String>>,
    /// Keys come from this JWK Set file instead of discovery, relative to the configuration file.
    pub jwks_file: Option<Spanned<String>>,
    /// The header that its tokens come in.
    pub header: Option<Spanned<String>>,
    /// A token is taken if its `aud` claim has one of these.
    #[serde(default)]
    pub audiences: Vec<Spanned<String>>,
    /// A token is also taken if its `azp` claim is one of these.
    #[serde(default)]
    pub authorized_parties: Vec<Spanned<String>>,
    /// Claims that a token must have with exactly these values.
    #[serde(default)]
    pub required_claims: BTreeMap<String, Spanned<Value>>,
    /// Conditions that must hold of a token's claims.
    #[serde(default)]
    pub validation_rules: Vec<Spanned<String>>,
    /// The signature algorithms that are taken.
    pub algorithms: Option<Spanned<Vec<Spanned<String>>>>,
    /// PEM file of the authorities that are trusted when keys are fetched, relative to the configuration file.
    pub ca: Option<Spanned<String>>,
    /// How far the issuer's clock may be from ours.
    pub skew: Option<Spanned<String>>,
    /// Fetch keys over plain HTTP from a host that is not loopback.
    #[serde(default)]
    pub insecure_http: bool,
}

/// One entry of `service_accounts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceAccountFile {
    /// Its name.
    pub name: Spanned<String>,
    /// What `palisade hash` makes of its password.
    pub hash: Spanned<String>,
    /// What policies see as its claims.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

/// One entry of `backends`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendFile {
    /// What it is.
    pub kind: Option<Spanned<String>>,
    /// Its base URL; a path prefix is kept.
    pub url: Spanned<String>,
    /// Where Tempo serves gRPC, if not at `url`.
    pub grpc_url: Option<Spanned<String>>,
    /// The name under which callers find it.
    pub mount: Option<Spanned<String>>,
    /// The part of everyone's data that it holds.
    pub holds: Option<HoldsFile>,
    /// For each dimension of a scope the label in which this backend says it.
    pub labels: Spanned<BTreeMap<String, Spanned<String>>>,
    /// What the operator declares of it.
    #[serde(default)]
    pub features: Vec<Spanned<String>>,
    /// Its version.
    pub version: Option<Spanned<String>>,
    /// Names of what is closed: of what queries have, or endpoints.
    #[serde(default)]
    pub refuse: Vec<Spanned<String>>,
    /// The tenants as it has them itself.
    pub org_id: Option<Spanned<OrgIdFile>>,
    /// Tell it the scope as a label policy.
    pub label_policy: Option<Spanned<bool>>,
    /// Whom we trust to be it, and how we show ourselves.
    pub tls: Option<Spanned<BackendTlsFile>>,
    /// How we say who we are.
    pub auth: Option<Spanned<AuthFile>>,
    /// Show others' spans of a trace, without content, to who may see it.
    pub redacted_traces: Option<Spanned<bool>>,
    /// Use plain HTTP to a host that is not loopback.
    #[serde(default)]
    pub insecure_http: bool,
    /// How long it may take for one answer.
    pub timeout: Option<Spanned<String>>,
}

/// `backends.NAME.tls`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendTlsFile {
    /// PEM file of the authorities that are trusted, relative to the configuration file.
    pub ca: Option<Spanned<String>>,
    /// Trust the platform's authorities beside those.
    pub platform_roots: Option<Spanned<bool>>,
    /// PEM file of the certificate chain that is shown, relative to the configuration file.
    pub cert: Option<Spanned<String>>,
    /// PEM file of its private key, relative to the configuration file.
    pub key: Option<Spanned<String>>,
}

/// `backends.NAME.auth`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthFile {
    /// File that holds a bearer token, relative to the configuration file.
    pub bearer_file: Option<Spanned<String>>,
    /// A user and its password.
    pub basic: Option<BasicFile>,
}

/// `backends.NAME.auth.basic`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicFile {
    /// The user.
    pub username: Spanned<String>,
    /// File that holds the password, relative to the configuration file.
    pub password_file: Spanned<String>,
}

/// `limits`. See [`crate::limits::Limits`] for what each caps.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    /// Bytes of one bearer token.
    pub token_bytes: Option<Spanned<u64>>,
    /// Values of one dimension of a scope.
    pub tenants: Option<Spanned<u64>>,
    /// Bytes of a request body.
    pub body_bytes: Option<Spanned<u64>>,
    /// Parameter pairs of one request.
    pub parameter_pairs: Option<Spanned<u64>>,
    /// Bytes of an answer that must be filtered.
    pub filtered_answer_bytes: Option<Spanned<u64>>,
    /// Bytes of a body sent to a backend.
    pub outbound_body_bytes: Option<Spanned<u64>>,
    /// Bytes of a path and query sent to a backend.
    pub outbound_url_bytes: Option<Spanned<u64>>,
    /// Bytes of one header that tells a backend the tenants.
    pub outbound_header_bytes: Option<Spanned<u64>>,
    /// Caps on one query text.
    #[serde(default)]
    pub query: QueryLimitsFile,
    /// How long one request may take in all.
    pub request_timeout: Option<Spanned<String>>,
    /// Requests served at once.
    pub concurrent_requests: Option<Spanned<u64>>,
    /// Bytes that callers can make the process take, in all.
    pub memory_bytes: Option<Spanned<u64>>,
    /// The part of what is shared that one tenant may have, in percent.
    pub tenant_share: Option<Spanned<u64>>,
    /// The part of the requests that one backend may have, in percent.
    pub backend_share: Option<Spanned<u64>>,
    /// How long a client may take nothing of an answer.
    pub stall_timeout: Option<Spanned<String>>,
    /// Connections of callers that are open at once.
    pub connections: Option<Spanned<u64>>,
    /// Those of one address.
    pub connections_per_address: Option<Spanned<u64>>,
    /// Idle connections that are kept to one backend.
    pub backend_connections: Option<Spanned<u64>>,
    /// How long the head of a request may take.
    pub head_timeout: Option<Spanned<String>>,
    /// How long the body of a request may take.
    pub body_timeout: Option<Spanned<String>>,
    /// How long a connection may wait for a request.
    pub idle_timeout: Option<Spanned<String>>,
    /// Live tails that are open at once.
    pub concurrent_tails: Option<Spanned<u64>>,
    /// Bytes of one message of a live tail.
    pub tail_message_bytes: Option<Spanned<u64>>,
}

/// `limits.query`. See [`crate::limits::QueryLimits`] for what each caps.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryLimitsFile {
    /// Bytes of the caller's text.
    pub bytes: Option<Spanned<u64>>,
    /// Tokens of the caller's text.
    pub tokens: Option<Spanned<u64>>,
    /// Depth of nesting.
    pub nesting: Option<Spanned<u64>>,
    /// Selectors.
    pub selectors: Option<Spanned<u64>>,
    /// Bytes of a scoped PromQL text.
    pub scoped_promql_bytes: Option<Spanned<u64>>,
    /// Bytes of a scoped LogQL text.
    pub scoped_logql_bytes: Option<Spanned<u64>>,
    /// Bytes of a scoped TraceQL text.
    pub scoped_traceql_bytes: Option<Spanned<u64>>,
}
