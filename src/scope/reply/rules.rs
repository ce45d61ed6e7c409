//! Rules and alerts, of Prometheus and of Loki's ruler.
//!
//! An alert is the caller's by its labels. A rule is by its own, which all it makes have; one without them
//! works on everyone's data, and shows only through alerts of the caller's. Its text is the operator's
//! and may name others, so it is left out. Files of rules and the errors of evaluating them, which can
//! print any series, always are.
//!
//! The shapes are `RuleDiscovery` and `AlertDiscovery` in `web/api/v1/api.go` of Prometheus, and of the same
//! names in `pkg/ruler/base/api.go` of Loki, which always says what error there is, mostly none.

use super::alerts::Labels;
use super::json::{Double, Text};
use super::list::{Raw, elements, read};
use super::made::{Account, JSON_TIMES, Made, Model, Plan, make, written};
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
    #[serde(skip_serializing)]
    data: D,
    #[serde(borrow, default, rename = "errorType", skip_serializing_if = "is_told")]
    error_type: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "is_told")]
    error: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Discovery<'a> {
    #[serde(borrow)]
    groups: Raw<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Next {
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

#[derive(Deserialize)]
struct AlertDiscovery<'a> {
    #[serde(borrow)]
    alerts: Raw<'a>,
}

/// What tells a group from others.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    file: Text<'a>,
}

/// `R` is what its rules are read as: each, or all as they are written. Without them it is what is said of it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a, R> {
    #[serde(borrow)]
    name: Text<'a>,
    /// Left empty: a path of the operator's.
    #[serde(borrow, default)]
    file: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<R>,
    #[serde(borrow)]
    interval: Double<'a>,
    #[serde(default)]
    limit: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    evaluation_time: Option<Double<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    last_evaluation: Option<Text<'a>>,
}

/// `A` is what its alerts are read as.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "A: Deserialize<'de>"))]
struct Rule<'a, A> {
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alerts: Option<Option<A>>,
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

/// How rules and alerts are cut.
struct Ruled {
    owned: ScopeMatchers,
    exclude_alerts: bool,
}

#[derive(Clone, Copy)]
enum Form {
    Group,
    Rule,
    Alert,
}

impl Model for Ruled {
    type Form = Form;
    const TIMES: usize = JSON_TIMES;

