//! The endpoints of the four backends: closed lists, one row an endpoint.
//!
//! What is not listed is refused; a parameter or header that is not listed is dropped, never
//! forwarded. The rows say how each parameter is treated and what becomes of the answer; nothing
//! else in the program decides that by path or name.

mod accept;
pub mod alertmanager;
mod class;
pub mod loki;
pub mod own;
pub mod parameters;
pub mod path;
pub mod prometheus;
pub mod reference;
mod rpc;
pub mod tempo;

pub use accept::Accept;
pub use class::{Class, Classes, UnknownClass};
pub use rpc::Rpc;

use crate::lang::{Feature, Features, Language, logql, promql, traceql};
use std::fmt;
use std::str::FromStr;

/// What a backend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Prometheus, or what speaks its query API.
    Prometheus,
    /// Loki.
    Loki,
    /// Tempo.
    Tempo,
    /// Alertmanager.
    Alertmanager,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::Loki, Self::Tempo, Self::Alertmanager];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Loki => "loki",
            Self::Tempo => "tempo",
            Self::Alertmanager => "alertmanager",
        }
    }

    /// The rows of this kind.
    pub const fn endpoints(self) -> &'static [Endpoint] {
        match self {
            Self::Prometheus => prometheus::ENDPOINTS,
            Self::Loki => loki::ENDPOINTS,
            Self::Tempo => tempo::ENDPOINTS,
            Self::Alertmanager => alertmanager::ENDPOINTS,
        }
    }

    /// What the backend registers beside them, and why that is refused: as an unknown path. For the
    /// documentation; no request is looked up here.
    pub const fn refused(self) -> &'static [Refused] {
        match self {
            Self::Prometheus => prometheus::REFUSED,
            Self::Loki => loki::REFUSED,
            Self::Tempo => tempo::REFUSED,
            Self::Alertmanager => alertmanager::REFUSED,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown backend kind `{0}`, use prometheus, loki, tempo or alertmanager")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|k| k.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// The methods that some endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET: parameters in the URL, no body.
    Get,
    /// POST: a body, and parameters in the URL as well.
    Post,
    /// DELETE: no body.
    Delete,
}

/// Which methods an endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Methods {
    /// GET alone.
    Get,
    /// GET, and POST of a form. Such an endpoint is asked by POST, whatever the caller used.
    GetPost,
    /// POST of JSON.
    PostJson,
    /// POST of protobuf, compressed with snappy.
    PostSnappy,
    /// DELETE.
    Delete,
    /// POST of one message of gRPC, answered by a stream of messages.
    Grpc(Rpc),
}

impl Methods {
    /// As the `Allow` header lists them.
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::GetPost => "GET, POST",
            Self::PostJson | Self::PostSnappy | Self::Grpc(_) => "POST",
            Self::Delete => "DELETE",
        }
    }

    /// Whether `method` is among them.
    pub const fn has(self, method: Method) -> bool {
        matches!(
            (self, method),
            (Self::Get | Self::GetPost, Method::Get)
                | (Self::GetPost | Self::PostJson | Self::PostSnappy | Self::Grpc(_), Method::Post)
                | (Self::Delete, Method::Delete)
        )
    }
}

/// One endpoint: a row of a backend's table.
#[derive(Debug)]
pub struct Endpoint {
    /// The name in metrics and documentation.
    pub name: &'static str,
    /// The methods.
    pub methods: Methods,
    /// The path below the backend's root; a segment `{label}`, `{field}`, `{trace}`, `{tag}` or `{silence}` is
    /// a variable. Rows of one path have different methods.
    pub path: &'static str,
    /// The parameters that are read. All others are dropped.
    pub parameters: &'static [Parameter],
    /// What is done.
    pub treatment: Treatment,
}

impl Endpoint {
    /// Whether it is there, where the operator declares `features` of the backend.
    pub const fn served(&self, features: Features) -> bool {
        match (self.needs(), self.treatment) {
            (Some(needed), _) => features.has(needed),
            (None, Treatment::ScopeUnless(closing)) => !features.has(closing),
            (None, _) => true,
        }
    }

    /// What the operator must declare of the backend for this endpoint to be there.
    pub const fn needs(&self) -> Option<Feature> {
        match self.treatment {
            Treatment::ScopeIf(feature, _) => Some(feature),
            Treatment::Filter(Filter::RemoteRead) => Some(Feature::RemoteRead),
            Treatment::Scope
            | Treatment::ScopeUnless(_)
            | Treatment::Tail
            | Treatment::Read
            | Treatment::Filter(_)
            | Treatment::Static(_) => None,
        }
    }

    /// The form that an answer is asked for in, where the caller has no choice.
    pub const fn answers(&self) -> Accept {
        match self.treatment {
            Treatment::ScopeIf(_, accept) => accept,
            Treatment::Scope
            | Treatment::ScopeUnless(_)
            | Treatment::Tail
            | Treatment::Read
            | Treatment::Filter(_)
            | Treatment::Static(_) => Accept::Json,
        }
    }
}

/// A route of a backend that is refused.
#[derive(Debug)]
pub struct Refused {
    /// The path, with a method if others are served; `*` stands for any rest.
    pub path: &'static str,
    /// Why.
    pub why: &'static str,
}

/// One parameter of an endpoint.
#[derive(Debug)]
pub struct Parameter {
    /// The name, as the backend reads it.
    pub name: &'static str,
    /// How it is treated.
    pub form: Form,
}

