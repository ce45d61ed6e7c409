//! The small server that the issuer and the embedded backends share: one HTTP/1.1 loop on loopback, for
//! services that answer from memory.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The largest request body that is read, in bytes. Prometheus takes 10 MB (Go's `ParseForm`).
const MAX_BODY: usize = 10 << 20;

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method's name.
    pub method: String,
    /// The path, percent-decoded, as the routers of Loki and Tempo see it.
    pub path: String,
    /// The pairs of a form body, then those of the URL: the order of Go's `ParseForm`.
    pub pairs: Vec<(String, String)>,
    /// The `Accept` header; empty if there is none.
    pub accept: String,
}

impl Request {
    /// The first value of `name`, if it is not empty.
    pub fn first(&self, name: &'static str) -> Option<&str> {
        self.all(name).next().filter(|v| !v.is_empty())
    }

    /// Every value of `name`, in order.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The path's segments, without the leading slash.
    pub fn segments(&self) -> Vec<&str> {
        self.path.strip_prefix('/').unwrap_or(&self.path).split('/').collect()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string().into_bytes() }
    }

    /// A plain text answer.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into().into_bytes() }
    }
}

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// The answer to `request`.
    fn answer(&self, request: &Request) -> Reply;
}

/// A service that listens. It stops when this is dropped.
#[derive(Debug)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds an ephemeral port on loopback, for [`serve`].
///
/// # Errors
/// What the system says.
pub async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
}

/// Serves `service` on `listener`, each connection in a task of its own.
///
/// # Errors
/// What the system says when asked for the listener's address.
pub fn serve(listener: TcpListener, service: Arc<dyn Service>) -> io::Result<Listening> {
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            // A failed accept concerns one peer (or a passing lack of descriptors), not the listener.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            };
            let service = Arc::clone(&service);
            connections.spawn(async move {
                let answer = hyper::service::service_fn(|request| answer(request, Arc::clone(&service)));
                // A connection that breaks off is the peer's affair: it was read-only.
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(Listening { address, task })
}

async fn answer(
    request: http::Request<Incoming>,
    service: Arc<dyn Service>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let reply = match read(request).await {
        Ok(request) => service.answer(&request),
        Err(reason) => Reply::text(400, reason),
    };
    let mut response = http::Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = http::HeaderValue::from_static(reply.content_type);
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    Ok(response)
}

/// Reads the body and the parameters. Only a POST has a form body, as with Go's `ParseForm`.
async fn read(request: http::Request<Incoming>) -> Result<Request, String> {
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let mut pairs = Vec::new();
    if parts.method == http::Method::POST
        && header(http::header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded")
    {
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|e| e.to_string())?.to_bytes();
        pairs.extend(form_urlencoded::parse(&body).into_owned());
    }
    let query = parts.uri.query().unwrap_or("");
    pairs.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
    let path = percent_encoding::percent_decode_str(parts.uri.path())
        .decode_utf8()
        .map_err(|_| "the path is no UTF-8".to_owned())?
        .into_owned();
    Ok(Request { method: parts.method.to_string(), path, pairs, accept: header(http::header::ACCEPT) })
}
