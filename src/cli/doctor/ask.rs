//! Asks a backend, as nobody: no request of a caller ever comes here.

use crate::config::Backend;
use crate::trust::{ClientTls, Credentials};
use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of one answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A backend, and how it is asked.
pub(super) struct Asker<'a> {
    backend: &'a Backend,
    tls: rustls::ClientConfig,
    authorization: Option<HeaderValue>,
}

impl<'a> Asker<'a> {
    /// Asks as Palisade does.
    pub fn ours(backend: &'a Backend) -> Result<Self, String> {
        let authorization = backend.credentials.as_ref().map(Credentials::header).transpose();
        let authorization = authorization.map_err(|fault| fault.to_string())?;
        let authorization = authorization.map(|secret| HeaderValue::try_from(secret.expose_secret()));
        Self::with(backend, &backend.tls, authorization.transpose().map_err(|error| error.to_string())?)
    }

    /// Asks as somebody who knows where the backend is, and nothing else.
    pub fn anybody(backend: &'a Backend) -> Result<Self, String> {
        Self::with(backend, &ClientTls { identity: None, ..backend.tls.clone() }, None)
    }

    fn with(
        backend: &'a Backend,
        tls: &ClientTls,
        authorization: Option<HeaderValue>,
    ) -> Result<Self, String> {
        let tls = match backend.url.scheme_str() {
            Some("https") => tls.settings().map_err(|fault| fault.to_string())?,
            _ => crate::upstream::Reach::default().tls(),
        };
        Ok(Self { backend, tls, authorization })
    }

    /// The JSON at `path` with these parameters.
    pub async fn json(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let (status, body) = self.get(path, parameters).await?;
        if status != StatusCode::OK {
            return Err(format!("`{path}` answered with status {}", status.as_u16()));
        }
        serde_json::from_slice(&body).map_err(|_| format!("`{path}` answered no JSON"))
    }

    /// What is answered to a GET.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<(StatusCode, Bytes), String> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let prefix = self.backend.url.path().trim_end_matches('/');
        let target = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let authority = self.backend.url.authority().map_or("", |authority| authority.as_str());
        let scheme = self.backend.url.scheme_str().unwrap_or("http");
        let uri = format!("{scheme}://{authority}{prefix}{path}{target}").parse::<Uri>();
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = uri.map_err(|error| error.to_string())?;
        let agent = HeaderValue::from_static(concat!("palisade-doctor/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let https =
            HttpsConnectorBuilder::new().with_tls_config(self.tls.clone()).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(https.build());
        let answered = async {
            let answer = client.request(request).await.map_err(|error| chain(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        tokio::time::timeout(TIMEOUT, answered).await.unwrap_or_else(|_| Err("timed out".to_owned()))
    }

    /// The certificate that the backend shows, where it speaks TLS.
    pub async fn certificate(&self) -> Option<Vec<u8>> {
        let authority =
            self.backend.url.authority().filter(|_| self.backend.url.scheme_str() == Some("https"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let shown = async {
            let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await.ok()?;
            let name = ServerName::try_from(host.to_owned()).ok()?;
            let stream = TlsConnector::from(Arc::new(self.tls.clone())).connect(name, stream).await.ok()?;
            Some(stream.get_ref().1.peer_certificates()?.first()?.to_vec())
        };
        tokio::time::timeout(TIMEOUT, shown).await.ok()?
    }
}

/// An error with its causes, which `hyper` leaves out of its own text.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    [error.to_string()].into_iter().chain(causes).collect::<Vec<_>>().join(": ")
}
