//! Which endpoint a request asks, and what it says.

use super::{Headers, grpc};
use crate::api::parameters::Parameters;
use crate::api::path::{Matched, misplaced};
use crate::api::{Accept, Endpoint, Method, Methods};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::scope::call::REMOTE_READ;
use crate::scope::carried::Traceparent;
use crate::scope::grpc::frame::PREFIX_BYTES;
use crate::scope::{Asked, Backend, Carried};

/// The rows of the path below the mount; `is_call`: of gRPC.
///
/// # Errors
/// [`Rejection::UnknownEndpoint`], or [`Rejection::Misplaced`] where the path is one elsewhere; as [`Backend::route`].
pub fn find(backend: &Backend, path: &str, is_call: bool) -> Result<Matched, Rejection> {
    let matched = backend.route(path).map_err(|rejection| {
        let elsewhere = misplaced(backend.kind, path).map(|told| Rejection::Misplaced(told.into()));
        elsewhere.unwrap_or(rejection)
    })?;
    if is_call && !is_rpc(matched.endpoint) { Err(Rejection::UnknownEndpoint) } else { Ok(matched) }
}

fn is_rpc(endpoint: &Endpoint) -> bool {
    matches!(endpoint.methods, Methods::Grpc(_))
}

/// Holds a request for `endpoint` to what it may be: of gRPC or not, with a body or without.
///
/// # Errors
/// [`Rejection::ContentType`] and [`Rejection::Malformed`].
pub fn check_form(
    endpoint: &Endpoint,
    method: Option<Method>,
    headers: &impl Headers,
    (is_call, has_body): (bool, bool),
) -> Result<(), Rejection> {
    let is_rpc = is_rpc(endpoint);
    if is_call != is_rpc || (!is_rpc && grpc::is_named(headers)) {
        return Err(Rejection::ContentType(
            "gRPC is spoken over HTTP/2, with `Content-Type: application/grpc`, on its own paths",
        ));
    }
    match method {
        Some(Method::Post) => Ok(()),
        _ if !has_body => Ok(()),
        Some(Method::Delete) => Err(Rejection::Malformed("a DELETE has no body")),
        _ => Err(Rejection::Malformed("a GET has no body")),
    }
}

/// How many bytes the body of a POST may have, and what is said over that; `None` where none is read.
///
/// # Errors
/// [`Rejection::ContentType`] for a type that the endpoint does not take.
pub fn body(
    endpoint: &Endpoint,
    headers: &impl Headers,
    is_empty: bool,
    limits: &Limits,
) -> Result<Option<(usize, Rejection)>, Rejection> {
    let max = limits.body_bytes;
    match endpoint.methods {
        // A POST whose parameters are all in the URL: `ParseForm` of Go's `net/http` looks at no body then.
        Methods::GetPost if is_empty && headers.all("content-type").next().is_none() => return Ok(None),
        Methods::Grpc(_) => {
            grpc::check_type(headers)?;
            return Ok(Some((max.saturating_add(PREFIX_BYTES), grpc::too_large(limits))));
        }
        Methods::PostJson => body_type(headers, JSON)?,
        Methods::PostSnappy => body_type(headers, SNAPPY)?,
        Methods::Get | Methods::GetPost | Methods::Delete => body_type(headers, FORM)?,
    }
    Ok(Some((max, Rejection::body_too_large(max))))
}

/// What is asked of `matched`, with the query of the URL and a body that [`body`] let through; it is taken where it is
/// no parameters.
///
/// # Errors
/// For whatever two readers could read differently, and for headers that cannot be read.
pub fn read(
    matched: Matched,
    query: Option<&str>,
    body: &mut Option<Vec<u8>>,
    headers: &impl Headers,
    limits: &Limits,
) -> Result<Asked, Rejection> {
    let endpoint = matched.endpoint;
    let (parameters, body) = match endpoint.methods {
        Methods::Grpc(rpc) => {
            let message = body.as_deref().unwrap_or_default();
            (grpc::parameters(endpoint, rpc, query, message, limits)?, None)
        }
        Methods::GetPost => {
            let form = body.as_deref().map(std::str::from_utf8).transpose();
            let form = form.map_err(|_| Rejection::Malformed("the body is not valid UTF-8"))?;
            (Parameters::read(endpoint, query, form, limits)?, None)
        }
        _ => (Parameters::read(endpoint, query, None, limits)?, body.take()),
    };
    let (accept, carried) = (accept(headers), carried(headers)?);
    Ok(Asked { matched, parameters, body, accept, carried })
}

