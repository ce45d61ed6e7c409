//! An Alertmanager-shaped backend: the alert of each tenant, and silences, which anyone may make.
//!
//! Shapes: `api/v2/openapi.yaml` of Alertmanager.

use super::data::{Bookstore, Labels, SHOPS, Shop};
use super::http::{Reply, Request, Service};
use super::select::{PatternError, Selection};
use super::time;
use crate::lang::alertmanager::Filter;
use crate::lang::matcher::MatchOp;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::{Mutex, PoisonError};

/// The id of the silence that the second tenant has from the start.
pub const STANDING: &str = "5a4e0000-0000-4000-8000-000000000000";
/// The most silences that are kept.
const MAX_SILENCES: usize = 1000;
/// How long the standing silence lasts, in seconds.
const LONG: i64 = 30 * 86_400;

/// The backend.
pub struct Alertmanager {
    store: Bookstore,
    silences: Mutex<Vec<Silence>>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Silence {
    #[serde(default)]
    id: String,
    #[serde(skip_deserializing)]
    updated_at: String,
    matchers: Vec<Matcher>,
    starts_at: String,
    ends_at: String,
    created_by: String,
    comment: String,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Matcher {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

/// An error of the API: status and text.
struct Refusal(u16, String);

impl From<PatternError> for Refusal {
    fn from(error: PatternError) -> Self {
        Self(400, error.to_string())
    }
}

impl Silence {
    fn selection(&self) -> Result<Selection, PatternError> {
        let matcher = |m: &'_ Matcher| match (m.is_equal, m.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        Selection::new(self.matchers.iter().map(|m| (m.name.as_str(), matcher(m), m.value.as_bytes())))
    }

    /// `pending`, `active` or `expired`. Times are in UTC, so their texts compare as they do.
    fn state(&self, now: &str) -> &'static str {
        let second = |text: &'_ str| text.get(..19).unwrap_or("").to_owned();
        match second(now) {
            now if now < second(&self.starts_at) => "pending",
            now if now < second(&self.ends_at) => "active",
            _ => "expired",
        }
    }

    fn shown(&self, now: &str) -> Json {
        let mut shown = json!(self);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("status".into(), json!({"state": self.state(now)}));
        }
        shown
    }
}

impl Alertmanager {
    /// A backend with the alerts of `store`'s tenants and a silence of the second, for maintenance.
    pub fn new(store: Bookstore) -> Self {
        let [_, other] = SHOPS;
        let matcher = |name: &str, value: &str| Matcher {
            name: name.into(),
            value: value.into(),
            is_regex: false,
            is_equal: true,
        };
        let standing = Silence {
            id: STANDING.into(),
            updated_at: time::rfc3339(store.begins()),
            matchers: vec![matcher("alertname", "Backup"), matcher("tenant", other.tenant)],
            starts_at: time::rfc3339(store.begins()),
            ends_at: time::rfc3339(store.begins() + LONG),
            created_by: "bob".into(),
            comment: format!("the backup of {}", other.region),
        };
        Self { store, silences: Mutex::new(vec![standing]) }
    }

