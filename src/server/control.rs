//! What an operator may ask of a running server: everything under `/-/`.
//!
//! It is there only if the configuration says so, and then for who stands on the same machine, or shows a token,
//! or both. `guard` keeps out what a browser could be made to send, `page` is the page for people, `listen` the
//! socket where none but this machine's programs come.

pub(super) mod guard;
pub(super) mod listen;
mod page;

use super::explain::{Judges, Question};
use crate::auth::Verifier;
use crate::limits::Limits;
use crate::policy::Policies;
use crate::respond::{Body, full};
use crate::scope::Backend;
use crate::stages::Decision;
use arc_swap::ArcSwap;
use guard::AdminToken;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use page::Page;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Below it is everything that an operator may ask.
pub(super) const ROOT: &str = "/-/";
/// Bytes of a request's body: a token, claims and a form fit.
const BODY_BYTES: usize = 2 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a reload may take: longer than new issuers may take to give their keys.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// What a server stands on now: replaced as a whole by a reload.
pub(super) struct Standing {
    /// Verifies tokens.
    pub verifier: Arc<Verifier<Decision>>,
    /// The rules.
    pub policies: Arc<Policies>,
    /// The backends.
    pub backends: Vec<Backend>,
    /// The caps.
    pub limits: Limits,
    /// What every request must have, if it must.
    pub token: Option<AdminToken>,
}

/// The wish to read everything again, to be granted by whoever knows where it is written.
#[derive(Debug)]
pub struct Reload(oneshot::Sender<Reloaded>);

/// What came of a reload: what changed, a line each, or why nothing did.
pub type Reloaded = Result<Vec<String>, String>;

impl Reload {
    /// Tells who wished for it.
    pub fn tell(self, outcome: Reloaded) {
        // Whoever asked may be gone.
        let _ = self.0.send(outcome);
    }
}

/// Answers what is below `/-/`. Cheap to clone.
#[derive(Clone)]
pub(super) struct Control(Arc<Parts>);

struct Parts {
    standing: Arc<ArcSwap<Standing>>,
    reloads: mpsc::Sender<Reload>,
    page: Page,
}

/// The body of `POST /-/explain`.
#[derive(Deserialize)]
struct ExplainBody {
    admin_token: Option<String>,
    #[serde(flatten)]
    question: Value,
}

/// The body of `POST /-/reload`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadBody {
    admin_token: Option<String>,
}

/// A status, and what is said with it.
type Refusal = (StatusCode, String);

impl Control {
    /// Explains by what `standing` holds, and hands wishes for a reload to `reloads`.
    pub fn new(standing: Arc<ArcSwap<Standing>>, reloads: mpsc::Sender<Reload>) -> Self {
        Self(Arc::new(Parts { standing, reloads, page: Page::new() }))
    }

    /// The answer to a request below `/-/`.
    pub async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let answered = self.dispatch(request).await;
        let mut response =
            answered.unwrap_or_else(|(status, text)| json_of(status, &json!({ "error": text })));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn dispatch(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        guard::place(request.headers())?;
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/-/explain") => {
                let standing = self.0.standing.load();
                Ok(self.0.page.answer(&standing.backends, standing.token.is_some()))
            }
            (&Method::POST, "/-/explain") => self.explain(request).await,
            (&Method::POST, "/-/reload") => self.reload(request).await,
            (_, "/-/explain") => Ok(not_allowed("GET, POST")),
            (_, "/-/reload") => Ok(not_allowed("POST")),
            _ => Err((StatusCode::NOT_FOUND, "not found".to_owned())),
        }
    }

    async fn explain(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let ExplainBody { admin_token, question } = body(request).await?;
        let standing = self.0.standing.load_full();
        guard::token(standing.token.as_ref(), admin_token.as_deref())?;
        let bad = |text: String| (StatusCode::BAD_REQUEST, text);
        let question: Question = serde_json::from_value(question).map_err(|e| bad(e.to_string()))?;
        let Standing { verifier, policies, backends, limits, .. } = &*standing;
        let explained =
            question.answer(Judges { policies, backends, limits }, verifier).await.map_err(bad)?;
        Ok(json_of(StatusCode::OK, &explained.json()))
    }

    async fn reload(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let ReloadBody { admin_token } = body(request).await?;
        guard::token(self.0.standing.load().token.as_ref(), admin_token.as_deref())?;
        let (wish, told) = oneshot::channel();
        let busy = || (StatusCode::CONFLICT, "a reload is under way, try again later".to_owned());
        self.0.reloads.try_send(Reload(wish)).map_err(|_| busy())?;
        let late =
            || (StatusCode::SERVICE_UNAVAILABLE, "the reload did not end in time, see the log".to_owned());
        match tokio::time::timeout(RELOAD_TIMEOUT, told).await {
            Ok(Ok(Ok(changes))) => {
                Ok(json_of(StatusCode::OK, &json!({ "reloaded": true, "changes": changes })))
            }
            Ok(Ok(Err(fault))) => {
                let told = json!({ "reloaded": false, "error": fault });
                Ok(json_of(StatusCode::UNPROCESSABLE_ENTITY, &told))
            }
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }
}

/// The body, read whole and as JSON.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    guard::json(request.headers())?;
    let read =
        tokio::time::timeout(BODY_TIMEOUT, Limited::new(request.into_body(), BODY_BYTES).collect()).await;
    let read =
        read.map_err(|_| (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned()))?;
    let bytes = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => (StatusCode::PAYLOAD_TOO_LARGE, format!("bytes of the body over the limit of {BODY_BYTES}")),
        false => (StatusCode::BAD_REQUEST, "the body is broken".to_owned()),
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn json_of(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(full(format!("{value}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn not_allowed(allow: &'static str) -> Response<Body> {
    let told = json!({ "error": format!("method not allowed, use {allow}") });
    let mut response = json_of(StatusCode::METHOD_NOT_ALLOWED, &told);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
