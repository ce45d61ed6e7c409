//! Single values of the configuration: each function reads one and says what is wrong with it.

use crate::api::{Kind, own};
use crate::lang::logql::label_usable;
use crate::lang::{Feature, logql, promql, traceql};
use crate::limits::QueryLimits;
use crate::tenant::{Scope, ScopeValue, Values};
use std::fmt;

/// A backend's version, as far as it decides anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// A version as the operator writes it, with a third number in any case: clients read three.
pub(super) fn written_version(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    let whole = text.matches('.').count() > 1;
    if whole { text.to_owned() } else { format!("{text}.0") }
}

impl Version {
    /// Reads `MAJOR.MINOR` with anything after another dot, an optional `v` before it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no version, write MAJOR.MINOR.PATCH");
        let number = |part: Option<&str>| {
            let part = part.filter(|p| p.len() <= 6 && p.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|p| p.parse().ok()).ok_or_else(bad)
        };
        let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        Ok(Self { major: number(parts.next())?, minor: number(parts.next())? })
    }
}

/// The version of a backend of `kind`. Loki before 2.9 is refused: its scanner loses parts of texts over
/// 1,024 bytes, and with them the scope.
pub(super) fn version(kind: Kind, text: &str) -> Result<Version, String> {
    let version = Version::parse(text)?;
    if kind == Kind::Loki && version < (Version { major: 2, minor: 9 }) {
        return Err(format!("loki {version} cannot be scoped safely, 2.9 is the oldest that can"));
    }
    Ok(version)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Reads a backend's base URL. The path prefix may hold only characters that mean themselves in a path,
/// because the path of a request is put after it.
pub(super) fn base_url(text: &str, insecure_http: bool) -> Result<http::Uri, String> {
    let bad = |why: &str| Err(format!("`{text}` {why}"));
    // `http::Uri` drops a fragment in silence.
    if text.contains('#') || text.contains('?') {
        return bad("has a query or a fragment, a backend's url has none");
    }
    let Ok(uri) = text.parse::<http::Uri>() else { return bad("is no url") };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return bad("is no absolute http or https url");
    };
    if authority.as_str().contains('@') {
        return bad("has a user, a backend's url has none");
    }
    if authority.host().is_empty() {
        return bad("has no host");
    }
    match scheme {
        "https" => {}
        "http" if insecure_http || crate::auth::config::is_loopback(authority.host()) => {}
        "http" => {
            return bad(
                "is plain http to a host that is not loopback, use https or set `insecure_http: true`",
            );
        }
        _ => return bad("is no http or https url"),
    }
    let prefix = uri.path().trim_end_matches('/');
    if !prefix.is_empty() && !prefix.split('/').skip(1).all(is_segment) {
        return bad("has a path with more than plain segments");
    }
    let whole = format!("{scheme}://{authority}{}", if prefix.is_empty() { "/" } else { prefix });
    whole.parse().or_else(|_| bad("is no url"))
}

/// Reads an origin as the header `Origin` has it (RFC 6454, section 6.2): a scheme, a host in lower case and
/// perhaps a port.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':' | b'[' | b']');
    let authority = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let fine = authority.is_some_and(|authority| !authority.is_empty() && authority.bytes().all(plain));
    if fine && text.parse::<http::Uri>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is no origin, write https://HOST or https://HOST:PORT in lower case"))
}

/// A path segment of unreserved characters (RFC 3986 §2.3) that is neither empty nor a step up.
fn is_segment(segment: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(unreserved)
}

/// Holds a backend's name to `[a-z0-9][a-z0-9-]{0,62}`: it is a path segment and a metric label. `t` stands
/// before a tenant in paths.
pub(super) fn backend_name(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = name.bytes().next().is_some_and(plain);
    if name == "t" {
        return Err("backend name `t` is kept for the paths `/t/TENANT/NAME`".to_owned());
    }
    if name == own::NAME {
        return Err(format!("backend name `{name}` is kept for what Palisade answers itself"));
    }
    if first && name.len() <= 63 && name.bytes().all(|b| plain(b) || b == b'-') {
        Ok(())
    } else {
        Err(format!("backend name `{name}` must match [a-z0-9][a-z0-9-]{{0,62}}"))
    }
}

