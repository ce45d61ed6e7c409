//! Which backend a path belongs to.

use super::cors::preflight;
use super::{Answering, Arrived, Cors, Left, Me, Refused, Reply, Told};
use crate::api::{Kind, own};
use crate::events::Outcome;
use crate::rejection::Rejection;
use crate::request::per_tenant;
use crate::respond::grpc;
use crate::scope::Backend;
use crate::scope::carried::Traceparent;
use crate::upstream::{GrpcUpstream, TRACEPARENT, Upstream};
use futures_util::future::{self, Either, Ready};
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Timeout;
use tower::{Layer, Service};

/// A backend where a listener serves it.
#[derive(Debug)]
pub struct Mount {
    /// What scoping knows of it.
    pub backend: Backend,
    /// How it is reached.
    pub upstream: Upstream,
    /// How it is called by gRPC, if it is.
    pub grpc: Option<GrpcUpstream>,
    /// Its place among the metrics.
    pub index: usize,
}

/// What callers address by one name: a backend, or several of one kind of which each holds a part.
#[derive(Debug)]
pub struct Site {
    /// What callers and policy rules call it.
    pub name: String,
    /// The backends' kind.
    pub kind: Kind,
    /// The backends, at least one.
    pub mounts: Box<[Arc<Mount>]>,
    /// Its name among the metrics, and its place there, as long as none of several backends is chosen.
    pub measured: (String, usize),
}

/// A request below a backend's mount, nothing of it believed yet.
#[derive(Debug)]
pub struct Raw {
    pub(super) site: Arc<Site>,
    /// The tenant that the path names before the mount: a wish to see no other.
    pub(super) tenant: Option<String>,
    pub(super) method: Method,
    /// The path below the mount, as it was sent.
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// Whether it is a call of gRPC.
    pub(super) is_call: bool,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    /// How the connection is had once another protocol is agreed on, where one was asked for.
    pub(super) upgrade: Option<OnUpgrade>,
    pub(super) told: Told,
}

/// Finds the backend that a request is for, and bounds the request's time.
#[derive(Clone)]
pub struct Mounts {
    /// What is served.
    pub served: Served,
    /// What is answered without a backend.
    pub me: Arc<Me>,
    /// How long one request may take, to the head of its answer.
    pub timeout: Duration,
    /// Whose pages may ask.
    pub cors: Cors,
}

/// What one listener serves.
#[derive(Clone, Debug)]
pub enum Served {
    /// Each site below `/NAME`.
    ByName(Arc<[Arc<Site>]>),
    /// One site at the root.
    Root(Arc<Site>),
}

impl Served {
    /// All that is served.
    pub fn sites(&self) -> Arc<[Arc<Site>]> {
        match self {
            Self::ByName(sites) => Arc::clone(sites),
            Self::Root(site) => Arc::new([Arc::clone(site)]),
        }
    }

    fn is_root(&self) -> bool {
        matches!(self, Self::Root(_))
    }

    /// The site of `path`, with the path below it.
    fn find<'p>(&self, path: &'p str) -> Option<(Arc<Site>, &'p str)> {
        match self {
            Self::Root(site) => Some((site.clone(), path)),
            Self::ByName(sites) => {
                let below_root = path.strip_prefix('/')?;
                let end = below_root.find('/').unwrap_or(below_root.len());
                let (name, below) = below_root.split_at(end);
                let site = sites.iter().find(|site| site.name == name)?;
                Some((site.clone(), below))
            }
        }
    }
}

impl<S> Layer<S> for Mounts {
    type Service = Mounted<S>;

    fn layer(&self, next: S) -> Mounted<S> {
        Mounted { mounts: Arc::new(self.clone()), next }
    }
}

/// The service of [`Mounts`].
#[derive(Clone)]
pub struct Mounted<S> {
    mounts: Arc<Mounts>,
    next: S,
}

impl<S> Service<Arrived<Incoming>> for Mounted<S>
where
    S: Service<Raw, Response = Reply, Error = Refused>,
{
    type Response = Reply;
    type Error = Refused;
    type Future = Either<Ready<Result<Reply, Refused>>, Bounded<Either<S::Future, Answering>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, arrived: Arrived<Incoming>) -> Self::Future {
        if arrived.refused.is_none() && self.mounts.cors.is_preflight(&arrived.request) {
            return Either::Left(future::ready(Ok(arrived.told.reply(preflight(), Outcome::Static))));
        }
        let left = arrived.told.left.shared();
        let answering = match own(&arrived.request) {
            Some(own) => self.mounts.own(arrived, own).map(Either::Right),
            None => self.mounts.raw(arrived).map(|raw| Either::Left(self.next.call(raw))),
        };
        match answering {
            Ok(answering) => {
                let answering = tokio::time::timeout(self.mounts.timeout, answering);
                Either::Right(Bounded { answering: Some(answering), left })
            }
            Err(refused) => Either::Left(future::ready(Err(refused))),
        }
    }
}

