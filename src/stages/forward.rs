//! Sending what is sealed, and passing or cutting what comes back.

use super::entry::Entry;
use super::tail::{Opening, Tails};
use super::{Answering, Mount, Refused, Reply, Told, given};
use crate::api::{Kind, Methods};
use crate::budget::Permit;
use crate::events::{Metrics, Outcome};
use crate::limits::Limits;
use crate::policy::Grant;
use crate::rejection::{Rejection, UpstreamFault};
use crate::respond::{Body, answer, full};
use crate::scope::reply::{Answer, Cut, Reply as Left};
use crate::scope::{Accept, Call, Carried, Scoped};
use crate::upstream::{self, DecodeFault, WHOLE, collect};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::oneshot;
use tower::Service;

/// Bytes of a backend's error text that are read.
const ERROR_BYTES: usize = 64 * 1024;

/// Bytes of answers that take a while to cut: a millisecond or so.
pub(super) const LARGE_BYTES: usize = 128 * 1024;

/// Bytes of an answer of ours that is not worth compressing: it fits a packet.
const COMPRESSED_BYTES: usize = 1024;

/// A sealed request on its way.
#[derive(Debug)]
pub struct Sealed {
    pub(super) mount: Arc<Mount>,
    pub(super) scoped: Scoped,
    /// Bytes that the answer's body may have, where that is limited.
    pub(super) answer_bytes: Option<u64>,
    /// What it takes of the memory.
    pub(super) memory: Permit,
    /// Of a live tail.
    pub(super) opening: Option<Box<Opening>>,
    pub(super) told: Told,
}

/// The last stage: takes sealed requests only.
#[derive(Clone)]
pub struct Forward(Arc<Forwarding>);

/// What the last stage needs.
pub struct Forwarding {
    /// The caps.
    pub limits: Arc<Limits>,
    /// Counts the backends' latency.
    pub metrics: Arc<Metrics>,
    /// Live tails.
    pub tails: Tails,
}

impl From<Forwarding> for Forward {
    fn from(forwarding: Forwarding) -> Self {
        Self(Arc::new(forwarding))
    }
}

impl Service<Sealed> for Forward {
    type Response = Reply;
    type Error = Refused;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, sealed: Sealed) -> Answering {
        let stage = Arc::clone(&self.0);
        Box::pin(async move {
            if let Methods::Grpc(_) = sealed.scoped.endpoint().methods {
                let told = sealed.told.clone();
                return match super::streamed::forward(stage, sealed).await {
                    Ok((response, outcome)) => Ok(told.reply(response, outcome)),
                    Err(rejection) => Err(told.refuse(rejection)),
                };
            }
            let Sealed { mount, scoped, answer_bytes, memory, opening, told } = sealed;
            if let Some(opening) = opening {
                // In a box, as it is seldom.
                let opened = stage.open(&mount, scoped, answer_bytes, &memory, *opening, &told);
                let opened = Box::pin(opened).await;
                return match opened {
                    Ok((response, lasts)) => {
                        Ok(Reply { lasts: Some(lasts), ..told.reply(response, Outcome::Passed) })
                    }
                    Err(rejection) => Err(told.refuse(rejection)),
                };
            }
            match stage.forward(&mount, scoped, answer_bytes, &memory, told.grant.as_ref()).await {
                Ok((response, outcome)) => Ok(told.reply(response, outcome)),
                Err(rejection) => Err(told.refuse(rejection)),
            }
        })
    }
}

impl Forwarding {
    async fn forward(
        &self,
        mount: &Mount,
        scoped: Scoped,
        most: Option<u64>,
        memory: &Permit,
        grant: Option<&Grant>,
    ) -> Result<(Response<Body>, Outcome), Rejection> {
        let exchange = Exchange { stage: self, mount, endpoint: scoped.endpoint(), most, memory, grant };
        let (calls, carried, cut) = scoped.into_parts();
        match cut {
            // In a box, as is a backend's refusal: an answer that passes stays a small future.
            Some(cut) => Box::pin(exchange.filtered(calls, &carried, cut)).await,
            None => exchange.passed(calls, &carried).await,
        }
    }
}

