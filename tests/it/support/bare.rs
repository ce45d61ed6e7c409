//! Palisade with backends of a test's own.

use super::issuer::FakeIssuer;
use super::proxy::{Answered, POLICY, exchange};
use palisade::config::Config;
use palisade::policy::Policies;
use palisade::server::{Running, StartFault, start};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A running Palisade.
pub struct Bare {
    /// Who issues its tokens.
    pub issuer: FakeIssuer,
    /// The server.
    pub running: Running,
    /// Its configuration.
    pub config: Config,
    /// Its rules.
    pub policies: Arc<Policies>,
}

impl Bare {
    /// Starts it with what `backends` holds, its files in `folder`.
    pub async fn start(folder: &Path, backends: &str) -> Self {
        Self::try_start(folder, backends, "listen: [{ address: 127.0.0.1:0 }]", POLICY).await.unwrap()
    }

    /// Starts it with these listeners and rules, too.
    pub async fn try_start(
        folder: &Path,
        backends: &str,
        more: &str,
        rules: &str,
    ) -> Result<Self, StartFault> {
        let issuer = FakeIssuer::start().await;
        let text = format!(
            "admin: {{ address: 127.0.0.1:0 }}
issuers: [{{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade], algorithms: [RS256] }}]
policies: policies
{more}
backends:
{backends}
",
            issuer.url(),
            issuer.jwks_url(),
        );
        let config = Config::parse("test.yaml", &text, folder).unwrap_or_else(|e| panic!("{e}"));
        let rules = ("test.yaml".to_owned(), rules.to_owned());
        let policies = Policies::compile(&[rules], &config.limits).unwrap_or_else(|e| panic!("{e}"));
        let policies = Arc::new(policies);
        let running = start(&config, Arc::clone(&policies)).await?;
        let bare = Self { issuer, running, config, policies };
        for _ in 0..500 {
            if exchange(&bare.running.admin.to_string(), "GET", "/readyz", &[], "").await.status == 200 {
                return Ok(bare);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never ready");
    }

    /// Serves the same configuration, out of the files as they are now.
    pub async fn reload(&mut self) -> Result<(), StartFault> {
        self.running.reload(&self.config, Arc::clone(&self.policies)).await?;
        // Each worker takes the new doors when it comes to it.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    }

    /// The header line of a caller with these claims.
    pub fn caller(&self, claims: &Value) -> String {
        let mut all = self.issuer.claims("none");
        all.as_object_mut().unwrap().remove("tenant");
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        format!("Authorization: Bearer {}", self.issuer.key().token(&all))
    }

    /// A request on the first listener by a caller with these claims.
    pub async fn send(&self, claims: &Value, method: &str, target: &str, headers: &[&str]) -> Answered {
        self.send_to(0, claims, method, target, headers).await
    }

    /// A request on that listener.
    pub async fn send_to(
        &self,
        listener: usize,
        claims: &Value,
        method: &str,
        target: &str,
        headers: &[&str],
    ) -> Answered {
        let caller = self.caller(claims);
        let all: Vec<&str> = [caller.as_str()].into_iter().chain(headers.iter().copied()).collect();
        exchange(&self.running.addresses[listener].to_string(), method, target, &all, "").await
    }

    /// GET by `acme-books`.
    pub async fn get(&self, target: &str) -> Answered {
        self.send(&serde_json::json!({ "tenant": "acme-books" }), "GET", target, &[]).await
    }
}
