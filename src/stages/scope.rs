//! Reading the request, and the scope into it.

use super::tail::{self, Opening};
use super::{Answering, Authorized, Mount, Raw, Refused, Reply, ScopedQueries, Sealed, Shares, Told, call};
use crate::api::parameters::Parameters;
use crate::api::path::{Matched, misplaced};
use crate::api::{self, Endpoint, Methods, Treatment};
use crate::budget::{Permit, Spent};
use crate::events::audit::{Detail, Digests, asked, digest};
use crate::events::{Metrics, Outcome};
use crate::lang::QueryErrorKind;
use crate::limits::Limits;
use crate::policy::Grant;
use crate::rejection::Rejection;
use crate::respond::{answer, full, grpc};
use crate::scope::call::REMOTE_READ;
use crate::scope::carried::Traceparent;
use crate::scope::grpc::frame::{PREFIX_BYTES, framed};
use crate::scope::reply::known;
use crate::scope::{Accept, Asked, Carried, Memory, Plan, scope};
use crate::upstream::{LOKI_FLAGS, TRACEPARENT};
use futures_util::future::{Either, Ready, ready};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Layer, Service};

/// Bytes that a request sends and that are not counted: most send less.
const UNCOUNTED_BYTES: usize = 16 * 1024;

/// Lets through requests that carry the scope everywhere.
#[derive(Clone)]
pub struct Scope {
    /// The caps.
    pub limits: Arc<Limits>,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// Counts dropped parameters and failed proofs.
    pub metrics: Arc<Metrics>,
    /// The queries scoped before, if they are kept.
    pub queries: Option<Arc<ScopedQueries>>,
    /// Counts what requests take of the memory.
    pub shares: Shares,
    /// What the audit log tells of what is asked and sent, beside its digests; `None`: there is none.
    pub audited: Option<Detail>,
}

impl<S> Layer<S> for Scope {
    type Service = Scoping<S>;

    fn layer(&self, next: S) -> Scoping<S> {
        Scoping { stage: Arc::new(self.clone()), next }
    }
}

/// The service of [`Scope`].
#[derive(Clone)]
pub struct Scoping<S> {
    stage: Arc<Scope>,
    next: S,
}

impl<S> Service<Authorized> for Scoping<S>
where
    S: Service<Sealed, Response = Reply, Error = Refused> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Refused;
    type Future = Either<Planned<S::Future>, Answering>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, request: Authorized) -> Self::Future {
        match self.stage.begin(request) {
            Err(refused) => Either::Left(Either::Left(ready(Err(refused)))),
            Ok((begun, None)) => Either::Left(self.finish(begun, None)),
            // Only a request with a body is waited for, and pays for the box.
            Ok((begun, Some(body))) => {
                let mut this = self.clone();
                Either::Right(Box::pin(async move {
                    let mut begun = begun;
                    match this.stage.body(&mut begun, body).await {
                        Ok(body) => this.finish(begun, Some(body)).await,
                        Err(rejection) => Err(begun.told.refuse(rejection)),
                    }
                }))
            }
        }
    }
}

/// What comes of a plan: an answer or a refusal at once, or what comes of sending it.
type Planned<F> = Either<Ready<Result<Reply, Refused>>, F>;

/// A request for an endpoint that there is, its body not read yet.
struct Begun {
    mount: Arc<Mount>,
    grant: Grant,
    matched: Matched,
    query: Option<String>,
    headers: HeaderMap,
    /// What it takes of the memory.
    memory: Permit,
    /// Of a live tail.
    opening: Option<Box<Opening>>,
    told: Told,
}