impl Forwarding {
    /// Opens a live tail: first to the backend, whose refusal is an answer like others.
    async fn open(
        &self,
        mount: &Arc<Mount>,
        scoped: Scoped,
        most: Option<u64>,
        memory: &Permit,
        opening: Opening,
        told: &Told,
    ) -> Result<(Response<Body>, oneshot::Sender<Entry>), Rejection> {
        let grant = told.grant.as_ref();
        let exchange = Exchange { stage: self, mount, endpoint: scoped.endpoint(), most, memory, grant };
        let (calls, carried, _) = scoped.into_parts();
        let [call]: [Call; 1] =
            calls.try_into().map_err(|_| Rejection::Defect("a tail is opened by one call".into()))?;
        let (handshake, sent) = self.tails.handshake(opening, mount, call.target())?;
        let place = self.tails.place(told.grant.as_ref())?;
        let started = Instant::now();
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let message_bytes = self.tails.message_bytes.min(most);
        let opened = mount.upstream.websocket(call, &carried, message_bytes, memory.another()).await?;
        exchange.answered(started);
        let socket = match opened {
            Ok(socket) => socket,
            Err(answer) => return Err(exchange.refusal(answer.status(), Some(answer)).await),
        };
        let response = handshake.answer();
        let lasts = self.tails.begin(handshake, socket, sent, place, told);
        Ok((response, lasts))
    }
}

/// One request's exchange with its backend.
pub(super) struct Exchange<'a> {
    pub(super) stage: &'a Forwarding,
    pub(super) mount: &'a Mount,
    pub(super) endpoint: &'static crate::api::Endpoint,
    /// Bytes that the answer's body may have, where that is limited.
    pub(super) most: Option<u64>,
    /// For whom its answers take memory.
    pub(super) memory: &'a Permit,
    /// Whose request it is.
    pub(super) grant: Option<&'a Grant>,
}

