//! The end of every request: an answer, and one event.

use super::{Refused, Reply, Told};
use crate::api::Kind;
use crate::auth::Caller;
use crate::events::audit::{Audit, Audited, Place, Record};
use crate::events::{Metrics, Outcome, RequestFinished};
use crate::rejection::Rejection;
use crate::respond::{self, Body, grpc, refuse};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

/// Turns replies and refusals into answers, counts and logs them, and takes only so many at once.
#[derive(Clone)]
pub struct Conclude {
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// One permit for each request that is worked on.
    pub permits: Arc<Semaphore>,
    /// Writes a line for each request, if that is configured.
    pub audit: Option<Audit>,
}

impl<S> Layer<S> for Conclude {
    type Service = Concluding<S>;

    fn layer(&self, next: S) -> Concluding<S> {
        Concluding { stage: Arc::new(self.clone()), next }
    }
}

/// The service of [`Conclude`].
#[derive(Clone)]
pub struct Concluding<S> {
    stage: Arc<Conclude>,
    next: S,
}

impl<S> Service<Request<Incoming>> for Concluding<S>
where
    S: Service<Request<Incoming>, Response = Reply, Error = Refused>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let started = Instant::now();
        let stage = Arc::clone(&self.stage);
        let is_call = grpc::is_call(request.version(), request.headers());
        let permit = stage.permits.clone().try_acquire_owned().ok();
        let answering = permit.is_some().then(|| self.next.call(request));
        Box::pin(async move {
            let result = match answering {
                Some(answering) => answering.await,
                None => Err(Told::default().refuse(Rejection::Overloaded)),
            };
            drop(permit);
            let place = match &stage.audit {
                Some(audit) => audit.place().await,
                None => None,
            };
            Ok(stage.conclude(result, is_call, started, place))
        })
    }
}

impl Conclude {
    fn conclude(
        &self,
        result: Result<Reply, Refused>,
        is_call: bool,
        started: Instant,
        place: Option<Place>,
    ) -> Response<Body> {
        let (response, outcome, told, rejection) = match result {
            Ok(Reply { response, outcome, told }) => (response, outcome, told, None),
            Err(Refused { rejection, told }) => {
                let kind = told.site.as_ref().map(|site| site.kind);
                let refused = if is_call { grpc::refuse(&rejection) } else { refuse(kind, &rejection) };
                (refused, Outcome::of(&rejection), told, Some(rejection))
            }
        };
        let measured = told.measured();
        let metrics = measured.and_then(|(_, index)| self.metrics.backend(index));
        let metrics = metrics.and_then(|backend| backend.endpoint(told.endpoint));
        if measured.is_none() {
            self.metrics.below_no_mount(outcome);
        }
        let finished = RequestFinished {
            backend: measured.map(|(name, _)| name),
            endpoint: told.endpoint,
            outcome,
            status: rejection.as_deref().map_or(response.status(), respond::status),
            duration: started.elapsed(),
            subject: told.caller.as_ref().and_then(|c| c.subject()),
            trace_id: told.trace_id.as_deref().unwrap_or("-"),
            grant: told.grant.as_ref(),
            rejection: rejection.as_deref(),
        };
        finished.emit(metrics);
        match place {
            Some(place) => {
                let (status, duration) = (finished.status.as_u16(), finished.duration);
                let record = Box::new(record(&told, outcome, status, rejection.as_deref(), duration));
                response.map(|body| Audited::new(body, place, record).boxed_unsync())
            }
            None => response,
        }
    }
}

/// The line of the audit log that tells of a request.
pub(super) fn record(
    told: &Told,
    outcome: Outcome,
    status: u16,
    rejection: Option<&Rejection>,
    duration: Duration,
) -> Record {
    let caller = told.caller.as_deref();
    Record {
        backend: told.measured().map(|(name, _)| name.to_owned()),
        endpoint: told.endpoint.map(|endpoint| endpoint.name),
        outcome: outcome.name(),
        status,
        refused: rejection.map(Rejection::kind),
        asked_sha256: told.digests.asked.clone(),
        sent_sha256: told.digests.sent.clone(),
        duration: duration.as_secs_f64(),
        trace_id: told.trace_id.as_deref().map(str::to_owned),
        ..Record::of(caller.map(Caller::issuer), caller.map(Caller::claims), told.grant.as_ref())
    }
}

/// What answers a request whose handling panicked: 500 for it alone, counted as a defect.
pub fn panicked(
    metrics: Arc<Metrics>,
) -> impl Fn(Box<dyn std::any::Any + Send>) -> Response<Body> + Clone + Send + 'static {
    move |_| {
        tracing::error!("a request's handling panicked");
        metrics.below_no_mount(Outcome::Defect);
        refuse(None::<Kind>, &Rejection::Defect(String::new()))
    }
}
