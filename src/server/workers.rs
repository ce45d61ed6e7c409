//! The threads that serve callers: one a core, each with a runtime of its own.
//!
//! A connection stays with the worker that it was given to, and each worker keeps its own connections to the
//! backends. So what a request wakes is always on its own thread: no request pays for waking another core,
//! nor for caches that another core has warmed.

use super::listen::Connections;
use super::stack::Answered;
use http::{Request, Response};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tower::Service;

/// What a worker needs to serve the connections of one listener.
pub struct Door<S> {
    /// The certificate, if the listener speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The stack of stages.
    pub service: S,
}

/// A connection, out of any runtime, with the number of its listener.
type Accepted = (usize, std::net::TcpStream);

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    connections: Vec<mpsc::UnboundedSender<Accepted>>,
    ended: Vec<oneshot::Receiver<()>>,
}

impl Workers {
    /// One worker for each of `doors`, which has one door for each listener.
    ///
    /// # Errors
    /// If the system has no thread or no event queue for one.
    pub fn start<S>(
        doors: impl IntoIterator<Item = Vec<Door<S>>>,
        shutdown: &watch::Receiver<bool>,
    ) -> std::io::Result<Self>
    where
        S: Service<Request<Incoming>, Response = Response<Answered>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        let mut workers = Self { connections: Vec::new(), ended: Vec::new() };
        for (number, doors) in doors.into_iter().enumerate() {
            let (sender, receiver) = mpsc::unbounded_channel();
            let (end, ended) = oneshot::channel();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let shutdown = shutdown.clone();
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                runtime.block_on(work(doors, receiver, shutdown));
                let _ = end.send(());
            })?;
            workers.connections.push(sender);
            workers.ended.push(ended);
        }
        Ok(workers)
    }

    /// How connections of the listener `door` are given to the workers: to each in turn.
    pub fn giving(&self, door: usize) -> impl FnMut(TcpStream) + Send + 'static {
        let mut turns = self.connections.clone().into_iter().cycle();
        move |stream| {
            let given = stream.into_std().ok().zip(turns.next());
            if given.is_none_or(|(stream, worker)| worker.send((door, stream)).is_err()) {
                tracing::warn!("a connection is lost: no worker takes it");
            }
        }
    }

    /// Returns when every worker has ended, which they do after a shutdown.
    pub async fn ended(self) {
        drop(self.connections);
        for ended in self.ended {
            let _ = ended.await;
        }
    }
}

/// Serves what is given until nothing more is, then lets requests in flight end.
async fn work<S>(
    doors: Vec<Door<S>>,
    mut given: mpsc::UnboundedReceiver<Accepted>,
    shutdown: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<Answered>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let connections = Connections::new(shutdown);
    tokio::spawn(tick());
    while let Some((door, stream)) = given.recv().await {
        match (TcpStream::from_std(stream), doors.get(door)) {
            (Ok(stream), Some(door)) => connections.serve(stream, door.tls.clone(), door.service.clone()),
            (Err(error), _) => tracing::warn!(%error, "a connection is lost"),
            (_, None) => tracing::error!(door, "a connection of no listener"),
        }
    }
    connections.drain().await;
}

/// A timer that is always set. A runtime whose next timer is far away interrupts its own wait for every timer
/// that is nearer, of which each request sets some; no timer of a request is nearer than this one.
async fn tick() {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
    }
}
