//! From what a caller asks and may see to what is sent: the only door to a backend.

mod alertmanager;
mod allowed;
pub mod call;
pub mod carried;
pub mod grpc;
pub mod holds;
mod loki;
mod memory;
pub mod preview;
mod prometheus;
pub mod prompb;
mod remote_read;
pub mod reply;
pub mod said;
pub mod seal;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod seal_tests;
pub mod snappy;
mod tempo;
pub mod tenancy;
mod text;

pub use crate::api::Accept;
pub use call::{Call, Outgoing};
pub use carried::Carried;
pub use holds::{Holds, Site, holder};
pub use memory::{Memory, Remembered};
pub use seal::Scoped;
pub use tenancy::{Tenancy, TenancyHeaders};

use crate::api::parameters::Parameters;
use crate::api::path::{self, Matched};
use crate::api::{Endpoint, Filter, Form, Kind, Static, Text, Treatment};
use crate::lang::{Closed, Feature, Features};
use crate::limits::Limits;
use crate::policy::Grant;
use crate::rejection::{Forbidden, Rejection};
use crate::tenant::{SaltKey, Scope, ScopeMatchers};
use call::{Argument, Draft, Sending};
use reply::{About, Cut, Question};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What scoping must know of a backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its name in the configuration.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The label that says each dimension.
    pub labels: BTreeMap<String, String>,
    /// The features that the operator declares.
    pub features: Features,
    /// Its version, where the operator says it: it is told instead of what the backend says.
    pub version: Option<String>,
    /// Whether it narrows the values of tags as their hint says; matters to Tempo, where the endpoint is
    /// closed if not.
    pub narrows_tag_values: bool,
    /// Whether who may see it is shown others' spans of a trace, without content; matters to Tempo.
    pub redacts_traces: bool,
    /// What the salts of scopes are made of; none where what is sent is only shown.
    pub salt_key: Option<SaltKey>,
    /// The names that the operator closed in queries.
    pub closed: Closed,
    /// The paths of the endpoints that the operator closed, as their rows have them.
    pub closed_endpoints: Arc<[&'static str]>,
    /// The name under which callers find it, which several of one kind may share.
    pub mount: String,
    /// The part of everyone's data that it holds.
    pub holds: Holds,
    /// How it tells tenants apart itself, if it is told.
    pub tenancy: Option<Tenancy>,
}

impl Backend {
    /// A backend that holds everything, below its own name, without features or a tenancy of its own.
    pub fn new(name: impl Into<String>, kind: Kind, labels: BTreeMap<String, String>) -> Self {
        let name = name.into();
        Self {
            mount: name.clone(),
            name,
            kind,
            labels,
            features: Features::NONE,
            version: None,
            narrows_tag_values: true,
            redacts_traces: false,
            salt_key: None,
            closed: Closed::default(),
            closed_endpoints: Arc::default(),
            holds: Holds::default(),
            tenancy: None,
        }
    }

    /// Whether this backend can say every dimension of the caller's scope, in its labels and, where it is told the
    /// tenants, to itself.
    ///
    /// # Errors
    /// [`Forbidden::ClosedBackend`] if it cannot; as [`Tenancy::open_to`].
    pub fn open_to(&self, grant: &Grant) -> Result<(), Forbidden> {
        let said = grant.scope().dimensions().keys().all(|dimension| self.labels.contains_key(dimension));
        match &self.tenancy {
            _ if !said => Err(Forbidden::ClosedBackend),
            None => Ok(()),
            Some(tenancy) => tenancy.open_to(grant.scope()),
        }
    }

    /// The endpoint at `path`, which starts below the mount.
    ///
    /// # Errors
    /// [`Rejection::UnknownEndpoint`], also for one that what the operator declares leaves out;
    /// [`Forbidden::ClosedEndpoint`] for one that the operator closed.
    pub fn route(&self, path: &str) -> Result<Matched, Rejection> {
        let matched = path::route(self.kind, path)?;
        match matched.endpoint {
            endpoint if !endpoint.served(self.features) => Err(Rejection::UnknownEndpoint),
            endpoint if self.closed_endpoints.contains(&endpoint.path) => {
                Err(Forbidden::ClosedEndpoint.into())
            }
            _ => Ok(matched),
        }
    }

    /// The caller's scope in this backend's labels.
    ///
    /// # Errors
    /// [`Forbidden::ClosedBackend`] if a dimension has no label here.
    pub fn matchers(&self, grant: &Grant) -> Result<ScopeMatchers, Forbidden> {
        self.said(grant.scope())
    }

