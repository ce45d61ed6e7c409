//! Grants: the scopes of the rules that match, as a union of whole conjunctions, and the single scope
//! that a request runs under.

use crate::rejection::Forbidden;
use crate::tenant::{Scope, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The permit that scoping requires: one scope, and the rules it comes from.
///
/// Made by [`Grants::choose`] only, so nothing reaches a backend without a policy decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant(Arc<Term>);

impl Grant {
    /// What every selector must carry. Equal scopes of different callers are equal and hash alike: a
    /// cache of scoped texts may be keyed by it.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The names of the rules that granted it, in order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.rules.iter().map(|rule| &**rule)
    }
}

/// One conjunction of the union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub scope: Scope,
    pub rules: BTreeSet<Arc<str>>,
}

/// All that a token's claims grant: a union of scopes, never merged label by label. Made by
/// [`super::Policies::decide`] only; cheap to clone, to be cached with the verified token.
#[derive(Clone, Debug)]
pub struct Grants(Arc<Union>);

#[derive(Debug)]
struct Union {
    terms: Vec<Term>,
    /// The answer for a request that asks for nothing narrower.
    whole: Result<Grant, Forbidden>,
}

impl Grants {
    /// The union of `terms`, which may hold at most `max_values` values in a dimension.
    ///
    /// # Errors
    /// [`Forbidden::NoRule`] if there is none, [`Forbidden::TooManyValues`].
    pub(super) fn new(terms: Vec<Term>, max_values: usize) -> Result<Self, Forbidden> {
        let terms = simplify(terms);
        if terms.is_empty() {
            return Err(Forbidden::NoRule);
        }
        let too_many = |term: &Term| term.scope.dimensions().values().any(|values| values.len() > max_values);
        if terms.iter().any(too_many) {
            return Err(Forbidden::TooManyValues);
        }
        let whole = single(&terms);
        Ok(Self(Arc::new(Union { terms, whole })))
    }

    pub(super) fn terms(&self) -> &[Term] {
        &self.0.terms
    }

    pub(super) fn whole(&self) -> Result<Grant, Forbidden> {
        self.0.whole.clone()
    }
}

/// The grant of a union that one selector can say.
pub(super) fn single(terms: &[Term]) -> Result<Grant, Forbidden> {
    match terms {
        [] => Err(Forbidden::NoRule),
        [one] => Ok(Grant(Arc::new(one.clone()))),
        _ => Err(Forbidden::NarrowerScope),
    }
}

/// The same union in fewer terms: what another term covers is dropped, and terms that are equal but in
/// one dimension become one. Nothing else is merged: `{a, eu} ∪ {b, us}` is not `{a b, eu us}`.
///
/// The result does not depend on the order of the terms.
pub(super) fn simplify(terms: Vec<Term>) -> Vec<Term> {
    let mut terms = absorb(terms);
    while let Some(fewer) = merge(&terms) {
        terms = absorb(fewer);
    }
    terms
}

/// Drops each term that another covers. Terms of one scope become one, which names the rules of both.
fn absorb(terms: Vec<Term>) -> Vec<Term> {
    let mut distinct: BTreeMap<Scope, BTreeSet<Arc<str>>> = BTreeMap::new();
    for term in terms {
        distinct.entry(term.scope).or_default().extend(term.rules);
    }
    let covered = |scope: &Scope| distinct.keys().any(|other| other != scope && covers(other, scope));
    let kept: Vec<Scope> = distinct.keys().filter(|scope| !covered(scope)).cloned().collect();
    kept.into_iter().filter_map(|scope| distinct.remove(&scope).map(|rules| Term { scope, rules })).collect()
}

/// Whether all that `narrow` lets through is let through by `wide`: each dimension that limits `wide`
/// limits `narrow` at least as much.
fn covers(wide: &Scope, narrow: &Scope) -> bool {
    wide.dimensions().iter().all(|(dimension, values)| {
        narrow.dimensions().get(dimension).is_some_and(|fewer| fewer.is_subset(values))
    })
}

/// Unites, in the first dimension where that is possible, all terms that are equal in every other.
fn merge(terms: &[Term]) -> Option<Vec<Term>> {
    let dimensions: BTreeSet<&String> =
        terms.iter().flat_map(|term| term.scope.dimensions().keys()).collect();
    dimensions.into_iter().find_map(|dimension| {
        let (limited, free): (Vec<&Term>, Vec<&Term>) =
            terms.iter().partition(|term| term.scope.dimensions().contains_key(dimension));
        let mut groups: BTreeMap<BTreeMap<&String, &Values>, Vec<&Term>> = BTreeMap::new();
        for term in limited {
            let others = term.scope.dimensions().iter().filter(|(name, _)| *name != dimension);
            groups.entry(others.collect()).or_default().push(term);
        }
        let united: Vec<Term> = groups.values().filter_map(|group| unite(dimension, group)).collect();
        if united.len().saturating_add(free.len()) == terms.len() {
            return None;
        }
        Some(free.into_iter().cloned().chain(united).collect())
    })
}

/// One term for terms that differ in `dimension` at most.
fn unite(dimension: &str, group: &[&Term]) -> Option<Term> {
    let values = group.iter().filter_map(|term| term.scope.dimensions().get(dimension)).cloned();
    let mut dimensions = group.first()?.scope.dimensions().clone();
    dimensions.insert(dimension.to_owned(), values.reduce(|all, more| all.union(&more))?);
    let rules = group.iter().flat_map(|term| term.rules.iter().cloned()).collect();
    Some(Term { scope: Scope::new(dimensions)?, rules })
}
