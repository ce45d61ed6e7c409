//! A fake issuer on loopback: discovery document, key set, counted requests, and ways to fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub use super::signing::{SigningKey, jwks};

use bytes::Bytes;
use http::header::LOCATION;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use palisade::auth::config::{Algorithm, Issuer, KeySource, TokenHeader};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The key that an issuer has at first. RSA keys take long to make, so all issuers share it.
static FIRST_KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(SigningKey::rsa("first")));

/// An issuer with one realm, `acme`. It ends with its value.
pub struct FakeIssuer {
    url: String,
    key: Mutex<Arc<SigningKey>>,
    state: Arc<State>,
    server: JoinHandle<()>,
}

/// What the issuer says, and what it was asked.
struct State {
    discovery: Mutex<Answer>,
    jwks: Mutex<Answer>,
    discovery_requests: AtomicUsize,
    jwks_requests: AtomicUsize,
    other_requests: AtomicUsize,
}

/// How a document is answered.
#[derive(Clone)]
pub enum Answer {
    /// With 200 and this.
    Json(Value),
    /// With 200 and these bytes.
    Bytes(Bytes),
    /// With this status and no body.
    Status(u16),
    /// With a redirect to this place.
    Redirect(String),
    /// Not within the time of a test.
    Never,
    /// With this, after a while.
    Later(Duration, Value),
}

impl FakeIssuer {
    /// Starts an issuer with one RSA key, named `first`.
    pub async fn start() -> Self {
        Self::start_at(None).await
    }

    /// Starts one that speaks TLS.
    pub async fn start_tls(tls: TlsAcceptor) -> Self {
        Self::start_at(Some(tls)).await
    }

    async fn start_at(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/realms/acme", listener.local_addr().unwrap());
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/protocol/openid-connect/certs")});
        let state = Arc::new(State {
            discovery: Mutex::new(Answer::Json(discovery)),
            jwks: Mutex::new(Answer::Json(jwks([&**FIRST_KEY]))),
            discovery_requests: AtomicUsize::new(0),
            jwks_requests: AtomicUsize::new(0),
            other_requests: AtomicUsize::new(0),
        });
        let server = tokio::spawn(serve(listener, tls, Arc::clone(&state)));
        Self { url, key: Mutex::new(Arc::clone(&FIRST_KEY)), state, server }
    }

    /// What `iss` says.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the key set.
    pub fn jwks_url(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.url)
    }

    /// Settings that trust this issuer, with the audience `palisade`.
    pub fn settings(&self) -> Issuer {
        Issuer {
            url: self.url.clone(),
            keys: KeySource::Discovery,
            audiences: vec!["palisade".to_owned()],
            header: TokenHeader::default(),
            authorized_parties: Vec::new(),
            required_claims: BTreeMap::new(),
            validation_rules: Vec::new(),
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
            skew: Duration::from_secs(30),
            insecure_http: false,
            ca: None,
        }
    }

    /// The key that signs now.
    pub fn key(&self) -> Arc<SigningKey> {
        Arc::clone(&self.key.lock().unwrap())
    }

    /// Signs with a new P-256 key from now on, and publishes that one only.
    pub fn rotate(&self, kid: &str) {
        let key = Arc::new(SigningKey::p256(kid));
        self.answer_jwks(Answer::Json(jwks([&*key])));
        *self.key.lock().unwrap() = key;
    }

    /// Claims as Keycloak writes them, for five minutes from now, for `palisade`, of this tenant.
    pub fn claims(&self, tenant: &str) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        json!({
            "iss": self.url, "sub": format!("user-of-{tenant}"), "aud": "palisade", "azp": "grafana",
            "typ": "Bearer", "iat": now, "exp": now + 300, "tenant": tenant,
        })
    }

    /// A good token of this tenant.
    pub fn token(&self, tenant: &str) -> String {
        self.key().token(&self.claims(tenant))
    }

    /// Grafana as an issuer of its own, for organization 2, and its line in `issuers`.
    pub async fn grafana() -> (Self, String) {
        let grafana = Self::start().await;
        grafana.rotate("id");
        let (url, keys) = (grafana.url(), grafana.jwks_url());
        let line = format!(
            "  - {{ url: \"{url}\", jwks_url: \"{keys}\", audiences: [\"org:2\"], header: x-grafana-id, algorithms: [ES256] }}"
        );
        (grafana, line)
    }

    /// A good token as Grafana signs it, of this tenant.
    pub fn grafana_id(&self, tenant: &str) -> String {
        let mut claims = self.claims(tenant);
        claims["aud"] = json!(["org:2"]);
        claims.as_object_mut().unwrap().remove("typ");
        self.key().token(&claims)
    }

    /// From now on the discovery document is answered like this.
    pub fn answer_discovery(&self, answer: Answer) {
        *self.state.discovery.lock().unwrap() = answer;
    }

    /// From now on the key set is answered like this.
    pub fn answer_jwks(&self, answer: Answer) {
        *self.state.jwks.lock().unwrap() = answer;
    }

    /// How often the discovery document was asked for.
    pub fn discovery_requests(&self) -> usize {
        self.state.discovery_requests.load(Ordering::SeqCst)
    }

    /// How often the key set was asked for.
    pub fn jwks_requests(&self) -> usize {
        self.state.jwks_requests.load(Ordering::SeqCst)
    }

    /// How often anything else was asked for.
    pub fn other_requests(&self) -> usize {
        self.state.other_requests.load(Ordering::SeqCst)
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        let service = service_fn(move |request| answer(Arc::clone(&state), request));
        let http = hyper::server::conn::http1::Builder::new();
        tokio::spawn(async move {
            let _ = match tls {
                None => http.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
            };
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (count, answer) = match request.uri().path() {
        "/realms/acme/.well-known/openid-configuration" => (&state.discovery_requests, &state.discovery),
        "/realms/acme/protocol/openid-connect/certs" => (&state.jwks_requests, &state.jwks),
        _ => {
            state.other_requests.fetch_add(1, Ordering::SeqCst);
            return Ok(status(StatusCode::NOT_FOUND));
        }
    };
    count.fetch_add(1, Ordering::SeqCst);
    drop(request.into_body().collect().await);
    let answer = answer.lock().unwrap().clone();
    Ok(match answer {
        Answer::Json(value) => Response::new(Full::from(value.to_string())),
        Answer::Bytes(bytes) => Response::new(Full::from(bytes)),
        Answer::Status(code) => status(StatusCode::from_u16(code).unwrap()),
        Answer::Redirect(place) => {
            let mut response = status(StatusCode::FOUND);
            response.headers_mut().insert(LOCATION, place.parse().unwrap());
            response
        }
        Answer::Never => std::future::pending().await,
        Answer::Later(pause, value) => {
            tokio::time::sleep(pause).await;
            Response::new(Full::from(value.to_string()))
        }
    })
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}
