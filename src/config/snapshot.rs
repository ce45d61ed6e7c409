//! All that decides what a server does, read and checked at once: to start with, or to replace another by.

use super::{Backend, Config, ConfigError};
use crate::cases::{self, Report};
use crate::policy::Policies;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration with its policies, and what came of their cases. Never changed: what is read later is
/// another one.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration.
    pub config: Config,
    /// The policies.
    pub policies: Arc<Policies>,
    /// What came of the cases.
    pub report: Report,
    /// A digest of each certificate, key and secret.
    files: BTreeMap<PathBuf, Box<[u8]>>,
}

impl Snapshot {
    /// Reads the configuration at `path` and its policies, and runs the policies' cases.
    ///
    /// # Errors
    /// A file that cannot be used. Cases that fail are told in the report, see [`Snapshot::usable`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config = Config::load(path)?;
        let policies = Policies::load(&config.policies, &config.limits)?;
        let backends: Vec<_> = config.backends.iter().map(Backend::scoped).collect();
        let report = cases::run_folder(&config.policies, &policies, &backends, &config.limits)?;
        let files = super::watch::digests(&config);
        Ok(Self { config, policies: Arc::new(policies), report, files })
    }

    /// The snapshot, if every case of its policies holds.
    ///
    /// # Errors
    /// What is to be told where one does not: nothing of such a snapshot may be served.
    pub fn usable(self) -> Result<Self, String> {
        if self.report.failures.is_empty() {
            return Ok(self);
        }
        let failures: Vec<String> = self.report.failures.iter().map(ToString::to_string).collect();
        Err(format!("policies whose cases fail are not loaded\n{}", failures.join("\n")))
    }

    /// What differs from `before`, one line each; none: both do the same.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let (new, old) = (&self.config, &before.config);
        let parts = [
            ("listen", new.listen != old.listen),
            ("admin", new.admin != old.admin),
            ("issuers", new.issuers != old.issuers),
            ("service_accounts", new.service_accounts != old.service_accounts),
            ("limits", new.limits != old.limits),
            ("limits.request_timeout", new.request_timeout != old.request_timeout),
            ("limits.concurrent_requests", new.concurrent_requests != old.concurrent_requests),
            ("tail", new.tails.origins != old.tails.origins),
            ("cors", new.cors_origins != old.cors_origins),
            ("limits.concurrent_tails", new.tails.concurrent != old.tails.concurrent),
            ("limits.tail_message_bytes", new.tails.message_bytes != old.tails.message_bytes),
            ("cache_salt_file", new.cache_salt_file != old.cache_salt_file),
            ("audit", new.audit != old.audit),
            ("scoped_query_cache_bytes", new.scoped_query_cache_bytes != old.scoped_query_cache_bytes),
        ];
        let changed = parts.into_iter().filter(|(_, differs)| *differs);
        let mut changes: Vec<String> = changed.map(|(key, _)| format!("`{key}` changed")).collect();
        for backend in &new.backends {
            match old.backend(&backend.name) {
                None => changes.push(format!("backend `{}` added", backend.name)),
                Some(earlier) if earlier != backend => {
                    changes.push(format!("backend `{}` changed", backend.name));
                }
                Some(_) => {}
            }
        }
        let removed = old.backends.iter().filter(|backend| new.backend(&backend.name).is_none());
        changes.extend(removed.map(|backend| format!("backend `{}` removed", backend.name)));
        changes.extend(self.policies.changes_since(&before.policies));
        for (file, digest) in &self.files {
            // One that is named anew is a change of what names it.
            if before.files.get(file).is_some_and(|earlier| earlier != digest) {
                changes.push(format!("file `{}` changed", file.display()));
            }
        }
        changes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const CONFIG: &str = "listen: [{ address: 127.0.0.1:8080 }]
