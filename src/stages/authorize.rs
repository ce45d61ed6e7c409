//! What the caller may see.

use super::scope::method;
use super::{Answering, Authenticated, Authorized, Decision, Gates, Mount, Refused, Reply, Shares, Site};
use crate::auth::{Caller, Verified};
use crate::events::Metrics;
use crate::policy::{Grant, Outcome, Policies};
use crate::rejection::Rejection;
use crate::request::admit::Asked;
use futures_util::future::{Either, Ready, ready};
use http::HeaderMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

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
    S: Service<Authorized, Response = Reply, Error = Refused> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Refused;
    type Future = Either<Either<Ready<Result<Reply, Refused>>, Answering>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, request: Authenticated) -> Self::Future {
        if self.stage.takes_long(&request.verified) {
            let (stage, mut next) = (Arc::clone(&self.stage), self.next.clone());
            return Either::Left(Either::Right(Box::pin(async move {
                let (deciding, verified) = (Arc::clone(&stage), Arc::clone(&request.verified));
                // A decision that is not made there is made here.
                let _ = tokio::task::spawn_blocking(move || deciding.decision(&verified)).await;
                next.call(stage.authorize(request)?).await
            })));
        }
        match self.stage.authorize(request) {
            Ok(authorized) => Either::Right(self.next.call(authorized)),
            Err(refused) => Either::Left(Either::Left(ready(Err(refused)))),
        }
    }
}

impl Authorize {
    /// Whether a decision is to be made that would keep others waiting.
    fn takes_long(&self, verified: &Verified<Decision>) -> bool {
        !verified.is_decided(self.generation) && self.policies.is_long(verified.caller().claims())
    }

    fn authorize(&self, request: Authenticated) -> Result<Authorized, Refused> {
        let Authenticated { mut raw, verified } = request;
        let asked = Asked {
            mount: &raw.site.name,
            kind: raw.site.kind,
            method: method(&raw.method),
            path: &raw.path,
            headers: &raw.headers,
            tenant: raw.tenant.as_deref(),
        };
        let (mount, grant) = match self.grant(&verified, &raw.site, &asked) {
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

impl Authorize {
    /// What the caller may see of what is asked, and the backend that holds it.
    pub(super) fn grant(
        &self,
        verified: &Verified<Decision>,
        site: &Site,
        asked: &Asked<'_, HeaderMap>,
    ) -> Result<(Arc<Mount>, Grant), Rejection> {
        let decision = self.decision(verified);
        let grants = decision.as_ref().as_ref().map_err(|forbidden| *forbidden)?;
        let granted = asked.grant(grants, &site.mounts, |mount| &mount.backend);
        granted.map(|(mount, grant)| (Arc::clone(mount), grant))
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
