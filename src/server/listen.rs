//! Accepting connections, serving them, and letting them end.

use super::line::Line;
use super::opening::{Opened, Protocol};
use super::places::{Addresses, Place, Places};
use super::stall::Unstalled;
use super::taking::{Given, Kept, On, Streams, Taking};
use crate::stages::Timed;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service as HyperService;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
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

/// How often an HTTP/2 connection is asked whether its client is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long, after a shutdown, a connection may take to end that only waits, and how often that is looked at.
const GRACE: Duration = Duration::from_millis(250);
/// Bytes of the head of a request: a token and a URL at their caps fit.
const HEAD_BYTES: usize = 256 * 1024;

/// Gives each connection that `listener` accepts to `taken`, with its address, until `shutdown` says true.
pub async fn accept(
    listener: TcpListener,
    mut shutdown: watch::Receiver<bool>,
    mut taken: impl FnMut(TcpStream, SocketAddr),
) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    taken(stream, peer);
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

/// What bounds connections.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Of the connections of one runtime.
    pub places: Places,
    /// Of those of one address.
    pub addresses: Addresses,
    /// How long the opening of a connection may take, and the head of a request once it has begun.
    pub head: Duration,
    /// How long a connection may wait for a request.
    pub idle: Duration,
    /// How long a caller may take nothing of what is sent.
    pub stall: Duration,
}

impl Bounds {
    /// Those of `most` connections of one runtime, at the usual times.
    pub fn usual(most: usize) -> Self {
        Self {
            places: Places::new(most),
            addresses: Addresses::new(None),
            head: crate::config::HEAD_TIMEOUT,
            idle: crate::config::IDLE_TIMEOUT,
            stall: crate::config::STALL_TIMEOUT,
        }
    }
}

/// The connections that one runtime serves.
pub(super) struct Connections {
    http1: http1::Builder,
    bounds: Bounds,
    shutdown: watch::Receiver<bool>,
    tasks: TaskTracker,
}

impl Connections {
    /// None yet; each will be one of `tasks`. When `shutdown` says true, requests in flight end, and connections
    /// that are still being opened are given up.
    pub fn new(bounds: Bounds, shutdown: watch::Receiver<bool>, tasks: TaskTracker) -> Self {
        let mut http1 = http1::Builder::new();
        // It also is how long a connection may wait between requests.
        http1.timer(TokioTimer::new()).header_read_timeout(bounds.idle).max_buf_size(HEAD_BYTES);
        Self { http1, bounds, shutdown, tasks }
    }

