//! Palisade itself, as the binary that `cargo` has just built.

use std::path::Path;
use std::time::Duration;

use crate::backends::{Backends, ORGS};
use crate::http::Base;
use crate::processes::{Server, free_ports, write};

/// What every Palisade makes its salts of, so that all of them ask the same.
pub const SALT: &str = "conformance: known to nobody who asks";

/// A running Palisade.
pub struct Palisade {
    /// The listener with every mount.
    pub base: Base,
    /// A second listener with Tempo at its root.
    pub tempo: Base,
    /// A third with the one whose traces may mix tenants.
    pub mixed: Base,
    /// Health, readiness and metrics.
    pub admin: Base,
    server: Server,
}

impl Palisade {
    /// Starts it before a set, with tokens of `issuer` and a policy for callers of a tenant, and of a tenant in a region.
    pub fn start(dir: &Path, set: &Backends, issuer: &Base) -> Result<Self, String> {
        let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/policies");
        let settings = format!("url: {}\n    algorithms: [RS256, ES256]", issuer.url());
        Self::start_with(dir, set, &settings, policies)
    }

    /// Starts it with an issuer of these settings, beside its audience, and the policies of this folder.
    pub fn start_with(dir: &Path, set: &Backends, issuer: &str, policies: &str) -> Result<Self, String> {
        let [main, second, third, admin] = free_ports()?;
        // Not where only some of the backends run.
        let at_root = match set.at.contains_key("tempo") {
            true => format!(
                "  - {{ address: \"127.0.0.1:{second}\", backend: tempo }}\n  - {{ address: \"127.0.0.1:{third}\", backend: tempo-mixed }}\n"
            ),
            false => String::new(),
        };
        let mut config = format!(
            r#"listen:
  - address: 127.0.0.1:{main}
{at_root}admin: {{ address: "127.0.0.1:{admin}" }}
issuers:
  - {issuer}
    audiences: [palisade]
policies: {policies}
cache_salt_file: salt
backends:
"#
        );
        for (name, kind, features, more) in [
            (
                "prometheus",
                "prometheus",
                "promql-experimental-functions, search-api, federate, remote-read",
                "",
            ),
            ("prometheus-bare", "prometheus", "promql-experimental-functions", ""),
            ("loki", "loki", "", ""),
            ("tempo", "tempo", "traces_never_mix_tenants, no_frontend_search_cache", ""),
            ("tempo-mixed", "tempo", "", ""),
            ("tempo-redacted", "tempo", "", ", redacted_traces: true"),
            ("alertmanager", "alertmanager", "", ""),
        ] {
            let Some(base) = set.at.get(kind) else {
                continue;
            };
            let place = if kind == "tempo" { "resource." } else { "" };
            let version = set.versions.get(kind).map_or("", String::as_str);
            let features = match (kind, version.starts_with('3'), features) {
                ("tempo", true, "") => "tempo-3".to_owned(),
                ("tempo", true, more) => format!("tempo-3, {more}"),
                _ => features.to_owned(),
            };
            config.push_str(&format!(
                "  {name}: {{ kind: {kind}, url: \"{}\", labels: {{ tenant: {place}tenant, region: {place}region }}, features: [{features}]{more} }}\n",
                base.url()
            ));
        }
        // A TWIN needs no tenants of Loki's own: whatever id it is asked with, it answers what it has.
        if let Some(base) = set.at.get(ORGS).or_else(|| set.at.get("loki")) {
            config.push_str(&format!(
                "  {ORGS}: {{ kind: loki, url: \"{}\", labels: {{ tenant: tenant, region: region }}, org_id: {{ template: \"s-{{tenant}}\", federates: true }}, label_policy: true }}\n",
                base.url()
            ));
        }
        write(&dir.join("salt"), SALT)?;
        let path = dir.join("palisade.yaml");
        write(&path, &config)?;
        let program = Path::new(env!("CARGO_BIN_EXE_palisade"));
        let args = ["serve".to_owned(), "--config".into(), path.display().to_string()];
        let server = Server::start("palisade", dir, program, &args, &[])?;
        let palisade = Self {
            base: Base::local(main),
            tempo: Base::local(second),
            mixed: Base::local(third),
            admin: Base::local(admin),
            server,
        };
        let patience = Duration::from_secs(30);
        palisade.server.ready(&palisade.admin, "/readyz", patience)?;
        Ok(palisade)
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
