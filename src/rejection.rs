//! Every way in which a request is refused.
//!
//! [`Rejection`] is closed and matched in full by `respond` (status and body) and by `events` (log and
//! metric), so a new refusal cannot become a silent 500. What [`std::fmt::Display`] writes is for the caller: lower
//! case, no full stop, what to do where something can be done, and nothing that tells whether another
//! tenant exists. Private detail goes to the log through [`Rejection::detail`].

pub mod reasons;

use crate::lang::{Language, QueryError};
use std::borrow::Cow;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The path is below no backend's mount.
    #[error("no backend is mounted at this path, it starts with a backend's name: `/NAME/…`")]
    UnknownMount,
    /// The token, or its absence.
    #[error("{0}")]
    Token(#[from] TokenFault),
    /// The token is good, and grants nothing here.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    /// The token grants more than one selector can say, or one backend hold.
    #[error("{}, one of: {choices}", Forbidden::NarrowerScope)]
    Narrower {
        /// What may be named, all of it the caller's own.
        choices: String,
    },
    /// Not an endpoint, or one that is refused by its row in the endpoint table.
    #[error("not found")]
    UnknownEndpoint,
    /// Not an endpoint here, and one elsewhere: the mount is not the right one.
    #[error("not found, {0}")]
    Misplaced(Cow<'static, str>),
    /// The endpoint has no such method.
    #[error("method not allowed, use {allow}")]
    Method {
        /// The methods it has, as the `Allow` header lists them.
        allow: &'static str,
    },
    /// A body whose content type is not the one accepted.
    #[error("{0}")]
    ContentType(&'static str),
    /// Over a cap: the request, or what it would become.
    #[error("{what} over the limit of {max} ({key})")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// The cap.
        max: usize,
        /// The key that sets it.
        key: &'static str,
    },
    /// A parameter is missing, repeated, contradictory or malformed.
    #[error("parameter `{name}` {problem}")]
    Parameter {
        /// The parameter.
        name: Cow<'static, str>,
        /// What is wrong with it.
        problem: Cow<'static, str>,
    },
    /// The request as a whole is malformed: its path, its encoding, its framing.
    #[error("{0}")]
    Malformed(&'static str),
    /// A query text was refused.
    #[error("{}", query_text(*.language, .error, .excerpt))]
    Query {
        /// Its language.
        language: Language,
        /// Why and where.
        error: QueryError,
        /// The caller's own text around the place, for the message.
        excerpt: String,
    },
    /// The backend gave no usable answer.
    #[error("{0}")]
    Upstream(#[from] UpstreamFault),
    /// The backend refused the scoped request itself.
    #[error("{text}")]
    UpstreamRefused {
        /// Its status, 400 to 499.
        status: u16,
        /// Its `errorType`, where it has one.
        error_type: Option<String>,
        /// Its text where the answer may pass, else a fixed one.
        text: String,
    },
    /// Not the opening handshake of a WebSocket, where only one is answered.
    #[error("{0}")]
    Upgrade(&'static str),
    /// A page of an origin that the configuration does not list opens a WebSocket.
    #[error("origin not accepted")]
    Origin,
    /// More live tails than may be open at once.
    #[error(
        "too many live tails are open, over the limit of {max} ({key}), close one or try again in {retry_after} s"
    )]
    TooManyTails {
        /// The cap.
        max: usize,
        /// The key that sets it.
        key: &'static str,
        /// Seconds after which to try again.
        retry_after: u64,
    },
    /// More than is taken at once.
    #[error("too many requests, try again later")]
    Overloaded,
    /// More than the caller's rules allow, in a second or at once.
    #[error("over the rate that your policy rules allow, {max} ({key}), try again in {retry_after} s")]
    RateLimited {
        /// What is allowed.
        max: u32,
        /// The key that sets it.
        key: &'static str,
        /// Seconds after which a request can be taken again.
        retry_after: u64,
    },
    /// The line that the audit log must have of the request cannot be written.
    #[error("the audit log cannot be written now, try again later")]
    Unaudited,
    /// Other requests take all the memory that callers may, or the caller's tenant has its part of it.
    #[error("no memory is left for this request, try again later")]
    NoMemory,
    /// The request took longer than allowed.
    #[error("timed out")]
    Timeout,
    /// The body of the request took longer to arrive than allowed.
    #[error("the request's body took too long to arrive")]
    SlowBody,
    /// A fault of ours. The text is for the log only.
    #[error("internal error, nothing was sent")]
    Defect(String),
}

/// What is wrong with a caller's credential, a token most of the time (RFC 6750, RFC 7519, RFC 9068).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenFault {
    /// No `Authorization: Bearer`.
    #[error("no bearer token, send `Authorization: Bearer TOKEN`")]
    Missing,
    /// Not one well-formed JWT: two headers, trailing bytes, bad base64, bad JSON, over the cap.
    #[error("malformed bearer token")]
    Malformed,
    /// An algorithm that the issuer's configuration does not list.
    #[error("token algorithm not accepted")]
    Algorithm,
    /// A `typ`, `crit` or `cnf` that is not taken: not an access token.
    #[error("not an access token that can be accepted here")]
    Kind,
    /// An issuer that is not configured.
    #[error("token issuer not accepted")]
    Issuer,
    /// No key of the issuer signed it.
    #[error("token signature not accepted")]
    Signature,
    /// Not meant for this audience.
    #[error("token audience not accepted, its `aud` must list one that is configured for its issuer")]
    Audience,
    /// `exp` is missing or past.
    #[error("token expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("token not valid yet")]
    NotYetValid,
    /// A claim has the wrong type, or a required one is missing.
    #[error("token claims not accepted")]
    Claims,
    /// Two credentials, such as a token in `Authorization` and one in `X-Grafana-Id`.
    #[error("more than one credential, send one")]
    Ambiguous,
    /// The name or the password of a service account is wrong.
    #[error("name or password not accepted")]
    Credentials,
    /// Too many passwords were tried: this one was not looked at.
    #[error("too many passwords were tried, try again later")]
    Attempts,
    /// The issuer's keys are not known yet, so nothing can be verified.
    #[error("token cannot be verified now, try again later")]
    KeysUnavailable,
}

impl TokenFault {
    /// Every fault.
    pub const ALL: [Self; 14] = [
        Self::Missing,
        Self::Malformed,
        Self::Algorithm,
        Self::Kind,
        Self::Issuer,
        Self::Signature,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::Claims,
        Self::Ambiguous,
        Self::Credentials,
        Self::Attempts,
        Self::KeysUnavailable,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Kind => "kind",
            Self::Issuer => "issuer",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Claims => "claims",
            Self::Ambiguous => "ambiguous",
            Self::Credentials => "credentials",
            Self::Attempts => "attempts",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

/// Why a good token grants nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Forbidden {
    /// No rule matches, or every rule that matches lost a dimension.
    #[error("no policy rule grants access")]
    NoRule,
    /// A scope value in the token has characters that are never taken.
    #[error("a scope value of the token has characters that are not accepted")]
    TenantValue,
    /// More values than the cap.
    #[error("the token's scope has too many values")]
    TooManyValues,
    /// The rules that match cannot be said in one selector.
    #[error("name a narrower scope with the `X-Palisade-Scope` header")]
    NarrowerScope,
    /// `X-Palisade-Scope` or `X-Palisade-Tenant` is malformed, repeated, or not granted.
    #[error("the requested scope is not granted")]
    Narrowing,
    /// Rules grant other endpoints of this backend, and not this kind.
    #[error("no policy rule grants this kind of endpoint")]
    Endpoint,
    /// The backend has no label for a dimension of the scope, or no tenant of its own for it.
    #[error("this backend cannot be scoped for this caller")]
    ClosedBackend,
    /// Nothing of the scope is held by the backends of the mount.
    #[error("your scope is not held here")]
    NotHeld,
    /// The operator closed the endpoint: `backends.NAME.refuse`.
    #[error("the operator has closed this endpoint")]
    ClosedEndpoint,
}

impl Forbidden {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::NoRule,
        Self::TenantValue,
        Self::TooManyValues,
        Self::NarrowerScope,
        Self::Narrowing,
        Self::Endpoint,
        Self::ClosedBackend,
        Self::NotHeld,
        Self::ClosedEndpoint,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::TenantValue => "tenant_value",
            Self::TooManyValues => "too_many_values",
            Self::NarrowerScope => "narrower_scope",
            Self::Narrowing => "narrowing",
            Self::Endpoint => "endpoint",
            Self::ClosedBackend => "closed_backend",
            Self::NotHeld => "not_held",
            Self::ClosedEndpoint => "closed_endpoint",
        }
    }
}

