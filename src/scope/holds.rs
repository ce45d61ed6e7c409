//! Which part of everyone's data a backend holds, where several of one kind share a mount.
//!
//! A request goes to the one backend that holds all of its scope. Nothing is asked of several and merged: an
//! average of averages is no average.

use super::Backend;
use crate::api::Kind;
use crate::policy::Grant;
use crate::rejection::Forbidden;
use crate::tenant::{Scope, ScopeValue, Values};
use std::collections::BTreeMap;
use std::fmt;

/// Some values of a dimension: one, or all that start alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// This value.
    One(String),
    /// All values that start with this, written with `*` at the end.
    Prefix(String),
}

impl Pattern {
    /// Reads `acme-books` or `acme-*`.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (start, pattern): (&str, fn(String) -> Self) = match text.strip_suffix('*') {
            Some(start) => (start, Self::Prefix),
            None => (text, Self::One),
        };
        match ScopeValue::parse(start) {
            Ok(_) => Ok(pattern(start.to_owned())),
            Err(_) => {
                Err(format!("`{text}` is no value of a scope, nor the start of some, such as `acme-*`"))
            }
        }
    }

    fn matches(&self, value: &ScopeValue) -> bool {
        match self {
            Self::One(one) => value.as_str() == one,
            Self::Prefix(start) => value.as_str().starts_with(start.as_str()),
        }
    }

    /// Whether some value matches both.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(a), Self::One(b)) => a == b,
            (Self::One(one), Self::Prefix(start)) | (Self::Prefix(start), Self::One(one)) => {
                one.starts_with(start.as_str())
            }
            (Self::Prefix(a), Self::Prefix(b)) => a.starts_with(b.as_str()) || b.starts_with(a.as_str()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(one) => f.write_str(one),
            Self::Prefix(start) => write!(f, "{start}*"),
        }
    }
}

/// What a backend holds: for some dimensions the values, all of which hold at once. Of a dimension that is not
/// named it holds all; without any, everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds(BTreeMap<String, Vec<Pattern>>);

impl Holds {
    /// Data that has, in each of these dimensions, a value that matches one of the patterns.
    pub fn of(dimensions: BTreeMap<String, Vec<Pattern>>) -> Self {
        Self(dimensions)
    }

    /// Whether it is everything.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// The dimensions that limit it.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether some data could belong to both.
    pub fn meets(&self, other: &Self) -> bool {
        let apart = |(dimension, ours): (&String, &Vec<Pattern>)| {
            let theirs = other.0.get(dimension);
            theirs.is_some_and(|theirs| !ours.iter().any(|a| theirs.iter().any(|b| a.meets(b))))
        };
        !self.0.iter().any(apart)
    }

    /// Whether nothing of `scope` is elsewhere.
    fn holds_all_of(&self, scope: &Scope) -> bool {
        let within = |patterns: &[Pattern], values: &Values| {
            values.iter().all(|value| patterns.iter().any(|pattern| pattern.matches(value)))
        };
        let limited = |(dimension, patterns): (&String, &Vec<Pattern>)| {
            scope.dimensions().get(dimension).is_some_and(|values| within(patterns, values))
        };
        self.0.iter().all(limited)
    }

