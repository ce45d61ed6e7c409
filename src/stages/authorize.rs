//! What the caller may see.

use super::scope::method;
use super::{Authenticated, Authorized, Decision, Gates, Mount, Refused, Reply, Shares, Site};
use crate::api::path::route;
use crate::auth::{Caller, Verified};
use crate::events::Metrics;
use crate::policy::{Grant, Narrowing, Outcome, Policies, SCOPE_HEADER, TENANT_HEADER};
use crate::rejection::{Forbidden, Rejection};
use crate::scope::holder;
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderName, Method};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

const SCOPE: HeaderName = HeaderName::from_static(SCOPE_HEADER);
const TENANT: HeaderName = HeaderName::from_static(TENANT_HEADER);

/// Lets through what a policy rule grants.
#[derive(Clone)]
pub struct Authorize {
    /// The rules.
    pub policies: Arc<Policies>,
    /// Which rules these are: a decision made by others does not count.
    pub generation: u64,
    /// Counts how often callers ask.
    pub gates: Gates,
    /// Counts what they take at once.
    pub shares: Shares,
    /// Counts expressions that cannot be evaluated.
    pub metrics: Arc<Metrics>,
}

impl<S> Layer<S> for Authorize {
    type Service = Authorizing<S>;

    fn layer(&self, next: S) -> Authorizing<S> {
        Authorizing { stage: Arc::new(self.clone()), next }
    }
}

/// The service of [`Authorize`].
#[derive(Clone)]
pub struct Authorizing<S> {
    stage: Arc<Authorize>,
    next: S,
}

impl<S> Service<Authenticated> for Authorizing<S>
where
    S: Service<Authorized, Response = Reply, Error = Refused>,
{
    type Response = Reply;
    type Error = Refused;
    type Future = Either<Ready<Result<Reply, Refused>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, request: Authenticated) -> Self::Future {
        match self.stage.authorize(request) {
            Ok(authorized) => Either::Right(self.next.call(authorized)),
            Err(refused) => Either::Left(ready(Err(refused))),
        }
    }
}

impl Authorize {
    fn authorize(&self, request: Authenticated) -> Result<Authorized, Refused> {
        let Authenticated { mut raw, verified } = request;
        let asked = Asked {
            site: &raw.site,
            method: &raw.method,
            path: &raw.path,
            headers: &raw.headers,
            tenant: raw.tenant.as_deref(),
        };
        let (mount, grant) = match self.grant(&verified, &asked) {
            Ok(granted) => granted,
            Err(rejection) => return Err(raw.told.refuse(rejection)),
        };
        raw.told.mount = Some(Arc::clone(&mount));
        raw.told.grant = Some(grant.clone());
        // The place first: a request that finds none is not counted as asked.
        match self.shares.request(&grant, &mount) {
            Ok(place) => raw.told.place = Some(Arc::new(place)),
            Err(rejection) => return Err(raw.told.refuse(rejection)),
        }
        if let Err(rejection) = self.gates.enter(grant.shares()) {
            return Err(raw.told.refuse(rejection));
        }
        Ok(Authorized { raw, mount, grant })
    }
}

/// What a decision needs to know of a request.
pub(super) struct Asked<'a> {
    pub site: &'a Site,
    pub method: &'a Method,
    /// The path below the mount.
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    /// The tenant that the path names before the mount.
    pub tenant: Option<&'a str>,
}

impl Authorize {
    /// What the caller may see of what is asked, and the backend that holds it.
    pub(super) fn grant(
        &self,
        verified: &Verified<Decision>,
        asked: &Asked<'_>,
    ) -> Result<(Arc<Mount>, Grant), Rejection> {
        let decision = self.decision(verified);
        let grants = decision.as_ref().as_ref().map_err(|forbidden| *forbidden)?;
        let wish = narrowing(asked.headers, asked.tenant)?;
        // Which endpoint it is, is looked at twice where rules tell endpoints apart, and there only.
        // By its method as well: to look at a silence is not to change it.
        let class = || {
            let kind = asked.site.kind;
            let matched = route(kind, asked.path).ok()?.by(kind, method(asked.method)).ok()?;
            Some(matched.endpoint.class())
        };
        let class = if grants.by_class() { class() } else { None };
        let chosen = grants.choose(&asked.site.name, class, wish.as_ref()).and_then(|grant| {
            let mount = holder(&asked.site.mounts, |mount| &mount.backend, &grant)?;
            // A backend that cannot say a dimension is closed, whatever is asked of it.
            mount.backend.open_to(&grant).map(|()| (Arc::clone(mount), grant))
        });
        chosen.map_err(|forbidden| match forbidden {
            Forbidden::NarrowerScope => {
                Rejection::Narrower { choices: grants.choices(&asked.site.name, class, wish.as_ref()) }
            }
            other => other.into(),
        })
    }

    /// What the policy says of the caller.
    pub(super) fn decision(&self, verified: &Verified<Decision>) -> Arc<Decision> {
        verified.decision(self.generation, |caller| self.decide(caller))
    }

    /// Decides once a token; what could not be evaluated is told.
    fn decide(&self, caller: &Caller) -> Decision {
        let judgement = self.policies.judge(caller.claims());
        let mut faults = 0;
        for verdict in &judgement.verdicts {
            if let Outcome::Fault { key, fault } = &verdict.outcome {
                faults += 1;
                tracing::warn!(rule = &*verdict.rule, key, fault, "policy expression cannot be evaluated");
            }
        }
        self.metrics.policy_faults(faults);
        judgement.grants
    }
}

/// What a request wishes to see no more than: by its headers, or by the `tenant` of its path.
pub(super) fn narrowing(headers: &HeaderMap, tenant: Option<&str>) -> Result<Option<Narrowing>, Forbidden> {
    let lines = |name: HeaderName| headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes);
    let headers = Narrowing::from_headers(lines(SCOPE), lines(TENANT))?;
    match tenant {
        None => Ok(headers),
        Some(tenant) => Narrowing::and_tenant(headers, tenant).map(Some),
    }
}
