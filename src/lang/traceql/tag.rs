//! Names of tags, as Tempo's tag endpoints take them in their paths (`ParseIdentifier` of
//! `pkg/traceql/parse.go`).

use super::intrinsic::Intrinsic;
use super::lex::{Kind, lex};
use super::literal;
use super::tree::AttributeScope;
use crate::lang::QueryError;
use crate::lang::core::quote::push_quoted;
use crate::limits::QueryLimits;
use crate::span::Span;

/// A tag: an attribute or an intrinsic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `resource.x`, `span.x`, `.x`.
    Attribute {
        /// Where it is looked for.
        scope: AttributeScope,
        /// Its name, which needs no quotes.
        name: String,
    },
    /// `name`, `span:duration`.
    Intrinsic(Intrinsic),
}

impl Tag {
    /// The one way to write it.
    pub fn canonical(&self) -> String {
        match self {
            Self::Attribute { scope, name } => [scope.prefix(), name].concat(),
            Self::Intrinsic(intrinsic) => intrinsic.canonical().to_owned(),
        }
    }

    /// Whether it is an intrinsic.
    pub const fn is_intrinsic(&self) -> bool {
        matches!(self, Self::Intrinsic(_))
    }

    /// Whether its values depend on other spans of the trace.
    pub const fn is_trace_level(&self) -> bool {
        matches!(self, Self::Intrinsic(intrinsic) if intrinsic.is_trace_level())
    }
}

/// Reads the name of a tag.
///
/// # Errors
/// `limit` over 1,024 bytes; `syntax` for what is no attribute or intrinsic; `unsupported` for an
/// unknown intrinsic, or a name that needs quotes: Tempo takes such names apart differently from one
/// version to the next.
pub fn parse_tag(text: &str) -> Result<Tag, QueryError> {
    let limits = QueryLimits { bytes: 1024, ..QueryLimits::default() };
    let tokens = lex(text, &limits)?;
    let whole = Span::new(0, text.len());
    let refused =
        || QueryError::syntax(whole, "not a tag, write it with its scope, such as `resource.service.name`");
    let [token] = tokens.as_slice() else { return Err(refused()) };
    if token.span != whole {
        return Err(refused());
    }
    match token.kind {
        Kind::Attribute(scope) => {
            let name = text.get(scope.prefix().len()..).unwrap_or("").to_owned();
            Ok(Tag::Attribute { scope, name })
        }
        Kind::QuotedAttribute(scope) => {
            let name = literal::quoted_name(text.get(scope.prefix().len()..).unwrap_or("")).into_owned();
            match parse_tag(&[scope.prefix(), &name].concat()) {
                Ok(bare @ Tag::Attribute { .. }) if !name.starts_with('"') => Ok(bare),
                _ => Err(QueryError::unsupported(whole, "a tag whose name needs quotes is not supported")),
            }
        }
        Kind::Word | Kind::ScopedIntrinsic => match Intrinsic::named(text) {
            // Tempo 2.9 does not list it.
            None | Some(Intrinsic::ChildCount) if token.kind == Kind::ScopedIntrinsic => {
                Err(QueryError::unsupported(whole, "unknown intrinsic"))
            }
            None => Err(refused()),
            Some(intrinsic) => Ok(Tag::Intrinsic(intrinsic)),
        },
        _ => Err(refused()),
    }
}

/// The attribute `name` of `scope`, such as `span`, as a query names it; none for one that no query can name.
pub fn attribute(scope: &str, name: &str) -> Option<String> {
    let named = |text: &String| {
        matches!(parse_tag(text), Ok(Tag::Attribute { scope: read, name: same })
            if read.prefix().strip_suffix('.') == Some(scope) && same == name)
    };
    let mut quoted = format!("{scope}.");
    push_quoted(&mut quoted, name);
    [format!("{scope}.{name}"), quoted].into_iter().find(named)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_and_written_in_one_way() {
        for (text, canonical, intrinsic, trace_level) in [
            ("resource.service.name", "resource.service.name", false, false),
            ("span.http.status_code", "span.http.status_code", false, false),
            (".x", ".x", false, false),
            (r#"span."a""#, "span.a", false, false),
            ("event.e", "event.e", false, false),
            ("name", "name", true, false),
            ("span:name", "name", true, false),
            ("status", "status", true, false),
            ("span:duration", "duration", true, false),
            ("trace:id", "trace:id", true, false),
            ("rootName", "rootName", true, true),
            ("trace:rootService", "rootServiceName", true, true),
            ("trace:duration", "traceDuration", true, true),
            ("nestedSetParent", "nestedSetParent", true, true),
        ] {
            let tag = parse_tag(text).unwrap();
            assert_eq!(tag.canonical(), canonical);
            assert_eq!((tag.is_intrinsic(), tag.is_trace_level()), (intrinsic, trace_level), "{text}");
        }
    }

    #[test]
    fn an_attribute_is_written_as_it_is_read_or_not_at_all() {
        for (scope, name, written) in [
            ("span", "x", Some("span.x")),
            ("resource", "k8s.pod.name", Some("resource.k8s.pod.name")),
            ("event", "a:b", Some("event.a:b")),
            ("span", "", None),
            ("span", "a = 1 } || { true", None),
            ("none", "x", None),
            ("span.x", "y", None),
        ] {
            assert_eq!(attribute(scope, name).as_deref(), written, "{scope} {name}");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for bad in [
            "",
            "x",
            " .x",
            ".x ",
            ".x .y",
            "resource.",
            "resource",
            "parent.x",
            "span:childCount",
            "span:nope",
            r#"span."a b""#,
            r#"span."a\"b""#,
            r#".a"b""#,
            "true",
            "1",
            "{}",
            ".a=1",
            ".a/*",
            "resource.tänant",
        ] {
            assert!(parse_tag(bad).is_err(), "{bad}");
        }
    }
}