/// Holds a scope's label to what the backend's language can say bare.
pub(crate) fn check_label(kind: Kind, label: &str) -> Result<(), String> {
    let usable = match kind {
        Kind::Prometheus | Kind::Alertmanager => is_identifier(label),
        Kind::Loki => is_identifier(label) && label_usable(label),
        Kind::Tempo => label
            .strip_prefix("resource.")
            .is_some_and(|name| name.len() <= MAX_LABEL_BYTES && name.split('.').all(is_identifier)),
    };
    if usable && can_be_said(kind, label) {
        return Ok(());
    }
    Err(match kind {
        Kind::Prometheus | Kind::Alertmanager => {
            format!("`{label}` cannot be a scope's label, use an identifier that does not start with `__`")
        }
        Kind::Loki => format!(
            "`{label}` cannot be a scope's label in Loki, use an identifier that does not start with `__` and is no \
             LogQL keyword"
        ),
        Kind::Tempo => format!(
            "`{label}` cannot be a scope's label in Tempo, use `resource.NAME` where NAME is identifiers joined \
             by dots"
        ),
    })
}

const MAX_LABEL_BYTES: usize = 128;

/// Whether the language's own writer and proof take a scope in this label: what passes here cannot turn
/// into a defect at the first request.
fn can_be_said(kind: Kind, label: &str) -> bool {
    let value = ScopeValue::parse("a").ok().and_then(|value| Values::new(vec![value]));
    let scope = value.and_then(|values| Scope::new([(String::new(), values)].into()));
    let Some(Ok(matchers)) = scope.map(|scope| scope.in_labels(|_| Some(label))) else { return false };
    let limits = QueryLimits::default();
    match kind {
        Kind::Prometheus => promql::scope_selector(&matchers, &limits).is_ok(),
        Kind::Loki => logql::scope_selector(&matchers, &limits).is_ok(),
        Kind::Tempo => traceql::scope_selector(&matchers, &limits).is_ok(),
        // No language: its filters are matchers of identifiers.
        Kind::Alertmanager => true,
    }
}

/// An identifier of ASCII that is not reserved: names that start with `__` are the backends' own
/// (<https://prometheus.io/docs/concepts/data_model/>), among them `__name__`.
fn is_identifier(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && rest && text.len() <= MAX_LABEL_BYTES && !text.starts_with("__")
}

