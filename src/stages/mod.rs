//! The stages of a request, each a tower layer that changes the request's type.
//!
//! `Raw → Authenticated → Authorized → Scoped`: a stage that is skipped or swapped does not compile,
//! because the next one takes only what the one before it makes.

mod authenticate;
mod authorize;
mod conclude;
mod cors;
mod entry;
mod forward;
mod gates;
mod given;
mod me;
mod mount;
mod scope;
mod scoped_queries;
mod shares;
mod streamed;
mod tail;
mod unlisted;

pub use authenticate::Authenticate;
pub use authorize::Authorize;
pub use conclude::Conclude;
pub use cors::Cors;
pub use entry::{Answering as Counted, Timed};
pub use forward::{Forward, Forwarding, Sealed};
pub use gates::Gates;
pub use me::Me;
pub use mount::{Mount, Mounts, Raw, Served, Site};
pub use scope::Scope;
pub use scoped_queries::ScopedQueries;
pub use shares::Shares;
pub use tail::{Judge, Lasting, Tails};

use crate::api::{Endpoint, own};
use crate::auth::{Caller, Verified};
use crate::budget::Permit;
use crate::events::audit::Digests;
use crate::events::{BackendMetrics, Metrics, Outcome};
use crate::policy::{Grant, Grants};
use crate::rejection::{Forbidden, Rejection};
use crate::respond::Body;
use entry::Entry;
use http::{Request, Response};
use std::future::Future;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::oneshot;

/// What policy says about a caller, kept beside the verified token.
pub type Decision = Result<Grants, Forbidden>;

/// A request whose caller is known.
pub struct Authenticated {
    raw: Raw,
    verified: Arc<Verified<Decision>>,
}

/// A request whose caller may see something of this backend.
pub struct Authorized {
    raw: Raw,
    /// The backend that holds what they may see.
    mount: Arc<Mount>,
    grant: Grant,
}

/// An answer with what is told of it.
#[derive(Debug)]
pub struct Reply {
    response: Response<Body>,
    outcome: Outcome,
    told: Told,
    /// Takes the entry, where what was begun outlasts the answer.
    lasts: Option<oneshot::Sender<Entry>>,
}

/// A refusal with what is told of it.
#[derive(Debug)]
pub struct Refused {
    // In a box, so that the usual way, which is a reply, stays small.
    rejection: Box<Rejection>,
    told: Told,
}

/// A request, and where its connection comes from.
#[derive(Debug)]
pub struct From<B> {
    /// The address of the client, or of the last proxy before us that does not say where its connections come from.
    pub address: IpAddr,
    /// The request.
    pub request: Request<B>,
}

/// A request as it arrived.
#[derive(Debug)]
pub struct Arrived<B> {
    request: Request<B>,
    /// Why it is refused whatever it asks, if it is.
    refused: Option<Rejection>,
    told: Told,
}

/// What is told of a request. It goes with the request from stage to stage; where it is given up, it is left where
/// its entry finds it.
#[derive(Clone, Debug, Default)]
struct Told {
    // In a box, as it is moved often.
    facts: Box<Facts>,
    left: Left,
}

/// What is known of a request.
#[derive(Clone, Debug, Default)]
struct Facts {
    site: Option<Arc<Site>>,
    /// Whether it is for Palisade itself.
    own: bool,
    /// Bytes of the path before what is below the site.
    mounted: usize,
    /// The backend, once it is known which of the site's it is.
    mount: Option<Arc<Mount>>,
    endpoint: Option<&'static Endpoint>,
    address: Option<IpAddr>,
    caller: Option<Arc<Caller>>,
    grant: Option<Grant>,
    /// Its place among the requests that are worked on at once.
    place: Option<Arc<Permit>>,
    digests: Digests,
    trace_id: Option<Box<str>>,
}

impl Deref for Told {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl DerefMut for Told {
    fn deref_mut(&mut self) -> &mut Facts {
        &mut self.facts
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(left) = self.left.0.take() {
            *left.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::mem::take(self));
        }
    }
}

/// Where what is told of a request is left.
#[derive(Debug, Default)]
struct Left(Option<Arc<Mutex<Option<Told>>>>);

impl Clone for Left {
    /// A copy of what is told is left nowhere.
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl Left {
    /// The same place.
    fn shared(&self) -> Self {
        Self(self.0.clone())
    }

    /// What was left here.
    fn take(&self) -> Option<Told> {
        self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Facts {
    /// The backend's name and its place among the metrics.
    fn measured(&self) -> Option<(&str, usize)> {
        match (&self.mount, &self.site) {
            (Some(mount), _) => Some((&mount.backend.name, mount.index)),
            (None, Some(site)) => Some((&site.measured.0, site.measured.1)),
            (None, None) => None,
        }
    }

    /// The name of whoever answers: a backend, or Palisade itself.
    fn answerer(&self) -> Option<&str> {
        if self.own { Some(own::NAME) } else { self.measured().map(|(name, _)| name) }
    }

    /// Where it is counted.
    fn counted<'m>(&self, metrics: &'m Metrics) -> Option<&'m BackendMetrics> {
        if self.own {
            Some(metrics.own())
        } else {
            self.measured().and_then(|(_, index)| metrics.backend(index))
        }
    }

    /// When what lasts longer than an answer must end: with the caller's token, at once if nobody is known.
    fn ends(&self) -> SystemTime {
        self.caller.as_ref().map_or(SystemTime::UNIX_EPOCH, |caller| caller.ends())
    }
}

impl Told {
    fn refuse(self, rejection: impl Into<Rejection>) -> Refused {
        Refused { rejection: Box::new(rejection.into()), told: self }
    }

    fn reply(self, response: Response<Body>, outcome: Outcome) -> Reply {
        Reply { response, outcome, told: self, lasts: None }
    }
}

/// The future of a stage.
type Answering = Pin<Box<dyn Future<Output = Result<Reply, Refused>> + Send>>;