    fn write(&self, form: Form, part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection> {
        match form {
            Form::Group => {
                let mut group: Group<'_, Vec<Rule<'_, Vec<Alert<'_>>>>> = read(part)?;
                let rules = group.rules.as_mut().ok_or(UpstreamFault::Undecodable)?;
                rules.retain_mut(|rule| rule.keep(&self.owned, self.exclude_alerts));
                let left = !rules.is_empty();
                group.file = Text::default();
                written(&group, out).map(|()| left)
            }
            Form::Rule => {
                let mut rule: Rule<'_, Vec<Alert<'_>>> = read(part)?;
                let left = rule.keep(&self.owned, self.exclude_alerts);
                written(&rule, out).map(|()| left)
            }
            Form::Alert => {
                let alert: Alert<'_> = read(part)?;
                let left = owns(&self.owned, &alert.labels);
                written(&alert, out).map(|()| left)
            }
        }
    }
}

/// Cuts the rules in `body`, and then takes a page of the groups that are left.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if it does not decode; [`Rejection::Parameter`] for a page that is not there.
pub(super) fn cut(
    owned: &ScopeMatchers,
    exclude_alerts: bool,
    page: Option<&Page>,
    body: Vec<u8>,
    account: Account,
) -> Result<Option<Made>, Rejection> {
    let model = Ruled { owned: owned.clone(), exclude_alerts };
    make(model, body, account, |plan, body| {
        let answer: Envelope<'_, Discovery<'_>> = read(body)?;
        let groups = answer.data.groups.bytes();
        plan.open(&answer, false)?;
        let next = match page {
            None => {
                plan.text(br#""data":{"groups":["#)?;
                let mut any = false;
                elements(groups, |raw: Raw<'_>| {
                    any |= group(plan, raw.bytes(), any)?;
                    Ok(())
                })?;
                None
            }
            Some(page) => {
                let (shown, next) = turn_to(page, own(plan, groups)?)?;
                plan.text(br#""data":{"groups":["#)?;
                for (index, (_, raw)) in shown.iter().enumerate() {
                    group(plan, raw, index > 0)?;
                }
                next
            }
        };
        plan.text(b"]")?;
        plan.close(&Next { group_next_token: next })?;
        plan.text(b"}").map(|()| true)
    })
}

/// Cuts the alerts in `body`.
///
/// # Errors
/// As [`cut`].
pub(super) fn alerts(
    owned: &ScopeMatchers,
    body: Vec<u8>,
    account: Account,
) -> Result<Option<Made>, Rejection> {
    let model = Ruled { owned: owned.clone(), exclude_alerts: false };
    make(model, body, account, |plan, body| {
        let answer: Envelope<'_, AlertDiscovery<'_>> = read(body)?;
        plan.open(&answer, false)?;
        plan.text(br#""data":{"alerts":["#)?;
        list(plan, answer.data.alerts, Form::Alert)?;
        plan.text(b"]}}").map(|()| true)
    })
}

/// Puts what is left of the elements of a list.
fn list(plan: &mut Plan<Ruled>, list: Raw<'_>, form: Form) -> Result<(), Rejection> {
    let mut any = false;
    elements(list.bytes(), |raw: Raw<'_>| {
        any |= plan.part(form, raw.bytes(), any)?;
        Ok(())
    })
}

/// Puts what is left of a group; whether anything is.
fn group(plan: &mut Plan<Ruled>, raw: &[u8], more: bool) -> Result<bool, Rejection> {
    if !plan.is_large(raw) {
        return plan.part(Form::Group, raw, more);
    }
    let before = plan.place();
    let mut group: Group<'_, Raw<'_>> = read(raw)?;
    let rules = group.rules.take().ok_or(UpstreamFault::Undecodable)?;
    group.file = Text::default();
    plan.open(&group, more)?;
    plan.text(br#""rules":["#)?;
    let mut any = false;
    elements(rules.bytes(), |raw: Raw<'_>| {
        any |= rule(plan, raw.bytes(), any)?;
        Ok(())
    })?;
    if any {
        plan.text(b"]}")?
    } else {
        plan.back_to(before)
    }
    Ok(any)
}

/// Puts what is left of a rule; whether anything is.
fn rule(plan: &mut Plan<Ruled>, raw: &[u8], more: bool) -> Result<bool, Rejection> {
    if !plan.is_large(raw) {
        return plan.part(Form::Rule, raw, more);
    }
    let mut rule: Rule<'_, Raw<'_>> = read(raw)?;
    let alerts = rule.alerts.take().flatten();
    if rule.kind.0 != "alerting" {
        return plan.part(Form::Rule, raw, more);
    }
    let before = plan.place();
    let is_own = rule.hide(&plan.model.owned);
    let (unknown, exclude) = (rule.is_unknown(), plan.model.exclude_alerts);
    rule.state = None;
    plan.open(&rule, more)?;
    plan.text(br#""alerts":["#)?;
    let (mut firing, mut pending, mut any) = (false, false, false);
    if let Some(alerts) = alerts {
        elements(alerts.bytes(), |raw: Raw<'_>| {
            if plan.part(Form::Alert, raw.bytes(), any)? {
                let alert: Alert<'_> = read(raw.bytes())?;
                any = true;
                firing |= alert.state.0 == "firing";
                pending |= alert.state.0 == "pending";
            }
            Ok(())
        })?;
    }
    if !is_own && !any {
        plan.back_to(before);
        return Ok(false);
    }
    if exclude {
        plan.back_to(before);
        plan.open(&rule, more)?;
        plan.text(br#""alerts":null"#)?;
    } else {
        plan.text(b"]")?;
    }
    let state = state(firing, pending, unknown);
    plan.text(format!(r#","state":"{state}"}}"#).as_bytes()).map(|()| true)
}

/// Whether an error is left out: it is there, or nothing is said of one.
fn is_told(error: &Option<Text<'_>>) -> bool {
    error.as_ref().is_none_or(|error| !error.is_empty())
}

/// A group's token, and the group as it is written.
type Told<'a> = (String, &'a [u8]);

/// The groups of which anything is left.
fn own<'a>(plan: &mut Plan<Ruled>, groups: &'a [u8]) -> Result<Vec<Told<'a>>, Rejection> {
    let mut own = Vec::new();
    elements(groups, |raw: Raw<'a>| {
        let before = plan.place();
        if group(plan, raw.bytes(), false)? {
            plan.account.keep(2 * size_of::<(Told<'_>, [u8; 16])>())?;
            own.push((token(&read(raw.bytes())?), raw.bytes()));
            plan.back_to(before);
        }
        Ok(())
    })?;
    Ok(own)
}

/// The groups of `page`, and the token of the first after it.
fn turn_to<'a>(page: &Page, mut groups: Vec<Told<'a>>) -> Result<(Vec<Told<'a>>, Option<String>), Rejection> {
    if let Some(from) = &page.from {
        let unknown =
            || Rejection::parameter("group_next_token", "is not known, rule groups may have changed");
        let first = groups.iter().position(|(token, _)| token == from).ok_or_else(unknown)?;
        groups.drain(..first);
    }
    let next = groups.get(page.limit).map(|(token, _)| token.clone());
    groups.truncate(page.limit);
    Ok((groups, next))
}

/// What tells a group from all others: FNV-1a of its file and name, 64 bits. Tells nothing of the file.
fn token(group: &Named<'_>) -> String {
    let bytes = group.file.0.bytes().chain([b';']).chain(group.name.0.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The state of an alerting rule that has alerts in these.
fn state(firing: bool, pending: bool, unknown: bool) -> &'static str {
    match () {
        () if firing => "firing",
        () if pending => "pending",
        () if unknown => "unknown",
        () => "inactive",
    }
}

impl<A> Rule<'_, A> {
    /// Takes away what is not the caller's of the rule itself; whether it is.
    fn hide(&mut self, owned: &ScopeMatchers) -> bool {
        let is_own = owns(owned, &self.labels);
        if self.health.0 == "err" {
            self.health = Text("unknown".into());
        }
        if self.kind.0 == "alerting" && !is_own {
            self.query = Text::default();
        }
        is_own
    }

    fn is_unknown(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.0 == "unknown")
    }
}

impl Rule<'_, Vec<Alert<'_>>> {
    /// Whether anything of it is the caller's; leaves only that.
    fn keep(&mut self, owned: &ScopeMatchers, exclude_alerts: bool) -> bool {
        let is_own = self.hide(owned);
        if self.kind.0 != "alerting" {
            self.alerts = None;
            return is_own;
        }
        let mut alerts = self.alerts.take().flatten().unwrap_or_default();
        alerts.retain(|alert| owns(owned, &alert.labels));
        let is_kept = is_own || !alerts.is_empty();
        let has = |state: &str| alerts.iter().any(|alert| alert.state.0 == state);
        let state = state(has("firing"), has("pending"), self.is_unknown());
        self.state = Some(Text(state.into()));
        self.alerts = Some((!exclude_alerts).then_some(alerts));
        is_kept
    }
}
