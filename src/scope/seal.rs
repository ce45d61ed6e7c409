//! The seal: what may be sent to a backend.
//!
//! [`Scoped`] is the only thing that the upstream client takes, and `seal` is the only place that
//! makes one. Whoever changes this file changes what can leak.

use super::call::{Call, Draft, Sending};
use super::reply::Cut;
use super::{Backend, Carried};
use crate::api::{Endpoint, Filter, Treatment};
use crate::limits::Limits;
use crate::policy::Grant;
use crate::rejection::Rejection;

/// A request that carries the caller's scope everywhere, with the cut that its answer needs.
#[derive(Debug)]
pub struct Scoped {
    endpoint: &'static Endpoint,
    calls: Vec<Call>,
    carried: Carried,
    cut: Option<Cut>,
}

impl Scoped {
    /// The endpoint that was asked.
    pub fn endpoint(&self) -> &'static Endpoint {
        self.endpoint
    }

    /// The calls to make, to look at.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The calls to make, the headers they have, and how their answers are cut; `None`: the answer passes.
    pub fn into_parts(self) -> (Vec<Call>, Carried, Option<Cut>) {
        (self.calls, self.carried, self.cut)
    }
}

/// Seals `drafts`. The grant is the permit: without one there is no caller to scope for.
///
/// # Errors
/// [`Rejection::Defect`] if a draft has no scoped text where the endpoint's treatment needs one, one of another scope
/// than the grant's, or no cut where it needs one; over the caps on what is sent, [`Rejection::TooLarge`];
/// [`Forbidden`](crate::rejection::Forbidden) if `backend` cannot say the scope.
pub(super) fn seal(
    (permit, backend): (&Grant, &Backend),
    endpoint: &'static Endpoint,
    drafts: Vec<Draft>,
    carried: Carried,
    cut: Option<Cut>,
    limits: &Limits,
) -> Result<Scoped, Rejection> {
    let scope = backend.matchers(permit)?;
    let has_text = |d: &Draft| scope.is_unrestricted() || d.is_scoped() || d.is_only_read();
    let (all, first) = (drafts.iter().all(has_text), drafts.first().is_some_and(has_text));
    // What has no scope is sent where nothing stored is read, and nowhere else.
    let fits = drafts.iter().all(|d| d.is_only_read() == (endpoint.treatment == Treatment::Read));
    let looked_first = drafts.first().is_some_and(|d| matches!(d.sending, Sending::Get));
    let (has_scope, needs_cut) = match endpoint.treatment {
        Treatment::Scope | Treatment::Read | Treatment::ScopeIf(..) => (all, false),
        Treatment::ScopeUnless(_) | Treatment::Tail => (all, false),
        Treatment::Filter(filter) => match filter {
            Filter::Search | Filter::Metrics | Filter::Receivers | Filter::Metadata => (all, true),
            Filter::TagNames | Filter::TagNamesV1 | Filter::TagValues | Filter::TagValuesV1 => (all, true),
            // Beside the alerts, silences are asked, which no query narrows.
            Filter::Alerts | Filter::AlertGroups => (first, true),
            // The body has the scope.
            Filter::RemoteRead => (drafts.iter().all(|d| matches!(d.sending, Sending::Post(_))), true),
            // No query narrows these: their cut does.
            Filter::Trace | Filter::TraceV2 | Filter::Rules | Filter::FiringAlerts => (true, true),
            Filter::Silences | Filter::Silence | Filter::Version | Filter::Drilldown => (true, true),
            // The cut looks at the silence before anything is changed, or the body has the scope.
            Filter::SilenceExpire => (looked_first && drafts.len() == 2, true),
            Filter::SilenceWrite => (looked_first == (drafts.len() == 2), true),
        },
        // A static answer is never sent.
        Treatment::Static(_) => (false, false),
    };
    let uncut = matches!(cut, Some(Cut::Whole { .. })) && !scope.is_unrestricted();
    if drafts.is_empty() || uncut || !fits || !has_scope || needs_cut != cut.is_some() {
        return Err(Rejection::Defect(format!("`{}` is not scoped in full", endpoint.name)));
    }
    let calls = drafts.into_iter().map(|d| d.encode(endpoint, &scope, limits)).collect::<Result<_, _>>()?;
    Ok(Scoped { endpoint, calls, carried, cut })
}
