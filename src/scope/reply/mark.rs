//! What tells the caller's own in an answer.

use crate::tenant::{ScopeMatcher, Values};

/// The resource attribute that one dimension of the scope requires.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The attribute's key in traces and searches, such as `tenant`.
    key: String,
    /// Its name in metrics, such as `resource.tenant`.
    label: String,
    /// The values that are the caller's.
    values: Values,
    /// Where the caller's own query names it.
    pub named: Named,
}

/// Where a query of the caller names a [`Mark`]'s key. Tempo shows with each span what the query names,
/// the scope's own condition included, and in searches by key alone (`asTraceSearchMetadata` in
/// `pkg/traceql/engine.go`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// As a resource's attribute: the caller expects to see it.
    pub on_resource: bool,
    /// As an attribute of something else: the key may be there more than once.
    pub elsewhere: bool,
}

impl Mark {
    /// The mark of `matcher`; `None` if its label is no resource attribute.
    pub fn new(matcher: &ScopeMatcher) -> Option<Self> {
        let key = matcher.label.strip_prefix("resource.").filter(|key| !key.is_empty())?;
        Some(Self {
            key: key.to_owned(),
            label: matcher.label.as_ref().to_owned(),
            values: matcher.values.clone(),
            named: Named::default(),
        })
    }

    /// The attribute's key without its scope.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The attribute's name with its scope.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The values that are the caller's.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Whether the attributes that were found under the key show that their bearer is the caller's:
    /// exactly one, a plain string, one of the values. `None` stands for an attribute that is no plain
    /// string; such a one, as a list or twice, could mean several tenants.
    pub(super) fn shows<'a>(&self, mut found: impl Iterator<Item = Option<&'a str>>) -> bool {
        let first = found.next().flatten();
        first.is_some_and(|value| self.values.contains(value)) && found.next().is_none()
    }
}
