//! Prometheus' rules and alerts: no query narrows them, so they are asked whole and cut.

use super::reply::{Cut, Page};
use super::{Asked, Backend};
use crate::api::Filter;
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;

/// The cut of an answer about rules.
///
/// # Errors
/// [`Rejection::Parameter`] for what Prometheus refuses as well (`parseListRulesPaginationRequest` and
/// `parseExcludeAlerts` in `web/api/v1/api.go`).
pub(super) fn cut(
    filter: Filter,
    backend: &Backend,
    asked: &Asked,
    matchers: &ScopeMatchers,
) -> Result<Cut, Rejection> {
    let owned = matchers.clone();
    let given = |name: &str| asked.parameters.scalar(name).filter(|value| !value.is_empty());
    match filter {
        Filter::FiringAlerts => Ok(Cut::FiringAlerts { owned }),
        Filter::Rules => {
            let exclude_alerts = match given("exclude_alerts").map(str::to_ascii_lowercase).as_deref() {
                None | Some("0" | "f" | "false") => false,
                Some("1" | "t" | "true") => true,
                Some(_) => return Err(Rejection::parameter("exclude_alerts", "is neither true nor false")),
            };
            Ok(Cut::Rules {
                owned,
                exclude_alerts,
                page: page(given("group_limit"), given("group_next_token"))?,
            })
        }
        _ => Err(Rejection::Defect(format!("no cut of {}", backend.kind))),
    }
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
