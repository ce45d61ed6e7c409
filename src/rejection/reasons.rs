//! The reasons of refusals: one word each, which stays the same where texts change.

use super::Rejection;

/// A reason, and what it means.
#[derive(Debug)]
pub struct Reason {
    /// What [`Rejection::kind`] gives.
    pub name: &'static str,
    /// What happened, and what to do where something can be done.
    pub means: &'static str,
}

const fn reason(name: &'static str, means: &'static str) -> Reason {
    Reason { name, means }
}

/// Every reason, in the order in which a request can be refused.
pub const REASONS: &[Reason] = &[
    reason(
        "no_memory",
        "others' requests hold all the memory that callers may, or your tenant its part of it: try again",
    ),
    reason("unaudited", "the line that the audit log must have cannot be written: try again"),
    reason("overloaded", "more requests, or more memory, than is taken at once: try again"),
    reason("unknown_mount", "the path is below no backend: it begins with a backend's name"),
    reason("missing", "no token: send `Authorization: Bearer TOKEN`"),
    reason("malformed_token", "not one well-formed JWT, or over `limits.token_bytes`"),
    reason("ambiguous", "more than one credential: send one"),
    reason("algorithm", "the issuer's configuration does not list the token's algorithm"),
    reason("kind", "not an access token, or one that is bound to a key"),
    reason("issuer", "no such issuer is configured"),
    reason("signature", "no key of the issuer signed the token"),
    reason(
        "audience",
        "the token is for others: ask the issuer for one with the audience that is configured",
    ),
    reason("expired", "the token has expired: get a new one"),
    reason("not_yet_valid", "the token is from the future: look at the clocks"),
    reason("claims", "a claim is missing or has a wrong type"),
    reason("credentials", "a service account's name or password is wrong"),
    reason("attempts", "too many passwords were tried: wait"),
    reason("keys_unavailable", "the issuer's keys are not known yet: try again"),
    reason("no_rule", "no policy rule grants anything here"),
    reason("tenant_value", "the token has a value for the scope with characters that are never taken"),
    reason("too_many_values", "the token's scope is over `limits.tenants`"),
    reason(
        "narrower_scope",
        "the rules cannot be said in one selector: name one of the scopes that the text lists",
    ),
    reason("narrowing", "the scope that the request names is not granted, or is malformed"),
    reason("endpoint", "no policy rule grants this class of endpoints"),
    reason("closed_backend", "the backend has no label for a dimension of the scope"),
    reason("not_held", "no backend of this mount holds anything of the scope"),
    reason("closed_endpoint", "the operator has closed the endpoint: `backends.NAME.refuse`"),
    reason("rate_limited", "over a limit of the policy: wait as long as `Retry-After` says"),
    reason("unknown_endpoint", "the path is no endpoint that is served"),
    reason("method", "the endpoint has other methods: `Allow` lists them"),
    reason("origin", "`tail.origins` does not list the page that opens a WebSocket"),
    reason("upgrade", "the endpoint speaks WebSocket only"),
    reason("too_many_tails", "too many live tails are open: close one"),
    reason("content_type", "the body has another content type than the one that is taken"),
    reason("slow_body", "the body took too long to arrive"),
    reason("too_large", "the request is over a limit: the text names it with its key"),
    reason("malformed", "the request cannot be read in one way only"),
    reason("parameter", "a parameter is missing, repeated, or malformed"),
    reason("syntax", "the query is not of its language"),
    reason(
        "unsupported",
        "the query has something that this reader, or the backend as configured, does not know",
    ),
    reason("unsafe", "the query has something that cannot be scoped"),
    reason("limit", "the query is over a limit: the text names it with its key"),
    reason("unreachable", "the backend cannot be reached"),
    reason("upstream_timeout", "the backend took too long"),
    reason("unready", "the backend said that it is not ready or too busy"),
    reason("unexpected", "the backend gave an answer that is never passed on"),
    reason("undecodable", "the backend's answer must be cut and could not be read"),
    reason(
        "answer_too_large",
        "the backend's answer must be cut and is over `limits.filtered_answer_bytes`: ask for less",
    ),
    reason("upstream_refused", "the backend itself refused the request"),
    reason("timeout", "the request took longer than `limits.request_timeout`"),
    reason("defect", "a fault of Palisade: nothing was sent"),
];

impl Rejection {
    /// Whether `name` is a reason.
    pub fn is_reason(name: &str) -> bool {
        REASONS.iter().any(|reason| reason.name == name)
    }
}