/// Why there is no answer of the backend to pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UpstreamFault {
    /// It could not be reached, or the connection broke.
    #[error("the backend cannot be reached")]
    Unreachable,
    /// It took too long.
    #[error("the backend took too long")]
    Timeout,
    /// It answered with a redirect or a status that is never passed on.
    #[error("the backend gave an unexpected answer")]
    Unexpected,
    /// It said itself that it is too busy or not ready.
    #[error("the backend is not ready")]
    Unready,
    /// The answer must be filtered and could not be decoded.
    #[error("the backend's answer cannot be filtered safely")]
    Undecodable,
    /// The answer must be filtered and is over the cap.
    #[error("the backend's answer is too large to be filtered, ask for less")]
    TooLarge,
}

impl UpstreamFault {
    /// Every fault.
    pub const ALL: [Self; 6] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Unexpected,
        Self::Unready,
        Self::Undecodable,
        Self::TooLarge,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unexpected => "unexpected",
            Self::Unready => "unready",
            Self::Undecodable => "undecodable",
            Self::TooLarge => "too_large",
        }
    }
}

impl Rejection {
    /// A parameter's refusal.
    pub fn parameter(name: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::Parameter { name: name.into(), problem: problem.into() }
    }

    /// The refusal of a body over the cap `max`.
    pub const fn body_too_large(max: usize) -> Self {
        Self::TooLarge { what: "bytes of the body", max, key: "`limits.body_bytes`" }
    }