    fn reply(&self, request: &Request) -> Result<Reply, Refusal> {
        let json = |body: Json| Ok(Reply::json(200, &body));
        match (request.method.as_str(), request.segments().as_slice()) {
            ("GET", ["api", "v2", "alerts"]) => json(json!(self.alerts(request)?)),
            ("GET", ["api", "v2", "alerts", "groups"]) => {
                let alerts = self.alerts(request)?;
                let group = |alert: Json| {
                    let labels = json!({"alertname": alert.pointer("/labels/alertname")});
                    json!({"labels": labels, "receiver": {"name": "pager"}, "alerts": [alert]})
                };
                json(alerts.into_iter().map(group).collect())
            }
            ("GET", ["api", "v2", "silences"]) => {
                let now = time::rfc3339(self.store.now());
                let wanted = |s: &Silence| request.first(s.state(&now)) != Some("false");
                let wanted = |s: &&Silence| wanted(s);
                json(self.held().iter().filter(wanted).map(|silence| silence.shown(&now)).collect())
            }
            ("GET", ["api", "v2", "silence", id]) => {
                let now = time::rfc3339(self.store.now());
                let held = self.held();
                let found = held.iter().find(|silence| silence.id == *id).map(|silence| silence.shown(&now));
                found.map(|silence| Reply::json(200, &silence)).ok_or_else(unknown)
            }
            ("DELETE", ["api", "v2", "silence", id]) => {
                let mut held = self.held();
                let silence = held.iter_mut().find(|silence| silence.id == *id).ok_or_else(unknown)?;
                silence.ends_at = time::rfc3339(self.store.now());
                Ok(Reply::text(200, ""))
            }
            ("POST", ["api", "v2", "silences"]) => json(json!({"silenceID": self.keep(&request.body)?})),
            _ => Err(Refusal(404, "path was not found".into())),
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Silence>> {
        self.silences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a silence that is posted, under its id or a new one, which it gives back.
    fn keep(&self, body: &[u8]) -> Result<String, Refusal> {
        let mut posted: Silence = serde_json::from_slice(body)
            .map_err(|error| Refusal(400, format!("parsing the silence: {error}")))?;
        let in_utc = |time: &str| time.len() >= 20 && time.is_ascii() && time.ends_with('Z');
        if posted.matchers.is_empty() || !in_utc(&posted.starts_at) || !in_utc(&posted.ends_at) {
            return Err(Refusal(400, "a silence needs matchers, and the demo takes times in UTC".into()));
        }
        posted.selection()?;
        posted.updated_at = time::rfc3339(self.store.now());
        let mut held = self.held();
        if !posted.id.is_empty() {
            let old = held.iter_mut().find(|silence| silence.id == posted.id).ok_or_else(unknown)?;
            *old = posted.clone();
            return Ok(posted.id);
        }
        if held.len() >= MAX_SILENCES {
            return Err(Refusal(400, "the demo keeps no more silences".into()));
        }
        posted.id = format!("5a4e0000-0000-4000-8000-{:012}", held.len());
        let id = posted.id.clone();
        held.push(posted);
        Ok(id)
    }

    /// The alerts that every `filter` takes, in the state that the silences of all make.
    fn alerts(&self, request: &Request) -> Result<Vec<Json>, Refusal> {
        let filters: Vec<Filter> = request
            .all("filter")
            .map(|text| Filter::read(text).map_err(|error| Refusal(400, format!("the filter {error}"))))
            .collect::<Result<_, _>>()?;
        let parts = filters.iter().map(Filter::parts);
        let selection = Selection::new(parts.map(|(name, op, value)| (name, op, value.as_bytes())))?;
        let now = time::rfc3339(self.store.now());
        let held = self.held();
        let mut alerts = Vec::new();
        for shop in SHOPS {
            let labels = labels(&shop);
            if !selection.takes(&labels) {
                continue;
            }
            let mut silenced = Vec::new();
            for silence in held.iter().filter(|silence| silence.state(&now) == "active") {
                if silence.selection()?.takes(&labels) {
                    silenced.push(silence.id.as_str());
                }
            }
            alerts.push(self.alert(&shop, &labels, &silenced));
        }
        Ok(alerts)
    }

    fn alert(&self, shop: &Shop, labels: &Labels, silenced: &[&str]) -> Json {
        let state = if silenced.is_empty() { "active" } else { "suppressed" };
        json!({
            "labels": labels, "annotations": {"summary": format!("{} cannot pay", shop.titles[0].0)},
            "startsAt": time::rfc3339(self.store.begins()), "endsAt": time::rfc3339(self.store.now() + 300),
            "updatedAt": time::rfc3339(self.store.now()), "fingerprint": format!("{:016x}", shop.titles[0].0.len()),
            "receivers": [{"name": "pager"}], "generatorURL": "",
            "status": {"state": state, "silencedBy": silenced, "inhibitedBy": [], "mutedBy": []},
        })
    }
}

fn labels(shop: &Shop) -> Labels {
    let labels = [("alertname", "HighErrorRate"), ("severity", "page"), ("tenant", shop.tenant)];
    labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn unknown() -> Refusal {
    Refusal(404, "silence not found".into())
}

impl Service for Alertmanager {
    fn answer(&self, request: &Request) -> Reply {
        match self.reply(request) {
            Ok(reply) => reply,
            Err(Refusal(status, text)) => Reply::json(status, &json!(text)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn ask(alertmanager: &Alertmanager, method: &str, path: &str, body: &str) -> (u16, Json) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let (method, path, body) = (method.into(), path.into(), body.into());
        let reply = alertmanager.answer(&Request { method, path, pairs, accept: String::new(), body });
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Json::Null))
    }

    #[test]
    fn a_silence_suppresses_what_it_matches_until_it_is_expired() {
        let alertmanager = Alertmanager::new(Bookstore::new(|| 1_700_000_000));
        let states = || {
            let (_, alerts) = ask(&alertmanager, "GET", "/api/v2/alerts", "");
            let state = |alert: &Json| alert.pointer("/status/state").unwrap().as_str().unwrap().to_owned();
            alerts.as_array().unwrap().iter().map(state).collect::<Vec<_>>()
        };
        assert_eq!(states(), ["active", "active"]);
        let silence = |from: i64| {
            json!({"matchers": [{"name": "tenant", "value": "globex.*", "isRegex": true}], "comment": "", "createdBy": "",
                "startsAt": time::rfc3339(from), "endsAt": time::rfc3339(from + 60)})
            .to_string()
        };
        let (status, made) = ask(&alertmanager, "POST", "/api/v2/silences", &silence(1_700_000_000));
        assert_eq!((status, states()), (200, vec!["active".to_owned(), "suppressed".to_owned()]));
        let path = format!("/api/v2/silence/{}", made["silenceID"].as_str().unwrap());
        assert_eq!(ask(&alertmanager, "GET", &path, "").1["status"]["state"], "active");
        assert_eq!(ask(&alertmanager, "DELETE", &path, "").0, 200);
        assert_eq!(states(), ["active", "active"]);
        assert_eq!(ask(&alertmanager, "GET", &path, "").1["status"]["state"], "expired");
        ask(&alertmanager, "POST", "/api/v2/silences", &silence(1_700_000_001));
        assert_eq!(states(), ["active", "active"], "one that is still to come");
        assert_eq!(ask(&alertmanager, "GET", "/api/v2/silence/none", "").0, 404);
        assert_eq!(ask(&alertmanager, "POST", "/api/v2/silences", "{}").0, 400);
    }

    #[test]
    fn filters_select_alerts() {
        let alertmanager = Alertmanager::new(Bookstore::new(|| 1_700_000_000));
        let found = |query: &str| ask(&alertmanager, "GET", &format!("/api/v2/alerts?{query}"), "").1;
        assert_eq!(found("filter=tenant%3D%22acme-books%22").as_array().unwrap().len(), 1);
        assert_eq!(found("filter=tenant!%3Dacme-books&filter=severity%3Dwarn"), json!([]));
    }
}
