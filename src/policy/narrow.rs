//! A caller's wish to see less than it may: headers, or a tenant in the path, that narrow a grant and never
//! widen it.

use super::compile::is_dimension;
use super::grant::{Grant, Grants, Term, covers, simplify};
use crate::api::Class;
use crate::rejection::Forbidden;
use crate::tenant::{Scope, ScopeValue, Values};
use std::collections::{BTreeMap, BTreeSet};

/// The header `X-Palisade-Scope: tenant=acme-books, region=eu-west`. A dimension that is named again
/// gets one more value.
pub const SCOPE_HEADER: &str = "x-palisade-scope";
/// The header `X-Palisade-Tenant: a, b`, short for `X-Palisade-Scope: tenant=a, tenant=b`.
pub const TENANT_HEADER: &str = "x-palisade-tenant";
/// The dimension of [`TENANT_HEADER`].
const TENANT: &str = "tenant";

/// The narrower scope that a request names: for each dimension the values that it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowing(BTreeMap<String, Values>);

impl Narrowing {
    /// Reads the values of all [`SCOPE_HEADER`] and all [`TENANT_HEADER`] lines of a request; `None` if
    /// it has neither.
    ///
    /// # Errors
    /// [`Forbidden::Narrowing`] if there is more than one line in all, if a value is empty, malformed or
    /// given twice.
    pub fn from_headers<'a>(
        scope: impl IntoIterator<Item = &'a [u8]>,
        tenant: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, Forbidden> {
        let mut scope = scope.into_iter();
        let mut tenant = tenant.into_iter();
        let pairs = match (scope.next(), tenant.next()) {
            (None, None) => return Ok(None),
            (Some(line), None) => members(line)?.map(pair).collect::<Result<Vec<_>, _>>()?,
            (None, Some(line)) => members(line)?.map(|value| (TENANT, value)).collect(),
            (Some(_), Some(_)) => return Err(Forbidden::Narrowing),
        };
        if scope.next().is_some() || tenant.next().is_some() {
            return Err(Forbidden::Narrowing);
        }
        Self::of(pairs).map(Some)
    }

    /// The wish `headers` of a request whose path names `tenant` as well.
    ///
    /// # Errors
    /// [`Forbidden::Narrowing`] if the tenant is malformed, or the headers name one too.
    pub fn and_tenant(headers: Option<Self>, tenant: &str) -> Result<Self, Forbidden> {
        let mut wish = Self::of(vec![(TENANT, tenant)])?;
        for (dimension, values) in headers.into_iter().flat_map(|headers| headers.0) {
            if wish.0.insert(dimension, values).is_some() {
                return Err(Forbidden::Narrowing);
            }
        }
        Ok(wish)
    }

    fn of(pairs: Vec<(&str, &str)>) -> Result<Self, Forbidden> {
        let mut wanted: BTreeMap<&str, BTreeSet<ScopeValue>> = BTreeMap::new();
        for (dimension, text) in pairs {
            let value = ScopeValue::parse(text).map_err(|_| Forbidden::Narrowing)?;
            if !is_dimension(dimension) || !wanted.entry(dimension).or_default().insert(value) {
                return Err(Forbidden::Narrowing);
            }
        }
        let values = |(dimension, values): (&str, BTreeSet<_>)| {
            Some((dimension.to_owned(), Values::new(values.into_iter().collect())?))
        };
        let dimensions: Option<_> = wanted.into_iter().map(values).collect();
        dimensions.map(Self).ok_or(Forbidden::Narrowing)
    }

    /// What `scope` lets through of what is wanted; `None` if nothing. A dimension that does not limit
    /// `scope` limits the result to what is wanted.
    fn within(&self, scope: &Scope) -> Option<Scope> {
        let mut dimensions = scope.dimensions().clone();
        for (dimension, wanted) in &self.0 {
            let both = match dimensions.get(dimension) {
                None => wanted.clone(),
                Some(granted) => {
                    let kept = wanted.iter().filter(|value| granted.contains(value.as_str()));
                    Values::new(kept.cloned().collect())?
                }
            };
            dimensions.insert(dimension.clone(), both);
        }
        Scope::new(dimensions)
    }

    /// Whether each value that is wanted is in some term: a wish is met whole or not at all.
    fn is_met_by(&self, terms: &[Term]) -> bool {
        self.0.iter().all(|(dimension, wanted)| {
            wanted.iter().all(|value| {
                let has = |term: &Term| {
                    term.scope
                        .dimensions()
                        .get(dimension)
                        .is_some_and(|values| values.contains(value.as_str()))
                };
                terms.iter().any(has)
            })
        })
    }
}

/// The members of a comma-separated header value (RFC 9110 §5.6.1), without the spaces around them.
fn members(line: &[u8]) -> Result<impl Iterator<Item = &str>, Forbidden> {
    let text = std::str::from_utf8(line).map_err(|_| Forbidden::Narrowing)?;
    Ok(text.split(',').map(|member| member.trim_matches([' ', '\t'])))
}

fn pair(member: &str) -> Result<(&str, &str), Forbidden> {
    member.split_once('=').ok_or(Forbidden::Narrowing)
}

