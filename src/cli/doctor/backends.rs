//! Backends: versions, features, whether their data carry the labels of scopes, and who else may ask them.

use super::Finding;
use super::ask::Asker;
use super::files::{days_left, of_days};
use crate::api::Kind;
use crate::auth::config::is_loopback;
use crate::config::{Backend, Version};
use crate::lang::Feature;
use http::StatusCode;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds of the past in which logs and traces are looked for.
const PAST: u64 = 3600;
/// Labels of Loki by which streams without the scope's are looked for.
const LABELS: usize = 16;

/// What is to be said of one backend.
pub(super) async fn look(backend: &Backend, counts: bool) -> Vec<Finding> {
    let about = format!("backend `{}`", backend.name);
    let asker = match Asker::ours(backend) {
        Ok(asker) => asker,
        Err(fault) => return vec![Finding::problem(about, fault)],
    };
    let mut found = Vec::new();
    match version(&asker, backend.kind).await {
        Ok(said) => found.push(of_version(&about, backend, &said)),
        Err(fault) => {
            found.push(Finding::problem(&about, format!("{fault}; look at `backends.{}.url`", backend.name)));
            return found;
        }
    }
    if let Some(days) = asker.certificate().await.as_deref().and_then(days_left) {
        found.push(of_days(&format!("{about}: its certificate"), days));
    }
    if backend.kind == Kind::Prometheus {
        found.extend(of_features(&about, backend, &asker).await);
    }
    if counts {
        found.extend(of_data(&about, backend, &asker).await);
    }
    found.extend(around(&about, backend).await);
    found
}

/// What the backend says that it is.
async fn version(asker: &Asker<'_>, kind: Kind) -> Result<String, String> {
    let (path, pointer) = match kind {
        Kind::Prometheus => ("/api/v1/status/buildinfo", "/data/version"),
        Kind::Loki => ("/loki/api/v1/status/buildinfo", "/version"),
        Kind::Tempo => ("/api/status/buildinfo", "/version"),
        Kind::Alertmanager => ("/api/v2/status", "/versionInfo/version"),
    };
    let answer = asker.json(path, &[]).await?;
    let said = answer.pointer(pointer).and_then(Value::as_str);
    said.map(str::to_owned).ok_or_else(|| format!("`{path}` names no version: is this {kind}?"))
}

fn of_version(about: &str, backend: &Backend, said: &str) -> Finding {
    let key = format!("backends.{}.version", backend.name);
    let Ok(is) = Version::parse(said) else {
        return Finding::fine(about, format!("reached, of a version `{said}` that is no release"));
    };
    let two_nine = Version { major: 2, minor: 9 };
    match backend.version {
        _ if backend.kind == Kind::Loki && is < two_nine => {
            Finding::problem(about, format!("loki {is} cannot be scoped safely, 2.9 is the oldest that can"))
        }
        Some(told) if told != is => Finding::problem(
            about,
            format!("`{key}` says {told}, and the backend {said}: write `version: {said}`"),
        ),
        None if backend.kind == Kind::Tempo => Finding::warning(
            about,
            format!("version {said}: write it to `{key}`, what is safe depends on it"),
        ),
        _ => Finding::fine(about, format!("version {said}")),
    }
}

/// Whether the features of queries that the configuration declares are those of the server's `--enable-feature`.
async fn of_features(about: &str, backend: &Backend, asker: &Asker<'_>) -> Vec<Finding> {
    // What only speaks Prometheus' API has no such flags.
    let Ok(flags) = asker.json("/api/v1/status/flags", &[]).await else { return Vec::new() };
    let enabled = flags.pointer("/data/enable-feature").and_then(Value::as_str).unwrap_or("");
    let enabled: Vec<&str> = enabled.split(',').map(str::trim).collect();
    let of_queries = [Feature::PromqlExperimentalFunctions, Feature::PromqlBinopFillModifiers];
    let found = of_queries.into_iter().filter_map(|feature| {
        let name = feature.name();
        match (backend.features.has(feature), enabled.contains(&name)) {
            (true, false) => Some(Finding::problem(
                about,
                format!(
                    "`features` has `{name}`, the server does not: start it with `--enable-feature={name}`"
                ),
            )),
            (false, true) => Some(Finding::warning(
                about,
                format!("the server has `{name}`, `features` does not: its queries are refused"),
            )),
            _ => None,
        }
    });
    found.collect()
}

