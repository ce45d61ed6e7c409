//! The end of every request, also of one whose handling panics: an answer, and one event.

use super::{Refused, Reply, Told};
use crate::auth::Caller;
use crate::events::audit::{Audit, Audited, Place, Record};
use crate::events::{Metrics, Outcome, RequestFinished};
use crate::rejection::Rejection;
use crate::respond::{self, Body, grpc, refuse};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

impl<S, B> Service<Request<B>> for Concluding<S>
where
    S: Service<Request<B>, Response = Reply, Error = Refused>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let started = Instant::now();
        let stage = Arc::clone(&self.stage);
        let is_call = grpc::is_call(request.version(), request.headers());
        let permit = stage.permits.clone().try_acquire_owned().ok();
        let answering = permit.is_some().then(|| {
            // The stages behind are this request's own, and are not called again.
            catch_unwind(AssertUnwindSafe(|| self.next.call(request)))
        });
        Box::pin(async move {
            let result = match answering {
                Some(answering) => unless_panicked(answering).await,
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

/// What `answering` gives. A panic costs one request a refusal, and no other anything.
async fn unless_panicked<F>(answering: std::thread::Result<F>) -> Result<Reply, Refused>
where
    F: Future<Output = Result<Reply, Refused>>,
{
    let answered = match answering {
        Ok(answering) => AssertUnwindSafe(answering).catch_unwind().await,
        Err(panic) => Err(panic),
    };
    // What it says was written by the hook of panics.
    let panicked = || Rejection::Defect("the handling of a request panicked".to_owned());
    answered.unwrap_or_else(|_| Err(Told::default().refuse(panicked())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use http::Version;
    use http::header::CONTENT_TYPE;
    use tower::{ServiceExt, service_fn};

    /// What is answered to a request of this version and type whose handling panics, at once or later on.
    async fn answered(version: Version, content_type: &str, at_once: bool) -> Response<Body> {
        let metrics = Arc::new(Metrics::new(&[]).unwrap());
        let stage =
            Conclude { metrics: Arc::clone(&metrics), permits: Arc::new(Semaphore::new(1)), audit: None };
        let mut service = stage.layer(service_fn(move |_: Request<()>| {
            assert!(!at_once, "no");
            async { panic!("no") }
        }));
        let request =
            Request::post("/").version(version).header(CONTENT_TYPE, content_type).body(()).unwrap();
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        let counted = r#"palisade_requests_total{backend="",endpoint="",outcome="defect"} 1"#;
        let page = metrics.render(std::iter::empty());
        assert!(page.contains(counted), "{page}");
        assert_eq!(stage.permits.available_permits(), 1);
        response
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error_in_the_shape_of_the_protocol() {
        for at_once in [false, true] {
            let response = answered(Version::HTTP_11, "application/json", at_once).await;
            assert_eq!(response.status(), 500);
            let response = answered(Version::HTTP_2, "application/grpc", at_once).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["grpc-status"], "13");
        }
    }
}
