//! The whole request path, on one screen.

use crate::stages::{Authenticate, Authorize, Conclude, Counted, Forward, From, Mounts, Scope};
use http::Response;
use hyper::body::Incoming;
use std::convert::Infallible;
use tower::{Service, ServiceBuilder};

/// The stages of one listener, on one worker. Each is cheap to clone.
#[derive(Clone)]
pub struct Stages {
    /// Which backends are served, and where.
    pub mounts: Mounts,
    /// Who is asking.
    pub authenticate: Authenticate,
    /// What they may see.
    pub authorize: Authorize,
    /// Their scope into the request.
    pub scope: Scope,
    /// To the backend and back.
    pub forward: Forward,
    /// Answer and event.
    pub conclude: Conclude,
}

/// The request path. Every layer but the first changes the request's type, so their order is checked by the compiler.
pub fn stack(
    stages: Stages,
) -> impl Service<From<Incoming>, Response = Response<Counted>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    ServiceBuilder::new()
        // Reply, refusal or panic → answer in the backend's shape; its end, or that it is given up → one event.
        .layer(stages.conclude)
        // Arrived → Raw: which backend. 404 below no mount.
        .layer(stages.mounts)
        // Raw → Authenticated: whose token. 401.
        .layer(stages.authenticate)
        // Authenticated → Authorized: what the caller may see here. 403.
        .layer(stages.authorize)
        // Authorized → Scoped: read, scoped, proven, sealed. 404, 405, 415, 413, 400.
        .layer(stages.scope)
        // Scoped → the backend; its answer passes, or is cut. 502, 504.
        .service(stages.forward)
}