/// Whether data carry the labels of scopes.
async fn of_data(about: &str, backend: &Backend, asker: &Asker<'_>) -> Vec<Finding> {
    if backend.tenancy.is_some() {
        return vec![Finding::fine(about, "has tenants of its own, so its data are not counted")];
    }
    let mut found = Vec::new();
    for (dimension, label) in backend.labels.iter() {
        let counted = match backend.kind {
            Kind::Prometheus => series(asker, label).await,
            Kind::Loki => streams(asker, label).await,
            Kind::Tempo => traces(asker, label).await,
            Kind::Alertmanager => alerts(asker, label).await,
        };
        let about = format!("{about}: `{label}` ({dimension})");
        found.push(match counted {
            Err(fault) => Finding::warning(about, format!("cannot be counted: {fault}")),
            Ok(Counted { what, with: 0, without: 0 }) => {
                Finding::fine(about, format!("there are no {what} yet"))
            }
            Ok(Counted { what, with: 0, without }) => {
                let text = format!(
                    "none of {without} {what} have it, so no caller sees any: is it the right label?"
                );
                Finding::problem(about, text)
            }
            Ok(Counted { what, with, without: 0 }) => {
                Finding::fine(about, format!("all {with} {what} have it"))
            }
            Ok(Counted { what, with, without }) => Finding::warning(
                about,
                format!("{with} {what} have it, {without} do not, which only callers without a scope see"),
            ),
        });
    }
    found
}

/// How many have a label, and how many do not.
struct Counted {
    what: &'static str,
    with: u64,
    without: u64,
}

/// All series that are fresh.
async fn series(asker: &Asker<'_>, label: &str) -> Result<Counted, String> {
    let count = async |operator: &str| {
        let query = format!("count({{__name__!=\"\",{label}{operator}\"\"}})");
        let answer = asker.json("/api/v1/query", &[("query", &query)]).await?;
        let result = answer.pointer("/data/result").and_then(Value::as_array).ok_or("no result")?;
        let value = result.first().and_then(|one| one.pointer("/value/1")).and_then(Value::as_str);
        Ok::<u64, String>(value.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) as u64)
    };
    Ok(Counted { what: "series", with: count("!=").await?, without: count("=").await? })
}

/// Streams of the past hour. Those without the label are found by each of the others: at least as many are there as have
/// the commonest of them.
async fn streams(asker: &Asker<'_>, label: &str) -> Result<Counted, String> {
    let (start, end) = past();
    let (start_ns, end_ns) = (format!("{start}000000000"), format!("{end}000000000"));
    let count = async |selector: String| {
        let parameters = [("query", selector.as_str()), ("start", &start_ns), ("end", &end_ns)];
        let answer = asker.json("/loki/api/v1/index/stats", &parameters).await?;
        Ok::<u64, String>(answer.get("streams").and_then(Value::as_u64).unwrap_or(0))
    };
    let labels = asker.json("/loki/api/v1/labels", &[("start", &start_ns), ("end", &end_ns)]).await?;
    let labels = labels.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let others = labels.iter().filter_map(Value::as_str).filter(|other| *other != label);
    let mut without = 0;
    for other in others.take(LABELS) {
        without = without.max(count(format!("{{{other}=~\".+\", {label}=\"\"}}")).await?);
    }
    Ok(Counted { what: "streams", with: count(format!("{{{label}=~\".+\"}}")).await?, without })
}

/// Traces of the past hour with such spans, up to as many as a search shows.
async fn traces(asker: &Asker<'_>, label: &str) -> Result<Counted, String> {
    let (start, end) = past();
    let (start, end) = (start.to_string(), end.to_string());
    let count = async |operator: &str| {
        let query = format!("{{ {label} {operator} nil }}");
        let parameters = [("q", query.as_str()), ("start", &start), ("end", &end), ("limit", "100")];
        let answer = asker.json("/api/search", &parameters).await?;
        Ok::<u64, String>(answer.get("traces").and_then(Value::as_array).map_or(0, Vec::len) as u64)
    };
    Ok(Counted { what: "traces (of 100)", with: count("!=").await?, without: count("=").await? })
}

/// All alerts that are active.
async fn alerts(asker: &Asker<'_>, label: &str) -> Result<Counted, String> {
    let answer = asker.json("/api/v2/alerts", &[]).await?;
    let alerts = answer.as_array().ok_or("no list of alerts")?;
    let has = |alert: &&Value| alert.pointer("/labels").is_some_and(|labels| labels.get(label).is_some());
    let with = alerts.iter().filter(has).count() as u64;
    Ok(Counted { what: "alerts", with, without: (alerts.len() as u64).saturating_sub(with) })
}

/// Whether whoever reaches the backend may ask it: then policies only hold for those who come by Palisade.
async fn around(about: &str, backend: &Backend) -> Option<Finding> {
    if backend.url.host().is_none_or(is_loopback) {
        return Some(Finding::fine(about, "is reached over loopback"));
    }
    let path = match backend.kind {
        Kind::Prometheus => "/api/v1/labels",
        Kind::Loki => "/loki/api/v1/labels",
        Kind::Tempo => "/api/v2/search/tags",
        Kind::Alertmanager => "/api/v2/alerts",
    };
    let answered = Asker::anybody(backend).ok()?.get(path, &[]).await;
    Some(match answered {
        Ok((StatusCode::OK, _)) => Finding::warning(
            about,
            "answers whoever reaches it from here, without a credential: close it to all but Palisade (a network \
             policy, a client certificate)",
        ),
        _ => Finding::fine(about, "answers nobody without a credential"),
    })
}

/// The past hour, in Unix seconds.
fn past() -> (u64, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    (now.saturating_sub(PAST), now)
}
