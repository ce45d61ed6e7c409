//! What the caller may see.

use super::scope::method;
use super::{Authenticated, Authorized, Decision, Gates, Raw, Refused, Reply};
use crate::api::path::route;
use crate::auth::Caller;
use crate::events::Metrics;
use crate::policy::{Grant, Narrowing, Outcome, Policies, SCOPE_HEADER, TENANT_HEADER};
use crate::rejection::Forbidden;
use crate::scope::holder;
use futures_util::future::{Either, Ready, ready};
use http::HeaderName;
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
    /// Counts what callers ask.
    pub gates: Gates,
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
        let decision = verified.decision(self.generation, |caller| self.decide(caller));
        let granted = match &*decision {
            Ok(grants) => narrowing(&raw).and_then(|wish| {
                // Which endpoint it is, is looked at twice where rules tell endpoints apart, and there only.
                // By its method as well: to look at a silence is not to change it.
                let class = || {
                    let kind = raw.site.kind;
                    let matched = route(kind, &raw.path).ok()?.by(kind, method(&raw.method)).ok()?;
                    Some(matched.endpoint.class())
                };
                let class = if grants.by_class() { class() } else { None };
                grants.choose(&raw.site.name, class, wish.as_ref())
            }),
            Err(forbidden) => Err(*forbidden),
        };
        // A backend that cannot say a dimension is closed, whatever is asked of it.
        let open = |grant: Grant| {
            let mount = holder(&raw.site.mounts, |mount| &mount.backend, &grant)?;
            mount.backend.open_to(&grant).map(|()| (Arc::clone(mount), grant))
        };
        let (mount, grant) = match granted.and_then(open) {
            Ok(granted) => granted,
            Err(forbidden) => return Err(raw.told.refuse(forbidden)),
        };
        raw.told.mount = Some(Arc::clone(&mount));
        raw.told.grant = Some(grant.clone());
        match self.gates.enter(grant.shares()) {
            Ok(turn) => raw.told.turn = turn,
            Err(rejection) => return Err(raw.told.refuse(rejection)),
        }
        Ok(Authorized { raw, mount, grant })
    }
}

impl Authorize {
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

fn narrowing(raw: &Raw) -> Result<Option<Narrowing>, Forbidden> {
    let lines = |name: HeaderName| raw.headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes);
    let headers = Narrowing::from_headers(lines(SCOPE), lines(TENANT))?;
    match &raw.tenant {
        None => Ok(headers),
        Some(tenant) => Narrowing::and_tenant(headers, tenant).map(Some),
    }
}
