//! Names of tags, by the scope they are found in.
//!
//! The shapes are `SearchTagsV2Response` and `SearchTagsResponse` in `pkg/tempopb/tempo.proto`.

use super::json::Text;
use super::list::read;
use super::made::{Account, Made, written as put};
use super::otlp::Empty;
use crate::lang::{Feature, Features};
use crate::rejection::Rejection;
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

/// The attributes that Tempo 2.x has columns of its own for (`wellKnownColumnLookups` in
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

/// The same for Tempo 3.x: that of each resource (`wellKnownColumnLookups` in
/// `tempodb/encoding/vparquet5/block_traceql.go`), and those that an operator has who names none
/// (`defaultDedicatedColumns` in `tempodb/backend/block_meta.go`).
const COLUMNS_3: [(TagScope, &str); 15] = [
    (TagScope::Resource, "service.name"),
    (TagScope::Resource, "k8s.cluster.name"),
    (TagScope::Resource, "k8s.namespace.name"),
    (TagScope::Resource, "k8s.pod.name"),
    (TagScope::Resource, "k8s.container.name"),
    (TagScope::Span, "http.request.method"),
    (TagScope::Span, "http.response.status_code"),
    (TagScope::Span, "url.path"),
    (TagScope::Span, "url.route"),
    (TagScope::Span, "server.address"),
    (TagScope::Span, "server.port"),
    (TagScope::Span, "http.method"),
    (TagScope::Span, "http.url"),
    (TagScope::Span, "http.route"),
    (TagScope::Span, "http.status_code"),
];

/// Which of them hold whole numbers.
const NUMBERS: [&str; 3] = ["http.status_code", "http.response.status_code", "server.port"];

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

    /// Where the attribute `name` is, if a Tempo of these `features` has a column of its own for it.
    pub fn of_column(name: &str, features: Features) -> Option<Self> {
        let columns: &[_] = if features.has(Feature::Tempo3) { &COLUMNS_3 } else { &COLUMNS };
        columns.iter().find(|(_, column)| *column == name).map(|(scope, _)| *scope)
    }

    /// Whether a Tempo of any version has a column of its own for the attribute `name` here, though nobody says so.
    pub fn may_be_column(self, name: &str) -> bool {
        COLUMNS.iter().chain(&COLUMNS_3).any(|column| *column == (self, name))
    }

    /// Whether the column of that name holds whole numbers.
    pub fn is_number(name: &str) -> bool {
        NUMBERS.contains(&name)
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

/// The names that are shown of those that Tempo `found`, where `asked` was asked for; scopes that are not known are
/// dropped.
pub(crate) fn shown<'a>(
    asked: TagScope,
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
pub(super) struct NamesAnswer<'a> {
    #[serde(borrow, default)]
    pub scopes: Vec<ScopeAnswer<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ScopeAnswer<'a> {
    #[serde(borrow, default)]
    pub name: Text<'a>,
    #[serde(borrow, default)]
    pub tags: Vec<Text<'a>>,
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
    tags: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatReply<'a> {
    tag_names: Vec<&'a str>,
    metrics: Empty,
}

/// Cuts the names in `body`, which is JSON of the newer endpoint; of each scope, or of all in one list, at most
/// `most` (`max_tags_per_scope` in `pkg/tempopb/tempo.proto`).
///
/// # Errors
/// [`crate::rejection::UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn cut(
    asked: TagScope,
    in_one: bool,
    most: usize,
    body: &[u8],
    account: Account,
) -> Result<Option<Made>, Rejection> {
    account.at_once(body.len(), || {
        let answer: NamesAnswer<'_> = read(body)?;
        let found = answer.scopes.iter().map(|scope| (&*scope.name.0, scope.tags.iter().map(|tag| &*tag.0)));
        let names = shown(asked, found);
        let mut out = Vec::new();
        if in_one {
            let tag_names = flat(asked, &names).into_iter().take(most).collect();
            put(&FlatReply { tag_names, metrics: Empty {} }, &mut out)?;
            return Ok(Some(out));
        }
        let scopes = names.iter().map(|(scope, tags)| ScopeReply {
            name: scope.to_string(),
            tags: tags.iter().copied().take(most).collect(),
        });
        put(&NamesReply { scopes: scopes.collect(), metrics: Empty {} }, &mut out)?;
        Ok(Some(out))
    })
}

/// The answer of Tempo's that lists `names`, in JSON.
///
/// # Errors
/// [`Rejection::Defect`] if it cannot be written.
pub(super) fn written<'n>(names: impl Iterator<Item = &'n (TagScope, String)>) -> Result<Vec<u8>, Rejection> {
    let mut scopes: BTreeMap<TagScope, Vec<&str>> = BTreeMap::new();
    for (scope, name) in names {
        scopes.entry(*scope).or_default().push(name);
    }
    let scopes = scopes.into_iter().map(|(scope, tags)| ScopeReply { name: scope.to_string(), tags });
    let reply = NamesReply { scopes: scopes.collect(), metrics: Empty {} };
    let mut out = Vec::new();
    put(&reply, &mut out).map(|()| out)
}