    /// Whether something of `scope` is here.
    fn holds_some_of(&self, scope: &Scope) -> bool {
        let any = |patterns: &[Pattern], values: &Values| {
            values.iter().any(|value| patterns.iter().any(|pattern| pattern.matches(value)))
        };
        let open = |(dimension, patterns): (&String, &Vec<Pattern>)| {
            scope.dimensions().get(dimension).is_none_or(|values| any(patterns, values))
        };
        self.0.iter().all(open)
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.0.iter().flat_map(|(name, patterns)| patterns.iter().map(move |p| (name, p)));
        for (index, (name, pattern)) in pairs.enumerate() {
            write!(f, "{}{name}={pattern}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// The one of `backends`, which share a mount, that holds all that `grant` may see. Which it is follows from the
/// configuration and the caller's own scope: nothing of it tells what others have.
///
/// # Errors
/// [`Forbidden::NarrowerScope`] if the scope is, or may be, spread over several; [`Forbidden::NotHeld`] if nothing
/// of it is held here.
pub fn holder<'b, B>(
    backends: &'b [B],
    backend: impl Fn(&B) -> &Backend,
    grant: &Grant,
) -> Result<&'b B, Forbidden> {
    let scope = grant.scope();
    if let Some(holder) = backends.iter().find(|one| backend(one).holds.holds_all_of(scope)) {
        return Ok(holder);
    }
    let some = backends.iter().any(|one| backend(one).holds.holds_some_of(scope));
    Err(if some { Forbidden::NarrowerScope } else { Forbidden::NotHeld })
}

/// What callers address by one name: a mount, which several backends of one kind may share, or one backend.
#[derive(Clone, Debug)]
pub struct Site<'b> {
    /// What policy rules call it: the mount.
    pub mount: &'b str,
    /// Its kind.
    pub kind: Kind,
    /// Its backends, at least one.
    pub backends: Vec<&'b Backend>,
}

impl<'b> Site<'b> {
    /// The site of that name among `backends`; `None` if there is none.
    pub fn find(backends: &'b [Backend], name: &str) -> Option<Self> {
        let shared: Vec<&Backend> = backends.iter().filter(|backend| backend.mount == name).collect();
        let alone = || backends.iter().filter(|backend| backend.name == name).collect();
        let backends = if shared.is_empty() { alone() } else { shared };
        let first = backends.first()?;
        Some(Self { mount: &first.mount, kind: first.kind, backends })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn holds(dimensions: &[(&str, &[&str])]) -> Holds {
        let read = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Holds::of(dimensions.iter().map(|(name, texts)| ((*name).to_owned(), read(texts))).collect())
    }

    fn scope(dimensions: &[(&str, &[&str])]) -> Scope {
        let values = |texts: &[&str]| {
            Values::new(texts.iter().map(|text| ScopeValue::parse(text).unwrap()).collect()).unwrap()
        };
        Scope::new(dimensions.iter().map(|(name, texts)| ((*name).to_owned(), values(texts))).collect())
            .unwrap()
    }

    #[test]
    fn a_pattern_is_a_value_or_the_start_of_some() {
        for (text, value, matches) in [
            ("acme-books", "acme-books", true),
            ("acme-books", "acme-books-eu", false),
            ("acme-*", "acme-books", true),
            ("acme-*", "acme", false),
            ("acme*", "acme", true),
            ("acme.*", "acmeX", false),
        ] {
            let value = ScopeValue::parse(value).unwrap();
            assert_eq!(Pattern::parse(text).unwrap().matches(&value), matches, "{text} {value}");
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "*", "-*", "a*b", "a**", "a|b", "a b", &"a".repeat(64)] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert!(Pattern::parse(&format!("{}*", "a".repeat(63))).is_ok());
    }

    #[test]
    fn parts_meet_unless_one_dimension_keeps_them_apart() {
        let acme = holds(&[("tenant", &["acme-*"])]);
        for (other, meets) in [
            (holds(&[("tenant", &["globex-*", "initech"])]), false),
            (holds(&[("tenant", &["acme-books"])]), true),
            (holds(&[("tenant", &["acme*"])]), true),
            (holds(&[("tenant", &["acme-books-*"])]), true),
            (holds(&[("tenant", &["acme"])]), false),
            (holds(&[("region", &["eu-west"])]), true),
            (holds(&[("tenant", &["globex-*"]), ("region", &["eu-west"])]), false),
            (Holds::default(), true),
        ] {
            assert_eq!((acme.meets(&other), other.meets(&acme)), (meets, meets), "{other}");
        }
    }

    #[test]
    fn a_scope_is_held_whole_in_part_or_not_at_all() {
        let eu = holds(&[("tenant", &["acme-*", "globex-lit"]), ("region", &["eu-west"])]);
        for (asked, all, some) in [
            (scope(&[("tenant", &["acme-books"]), ("region", &["eu-west"])]), true, true),
            (scope(&[("tenant", &["acme-books", "globex-lit"]), ("region", &["eu-west"])]), true, true),
            (scope(&[("tenant", &["acme-books", "initech"]), ("region", &["eu-west"])]), false, true),
            (scope(&[("tenant", &["acme-books"]), ("region", &["eu-west", "us-east"])]), false, true),
            (scope(&[("tenant", &["acme-books"])]), false, true),
            (scope(&[("tenant", &["initech"])]), false, false),
            (scope(&[("tenant", &["acme-books"]), ("region", &["us-east"])]), false, false),
            (scope(&[("team", &["a"])]), false, true),
            (Scope::unrestricted(), false, true),
        ] {
            assert_eq!((eu.holds_all_of(&asked), eu.holds_some_of(&asked)), (all, some), "{asked}");
        }
        assert!(Holds::default().holds_all_of(&Scope::unrestricted()));
    }
}
