//! An HTTP client that sends nothing but sealed calls.

use super::pool::{Answer, Failure, Pool, Switched, Written};
use crate::rejection::UpstreamFault;
use crate::scope::call::REMOTE_READ;
use crate::scope::{Accept, Call, Carried, Outgoing};
use http::{HeaderName, Response, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::time::Duration;

pub(super) const AGENT: &str = concat!("palisade/", env!("CARGO_PKG_VERSION"));
/// The trace context of W3C.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How Loki is asked for categorized labels (`pkg/util/httpreq/encoding_flags.go`).
pub const LOKI_FLAGS: HeaderName = HeaderName::from_static("x-loki-response-encoding-flags");

/// How long a connection to a backend is silent before its other end is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What is trusted of a backend, and shown to it: the same for every caller.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The TLS side, where the backend's URL has `https`; without it no certificate is trusted.
    pub tls: Option<rustls::ClientConfig>,
    /// The value of `Authorization`, if the backend wants one. The caller's never reaches a backend.
    pub authorization: Option<SecretString>,
    /// Whether answers cross a network: those that are read whole are then asked for compressed.
    pub distant: bool,
}

impl Reach {
    /// The TLS side, which trusts nobody where none is said.
    pub fn tls(&self) -> rustls::ClientConfig {
        self.tls.clone().unwrap_or_else(|| {
            let nobody = rustls::RootCertStore::empty();
            rustls::ClientConfig::builder().with_root_certificates(nobody).with_no_client_auth()
        })
    }
}

/// How a connection to a backend is made.
pub(super) fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(5)));
    // So that one whose other end is gone without a word is not waited for.
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE / 3));
    tcp.set_keepalive_retries(Some(3));
    tcp
}

/// One backend, as one worker reaches it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name, for the log.
    name: Arc<str>,
    pool: Arc<Pool>,
    /// What follows the target of every call, up to the value of `Accept`. It may hold a credential.
    head: SecretString,
    /// What the backend's own paths are below, without a slash at the end.
    prefix: String,
    timeout: Duration,
    distant: bool,
}

impl Upstream {
    /// The backend `name` at `base`, without a connection yet; `timeout` bounds the wait for the head of an answer. As many
    /// as `idle` connections that nobody uses are kept. `None` if `base` is no URL of a server.
    pub fn new(name: &str, base: &Uri, reach: &Reach, timeout: Duration, idle: usize) -> Option<Self> {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(reach.tls())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp());
        let authority = base.authority()?;
        let origin = Uri::builder().scheme(base.scheme()?.clone()).authority(authority.clone());
        let origin = origin.path_and_query("/").build().ok()?;
        Some(Self {
            name: name.into(),
            pool: Arc::new(Pool::new(origin, https, idle)),
            head: head(authority.as_str(), reach),
            prefix: base.path().trim_end_matches('/').to_owned(),
            timeout,
            distant: reach.distant,
        })
    }

    /// How long an answer may take, and how long its body may pause.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether an answer that is read whole is to be asked for compressed.
    pub fn is_distant(&self) -> bool {
        self.distant
    }

    /// Sends `call`. Redirects are answers like others: never followed.
    ///
    /// # Errors
    /// [`UpstreamFault::Unreachable`] or [`UpstreamFault::Timeout`].
    pub async fn send(
        &self,
        call: Call,
        carried: &Carried,
        gzip: bool,
    ) -> Result<Response<Answer>, UpstreamFault> {
        let request = self.request(call, carried, gzip, None).ok_or(UpstreamFault::Unreachable)?;
        self.within(self.pool.send(&request, self.timeout)).await
    }

    /// Sends `call` as the opening handshake of a WebSocket with this key (RFC 6455, section 4.1), and gives the
    /// connection if the backend changes to it.
    ///
    /// # Errors
    /// As [`Upstream::send`].
    pub(super) async fn switch(
        &self,
        call: Call,
        carried: &Carried,
        key: &str,
    ) -> Result<Result<Switched, Response<Answer>>, UpstreamFault> {
        let request = self.request(call, carried, false, Some(key)).ok_or(UpstreamFault::Unreachable)?;
        self.within(self.pool.switch(&request, self.timeout)).await
    }

    /// What `asking` gives within the time that the backend has.
    async fn within<T>(&self, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, UpstreamFault> {
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(Ok(given)) => Ok(given),
            Ok(Err(error)) => {
                let (backend, error) = (&*self.name, ErrorChain(&*error));
                tracing::warn!(backend, %error, "backend cannot be reached");
                Err(UpstreamFault::Unreachable)
            }
            Err(_) => Err(UpstreamFault::Timeout),
        }
    }

    /// The request, with a fixed set of headers and none of the caller's but those carried. `None` if there
    /// is what no request target has: nothing of a caller's may become another line of the head.
    fn request(
        &self,
        mut call: Call,
        carried: &Carried,
        gzip: bool,
        websocket_key: Option<&str>,
    ) -> Option<Written> {
        let outgoing = call.take_outgoing();
        let (method, body): (_, &[u8]) = match &outgoing {
            Outgoing::Get => ("GET ", &[]),
            Outgoing::Delete => ("DELETE ", &[]),
            Outgoing::Post { body, .. } => ("POST ", body),
        };
        let target = call.target();
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let head = self.head.expose_secret();
        let mut bytes = Vec::with_capacity(512 + head.len() + target.len() + body.len());
        let mut write = |part: &str| bytes.extend_from_slice(part.as_bytes());
        write(method);
        write(&self.prefix);
        write(target);
        write(head);
        write(call.accept().media_type());
        if carried.utf8_names && call.accept() == Accept::Text {
            write(";escaping=allow-utf-8");
        }
        write(if gzip { "\r\naccept-encoding: gzip" } else { "\r\naccept-encoding: identity" });
        if let Some(traceparent) = &carried.traceparent {
            write("\r\ntraceparent: ");
            write(traceparent.as_str());
        }
        if carried.categorize_labels {
            write("\r\nx-loki-response-encoding-flags: categorize-labels");
        }
        for (name, value) in carried.tenancy.iter().flat_map(|tenancy| tenancy.iter()) {
            write("\r\n");
            write(name);
            write(": ");
            write(value);
        }
        if let Some(key) = websocket_key {
            write("\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13");
            write("\r\nsec-websocket-key: ");
            write(key);
        }
        if let Outgoing::Post { content_type, .. } = &outgoing {
            write("\r\ncontent-type: ");
            write(content_type);
            if *content_type == REMOTE_READ {
                write("\r\ncontent-encoding: snappy\r\nx-prometheus-remote-read-version: 0.1.0");
            }
            write("\r\ncontent-length: ");
            write(&body.len().to_string());
        }
        write("\r\n\r\n");
        bytes.extend_from_slice(body);
        Some(Written { bytes, repeatable: outgoing.is_repeatable() })
    }
}

/// What of the head of a request is the same for all, after the target.
fn head(authority: &str, reach: &Reach) -> SecretString {
    let mut head = format!(" HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {AGENT}");
    if let Some(authorization) = &reach.authorization {
        head.push_str("\r\nauthorization: ");
        head.push_str(authorization.expose_secret());
    }
    head.push_str("\r\naccept: ");
    head.into()
}

/// An error with its causes: hyper's own text leaves them out.
pub(super) struct ErrorChain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}
