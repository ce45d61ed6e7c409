//! The stages of a request, each a tower layer that changes the request's type.
//!
//! `Raw → Authenticated → Authorized → Scoped`: a stage that is skipped or swapped does not compile,
//! because the next one takes only what the one before it makes.

mod authenticate;
mod authorize;
mod call;
mod conclude;
mod forward;
mod gates;
mod mount;
mod scope;
mod scoped_queries;
mod streamed;
mod tail;
mod unlisted;

pub use authenticate::Authenticate;
pub use authorize::Authorize;
pub use conclude::Conclude;
pub use forward::{Forward, Forwarding, Sealed};
pub use gates::Gates;
pub use mount::{Mount, Mounts, Raw, Served, Site};
pub use scope::Scope;
pub use scoped_queries::ScopedQueries;
pub use tail::{Judge, Lasting, Tails};

use crate::api::Endpoint;
use crate::auth::{Caller, Verified};
use crate::events::Outcome;
use crate::events::audit::Digests;
use crate::policy::{Grant, Grants};
use crate::rejection::{Forbidden, Rejection};
use crate::respond::Body;
use http::Response;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

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
}

/// A refusal with what is told of it.
#[derive(Debug)]
pub struct Refused {
    // In a box, so that the usual way, which is a reply, stays small.
    rejection: Box<Rejection>,
    told: Told,
}

/// What the event of a request tells.
#[derive(Clone, Debug, Default)]
struct Told {
    site: Option<Arc<Site>>,
    /// The backend, once it is known which of the site's it is.
    mount: Option<Arc<Mount>>,
    endpoint: Option<&'static Endpoint>,
    caller: Option<Arc<Caller>>,
    grant: Option<Grant>,
    turn: gates::Turn,
    digests: Digests,
    trace_id: Option<Box<str>>,
}

impl Told {
    /// The backend's name, and its place among the metrics.
    fn measured(&self) -> Option<(&str, usize)> {
        match (&self.mount, &self.site) {
            (Some(mount), _) => Some((&mount.backend.name, mount.index)),
            (None, Some(site)) => Some((&site.measured.0, site.measured.1)),
            (None, None) => None,
        }
    }

    /// When what lasts longer than an answer must end: with the caller's token, at once if nobody is known.
    fn ends(&self) -> SystemTime {
        self.caller.as_ref().map_or(SystemTime::UNIX_EPOCH, |caller| caller.ends())
    }

    fn refuse(self, rejection: impl Into<Rejection>) -> Refused {
        Refused { rejection: Box::new(rejection.into()), told: self }
    }
}

/// The future of a stage.
type Answering = Pin<Box<dyn Future<Output = Result<Reply, Refused>> + Send>>;