impl<S> Scoping<S>
where
    S: Service<Sealed, Response = Reply, Error = Refused>,
{
    fn finish(&mut self, mut begun: Begun, body: Option<Vec<u8>>) -> Planned<S::Future> {
        let mount = Arc::clone(&begun.mount);
        let answer_bytes = begun.grant.limits().and_then(|limits| limits.answer_bytes);
        let opening = begun.opening.take();
        let digests = match &self.stage.audited {
            None => Digests::default(),
            Some(detail) => {
                let query = begun.query.as_deref().unwrap_or("").as_bytes();
                let given = [query, body.as_deref().unwrap_or_default()];
                let text = detail.queries.then(|| asked(given));
                Digests { text, asked: Some(digest(given)), sent: None }
            }
        };
        let is_rpc = matches!(begun.matched.endpoint.methods, Methods::Grpc(_));
        let (plan, mut memory, mut told) = self.stage.plan(begun, body);
        told.digests = digests;
        if let (Some(_), Ok(Plan::Send(scoped))) = (&self.stage.audited, &plan) {
            let sent = scoped.calls().iter().flat_map(|call| [call.target().as_bytes(), call.body()]);
            told.digests.sent = Some(digest(sent));
        }
        Either::Left(ready(match plan {
            Ok(Plan::Send(scoped)) => {
                let sent =
                    scoped.calls().iter().map(|call| call.target().len().saturating_add(call.body().len()));
                let sent: usize = sent.sum();
                if sent > UNCOUNTED_BYTES && memory.hold(memory.units().saturating_add(sent)).is_err() {
                    return Either::Left(ready(Err(told.refuse(Rejection::NoMemory))));
                }
                let sealed = Sealed { mount, scoped, answer_bytes, memory, opening, told };
                return Either::Right(self.next.call(sealed));
            }
            Ok(Plan::Answer(fixed)) if is_rpc => match known(&fixed) {
                Ok(message) => Ok(told.reply(grpc::one(framed(&message)), Outcome::Static)),
                Err(rejection) => Err(told.refuse(rejection)),
            },
            Ok(Plan::Answer(fixed)) => {
                let content_type = HeaderValue::from_static(fixed.content_type);
                let response = answer(StatusCode::OK, content_type, full(fixed.body));
                Ok(told.reply(response, Outcome::Static))
            }
            Err(rejection) => Err(told.refuse(rejection)),
        }))
    }
}

impl Scope {
    /// Finds the endpoint. The order of this and what follows is a contract: path, method, content type, size,
    /// parameters. The body is given where it is to be read.
    fn begin(&self, request: Authorized) -> Result<(Begun, Option<Incoming>), Refused> {
        let Authorized { raw, mount, grant } = request;
        let Raw { site, tenant, method: given, path, query, is_call, headers, body, upgrade, mut told } = raw;
        let matched = match mount.backend.route(&path) {
            Ok(matched) => matched,
            Err(rejection) => {
                let elsewhere =
                    misplaced(mount.backend.kind, &path).map(|told| Rejection::Misplaced(told.into()));
                return Err(told.refuse(elsewhere.unwrap_or(rejection)));
            }
        };
        let is_rpc = matches!(matched.endpoint.methods, Methods::Grpc(_));
        if is_call && !is_rpc {
            return Err(told.refuse(Rejection::UnknownEndpoint));
        }
        told.endpoint = Some(matched.endpoint);
        let method = method(&given);
        let matched = match matched.by(mount.backend.kind, method) {
            Ok(matched) => matched,
            Err(rejection) => return Err(told.refuse(rejection)),
        };
        told.endpoint = Some(matched.endpoint);
        if is_call != is_rpc || (!is_rpc && grpc::is_named(&headers)) {
            return Err(told.refuse(Rejection::ContentType(
                "gRPC is spoken over HTTP/2, with `Content-Type: application/grpc`, on its own paths",
            )));
        }
        let body = match method {
            Some(api::Method::Post) => Some(body),
            _ if body.is_end_stream() => None,
            Some(api::Method::Delete) => {
                return Err(told.refuse(Rejection::Malformed("a DELETE has no body")));
            }
            _ => return Err(told.refuse(Rejection::Malformed("a GET has no body"))),
        };
        let opening = (matched.endpoint.treatment == Treatment::Tail).then(|| {
            let (query, headers) = (query.clone(), headers.clone());
            Box::new(Opening { upgrade, asked: tail::Asked { site, headers, tenant, path, query } })
        });
        let memory = self.shares.memory(&grant);
        Ok((Begun { mount, grant, matched, query, headers, memory, opening, told }, body))
    }