impl Exchange<'_> {
    /// The answer holds nothing but the caller's: it streams through as it comes.
    async fn passed(
        &self,
        calls: Vec<Call>,
        carried: &Carried,
    ) -> Result<(Response<Body>, Outcome), Rejection> {
        let [call]: [Call; 1] =
            calls.try_into().map_err(|_| Rejection::Defect("an answer passes for one call".into()))?;
        let asked = call.accept();
        // What is limited is counted as it is, and so asked for as it is.
        let gzip = carried.gzip && self.most.is_none();
        let upstream = self.send(call, carried, gzip).await?;
        match upstream.status() {
            StatusCode::OK => self.stream(upstream, asked, gzip).map(|response| (response, Outcome::Passed)),
            StatusCode::NO_CONTENT => Ok((without_body(StatusCode::NO_CONTENT), Outcome::Passed)),
            status => Err(Box::pin(self.refusal(status, Some(upstream))).await),
        }
    }

    fn stream(
        &self,
        upstream: Response<upstream::Answer>,
        asked: Accept,
        gzip: bool,
    ) -> Result<Response<Body>, Rejection> {
        let (head, body) = upstream.into_parts();
        // The backends answer each of these endpoints in one form only: anything else is not what was asked.
        let content_type = head.headers.get(CONTENT_TYPE).filter(|v| is_of(v, asked.media_type()));
        let content_type = content_type.cloned().ok_or(UpstreamFault::Unexpected)?;
        let coded = |coding: &HeaderValue| coding != "identity" && !(gzip && coding == "gzip");
        if head.headers.get(CONTENT_ENCODING).is_some_and(coded) {
            return Err(UpstreamFault::Unexpected.into());
        }
        let length = body.size_hint().exact();
        let body = match self.most {
            None => body.boxed_unsync(),
            Some(most) if length.is_some_and(|length| length > most) => return Err(answer_too_large(most)),
            // The answer has begun when it turns out to be too long: the connection breaks off, so that
            // nobody takes a part of it for the whole.
            Some(most) => Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX)).boxed_unsync(),
        };
        let mut response = answer(StatusCode::OK, content_type, body);
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        if let Some(encoding) = head.headers.get(CONTENT_ENCODING) {
            response.headers_mut().insert(CONTENT_ENCODING, encoding.clone());
        }
        Ok(response)
    }

    /// The answers are read whole and cut.
    async fn filtered(
        &self,
        calls: Vec<Call>,
        carried: &Carried,
        cut: Cut,
    ) -> Result<(Response<Body>, Outcome), Rejection> {
        let mut answers = Vec::with_capacity(calls.len());
        let mut memory = self.memory.another();
        for call in calls {
            if !answers.is_empty() && !cut.admits(&answers)? {
                return Ok(self.not_found());
            }
            let upstream = self.send(call, carried, self.mount.upstream.is_distant()).await?;
            match upstream.status() {
                StatusCode::OK => {
                    let (answer, taken) = self.whole(upstream).await?;
                    answers.push(Some(answer));
                    memory.merge(taken);
                }
                StatusCode::NOT_FOUND => answers.push(None),
                // What a backend says of data that is not all the caller's is not passed on.
                status => return Err(self.refusal(status, None).await),
            }
        }
        self.complete(&cut, carried, &mut answers).await?;
        let zip = memory.another();
        let (content_type, body, coding) = match made(cut, answers, memory, self.most).await? {
            Left::Found { content_type, made, snappy: true } => {
                (content_type, given::snappy(made)?, Coding::Snappy)
            }
            Left::Found { content_type, made, .. } if carried.gzip && made.bytes() > COMPRESSED_BYTES => {
                (content_type, given::zipped(made, zip)?, Coding::Gzip)
            }
            Left::Found { content_type, made, .. } => (content_type, given::plain(made)?, Coding::Identity),
            Left::Done => return Ok((without_body(StatusCode::OK), Outcome::Filtered)),
            Left::NotFound => return Ok(self.not_found()),
        };
        let mut response = answer(StatusCode::OK, HeaderValue::from_static(content_type), body);
        if let Some(name) = coding.name() {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        Ok((response, Outcome::Filtered))
    }

    /// The same whether something is another's or nobody's.
    fn not_found(&self) -> (Response<Body>, Outcome) {
        let (content_type, text) = match self.mount.backend.kind {
            Kind::Alertmanager => ("application/json", r#"{"code":404,"message":"silence not found"}"#),
            Kind::Prometheus => {
                ("application/json", r#"{"status":"error","errorType":"not_found","error":"not found"}"#)
            }
            Kind::Loki => ("text/plain; charset=utf-8", "not found"),
            Kind::Tempo => ("text/plain; charset=utf-8", "trace not found"),
        };
        let content_type = HeaderValue::from_static(content_type);
        (answer(StatusCode::NOT_FOUND, content_type, full(text)), Outcome::NotFound)
    }

    pub(super) async fn send(
        &self,
        call: Call,
        carried: &Carried,
        gzip: bool,
    ) -> Result<Response<upstream::Answer>, Rejection> {
        let started = Instant::now();
        let response = self.mount.upstream.send(call, carried, gzip).await?;
        self.answered(started);
        Ok(response)
    }

    /// The backend answered what was sent at `started`.
    fn answered(&self, started: Instant) {
        let metrics = self.stage.metrics.backend(self.mount.index);
        if let Some(metrics) = metrics.and_then(|b| b.endpoint(Some(self.endpoint))) {
            metrics.upstream(started.elapsed());
        }
    }

    pub(super) async fn whole(
        &self,
        upstream: Response<upstream::Answer>,
    ) -> Result<(Answer, Permit), Rejection> {
        let content_type = upstream.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let content_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let max = self.stage.limits.filtered_answer_bytes;
        let body = collect(upstream, max, self.mount.upstream.timeout(), self.memory.another()).await;
        let (body, taken) = body.map_err(|fault| match fault {
            DecodeFault::TooLarge => UpstreamFault::TooLarge.into(),
            DecodeFault::Broken => UpstreamFault::Undecodable.into(),
            DecodeFault::Timeout => UpstreamFault::Timeout.into(),
            DecodeFault::NoRoom => Rejection::NoMemory,
        })?;
        Ok((Answer { content_type, body }, taken))
    }

    async fn error_text(&self, upstream: Response<upstream::Answer>) -> Result<Vec<u8>, DecodeFault> {
        let timeout = self.mount.upstream.timeout();
        Ok(collect(upstream, ERROR_BYTES, timeout, self.memory.another()).await?.0)
    }

    /// What a status other than success becomes. Redirects are never followed nor passed.
    pub(super) async fn refusal(
        &self,
        status: StatusCode,
        upstream: Option<Response<upstream::Answer>>,
    ) -> Rejection {
        match status {
            // It is us that it does not let in: the caller has no account there.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let backend = self.mount.backend.name.as_str();
                tracing::warn!(backend, status = status.as_u16(), "the backend does not let us in");
                UpstreamFault::Unexpected.into()
            }
            s if s.is_client_error() => self.client_error(s, upstream).await,
            StatusCode::SERVICE_UNAVAILABLE => UpstreamFault::Unready.into(),
            StatusCode::GATEWAY_TIMEOUT => UpstreamFault::Timeout.into(),
            _ => UpstreamFault::Unexpected.into(),
        }
    }

    /// The backend's own words about a query that is all the caller's pass; others do not.
    async fn client_error(
        &self,
        status: StatusCode,
        upstream: Option<Response<upstream::Answer>>,
    ) -> Rejection {
        let mut error_type = None;
        let mut text = "the backend refused the request".to_owned();
        if let Some(upstream) = upstream
            && let Ok(body) = self.error_text(upstream).await
        {
            match self.mount.backend.kind {
                Kind::Prometheus | Kind::Alertmanager => {
                    if let Ok(error) = serde_json::from_slice::<PrometheusError>(&body) {
                        (error_type, text) = (Some(error.error_type), error.error);
                    }
                }
                Kind::Loki | Kind::Tempo => text = String::from_utf8_lossy(&body).trim_end().to_owned(),
            }
        }
        Rejection::UpstreamRefused { status: status.as_u16(), error_type, text }
    }
}

/// Whether a type is this one, with whatever parameters.
fn is_of(content_type: &HeaderValue, media_type: &str) -> bool {
    let named = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    named.trim_ascii().eq_ignore_ascii_case(media_type.as_bytes())
}

/// The refusal of an answer over a limit of the policy.
pub(super) fn answer_too_large(most: u64) -> Rejection {
    let max = usize::try_from(most).unwrap_or(usize::MAX);
    Rejection::TooLarge { what: "bytes of the answer", max, key: "`answer_bytes` of your policy rules" }
}

/// How an answer that was cut is encoded.
#[derive(Clone, Copy)]
enum Coding {
    Identity,
    Gzip,
    Snappy,
}

impl Coding {
    /// As `Content-Encoding` names it, where it does.
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Snappy => Some("snappy"),
        }
    }
}

