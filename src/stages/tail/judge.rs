//! Whether what is served after a reload would open a tail that is open.

use super::super::authorize::Authorize;
use super::super::{Decision, Site};
use crate::api::{Method, Treatment};
use crate::auth::Verifier;
use crate::budget::Holder;
use crate::config;
use crate::limits::Limits;
use crate::request::{admit, read};
use crate::scope::{self, Plan};
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the keys of a new configuration's issuer may take. The tail stands still meanwhile.
const KEYS_TIMEOUT: Duration = Duration::from_secs(10);

/// What one snapshot says of tails that are open.
pub struct Judge {
    /// Which snapshot it is.
    pub generation: u64,
    /// Whose tokens it takes.
    pub verifier: Arc<Verifier<Decision>>,
    /// Its rules.
    pub authorize: Authorize,
    /// Its caps.
    pub limits: Arc<Limits>,
    /// Its backends.
    pub backends: Arc<[config::Backend]>,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// How a tail was asked for.
#[derive(Debug)]
pub struct Asked {
    /// Where.
    pub site: Arc<Site>,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The tenant that the path named before the mount.
    pub tenant: Option<String>,
    /// The path below the mount.
    pub path: String,
    /// The query of the URL.
    pub query: Option<String>,
}

/// How a tail was asked for, and what became of it.
#[derive(Debug)]
pub struct Sent {
    /// How it was asked for.
    pub asked: Asked,
    /// The backends as they were configured.
    pub backends: Arc<[config::Backend]>,
    /// The one of them that it was opened to.
    pub backend: String,
    /// The path and query that were sent.
    pub target: String,
}

impl Judge {
    /// For whom the tail is counted, if this snapshot would send just the same to just the same backend.
    pub async fn stands(&self, sent: &Sent) -> Option<Arc<[Holder]>> {
        let Sent { asked, backends, backend, target } = sent;
        // What changed of one may move what another holds.
        if self.backends != *backends {
            return None;
        }
        let verified = tokio::time::timeout(KEYS_TIMEOUT, self.verifier.verify(&asked.headers)).await;
        let granted = self.authorize.grant(
            &*verified.ok()?.ok()?,
            &asked.site,
            &admit::Asked {
                mount: &asked.site.name,
                kind: asked.site.kind,
                method: Some(Method::Get),
                path: &asked.path,
                headers: &asked.headers,
                tenant: asked.tenant.as_deref(),
            },
        );
        let (mount, grant) = granted.ok().filter(|(mount, _)| mount.backend.name == *backend)?;
        let backend = &mount.backend;
        let matched =
            read::find(backend, &asked.path, false).ok()?.by(backend.kind, Some(Method::Get)).ok()?;
        if matched.endpoint.treatment != Treatment::Tail {
            return None;
        }
        let again =
            read::read(matched, asked.query.as_deref(), &mut None, &asked.headers, &self.limits).ok()?;
        match scope::scope(&grant, backend, &again, &self.limits, None).ok()? {
            Plan::Send(scoped) if scoped.calls().iter().map(|call| call.target()).eq([target.as_str()]) => {
                Some(self.authorize.shares.tail_holders(&grant))
            }
            _ => None,
        }
    }
}