    fn said(&self, scope: &Scope) -> Result<ScopeMatchers, Forbidden> {
        let label_of = |dimension: &str| self.labels.get(dimension).map(String::as_str);
        let matchers = scope.in_labels(label_of).map_err(|_| Forbidden::ClosedBackend)?;
        Ok(matchers.salted(self.salt_key.clone()))
    }

    /// The headers of a call: what is carried of the caller's, and what tells this backend the tenants.
    fn carried(&self, grant: &Grant, asked: &Asked, limits: &Limits) -> Result<Carried, Rejection> {
        let headers = |tenancy: &Tenancy| tenancy.headers(self, grant.scope(), limits);
        let tenancy = self.tenancy.as_ref().map(headers).transpose()?;
        let wanted = asked.matched.endpoint.treatment == Treatment::Filter(Filter::Drilldown);
        let tenancy = tenancy.or_else(|| wanted.then(TenancyHeaders::of_the_only_tenant));
        Ok(Carried { tenancy, ..asked.carried.clone() })
    }
}

/// A request to an endpoint, read and not scoped yet.
#[derive(Debug)]
pub struct Asked {
    /// The endpoint and the variable of its path.
    pub matched: Matched,
    /// The parameters.
    pub parameters: Parameters,
    /// The body, where the endpoint takes one that is no form.
    pub body: Option<Vec<u8>>,
    /// What the caller accepts; matters to endpoints that answer in two forms.
    pub accept: Accept,
    /// What else of the request reaches the backend.
    pub carried: Carried,
}

