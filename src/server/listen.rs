//! Accepting connections, serving them, and letting them end.

use super::stall::Unstalled;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::task::TaskTracker;
use tower::Service;

/// How long the head of a request may take to arrive, and so how long a connection may stay idle. Longer
/// than the 60 s for which proxies in front keep an idle connection by default: one that we close first
/// costs the request that is on its way.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long the first bytes of a connection may take.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an HTTP/2 connection is asked whether its client is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests in flight may take to end after a shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the head of a request: a token and a URL at their caps fit.
const HEAD_BYTES: usize = 256 * 1024;

/// Gives each connection that `listener` accepts to `taken`, until `shutdown` says true.
pub async fn accept(
    listener: TcpListener,
    mut shutdown: watch::Receiver<bool>,
    mut taken: impl FnMut(TcpStream),
) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    taken(stream);
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others will be freed.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            () = asked(&mut shutdown) => return,
        }
    }
}

/// The connections that one runtime serves.
pub struct Connections {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    shutdown: watch::Receiver<bool>,
    tasks: TaskTracker,
}

impl Connections {
    /// None yet; each will be one of `tasks`. When `shutdown` says true, requests in flight end, and connections
    /// that are still being opened are given up.
    pub fn new(shutdown: watch::Receiver<bool>, tasks: TaskTracker) -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .max_header_list_size(HEAD_BYTES as u32)
            .max_concurrent_streams(128);
        Self { http1, http2, shutdown, tasks }
    }

    /// Serves `stream` with `service` in a task of its own.
    pub fn serve<S, B>(&self, stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (http1, http2) = (self.http1.clone(), self.http2.clone());
        let (service, mut down) = (TowerToHyperService::new(service), self.shutdown.clone());
        let stream = Unstalled::new(stream, WRITE_TIMEOUT);
        self.tasks.spawn(async move {
            let Some((protocol, stream)) = unless(&mut down, opened(stream, tls)).await else { return };
            let stream = TokioIo::new(stream);
            let served = match protocol {
                Protocol::Http1 => {
                    let connection = http1.serve_connection(stream, service).with_upgrades();
                    served(connection, |connection| connection.graceful_shutdown(), &mut down).await
                }
                Protocol::Http2 => {
                    let connection = http2.serve_connection(stream, service);
                    served(connection, |connection| connection.graceful_shutdown(), &mut down).await
                }
            };
            if let Err(error) = served {
                tracing::debug!(error = %error, "connection ended");
            }
        });
    }

    /// Serves `stream`, which is no network's, with `service` in a task of its own, over HTTP/1.1.
    pub fn serve_http1<T, S, B>(&self, stream: T, service: S)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = TokioIo::new(Unstalled::new(stream, WRITE_TIMEOUT));
        let connection = self.http1.serve_connection(stream, TowerToHyperService::new(service));
        let mut down = self.shutdown.clone();
        self.tasks.spawn(async move {
            let served = served(connection, |connection| connection.graceful_shutdown(), &mut down);
            if let Err(error) = served.await {
                tracing::debug!(error = %error, "connection ended");
            }
        });
    }

    /// Waits until requests in flight have ended, and what they began.
    pub async fn drain(self) {
        self.tasks.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("requests were still in flight at the end");
        }
    }
}

/// Serves `connection` to its end, which `end` tells it to come to at a shutdown.
async fn served<C: Future>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    down: &mut watch::Receiver<bool>,
) -> C::Output {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return served,
        () = asked(down) => end(connection.as_mut()),
    }
    connection.await
}

/// The protocol of one connection. Known before the connection is served, because hyper waits without
/// end for the bytes that would tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// A stream as it came, or TLS over it.
type Stream = Either<Unstalled<TcpStream>, TlsStream<Unstalled<TcpStream>>>;

/// What is spoken over `stream`, after the TLS handshake if there is one.
async fn opened(
    stream: Unstalled<TcpStream>,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> Option<(Protocol, Stream)> {
    let Some(tls) = tls else {
        let protocol = opening(stream.get_ref(), OPENING_TIMEOUT).await?;
        return Some((protocol, Either::Left(stream)));
    };
    let stream = handshake(TlsAcceptor::from(tls), stream).await?;
    // What the handshake agreed on (RFC 7301).
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
    Some((protocol, Either::Right(stream)))
}

/// The protocol that the first bytes of a connection without TLS tell; `None` if they do not come.
async fn opening(stream: &TcpStream, within: Duration) -> Option<Protocol> {
    let told = async {
        let mut first = [0; HTTP2_PREFACE.len()];
        loop {
            let length = stream.peek(&mut first).await.ok().filter(|length| *length > 0)?;
            match first.get(..length)? {
                whole if whole == HTTP2_PREFACE => return Some(Protocol::Http2),
                part if HTTP2_PREFACE.starts_with(part) => tokio::time::sleep(Duration::from_millis(5)).await,
                _ => return Some(Protocol::Http1),
            }
        }
    };
    tokio::time::timeout(within, told).await.ok()?
}

/// Returns when a shutdown is asked for, or nobody is left to ask.
pub async fn asked(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|down| *down).await;
}

/// What `opening` gives, or nothing once a shutdown is asked for.
async fn unless<T>(
    shutdown: &mut watch::Receiver<bool>,
    opening: impl Future<Output = Option<T>>,
) -> Option<T> {
    tokio::select! {
        opened = opening => opened,
        () = asked(shutdown) => None,
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: Unstalled<TcpStream>,
) -> Option<TlsStream<Unstalled<TcpStream>>> {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// What is made of a connection whose client sends `parts`, and closes it where `closes`.
    async fn opened(parts: &[&[u8]], closes: bool, within: Duration) -> Option<Protocol> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let told = tokio::spawn(async move { opening(&stream, within).await });
        for part in parts {
            client.write_all(part).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if closes {
            drop(client);
            return told.await.unwrap();
        }
        let told = told.await.unwrap();
        drop(client);
        told
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_protocol() {
        let opened = async |parts: &[&[u8]], closes| opened(parts, closes, OPENING_TIMEOUT).await;
        assert_eq!(opened(&[b"GET / HTTP/1.1\r\n"], false).await, Some(Protocol::Http1));
        assert_eq!(opened(&[b"P", b"OST"], false).await, Some(Protocol::Http1));
        assert_eq!(opened(&[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\n"], false).await, Some(Protocol::Http2));
        assert_eq!(opened(&[], true).await, None);
    }

    #[tokio::test]
    async fn a_connection_that_sends_nothing_or_half_a_preface_is_given_up() {
        let soon = Duration::from_millis(200);
        assert_eq!(opened(&[], false, soon).await, None);
        assert_eq!(opened(&[b"PRI * HTTP"], false, soon).await, None);
    }
}
