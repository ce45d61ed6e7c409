//! From a path to an endpoint.
//!
//! A path is split at its slashes once, and each segment is decoded once. Empty segments, `.` and `..`
//! in any spelling, and segments that hold a slash, a backslash or a control character after decoding
//! match nothing: backends clean such paths, each in its own way, and then answer another endpoint.

use super::{Endpoint, Kind};
use crate::rejection::Rejection;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// An endpoint with the variable segment of its path, decoded.
#[derive(Debug)]
pub struct Matched {
    /// The row.
    pub endpoint: &'static Endpoint,
    /// The text of `{label}`, `{trace}` or `{tag}`, not validated yet; empty where there is none.
    pub variable: String,
}

/// Finds the endpoint of `kind` at `path`, which starts below the backend's mount.
///
/// # Errors
/// [`Rejection::UnknownEndpoint`] whatever the reason, so that nothing tells apart what exists.
pub fn route(kind: Kind, path: &str) -> Result<Matched, Rejection> {
    let endpoints = kind.endpoints();
    // What is written just as its row is has nothing to decode.
    if let Some(endpoint) = endpoints.iter().find(|e| e.path == path && !path.contains('{')) {
        return Ok(Matched { endpoint, variable: String::new() });
    }
    let segments = segments(path).ok_or(Rejection::UnknownEndpoint)?;
    endpoints
        .iter()
        .find_map(|endpoint| match_template(endpoint, &segments))
        .ok_or(Rejection::UnknownEndpoint)
}

/// The decoded segments of `path`, `None` if one is not plain.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    path.strip_prefix('/')?.split('/').map(plain_segment).collect()
}

fn plain_segment(raw: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(raw).decode_utf8().ok()?;
    let plain = !matches!(&*decoded, "" | "." | "..")
        && !decoded.chars().any(|c| matches!(c, '/' | '\\' | '\u{fffd}') || c.is_control());
    plain.then_some(decoded)
}

fn match_template(endpoint: &'static Endpoint, segments: &[Cow<'_, str>]) -> Option<Matched> {
    let mut variable = "";
    let mut given = segments.iter();
    for expected in endpoint.path.split('/').skip(1) {
        let segment = given.next()?;
        if expected.starts_with('{') {
            variable = segment;
        } else if expected != segment {
            return None;
        }
    }
    given.next().is_none().then(|| Matched { endpoint, variable: variable.to_owned() })
}

/// Whether `name` is a label name that Prometheus and Loki read as one: an identifier, or for
/// Prometheus the `U__` spelling of any other name (`model.UnescapeName` of its common library), which
/// is made of the same characters.
pub fn is_label_name(name: &str) -> bool {
    let first_ok = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first_ok && name.len() <= 1024 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `id` is a trace id: 1 to 32 hexadecimal digits (Tempo's `util.HexStringToTraceID` pads
/// short ones).
pub fn is_trace_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(kind: Kind, path: &str) -> Option<&'static str> {
        route(kind, path).ok().map(|m| m.endpoint.name)
    }

    #[test]
    fn each_row_is_found_by_its_own_path() {
        for kind in Kind::ALL {
            for endpoint in kind.endpoints() {
                assert_eq!(name(kind, endpoint.path), Some(endpoint.name), "{kind}");
            }
        }
    }

    #[test]
    fn a_variable_is_decoded_once() {
        let found = route(Kind::Tempo, "/api/v2/search/tag/resource%2Ea%2520b/values").unwrap();
        assert_eq!(found.variable, "resource.a%20b");
    }

    #[test]
    fn atk_02_03_04_05_unclean_paths_match_nothing() {
        for path in [
            "/api/v1/query/",
            "//api/v1/query",
            "/api//v1/query",
            "/x/../api/v1/query",
            "/api/v1/./query",
            "/api/v1/query/%2e%2e/status/config",
            "/api/v1/%2E/query",
            "/api/v1%2Fquery",
            "/api/v1/query%00",
            "/api/v1/label/a%2Fb/values",
            "/api/v1/label/%5c/values",
            "/api/v1/label/%ff/values",
            "/api/v1/label//values",
            "/API/v1/query",
            "/api/v1/query;x=1",
            "api/v1/query",
            "",
            "/",
            "*",
        ] {
            assert_eq!(name(Kind::Prometheus, path), None, "{path}");
        }
    }

    #[test]
    fn atk_06_0c_3f_4a_4c_what_is_no_row_is_unknown() {
        for path in [
            "/federate",
            "/api/v1/read",
            "/api/v1/query_exemplars",
            "/api/v1/status/config",
            "/api/v1/status/tsdb",
            "/x/api/v1/query",
            "/api/v1/query/x",
            "/api/v1/admin/tsdb/delete_series",
        ] {
            assert_eq!(name(Kind::Prometheus, path), None, "{path}");
        }
        for path in ["/api/prom/query", "/loki/api/v1/tail", "/loki/api/v1/push", "/config", "/ui"] {
            assert_eq!(name(Kind::Loki, path), None, "{path}");
        }
        for path in ["/api/v2/traces/diff/x", "/api/mcp", "/api/overrides", "/querier/api/search", "/status"]
        {
            assert_eq!(name(Kind::Tempo, path), None, "{path}");
        }
        assert_eq!(name(Kind::Alertmanager, "/api/v2/silences"), None);
    }

    #[test]
    fn trace_ids_have_32_digits_and_not_33() {
        assert!(is_trace_id(&"a".repeat(32)) && is_trace_id("0"));
        assert!(
            !is_trace_id(&"a".repeat(33)) && !is_trace_id("") && !is_trace_id("g") && !is_trace_id("a-b")
        );
    }

    #[test]
    fn label_names_are_identifiers() {
        assert!(is_label_name("tenant") && is_label_name("__name__") && is_label_name("U__a_2e_b"));
        for bad in ["", "9a", "a-b", "a.b", "a b", "ä", "a\"", "a/b"] {
            assert!(!is_label_name(bad), "{bad}");
        }
    }
}