/// Whether a feature says something about a backend of this kind.
pub(crate) fn fits(feature: Feature, kind: Kind) -> bool {
    match feature {
        Feature::PromqlExperimentalFunctions
        | Feature::PromqlBinopFillModifiers
        | Feature::SearchApi
        | Feature::Federate
        | Feature::RemoteRead => kind == Kind::Prometheus,
        Feature::Variants | Feature::PatternPersistence => kind == Kind::Loki,
        Feature::Tempo3 | Feature::TracesNeverMixTenants | Feature::NoFrontendSearchCache => {
            kind == Kind::Tempo
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(Version::parse("2.10.1"), Ok(Version { major: 2, minor: 10 }));
        assert_eq!(Version::parse("v3.0"), Ok(Version { major: 3, minor: 0 }));
        assert!(Version::parse("2.7").unwrap() < Version::parse("2.10").unwrap());
        for bad in ["", "2", "2.", "x.1", "2.x", "latest", "-1.0", "2.9999999"] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loki_is_2_9_or_later() {
        assert_eq!(version(Kind::Loki, "2.9.0"), Ok(Version { major: 2, minor: 9 }));
        assert!(version(Kind::Loki, "2.8.11").unwrap_err().contains("2.9 is the oldest"));
        assert!(version(Kind::Prometheus, "2.8.0").is_ok());
    }

    #[test]
    fn a_base_url_keeps_its_prefix_without_a_slash_at_its_end() {
        for (text, expected) in [
            ("http://127.0.0.1:9090", "http://127.0.0.1:9090/"),
            ("http://[::1]:9090/", "http://[::1]:9090/"),
            ("https://metrics.example.org/prometheus/", "https://metrics.example.org/prometheus"),
            ("https://metrics.example.org/a/b-c_d.e~f", "https://metrics.example.org/a/b-c_d.e~f"),
        ] {
            assert_eq!(base_url(text, false).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_base_url_has_nothing_that_could_change_a_request() {
        for bad in [
            "",
            "127.0.0.1:9090",
            "/prometheus",
            "ftp://127.0.0.1/",
            "file:///etc",
            "https://",
            "https://u:p@h/",
            "https://u@h/",
            "https://h/?a=b",
            "https://h?",
            "https://h/#f",
            "https://h/#",
            "https://h/a/../b",
            "https://h/.",
            "https://h//a",
            "https://h/a//b",
            "https://h/%2e%2e/",
            "https://h/a b",
            "https://h/a;b",
            "https://h/a\\b",
            " https://h/",
            "https://h/\n",
        ] {
            assert!(base_url(bad, true).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_or_by_choice() {
        for text in ["http://prometheus:9090", "http://10.0.0.1/", "http://127.0.0.1.example.org/"] {
            assert!(base_url(text, false).unwrap_err().contains("insecure_http"), "{text}");
            assert!(base_url(text, true).is_ok(), "{text}");
        }
        assert!(base_url("http://localhost:9090", false).is_ok());
    }

    #[test]
    fn a_backends_name_is_a_path_segment_of_63_bytes_and_not_64() {
        for good in ["prometheus", "0", "loki-eu-1", &"a".repeat(63)] {
            assert_eq!(backend_name(good), Ok(()), "{good}");
        }
        for bad in ["", "t", "palisade", "-a", "A", "a_b", "a/b", "a.b", "..", "a b", "ä", &"a".repeat(64)] {
            assert!(backend_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_is_what_the_language_can_say_bare() {
        for (kind, good) in [
            (Kind::Prometheus, "tenant"),
            (Kind::Prometheus, "by"),
            (Kind::Prometheus, "_t"),
            (Kind::Alertmanager, "t"),
            (Kind::Loki, "tenant"),
            (Kind::Loki, "sum"),
            (Kind::Loki, "t"),
            (Kind::Tempo, "resource.tenant"),
            (Kind::Tempo, "resource._t.by"),
            (Kind::Tempo, "resource.k8s.namespace.name"),
        ] {
            assert_eq!(check_label(kind, good), Ok(()), "{kind} {good}");
        }
        for (kind, bad) in [
            (Kind::Prometheus, "__name__"),
            (Kind::Prometheus, "tenant.id"),
            (Kind::Prometheus, "9t"),
            (Kind::Prometheus, ""),
            (Kind::Prometheus, "a-b"),
            (Kind::Prometheus, "a\"b"),
            (Kind::Prometheus, "tënant"),
            (Kind::Alertmanager, "__tenant"),
            (Kind::Loki, "__name__"),
            (Kind::Loki, "BY"),
            (Kind::Loki, "json"),
            (Kind::Loki, "variants"),
            (Kind::Loki, "tenant.id"),
            (Kind::Tempo, "tenant"),
            (Kind::Tempo, ".tenant"),
            (Kind::Tempo, "span.tenant"),
            (Kind::Tempo, "resource."),
            (Kind::Tempo, "resource.a..b"),
            (Kind::Tempo, "resource.a b"),
            (Kind::Tempo, "resource.a=b"),
            (Kind::Tempo, "resource.\"a\""),
        ] {
            assert!(check_label(kind, bad).is_err(), "{kind} {bad}");
        }
    }

    #[test]
    fn every_feature_fits_one_kind() {
        for feature in Feature::ALL {
            assert_eq!(Kind::ALL.into_iter().filter(|kind| fits(feature, *kind)).count(), 1, "{feature}");
        }
    }
}