    /// Serves `stream`, which `peer` opened, in a task of its own, with what `service` makes for the address that it comes
    /// from. One of `proxies` may say another than its own.
    pub fn serve<S, B>(
        &self,
        (stream, peer): (TcpStream, SocketAddr),
        tls: Option<Arc<rustls::ServerConfig>>,
        proxies: &[IpNet],
        service: impl FnOnce(IpAddr) -> S + Send + 'static,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Timed,
    {
        let peer = peer.ip().to_canonical();
        let told = proxies.iter().any(|proxy| proxy.contains(&peer));
        let Some(place) = self.bounds.places.enter().map(Arc::new) else {
            return tracing::debug!(address = %peer, "a connection is turned away: there are too many");
        };
        let (http1, bounds) = (self.http1.clone(), self.bounds.clone());
        let mut down = self.shutdown.clone();
        self.tasks.spawn(async move {
            let opening = async {
                let mut counted = None;
                if !told {
                    counted = bounds.addresses.enter(peer).ok()?;
                }
                let stream = Unstalled::new(stream, bounds.stall);
                let opened = tokio::time::timeout(bounds.head, opened(stream, tls, told)).await.ok()??;
                // A proxy's connections are those of whom it names.
                if let Some(address) = opened.address {
                    counted = bounds.addresses.enter(address).ok()?;
                }
                Some((opened, counted))
            };
            let opening = async {
                tokio::select! { opened = opening => opened, () = place.gone() => None }
            };
            let Some((opened, _counted)) = unless(&mut down, opening).await else { return };
            let address = opened.address.unwrap_or(peer);
            let service = service(address);
            let served = match opened.protocol {
                Protocol::Http1 => {
                    let stream = Line::new(opened.stream, Arc::clone(&place), Some(bounds.head));
                    let taking = Arc::<Taking>::default();
                    let overdue = taking.overdue(None);
                    let by = By::Line(Arc::clone(&taking));
                    let service = Keeping { service, place: Arc::clone(&place), by };
                    let connection = http1.serve_connection(TokioIo::new(stream), service).with_upgrades();
                    let end =
                        |connection: Pin<&mut _>| http1::UpgradeableConnection::graceful_shutdown(connection);
                    served(connection, end, overdue, &place, &mut down).await
                }
                Protocol::Http2 => {
                    let stream = Line::new(opened.stream, Arc::clone(&place), None);
                    let streams = Streams::new(bounds.stall);
                    let overdue = streams.overdue();
                    let by = By::Streams(streams.clone());
                    let service = Keeping { service, place: Arc::clone(&place), by };
                    let connection = http2(streams.clone()).serve_connection(TokioIo::new(stream), service);
                    let end = |connection: Pin<&mut _>| http2::Connection::graceful_shutdown(connection);
                    served(connection, end, overdue, &place, &mut down).await
                }
            };
            if let Some(Err(error)) = served {
                tracing::debug!(%address, %error, "connection ended");
            }
        });
    }

    /// Serves `stream`, which is no network's, with `service` in a task of its own, over HTTP/1.1.
    pub fn serve_http1<T, S, B>(&self, stream: T, service: S)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Timed,
    {
        let Some(place) = self.bounds.places.enter().map(Arc::new) else { return };
        let stream =
            Line::new(Unstalled::new(stream, self.bounds.stall), Arc::clone(&place), Some(self.bounds.head));
        let taking = Arc::<Taking>::default();
        let service = Keeping { service, place: Arc::clone(&place), by: By::Line(Arc::clone(&taking)) };
        let connection = self.http1.serve_connection(TokioIo::new(stream), service);
        let mut down = self.shutdown.clone();
        self.tasks.spawn(async move {
            let end = |connection: Pin<&mut _>| http1::Connection::graceful_shutdown(connection);
            let served = served(connection, end, taking.overdue(None), &place, &mut down);
            if let Some(Err(error)) = served.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }

    /// Waits until requests in flight have ended, and what they began.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// How HTTP/2 is served on one connection, each stream among `streams`.
fn http2(streams: Streams) -> http2::Builder<Streams> {
    let mut http2 = http2::Builder::new(streams);
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_header_list_size(HEAD_BYTES as u32)
        .max_concurrent_streams(128);
    http2
}

/// A service that keeps its connection's place while it works, and sees what is taken of its answers.
#[derive(Clone)]
struct Keeping<S> {
    service: S,
    place: Arc<Place>,
    by: By,
}

/// What an answer is given by.
#[derive(Clone)]
enum By {
    /// A connection that gives one after the other.
    Line(Arc<Taking>),
    /// A stream of its own.
    Streams(Streams),
}

impl<S, B> HyperService<Request<Incoming>> for Keeping<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    B: Timed,
{
    type Response = Response<Given<B>>;
    type Error = Infallible;
    type Future = Kept<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let busy = self.place.begin();
        let on = match &self.by {
            By::Line(taking) => On { busy, taking: Arc::clone(taking), is_stream: false },
            By::Streams(streams) => On { busy, taking: streams.begin(), is_stream: true },
        };
        // Every service here is always ready: its stages refuse what is too much.
        Kept::new(self.service.clone().call(request), on)
    }
}

/// Serves `connection` to its end, which `end` tells it to come to at a shutdown; `None` where it is given up, because it
/// only waits and another needs its place, it is `overdue`, or the server ends.
async fn served<C: Future>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    overdue: impl Future<Output = ()>,
    place: &Place,
    down: &mut watch::Receiver<bool>,
) -> Option<C::Output> {
    let mut connection = std::pin::pin!(connection);
    let mut overdue = std::pin::pin!(overdue);
    loop {
        tokio::select! {
            // What is overdue shows once the connection has done what it can.
            biased;
            served = connection.as_mut() => return Some(served),
            () = overdue.as_mut() => return None,
            // A request may have begun meanwhile.
            () = place.gone() => if place.is_idle() { return None },
            () = asked(down) => break,
        }
    }
    end(connection.as_mut());
    loop {
        match tokio::time::timeout(GRACE, connection.as_mut()).await {
            Ok(served) => return Some(served),
            // Half a head, or a client that does not say that it knows of the end.
            Err(_) if place.is_idle() => return None,
            Err(_) => {}
        }
    }
}

/// A stream as it came, or TLS over it.
type Stream = Either<Opened<Unstalled<TcpStream>>, TlsStream<Opened<Unstalled<TcpStream>>>>;

/// A connection whose protocol is known.
struct Open {
    protocol: Protocol,
    stream: Stream,
    /// The address that a proxy says it comes from.
    address: Option<IpAddr>,
}

/// What is spoken over `stream`, after what a proxy in front says first, and the TLS handshake if there is one.
async fn opened(
    stream: Unstalled<TcpStream>,
    tls: Option<Arc<rustls::ServerConfig>>,
    proxied: bool,
) -> Option<Open> {
    let mut opened = Opened::new(stream);
    let fault = |error| tracing::debug!(%error, "a connection cannot be opened");
    let address = match proxied {
        true => opened.proxied().await.map_err(fault).ok()?,
        false => None,
    };
    let address = address.map(|address| address.to_canonical());
    let Some(tls) = tls else {
        let protocol = opened.protocol().await.map_err(fault).ok()?;
        return Some(Open { protocol, stream: Either::Left(opened), address });
    };
    let stream = TlsAcceptor::from(tls).accept(opened).await.map_err(fault).ok()?;
    // What the handshake agreed on (RFC 7301).
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
    Some(Open { protocol, stream: Either::Right(stream), address })
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
