//! Holding a request to what the caller's rules allow to be asked: sizes, times and counts.
//!
//! How often may be asked is not this floor's business, which has no clock.

mod time;

use super::Asked;
use super::call::{Argument, Draft};
use super::reply::Cut;
use crate::api::{Endpoint, Form, Kind, Treatment};
use crate::lang::QueryErrorKind;
use crate::limits::Limits;
use crate::policy::RuleLimits;
use crate::rejection::Rejection;
use std::time::Duration;

/// The longest range that Loki and Tempo take where a request names no start: 6 hours (`defaultSince` in
/// `pkg/loghttp/params.go` is 1 hour, `labels` and `series` take 6; Tempo takes what is recent).
const DEFAULT_RANGE: Duration = Duration::from_secs(6 * 3600);

/// The caps under which `asked` is scoped: `caps`, or less where the rules say so.
///
/// # Errors
/// [`Rejection::Parameter`] for what is over a limit of the rules, or cannot be read where one is to be held.
pub(super) fn hold(
    allowed: &RuleLimits,
    kind: Kind,
    asked: &Asked,
    caps: &Limits,
) -> Result<Limits, Rejection> {
    let mut held = caps.clone();
    held.query.bytes = allowed.query_bytes.map_or(held.query.bytes, |max| held.query.bytes.min(max));
    held.query.selectors =
        allowed.selectors.map_or(held.query.selectors, |max| held.query.selectors.min(max));
    let row = |name: &str| asked.matched.endpoint.parameters.iter().any(|p| p.name == name);
    if row("start") && row("end") && (allowed.range.is_some() || allowed.points.is_some()) {
        let range = range(kind, asked)?;
        if let Some(max) = allowed.range.filter(|max| range > *max) {
            let shown = max.as_secs_f64();
            let problem =
                format!("is more than {shown} s after `start`, the most that your policy rules allow");
            return Err(Rejection::parameter("end", problem));
        }
        if let Some(max) = allowed.points {
            hold_points(max, range, asked)?;
        }
    }
    if let (Treatment::Tail, Some(max)) = (asked.matched.endpoint.treatment, allowed.range) {
        hold_past(max, asked)?;
    }
    if let Some(max) = allowed.entries {
        for name in LIMITS {
            if given_limit(asked, name)?.is_some_and(|limit| limit > max) {
                let problem = format!("is over {max}, the most that your policy rules allow");
                return Err(Rejection::parameter(name, problem));
            }
        }
    }
    Ok(held)
}

/// `rejection` with the key that lowered a cap from `caps` to `held`, where that was a rule's.
pub(super) fn naming_the_rule(mut rejection: Rejection, held: &Limits, caps: &Limits) -> Rejection {
    let (held, caps) = (&held.query, &caps.query);
    let lowered = [
        (held.bytes < caps.bytes, "`limits.query.bytes`", "`query_bytes` of your policy rules"),
        (held.selectors < caps.selectors, "`limits.query.selectors`", "`selectors` of your policy rules"),
    ];
    for (_, general, own) in lowered.into_iter().filter(|(lowered, ..)| *lowered) {
        match &mut rejection {
            Rejection::Query { error, .. } if error.kind == QueryErrorKind::Limit => {
                error.message = error.message.replace(general, own);
            }
            Rejection::TooLarge { key, .. } if *key == general => *key = own,
            _ => {}
        }
    }
    rejection
}

/// Holds a remote read, whose times are in its body, to the longest range.
///
/// # Errors
/// [`Rejection::Parameter`] for a query over it.
pub(super) fn hold_read(allowed: &RuleLimits, cut: Option<&Cut>) -> Result<(), Rejection> {
    match (allowed.range, cut) {
        (Some(max), Some(Cut::RemoteRead { longest, .. })) if *longest > max => {
            let shown = max.as_secs_f64();
            let problem =
                format!("is more than {shown} s after the start, the most that your policy rules allow");
            Err(Rejection::parameter("end_timestamp_ms", problem))
        }
        _ => Ok(()),
    }
}

/// A live tail begins in the past, and so far back may it begin. How long ago `start` is no clock tells here.
fn hold_past(max: Duration, asked: &Asked) -> Result<(), Rejection> {
    let given = |name: &str| asked.parameters.scalar(name).filter(|value| !value.is_empty());
    if given("start").is_some() {
        let problem =
            "is not taken where your policy rules limit the time that may be asked for, use `since`";
        return Err(Rejection::parameter("start", problem));
    }
    let Some(text) = given(SINCE) else { return Ok(()) };
    let since = time::span(text).ok_or_else(|| Rejection::parameter(SINCE, "is no duration"))?;
    if since > max {
        let problem = format!("is over {} s, the most that your policy rules allow", max.as_secs_f64());
        return Err(Rejection::parameter(SINCE, problem));
    }
    Ok(())
}

