//! The threads that serve callers: one a core, each with a runtime of its own.
//!
//! A connection stays with the worker that it was given to, and each worker keeps its own connections to the
//! backends. So what a request wakes is always on its own thread: no request pays for waking another core,
//! nor for caches that another core has warmed.

use super::built::Stack;
use super::listen::{Bounds, Connections, asked};
use crate::stages::From;
use arc_swap::ArcSwap;
use http::Request;
use hyper::body::Incoming;
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use tower::Service;

/// What a worker needs to serve the connections of one listener.
pub struct Door<S> {
    /// The certificate, if the listener speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may say where its connections come from.
    pub proxies: Arc<[IpNet]>,
    /// The stack of stages.
    pub service: S,
}

/// What a worker is told.
enum Order<S> {
    /// Serve this connection, out of any runtime, which came in by the door of this number.
    Serve(usize, std::net::TcpStream, SocketAddr),
    /// Serve with these doors from now on, connections that are open too.
    Renew(Vec<Door<S>>),
}

/// The running workers.
pub struct Workers<S> {
    orders: Vec<mpsc::UnboundedSender<Order<S>>>,
    ended: Vec<oneshot::Receiver<()>>,
}

impl<S: Stack> Workers<S> {
    /// One worker for each of `doors`, which has one door for each listener, with `bounds` of its own. What they serve are
    /// `tasks`. After `shutdown` they take no more, and end with the last of these; once it is `over` they end at once.
    ///
    /// # Errors
    /// If the system has no thread or no event queue for one.
    pub fn start(
        doors: impl IntoIterator<Item = Vec<Door<S>>>,
        bounds: impl Fn() -> Bounds,
        (shutdown, over): (&watch::Receiver<bool>, &watch::Receiver<bool>),
        tasks: &TaskTracker,
    ) -> std::io::Result<Self> {
        let mut workers = Self { orders: Vec::new(), ended: Vec::new() };
        for (number, doors) in doors.into_iter().enumerate() {
            let (sender, receiver) = mpsc::unbounded_channel();
            let (end, ended) = oneshot::channel();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (connections, over) =
                (Connections::new(bounds(), shutdown.clone(), tasks.clone()), over.clone());
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                runtime.block_on(work(doors, receiver, connections, over));
                // What is left is given up, and told as that, before the worker has ended.
                runtime.shutdown_timeout(LEFT_TIMEOUT);
                let _ = end.send(());
            })?;
            workers.orders.push(sender);
            workers.ended.push(ended);
        }
        Ok(workers)
    }

    /// How connections of the listener `door` are given to the workers: to each in turn.
    pub fn giving(&self, door: usize) -> impl FnMut(TcpStream, SocketAddr) + Send + 'static + use<S> {
        let mut turns = self.orders.clone().into_iter().cycle();
        move |stream, peer| {
            let given = stream.into_std().ok().zip(turns.next());
            if given.is_none_or(|(stream, worker)| worker.send(Order::Serve(door, stream, peer)).is_err()) {
                tracing::warn!("a connection is lost: no worker takes it");
            }
        }
    }

    /// How all workers are given other doors, as many as they have, at once.
    pub fn renewing(&self) -> impl Fn(Vec<Vec<Door<S>>>) + Send + Sync + 'static + use<S> {
        let orders: Vec<_> = self.orders.iter().map(mpsc::UnboundedSender::downgrade).collect();
        move |doors| {
            for (orders, doors) in orders.iter().zip(doors) {
                if let Some(orders) = orders.upgrade() {
                    let _ = orders.send(Order::Renew(doors));
                }
            }
        }
    }

    /// What is ready when every worker has ended, which they do after a shutdown.
    pub fn ended(self) -> impl Future<Output = ()> + Send + 'static + use<S> {
        let ended = self.ended;
        async {
            for ended in ended {
                let _ = ended.await;
            }
        }
    }
}

/// Serves what is given until nothing more is, then lets requests in flight end, unless it is over.
async fn work<S: Stack>(
    doors: Vec<Door<S>>,
    mut given: mpsc::UnboundedReceiver<Order<S>>,
    connections: Connections,
    mut over: watch::Receiver<bool>,
) {
    tokio::spawn(tick());
    let open = |door: Door<S>| Door {
        tls: door.tls,
        proxies: door.proxies,
        service: Arc::new(ArcSwap::from_pointee(door.service)),
    };
    let mut doors: Vec<_> = doors.into_iter().map(open).collect();
    let serving = async {
        while let Some(order) = given.recv().await {
            match order {
                Order::Serve(door, stream, peer) => match (TcpStream::from_std(stream), doors.get(door)) {
                    (Ok(stream), Some(door)) => {
                        let stack = Arc::clone(&door.service);
                        let current = |address| Current { stack, address };
                        connections.serve((stream, peer), door.tls.clone(), &door.proxies, current);
                    }
                    (Err(error), _) => tracing::warn!(%error, "a connection is lost"),
                    (_, None) => tracing::error!(door, "a connection of no listener"),
                },
                Order::Renew(new) => {
                    for (door, new) in doors.iter_mut().zip(new) {
                        (door.tls, door.proxies) = (new.tls, new.proxies);
                        door.service.store(Arc::new(new.service));
                    }
                }
            }
        }
        connections.drain().await;
    };
    tokio::select! {
        () = serving => {}
        () = asked(&mut over) => {}
    }
}

/// How long work that cannot be given up may hold a worker at its end.
const LEFT_TIMEOUT: Duration = Duration::from_secs(1);

/// The stack of the snapshot that stands, looked up at each request: those in flight end under theirs.
struct Current<S> {
    stack: Arc<ArcSwap<S>>,
    /// Where the connection comes from.
    address: IpAddr,
}

impl<S> Clone for Current<S> {
    fn clone(&self) -> Self {
        Self { stack: Arc::clone(&self.stack), address: self.address }
    }
}

impl<S: Stack> Service<Request<Incoming>> for Current<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // So is every stack: its stages refuse what is too much.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> S::Future {
        S::clone(&self.stack.load()).call(From { address: self.address, request })
    }
}

/// A timer that is always set. A runtime whose next timer is far away interrupts its own wait for every timer
/// that is nearer, of which each request sets some; no timer of a request is nearer than this one.
async fn tick() {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
    }
}
