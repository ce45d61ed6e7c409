//! Live tails: WebSockets on which a backend's messages pass to a caller, and nothing passes back.
//!
//! A tail is opened as any request is answered: authenticated, authorized, scoped, sealed. What a request does not
//! need is that it ends: with its token, when what is served after a reload would not open it, and with the
//! server.

mod handshake;
mod judge;
mod relay;

pub use judge::{Asked, Judge};

use super::entry::Entry;
use super::{Mount, Shares, Told};
use crate::budget::Permit;
use crate::config;
use crate::events::{BackendMetrics, Metrics, TailEnd, TailEnded, TailMetrics};
use crate::policy::Grant;
use crate::rejection::Rejection;
use crate::upstream::websocket::Socket;
use handshake::Handshake;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use judge::Sent;
use relay::{Ending, Relay, Times};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;

/// How long the connection of a client may take to change its protocol, and to take the last frame.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long is slept at most before the clock is looked at again, which may have been set.
const LOOK: Duration = Duration::from_secs(30);

/// What is asked to open a tail, beside what every request has.
#[derive(Debug)]
pub struct Opening {
    /// How the connection is had once the protocol is changed.
    pub upgrade: Option<OnUpgrade>,
    /// The request.
    pub asked: Asked,
}

/// What all tails of a server share, for longer than one snapshot.
#[derive(Debug)]
pub struct Lasting {
    tasks: TaskTracker,
    judge: watch::Sender<Option<Arc<Judge>>>,
    down: watch::Receiver<bool>,
}

impl Lasting {
    /// No tail yet. All end when `down` says true.
    pub fn new(down: watch::Receiver<bool>) -> Self {
        Self { tasks: TaskTracker::new(), judge: watch::Sender::new(None), down }
    }

    /// Tails that are open, and those opened under an earlier snapshot from now on, must stand before `judge`.
    pub fn judge_by(&self, judge: Judge) {
        self.judge.send_replace(Some(Arc::new(judge)));
    }

    /// What the server waits for at its end: the tails among it.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}

/// Opens the tails of one snapshot. Cheap to clone.
#[derive(Clone)]
pub struct Tails {
    /// What is shared with other snapshots.
    pub lasting: Arc<Lasting>,
    /// Which snapshot it is.
    pub generation: u64,
    /// Its backends.
    pub backends: Arc<[config::Backend]>,
    /// The origins whose pages may open one.
    pub origins: Arc<[String]>,
    /// How many may be open at once, in all and for one tenant.
    pub shares: Shares,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Counts them.
    pub metrics: Arc<Metrics>,
}

impl Tails {
    /// The client's handshake, and what must be known of the request later on.
    pub(super) fn handshake(
        &self,
        opening: Opening,
        mount: &Mount,
        target: &str,
    ) -> Result<(Handshake, Sent), Rejection> {
        let Opening { upgrade, asked } = opening;
        let handshake = Handshake::read(&asked.headers, upgrade, &self.origins)?;
        let (backends, backend) = (Arc::clone(&self.backends), mount.backend.name.clone());
        Ok((handshake, Sent { asked, backends, backend, target: target.to_owned() }))
    }

    /// A place among those that are open.
    pub(super) fn place(&self, grant: Option<&Grant>) -> Result<Permit, Rejection> {
        let grant = grant.ok_or_else(|| Rejection::Defect("nobody opens a tail".to_owned()))?;
        self.shares.tail(grant)
    }

    /// Passes what comes over `socket` in a task of its own, on this worker, which takes the request's entry.
    pub(super) fn begin(
        &self,
        handshake: Handshake,
        socket: Socket,
        sent: Sent,
        place: Permit,
        told: &Told,
    ) -> oneshot::Sender<Entry> {
        let mut told = told.clone();
        // Its place among requests is free when it is answered.
        told.place = None;
        let (lasts, entry) = oneshot::channel();
        let tail = Tail { tails: self.clone(), sent, place, told, judged: self.generation };
        self.lasting.tasks.spawn(tail.run(handshake.upgrade, socket, entry));
        lasts
    }

    fn metrics(&self, mount: &Mount) -> Option<&TailMetrics> {
        self.metrics.backend(mount.index).and_then(BackendMetrics::tails)
    }
}

/// An open tail.
struct Tail {
    tails: Tails,
    sent: Sent,
    place: Permit,
    told: Told,
    /// The snapshot before which it stands.
    judged: u64,
}

impl Tail {
    async fn run(mut self, upgrade: OnUpgrade, socket: Socket, entry: oneshot::Receiver<Entry>) {
        // There as soon as the request is answered; without one it never was.
        let entry = entry.await.ok();
        let started = Instant::now();
        let counted = self.told.mount.as_deref().and_then(|mount| self.tails.metrics(mount)).cloned();
        let open = counted.as_ref().map(Counted::new);
        let (reason, bytes) = match tokio::time::timeout(PATIENCE, upgrade).await {
            Ok(Ok(client)) => {
                let client = TokioIo::new(client);
                let mut relay = Relay::new(client, socket, Times::USUAL).await;
                let ending = self.relayed(&mut relay).await;
                (ending.reason, relay.close(ending, PATIENCE).await)
            }
            _ => (TailEnd::Client, 0),
        };
        let Self { sent, place, told, .. } = self;
        // Its place is free before its end is told.
        drop((open, place));
        let ended = TailEnded {
            backend: &sent.backend,
            reason,
            duration: started.elapsed(),
            bytes,
            subject: told.caller.as_ref().and_then(|caller| caller.subject()),
            trace_id: told.trace_id.as_deref().unwrap_or("-"),
        };
        ended.emit(counted.as_ref());
        if let Some(entry) = entry {
            entry.ended(reason.name(), bytes);
        }
    }

    /// Passes messages until something ends that. What ends it from outside comes first, whatever else is ready.
    async fn relayed<C, U>(&mut self, relay: &mut Relay<C, U>) -> Ending
    where
        C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        U: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let lasting = Arc::clone(&self.tails.lasting);
        let (mut judges, mut down) = (lasting.judge.subscribe(), lasting.down.clone());
        let mut expired = std::pin::pin!(reached(self.told.ends()));
        loop {
            let judge = judges.borrow_and_update().clone();
            if let Some(judge) = judge.filter(|judge| judge.generation > self.judged)
                && !self.stands_before(&judge).await
            {
                return Ending::of(TailEnd::Policy);
            }
            tokio::select! {
                biased;
                _ = down.wait_for(|down| *down) => return Ending::of(TailEnd::Shutdown),
                () = &mut expired => return Ending::of(TailEnd::Expired),
                // Its sender is not gone while the tail has it.
                _ = judges.changed() => {}
                ending = relay.pass() => return ending,
            }
        }
    }

    async fn stands_before(&mut self, judge: &Judge) -> bool {
        self.judged = judge.generation;
        let holders = judge.stands(&self.sent).await;
        holders.is_some_and(|holders| self.place.pass_to(holders).is_ok())
    }
}

/// Counted as open until it is dropped, as it is also where a task is given up.
struct Counted<'m>(&'m TailMetrics);

impl<'m> Counted<'m> {
    fn new(metrics: &'m TailMetrics) -> Self {
        metrics.opened();
        Self(metrics)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.closed();
    }
}

/// Returns at `instant`, by the clock as it then is.
pub(super) async fn reached(instant: SystemTime) {
    while let Ok(left) = instant.duration_since(SystemTime::now()) {
        tokio::time::sleep(left.min(LOOK).max(Duration::from_millis(1))).await;
    }
}
