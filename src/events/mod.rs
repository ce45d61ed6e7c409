//! What happens, each as one struct that makes its log line and its metric together.

pub mod audit;
mod metrics;
mod tail;

pub use metrics::{BackendMetrics, EndpointMetrics, Metrics, TailMetrics};
pub use tail::{TailEnd, TailEnded};

use crate::api::Endpoint;
use crate::policy::Grant;
use crate::rejection::{Rejection, TokenFault, UpstreamFault};
use http::{Method, StatusCode};
use std::net::IpAddr;
use std::time::Duration;

/// How a request ended; the label `outcome` of its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered from the backend.
    Passed,
    /// Answered from the backend, after a cut.
    Filtered,
    /// Answered without the backend.
    Static,
    /// Nothing of the caller's was there.
    NotFound,
    /// Refused for its token.
    Token,
    /// Refused by policy.
    Forbidden,
    /// No such endpoint or mount.
    UnknownEndpoint,
    /// Refused for its shape: method, content type, parameter, encoding.
    Malformed,
    /// Over a cap.
    TooLarge,
    /// A query that cannot be scoped.
    Query,
    /// Refused by the backend.
    UpstreamRefused,
    /// The backend could not be reached, or its answer could not be used: 502.
    Upstream,
    /// The backend was not ready: 503.
    UpstreamUnready,
    /// The backend took too long: 504.
    UpstreamTimeout,
    /// The backend's answer was too large to be cut: 422.
    UpstreamTooLarge,
    /// More than is taken of all callers together.
    Overloaded,
    /// More than the caller's own share.
    RateLimited,
    /// Its line of the audit log could not be written.
    Unaudited,
    /// Took too long in all.
    Timeout,
    /// Its body took too long to arrive.
    SlowBody,
    /// The caller went away before the end of the answer, or the server ended.
    Cancelled,
    /// The answer broke off after it had begun.
    Broken,
    /// A fault of ours.
    Defect,
}

impl Outcome {
    /// Every outcome, in order.
    pub const ALL: [Self; 23] = [
        Self::Passed,
        Self::Filtered,
        Self::Static,
        Self::NotFound,
        Self::Token,
        Self::Forbidden,
        Self::UnknownEndpoint,
        Self::Malformed,
        Self::TooLarge,
        Self::Query,
        Self::UpstreamRefused,
        Self::Upstream,
        Self::UpstreamUnready,
        Self::UpstreamTimeout,
        Self::UpstreamTooLarge,
        Self::Overloaded,
        Self::RateLimited,
        Self::Unaudited,
        Self::Timeout,
        Self::SlowBody,
        Self::Cancelled,
        Self::Broken,
        Self::Defect,
    ];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Filtered => "filtered",
            Self::Static => "static",
            Self::NotFound => "not_found",
            Self::Token => "token",
            Self::Forbidden => "forbidden",
            Self::UnknownEndpoint => "unknown_endpoint",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Query => "query",
            Self::UpstreamRefused => "upstream_refused",
            Self::Upstream => "upstream",
            Self::UpstreamUnready => "upstream_unready",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamTooLarge => "upstream_too_large",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate_limited",
            Self::Unaudited => "unaudited",
            Self::Timeout => "timeout",
            Self::SlowBody => "slow_body",
            Self::Cancelled => "cancelled",
            Self::Broken => "broken",
            Self::Defect => "defect",
        }
    }

    /// The outcome of a refusal.
    pub fn of(rejection: &Rejection) -> Self {
        use crate::lang::QueryErrorKind;
        match rejection {
            Rejection::UnknownMount | Rejection::UnknownEndpoint | Rejection::Misplaced(_) => {
                Self::UnknownEndpoint
            }
            Rejection::Token(_) => Self::Token,
            Rejection::Forbidden(_) | Rejection::Narrower { .. } | Rejection::Origin => Self::Forbidden,
            Rejection::Method { .. }
            | Rejection::ContentType(_)
            | Rejection::Parameter { .. }
            | Rejection::Upgrade(_)
            | Rejection::Malformed(_) => Self::Malformed,
            Rejection::TooLarge { .. } => Self::TooLarge,
            Rejection::Query { error, .. } => match error.kind {
                QueryErrorKind::Defect => Self::Defect,
                QueryErrorKind::Limit => Self::TooLarge,
                QueryErrorKind::Syntax | QueryErrorKind::Unsupported | QueryErrorKind::Unsafe => Self::Query,
            },
            Rejection::UpstreamRefused { .. } => Self::UpstreamRefused,
            Rejection::Upstream(fault) => match fault {
                UpstreamFault::Unreachable | UpstreamFault::Unexpected | UpstreamFault::Undecodable => {
                    Self::Upstream
                }
                UpstreamFault::Unready => Self::UpstreamUnready,
                UpstreamFault::Timeout => Self::UpstreamTimeout,
                UpstreamFault::TooLarge => Self::UpstreamTooLarge,
            },
            Rejection::Overloaded | Rejection::NoMemory => Self::Overloaded,
            Rejection::RateLimited { .. } | Rejection::TooManyTails { .. } => Self::RateLimited,
            Rejection::Unaudited => Self::Unaudited,
            Rejection::Timeout => Self::Timeout,
            Rejection::SlowBody => Self::SlowBody,
            Rejection::Defect(_) => Self::Defect,
        }
    }
}