    fn plan(&self, begun: Begun, body: Option<Vec<u8>>) -> (Result<Plan, Rejection>, Permit, Told) {
        let Begun { mount, grant, matched, query, headers, memory, told, .. } = begun;
        let endpoint = matched.endpoint;
        let (form, body) = match form(endpoint, body) {
            Ok(read) => read,
            Err(rejection) => return (Err(rejection), memory, told),
        };
        let (parameters, body, message) = match endpoint.methods {
            Methods::Grpc(rpc) => {
                let message = body.unwrap_or_default();
                let read = call::parameters(endpoint, rpc, query.as_deref(), &message, &self.limits);
                (read, None, message)
            }
            _ => {
                let read = Parameters::read(endpoint, query.as_deref(), form.as_deref(), &self.limits);
                (read, body, Vec::new())
            }
        };
        let plan = parameters.and_then(|parameters| {
            if let Some(metrics) = self.metrics.backend(mount.index).and_then(|b| b.endpoint(Some(endpoint)))
            {
                metrics.dropped(parameters.dropped);
            }
            let (accept, carried) = (accept(&headers), carried(&headers)?);
            let asked = Asked { matched, parameters, body, accept, carried };
            let memory = self.queries.as_deref().map(|queries| queries as &dyn Memory);
            scope(&grant, &mount.backend, &asked, &self.limits, memory)
        });
        if let Err(Rejection::Query { error, .. }) = &plan
            && error.kind == QueryErrorKind::Defect
        {
            self.metrics.disagreement();
            // The query itself is the caller's; its digest tells who reports it that it is the same.
            let form = form.as_deref().unwrap_or("").as_bytes();
            let asked = [query.as_deref().unwrap_or("").as_bytes(), form, &message];
            let (backend, endpoint) = (mount.backend.name.as_str(), endpoint.name);
            tracing::error!(backend, endpoint, asked_sha256 = &*digest(asked), %error, "a scoped query failed its proof");
        }
        (plan, memory, told)
    }

    /// The body of a POST, read whole.
    async fn body(&self, begun: &mut Begun, body: Incoming) -> Result<Vec<u8>, Rejection> {
        let (methods, headers) = (begun.matched.endpoint.methods, &begun.headers);
        // A POST whose parameters are all in the URL: `ParseForm` of Go's `net/http` looks at no body then.
        if methods == Methods::GetPost && !headers.contains_key(CONTENT_TYPE) && body.is_end_stream() {
            return Ok(Vec::new());
        }
        let mut max = self.limits.body_bytes;
        let mut too_large = Rejection::body_too_large(max);
        match methods {
            Methods::Grpc(_) => {
                call::check_type(headers)?;
                (max, too_large) = (max.saturating_add(PREFIX_BYTES), call::too_large(&self.limits));
            }
            Methods::PostJson => body_type(headers, JSON)?,
            Methods::PostSnappy => body_type(headers, SNAPPY)?,
            Methods::Get | Methods::GetPost | Methods::Delete => body_type(headers, FORM)?,
        }
        if body.size_hint().lower() > max as u64 {
            return Err(too_large);
        }
        let read =
            tokio::time::timeout(self.body_timeout, read(Limited::new(body, max), &mut begun.memory)).await;
        read.map_err(|_| Rejection::SlowBody)?.map_err(|error| match error {
            _ if error.is::<LengthLimitError>() => too_large,
            _ if error.is::<Spent>() => Rejection::NoMemory,
            _ => Rejection::Malformed("the body is broken"),
        })
    }
}