/// A request for Palisade itself: the tenant of its path, and the path below our name. Calls of gRPC have none.
fn own<B>(request: &Request<B>) -> Option<(Option<String>, String)> {
    let (tenant, path) = per_tenant(request.uri().path());
    let below = own::below(path).filter(|_| !grpc::is_call(request.version(), request.headers()))?;
    Some((tenant.map(str::to_owned), below.to_owned()))
}

impl Mounts {
    /// The answer to a request for Palisade itself, if it is to be answered at all.
    fn own(
        &self,
        arrived: Arrived<Incoming>,
        (tenant, below): (Option<String>, String),
    ) -> Result<Answering, Refused> {
        let Arrived { request, refused, mut told } = arrived;
        told.trace_id = trace_id(request.headers());
        told.own = true;
        told.mounted = request.uri().path().len().saturating_sub(below.len());
        if let Some(refused) = refused.or_else(|| host(&request).err()) {
            return Err(told.refuse(refused));
        }
        let arrived = Arrived { request, refused: None, told };
        Ok(Box::pin(Arc::clone(&self.me).answer(arrived, tenant, below)))
    }

    /// The request below its backend's mount, if it is to be answered at all.
    fn raw(&self, arrived: Arrived<Incoming>) -> Result<Raw, Refused> {
        let Arrived { request, refused, mut told } = arrived;
        told.trace_id = trace_id(request.headers());
        let whole = request.uri().path();
        let (tenant, path) = per_tenant(whole);
        let tenant = tenant.map(str::to_owned);
        let is_call = grpc::is_call(request.version(), request.headers());
        // The paths of gRPC are the root's: below another, no client would ask for them.
        let found = self.served.find(path);
        let found = found.filter(|_| !is_call || (tenant.is_none() && self.served.is_root()));
        // In the backend's own shape, if there is one.
        if let Some((site, path)) = &found {
            told.mounted = whole.len().saturating_sub(path.len());
            told.site = Some(Arc::clone(site));
        }
        if let Some(refused) = refused.or_else(|| host(&request).err()) {
            return Err(told.refuse(refused));
        }
        let Some((site, path)) = found else {
            return Err(told.refuse(Rejection::UnknownMount));
        };
        let (path, query) = (path.to_owned(), request.uri().query().map(str::to_owned));
        let (mut head, body) = request.into_parts();
        let upgrade = head.extensions.remove::<OnUpgrade>();
        let (method, headers) = (head.method, head.headers);
        Ok(Raw { site, tenant, method, path, query, is_call, headers, body, upgrade, told })
    }
}

pin_project_lite::pin_project! {
    /// An answer that is waited for so long and no longer.
    pub struct Bounded<F> {
        #[pin]
        answering: Option<Timeout<F>>,
        left: Left,
    }
}

impl<F: Future<Output = Result<Reply, Refused>>> Future for Bounded<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answered = match this.answering.as_mut().as_pin_mut() {
            Some(answering) => ready!(answering.poll(cx)).ok(),
            None => None,
        };
        Poll::Ready(answered.unwrap_or_else(|| {
            // What is given up leaves what is known of it.
            this.answering.set(None);
            Err(this.left.take().unwrap_or_default().refuse(Rejection::Timeout))
        }))
    }
}

/// Holds the header `Host` to RFC 9112, section 3.2: HTTP/1.1 has one, no request has two, and it names a host.
fn host<B>(request: &Request<B>) -> Result<(), Rejection> {
    let mut given = request.headers().get_all(HOST).into_iter();
    match (given.next(), given.next()) {
        (None, _) if request.version() == Version::HTTP_11 => {
            Err(Rejection::Malformed("a request of HTTP/1.1 has a header `Host`"))
        }
        (_, Some(_)) => Err(Rejection::Malformed("a request has one header `Host`")),
        (Some(host), None) if !is_host(host.as_bytes()) => {
            Err(Rejection::Malformed("the header `Host` names no host"))
        }
        _ => Ok(()),
    }
}

/// Whether it is a host and perhaps a port (RFC 9110, section 7.2), or nothing, as where the target has no authority.
fn is_host(text: &[u8]) -> bool {
    text.is_empty() || (!text.contains(&b'@') && Authority::try_from(text).is_ok())
}

/// The trace that the caller says the request belongs to, for the log.
fn trace_id(headers: &HeaderMap) -> Option<Box<str>> {
    let traceparent = Traceparent::parse(headers.get(TRACEPARENT)?.to_str().ok()?)?;
    Some(traceparent.trace_id().into())
}
