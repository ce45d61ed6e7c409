//! Answers to calls of gRPC: their outcome is in trailers, whatever it is (`PROTOCOL-HTTP2.md` of gRPC).

use super::{Body, REASON, answer, full};
use crate::lang::QueryErrorKind;
use crate::rejection::{Rejection, TokenFault, UpstreamFault};
use crate::request::grpc::is_named;
use crate::scope::call::GRPC;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The outcome of a call.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What a message of an outcome has encoded: all but space to `~`, and `%`.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// Whether a request is a call of gRPC, which is spoken over HTTP/2 only.
pub fn is_call(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_2 && is_named(headers)
}

/// The answer to a refused call: no message, and the outcome at once.
pub fn refuse(rejection: &Rejection) -> Response<Body> {
    let mut response = answer(StatusCode::OK, HeaderValue::from_static(GRPC), full(Bytes::new()));
    response.headers_mut().extend(trailers(Some(rejection)));
    if let Rejection::ContentType(_) = rejection {
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    response
}

/// An answer of messages that come in `body`, which ends with [`trailers`].
pub fn stream(body: Body) -> Response<Body> {
    answer(StatusCode::OK, HeaderValue::from_static(GRPC), body)
}

/// An answer of this one message, framed.
pub fn one(message: Vec<u8>) -> Response<Body> {
    let ends = async { Some(Ok(trailers(None))) };
    stream(full(message).with_trailers(ends).boxed_unsync())
}

/// The trailers of an answer that was given in full, or ended by `rejection`.
pub fn trailers(rejection: Option<&Rejection>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, rejection.map_or(0, code).into());
    if let Some(rejection) = rejection {
        trailers.insert(REASON, HeaderValue::from_static(rejection.kind()));
        let text = utf8_percent_encode(&rejection.to_string(), ENCODED).to_string();
        if let Ok(text) = HeaderValue::from_str(&text) {
            trailers.insert(MESSAGE, text);
        }
    }
    trailers
}

const CANNOT_BE_READ: u16 = 3; // INVALID_ARGUMENT
const TOOK_TOO_LONG: u16 = 4; // DEADLINE_EXCEEDED
const NOT_GRANTED: u16 = 7; // PERMISSION_DENIED
const TOO_MUCH: u16 = 8; // RESOURCE_EXHAUSTED
const NOT_SERVED: u16 = 12; // UNIMPLEMENTED
const OUR_FAULT: u16 = 13; // INTERNAL
const NOT_NOW: u16 = 14; // UNAVAILABLE
const UNKNOWN_CALLER: u16 = 16; // UNAUTHENTICATED

/// The status code of a refusal (`statuscodes.md` of gRPC).
pub fn code(rejection: &Rejection) -> u16 {
    match rejection {
        Rejection::UnknownMount
        | Rejection::UnknownEndpoint
        | Rejection::Misplaced(_)
        | Rejection::Method { .. } => NOT_SERVED,
        // What it says of compression that is not supported.
        Rejection::ContentType(_) => NOT_SERVED,
        Rejection::Token(TokenFault::KeysUnavailable) => NOT_NOW,
        Rejection::Token(_) => UNKNOWN_CALLER,
        Rejection::Forbidden(_) | Rejection::Narrower { .. } | Rejection::Origin => NOT_GRANTED,
        Rejection::TooLarge { .. }
        | Rejection::Overloaded
        | Rejection::NoMemory
        | Rejection::RateLimited { .. }
        | Rejection::TooManyTails { .. } => TOO_MUCH,
        Rejection::Parameter { .. } | Rejection::Malformed(_) | Rejection::Upgrade(_) => CANNOT_BE_READ,
        Rejection::Query { error, .. } => match error.kind {
            QueryErrorKind::Syntax | QueryErrorKind::Unsupported | QueryErrorKind::Unsafe => CANNOT_BE_READ,
            QueryErrorKind::Limit => TOO_MUCH,
            QueryErrorKind::Defect => OUR_FAULT,
        },
        Rejection::Upstream(fault) => match fault {
            UpstreamFault::Unreachable
            | UpstreamFault::Unexpected
            | UpstreamFault::Undecodable
            | UpstreamFault::Unready => NOT_NOW,
            UpstreamFault::Timeout => TOOK_TOO_LONG,
            UpstreamFault::TooLarge => TOO_MUCH,
        },
        Rejection::UpstreamRefused { status, .. } => match status {
            404 => NOT_SERVED,
            413 | 429 => TOO_MUCH,
            _ => CANNOT_BE_READ,
        },
        Rejection::Unaudited => NOT_NOW,
        Rejection::Timeout | Rejection::SlowBody => TOOK_TOO_LONG,
        Rejection::Defect(_) => OUR_FAULT,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::header::CONTENT_TYPE;

    #[test]
    fn a_message_of_an_outcome_is_of_printable_characters() {
        let rejection = Rejection::parameter("q", "50% of ä\n");
        let trailers = trailers(Some(&rejection));
        assert_eq!(trailers.get("grpc-status").unwrap(), "3");
        assert_eq!(trailers.get("grpc-message").unwrap(), "parameter `q` 50%25 of %C3%A4%0A");
        assert_eq!(super::trailers(None).len(), 1);
    }

    #[test]
    fn a_call_is_told_by_how_its_content_type_starts() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(text));
            is_named(&headers)
        };
        for text in
            ["application/grpc", "APPLICATION/gRPC+proto", "application/grpc-web", "application/grpc;x=1"]
        {
            assert!(of(text), "{text}");
        }
        for text in ["application/json", "", "text/plain, application/grpc", "application/grp"] {
            assert!(!of(text), "{text}");
        }
    }
}
