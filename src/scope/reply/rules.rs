//! Rules and alerts, of Prometheus and of Loki's ruler.
//!
//! An alert is the caller's by its labels. A rule is by its own, which all it makes have; one without them
//! works on everyone's data, and shows only through alerts of the caller's. Its text is the operator's
//! and may name others, so it is left out. Files of rules and the errors of evaluating them, which can
//! print any series, always are.
//!
//! The shapes are `RuleDiscovery` and `AlertDiscovery` in `web/api/v1/api.go` of Prometheus, and of the same
//! names in `pkg/ruler/base/api.go` of Loki, which always says what error there is, mostly none.

use super::Filtered;
use super::alerts::Labels;
use super::json::{Double, Text};
use super::silences::owns;
use crate::rejection::{Rejection, UpstreamFault};
use crate::tenant::ScopeMatchers;
use serde::{Deserialize, Serialize};

/// Which groups are shown. Groups are counted after the cut, so that no page tells of those that are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many at most.
    pub limit: usize,
    /// The token of the first; else it is the first of all.
    pub from: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Envelope<'a, D> {
    #[serde(borrow)]
    status: Text<'a>,
    data: D,
    #[serde(borrow, default, rename = "errorType", skip_serializing_if = "is_told")]
    error_type: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "is_told")]
    error: Option<Text<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Discovery<'a> {
    #[serde(borrow)]
    groups: Vec<Group<'a>>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct AlertDiscovery<'a> {
    #[serde(borrow)]
    alerts: Vec<Alert<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    /// Left empty: a path of the operator's.
    #[serde(borrow, default)]
    file: Text<'a>,
    #[serde(borrow)]
    rules: Vec<Rule<'a>>,
    #[serde(borrow)]
    interval: Double<'a>,
    #[serde(default)]
    limit: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    evaluation_time: Option<Double<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    last_evaluation: Option<Text<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    state: Option<Text<'a>>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    query: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    duration: Option<Double<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<Double<'a>>,
    #[serde(borrow, default)]
    labels: Labels<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    annotations: Option<Labels<'a>>,
    /// Of an alerting rule; inside, `null` where they are left out.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    alerts: Option<Option<Vec<Alert<'a>>>>,
    #[serde(borrow)]
    health: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "is_told")]
    last_error: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    evaluation_time: Option<Double<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    last_evaluation: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    #[serde(borrow)]
    labels: Labels<'a>,
    #[serde(borrow, default)]
    annotations: Labels<'a>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    active_at: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<Text<'a>>,
    #[serde(borrow)]
    value: Text<'a>,
}

/// Cuts the rules in `body`, and then takes a page of the groups that are left.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if it does not decode; [`Rejection::Parameter`] for a page that is not there.
pub(super) fn cut(
    owned: &ScopeMatchers,
    exclude_alerts: bool,
    page: Option<&Page>,
    body: &[u8],
) -> Result<Filtered, Rejection> {
    let mut answer: Envelope<'_, Discovery<'_>> = read(body)?;
    let groups = &mut answer.data.groups;
    groups.retain_mut(|group| {
        group.rules.retain_mut(|rule| rule.keep(owned, exclude_alerts));
        !group.rules.is_empty()
    });
    if let Some(page) = page {
        answer.data.group_next_token = turn_to(page, groups)?;
    }
    groups.iter_mut().for_each(|group| group.file = Text::default());
    Filtered::json(&answer)
}

/// Cuts the alerts in `body`.
///
/// # Errors
/// As [`cut`].
pub(super) fn alerts(owned: &ScopeMatchers, body: &[u8]) -> Result<Filtered, Rejection> {
    let mut answer: Envelope<'_, AlertDiscovery<'_>> = read(body)?;
    answer.data.alerts.retain(|alert| owns(owned, &alert.labels));
    Filtered::json(&answer)
}

/// Whether an error is left out: it is there, or nothing is said of one.
fn is_told(error: &Option<Text<'_>>) -> bool {
    error.as_ref().is_none_or(|error| !error.is_empty())
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable.into())
}

/// Leaves the groups of `page`, and gives the token of the first after it.
fn turn_to(page: &Page, groups: &mut Vec<Group<'_>>) -> Result<Option<String>, Rejection> {
    if let Some(from) = &page.from {
        let unknown =
            || Rejection::parameter("group_next_token", "is not known, rule groups may have changed");
        let first = groups.iter().position(|group| token(group) == *from).ok_or_else(unknown)?;
        groups.drain(..first);
    }
    let next = groups.get(page.limit).map(token);
    groups.truncate(page.limit);
    Ok(next)
}

/// What tells a group from all others: FNV-1a of its file and name, 64 bits. Tells nothing of the file.
fn token(group: &Group<'_>) -> String {
    let bytes = group.file.0.bytes().chain([b';']).chain(group.name.0.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

impl Rule<'_> {
    /// Whether anything of it is the caller's; leaves only that.
    fn keep(&mut self, owned: &ScopeMatchers, exclude_alerts: bool) -> bool {
        let is_own = owns(owned, &self.labels);
        if self.health.0 == "err" {
            self.health = Text("unknown".into());
        }
        if self.kind.0 != "alerting" {
            self.alerts = None;
            return is_own;
        }
        let mut alerts = self.alerts.take().flatten().unwrap_or_default();
        alerts.retain(|alert| owns(owned, &alert.labels));
        let is_kept = is_own || !alerts.is_empty();
        let unknown = self.state.as_ref().is_some_and(|state| state.0 == "unknown");
        let has = |state: &str| alerts.iter().any(|alert| alert.state.0 == state);
        let state = match () {
            () if has("firing") => "firing",
            () if has("pending") => "pending",
            () if unknown => "unknown",
            () => "inactive",
        };
        self.state = Some(Text(state.into()));
        if !is_own {
            self.query = Text::default();
        }
        self.alerts = Some((!exclude_alerts).then_some(alerts));
        is_kept
    }
}
