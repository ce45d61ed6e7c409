//! What a caller may see: validated values, by dimension, and the same said in a backend's labels.

mod salt;

pub use salt::{Salt, SaltKey};

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// One value of a scope, such as the tenant `acme-books`.
///
/// Matches `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`: nothing in it needs care in a string, and of the
/// characters that mean something in a regular expression only the dot can occur.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeValue(Arc<str>);

/// A text that is no [`ScopeValue`]. Shows nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope value must match [A-Za-z0-9][A-Za-z0-9._-]{{0,62}}")]
pub struct BadScopeValue;

impl ScopeValue {
    /// Longest value, in bytes.
    pub const MAX_BYTES: usize = 63;

    /// Validates `text`.
    ///
    /// # Errors
    /// [`BadScopeValue`] if it does not match the pattern.
    pub fn parse(text: &str) -> Result<Self, BadScopeValue> {
        let first_ok = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        let rest_ok = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if first_ok && rest_ok && text.len() <= Self::MAX_BYTES {
            Ok(Self(text.into()))
        } else {
            Err(BadScopeValue)
        }
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ScopeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The values of one dimension: sorted, distinct, never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Values(Arc<[ScopeValue]>);

impl Values {
    /// Sorts and deduplicates; `None` if there is no value, because an empty scope must never become
    /// a matcher.
    pub fn new(mut values: Vec<ScopeValue>) -> Option<Self> {
        values.sort();
        values.dedup();
        if values.is_empty() { None } else { Some(Self(values.into())) }
    }

    /// The values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ScopeValue> {
        self.0.iter()
    }

    /// The value, if there is exactly one.
    pub fn single(&self) -> Option<&ScopeValue> {
        match &*self.0 {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Whether `text` is one of the values, byte for byte.
    pub fn contains(&self, text: &str) -> bool {
        self.0.binary_search_by(|v| v.as_str().cmp(text)).is_ok()
    }

    /// How many there are; never 0.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The values of both.
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self.iter().chain(other.iter()).cloned().collect();
        all.sort();
        all.dedup();
        Self(all.into())
    }

    /// Whether every value of `self` is one of `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|v| other.contains(v.as_str()))
    }
}

/// What a caller may see: for each dimension (`tenant`, `region`) its values. All dimensions hold at
/// once. Only that of a break-glass rule has none, and is everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(BTreeMap<String, Values>);

impl Scope {
    /// A scope of these dimensions; `None` if there is none.
    pub fn new(dimensions: BTreeMap<String, Values>) -> Option<Self> {
        if dimensions.is_empty() { None } else { Some(Self(dimensions)) }
    }

    /// Everything: the scope of a break-glass rule, which the policy alone makes.
    pub(crate) const fn unrestricted() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether it is everything.
    pub fn is_unrestricted(&self) -> bool {
        self.0.is_empty()
    }

    /// The dimensions by name, in order.
    pub fn dimensions(&self) -> &BTreeMap<String, Values> {
        &self.0
    }

    /// The scope said in a backend's labels.
    ///
    /// # Errors
    /// The first dimension that `label_of` cannot say: such a backend is closed to this caller.
    pub fn in_labels<'a>(
        &self,
        label_of: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<ScopeMatchers, UnsaidDimension> {
        let mut matchers = Vec::with_capacity(self.0.len());
        for (dimension, values) in &self.0 {
            let label = label_of(dimension).ok_or_else(|| UnsaidDimension(dimension.clone()))?;
            matchers.push(ScopeMatcher { label: label.into(), values: values.clone() });
        }
        Ok(ScopeMatchers { matchers: matchers.into(), key: None })
    }
}

/// As the header `X-Palisade-Scope` says it: `region=eu-west, tenant=acme-books`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unrestricted() {
            return f.write_str("everything");
        }
        let pairs = self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        for (index, (name, value)) in pairs.enumerate() {
            write!(f, "{}{name}={value}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// A dimension of a scope for which a backend has no label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no label for dimension `{0}`")]
pub struct UnsaidDimension(pub String);

/// One dimension of a scope, said in a backend's label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScopeMatcher {
    /// The label: an identifier for PromQL, LogQL and Alertmanager; `resource.NAME` for TraceQL.
    pub label: Arc<str>,
    /// The values it may have.
    pub values: Values,
}

/// A whole scope said in one backend's labels: what every selector must carry, in the order of the
/// dimensions' names. Empty for a break-glass rule only. Made by [`Scope::in_labels`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeMatchers {
    matchers: Arc<[ScopeMatcher]>,
    key: Option<SaltKey>,
}

/// Without the key, which hardly ever differs.
impl Hash for ScopeMatchers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.matchers.hash(state);
    }
}

impl ScopeMatchers {
    /// Whether nothing is to be carried: the caller may see everything.
    pub fn is_unrestricted(&self) -> bool {
        self.matchers.is_empty()
    }

    /// The matchers in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ScopeMatcher> {
        self.matchers.iter()
    }

    /// The same, with a salt by `key`; `None` takes it away.
    #[must_use]
    pub fn salted(self, key: Option<SaltKey>) -> Self {
        Self { key, ..self }
    }

    /// The salt that each text has which a backend may keep under a hash; `None` where texts are only shown, as in
    /// policy cases.
    pub fn salt(&self) -> Option<Salt> {
        self.key.as_ref()?.salt(&self.matchers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Option<Values> {
        Values::new(texts.iter().filter_map(|t| ScopeValue::parse(t).ok()).collect())
    }

    #[test]
    fn a_value_has_63_bytes_and_not_64() {
        assert!(ScopeValue::parse(&"a".repeat(63)).is_ok());
        assert!(ScopeValue::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn what_could_widen_a_matcher_is_no_value() {
        for bad in ["", ".a", "-a", "_a", "a|b", "a\"", "a\\", "a*", "a b", "a\n", "ä", "a/..", "a,b", "a\0"]
        {
            assert!(ScopeValue::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "0", "acme-books", "a.b", "a_b", "A9"] {
            assert!(ScopeValue::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn values_are_sorted_distinct_and_never_empty() {
        assert_eq!(values(&[]), None);
        let both = values(&["b", "a", "b"]).map(|v| v.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(both, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert!(values(&["acme-books"]).is_some_and(|v| !v.contains("acme-books-eu") && !v.contains("acme")));
    }

    #[test]
    fn a_dimension_without_a_label_closes_the_backend() {
        let scope = values(&["a"])
            .and_then(|v| Scope::new([("region".to_owned(), v.clone()), ("tenant".to_owned(), v)].into()));
        let unsaid = scope.map(|s| s.in_labels(|d| (d == "tenant").then_some("tenant")));
        assert_eq!(unsaid, Some(Err(UnsaidDimension("region".into()))));
    }
}
