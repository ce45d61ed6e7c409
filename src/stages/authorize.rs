//! What the caller may see.

use super::{Authenticated, Authorized, Decision, Refused, Reply};
use crate::auth::Caller;
use crate::events::Metrics;
use crate::policy::{Grant, Narrowing, Outcome, Policies, SCOPE_HEADER, TENANT_HEADER};
use crate::rejection::Forbidden;
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderName};
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
        let Authenticated { raw, verified } = request;
        let decision = verified.decision(self.generation, |caller| self.decide(caller));
        let granted = match &*decision {
            Ok(grants) => narrowing(&raw.headers).and_then(|wish| grants.choose(wish.as_ref())),
            Err(forbidden) => Err(*forbidden),
        };
        // A backend that cannot say a dimension is closed, whatever is asked of it.
        let open = |grant: Grant| raw.mount.backend.open_to(&grant).map(|()| grant);
        match granted.and_then(open) {
            Ok(grant) => Ok(Authorized { raw, grant }),
            Err(forbidden) => Err(raw.told.refuse(forbidden)),
        }
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

fn narrowing(headers: &HeaderMap) -> Result<Option<Narrowing>, Forbidden> {
    let lines = |name: HeaderName| headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes);
    Narrowing::from_headers(lines(SCOPE), lines(TENANT))
}