/// The cut of `answers`, which may have `most` bytes, with the memory that it takes; of large ones on a thread that
/// serves no other request meanwhile.
pub(super) async fn made(
    cut: Cut,
    answers: Vec<Option<Answer>>,
    memory: Permit,
    most: Option<u64>,
) -> Result<Left, Rejection> {
    let bytes: usize = answers.iter().flatten().map(|answer| answer.body.len()).sum();
    let make = move || match cut.make(answers, memory)? {
        // Held after the cut: what was cut away is nobody's business.
        Left::Found { made, .. } if most.is_some_and(|most| made.bytes() as u64 > most) => {
            Err(answer_too_large(most.unwrap_or_default()))
        }
        left => Ok(left),
    };
    if bytes < LARGE_BYTES {
        return make();
    }
    let made = WHOLE.work(make).await;
    made.map_err(|_| Rejection::Defect("a cut did not end".into()))?
}

/// The error shape of Prometheus (`web/api/v1/api.go`).
#[derive(serde::Deserialize)]
struct PrometheusError {
    #[serde(rename = "errorType")]
    error_type: String,
    error: String,
}

/// An answer without a body, and so without the type of one.
fn without_body(status: StatusCode) -> Response<Body> {
    let mut response = answer(status, HeaderValue::from_static(""), full(Bytes::new()));
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CACHE_CONTROL;

    #[test]
    fn an_answer_without_a_body_is_for_no_cache_either() {
        let response = without_body(StatusCode::NO_CONTENT);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert!(
            response.headers().contains_key(CACHE_CONTROL) && !response.headers().contains_key(CONTENT_TYPE)
        );
    }
}
