//! Prometheus' rules and alerts, which no query narrows, so that they are asked whole and cut; and metadata, which is asked
//! of the caller's targets.

use super::call::{Argument, Draft, Sending};
use super::reply::{Cut, Families, Page};
use super::{Accept, Asked, Asking, text};
use crate::api::{Filter, Text};
use crate::lang::promql::Entry;
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;

/// The calls for an endpoint with a filter, `call` among them, and the cut of their answers.
///
/// # Errors
/// [`Rejection::Parameter`] for what Prometheus refuses as well (`parseListRulesPaginationRequest`,
/// `parseExcludeAlerts` and `metricMetadata` in `web/api/v1/api.go`).
pub(super) fn asking(
    filter: Filter,
    call: Draft,
    asked: &Asked,
    matchers: &ScopeMatchers,
    limits: &Limits,
) -> Result<Asking, Rejection> {
    let owned = matchers.clone();
    let given = |name: &str| asked.parameters.scalar(name).filter(|value| !value.is_empty());
    match filter {
        Filter::FiringAlerts => Ok(Asking::Calls(vec![call], Cut::FiringAlerts { owned })),
        Filter::Rules => {
            let exclude_alerts = match given("exclude_alerts").map(str::to_ascii_lowercase).as_deref() {
                None | Some("0" | "f" | "false") => false,
                Some("1" | "t" | "true") => true,
                Some(_) => return Err(Rejection::parameter("exclude_alerts", "is neither true nor false")),
            };
            let page = page(given("group_limit"), given("group_next_token"))?;
            Ok(Asking::Calls(vec![call], Cut::Rules { owned, exclude_alerts, page }))
        }
        Filter::Metadata => {
            let limit = number("limit", given("limit"))?;
            let limit_each = number("limit_per_metric", given("limit_per_metric"))?.filter(|each| *each > 0);
            let metric = given("metric").map(str::to_owned);
            let calls = [LABEL_NAMES, TARGETS].map(|from| own(from, matchers, metric.as_deref(), limits));
            let calls = calls.into_iter().collect::<Result<_, _>>()?;
            Ok(Asking::Calls(calls, Cut::Metadata(Families { metric, limit, limit_each })))
        }
        _ => Err(Rejection::Defect("no endpoint of Prometheus".into())),
    }
}

/// Where something is listed, and the parameter that narrows it to the caller's.
type Listed = (&'static str, &'static str);

/// The names of metrics.
const LABEL_NAMES: Listed = ("/api/v1/label/__name__/values", "match[]");
/// What targets say of metrics, of a target with these labels, and of one metric alone where it is named
/// (`targetMetadata` in `web/api/v1/api.go`).
const TARGETS: Listed = ("/api/v1/targets/metadata", "match_target");

/// The call that asks for what is listed of the caller's.
fn own(
    (path, by): Listed,
    matchers: &ScopeMatchers,
    metric: Option<&str>,
    limits: &Limits,
) -> Result<Draft, Rejection> {
    let mut arguments = Vec::new();
    if !matchers.is_unrestricted() {
        arguments
            .push(Argument::Scoped(by, text::scope_alone(Text::PromQl(Entry::Selector), matchers, limits)?));
    }
    if let (Some(metric), TARGETS) = (metric, (path, by)) {
        arguments.push(Argument::Plain("metric", metric.to_owned()));
    }
    Ok(Draft { path: path.to_owned(), arguments, accept: Accept::Json, sending: Sending::Get })
}

/// A number as Go's `Atoi` reads it; less than 0 is no limit.
fn number(name: &'static str, given: Option<&str>) -> Result<Option<usize>, Rejection> {
    let Some(text) = given else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| Rejection::parameter(name, "is no number"))?;
    Ok(usize::try_from(number).ok())
}

fn page(limit: Option<&str>, from: Option<&str>) -> Result<Option<Page>, Rejection> {
    match (limit, from) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Rejection::parameter("group_next_token", "needs `group_limit`")),
        (Some(limit), from) => match limit.parse::<i32>().ok().and_then(|n| usize::try_from(n).ok()) {
            Some(limit) if limit > 0 => Ok(Some(Page { limit, from: from.map(str::to_owned) })),
            _ => Err(Rejection::parameter("group_limit", "is no number greater than 0")),
        },
    }
}
