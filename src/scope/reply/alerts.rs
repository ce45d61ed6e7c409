//! Alertmanager's alerts, in a list or in groups, and their receivers.
//!
//! The filter of the request leaves the caller's alerts only; they are checked again here. What an
//! answer says of an alert's state can be another's doing: a silence of the operator's, an inhibition by
//! another's alert. So states are made anew from the caller's own silences and alerts, and which states
//! are shown is decided after that.
//!
//! The shapes are `gettableAlert` and `alertGroup` in `api/v2/openapi.yaml`.

use super::json::Text;
use super::list::{Raw, elements, read};
use super::made::{Account, JSON_TIMES, Made, Model, Plan, make, written};
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
struct Group<'a, A> {
    /// Each, or all as they are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<A>,
    #[serde(borrow)]
    labels: Labels<'a>,
    #[serde(borrow)]
    receiver: Receiver<'a>,
    /// Of the configuration; left empty where there are any.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    route_labels: Option<Labels<'a>>,
}

/// What the caller has, by which states are told.
struct Own {
    owned: ScopeMatchers,
    fingerprints: BTreeSet<String>,
    silences: BTreeSet<String>,
    shown: Shown,
}

#[derive(Clone, Copy)]
enum Form {
    Group,
    Alert,
}

impl Model for Own {
    type Form = Form;
    const TIMES: usize = JSON_TIMES;

    fn write(&self, form: Form, part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection> {
        match form {
            Form::Group => {
                let mut group: Group<'_, Vec<Alert<'_>>> = read(part)?;
                let alerts = group.alerts.as_mut().ok_or(UpstreamFault::Undecodable)?;
                alerts.retain_mut(|alert| self.keep(alert));
                let left = !alerts.is_empty();
                group.route_labels.as_mut().map(Labels::clear);
                written(&group, out).map(|()| left)
            }
            Form::Alert => {
                let mut alert: Alert<'_> = read(part)?;
                let left = self.keep(&mut alert);
                written(&alert, out).map(|()| left)
            }
        }
    }
}

/// Bytes that a text of a set takes beside its own.
const ENTRY_BYTES: usize = 64;

/// Cuts the alerts in `listed`; `alerts` are all of the scope's, `silences` those in force.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if one does not decode.
pub(super) fn cut(
    owned: &ScopeMatchers,
    shown: Shown,
    grouped: bool,
    [listed, alerts, silences]: [Vec<u8>; 3],
    mut account: Account,
) -> Result<Option<Made>, Rejection> {
    let mut fingerprints = BTreeSet::new();
    elements(&alerts, |raw: Raw<'_>| {
        account.need(raw.bytes().len().saturating_mul(JSON_TIMES))?;
        let alert: Alert<'_> = read(raw.bytes())?;
        if owns(owned, &alert.labels) {
            account.keep(alert.fingerprint.0.len().saturating_add(ENTRY_BYTES))?;
            fingerprints.insert(alert.fingerprint.0.into_owned());
        }
        Ok(())
    })?;
    let mut ids = BTreeSet::new();
    elements(&silences, |raw: Raw<'_>| {
        account.need(raw.bytes().len().saturating_mul(JSON_TIMES))?;
        let silence: Silence<'_> = read(raw.bytes())?;
        if let Some(id) = silence.id().filter(|_| silence.is_owned(owned)) {
            account.keep(id.len().saturating_add(ENTRY_BYTES))?;
            ids.insert(id.to_owned());
        }
        Ok(())
    })?;
    account.drop_kept(alerts);
    account.drop_kept(silences);
    let own = Own { owned: owned.clone(), fingerprints, silences: ids, shown };
    make(own, listed, account, |plan, listed| {
        let mut any = false;
        plan.text(b"[")?;
        elements(listed, |raw: Raw<'_>| {
            let raw = raw.bytes();
            any |= if grouped { group(plan, raw, any)? } else { plan.part(Form::Alert, raw, any)? };
            Ok(())
        })?;
        plan.text(b"]").map(|()| true)
    })
}

/// Puts what is left of a group; whether anything is.
fn group(plan: &mut Plan<Own>, raw: &[u8], more: bool) -> Result<bool, Rejection> {
    if !plan.is_large(raw) {
        return plan.part(Form::Group, raw, more);
    }
    let before = plan.place();
    let mut group: Group<'_, Raw<'_>> = read(raw)?;
    let alerts = group.alerts.take().ok_or(UpstreamFault::Undecodable)?;
    group.route_labels.as_mut().map(Labels::clear);
    plan.open(&group, more)?;
    plan.text(br#""alerts":["#)?;
    let mut any = false;
    elements(alerts.bytes(), |raw: Raw<'_>| {
        any |= plan.part(Form::Alert, raw.bytes(), any)?;
        Ok(())
    })?;
    if any {
        plan.text(b"]}")?
    } else {
        plan.back_to(before)
    }
    Ok(any)
}

/// The receivers of the caller's alerts in `body`, each once.
///
/// # Errors
/// As [`cut`].
pub(super) fn receivers(
    owned: &ScopeMatchers,
    body: Vec<u8>,
    mut account: Account,
) -> Result<Option<Made>, Rejection> {
    let mut receivers: BTreeSet<Receiver<'_>> = BTreeSet::new();
    elements(&body, |raw: Raw<'_>| {
        account.need(raw.bytes().len().saturating_mul(JSON_TIMES))?;
        let alert: Alert<'_> = read(raw.bytes())?;
        if owns(owned, &alert.labels) {
            for receiver in alert.receivers {
                let bytes = receiver.name.0.len().saturating_add(ENTRY_BYTES);
                if receivers.insert(receiver) {
                    account.keep(bytes.saturating_mul(2))?;
                }
            }
        }
        Ok(())
    })?;
    let mut out = Vec::new();
    written(&receivers, &mut out)?;
    Ok(Some(account.whole(out)))
}

impl Own {
    /// Whether `alert` is the caller's and to be shown; its state is made anew.
    fn keep(&self, alert: &mut Alert<'_>) -> bool {
        if !owns(&self.owned, &alert.labels) {
            return false;
        }
        let status = &mut alert.status;
        status.silenced_by.retain(|id| self.silences.contains(&*id.0));
        status.inhibited_by.retain(|fingerprint| self.fingerprints.contains(&*fingerprint.0));
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