    /// A query text's refusal, with the excerpt taken from `text`.
    pub fn query(language: Language, error: QueryError, text: &str) -> Self {
        let excerpt = error.span.map_or(String::new(), |s| excerpt(text, s.from, s.to));
        Self::Query { language, error, excerpt }
    }

    /// The reason, one of [`reasons::REASONS`]: what callers read in `X-Palisade-Reason`, the audit log tells, and
    /// policy cases expect. It stays the same where texts change. A query's refusal has the kind of its error, a
    /// token's and a policy's that of its fault.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownMount => "unknown_mount",
            Self::Token(TokenFault::Malformed) => "malformed_token",
            Self::Token(fault) => fault.name(),
            Self::Forbidden(forbidden) => forbidden.name(),
            Self::Narrower { .. } => Forbidden::NarrowerScope.name(),
            Self::UnknownEndpoint | Self::Misplaced(_) => "unknown_endpoint",
            Self::Method { .. } => "method",
            Self::ContentType(_) => "content_type",
            Self::TooLarge { .. } => "too_large",
            Self::Parameter { .. } => "parameter",
            Self::Malformed(_) => "malformed",
            Self::Query { error, .. } => error.kind.name(),
            Self::Upstream(UpstreamFault::Timeout) => "upstream_timeout",
            Self::Upstream(UpstreamFault::TooLarge) => "answer_too_large",
            Self::Upstream(fault) => fault.name(),
            Self::UpstreamRefused { .. } => "upstream_refused",
            Self::Upgrade(_) => "upgrade",
            Self::Origin => "origin",
            Self::TooManyTails { .. } => "too_many_tails",
            Self::Overloaded => "overloaded",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unaudited => "unaudited",
            Self::NoMemory => "no_memory",
            Self::Timeout => "timeout",
            Self::SlowBody => "slow_body",
            Self::Defect(_) => "defect",
        }
    }

    /// What only the log may say; empty if the public text says it all.
    pub fn detail(&self) -> &str {
        match self {
            Self::Defect(detail) => detail,
            Self::Query { error, .. } => &error.message,
            _ => "",
        }
    }
}

/// Defects are ours to read about in the log; everything else is the caller's own text.
fn query_text(language: Language, error: &QueryError, excerpt: &str) -> String {
    if error.kind == crate::lang::QueryErrorKind::Defect {
        return "internal error: the scoped query did not stand its proof, nothing was sent".to_owned();
    }
    match error.span {
        Some(span) => format!("{language}: {} at byte {}: `{excerpt}`", error.message, span.from),
        None => format!("{language}: {}", error.message),
    }
}

/// The text around `from..to`, at most 20 bytes before and 40 after `from`, control characters blanked.
fn excerpt(text: &str, from: usize, to: usize) -> String {
    let start = text.floor_char_boundary(from.saturating_sub(20));
    let end = text.ceil_char_boundary(to.clamp(from.saturating_add(20), from.saturating_add(40)));
    let end = end.min(text.len());
    let shown = text.get(start..end).unwrap_or("");
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    #[test]
    fn a_query_refusal_shows_the_callers_own_text() {
        let error = QueryError::unsafe_(Span::new(4, 8), "`info` reads other series");
        let shown = Rejection::query(Language::PromQl, error, "1 + info(up)").to_string();
        assert_eq!(shown, "PromQL: `info` reads other series at byte 4: `1 + info(up)`");
    }

    #[test]
    fn an_excerpt_stays_within_the_text_and_its_characters() {
        assert_eq!(excerpt("äöü", 1, 3), "äöü");
        assert_eq!(excerpt("", 5, 9), "");
        assert_eq!(excerpt("a\nb", 0, 3), "a b");
    }

    #[test]
    fn a_defect_shows_nothing_private() {
        let error = QueryError::defect("selector 3 lacks acme-books");
        let shown = Rejection::query(Language::LogQl, error, "{}").to_string();
        assert!(!shown.contains("acme"));
    }
}