admin: { address: 127.0.0.1:9095 }
issuers: [{ url: https://sso.example.org, audiences: [palisade] }]
backends:
  loki: { url: http://127.0.0.1:3100, labels: { tenant: tenant } }
  tempo: { url: http://127.0.0.1:3200, labels: { tenant: resource.tenant } }
policies: policies
";
    const RULES: &str = "rules:
  - { name: a, scope: { tenant: claims.a } }
  - { name: b, scope: { tenant: claims.b }, limits: { points: 5 } }
";

    fn snapshot(config: &str, rules: &str, cases: &str) -> Snapshot {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        for (name, text) in [("c.yaml", config), ("policies/p.yaml", rules), ("policies/p.cases.yaml", cases)]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Snapshot::load(&folder.path().join("c.yaml")).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn what_changed_is_told_by_key_backend_and_rule() {
        let before = snapshot(CONFIG, RULES, "cases: []");
        let changes = |config: &str, rules: &str| snapshot(config, rules, "cases: []").changes_since(&before);
        assert_eq!(changes(CONFIG, RULES), [""; 0]);
        assert_eq!(changes(&CONFIG.replace("8080", "8081"), RULES), ["`listen` changed"]);
        let limits = format!("{CONFIG}limits: {{ tenants: 5, request_timeout: 130s }}\naudit: {{}}\n");
        assert_eq!(
            changes(&limits, RULES),
            ["`limits` changed", "`limits.request_timeout` changed", "`audit` changed"]
        );
        let backends = CONFIG.replace("tempo:", "traces: { kind: tempo, url: http://127.0.0.1:1, labels: { tenant: resource.t } }\n  loki2: { kind: loki, url: http://127.0.0.1:2, labels: { tenant: t } }\n  tempo:").replace("3100", "3101").replace("  tempo: { url: http://127.0.0.1:3200, labels: { tenant: resource.tenant } }\n", "");
        assert_eq!(
            changes(&backends, RULES),
            [
                "backend `loki` changed",
                "backend `loki2` added",
                "backend `traces` added",
                "backend `tempo` removed"
            ]
        );
        for (from, to, expected) in [
            ("claims.a", "claims.c", "rule `a` changed"),
            ("points: 5", "points: 6", "rule `b` changed"),
            (
                "scope: { tenant: claims.a }",
                "scope: { tenant: claims.a }, when: has(claims.a)",
                "rule `a` changed",
            ),
            ("scope: { tenant: claims.a }", "unrestricted: true", "rule `a` changed"),
            (
                "scope: { tenant: claims.a }",
                "scope: { tenant: claims.a }, backends: [loki]",
                "rule `a` changed",
            ),
        ] {
            assert_eq!(changes(CONFIG, &RULES.replace(from, to)), [expected], "{to}");
        }
        assert_eq!(
            changes(CONFIG, &RULES.replace("name: a", "name: c")),
            ["rule `c` added", "rule `a` removed"]
        );
    }

    #[test]
    fn a_certificate_or_key_that_changed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        let tls = "address: 127.0.0.1:8080, tls: { cert: cert.pem, key: key.pem }";
        write("c.yaml", &CONFIG.replace("address: 127.0.0.1:8080", tls));
        write("policies/p.yaml", RULES);
        write("cert.pem", "one");
        let load = || Snapshot::load(&folder.path().join("c.yaml")).unwrap();
        let before = load();
        assert_eq!(load().changes_since(&before), [""; 0]);
        write("cert.pem", "two");
        let changes = load().changes_since(&before);
        assert!(matches!(changes.as_slice(), [one] if one.ends_with("/cert.pem` changed")), "{changes:?}");
    }

    #[test]
    fn a_snapshot_whose_cases_fail_is_of_no_use() {
        assert!(snapshot(CONFIG, RULES, "cases: []").usable().is_ok());
        let case = "cases: [{ name: one, claims: {}, backend: loki, request: GET /, answered: true }]";
        let told = snapshot(CONFIG, RULES, case).usable().unwrap_err();
        assert!(told.starts_with("policies whose cases fail are not loaded\n"), "{told}");
        assert!(told.contains("\n  - answered: true\n  + refused: no_rule"), "{told}");
    }
}