impl Asked {
    /// The variable of the path, or what a message has in its place; not validated yet.
    fn variable(&self) -> &str {
        let named = self.matched.endpoint.parameters.iter().find(|p| p.form == Form::Variable);
        let given = named.map(|p| self.parameters.scalar(p.name).unwrap_or(""));
        given.unwrap_or(&self.matched.variable)
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Plan {
    /// Answered without the backend.
    Answer(Static),
    /// Sent.
    Send(Scoped),
}

/// What is done for a request whose answer is cut.
#[derive(Debug)]
enum Asking {
    /// Calls, and the cut of their answers.
    Calls(Vec<Draft>, Cut),
    /// The answer is known.
    Answer(Static),
}

/// Scopes `asked` for the caller of `grant`; queries that `memory` has are not scoped again.
///
/// # Errors
/// Whatever cannot be scoped without a doubt; see [`Rejection`].
pub fn scope(
    grant: &Grant,
    backend: &Backend,
    asked: &Asked,
    limits: &Limits,
    memory: Option<&dyn Memory>,
) -> Result<Plan, Rejection> {
    match drafted(grant, backend, asked, limits, memory)? {
        Drafted::Answer(answer) => Ok(Plan::Answer(answer)),
        Drafted::Calls(drafts, cut) => {
            let endpoint = asked.matched.endpoint;
            let carried = backend.carried(grant, asked, limits)?;
            Ok(Plan::Send(seal::seal((grant, backend), endpoint, drafts, carried, cut, limits)?))
        }
    }
}

/// What becomes of a request, before it is sealed.
#[derive(Debug)]
enum Drafted {
    /// Answered without the backend.
    Answer(Static),
    /// The calls, and the cut that their answers need.
    Calls(Vec<Draft>, Option<Cut>),
}

fn drafted(
    grant: &Grant,
    backend: &Backend,
    asked: &Asked,
    limits: &Limits,
    memory: Option<&dyn Memory>,
) -> Result<Drafted, Rejection> {
    let Some(allowed) = grant.limits() else {
        return drafted_within(grant, backend, asked, limits, memory);
    };
    let held = allowed::hold(allowed, backend.kind, asked, limits)?;
    let drafted = drafted_within(grant, backend, asked, &held, memory);
    let mut drafted = drafted.map_err(|rejection| allowed::naming_the_rule(rejection, &held, limits))?;
    if let Drafted::Calls(drafts, cut) = &mut drafted {
        allowed::hold_read(allowed, cut.as_ref())?;
        allowed::cap_entries(allowed, backend.kind, asked.matched.endpoint, drafts);
        allowed::cap_past(allowed, asked.matched.endpoint, drafts);
        *cut = match allowed.entries {
            Some(entries) => cut.take().map(|cut| cut.at_most(entries)),
            None => cut.take(),
        };
    }
    Ok(drafted)
}

/// What the calls for a request are made of.
#[derive(Clone, Copy)]
struct Drafting<'a> {
    backend: &'a Backend,
    asked: &'a Asked,
    matchers: &'a ScopeMatchers,
    limits: &'a Limits,
    /// The queries scoped before, if they are kept.
    memory: Option<&'a dyn Memory>,
}

fn drafted_within(
    grant: &Grant,
    backend: &Backend,
    asked: &Asked,
    limits: &Limits,
    memory: Option<&dyn Memory>,
) -> Result<Drafted, Rejection> {
    if !asked.matched.endpoint.served(backend.features) {
        return Err(Rejection::UnknownEndpoint);
    }
    let matchers = backend.matchers(grant)?;
    let of = Drafting { backend, asked, matchers: &matchers, limits, memory };
    Ok(match asked.matched.endpoint.treatment {
        Treatment::Static(answer) => Drafted::Answer(answer),
        Treatment::Scope
        | Treatment::ScopeIf(..)
        | Treatment::ScopeUnless(_)
        | Treatment::Tail
        | Treatment::Read => match unasked(asked) {
            Some(answer) => Drafted::Answer(answer),
            None => Drafted::Calls(vec![draft(of)?], None),
        },
        Treatment::Filter(filter) => match asking(filter, of)? {
            Asking::Answer(answer) => Drafted::Answer(answer),
            Asking::Calls(drafts, cut) => {
                let redacts = backend.redacts_traces && grant.sees_places();
                Drafted::Calls(drafts, Some(cut.redacting(redacts)))
            }
        },
    })
}

fn asking(filter: Filter, of: Drafting<'_>) -> Result<Asking, Rejection> {
    match filter {
        Filter::Trace
        | Filter::TraceV2
        | Filter::Search
        | Filter::TagNames
        | Filter::TagNamesV1
        | Filter::TagValues
        | Filter::TagValuesV1
        | Filter::Metrics => tempo::asking(filter, of),
        Filter::Rules | Filter::FiringAlerts | Filter::Metadata => {
            prometheus::asking(filter, draft(of)?, of.asked, of.matchers, of.limits)
        }
        Filter::Version | Filter::Drilldown => {
            let backend = of.backend;
            let question = match (filter, backend.kind) {
                (Filter::Drilldown, _) => {
                    Question::Drilldown { served: !backend.features.has(Feature::PatternPersistence) }
                }
                (_, Kind::Prometheus) => Question::Enveloped,
                (_, Kind::Loki | Kind::Tempo) => Question::Build,
                (_, Kind::Alertmanager) => Question::Status,
            };
            let about = About { question, version: backend.version.clone() };
            Ok(Asking::Calls(vec![draft(of)?], Cut::About(about)))
        }
        Filter::RemoteRead => remote_read::asking(of.asked, of.matchers, of.limits),
        Filter::Alerts
        | Filter::AlertGroups
        | Filter::Receivers
        | Filter::Silences
        | Filter::Silence
        | Filter::SilenceWrite
        | Filter::SilenceExpire => alertmanager::asking(filter, of),
    }
}

/// The call that asks what the caller asked, each parameter as its row says.
fn draft(of: Drafting<'_>) -> Result<Draft, Rejection> {
    let Drafting { backend, asked, matchers, limits, memory } = of;
    let endpoint = asked.matched.endpoint;
    let mut arguments = Vec::with_capacity(endpoint.parameters.len());
    for parameter in endpoint.parameters {
        let name = parameter.name;
        let given = asked.parameters.scalar(name).filter(|v| !v.is_empty());
        match (parameter.form, given) {
            (Form::SelectorOrAll(text), Some(loki::EVERYTHING)) => {
                let scoped = text::scope_everything(text, loki::EVERYTHING, matchers, limits)?;
                arguments.push(Argument::Scoped(name, scoped));
            }
            (Form::Query(text) | Form::OptionalQuery(text) | Form::SelectorOrAll(text), Some(query)) => {
                let scoped = text::scope_text(text, query, backend, matchers, limits, memory)?;
                arguments.push(Argument::Scoped(name, scoped));
            }
            (Form::OptionalQuery(_), None) if matchers.is_unrestricted() => {}
            (Form::OptionalQuery(text), None) => {
                arguments.push(Argument::Scoped(name, text::scope_alone(text, matchers, limits)?));
            }
            (Form::Query(_) | Form::SelectorOrAll(_) | Form::Read(_), None) => {
                return Err(Rejection::parameter(name, "is missing"));
            }
            (Form::Read(text), Some(query)) => {
                arguments.push(Argument::Read(name, text::read_text(text, query, backend, limits)?));
            }
            (Form::SelectorsOr(text, _), _) => {
                for query in asked.parameters.list(name).filter(|query| !is_everything(query)) {
                    let scoped = text::scope_text(text, query, backend, matchers, limits, memory)?;
                    arguments.push(Argument::Scoped(name, scoped));
                }
            }
            (Form::Selectors(text), _) => {
                let scoped = selectors(text, name, of)?;
                if scoped.is_empty() {
                    return Err(Rejection::parameter(name, "is missing"));
                }
                arguments.extend(scoped);
            }
            (Form::OptionalSelectors(text), _) => {
                let scoped = selectors(text, name, of)?;
                if scoped.is_empty() && !matchers.is_unrestricted() {
                    arguments.push(Argument::Scoped(name, text::scope_alone(text, matchers, limits)?));
                }
                arguments.extend(scoped);
            }
            (Form::Time | Form::Plain, Some(value)) => {
                arguments.push(Argument::Plain(name, value.to_owned()));
            }
            (Form::List, _) => {
                let given = asked.parameters.list(name);
                arguments.extend(given.map(|value| Argument::Plain(name, value.to_owned())));
            }
            (Form::TargetLabels, _) => {
                let labels = loki::target_labels(name, given, asked, matchers, limits)?;
                arguments.extend(labels.map(|labels| Argument::Plain(name, labels)));
            }
            (Form::ReadSelectors(text), _) => {
                for query in asked.parameters.list(name) {
                    let read = text::read_text(text, query, backend, limits)?;
                    arguments.push(Argument::Plain(name, read.as_str().to_owned()));
                }
            }
            (Form::Shards, _) => {
                for text in asked.parameters.list(name) {
                    arguments.push(Argument::Plain(name, loki::shard(name, text)?));
                }
            }
            (Form::Matchers, _) => {
                for text in asked.parameters.list(name) {
                    let filter = crate::lang::alertmanager::Filter::read(text);
                    let filter = filter.map_err(|error| Rejection::parameter(name, error.to_string()))?;
                    arguments.push(Argument::Plain(name, filter.text()));
                }
            }
            (Form::AtMost(max), Some(value)) => {
                arguments.push(Argument::Plain(name, at_most(name, value, max)?));
            }
            (Form::Time | Form::Plain | Form::AtMost(_), None) => {}
            (
                Form::Alias(_)
                | Form::Hint
                | Form::Translated(_)
                | Form::Applied
                | Form::Dropped
                | Form::Variable
                | Form::Refused(_),
                _,
            ) => {}
        }
    }
    let path = draft_path(endpoint, &asked.matched.variable)?;
    Ok(Draft { path, arguments, accept: endpoint.answers(), sending: Sending::AsRow })
}

/// What is answered where no selector is given, or none with a matcher, and the backend answers nothing to that.
fn unasked(asked: &Asked) -> Option<Static> {
    asked.matched.endpoint.parameters.iter().find_map(|parameter| match parameter.form {
        Form::SelectorsOr(_, nothing) => {
            // Storage finds nothing for no matcher (`PostingsForMatchers` in `tsdb/querier.go`).
            asked.parameters.list(parameter.name).all(is_everything).then_some(nothing)
        }
        _ => None,
    })
}

/// The whole number that `value` is.
fn at_most(name: &'static str, value: &str, max: u64) -> Result<String, Rejection> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|number: &u64| digits && *number <= max);
    let number =
        number.ok_or_else(|| Rejection::parameter(name, format!("must be a whole number, {max} at most")))?;
    Ok(number.to_string())
}

/// Each selector of the list `name`, scoped. To Loki's `series` a lone `{}` is none, and reads every stream
/// ([`loki::is_no_selector`]); Prometheus refuses it.
fn selectors(text: Text, name: &'static str, of: Drafting<'_>) -> Result<Vec<Argument>, Rejection> {
    let Drafting { backend, asked, matchers, limits, memory } = of;
    let given: Vec<&str> = asked.parameters.list(name).collect();
    if backend.kind == Kind::Loki && loki::is_no_selector(&given) {
        return Ok(Vec::new());
    }
    let scoped = |query: &str| text::scope_text(text, query, backend, matchers, limits, memory);
    given.into_iter().map(|query| Ok(Argument::Scoped(name, scoped(query)?))).collect()
}

/// Whether `selector` is `{}`, in any spacing.
fn is_everything(selector: &str) -> bool {
    selector.bytes().filter(|b| !b.is_ascii_whitespace()).eq(*b"{}")
}

/// The endpoint's path with the name of a label or field as its variable, if it has one.
fn draft_path(endpoint: &Endpoint, name: &str) -> Result<String, Rejection> {
    for (variable, what) in [("{label}", "label"), ("{field}", "field")] {
        if endpoint.path.contains(variable) {
            let segment = path::name_segment(name).ok_or_else(|| Rejection::parameter(what, "is no name"))?;
            return Ok(endpoint.path.replace(variable, &segment));
        }
    }
    Ok(endpoint.path.to_owned())
}
