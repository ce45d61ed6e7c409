//! From a path to an endpoint.
//!
//! A path is split at its slashes once, and each segment is decoded once. Empty segments, `.` and `..`
//! in any spelling, and segments that hold a slash, a backslash or a control character after decoding
//! match nothing: backends clean such paths, each in its own way, and then answer another endpoint. Names of tags
//! alone may have a slash or a backslash, and are sent with each written as an escape.

use super::{Endpoint, Kind, Method};
use crate::rejection::Rejection;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// An endpoint with the variable segment of its path, decoded.
#[derive(Debug)]
pub struct Matched {
    /// The row.
    pub endpoint: &'static Endpoint,
    /// The text of `{label}`, `{field}`, `{trace}`, `{tag}` or `{silence}`, not validated yet; empty where
    /// there is none.
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

/// Why `path` is no endpoint of `kind`, where it is one elsewhere: below another prefix, or of another kind. It is
/// said of the path alone, so it tells nothing of what is there.
pub fn misplaced(kind: Kind, path: &str) -> Option<String> {
    const PREFIXES: [&str; 3] = ["/loki", "/prometheus", "/alertmanager"];
    let is_row = |kind, path: &str| route(kind, path).is_ok();
    if let Some(prefix) = PREFIXES.into_iter().find(|prefix| is_row(kind, &format!("{prefix}{path}"))) {
        return Some(format!(
            "a path of this {kind} begins with `{prefix}`, also below the mount: `/NAME{prefix}/…`"
        ));
    }
    let below = path.get(1..).and_then(|rest| rest.find('/').map(|end| rest.split_at(end)));
    if let Some((first, _)) = below.filter(|(_, below)| is_row(kind, below)) {
        return Some(format!("the path has `/{first}` once too often"));
    }
    let other = Kind::ALL.into_iter().find(|other| *other != kind && is_row(*other, path))?;
    Some(format!("the path is one of {other}'s, and a {kind} is mounted here"))
}

impl Matched {
    /// The row of this path that has `method`.
    ///
    /// # Errors
    /// [`Rejection::Method`] with the methods of all its rows.
    pub fn by(self, kind: Kind, method: Option<Method>) -> Result<Self, Rejection> {
        let path = self.endpoint.path;
        let rows = || kind.endpoints().iter().filter(|row| row.path == path);
        match rows().find(|row| method.is_some_and(|m| row.methods.has(m))) {
            Some(endpoint) => Ok(Self { endpoint, ..self }),
            None => Err(Rejection::Method { allow: allow(|m| rows().any(|row| row.methods.has(m))) }),
        }
    }
}

/// As the `Allow` header lists the methods that `has` has.
fn allow(has: impl Fn(Method) -> bool) -> &'static str {
    match (has(Method::Get), has(Method::Post), has(Method::Delete)) {
        (true, true, true) => "GET, POST, DELETE",
        (true, true, false) => "GET, POST",
        (true, false, true) => "GET, DELETE",
        (true, false, false) => "GET",
        (false, true, true) => "POST, DELETE",
        (false, true, false) => "POST",
        (false, false, true) => "DELETE",
        (false, false, false) => "",
    }
}

/// The decoded segments of `path`, `None` if one can be none.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    path.strip_prefix('/')?.split('/').map(segment).collect()
}

fn segment(raw: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(raw).decode_utf8().ok()?;
    // What comes after a semicolon is a parameter of the segment to some (RFC 3986, section 3.3).
    let stays = !raw.contains(';')
        && !matches!(&*decoded, "" | "." | "..")
        && !decoded.chars().any(|c| c == '\u{fffd}' || c.is_control());
    stays.then_some(decoded)
}

/// The variable whose text may have slashes: Tempo's names of tags, such as
/// `resource.k8s.pod.labels.app.kubernetes.io/name`.
const TAG: &str = "{tag}";

fn match_template(endpoint: &'static Endpoint, segments: &[Cow<'_, str>]) -> Option<Matched> {
    let mut variable = "";
    let mut given = segments.iter();
    for expected in endpoint.path.split('/').skip(1) {
        let segment = given.next()?;
        if expected != TAG && segment.contains(['/', '\\']) {
            return None;
        }
        if expected.starts_with('{') {
            variable = segment;
        } else if expected != segment {
            return None;
        }
    }
    given.next().is_none().then(|| Matched { endpoint, variable: variable.to_owned() })
}