/// The body, of which every byte is held of the memory twice: as it is, and as what is read out of it.
async fn read(
    body: Limited<Incoming>,
    memory: &mut Permit,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut body, mut read) = (std::pin::pin!(body), Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            memory.hold(2 * (read.len() + data.len()))?;
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}

/// A body as a form, where the endpoint takes one, or as it is.
fn form(endpoint: &Endpoint, body: Option<Vec<u8>>) -> Result<(Option<String>, Option<Vec<u8>>), Rejection> {
    match (endpoint.methods, body) {
        (Methods::GetPost, Some(body)) => {
            let text = String::from_utf8(body);
            text.map(|text| (Some(text), None))
                .map_err(|_| Rejection::Malformed("the body is not valid UTF-8"))
        }
        (_, body) => Ok((None, body)),
    }
}

/// The method, if some endpoint has it.
pub(super) fn method(given: &Method) -> Option<api::Method> {
    match *given {
        Method::GET => Some(api::Method::Get),
        Method::POST => Some(api::Method::Post),
        Method::DELETE => Some(api::Method::Delete),
        _ => None,
    }
}

/// A body that is accepted, and what is said where it is another.
struct Accepted {
    media_type: &'static str,
    coding: &'static str,
    why: &'static str,
}

const FORM: Accepted = Accepted {
    media_type: "application/x-www-form-urlencoded",
    coding: "identity",
    why: "send `Content-Type: application/x-www-form-urlencoded`",
};
const JSON: Accepted = Accepted {
    media_type: "application/json",
    coding: "identity",
    why: "send `Content-Type: application/json`",
};
const SNAPPY: Accepted = Accepted {
    media_type: REMOTE_READ,
    coding: "snappy",
    why: "send `Content-Type: application/x-protobuf` and `Content-Encoding: snappy`",
};

/// Accepts one media type, with `charset=utf-8` at most, in one coding. Whatever else a backend might
/// read as it, or might not, is refused.
fn body_type(headers: &HeaderMap, accepted: Accepted) -> Result<(), Rejection> {
    let refused = Rejection::ContentType(accepted.why);
    let mut given = headers.get_all(CONTENT_TYPE).into_iter();
    let (Some(first), None) = (given.next(), given.next()) else { return Err(refused) };
    let text = first.to_str().unwrap_or("").to_ascii_lowercase();
    let (media_type, parameter) = text.split_once(';').unwrap_or((&text, ""));
    let right = media_type.trim() == accepted.media_type
        && matches!(parameter.trim(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    let mut codings = headers.get_all(CONTENT_ENCODING).into_iter();
    let coded = match accepted.coding {
        "identity" => codings.all(|v| v == "identity"),
        coding => codings.next().is_some_and(|v| v == coding) && codings.next().is_none(),
    };
    match (right, coded) {
        (true, true) => Ok(()),
        (true, false) if accepted.coding == "identity" => {
            Err(Rejection::ContentType("send the body without `Content-Encoding`"))
        }
        _ => Err(refused),
    }
}

pub(super) fn carried(headers: &HeaderMap) -> Result<Carried, Rejection> {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    Ok(Carried {
        traceparent: text(TRACEPARENT).and_then(Traceparent::parse),
        gzip: accepts_gzip(headers),
        tenancy: None,
        categorize_labels: text(LOKI_FLAGS) == Some("categorize-labels"),
        utf8_names: text(ACCEPT).is_some_and(|accept| accept.contains("escaping=allow-utf-8")),
        patience: if grpc::is_named(headers) { call::patience(headers)? } else { None },
    })
}

/// Whether `Accept-Encoding` lists gzip without `q=0` (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|v| v.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Tempo answers traces as protobuf to who asks for it (`pkg/api/http.go`), and as JSON to all others.
fn accept(headers: &HeaderMap) -> Accept {
    let types = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let protobuf =
        types.split(',').any(|t| t.split(';').next().unwrap_or("").trim() == "application/protobuf");
    if protobuf { Accept::Protobuf } else { Accept::Json }
}
