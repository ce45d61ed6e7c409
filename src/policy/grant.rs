//! Grants: the scopes of the rules that match, as a union of whole conjunctions, and the single scope
//! that a request runs under.

use super::compile::Coverage;
use super::limits::{Allowed, RuleLimits, Share, TenantLimits};
use crate::api::{Class, Classes};
use crate::rejection::Forbidden;
use crate::tenant::{Scope, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// The permit that scoping requires: one scope, the rules it comes from, and what may be asked under it.
///
/// Made by [`Grants::choose`] only, so nothing reaches a backend without a policy decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    term: Arc<Term>,
    allowed: Option<Arc<Allowed>>,
}

impl Grant {
    /// What every selector must carry. Equal scopes of different callers are equal and hash alike: a
    /// cache of scoped texts may be keyed by it.
    pub fn scope(&self) -> &Scope {
        &self.term.scope
    }

    /// The names of the rules that granted it, in order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &str> {
        self.term.rules.iter().map(|rule| &**rule)
    }

    /// Whether the caller may see where others' spans are in its traces.
    pub fn sees_places(&self) -> bool {
        self.term.sees_places
    }

    /// The same, with the right to see where others' spans are in the caller's traces.
    pub(super) fn seeing_places(self) -> Self {
        let term = Term { sees_places: true, ..Term::clone(&self.term) };
        Self { term: Arc::new(term), ..self }
    }

    /// What may be asked under it, where that is limited.
    pub fn limits(&self) -> Option<&RuleLimits> {
        self.allowed.as_ref().map(|allowed| &allowed.limits)
    }

    /// Among which requests one under it is counted.
    pub fn shares(&self) -> &[Arc<Share>] {
        self.allowed.as_ref().map_or(&[], |allowed| &allowed.shares)
    }
}

/// One conjunction of the union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub scope: Scope,
    pub rules: BTreeSet<Arc<str>>,
    /// Said of what is chosen only: never while terms are united.
    pub sees_places: bool,
}

/// What one rule grants.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub term: Term,
    pub coverage: Arc<Coverage>,
}

/// All that a token's claims grant: a union of scopes, never merged label by label. Made by
/// [`super::Policies::decide`] only; cheap to clone, to be cached with the verified token.
#[derive(Clone, Debug)]
pub struct Grants(Arc<Union>);

#[derive(Debug)]
struct Union {
    granted: Vec<Granted>,
    max_values: usize,
    tenants: Arc<TenantLimits>,
    /// The backends that some rule names, in order; all others are alike.
    named: Vec<String>,
    /// Whether some rule is not for every class.
    by_class: bool,
    /// For each of `named` and then all others, for each class and then any of them: what is granted there.
    /// Made when it is first asked for.
    views: Box<[OnceLock<View>]>,
}

/// What is granted at one kind of place.
#[derive(Debug)]
pub(super) struct View {
    pub terms: Vec<Term>,
    /// The answer for a request that asks for nothing narrower.
    pub whole: Result<Grant, Forbidden>,
    pub share: Option<Arc<Share>>,
}

/// The classes, and any of them.
const CLASSES: usize = Class::ALL.len() + 1;

impl Grants {
    /// The union of what is granted, which may hold at most `max_values` values in a dimension.
    ///
    /// # Errors
    /// [`Forbidden::NoRule`] if there is none, [`Forbidden::TooManyValues`].
    pub(super) fn new(
        granted: Vec<Granted>,
        max_values: usize,
        tenants: Arc<TenantLimits>,
    ) -> Result<Self, Forbidden> {
        let everywhere = View::of(granted.iter(), max_values, &tenants);
        if let Err(refused @ (Forbidden::NoRule | Forbidden::TooManyValues)) = everywhere.whole {
            return Err(refused);
        }
        let named: BTreeSet<&String> =
            granted.iter().filter_map(|one| one.coverage.backends.as_ref()).flatten().collect();
        let named: Vec<String> = named.into_iter().cloned().collect();
        let by_class = granted.iter().any(|one| one.coverage.classes != Classes::USUAL);
        let places = named.len().saturating_add(1).saturating_mul(CLASSES);
        let views: Box<[OnceLock<View>]> = (0..places).map(|_| OnceLock::new()).collect();
        if let (true, false, Some(view)) = (named.is_empty(), by_class, views.get(Class::ALL.len())) {
            // The usual union, whose only view is known.
            let _ = view.set(everywhere);
        }
        Ok(Self(Arc::new(Union { granted, max_values, tenants, named, by_class, views })))
    }

