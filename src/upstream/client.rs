//! An HTTP client that sends nothing but sealed calls.

use super::pool::{Answer, Pool};
use crate::rejection::UpstreamFault;
use crate::scope::{Accept, Call, Carried};
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls_platform_verifier::ConfigVerifierExt;
use std::sync::Arc;
use std::time::Duration;

const AGENT: &str = concat!("palisade/", env!("CARGO_PKG_VERSION"));
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
/// The trace context of W3C.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How Loki is asked for categorized labels (`pkg/util/httpreq/encoding_flags.go`).
pub const LOKI_FLAGS: HeaderName = HeaderName::from_static("x-loki-response-encoding-flags");

/// The TLS side of clients that trust the platform's roots.
///
/// # Errors
/// If the platform's trust store cannot be read.
pub fn roots() -> Result<rustls::ClientConfig, rustls::Error> {
    rustls::ClientConfig::with_platform_verifier()
}

/// One backend, as one worker reaches it.
#[derive(Clone, Debug)]
pub struct Upstream {
    pool: Arc<Pool>,
    /// What most calls have. Copied, which is cheaper than to insert them one by one.
    headers: HeaderMap,
    /// What the backend's own paths are below, without a slash at the end.
    prefix: String,
    timeout: Duration,
}

impl Upstream {
    /// The backend at `base`, without a connection yet; `timeout` bounds the wait for the head of an answer.
    /// `None` if `base` is no URL of a server.
    pub fn new(base: &Uri, tls: rustls::ClientConfig, timeout: Duration) -> Option<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(5)));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let authority = base.authority()?;
        let origin = Uri::builder().scheme(base.scheme()?.clone()).authority(authority.clone());
        let origin = origin.path_and_query("/").build().ok()?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(Accept::Json.media_type()));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(HOST, HeaderValue::from_str(authority.as_str()).ok()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Some(Self {
            pool: Arc::new(Pool::new(origin, https)),
            headers,
            prefix: base.path().trim_end_matches('/').to_owned(),
            timeout,
        })
    }

    /// How long an answer may take, and how long its body may pause.
    pub fn timeout(&self) -> Duration {
        self.timeout
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
        let request = self.request(call, carried, gzip).ok_or(UpstreamFault::Unreachable)?;
        match tokio::time::timeout(self.timeout, self.pool.send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                tracing::warn!(error = %ErrorChain(&*error), "backend cannot be reached");
                Err(UpstreamFault::Unreachable)
            }
            Err(_) => Err(UpstreamFault::Timeout),
        }
    }

    /// The request, with a fixed set of headers and none of the caller's but those carried.
    fn request(&self, mut call: Call, carried: &Carried, gzip: bool) -> Option<Request<Full<Bytes>>> {
        let form = call.take_form();
        let target =
            PathAndQuery::from_maybe_shared(Bytes::from([&self.prefix, call.target()].concat())).ok()?;
        let mut request = Request::new(Full::new(form.clone().map_or(Bytes::new(), Bytes::from)));
        *request.uri_mut() = Uri::from(target);
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        if call.accept() != Accept::Json {
            headers.insert(ACCEPT, HeaderValue::from_static(call.accept().media_type()));
        }
        if gzip {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(traceparent) = &carried.traceparent {
            headers.insert(TRACEPARENT, HeaderValue::from_str(traceparent.as_str()).ok()?);
        }
        if carried.categorize_labels {
            headers.insert(LOKI_FLAGS, HeaderValue::from_static("categorize-labels"));
        }
        if form.is_some() {
            headers.insert(CONTENT_TYPE, FORM);
            *request.method_mut() = Method::POST;
        }
        Some(request)
    }
}

/// An error with its causes: hyper's own text leaves them out.
struct ErrorChain<'a>(&'a (dyn std::error::Error + 'static));

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
