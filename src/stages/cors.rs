//! Pages of other origins (the Fetch standard, section 3.3, <https://fetch.spec.whatwg.org/#http-cors-protocol>): which
//! of them may read answers is configured, and none by default.
//!
//! A page shows a token that it has itself; cookies and other credentials of the browser are never asked for, so no
//! answer says `Access-Control-Allow-Credentials`.

use crate::respond::{Body, REASON, full};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use std::sync::Arc;

/// The methods that some endpoint has. GET and POST need not be said, but are.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// The headers that are read and that a page may not set unasked. The same whatever is asked: nothing is told.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, traceparent, x-grafana-id, x-loki-response-encoding-flags, x-palisade-scope, \
     x-palisade-tenant",
);
/// Seconds for which a browser need not ask again: what Chromium keeps at most.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The origins whose pages may read answers, as the header `Origin` names them (RFC 6454, section 6.2).
#[derive(Clone, Debug)]
pub struct Cors(pub Arc<[String]>);

/// What is said to a page.
#[derive(Debug)]
pub(super) struct Said {
    /// Its origin, if it may read the answer.
    origin: Option<HeaderValue>,
    preflight: bool,
}

impl Cors {
    /// Whether a browser asks what it may ask. It shows no token then, so that is answered to everyone alike, whatever
    /// is at the path.
    pub(super) fn is_preflight<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        !self.0.is_empty()
            && request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// What is said to whoever sent `request`; `None`: no page may read anything.
    pub(super) fn say<B>(&self, request: &Request<B>) -> Option<Said> {
        if self.0.is_empty() {
            return None;
        }
        let mut named = request.headers().get_all(ORIGIN).into_iter();
        let origin = named.next().filter(|_| named.next().is_none());
        let origin = origin.filter(|origin| self.0.iter().any(|known| known.as_bytes() == origin.as_bytes()));
        Some(Said { origin: origin.cloned(), preflight: self.is_preflight(request) })
    }
}

impl Said {
    /// Says it in the headers of an answer.
    pub fn add(self, headers: &mut HeaderMap) {
        // Also where the origin is not known: a cache must not show it what another may read, nor the reverse.
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.origin else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.preflight {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        } else {
            // Beside what every page may read.
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from(REASON));
        }
    }
}

/// The answer to a preflight; what is said in it is the same for all paths.
pub(super) fn preflight() -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
