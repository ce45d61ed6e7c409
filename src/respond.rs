//! From a refusal to an answer: the only place that knows status codes, in each backend's own shape of
//! errors, so that Grafana shows the text.

pub mod grpc;
pub mod reasons;

use crate::api::Kind;
use crate::lang::QueryErrorKind;
use crate::rejection::{Rejection, TokenFault, UpstreamFault};
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::json;

/// The header that says why a request was refused, in one word (`rejection::reasons`).
pub const REASON: HeaderName = HeaderName::from_static("x-palisade-reason");

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A body that is there whole.
pub fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with the headers that every answer has: what one caller reads is for no shared cache.
pub fn answer(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(VARY, HeaderValue::from_static("Authorization, X-Grafana-Id, Accept-Encoding"));
    response
}

/// The answer to a refused request, in the shape of a backend of `kind`; `None`: below no mount.
pub fn refuse(kind: Option<Kind>, rejection: &Rejection) -> Response<Body> {
    let status = status(rejection);
    let (content_type, body) = shape(kind, status, rejection);
    let mut response = answer(status, HeaderValue::from_static(content_type), full(body));
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(rejection.kind()));
    match rejection {
        Rejection::Token(TokenFault::Missing) => {
            // RFC 6750, section 3.1: no error code when the request had no token at all.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Rejection::Token(TokenFault::Attempts) => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
        }
        Rejection::Token(fault) if *fault != TokenFault::KeysUnavailable => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        }
        Rejection::Method { allow } => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        Rejection::Overloaded | Rejection::NoMemory | Rejection::Unaudited => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Rejection::RateLimited { retry_after, .. } | Rejection::TooManyTails { retry_after, .. } => {
            headers.insert(RETRY_AFTER, (*retry_after).into());
        }
        Rejection::Upgrade(_) => {
            // RFC 9110, section 15.5.22, and RFC 6455, section 4.4.
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        _ => {}
    }
    response
}

/// The status of a refusal.
pub fn status(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::UnknownMount | Rejection::UnknownEndpoint | Rejection::Misplaced(_) => {
            StatusCode::NOT_FOUND
        }
        Rejection::Token(TokenFault::KeysUnavailable) => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::Token(TokenFault::Attempts) => StatusCode::TOO_MANY_REQUESTS,
        Rejection::Token(_) => StatusCode::UNAUTHORIZED,
        Rejection::Forbidden(_) | Rejection::Narrower { .. } | Rejection::Origin => StatusCode::FORBIDDEN,
        Rejection::Upgrade(_) => StatusCode::UPGRADE_REQUIRED,
        Rejection::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
        Rejection::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Rejection::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Rejection::Parameter { .. } | Rejection::Malformed(_) => StatusCode::BAD_REQUEST,
        Rejection::Query { error, .. } => match error.kind {
            QueryErrorKind::Syntax | QueryErrorKind::Unsupported | QueryErrorKind::Unsafe => {
                StatusCode::BAD_REQUEST
            }
            QueryErrorKind::Limit => StatusCode::PAYLOAD_TOO_LARGE,
            QueryErrorKind::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        },
        Rejection::Upstream(fault) => match fault {
            UpstreamFault::Unreachable | UpstreamFault::Unexpected | UpstreamFault::Undecodable => {
                StatusCode::BAD_GATEWAY
            }
            UpstreamFault::Timeout => StatusCode::GATEWAY_TIMEOUT,
            UpstreamFault::Unready => StatusCode::SERVICE_UNAVAILABLE,
            UpstreamFault::TooLarge => StatusCode::UNPROCESSABLE_ENTITY,
        },
        Rejection::UpstreamRefused { status, .. } => StatusCode::from_u16(*status)
            .ok()
            .filter(StatusCode::is_client_error)
            .unwrap_or(StatusCode::BAD_GATEWAY),
        Rejection::Overloaded | Rejection::RateLimited { .. } | Rejection::TooManyTails { .. } => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Rejection::NoMemory | Rejection::Unaudited => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Rejection::SlowBody => StatusCode::REQUEST_TIMEOUT,
        Rejection::Defect(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Content type and body. Prometheus and Alertmanager answer JSON; Loki and Tempo text, but a 401 as
/// JSON with `message`, which is where Grafana looks for it. Alertmanager's 400 is a text in JSON
/// (`api/v2/api.go`: the payload of each `BadRequest` is a string), which is all that amtool reads.
///
/// Objects have the reason as well, but for what the backend said itself.
fn shape(kind: Option<Kind>, status: StatusCode, rejection: &Rejection) -> (&'static str, String) {
    let text = rejection.to_string();
    let mut object = match kind {
        Some(Kind::Prometheus) => {
            let error_type = match rejection {
                Rejection::UpstreamRefused { error_type: Some(own), .. } => own.as_str(),
                _ => prometheus_error_type(status),
            };
            json!({ "status": "error", "errorType": error_type, "error": text })
        }
        Some(Kind::Alertmanager) if status == StatusCode::BAD_REQUEST => json!(text),
        Some(Kind::Alertmanager) => json!({ "code": status.as_u16(), "message": text }),
        Some(Kind::Loki | Kind::Tempo) if status == StatusCode::UNAUTHORIZED => json!({ "message": text }),
        Some(Kind::Loki | Kind::Tempo) | None => return ("text/plain; charset=utf-8", text),
    };
    if let (Some(members), false) =
        (object.as_object_mut(), matches!(rejection, Rejection::UpstreamRefused { .. }))
    {
        members.insert("reason".to_owned(), json!(rejection.kind()));
    }
    ("application/json", object.to_string())
}

/// `errorType` of Prometheus (`web/api/v1/api.go`) for a status.
fn prometheus_error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::UNPROCESSABLE_ENTITY => "execution",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => {
            "unavailable"
        }
        StatusCode::GATEWAY_TIMEOUT => "timeout",
        StatusCode::INTERNAL_SERVER_ERROR => "internal",
        _ => "bad_data",
    }
}
