//! Alertmanager's alerts, in a list or in groups, and their receivers.
//!
//! The filter of the request leaves the caller's alerts only; they are checked again here. What an
//! answer says of an alert's state can be another's doing: a silence of the operator's, an inhibition by
//! another's alert. So states are made anew from the caller's own silences and alerts, and which states
//! are shown is decided after that.
//!
//! The shapes are `gettableAlert` and `alertGroup` in `api/v2/openapi.yaml`.

use super::Filtered;
use super::json::Text;
use super::silences::{Silence, owns};
use crate::rejection::{Rejection, UpstreamFault};
use crate::tenant::ScopeMatchers;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which states are shown, as the parameters of the endpoint say; each defaults to true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Alerts that nothing suppresses.
    pub active: bool,
    /// Alerts that a silence suppresses.
    pub silenced: bool,
    /// Alerts that another alert suppresses.
    pub inhibited: bool,
    /// Alerts that are not routed yet; Alertmanager before 0.30 has them.
    pub unprocessed: bool,
}

pub(super) type Labels<'a> = BTreeMap<Text<'a>, Text<'a>>;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    #[serde(borrow, default)]
    annotations: Labels<'a>,
    #[serde(borrow)]
    ends_at: Text<'a>,
    #[serde(borrow)]
    fingerprint: Text<'a>,
    #[serde(borrow)]
    receivers: Vec<Receiver<'a>>,
    #[serde(borrow)]
    starts_at: Text<'a>,
    #[serde(borrow)]
    status: Status<'a>,
    #[serde(borrow)]
    updated_at: Text<'a>,
    #[serde(borrow, rename = "generatorURL", default, skip_serializing_if = "Option::is_none")]
    generator_url: Option<Text<'a>>,
    #[serde(borrow)]
    labels: Labels<'a>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct Receiver<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    inhibited_by: Vec<Text<'a>>,
    /// Names of time intervals of the configuration. Older versions have none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    muted_by: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    silenced_by: Vec<Text<'a>>,
    #[serde(borrow)]
    state: Text<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    #[serde(borrow)]
    alerts: Vec<Alert<'a>>,
    #[serde(borrow)]
    labels: Labels<'a>,
    #[serde(borrow)]
    receiver: Receiver<'a>,
    /// Of the configuration; left empty where there are any.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    route_labels: Option<Labels<'a>>,
}

/// What the caller has, by which states are told.
struct Own<'a> {
    owned: &'a ScopeMatchers,
    fingerprints: BTreeSet<Text<'a>>,
    silences: BTreeSet<String>,
    shown: Shown,
}

/// Cuts the alerts in `listed`; `alerts` are all of the scope's, `silences` those in force.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if one does not decode.
pub(super) fn cut(
    owned: &ScopeMatchers,
    shown: Shown,
    grouped: bool,
    [listed, alerts, silences]: [&[u8]; 3],
) -> Result<Filtered, Rejection> {
    let alerts: Vec<Alert<'_>> = read(alerts)?;
    let alerts = alerts.into_iter().filter(|alert| owns(owned, &alert.labels));
    let silences: Vec<Silence<'_>> = read(silences)?;
    let silences = silences.iter().filter(|silence| silence.is_owned(owned));
    let own = Own {
        owned,
        fingerprints: alerts.map(|alert| alert.fingerprint).collect(),
        silences: silences.filter_map(|silence| silence.id().map(str::to_owned)).collect(),
        shown,
    };
    if !grouped {
        let mut alerts: Vec<Alert<'_>> = read(listed)?;
        alerts.retain_mut(|alert| own.keep(alert));
        return Filtered::json(&alerts);
    }
    let mut groups: Vec<Group<'_>> = read(listed)?;
    groups.retain_mut(|group| {
        group.alerts.retain_mut(|alert| own.keep(alert));
        group.route_labels.as_mut().map(Labels::clear);
        !group.alerts.is_empty()
    });
    Filtered::json(&groups)
}

/// The receivers of the caller's alerts in `body`, each once.
///
/// # Errors
/// As [`cut`].
pub(super) fn receivers(owned: &ScopeMatchers, body: &[u8]) -> Result<Filtered, Rejection> {
    let alerts: Vec<Alert<'_>> = read(body)?;
    let own = alerts.into_iter().filter(|alert| owns(owned, &alert.labels));
    let receivers: BTreeSet<Receiver<'_>> = own.flat_map(|alert| alert.receivers).collect();
    Filtered::json(&receivers)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable.into())
}

impl Own<'_> {
    /// Whether `alert` is the caller's and to be shown; its state is made anew.
    fn keep(&self, alert: &mut Alert<'_>) -> bool {
        if !owns(self.owned, &alert.labels) {
            return false;
        }
        let status = &mut alert.status;
        status.silenced_by.retain(|id| self.silences.contains(&*id.0));
        status.inhibited_by.retain(|fingerprint| self.fingerprints.contains(fingerprint));
        let muted = status.muted_by.as_mut().is_some_and(|names| !std::mem::take(names).is_empty());
        let unprocessed = status.state.0 == "unprocessed";
        let active = status.silenced_by.is_empty() && status.inhibited_by.is_empty();
        if !unprocessed {
            status.state = Text(if active && !muted { "active" } else { "suppressed" }.into());
        }
        let shown = self.shown;
        // Muting does not count here (`alertFilter` in `api/v2/api.go`): it is of the group.
        (shown.active || unprocessed || !active)
            && (shown.silenced || status.silenced_by.is_empty())
            && (shown.inhibited || status.inhibited_by.is_empty())
            && (shown.unprocessed || !unprocessed)
    }
}
