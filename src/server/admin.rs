//! Health and metrics, on a listener of their own, and the control where that is served.

use super::control::{self, Control, Standing};
use crate::events::Metrics;
use crate::respond::{Body, full};
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::Either;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tower::Service;
use tower_http::catch_panic::CatchPanic;

/// A service of whose panics each costs one request a 500, and no other anything.
pub(super) type Caught<S> = CatchPanic<S, fn(Box<dyn Any + Send>) -> Response<Body>>;

/// `service`, its panics caught. Those of callers' requests are caught where they are concluded.
pub(super) fn caught<S>(service: S) -> Caught<S> {
    CatchPanic::custom(service, |_| {
        plain(StatusCode::INTERNAL_SERVER_ERROR, "the request's handling panicked\n")
    })
}

/// `/healthz`: the process serves. `/readyz`: tokens can be verified, and it does not end soon. `/metrics`: for Prometheus. `/-/`: for the
/// operator.
#[derive(Clone)]
pub(super) struct Admin {
    /// Whether the server is about to end, and wants no new clients.
    pub leaving: Arc<AtomicBool>,
    /// Tells whether tokens can be verified.
    pub standing: Arc<ArcSwap<Standing>>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What answers below `/-/`, where that is served.
    pub control: Option<Control>,
}

type Answered = Result<Response<Body>, Infallible>;

impl Service<Request<Incoming>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Answered>, Pin<Box<dyn Future<Output = Answered> + Send>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match &self.control {
            Some(control) if request.uri().path().starts_with(control::ROOT) => {
                let answering = control.clone().answer(request);
                Either::Right(Box::pin(async { Ok(answering.await) }))
            }
            _ => Either::Left(ready(Ok(self.told(&request)))),
        }
    }
}

impl Admin {
    fn told(&self, request: &Request<Incoming>) -> Response<Body> {
        let (status, body) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => (StatusCode::OK, "ok\n".to_owned()),
            (&Method::GET, "/readyz") if self.leaving.load(Ordering::Relaxed) => {
                (StatusCode::SERVICE_UNAVAILABLE, "about to end\n".to_owned())
            }
            (&Method::GET, "/readyz") if self.standing.load().verifier.ready() => {
                (StatusCode::OK, "ready\n".to_owned())
            }
            (&Method::GET, "/readyz") => {
                (StatusCode::SERVICE_UNAVAILABLE, "waiting for an issuer's keys\n".to_owned())
            }
            (&Method::GET, "/metrics") => {
                (StatusCode::OK, self.metrics.render(self.standing.load().verifier.ages()))
            }
            (_, "/healthz" | "/readyz" | "/metrics") => {
                (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned())
            }
            _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
        };
        plain(status, body)
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use tower::{ServiceExt, service_fn};

    #[tokio::test]
    async fn a_panic_costs_one_request_a_500() {
        let mut service = caught(service_fn(async |request: Request<()>| match request.uri().path() {
            "/" => Ok::<_, Infallible>(plain(StatusCode::OK, "ok\n")),
            other => panic!("{other}"),
        }));
        for (path, status) in [("/x", 500), ("/", 200), ("/x", 500)] {
            let request = Request::get(path).body(()).unwrap();
            assert_eq!(service.ready().await.unwrap().call(request).await.unwrap().status(), status);
        }
    }
}