/// What became of a bearer token; the label `outcome` of `palisade_token_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOutcome {
    /// Known from the cache of verified tokens.
    Cached,
    /// Verified anew.
    Verified,
    /// Refused.
    Refused(TokenFault),
}

/// A request has ended: its last byte is gone, or its caller.
#[derive(Debug)]
pub struct RequestFinished<'a> {
    /// The backend's name; `None` below no mount.
    pub backend: Option<&'a str>,
    /// The endpoint; `None` if none was matched.
    pub endpoint: Option<&'static Endpoint>,
    /// How it ended.
    pub outcome: Outcome,
    /// The status sent, if one was; of a call of gRPC that is refused, the status that it would be over HTTP.
    pub status: Option<StatusCode>,
    /// From the head of the request to the head of the answer; without one, to the end.
    pub duration: Duration,
    /// How it was asked.
    pub method: &'a Method,
    /// What was asked for, without parameters.
    pub path: &'a str,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Who asked, if known: the token's subject.
    pub subject: Option<&'a str>,
    /// The trace it belongs to, if the caller said one.
    pub trace_id: &'a str,
    /// What it ran under, if policy let it through.
    pub grant: Option<&'a Grant>,
    /// Why it was refused, if it was.
    pub rejection: Option<&'a Rejection>,
    /// What broke the answer off, if something did.
    pub broken: Option<&'a str>,
}

impl RequestFinished<'_> {
    /// Counts and logs it. Never logged: the token, the query, the body.
    pub fn emit(&self, metrics: Option<&EndpointMetrics>) {
        if let Some(metrics) = metrics {
            metrics.finished(self.outcome, self.duration);
        }
        let (backend, endpoint) = (self.backend.unwrap_or("-"), self.endpoint.map_or("-", |e| e.name));
        let (status, micros) = (self.status.map_or(0, |s| s.as_u16()), self.duration.as_micros() as u64);
        let (subject, trace_id) = (self.subject.unwrap_or("-"), self.trace_id);
        let (method, path, bytes) = (self.method.as_str(), self.path, self.bytes);
        let address = self.address.map(tracing::field::display);
        let outcome = self.outcome.name();
        macro_rules! tell {
            ($level:ident, $message:literal $(, $more:ident)*) => {
                tracing::$level!(
                    method, path, address, backend, endpoint, status, outcome, micros, bytes, subject, trace_id,
                    $($more,)* $message
                )
            };
        }
        if let Some(grant) = self.grant.filter(|grant| grant.scope().is_unrestricted()) {
            let rules: Vec<&str> = grant.rules().collect();
            let rules = rules.join(", ");
            tell!(warn, "unrestricted access", rules);
        }
        match (self.rejection, self.broken) {
            (Some(rejection), _) if self.outcome == Outcome::Defect => {
                let detail = rejection.detail();
                tell!(error, "defect", detail);
            }
            (Some(rejection), _) => {
                let reason = reason(rejection);
                tell!(info, "refused", reason);
            }
            (None, Some(reason)) => tell!(info, "broken", reason),
            (None, None) => tell!(debug, "request"),
        }
    }
}

/// A streamed answer ended before its end. It was answered: its request is counted by how it began.
#[derive(Debug)]
pub struct StreamBroken<'a> {
    /// The backend's name.
    pub backend: &'a str,
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// Who asked: the token's subject.
    pub subject: Option<&'a str>,
    /// The trace it belongs to, if the caller said one.
    pub trace_id: Option<&'a str>,
    /// Why.
    pub rejection: &'a Rejection,
}

impl StreamBroken<'_> {
    /// Counts and logs it.
    pub fn emit(&self, metrics: Option<&EndpointMetrics>) {
        if let Some(metrics) = metrics {
            metrics.broken();
        }
        let (backend, endpoint) = (self.backend, self.endpoint.name);
        let (subject, trace_id) = (self.subject.unwrap_or("-"), self.trace_id.unwrap_or("-"));
        if let Rejection::Defect(detail) = self.rejection {
            tracing::error!(backend, endpoint, subject, trace_id, detail, "defect");
        } else {
            let reason = reason(self.rejection);
            tracing::info!(backend, endpoint, subject, trace_id, reason, "stream broken");
        }
    }
}

/// A name for the log; the public text may quote a query.
fn reason(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Token(fault) => fault.name(),
        Rejection::Forbidden(_) | Rejection::Narrower { .. } => rejection.kind(),
        Rejection::Query { error, .. } => error.kind.name(),
        Rejection::Upstream(fault) => fault.name(),
        Rejection::TooLarge { what, .. } => what,
        Rejection::NoMemory
        | Rejection::RateLimited { .. }
        | Rejection::TooManyTails { .. }
        | Rejection::Origin => rejection.kind(),
        other => Outcome::of(other).name(),
    }
}