/// A body that is accepted, and what is said where it is another.
struct Accepted {
    media_type: &'static str,
    coding: &'static str,
    why: &'static str,
}

const FORM: Accepted = Accepted {
    media_type: "application/x-www-form-urlencoded",
    coding: "identity",
    why: "send `Content-Type: application/x-www-form-urlencoded`",
};
const JSON: Accepted = Accepted {
    media_type: "application/json",
    coding: "identity",
    why: "send `Content-Type: application/json`",
};
const SNAPPY: Accepted = Accepted {
    media_type: REMOTE_READ,
    coding: "snappy",
    why: "send `Content-Type: application/x-protobuf` and `Content-Encoding: snappy`",
};

/// The headers that say the type of a body of `endpoint`.
pub fn typed(endpoint: &Endpoint) -> Vec<(&'static str, &'static str)> {
    let accepted = match endpoint.methods {
        Methods::PostJson => JSON,
        Methods::PostSnappy => SNAPPY,
        _ => FORM,
    };
    let coding = Some(("content-encoding", accepted.coding)).filter(|(_, coding)| *coding != "identity");
    [("content-type", accepted.media_type)].into_iter().chain(coding).collect()
}

/// Accepts one media type, with `charset=utf-8` at most, in one coding. Whatever else a backend might
/// read as it, or might not, is refused.
fn body_type(headers: &impl Headers, accepted: Accepted) -> Result<(), Rejection> {
    let refused = Rejection::ContentType(accepted.why);
    let mut given = headers.all("content-type");
    let (Some(first), None) = (given.next(), given.next()) else { return Err(refused) };
    let text = std::str::from_utf8(first).unwrap_or("").to_ascii_lowercase();
    let (media_type, parameter) = text.split_once(';').unwrap_or((&text, ""));
    let right = media_type.trim() == accepted.media_type
        && matches!(parameter.trim(), "" | "charset=utf-8" | "charset=\"utf-8\"");
    let mut codings = headers.all("content-encoding");
    let coded = match accepted.coding {
        "identity" => codings.all(|value| value == b"identity"),
        coding => codings.next().is_some_and(|value| value == coding.as_bytes()) && codings.next().is_none(),
    };
    match (right, coded) {
        (true, true) => Ok(()),
        (true, false) if accepted.coding == "identity" => {
            Err(Rejection::ContentType("send the body without `Content-Encoding`"))
        }
        _ => Err(refused),
    }
}

fn carried(headers: &impl Headers) -> Result<Carried, Rejection> {
    Ok(Carried {
        traceparent: headers.text("traceparent").and_then(Traceparent::parse),
        gzip: accepts_gzip(headers),
        tenancy: None,
        categorize_labels: headers.text("x-loki-response-encoding-flags") == Some("categorize-labels"),
        utf8_names: headers.text("accept").is_some_and(|accept| accept.contains("escaping=allow-utf-8")),
        patience: if grpc::is_named(headers) { grpc::patience(headers)? } else { None },
    })
}

/// Whether `Accept-Encoding` lists gzip without `q=0` (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &impl Headers) -> bool {
    let lists = headers.all("accept-encoding").filter_map(|value| std::str::from_utf8(value).ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Tempo answers traces as protobuf to who asks for it (`pkg/api/http.go`), and as JSON to all others.
fn accept(headers: &impl Headers) -> Accept {
    let types = headers.text("accept").unwrap_or("");
    let protobuf =
        types.split(',').any(|t| t.split(';').next().unwrap_or("").trim() == "application/protobuf");
    if protobuf { Accept::Protobuf } else { Accept::Json }
}
