//! Who is asking.

use super::{Answering, Authenticated, Decision, Raw, Refused, Reply, Told};
use crate::auth::{Verified, Verifier};
use crate::events::{Metrics, TokenOutcome};
use crate::rejection::TokenFault;
use futures_util::future::Either;
use http::HeaderMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Lets through callers with a token of a configured issuer.
#[derive(Clone)]
pub struct Authenticate {
    /// Verifies tokens.
    pub verifier: Arc<Verifier<Decision>>,
    /// Counts them.
    pub metrics: Arc<Metrics>,
}

impl<S> Layer<S> for Authenticate {
    type Service = Authenticating<S>;

    fn layer(&self, next: S) -> Authenticating<S> {
        Authenticating { stage: Arc::new(self.clone()), next }
    }
}

/// The service of [`Authenticate`].
#[derive(Clone)]
pub struct Authenticating<S> {
    stage: Arc<Authenticate>,
    next: S,
}

impl<S> Service<Raw> for Authenticating<S>
where
    S: Service<Authenticated, Response = Reply, Error = Refused> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Refused;
    type Future = Either<S::Future, Answering>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, raw: Raw) -> Self::Future {
        // The usual way, which waits for nothing, is spared the box.
        if let Some(verified) = self.stage.verifier.remembered(&raw.headers) {
            return Either::Left(self.next.call(self.stage.known(raw, verified)));
        }
        let (stage, mut next) = (Arc::clone(&self.stage), self.next.clone());
        Either::Right(Box::pin(async move { next.call(stage.authenticate(raw).await?).await }))
    }
}

impl Authenticate {
    /// Whose token a request shows; `told` knows it from here on.
    pub(super) async fn verify(
        &self,
        headers: &HeaderMap,
        told: &mut Told,
    ) -> Result<Arc<Verified<Decision>>, TokenFault> {
        match self.verifier.verify(headers).await {
            Ok(verified) => {
                self.count(&verified, told);
                Ok(verified)
            }
            Err(fault) => {
                self.metrics.token(TokenOutcome::Refused(fault));
                Err(fault)
            }
        }
    }

    async fn authenticate(&self, mut raw: Raw) -> Result<Authenticated, Refused> {
        match self.verify(&raw.headers, &mut raw.told).await {
            Ok(verified) => Ok(Authenticated { raw, verified }),
            Err(fault) => Err(raw.told.refuse(fault)),
        }
    }

    fn known(&self, mut raw: Raw, verified: Arc<Verified<Decision>>) -> Authenticated {
        self.count(&verified, &mut raw.told);
        Authenticated { raw, verified }
    }

    fn count(&self, verified: &Verified<Decision>, told: &mut Told) {
        let first = verified.first_use();
        self.metrics.token(if first { TokenOutcome::Verified } else { TokenOutcome::Cached });
        told.caller = Some(Arc::clone(verified.caller()));
    }
}
