//! Calls of gRPC to a backend, over HTTP/2: with prior knowledge, or as TLS agrees on it.
//!
//! Many calls share a connection. Each is read only as fast as its caller takes it: what the backend sends ahead
//! is bounded by the windows of HTTP/2. A call that is dropped is cancelled.

use super::client::{AGENT, Reach, TRACEPARENT, tcp};
use crate::budget::Permit;
use crate::rejection::UpstreamFault;
use crate::scope::grpc::frame::{FrameFault, Messages};
use crate::scope::{Call, Carried, Outgoing};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use std::time::Duration;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How long a connection may stay idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a connection with calls is asked whether its backend is still there. Tempo ends connections that ask
/// more often than every 10 s (`grpc_server_min_time_between_pings` of `dskit/server`).
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Bytes of one answer that the backend may send ahead.
const WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes of the headers of an answer.
const HEAD_BYTES: u32 = 64 * 1024;

/// One backend, as one worker calls it.
#[derive(Clone, Debug)]
pub struct GrpcUpstream {
    /// Its name, for the log.
    name: Arc<str>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    scheme: Scheme,
    authority: Authority,
    /// How we say to it who we are; not shown where this is printed.
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl GrpcUpstream {
    /// The backend `name` at the server of `base`, without a connection yet; a path is left out, as gRPC has none.
    /// `timeout` bounds each call as a whole. `None` if `base` is no URL of a server.
    pub fn new(name: &str, base: &Uri, reach: &Reach, timeout: Duration) -> Option<Self> {
        let https = HttpsConnectorBuilder::new().with_tls_config(reach.tls()).https_or_http().enable_http2();
        let mut authorization = None;
        if let Some(secret) = &reach.authorization {
            let mut value = HeaderValue::from_str(secret.expose_secret()).ok()?;
            value.set_sensitive(true);
            authorization = Some(value);
        }
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_max_header_list_size(HEAD_BYTES)
            .build(https.wrap_connector(tcp()));
        let (scheme, authority) = (base.scheme()?.clone(), base.authority()?.clone());
        let name = name.into();
        Some(Self { name, client, scheme, authority, authorization, timeout })
    }

    /// How long a call may take, from its request to the end of its answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Calls. The backend is told that it has `within`; each message of the answer may have `max` bytes.
    ///
    /// # Errors
    /// [`StreamFault`] if there is no answer, or it is a refusal.
    pub async fn call(
        &self,
        call: Call,
        carried: &Carried,
        within: Duration,
        max: usize,
    ) -> Result<Stream, StreamFault> {
        let request = self.request(call, carried, within).ok_or(UpstreamFault::Unreachable)?;
        let response = self.client.request(request).await.map_err(|error| {
            let (backend, error) = (&*self.name, super::client::ErrorChain(&error));
            tracing::warn!(backend, %error, "backend cannot be reached by gRPC");
            UpstreamFault::Unreachable
        })?;
        Stream::of(response, max)
    }

    /// The request, with a fixed set of headers and none of the caller's but those carried.
    fn request(&self, mut call: Call, carried: &Carried, within: Duration) -> Option<Request<Full<Bytes>>> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        let uri = uri.path_and_query(call.target()).build().ok()?;
        let Outgoing::Post { content_type, body } = call.take_outgoing() else { return None };
        let mut request = Request::post(uri).body(Full::from(body)).ok()?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(TIMEOUT, timeout(within));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        for (name, value) in carried.tenancy.iter().flat_map(|tenancy| tenancy.iter()) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
        }
        if let Some(traceparent) = &carried.traceparent {
            headers.insert(TRACEPARENT, HeaderValue::from_str(traceparent.as_str()).ok()?);
        }
        Some(request)
    }
}

/// `within` in whole milliseconds, of which a header can say eight digits.
fn timeout(within: Duration) -> HeaderValue {
    let milliseconds = within.as_millis().clamp(1, 99_999_999);
    HeaderValue::from_str(&format!("{milliseconds}m")).unwrap_or(HeaderValue::from_static("1m"))
}

/// Why a stream ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// There is no answer of gRPC, or it broke off.
    Upstream(UpstreamFault),
    /// The backend ended it with this status, which is not 0.
    Status(u16),
    /// A message cannot be taken.
    Frame(FrameFault),
    /// Answers to others take all the room.
    NoRoom,
}

impl From<UpstreamFault> for StreamFault {
    fn from(fault: UpstreamFault) -> Self {
        Self::Upstream(fault)
    }
}

/// The answer to a call, message by message. Dropped before its end, it cancels the call.
#[derive(Debug)]
pub struct Stream {
    body: Incoming,
    messages: Messages,
    ended: bool,
}

impl Stream {
    fn of(response: Response<Incoming>, max: usize) -> Result<Self, StreamFault> {
        let (head, body) = response.into_parts();
        match head.status {
            StatusCode::OK => {}
            StatusCode::SERVICE_UNAVAILABLE => return Err(UpstreamFault::Unready.into()),
            _ => return Err(UpstreamFault::Unexpected.into()),
        }
        let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if !matches!(content_type, Some(b"application/grpc" | b"application/grpc+proto")) {
            return Err(UpstreamFault::Unexpected.into());
        }
        // Where there is no message, the outcome can be in the head.
        let ended = head.headers.contains_key(STATUS);
        if ended {
            outcome(&head.headers)?;
        }
        Ok(Self { body, messages: Messages::new(max), ended })
    }

    /// The next message; `None` at a good end. `permit` holds as much memory as it takes.
    ///
    /// # Errors
    /// [`StreamFault`]; nothing more is to be had then.
    pub async fn next(&mut self, permit: &mut Permit) -> Result<Option<Bytes>, StreamFault> {
        loop {
            if let Some(message) = self.messages.take().map_err(StreamFault::Frame)? {
                return Ok(Some(message));
            }
            if self.ended {
                self.messages.end().map_err(StreamFault::Frame)?;
                return Ok(None);
            }
            let frame = self.body.frame().await.transpose();
            let frame = frame.map_err(|_| UpstreamFault::Unreachable)?.ok_or(UpstreamFault::Unreachable)?;
            match frame.into_data() {
                Ok(data) => {
                    permit
                        .hold(self.messages.bytes().saturating_add(data.len()))
                        .map_err(|_| StreamFault::NoRoom)?;
                    self.messages.push(&data);
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().map_err(|_| UpstreamFault::Unexpected)?;
                    outcome(&trailers)?;
                    self.ended = true;
                }
            }
        }
    }
}

/// What the backend says of the call; a call without an outcome is broken.
fn outcome(headers: &HeaderMap) -> Result<(), StreamFault> {
    let status = headers.get(STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
    match status {
        Some(0) => Ok(()),
        Some(code) => Err(StreamFault::Status(code)),
        None => Err(UpstreamFault::Unexpected.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_at_most_eight_digits() {
        assert_eq!(timeout(Duration::from_millis(1500)), "1500m");
        assert_eq!(timeout(Duration::ZERO), "1m");
        assert_eq!(timeout(Duration::from_secs(u64::MAX)), "99999999m");
    }
}