impl Grants {
    /// The one grant that a request to an endpoint of `class` of `backend` runs under: all that is granted
    /// there, or what `narrowing` names of it. Without a class: what is granted at any endpoint.
    ///
    /// # Errors
    /// [`Forbidden::NoRule`] if no rule is for this backend, [`Forbidden::Endpoint`] if none is for the class;
    /// [`Forbidden::NarrowerScope`] if no single scope says it, [`Forbidden::Narrowing`] if something is
    /// named that is not granted. A dimension that limits none of the caller's scopes is unknown to it,
    /// unless it may see everything.
    pub fn choose(
        &self,
        backend: &str,
        class: Option<Class>,
        narrowing: Option<&Narrowing>,
    ) -> Result<Grant, Forbidden> {
        let grant = self.chosen(backend, class, narrowing)?;
        if class != Some(Class::Traces) || !self.by_class() {
            return Ok(grant);
        }
        // All of the scope must be granted there too: what is redacted is the rest of its traces.
        let places = self.view(backend, Some(Class::TracesRedacted))?;
        let granted = places.terms.iter().any(|term| covers(&term.scope, grant.scope()));
        Ok(if granted { grant.seeing_places() } else { grant })
    }

    fn chosen(
        &self,
        backend: &str,
        class: Option<Class>,
        narrowing: Option<&Narrowing>,
    ) -> Result<Grant, Forbidden> {
        let view = self.view(backend, class)?;
        if view.terms.is_empty() {
            let elsewhere = class.is_some() && !self.view(backend, None)?.terms.is_empty();
            return match &view.whole {
                Err(Forbidden::NoRule) if elsewhere => Err(Forbidden::Endpoint),
                whole => whole.clone(),
            };
        }
        match narrowing {
            None => view.whole.clone(),
            Some(narrowing) => self.single(&narrowed(&view.terms, narrowing)?, view.share.as_ref()),
        }
    }

    /// Each conjunction that is granted at endpoints of `class` of `backend`, or of any, as a grant of its own: all
    /// that is granted there, or what `narrowing` names of it. None where nothing is.
    ///
    /// # Errors
    /// As [`Self::choose`], but for those that say that there are none or several.
    pub fn conjunctions(
        &self,
        backend: &str,
        class: Option<Class>,
        narrowing: Option<&Narrowing>,
    ) -> Result<Vec<Grant>, Forbidden> {
        let view = self.view(backend, class)?;
        if let (true, Err(refused @ Forbidden::TooManyValues)) = (view.terms.is_empty(), &view.whole) {
            return Err(*refused);
        }
        let terms = match narrowing {
            Some(narrowing) if !view.terms.is_empty() => narrowed(&view.terms, narrowing)?,
            _ => view.terms.clone(),
        };
        terms.into_iter().map(|term| self.single(&[term], view.share.as_ref())).collect()
    }

    /// What may be named where a request needs a narrower scope: the scopes of its union, or where that is one, each
    /// choice of a value for each dimension.
    pub fn choices(&self, backend: &str, class: Option<Class>, narrowing: Option<&Narrowing>) -> String {
        let Ok(view) = self.view(backend, class) else { return String::new() };
        let terms = narrowing.map_or_else(|| Ok(view.terms.clone()), |wish| narrowed(&view.terms, wish));
        let terms = terms.unwrap_or_default();
        let scopes = match terms.as_slice() {
            [one] => single_valued(&one.scope),
            several => several.iter().map(|term| term.scope.clone()).collect(),
        };
        let shown = scopes.iter().take(MAX_CHOICES).map(|scope| format!("`{scope}`"));
        let more = scopes.len().saturating_sub(MAX_CHOICES);
        let more = (more > 0).then(|| format!("{more} more"));
        shown.chain(more).collect::<Vec<_>>().join(", or ")
    }
}

/// How many choices are told.
const MAX_CHOICES: usize = 16;

/// The scopes within `scope` that have one value in each dimension; some of them, where there are many.
fn single_valued(scope: &Scope) -> Vec<Scope> {
    let mut open = vec![BTreeMap::new()];
    for (dimension, values) in scope.dimensions() {
        open = open
            .iter()
            .flat_map(|chosen: &BTreeMap<String, Values>| {
                values.iter().filter_map(move |value| {
                    let mut chosen = chosen.clone();
                    chosen.insert(dimension.clone(), Values::new(vec![value.clone()])?);
                    Some(chosen)
                })
            })
            .take(MAX_SINGLE)
            .collect();
    }
    open.into_iter().filter_map(Scope::new).collect()
}

/// How many scopes of one value in each dimension are counted.
const MAX_SINGLE: usize = 1024;

/// What `narrowing` names of `terms`.
fn narrowed(terms: &[Term], narrowing: &Narrowing) -> Result<Vec<Term>, Forbidden> {
    let known = |dimension| {
        let has = |term: &Term| term.scope.dimensions().contains_key(dimension);
        terms.iter().any(|term| has(term) || term.scope.is_unrestricted())
    };
    if !narrowing.0.keys().all(known) {
        return Err(Forbidden::Narrowing);
    }
    let narrower = terms.iter().filter_map(|term| {
        let scope = narrowing.within(&term.scope)?;
        Some(Term { scope, rules: term.rules.clone(), sees_places: false })
    });
    let terms = simplify(narrower.collect());
    if terms.is_empty() || !narrowing.is_met_by(&terms) { Err(Forbidden::Narrowing) } else { Ok(terms) }
}
