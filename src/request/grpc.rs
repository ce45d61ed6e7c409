//! A call of gRPC: one message, not compressed, in the place of URL and form (`PROTOCOL-HTTP2.md` of gRPC).

use super::Headers;
use crate::api::parameters::Parameters;
use crate::api::{Endpoint, Rpc};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::scope::call::GRPC;
use crate::scope::carried::grpc_timeout;
use crate::scope::grpc::frame::{FrameFault, Messages};
use crate::scope::grpc::read;
use std::time::Duration;

/// What is said of a message that is compressed.
const PLAIN: Rejection = Rejection::ContentType("send the message without compression");

/// Whether a request says that it is of gRPC: then it is answered so, and served so or not at all.
pub fn is_named(headers: &impl Headers) -> bool {
    let starts = |value: &[u8]| {
        value.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC.as_bytes()))
    };
    headers.all("content-type").any(starts)
}

/// Accepts messages in protobuf, not compressed.
///
/// # Errors
/// [`Rejection::ContentType`].
pub(super) fn check_type(headers: &impl Headers) -> Result<(), Rejection> {
    let mut given = headers.all("content-type");
    let accepted = match (given.next(), given.next()) {
        (Some(only), None) => {
            let text = only.to_ascii_lowercase();
            matches!(text.as_slice(), b"application/grpc" | b"application/grpc+proto")
        }
        _ => false,
    };
    if !accepted {
        return Err(Rejection::ContentType("send `Content-Type: application/grpc`"));
    }
    if headers.all("grpc-encoding").all(|value| value == b"identity") { Ok(()) } else { Err(PLAIN) }
}

/// The parameters in the one message of `body`.
///
/// # Errors
/// For what is no such message, or has what its row refuses.
pub(super) fn parameters(
    endpoint: &'static Endpoint,
    rpc: Rpc,
    url: Option<&str>,
    body: &[u8],
    limits: &Limits,
) -> Result<Parameters, Rejection> {
    if url.is_some() {
        return Err(Rejection::Malformed("a call of gRPC has no query in its path"));
    }
    let refused = |fault| match fault {
        FrameFault::Compressed => PLAIN,
        FrameFault::TooLarge => too_large(limits),
        FrameFault::Broken => Rejection::Malformed("the message is not framed as gRPC frames it"),
    };
    let mut messages = Messages::new(limits.body_bytes);
    messages.push(body);
    let message = messages.take().map_err(refused)?;
    let message = message.ok_or(Rejection::Malformed("the call has no whole message"))?;
    messages.end().map_err(|_| Rejection::Malformed("the call has more than one message"))?;
    Parameters::of_message(endpoint, read(rpc, &message)?)
}

/// What is said of a message that is over the cap.
pub(super) fn too_large(limits: &Limits) -> Rejection {
    Rejection::TooLarge { what: "bytes of the message", max: limits.body_bytes, key: "`limits.body_bytes`" }
}

/// How long the caller waits, if it says so.
///
/// # Errors
/// [`Rejection::Malformed`] if it cannot be read.
pub(super) fn patience(headers: &impl Headers) -> Result<Option<Duration>, Rejection> {
    let Some(given) = headers.all("grpc-timeout").next() else { return Ok(None) };
    let read = std::str::from_utf8(given).ok().and_then(grpc_timeout);
    read.map(Some).ok_or(Rejection::Malformed("`grpc-timeout` cannot be read"))
}
