//! The small server that the issuer and the embedded backends share: one HTTP/1.1 loop on loopback, for
//! services that answer from memory.

use crate::upstream::websocket::accept;
use bytes::Bytes;
use futures_util::SinkExt;
use http::HeaderValue;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

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
    /// The body of a POST that is no form; else empty.
    pub body: Vec<u8>,
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

    /// What a WebSocket that `request` opens says, if it is one that this service takes.
    fn tail(&self, request: &Request) -> Option<Tail> {
        let _ = request;
        None
    }
}

/// The next message of a WebSocket, if there is anything to say. It is asked at once and then each second.
pub type Tail = Box<dyn FnMut() -> Option<String> + Send>;

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
                let builder = Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer).await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(Listening { address, task })
}

async fn answer(
    mut request: http::Request<Incoming>,
    service: Arc<dyn Service>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let key = request.headers().get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).map(accept);
    let reply = match read(request).await {
        Ok(request) => match key.zip(service.tail(&request)) {
            Some((accepted, tail)) => {
                tokio::spawn(relay(upgrade, tail));
                return Ok(switched(&accepted));
            }
            None => service.answer(&request),
        },
        Err(reason) => Reply::text(400, reason),
    };
    let mut response = http::Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    Ok(response)
}

/// The answer that changes the protocol to WebSocket.
fn switched(accepted: &str) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::default());
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    // Base64 is a header's value.
    if let Ok(accepted) = HeaderValue::from_str(accepted) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    }
    response
}

/// Sends what `tail` says until the client is gone.
async fn relay(upgrade: OnUpgrade, mut tail: Tail) {
    let Ok(stream) = upgrade.await else { return };
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
    let mut seconds = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        seconds.tick().await;
        // A ping finds out whether anybody is left where there is nothing to say.
        let message = tail().map_or_else(|| Message::Ping(Bytes::new()), Message::text);
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Reads the body and the parameters. Only a POST has a form body, as with Go's `ParseForm`.
async fn read(request: http::Request<Incoming>) -> Result<Request, String> {
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let mut pairs = Vec::new();
    let mut said = Vec::new();
    if parts.method == http::Method::POST {
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|e| e.to_string())?.to_bytes();
        if header(CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") {
            pairs.extend(form_urlencoded::parse(&body).into_owned());
        } else {
            said = body.to_vec();
        }
    }
    let query = parts.uri.query().unwrap_or("");
    pairs.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
    let path = percent_encoding::percent_decode_str(parts.uri.path())
        .decode_utf8()
        .map_err(|_| "the path is no UTF-8".to_owned())?
        .into_owned();
    Ok(Request { method: parts.method.to_string(), path, pairs, accept: header(ACCEPT), body: said })
}
