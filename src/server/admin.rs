//! Health and metrics, on a listener of their own.

use crate::auth::Verifier;
use crate::events::Metrics;
use crate::respond::{Body, full};
use crate::stages::Decision;
use arc_swap::ArcSwap;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// `/healthz`: the process serves. `/readyz`: tokens can be verified. `/metrics`: for Prometheus.
#[derive(Clone)]
pub struct Admin {
    /// Tells whether tokens can be verified.
    pub verifier: Arc<ArcSwap<Verifier<Decision>>>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
}

impl Service<Request<Incoming>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (status, body) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => (StatusCode::OK, "ok\n".to_owned()),
            (&Method::GET, "/readyz") if self.verifier.load().ready() => {
                (StatusCode::OK, "ready\n".to_owned())
            }
            (&Method::GET, "/readyz") => {
                (StatusCode::SERVICE_UNAVAILABLE, "waiting for an issuer's keys\n".to_owned())
            }
            (&Method::GET, "/metrics") => {
                for (issuer, age) in self.verifier.load().ages() {
                    self.metrics.keys_age(issuer, age);
                }
                (StatusCode::OK, self.metrics.render())
            }
            (_, "/healthz" | "/readyz" | "/metrics") => {
                (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned())
            }
            _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
        };
        let mut response = Response::new(full(body));
        *response.status_mut() = status;
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        ready(Ok(response))
    }
}
