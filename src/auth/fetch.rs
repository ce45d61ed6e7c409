//! Key sets are brought in: from the issuer's discovery document, a URL or a file.

use super::config::{Issuer, IssuerFault, KeySource};
use super::json;
use super::jwks::KeySet;
use crate::trust::ClientTls;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The most bytes of a discovery document or a key set. Keycloak's have about 10 kB.
const MAX_BYTES: usize = 256 * 1024;

/// Why an issuer's keys could not be brought in. For the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchFault {
    #[error("timed out")]
    Timeout,
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("answered with status {0}")]
    Status(StatusCode),
    #[error("answer over the limit of {MAX_BYTES} bytes")]
    TooLarge,
    #[error("answer broke off: {0}")]
    Broken(String),
    #[error("discovery document is no JSON object with `issuer` and `jwks_uri`")]
    Discovery,
    #[error("discovery document is of another issuer")]
    OtherIssuer,
    #[error("not a JWK Set")]
    Jwks,
    #[error("{0}")]
    Url(#[from] IssuerFault),
    #[error("trusted authorities cannot be read: {0}")]
    Tls(String),
    #[error("file cannot be read: {0}")]
    File(std::io::Error),
}

/// A small HTTP client: GET, no redirects, no compression, no cookies, a capped body.
pub(super) struct Fetcher {
    plain: Client<HttpConnector, Empty<Bytes>>,
    /// Made when first needed: reading this machine's trust anchors takes a while, and where there are none plain
    /// loopback still works.
    tls: OnceLock<Result<TlsClient, String>>,
}

type TlsClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

impl Fetcher {
    pub(super) fn new() -> Self {
        Self { plain: builder().build(HttpConnector::new()), tls: OnceLock::new() }
    }

    /// The keys of `issuer` as its source has them now.
    pub(super) async fn keys(&self, issuer: &Issuer) -> Result<KeySet, FetchFault> {
        let text = match &issuer.keys {
            KeySource::Discovery => {
                // OpenID Connect Discovery 1.0, section 4.1: a terminating slash is removed first.
                let base = issuer.url.strip_suffix('/').unwrap_or(&issuer.url);
                let document = format!("{base}/.well-known/openid-configuration");
                self.get(issuer, self.discover(issuer, &document).await?).await?
            }
            KeySource::DiscoveryUrl(document) => {
                self.get(issuer, self.discover(issuer, document).await?).await?
            }
            KeySource::JwksUrl(url) => self.get(issuer, issuer.fetchable(url)?).await?,
            KeySource::JwksFile(path) => read_file(path.clone()).await?,
        };
        KeySet::read(&text, &issuer.algorithms).ok_or(FetchFault::Jwks)
    }

    /// The `jwks_uri` of the discovery document at `place`, which must be the issuer's own (OpenID Connect
    /// Discovery 1.0, section 4.3): else whoever can place a document there lends its keys to another's name.
    async fn discover(&self, issuer: &Issuer, place: &str) -> Result<Uri, FetchFault> {
        let document = self.get(issuer, issuer.fetchable(place)?).await?;
        let document = json::object(&document).ok_or(FetchFault::Discovery)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str).ok_or(FetchFault::Discovery);
        if text("issuer")? != issuer.url {
            return Err(FetchFault::OtherIssuer);
        }
        Ok(issuer.fetchable(text("jwks_uri")?)?)
    }

    /// The body of a 200; every other status is a fault, redirects too.
    async fn get(&self, issuer: &Issuer, uri: Uri) -> Result<Bytes, FetchFault> {
        let tls = uri.scheme_str() == Some("https");
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri;
        request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
        let sent = match (tls, &issuer.ca) {
            (false, _) => self.plain.request(request),
            (true, None) => {
                let client = self.tls.get_or_init(|| tls_client(ClientTls::default()));
                client.as_ref().map_err(|reason| FetchFault::Tls(reason.clone()))?.request(request)
            }
            (true, Some(ca)) => private_client(ca.clone()).await?.request(request),
        };
        let answer = sent.await.map_err(|fault| FetchFault::Unreachable(chain(&fault)))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchFault::Status(answer.status()));
        }
        match Limited::new(answer.into_body(), MAX_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(fault) if fault.is::<LengthLimitError>() => Err(FetchFault::TooLarge),
            Err(fault) => Err(FetchFault::Broken(chain(fault.as_ref()))),
        }
    }
}

/// How many keys the issuer gives now for its algorithms.
///
/// # Errors
/// Why they cannot be had.
pub async fn keys_of(issuer: &Issuer) -> Result<usize, String> {
    let keys = Fetcher::new().keys(issuer).await;
    keys.map(|keys| keys.len()).map_err(|fault| fault.to_string())
}

/// A client that trusts the authorities of `ca` only, as the file is now: minutes lie between two fetches.
async fn private_client(ca: PathBuf) -> Result<TlsClient, FetchFault> {
    let tls = ClientTls { ca: Some(ca), ..ClientTls::default() };
    let made = tokio::task::spawn_blocking(|| tls_client(tls)).await;
    made.unwrap_or_else(|fault| Err(fault.to_string())).map_err(FetchFault::Tls)
}

fn tls_client(tls: ClientTls) -> Result<TlsClient, String> {
    let config = tls.settings().map_err(|fault| fault.to_string())?;
    let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
    Ok(builder().build(https.build()))
}

/// Minutes lie between two fetches, so no connection is worth keeping.
fn builder() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_max_idle_per_host(0);
    builder
}

async fn read_file(path: PathBuf) -> Result<Bytes, FetchFault> {
    let read = tokio::task::spawn_blocking(move || read_capped(&path));
    let text = read.await.map_err(|fault| FetchFault::File(std::io::Error::other(fault)))??;
    if text.len() > MAX_BYTES { Err(FetchFault::TooLarge) } else { Ok(text.into()) }
}

/// At most one byte more than the cap.
fn read_capped(path: &Path) -> Result<Vec<u8>, FetchFault> {
    let file = std::fs::File::open(path).map_err(FetchFault::File)?;
    let mut text = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text).map_err(FetchFault::File)?;
    Ok(text)
}

/// An error with its causes, which `hyper` leaves out of its own text.
fn chain(fault: &(dyn std::error::Error + 'static)) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