/// How a parameter is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A query text: scoped. Absent or empty is refused.
    Query(Text),
    /// A query text: scoped. Absent or empty becomes the scope alone.
    OptionalQuery(Text),
    /// A selector: scoped. Just `{}` says everything and becomes the scope alone; absent or empty is refused.
    SelectorOrAll(Text),
    /// A list of selectors, each scoped. None is refused.
    Selectors(Text),
    /// A list of selectors, each scoped. None becomes the scope alone.
    OptionalSelectors(Text),
    /// A list of selectors, each scoped. None, and those without a matcher, are answered with this, as the
    /// backend does.
    SelectorsOr(Text, Static),
    /// A query text that the backend reads and evaluates on nothing: read here as any other, and sent
    /// without the scope. Only in rows of [`Treatment::Read`]. Absent or empty is refused.
    Read(Text),
    /// A list of selectors over what the answer is cut to the caller's: each read here as any other, and sent without
    /// the scope, which they would miss.
    ReadSelectors(Text),
    /// A list of Alertmanager's matchers, each read and written anew. Where the row's answer is of
    /// alerts, the scope is added.
    Matchers,
    /// A list of names that narrow what is shown: forwarded.
    List,
    /// Names of labels, joined by commas, that Loki groups volumes by. Without them it takes those that the
    /// query names, the scope's among them, so those that the caller's own names are sent.
    TargetLabels,
    /// A list of Loki's shards, each read and written anew.
    Shards,
    /// Another spelling of the parameter named.
    Alias(&'static str),
    /// A text of conditions that narrows, of which what is sure to be understood is kept beside the scope.
    Hint,
    /// Said in another parameter's language, the one named, and sent as that.
    Translated(&'static str),
    /// Applied to the answer here; not forwarded.
    Applied,
    /// A hint that only ever narrows, or asks for more than is shown; not forwarded.
    Dropped,
    /// A point or span of time: forwarded; must agree where it is given twice.
    Time,
    /// Concerns only data that is scoped already: forwarded.
    Plain,
    /// A whole number, so much at most: forwarded.
    AtMost(u64),
    /// What the variable of a path is in other rows: read from the message, and sent as it was checked.
    Variable,
    /// Refused when it is there, for the reason given.
    Refused(&'static str),
}

/// What a query text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// PromQL.
    PromQl(promql::Entry),
    /// LogQL.
    LogQl(logql::Entry),
    /// TraceQL.
    TraceQl(traceql::Entry),
}

impl Text {
    /// Its language.
    pub const fn language(self) -> Language {
        match self {
            Self::PromQl(_) => Language::PromQl,
            Self::LogQl(_) => Language::LogQl,
            Self::TraceQl(_) => Language::TraceQl,
        }
    }
}

/// What is done with a request, and with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Parameters are scoped; the answer holds nothing else and passes.
    Scope,
    /// The same, but not there where the operator declares the feature.
    ScopeUnless(Feature),
    /// The same, where the operator declares the feature, and with an answer in another form than JSON. Else
    /// there is no such endpoint.
    ScopeIf(Feature, Accept),
    /// Texts of the caller's alone are sent, and nothing stored is read: the answer passes.
    Read,
    /// Parameters are scoped; the answer is a WebSocket, whose messages hold nothing else and pass one way.
    Tail,
    /// Parameters are scoped where there are any; the answer is decoded and cut.
    Filter(Filter),
    /// The same answer for every caller; the backend is not asked.
    Static(Static),
}

/// How an answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Tempo `/api/traces/{trace}`: the caller's resource spans.
    Trace,
    /// Tempo `/api/v2/traces/{trace}`: the same in the newer envelope.
    TraceV2,
    /// Tempo search: whole-trace facts blanked, what the scope added removed.
    Search,
    /// Tempo tag names by scope: those that anyone's data could decide are the same for everyone.
    TagNames,
    /// The same in the older shape, in one list.
    TagNamesV1,
    /// Tempo tag values: several calls merged.
    TagValues,
    /// The same in the older shape, as texts.
    TagValuesV1,
    /// Tempo metrics: statistics of everyone's data removed.
    Metrics,
    /// Prometheus' remote read: each query scoped, each series of the answer checked.
    RemoteRead,
    /// Prometheus' metadata of metrics: that of the caller's names.
    Metadata,
    /// Rules of Prometheus or of Loki's ruler: the caller's own, and those with alerts of the caller's.
    Rules,
    /// Their alerts: the caller's.
    FiringAlerts,
    /// Alertmanager's alerts: the caller's, with states that only the caller's silences and alerts make.
    Alerts,
    /// The same in groups.
    AlertGroups,
    /// What a backend says of itself, left to its version: a build, or a status.
    Version,
    /// The same of what Loki says to Grafana's Logs Drilldown: whether there are patterns.
    Drilldown,
    /// The receivers of the caller's alerts.
    Receivers,
    /// The caller's silences.
    Silences,
    /// One silence, if it is the caller's.
    Silence,
    /// A silence made or changed: the caller's before and after.
    SilenceWrite,
    /// A silence expired, if it is the caller's.
    SilenceExpire,
}

/// A constant answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Static {
    /// Its content type.
    pub content_type: &'static str,
    /// Its body.
    pub body: &'static str,
}

/// An answer of ours in JSON.
const fn json(body: &'static str) -> Static {
    json_answer(body)
}

/// An answer of Palisade's own, in JSON.
pub const fn json_answer(body: &'static str) -> Static {
    Static { content_type: "application/json", body }
}