/// Whether `name` is an identifier, as names of labels in Loki are.
pub fn is_label_name(name: &str) -> bool {
    let first_ok = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first_ok && name.len() <= 1024 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The name of a label or field as a segment of a path: any text that stays one segment, with all but the unreserved
/// characters of RFC 3986 and the colon escaped. `None` where it is none.
///
/// Prometheus takes any UTF-8 text since 3.0, beside the `U__` spelling (`labelValues` in `web/api/v1/api.go`), and
/// Loki looks up whatever it is asked for. Its router decodes before it matches, so that a slash can only be said in the
/// `U__` spelling.
pub fn name_segment(name: &str) -> Option<String> {
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
    let stays = (1..=MAX_NAME_BYTES).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control());
    stays.then(|| utf8_percent_encode(name, KEPT).to_string())
}

/// Bytes of a name in a path.
const MAX_NAME_BYTES: usize = 1024;

/// Whether `id` is a trace id: 1 to 32 hexadecimal digits (Tempo's `util.HexStringToTraceID` pads
/// short ones).
pub fn is_trace_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether `id` is the id of a silence: a UUID with its dashes (`silenceID` in `api/v2/openapi.yaml`).
pub fn is_silence_id(id: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    let fits = |(at, b): (usize, u8)| if dashes.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() };
    id.len() == 36 && id.bytes().enumerate().all(fits)
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
                let methods = [Method::Get, Method::Post, Method::Delete];
                for method in methods.into_iter().filter(|m| endpoint.methods.has(*m)) {
                    let found = route(kind, endpoint.path).unwrap().by(kind, Some(method)).unwrap();
                    assert_eq!(found.endpoint.name, endpoint.name, "{kind}");
                }
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
            "/federate/x",
            "/api/v1/read/x",
            "/api/v1/status/config",
            "/api/v1/status/tsdb",
            "/x/api/v1/query",
            "/api/v1/query/x",
            "/api/v1/admin/tsdb/delete_series",
        ] {
            assert_eq!(name(Kind::Prometheus, path), None, "{path}");
        }
        for path in ["/api/prom/query", "/api/prom/tail", "/loki/api/v1/push", "/config", "/ui"] {
            assert_eq!(name(Kind::Loki, path), None, "{path}");
        }
        for path in ["/api/v2/traces/diff/x", "/api/mcp", "/api/overrides", "/querier/api/search", "/status"]
        {
            assert_eq!(name(Kind::Tempo, path), None, "{path}");
        }
        for path in ["/api/v1/alerts", "/metrics", "/-/reload", "/debug/pprof/heap", "/api/v2/silence", "/"] {
            assert_eq!(name(Kind::Alertmanager, path), None, "{path}");
        }
    }

    #[test]
    fn a_path_at_a_wrong_mount_is_told_where_it_belongs() {
        for (kind, path, told) in [
            (
                Kind::Loki,
                "/api/v1/query_range",
                "a path of this loki begins with `/loki`, also below the mount: `/NAME/loki/…`",
            ),
            (Kind::Loki, "/logs/loki/api/v1/labels", "the path has `/logs` once too often"),
            (Kind::Prometheus, "/prometheus/api/v1/query", "the path has `/prometheus` once too often"),
            (
                Kind::Prometheus,
                "/api/v2/silences",
                "the path is one of alertmanager's, and a prometheus is mounted here",
            ),
            (Kind::Tempo, "/loki/api/v1/query", "the path is one of loki's, and a tempo is mounted here"),
        ] {
            assert_eq!(misplaced(kind, path).as_deref(), Some(told), "{path}");
        }
        for path in ["", "/", "//", "/api/v1/admin/tsdb/snapshot", "/ä", "/x/../api/v1/query"] {
            assert_eq!(misplaced(Kind::Prometheus, path), None, "{path}");
        }
    }

    #[test]
    fn what_is_refused_with_a_reason_is_no_row() {
        for kind in Kind::ALL {
            for refused in kind.refused().iter().filter(|refused| refused.path.starts_with('/')) {
                assert_eq!(name(kind, &refused.path.replace('*', "x")), None, "{kind} {}", refused.path);
            }
        }
    }

    #[test]
    fn rows_of_one_path_are_told_apart_by_method() {
        let by = |path: &str, method| {
            let found = route(Kind::Alertmanager, path).unwrap().by(Kind::Alertmanager, method);
            found.map(|m| m.endpoint.name)
        };
        assert_eq!(by("/api/v2/silences", Some(Method::Get)), Ok("silences"));
        assert_eq!(by("/api/v2/silences", Some(Method::Post)), Ok("silence_create"));
        let refused = |allow| Err(Rejection::Method { allow });
        assert_eq!(by("/api/v2/silences", Some(Method::Delete)), refused("GET, POST"));
        assert_eq!(by("/api/v2/silence/x", Some(Method::Post)), refused("GET, DELETE"));
        assert_eq!(by("/api/v2/alerts", Some(Method::Post)), refused("GET"));
        assert_eq!(by("/api/v2/alerts", None), refused("GET"));
    }

    #[test]
    fn silence_ids_are_uuids() {
        assert!(is_silence_id("0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6e"));
        for bad in [
            "",
            "0b4b6e2c9a6f4b0e8c5d1f2a3b4c5d6e",
            "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6",
            "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6e0",
            "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6g",
            "0b4b6e2c/9a6f-4b0e-8c5d-1f2a3b4c5d6e",
            "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6\u{e9}",
        ] {
            assert!(!is_silence_id(bad), "{bad}");
        }
    }

    #[test]
    fn trace_ids_have_32_digits_and_not_33() {
        assert!(is_trace_id(&"a".repeat(32)) && is_trace_id("0"));
        assert!(
            !is_trace_id(&"a".repeat(33)) && !is_trace_id("") && !is_trace_id("g") && !is_trace_id("a-b")
        );
    }

    #[test]
    fn atk_05_a_name_stays_one_segment_of_a_path() {
        for (name, segment) in [
            ("tenant", "tenant"),
            ("U__http_2e_status", "U__http_2e_status"),
            ("http.status", "http.status"),
            ("9x", "9x"),
            ("with space", "with%20space"),
            ("ü", "%C3%BC"),
            ("a%2Fb", "a%252Fb"),
            ("a+b?c#d\"", "a%2Bb%3Fc%23d%22"),
            ("...", "..."),
            ("a:b;c=d", "a:b%3Bc%3Dd"),
        ] {
            assert_eq!(name_segment(name).as_deref(), Some(segment));
        }
        for bad in ["", ".", "..", "a/b", "../x", "a\\b", "a\n", "a\u{85}"] {
            assert_eq!(name_segment(bad), None, "{bad}");
        }
        assert!(name_segment(&"a".repeat(1024)).is_some() && name_segment(&"a".repeat(1025)).is_none());
    }

    #[test]
    fn atk_05_only_the_name_of_a_tag_may_have_a_slash() {
        let tag = |name: &str| {
            route(Kind::Tempo, &format!("/api/v2/search/tag/{name}/values")).ok().map(|m| m.variable)
        };
        let found = tag("resource.app.kubernetes.io%2Fname").unwrap();
        assert_eq!(found, "resource.app.kubernetes.io/name");
        assert_eq!(tag("span.a%20b%5C%22%2B%C3%BC").unwrap(), "span.a b\\\"+ü");
        for bad in ["", ".", "%2e%2E", "span.a%00", "span.a%0Ab", "span/a", "%ff"] {
            assert_eq!(tag(bad), None, "{bad}");
        }
        assert_eq!(name(Kind::Tempo, "/api/v2/search%2Ftag/x/values"), None);
        assert_eq!(name(Kind::Tempo, "/api/traces/a%2Fb"), None);
        assert_eq!(name(Kind::Loki, "/loki/api/v1/label/a%2Fb/values"), None);
    }

    #[test]
    fn label_names_are_identifiers() {
        assert!(is_label_name("tenant") && is_label_name("__name__") && is_label_name("U__a_2e_b"));
        for bad in ["", "9a", "a-b", "a.b", "a b", "ä", "a\"", "a/b"] {
            assert!(!is_label_name(bad), "{bad}");
        }
    }
}
