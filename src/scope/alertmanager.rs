//! Alertmanager's calls: alerts by a filter, silences by their owner.

use super::call::{Argument, Draft, ScopedBody, Sending};
use super::reply::{Cut, Shown, Silence};
use super::{Accept, Asked, Asking, Drafting};
use crate::api::{Filter, path};
use crate::lang::{Language, ScopedText, alertmanager};
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;

const ALERTS: &str = "/api/v2/alerts";
const SILENCES: &str = "/api/v2/silences";

/// The calls for an endpoint of Alertmanager, and the cut of their answers.
///
/// # Errors
/// As [`super::scope`].
pub(super) fn asking(filter: Filter, of: Drafting<'_>) -> Result<Asking, Rejection> {
    let Drafting { asked, matchers, limits, .. } = of;
    let owned = matchers.clone();
    let row = || super::draft(of);
    Ok(match filter {
        Filter::Alerts | Filter::AlertGroups => {
            let cut = Cut::Alerts { owned, shown: shown(asked), grouped: filter == Filter::AlertGroups };
            let mut listed = row()?;
            add_scope(&mut listed, matchers)?;
            // Which alerts inhibit is told by all of the caller's, which states by the active silences.
            let calls = vec![listed, own_alerts(matchers)?, active_silences()];
            Asking::Calls(calls, cut)
        }
        Filter::Receivers => Asking::Calls(vec![own_alerts(matchers)?], Cut::Receivers { owned }),
        Filter::Silences => Asking::Calls(vec![row()?], Cut::Silences { owned }),
        Filter::Silence => {
            Asking::Calls(vec![silence(id(&asked.matched.variable)?, Sending::Get)], Cut::Silence { owned })
        }
        Filter::SilenceExpire => {
            let id = id(&asked.matched.variable)?;
            let calls = vec![silence(id, Sending::Get), silence(id, Sending::Delete)];
            Asking::Calls(calls, Cut::SilenceExpired { owned })
        }
        Filter::SilenceWrite => {
            write(asked.body.as_deref().unwrap_or_default(), matchers, limits.parameter_pairs)?
        }
        _ => return Err(Rejection::Defect("no endpoint of Alertmanager".into())),
    })
}

/// A silence made, or changed: then the one that it changes is looked at first. Between the look and the
/// change, only who may change it already can: ids are random, and stay with their owner.
fn write(body: &[u8], matchers: &ScopeMatchers, most: usize) -> Result<Asking, Rejection> {
    let posted = Silence::read(body)?;
    posted.guard(most)?;
    let owned = posted.own(matchers)?;
    let looked_at = match owned.id() {
        Some(changed) => Some(silence(id(changed)?, Sending::Get)),
        None => None,
    };
    let sending = Sending::Post(ScopedBody::silence(&owned)?);
    let post = Draft { path: SILENCES.to_owned(), arguments: Vec::new(), accept: Accept::Json, sending };
    let cut = Cut::SilenceWritten { owned: matchers.clone(), changes: looked_at.is_some() };
    Ok(Asking::Calls(looked_at.into_iter().chain([post]).collect(), cut))
}

/// Which states the caller wants to see. As go-openapi reads booleans (`conv.ConvertBool` of its `swag`):
/// an empty value is none, and what is no word for true is false.
fn shown(asked: &Asked) -> Shown {
    const TRUE: [&str; 10] = ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];
    let is = |name: &str| {
        let given = asked.parameters.scalar(name).filter(|value| !value.is_empty());
        given.is_none_or(|value| TRUE.contains(&value.to_ascii_lowercase().as_str()))
    };
    Shown {
        active: is("active"),
        silenced: is("silenced"),
        inhibited: is("inhibited"),
        unprocessed: is("unprocessed"),
    }
}

/// Every alert of the scope.
fn own_alerts(matchers: &ScopeMatchers) -> Result<Draft, Rejection> {
    let path = ALERTS.to_owned();
    let mut draft = Draft { path, arguments: Vec::new(), accept: Accept::Json, sending: Sending::Get };
    add_scope(&mut draft, matchers)?;
    Ok(draft)
}

/// The silences that are in force. Versions that do not know these parameters answer more.
fn active_silences() -> Draft {
    let path = format!("{SILENCES}?active=true&expired=false&pending=false");
    Draft { path, arguments: Vec::new(), accept: Accept::Json, sending: Sending::Get }
}

fn silence(id: &str, sending: Sending) -> Draft {
    Draft { path: format!("/api/v2/silence/{id}"), arguments: Vec::new(), accept: Accept::Json, sending }
}

fn add_scope(draft: &mut Draft, matchers: &ScopeMatchers) -> Result<(), Rejection> {
    let scope: Vec<ScopedText> =
        alertmanager::scope(matchers).map_err(|error| Rejection::query(Language::PromQl, error, ""))?;
    draft.arguments.splice(0..0, scope.into_iter().map(|text| Argument::Scoped("filter", text.into())));
    Ok(())
}

fn id(text: &str) -> Result<&str, Rejection> {
    if path::is_silence_id(text) {
        Ok(text)
    } else {
        Err(Rejection::parameter("silence", "is no silence id"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
