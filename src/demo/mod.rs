//! `palisade demo`: an issuer, backends with two tenants' data, and Palisade in front of them, all in this
//! process and on loopback.
//!
//! `issuer` is who signs tokens, `data` and `spans` what the backends hold, `prometheus`, `loki`, `tempo` and
//! `alertmanager` how they answer, `vector`, `select` and `time` what these share, `http` the server under all
//! five. `script` is what the demo asks, `print` shows it, `check` asks it, `facts` reads the answers.

pub mod alertmanager;
pub mod check;
pub mod data;
pub mod facts;
pub mod http;
pub mod issuer;
pub mod loki;
pub mod print;
pub mod prometheus;
pub mod script;
pub mod select;
pub mod spans;
pub mod tempo;
pub mod time;
pub mod vector;

use crate::config::{Config, ConfigError};
use crate::limits::Limits;
use crate::policy::Policies;
use crate::server::{self, Running, StartFault};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data::Bookstore;
use http::{Listening, Service};
use issuer::{ALICE, AUDIENCE, BOB, Issuer, KeyError};
use script::{Backend, Line, Place, Who};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// The rule that the demo's Palisade applies.
const POLICY: &str = include_str!("../../policies/examples/tenant-claim/tenant-claim.yaml");

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where Palisade listens.
    pub listen: Vec<SocketAddr>,
    /// A Prometheus to use instead of the embedded one.
    pub prometheus: Option<String>,
    /// A Loki to use instead of the embedded one.
    pub loki: Option<String>,
    /// A Tempo to use instead of the embedded one.
    pub tempo: Option<String>,
    /// An Alertmanager to use instead of the embedded one.
    pub alertmanager: Option<String>,
}

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DemoFault {
    /// No port on loopback.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[from] std::io::Error),
    /// No key for the issuer.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The configuration that was made of the options is refused: an option is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Palisade cannot start.
    #[error(transparent)]
    Start(#[from] StartFault),
}

/// The demo, running until it is dropped.
#[derive(Debug)]
pub struct Demo {
    /// Palisade.
    pub palisade: Running,
    issuer: String,
    tokens: [String; 2],
    backends: [Standing; 4],
    _issuer: Listening,
}

/// One backend.
#[derive(Debug)]
struct Standing {
    url: String,
    /// The server, if it is an embedded one.
    embedded: Option<Listening>,
}

impl Standing {
    async fn new(given: Option<String>, service: Arc<dyn Service>) -> Result<Self, DemoFault> {
        if let Some(url) = given {
            return Ok(Self { url, embedded: None });
        }
        let listening = http::serve(http::bind().await?, service)?;
        Ok(Self { url: format!("http://{}", listening.address), embedded: Some(listening) })
    }
}

impl Demo {
    /// Starts everything.
    ///
    /// # Errors
    /// The first thing that cannot be had.
    pub async fn start(options: Options) -> Result<Self, DemoFault> {
        let listener = http::bind().await?;
        let issuer = Issuer::new(&format!("http://{}", listener.local_addr()?))?;
        let url = issuer.url().to_owned();
        let scope = "email profile";
        let tokens = [issuer.token(&ALICE, scope)?, issuer.token(&BOB, scope)?];
        let issuing = http::serve(listener, Arc::new(issuer))?;
        let store = Bookstore::new(time::now);
        let backends = [
            Standing::new(options.prometheus, Arc::new(prometheus::Prometheus::new(store))).await?,
            Standing::new(options.loki, Arc::new(loki::Loki::new(store))).await?,
            Standing::new(options.tempo, Arc::new(tempo::Tempo::new(store))).await?,
            Standing::new(options.alertmanager, Arc::new(alertmanager::Alertmanager::new(store))).await?,
        ];
        let urls = backends.each_ref().map(|b| b.url.as_str());
        let config = Config::parse("demo.yaml", &configuration(&options.listen, &url, urls), Path::new(""))?;
        let policies = [("tenant-claim.yaml".to_owned(), POLICY.to_owned())];
        let policies = Policies::compile(&policies, &Limits::default())?;
        let palisade = server::start(&config, policies).await?;
        Ok(Self { palisade, issuer: url, tokens, backends, _issuer: issuing })
    }

    /// The requests that the demo shows: of a backend that is not embedded, those that mean something there.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = script::lines(time::now());
        lines.retain(|line| !line.embedded || self.is_embedded(line.place));
        lines
    }

    /// The URL below which `place` is.
    pub fn base(&self, place: Place) -> String {
        match place {
            Place::Palisade(backend) => {
                let address = self.palisade.addresses.first().map(ToString::to_string).unwrap_or_default();
                format!("http://{address}/{}", backend.name())
            }
            Place::Direct(backend) => self.standing(backend).url.clone(),
            Place::Issuer => self.issuer.clone(),
            Place::Control => {
                let address = self.palisade.control.map(|address| address.to_string()).unwrap_or_default();
                format!("http://{address}")
            }
        }
    }

    /// Whether what answers there is this process with its own data.
    pub fn is_embedded(&self, place: Place) -> bool {
        match place {
            Place::Palisade(backend) | Place::Direct(backend) => self.standing(backend).embedded.is_some(),
            Place::Issuer | Place::Control => true,
        }
    }

    /// The token of `who`, of the time of the start.
    pub fn token(&self, who: Who) -> Option<String> {
        let [a, b] = &self.tokens;
        match who {
            Who::A => Some(a.clone()),
            Who::B => Some(b.clone()),
            Who::Forger => forged(a),
            Who::Nobody => None,
        }
    }

    fn standing(&self, backend: Backend) -> &Standing {
        let [prometheus, loki, tempo, alertmanager] = &self.backends;
        match backend {
            Backend::Prometheus => prometheus,
            Backend::Loki => loki,
            Backend::Tempo => tempo,
            Backend::Alertmanager => alertmanager,
        }
    }
}

/// `token` of A with B in its claims, and the signature as it was.
fn forged(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let claims = URL_SAFE_NO_PAD.encode(claims.replace(ALICE.tenant, BOB.tenant));
    Some(format!("{header}.{claims}.{signature}"))
}

/// The configuration of the demo's Palisade. A backend that the operator names on the command line may be
/// reached over plain HTTP.
fn configuration(listen: &[SocketAddr], issuer: &str, urls: [&str; 4]) -> String {
    let mut listeners = Vec::new();
    for address in listen {
        listeners.push(json!({"address": address.to_string()}));
    }
    let backend = |url: &str, label: &str| json!({"url": url, "labels": {"tenant": label}, "insecure_http": url.starts_with("http:")});
    let [prometheus, loki, tempo, alertmanager] = urls;
    // JSON is YAML.
    let config: Json = json!({
        "listen": listeners,
        "admin": {"address": "127.0.0.1:0", "control": "127.0.0.1:0"},
        "issuers": [{"url": issuer, "audiences": [AUDIENCE], "algorithms": ["RS256"]}],
        "backends": {
            "prometheus": backend(prometheus, "tenant"),
            "loki": backend(loki, "tenant"),
            "tempo": backend(tempo, "resource.tenant"),
            "alertmanager": backend(alertmanager, "tenant"),
        },
        "policies": "policies",
    });
    config.to_string()
}
