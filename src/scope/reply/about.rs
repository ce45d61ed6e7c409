//! What a backend says of itself: its version, and nothing else of the server.
//!
//! The shapes are `PrometheusVersion` in `web/api/v1/api.go` of Prometheus, which Loki and Tempo print without an envelope
//! (`pkg/loki/version_handler.go`, `cmd/tempo/app/app.go`), `DrilldownConfigResponse` in `pkg/loki/drilldown_config.go` and
//! `AlertmanagerStatus` in `api/v2/openapi.yaml`. None has `features`: with them Grafana takes a server for Mimir (`pkg/promlib`
//! of its source).

use super::json::Text;
use super::list::read;
use super::made::{Account, Made, written};
use crate::rejection::Rejection;
use serde::Deserialize;
use serde_json::{Value, json};

/// What is asked of a backend about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What it is asked.
    pub question: Question,
    /// Its version, where the operator says it: then that is told.
    pub version: Option<String>,
}

/// A question about a backend, by the shape of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Prometheus' build.
    Enveloped,
    /// The same of Loki and Tempo.
    Build,
    /// Alertmanager's status, its configuration left out.
    Status,
    /// What Grafana's Logs Drilldown asks of Loki: whether there are patterns; the limits left out.
    Drilldown {
        /// Whether they are served here.
        served: bool,
    },
}

#[derive(Deserialize)]
struct Build<'a> {
    #[serde(borrow)]
    version: Text<'a>,
}

#[derive(Deserialize)]
struct Enveloped<'a> {
    #[serde(borrow)]
    data: Build<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    version_info: Build<'a>,
}

#[derive(Deserialize)]
struct Drilldown<'a> {
    pattern_ingester_enabled: bool,
    #[serde(borrow)]
    version: Text<'a>,
}

/// What is told, of what the backend says in `body`.
///
/// # Errors
/// [`crate::rejection::UpstreamFault::Undecodable`] if that is no such answer.
pub(super) fn cut(about: &About, body: &[u8], account: Account) -> Result<Option<Made>, Rejection> {
    let (said, patterns) = match about.question {
        Question::Enveloped => (read::<Enveloped<'_>>(body)?.data.version, false),
        Question::Build => (read::<Build<'_>>(body)?.version, false),
        Question::Status => (read::<Status<'_>>(body)?.version_info.version, false),
        Question::Drilldown { served } => {
            let Drilldown { pattern_ingester_enabled, version } = read(body)?;
            (version, served && pattern_ingester_enabled)
        }
    };
    told(about, &said.0, patterns, account)
}

/// What is told where the backend does not know the question; `None`: that it is unknown.
pub(super) fn unknown(about: &About, account: Account) -> Result<Option<Made>, Rejection> {
    match (&about.version, about.question) {
        (None, _) | (_, Question::Drilldown { .. }) => Ok(None),
        (Some(version), _) => told(about, version, false, account),
    }
}

fn told(about: &About, said: &str, patterns: bool, account: Account) -> Result<Option<Made>, Rejection> {
    let version = about.version.as_deref().unwrap_or(said);
    let build = json!({
        "version": version, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
    });
    let whole: Value = match about.question {
        Question::Enveloped => json!({ "status": "success", "data": build }),
        Question::Build => build,
        // Grafana and amtool read `config.original` as YAML: the least that is a configuration.
        Question::Status => json!({
            "cluster": { "status": "disabled", "peers": [] },
            "versionInfo": build,
            "config": { "original": "route:\n  receiver: default\nreceivers:\n- name: default\n" },
            "uptime": "1970-01-01T00:00:00.000Z",
        }),
        Question::Drilldown { .. } => {
            json!({ "limits": {}, "pattern_ingester_enabled": patterns, "version": version })
        }
    };
    account.at_once(said.len(), || {
        let mut out = Vec::new();
        written(&whole, &mut out)?;
        Ok(Some(out))
    })
}