/// Says to the backend how far back a live tail may begin, where the request does not say it and the backend
/// would take more: an hour (`defaultSince` in `pkg/loghttp/params.go`).
pub(super) fn cap_past(allowed: &RuleLimits, endpoint: &Endpoint, drafts: &mut [Draft]) {
    let Some(max) = allowed.range.filter(|max| *max < DEFAULT_SINCE) else { return };
    if endpoint.treatment != Treatment::Tail {
        return;
    }
    for draft in drafts {
        if !draft.arguments.iter().any(|a| matches!(a, Argument::Plain(SINCE, _))) {
            draft.arguments.push(Argument::Plain(SINCE, format!("{}ms", max.as_millis())));
        }
    }
}

/// Says the limit on entries to the backend where the request says none, and the backend would take more.
///
/// Prometheus takes all without `limit` or with 0 (`web/api/v1/api.go`), Loki 100 lines or series
/// (`defaultQueryLimit` in `pkg/loghttp/params.go`, `DefaultLimit` of `seriesvolume`) and 1,000 fields
/// (`defaultLimit`), Tempo 20 traces (`default_result_limit`).
pub(super) fn cap_entries(allowed: &RuleLimits, kind: Kind, endpoint: &Endpoint, drafts: &mut [Draft]) {
    let Some(max) = allowed.entries else { return };
    let has = |name: &str| endpoint.parameters.iter().any(|p| p.name == name);
    // One that is applied to the answer is not said.
    let sent = |name: &str| endpoint.parameters.iter().any(|p| p.name == name && p.form == Form::Plain);
    for name in [LIMIT, LINE_LIMIT].into_iter().filter(|name| sent(name)) {
        let usual = match kind {
            Kind::Prometheus => u64::MAX,
            Kind::Loki if name == LIMIT && has(FIELD_LIMIT) => 1000,
            Kind::Loki => 100,
            Kind::Tempo => 20,
            Kind::Alertmanager => return,
        };
        for draft in &mut *drafts {
            // Only a zero is left here of what `hold` read as no limit.
            let is_none = |a: &Argument| matches!(a, Argument::Plain(own, v) if *own == name && is_zero(v));
            draft.arguments.retain(|argument| !is_none(argument));
            let says = |a: &Argument| matches!(a, Argument::Plain(own, _) if *own == name || name == LIMIT && *own == FIELD_LIMIT);
            if max < usual && !draft.arguments.iter().any(says) {
                draft.arguments.push(Argument::Plain(name, max.to_string()));
            }
        }
    }
}

const LIMIT: &str = "limit";
/// Lines that Loki looks for fields in.
const LINE_LIMIT: &str = "line_limit";
/// The older spelling of `limit` where that is of fields.
const FIELD_LIMIT: &str = "field_limit";
const LIMITS: [&str; 3] = [LIMIT, LINE_LIMIT, FIELD_LIMIT];
const SINCE: &str = "since";
/// How far back a live tail begins where it does not say.
const DEFAULT_SINCE: Duration = Duration::from_secs(3600);

fn is_zero(value: &str) -> bool {
    value.parse() == Ok(0_u64)
}

/// The limit `name` of the request; none: absent, empty or 0.
fn given_limit(asked: &Asked, name: &'static str) -> Result<Option<u64>, Rejection> {
    match asked.parameters.scalar(name) {
        None | Some("") => Ok(None),
        Some(text) => {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let limit = text.parse::<u64>().ok().filter(|_| digits);
            let limit = limit.ok_or_else(|| Rejection::parameter(name, "is no whole number"))?;
            Ok((limit > 0).then_some(limit))
        }
    }
}

/// The time between `start` and `end`, as the backend takes them.
fn range(kind: Kind, asked: &Asked) -> Result<Duration, Rejection> {
    let given = |name: &'static str| asked.parameters.scalar(name).filter(|value| !value.is_empty());
    let read = |name: &'static str| {
        let unreadable = || Rejection::parameter(name, "is no time that can be read");
        given(name).map(|text| time::instant(kind, text).ok_or_else(unreadable)).transpose()
    };
    let missing = |name: &'static str| {
        Rejection::parameter(name, "is missing, and your policy rules limit the time that may be asked for")
    };
    match (read("start")?, read("end")?) {
        (Some(start), Some(end)) => {
            Ok(Duration::try_from_secs_f64((end - start).max(0.0)).unwrap_or(Duration::MAX))
        }
        (Some(_), None) => Err(missing("end")),
        (None, _) if kind == Kind::Prometheus => Err(missing("start")),
        (None, _) => match given("since") {
            Some(text) => time::span(text).ok_or_else(|| Rejection::parameter("since", "is no duration")),
            None => Ok(DEFAULT_RANGE),
        },
    }
}

/// As Prometheus counts them: how often the step fits into the range (`web/api/v1/api.go`). Without a step
/// Loki and Tempo take some hundred.
fn hold_points(max: u64, range: Duration, asked: &Asked) -> Result<(), Rejection> {
    let Some(text) = asked.parameters.scalar("step").filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let step = time::span(text).ok_or_else(|| Rejection::parameter("step", "is no duration"))?;
    // A step of nothing is for the backend to refuse.
    let points = range.as_nanos().checked_div(step.as_nanos()).unwrap_or(0);
    if points > u128::from(max) {
        let problem = format!("gives more than {max} points, the most that your policy rules allow");
        return Err(Rejection::parameter("step", problem));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
