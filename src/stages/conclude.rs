//! The end of every request, also of one whose handling panics: an answer, and one event.

use super::entry::{Answering, Entry};
use super::{Arrived, Refused, Reply};
use crate::budget::Budget;
use crate::events::audit::Audit;
use crate::events::{Metrics, Outcome};
use crate::rejection::Rejection;
use crate::respond::{self, grpc, refuse};
use futures_util::FutureExt;
use http::{Request, Response};
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Turns replies and refusals into answers, counts and logs them, and takes only so many at once.
#[derive(Clone, Debug)]
pub struct Conclude {
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// One permit for each request, until the end of its answer.
    pub permits: Budget,
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
    S: Service<Arrived<B>, Response = Reply, Error = Refused> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Answering>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answering>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (stage, mut next) = (Arc::clone(&self.stage), self.next.clone());
        // Opened at once: whatever becomes of the request, it is entered.
        let mut entry = Entry::open(&stage, request.method().clone(), request.uri().clone());
        Box::pin(async move {
            let is_call = grpc::is_call(request.version(), request.headers());
            let refused = stage.admit(&mut entry).await.err();
            let arrived = Arrived { request, refused, told: entry.told() };
            // The stages behind are this request's own, and are not called again.
            let answering = catch_unwind(AssertUnwindSafe(|| next.call(arrived)));
            let result = unless_panicked(answering, &entry).await;
            Ok(conclude(result, is_call, entry))
        })
    }
}

impl Conclude {
    /// Gives a request its places: among those that are worked on, and in the audit log.
    async fn admit(&self, entry: &mut Entry) -> Result<(), Rejection> {
        if let Some(audit) = &self.audit {
            entry.place = audit.place();
            if audit.is_stuck() {
                return Err(Rejection::Unaudited);
            }
            if entry.place.is_none() {
                entry.place = audit.wait().await.map_err(|_| Rejection::Unaudited)?;
            }
        }
        entry.permit = Some(self.permits.take(Arc::default(), 1).map_err(|_| Rejection::Overloaded)?);
        Ok(())
    }
}

/// The answer, whose end makes the entry.
fn conclude(result: Result<Reply, Refused>, is_call: bool, mut entry: Entry) -> Response<Answering> {
    match result {
        Ok(Reply { response, outcome, told, lasts }) => {
            entry.answered(told, outcome, response.status(), None);
            let Some(lasts) = lasts else { return Answering::new(response, entry) };
            entry.lasts();
            // Where nobody takes it any more, it is made at once.
            drop(lasts.send(entry));
            Answering::untold(response)
        }
        Err(Refused { rejection, told }) => {
            let kind = told.site.as_ref().map(|site| site.kind);
            let response = if is_call { grpc::refuse(&rejection) } else { refuse(kind, &rejection) };
            let (outcome, status) = (Outcome::of(&rejection), respond::status(&rejection));
            entry.answered(told, outcome, status, Some(rejection));
            Answering::new(response, entry)
        }
    }
}

/// What `answering` gives. A panic costs one request a refusal, and no other anything.
async fn unless_panicked<F>(answering: std::thread::Result<F>, entry: &Entry) -> Result<Reply, Refused>
where
    F: Future<Output = Result<Reply, Refused>>,
{
    let answered = match answering {
        Ok(answering) => AssertUnwindSafe(answering).catch_unwind().await,
        Err(panic) => Err(panic),
    };
    // What it says was written by the hook of panics.
    let panicked = || Rejection::Defect("the handling of a request panicked".to_owned());
    answered.unwrap_or_else(|_| Err(entry.left().refuse(panicked())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use http::Version;
    use http::header::CONTENT_TYPE;
    use tower::{ServiceExt, service_fn};

    /// What is answered to a request of this version and type whose handling panics, at once or later on.
    async fn answered(version: Version, content_type: &str, at_once: bool) -> http::response::Parts {
        let metrics = Arc::new(Metrics::new(&[]).unwrap());
        let stage = Conclude { metrics: Arc::clone(&metrics), permits: Budget::of(1), audit: None };
        let mut service = stage.layer(service_fn(move |_: Arrived<()>| {
            assert!(!at_once, "no");
            async { panic!("no") }
        }));
        let request =
            Request::post("/").version(version).header(CONTENT_TYPE, content_type).body(()).unwrap();
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        let response = response.into_parts().0;
        let counted = r#"palisade_requests_total{backend="",endpoint="",outcome="defect"} 1"#;
        let page = metrics.render(std::iter::empty());
        assert!(page.contains(counted), "{page}");
        assert_eq!(stage.permits.taken(), 0);
        response
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error_in_the_shape_of_the_protocol() {
        for at_once in [false, true] {
            let response = answered(Version::HTTP_11, "application/json", at_once).await;
            assert_eq!(response.status, 500);
            let response = answered(Version::HTTP_2, "application/grpc", at_once).await;
            assert_eq!(response.status, 200);
            assert_eq!(response.headers["grpc-status"], "13");
        }
    }
}
