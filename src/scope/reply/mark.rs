//! What tells the caller's own in an answer.

use super::{json, otlp};
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

    /// Whether a span of a search shows the mark. Takes the attribute away that showed it unless the
    /// caller's query names it.
    ///
    /// Where the query names the key elsewhere (`span.tenant`), the span can have an attribute of its
    /// own under the same key: one of them must show the mark, and none be a list.
    pub(super) fn shown_by_span<A: Attribute>(&self, attributes: &mut Vec<A>) -> bool {
        let under_key = |a: &&A| a.has_key(&self.key);
        let shows = |a: &A| a.string().is_some_and(|v| self.values.contains(v));
        let shown = if self.named.elsewhere {
            // A list can be the resource's.
            attributes.iter().filter(under_key).all(|a| !a.has_value() || a.is_single())
                && attributes.iter().filter(under_key).any(shows)
        } else {
            self.shows(attributes.iter().filter(under_key).map(A::string))
        };
        // Of several values that could be the scope's, none is known to be: all stay.
        let mut showing = attributes.iter().filter(under_key).filter(|a| shows(a)).map(A::string);
        let first = showing.next();
        let alike = showing.all(|value| Some(value) == first);
        if shown && alike && !self.named.on_resource {
            let place = attributes.iter().position(|a| under_key(&a) && shows(a));
            place.map(|i| attributes.remove(i));
        }
        shown
    }

    /// Whether no label says that a series is of another's spans. `compare` makes series of spans without an
    /// attribute as well; the scope lets through none that lacks the mark's.
    pub(super) fn allows_series<A: Attribute>(&self, labels: &[A]) -> bool {
        let mut said = labels.iter().filter(|label| label.has_key(&self.label) && label.has_value());
        said.all(|label| label.string().is_some_and(|value| value == NIL || self.values.contains(value)))
    }

    /// Whether an exemplar's span shows the mark. Takes the label away that showed it unless the caller's
    /// query names it. Labels carry their scope, so no attribute of a span is mistaken for the
    /// resource's.
    pub(super) fn shown_by_exemplar<A: Attribute>(&self, labels: &mut Vec<A>) -> bool {
        let is_mark = |label: &A| label.has_key(&self.label);
        let shown = self.shows(labels.iter().filter(|l| is_mark(l)).map(A::string));
        if shown && !self.named.on_resource {
            labels.retain(|label| !is_mark(label));
        }
        shown
    }
}

/// What Tempo writes for an attribute that a span does not have (`Static.EncodeToString` in `pkg/traceql/ast.go`).
const NIL: &str = "nil";

/// An attribute in whatever form an answer has it.
pub(super) trait Attribute {
    /// Whether it is under `key`.
    fn has_key(&self, key: &str) -> bool;

    /// Whether there is a value.
    fn has_value(&self) -> bool;

    /// The value, if it is a plain string.
    fn string(&self) -> Option<&str>;

    /// Whether it is one value, and no list.
    fn is_single(&self) -> bool;
}

impl Attribute for json::Attribute<'_> {
    fn has_key(&self, key: &str) -> bool {
        self.key.0 == key
    }

    fn has_value(&self) -> bool {
        self.value.is_some()
    }

    fn string(&self) -> Option<&str> {
        json::Attribute::string(self)
    }

    fn is_single(&self) -> bool {
        self.value.as_ref().is_some_and(json::AnyValue::is_single)
    }
}

impl Attribute for otlp::KeyValue {
    fn has_key(&self, key: &str) -> bool {
        self.key == key.as_bytes()
    }

    fn has_value(&self) -> bool {
        self.value.is_some()
    }

    fn string(&self) -> Option<&str> {
        match self.value.as_ref()?.variant.as_ref()? {
            otlp::Variant::String(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    fn is_single(&self) -> bool {
        use otlp::Variant::{Bool, Double, Int, String};
        let variant = self.value.as_ref().and_then(|value| value.variant.as_ref());
        matches!(variant, Some(String(_) | Bool(_) | Int(_) | Double(_)))
    }
}