    /// The grant of these terms, if one selector can say them; `share` is the rules' own.
    pub(super) fn single(&self, terms: &[Term], share: Option<&Arc<Share>>) -> Result<Grant, Forbidden> {
        single(terms, share, &self.0.tenants)
    }

    /// Whether it matters which class of endpoints is asked.
    pub fn by_class(&self) -> bool {
        self.0.by_class
    }

    /// What is granted at endpoints of `class`, or of any class, of `backend`.
    pub(super) fn view(&self, backend: &str, class: Option<Class>) -> Result<&View, Forbidden> {
        let union = &*self.0;
        let class = class.filter(|_| union.by_class);
        let place = union.named.binary_search_by(|name| name.as_str().cmp(backend));
        let place = place.unwrap_or(union.named.len()).saturating_mul(CLASSES);
        let index = place.saturating_add(class.map_or(Class::ALL.len(), |class| class as usize));
        let covers = |one: &&Granted| {
            let coverage = &one.coverage;
            coverage.backends.as_ref().is_none_or(|names| names.contains(backend))
                && class.is_none_or(|class| coverage.classes.has(class))
        };
        let view = union.views.get(index).ok_or(Forbidden::NoRule)?;
        Ok(view
            .get_or_init(|| View::of(union.granted.iter().filter(covers), union.max_values, &union.tenants)))
    }
}

impl View {
    fn of<'g>(
        granted: impl Iterator<Item = &'g Granted> + Clone,
        max_values: usize,
        tenants: &TenantLimits,
    ) -> Self {
        let share = share(granted.clone()).map(Arc::new);
        let terms = simplify(granted.map(|one| one.term.clone()).collect());
        let too_many = |term: &Term| term.scope.dimensions().values().any(|values| values.len() > max_values);
        if terms.iter().any(too_many) {
            return Self { terms: Vec::new(), whole: Err(Forbidden::TooManyValues), share };
        }
        let whole = single(&terms, share.as_ref(), tenants);
        Self { terms, whole, share }
    }
}

/// What the callers of these rules share; `None` if the rules limit nothing.
fn share<'g>(granted: impl Iterator<Item = &'g Granted> + Clone) -> Option<Share> {
    let limits = granted.clone().map(|one| one.coverage.limits.clone()).reduce(|a, b| a.union(&b))?;
    if limits.is_none() {
        return None;
    }
    let mut rules: Vec<String> = granted
        .map(|one| {
            one.term.rules.iter().map(|rule| format!("{rule}: ")).collect::<String>()
                + &one.term.scope.to_string()
        })
        .collect();
    rules.sort();
    // No rule's name has a control character.
    Some(Share { key: rules.join("\n"), limits })
}

/// The grant of a union that one selector can say.
fn single(terms: &[Term], share: Option<&Arc<Share>>, tenants: &TenantLimits) -> Result<Grant, Forbidden> {
    match terms {
        [] => Err(Forbidden::NoRule),
        [one] => {
            let allowed = tenants.allow(share, &one.scope);
            Ok(Grant { term: Arc::new(one.clone()), allowed })
        }
        _ => Err(Forbidden::NarrowerScope),
    }
}

/// What several grants let through together, in as few conjunctions as say it.
pub fn united<'g>(grants: impl Iterator<Item = &'g Grant>) -> Vec<Scope> {
    let terms = simplify(grants.map(|grant| Term::clone(&grant.term)).collect());
    terms.into_iter().map(|term| term.scope).collect()
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
    kept.into_iter()
        .filter_map(|scope| distinct.remove(&scope).map(|rules| Term { scope, rules, sees_places: false }))
        .collect()
}

/// Whether all that `narrow` lets through is let through by `wide`: each dimension that limits `wide`
/// limits `narrow` at least as much.
pub(super) fn covers(wide: &Scope, narrow: &Scope) -> bool {
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
    Some(Term { scope: Scope::new(dimensions)?, rules, sees_places: false })
}
