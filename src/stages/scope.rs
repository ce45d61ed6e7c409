//! Reading the request, and the scope into it.

use super::tail::{self, Opening};
use super::{Answering, Authorized, Mount, Raw, Refused, Reply, ScopedQueries, Sealed, Shares, Told};
use crate::api::path::Matched;
use crate::api::{self, Methods, Treatment};
use crate::budget::{Permit, Spent};
use crate::events::audit::{Detail, Digests, asked, digest};
use crate::events::{Metrics, Outcome};
use crate::lang::QueryErrorKind;
use crate::limits::Limits;
use crate::policy::Grant;
use crate::rejection::Rejection;
use crate::request;
use crate::request::read::{check_form, find, read};
use crate::respond::{answer, full, grpc};
use crate::scope::grpc::frame::framed;
use crate::scope::reply::known;
use crate::scope::{Memory, Plan, scope};
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
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
            Ok((begun, None)) if !begun.takes_long(None) => Either::Left(self.finish(begun, None)),
            Ok((begun, None)) => {
                let this = self.clone();
                Either::Right(Box::pin(this.finish_elsewhere(begun, None)))
            }
            // Only a request with a body is waited for, and pays for the box.
            Ok((begun, Some(body))) => {
                let mut this = self.clone();
                Either::Right(Box::pin(async move {
                    let mut begun = begun;
                    match this.stage.body(&mut begun, body).await {
                        Ok(body) if begun.takes_long(Some(&body)) => {
                            this.finish_elsewhere(begun, Some(body)).await
                        }
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

impl Begun {
    /// Whether reading, scoping and proving it could keep a worker from others: the scope may stand at every other byte.
    fn takes_long(&self, body: Option<&[u8]>) -> bool {
        let text = self.query.as_deref().map_or(0, str::len).saturating_add(body.map_or(0, <[u8]>::len));
        let values = self.grant.scope().dimensions().values().flat_map(|values| values.iter());
        let scope: usize = values.map(|value| value.as_str().len().saturating_add(1)).sum();
        (text / 2).saturating_mul(scope.saturating_add(16)) > SHORT_BYTES
    }
}

/// Bytes of scoped text that a worker may make at once: it takes some milliseconds.
const SHORT_BYTES: usize = 128 * 1024;

/// What is known of a request before its plan.
struct Before {
    mount: Arc<Mount>,
    answer_bytes: Option<u64>,
    opening: Option<Box<Opening>>,
    digests: Digests,
    is_rpc: bool,
}

impl<S> Scoping<S>
where
    S: Service<Sealed, Response = Reply, Error = Refused>,
{
    fn finish(&mut self, mut begun: Begun, body: Option<Vec<u8>>) -> Planned<S::Future> {
        let before = self.before(&mut begun, body.as_deref());
        let planned = self.stage.plan(begun, body);
        self.planned(before, planned)
    }

    /// As [`Self::finish`], on a thread that serves no other request meanwhile.
    async fn finish_elsewhere(mut self, mut begun: Begun, body: Option<Vec<u8>>) -> Result<Reply, Refused> {
        let before = self.before(&mut begun, body.as_deref());
        let stage = Arc::clone(&self.stage);
        match tokio::task::spawn_blocking(move || stage.plan(begun, body)).await {
            Ok(planned) => self.planned(before, planned).await,
            // Where a panic is caught, it is told.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn before(&self, begun: &mut Begun, body: Option<&[u8]>) -> Before {
        let mount = Arc::clone(&begun.mount);
        let answer_bytes = begun.grant.limits().and_then(|limits| limits.answer_bytes);
        let opening = begun.opening.take();
        let digests = match &self.stage.audited {
            None => Digests::default(),
            Some(detail) => {
                let query = begun.query.as_deref().unwrap_or("").as_bytes();
                let given = [query, body.unwrap_or_default()];
                let text = detail.queries.then(|| asked(given));
                Digests { text, asked: Some(digest(given)), sent: None }
            }
        };
        let is_rpc = matches!(begun.matched.endpoint.methods, Methods::Grpc(_));
        Before { mount, answer_bytes, opening, digests, is_rpc }
    }

    fn planned(
        &mut self,
        before: Before,
        (plan, mut memory, mut told): (Result<Plan, Rejection>, Permit, Told),
    ) -> Planned<S::Future> {
        let Before { mount, answer_bytes, opening, digests, is_rpc } = before;
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
        let matched = match find(&mount.backend, &path, is_call) {
            Ok(matched) => matched,
            Err(rejection) => return Err(told.refuse(rejection)),
        };
        told.endpoint = Some(matched.endpoint);
        let method = method(&given);
        let matched = match matched.by(mount.backend.kind, method) {
            Ok(matched) => matched,
            Err(rejection) => return Err(told.refuse(rejection)),
        };
        told.endpoint = Some(matched.endpoint);
        let form = (is_call, !body.is_end_stream());
        if let Err(rejection) = check_form(matched.endpoint, method, &headers, form) {
            return Err(told.refuse(rejection));
        }
        let body = (method == Some(api::Method::Post)).then_some(body);
        let opening = (matched.endpoint.treatment == Treatment::Tail).then(|| {
            let (query, headers) = (query.clone(), headers.clone());
            Box::new(Opening { upgrade, asked: tail::Asked { site, headers, tenant, path, query } })
        });
        let memory = self.shares.memory(&grant);
        Ok((Begun { mount, grant, matched, query, headers, memory, opening, told }, body))
    }

    fn plan(&self, begun: Begun, body: Option<Vec<u8>>) -> (Result<Plan, Rejection>, Permit, Told) {
        let Begun { mount, grant, matched, query, headers, memory, told, .. } = begun;
        let (endpoint, mut body) = (matched.endpoint, body);
        let asked = read(matched, query.as_deref(), &mut body, &headers, &self.limits);
        let plan = asked.and_then(|asked| {
            if let Some(metrics) = self.metrics.backend(mount.index).and_then(|b| b.endpoint(Some(endpoint)))
            {
                metrics.dropped(asked.parameters.dropped);
            }
            let memory = self.queries.as_deref().map(|queries| queries as &dyn Memory);
            scope(&grant, &mount.backend, &asked, &self.limits, memory)
        });
        if let Err(Rejection::Query { error, .. }) = &plan
            && error.kind == QueryErrorKind::Defect
        {
            self.metrics.disagreement();
            // The query itself is the caller's; its digest tells who reports it that it is the same.
            let asked = [query.as_deref().unwrap_or("").as_bytes(), body.as_deref().unwrap_or_default()];
            let (backend, endpoint) = (mount.backend.name.as_str(), endpoint.name);
            tracing::error!(backend, endpoint, asked_sha256 = &*digest(asked), %error, "a scoped query failed its proof");
        }
        (plan, memory, told)
    }

    /// The body of a POST, read whole.
    async fn body(&self, begun: &mut Begun, body: Incoming) -> Result<Vec<u8>, Rejection> {
        let taken =
            request::read::body(begun.matched.endpoint, &begun.headers, body.is_end_stream(), &self.limits);
        let Some((max, too_large)) = taken? else { return Ok(Vec::new()) };
        if body.size_hint().lower() > max as u64 {
            return Err(too_large);
        }
        let read =
            tokio::time::timeout(self.body_timeout, whole(Limited::new(body, max), &mut begun.memory)).await;
        read.map_err(|_| Rejection::SlowBody)?.map_err(|error| match error {
            _ if error.is::<LengthLimitError>() => too_large,
            _ if error.is::<Spent>() => Rejection::NoMemory,
            _ => Rejection::Malformed("the body is broken"),
        })
    }
}

/// The body, of which every byte is held of the memory twice: as it is, and as what is read out of it.
async fn whole(
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

/// The method, if some endpoint has it.
pub(super) fn method(given: &Method) -> Option<api::Method> {
    match *given {
        Method::GET => Some(api::Method::Get),
        Method::POST => Some(api::Method::Post),
        Method::DELETE => Some(api::Method::Delete),
        _ => None,
    }
}
