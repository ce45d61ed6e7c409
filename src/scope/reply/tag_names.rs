//! Names of tags, by the scope they are found in.
//!
//! The scoped hint limits which attributes are listed, but for those that Tempo has columns of its own for: it
//! lists such a one where anyone's span has it (`tagNamesForSpecialColumns` in
//! `tempodb/encoding/vparquet4/block_autocomplete.go`). So these are listed always, whoever has them.
//!
//! The shapes are `SearchTagsV2Response` and `SearchTagsResponse` in `pkg/tempopb/tempo.proto`.

use super::Filtered;
use super::json::Text;
use super::otlp::Empty;
use crate::rejection::{Rejection, UpstreamFault};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where tags are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is documented by its name
pub enum TagScope {
    /// Everywhere.
    Any,
    Resource,
    Span,
    Event,
    Link,
    Instrumentation,
    /// What every span has besides attributes.
    Intrinsic,
}

/// The attributes that Tempo has columns of its own for (`wellKnownColumnLookups` in
/// `tempodb/encoding/vparquet4/block_traceql.go`).
const COLUMNS: [(TagScope, &str); 12] = [
    (TagScope::Resource, "service.name"),
    (TagScope::Resource, "cluster"),
    (TagScope::Resource, "namespace"),
    (TagScope::Resource, "pod"),
    (TagScope::Resource, "container"),
    (TagScope::Resource, "k8s.cluster.name"),
    (TagScope::Resource, "k8s.namespace.name"),
    (TagScope::Resource, "k8s.pod.name"),
    (TagScope::Resource, "k8s.container.name"),
    (TagScope::Span, "http.status_code"),
    (TagScope::Span, "http.method"),
    (TagScope::Span, "http.url"),
];

impl TagScope {
    const NAMED: [(Self, &'static str); 6] = [
        (Self::Resource, "resource"),
        (Self::Span, "span"),
        (Self::Event, "event"),
        (Self::Link, "link"),
        (Self::Instrumentation, "instrumentation"),
        (Self::Intrinsic, "intrinsic"),
    ];

    /// The scope as the parameter names it (`AttributeScopeFromString` in `pkg/traceql/enum_attributes.go`).
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "" | "none" => Some(Self::Any),
            name => Self::NAMED.into_iter().find(|(_, n)| *n == name).map(|(scope, _)| scope),
        }
    }

    /// Where the attribute `name` is, if Tempo has a column of its own for it.
    pub fn of_column(name: &str) -> Option<Self> {
        COLUMNS.into_iter().find(|(_, column)| *column == name).map(|(scope, _)| scope)
    }

    fn has(self, other: Self) -> bool {
        self == Self::Any || self == other
    }
}

impl fmt::Display for TagScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMED.into_iter().find(|(scope, _)| scope == self).map_or("none", |(_, name)| name);
        f.write_str(name)
    }
}

/// Names by scope, each once.
pub(crate) type Names<'a> = BTreeMap<TagScope, BTreeSet<&'a str>>;

/// The names that are shown of those that Tempo `found`, where `asked` was asked for. `fixed`: whether those of
/// Tempo's own columns are listed whoever has them; scopes that are not known are dropped.
pub(crate) fn shown<'a>(
    asked: TagScope,
    fixed: bool,
    found: impl IntoIterator<Item = (&'a str, impl IntoIterator<Item = &'a str>)>,
) -> Names<'a> {
    let mut names = Names::new();
    for (name, tags) in found {
        if let Some(scope) =
            TagScope::named(name).filter(|scope| *scope != TagScope::Any && asked.has(*scope))
        {
            names.entry(scope).or_default().extend(tags);
        }
    }
    if fixed {
        for (scope, column) in COLUMNS.into_iter().filter(|(scope, _)| asked.has(*scope)) {
            names.entry(scope).or_default().insert(column);
        }
    }
    names.retain(|_, tags| !tags.is_empty());
    names
}

/// The same names in one list, as the older endpoint has them: intrinsics only where they were asked for
/// (`newTagsHTTPHandler` in `modules/frontend/tag_handlers.go`).
pub(crate) fn flat<'a>(asked: TagScope, names: &Names<'a>) -> BTreeSet<&'a str> {
    let listed =
        names.iter().filter(|(scope, _)| asked == TagScope::Intrinsic || **scope != TagScope::Intrinsic);
    listed.flat_map(|(_, tags)| tags).copied().collect()
}

#[derive(Deserialize)]
struct NamesAnswer<'a> {
    #[serde(borrow, default)]
    scopes: Vec<ScopeAnswer<'a>>,
}

#[derive(Deserialize)]
struct ScopeAnswer<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    tags: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct NamesReply<'a> {
    scopes: Vec<ScopeReply<'a>>,
    /// Empty: the backend's counts are of everyone's data.
    metrics: Empty,
}

#[derive(Serialize)]
struct ScopeReply<'a> {
    name: String,
    tags: &'a BTreeSet<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatReply<'a> {
    tag_names: BTreeSet<&'a str>,
    metrics: Empty,
}

/// Cuts the names in `body`, which is JSON of the newer endpoint.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn cut(asked: TagScope, fixed: bool, in_one: bool, body: &[u8]) -> Result<Filtered, Rejection> {
    let answer: NamesAnswer<'_> = serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable)?;
    let found = answer.scopes.iter().map(|scope| (&*scope.name.0, scope.tags.iter().map(|tag| &*tag.0)));
    let names = shown(asked, fixed, found);
    if in_one {
        return Filtered::json(&FlatReply { tag_names: flat(asked, &names), metrics: Empty {} });
    }
    let scopes = names.iter().map(|(scope, tags)| ScopeReply { name: scope.to_string(), tags });
    Filtered::json(&NamesReply { scopes: scopes.collect(), metrics: Empty {} })
}
